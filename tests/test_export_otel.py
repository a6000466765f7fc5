"""A run as a trace: valid for other programs, the same every time, and all of it comes back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillsmith.capture.exporters.otel import otlp_document
from skillsmith.capture.importers import read_path
from skillsmith.db import Database
from skillsmith.models import CodeUse, Event, Run, RunRecord, ToolUse
from skillsmith.runs import RunRepository

LOGS = Path(__file__).parent / "fixtures" / "logs"
DATA = Path(__file__).parents[2] / "shared" / "data" / "runs"


def _ingested(db: Database, record: RunRecord) -> tuple[Run, list[Event]]:
    repository = RunRepository(db)
    run = repository.ingest(record).run
    return run, list(repository.events(run.id))


def _back(folder: Path, document: dict[str, Any]) -> RunRecord:
    path = folder / "trace.json"
    path.write_text(json.dumps(document))
    ((value),) = [item.value for item in read_path(path)]
    assert isinstance(value, RunRecord)
    return value


def _essence(events: Iterable[Event]) -> dict[str, Any]:
    """Return what a round trip keeps; where reasoning stands and how calls are spaced may differ."""
    events = list(events)
    tools = [(event.kind, event.tool) for event in events if event.tool]
    codes = [(e.code.language, e.code.text, e.code.exit_code, e.code.output) for e in events if e.code]
    thoughts = [event.content for event in events if event.kind == "reasoning"]
    thoughts += [event.reasoning for event in events]
    return {
        "roles": Counter(event.role for event in events if event.role),
        "texts": sorted((e.role or "", e.content or "", e.step) for e in events if e.kind == "message"),
        "calls": sorted(
            (tool.name, repr(tool.arguments if tool.parsed is None else tool.parsed))
            for kind, tool in tools
            if kind == "tool_call"
        ),
        "results": sorted(
            (tool.name, tool.result or "", tool.error or "") for kind, tool in tools if kind == "tool_result"
        ),
        "codes": Counter(codes),
        "thoughts": sorted(line for text in thoughts if text for line in text.split("\n")),
        "agents": {event.agent for event in events if event.agent},
        "tokens": (sum(e.tokens_in or 0 for e in events), sum(e.tokens_out or 0 for e in events)),
        "cost": round(sum(event.cost_usd or 0 for event in events), 9),
        "others": Counter(e.kind for e in events if e.kind in ("transition", "context", "error", "artifact")),
    }


def _fixtures() -> list[RunRecord]:
    return [item.value for item in read_path(LOGS) if isinstance(item.value, RunRecord)]


def _same_after_a_round_trip(db: Database, folder: Path, record: RunRecord) -> None:
    run, events = _ingested(db, record)
    back = _back(folder, otlp_document(run, events))
    assert _essence(back.events) == _essence(events)
    assert (back.task, back.outcome, back.status) == (run.task, run.outcome, run.status)


def test_every_fixture_comes_back_whole(db: Database, tmp_path: Path) -> None:
    """Messages by role, calls, results, code, thoughts, agents, steps, tokens: as they were."""
    records = _fixtures()
    assert len(records) > 20
    for record in records:
        _same_after_a_round_trip(db, tmp_path, record)


@pytest.mark.skipif(not DATA.is_dir(), reason="the real runs are not here")
@pytest.mark.parametrize("folder", ["who_and_when", "claude_code", "swe_agent"])
def test_real_runs_come_back_whole(db: Database, tmp_path: Path, folder: str) -> None:
    """The same for real runs, of which each tenth is taken."""
    records = [item.value for item in read_path(DATA / folder) if isinstance(item.value, RunRecord)]
    for record in records[::10]:
        _same_after_a_round_trip(db, tmp_path, record)


def _spans(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [span for batch in document["resourceSpans"] for s in batch["scopeSpans"] for span in s["spans"]]


def _facts(span: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in span["attributes"]}


def _story() -> list[Event]:
    call = ToolUse(name="find", call_id="c1", arguments='{"q": 1}', parsed={"q": 1})
    failed = ToolUse(name="find", call_id="c1", result="oops", error="not found")
    model = {"model": "m", "provider": "openai", "finish_reason": "stop"}
    return [
        Event(kind="message", at=100.0, role="system", recipient="a", content="Be kind."),
        Event(kind="message", at=100.0, role="user", agent="user", recipient="a", content="Find 1."),
        Event(kind="llm_call", at=102.0, agent="a", data=model, tokens_in=7, tokens_out=3, cost_usd=0.5,
              duration_seconds=1.5),
        Event(kind="message", at=102.0, role="assistant", agent="a", content="I look.", reasoning="Hm."),
        Event(kind="tool_call", at=102.0, agent="a", tool=call),
        Event(kind="tool_result", at=103.0, role="tool", agent="a", tool=failed, duration_seconds=0.5),
        Event(kind="transition", at=104.0, agent="a", recipient="b", content="it failed"),
        Event(kind="message", at=105.0, step=2, role="assistant", agent="b", content="```python\n1/0\n```"),
        Event(kind="code", at=105.0, step=2, agent="b", code=CodeUse(text="1/0", call_id="k")),
        Event(kind="code_result", at=106.0, step=2, agent="b",
              code=CodeUse(call_id="k", exit_code=1, output="no")),
        Event(kind="error", at=106.5, step=2, agent="b", content="gave up", data={"type": "Gone"}),
    ]  # fmt: skip


def test_the_trace_is_what_viewers_expect(db: Database) -> None:
    """One workflow, a span a turn, model calls and tools inside, errors marked, the official names."""
    run, events = _ingested(db, RunRecord(source="capture", events=tuple(_story()), task="Find 1."))
    spans = _spans(otlp_document(run, events))
    assert [(span["name"], span["kind"]) for span in spans] == [
        ("invoke_workflow capture", 1),
        ("invoke_agent a", 1), ("chat m", 3), ("execute_tool find", 1),
        ("invoke_agent b", 1), ("chat", 3), ("execute_tool execute_code", 1),
    ]  # fmt: skip
    root, turn, chat, tool, _, second, code = spans
    assert "parentSpanId" not in root
    assert {span["parentSpanId"] for span in (chat, tool)} == {turn["spanId"]}
    assert {span["traceId"] for span in spans} == {run.id.replace("-", "")}
    facts = _facts(chat)
    assert (facts["gen_ai.usage.input_tokens"], facts["gen_ai.response.model"]) == ("7", "m")
    assert json.loads(facts["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be kind."}], "recipient": "a"},
        {
            "role": "user", "name": "user", "recipient": "a",
            "parts": [{"type": "text", "content": "Find 1."}],
        },
    ]  # fmt: skip
    (output,) = json.loads(facts["gen_ai.output.messages"])
    assert output["finish_reason"] == "stop"
    assert output["parts"] == [
        {"type": "reasoning", "content": "Hm."},
        {"type": "text", "content": "I look."},
        {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": 1}},
    ]
    assert tool["status"] == {"code": 2, "message": "not found"}
    assert _facts(tool)["gen_ai.tool.call.result"] == "oops"
    assert code["status"]["message"] == "exit code 1"
    assert json.loads(_facts(second)["gen_ai.input.messages"])[0]["name"] == "a"  # what b heard
    assert [event["name"] for event in root["events"]] == ["skillsmith.transition", "exception"]
    assert int(chat["endTimeUnixNano"]) - int(chat["startTimeUnixNano"]) >= 1_500_000_000


def test_the_same_run_gives_the_same_bytes(db: Database) -> None:
    """Ids come from the run's id and the numbers of its events."""
    run, events = _ingested(db, RunRecord(source="capture", events=tuple(_story())))
    assert json.dumps(otlp_document(run, events)) == json.dumps(otlp_document(run, events))


