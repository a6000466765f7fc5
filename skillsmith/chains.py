"""The identity of an imported run: a digest that each event extends.

Two logs whose events begin alike have equal links up to there, so a log read again is known, whatever it is
called, and a log that has grown continues the run it began.
"""

from __future__ import annotations

from hashlib import sha256

from skillsmith.events import dump_json
from skillsmith.models import Event, RunRecord


def chain(record: RunRecord) -> list[str]:
    """Return the chain digest after each event; equal prefixes of two logs give equal links.

    The first link also covers format and native id, so that two runs of one task are never confused.
    """
    state = sha256(f"{record.source}\0{record.native_id or ''}".encode("utf-8", "replace"))
    links = [state.hexdigest()]
    for event in record.events:
        state.update(_fingerprint(event))
        links.append(state.hexdigest())
    return links


def _fingerprint(event: Event) -> bytes:
    tool, code = event.tool, event.code
    parts = (
        event.kind, event.record_id, event.at, event.role, event.agent, event.recipient, event.content,
        event.reasoning, tool and (tool.name, tool.call_id, tool.arguments, tool.result),
        code and (code.language, code.text, code.exit_code, code.output),
        None if event.record_id else event.data and dump_json(dict(event.data)),
    )  # fmt: skip
    return repr(parts).encode("utf-8", "replace")
