"""A skill's facts as pages of text: overview, one node, proofs, ledger, one decision of the extraction.

Functions from values to Rich renderables; nothing here asks the file or knows a widget.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from skillsmith.library.evidence.intervals import Interval
from skillsmith.library.program.bindings import show as show_binding
from skillsmith.models import Json, Node, Proof, Reason, Skill, SkillArtifact, Template, Variable
from skillsmith.output import clean, shorten
from skillsmith.presentation.show import needs_line
from skillsmith.tui.text import duration, joined, moment, money, plural, share, short_id, size, value_text
from skillsmith.tui.widgets.bars import STATE_STYLES, StyleOf, interval_bar, rate_text
from skillsmith.tui.widgets.dag_model import LEGEND, marks_of

MAX_CODE_CHARS: Final = 200_000
RATE_WIDTH: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """How the theme writes.

    Args:
        style: Gives the theme's colours by meaning.
        dark: Whether its background is dark.
    """

    style: StyleOf
    dark: bool

    def head(self, text: str) -> Text:
        """Write a heading."""
        return Text(f"\n{text}", style=f"bold {self.style('accent')}")

    def facts(self, pairs: Iterable[tuple[str, RenderableType]]) -> Table:
        """Write names with their values below each other; empty values are left out."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style=self.style("muted"), no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            if value:
                table.add_row(name, Text(clean(value)) if isinstance(value, str) else value)
        return table

    def code(self, text: str, *, language: str | None, places: Sequence[str] = ()) -> Text:
        """Write code in colours, with the places of a template made visible.

        Args:
            text: The code.
            language: Its language; None: plain text.
            places: Names of the template's variables.
        """
        shown = clean(text)[:MAX_CODE_CHARS]
        theme = "monokai" if self.dark else "default"
        drawn = Syntax("", language or "text", theme=theme).highlight(shown)
        drawn.rstrip()
        for name in dict.fromkeys(places):
            drawn.highlight_words([f"{{{name}}}"], style=f"bold reverse {self.style('accent')}")
        return drawn

    def template(self, template: Template, *, language: str | None) -> Text:
        """Write a template in colours."""
        return self.code(template.text, language=language, places=[slot.variable for slot in template.slots])


def overview_page(skill: Skill, *, stats: Mapping[str, Json], pen: Pen) -> RenderableType:
    """Write what a skill is and takes and gives."""
    parts: list[RenderableType] = []
    if skill.description:
        parts.append(Text(clean(skill.description)))
    parts += [
        Text(""),
        pen.facts(_overview_facts(skill, stats, pen)),
        pen.head("Inputs"),
        _inputs(skill.variables, pen),
    ]
    parts += [pen.head("Outputs"), _outputs(skill, pen)]
    needs = [(name, text) for name, text in _needs(skill) if text]
    if needs:
        parts += [pen.head("Needs"), pen.facts(needs)]
    if skill.artifacts:
        rows = ((one.path or one.name, f"{one.type}, {size(len(one.content))}") for one in skill.artifacts)
        parts += [pen.head("Files that come with it"), pen.facts(rows)]
    if skill.body:
        parts += [pen.head("Notes"), pen.code(skill.body, language="markdown")]
    return Group(*parts)


def _needs(skill: Skill) -> Iterator[tuple[str, str]]:
    noted = skill.context_requirements
    yield "packages", needs_line(skill)
    yield "tools", joined(noted.get("tools") or ())
    yield "notes", joined(noted.get("notes") or ())


def _overview_facts(
    skill: Skill, stats: Mapping[str, Json], pen: Pen
) -> Iterator[tuple[str, RenderableType]]:
    yield "state", Text(skill.state, style=pen.style(STATE_STYLES.get(skill.state, "muted")))
    yield "task", shorten(skill.task_pattern, 400)
    yield "success", _rate_line(stats, pen)
    yield "steps", f"{plural(len(skill.nodes), 'step')}: {_kinds(skill)}" if skill.nodes else ""
    yield "agents", joined(skill.agents)
    yield "tags", joined(skill.tags)
    yield "made", moment(skill.created_at)
    yield "because", skill.reason
    yield "from", joined(short_id(run) for run in skill.source_run_ids)


