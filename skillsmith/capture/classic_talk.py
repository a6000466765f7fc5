"""What Classic agents say to each other, as events: once each, when it is said, by whom and to whom.

Nothing here raises into the host's run; each function returns None where it could not do its part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillsmith.capture.classic_scopes import Chat, Scope, Speech, current_scope, scope_of
from skillsmith.capture.classic_wire import KEY, Tap, Wire
from skillsmith.capture.harmless import harmless
from skillsmith.capture.shapes import field_of, text_of, tool_calls_of
from skillsmith.models import ToolUse

SELECTING = {"selects_speaker": True}
"""Marks what the agents say that AG2 makes to select a speaker."""

RESULT_ROLES = ("tool", "function")
_KEPT_ROLES = (*RESULT_ROLES, "system")
_NOTHING: Mapping[str, Any] = {}
_MESSAGE_POSITION = 6
"""Of ``message`` among the arguments of ``initiate_chat`` after the recipient."""


@harmless
def open_chat(
    wire: Wire, initiator: Any, recipient: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Chat:
    """Begin a chat, in the turn that it is started from if there is one."""
    outer = scope_of(wire)
    chat = Chat(wire, outer=outer, initiator=initiator)
    wire.adopt(recipient)
    if outer is None:
        given = kwargs.get("message", args[_MESSAGE_POSITION] if len(args) > _MESSAGE_POSITION else None)
        task = "" if callable(given) else given
        chat.work = wire.tape.begin_work(task, agent=getattr(recipient, "name", None))
    if carryover := kwargs.get("carryover"):
        text = carryover if isinstance(carryover, str) else "\n".join(map(str, carryover))
        wire.tape.note(
            chat.here(), name="carryover", agent=initiator.name, content=text,
            data={"recipient": recipient.name},
        )  # fmt: skip
    return chat


@harmless
def close_chat(
    wire: Wire, chat: Chat, recipient: Any, *, result: Any = None, error: BaseException | None = None
) -> None:
    """End a chat: record its summary, when that says what no message said, or its error."""
    for tap in (_tap(chat.initiator), _tap(recipient)):
        if tap is not None:
            flush(wire, tap)
    if error is not None:
        wire.tape.error(chat.here(), agent=chat.initiator.name, error=error, where="chat")
    else:
        _record_summary(wire, chat, result)
    if chat.outer is None and chat.work is not None:
        wire.tape.end_work(chat.work, error=error, reason=chat.ended_because)


def _record_summary(wire: Wire, chat: Chat, result: Any) -> None:
    summary: Any = field_of(result, "summary")
    history: Any = field_of(result, "chat_history")
    if not summary or not isinstance(summary, str):
        return
    last = text_of(field_of(history[-1], "content")) if history else None
    if summary not in (last or "") and summary != (last or "").replace("TERMINATE", ""):
        wire.tape.note(chat.here(), name="summary", agent=chat.initiator.name, content=summary)


def _tap(obj: Any) -> Tap | None:
    tap: Tap | None = getattr(obj, "__dict__", _NOTHING).get(KEY)
    return tap


def enter(wire: Wire, tap: Tap, agent: Any, messages: Any, sender: Any) -> Speech | None:
    """Begin to listen to an agent that is asked for a reply."""
    try:
        if sender is not None:
            if not is_heard(wire, sender):
                wire.adopt(sender)
            if stale := tap.pending.pop(id(sender), None):
                unsent(wire, stale)
        outer = scope_of(wire)
        if outer is None and sender is None:
            outer = _asked_directly(wire, agent, messages)
        speech = Speech(tap, wire, agent=agent, peer=sender, outer=outer)
        if sender is None and messages:
            _record_question(wire, speech, messages)
        tap.open.append(speech)
        speech.token = current_scope.set(speech)
    except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
        wire.failures.note("enter", error)
        return None
    return speech


def _asked_directly(wire: Wire, agent: Any, messages: Any) -> Chat:
    """Return the chat of a host that calls ``generate_reply`` itself."""
    chat = Chat(wire)
    task = field_of(messages[-1], "content") if messages else None
    chat.work = wire.tape.begin_work(task, agent=agent.name)
    return chat


def _record_question(wire: Wire, speech: Speech, messages: Any) -> None:
    """Record what the host says to the agent: all since the agent's last answer."""
    new: list[Any] = []
    for message in reversed(messages):
        if field_of(message, "role") == "assistant":
            break
        new.append(message)
    for message in reversed(new):
        if field_of(message, "role") in RESULT_ROLES:
            continue
        within, sender = speech.chat.within, field_of(message, "name")
        role = field_of(message, "role") or "user"
        if within is not None and role == "user":  # said by an agent, whose turn this is part of
            role, sender = "assistant", sender or within.agent
        wire.tape.message(
            speech.begin(), sender=sender, recipient=speech.agent.name, role=role,
            content=field_of(message, "content"),
        )  # fmt: skip


