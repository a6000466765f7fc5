"""``watch``: what agents do, while they do it, from another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from skillsmith.cli.session import Session, command
from skillsmith.models import Json
from skillsmith.notices import SKILL_PREFIX
from skillsmith.output import Output, shorten
from skillsmith.presentation.text import clock, duration, money, number, short_id, value_text
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.follower import FeedEvent

SILENT_SECONDS: Final = 3600.0
"""A run that has been silent for longer is not followed unless it is named: its process may be gone."""

LOOK_SECONDS: Final = 0.1
TASK_CHARS: Final = 60
CONTENT_CHARS: Final = 2000
"""Of one event's text that is looked at for its line."""

LEAST_TEXT_CHARS: Final = 20

LOOKS: Final[Mapping[str, tuple[str, str]]] = {
    "RUN_STARTED": ("begins", "bold"), "RUN_ENDED": ("ended", "bold"),
    "AGENT_START": ("at work", "bold cyan"), "AGENT_REASONING": ("thinks", "dim italic"),
    "AGENT_MESSAGE": ("says", "cyan"), "AGENT_TRANSITION": ("hands over", "blue"),
    "TOOL_USAGE": ("calls", "yellow"), "TOOL_RESULT": ("gets", "magenta"),
    "CODE_GENERATED": ("writes code", "yellow"), "CODE_EXECUTED": ("ran code", "magenta"),
    "ARTIFACT_UPDATED": ("file", "green"), "CONTEXT_UPDATED": ("context", "dim"),
    "LLM_CALL": ("asked a model", "dim"), "ERROR": ("error", "red"), "NOTE": ("note", "dim"),
}  # fmt: skip
"""What is said of an event for people, and how it looks."""

SKILL_STYLE: Final = "bold green"

_Data: TypeAlias = Mapping[str, Json]

WatchedArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", show_default=False,
        help="A run's id or a unique beginning of it; else the newest one under way, or the next to begin.",
    ),
]  # fmt: skip


@command("skillsmith watch", "skillsmith watch 019ab3 --json", "skillsmith watch --json --after 41:7")
def watch(
    session: Session,
    *,
    run: WatchedArgument = None,
    full: Annotated[bool, typer.Option("--full", help="Print whole texts, not one line an event.")] = False,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Go on behind this event's `cursor`.")
    ] = None,
) -> None:
    """Follow a run while it goes on, from its beginning until it ends; Ctrl-C stops watching, not the run.

    With --json each event is one line: {"event": NAME, "data": {...}, "cursor": ...}.
    """
    with session.open() as workspace:
        try:
            run_id = workspace.runs.get(run).id if run else _find(session.out, workspace)
            for event in workspace.events.stream(run=run_id, after=after or 0):
                _print(session.out, event, full=full)
        except KeyboardInterrupt:
            session.out.note("stopped watching")


def _find(out: Output, workspace: Workspace) -> str:
    """Return the newest run under way, or wait for the next one to begin."""
    from skillsmith.tail import Tail  # noqa: PLC0415  (only to watch)

    tail = Tail(workspace.db)
    last = tail.last_run()
    found = tail.newest_running(active_since=time.time() - SILENT_SECONDS)
    if found is None:
        out.note("no run is under way; waiting for the next")
    while found is None:
        time.sleep(LOOK_SECONDS)
        found = tail.next_live(last)
    out.note(f"following run {short_id(found.id)}  {shorten(found.task, TASK_CHARS)}".rstrip())
    return found.id


def _print(out: Output, event: FeedEvent, *, full: bool) -> None:
    """Print an event and hand it to whoever reads, at once."""
    if out.as_json:
        out.json_line(event)
        return
    name, data = event["event"], event["data"]
    label, style = LOOKS.get(name, (name.lower().replace("_", " "), SKILL_STYLE))
    parts = (clock(data.get("timestamp")), _who(name, data), label)
    head = "  ".join(part for part in parts if part)
    text = _TEXTS.get(name, _skill if name.startswith(SKILL_PREFIX) else _any_text)(data)
    if full:
        out.line(head, style=style)
        for line in text.splitlines():
            out.line(f"    {line}")
    else:
        room = max(out.width - len(head) - 2, LEAST_TEXT_CHARS)
        out.line(f"{head}  {shorten(text[:CONTENT_CHARS], room)}".rstrip(), style=style)
    out.flush()


def _who(name: str, data: _Data) -> str:
    if name in ("RUN_STARTED", "RUN_ENDED"):
        return f"run {short_id(data['run_id'])}"
    agent: str = data.get("agent") or ""
    return f"{agent} → {data['recipient']}" if data.get("recipient") else agent


def _ended(data: _Data) -> str:
    events = f"{number(data['events'])} events" if data["events"] else ""
    outcome = f"outcome {data['outcome']}"
    if data["reason"]:
        outcome += f" ({data['reason']})"
    facts = (data["status"], outcome, duration(data["duration_seconds"]), events, money(data["cost_usd"]))
    return ", ".join(fact for fact in facts if fact)


def _tool_result(data: _Data) -> str:
    return f"{data['tool']} {'error: ' + data['error'] if data['error'] else data['result'] or ''}"


def _transition(data: _Data) -> str:
    return f"to {data['to']}{': ' + data['reason'] if data['reason'] else ''}"


def _artifact(data: _Data) -> str:
    version = f" version {data['version']}" if data["version"] else ""
    return f"{data['change'] or 'new'} {data['path']}{version}"


def _llm_call(data: _Data) -> str:
    tokens = f"{data['tokens_in'] or 0:,} + {data['tokens_out'] or 0:,} tokens"
    facts = (data["model"], tokens, duration(data["duration_seconds"]), money(data["cost_usd"]))
    return "  ".join(fact for fact in facts if fact)


def _skill(data: _Data) -> str:
    confidence = data.get("confidence")
    success = data.get("success")
    facts = (
        data.get("skill_name"),
        None if confidence is None else f"confidence {confidence:.2f}",
        None if success is None else ("succeeded" if success else "failed"),
        ", ".join(str(change.get("type")) for change in data.get("adaptations") or ()),
        data.get("explanation") or data.get("reason") or data.get("error") or data.get("message"),
    )
    return ", ".join(str(fact) for fact in facts if fact)


def _any_text(data: _Data) -> str:
    return next((value_text(data[key]) for key in _TELLING if data.get(key)), "")


_TELLING = (
    "reasoning", "code", "error", "content", "context", "data",
)  # fmt: skip
"""Keys whose value is what an event says; the first that has one."""

_TEXTS: Final[Mapping[str, Callable[[_Data], str]]] = {
    "RUN_STARTED": lambda data: data["task"] or "",
    "RUN_ENDED": _ended,
    "TOOL_USAGE": lambda data: f"{data['tool']} {value_text(data['args']) if data['args'] else ''}",
    "TOOL_RESULT": _tool_result,
    "CODE_EXECUTED": lambda data: f"exit {data['exit_code']}\n{data['output'] or ''}",
    "AGENT_TRANSITION": _transition,
    "ARTIFACT_UPDATED": _artifact,
    "LLM_CALL": _llm_call,
}
