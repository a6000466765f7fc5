"""What is about to be stored is looked at together; nothing passes that holds a secret or cannot be stored.

Nearly everything that is recorded is plain text, so one look at a batch clears it, and events go from the
host's fields to rows without a value in between. What does not pass is looked at by itself, the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from skillsmith.capture.entries import Entry, Filed, Late, Noted, StepDone
from skillsmith.events import EventRow, row_of
from skillsmith.models import Event
from skillsmith.secret_formats import may_hold_secret

TOGETHER_ENTRIES = 64
TOGETHER_CHARS = 1_000_000
"""Texts are put together for one look up to this, so that looking takes little memory."""

_texts_of_event = itemgetter(1, 2, 3, 4, 6, 8, 9)
_texts_of_step = itemgetter(1, 2, 3, 6, 7, 8)
_JSON_OF_EVENT = 9
_JSON_OF_STEP = itemgetter(1, 6, 7, 8)


def made_ready(
    noted: Sequence[Noted], clean: Callable[[Entry | Late], Entry], *, redact: bool
) -> list[Filed]:
    """Return entries as they may be stored.

    Args:
        noted: In order.
        clean: Makes one entry ready the long way.
        redact: Whether secrets are looked for.
    """
    ready: list[Filed] = []
    for start in range(0, len(noted), TOGETHER_ENTRIES):
        some = noted[start : start + TOGETHER_ENTRIES]
        rows = [_row(entry, redact=redact) for _run, entry in some]
        plain = _is_plain([*chain.from_iterable(texts for _row, texts in rows)], redact=redact)
        for (run, entry), (row, texts) in zip(some, rows, strict=True):
            if row is not None and (plain or _is_plain(texts, redact=redact)):
                ready.append((run, row))
            else:
                ready.append((run, clean(entry)))
    return ready


def _row(entry: Entry | Late, *, redact: bool) -> tuple[EventRow | StepDone | None, tuple[Any, ...]]:
    """Return the row of an entry that has one, and all its texts."""
    try:
        row = entry.row() if isinstance(entry, Late) else row_of(entry) if type(entry) is Event else None
    except Exception:  # noqa: BLE001  (the long way says what is wrong with it)
        return None, ()
    if type(row) is EventRow:
        written = row[_JSON_OF_EVENT]
        escaped = written is not None and "\\" in written
        return (None, ()) if escaped and redact else (row, _texts_of_event(row))
    if isinstance(row, StepDone):
        escaped = any("\\" in written for written in _JSON_OF_STEP(row.row))
        return (None, ()) if escaped and redact else (row, _texts_of_step(row.row))
    return None, ()


def _is_plain(texts: Sequence[Any], *, redact: bool) -> bool:
    """Tell whether texts, or None, can be stored as they are; a secret in JSON may be written another way."""
    try:
        together = "\n".join(filter(None, texts))
        if not together.isascii():
            together.encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return not redact or not may_hold_secret(together)
