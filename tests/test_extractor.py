from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from skillsmith.capture.importers import read_path
from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.db import Database
from skillsmith.errors import ExtractionError, NearDuplicateError, UsageError
from skillsmith.library.execution.sandbox import run_code
from skillsmith.library.extractor import SkillExtractor
from skillsmith.library.program.bindings import resolve
from skillsmith.library.repository import SkillRepository
from skillsmith.models import CodeUse, Event, Outcome, RunRecord, ToolUse
from skillsmith.runs import RunRepository

DATA = Path(__file__).parents[2] / "shared" / "data" / "runs" / "tau_airline"

CLEAN = """\
import csv

LIMIT = 40
with open("orders.csv") as source:
    rows = [row for row in csv.DictReader(source) if row["n"].isdigit() and int(row["n"]) <= LIMIT]
with open("clean.csv", "w", newline="") as target:
    writer = csv.DictWriter(target, fieldnames=["id", "n"])
    writer.writeheader()
    writer.writerows(rows)
print(f"{len(rows)} rows")
"""
TOTAL = """\
import csv

with open("clean.csv") as source:
    total = sum(int(row["n"]) for row in csv.DictReader(source))
with open("total.txt", "w") as target:
    target.write(f"{total}\\n")
"""


def chat(
    calls: list[tuple[str, dict[str, Any], Any]], *, task: str, outcome: Outcome = "success"
) -> RunRecord:
    """Return a run in which a user says the task and the assistant makes the calls."""
    events = [Event(kind="message", role="user", agent="user", content=task)]
    for number, (name, arguments, result) in enumerate(calls):
        text = orjson.dumps(arguments).decode()
        call = ToolUse(name=name, call_id=f"c{number}", arguments=text)
        events.append(Event(kind="tool_call", agent="assistant", tool=call))
        answer = result if isinstance(result, str) else orjson.dumps(result).decode()
        tool = ToolUse(name=name, call_id=f"c{number}", result=answer)
        events.append(Event(kind="tool_result", role="tool", tool=tool))
    return RunRecord(source="openai-chat", events=tuple(events), task=task, outcome=outcome)


CANCEL = [
    ("get_order", {"order_id": "W7701"}, {"customer": {"id": "c_881"}, "status": "open"}),
    ("cancel_order", {"order_id": "W7701", "customer_id": "c_881"}, "Error: order is locked"),
    (
        "cancel_order",
        {"order_id": "W7701", "customer_id": "c_881", "reason": "asked"},
        {"status": "cancelled"},
    ),
]


def ingest(db: Database, record: RunRecord) -> str:
    """Store a run and return its id."""
    return RunRepository(db).ingest(record).run.id


def captured(path: Path, folder: Path, *blocks: str, task: str) -> str:
    """Capture a run that really executes the blocks in a folder, and return its id."""
    with AgentExecutionLogger(path, task=task, work_dir=folder) as log:
        for block in blocks:
            ran = run_code(block, language="python", work_dir=folder, timeout_seconds=20)
            log.log_code_execution(
                block, {"exit_code": ran.exit_code, "output": ran.output}, agent="engineer"
            )
        log.finish(outcome="success")
        return log.run_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a work folder with a data file."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "orders.csv").write_text("id,n\n1,10\n2,x\n3,99\n4,30\n")
    return work


def test_a_tool_skill_is_typed_explained_and_proven(db: Database) -> None:
    """A successful run gives a stored skill with inputs, flows, omissions and a passed proof."""
    run = ingest(db, chat(CANCEL, task="Cancel order W7701"))
    report = SkillExtractor(db).extract([run], name="cancel")
    skill = SkillRepository(db).get("cancel")
    assert skill == report.skill
    assert skill.state == "proven"
    assert [(proof.level, proof.passed, proof.compared) for proof in skill.proofs] == [
        ("reconstructs", True, 2)
    ]
    assert [node.tool for node in skill.nodes] == ["get_order", "cancel_order"]
    assert skill.task_pattern == "Cancel order {order_id}"
    assert [(one.name, one.type, one.required) for one in skill.variables] == [("order_id", "id", True)]
    assert [reason.rule for reason in report.left_out] == ["failed-and-replaced"]
    assert skill.outputs["properties"] == {
        "result": {"type": "object", "properties": {"status": {"type": "string"}}}
    }


