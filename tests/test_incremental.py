"""Drafts from a run that goes on: from completed steps only, resumable, and given way to the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_process import Cli

from skillsmith.db import Database
from skillsmith.errors import ExtractionError, NotFoundError, UsageError
from skillsmith.events import EventLog
from skillsmith.library.extractor import SkillExtractor
from skillsmith.library.incremental import CONTEXT_EVENTS, IncrementalSkillExtractor
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Event, ToolUse
from skillsmith.runs import RunRepository
from skillsmith.workspace import open_workspace


def step(number: int, order: str, *deeds: str) -> list[Event]:
    """Return the events of a step in which a person names an order and the tools work on it."""
    events = [
        Event(kind="message", role="user", agent="user", step=number, content=f"See to order {order} now")
    ]
    for deed in deeds or ("cancel_order",):
        call = f"{deed}-{number}"
        arguments = json.dumps({"order_id": order})
        events += [
            Event(kind="tool_call", step=number, tool=ToolUse(name=deed, call_id=call, arguments=arguments)),
            Event(kind="tool_result", step=number, role="tool",
                  tool=ToolUse(name=deed, call_id=call, result=f'{{"done": "{deed} of {number}"}}')),
        ]  # fmt: skip
    return events


class Going:
    """A run that goes on."""

    def __init__(self, db: Database) -> None:
        self.runs, self.log = RunRepository(db), EventLog(db)
        self.id = self.runs.create("Work through the orders").id
        self.key = self.runs.key(self.id)

    def add(self, *steps: list[Event]) -> None:
        """Let it go on."""
        for events in steps:
            self.log.append(self.key, events)

    def end(self) -> None:
        """Let it be over, and good."""
        self.runs.finish(self.id, outcome="success")


@pytest.fixture
def going(db: Database) -> Going:
    """Return a run that goes on."""
    return Going(db)


def test_what_recurs_in_completed_steps_becomes_one_draft(db: Database, going: Going) -> None:
    """The second step that does the same makes it, as soon as a third begins; the next make no more."""
    extractor = IncrementalSkillExtractor(db)
    going.add(step(1, "W1111"), step(2, "W2222"))
    first = extractor.advance(going.id)
    assert (first.steps, first.drafts, first.over) == (1, (), False)
    going.add(step(3, "W3333")[:1])
    second = extractor.advance(going.id)
    (draft,) = second.drafts
    assert (draft.state, draft.source_steps, draft.source_run_ids) == ("draft", "2", (going.id,))
    assert [variable.default for variable in draft.variables] == ["W2222"]
    assert (draft.proofs[0].level, draft.proofs[0].passed) == ("reconstructs", True)
    assert "partial" in draft.tags
    going.add(step(3, "W3333")[1:], step(4, "W4444"), step(5, "W5555"))
    third = extractor.advance(going.id)
    assert (third.steps, third.drafts) == (2, ())


def test_another_process_goes_on_where_one_stopped(db: Database, going: Going) -> None:
    """Progress is stored: what was read is not read again, and what was counted still counts."""
    going.add(step(1, "W1111"), step(2, "W2222"))
    IncrementalSkillExtractor(db).advance(going.id)
    assert IncrementalSkillExtractor(db).advance(going.id).read == 0
    going.add(step(3, "W3333"))
    later = IncrementalSkillExtractor(db).advance(going.id)
    assert (later.steps, later.read, len(later.drafts)) == (1, 6, 1)


def test_what_it_reads_does_not_depend_on_how_long_the_run_is(db: Database, going: Going) -> None:
    """Ten new steps are read the same at the beginning and after a thousand events."""
    extractor, read = IncrementalSkillExtractor(db), []
    for part in range(12):
        going.add(*(step(part * 30 + one, f"W{part}{one:03d}") for one in range(1, 31)))
        read.append(extractor.advance(going.id).read)
    assert len(set(read[1:])) == 1
    assert read[-1] <= 2 * 30 * 3


def test_the_skill_of_the_whole_run_takes_the_drafts_place(db: Database, going: Going) -> None:
    """When the run is over its last step counts, and its drafts are retired once there is the whole."""
    extractor = IncrementalSkillExtractor(db)
    going.add(step(1, "W1111"), step(2, "W2222"), step(3, "W3333", "refund_order"))
    (draft,) = extractor.advance(going.id).drafts
    going.end()
    done = extractor.advance(going.id)
    assert (done.over, done.steps, done.superseded) == (True, 1, ())
    SkillExtractor(db).extract([going.id], name="whole", replay=False)
    assert extractor.advance(going.id).superseded == (f"{draft.name}@1",)
    assert SkillRepository(db).state(draft.name) == "retired"
    assert extractor.advance(going.id).superseded == ()


def test_a_draft_never_touches_a_skill_that_is_there(db: Database, going: Going) -> None:
    """A taken name gets a number; what the library does already is not made again; failures teach nothing."""
    extractor = IncrementalSkillExtractor(db)
    going.add(step(1, "W1111"), step(2, "W2222"), step(3, "W3333", "refund_order"),
              step(4, "W4444", "refund_order"), step(5, "W5555", "pay"))  # fmt: skip
    drafts = extractor.advance(going.id, name="orders").drafts
    assert [one.name for one in drafts] == ["orders", "orders_2"]
    other = Going(db)
    other.add(step(1, "W7777"), step(2, "W8888"), step(3, "W9999"))
    assert extractor.advance(other.id).drafts == ()
    bad = Going(db)
    wrong = ToolUse(name="x", call_id="1", error="no")
    for number in (1, 2, 3):
        bad.add([Event(kind="tool_call", step=number, tool=ToolUse(name="x", call_id="1", arguments="{}")),
                 Event(kind="tool_result", step=number, tool=wrong)])  # fmt: skip
    failed = extractor.advance(bad.id)
    assert (failed.steps, failed.drafts) == (2, ())


def test_chosen_steps_make_a_draft(db: Database, going: Going) -> None:
    """The specification's method takes completed steps; the open one and missing ones are refused."""
    extractor = IncrementalSkillExtractor(db)
    going.add(step(1, "W1111"), step(2, "W2222", "refund_order"), step(3, "W3333"))
    skill = extractor.extract_partial_skill(going.id, [1, 2], "both")
    assert (skill.name, skill.source_steps) == ("both", "1-2")
    assert [node.tool for node in skill.nodes] == ["cancel_order", "refund_order"]
    with pytest.raises(ExtractionError, match="not complete"):
        extractor.extract_partial_skill(going.id, [3])
    with pytest.raises(NotFoundError, match="no such steps"):
        extractor.extract_partial_skill(going.id, [9])
    with pytest.raises(UsageError, match="no support"):
        extractor.advance(going.id, support=0)


