"""How events look to people, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skillsmith.models import Json
from skillsmith.output import Output
from skillsmith.presentation.text import clock, duration, money, value_text

CONTENT_LINES = 12
"""Lines of one event that are shown unless asked for all."""

ROLE_STYLES = {"user": "green", "assistant": "cyan", "tool": "magenta", "system": "dim"}


def show_events(out: Output, events: Sequence[Mapping[str, Json]], *, full: bool) -> None:
    """Print events for people, each with a heading and its text below."""
    for event in events:
        out.line(_heading(event), style=ROLE_STYLES.get(event.get("role") or "", "bold"))
        for label, text, language in _bodies(event):
            _show_text(out, label, text, language=language, full=full)


def _heading(event: Mapping[str, Json]) -> str:
    who = event.get("agent") or ""
    if event.get("recipient"):
        who = f"{who} → {event['recipient']}"
    what = event["kind"]
    if not who and event.get("role"):
        who = event["role"]
    if event.get("tool"):
        what += f" {event['tool']['name']}"
    code = event.get("code", {})
    if "exit_code" in code:
        what += f" exit {code['exit_code']}"
    facts = (duration(event.get("duration_seconds")), money(event.get("cost_usd")), clock(event.get("at")))
    return "  ".join(part for part in (f"{event['seq']:>5}", what, who, *facts) if part)


def _bodies(event: Mapping[str, Json]) -> list[tuple[str, str, str | None]]:
    """Return what an event holds as label, text and language of code."""
    tool, code = event.get("tool", {}), event.get("code", {})
    found = [
        ("thinks: ", event.get("reasoning"), None),
        ("", event.get("content"), None),
        ("", code.get("text"), code.get("language")),
        ("", code.get("output"), None),
        ("", value_text(tool["arguments"]) if "arguments" in tool else None, None),
        ("", tool.get("result"), None),
        ("error: ", tool.get("error"), None),
    ]
    if event["kind"] in ("context", "error", "skill", "raw") and event.get("data"):
        found.append(("", value_text(event["data"]), None))
    return [(label, text, language) for label, text, language in found if text]


def _show_text(out: Output, label: str, text: str, *, language: str | None, full: bool) -> None:
    lines = (label + text).strip("\n").splitlines()
    kept = lines if full else lines[:CONTENT_LINES]
    if language:
        out.code("\n".join(kept), language=language, indent=7)
    else:
        for line in kept:
            out.line(f"       {line if full else _cut(line, 4 * out.width)}".rstrip())
    if len(kept) < len(lines):
        out.line(f"       … {len(lines) - len(kept)} more lines (--full)", style="dim")


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[:width]}… (--full)"
