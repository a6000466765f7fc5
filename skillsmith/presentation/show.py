"""How one skill looks to people: inputs, steps with their bindings, templates, proof, ledger, reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from skillsmith.library.program.bindings import show as show_binding
from skillsmith.models import Json, Node, Reason, Skill, Variable
from skillsmith.output import Column, Output, shorten
from skillsmith.presentation.text import STATE_STYLES, duration, joined, plural, share, size, value_text, when

DECISIONS = (
    ("Inputs: values that the task or a user gave", ("input", "variable")),
    ("Flows: values that an earlier result or file gave", ("flow", "file", "edge")),
    ("Constants: values that nothing gave", ("constant",)),
    ("Outputs", ("output",)),
    ("Kept", ("kept",)),
    ("Left out", ("left_out",)),
)

TABLE_CHARS = 50
"""What the table of inputs shows of a default."""

INPUT_COLUMNS = (
    Column(key="name", title="input", style="cyan"),
    Column(key="type", title="type"),
    Column(key="required", title="", show=lambda required: "required" if required else ""),
    Column(key="default", title="example or default", width=TABLE_CHARS),
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
    show_defaults(out, [variable for variable in skill.variables if _is_long(variable)])
    show_artifacts(out, skill)
    show_called(out, skill)
    if skill.body:
        _heading(out, "Notes")
        out.line(skill.body)


def show_for_trust(out: Output, skill: Skill) -> None:
    """Print everything of a skill that could run or be used when it runs, and nothing of it shortened."""
    out.line(f"{skill.name}@{skill.version}  {skill.state}", style=STATE_STYLES.get(skill.state, "bold"))
    show_defaults(out, skill.variables)
    show_steps(out, skill, code=True, whole=True)
    show_artifacts(out, skill)
    show_called(out, skill)


def show_defaults(out: Output, variables: Sequence[Variable]) -> None:
    """Print inputs with their defaults in full: a default goes into code, too."""
    if not variables:
        return
    _heading(out, "Inputs and their defaults")
    for variable in variables:
        default = "no default" if variable.default is None else f"= {value_text(variable.default)}"
        out.line(f"      {variable.name} ({variable.type}) {default}")


def _is_long(variable: Variable) -> bool:
    """Whether the table of inputs may cut a default off."""
    text = "" if variable.default is None else value_text(variable.default)
    return len(text) > TABLE_CHARS or "\n" in text


def show_artifacts(out: Output, skill: Skill) -> None:
    """Print the files that come with a skill, and what the text ones hold: code may import them."""
    if not skill.artifacts:
        return
    _heading(out, "Files that come with it")
    for artifact in skill.artifacts:
        place = f" → {artifact.path}" if artifact.path and artifact.path != artifact.name else ""
        facts = f"{artifact.type}, {size(len(artifact.content))}"
        out.line(f"      {artifact.name}{place}  {facts}", style="bold")
        text = _as_text(artifact.content)
        if text is None:
            out.line("        (not text)", style="dim")
        else:
            out.code(text, language=artifact.language or "text", indent=8)


def _as_text(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def show_called(out: Output, skill: Skill) -> None:
    """Print the names of the skills that a skill calls."""
    called = dict.fromkeys(node.tool for node in skill.nodes if node.kind == "skill" and node.tool)
    if called:
        _heading(out, "Skills it calls")
        for name in called:
            out.line(f"      {name}")


def _facts(skill: Skill, document: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    yield "task", shorten(skill.task_pattern, 300)
    yield "tags", joined(skill.tags)
    yield "agents", joined(skill.agents)
    yield "made", when(document["created_at"])
    yield "from", joined(skill.source_run_ids)
    yield "proof", _proof_line(document["proof"])
    yield "ledger", ledger_line(document["ledger"])
    yield "digest", document["digest"]
    yield "needs", needs_line(skill)


def needs_line(skill: Skill) -> str:
    """Write which packages and programs a skill needs, and how to get those that are not here."""
    from skillsmith.library.extraction.requirements import missing_for, needs_of  # noqa: PLC0415  (only for code)

    if not any(node.kind == "code" for node in skill.nodes):
        return ""
    noted = skill.context_requirements
    versions = noted.get("versions") or {}
    names = [f"{name} {versions[name]}" if name in versions else name for name in noted.get("packages") or ()]
    missing = missing_for(needs_of(skill))
    absent = "; ".join(f"{one.name} is not here: {one.hint}" for one in missing)
    return " — ".join(part for part in (joined([*names, *(noted.get("programs") or ())]), absent) if part)


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


def show_steps(out: Output, skill: Skill, *, code: bool, whole: bool = False) -> None:
    """Print the nodes in order, each with what it waits for and where its values come from.

    Args:
        out: Where to.
        skill: The skill.
        code: Whether templates are shown.
        whole: Whether long bindings are shown in full.
    """
    _heading(out, "Steps")
    for node in skill.nodes:
        after = f"  after {joined(node.after)}" if node.after else ""
        out.line(f"{node.id:>4}  {node.kind}  {_node_title(node)}{after}", style="bold")
        for line in _node_facts(node, whole=whole):
            out.line(f"        {line}")
        if code and node.template is not None:
            out.code(node.template.text, language=node.language or "text", indent=8)
    if skill.output_bindings:
        _heading(out, "Outputs")
        for name, binding in skill.output_bindings.items():
            out.line(f"      {name} ← {show_binding(binding)}")


def _node_title(node: Node) -> str:
    return node.tool or node.title or node.language or ""


def _node_facts(node: Node, *, whole: bool) -> Iterator[str]:
    if node.for_each is not None:
        yield f"for each item of {show_binding(node.for_each)}"
    for name, binding in (*node.arguments.items(), *node.bindings.items()):
        text = show_binding(binding)
        yield f"{name} ← {text if whole else shorten(text, 200)}"
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
