"""What one task of an agent is made of in AG2 1.x: stream, middleware, tools, the form of the answer.

Importing this module imports ag2 and openai (2 s): only ``ag2_runner`` does, when a model is needed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ag2 import Agent, Plugin
from ag2.annotations import Context
from ag2.config import OpenAIConfig
from ag2.events import (
    BaseEvent,
    ModelReasoning,
    ModelRequest,
    ModelResponse,
    ToolCallEvent,
    ToolErrorEvent,
    ToolNotFoundEvent,
    ToolResultEvent,
    ToolResultsEvent,
)
from ag2.middleware import BaseMiddleware
from ag2.response import ResponseProto
from ag2.stream import MemoryStream
from openai import DefaultAsyncHttpxClient

from skillsmith.ids import new_id
from skillsmith.library.agents.ag2_tools import WHOLE, CallOrder, SourceTool, parsed_arguments
from skillsmith.library.agents.answers import schema_words
from skillsmith.library.agents.journal import Journal
from skillsmith.library.agents.model_settings import ModelSettings
from skillsmith.models import Json
from skillsmith.models.protocols import AgentError, AgentTask

if TYPE_CHECKING:
    from ag2.middleware.base import LLMCall, ToolExecution, ToolResultType

PLAIN_ROLE = "You are {agent}. Do what you are asked, and say what came of it."

KNOWLEDGE = "\n# What is known from earlier work\n{}"

NO_KEY = "none"
"""Sent to servers that want no key; the client insists on some text."""


class _Stream(MemoryStream):
    """Keeps what passes by and no middleware sees: what the model thinks, and calls of unknown tools."""

    __slots__ = ("_journal", "order", "thoughts")

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self.thoughts: list[str] = []
        self.order = CallOrder()

    async def send(self, event: BaseEvent, context: Any) -> None:
        if isinstance(event, ModelReasoning):
            self.thoughts.append(event.content)
        elif isinstance(event, ToolNotFoundEvent):
            self.order.done(event.parent_id)
            self._journal.tool_result(
                event.name or "", event.parent_id, seconds=0.0, error=f"there is no tool {event.name!r}"
            )
        await super().send(event, context)


class _Recording(BaseMiddleware):
    """Writes a turn into the journal, and stops it before a call that the budget does not allow."""

    def __init__(
        self,
        event: BaseEvent,
        context: Context,
        *,
        journal: Journal,
        stream: _Stream,
        names: Mapping[str, str],
    ) -> None:
        super().__init__(event, context)
        self._names = names
        self._journal = journal
        self._stream = stream

    async def on_llm_call(
        self, call_next: LLMCall, events: Sequence[BaseEvent], context: Context
    ) -> ModelResponse:
        self._journal.before_call()
        self._stream.thoughts.clear()
        started = time.monotonic()
        response = await call_next(events, context)
        usage = response.usage
        self._journal.after_call(
            seconds=time.monotonic() - started, model=response.model,
            tokens_in=_count(usage.prompt_tokens), tokens_out=_count(usage.completion_tokens),
            data=_facts(response, prompt_messages=1 + sum(map(_messages, events))),
        )  # fmt: skip
        self._say(response)
        return response

    def _say(self, response: ModelResponse) -> None:
        reasoning = "".join(self._stream.thoughts) or None
        if response.content or reasoning:
            self._journal.add("message", role="assistant", content=response.content, reasoning=reasoning)
        calls = response.tool_calls.calls
        for number, call in enumerate(calls):
            if not call.id or call.id in {one.id for one in calls[:number]}:  # some servers give no good ids
                call.id = new_id()
            self._journal.tool_call(self._names.get(call.name, call.name), call.id, call.arguments)
            if parsed_arguments(call.arguments) is None:  # AG2 would end the turn when it sends them back
                call.serialized_arguments = {"malformed": call.arguments}
        self._stream.order.begin(call.id for call in calls)

    async def on_tool_execution(
        self, call_next: ToolExecution, event: ToolCallEvent, context: Context
    ) -> ToolResultType:
        await self._stream.order.turn(event.id)
        started = time.monotonic()
        try:
            result = await call_next(event, context)
        finally:
            self._stream.order.done(event.id)
        seconds, name = time.monotonic() - started, self._names.get(event.name, event.name)
        if isinstance(result, ToolErrorEvent):
            self._journal.tool_result(name, event.id, seconds=seconds, error=str(result.error))
        elif isinstance(result, ToolResultEvent):
            whole = result.result.metadata.get(WHOLE)
            self._journal.tool_result(name, event.id, seconds=seconds, result=whole)
        return result


def _count(tokens: float | None) -> int | None:
    return None if tokens is None else int(tokens)


def _messages(event: BaseEvent) -> int:
    """Return how many messages of a prompt an event of the history is."""
    if isinstance(event, ToolResultsEvent):
        return len(event.results)
    return int(isinstance(event, (ModelRequest, ModelResponse)))


def _facts(response: ModelResponse, *, prompt_messages: int) -> dict[str, Json]:
    known = {
        "provider": response.provider, "finish_reason": response.finish_reason,
        "tokens_cached": _count(response.usage.cache_read_input_tokens) or None,
    }  # fmt: skip
    present = {name: value for name, value in known.items() if value is not None}
    return {**present, "prompt_messages": prompt_messages}


class AnswerForm(ResponseProto[str]):
    """The form of an answer: told in words, and to the endpoint when it knows schemas.

    Args:
        schema: JSON Schema.
        native: Whether the endpoint is to hold the model to it.
    """

    def __init__(self, schema: Json, *, native: bool) -> None:
        self.name = "answer"
        self.description = None
        self.json_schema = schema if native else None
        self.system_prompt = schema_words(schema)

    async def validate(self, response: str, context: Context, provider: Any = None) -> str:  # noqa: ARG002
        """Return the text; it is read and validated elsewhere."""
        return response


class Conversation:
    """One agent that can be asked, and asked again about what it said.

    Args:
        agent: The agent.
        task: What it gets to know and use.
        stream: Where its events pass.
        form: What its answer must look like.
    """

    def __init__(
        self, agent: Agent[Any], *, task: AgentTask, stream: _Stream, form: AnswerForm | None
    ) -> None:
        self._agent = agent
        self._task = task
        self._stream = stream
        self._form = form
        self._last: Any = None

    async def ask(self, prompt: str) -> tuple[str, str | None]:
        """Return what the agent answers, and why the model stopped."""
        if self._last is None:
            plugins = [Plugin(prompt=KNOWLEDGE.format(self._task.knowledge))] if self._task.knowledge else []
            reply: Any = await self._agent.ask(
                prompt, stream=self._stream, plugins=plugins, response_schema=self._form
            )
        else:
            reply = await self._last.ask(prompt, response_schema=self._form)
        self._last = reply
        return reply.body or "", reply.response.finish_reason


@asynccontextmanager
async def conversation(
    task: AgentTask, settings: ModelSettings, journal: Journal, *, native_schema: bool
) -> AsyncIterator[Conversation]:
    """Make an agent for a task; its connections end with it.

    Args:
        task: The task.
        settings: The model.
        journal: Where what it does is written down.
        native_schema: Whether the endpoint knows JSON schemas.
    """
    stream, tools = _Stream(journal), _tools(task)
    names = {tool.name: tool.own_name for tool in tools}
    async with DefaultAsyncHttpxClient(timeout=settings.timeout_seconds) as http:
        config = OpenAIConfig(
            settings.model, api_key=settings.api_key or NO_KEY, base_url=settings.base_url, streaming=True,
            timeout=settings.timeout_seconds, max_retries=settings.retries, http_client=http,
        )  # fmt: skip
        agent: Agent[Any] = Agent(
            task.agent, prompt=task.role or PLAIN_ROLE.format(agent=task.agent), config=config,
            tools=tools,
            middleware=[partial(_Recording, journal=journal, stream=stream, names=names)],
        )  # fmt: skip
        form = None
        if task.output_schema is not None:
            form = AnswerForm(task.output_schema, native=native_schema)
        yield Conversation(agent, task=task, stream=stream, form=form)


def _tools(task: AgentTask) -> list[SourceTool]:
    if task.tools is None:
        return []
    known = tuple(task.tools.names())
    names = known if task.tool_names is None else task.tool_names
    for name in names:
        if name not in known:
            raise AgentError(
                f"agent {task.agent} is to use the tool {name!r}, which is not there",
                hint=f"there are {', '.join(known) or 'none'}",
            )
    tools = [SourceTool(task.tools, name) for name in names]
    if len({tool.name for tool in tools}) < len(tools):
        raise AgentError(
            f"agent {task.agent} has tools that a model cannot tell apart: {', '.join(sorted(names))}"
        )
    return tools