def _kinds(skill: Skill) -> str:
    counts: dict[str, int] = {}
    for node in skill.nodes:
        counts[node.kind] = counts.get(node.kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def rate_of(stats: Mapping[str, Json]) -> Interval | None:
    """Return the success rate of ``ledger.stats`` with its interval."""
    if stats.get("success_rate") is None:
        return None
    return Interval(stats["success_rate"], stats["success_rate_low"], stats["success_rate_high"])


def _rate_line(stats: Mapping[str, Json], pen: Pen) -> Text:
    rate = rate_of(stats)
    if rate is None:
        return Text("not used yet", style=pen.style("muted"))
    text = interval_bar(rate, width=RATE_WIDTH, style=pen.style)
    return text.append(f" {rate_text(rate)} of {plural(stats['finished'], 'execution')}")


def _inputs(variables: Sequence[Variable], pen: Pen) -> RenderableType:
    if not variables:
        return Text("it takes no inputs", style=pen.style("muted"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=pen.style("muted"))
    table.add_column("input", style=pen.style("primary"), no_wrap=True)
    table.add_column("type")
    table.add_column("example or default", overflow="fold")
    table.add_column("what it is", overflow="fold")
    for one in variables:
        kind = f"{one.type}, required" if one.required else one.type
        default = f"one of {joined(one.enum)}" if one.enum else _value(one.default)
        table.add_row(one.name, kind, shorten(clean(default), 120), clean(one.description))
    return table


def _outputs(skill: Skill, pen: Pen) -> RenderableType:
    if not skill.output_bindings:
        return Text("it gives no outputs beside its files", style=pen.style("muted"))
    return pen.facts((name, f"← {show_binding(one)}") for name, one in skill.output_bindings.items())


def _value(value: Json) -> str:
    return "" if value is None else shorten(value_text(value), 300)


def node_page(node: Node, *, pen: Pen, changed: Mapping[str, int] | None = None) -> RenderableType:
    """Write one node: what it does, where its values come from, its template.

    Args:
        node: The node.
        pen: The theme's.
        changed: How often executions changed it, by type of adaptation.
    """
    name = node.tool or node.title or node.language or ""
    parts: list[RenderableType] = [Text(clean(f"{node.id}  {node.kind}  {name}"), style="bold")]
    parts.append(pen.facts(_node_facts(node)))
    if changed:
        parts.append(
            pen.facts(
                [("adapted", ", ".join(f"{n} × {what.replace('_', ' ')}" for what, n in changed.items()))]
            )
        )
    given = {**node.arguments, **node.bindings}
    if given:
        parts += [
            pen.head("Values"),
            pen.facts((key, f"← {show_binding(one)}") for key, one in given.items()),
        ]
    if node.template is not None:
        language = (node.language or "python") if node.kind in ("code", "check") else None
        parts += [
            pen.head(_TEMPLATES.get(node.kind, "Template")),
            pen.template(node.template, language=language),
        ]
    return Group(*parts)


_TEMPLATES: Final = {"code": "Code", "agent": "Prompt", "approval": "Question", "check": "Check"}


def _node_facts(node: Node) -> Iterator[tuple[str, RenderableType]]:
    marks = marks_of(node)
    yield "title", node.title if node.tool else ""
    yield "agent", node.agent or ""
    yield "is", ", ".join(f"{sign} {words}" for sign, words in LEGEND if sign in marks)
    yield "for each", "" if node.for_each is None else show_binding(node.for_each)
    yield "only if", node.condition or ""
    yield "after", joined(node.after)
    yield "reads", ", ".join(show_binding(use.path) for use in node.reads)
    yield "writes", ", ".join(show_binding(use.path) for use in node.writes)
    yield "again", f"up to {plural(node.retries, 'time')}" if node.retries else ""
    yield "at most", duration(node.timeout_seconds) if node.timeout_seconds else ""
    yield "events", joined(node.source_seqs)


def reason_page(reason: Reason, *, skill: Skill, pen: Pen) -> RenderableType:
    """Write one decision: the literal, the rule, where it was seen, where it stands in the skill."""
    parts: list[RenderableType] = [Text(clean(reason.subject), style="bold")]
    parts.append(pen.facts([
        ("decision", reason.decision.replace("_", " ")), ("rule", reason.rule),
        ("literal", "" if reason.value is None else value_text(reason.value)), ("because", reason.detail),
    ]))  # fmt: skip
    if reason.witnesses:
        parts.append(pen.head("Seen in the run"))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style=pen.style("muted"), no_wrap=True)
        table.add_column(overflow="fold")
        for one in reason.witnesses:
            place = f" at {one.path}" if one.path else ""
            words = Text(f"“{clean(one.text)}”" if one.text else "").append(
                clean(place), style=pen.style("muted")
            )
            table.add_row(f"event {one.seq}, {one.where}", words)
        parts.append(table)
    used = list(_uses(reason.subject, skill))
    if used:
        parts.append(pen.head("Stands in the skill"))
        for node, line, name in used:
            parts.append(
                Text(f"{node}  ", style=pen.style("muted")) + pen.code(line, language=None, places=[name])
            )
    return Group(*parts)


def _uses(subject: str, skill: Skill) -> Iterator[tuple[str, str, str]]:
    """Yield node, line and name of the places in templates that a subject's variable fills."""
    name = subject.rpartition(".")[2]
    for node in skill.nodes:
        if node.template is None or name not in {slot.variable for slot in node.template.slots}:
            continue
        for line in node.template.text.splitlines():
            if f"{{{name}}}" in line:
                yield node.id, line.strip(), name


def proofs_page(proofs: Sequence[Proof], *, pen: Pen) -> RenderableType:
    """Write every proof of a version, the newest first."""
    if not proofs:
        return Text("nothing is proven of this version yet", style=pen.style("muted"))
    parts: list[RenderableType] = []
    for proof in reversed(proofs):
        style = pen.style("success" if proof.passed else "error")
        verdict = "✓ passed" if proof.passed else "✗ failed"
        parts.append(Text(f"{proof.level}  ", style="bold").append(verdict, style=style))
        parts.append(pen.facts([
            ("compared", plural(proof.compared, "thing")), ("at", moment(proof.at)),
            ("took", duration(proof.duration_seconds)), ("differs", "\n".join(proof.failures)),
            *((name, _value(value)) for name, value in proof.detail.items()),
        ]))  # fmt: skip
        parts.append(Text(""))
    return Group(*parts)


def ledger_page(stats: Mapping[str, Json], *, pen: Pen) -> RenderableType:
    """Write a skill's figures beside the user's own runs without it."""
    parts: list[RenderableType] = [pen.facts([
        ("success", _rate_line(stats, pen)), ("used", _uses_line(stats)),
        ("on average", duration(stats["avg_duration_seconds"])),
        ("95 % within", duration(stats["p95_duration_seconds"])), ("cost", money(stats["avg_cost_usd"])),
        ("adapted", share(stats["adaptation_rate"])), ("last used", moment(stats["last_used_at"])),
    ])]  # fmt: skip
    base = stats["baseline"]
    parts.append(pen.head("Your runs without it"))
    if base is None:
        parts.append(Text("none to compare with", style=pen.style("muted")))
        return Group(*parts)
    plain = Interval(base["success_rate"], base["success_rate_low"], base["success_rate_high"])
    bar = interval_bar(plain, width=RATE_WIDTH, style=pen.style).append(f" {rate_text(plain)}")
    rules = ", ".join(f"{count} by {rule}" for rule, count in base["by"].items())
    parts.append(pen.facts([
        ("success", bar), ("runs", f"{base['runs']} ({rules})"),
        ("median", duration(base["median_duration_seconds"])), ("cost", money(base["median_cost_usd"])),
        ("faster by", f"{stats['speedup']:.1f} ×" if stats["speedup"] else ""),
        ("with it", difference_line(stats["difference"])),
        ("helped / hurt", f"{stats['helped']} / {stats['hurt']}"),
    ]))  # fmt: skip
    return Group(*parts)


def _uses_line(stats: Mapping[str, Json]) -> str:
    return (
        f"{stats['executions']} times ({stats['matched']} by match),"
        f" {stats['applied']} applied, {stats['completed']} completed"
    )


def difference_line(found: Mapping[str, Json] | None) -> str:
    """Write how success differs with a skill, and whether that is shown."""
    if found is None:
        return ""
    words = {"better": "better", "worse": "worse", "not shown": "no difference shown"}
    return (
        f"{found['success_rate']:+.0%} ({found['low']:+.0%} to {found['high']:+.0%}):"
        f" {words.get(found['verdict'], found['verdict'])}"
    )


def trust_page(skill: Skill, *, pen: Pen) -> RenderableType:
    """Write everything of a skill that could run or be used when it runs, and nothing of it shortened."""
    parts: list[RenderableType] = []
    if skill.variables:
        rows = ((one.name, _whole(one.default)) for one in skill.variables)
        parts += [pen.head("Inputs and their defaults"), pen.facts(rows)]
    for node in skill.nodes:
        parts += [Text(""), node_page(node, pen=pen)]
    for artifact in skill.artifacts:
        parts += [pen.head(f"File {artifact.path or artifact.name}"), _content(artifact, pen)]
    called = dict.fromkeys(node.tool for node in skill.nodes if node.kind == "skill" and node.tool)
    if called:
        parts += [pen.head("Skills it calls"), Text("\n".join(called))]
    return Group(*parts)


def _whole(value: Json) -> str:
    return "no default" if value is None else f"= {value_text(value)}"


def _content(artifact: SkillArtifact, pen: Pen) -> Text:
    try:
        return pen.code(artifact.content.decode("utf-8"), language=artifact.language)
    except UnicodeDecodeError:
        return Text(f"not text, {size(len(artifact.content))}", style=pen.style("muted"))
