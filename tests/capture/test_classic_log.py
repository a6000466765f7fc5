"""AG2 Classic's own SQLite log as runs, written by real chats against a scripted server."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Server, system_of, text, tools

from skillsmith.capture.importers import read_path
from skillsmith.db import Database
from skillsmith.models import Event, Problem, RunRecord
from skillsmith.runs import RunRepository

autogen = pytest.importorskip("autogen", reason="AG2 Classic is not installed")

Config = dict[str, Any]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], Config]:
    """Return how agents reach a server: by the environment, as AG2's logger fails on a ``base_url``."""

    def make(server: Server) -> Config:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        entry = {"model": "m", "api_key": "sk-none", "api_type": "openai", "price": [0.001, 0.002]}
        return {"config_list": [entry], "cache_seed": None}

    return make


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Return the file that everything the test does is logged to."""
    from autogen import runtime_logging  # noqa: PLC0415  (only when it is installed)

    path = tmp_path / "logs.db"
    runtime_logging.start(logger_type="sqlite", config={"dbname": str(path)})
    yield path
    runtime_logging.stop()


def _runs(path: Path) -> list[RunRecord]:
    return [item.value for item in read_path(path) if isinstance(item.value, RunRecord)]


def _of(run: RunRecord, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


def _coding_chat(config: Config, folder: Path) -> None:
    """Let a coder call two tools and write code, which the user's executor runs."""
    from autogen.coding import LocalCommandLineCodeExecutor  # noqa: PLC0415  (only when it is installed)

    def done(message: Mapping[str, Any]) -> bool:
        return "TERMINATE" in (message.get("content") or "")

    def add(a: int, b: int) -> int:
        return a + b

    def boom(x: str) -> str:
        raise ValueError(f"no {x}")

    coder = autogen.AssistantAgent("coder", system_message="You code.", llm_config=config)
    user = autogen.UserProxyAgent(
        "user", human_input_mode="NEVER", is_termination_msg=done,
        code_execution_config={"executor": LocalCommandLineCodeExecutor(work_dir=folder, timeout=20)},
    )  # fmt: skip
    for function in (add, boom):
        autogen.register_function(
            function, caller=coder, executor=user, name=function.__name__, description="A tool."
        )
    user.initiate_chat(coder, message="Compute 2 + 3.", max_turns=4, silent=True)


def test_a_session_becomes_a_run_with_all_its_facts(
    log: Path, tmp_path: Path, config: Callable[[Server], Config], db: Database
) -> None:
    """Messages, calls, results, code, model calls with cost, the system message: each of them once."""
    script = [
        tools(("add", {"a": 2, "b": 3}), ("boom", {"x": "way"}), reasoning="I must add."),
        text("Now:\n```python\nprint(6*7)\n```"),
        text("TERMINATE"),
    ]
    with Server(script) as server:
        _coding_chat(config(server), tmp_path)
        (run,) = _runs(log)  # read while AG2 still has it open
    assert (run.source, run.task, run.metadata["models"]) == ("ag2-classic", "Compute 2 + 3.", ["m"])
    assert run.metadata["agents"] == {"coder": "AssistantAgent", "user": "UserProxyAgent"}
    said = [(event.role, event.agent, event.recipient, event.content) for event in _of(run, "message")]
    assert said == [
        ("user", "user", "coder", "Compute 2 + 3."),
        ("system", None, "coder", "You code."),
        ("assistant", "coder", "user", None),
        ("assistant", "coder", "user", "Now:\n```python\nprint(6*7)\n```"),
        ("user", "user", "coder", "exitcode: 0 (execution succeeded)\nCode output: 42\n"),
        ("assistant", "coder", "user", "TERMINATE"),
    ]
    assert [event.reasoning for event in run.events if event.reasoning] == ["I must add."]
    results = [event.tool for event in _of(run, "tool_result") if event.tool]
    assert [(result.name, result.result, result.error) for result in results] == [
        ("add", "5", None), ("boom", "Error: no way", "Error: no way"),
    ]  # fmt: skip
    assert [e.tool.parsed for e in _of(run, "tool_call") if e.tool] == [{"a": 2, "b": 3}, {"x": "way"}]
    (code,), (outcome,) = _of(run, "code"), _of(run, "code_result")
    assert code.code
    assert outcome.code
    assert (code.code.text, outcome.code.exit_code, outcome.code.output) == ("print(6*7)", 0, "42\n")
    models = _of(run, "llm_call")
    assert [(event.tokens_in, event.tokens_out) for event in models] == [(13, 9), (11, 7), (11, 7)]
    assert sum(event.cost_usd or 0 for event in models) == pytest.approx(0.000081)
    assert all((event.duration_seconds or 0) > 0 for event in models)
    repository = RunRepository(db)
    assert repository.ingest(run).new
    assert not repository.ingest(_runs(log)[0]).new
    assert list(log.parent.glob("logs.db*")) == [log]