def leave(wire: Wire, speech: Speech, reply: Any = None, error: BaseException | None = None) -> None:
    """Note how an agent was done with its reply; the turn ends when the reply is sent."""
    try:
        _leave(wire, speech, reply, error)
    except Exception as failure:  # noqa: BLE001  (counted, and reported when the capture ends)
        wire.failures.note("leave", failure)


def _leave(wire: Wire, speech: Speech, reply: Any, error: BaseException | None) -> None:
    tap = speech.tap
    if speech in tap.open:
        tap.open.remove(speech)
    if speech.token is not None:
        try:  # noqa: SIM105  (``suppress`` is three calls more)
            current_scope.reset(speech.token)
        except ValueError:  # the host went on in another context
            pass
    if speech.turn is not None:
        speech.look()
    if error is not None:
        wire.tape.error(speech.here(), agent=speech.agent.name, error=error, where="turn")
        speech.end()
    elif reply is None:
        speech.end()
    elif speech.peer is None:
        speech.replied = reply
        unsent(wire, speech)
    else:
        speech.replied = reply
        tap.pending[id(speech.peer)] = speech
    work = speech.chat.work
    if speech.peer is None and isinstance(speech.outer, Chat) and speech.outer.initiator is None and work:
        wire.tape.end_work(work, error=error)


@harmless
def flush(wire: Wire, tap: Tap) -> None:
    """Record the replies of an agent that were never sent, and end their turns."""
    for key, speech in list(tap.pending.items()):
        if speech.wire is wire:
            tap.pending.pop(key, None)
            unsent(wire, speech)


@harmless
def unsent(wire: Wire, speech: Speech) -> None:
    """Record a reply that goes no further than to whoever asked for it."""
    if speech.replied is not None and speech.replied != "":
        _say(wire, speech, speech.agent, speech.replied, getattr(speech.peer, "name", None))
    speech.end()


def sent(wire: Wire, tap: Tap, agent: Any, message: Any, recipient: Any) -> None:
    """Record a message on its way."""
    try:
        scope = scope_of(wire)
        if scope is not None and scope.chat.muted:
            return
        if not is_heard(wire, recipient):
            wire.adopt(recipient)
        speech = tap.pending.pop(id(recipient), None)
        if speech is not None and speech.wire is wire:
            _say(wire, speech, agent, message, recipient.name)
            speech.end()
        elif isinstance(scope, Speech) and scope.agent is agent and not scope.passes_on:
            _say(wire, scope, agent, message, recipient.name)
        else:
            _open(wire, tap, scope, agent, message, recipient)
    except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
        wire.failures.note("sent", error)


def _open(wire: Wire, tap: Tap, scope: Scope | None, agent: Any, message: Any, recipient: Any) -> None:
    """Record a message that answers nothing: it opens a chat, or the host sends it."""
    speech = Speech(tap, wire, agent=agent, peer=recipient, outer=scope)
    if scope is None:
        _begin_loose(wire, message, recipient)
    within = speech.chat.within
    if within is not None and within.agent == agent.name:
        speech.turn = within
    role = "user" if within is None and not tap.manages else "assistant"
    _say(wire, speech, agent, message, recipient.name, role=role)
    speech.end()


def passed_on(manager: Any, message: Any) -> bool:
    """Tell whether a manager only hands a speaker's message to the others of its group."""
    messages: Any = getattr(getattr(manager, "_groupchat", None), "messages", None)
    return bool(messages) and messages[-1] is message


@harmless
def recall(wire: Wire, manager: Any, messages: Any) -> Chat | None:
    """Record what a group said before it is resumed; AG2 then sends all of it around again.

    The last message is left out: the chat opens with it.
    """
    if not isinstance(messages, list):
        return None
    chat = Chat(wire, outer=scope_of(wire))
    for message in messages[:-1]:
        turn = chat.here() or wire.tape.begin_turn(field_of(message, "name") or manager.name)
        chat.last = turn
        wire.tape.message(
            turn, sender=field_of(message, "name") or manager.name, recipient=manager.name,
            role=str(field_of(message, "role") or "assistant"), content=field_of(message, "content"),
            tool_calls=announce(wire, message), data={"resumed": True},
        )  # fmt: skip
    chat.muted = True
    return chat


