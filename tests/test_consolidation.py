"""Which skills are too alike, and what is proposed about them."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from typing import Any

import pytest
from cli_process import Cli

from skillsmith.db import Database
from skillsmith.library.analytics import SkillAnalytics
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.reporting.consolidation import Consolidator
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Constant, Execution, FromInput, Node, Skill, Variable
from skillsmith.runs import RunRepository
from skillsmith.workspace import open_workspace


def skill(name: str, *tools: str, **fields: Any) -> Skill:
    """Return a skill that calls tools with an order's id."""
    nodes = tuple(
        Node(id=f"n{number}", kind="tool", tool=tool, arguments={"order_id": FromInput("order_id")})
        for number, tool in enumerate(tools, 1)
    )
    usual: dict[str, Any] = {
        "state": "proven", "description": f"Does {' and '.join(tools)}".replace("_", " "),
        "variables": (Variable(name="order_id", type="id", default="W1", required=True),),
    }  # fmt: skip
    return Skill(name=name, nodes=nodes, **(usual | fields))


def used(db: Database, name: str, *verdicts: bool) -> None:
    """Record executions of a skill."""
    now = time.time()
    for success in verdicts:
        ExecutionLedger(db).record(Execution(
            id="", skill=name, version=1, run_id=None, task="t", started_at=now, completed_at=now + 1,
            duration_seconds=1.0, success=success, error=None, inputs={}, outputs={}, adaptations=(),
            cost_usd=0.0,
        ))  # fmt: skip


def test_of_two_that_do_the_same_the_worse_proven_goes(db: Database) -> None:
    """Equal structure means retire; evidence decides which, not age or name."""
    skills = SkillRepository(db)
    skills.add(skill("a_cancel", "get_order", "cancel_order"))
    skills.add(skill("b_cancel", "get_order", "cancel_order"))
    skills.add(skill("weather", "get_weather"))
    used(db, "b_cancel", True, True, True)
    used(db, "a_cancel", False)
    (found,) = SkillAnalytics(db).consolidation_candidates()
    assert (found.kind, found.keep, found.other, found.similarity) == ("retire", "b_cancel", "a_cancel", 1.0)
    assert found.command == "skillsmith delete a_cancel"
    assert "3 of 3 succeeded, 0 of 1" in found.reason
    ((keep, other, similarity),) = SkillAnalytics(db).recommend_skill_consolidation()
    assert (keep.name, other.name, similarity) == ("b_cancel", "a_cancel", 1.0)
    skills.set_state("a_cancel", "retired")
    assert SkillAnalytics(db).consolidation_candidates() == ()


def test_the_same_steps_with_other_values_are_one_family(db: Database) -> None:
    """They are to be made one skill from all their runs, with the command that does it."""
    runs, skills = RunRepository(db), SkillRepository(db)
    ids = [runs.create(f"Report as {form}").id for form in ("png", "pdf")]
    for form, run in zip(("png", "pdf"), ids, strict=True):
        node = Node(id="n1", kind="tool", tool="report", arguments={"form": Constant(form)})
        skills.add(Skill(
            name=f"report_{form}", nodes=(node,), state="proven", source_run_ids=(run,),
            description=f"Make the monthly sales report as {form}",
        ))  # fmt: skip
    (found,) = Consolidator(db).candidates()
    assert (found.kind, found.parts["steps"], found.parts["structure"]) == ("merge", 1.0, 0.0)
    assert found.command == f"skillsmith extract {' '.join(sorted(ids))} --name report_png"


def test_one_that_does_more_specialises_the_other(db: Database) -> None:
    """The skill with fewer steps is the general one, and both stay."""
    skills = SkillRepository(db)
    run = RunRepository(db).create("x").id
    skills.add(skill("whole", "get_order", "cancel_order", "refund_order", source_run_ids=(run,)))
    skills.add(skill("part", "get_order", "cancel_order", source_run_ids=(run,)))
    (found,) = Consolidator(db).candidates()
    assert (found.kind, found.keep, found.other, found.shared_runs) == (
        "specialises",
        "part",
        "whole",
        (run,),
    )
    assert found.command == ""


def test_the_same_task_done_in_two_ways_is_a_choice(db: Database) -> None:
    """Other steps for the very same words: the better one is named, nothing is merged."""
    skills = SkillRepository(db)
    words = {"description": "Convert quarterly invoices into the accounting ledger format"}
    skills.add(skill("one_way", "read_sheet", "post", **words))
    skills.add(skill("one_way_b", "fetch_page", "write_rows", **words))
    used(db, "one_way_b", True, True)
    (found,) = Consolidator(db).candidates()
    assert (found.kind, found.keep) == ("choose", "one_way_b")


