"""Runs of AG2 1.x for the tests: each is played bare and captured, against a scripted server, and compared.

A scene is a coroutine function of (the server's address, ``watch``); it gives ``watch`` what a user would
instrument, and returns what the user gets. Import this only where ``ag2`` is installed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ag2 import Agent, Context, TaskConfig, tool
from ag2.config import OpenAIConfig
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import (
    AgentTarget,
    ChannelInject,
    FromSpeaker,
    Handoff,
    Hub,
    TerminateTarget,
    ToolCalled,
    Transition,
    TransitionGraph,
)
from ag2.network.workflow_helpers import set_context
from ag2.tools import LocalEnvironment, SandboxCodeTool
from scripted_server import JsonObject, Refusal, Server, last_role, system_of, text, text_in, tools

import skillsmith
from skillsmith.db import Database
from skillsmith.models import Event, Run
from skillsmith.runs import RunRepository

Watch = Callable[[Any], Any]
Scene = Callable[[str, Watch], Awaitable[Any]]
Script = Callable[[JsonObject, int], Any] | Sequence[Any]

MODEL = "scripted"
PATIENCE = 20.0

logging.getLogger("ag2").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module="ag2")
_RANDOM = re.compile(r"(?<=subtask-)[0-9a-f]{8}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def config(url: str, *, streaming: bool = False, model: str = MODEL) -> OpenAIConfig:
    """Return how an agent reaches the scripted model."""
    return OpenAIConfig(model=model, base_url=url, api_key="none", max_retries=0, streaming=streaming)


@dataclass
class Played:
    """What came of a scene.

    Args:
        result: What the user got.
        error: What was raised: type and text.
        requests: What the model was sent.
        run: As stored.
        events: As stored, with the random parts of names left out.
        steps: Rows of the run's steps.
    """

    result: Any
    error: tuple[str, str] | None
    requests: list[JsonObject]
    run: Run | None = None
    events: tuple[Event, ...] = ()
    steps: tuple[JsonObject, ...] = ()


def unnamed(value: str) -> str:
    """Return a text without its random parts."""
    return _RANDOM.sub("#", value)


def _same_names(event: Event) -> Event:
    return replace(
        event,
        agent=event.agent and unnamed(event.agent),
        recipient=event.recipient and unnamed(event.recipient),
        content=event.content and unnamed(event.content),
    )


def stored(path: Path | str, run_id: str) -> tuple[Run, tuple[Event, ...], tuple[JsonObject, ...]]:
    """Return a run as stored: itself, its events and the rows of its steps."""
    with closing(Database(path)) as db:
        runs = RunRepository(db)
        run = runs.get(run_id)
        rows = db.all("SELECT * FROM steps WHERE run = ? ORDER BY step", (runs.key(run_id),))
        steps = tuple({key: _loaded(row[key]) for key in row.keys()} for row in rows)  # noqa: SIM118  (a driver's row)
        return run, tuple(map(_same_names, runs.events(run_id))), steps


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


async def _tried(scene: Scene, url: str, watch: Watch) -> tuple[Any, tuple[str, str] | None]:
    try:
        return await asyncio.wait_for(scene(url, watch), PATIENCE), None
    except Exception as error:  # noqa: BLE001  (compared)
        return None, (type(error).__name__, str(error))


def bare(scene: Scene, script: Script) -> Played:
    """Play a scene as it is without a capture."""
    with Server(script) as server:
        result, error = asyncio.run(_tried(scene, server.url, lambda obj: obj))
    return Played(result, error, server.requests)


def captured(scene: Scene, script: Script, path: Path, **options: Any) -> Played:
    """Play it inside a capture."""

    async def play(url: str) -> tuple[Any, Any, str]:
        async with skillsmith.capture(scene.__name__, path, **options) as run:
            result, error = await _tried(scene, url, run.instrument)
            assert run.failures.count == 0, run.failures.first
        assert run.dropped == 0
        return result, error, run.id

    with Server(script) as server:
        result, error, run_id = asyncio.run(play(server.url))
    return Played(result, error, server.requests, *stored(path, run_id))


def events_of(played: Played, kind: str) -> Iterator[Event]:
    """Yield its events of one kind."""
    return (event for event in played.events if event.kind == kind)


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool
async def boom(x: int) -> str:
    """Fail."""
    raise ValueError(f"kaput {x}")


def talk(*, streaming: bool) -> Scene:
    """Return a scene: tools that work, fail and are not there, an answer, and a second ask."""

    async def talk(url: str, watch: Watch) -> Any:
        agent = watch(
            Agent(
                "asst", prompt="Use the tools.", config=config(url, streaming=streaming), tools=[add, boom],
                variables={"unit": "cm"},
            )
        )  # fmt: skip
        reply = await agent.ask("add and fail", variables={"turn": 1})
        usage = (await reply.usage()).total
        again = await reply.ask("thanks")
        history = [type(event).__name__ for event in await reply.history.get_events()]
        return reply.body, again.body, usage.prompt_tokens, sorted(history)

    return talk


TALK = (
    tools(("add", {"a": 2, "b": 3}), ("boom", {"x": 1}), ("nope", {}), reasoning="I should use tools"),
    text("five", reasoning="two and three is five"),
    text("welcome"),
)


async def malformed(url: str, watch: Watch) -> Any:
    """The model writes arguments that are not JSON: AG2 tells the tool failed, then its next call fails."""
    agent = watch(Agent("asst", config=config(url), tools=[add]))
    reply = await agent.ask("add")
    return reply.body


async def code(url: str, watch: Watch) -> Any:
    """Code runs, fails with an exit code, and is wrong in its arguments."""
    agent = watch(Agent("coder", config=config(url), tools=[SandboxCodeTool(LocalEnvironment())]))
    return (await agent.ask("run it")).body


CODE = (
    tools(("run_code", {"code": "print(6*7)", "language": "python"}), reasoning="try it"),
    tools(("run_code", {"code": "print('so far')\nraise SystemExit(3)", "language": "python"})),
    tools(("run_code", {"language": "python"})),
    text("done"),
)


async def refused(url: str, watch: Watch) -> Any:
    """The model answers with an HTTP error."""
    return (await watch(Agent("asst", prompt="p", config=config(url))).ask("go")).body


async def stopped(url: str, watch: Watch) -> Any:
    """The turn is cancelled while the model thinks."""
    return await asyncio.wait_for(watch(Agent("asst", config=config(url))).ask("go"), 0.4)


async def subtask(url: str, watch: Watch) -> Any:
    """An agent gives tasks to agents that AG2 makes for it; one of them fails."""
    boss = watch(Agent("boss", config=config(url), tools=[add], tasks=TaskConfig()))
    reply = await boss.ask("delegate")
    return reply.body, (await reply.usage()).total.prompt_tokens


def _first_words(body: JsonObject) -> str:
    return text_in(next(message for message in body["messages"] if message["role"] == "user"))


def subtask_script(body: JsonObject, _number: int) -> Any:
    """The boss delegates two tasks at once; one uses a tool, one is refused."""
    first = _first_words(body)
    if "delegate" in first:
        if last_role(body) == "tool":
            return text("both are back")
        return tools(
            ("run_subtask", {"task": "sum"}), ("run_subtask", {"task": "fail"}), reasoning="split it"
        )
    if "fail" in first:
        return Refusal(status=500)
    return text("3") if last_role(body) == "tool" else tools(("add", {"a": 1, "b": 2}), usage=(5, 5))


async def helper(url: str, watch: Watch) -> Any:
    """An agent is another one's tool; only the other one is instrumented."""
    expert = Agent("expert", prompt="You help.", config=config(url))
    boss = watch(Agent("boss", config=config(url), tools=[expert.as_tool(description="help")]))
    return (await boss.ask("ask the expert")).body


