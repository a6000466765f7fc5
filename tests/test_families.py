from __future__ import annotations

import pytest
from family_runs import cancel, look, record, refund, traced

from skillsmith.db import Database
from skillsmith.library.extractor import SkillExtractor
from skillsmith.library.families.groups import attempted, families, likeness
from skillsmith.library.families.merging import family_skill
from skillsmith.library.trace.align import TracedRun
from skillsmith.models import CodeUse, Event, RunRecord
from skillsmith.runs import RunRepository

ONE = traced("Please cancel order W7701", [look("W7701"), cancel("W7701")])
TWO = traced("Please cancel the orders W7702 and W7703", [cancel("W7702"), cancel("W7703")])
REFUND = traced("Refund order W7702: 44.75", [refund("W7702", 44.75)])


def test_runs_that_changed_the_same_things_are_a_family() -> None:
    """However often, whatever they looked at; one that is like no other stands alone."""
    found = families([ONE, REFUND, TWO])
    assert [(one.tools, len(one.runs)) for one in found] == [(("cancel_order",), 2), (("send_refund",), 1)]


def test_one_tool_for_everything_makes_no_family() -> None:
    """Tasks that share no words are told apart although they call the same tool."""
    runs = [
        traced("Archive old invoices", [("execute", {"command": "tar x"}, "ok")]),
        traced("Restart the web server", [("execute", {"command": "restart y"}, "ok")]),
        traced("Restart the mail server", [("execute", {"command": "restart z"}, "ok")]),
    ]
    assert sorted(len(one.runs) for one in families(runs)) == [1, 2]


def test_runs_that_only_look_are_told_by_what_they_look_at() -> None:
    """A look at orders and one at rates are two families, and neither is one of changes."""
    rates = traced("Show the rates", [("get_rates", {"currency": "EUR"}, {"EUR": 1.5})])
    shown = traced("Show order W7701", [look("W7701")])
    assert {one.tools for one in families([rates, shown, ONE])} == {
        ("get_rates",), ("get_order",), ("cancel_order",),
    }  # fmt: skip


def test_likeness_is_symmetric_and_one_for_the_same_task() -> None:
    """From 0 to 1."""
    assert likeness(ONE, ONE) == 1.0
    assert likeness(ONE, TWO) == likeness(TWO, ONE)
    assert 0.0 < likeness(ONE, TWO) < 1.0


def test_a_failed_run_belongs_to_the_family_whose_change_it_tried() -> None:
    """Also when the call failed; not when it never came to it."""
    (family,) = families([ONE, TWO])
    tried = traced(
        "Cancel order W7703",
        [("cancel_order", {"order_id": "W7703"}, "Error: it is sent")],
        outcome="failure",
    )
    assert attempted(tried, family)
    assert not attempted(traced("Cancel order W7703", [look("W7703")], outcome="failure"), family)


def test_stored_runs_are_grouped_with_their_failures(db: Database) -> None:
    """Runs that ran code stand alone: they are not lined up."""
    runs = RunRepository(db)
    good = [
        runs.ingest(record(f"Cancel the order {order}", [cancel(order)])).run.id
        for order in ("W7701", "W7702")
    ]
    bad = runs.ingest(record("Cancel the order W7703", [cancel("W7703")], outcome="failure")).run.id
    block = Event(kind="code", agent="engineer", code=CodeUse(language="python", text="print(1)"))
    coded = runs.ingest(
        RunRecord(source="x", events=(block,), task="Cancel the order", outcome="success")
    ).run.id
    found = SkillExtractor(db).families([run.id for run in runs.list()])
    assert [(sorted(one), failed) for one, failed in found] == [(sorted(good), [bad]), ([coded], [])]


def _closing(parcel: str, *, damaged: bool, first: bool, looked: int = 1) -> TracedRun:
    """Return a run that closes a parcel, and pays its owner back when a look shows damage."""
    seen = {"parcel": parcel, "damaged": damaged, "owner": f"c_{parcel}"}
    pay = ("refund_owner", {"owner": f"c_{parcel}"}, {"ok": True})
    close = ("close_parcel", {"parcel": parcel, "note": "done"}, {"ok": True})
    changes = [pay, close] if first else [close, pay]
    looks = [("get_parcel", {"parcel": parcel}, seen)] * looked
    return traced(
        f"Please close parcel {parcel}", [*looks, *(one for one in changes if damaged or one is close)]
    )


@pytest.mark.parametrize("first", [True, False])
def test_a_look_of_an_optional_step_tells_when_it_is_done(first: bool) -> None:
    """A look that other runs made and had no use for is the same look: one input, and a condition found."""
    damaged = {"PX-101": False, "PX-202": True, "PX-303": True, "PX-404": False}
    skill = family_skill([_closing(name, damaged=is_so, first=first) for name, is_so in damaged.items()])
    assert [one.name for one in skill.variables] == ["parcel"]
    (look,) = [node for node in skill.nodes if node.tool == "get_parcel"]
    (pay,) = [node for node in skill.nodes if node.tool == "refund_owner"]
    assert (look.condition, pay.condition) == (None, f"{look.id}.damaged == True")


def test_a_look_that_other_runs_did_not_make_is_taken_from_none_of_them() -> None:
    """Where a run without the optional step did not look, nothing is known of it, and the caller decides."""
    runs = [
        _closing("PX-101", damaged=False, first=False, looked=0),
        _closing("PX-202", damaged=True, first=False), _closing("PX-303", damaged=True, first=False),
        _closing("PX-404", damaged=False, first=False),
    ]  # fmt: skip
    skill = family_skill(runs)
    (pay,) = [node for node in skill.nodes if node.tool == "refund_owner"]
    assert pay.condition == "with_refund_owner"