def test_unlike_skills_and_empty_libraries_are_left_alone(db: Database) -> None:
    """What shares a common tool or a word is not alike."""
    assert Consolidator(db).candidates() == ()
    skills = SkillRepository(db)
    for number, topic in enumerate(("weather of a town", "price of a share", "length of a river")):
        skills.add(skill(f"s{number}", "fetch", f"parse_{number}", description=f"Find the {topic}"))
    assert Consolidator(db).candidates() == ()


def test_a_large_library_is_compared_within_groups(db: Database) -> None:
    """Of three hundred skills with one structure each worse one is named once, beside the best."""
    skills = SkillRepository(db)
    for number in range(300):
        skills.add(skill(f"copy_{number:03d}", "get_order"))
    used(db, "copy_123", True)
    found = Consolidator(db).candidates(limit=0)
    retire = [one for one in found if one.kind == "retire"]
    assert len(retire) == len({one.other for one in retire}) == 299
    assert {one.keep for one in retire} == {"copy_123"}
    assert len(Consolidator(db).candidates(limit=5)) == 5


class Near:
    """An embedder that sees three kinds of text."""

    model, dimension = "near#test", 8

    def embed(self, texts: Any) -> list[bytes]:
        """Return a unit vector for each text, by a word in it."""
        kinds = {"refund": (1.0, 0.0, 0.0), "money": (0.995, 0.09987, 0.0)}
        found = [
            next((kinds[word] for word in kinds if word in text.lower()), (0.0, 0.0, 1.0)) for text in texts
        ]
        return [struct.pack("<8f", *vector, *[0.0] * 5) for vector in found]


def test_vectors_find_what_words_do_not(db: Database) -> None:
    """Two wordings of one task with nothing in common are found where there are vectors."""
    skills = SkillRepository(db)
    skills.add(skill("r1", "pay_back", description="Refund a customer"))
    skills.add(skill("m1", "return_cash", description="Money goes home again"))
    skills.add(skill("w1", "get_weather", description="Tell whether it rains"))
    assert Consolidator(db).candidates() == ()
    VectorIndex(db, Near()).sync()
    (found,) = Consolidator(db).candidates()
    assert (found.kind, {found.keep, found.other}) == ("choose", {"r1", "m1"})
    assert found.parts["vector"] == pytest.approx(0.995, abs=1e-3)


def test_the_commands_draw_write_and_refuse(tmp_path: Any) -> None:
    """`analytics` and `usage` show charts and tables, CSV and JSON; what is unknown is a clear error."""
    cli = Cli(tmp_path, tmp_path / "x.db")
    with open_workspace(cli.db) as workspace:
        for name in ("cancel", "cancel_again"):
            workspace.skills.add(skill(name, "get_order", "cancel_order"))
        used(workspace.db, "cancel", True, True, False)
    shown = cli.inside("analytics", "--days", "0").stdout
    for words in (
        "2 (2 proven)",
        "executions a day (UTC)",
        "█",
        "best by success rate",
        "too alike",
        "delete",
    ):
        assert words in shown
    table = cli.inside("analytics", "--days", "0", "--csv").stdout.splitlines()
    assert (table[0].split(",")[0], table[1].split(",")[0]) == ("skill", "cancel")
    document = cli.json("analytics", "--days", "0", "--by", "executions")
    assert (document["metric"], document["top"][0]["executions"]) == ("executions", 3)
    assert document["consolidation"][0]["kind"] == "retire"
    usage = cli.inside("usage", "cancel", "--days", "0").stdout
    assert "failures a day" in usage
    assert "67% (95 % sure: " in usage
    points = cli.inside("usage", "cancel", "--days", "7", "--csv").stdout.splitlines()
    assert (len(points), points[0].split(",")[0]) == (8, "start")
    assert cli.inside("usage", "cancle").code == 3
    assert cli.inside("analytics", "--by", "fame").code == 2


def test_drafts_lose_against_proven_ones(db: Database) -> None:
    """Without executions the state decides, and what is in quarantine is never the one to keep."""
    skills = SkillRepository(db)
    skills.add(replace(skill("old_draft", "get_order", "cancel_order"), state="draft"))
    skills.add(skill("new_proven", "get_order", "cancel_order"))
    (found,) = Consolidator(db).candidates()
    assert (found.keep, found.other) == ("new_proven", "old_draft")