def test_failed_and_running_runs_give_no_skill(db: Database) -> None:
    """Skills come from runs that succeeded and are over."""
    failed = ingest(db, chat(CANCEL, task="a", outcome="failure"))
    running = RunRepository(db).create("b").id
    for run in (failed, running):
        with pytest.raises(ExtractionError):
            SkillExtractor(db).extract([run])
    assert SkillRepository(db).names() == []


def test_talk_alone_gives_no_skill(db: Database) -> None:
    """A run without a successful call or code block has nothing to repeat."""
    run = ingest(db, chat([], task="How are you?"))
    with pytest.raises(ExtractionError, match="nothing to repeat"):
        SkillExtractor(db).extract([run])


def test_a_near_duplicate_is_refused_but_by_force_or_as_a_version(db: Database) -> None:
    """The same structure under another name is refused; the same name gets a new version."""
    first = ingest(db, chat(CANCEL, task="Cancel order W7701"))
    other = [(name, {**arguments, "order_id": "W9902"}, result) for name, arguments, result in CANCEL]
    second = ingest(db, chat(other, task="Cancel order W9902"))
    extractor = SkillExtractor(db)
    extractor.extract([first], name="cancel")
    with pytest.raises(NearDuplicateError, match="cancel"):
        extractor.extract([second], name="cancel_too")
    assert extractor.extract([second], name="cancel").skill.version == 2
    assert extractor.extract([second], name="cancel_too", force=True).duplicates[0]["name"] == "cancel"


def test_steps_choose_a_part_of_the_run(db: Database) -> None:
    """With a range of steps only their events are used; a wrong range is a usage error."""
    record = chat(CANCEL, task="Cancel order W7701")
    stepped = RunRecord(
        source="openai-chat", task=record.task, outcome="success",
        events=tuple(
            replace(event, step=1 + (index > 2))
            for index, event in enumerate(record.events)
        ),
    )  # fmt: skip
    run = ingest(db, stepped)
    skill = SkillExtractor(db).extract([run], name="look", steps="1").skill
    assert [node.tool for node in skill.nodes] == ["get_order"]
    with pytest.raises(UsageError):
        SkillExtractor(db).extract([run], steps="7-3")


def test_a_code_skill_is_replayed_in_a_scratch_folder(db: Database, tmp_path: Path, folder: Path) -> None:
    """Code captured here is run again: same files, same exit codes; then the skill is proven."""
    run = captured(
        Path(db.path), folder, CLEAN, TOTAL, task="Sum orders.csv, at most 40 a row, into total.txt"
    )
    report = SkillExtractor(db).extract([run], name="sum_orders")
    assert [(proof.level, proof.passed) for proof in report.skill.proofs] == [
        ("reconstructs", True),
        ("replays", True),
        ("generalises", True),
    ], report.skill.proofs
    assert report.skill.state == "proven"
    defaults = {one.name: one.default for one in report.skill.variables}
    assert {"orders.csv", "total.txt", 40} <= set(defaults.values())
    assert report.skill.nodes[1].after == ("n1",)


def test_a_replay_that_differs_says_so(db: Database, folder: Path) -> None:
    """A block that writes another thing each time is not proven, and the proof names nondeterminism."""
    block = "import time\nwith open('stamp.txt', 'w') as target:\n    target.write(str(time.time_ns()))\n"
    run = captured(Path(db.path), folder, block, task="Write stamp.txt")
    skill = SkillExtractor(db).extract([run], name="stamp").skill
    assert skill.state == "draft"
    assert any("nondeterminism" in failure for failure in skill.proofs[-1].failures)
    assert any("time" in note for note in skill.context_requirements["notes"])


