"""Tools of a ToolSource, as AG2 1.x has them; each call runs on a thread of its own.

Importing this module imports ag2: only ``ag2_turn`` does.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ag2.annotations import Context
from ag2.events import ToolCallEvent, ToolErrorEvent, ToolResult, ToolResultEvent
from ag2.events.conditions import OpCondition, check_eq
from ag2.middleware import BaseMiddleware
from ag2.tools.final import FunctionToolSchema
from ag2.tools.final.function_tool import FunctionDefinition
from ag2.tools.tool import Tool

from skillsmith.library.program.bindings import as_text
from skillsmith.library.tools.schemas import schema_of
from skillsmith.models import Json, ToolSource

if TYPE_CHECKING:
    from ag2.middleware.base import ToolExecution, ToolResultType

MAX_RESULT_CHARS = 40_000
"""Of a longer tool result the model is told the beginning and the end, half each."""

WHOLE = "whole"
"""Where a result keeps the text of which the model is told a part."""

MAX_NAME_CHARS = 64

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_T = TypeVar("_T")


class SourceTool(Tool):
    """A tool of a ToolSource, as AG2 has them; its call runs on a thread of its own.

    Models know it by a ``name`` that their endpoints accept; ``own_name`` is the one it has at home.

    Args:
        source: Where the tool is.
        name: Its name.
    """

    def __init__(self, source: ToolSource, name: str) -> None:
        self.name = _NOT_IN_NAMES.sub("_", name)[:MAX_NAME_CHARS]
        self.own_name = name
        self._source = source
        schema = schema_of(source, name)
        description = str(schema.pop("description", ""))
        self._schema = FunctionToolSchema(
            function=FunctionDefinition(name=self.name, description=description, parameters=schema)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> SourceTool:
        return self  # AG2 copies what it registers; the state behind the tools is not to be copied

    async def schemas(self, context: Context) -> list[FunctionToolSchema]:  # noqa: ARG002  (AG2's signature)
        """Return what the model is told."""
        return [self._schema]

    def register(
        self,
        stack: ExitStack | AsyncExitStack,
        context: Context,
        *,
        middleware: Iterable[BaseMiddleware] = (),
    ) -> None:
        """Answer the calls of this tool for as long as the turn lasts."""
        execution: ToolExecution = self._execute
        for one in middleware:
            execution = partial(one.on_tool_execution, execution)

        async def execute(event: ToolCallEvent, context: Context) -> None:
            await context.send(await execution(event, context))

        mine = OpCondition(check_eq, "name", self.name, ToolCallEvent)
        stack.enter_context(context.stream.where(mine).sub_scope(execute))

    async def _execute(self, event: ToolCallEvent, context: Context) -> ToolResultType:  # noqa: ARG002
        arguments = parsed_arguments(event.arguments)
        if arguments is None:
            return _failed(event, f"the arguments of {self.name} are no JSON object: {event.arguments[:200]}")
        try:
            result = await _in_thread(lambda: self._source.call(self.own_name, arguments))
        except Exception as error:  # noqa: BLE001  (a tool is foreign code: whatever it raises is for the model)
            return _failed(event, f"{type(error).__name__}: {error}")
        text = as_text(result)
        return ToolResultEvent.from_call(event, ToolResult(_shortened(text), metadata={WHOLE: text}))


def _failed(event: ToolCallEvent, text: str) -> ToolErrorEvent:
    """Return a tool's error without the traceback that AG2 would tell the model."""
    failed = ToolErrorEvent.from_call(event, error=RuntimeError(text))
    failed.result = ToolResult(f"error: {_shortened(text)}")
    return failed


def _shortened(text: str) -> str:
    if len(text) <= MAX_RESULT_CHARS:
        return text
    half = MAX_RESULT_CHARS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def parsed_arguments(text: str) -> dict[str, Json] | None:
    """Return a call's arguments; None when a model did not write a JSON object."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class CallOrder:
    """Lets tool calls that a model wants at once be made one after the other, in its order.

    They may change things, and AG2 begins them in any order.
    """

    def __init__(self) -> None:
        self._pending: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}

    def begin(self, call_ids: Iterable[str]) -> None:
        """Say which calls come, in order."""
        self._pending = list(call_ids)
        self._gates = {call_id: asyncio.Event() for call_id in self._pending}
        self._open()

    async def turn(self, call_id: str) -> None:
        """Wait until all calls before this one are done."""
        if (gate := self._gates.get(call_id)) is not None:
            await gate.wait()

    def done(self, call_id: str) -> None:
        """Say that a call is done, or that nothing will do it."""
        if call_id in self._pending:
            self._pending.remove(call_id)
            self._open()

    def _open(self) -> None:
        if self._pending:
            self._gates[self._pending[0]].set()


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Do work on a thread that nothing waits for at the end: a call that hangs must not hold the program."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.done():  # cancelled meanwhile
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001  (handed to the loop)
            error = raised
        except BaseException as raised:  # noqa: BLE001  (SystemExit of a tool must not end the loop)
            error = RuntimeError(f"{type(raised).__name__}: {raised}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="skillsmith-tool", daemon=True).start()
    return await future