def _begin_loose(wire: Wire, message: Any, agent: Any) -> None:
    """Begin the chat of messages that no ``initiate_chat`` of a watched agent sends."""
    if wire.root.work is None:
        task = message.get("content") if isinstance(message, Mapping) else message
        wire.root.work = wire.tape.begin_work(task, agent=agent.name)


@harmless
def end_loose(wire: Wire) -> None:
    """End that chat, and begin anew."""
    root, wire.root = wire.root, Chat(wire)
    if root.work is not None:
        wire.tape.end_work(root.work, reason=root.ended_because)


def same_capture(agent: Any, peer: Any) -> bool:
    """Tell whether two agents are watched by the same capture, and by no other."""
    mine, other = agent.__dict__.get(KEY), getattr(peer, "__dict__", _NOTHING).get(KEY)
    return mine is not None and other is not None and mine.wires == other.wires


def is_heard(wire: Wire, peer: Any) -> bool:
    """Tell whether what a peer says is recorded when it says it."""
    tap = getattr(peer, "__dict__", _NOTHING).get(KEY)
    return tap is not None and wire in tap.wires


@harmless
def received(wire: Wire, agent: Any, message: Any, sender: Any) -> None:
    """Record a message of a sender that was not watched when it sent it."""
    scope = scope_of(wire)
    if scope is not None and scope.chat.muted:
        return
    wire.adopt(sender)
    heard(wire, agent, message, getattr(sender, "name", None))


@harmless
def heard(wire: Wire, agent: Any, message: Any, sender: str | None) -> None:
    """Record a message of somebody who is not watched."""
    scope = scope_of(wire)
    if scope is None:
        _begin_loose(wire, message, agent)
    chat = wire.root if scope is None else scope.space()
    turn = chat.here()
    if turn is None:
        turn = chat.last = wire.tape.begin_turn(sender or "user", work=chat.work)
        wire.tape.end_turn(turn)
    said = message if isinstance(message, Mapping) else {"content": message}
    wire.tape.message(
        turn, sender=sender, recipient=agent.name, role="user" if chat.within is None else "assistant",
        content=said.get("content"), tool_calls=announce(wire, said),
    )  # fmt: skip


def _say(
    wire: Wire, speech: Speech, agent: Any, message: Any, recipient: str | None, *, role: str | None = None
) -> None:
    said: Mapping[str, Any] = {"content": message} if isinstance(message, str) else message
    given = said.get("role")
    if given in RESULT_ROLES and _record_results(wire, speech, said):
        return
    content, selection = said.get("content"), speech.tap.selection
    if speech.human is not None and speech.human == content:
        role = "user"
    elif role is None:
        role = given if given in _KEPT_ROLES else "assistant"
    thought = speech.take_reasoning() if speech.reasoning else None
    if not thought and (written := said.get("reasoning_content") or said.get("reasoning")):
        thought = text_of(written)
    wire.tape.message(
        speech.turn or speech.begin(), sender=agent.name, recipient=recipient, role=role,
        content=content or None, reasoning=thought,
        tool_calls=announce(wire, said) if "tool_calls" in said or "function_call" in said else (),
        data=None if selection is None else SELECTING,
    )  # fmt: skip
    if selection is not None and content:
        selection.hear(agent.name, content)


def announce(wire: Wire, said: Mapping[str, Any]) -> tuple[ToolUse, ...]:
    """Return the tool calls that a message asks for, remembered until they are executed."""
    calls = said.get("tool_calls")
    if calls:
        uses = tool_calls_of(calls)
        for use in uses:
            wire.names.note(use.call_id or "", use.name)
        return uses
    if call := said.get("function_call"):
        use = tool_calls_of(call)[0]
        wire.unnamed.add(use)
        return (use,)
    return ()


def _record_results(wire: Wire, speech: Speech, said: Mapping[str, Any]) -> bool:
    """Record the results of tools that ran where nobody watched; tell whether nothing else is left."""
    responses = said.get("tool_responses")
    if responses is None:
        responses = [said]
    for response in responses:
        call_id = field_of(response, "tool_call_id")
        if call_id is None and speech.answers:
            continue
        if call_id is None or call_id not in wire.answered:
            wire.tape.tool_result(
                speech.begin(executes=True), agent=speech.agent.name,
                name=field_of(response, "name") or wire.names.get(str(call_id), "unknown"), call_id=call_id,
                result=text_of(field_of(response, "content")),
            )  # fmt: skip
            wire.answered.note(str(call_id))
            speech.answers = True
    return speech.answers
