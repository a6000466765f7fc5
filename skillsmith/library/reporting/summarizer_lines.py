"""The lines a summary is made of: what was asked, decided, went wrong, was written, came out, was measured.

A line names its event, so that whoever wants more can look it up. Nothing here asks a model; a model's lines
have the same form and the same bounds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal, TypeAlias, get_args

from skillsmith.library.trace.calls import failure_in
from skillsmith.models import Event

LineKind: TypeAlias = Literal["decision", "asked", "error", "file", "result", "figure"]
KINDS: Final[tuple[LineKind, ...]] = get_args(LineKind)
"""The first are given up last when room is short."""

LINE_CHARS: Final = 240
RESULT_CHARS: Final = 120
STRETCH_TOKENS: Final = 1000
"""Of one stretch: beyond them only decisions, requests and errors are kept."""
ALWAYS_KEPT: Final[frozenset[LineKind]] = frozenset({"decision", "asked", "error"})
LINES_AN_EVENT: Final = 6
FIGURE_CHARS: Final = 2000
"""Of one message in which figures are looked for; decisions are looked for in all of it."""

_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")
_ENDS = (". ", "! ", "? ")
_DECISION = re.compile(
    r"\b(?:decid(?:e[sd]?|ing)|decisions?|conclu(?:de[sd]?|sion)|cho(?:se|sen|ice|ose)|agreed?(?: to| on)"
    r"|opt(?:ed|ing) (?:for|to)|settl(?:ed?|ing) (?:on|for)|stick(?:ing)? (?:with|to)|(?:go|going|went) with"
    r"|switch(?:ed|ing)? (?:to|over)|rul(?:ed?|ing) out|rejected?|approved?|discarded|abandoned"
    r"|adopt(?:ed|ing)|from now on|commit(?:ted)? to|let(?:'s| us)|resolved to|plan is|the plan:"
    r"|(?:we|i)(?:'ll| will| shall) (?:use|keep|take|do|not)|final(?:ly)? (?:answer|choice|version|plan))\b",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"^\W*(?:final )?decision\b|\b(?:i|we|team|reviewer|user|planner|everyone)\b"
    r"|\blet's (?:use|go|keep|stick|switch|drop)\b"
    r"|\b(?:is|are|was|were|been) (?:ruled out|rejected|approved|chosen|adopted|dropped|decided)\b",
    re.IGNORECASE,
)
_CUES = (
    "decid", "decision", "conclu", "chose", "choice", "choos", "agree", "opted", "opting", "settl", "stick",
    "go with", "going with", "went with", "switch", "rule", "ruling", "reject", "approve", "discard",
    "abandon", "adopt", "from now on", "commit", "let's", "let us", "resolved to", "plan", "'ll ", " will ",
    "shall", "final",
)  # fmt: skip
"""One of these is in whatever ``_DECISION`` finds; looking for them takes a tenth of the time."""

_NUMBER = re.compile(r"\d[\d.,]*")
_TELLS = re.compile(r"(?:[=≈~<>≤≥±:]|\b(?:is|are|was|were|of|to|by|at))\s*[-+$€£]?$")
"""Stands before a figure."""

_STORED = re.compile(r"#(\d+) (\w+)(?: \(([^()]*)\))?: (.*)")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing worth keeping of one event.

    Args:
        times: How often the same was seen; ``seq`` is the last.
    """

    seq: int
    kind: LineKind
    who: str
    text: str
    times: int = 1

    def written(self) -> str:
        """Return it as text."""
        who = f" ({self.who})" if self.who else ""
        again = f" (×{self.times})" if self.times > 1 else ""
        return f"#{self.seq} {self.kind}{who}: {self.text}{again}"


def tokens_in(text: str) -> int:
    """Return about how many tokens a model makes of a text: rather too many than too few."""
    return len(_TOKEN.findall(text))


def lines_of(events: Iterable[Event]) -> list[Line]:
    """Return what is worth keeping of some events, in order, the same thing once."""
    calls: dict[str, str] = {}
    found: dict[tuple[str, str, str], Line] = {}
    for event in events:
        if event.kind == "tool_call" and event.tool and event.tool.call_id:
            calls[event.tool.call_id] = event.tool.arguments or ""
        for line in _of_event(event, calls):
            key = (line.kind, line.who, line.text)
            earlier = found.pop(key, None)
            found[key] = replace(line, times=earlier.times + 1) if earlier else line
    return sorted(found.values(), key=lambda line: line.seq)


def _of_event(event: Event, calls: Mapping[str, str]) -> Iterator[Line]:
    who = re.sub(r"[()\s]+", " ", event.agent or event.role or "").strip()
    tool, code = event.tool, event.code
    if event.kind in ("message", "reasoning") and event.role != "system":
        yield from _said(event, who)
    elif event.kind == "tool_result" and tool:
        wrong = tool.error or failure_in(tool.result)
        call = f"{tool.name}({_short(calls.get(tool.call_id or '', ''), RESULT_CHARS // 2)})"
        text = wrong or _short(tool.result or "done", RESULT_CHARS)
        yield _line(event, "error" if wrong else "result", who, f"{call} → {text}")
    elif event.kind == "code_result" and code:
        last = next(
            (line for line in reversed((code.output or "").splitlines()) if line.strip()), "no output"
        )
        if code.exit_code:
            yield _line(event, "error", who, f"code ended with {code.exit_code}: {last}")
        else:
            yield _line(event, "result", who, f"code → {_short(last, RESULT_CHARS)}")
    elif event.kind == "artifact":
        yield _line(event, "file", who, f"wrote {event.content}")
    elif event.kind == "error":
        yield _line(event, "error", who, event.content or "an error")


