"""How figures and times read on the screens; what the command line writes the same way comes from there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from skillsmith.presentation.text import (
    duration,
    joined,
    money,
    number,
    plural,
    share,
    short_id,
    size,
    value_text,
)

__all__ = [
    "ago", "bar", "clock", "duration", "joined", "moment", "money", "number", "offset", "outcome_mark",
    "plural", "share", "short_id", "size", "spark", "value_text",
]  # fmt: skip

MINUTE, HOUR, DAY = 60, 3600, 86400

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_STEPS: Final = "▁▂▃▄▅▆▇█"
_MARKS: Final = {
    "success": ("✓", "success"), "failure": ("✗", "error"), "running": ("●", "accent"),
    "unknown": ("·", "muted"),
}  # fmt: skip


def moment(at: float | None) -> str:
    """Write a Unix time as local date and time."""
    return "" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def clock(at: float | None) -> str:
    """Write a Unix time as local time of day."""
    return "" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def ago(at: float | None, now: float) -> str:
    """Write how long ago something was; after a month, its date."""
    if at is None:
        return ""
    seconds = max(now - at, 0.0)
    if seconds < MINUTE:
        return "now"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)}m ago"
    if seconds < DAY:
        return f"{int(seconds // HOUR)}h ago"
    if seconds < 30 * DAY:
        return f"{int(seconds // DAY)}d ago"
    return moment(at)[:10]


def offset(seconds: float | None) -> str:
    """Write the time since the beginning: ``0:07.3``, ``12:07``, ``3:12:07``, ``12d 03:12``."""
    if seconds is None:
        return ""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    minutes, rest = divmod(seconds, MINUTE)
    if minutes < 10:  # noqa: PLR2004  (tenths are telling only at first)
        return f"{sign}{int(minutes)}:{int(rest * 10) / 10:04.1f}"
    hours, minutes = divmod(int(minutes), 60)
    if not hours:
        return f"{sign}{minutes}:{int(rest):02d}"
    days, hours = divmod(hours, 24)
    return (
        f"{sign}{days}d {hours:02d}:{minutes:02d}" if days else f"{sign}{hours}:{minutes:02d}:{int(rest):02d}"
    )


def bar(value: float, width: int) -> str:
    """Draw a share of one as a bar in eighths of a cell; what is not nothing is at least visible."""
    eighths = round(max(0.0, min(value, 1.0)) * width * 8)
    if value > 0:
        eighths = max(eighths, 1)
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[part] if part else "")).ljust(width)


def spark(values: Sequence[float], width: int) -> str:
    """Draw a series as a sparkline of at most so many cells, the newest values at the right."""
    shown = list(values)[-width:]
    top = max(shown, default=0)
    if top <= 0:
        return "▁" * len(shown)
    return "".join(_STEPS[min(int(value / top * 8), 7)] if value > 0 else "▁" for value in shown)


def outcome_mark(outcome: str) -> tuple[str, str]:
    """Return the sign of an outcome or of ``running``, and the name of its colour for ``smith.style``."""
    return _MARKS.get(outcome, _MARKS["unknown"])
