"""What Classic agents do besides talking: tools, code, questions to a person.

AG2 turns a tool's exception into a text; its type and traceback are seen where the tool itself is called.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from pathlib import Path
from typing import Any

from skillsmith.capture.classic_scopes import Scope, Speech, current_scope, scope_of
from skillsmith.capture.classic_wire import Tap, Wire
from skillsmith.capture.harmless import harmless
from skillsmith.capture.shapes import field_of
from skillsmith.capture.turns import Turn

_TARGETS = "autogen.agentchat.group.targets"

CLOCK_SLACK = 0.02
"""Seconds by which a file's time may lag behind the clock."""

executing: ContextVar[ToolCall | None] = ContextVar("skillsmith_classic_tool", default=None)
"""The tool call whose function is about to be looked up."""

legacy_run: ContextVar[Running | None] = ContextVar("skillsmith_classic_code", default=None)
"""The run of code blocks that is under way without an executor."""

CodeRun = tuple[str, str | None, int | None, str | None, float]
"""Code, language, exit code, output, seconds."""


def scope_for(wire: Wire, tap: Tap) -> Scope | None:
    """Return where an agent acts: by the context, else its open turn."""
    return scope_of(wire) or tap.speech()


def turn_for(wire: Wire, scope: Scope | None, agent: Any, *, executes: bool = False) -> Turn:
    """Return the turn that an agent's act belongs to.

    Args:
        wire: The capture.
        scope: Where it happens.
        agent: Who acts.
        executes: It does what a message before asked for.
    """
    if isinstance(scope, Speech) and not scope.passes_on:
        return scope.begin(executes=executes and scope.agent is agent)
    here = scope.here() if scope is not None else None
    return here or wire.tape.begin_turn(agent.name)


