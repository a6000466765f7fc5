"""Figures as pictures of text: parts of a whole, a rate with its interval, a diff in colours.

Everything here is a function from values to Rich text, so that a list, a table and a page draw the same way;
colours are asked for by what they mean, since the theme decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import unified_diff
from typing import Final, TypeAlias

from rich.text import Text

from skillsmith.library.evidence.intervals import Interval
from skillsmith.output import clean
from skillsmith.tui.text import bar, share

StyleOf: TypeAlias = Callable[[str], str]
"""Turns a meaning (success, warning, error, muted, …) into a Rich style."""

GOOD: Final = 0.8
FAIR: Final = 0.5
MAX_DIFF_LINES: Final = 2000

STATE_STYLES: Final[Mapping[str, str]] = {
    "draft": "warning", "proven": "success", "trusted": "success", "quarantined": "error", "retired": "muted",
}  # fmt: skip


def tinted(words: str, style: str) -> Text:
    """Return text whose colour is a span of it: a list's cells keep only those."""
    return Text().append(words, style=style)


def quality(value: float) -> str:
    """Return what a share of successes means: success, warning or error."""
    return "success" if value >= GOOD else "warning" if value >= FAIR else "error"


def part_bars(parts: Mapping[str, float], *, width: int, style: StyleOf) -> Text:
    """Draw named shares of one as bars, one a line.

    Args:
        parts: Share by name.
        width: Columns in all.
        style: Gives the theme's colours.
    """
    widest = max((len(name) for name in parts), default=0)
    room = max(width - widest - 7, 4)
    lines = []
    for name, value in parts.items():
        line = Text(f"{name:<{widest}} ", style=style("muted"))
        line.append(bar(value, room), style=style("primary"))
        line.append(f" {share(value):>4}")
        lines.append(line)
    return Text("\n").join(lines)


def interval_bar(rate: Interval | None, *, width: int, style: StyleOf) -> Text:
    """Draw a rate between 0 and 1 with the interval it may be in: ``··╾──●╼·``; nothing when it is unknown.

    Args:
        rate: The rate and its bounds.
        width: Columns from 0 to 1.
        style: Gives the theme's colours.
    """
    if rate is None:
        return Text("·" * width, style=style("muted"))
    low, value, high = (
        min(round(part * (width - 1)), width - 1) for part in (rate.low, rate.value, rate.high)
    )
    colour = style(quality(rate.value))
    text = tinted("·" * low, style("muted"))
    text.append("─" * (value - low), style=colour)
    text.append("●", style=colour)
    text.append("─" * (high - value), style=colour)
    return text.append("·" * (width - 1 - high), style=style("muted"))


def rate_text(rate: Interval | None) -> str:
    """Write a rate with its bounds: ``83% (55–95)``."""
    if rate is None:
        return ""
    return f"{share(rate.value)} ({rate.low * 100:.0f}–{rate.high * 100:.0f})"


def diff_text(
    before: str, after: str, *, style: StyleOf, names: tuple[str, str] = ("before", "after")
) -> Text:
    """Draw the lines that differ between two texts, with three around them."""
    lines = unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
    return coloured_diff(lines, style=style)


def coloured_diff(lines: Iterable[str], *, style: StyleOf) -> Text:
    """Colour the lines of a unified diff."""
    drawn = []
    for count, line in enumerate(lines):
        if count == MAX_DIFF_LINES:
            drawn.append(Text(f"… only the first {MAX_DIFF_LINES:,} lines are shown", style=style("muted")))
            break
        drawn.append(Text(clean(line), style=_diff_style(line, style)))
    return Text("\n").join(drawn)


def _diff_style(line: str, style: StyleOf) -> str:
    if line.startswith(("+++", "---")):
        return style("muted")
    if line.startswith("@@"):
        return style("secondary")
    if line.startswith("+"):
        return style("success")
    return style("error") if line.startswith("-") else ""