def test_a_run_without_events_is_a_trace_of_one_span(db: Database) -> None:
    """Nothing happened, and the trace says so."""
    run, events = _ingested(db, RunRecord(source="capture", events=()))
    assert len(_spans(otlp_document(run, events))) == 1


def test_all_names_are_official(db: Database) -> None:
    """Each ``gen_ai`` attribute is one of the conventions, but the cost, for which there is none yet."""
    names = pytest.importorskip(
        "opentelemetry.semconv._incubating.attributes.gen_ai_attributes", reason="no conventions installed"
    )
    official = {value for value in vars(names).values() if isinstance(value, str)}
    run, events = _ingested(db, RunRecord(source="capture", events=tuple(_story())))
    used = {name for span in _spans(otlp_document(run, events)) for name in _facts(span)}
    ours = {name for name in used if name.startswith("gen_ai.")} - official
    assert ours <= {"gen_ai.usage.cost"}
    assert {name.split(".")[0] for name in used} == {"gen_ai", "skillsmith", "error", "process"}


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
THOUGHT = st.sampled_from(["hm", "so\nbe it"])
COUNT = st.integers(0, 9)
AGENT = st.sampled_from(["a", "b", None])
CALL_ID = st.sampled_from(["c1", "c2", None])
EVENT = st.one_of(
    st.builds(
        Event, kind=st.just("message"), role=st.sampled_from(["system", "user", "assistant"]), agent=AGENT,
        content=TEXT, reasoning=st.none() | THOUGHT,
    ),
    st.builds(Event, kind=st.just("reasoning"), agent=AGENT, content=THOUGHT),
    st.builds(
        Event, kind=st.just("llm_call"), agent=AGENT, data=st.just({"model": "m"}), tokens_in=COUNT,
        tokens_out=COUNT,
    ),
    st.builds(
        lambda agent, name, call_id, value: Event(
            kind="tool_call", agent=agent,
            tool=ToolUse(name=name, call_id=call_id and name + call_id, arguments=json.dumps(value)),
        ),
        AGENT, st.sampled_from(["f", "g"]), CALL_ID, st.dictionaries(TEXT, st.integers(0, 9), max_size=2),
    ),
    st.builds(
        lambda name, call_id, result, error: Event(
            kind="tool_result", role="tool",
            tool=ToolUse(name=name, call_id=call_id and name + call_id, result=result, error=error),
        ),
        st.sampled_from(["f", "g"]), CALL_ID, TEXT, st.none() | st.just("bad"),
    ),
    st.builds(Event, kind=st.just("transition"), agent=AGENT, recipient=AGENT, content=TEXT),
    st.builds(
        lambda kind, call_id, text: Event(
            kind=kind, code=CodeUse(call_id=call_id, **{"text" if kind == "code" else "output": text})
        ),
        st.sampled_from(["code", "code_result"]), CALL_ID, TEXT,
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENT, max_size=12))
def test_any_run_comes_back(db: Database, tmp_path: Path, events: list[Event]) -> None:
    """In whatever order things happened, even in one that makes no sense, all of them come back."""
    run, stored = _ingested(db, RunRecord(source="capture", events=tuple(events)))
    document = otlp_document(run, stored)
    spans = _spans(document)
    assert len({span["spanId"] for span in spans}) == len(spans)
    assert all(re.fullmatch("[0-9a-f]{16}", span["spanId"]) for span in spans)
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in spans)
    known, back = _essence(stored), _essence(_back(tmp_path, document).events)
    assert back == known


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line whose file holds one recorded run."""
    line = Cli(tmp_path, tmp_path / "x.db")
    line.json("ingest", LOGS / "otel" / "ag2.jsonl")
    return line


def test_the_command_writes_a_trace_that_can_be_ingested(cli: Cli, tmp_path: Path) -> None:
    """The file is whole or not there; another library takes the run from it."""
    (run,) = cli.json("runs")["items"]
    report = cli.json("export-run", run["id"], "-o", "trace.json")
    assert report == {
        "run": run["id"], "format": "otel", "written": "trace.json", "events": run["events"],
    }  # fmt: skip
    assert not (tmp_path / "trace.json.partial").exists()
    other = Cli(tmp_path, tmp_path / "y.db")
    (copy,) = other.json("ingest", "trace.json")["runs"]
    assert (copy["source"], copy["task"]) == ("otel", run["task"])
    assert json.loads(cli("export-run", run["id"][:12]).stdout) == json.loads(
        (tmp_path / "trace.json").read_text()
    )


def test_the_command_writes_plain_json(cli: Cli) -> None:
    """``--format json`` is the run and its timeline, as the other commands print them."""
    (run,) = cli.json("runs")["items"]
    document = cli.json("export-run", run["id"], "--format", "json")
    assert document["run"] == run
    assert document["events"] == cli.json("timeline", run["id"], "--limit", "0")["items"]


def test_mistakes_are_said_in_a_line(cli: Cli) -> None:
    """An unknown format, an unknown run and a folder that is not there."""
    (run,) = cli.json("runs")["items"]
    assert cli.inside("export-run", run["id"], "--format", "xml", "--json").error["code"] == "usage"
    assert cli.inside("export-run", "ffffff", "--json").code == 3
    failed = cli.inside("export-run", run["id"], "-o", "none/trace.json", "--json")
    assert (failed.code, failed.error["code"]) == (1, "storage")


def test_a_secret_that_a_run_still_holds_does_not_leave(tmp_path: Path) -> None:
    """A run ingested with its secrets is exported without them, unless that is asked for."""
    secret = "sk-proj-" + "aB3" * 12
    log = tmp_path / "chat.json"
    log.write_text(json.dumps([{"role": "user", "content": f"My key is {secret}"}]))
    line = Cli(tmp_path, tmp_path / "z.db")
    (run,) = line.json("ingest", log, "--no-redact")["runs"]
    assert secret not in line.inside("export-run", run["id"]).stdout
    assert secret in line.inside("export-run", run["id"], "--no-redact").stdout
