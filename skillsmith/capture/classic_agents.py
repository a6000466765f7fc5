"""Agents that are listened to: a subclass of the class they have, given to the one object.

Every method does what its class does, whatever becomes of the recording. There is one base class: with two,
CPython does not let an object change its class.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autogen import ConversableAgent, GroupChat

from skillsmith.capture.classic_acting import with_code, with_people, with_tools
from skillsmith.capture.classic_actions import tap_executor
from skillsmith.capture.classic_model import tap_client
from skillsmith.capture.classic_scopes import current_scope, inside, scope_of
from skillsmith.capture.classic_stream import listening
from skillsmith.capture.classic_talk import (
    close_chat,
    end_loose,
    enter,
    is_heard,
    leave,
    open_chat,
    passed_on,
    recall,
    received,
    same_capture,
    sent,
)
from skillsmith.capture.classic_wire import MARK, Selection, Tap, Wire, live
from skillsmith.capture.harmless import harmless


def adopt(wire: Wire, obj: Any, *, selection: Selection | None = None) -> None:
    """Watch an agent or group chat, and all that belongs to it.

    Args:
        wire: The capture.
        obj: The object; anything else is left alone.
        selection: For the agents that AG2 makes to select a speaker.
    """
    if isinstance(obj, ConversableAgent):
        tap = wire.watch(obj, agent_class, selection=selection)
        tap_client(wire, obj.__dict__.get("client"))
        tap_executor(wire, obj.__dict__.get("_code_executor"))
        if tap.manages:
            adopt_groups(wire, tap, obj)
    elif isinstance(obj, GroupChat):
        from skillsmith.capture.classic_groups import group_class  # noqa: PLC0415  (it needs this module)

        wire.watch(obj, group_class)
        for agent in obj.agents:
            wire.adopt(agent)


def adopt_groups(wire: Wire, tap: Tap, manager: Any) -> None:
    """Watch a manager's group chat and the shallow copies of it that AG2 runs."""
    group = getattr(manager, "_groupchat", None)
    seen = (id(wire), id(group), len(getattr(manager, "_reply_func_list", ())))
    if tap.groups_seen == seen:
        return
    tap.groups_seen = seen
    wire.adopt(group)
    for entry in getattr(manager, "_reply_func_list", ()):
        if isinstance(entry.get("config"), GroupChat):
            wire.adopt(entry["config"])


@functools.cache
def agent_class(cls: Any) -> type:
    """Return the class that listens for a class of agents."""
    made = _with_messages(_with_model_replies(_with_replies(_with_runs(_with_chats(cls)))))
    made = with_people(with_code(with_tools(made)))
    if hasattr(cls, "run_chat"):
        made = _with_history(made)
    return named_like(made, cls)


def named_like(made: Any, cls: Any) -> type:
    """Let a class pass for another in names and documentation."""
    made.__name__, made.__qualname__ = cls.__name__, cls.__qualname__
    made.__module__, made.__doc__ = cls.__module__, cls.__doc__
    setattr(made, MARK, True)
    return made  # type: ignore[no-any-return]


def _with_chats(cls: Any) -> Any:
    class Chats(cls):  # type: ignore[misc]
        def initiate_chat(self, recipient: Any, *args: Any, **kwargs: Any) -> Any:
            bare, found = super().initiate_chat, live(self)
            chat = open_chat(found[1], self, recipient, args, kwargs) if found else None
            if chat is None:
                return bare(recipient, *args, **kwargs)
            with inside(chat), listening():
                try:
                    result = bare(recipient, *args, **kwargs)
                except BaseException as error:
                    close_chat(chat.wire, chat, recipient, error=error)
                    raise
                close_chat(chat.wire, chat, recipient, result=result)
                return result

        async def a_initiate_chat(self, recipient: Any, *args: Any, **kwargs: Any) -> Any:
            bare, found = super().a_initiate_chat, live(self)
            chat = open_chat(found[1], self, recipient, args, kwargs) if found else None
            if chat is None:
                return await bare(recipient, *args, **kwargs)
            with inside(chat), listening():
                try:
                    result = await bare(recipient, *args, **kwargs)
                except BaseException as error:
                    close_chat(chat.wire, chat, recipient, error=error)
                    raise
                close_chat(chat.wire, chat, recipient, result=result)
                return result

    return Chats