HELPER = (
    tools(("task_expert", {"objective": "explain", "context": "briefly"})),
    text("because", reasoning="hm"),
    text("it is because"),
)


async def nested(url: str, watch: Watch) -> Any:
    """A tool asks another agent itself."""
    expert = watch(Agent("expert", config=config(url)))
    boss: Agent[Any] = watch(Agent("boss", config=config(url)))

    @boss.tool
    async def consult(question: str) -> str:
        """Ask."""
        return (await expert.ask(question)).body or ""

    return (await boss.ask("consult")).body


NESTED = (tools(("consult", {"question": "why?"})), text("so"), text("so it is"))


async def person(url: str, watch: Watch) -> Any:
    """A tool asks a person."""
    agent: Agent[Any] = watch(
        Agent("asst", config=config(url), hitl_hook=lambda event: f"yes to {event.content}")
    )

    @agent.tool
    async def confirm(ctx: Context) -> str:
        """Ask the person."""
        return await ctx.input("May I?")

    return (await agent.ask("go")).body


async def nobody(url: str, watch: Watch) -> Any:
    """A tool asks a person, and there is none."""
    agent: Agent[Any] = watch(Agent("asst", config=config(url)))

    @agent.tool
    async def confirm(ctx: Context) -> str:
        """Ask the person."""
        return await ctx.input("May I?")

    return (await agent.ask("go")).body


PERSON = (tools(("confirm", {})), text("thanks"))


async def parallel(url: str, watch: Watch) -> Any:
    """One agent is asked eight things at once."""
    agent = watch(Agent("asst", config=config(url), tools=[add]))
    replies = await asyncio.gather(*(agent.ask(f"question {n}") for n in range(8)))
    return [reply.body for reply in replies]


