"""Tests of composing: twelve compositions that really run, what is refused and why, proofs, and chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orders
import parts
import pytest
from word_embedder import WordEmbedder

from skillsmith.errors import (
    ExecutionError,
    NearDuplicateError,
    NotFoundError,
    RefusedError,
    SecretFoundError,
    SkillsmithError,
    UntrustedError,
    UsageError,
)
from skillsmith.library.composer import Composition
from skillsmith.library.exchange import export_skills, import_files, trust
from skillsmith.library.execution.outcome import ExecutionResult
from skillsmith.library.tools.callables import module_tools
from skillsmith.models import FromNode, Skill, Variable
from skillsmith.workspace import Workspace, open_workspace


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Return a library with seven small proven skills, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    orders.JOURNAL.clear()
    with open_workspace(tmp_path / "x.db", _embedder=None) as workspace:
        for skill in parts.LIBRARY:
            workspace.skills.add(skill)
        yield workspace


def execute(work: Workspace, skill: Skill, task: str = "", **inputs: Any) -> ExecutionResult:
    """Execute a skill in the folder ``out``, with the shop's tools."""
    executor = work.executor(tools=module_tools("orders"), work_dir=Path("out"))
    return executor.execute_skill(skill, {"task": task, "inputs": inputs})


def wiring(composition: Composition) -> dict[str, str]:
    """Return where each input of each part comes from."""
    return {f"{wire.part}.{wire.input}": wire.source for wire in composition.wiring}


# ------------------------------------------------------------------------ twelve that are executed


