"""What an execution leaves in the file holds no secret: whatever is stored goes through here first.

Only what is stored changes; the nodes get the values as they are. So an execution that used a secret cannot
be resumed, which ``holds_redacted`` tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from skillsmith.models import Event, Json

Redact: TypeAlias = Callable[[Event], Event]

_MARK = "‹redacted:"
_NUL = b"\0"


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Takes secrets out of what is stored, each kind of value by way of an event that holds it.

    Args:
        redact: Takes secrets out of an event; None: everything is stored as it is.
    """

    redact: Redact | None = None

    def event(self, event: Event) -> Event:
        """Return an event without its secrets."""
        return event if self.redact is None else self.redact(event)

    def text(self, text: str) -> str:
        """Return a text without its secrets."""
        return self.event(Event(kind="message", content=text)).content or ""

    def json(self, value: Json) -> Json:
        """Return a JSON value without its secrets."""
        if self.redact is None or not value or isinstance(value, (bool, int, float)):
            return value
        data = self.event(Event(kind="context", data={"value": value})).data
        return value if data is None else data["value"]

    def content(self, content: bytes) -> bytes:
        """Return a file's content without its secrets; only text can be looked through."""
        if self.redact is None or _NUL in content:
            return content
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            return content
        clean = self.text(text)
        return content if clean == text else clean.encode("utf-8")


def holds_redacted(value: Json) -> bool:
    """Whether a stored value lacks a secret that it had."""
    if isinstance(value, str):
        return _MARK in value
    if isinstance(value, dict):
        return any(holds_redacted(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(holds_redacted, value))