def _with_runs(cls: Any) -> Any:
    class Runs(cls):  # type: ignore[misc]
        def _prepare_chat(self, recipient: Any, *args: Any, **kwargs: Any) -> Any:
            bare, found = super()._prepare_chat, live(self)
            if found:
                prepare(found[1], found[0], self, recipient)
            return bare(recipient, *args, **kwargs)

        def _summarize_chat(self, *args: Any, **kwargs: Any) -> Any:
            bare, found = super()._summarize_chat, live(self)
            summary = bare(*args, **kwargs)
            if found and scope_of(found[1]) is None:
                end_loose(found[1])
            return summary

        def _should_terminate_chat(self, recipient: Any, message: Any) -> Any:
            terminates = super()._should_terminate_chat(recipient, message)
            if terminates and (found := live(self)):
                terminated(found[1], recipient)
            return terminates

        @contextmanager
        def _create_or_get_executor(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
            with super()._create_or_get_executor(*args, **kwargs) as executor:
                if found := live(self):
                    found[1].adopt(executor)
                yield executor

    return Runs


@harmless
def prepare(wire: Wire, tap: Tap, agent: Any, peer: Any) -> None:
    """Watch whom an agent is about to talk to, and a manager's group, which may have changed."""
    if scope_of(wire) is None and not tap.manages:
        end_loose(wire)  # a chat begins whose initiator was not watched then
    wire.adopt(peer)
    if tap.manages:
        adopt_groups(wire, tap, agent)


@harmless
def terminated(wire: Wire, recipient: Any) -> None:
    """Record that a message ended a chat, which AG2 tells nobody when turns are counted."""
    scope = scope_of(wire)
    chat = wire.root if scope is None else scope.chat
    chat.ended_because = f"Termination message condition on agent '{recipient.name}' met"
    wire.tape.note(chat.here(), name="termination", agent=recipient.name, content=chat.ended_because)


def _with_replies(cls: Any) -> Any:
    class Replies(cls):  # type: ignore[misc]
        def generate_reply(self, messages: Any = None, sender: Any = None, *args: Any, **kwargs: Any) -> Any:
            bare, found = super().generate_reply, live(self)
            speech = enter(found[1], found[0], self, messages, sender) if found else None
            if speech is None:
                return bare(messages, sender, *args, **kwargs)
            try:
                if speech.outer is None:
                    with listening():
                        reply = bare(messages, sender, *args, **kwargs)
                else:  # the chat around this turn listens
                    reply = bare(messages, sender, *args, **kwargs)
            except BaseException as error:
                leave(speech.wire, speech, error=error)
                raise
            leave(speech.wire, speech, reply)
            return reply

        async def a_generate_reply(
            self, messages: Any = None, sender: Any = None, *args: Any, **kwargs: Any
        ) -> Any:
            bare, found = super().a_generate_reply, live(self)
            speech = enter(found[1], found[0], self, messages, sender) if found else None
            if speech is None:
                return await bare(messages, sender, *args, **kwargs)
            try:
                if speech.outer is None:
                    with listening():
                        reply = await bare(messages, sender, *args, **kwargs)
                else:  # the chat around this turn listens
                    reply = await bare(messages, sender, *args, **kwargs)
            except BaseException as error:
                leave(speech.wire, speech, error=error)
                raise
            leave(speech.wire, speech, reply)
            return reply

    return Replies


def _with_model_replies(cls: Any) -> Any:
    class ModelReplies(cls):  # type: ignore[misc]
        def generate_oai_reply(
            self, messages: Any = None, sender: Any = None, *args: Any, **kwargs: Any
        ) -> Any:
            # AG2 calls it by this name only from the thread pool of an async chat, which has no context
            bare, found = super().generate_oai_reply, live(self)
            speech = found[0].speech(sender) if found and current_scope.get() is None else None
            if speech is None:
                return bare(messages, sender, *args, **kwargs)
            with inside(speech):
                return bare(messages, sender, *args, **kwargs)

    return ModelReplies


def _with_messages(cls: Any) -> Any:
    class Messages(cls):  # type: ignore[misc]
        def _process_message_before_send(self, message: Any, recipient: Any, silent: Any) -> Any:
            processed = super()._process_message_before_send(message, recipient, silent)
            if (found := live(self)) and not (found[0].manages and passed_on(self, message)):
                sent(found[1], found[0], self, processed, recipient)
            return processed

        def _process_received_message(self, message: Any, sender: Any, silent: Any) -> Any:
            bare = super()._process_received_message
            if not same_capture(self, sender) and (found := live(self)) and not is_heard(found[1], sender):
                received(found[1], self, message, sender)
            return bare(message, sender, silent)

    return Messages


def _with_history(cls: Any) -> Any:
    class History(cls):  # type: ignore[misc]
        def resume(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            bare, found = super().resume, live(self)
            if not found or (chat := recall(found[1], self, messages)) is None:
                return bare(messages, *args, **kwargs)
            with inside(chat):
                return bare(messages, *args, **kwargs)

        async def a_resume(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            bare, found = super().a_resume, live(self)
            if not found or (chat := recall(found[1], self, messages)) is None:
                return await bare(messages, *args, **kwargs)
            with inside(chat):
                return await bare(messages, *args, **kwargs)

    return History
