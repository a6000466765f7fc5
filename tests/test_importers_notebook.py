"""Notebooks in which agents ran: three generations of printed conversations become runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillsmith.capture.importers import NOT_A_LOG, LogSource, importer_named, read_path
from skillsmith.capture.importers.console import lines_of, mentions_agents
from skillsmith.capture.importers.cost_tables import cost_rows
from skillsmith.capture.importers.execution import execution_reply
from skillsmith.models import Event, Problem, RunRecord

NOTEBOOKS = Path(__file__).parent / "fixtures" / "logs" / "notebook"
RULE = "-" * 80
NUMBERS = "<tr><td>1</td><td>2</td><td>3</td></tr>"


def _runs(path: Path) -> list[RunRecord]:
    return [item.value for item in read_path(path) if isinstance(item.value, RunRecord)]


def _of(run: RunRecord, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


def _write(folder: Path, *cells: dict[str, Any], name: str = "x.ipynb") -> Path:
    path = folder / name
    path.write_bytes(orjson.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4}))
    return path


def _cell(printed: str, source: str = "go()", cell_id: str = "c1") -> dict[str, Any]:
    output = {"output_type": "stream", "name": "stdout", "text": printed}
    return {"cell_type": "code", "id": cell_id, "source": source, "outputs": [output]}


def test_headers_tell_who_speaks() -> None:
    """CMBAgent's headers give speakers, announcements transitions, displays and prints the texts."""
    (run,) = _runs(NOTEBOOKS / "headers.ipynb")
    assert (run.task, run.native_id, run.status) == ("How many loans are overdue?", "c-run", "completed")
    assert run.metadata == {"cells": 4, "code_cells": 3, "outputs": 27}
    said = [(event.role, event.agent, event.content) for event in _of(run, "message")]
    assert said[:2] == [
        ("user", "admin", "How many loans are overdue?"),
        ("assistant", "planner", "Forwarding content for formatting..."),
    ]
    assert said[-1] == ("user", "admin", "exit")
    turns = [(event.agent, event.recipient) for event in _of(run, "transition")]
    assert turns[:3] == [("admin", "planner"), ("planner", "control"), ("control", "engineer")]
    assert Counter(event.step for event in _of(run, "message")) == {1: 2, 2: len(said) - 2}


def test_cost_tables_are_model_calls() -> None:
    """Each table beside a message is one model call; one that names no agent is of the agent announced."""
    (run,) = _runs(NOTEBOOKS / "headers.ipynb")
    calls = [
        (e.agent, e.tokens_in, e.tokens_out, e.cost_usd, dict(e.data or {})) for e in _of(run, "llm_call")
    ]
    assert calls[:2] == [
        ("planner", 427, 384, 0.00491, {"model": "gpt-4o-mini", "agent": "planner"}),
        ("control", 4850, 203, 0.01416, {"model": "gpt-4o"}),
    ]
    assert len(calls) == 4


def test_code_is_joined_with_what_the_executor_said() -> None:
    """Blocks and results share an id; saving a report is no result of the code before it."""
    (run,) = _runs(NOTEBOOKS / "headers.ipynb")
    first, second = (event.code for event in _of(run, "code"))
    results = [event.code for event in _of(run, "code_result")]
    assert first
    assert second
    assert [(code.call_id, code.exit_code, code.output) for code in results if code] == [
        (first.call_id, 1, "NameError: loans"), (second.call_id, 0, "3"), (None, 0, "Content saved"),
    ]  # fmt: skip


def test_other_cells_and_outputs_are_kept() -> None:
    """Cells around the run, pictures, warnings and printed reports stay as raw events, in order."""
    (run,) = _runs(NOTEBOOKS / "headers.ipynb")
    kept = [(event.data or {}).get("line_type") for event in _of(run, "raw")]
    assert kept == ["cell", "cell", "cell", "display", "stderr", "printed", "cell"]
    picture = _of(run, "raw")[3]
    assert (picture.content, (picture.data or {})["characters"]) == ("[image/png, 24 characters]", 24)


