"""What a capture of AG2 1.x promises beside the facts: nothing of the host changes, and all is given back."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

pytest.importorskip("ag2")

from ag2 import Agent
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import Hub
from ag2_scenes import add, config, stored
from scripted_server import Answer, Server, text, tools

import skillsmith
from skillsmith.capture.tape import Tape
from skillsmith.db import Database
from skillsmith.models import Run
from skillsmith.runs import RunRepository


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is made."""
    return tmp_path / "skillsmith.db"


@pytest.fixture
def server() -> Iterator[Server]:
    """A model that adds, then answers."""
    with Server(lambda body, _number: _added(body)) as running:
        yield running


def _added(body: dict[str, Any]) -> Answer:
    if body["messages"][-1]["role"] == "tool" or "tools" not in body:
        return text("it is 5", model="gpt-4o", usage=(1000, 100))
    return tools(("add", {"a": 2, "b": 3}), model="gpt-4o", usage=(1000, 100))


def runs_in(path: Path) -> list[Run]:
    """Return the runs of a file, oldest first."""
    with closing(Database(path)) as db:
        return list(RunRepository(db).list())[::-1]


def test_everything_is_as_before_when_the_capture_is_over(path: Path, server: Server) -> None:
    """Middleware, listeners and methods are restored; later asks are not recorded."""

    async def play() -> None:
        expert = Agent("expert", config=config(server.url))
        agent = Agent("asst", config=config(server.url), tools=[add, expert.as_tool(description="help")])
        hub = await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0)
        before = (list(agent._middleware), list(expert._middleware), list(hub._listeners), dict(vars(hub)))
        with skillsmith.capture("add", path) as run:
            run.instrument(agent)
            run.instrument(agent, hub)
            assert len(agent._middleware) == len(expert._middleware) == 1
            await agent.ask("add")
        after = (list(agent._middleware), list(expert._middleware), list(hub._listeners), dict(vars(hub)))
        assert after == before
        await agent.ask("add again")
        await hub.close()

    asyncio.run(play())
    assert [run.events for run in runs_in(path)] == [8]


def test_a_run_has_its_totals_and_cost(path: Path, server: Server) -> None:
    """Tokens are summed once, and the cost comes from the price table."""
    agent = Agent("asst", config=config(server.url), tools=[add])
    with skillsmith.capture("add", path, agents=[agent]) as run:
        assert asyncio.run(agent.ask("add")).body == "it is 5"
        run.mark("success", reason="5 is right")
    recorded, events, _steps = stored(path, run.id)
    assert (recorded.tokens, recorded.outcome, recorded.outcome_reason) == (2200, "success", "5 is right")
    assert recorded.cost_usd == pytest.approx(2 * (1000 * 2.5 + 100 * 10) / 1e6)
    assert [event.cost_usd for event in events if event.kind == "llm_call"] == pytest.approx([0.0035] * 2)


def test_prices_may_be_given_and_unknown_models_have_no_cost(
    path: Path, server: Server, tmp_path: Path
) -> None:
    """A table of one's own comes first; a model that nobody knows costs an unknown amount, not nothing."""
    table = tmp_path / "prices.json"
    table.write_text('{"models": {"gpt-4*": {"in": 0, "out": 0}}}')
    costs = []
    for prices, model in ((table, "gpt-4o"), (None, "home-made")):
        with Server([text("hi", model=model)]) as other:
            agent = Agent("asst", config=config(other.url))
            with skillsmith.capture("greet", path, prices=prices, agents=[agent]) as run:
                asyncio.run(agent.ask("hello"))
        costs.append(stored(path, run.id)[0].cost_usd)
    assert costs == [0.0, None]


def test_steps_of_the_host_take_in_the_turns_inside_them(path: Path, server: Server) -> None:
    """A named step holds its turns, also when several are open at once; other turns stand alone."""

    async def play() -> str:
        agent = Agent("asst", config=config(server.url))

        async def one(name: str) -> None:
            with run.step(name):
                await agent.ask(f"{name} 1")
                await agent.ask(f"{name} 2")

        async with skillsmith.capture("work", path) as run:
            run.instrument(agent)
            await agent.ask("first")
            await asyncio.gather(one("clean the data"), one("step_7"))
            await agent.ask("last")
        return run.id

    _run, events, steps = stored(path, asyncio.run(play()))
    asked = {event.content: event.step for event in events if event.role == "user"}
    named = {row["host_id"]: row["step"] for row in steps if row["host_id"]}
    assert named["step_7"] == 7
    assert {asked["clean the data 1"], asked["clean the data 2"]} == {named["clean the data"]}
    assert {asked["step_7 1"], asked["step_7 2"]} == {7}
    assert len({asked["first"], asked["last"], *named.values()}) == 4
    assert [row["title"] for row in steps if row["host_id"]] == ["clean the data", "step_7"]


