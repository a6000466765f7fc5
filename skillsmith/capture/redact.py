"""No secret reaches the file: each text of an event, of JSON, of a file is rid of it before it is stored.

What counts as a secret stands in ``skillsmith/secret_formats.py``; this runs on every event and every
imported record, and gives back the very object when there is nothing to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from typing import TypeVar

from skillsmith.events import dump_json
from skillsmith.models import CodeUse, Event, Json, ToolUse
from skillsmith.secret_formats import may_hold_secret, redact_text

__all__ = ["redact_bytes", "redact_event", "redact_json", "redact_text"]

_Use = TypeVar("_Use", ToolUse, CodeUse)


def redact_json(value: Json) -> Json:
    """Return a JSON value with each secret in its texts and keys replaced; the same object if unchanged."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        pairs = {redact_json(key): redact_json(item) for key, item in value.items()}
        return value if all(pairs.get(key, pairs) is item for key, item in value.items()) else pairs
    if isinstance(value, (list, tuple)):
        items = [redact_json(item) for item in value]
        return value if all(map(_is, items, value)) else items
    return value


def redact_event(event: Event) -> Event:
    """Return the event with each secret in any of its texts replaced; the same object when it has none."""
    if _is_plain(event):
        return event
    changes: dict[str, Json] = {}
    for name in _EVENT_TEXTS:
        text = getattr(event, name)
        if text is not None and (clean := redact_json(text)) is not text:
            changes[name] = clean
    if event.tool is not None and (tool := _redact_use(event.tool, _TOOL_TEXTS)) is not event.tool:
        changes["tool"] = tool
    if event.code is not None and (code := _redact_use(event.code, _CODE_TEXTS)) is not event.code:
        changes["code"] = code
    if event.data and (data := redact_json(event.data)) is not event.data:
        changes["data"] = data
    return replace(event, **changes) if changes else event


def _is_plain(event: Event) -> bool:
    """Tell from one look at all of its texts together that an event holds no secret, as nearly all do."""
    texts = [*_of_event(event)]
    if event.tool is not None:
        texts += _of_tool(event.tool)
    if event.code is not None:
        texts += _of_code(event.code)
    if event.data:
        written = dump_json(event.data)
        if "\\" in written:  # a secret may be written in another way there
            return False
        texts.append(written)
    try:
        together = "\n".join(filter(None, texts))
    except TypeError:  # some of it is JSON
        return False
    return not may_hold_secret(together)


def redact_bytes(content: bytes) -> bytes | None:
    """Return a file's content with each secret replaced; the same object when it has none.

    What is no UTF-8 is looked through byte by byte, and as UTF-16. None: it holds a secret in a form in which
    it cannot be replaced (text in UTF-16). Compressed content cannot be looked into.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if text and "\0" not in text:
        clean = redact_text(text)
        return content if clean is text else clean.encode()
    bare = content.replace(b"\0", b"").decode("latin-1")
    if redact_text(bare) is bare:
        return content
    letters = content.decode("latin-1")
    clean = redact_text(letters)
    if redact_text(clean.replace("\0", "")) != clean.replace("\0", ""):
        return None
    return clean.translate(_PLAIN_MARKS).encode("latin-1", "replace")


_PLAIN_MARKS = str.maketrans("‹›", "<>")
"""Latin-1 has no such quotation marks."""

_TOOL_TEXTS = ("name", "call_id", "arguments", "parsed", "result", "error")
_CODE_TEXTS = ("text", "output", "call_id")
_EVENT_TEXTS = ("content", "reasoning", "agent", "recipient", "record_id")
_of_event, _of_tool, _of_code = (
    attrgetter(*_EVENT_TEXTS), attrgetter(*_TOOL_TEXTS), attrgetter(*_CODE_TEXTS),
)  # fmt: skip


def _redact_use(use: _Use, names: tuple[str, ...]) -> _Use:
    changes: dict[str, Json] = {}
    for name in names:
        value = getattr(use, name)
        if value is not None and (clean := redact_json(value)) is not value:
            changes[name] = clean
    return replace(use, **changes) if changes else use


def _is(one: object, other: object) -> bool:
    return one is other
