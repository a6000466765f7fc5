"""Summaries of long runs: within the budget, nothing important lost, each stretch read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cli_process import Cli
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.errors import UsageError
from skillsmith.events import EventLog
from skillsmith.library.reporting.summarizer_lines import lines_of, read, tokens_in, written
from skillsmith.library.summarizer import STRETCH_EVENTS, ContextSummarizer
from skillsmith.models import AgentReply, AgentTask, CodeUse, Event, ToolUse
from skillsmith.models.protocols import AgentError
from skillsmith.runs import RunRepository
from skillsmith.workspace import open_workspace

FILLER = "The table has several columns and the text goes on for a while without saying much at all here. "
PLANTED = (
    "Decision: we use {} for the joins.",
    "After some thought we decided to keep {} as it is.",
    "I conclude that {} is at fault.",
    "We will go with {} then.",
    "The team agreed to cache {} in memory.",
    "Let's switch to {} from now on.",
    "{} was ruled out because it is slow.",
    "The reviewer rejected {} yesterday.",
    "We settled on {} in the end.",
    "I chose {} over the rest.",
)


def talk(number: int, text: str) -> Event:
    """Return a message of an agent."""
    return Event(kind="message", role="assistant", agent="planner", content=text, at=float(number))


def did(kind: Any, **fields: Any) -> Event:
    """Return something that the coder did."""
    return Event(kind=kind, agent="coder", **fields)


def store(db: Database, events: list[Event], *, task: str = "the task") -> str:
    """Store a run that goes on and return its id."""
    runs = RunRepository(db)
    run = runs.create(task)
    EventLog(db).append(runs.key(run.id), events)
    return run.id


@settings(max_examples=30)
@given(
    places=st.lists(st.integers(0, 399), min_size=1, max_size=12, unique=True),
    before=st.integers(0, 30), budget=st.integers(600, 4000),
)  # fmt: skip
def test_every_planted_decision_survives_within_the_budget(
    places: list[int], before: int, budget: int
) -> None:
    """However deep in a long message and however worded, a decision is in the summary of its size."""
    db = Database(":memory:")
    texts = {
        place: FILLER * before + PLANTED[place % len(PLANTED)].format(f"choice_{place}x") + " " + FILLER
        for place in places
    }
    run = store(db, [talk(number, texts.get(number, FILLER)) for number in range(420)])
    found = ContextSummarizer(db).summarize(run, budget=budget)
    assert tokens_in(found.text) == found.tokens <= budget
    for place in places:
        assert f"choice_{place}x" in found.text
    assert [event.seq for event in found.recent] == list(range(401, 421))
    db.close()


def test_what_came_of_tools_code_and_files_survives(db: Database) -> None:
    """Errors, results with their arguments, files written, requests and figures each have their line."""
    events = [
        Event(kind="message", role="user", agent="user", content="Please fit the spectrum (quickly)"),
        did("tool_call", tool=ToolUse(name="load", call_id="1", arguments='{"p": "a.csv"}')),
        did("tool_result", tool=ToolUse(name="load", call_id="1", result="512 rows")),
        did("tool_result", tool=ToolUse(name="save", call_id="2", error="disk is full")),
        did("code_result", code=CodeUse(exit_code=1, output="Traceback\nKeyError: 'x'")),
        Event(kind="code_result", agent="coder", code=CodeUse(exit_code=0, output="fitting\nchi2 = 1.04\n")),
        Event(kind="artifact", agent="coder", content="plots/fit.png"),
        Event(kind="error", content="the model did not answer"),
        talk(9, "The mean of the residuals is 0.031 in all bins."),
        Event(kind="llm_call", tokens_in=10), Event(kind="transition", agent="a", recipient="b"),
    ]  # fmt: skip
    run = store(db, events)
    text = ContextSummarizer(db).summarize(run, keep_recent=0).text
    assert text.splitlines()[1:] == [
        "#1 asked (user): Please fit the spectrum (quickly)",
        '#3 result (coder): load({"p": "a.csv"}) → 512 rows',
        "#4 error (coder): save() → disk is full",
        "#5 error (coder): code ended with 1: KeyError: 'x'",
        "#6 result (coder): code → chi2 = 1.04",
        "#7 file (coder): wrote plots/fit.png",
        "#8 error: the model did not answer",
        "#9 figure (planner): The mean of the residuals is 0.031 in all bins.",
    ]


def test_each_stretch_is_summed_up_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that grows costs what is new; asking again reads stored lines and gives the same text."""
    run = store(db, [talk(number, f"We decided on {number}.") for number in range(5 * STRETCH_EVENTS + 25)])
    summarizer = ContextSummarizer(db)
    first = summarizer.summarize(run)
    assert (first.stretches, first.new_stretches, dict(first.methods)) == (5, 5, {"extractive": 5})
    again = ContextSummarizer(db).summarize(run)
    assert (again.new_stretches, again.text) == (0, first.text)
    EventLog(db).append(RunRepository(db).key(run), [talk(0, "We chose the last one.")] * STRETCH_EVENTS)
    assert summarizer.summarize(run).new_stretches == 1
    assert summarizer.summarize(run, fresh=True).new_stretches == 6