def test_rules_and_tables_tell_who_speaks_where_there_are_no_headers() -> None:
    """Later output has rules of dashes: a table names the next speaker; a text printed twice counts once."""
    (run,) = _runs(NOTEBOOKS / "rules.ipynb")
    said = [(event.agent, (event.content or "").split("\n")[0]) for event in _of(run, "message")]
    assert said == [
        ("user", "Count the loans."), ("plan_setter", "Plan constraints have been logged."),
        ("planner", "**Plan:** count them"), ("engineer_response_formatter", "```python"),
        ("executor", " code being executed...."), ("executor", "The executed code was:"),
        ("terminator", "Session terminated."),
    ]  # fmt: skip
    reasons = [event.content for event in _of(run, "transition") if event.content]
    assert reasons == ["Setting agents for the session...", "Formatting...", "Executing...", "Terminating..."]
    (code,) = _of(run, "code")
    (result,) = _of(run, "code_result")
    assert code.code
    assert result.code
    assert (result.code.call_id, result.code.exit_code) == (code.code.call_id, None)
    assert (run.status, _of(run, "error")[0].data) == (
        "interrupted", {"error_type": "KeyboardInterrupt", "traceback": "Traceback\nKeyboardInterrupt: "},
    )  # fmt: skip


def test_ag2_prints_calls_results_and_handoffs() -> None:
    """AG2's own output gives messages with addressee, calls with results once, handoffs with their reason."""
    first, second = _runs(NOTEBOOKS / "ag2.ipynb")
    assert (first.task, second.task) == ("Lend 'Dune'.", "Lend 'Emma'.")
    assert (first.native_id, second.native_id) == ("a-run", "a-run/2")
    (call,) = _of(first, "tool_call")
    (result,) = _of(first, "tool_result")
    assert call.tool
    assert result.tool
    assert (call.tool.name, call.tool.call_id, call.tool.parsed) == ("lend", "call_1", {"book": "B-3"})
    assert (result.tool.name, result.tool.call_id, result.tool.result) == ("lend", "call_1", "lent B-3")
    said = [(event.agent, event.recipient, event.content) for event in _of(first, "message")]
    assert said == [
        ("_User", "chat", "Lend 'Dune'."), ("clerk", "chat", None),
        ("writer", "chat", f"Lent. A rule:\n{RULE}\nends no message. exit (to be sure):"),
    ]  # fmt: skip
    assert [event.content for event in _of(first, "raw")][1:] == ["starting", "No next speaker selected"]


def test_a_function_that_only_its_execution_tells_of_is_a_call() -> None:
    """Where neither a call nor a response was printed, the execution gives both."""
    _, run = _runs(NOTEBOOKS / "ag2.ipynb")
    assert [event.tool.name for event in _of(run, "tool_call") if event.tool] == ["lend", "note"]
    failed = _of(run, "tool_result")[1].tool
    assert failed
    assert (failed.name, failed.call_id, failed.error) == ("note", "call_2", "Error: no pen")
    assert _of(run, "transition")[-1].recipient == "Terminate"


def test_the_task_is_found_in_the_code_where_nobody_says_it(tmp_path: Path) -> None:
    """Without a person's message the task is the text that the code gives to the agents."""
    for source, task in (
        ('solver.solve("Plot it.")', "Plot it."),
        ("solver.one_shot(task=text)", "Plan it."),
        ("%time\nrun_all(1)", ""),
    ):
        before = {"cell_type": "code", "id": "c0", "source": 'text = "Plan it."', "outputs": []}
        (run,) = _runs(_write(tmp_path, before, _cell("Calling planner...\n", source)))
        assert run.task == task