def test_values_from_steps_before_are_not_constants(db: Database, going: Going) -> None:
    """What an earlier step's result gave becomes an input, as long as that step is near."""
    found = Event(kind="tool_result", role="tool", step=1,
                  tool=ToolUse(name="look", call_id="1", result='{"token": "tok_991_zz"}'))  # fmt: skip
    call = ToolUse(name="use_token", call_id="2", arguments='{"token": "tok_991_zz"}')
    going.add([
        Event(kind="tool_call", step=1, tool=ToolUse(name="look", call_id="1", arguments="{}")), found,
        Event(kind="tool_call", step=2, tool=call),
        Event(kind="tool_result", step=2, tool=ToolUse(name="use_token", call_id="2", result="ok")),
        Event(kind="message", role="assistant", content="next", step=3),
    ])  # fmt: skip
    skill = IncrementalSkillExtractor(db).extract_partial_skill(going.id, [2])
    assert [(one.name, one.required) for one in skill.variables] == [("token", True)]
    assert CONTEXT_EVENTS > 2


def test_the_command_learns_and_goes_on(tmp_path: Any) -> None:
    """`learn` tells what it made, `--follow --json` a line for each look, and again nothing twice."""
    cli = Cli(tmp_path, tmp_path / "x.db")
    with open_workspace(cli.db) as workspace:
        going = Going(workspace.db)
        going.add(step(1, "W1111"), step(2, "W2222"), step(3, "W3333"))
        made = cli.json("learn", going.id)
        assert (made["steps"], len(made["drafts"]), made["over"]) == (2, 1, False)
        assert made["drafts"][0]["proof"]["passed"] is True
        going.end()
    lines = cli.inside("learn", going.id, "--follow", "--json").stdout.splitlines()
    assert [json.loads(line)["over"] for line in lines] == [True]
    assert "is over: 0 new steps" in cli.inside("learn", going.id).stdout
