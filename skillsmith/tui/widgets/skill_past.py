"""Tabs on what became of a skill: adaptations by executions, and its versions with the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final

from rich.console import Group, RenderableType
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from skillsmith.library.versions import Change, RollbackProposal, SkillDiff, VersionEntry
from skillsmith.models import Adaptation, Execution, Json, Skill
from skillsmith.output import clean, shorten
from skillsmith.tui.screens.skill_dialogs import ReasonDialog
from skillsmith.tui.text import moment, plural, short_id, value_text
from skillsmith.tui.widgets.bars import STATE_STYLES, coloured_diff, diff_text, interval_bar, rate_text
from skillsmith.tui.widgets.skill_pages import Pen
from skillsmith.tui.widgets.skill_panels import ListPanel
from skillsmith.workspace import Workspace

NEWEST: Final = 500
"""Of so many executions the adaptations are listed."""

RATE_WIDTH: Final = 18


@dataclass(frozen=True, slots=True)
class Adapted:
    """One adaptation, and the execution that made it."""

    execution: Execution
    adaptation: Adaptation


class AdaptationsPanel(ListPanel):
    """What executions did otherwise than the skill says, newest first."""

    class Found(Message):
        """The adaptations are there."""

        def __init__(self, found: Sequence[Adapted]) -> None:
            super().__init__()
            self.found = found

    def load(self, skill: Skill) -> None:
        """Ask for the adaptations of the newest executions."""
        self._found: Sequence[Adapted] = ()
        self.ask(lambda workspace: _adapted(workspace, skill.name), self.Found, group="adapted")

    @on(Found)
    def _listed(self, event: Found) -> None:
        event.stop()
        self._found = event.found
        options = [Option(self._line(one), id=f"one-{place}") for place, one in enumerate(self._found)]
        self.offer(options, empty="no execution differed from the skill")

    def _line(self, one: Adapted) -> Text:
        style = self.smith.style
        text = Text(moment(one.execution.started_at), style=style("muted"), no_wrap=True)
        text.append(f"  {clean(one.adaptation.target)}", style=style("primary"))
        return text.append(f"  {one.adaptation.type.replace('_', ' ')}", style=style("warning"))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_id:
            self.write(adaptation_page(self._found[int(event.option_id.removeprefix("one-"))], pen=self.pen))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id:
            run = self._found[int(event.option_id.removeprefix("one-"))].execution.run_id
            if run:
                self.smith.open_screen("timeline", run)


def _adapted(workspace: Workspace, name: str) -> list[Adapted]:
    found = islice(workspace.ledger.list(name), NEWEST)
    return [Adapted(execution, one) for execution in found for one in execution.adaptations]


def adaptation_page(one: Adapted, *, pen: Pen) -> RenderableType:
    """Write an adaptation: what, why, before and after."""
    change = one.adaptation
    head = Text(clean(f"{change.target}  {change.type.replace('_', ' ')}"), style="bold")
    facts = pen.facts([
        ("because", change.reason), ("task", shorten(one.execution.task, 300)),
        ("execution", f"{short_id(one.execution.id)}, version {one.execution.version}"),
        *((name, shorten(value_text(value), 300)) for name, value in change.evidence.items()),
    ])  # fmt: skip
    return Group(head, facts, pen.head("What changed"), change_text(change.before, change.after, pen=pen))


def change_text(before: Json, after: Json, *, pen: Pen) -> Text:
    """Draw a change: of a diff its colours, of short values one line each, of texts their diff."""
    if isinstance(after, str) and after.startswith("--- "):
        return coloured_diff(after.splitlines(), style=pen.style)
    one, other = ("" if value is None else value_text(value) for value in (before, after))
    if "\n" in one or "\n" in other:
        return diff_text(one, other, style=pen.style)
    lines = [Text(f"- {clean(one)}", style=pen.style("error"))] if before is not None else []
    lines += [Text(f"+ {clean(other)}", style=pen.style("success"))] if after is not None else []
    return Text("\n").join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """All versions of a skill, and whether the current one should give way."""

    entries: Sequence[VersionEntry]
    proposal: RollbackProposal | None


class VersionsPanel(ListPanel):
    """All versions, what each changed, and the way back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "rollback", "Make current"),
        Binding("c", "compare", "Compare with"),
    ]

    class Listed(Message):
        """The versions are there."""

        def __init__(self, versions: Versions) -> None:
            super().__init__()
            self.versions = versions

    class Compared(Message):
        """What differs between two versions is known."""

        def __init__(self, diff: SkillDiff | None) -> None:
            super().__init__()
            self.diff = diff

    class RolledBack(Message):
        """Another version is the current one."""

        def __init__(self, skill: Skill) -> None:
            super().__init__()
            self.skill = skill

    def load(self, skill: Skill) -> None:
        """Ask for the versions."""
        self._versions = Versions(entries=(), proposal=None)
        self._base: int | None = None
        self.ask(lambda workspace: _versions(workspace, skill.name), self.Listed, group="versions")

    @on(Listed)
    def _listed(self, event: Listed) -> None:
        event.stop()
        self._versions = event.versions
        options = [Option(self._line(one), id=f"v{one.version}") for one in event.versions.entries]
        self.offer(options, empty="there is no version")

    def _line(self, one: VersionEntry) -> Text:
        style = self.smith.style
        mark = "● " if one.current else "  "
        text = Text(
            f"{mark}{one.version:<3} ", style=f"bold {style('accent')}" if one.current else "", no_wrap=True
        )
        text.append(f"{one.state:<12}", style=style(STATE_STYLES.get(one.state, "muted")))
        text.append(f"{moment(one.created_at)}  ", style=style("muted"))
        return text.append(shorten(one.reason or "first extracted", 60))

    def _entry(self) -> VersionEntry | None:
        place = self.query_one(OptionList).highlighted
        return None if place is None else self._versions.entries[place]

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._show_chosen()

    def _show_chosen(self) -> None:
        one, skill = self._entry(), self.skill
        if one is None or skill is None:
            return
        base = self._base if self._base not in (None, one.version) else one.parent
        self.write(self._page(one))
        if base is not None:
            number = base
            self.ask(
                lambda workspace: workspace.versions.diff(skill.name, number, one.version),
                self.Compared, group="diff",
            )  # fmt: skip

    @on(Compared)
    def _compared(self, event: Compared) -> None:
        event.stop()
        one = self._entry()
        if one is not None and event.diff is not None and event.diff.other == one.version:
            self.write(Group(self._page(one), diff_page(event.diff, pen=self.pen)))

    def _page(self, one: VersionEntry) -> RenderableType:
        pen, rate = self.pen, one.figures.rate
        success = Text("not used yet", style=pen.style("muted"))
        if rate is not None:
            success = interval_bar(rate, width=RATE_WIDTH, style=pen.style)
            success.append(f" {rate_text(rate)} of {plural(one.figures.finished, 'execution')}")
        title = Text(f"version {one.version}", style="bold").append("  current" if one.current else "")
        facts = pen.facts([
            ("state", Text(one.state, style=pen.style(STATE_STYLES.get(one.state, "muted")))),
            ("because", one.reason), ("success", success),
            ("made from", f"version {one.parent}" if one.parent else ""),
        ])  # fmt: skip
        proposal = self._versions.proposal
        if proposal is None or not one.current:
            return Group(title, facts)
        warning = Text(f"\ngo back? {proposal.text}", style=pen.style("warning"))
        return Group(title, facts, warning)

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        one = self._entry()
        if one is not None and self.skill is not None and one.version != self.skill.version:
            self.smith.open_screen("skill", f"{self.skill.name}@{one.version}")

    def action_compare(self) -> None:
        """Compare every version with this one, or with its parent again."""
        one = self._entry()
        if one is None:
            return
        self._base = None if self._base == one.version else one.version
        told = "its parent" if self._base is None else f"version {self._base}"
        self.notify(f"each version is compared with {told}")
        self._show_chosen()

    def action_rollback(self) -> None:
        """Make the selected version the current one, with a reason."""
        one, skill = self._entry(), self.skill
        if one is None or skill is None:
            return
        if one.current:
            self.notify(f"version {one.version} is the current one")
            return
        proposal = self._versions.proposal
        why = proposal.text if proposal is not None and proposal.to == one.version else ""

        def answered(reason: str | None) -> None:
            if reason:
                self.ask(
                    lambda workspace: workspace.versions.rollback_to_version(
                        skill.name, one.version, reason=reason
                    ),
                    self.RolledBack, lane="write",
                )  # fmt: skip

        question = f"Make version {one.version} of {skill.name} the current one?"
        self.app.push_screen(ReasonDialog(question, action="Make current", reason=why), answered)


def _versions(workspace: Workspace, name: str) -> Versions:
    return Versions(
        entries=workspace.versions.get_version_history(name),
        proposal=workspace.versions.rollback_proposal(name),
    )


def diff_page(diff: SkillDiff, *, pen: Pen) -> RenderableType:
    """Write what differs between two versions."""
    parts: list[RenderableType] = [pen.head(f"Changes from version {diff.one}")]
    if not diff.changes:
        parts.append(Text("none", style=pen.style("muted")))
    for change in diff.changes:
        parts.append(
            Text(f"{change.kind} ", style=pen.style("muted")).append(clean(change.where), style="bold")
        )
        parts.append(_change_text(change, pen))
    return Group(*parts)


def _change_text(change: Change, pen: Pen) -> Text:
    if "\n" in change.text:
        return coloured_diff(change.text.splitlines(), style=pen.style)
    if change.text:
        return Text(f"  {clean(change.text)}")
    return change_text(change.before, change.after, pen=pen)