def _said(event: Event, who: str) -> Iterator[Line]:
    """Yield what a person asked, and the sentences that decide something or give a figure."""
    text = event.content or ""
    if event.role == "user" and text.strip():
        yield _line(event, "asked", who, text)
    whole = f"{event.reasoning}\n{text}" if event.reasoning else text
    decided = list(islice(filter(_DECISION.search, _sentences(whole, _cued(whole))), LINES_AN_EVENT))
    for sentence in decided:
        yield _line(event, "decision", who, sentence)
    if event.role != "user":
        measured = (sentence for sentence in _sentences(whole, _figures(whole)) if sentence not in decided)
        for sentence in islice(measured, LINES_AN_EVENT):
            yield _line(event, "figure", who, sentence)


def _figures(text: str) -> Iterator[int]:
    """Yield in order where figures stand in the beginning of a text."""
    for found in _NUMBER.finditer(text, 0, FIGURE_CHARS):
        start, end = found.span()
        if text[end : end + 1] == "%" or _TELLS.search(text, max(start - 6, 0), start):
            yield start


def _cued(text: str) -> Iterator[int]:
    """Yield in order where words stand that may tell a decision."""
    lowered = text.lower()
    places = list[int]()
    for cue in _CUES:
        place = lowered.find(cue)
        while place >= 0:
            places.append(place)
            place = lowered.find(cue, place + 1)
    yield from sorted(places)


def _sentences(text: str, places: Iterable[int]) -> Iterator[str]:
    """Yield the sentences, or lines, that some places of a text are in, each once."""
    end = -1
    for place in places:
        if place < end:
            continue
        start = max(text.rfind("\n", 0, place), *(text.rfind(mark, 0, place) for mark in _ENDS)) + 1
        found = [text.find("\n", place), *(text.find(mark, place) + 1 for mark in _ENDS)]
        end = min((one for one in found if one > 0), default=len(text))
        yield text[start:end].strip()


def _line(event: Event, kind: LineKind, who: str, text: str) -> Line:
    return Line(event.seq, kind, who, _short(text, LINE_CHARS))


def _short(text: str, limit: int) -> str:
    text = " ".join(text[: 4 * limit].split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def bounded(lines: Iterable[Line]) -> list[Line]:
    """Return what of one stretch is kept, in order."""
    chosen, room = list[Line](), STRETCH_TOKENS
    for line in _by_rank(lines):
        cost = tokens_in(line.written())
        if line.kind in ALWAYS_KEPT or cost <= room:
            chosen.append(line)
            room -= cost
    return sorted(chosen, key=lambda line: (line.seq, KINDS.index(line.kind)))


def written(lines: Iterable[Line]) -> str:
    """Return the text of a stretch, as it is stored."""
    return "\n".join(line.written() for line in lines)


def read(text: str) -> list[Line]:
    """Read the text of a stretch again."""
    found = [_STORED.fullmatch(line) for line in text.splitlines()]
    lines = []
    for match in filter(None, found):
        again = re.search(r" \(×(\d+)\)$", match[4])
        body, times = (match[4][: again.start()], int(again[1])) if again else (match[4], 1)
        lines.append(Line(int(match[1]), match[2], match[3] or "", body, times))  # type: ignore[arg-type]  # written by us
    return lines


def fitted(lines: Sequence[Line], *, budget: int, heading: str) -> tuple[str, dict[str, int]]:
    """Return a text within a budget of tokens, and how many lines of each kind had no room in it.

    Kinds are given up from the last to the first, and of one kind the oldest first.

    Args:
        lines: In order.
        budget: Tokens the text may have.
        heading: Its first line.
    """
    lines = _once(lines)
    left = Counter[str](line.kind for line in lines)
    reserved = tokens_in(heading) + tokens_in(_note({kind: len(lines) for kind in left}))
    room, chosen = budget - reserved, list[Line]()
    for line in _by_rank(lines):
        cost = tokens_in(line.written())
        if cost <= room:
            room -= cost
            chosen.append(line)
            left[line.kind] -= 1
    missing: dict[str, int] = {kind: left[kind] for kind in KINDS if left[kind]}
    shown = [line.written() for line in sorted(chosen, key=lambda line: (line.seq, KINDS.index(line.kind)))]
    return "\n".join(filter(None, [heading, *shown, _note(missing)])), missing


def _note(missing: Mapping[str, int]) -> str:
    what = ", ".join(f"{count} {kind}" for kind, count in missing.items())
    return f"No room for {what}." if what else ""


def _by_rank(lines: Iterable[Line]) -> list[Line]:
    """Return lines with those first that are given up last."""
    return sorted(lines, key=lambda line: (KINDS.index(line.kind), not _is_own(line), -line.seq))


def _is_own(line: Line) -> bool:
    """Tell a decision of these agents from a text that speaks of deciding, such as code one of them read."""
    return line.kind != "decision" or _OWN.search(line.text) is not None


def _once(lines: Iterable[Line]) -> list[Line]:
    """Return lines in order, what several stretches say once, at its last place."""
    found: dict[tuple[str, str], Line] = {}
    for line in lines:
        earlier = found.pop((line.kind, line.text), None)
        found[line.kind, line.text] = replace(line, times=earlier.times + line.times) if earlier else line
    return list(found.values())