def test_files_that_tools_make_are_versions_of_their_agent_and_step(path: Path, tmp_path: Path) -> None:
    """A file made by a tool, and a better one in a later step, are linked; each step knows its own."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "input.csv").write_text("a,b\n")
    script = [tools(("draw", {"name": "plot_v1.py"})), text("drawn"), tools(("draw", {"name": "plot_v2.py"}))]

    async def play() -> str:
        with Server([*script, text("better")]) as server:
            artist = Agent("artist", config=config(server.url))

            @artist.tool
            def draw(name: str) -> str:
                """Draw."""
                (work / name).write_text(f"# {name}\nprint(1)\n")
                return "ok"

            async with skillsmith.capture("draw", path, work_dir=work) as run:
                run.instrument(artist)
                await artist.ask("draw")
                await artist.ask("draw it better")
            return run.id

    _run, events, steps = stored(path, asyncio.run(play()))
    made = [(e.step, e.agent, e.content) for e in events if e.kind == "artifact"]
    assert made == [(1, "artist", "plot_v1.py"), (2, "artist", "plot_v2.py")]
    artifacts = [
        [(a["path"], a["agent"], a["superseded_by"]) for a in row["intermediate_artifacts"]] for row in steps
    ]
    assert artifacts == [[("plot_v1.py", "artist", "plot_v2.py@1")], [("plot_v2.py", "artist", None)]]


def test_an_exception_of_the_host_is_recorded_and_goes_on(path: Path, server: Server) -> None:
    """What the user's code raises marks the run as failed, and is what the user gets."""
    agent = Agent("asst", config=config(server.url))
    boom = RuntimeError("mine")
    run = skillsmith.capture("x", path, agents=[agent])

    def work() -> None:
        with run:
            asyncio.run(agent.ask("hello"))
            raise boom

    with pytest.raises(RuntimeError) as caught:
        work()
    assert caught.value is boom
    recorded, events, _steps = stored(path, run.id)
    assert (recorded.status, recorded.outcome) == ("failed", "failure")
    assert recorded.outcome_reason == "RuntimeError: mine"
    assert [(e.content, (e.data or {})["type"]) for e in events if e.kind == "error"] == [
        ("mine", "RuntimeError")
    ]


_EXITS = """
import asyncio, sys
sys.path.insert(0, {here!r})
from ag2 import Agent
from ag2_scenes import config
from scripted_server import Server, text, tools
import skillsmith

async def play(url, run):
    agent = Agent("asst", config=config(url))
    @agent.tool
    def leave() -> str:
        "Leave."
        if {place!r} == "tool":
            sys.exit(7)
        return "stay"
    if run:
        run.instrument(agent)
    print((await agent.ask("go")).body, flush=True)
    if {place!r} == "host":
        sys.exit(7)

with Server([tools(("leave", {{}})), text("stayed")]) as server:
    if {captured}:
        with skillsmith.capture("leave", {path!r}) as run:
            asyncio.run(play(server.url, run))
    else:
        asyncio.run(play(server.url, None))
"""