def test_a_group_chat_is_told_once_with_its_speakers(log: Path, config: Callable[[Server], Config]) -> None:
    """What the manager passes on is known; the selection is the reason of the change of speaker."""

    def script(body: dict[str, Any], number: int) -> Any:
        system = system_of(body)
        return text("B" if number == 1 else "C") if "role play game" in system else text(f"I am {system}")

    with Server(script) as server:
        agents = [autogen.ConversableAgent(n, system_message=n, llm_config=config(server)) for n in "ABC"]
        group = autogen.GroupChat(agents, max_round=3, speaker_selection_method="auto")
        manager = autogen.GroupChatManager(group, llm_config=config(server))
        agents[0].initiate_chat(manager, message="start", silent=True)
        (run,) = _runs(log)
    aloud = [event for event in _of(run, "message") if event.role != "system" and not event.data]
    assert [(event.agent, event.content) for event in aloud] == [
        ("A", "start"), ("B", "I am B"), ("C", "I am C"),
    ]  # fmt: skip
    turns = [(event.agent, event.recipient, event.content) for event in _of(run, "transition")]
    assert turns == [("A", "B", "selected: B"), ("B", "C", "selected: C")]
    selecting = [event for event in _of(run, "llm_call") if event.agent == "speaker_selection_agent"]
    assert len(selecting) == 2
    assert len(_of(run, "llm_call")) == 4


def test_sessions_of_one_file_are_runs_of_their_own(
    tmp_path: Path, config: Callable[[Server], Config]
) -> None:
    """Events carry no session: their agents tell it, and for agents made before it, the time does."""
    from autogen import runtime_logging  # noqa: PLC0415  (only when it is installed)

    path = tmp_path / "logs.db"
    with Server([text("fine")]) as server:
        known = autogen.ConversableAgent("early", llm_config=False, human_input_mode="NEVER")
        for name in ("first", "second"):
            runtime_logging.start(logger_type="sqlite", config={"dbname": str(path)})
            other = autogen.ConversableAgent(name, llm_config=config(server), human_input_mode="NEVER")
            known.initiate_chat(other, message=f"Hello {name}", max_turns=1, silent=True)
            runtime_logging.stop()
    assert [run.task for run in _runs(path)] == ["Hello first", "Hello second"]
    assert [[event.content for event in _of(run, "message")][-1] for run in _runs(path)] == ["fine", "fine"]


def test_a_function_that_no_message_mentions_is_still_there(log: Path) -> None:
    """A tool that code called itself stands only among the function calls; it is not lost."""
    agent = autogen.ConversableAgent("worker", llm_config=False, human_input_mode="NEVER")

    @agent.register_for_execution(name="double")  # type: ignore[untyped-decorator, unused-ignore]
    def double(number: int) -> int:
        return 2 * number

    assert agent.function_map["double"](number=4) == "8"
    (run,) = _runs(log)
    (call,), (result,) = _of(run, "tool_call"), _of(run, "tool_result")
    assert call.tool
    assert result.tool
    assert (call.tool.name, result.tool.result) == ("double", "8")
    assert call.tool.call_id == result.tool.call_id


def test_a_file_with_other_columns_is_one_clear_problem(tmp_path: Path) -> None:
    """Tables of these names with other columns are not guessed at."""
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    for table in ("chat_completions", "agents", "events", "function_calls"):
        connection.execute(f"CREATE TABLE {table} (a)")
    connection.close()
    (problem,) = [item.value for item in read_path(path)]
    assert isinstance(problem, Problem)
    assert problem.reason.startswith("no log of AG2's runtime_logging: chat_completions, agents")