def test_code_of_an_imported_log_is_not_run_unasked(db: Database, tmp_path: Path) -> None:
    """Extraction runs only code of runs captured here, unless the user asks for it."""
    marker = tmp_path / "ran.txt"
    text = f"open({str(marker)!r}, 'w').write('x')\n"
    events = (
        Event(kind="code", code=CodeUse(text=text, call_id="1")),
        Event(kind="code_result", code=CodeUse(call_id="1", exit_code=0, output="")),
    )
    run = ingest(db, RunRecord(source="multi-agent", events=events, task="mark", outcome="success"))
    skill = SkillExtractor(db).extract([run], name="mark").skill
    assert not marker.exists()
    assert [proof.level for proof in skill.proofs] == ["reconstructs"]
    assert skill.state == "draft"
    SkillExtractor(db).extract([run], name="mark", replay=True)
    assert marker.exists()


@pytest.mark.skipif(not DATA.exists(), reason="the shared agent runs are not here")
def test_real_successful_runs_give_proven_skills(db: Database) -> None:
    """Nearly every successful run of a public benchmark gives a proven skill without losing a write."""
    runs = RunRepository(db)
    for item in read_path(DATA):
        assert isinstance(item.value, RunRecord)
        runs.ingest(item.value)
    successes = [run for run in runs.list() if run.outcome == "success"]
    proven = 0
    for number, run in enumerate(successes):
        try:
            skill = SkillExtractor(db).extract([run.id], name=f"s{number}", force=True).skill
        except ExtractionError:
            continue
        proven += skill.state == "proven"
    assert proven >= 0.95 * len(successes), sys.version


def test_the_absolute_work_folder_of_a_run_is_not_tied_into_its_skill(db: Database, folder: Path) -> None:
    """Code that names its own folder is replayed in the scratch folder, and leaves the run's folder alone."""
    block = f"with open({str(folder / 'made.txt')!r}, 'w') as target:\n    target.write('made')\n"
    run = captured(Path(db.path), folder, block, task="Make made.txt")
    (folder / "made.txt").unlink()
    skill = SkillExtractor(db).extract([run], name="make").skill
    assert skill.state == "proven", skill.proofs
    assert not (folder / "made.txt").exists()
    assert str(folder) not in [one.default for one in skill.variables]


def test_blocks_that_share_names_become_one_node(db: Database, folder: Path) -> None:
    """Notebook-like blocks run in one process: a later one finds what an earlier one defined."""
    texts = (
        "numbers = [3, 4]\n",
        "with open('sum.txt', 'w') as target:\n    target.write(str(sum(numbers)))\n",
    )
    events = [
        event
        for number, text in enumerate(texts)
        for event in (
            Event(kind="code", code=CodeUse(text=text, call_id=str(number))),
            Event(kind="code_result", code=CodeUse(call_id=str(number), exit_code=0, output="")),
        )
    ]
    run = ingest(db, RunRecord(source="multi-agent", events=tuple(events), task="sum", outcome="success"))
    skill = SkillExtractor(db).extract([run], name="sum", replay=True).skill
    assert len(skill.nodes) == 1
    assert [proof.passed for proof in skill.proofs] == [True, True]


def test_a_part_of_a_run_asks_for_what_the_rest_of_it_gave(db: Database) -> None:
    """With a range of steps, a value that an earlier step's result gave must be given by hand."""
    calls = [
        ("find_user", {"email": "mia@example.org"}, {"account": "ACC-991177"}),
        ("refund", {"account_id": "ACC-991177", "card": "CARD-5531"}, {"ok": True}),
    ]
    record = chat(calls, task="Refund mia@example.org on CARD-5531")
    stepped = tuple(replace(event, step=1 if index < 3 else 2) for index, event in enumerate(record.events))
    run = ingest(db, replace(record, events=stepped))
    skill = SkillExtractor(db).extract([run], name="refund", steps="2").skill
    assert {one.name: one.required for one in skill.variables} == {"account_id": True, "card": True}


