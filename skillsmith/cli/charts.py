"""Small charts in the terminal, of block characters: they need no colour, no terminal and no library."""

from __future__ import annotations

from collections.abc import Sequence

HEIGHT = 5
"""Lines of a chart."""

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_FULL = len(_EIGHTHS) - 1
_LEAST_COLUMNS = 10


def columns(values: Sequence[float], *, labels: Sequence[str], width: int, height: int = HEIGHT) -> list[str]:
    """Return a column chart as lines of text, the newest values last.

    Args:
        values: None negative; when there are more than fit, the last ones are drawn.
        labels: Of each value; the first and the last drawn are written below.
        width: Characters a line may have.
        height: Lines of the columns.
    """
    top = max(values, default=0) or 1
    axis = len(f"{max(values, default=0):,g}")
    room = max(width - axis - 2, _LEAST_COLUMNS)
    shown, names = list(values)[-room:], list(labels)[-room:]
    broad = max(1, min(4, room // max(len(shown), 1)))
    lines = []
    for level in reversed(range(height)):
        cells = "".join(_cell(value / top * height - level) * broad for value in shown)
        mark = f"{max(values, default=0):,g}" if level == height - 1 else "0" if level == 0 else ""
        lines.append(f"{mark:>{axis}} │{cells}".rstrip())
    if names:
        gap = len(shown) * broad - len(names[0]) - len(names[-1])
        below = names[0] + " " * gap + names[-1] if gap > 0 and len(names) > 1 else names[-1]
        lines.append(f"{'':>{axis}}  {below}")
    return lines


def _cell(filled: float) -> str:
    """Return the block for the part of a line that is filled; what is not nothing shows."""
    if filled <= 0:
        return " "
    return _EIGHTHS[min(max(round(filled * _FULL), 1), _FULL)]


def bar(share: float | None, *, width: int = 10) -> str:
    """Return a share of one as a bar."""
    if share is None:
        return ""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return "█" * filled + "░" * (width - filled)