class ToolCall:
    """One execution of a tool.

    Args:
        wire: The capture.
        tap: The executing agent's.
        agent: Who executes it.
        func_call: What was asked for.
        call_id: Joins it with its call.
    """

    __slots__ = (
        "agent", "arguments", "call_id", "error", "failures", "name", "scope", "started", "tokens", "turn",
        "wire",
    )  # fmt: skip

    def __init__(
        self, wire: Wire, tap: Tap, *, agent: Any, func_call: Mapping[str, Any], call_id: str | None
    ) -> None:
        self.wire = wire
        self.failures = wire.failures
        self.agent = agent
        self.name = str(func_call.get("name") or "unknown")
        self.arguments = func_call.get("arguments")
        if call_id is None and (asked := wire.unnamed.claim(self.name, self.arguments, None)) is not None:
            call_id = asked.call_id
        self.call_id = call_id
        self.error: BaseException | None = None
        self.scope = scope_for(wire, tap)
        self.turn = turn_for(wire, self.scope, agent, executes=True)
        wire.tape.before_files(self.turn)
        self.tokens: list[tuple[ContextVar[Any], Token[Any]]] = []
        if self.scope is not None and current_scope.get() is not self.scope:
            self.tokens.append((current_scope, current_scope.set(self.scope)))
        self.started = time.perf_counter()

    def functions(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the functions to look the tool up in: it alone, watched while it runs."""
        executing.set(None)
        function = known.get(self.name)
        return known if function is None else {self.name: self._watching(function)}

    def _watching(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def awaiting(awaitable: Any) -> Any:
            try:
                return await awaitable
            except BaseException as error:
                self.error = error
                raise

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self.error = error
                raise
            return awaiting(result) if inspect.isawaitable(result) else result

        async def async_call(*args: Any, **kwargs: Any) -> Any:
            return await awaiting(function(*args, **kwargs))

        is_async = inspect.iscoroutinefunction(function)
        is_async = is_async or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  (as AG2 asks)
        return async_call if is_async else call

    @harmless
    def done(self, outcome: Any) -> None:
        """Record the result that AG2 returns."""
        ok, result = outcome
        content = field_of(result, "content")
        error = None if ok else self.error or str(content)
        self._record(result=_plain(content), error=error, routing=_routing(content))

    @harmless
    def failed(self, error: BaseException) -> None:
        """Record that the execution itself ended with an exception."""
        self._record(result=None, error=error)

    def _record(self, *, result: Any, error: BaseException | str | None, routing: str | None = None) -> None:
        seconds = time.perf_counter() - self.started
        for variable, token in self.tokens:
            variable.reset(token)
        tape = self.wire.tape
        tape.tool_result(
            self.turn, agent=self.agent.name, name=self.name, call_id=self.call_id,
            arguments=self.arguments, result=result, error=error, duration_seconds=seconds, routing=routing,
        )  # fmt: skip
        if isinstance(error, BaseException):
            tape.error(self.turn, agent=self.agent.name, error=error, where="tool")
        if self.call_id is not None:
            self.wire.answered.note(self.call_id)
        if isinstance(self.scope, Speech) and self.scope.agent is self.agent:
            self.scope.answers = True
            self.scope.look()
        tape.after_files(self.agent.name, self.turn)


def _routing(content: Any) -> str | None:
    """Return the kind of target when that is all a tool has returned."""
    kind = type(content)
    return kind.__name__ if kind.__module__.startswith(_TARGETS) else None


def _plain(content: Any) -> Any:
    """Return a tool's result as AG2 puts it into a message."""
    if content is None or isinstance(content, (str, int, float, bool, list, tuple, dict)):
        return content
    said = getattr(content, "message", None)
    return said if isinstance(said, str) else str(content)


@harmless
def open_tool(
    wire: Wire, tap: Tap, agent: Any, func_call: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> ToolCall:
    """Begin to watch the execution of a tool."""
    call_id = kwargs.get("call_id", args[0] if args else None)
    return ToolCall(wire, tap, agent=agent, func_call=func_call, call_id=call_id)


@harmless
def tap_executor(wire: Wire, executor: Any) -> None:
    """Listen to an agent's code executor."""
    if executor is not None and callable(getattr(executor, "execute_code_blocks", None)):
        wire.shadow(executor, "execute_code_blocks", _execute)


def _execute(
    wire: Wire, executor: Any, bare: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    blocks = args[0] if args else kwargs.get("code_blocks", ())
    run = begin_code(wire, None, None)
    try:
        result = bare(*args, **kwargs)
    except BaseException as error:
        if run is not None:
            run.failed([(block.code, block.language) for block in blocks], error)
        raise
    if run is not None:
        run.executed(executor, blocks, result)
    return result


class Running:
    """Code that an agent runs.

    Args:
        wire: The capture.
        scope: Where it happens.
        agent: Who runs it.
    """

    __slots__ = ("agent", "began", "failures", "runs", "started", "turn", "wire")

    def __init__(self, wire: Wire, scope: Scope | None, agent: Any) -> None:
        if agent is None and isinstance(scope, Speech):
            agent = scope.agent
        self.wire = wire
        self.failures = wire.failures
        self.agent: str = getattr(agent, "name", None) or "executor"
        if agent is not None:
            self.turn = turn_for(wire, scope, agent, executes=True)
        else:
            here = scope.here() if scope is not None else None
            self.turn = here or wire.tape.begin_turn(self.agent)
        self.runs: list[CodeRun] = []
        wire.tape.before_files(self.turn)
        self.began = time.time()
        self.started = time.perf_counter()

    @harmless
    def executed(self, executor: Any, blocks: Sequence[Any], result: Any) -> None:
        """Record what an executor was given and what it returned: one result for all blocks."""
        seconds = time.perf_counter() - self.started
        exit_code, output = field_of(result, "exit_code"), field_of(result, "output")
        ran = [(block.code, block.language) for block in blocks]
        if exit_code and len(ran) > 1:
            reached = _reached(executor, ran, since=self.began - CLOCK_SLACK)
            language = ran[0][1]
            ran = ran[:reached] if reached else [("\n\n".join(code for code, _ in ran), language)]
        for code, language in ran[:-1]:
            self._record((code, language, 0, None, None))
        if ran:
            self._record((*ran[-1], exit_code, output, seconds))
        self._end()

    @harmless
    def saw(self, code: str, language: str | None, result: Any, seconds: float) -> None:
        """Keep what one block gave."""
        self.runs.append((code, language, result[0], result[1], seconds))

    @harmless
    def finished(self, blocks: Sequence[Any], exit_code: int, logs: str) -> None:
        """Record what ``execute_code_blocks`` of an agent did: what ``run_code`` saw, or the whole."""
        seconds = time.perf_counter() - self.started
        for run in self.runs:
            self._record(run)
        refused = len(self.runs) < len(blocks) and (not self.runs or (exit_code and not self.runs[-1][2]))
        if refused:
            language, code = blocks[len(self.runs)]
            before = "".join(f"\n{run[3]}" for run in self.runs)
            self._record((code, language or None, exit_code, logs.removeprefix(before), seconds))
        self._end()

    @harmless
    def failed(self, blocks: Sequence[tuple[str, str | None]], error: BaseException) -> None:
        """Record that running ended with an exception."""
        seconds = time.perf_counter() - self.started
        for run in self.runs:
            self._record(run)
        for code, language in blocks[len(self.runs) : len(self.runs) + 1]:
            self._record((code, language, 1, f"{type(error).__name__}: {error}", seconds))
        self.wire.tape.error(self.turn, agent=self.agent, error=error, where="code")
        self._end()

    def _record(self, run: tuple[str, str | None, int | None, str | None, float | None]) -> None:
        code, language, exit_code, output, seconds = run
        self.wire.tape.code(
            self.turn, agent=self.agent, code=code, language=language, exit_code=exit_code, output=output,
            duration_seconds=seconds,
        )  # fmt: skip

    def _end(self) -> None:
        self.wire.tape.after_files(self.agent, self.turn)


@harmless
def begin_code(wire: Wire, tap: Tap | None, agent: Any) -> Running:
    """Begin to watch code that runs."""
    scope = scope_of(wire) if tap is None else scope_for(wire, tap)
    return Running(wire, scope, agent)


def _reached(executor: Any, blocks: Sequence[tuple[str, str]], *, since: float) -> int:
    """Return how many blocks a command line executor came to: it writes each into a file, then runs it."""
    folder = getattr(executor, "work_dir", None)
    if not isinstance(folder, (str, Path)):
        return 0
    with os.scandir(str(folder)) as entries:
        recent = [entry.path for entry in entries if entry.is_file() and entry.stat().st_mtime >= since]
    texts = {Path(path).read_text("utf-8", "replace") for path in recent}
    return max((number for number, (code, _) in enumerate(blocks, 1) if code in texts), default=0)


@harmless
def record_human(wire: Wire, tap: Tap, agent: Any, prompt: Any, *, reply: Any, seconds: float) -> None:
    """Record a question to a person and the answer."""
    scope = scope_for(wire, tap)
    wire.tape.human(
        turn_for(wire, scope, agent), agent=agent.name, prompt=prompt, reply=reply, duration_seconds=seconds
    )
    if isinstance(scope, Speech) and scope.agent is agent and isinstance(reply, str):
        scope.human = reply