def test_a_notebook_without_agents_is_no_log(tmp_path: Path) -> None:
    """Other notebooks are counted, not claimed; one that uses CMBAgent but was not run keeps its cells."""
    plain = _write(tmp_path, _cell("hello (to you)\nCalling it a day.\n"))
    (item,) = read_path(tmp_path)
    assert isinstance(item.value, Problem)
    assert item.value.reason == NOT_A_LOG
    (forced,) = read_path(plain, format="notebook")
    assert isinstance(forced.value, Problem)
    (run,) = _runs(_write(tmp_path, _cell("", "import cmbagent")))
    assert [event.kind for event in run.events] == ["raw"]


def test_a_large_picture_at_the_beginning_hides_nothing(tmp_path: Path) -> None:
    """A notebook whose beginning is one picture is still told to be one, and read."""
    logo = {"output_type": "display_data", "data": {"image/png": "A" * 200_000}}
    first = {"cell_type": "code", "id": "c0", "outputs": [logo], "source": "import cmbagent"}
    (run,) = _runs(_write(tmp_path, first, _cell("Calling planner...\n", cell_id="c2")))
    assert run.native_id == "c2"
    (tmp_path / "x.ipynb").unlink()
    _write(tmp_path, {**first, "source": "show(logo)"}, name="other.ipynb")
    (item,) = read_path(tmp_path)
    assert isinstance(item.value, Problem)
    assert item.value.reason == NOT_A_LOG


def test_a_notebook_that_went_on_begins_as_it_was(tmp_path: Path) -> None:
    """Cells run later only add: the events of the earlier runs are a beginning of what they are then."""
    cells = orjson.loads((NOTEBOOKS / "headers.ipynb").read_bytes())["cells"]
    cells += orjson.loads((NOTEBOOKS / "ag2.ipynb").read_bytes())["cells"]
    whole = _runs(_write(tmp_path, *cells))
    for count in range(1, len(cells) + 1):
        for before, after in zip(_runs(_write(tmp_path, *cells[:count])), whole, strict=False):
            assert after.events[: len(before.events)] == before.events


def test_malformed_cells_are_reported(tmp_path: Path) -> None:
    """What is no cell is named by its number; the others are read."""
    path = _write(tmp_path, _cell("Calling planner...\n"))
    document = orjson.loads(path.read_bytes())
    document["cells"] += [7, {"cell_type": "code", "outputs": [3, {"output_type": "stream", "text": None}]}]
    path.write_bytes(orjson.dumps(document))
    values = [item.value for item in read_path(path)]
    assert [value.reason for value in values if isinstance(value, Problem)] == ["cell 2 is no object"]
    assert sum(isinstance(value, RunRecord) for value in values) == 1


@pytest.mark.parametrize(
    ("line", "kind", "name"),
    [
        ("\x1b[33m\x1b[0mCalling planner...", "calling", "planner"),
        ("Calling all planners...", "text", ""),
        ("Message from _User:", "message", "_User"),
        ("\x1b[33mwriter\x1b[0m (to chat):", "header", "writer"),
        ("a long text with a remark (to us):", "header", "a long text with a remark"),
        ("Next speaker: clerk", "speaker", "clerk"),
        ("***** AfterWork handoff (a): b *****", "handoff", "a"),
        ("***** Suggested function call: f *****", "call", "f"),
        ("***** Response from calling Tool tool (id1) *****", "response", ""),
        (">>>>>>>> TERMINATING RUN (1-2): Maximum rounds (3) reached", "end", ""),
        (">>>>>>>> USING AUTO REPLY...", "noise", ""),
        (RULE, "rule", ""),
        ("Displaying cost…", "cost", ""),
        ("Cost report data saved to: /x.json", "report", ""),
    ],
)
def test_printed_lines_are_told_apart(line: str, kind: str, name: str) -> None:
    """Each mark is recognised with or without colours."""
    (found,) = lines_of(line)
    assert (found.kind, found.name) == (kind, name)


