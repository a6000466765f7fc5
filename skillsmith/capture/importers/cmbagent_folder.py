"""The folder that CMBAgent leaves of a run: chats, cost and timing reports by step, the plan, the code.

    planning/   final_plan.json  chats/chat_output_planning.json  cost/cost_report_TIME.json  time/…
    control/    chats/chat_history_step_N.json  cost/cost_report_step_N_TIME.json  time/…  codebase/*.py

A one-shot run has ``chats``, ``cost``, ``time`` and ``codebase`` at the top. The pickled contexts are not
read: unpickling runs whatever they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skillsmith.capture.importers.base import (
    count_or_none,
    items,
    mapping,
    number_or_none,
    text_or_none,
)
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import Event, FileSnapshot, Json, Problem

Kind = Literal["plan", "history", "output", "nested", "cost", "time"]

_TIME = r"(?:_\d{8}_\d{6})?"
_NAMES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("plan", re.compile(r"final_plan\.json")),
    ("history", re.compile(r"chat_history_step_(?P<step>\d{1,6})\.json")),
    ("output", re.compile(r"chat_output_(?:planning|(?:\w{1,80}?_)?step_(?P<step>\d{1,6}))\.json")),
    ("nested", re.compile(r"nested_chat_output_\w{1,80}?_step_(?P<step>\d{1,6})"
                          r"_attempt_(?P<attempt>\d{1,6})\.json")),
    ("cost", re.compile(rf"cost_report(?:_step_(?P<step>\d{{1,6}}))?{_TIME}\.json")),
    ("time", re.compile(rf"timing_report(?:_(?:planning|control|step_(?P<step>\d{{1,6}})))?{_TIME}\.json")),
)  # fmt: skip
_ORDER: Sequence[Kind] = ("plan", "history", "output", "nested", "cost", "time")
_INNER = ("chats", "cost", "time")
_OUTER = ("planning", "control")
_COST_COLUMNS = frozenset({"Agent", "Prompt Tokens", "Completion Tokens"})
_CODE_FOLDER = "codebase"
_LARGEST_CODE = 1024 * 1024
_MOST_CODE_FILES = 200
_FILE_NAME = re.compile(r"#\s*filename:\s*(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a file of a run folder is.

    Args:
        step: The plan's step, 0 for the planning before it; None when the name does not say.
        attempt: Of a nested chat.
    """

    kind: Kind
    step: int | None = None
    attempt: int = 0


def part_of(name: str) -> Part | None:
    """Return what a file of this name is, None when it is none of a run folder's."""
    for kind, pattern in _NAMES:
        if found := pattern.fullmatch(name):
            parts = found.groupdict()
            step = 0 if "planning" in name or kind == "plan" else None
            return Part(
                kind=kind,
                step=int(parts["step"]) if parts.get("step") else step,
                attempt=int(parts.get("attempt") or 0),
            )
    return None


def part_number(name: str) -> int | None:
    """Return the step that a file of this name belongs to, None when it is none of a run folder's."""
    part = part_of(name)
    return None if part is None else part.step or 0


def root_of(path: Path) -> Path:
    """Return the run's folder, which a file of it may stand up to two folders below."""
    folder = path.parent
    for names in (_INNER, _OUTER):
        if folder.name in names:
            folder = folder.parent
    return folder


def is_report(head: Head) -> bool:
    """Tell whether a file is a plan, a cost or a timing report, by its name and what it holds."""
    part = part_of(head.name)
    first = head.values[0] if head.values else None
    if part is None:
        return False
    if part.kind == "plan":
        return isinstance(mapping(first).get("sub_tasks"), list)
    if part.kind == "cost":
        return mapping(next(iter(items(first)), None)).keys() >= _COST_COLUMNS
    return part.kind == "time" and any("time" in key for key in mapping(first))


def in_order(sources: Sequence[LogSource]) -> list[tuple[Part, LogSource]]:
    """Return the files of a run in the order of its steps; planning first, what names no step as its last.

    Of a step whose history is there, the same chat under another name (``chat_output_…``) is left out.
    """
    found = [(part, source) for source in sources if (part := part_of(source.name)) is not None]
    told = {part.step for part, _ in found if part.kind == "history"}
    last = max((part.step or 0 for part, _ in found), default=0)

    def place(one: tuple[Part, LogSource]) -> tuple[int, int, int, str]:
        part, source = one
        step = 0 if part.step is None and source.path.parent.parent.name == "planning" else part.step
        return (last if step is None else step), _ORDER.index(part.kind), part.attempt, source.name

    kept = [one for one in found if not (one[0].kind == "output" and one[0].step in told)]
    return sorted(kept, key=place)


def cost_events(report: Json, step: int) -> Iterator[Event]:
    """Yield a cost report's rows, each the sum of an agent's calls; the row of totals is left out."""
    for row in map(mapping, items(report)):
        agent = text_or_none(row.get("Agent"))
        if agent is None or agent == "Total":
            continue
        tokens = [number_or_none(row.get(name)) for name in ("Prompt Tokens", "Completion Tokens")]
        counts = [None if number is None else count_or_none(int(number)) for number in tokens]
        model = text_or_none(row.get("Model"))
        yield Event(
            kind="llm_call",
            step=step,
            agent=agent.replace(" ", "_"),
            tokens_in=counts[0],
            tokens_out=counts[1],
            cost_usd=number_or_none(row.get("Cost ($)", row.get("Cost"))),
            data={"summed": True, **({"model": model} if model else {})},
        )


def seconds_in(report: Json) -> float:
    """Return how long a phase took by its timing report."""
    times = mapping(report)
    total = number_or_none(times.get("total_time"))
    return total if total is not None else sum(filter(None, map(number_or_none, times.values())))


def code_files(root: Path, events: Sequence[Event]) -> Iterator[FileSnapshot | Problem]:
    """Yield the code that the run left, each file with the agent whose block names it."""
    authors = _authors(events)
    for folder in (root / _CODE_FOLDER, root / "control" / _CODE_FOLDER):
        for path in sorted(folder.glob("*.py"))[:_MOST_CODE_FILES]:
            try:
                size = path.stat().st_size if path.is_file() and not path.is_symlink() else None
                content = path.read_bytes() if size is not None and size <= _LARGEST_CODE else None
            except OSError as error:
                yield Problem(path=str(path), reason=f"cannot be read: {error.strerror or error}")
                continue
            if content is not None:
                agent, seq = authors.get(path.name, ("executor", None))
                name = path.relative_to(root).as_posix()
                yield FileSnapshot(path=name, content=content, agent=agent, seq=seq)


def _authors(events: Sequence[Event]) -> Mapping[str, tuple[str, int | None]]:
    """Return who wrote the files that code blocks name in their first line, and with which event."""
    authors: dict[str, tuple[str, int | None]] = {}
    for seq, event in enumerate(events, 1):
        text = event.code.text if event.kind == "code" and event.code else None
        if text and event.agent and (named := _FILE_NAME.match(text.lstrip())):
            authors[named[1].rpartition("/")[2]] = (event.agent, seq)
    return authors
