"""Entries become rows together: what is stored is the same as if each had been looked at by itself."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.capture.entries import Late, Noted, StepDone, from_line, to_line, whole
from skillsmith.capture.inbox import Inbox
from skillsmith.capture.ready import TOGETHER_ENTRIES, made_ready
from skillsmith.capture.redact import redact_event, redact_text
from skillsmith.capture.steps import UNCOUNTED, Draft, StepTally
from skillsmith.capture.writer import Item, Writer
from skillsmith.events import EventRow, event_of, row_of
from skillsmith.models import CodeUse, Event, ToolUse
from skillsmith.step_rows import step_row

SECRET = "sk-proj-" + "Zq7" * 12
TEXTS = st.sampled_from([
    "", "plain", "käse", f"key {SECRET}", "half \ud83d", "back\\slash", f"C:\\n{SECRET}", "a\nb", "x" * 5000,
])  # fmt: skip
MAYBE = st.none() | TEXTS
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(["message", "tool_call", "tool_result", "code", "code_result", "context", "raw"]),
    at=st.none() | st.floats(0, 2e9),
    role=st.sampled_from([None, "user"]),
    agent=MAYBE,
    recipient=MAYBE,
    content=MAYBE,
    reasoning=MAYBE,
    tool=st.none() | st.builds(ToolUse, name=TEXTS, arguments=MAYBE, result=MAYBE, error=MAYBE),
    code=st.none() | st.builds(CodeUse, text=MAYBE, output=MAYBE, exit_code=st.none() | st.integers(-9, 9)),
    data=st.none() | st.dictionaries(st.sampled_from(["a", "tool", "record_id"]), TEXTS, max_size=2),
    tokens_in=st.none() | st.integers(0, 2**70),
    record_id=MAYBE,
)


def writer(*, redact: bool = True) -> Writer:
    """A writer that has nowhere to write to yet."""
    queue: Inbox[Item] = Inbox()
    return Writer("unused.db", queue, redact=redact)


def stored(ready: Any) -> EventRow:
    """Return the row that is stored of an event, whichever way it was made ready."""
    return ready if isinstance(ready, EventRow) else row_of(ready)


@given(events=st.lists(EVENTS, max_size=8), redact=st.booleans())
@settings(max_examples=80, deadline=None)
def test_together_or_alone_the_same_is_stored(events: list[Event], *, redact: bool) -> None:
    """Whatever texts a batch holds, each event's row is that of the event looked at by itself."""
    noted: list[Noted] = [("run", event) for event in events]
    expected = [row_of(redact_event(event) if redact else event) for event in events]
    assert [stored(ready) for _run, ready in writer(redact=redact).ready(noted)] == expected
    assert not redact or not any(SECRET in str(row) for row in expected)


@given(event=EVENTS)
@settings(max_examples=80, deadline=None)
def test_a_draft_has_the_row_of_its_event(event: Event) -> None:
    """An event noted by its fields is stored as the event itself would be."""
    fields = {name: getattr(event, name) for name in Event.__slots__}
    known = {name: fields.pop(name) for name in ("step", "kind", "at", "agent")}
    del fields["seq"]
    draft = Draft(StepTally(1), known["step"], known["kind"], known["at"], known["agent"], fields)
    clean = [redact_event(draft.event()), redact_event(event)]
    assert clean[0] == clean[1]
    assert stored(writer().ready([("run", draft)])[0][1]) == row_of(clean[0])


def test_one_secret_among_many_events_is_replaced() -> None:
    """In a batch of plain events the one with a secret is found, and the others keep their texts."""
    events = [Event(kind="message", content=f"say {number}") for number in range(2 * TOGETHER_ENTRIES)]
    events[70] = Event(kind="message", content=f"say {SECRET}")
    rows = [stored(ready) for _run, ready in writer().ready([("run", event) for event in events])]
    contents = [event_of(row).content for row in rows]
    assert contents[70] == f"say {redact_text(SECRET)}"
    assert contents[:70] + contents[71:] == [event.content for event in events[:70] + events[71:]]


def test_rows_take_the_road_of_entries_through_side_files() -> None:
    """An event and the end of a step that are rows already come back from a side file as what they are."""
    event = Event(kind="tool_call", tool=ToolUse(name="t", call_id="c", arguments="{}"), data={"a": 1})
    run, back = from_line(to_line("run", row_of(event)))
    assert run == "run"
    assert row_of(back) == row_of(event)  # type: ignore[arg-type]  # an event
    tally = StepTally(3, title="three", host_id="h")
    tally.add(Event(kind="transition", agent="a", recipient="b", content="why"))
    tally.stop()
    done = tally.row("run", ())
    end = from_line(to_line("run", done))[1]
    assert end == whole(done)
    assert step_row(end.summary, end.columns) == done.row  # type: ignore[union-attr]


def test_the_row_of_a_step_is_that_of_its_end() -> None:
    """Both ways of ending a step store the same figures."""
    tally = StepTally(1)
    for number in range(3):
        event = Event(kind="llm_call", agent=f"a{number}", tokens_in=2, tokens_out=1, cost_usd=0.5)
        Draft.of(tally, event)
    tally.add(Event(kind="code_result", role="tool", code=CodeUse(exit_code=1)))
    tally.stop()
    _summary, end = tally.end("run", ())
    assert tally.row("run", ()) == StepDone("run", step_row(end.summary, end.columns))
    assert (end.summary.tokens, end.summary.cost_usd, end.summary.failed_code_blocks) == (9, 1.5, 1)


def test_a_step_without_an_end_keeps_few_drafts() -> None:
    """However long a step lasts, its events are counted meanwhile and let go."""
    tally = StepTally(1)
    drafts = [Draft(tally, 1, "message", 1.0, "a", {"role": "user", "content": "x"}) for _ in range(500)]
    for draft in drafts:
        made_ready([("run", draft)], _never, redact=True)
        assert draft.row()[2] == "user"
    assert len(tally.drafts) <= UNCOUNTED
    assert (tally.events, tally.end("run", ())[0].messages) == (500, 500)


def _never(entry: Event | Late | Any) -> Any:
    raise AssertionError(entry)


def test_a_drained_inbox_keeps_what_was_not_used() -> None:
    """A reader that is killed while it uses an item leaves it, and all after it, to the next one."""
    inbox: Inbox[int] = Inbox()
    for number in range(5):
        inbox.put(number)
    seen: list[int] = []

    def use(number: int) -> None:
        if number == 3 and seen[-1] != 3:
            seen.append(number)
            raise KeyboardInterrupt
        seen.append(number)

    inbox.drain(use, most=2)
    assert seen == [0, 1]
    try:
        inbox.drain(use, most=10)
    except KeyboardInterrupt:
        inbox.drain(use, most=10)
    assert seen == [0, 1, 2, 3, 3, 4]