def parallel_script(body: JsonObject, _number: int) -> Any:
    """Each question has its own sum and answer."""
    number = int(_first_words(body).split()[-1])
    if last_role(body) == "tool":
        return text(f"answer {number}")
    return tools(("add", {"a": number, "b": 1}))


async def variables(url: str, watch: Watch) -> Any:
    """A tool changes the context's variables."""
    agent: Agent[Any] = watch(Agent("asst", config=config(url), variables={"n": 1}))

    @agent.tool
    async def count(ctx: Context) -> str:
        """Count."""
        ctx.variables["n"] += 1
        return "counted"

    return (await agent.ask("count")).body


VARIABLES = (tools(("count", {})), text("two"))


async def _until_closed(hub: Hub, channel: Any) -> str:
    for _ in range(300):
        state = (await hub.get_channel(channel.channel_id)).state
        if "closed" in str(state).lower():
            return str(state)
        await asyncio.sleep(0.02)
    return "open"


async def _said(hub: Hub, channel: Any) -> list[Any]:
    wal = await hub.read_wal(channel.channel_id)
    return [(hub.name_for(e.sender_id), e.event_type, e.event_data.get("text") or e.event_data.get("body"))
            for e in wal if not e.event_type.startswith("ag2.channel.")]  # fmt: skip


async def conversation(url: str, watch: Watch) -> Any:
    """Two agents of a network talk; the hub is instrumented, and they register later."""
    hub = watch(await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0))
    ann = await hub.register(Agent("ann", prompt="a", config=config(url)))
    ben = await hub.register(Agent("ben", prompt="b", config=config(url)))
    channel = await ann.open(type="conversation", target="ben")
    await channel.send("start?", audience=[ben.agent_id])
    for _ in range(300):
        if len(await _said(hub, channel)) >= 3:
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)  # the third reply is being thought of
    said = (await _said(hub, channel))[:3]
    await channel.close()
    await hub.close()
    return said


def conversation_script(body: JsonObject, number: int) -> Any:
    """Two replies; the third comes too late."""
    return text(
        f"reply {number}", reasoning=f"thought {number}", usage=(5, 5), delay=0.0 if number < 3 else 3.0
    )


async def workflow(url: str, watch: Watch) -> Any:
    """Three agents hand over, and set a context variable on the way; they register first."""
    hub = await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0)
    host, writer, critic = (
        Agent(name, prompt=name, config=config(url)) for name in ("host", "writer", "critic")
    )

    @writer.tool
    async def plan(title: str, channel: ChannelInject) -> str:
        """Set the title."""
        await set_context(channel, "title", title)
        return "noted"

    @writer.tool
    def to_critic(why: str) -> Handoff:
        """Hand over."""
        return Handoff(target="critic", reason=why)

    clients = [await hub.register(agent) for agent in (host, writer, critic)]
    watch(hub)
    graph = TransitionGraph(
        initial_speaker=clients[0].agent_id,
        transitions=[
            Transition(ToolCalled("never"), AgentTarget(clients[0].agent_id)),
            Transition(FromSpeaker(clients[2].agent_id), TerminateTarget("done")),
        ],
        default_target=AgentTarget(clients[1].agent_id),
        max_turns=8,
    )
    channel = await clients[0].open(
        type="workflow", target=["writer", "critic"], knobs={"graph": graph.to_dict()}
    )
    await channel.send("write a play")
    state = await _until_closed(hub, channel)
    said = await _said(hub, channel)
    await hub.close()
    return state, [entry for entry in said if entry[1] != "ag2.context.set"]


def workflow_script(body: JsonObject, _number: int) -> Any:
    """The writer plans, then hands over; the critic ends."""
    who = system_of(body)
    answered = sum(message["role"] == "tool" for message in body["messages"])
    if "writer" in who and answered == 0:
        return tools(("plan", {"title": "Faust"}), reasoning="a title first")
    if "writer" in who and answered == 1:
        return tools(("to_critic", {"why": "draft done"}))
    return text(f"said by {who}")


async def workflow_fails(url: str, watch: Watch) -> Any:
    """The agent whose turn it is gets an HTTP error; the channel stays open."""
    hub = watch(await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0))
    host = await hub.register(Agent("host", prompt="host", config=config(url)))
    await hub.register(Agent("writer", prompt="writer", config=config(url)))
    channel = await host.open(type="conversation", target="writer")
    await channel.send("write a play")
    failed = asyncio.Event()

    class Hears:
        async def on_turn_failed(self, *_facts: Any) -> None:
            failed.set()

    hub.register_listener(Hears())
    await asyncio.wait_for(failed.wait(), 5)
    state = str((await hub.get_channel(channel.channel_id)).state)
    await hub.close()
    return state
