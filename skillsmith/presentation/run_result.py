"""What ``run`` tells of its work: one document for scripts, whoever did it, and some lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from skillsmith.models import Json
from skillsmith.output import Output, shorten
from skillsmith.presentation.documents import adaptation_document
from skillsmith.presentation.text import duration, money, plural, short_id, value_text

if TYPE_CHECKING:
    from skillsmith.library.execution.outcome import ExecutionResult
    from skillsmith.teams.result import TeamResult


def skill_document(result: ExecutionResult) -> dict[str, Json]:
    """Describe what a skill did."""
    return {
        "run_id": result.run_id,
        "execution_id": result.execution_id,
        "skill_used": result.skill_used,
        "version": result.version,
        "confidence": result.confidence,
        "success": result.success,
        "adapted": bool(result.adaptations),
        "adaptations": [adaptation_document(adaptation) for adaptation in result.adaptations],
        "outputs": dict(result.outputs),
        "artifacts": list(result.artifacts),
        "defaults_used": dict(result.defaults_used),
        "duration_seconds": result.duration_seconds,
        "model_calls": result.model_calls,
        "cost_usd": result.cost_usd,
        "error": result.error,
        "work_dir": result.work_dir,
        "nodes": [{"id": node.node_id, "status": node.status, "error": node.error} for node in result.nodes],
        "skill_created": None,
    }


def team_document(
    result: TeamResult, *, team: str, failed: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """Describe what a team of agents did, with the keys of a skill's document.

    Args:
        result: What it did.
        team: Which team.
        failed: The document of the skill that it stood in for.
    """
    return {
        "run_id": result.run_id,
        "execution_id": None,
        "skill_used": None,
        "version": None,
        "confidence": None,
        "success": result.success,
        "adapted": False,
        "adaptations": [],
        "outputs": {"answer": result.answer},
        "artifacts": list(result.artifacts),
        "duration_seconds": result.duration_seconds,
        "model_calls": result.model_calls,
        "cost_usd": result.cost_usd,
        "error": result.reason if result.outcome == "failure" else None,
        "work_dir": result.work_dir,
        "nodes": [],
        "team": team,
        "outcome": result.outcome,
        "reason": result.reason,
        "fallback_for": None if failed is None else dict(failed),
    }


def show_skill(out: Output, document: Mapping[str, Json]) -> None:
    """Print what a skill did."""
    _headline(out, document, f"{document['skill_used']}@{document['version']}")
    if document["error"]:
        out.line(document["error"], style="red")
    for name, value in document["outputs"].items():
        out.line(f"{name} = {value_text(value)}")
    _files(out, document)
    for adaptation in document["adaptations"]:
        out.line(f"adapted {_adaptation_line(adaptation)}", style="yellow")
    for name, value in document["defaults_used"].items():
        shown = shorten(value_text(value), 60)
        out.line(f"kept {name} = {shown}: the task does not speak of it", style="yellow")
    out.line(
        f"execution {short_id(document['execution_id'])}, run {short_id(document['run_id'])}", style="dim"
    )


def show_team(out: Output, document: Mapping[str, Json]) -> None:
    """Print what a team did, after the skill that failed before it."""
    if document["fallback_for"]:
        show_skill(out, document["fallback_for"])
        out.line()
    _headline(out, document, f"the {document['team']} team")
    out.line(document["reason"], style="red" if document["success"] is False else "dim")
    if document["outputs"]["answer"]:
        out.line(document["outputs"]["answer"])
    _files(out, document)
    out.line(f"run {short_id(document['run_id'])}", style="dim")


def show_made(out: Output, made: Mapping[str, Json] | None) -> None:
    """Print which skill was made of the run, and its proof."""
    if made is None:
        return
    if "error" in made:
        out.line(f"no skill was made: {made['error']}", style="yellow")
        return
    proof = made["proof"]
    said = f": {proof['level']} {'passed' if proof['passed'] else 'failed'}" if proof else ""
    compared = f", {plural(proof['compared'], 'thing')} compared" if proof else ""
    out.line(f"made skill {made['skill']}@{made['version']}, {made['state']}{said}{compared}", style="green")


def _headline(out: Output, document: Mapping[str, Json], who: str) -> None:
    words = {True: ("succeeded", "green"), False: ("failed", "bold red"), None: ("is done", "yellow")}
    verb, style = words[document["success"]]
    cost = money(document["cost_usd"])
    out.line(f"{who} {verb} in {duration(document['duration_seconds'])} {cost}".rstrip(), style=style)


def _files(out: Output, document: Mapping[str, Json]) -> None:
    for path in document["artifacts"]:
        out.line(f"made {Path(document['work_dir'] or '') / path}")


def _adaptation_line(adaptation: Mapping[str, Json]) -> str:
    what = adaptation["type"].replace("_", " ")
    if adaptation["type"] == "parameter_change":
        before, after = (shorten(value_text(adaptation[key]), 60) for key in ("before", "after"))
        what = f"{before} → {after}"
    reason = f" ({adaptation['reason']})" if adaptation["reason"] else ""
    return f"{adaptation['target']}: {what}{reason}"