@dataclass(frozen=True)
class Case:
    """One composition, how it is executed, and what has to come of it."""

    skills: tuple[str, ...]
    pattern: str = "sequential"
    more: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    journal: tuple[tuple[Any, ...], ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    first: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = ()


KEEP_AND_REPORT = (("load_table", "keep_large", "write_report"), {"name": "reporting"})
END_ORDER: tuple[tuple[str, ...], dict[str, Any]] = (
    ("find_order", "cancel_order", "refund_order"),
    {"name": "end_order", "pattern": "conditional", "when": "find_order.status == 'pending'",
     "wires": ["refund_order.amount=find_order.total"]},
)  # fmt: skip
CASES = {
    "two in sequence": Case(
        ("load_table", "keep_large"), inputs={"limit": 4}, outputs={"kept": 2, "count": 3}
    ),
    "three in sequence": Case(
        KEEP_AND_REPORT[0], inputs={"limit": 6, "heading": "Large"}, outputs={"lines": 2},
        files={"report.txt": "Large\nc"},
    ),
    "a file from one to the next": Case(
        ("load_table", "write_report", "count_words"), inputs={"target": "own.txt"},
        outputs={"words": 4, "report": "own.txt"}, files={"own.txt": "Report\na\nb\nc"},
    ),
    "tools, wired by name": Case(
        ("find_order", "cancel_order"), inputs={"order_id": "ORD-1", "reason": "too late"},
        outputs={"cancelled": "ORD-1", "status": "pending"}, journal=(("cancel", "ORD-1", "too late"),),
    ),
    "tools, wired by hand": Case(
        ("find_order", "refund_order"), more={"wires": ["refund_order.amount=find_order.total"]},
        inputs={"order_id": "ORD-2"}, outputs={"refunded": 40.0}, journal=(("refund", "ORD-2", 40.0),),
    ),
    "side by side": Case(
        ("load_table", "find_order"), "parallel", inputs={"order_id": "ORD-2"},
        outputs={"count": 3, "status": "shipped"},
    ),
    "the same twice, side by side": Case(
        ("low=keep_large", "high=keep_large"), "parallel",
        more={"wires": ["low.rows=rows", "high.rows=rows", "high.limit=upper"]},
        inputs={"rows": [{"name": "p", "value": 3}, {"name": "q", "value": 7}], "limit": 1, "upper": 5},
        outputs={"low_kept": 2, "high_kept": 1},
    ),
    "one branch or the other, the first": Case(
        END_ORDER[0], "conditional", more=END_ORDER[1], inputs={"order_id": "ORD-1"},
        outputs={"cancelled": "ORD-1"}, journal=(("cancel", "ORD-1", "changed my mind"),),
    ),
    "one branch or the other, the second": Case(
        END_ORDER[0], "conditional", more=END_ORDER[1], inputs={"order_id": "ORD-2"},
        outputs={"refunded": 40.0}, journal=(("refund", "ORD-2", 40.0),),
    ),
    "three branches on an input of the whole": Case(
        ("load_table", "find_order", "cancel_order"), "conditional",
        more={"when": ["mode == 'table'", "mode == 'look'"],
              "inputs": [Variable(name="mode", type="string", default="table")]},
        inputs={"mode": "look", "order_id": "ORD-2"}, outputs={"status": "shipped"},
    ),
    "a sequence inside a sequence": Case(
        ("reporting", "count_words"), inputs={"limit": 0, "heading": "All of it"}, outputs={"words": 6},
        files={"report.txt": "All of it\na\nb\nc"}, first=(KEEP_AND_REPORT,),
    ),
    "branches and a sequence side by side, three deep": Case(
        ("end_order", "counted"), "parallel", inputs={"order_id": "ORD-2", "limit": 4},
        outputs={"refunded": 40.0, "words": 3}, journal=(("refund", "ORD-2", 40.0),),
        first=(KEEP_AND_REPORT, END_ORDER, (("reporting", "count_words"), {"name": "counted"})),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_composed_skills_execute(work: Workspace, case: Case) -> None:
    """Each pattern, nested or not, is proven, and does with new inputs what its parts do with them."""
    for skills, options in case.first:
        work.composer.compose(skills, **options)
    composed = work.composer.compose(case.skills, **{"pattern": case.pattern, "name": "whole", **case.more})
    assert composed.skill.state == "proven", composed.problems
    assert composed.problems == ()
    result = execute(work, composed.skill, **case.inputs)
    assert result.success, result.error
    assert {name: result.outputs[name] for name in case.outputs} == case.outputs
    assert tuple(orders.JOURNAL) == case.journal
    for path, content in case.files.items():
        assert (Path("out") / path).read_text() == content
    assert work.skills.get(composed.skill.name) == replace(composed.skill, examples=())
    assert work.versions.get_version_history(composed.skill.name)[0].lineage["skills"]


def test_branches_that_are_not_taken_do_nothing(work: Workspace) -> None:
    """Of two branches one is skipped, and the outputs of the other are all there is."""
    composed = work.composer.compose(END_ORDER[0], **END_ORDER[1])
    result = execute(work, composed.skill, order_id="ORD-2")
    assert {node.node_id: node.status for node in result.nodes if "/" not in node.node_id} == {
        "find_order": "done", "cancel_order": "skipped", "refund_order": "done",
    }  # fmt: skip
    assert "cancelled" not in result.outputs
    assert set(composed.skill.outputs["required"]) == {"order_id", "status", "total"}
    assert [node.condition for node in composed.skill.nodes] == [
        None, "find_order.status == 'pending'", "not (find_order.status == 'pending')",
    ]  # fmt: skip


# --------------------------------------------------------------------------------- what is refused


def _with(work: Workspace, *skills: Skill) -> None:
    for skill in skills:
        work.skills.add(skill)


def _bad_skills(work: Workspace) -> None:
    text = parts.given("rows", "string", required=True)
    maybe = replace(parts.cancel_order(), name="maybe")
    maybe = replace(
        maybe, outputs={"type": "object"}, nodes=(replace(maybe.nodes[0], condition="reason == 'x'"),)
    )
    _with(
        work,
        parts.code_part("upper", "print({rows})", text, out={}),
        replace(parts.load(), name="foreign", state="quarantined"),
        replace(parts.load(), name="old", state="retired"),
        replace(parts.load(), name="fresh", state="draft"),
        maybe,
        parts.code_part("copy", "x = 1", out={"copy": "path"}, writes=("report.txt",)),
    )
    trust(work.skills, "maybe")
    work.composer.compose(("load_table", "keep_large"), name="inner")


REFUSED: dict[str, tuple[tuple[str, ...], dict[str, Any], type[SkillsmithError], str]] = {
    "an unknown part": (("load_table", "keep_smal"), {}, NotFoundError, "no skill 'keep_smal'"),
    "an unknown version": (("load_table@7",), {}, NotFoundError, "has no version 7"),
    "nothing": ((), {"name": "n"}, UsageError, "no skills are named"),
    "an unknown pattern": (("load_table",), {"pattern": "loop"}, UsageError, "no pattern 'loop'"),
    "a part in quarantine": (("foreign", "keep_large"), {}, UntrustedError, "foreign@1 is in quarantine"),
    "a retired part": (("old", "keep_large"), {}, RefusedError, "old@1 is retired"),
    "a draft": (("fresh", "keep_large"), {}, RefusedError, "fresh@1 is a draft: nothing has proven"),
    "itself": (("inner", "write_report"), {"name": "inner"}, UsageError, "cannot be a part of itself"),
    "a circle": (
        ("inner", "write_report"), {"name": "load_table"}, UsageError,
        "would contain itself: load_table → inner → load_table",
    ),
    "types that clash by name": (
        ("load_table", "upper"), {}, UsageError, "upper.rows: it takes string, and load_table.rows is list",
    ),
    "types that clash by hand": (
        ("load_table", "write_report"), {"wires": ["write_report.rows=load_table.count"]}, UsageError,
        "it takes list, and load_table.count is number",
    ),
    "inputs that clash": (
        ("keep_large", "upper"), {"pattern": "parallel", "wires": ["keep_large.rows=r", "upper.rows=r"]},
        UsageError, "upper.rows: it takes string, and the input r is list",
    ),
    "names that clash": (
        ("a=keep_large", "b=keep_large"),
        {"pattern": "parallel", "wires": ["a.rows=x", "b.rows=y"],
         "inputs": [Variable(name="m", type="string"), Variable(name="m", type="list")]},
        UsageError, "the input m is declared twice",
    ),
    "labels that clash": (("a=load_table", "a=keep_large"), {}, UsageError, "two parts are labelled a"),
    "an output that may be missing": (
        ("maybe", "refund_order"), {"wires": ["refund_order.order_id=maybe.cancelled"]}, UsageError,
        "maybe.cancelled may be missing",
    ),
    "an unknown input": (
        ("load_table", "keep_large"), {"wires": ["keep_large.lines=load_table.rows"]}, UsageError,
        "keep_large takes no lines; it takes rows, limit",
    ),
    "an unknown output": (
        ("load_table", "keep_large"), {"wires": ["keep_large.rows=load_table.lines"]}, UsageError,
        "load_table gives no lines; it gives rows, count",
    ),
    "a wire from a later part": (
        ("keep_large", "load_table"), {"wires": ["keep_large.rows=load_table.rows"]}, UsageError,
        "load_table is not done before keep_large",
    ),
    "a wire between parts side by side": (
        ("load_table", "keep_large"),
        {"pattern": "parallel", "wires": ["keep_large.rows=load_table.rows"]}, UsageError,
        "load_table is not done before keep_large",
    ),
    "a malformed wire": (("load_table",), {"wires": ["table"]}, UsageError, "not written PART.INPUT"),
    "one file made by two at once": (
        ("write_report", "copy"), {"pattern": "parallel"}, UsageError, "both make report.txt, side by side",
    ),
    "a file read while it is made": (
        ("write_report", "count_words"), {"pattern": "parallel"}, UsageError,
        "count_words reads report.txt, which write_report makes: compose them sequentially",
    ),
    "no condition": (
        ("load_table", "find_order"), {"pattern": "conditional"}, UsageError, "needs a condition",
    ),
    "a condition in a sequence": (("load_table",), {"when": "1 < 2"}, UsageError, "takes no --when"),
    "a condition on nothing known": (
        ("load_table", "find_order"), {"pattern": "conditional", "when": "mode == 'x'"}, UsageError,
        "reads mode, which no part takes or gives",
    ),
    "a condition on an unknown output": (
        END_ORDER[0], {"pattern": "conditional", "when": "find_order.colour == 'red'"}, UsageError,
        "reads find_order.colour, but find_order gives order_id, status, total",
    ),
    "a condition that is no expression": (
        ("load_table", "find_order"), {"pattern": "conditional", "when": "import os"}, UsageError,
        "is no valid expression",
    ),
    "more conditions than branches": (
        ("load_table", "find_order"), {"pattern": "conditional", "when": ["1 < 2", "2 < 3", "3 < 4"]},
        UsageError, "3 conditions are for 3 or 4 branches, and there are 2",
    ),
    "no branch left": (
        ("load_table", "find_order"), {"pattern": "conditional", "when": "find_order.total > 1"}, UsageError,
        "nothing is left to be done under the condition",
    ),
    "no name": (("load_table",), {"name": "Load It"}, UsageError, "'Load It' is no skill name"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_ill_formed_is_refused_with_the_reason(work: Workspace, case: Any) -> None:
    """Nothing is stored and nothing has run; the error says what is wrong."""
    _bad_skills(work)
    before = work.skills.counts(), work.runs.list()
    skills, options, error, words = case
    with pytest.raises(error) as caught:
        work.composer.compose(skills, **{"name": "whole", **options})
    assert words in caught.value.message
    assert work.skills.counts() == before[0]
    assert orders.JOURNAL == []


def test_a_part_that_a_part_calls_must_be_fit_too(work: Workspace) -> None:
    """What was proven when it was composed may have been retired since."""
    work.composer.compose(("load_table", "keep_large"), name="inner")
    work.skills.set_state("keep_large@1", "retired")
    with pytest.raises(RefusedError, match="keep_large@1, which inner@1 calls, is retired"):
        work.composer.compose(("inner", "write_report"), name="whole")


def test_a_composed_twin_is_a_near_duplicate(work: Workspace) -> None:
    """As with extraction: refused under another name, a new version under its own, both with force."""
    work.composer.compose(("load_table", "keep_large"), name="one")
    with pytest.raises(NearDuplicateError, match="skill 'one' is composed the same way"):
        work.composer.compose(("load_table", "keep_large"), name="two")
    forced = work.composer.compose(("load_table", "keep_large"), name="two", force=True)
    assert forced.duplicates == ({"name": "one", "version": 1, "similarity": 1.0},)
    again = work.composer.compose(("load_table", "keep_large", "write_report"), name="one")
    assert again.skill.version == 2


def test_secrets_are_refused(work: Workspace) -> None:
    """A composed skill holds no key either."""
    secret = parts.given("heading", "string", default="AKIAIOSFODNN7EXAMPLQ")
    _with(work, parts.code_part("shout", "print({heading})", secret, out={}))
    with pytest.raises(SecretFoundError):
        work.composer.compose(("load_table", "shout"), name="whole")
    assert work.composer.compose(("load_table", "shout"), name="whole", allow_secrets=True).skill.version == 1


# -------------------------------------------------------------------------------------------- wiring


def test_every_input_has_its_wire_with_a_reason(work: Workspace) -> None:
    """Name, file, and what stays with the user, each with why."""
    composed = work.composer.compose(("load_table", "keep_large", "write_report", "count_words"), name="w")
    assert wiring(composed) == {
        "load_table.table": "input table",
        "keep_large.rows": "load_table.rows", "keep_large.limit": "input limit",
        "write_report.rows": "keep_large.rows", "write_report.heading": "input heading",
        "write_report.target": "input target", "count_words.document": "write_report.report",
    }  # fmt: skip
    by_rule = {wire.rule: wire.reason for wire in composed.wiring}
    assert by_rule["same-name"] == "both have the same name"
    assert by_rule["same-file"] == "write_report makes report.txt, which count_words takes"
    assert {one.subject: one.rule for one in composed.skill.why}["count_words.document"] == "same-file"
    assert composed.skill.task_pattern.endswith("then count the words of the report")


@pytest.mark.parametrize(
    ("gives", "takes", "rule"),
    [
        (("clean_rows", "list"), parts.given("rows_to_plot", "list", required=True), "only-one"),
        (("clean_rows", "list"), parts.given("clean_data", "list", required=True), "words"),
        (("clean_rows", "list"), parts.given("data", "list", description="the cleaned rows"), "words"),
        (
            ("reservation_id", "str"),
            parts.given("first_name", "string", description="of a reservation"),
            "input",
        ),
        (("found", "list"), parts.given("people", "list", required=True), "only-one"),
        (("customer_mail", "str"), parts.given("mail", "string"), "words"),
        (("customer_mail", "str"), parts.given("subject", "string"), "input"),
        (("found", "str"), parts.given("people", "list", required=True), "input"),
        (("found", "list"), parts.given("people", "list", default=["Ann"]), "input"),
        (("total", "num"), parts.given("total", "id", required=True), "same-name"),
    ],
)
def test_types_and_words_wire_what_names_do_not(
    work: Workspace, gives: tuple[str, str], takes: Variable, rule: str
) -> None:
    """Lists by being the only ones, texts only where the words agree; nothing against its type."""
    _with(
        work,
        parts.tool_part("give", "a_tool", out=dict([gives])),
        parts.tool_part("take", "b_tool", takes, out={"done": "str"}),
    )
    composed = work.composer.compose(("give", "take"), name="whole")
    assert [wire.rule for wire in composed.wiring] == [rule]


def test_fields_of_an_output_are_wired_by_name(work: Workspace) -> None:
    """Extracted skills give one object, ``result``; what the next needs stands inside it."""
    result = {"type": "object", "properties": {"user": {"type": "object", "properties": {
        "email": {"type": "string"}}}}}  # fmt: skip
    outer = {"type": "object", "properties": {"result": result}, "required": ["result"]}
    look = replace(
        parts.tool_part("look", "a_tool", out={"result": "dict"}), outputs=outer,
        output_bindings={"result": FromNode("n1")},
    )  # fmt: skip
    _with(work, look, parts.tool_part("send", "b_tool", parts.given("email", "email"), out={"done": "str"}))
    composed = work.composer.compose(("look", "send"), name="whole")
    assert wiring(composed) == {"send.email": "look.result.user.email"}
    assert composed.skill.nodes[1].arguments["email"] == FromNode("look", ("result", "user", "email"))


def test_inputs_are_shared_when_they_are_the_same_and_prefixed_when_they_are_not(work: Workspace) -> None:
    """Equal ones become one; different ones keep their names with the part's before them."""
    other = replace(parts.keep(), name="keep_other", variables=(
        parts.keep().variables[0], parts.given("limit", "number", default=100)))  # fmt: skip
    _with(work, other)
    composed = work.composer.compose(("keep_large", "keep_other"), pattern="parallel", name="whole")
    assert wiring(composed) == {
        "keep_large.rows": "input rows", "keep_other.rows": "input rows",
        "keep_large.limit": "input keep_large_limit", "keep_other.limit": "input keep_other_limit",
    }  # fmt: skip
    assert [wire.rule for wire in composed.wiring] == ["shared", "prefixed", "shared", "prefixed"]
    assert sorted(composed.skill.output_bindings) == [
        "keep_large_kept", "keep_large_rows", "keep_other_kept", "keep_other_rows",
    ]  # fmt: skip


def test_wires_by_hand_win(work: Workspace) -> None:
    """An input can be left to the user, named anew, or share what another part gets."""
    composed = work.composer.compose(
        ("load_table", "keep_large", "write_report"), name="whole",
        wires=["write_report.rows=load_table.rows", "keep_large.rows=", "write_report.heading=title"],
    )  # fmt: skip
    assert wiring(composed)["write_report.rows"] == "load_table.rows"
    assert wiring(composed)["keep_large.rows"] == "input rows"
    assert wiring(composed)["write_report.heading"] == "input title"
    shared = work.composer.compose(
        ("find_order", "refund_order"), name="both", pattern="parallel",
        wires=["refund_order.order_id=find_order.order_id"],
    )  # fmt: skip
    assert wiring(shared)["refund_order.order_id"] == "input order_id"


# -------------------------------------------------------------------------------------------- proofs


def test_code_is_proven_by_running_it(work: Workspace) -> None:
    """The whole is run, then its parts by hand; without that it stays a draft that says so."""
    composed = work.composer.compose(("load_table", "keep_large", "write_report"), name="whole")
    assert [(proof.level, proof.passed) for proof in composed.skill.proofs] == [
        ("reconstructs", True), ("replays", True),
    ]  # fmt: skip
    assert composed.skill.proofs[1].detail["parts_run"] == 3
    assert not list(work.runs.list())
    assert not (Path("skillsmith-runs")).exists()
    unrun = work.composer.compose(("load_table", "keep_large"), name="unrun", replay=False)
    assert (unrun.skill.state, unrun.problems) == (
        "draft",
        ("its code was not run: compose it with --replay",),
    )


@pytest.mark.parametrize(
    ("code", "out", "words"),
    [
        ("raise SystemExit(3)", {}, "broken/n1: exit code 3"),
        ("import uuid\nopen('id.txt', 'w').write(str(uuid.uuid4()))", {"id": "path"},
         "id.txt: it is not the file"),
        ("import os\nprint('{\"done\": \"' + os.urandom(9).hex('-') + '\"}')", {"done": "str"},
         "broken: its outputs differ"),
    ],
)  # fmt: skip
def test_what_does_not_work_is_a_draft(work: Workspace, code: str, out: dict[str, str], words: str) -> None:
    """A whole that fails, or does something else than its parts, is stored with the failed proof."""
    writes = ("id.txt",) if "id" in out else ()
    _with(work, parts.code_part("broken", code, out=out, writes=writes))
    composed = work.composer.compose(("load_table", "broken"), name="whole")
    assert composed.skill.state == "draft"
    assert any(words in problem for problem in composed.problems), composed.problems


def test_a_replay_never_writes_outside(work: Workspace, tmp_path: Path) -> None:
    """A recorded path that leads elsewhere is a failed proof, and the file there stays as it is."""
    target = tmp_path / "precious.txt"
    target.write_text("mine")
    required = parts.given("target", "path", default=str(target), required=True)
    rows, heading, _ = parts.report().variables
    _with(work, replace(parts.report(), variables=(rows, heading, required)))
    composed = work.composer.compose(("load_table", "write_report"), name="whole")
    assert composed.skill.state == "draft"
    assert "leads out of the scratch folder" in composed.problems[0]
    assert target.read_text() == "mine"


def test_wires_are_tried_on_what_parts_really_gave(work: Workspace) -> None:
    """An order's id that is no number fails the proof of a wire that needs one."""
    number = parts.given("count", "integer", default=1, required=True)
    _with(work, parts.tool_part("ship", "ship", number, out={"done": "str"}))
    found = work.skills.get("find_order")
    untyped = replace(found, outputs={"type": "object", "required": ["status", "order_id", "total"]})
    stored = work.skills.add(replace(untyped, body="untyped"))
    assert execute(work, stored, order_id="ORD-2").success
    good = work.composer.compose(("find_order", "ship"), name="good", wires=["ship.count=find_order.total"])
    assert good.skill.proofs[0].detail["recorded_values"] == 1
    assert good.skill.state == "proven"
    bad = work.composer.compose(("find_order", "ship"), name="bad", wires=["ship.count=find_order.status"])
    assert bad.skill.state == "draft"
    assert "find_order.status in execution" in bad.problems[0]


# -------------------------------------------------------------------------------- like any other skill


def test_parts_are_pinned(work: Workspace) -> None:
    """A new version of a part changes nothing of what was composed and proven; the old one is kept."""
    composed = work.composer.compose(("load_table", "keep_large"), name="whole")
    _with(work, parts.keep(body="new"))
    assert [node.tool for node in composed.skill.nodes] == ["load_table@1", "keep_large@1"]
    with pytest.raises(RefusedError, match="whole calls keep_large"):
        work.skills.delete("keep_large@1")


def test_a_composed_skill_is_exported_whole(work: Workspace, tmp_path: Path) -> None:
    """Its parts go with it, and it runs on another machine once all are trusted."""
    composed = work.composer.compose(("load_table", "keep_large", "write_report"), name="whole")
    files = export_skills(work.skills, ["whole"], tmp_path / "shared")
    assert len(files) == 4
    with open_workspace(tmp_path / "other.db", _embedder=None) as other:
        report = import_files(other.skills, [tmp_path / "shared"])
        assert sorted(report.quarantined) == ["keep_large@1", "load_table@1", "whole@1", "write_report@1"]
        with pytest.raises(UntrustedError):
            execute(other, other.skills.get("whole"))
        for name in report.quarantined:
            trust(other.skills, name)
        assert execute(other, other.skills.get("whole"), limit=6).outputs["lines"] == 2
        assert other.skills.document("whole")["digest"] == work.skills.document(composed.skill.id)["digest"]


def test_a_composed_skill_reads_files_of_the_user(work: Workspace) -> None:
    """A file that an inner part reads is brought in, as for a skill of its own; a missing one is named."""
    composed = work.composer.compose(("load_table", "keep_large"), name="whole")
    Path("mine.csv").write_text("name,value\nz,50\n")
    assert execute(work, composed.skill, table="mine.csv").outputs["rows"] == [{"name": "z", "value": 50.0}]
    with pytest.raises(UsageError, match=r"input 'table': there is no file nothing.csv"):
        execute(work, composed.skill, table="nothing.csv")


def test_a_composed_skill_is_matched(tmp_path: Path) -> None:
    """A task for the whole finds the whole, and its words bind the inputs of the parts."""
    with open_workspace(tmp_path / "m.db", _embedder=WordEmbedder()) as work:
        _with(work, *parts.LIBRARY)
        work.composer.compose(("load_table", "keep_large", "write_report"), name="whole")
        task = (
            "Load the table sales.csv; then keep the rows above 7; then write a report headed Sales to s.txt"
        )
        (best, *_) = work.matcher.match(task, min_confidence=0.0).matches
        assert best.name == "whole"
        assert best.inputs["limit"] == 7
        assert work.matcher.match("Count the words of letter.txt", min_confidence=0.0).matches[0].name == (
            "count_words"
        )


def test_the_specifications_names_work(work: Workspace) -> None:
    """``compose_skills`` names the skill after its parts."""
    skill = work.composer.compose_skills(["load_table", "keep_large"])
    assert (skill.name, skill.state) == ("load_table_keep_large", "proven")


def test_too_deep_is_refused(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A composition that could not be executed is not stored."""
    monkeypatch.setattr("skillsmith.library.program.graph.MAX_STOPS", 10)
    with pytest.raises(ExecutionError, match="more than 10 nodes"):
        work.composer.compose(("load_table", "keep_large", "write_report", "count_words"), name="whole")
    assert not work.skills.exists("whole")