@pytest.mark.parametrize("place", ["tool", "host"])
def test_sys_exit_ends_the_process_as_ever_and_loses_nothing(place: str, path: Path) -> None:
    """Exit code and output are those of the bare run; every event until then is in the file."""
    ended = []
    for captured in (False, True):
        code = _EXITS.format(here=str(Path(__file__).parent), place=place, captured=captured, path=str(path))
        done = subprocess.run(
            [sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=False
        )
        ended.append((done.returncode, done.stdout))
    assert ended[0] == ended[1]
    assert ended[0][0] == 7
    (recorded,) = runs_in(path)
    _run, events, _steps = stored(path, recorded.id)
    assert (recorded.status, recorded.outcome_reason) == ("failed", "SystemExit: 7")
    assert [e.tool.name for e in events if e.kind == "tool_call" and e.tool] == ["leave"]
    assert "SystemExit" in [(e.data or {}).get("type") for e in events if e.kind == "error"]


def test_what_fails_in_the_capture_never_reaches_the_run(
    path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tape of which every part is broken is counted; replies are as ever."""

    def broken(*_args: Any, **_options: Any) -> None:
        raise OSError("the tape is torn")

    agent = Agent("asst", config=config(server.url), tools=[add])
    with skillsmith.capture("add", path, agents=[agent]) as run:
        for name in (
            "_event",
            "begin_turn",
            "message",
            "llm_call",
            "tool_result",
            "before_files",
            "end_turn",
        ):
            monkeypatch.setattr(Tape, name, broken)
        assert asyncio.run(agent.ask("add")).body == "it is 5"
        assert run.failures.count > 0
        monkeypatch.undo()


def test_an_instrumented_object_makes_a_run_of_each_ask(path: Path, server: Server) -> None:
    """Each outermost ask is a run with its own task; agents inside belong to it."""
    expert = Agent("expert", config=config(server.url))
    boss = Agent("boss", config=config(server.url))

    @boss.tool(name="add")
    async def consult(a: int, b: int) -> str:
        """Ask."""
        return (await expert.ask(f"{a} and {b}")).body or ""

    async def play() -> None:
        await asyncio.gather(boss.ask("first"), boss.ask("second"))

    assert skillsmith.instrument(boss, path) is boss
    assert skillsmith.instrument(boss, path) is boss
    skillsmith.instrument(expert, path)
    asyncio.run(play())
    skillsmith.uninstrument(boss)
    skillsmith.uninstrument(expert)
    skillsmith.uninstrument(expert)
    assert boss._middleware == expert._middleware == []
    runs = runs_in(path)
    of_boss = [run for run in runs if "boss" in run.agents]
    assert sorted(run.task for run in of_boss) == ["first", "second"]
    assert {run.status for run in runs} == {"completed"}


def test_inside_a_capture_an_instrumented_object_belongs_to_it(path: Path, server: Server) -> None:
    """Its asks are recorded once, in the capture's run, however often it is instrumented."""
    agent = skillsmith.instrument(Agent("asst", config=config(server.url)), path)
    with skillsmith.capture("inside", path) as run:
        run.instrument(agent)
        asyncio.run(agent.ask("hello"))
    asyncio.run(agent.ask("outside"))
    skillsmith.uninstrument(agent)
    assert [(each.task, each.events) for each in runs_in(path)] == [("inside", 4), ("outside", 4)]
    assert runs_in(path)[0].id == run.id


def test_captures_side_by_side_do_not_mix(path: Path, server: Server) -> None:
    """An object that stays instrumented writes into the capture of the task that asks it."""
    agent = skillsmith.instrument(Agent("asst", config=config(server.url)), path)

    async def one(name: str) -> str:
        async with skillsmith.capture(name, path) as run:
            await agent.ask(f"{name} first")
            await agent.ask(f"{name} second")
        return run.id

    async def both() -> tuple[str, str]:
        return await asyncio.gather(one("left"), one("right"))

    ids = asyncio.run(both())
    skillsmith.uninstrument(agent)
    asked = [[e.content for e in stored(path, each)[1] if e.role == "user"] for each in ids]
    assert asked == [["left first", "left second"], ["right first", "right second"]]
    assert len(runs_in(path)) == 2


def test_a_hub_that_stays_instrumented_makes_a_run_of_each_channel(path: Path) -> None:
    """From its first message to its end a channel is one run, whoever speaks in it."""

    async def play(url: str) -> None:
        hub = skillsmith.instrument(await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0), path)
        ann = await hub.register(Agent("ann", config=config(url)))
        ben = await hub.register(Agent("ben", config=config(url)))
        for task in ("plan", "review"):
            channel = await ann.open(type="consulting", target="ben")
            await channel.send(task, audience=[ben.agent_id])
            for _ in range(200):
                if "closed" in str((await hub.get_channel(channel.channel_id)).state).lower():
                    break
                await asyncio.sleep(0.02)
        await hub.close()
        skillsmith.uninstrument(hub)

    with Server([text("done")]) as server:
        asyncio.run(play(server.url))
    runs = runs_in(path)
    assert [(run.task, run.status) for run in runs] == [("plan", "completed"), ("review", "completed")]
    assert [set(run.agents) for run in runs] == [{"ann", "ben"}] * 2


def test_what_nobody_uses_any_longer_is_freed(path: Path, server: Server) -> None:
    """Instrumenting keeps no object alive."""
    agent = skillsmith.instrument(Agent("asst", config=config(server.url)), path)
    seen = weakref.ref(agent)
    del agent
    gc.collect()
    assert seen() is None
