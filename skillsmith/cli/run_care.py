"""What is asked before ``run`` changes anything: tools that write are shown with their arguments first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skillsmith.cli.session import Session
from skillsmith.models import Json, ToolSource
from skillsmith.output import shorten
from skillsmith.presentation.plan_effects import agents_that_write, writing_calls, writing_tools
from skillsmith.presentation.text import plural, value_text

MAX_SHOWN = 20


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
