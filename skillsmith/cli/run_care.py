"""What is asked before ``run`` changes anything: tools that write are shown with their arguments first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skillsmith.cli.session import Session
from skillsmith.cli.text import plural, value_text
from skillsmith.models import Json, ToolSource
from skillsmith.output import shorten

MAX_SHOWN = 20


def writing_calls(plan: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """Return the tool calls of a dry run that may change something outside."""
    return [node for node in plan["nodes"] if node["kind"] == "tool" and node["effect"] == "write"]


def agents_that_write(plan: Mapping[str, Json]) -> bool:
    """Whether agents of a dry run may call tools that change something."""
    return any(node["kind"] == "agent" and node["effect"] == "write" for node in plan["nodes"])


def writing_tools(tools: ToolSource | None) -> list[str]:
    """Return the names of the tools that may change something."""
    from skillsmith.library.effects import effect_of  # noqa: PLC0415  (the executor has loaded it)

    return [] if tools is None else [name for name in tools.names() if effect_of(name) == "write"]


def confirm_skill(
    session: Session, plan: Mapping[str, Json], tools: ToolSource | None, *, question: str
) -> None:
    """Show what a skill will change by tools, and ask whether it may.

    Args:
        session: The command's.
        plan: The skill's dry run.
        tools: What agents of the skill can call.
        question: What is asked in any case; empty: nothing.

    Raises:
        RefusedError: The answer is no, or there is nobody to ask.
    """
    if plan["problems"]:  # what cannot run is refused with its reason, without a question
        return
    calls = writing_calls(plan)
    may_call = writing_tools(tools) if agents_that_write(plan) else []
    if session.interactive:
        _show(session, calls)
    changing = list(dict.fromkeys([*(str(call["tool"]) for call in calls), *may_call]))
    if not changing:
        if question:
            session.confirm(question, yes=False)
        return
    what = _named(changing)
    session.confirm(f"{question} it calls {what}" if question else f"may it call {what}?", yes=False)


def _show(session: Session, calls: Sequence[Mapping[str, Json]]) -> None:
    for call in calls[:MAX_SHOWN]:
        arguments = ", ".join(f"{name} = {_argument(value)}" for name, value in call["arguments"].items())
        session.out.note(f"{call['id']} calls {call['tool']}({arguments})")
    if len(calls) > MAX_SHOWN:
        session.out.note(f"and {plural(len(calls) - MAX_SHOWN, 'further call')}; --dry-run shows all")


def _argument(value: Mapping[str, Json]) -> str:
    if "value" in value:
        return shorten(value_text(value["value"]), 60)
    return f"‹{value.get('from') or value['problem']}›"


def _named(names: Sequence[str]) -> str:
    more = len(names) - 5
    some = ", ".join(names[:5])
    return f"{some} and {more} more, which change things" if more > 0 else f"{some}, which can change things"
