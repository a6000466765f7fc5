"""How figures read to people: times, durations, money, shares, sizes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from skillsmith.output import to_json

if TYPE_CHECKING:
    from skillsmith.models import Json

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

OUTCOME_STYLES = {"success": "green", "failure": "red", "unknown": "dim"}
STATE_STYLES = {"draft": "yellow", "proven": "green", "trusted": "bold green", "quarantined": "red"}


def when(text: str | None) -> str:
    """Turn a document's timestamp into local date and time."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")


def clock(text: str | None) -> str:
    """Turn a document's timestamp into a local time of day."""
    return datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S") if text else ""


def duration(seconds: float | None) -> str:
    """Write a duration in the unit that fits it."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)}m {int(seconds % MINUTE):02d}s"
    if seconds < DAY:
        return f"{int(seconds // HOUR)}h {int(seconds % HOUR // MINUTE):02d}m"
    return f"{int(seconds // DAY)}d {int(seconds % DAY // HOUR):02d}h"


def money(usd: float | None) -> str:
    """Write a cost in dollars; nothing when it is unknown or none."""
    return f"${usd:.4f}" if usd else ""


def share(value: float | None) -> str:
    """Write a share of one in percent."""
    return "" if value is None else f"{value:.0%}"


def number(value: float | None) -> str:
    """Write a count with separated thousands; nothing for zero or None."""
    return f"{value:,}" if value else ""


def size(count: int | None) -> str:
    """Write a size in bytes in the unit that fits it."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004  (decimal units)
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def short_id(identity: str | None) -> str:
    """Shorten a UUIDv7 to what is still unique: the time and 12 random bits."""
    return (identity or "")[:18]


def joined(values: Json) -> str:
    """Write a list of names."""
    return ", ".join(str(value) for value in values or ())


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def split_list(text: str | None) -> tuple[str, ...]:
    """Read a comma-separated option."""
    return tuple(part for part in (piece.strip() for piece in (text or "").split(",")) if part)


def file_text(content: bytes | None) -> str | None:
    """Return a file's text, or None for what is not text or was not kept."""
    if content is None or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def value_text(value: Any) -> str:
    """Write a JSON value the way a person would: bare text, compact JSON for the rest."""
    return value if isinstance(value, str) else to_json(value)