def test_what_has_no_room_is_counted(db: Database) -> None:
    """A small budget gives up figures and results before decisions, and says how many."""
    events = [talk(number, f"The value of run {number} is {number}.5 now.") for number in range(300)]
    events[7] = talk(7, "We decided to stop at seven.")
    found = ContextSummarizer(db).summarize(store(db, events), budget=200)
    assert "stop at seven" in found.text
    assert found.text.endswith(f"No room for {found.left_out['figure']} figure.")
    assert "decision" not in found.left_out


@given(
    st.lists(
        st.tuples(st.text(), st.sampled_from(["user", "assistant", "tool"]), st.text(max_size=12)), max_size=8
    )
)
def test_stored_lines_are_read_back_as_they_were(said: list[tuple[str, str, str]]) -> None:
    """Whatever people and agents write, and are called, a stored stretch gives the same lines again."""
    events = [
        Event(kind="message", seq=number, role=role, agent=agent, content=text)
        for number, (text, role, agent) in enumerate(said, 1)
    ]
    lines = lines_of(events)
    assert read(written(lines)) == lines


class Wording:
    """Stands for a model: a real runner with answers of our choosing."""

    def __init__(self, answer: Callable[[AgentTask], AgentReply]) -> None:
        self.answer = answer
        self.prompts: list[str] = []

    def run(self, task: AgentTask) -> AgentReply:
        """Answer a task."""
        self.prompts.append(task.prompt)
        return self.answer(task)


def test_a_model_words_the_lines_and_cannot_lose_a_decision(db: Database) -> None:
    """Its lines are bounded and checked; decisions, errors and files that it forgot are added."""
    events = [talk(number, FILLER) for number in range(STRETCH_EVENTS)]
    events[3] = talk(3, "We decided to use blue.")
    events[4] = Event(kind="artifact", agent="coder", content="a.txt")
    value: Any = {"lines": [
        {"seq": 1, "kind": "result", "text": "the table was  described\n" + "x" * 900},
        {"seq": 999, "kind": "decision", "text": "made up"},
    ]}  # fmt: skip
    agents = Wording(lambda _: AgentReply(value=value, cost_usd=0.25))
    run = store(db, events)
    found = ContextSummarizer(db, agents=agents, model="m1").summarize(run, keep_recent=0)
    assert "the table was described x" in found.text
    assert "made up" not in found.text
    assert "use blue" in found.text
    assert "wrote a.txt" in found.text
    assert (dict(found.methods), found.cost_usd, len(agents.prompts)) == ({"m1": 1}, 0.25, 1)
    assert "#4 message planner: We decided" in agents.prompts[0]


def test_without_an_answer_the_events_speak(db: Database) -> None:
    """A model that cannot be reached is tried once; the summary is made without it and says so."""

    def fail(_: AgentTask) -> AgentReply:
        raise AgentError("connection refused")

    agents = Wording(fail)
    run = store(db, [talk(number, f"We chose {number}.") for number in range(3 * STRETCH_EVENTS)])
    found = ContextSummarizer(db, agents=agents, model="m1").summarize(run, keep_recent=0)
    assert (len(agents.prompts), dict(found.methods)) == (1, {"extractive": 3})
    assert "connection refused" in found.notes[0]


def test_messages_without_a_run_are_summed_up_too(db: Database) -> None:
    """The specification's method leaves the newest out, keeps the budget and stores nothing."""
    messages = [talk(number, f"We decided on plan {number}.") for number in range(120)]
    text = ContextSummarizer(db).summarize_old_messages(messages, keep_recent=20, max_summary_tokens=5000)
    assert "plan 99." in text
    assert "plan 100." not in text
    assert ContextSummarizer(db).summarize_old_messages(messages[:20]) == ""
    assert db.scalar("SELECT count(*) FROM summaries") == 0
    with pytest.raises(UsageError, match="5 tokens"):
        ContextSummarizer(db).summarize_old_messages(messages, max_summary_tokens=5)


def test_the_command_prints_summary_and_recent(tmp_path: Any) -> None:
    """`summarize` shows both to people and gives both as JSON; a model must be configured to be asked."""
    cli = Cli(tmp_path, tmp_path / "x.db")
    with open_workspace(cli.db) as workspace:
        run = store(workspace.db, [talk(number, f"We decided on {number}.") for number in range(80)])
    shown = cli.inside("summarize", run[:13], "--budget", "500", "--recent", "3").stdout
    assert "#77 decision (planner): We decided on 76." in shown
    assert "We decided on 79." in shown
    document = cli.json("summarize", run, "--recent", "3")
    assert (document["last_seq"], [event["seq"] for event in document["recent"]]) == (77, [78, 79, 80])
    refused = cli("summarize", run, "--with-model", SKILLSMITH_MODEL="")
    assert (refused.code, "no model is configured" in refused.stderr) == (2, True)
