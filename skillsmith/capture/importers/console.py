"""What AG2 and CMBAgent print while agents talk, told apart line by line.

Three generations are understood: CMBAgent's own ("Calling X...", "Message from X:"), its later one without
headers (rules of 80 dashes between messages), and AG2's ("X (to Y):", "Next speaker: X", "Suggested tool
call"). Colours are a help where a line could also be part of a text, but nothing depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "calling", "message", "header", "speaker", "handoff", "rule", "announcement", "call", "response",
    "stars", "executing", "executed", "noise", "end", "cost", "report", "text",
]  # fmt: skip

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NAME = r"[^\s():][^():\n]{0,79}?"
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("calling", re.compile(r"Calling (?P<name>\w{1,80})\.\.\.")),
    ("message", re.compile(rf"Message from (?P<name>{_NAME}):")),
    ("speaker", re.compile(rf"Next speaker: (?P<name>{_NAME})")),
    ("handoff", re.compile(rf"\*{{5}} (?P<how>[\w -]{{1,40}} (?:handoff|transition)) "
                           rf"\((?P<name>{_NAME})\): (?P<other>.{{1,80}}?) \*{{5}}")),
    ("rule", re.compile(r"-{80}")),
    ("call", re.compile(r"\*{5} Suggested (?:tool|function) call(?: \((?P<call_id>[^()]{1,200})\))?: "
                        r"(?P<name>.{1,200}?) \*{5}")),
    ("response", re.compile(r"\*{5} Response from calling (?:Tool |Function )?(?:tool|function) "
                            r"\((?P<call_id>[^()]{1,200})\) \*{5}")),
    ("stars", re.compile(r"\*{20,}")),
    ("executing", re.compile(r">{8} EXECUTING (?:ASYNC )?FUNCTION (?P<name>.{1,200}?)\.\.\.")),
    ("executed", re.compile(r">{8} EXECUTED (?:ASYNC )?FUNCTION (?P<name>.{1,200}?)\.\.\.")),
    ("end", re.compile(r">{8} TERMINATING RUN \([^()]*\): (?P<how>.{1,500})")),
    ("noise", re.compile(r">{8} .{1,500}|Starting a new chat\.{4}|"
                         r"Removed \d{1,6} messages\. Number of messages .{1,200}")),
    ("cost", re.compile(r"[Dd]isplaying cost(?:\.\.\.|…)")),
    ("report", re.compile(r"(?:Timing|Cost) report (?:data )?saved to.{1,500}|"
                          r"Structured plan written to .{1,500}|(?:Planning|Task) took [\d.]{1,20} seconds")),
)  # fmt: skip
_HEADER = re.compile(rf"(?P<name>{_NAME}) \(to (?P<other>{_NAME})\):")
_STARTS = ("C", "M", "N", "*", "-", ">", "S", "R", "D", "d", "T", "P")
_ANNOUNCEMENT = re.compile(r"[A-Z][a-z]+ing\b[^.\n]{0,60}\.\.\.")
_COLOURED = re.compile(r"\x1b\[[0-9;]+m[^\x1b]+\x1b\[0m \(to ")
_LONGEST_MARK = 700
_OF_AGENTS = frozenset({"calling", "message", "header", "speaker", "call"})
_TELLING = ("Calling ", "Message from ", " (to ", "Next speaker: ", "***** Suggested ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One printed line: a mark with its parts, or text.

    Args:
        kind: What it is.
        text: The line without colours.
        name: The agent, or the tool, that the mark names.
        other: Whom a message is for, to whom a handoff leads.
        how: Which kind of handoff; why a run ended.
        call_id: The id of a tool call.
    """

    kind: Kind
    text: str
    name: str = ""
    other: str = ""
    how: str = ""
    call_id: str | None = None


def lines_of(text: str) -> Iterator[Line]:
    """Yield the lines of printed text, told apart."""
    last: Line | None = None  # that is not empty; None too while nothing but text came
    coloured = _COLOURED.search(text) is not None  # colours elsewhere say nothing about headers
    for raw in text.split("\n"):
        line = _line(raw, last, coloured=coloured)
        if line.text.strip() and not (last is None and line.kind == "text"):
            last = line
        yield line


def _line(raw: str, last: Line | None, *, coloured: bool) -> Line:
    text = _ANSI.sub("", raw) if "\x1b" in raw else raw
    stripped = text.strip()
    if not stripped or len(text) > _LONGEST_MARK:
        return Line(kind="text", text=text)
    if stripped.startswith(_STARTS) and (mark := _mark(stripped)):
        return mark
    fresh = not coloured and (last is None or last.kind not in ("text", "call", "response", "announcement"))
    if (found := _HEADER.fullmatch(stripped)) and (fresh or _COLOURED.match(raw)):
        return Line(kind="header", text=text, name=found["name"], other=found["other"])
    if last is not None and last.kind == "rule" and _ANNOUNCEMENT.fullmatch(stripped):
        return Line(kind="announcement", text=stripped)
    return Line(kind="text", text=text)


def _mark(text: str) -> Line | None:
    for kind, pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            parts = {key: value for key, value in match.groupdict().items() if value}
            return Line(kind=kind, text=text, **parts)
    return None


def ends_message(lines: Sequence[Line], at: int) -> bool:
    """Tell whether a rule of dashes ends a message, or is part of it: a mark or nothing follows."""
    following = next((line for line in lines[at + 1 :] if line.text.strip()), None)
    return following is None or following.kind not in ("text", "stars")


def mentions_agents(text: str) -> bool:
    """Tell whether printed text has marks that only a conversation of agents leaves."""
    return any(word in text for word in _TELLING) and any(line.kind in _OF_AGENTS for line in lines_of(text))