def test_ordinary_output_mentions_no_agents() -> None:
    """Programs that print similar words are not taken for agents."""
    assert not mentions_agents("Calling it a day...\nA message (to you): hi\nMessage from me\n")
    assert mentions_agents("x\n\x1b[33m\nCalling planner...\n\x1b[0m")


@pytest.mark.parametrize(
    ("html", "rows"),
    [
        (f"<table><tr><th>Cost</th><th>Prompt Tokens</th><th>Completion Tokens</th></tr>{NUMBERS}</table>",
         [{"Cost": "1", "Prompt Tokens": "2", "Completion Tokens": "3"}]),
        ("<table><tr><th>Cost</th></tr></table>", []),
        ("Cost Prompt Tokens Completion Tokens", []),
    ],
)  # fmt: skip
def test_only_cost_tables_are_cost_tables(html: str, rows: list[dict[str, str]]) -> None:
    """Tables are told by their columns."""
    assert list(cost_rows(html)) == rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("execution succeeded\nExecution output: 3", (0, "3")),
        ("execution failed\nExecution error: no", (1, "no")),
        ("Execution results:\n\nExecution output: \n3\n", (None, "\n3\n")),
        ("code being executed....\n\nx\n\nExecution results:\n\nExecution error: bad", (1, "bad")),
        ("The executed code was:\n...\nExecution results:\n\nExecution output: 3", None),
    ],
)
def test_cmbagents_executors_are_understood(text: str, expected: tuple[int | None, str] | None) -> None:
    """CMBAgent's executors say how a run of code ended, or only what it printed."""
    found = execution_reply(text)
    assert (found and (found.exit_code, found.output)) == expected


MARKS = st.sampled_from([
    "Calling a...", "Message from b:", "\x1b[33mc\x1b[0m (to d):", "Next speaker: e", RULE, "*" * 40, "{}",
    "***** Suggested tool call (1): f *****", "***** Response from calling tool (1) *****", "Arguments: ",
    ">>>>>>>> EXECUTING FUNCTION f...", ">>>>>>>> EXECUTED FUNCTION f...", "Call ID: 1", "Output:", "x = 1",
    "***** ReplyResult transition (c): e *****", ">>>>>>>> TERMINATING RUN (1): done", "```python", "```",
    "execution succeeded", "Execution output: 1", "Message from admin:", "Executing...", "Formatting...",
    "**Step number:** 2 out of 3.", "Displaying cost…",
]) | st.text(max_size=12)  # fmt: skip
OUTPUT = st.one_of(
    st.builds(
        lambda lines: {"output_type": "stream", "name": "stdout", "text": "\n".join([*lines, ""])},
        st.lists(MARKS),
    ),
    st.builds(lambda text: {"output_type": "display_data", "data": {"text/markdown": text}}, MARKS),
    st.builds(lambda text: {"output_type": "stream", "name": "stdin", "text": text}, MARKS),
    st.just({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]}),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OUTPUT, max_size=8))
def test_any_mixture_of_marks_is_read_without_loss_of_announcements(
    tmp_path: Path, outputs: list[Any]
) -> None:
    """In whatever order marks come, reading them never raises, and every announcement is a transition."""
    cell = {"cell_type": "code", "id": "c", "source": "import cmbagent", "outputs": outputs}
    path = _write(tmp_path, cell)
    runs = [
        value for value in importer_named("notebook").parse(LogSource(path)) if isinstance(value, RunRecord)
    ]
    announced = [
        e.recipient for run in runs for e in _of(run, "transition") if (e.data or {}).get("printed_as")
    ]
    printed = [line for one in outputs if one.get("name") == "stdout" for line in lines_of(one["text"])]
    assert announced == [line.name for line in printed if line.kind in ("calling", "speaker")]
    for run in runs:
        assert all((e.role is not None) == (e.kind in ("message", "tool_result")) for e in run.events)
