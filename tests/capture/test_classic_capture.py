"""Watching Classic objects: what is watched, what is left alone, and that nothing stays behind."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("autogen", reason="AG2 Classic is not installed")

import autogen
from autogen import AssistantAgent, ConversableAgent, GroupChat, GroupChatManager
from autogen.coding import LocalCommandLineCodeExecutor
from autogen.io.base import IOStream
from classic_play import Quiet, Taped, agent, config
from classic_scenes import add, pattern_for, planning, tool_pair
from scripted_server import Server, text, tools

import skillsmith
from skillsmith.capture import classic
from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.capture.tape import Tape, Undo
from skillsmith.models import Event
from skillsmith.workspace import open_workspace


@pytest.fixture(autouse=True)
def _quietly() -> Any:
    with IOStream.set_default(Quiet()):
        yield


def stored(path: Path) -> list[Event]:
    """Return the events of the only run in a file."""
    with open_workspace(path) as workspace:
        (run,) = workspace.runs.list()
        return list(workspace.runs.events(run.id))


def state(obj: Any) -> dict[str, Any]:
    """Return an object's class and all that it holds, lists and dictionaries copied."""
    held = {
        name: copy.copy(value) if isinstance(value, (list, dict)) else value
        for name, value in obj.__dict__.items()
    }
    return {"class": type(obj), **held}


def test_undo_restores_everything(tmp_path: Path) -> None:
    """After a capture, agents, group, manager, client, executor and pattern are as they were."""
    with Server([text("hello")]) as server:
        executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)
        members = [
            AssistantAgent("A", llm_config=config(server)),
            agent("B", server, code_execution_config={"executor": executor}),
        ]
        group = GroupChat(members, max_round=2, speaker_selection_method="round_robin")
        manager = GroupChatManager(group, llm_config=config(server))
        pattern = pattern_for(server)
        copies = [entry["config"] for entry in manager._reply_func_list if entry["config"] is not None]
        objects = [
            *members, group, manager, *copies, executor, pattern, *pattern.agents,
            *(one.client for one in [*members, manager]),
        ]  # fmt: skip
        before = [state(obj) for obj in objects]
        with Taped() as taped:
            taped.watch(manager)
            taped.watch(pattern)
            assert type(members[0]) is not AssistantAgent
            assert type(members[0]).__name__ == "AssistantAgent"
            assert isinstance(members[0], AssistantAgent)
            assert isinstance(copies[0], GroupChat)
        assert [state(obj) for obj in objects] == before


def test_undo_after_a_run_leaves_nothing() -> None:
    """Peers that were met on the way are let go too, and speak unrecorded afterwards."""
    with Server([text("hello")]) as server:
        one, two = agent("one"), agent("two", server)
        with Taped() as taped:
            taped.watch(one)
            one.initiate_chat(two, message="hi", max_turns=1)
        recorded = len(taped.events)
        assert type(one) is type(two) is ConversableAgent
        assert "create" not in two.client.__dict__
        assert "_skillsmith" not in {**one.__dict__, **two.__dict__}
        one.initiate_chat(two, message="again", max_turns=1)
        assert len(taped.events) == recorded


def test_clients_that_ag2_replaces_are_heard() -> None:
    """AG2 makes a new client whenever an agent's tools change; it is listened to like the first."""
    with Server([tools(("add", {"a": 1, "b": 2})), text("TERMINATE")]) as server:
        assistant, executor = tool_pair(server)
        with Taped() as taped:
            taped.watch(assistant)
            autogen.register_function(add, caller=assistant, executor=executor, description="add")
            executor.initiate_chat(assistant, message="go", max_turns=3)
        assert [e.kind for e in taped.events].count("llm_call") == 2
        assert "create" not in assistant.client.__dict__


