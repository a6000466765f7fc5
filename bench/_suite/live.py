"""Play a source run with real AG2 agents: only what the model says is scripted, and how long it takes.

Each agent has its own loop: the model answers, its code runs or its tool is called, the model is asked again,
until it says something without a call; then the next agent is asked with that. The run is captured live.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ag2 import Agent, tool
from ag2.context import ConversationContext
from ag2.events import BaseEvent, ModelMessage, ModelResponse, ToolCallEvent, ToolCallsEvent, Usage
from ag2.tools import LocalEnvironment, SandboxCodeTool
from ag2.tools.sandbox.adapter.code import LanguageRunner

from _suite.model import Source, Turn
from _suite.play import methods_of, write_files
from skillsmith.capture.session import capture
from skillsmith.demo.team import ScriptedModel, SlowClient

MODEL = "gpt-4o-mini"
"""Whose price the tokens are given; it is not asked."""

CHARACTERS_A_TOKEN = 4
CODE_TIMEOUT_SECONDS = 30.0
RUN_CODE = "run_code"


class CountingClient(SlowClient):
    """Answers after a pause, and says how many tokens that took."""

    async def __call__(
        self, messages: Sequence[BaseEvent], context: ConversationContext, **options: Any
    ) -> ModelResponse:
        """Answer, with a usage."""
        response = await super().__call__(messages, context=context, **options)
        asked = sum(len(str(message)) for message in messages) // CHARACTERS_A_TOKEN
        answered = len(str(response)) // CHARACTERS_A_TOKEN
        response.usage = Usage(prompt_tokens=asked, completion_tokens=answered)
        return response


class PricedModel(ScriptedModel):
    """A scripted model whose tokens cost something."""

    client = CountingClient


def _response(turn: Turn) -> ModelResponse:
    calls = []
    if turn.code is not None:
        calls.append(_call(turn, RUN_CODE, {"code": turn.code, "language": turn.language}))
    elif turn.tool is not None:
        calls.append(_call(turn, turn.tool, dict(turn.arguments)))
    return ModelResponse(message=ModelMessage(turn.text), tool_calls=ToolCallsEvent(calls), model=MODEL)


def _call(turn: Turn, name: str, arguments: dict[str, Any]) -> ToolCallEvent:
    return ToolCallEvent(id=f"call_{id(turn):x}", name=name, arguments=json.dumps(arguments))


def asks_of(source: Source) -> Iterator[tuple[str, list[Turn]]]:
    """Yield who is asked and what the model says then, in order; the last of it is without a call."""
    for agent, group in groupby(source.turns, key=lambda turn: turn.agent):
        turns = list(group)
        if turns[-1].code is not None or turns[-1].tool is not None:
            turns.append(Turn(agent=agent, text="That is done."))
        yield agent, turns


def play_live(source: Source, *, db: Path, folder: Path, service: Any, latency_seconds: float) -> str:
    """Have agents do a source run, and return its id.

    Args:
        source: What the model says.
        db: Where the run is captured.
        folder: Where the agents work.
        service: Whose methods are their tools; None: they have code only.
        latency_seconds: How long the model takes for each answer.
    """
    write_files(folder, source.files)
    asks = list(asks_of(source))
    agents = _agents(asks, folder, service, latency_seconds)
    with capture(source.task, db=db, work_dir=folder) as run:
        run.instrument(*agents.values())
        asyncio.run(_work(source.task, asks, agents))
        run.mark("success", reason="the last agent said that it is done")
        return run.id


def _agents(
    asks: Sequence[tuple[str, list[Turn]]], folder: Path, service: Any, latency_seconds: float
) -> dict[str, Agent]:
    tools: list[Any] = [tool(method) for method in methods_of(service).values()]
    if service is None:
        runner = LanguageRunner(inline_argv=(sys.executable, "-c"))
        place = LocalEnvironment(str(folder), timeout=CODE_TIMEOUT_SECONDS)
        tools.append(SandboxCodeTool(place, languages=("python", "bash"), runners={"python": runner}))
    script: dict[str, list[Turn]] = {}
    for name, turns in asks:
        script.setdefault(name, []).extend(turns)
    return {
        name: Agent(
            name, prompt=f"You are the {name} of a team.", tools=tools,
            config=PricedModel(map(_response, turns), model=MODEL, latency_seconds=latency_seconds),
        )
        for name, turns in script.items()
    }  # fmt: skip


async def _work(task: str, asks: Sequence[tuple[str, list[Turn]]], agents: dict[str, Agent]) -> None:
    said = task
    for name, _ in asks:
        reply = await agents[name].ask(said)
        said = await reply.content() or ""
