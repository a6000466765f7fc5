"""What of a run must be in its record: each fact compared as a multiset, so that nothing lacks or is twice.

``COVERAGE.check(events, scenario, Expected(…))`` raises with the difference, and adds a row to the table that
is printed at the end of the tests: expected and recorded, fact by fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from skillsmith.events import dump_json
from skillsmith.models import Event

SAME_START = 60
"""Of a long text, so much is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What happened in a scenario, fact by fact; the order within a fact does not matter.

    Args:
        turns: Agents, one for each turn.
        messages: (role, sender, recipient, content); None for a content stands for none.
        reasoning: Texts.
        tool_calls: (agent, name, arguments as the model wrote them).
        tool_results: (agent, name, result, whether it is an error); a result is compared by its beginning.
        code: (agent, language, text, exit code, output).
        transitions: (source, target, reason).
        contexts: (agent, values).
        llm_calls: (agent, model, prompt tokens, completion tokens).
        errors: (agent, type).
        notes: Names.
        artifacts: (agent, path, change).
    """

    turns: Sequence[str] = ()
    messages: Sequence[tuple[str, str | None, str | None, str | None]] = ()
    reasoning: Sequence[str] = ()
    tool_calls: Sequence[tuple[str | None, str, str | None]] = ()
    tool_results: Sequence[tuple[str | None, str, str | None, bool]] = ()
    code: Sequence[tuple[str | None, str, str, int | None, str | None]] = ()
    transitions: Sequence[tuple[str | None, str | None, str | None]] = ()
    contexts: Sequence[tuple[str | None, dict[str, Any]]] = ()
    llm_calls: Sequence[tuple[str | None, str | None, int | None, int | None]] = ()
    errors: Sequence[tuple[str | None, str]] = ()
    notes: Sequence[str] = ()
    artifacts: Sequence[tuple[str | None, str, str]] = ()


def _results(events: Iterable[Event]) -> list[Any]:
    return [
        (event.agent, event.tool.name, event.tool.result, event.tool.error is not None)
        for event in events
        if event.kind == "tool_result" and event.tool
    ]


def _code(events: Sequence[Event]) -> list[Any]:
    found: list[Any] = []
    waiting: dict[str | None, list[int]] = {}  # servers may use an id again
    for event in events:
        code = event.code
        if event.kind == "code" and code:
            waiting.setdefault(code.call_id, []).append(len(found))
            found.append((event.agent, code.language, code.text, None, None))
        elif event.kind == "code_result" and code and waiting.get(code.call_id):
            place = waiting[code.call_id].pop(0)
            found[place] = (*found[place][:3], code.exit_code, code.output)
    return found


FACTS: dict[str, Callable[[Sequence[Event]], list[Any]]] = {
    "turns": lambda events: [e.agent for e in events if e.kind == "agent_start"],
    "messages": lambda events: [
        (e.role, e.agent, e.recipient, e.content) for e in events if e.kind == "message"
    ],
    "reasoning": lambda events: (
        [e.reasoning for e in events if e.reasoning] + [e.content for e in events if e.kind == "reasoning"]
    ),
    "tool_calls": lambda events: [
        (e.agent, e.tool.name, e.tool.arguments) for e in events if e.kind == "tool_call" and e.tool
    ],
    "tool_results": _results,
    "code": _code,
    "transitions": lambda events: [
        (e.agent, e.recipient, e.content) for e in events if e.kind == "transition"
    ],
    "contexts": lambda events: [(e.agent, (e.data or {})["values"]) for e in events if e.kind == "context"],
    "llm_calls": lambda events: [
        (e.agent, (e.data or {}).get("model"), e.tokens_in, e.tokens_out)
        for e in events
        if e.kind == "llm_call"
    ],
    "errors": lambda events: [(e.agent, (e.data or {}).get("type", "")) for e in events if e.kind == "error"],
    "notes": lambda events: [(e.data or {}).get("name") for e in events if e.kind == "raw"],
    "artifacts": lambda events: [
        (e.agent, e.content, (e.data or {}).get("change")) for e in events if e.kind == "artifact"
    ],
}
"""How each fact is read from the record."""


@dataclass
class Coverage:
    """A table of facts × scenarios.

    Args:
        rows: Of each scenario, what was expected of each fact and what was recorded.
    """

    rows: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def check(self, events: Sequence[Event], scenario: str, expected: Expected) -> None:
        """Compare a run with what happened in it.

        Args:
            events: Of the run, as stored.
            scenario: Its name.
            expected: What happened.

        Raises:
            AssertionError: Something lacks, is twice, or is not sound.
        """
        row, differences = {}, []
        for item in fields(expected):
            name = item.name
            wanted, found = list(getattr(expected, name)), FACTS[name](events)
            lacking, surplus = _compare(name, wanted, found)
            row[name] = (len(wanted), len(wanted) - len(lacking))
            differences += [f"{name}: lacks {_short(one)}" for one in lacking]
            differences += [f"{name}: has besides {_short(one)}" for one in surplus]
        self.rows[scenario] = row
        differences += soundness(events)
        assert not differences, f"{scenario}:\n  " + "\n  ".join(differences)

    def table(self) -> str:
        """Return the table: recorded/expected, · where a scenario has nothing of a fact."""
        width = max(map(len, self.rows), default=0)
        lines = [" " * width + "  " + " ".join(f"{name[:12]:>12}" for name in FACTS)]
        for scenario, row in self.rows.items():
            cells = (f"{have}/{want}" if want else "·" for want, have in row.values())
            lines.append(f"{scenario:<{width}}  " + " ".join(f"{cell:>12}" for cell in cells))
        want, have = (sum(cell[i] for row in self.rows.values() for cell in row.values()) for i in (0, 1))
        return "\n".join([*lines, f"{have} of {want} interactions recorded"])


def _compare(name: str, wanted: list[Any], found: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return what lacks and what is there besides."""
    if name == "tool_results":
        found, wanted = list(found), list(wanted)
        for one in list(wanted):
            match = next((other for other in found if _same_result(one, other)), None)
            if match is not None:
                wanted.remove(one)
                found.remove(match)
        return wanted, found
    have, want = Counter(map(dump_json, found)), Counter(map(dump_json, wanted))
    return list((want - have).elements()), list((have - want).elements())