def test_two_captures_at_the_same_time() -> None:
    """Captures that run side by side record their own agents, each nothing of the other's."""

    def work(name: str, taped: Taped) -> None:
        with IOStream.set_default(Quiet()), taped:
            user, assistant = agent(f"user_{name}"), agent(f"asst_{name}", server)
            taped.watch(user)
            for number in range(3):
                user.initiate_chat(assistant, message=f"{name} {number}", max_turns=1)

    with Server(lambda body, _n: text(f"to {body['messages'][-1]['content']}", delay=0.02)) as server:
        both = {name: Taped() for name in ("x", "y")}
        threads = [threading.Thread(target=work, args=item) for item in both.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, taped in both.items():
        assert taped.said() == [
            said
            for number in range(3)
            for said in ((f"user_{name}", f"{name} {number}"), (f"asst_{name}", f"to {name} {number}"))
        ]


def test_capture_inside_a_capture() -> None:
    """An agent in two captures speaks in the one that its chat belongs to."""
    one, two, three = agent("one"), agent("two", default_auto_reply="yes"), agent("three")
    with Taped() as outer:
        outer.watch(one)
        one.initiate_chat(two, message="first", max_turns=1)
        with Taped() as inner:
            inner.watch(three)
            three.initiate_chat(two, message="second", max_turns=1)
        one.initiate_chat(two, message="third", max_turns=1)
    assert [said for who, said in outer.said() if who == "one"] == ["first", "third"]
    assert inner.said() == [("three", "second"), ("two", "yes")]
    assert type(two) is ConversableAgent


def test_copy_of_a_watched_agent() -> None:
    """A copy of a watched agent is an agent of its own, recorded under the same capture."""
    one, two = agent("one"), agent("two", default_auto_reply="yes")
    with Taped() as taped:
        taped.watch(two)
        twin = copy.copy(two)
        one.initiate_chat(twin, message="hi", max_turns=1)
        assert taped.said() == [("one", "hi"), ("two", "yes")]
    assert type(twin) is type(two) is ConversableAgent


def test_failing_recorder_changes_nothing() -> None:
    """Whatever goes wrong in recording is counted, and the run goes on."""
    one, two = agent("one"), agent("two", default_auto_reply="yes")

    def fail(event: Event) -> None:
        raise OSError("no space")

    tape = Tape(fail)
    undo = Undo(tape.failures)
    classic.instrument(one, tape, undo)
    result = one.initiate_chat(two, message="hi", max_turns=1)
    assert [message["content"] for message in result.chat_history] == ["hi", "yes"]
    assert tape.failures.count > 2
    undo.run()
    assert type(one) is ConversableAgent


def test_long_chat_without_turns() -> None:
    """A chat that recurses gets as far as it would without a capture."""

    def length(watch: Any) -> int:
        def answer(recipient: Any, messages: Any = None, sender: Any = None, config: Any = None) -> Any:
            counted.append(1)
            return (True, None) if len(counted) > 150 else (True, "more")

        counted: list[int] = []
        one, two = agent("one"), agent("two")
        for each in (one, two):
            each.register_reply([autogen.Agent, None], answer)
        watch(one)
        one.initiate_chat(two, message="go", silent=True)
        return len(counted)

    with Taped() as taped:
        assert length(taped.watch) == length(lambda obj: obj) == 151


def test_hosts_checks_of_its_stream_hold() -> None:
    """The host's output stream passes for itself while it is listened to."""
    seen: list[Any] = []

    def answer(recipient: Any, messages: Any = None, sender: Any = None, config: Any = None) -> Any:
        stream: Any = IOStream.get_default()
        stream.mark = 1
        seen.append((isinstance(stream, Quiet), stream.heard))
        return True, "yes"

    one, two = agent("one"), agent("two")
    two.register_reply([autogen.Agent, None], answer)
    mine = Quiet()
    with Taped() as taped, IOStream.set_default(mine):
        taped.watch(one)
        one.initiate_chat(two, message="hi", max_turns=1)
    assert seen == [(True, mine.heard)]
    assert mine.mark == 1  # type: ignore[attr-defined]
    assert "TerminationEvent" in mine.heard


def test_agents_built_with_a_logger(tmp_path: Path) -> None:
    """Agents and a group built with a logger write through it, into its step."""
    with (
        Server([text("hello", reasoning="polite")]) as server,
        AgentExecutionLogger(tmp_path / "s.db", step_id="step_5", task="greet") as logger,
    ):
        built = skillsmith.capture.classic.InstrumentedConversableAgent
        members = [
            built("A", llm_config=config(server), human_input_mode="NEVER", logger=logger),
            built(agent("B", server), logger=logger),
        ]
        group = classic.InstrumentedGroupChat(
            members, max_round=2, speaker_selection_method="round_robin", logger=logger
        )
        assert isinstance(members[0], ConversableAgent)
        assert isinstance(members[1], built)
        assert isinstance(group, GroupChat)
        members[0].initiate_chat(GroupChatManager(group, llm_config=False), message="hi")
        summary = logger.finalize_step_logging()
    events = stored(tmp_path / "s.db")
    assert {event.step for event in events} == {5}
    assert [e.content for e in events if e.kind == "message"] == ["hi", "B", "hello"]
    assert [(e.agent, e.recipient) for e in events if e.kind == "transition"] == [("A", "B")]
    assert (summary.agents, summary.tokens) == (("A", "B", "chat_manager"), 18)


def test_agent_given_to_the_constructor_stays_itself() -> None:
    """An agent that is instrumented by construction is the same object, so that its handoffs still hold."""
    built = classic.InstrumentedConversableAgent
    mine = AssistantAgent("mine", llm_config=False)
    assert built(mine) is mine
    assert isinstance(mine, AssistantAgent)
    assert isinstance(mine, built)
    assert built(mine) is mine
    other = built("other", llm_config=False)
    assert built(other) is other
    assert not isinstance(agent("plain"), built)


def test_built_agents_join_the_capture_that_is_open(tmp_path: Path) -> None:
    """Without a logger they write into the capture that is open when they act, and otherwise nowhere."""
    built = classic.InstrumentedConversableAgent
    one = built("one", llm_config=False, human_input_mode="NEVER")
    two = agent("two", default_auto_reply="yes")
    one.initiate_chat(two, message="unheard", max_turns=1)
    with skillsmith.capture("greet", tmp_path / "s.db"):
        one.initiate_chat(two, message="hi", max_turns=1)
    one.initiate_chat(two, message="unheard again", max_turns=1)
    assert [e.content for e in stored(tmp_path / "s.db") if e.kind == "message"] == ["hi", "yes"]
    assert type(two) is ConversableAgent
    assert type(one) is built


def test_capture_into_a_file(tmp_path: Path) -> None:
    """A pattern captured with ``skillsmith.capture`` is in the file: steps, transitions, cost and task."""
    from autogen.agentchat import initiate_group_chat  # noqa: PLC0415  (slow)

    with Server(planning) as server, skillsmith.capture("write a play", tmp_path / "s.db") as run:
        pattern = run.instrument(pattern_for(server))
        initiate_group_chat(pattern, messages="write a play", max_rounds=12)
    with open_workspace(tmp_path / "s.db") as workspace:
        (stored_run,) = workspace.runs.list()
        events = list(workspace.runs.events(stored_run.id))
    assert (stored_run.task, stored_run.status) == ("write a play", "completed")
    assert stored_run.cost_usd == pytest.approx((37 * 0.001 + 25 * 0.002) / 1000)
    assert max(event.step for event in events) == 4
    assert run.dropped == 0


def test_each_chat_of_an_instrumented_agent_is_a_run(tmp_path: Path) -> None:
    """An agent that stays instrumented records each outermost chat as a run with its own task and end."""
    one, two = agent("one"), agent("two", default_auto_reply="yes")
    skillsmith.instrument(two, tmp_path / "s.db")
    for task in ("first", "second"):
        one.initiate_chat(two, message=task, max_turns=1)
    skillsmith.uninstrument(two)
    with open_workspace(tmp_path / "s.db") as workspace:
        runs = sorted(workspace.runs.list(), key=lambda run: run.id)
        said = [[e.content for e in workspace.runs.events(run.id) if e.kind == "message"] for run in runs]
    assert [(run.task, run.status) for run in runs] == [("first", "completed"), ("second", "completed")]
    assert said == [["first", "yes"], ["second", "yes"]]
    assert type(one) is type(two) is ConversableAgent


def test_what_is_handled() -> None:
    """Agents, group chats and patterns are watched; anything else is somebody else's."""
    one = agent("one")
    assert all(map(classic.handles, (one, GroupChat([one]), GroupChatManager(GroupChat([one])))))
    with Server([text("")]) as server:
        assert classic.handles(pattern_for(server))
    assert not any(map(classic.handles, ("text", object(), ConversableAgent)))


def test_without_ag2_classic(tmp_path: Path) -> None:
    """Where AG2 Classic is missing, its names give one clear error that says what to install."""
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'autogen' else find(name, *more)\n"
        "from skillsmith.capture import classic\n"
        "assert classic.handles(object()) is False\n"
        "try: classic.InstrumentedGroupChat\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("UsageError InstrumentedGroupChat needs AG2 Classic")
    assert "pip install 'skillsmith-cli[classic]'" in done.stdout
