"""The demo's agents: an AG2 team in a workflow, with a scripted model in place of a paid one.

Only what the model says is scripted. The team, its hand-overs, the tools and the code they run are real.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ag2 import Agent
from ag2.config import LLMClient
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelReasoning,
    ModelResponse,
    ToolCallEvent,
    ToolCallsEvent,
)
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import (
    AgentTarget,
    BaseHubListener,
    Finish,
    FromSpeaker,
    Handoff,
    Hub,
    HubClient,
    LocalLink,
    Passport,
    TerminateTarget,
    Transition,
    TransitionGraph,
)
from ag2.network.client import AgentClient, HumanClient
from ag2.testing import TestConfig
from ag2.tools import LocalEnvironment, SandboxCodeTool
from ag2.tools.sandbox.adapter.code import LanguageRunner

from skillsmith.demo.scenario import ROLES, TURNS, Turn

MODEL = "scripted"
CODE_TIMEOUT_SECONDS = 30.0
LIMIT_SECONDS = 120.0
MAX_TURNS = 12


class SlowClient(LLMClient):
    """A client that takes its time for each answer.

    Args:
        client: Who answers.
        seconds: How long that takes.
    """

    def __init__(self, client: LLMClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    async def __call__(
        self, messages: Sequence[BaseEvent], context: ConversationContext, **options: Any
    ) -> ModelResponse:
        """Answer after a pause."""
        await asyncio.sleep(self._seconds)
        return await self._client(messages, context=context, **options)


class ScriptedModel(TestConfig):
    """A model that says its script from beginning to end, over all that one agent is asked.

    Args:
        script: What it thinks and answers.
        model: Its name.
        latency_seconds: How long it takes for each answer.
    """

    client: type[SlowClient] = SlowClient

    def __init__(self, script: Iterable[BaseEvent], *, model: str, latency_seconds: float) -> None:
        super().__init__(*script, raise_tool_errors=False, model=model)
        self._answers = self.client(super().create(), latency_seconds)

    def create(self) -> Any:
        """Return the one client: the script goes on where it was."""
        return self._answers


def _parts(turn: Turn) -> tuple[BaseEvent, ModelResponse]:
    calls = []
    if turn.tool:
        calls.append(
            ToolCallEvent(id=turn.call_id, name=turn.tool, arguments=json.dumps(dict(turn.arguments)))
        )
    response = ModelResponse(
        message=ModelMessage(turn.text),
        tool_calls=ToolCallsEvent(calls),
        model=MODEL,
    )
    return ModelReasoning(turn.reasoning), response


def send_back(why: str) -> Handoff:
    """Give the work back to the engineer."""
    return Handoff(target="engineer", reason=why)


def approve(summary: str) -> Finish:
    """Say that the task is done."""
    return Finish(summary=summary, reason=summary)


def build_agents(work_dir: Path, *, latency_seconds: float) -> list[Agent]:
    """Return planner, engineer and reviewer; the engineer's code runs in ``work_dir``."""
    runner = LanguageRunner(inline_argv=(sys.executable, "-c"))
    place = LocalEnvironment(str(work_dir), timeout=CODE_TIMEOUT_SECONDS)
    tools: dict[str, list[Any]] = {
        "engineer": [SandboxCodeTool(place, languages=("python",), runners={"python": runner})],
        "reviewer": [send_back, approve],
    }
    return [
        Agent(
            name,
            prompt=prompt,
            tools=tools.get(name, []),
            config=ScriptedModel(
                (part for turn in TURNS if turn.agent == name for part in _parts(turn)),
                model=MODEL,
                latency_seconds=latency_seconds,
            ),
        )
        for name, prompt in ROLES.items()
    ]


async def work(task: str, agents: Sequence[Agent], *, watch: Callable[[Hub], object]) -> str:
    """Let the team do a task and return why it ended.

    Args:
        task: What a person asks for.
        agents: Planner, engineer and reviewer.
        watch: Gets the hub before anything happens.

    Raises:
        TimeoutError: The team did not come to an end.
    """
    hub = await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0)
    closed = _Closed()
    hub.register_listener(closed)
    try:
        watch(hub)
        clients = [await hub.register(agent) for agent in agents]
        person = await HubClient(LocalLink(hub), hub=hub).register_human(Passport(name="user"))
        channel = await person.open(
            type="workflow", target=[agent.name for agent in agents], knobs={"graph": _graph(person, clients)}
        )
        await channel.send(task)
        async with asyncio.timeout(LIMIT_SECONDS):
            await closed.event.wait()
        return (await hub.get_channel(channel.channel_id)).close_reason or ""
    finally:
        await hub.close()


class _Closed(BaseHubListener):
    """Tells when the channel is closed."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def on_channel_event(self, channel_id: str, kind: str, payload: dict[str, Any]) -> None:  # noqa: ARG002  (the listener's signature)
        if kind == "closed":
            self.event.set()


def _graph(person: HumanClient, clients: Sequence[AgentClient]) -> dict[str, Any]:
    """Person → planner → engineer → reviewer, who sends back or approves."""
    ids = [person.agent_id, *(client.agent_id for client in clients)]
    steps = [Transition(FromSpeaker(one), AgentTarget(next_one)) for one, next_one in pairwise(ids)]
    last = Transition(FromSpeaker(ids[-1]), TerminateTarget("the reviewer has no more to say"))
    return TransitionGraph(initial_speaker=ids[0], transitions=[*steps, last], max_turns=MAX_TURNS).to_dict()