def _same_result(wanted: Any, found: Any) -> bool:
    begin, text = wanted[2], found[2]
    same = begin == text if begin is None or text is None else text.startswith(begin)
    return (wanted[0], wanted[1], wanted[3]) == (found[0], found[1], found[3]) and same


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else repr(value)
    return shown if len(shown) <= 2 * SAME_START else f"{shown[: 2 * SAME_START]}…"


def soundness(events: Sequence[Event]) -> list[str]:
    """Return what is not sound: a result without its call, figures that stand twice, an event without time.

    Args:
        events: In order; those that were never stored have no sequence numbers yet.
    """
    wrong = [f"event {e.seq} ({e.kind}) has no time or step" for e in events if not e.at or e.step < 1]
    wrong += [f"seq {b.seq} after {a.seq}" for a, b in pairwise(events) if b.seq and b.seq <= a.seq]
    wrong += [
        f"event {e.seq} ({e.kind}) has tokens or a cost"
        for e in events
        if e.kind != "llm_call" and (e.tokens_in, e.tokens_out, e.cost_usd) != (None, None, None)
    ]
    wrong += [
        f"event {e.seq} ({e.kind}) has no duration"
        for e in events
        if e.kind in ("llm_call", "code_result")
        and e.duration_seconds is None
        and "purpose" not in (e.data or {})
    ]
    open_calls: Counter[str | None] = Counter()
    for event in events:
        if event.kind == "tool_call" and event.tool:
            open_calls[event.tool.call_id] += 1
        elif event.kind == "tool_result" and event.tool:
            if not open_calls[event.tool.call_id]:
                wrong.append(f"result {event.seq} of {event.tool.name} has no call")
            open_calls[event.tool.call_id] -= 1
    return wrong


COVERAGE = Coverage()
"""The table of this test session."""
