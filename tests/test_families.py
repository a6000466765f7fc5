from __future__ import annotations

from family_runs import cancel, look, record, refund, traced

from skillsmith.db import Database
from skillsmith.library.extractor import SkillExtractor
from skillsmith.library.families.groups import attempted, families, likeness
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
