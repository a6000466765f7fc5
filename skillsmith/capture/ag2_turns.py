"""The middleware that an instrumented AG2 agent has: outermost, so that it sees what the host sees.

It calls on exactly once, hands back exactly what comes, and lets every exception go on: whatever fails in
here is counted instead.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import Token
from functools import lru_cache, partial
from typing import Any, Final

from skillsmith.capture.ag2_network import CHANNEL_KEY, Room, rooms_of
from skillsmith.capture.ag2_scribe import USER, Scribe
from skillsmith.capture.ag2_stream import StreamProxy
from skillsmith.capture.ag2_values import parts_text
from skillsmith.capture.ag2_watch import Watch
from skillsmith.capture.tape import Tape, Turn, Work, current_turn

_Next = Callable[..., Awaitable[Any]]
_CLIENT_MODULE: Final = "ag2.config.openai.openai_client"
_CODE_TOOL_MODULE: Final = "ag2.tools.code.tool"


class Factory:
    """Makes the middleware of each of an agent's turns.

    Args:
        tape: Where its turns are written.
        agent: The agent's name.
    """

    __slots__ = ("agent", "tape")

    def __init__(self, tape: Tape, agent: str) -> None:
        self.tape = tape
        self.agent = agent

    def __call__(self, event: Any, context: Any) -> TurnMiddleware:  # noqa: ARG002  (AG2 calls it so)
        """Return the middleware of one turn."""
        return TurnMiddleware(self.tape, self.agent)


class TurnMiddleware:
    """Watches one turn."""

    __slots__ = ("_agent", "_proxy", "_scribe", "_tape", "_token", "_work")

    def __init__(self, tape: Tape, agent: str) -> None:
        self._tape = tape
        self._agent = agent
        self._scribe: Scribe | None = None
        self._proxy: StreamProxy | None = None
        self._work: Work | None = None
        self._token: Token[Turn | None] | None = None

    async def on_turn(self, call_next: _Next, event: Any, context: Any) -> Any:
        """Write the turn around what it does."""
        if not self._tape.on:
            return await call_next(event, context)
        self._begin(event, context)
        try:
            reply = await call_next(event, context)
        except BaseException as error:
            self._end(event, context, None, error)
            raise
        self._end(event, context, reply, None)
        return reply

    async def on_llm_call(self, call_next: _Next, events: Any, context: Any) -> Any:
        """Write a model call."""
        scribe = self._scribe
        if scribe is None or not scribe.tape.on:
            return await call_next(events, context)
        client = _client_of(call_next)
        restore = None if client is None else self._keep_reasoning(client, scribe)
        started = time.perf_counter()
        try:
            response = await call_next(events, context)
        except BaseException as error:
            seconds = time.perf_counter() - started
            scribe.failed(error, seconds=seconds, model=_model_of(client), prompt=context.prompt)
            raise
        finally:
            if restore is not None:
                restore()
        seconds = time.perf_counter() - started
        scribe.response(response, seconds=seconds, prompt=context.prompt, messages=len(events))
        return response

    async def on_tool_execution(self, call_next: _Next, event: Any, context: Any) -> Any:
        """Write what a tool does."""
        scribe = self._scribe
        if scribe is None or not scribe.tape.on:
            return await call_next(event, context)
        started = scribe.tool_begins()
        try:
            result = await call_next(event, context)
        except BaseException as error:
            scribe.tool_ends(event, None, started=started, error=error)
            scribe.tape.error(scribe.turn, agent=self._agent, error=error, where="tool")
            raise
        if hasattr(result, "parent_id"):  # else the host is to run the tool
            scribe.tool_ends(event, result, started=started)
        scribe.tape.context(scribe.turn, agent=self._agent, values=context.variables, shared=False)
        return result

    async def on_human_input(self, call_next: _Next, event: Any, context: Any) -> Any:
        """Do nothing: question and answer are seen on the stream, also where no one is asked here."""
        return await call_next(event, context)

    def _begin(self, event: Any, context: Any) -> None:
        try:
            within = current_turn.get()
            if within is not None and within.ended:
                within = None
            room = None if within else self._room(context)
            work = room.work if room else None
            if within is None and room is None:
                task = parts_text(getattr(event, "parts", ())) if self._tape.stands else None
                self._work = work = self._tape.begin_work(task or "", agent=self._agent)
            turn = self._tape.begin_turn(self._agent, within=within, work=work)
            asker = within.agent if within else room.asker(self._agent, turn) if room else USER
            scribe = Scribe(self._tape, turn, asker=asker, code_tools=_code_tools(context), room=room)
            if context.variables:
                self._tape.context(turn, agent=self._agent, values=context.variables, shared=False)
            proxy = StreamProxy(context.stream, Watch(scribe))
            context.stream = proxy
            self._scribe, self._proxy, self._token = scribe, proxy, current_turn.set(turn)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self._tape.failures.note("turn", error)

    def _end(self, event: Any, context: Any, reply: Any, error: BaseException | None) -> None:
        try:
            if self._scribe is not None and self._proxy is not None:
                self._leave(self._scribe, self._proxy, context)
                self._finish(self._scribe, self._proxy, event, context, reply, error)
        except Exception as failure:  # noqa: BLE001  (counted, and reported when the capture ends)
            self._tape.failures.note("turn", failure)
        finally:
            if self._work is not None:
                self._tape.end_work(self._work, error=error)

    def _leave(self, scribe: Scribe, proxy: StreamProxy, context: Any) -> None:
        if context.stream is proxy:
            context.stream = proxy.stream
        if self._token is not None and current_turn.get() is scribe.turn:
            current_turn.reset(self._token)

    def _finish(
        self,
        scribe: Scribe,
        proxy: StreamProxy,
        event: Any,
        context: Any,
        reply: Any,
        error: BaseException | None,
    ) -> None:
        if not scribe.requested and hasattr(event, "parts"):
            scribe.request(event)  # another middleware has answered instead of the model
        if reply is not None and reply is not scribe.said:
            scribe.reply(reply)
        proxy.watch.end_children(error=error)
        scribe.tape.context(scribe.turn, agent=self._agent, values=context.variables, shared=False)
        scribe.tape.end_turn(scribe.turn, error=error)

    def _room(self, context: Any) -> Room | None:
        channel = context.dependencies.get(CHANNEL_KEY)
        return None if channel is None else rooms_of(self._tape).find(channel)

    def _keep_reasoning(self, client: Any, scribe: Scribe) -> Callable[[], None] | None:
        """Let AG2's OpenAI client tell the ``reasoning_content`` that it drops unless it streams."""
        kind: Any = type(client)
        if not _drops_reasoning(kind) or "_process_completion" in vars(client):
            return None
        process = getattr(client, "_process_completion", None)
        if process is None:
            return None

        async def hear_and_process(completion: Any, context: Any) -> Any:
            try:
                message = completion.choices[0].message
                if not getattr(message, "reasoning", None):
                    text = getattr(message, "reasoning_content", None)
                    if isinstance(text, str):
                        scribe.heard.append(text)
            except Exception as error:  # noqa: BLE001  (counted; there may be no choice)
                scribe.failures.note("reasoning", error)
            return await process(completion, context)

        client._process_completion = hear_and_process  # noqa: SLF001  (for the length of one call)
        return partial(vars(client).pop, "_process_completion", None)


@lru_cache(maxsize=64)
def _drops_reasoning(kind: type) -> bool:
    """Tell whether these are AG2's clients of OpenAI."""
    client = getattr(sys.modules.get(_CLIENT_MODULE), "OpenAIClient", None)
    return client is not None and issubclass(kind, client)


def _client_of(call_next: Any) -> Any:
    """Return the model's client at the end of a chain of middleware, or None."""
    while isinstance(call_next, partial):
        if call_next.args and callable(call_next.args[0]):
            call_next = call_next.args[0]  # another middleware: what it calls on
        else:
            return call_next.func
    return None


def _model_of(client: Any) -> str | None:
    options = getattr(client, "_create_options", None)
    model = options.get("model") if isinstance(options, dict) else None
    return model if isinstance(model, str) else None


def _code_tools(context: Any) -> frozenset[str]:
    """Return the names of the agent's tools that run code in a sandbox."""
    module = sys.modules.get(_CODE_TOOL_MODULE)
    kind = getattr(module, "SandboxCodeTool", None)
    agent = context.dependencies.get("__ag2_agent__")
    if kind is None or agent is None:
        return frozenset()
    return frozenset(tool.name for tool in getattr(agent, "tools", ()) if isinstance(tool, kind))