def test_a_figure_from_a_result_beats_the_same_digits_in_a_date(db: Database) -> None:
    """A number that a result holds under the argument's name is a flow, though a date has the same digits."""
    calls = [
        ("get_flight", {"flight": "HAT123"}, {"flight": "HAT123", "price": 2024}),
        ("book", {"flight": "HAT123", "price": 2024}, {"ok": True}),
    ]
    skill = SkillExtractor(db).extract([ingest(db, chat(calls, task="Book HAT123 on May 20 2024"))]).skill
    assert [node.tool for node in skill.nodes] == ["get_flight", "book"]


def test_names_inside_a_message_follow_the_record(db: Database) -> None:
    """A name that an earlier result gave is read from there also inside a longer text."""
    calls = [
        ("get_user", {"user_id": "c_8812"}, {"name": "Mia Li", "balance": 150}),
        ("send_mail", {"body": "Dear Mia Li, your balance is 150 USD."}, {"sent": True}),
    ]
    skill = SkillExtractor(db).extract([ingest(db, chat(calls, task="Write to c_8812"))]).skill
    body = skill.nodes[1].arguments["body"]
    assert resolve(body, {"user_id": "x"}, {"n1": {"name": "Bo Ek", "balance": 7}}) == (
        "Dear Bo Ek, your balance is 7 USD."
    )


def test_a_tool_call_between_blocks_keeps_its_place(db: Database) -> None:
    """Blocks that share names are not joined over a change; what cannot work is not proven."""
    first, second = "rows = [1]\n", "print(rows, open('orders.csv').read())\n"
    call = ToolUse(name="download_file", call_id="t", arguments='{"path":"orders.csv"}')
    events = (
        Event(kind="code", code=CodeUse(text=first, call_id="1")),
        Event(kind="code_result", code=CodeUse(call_id="1", exit_code=0, output="")),
        Event(kind="tool_call", tool=call),
        Event(kind="tool_result", role="tool", tool=replace(call, arguments=None, result='{"ok":true}')),
        Event(kind="code", code=CodeUse(text=second, call_id="2")),
        Event(kind="code_result", code=CodeUse(call_id="2", exit_code=0, output="[1] x")),
    )
    record = RunRecord(source="multi-agent", events=events, task="download and print", outcome="success")
    skill = SkillExtractor(db).extract([ingest(db, record)], name="torn").skill
    assert [node.kind for node in skill.nodes] == ["code", "tool", "code"]
    assert skill.state == "draft"
    assert any("rows" in failure for failure in skill.proofs[0].failures)


def test_errors_in_objects_are_failed_attempts(db: Database) -> None:
    """A result that is only an error is a failed attempt, as the executor will see it."""
    calls = [
        ("cancel_order", {"order_id": "W7701", "why": ""}, {"error": "a reason is needed"}),
        ("cancel_order", {"order_id": "W7701", "why": "asked for"}, {"status": "cancelled"}),
    ]
    skill = SkillExtractor(db).extract([ingest(db, chat(calls, task="Cancel W7701"))]).skill
    assert len(skill.nodes) == 1


def test_a_block_with_other_effects_is_never_superseded(db: Database, folder: Path) -> None:
    """A block that also changed a database stays, though its file was written again."""
    insert = (
        "import sqlite3\nledger = sqlite3.connect('ledger.db')\n"
        "ledger.execute('create table if not exists t (x)')\nledger.execute('insert into t values (1)')\n"
        "ledger.commit()\nopen('report.txt', 'w').write('one')\n"
    )
    run = captured(Path(db.path), folder, insert, "open('report.txt', 'w').write('two')\n", task="Do it")
    assert len(SkillExtractor(db).extract([run], name="ledger").skill.nodes) == 2
