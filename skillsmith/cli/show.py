"""How one skill looks to people: inputs, steps with their bindings, templates, proof, ledger, reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from skillsmith.cli.text import STATE_STYLES, duration, joined, plural, share, value_text, when
from skillsmith.library.bindings import show as show_binding
from skillsmith.models import Json, Node, Reason, Skill, Variable
from skillsmith.output import Column, Output, shorten

DECISIONS = (
    ("Inputs: values that the task or a user gave", ("input", "variable")),
    ("Flows: values that an earlier result or file gave", ("flow", "file", "edge")),
    ("Constants: values that nothing gave", ("constant",)),
    ("Outputs", ("output",)),
    ("Kept", ("kept",)),
    ("Left out", ("left_out",)),
)

INPUT_COLUMNS = (
    Column(key="name", title="input", style="cyan"),
    Column(key="type", title="type"),
    Column(key="required", title="", show=lambda required: "required" if required else ""),
    Column(key="default", title="example or default", width=50),
    Column(key="description", title="description", width=70, grow=True),
)


def show_skill(out: Output, skill: Skill, document: Mapping[str, Json]) -> None:
    """Print a whole skill."""
    out.line(f"{skill.name}@{skill.version}  {skill.state}", style=STATE_STYLES.get(skill.state, "bold"))
    if skill.description:
        out.line(skill.description)
    out.line()
    out.fields(_facts(skill, document))
    show_inputs(out, skill.variables)
    show_steps(out, skill, code=True)
    if skill.body:
        _heading(out, "Notes")
        out.line(skill.body)


def _facts(skill: Skill, document: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    yield "task", shorten(skill.task_pattern, 300)
    yield "tags", joined(skill.tags)
    yield "agents", joined(skill.agents)
    yield "made", when(document["created_at"])
    yield "from", joined(skill.source_run_ids)
    yield "proof", _proof_line(document["proof"])
    yield "ledger", ledger_line(document["ledger"])
    yield "digest", document["digest"]


def _proof_line(proof: Mapping[str, Json] | None) -> str:
    if proof is None:
        return "none"
    verdict = "passed" if proof["passed"] else "failed"
    failures = f": {proof['failures'][0]}" if proof["failures"] else ""
    return f"{proof['level']} {verdict}, {plural(proof['compared'], 'thing')} compared{failures}"


def ledger_line(stats: Mapping[str, Json]) -> str:
    """Write a skill's performance in one line."""
    if not stats["executions"]:
        return "not used yet"
    parts = [plural(stats["executions"], "execution")]
    if stats["success_rate"] is not None:
        parts.append(f"{share(stats['success_rate'])} successful")
        parts.append(f"{duration(stats['avg_duration_seconds'])} on average")
    if stats["adaptation_rate"]:
        parts.append(f"{share(stats['adaptation_rate'])} adapted")
    return ", ".join(parts)


def show_inputs(out: Output, variables: Sequence[Variable]) -> None:
    """Print a skill's inputs."""
    if not variables:
        return
    out.line()
    out.table(INPUT_COLUMNS, [_input_row(variable) for variable in variables])


def _input_row(variable: Variable) -> dict[str, Json]:
    kind: str = variable.type
    if variable.enum:
        kind += f" ({joined(variable.enum)})"
    return {
        "name": variable.name,
        "type": kind,
        "required": variable.required,
        "default": "" if variable.default is None else value_text(variable.default),
        "description": variable.description,
    }


def show_steps(out: Output, skill: Skill, *, code: bool) -> None:
    """Print the nodes in order, each with what it waits for and where its values come from."""
    _heading(out, "Steps")
    for node in skill.nodes:
        after = f"  after {joined(node.after)}" if node.after else ""
        out.line(f"{node.id:>4}  {node.kind}  {_node_title(node)}{after}", style="bold")
        for line in _node_facts(node):
            out.line(f"        {line}")
        if code and node.template is not None:
            out.code(node.template.text, language=node.language or "text", indent=8)
    if skill.output_bindings:
        _heading(out, "Outputs")
        for name, binding in skill.output_bindings.items():
            out.line(f"      {name} ← {show_binding(binding)}")


def _node_title(node: Node) -> str:
    return node.tool or node.title or node.language or ""


def _node_facts(node: Node) -> Iterator[str]:
    for name, binding in (*node.arguments.items(), *node.bindings.items()):
        yield f"{name} ← {shorten(show_binding(binding), 200)}"
    for label, uses in (("reads", node.reads), ("writes", node.writes)):
        if uses:
            yield f"{label} {', '.join(show_binding(use.path) for use in uses)}"
    if node.condition:
        yield f"only if {node.condition}"
    if node.optional:
        yield "may fail"
    if node.retries:
        yield f"tried again up to {plural(node.retries, 'time')}"


def show_reasons(out: Output, reasons: Sequence[Reason]) -> None:
    """Print every decision of the extraction with what supports it."""
    if not reasons:
        out.line("no decisions are recorded: the skill was not extracted from a run")
    known = {decision for _, decisions in DECISIONS for decision in decisions}
    others = tuple(sorted({reason.decision for reason in reasons} - known))
    for title, decisions in (*DECISIONS, ("Other", others)):
        chosen = [reason for reason in reasons if reason.decision in decisions]
        if chosen:
            _heading(out, title)
        for reason in chosen:
            _show_reason(out, reason)


def _show_reason(out: Output, reason: Reason) -> None:
    value = "" if reason.value is None else f" = {shorten(value_text(reason.value), 80)}"
    out.line(f"  {reason.subject}{value}", style="cyan")
    out.line(f"      {reason.rule}: {reason.detail}" if reason.detail else f"      {reason.rule}")
    for witness in reason.witnesses:
        place = f"event {witness.seq}, {witness.where}"
        path = f" at {witness.path}" if witness.path else ""
        text = f": “{shorten(witness.text, 100)}”" if witness.text else ""
        out.line(f"      {place}{path}{text}", style="dim")


def _heading(out: Output, text: str) -> None:
    out.line()
    out.line(text, style="bold underline")
