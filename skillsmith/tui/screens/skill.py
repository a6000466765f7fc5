"""One skill whole: what it is, why, what it has been worth, where it came from, what can be done with it."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TabbedContent, TabPane, Tabs

from skillsmith.library.exchange import trust
from skillsmith.models import Skill
from skillsmith.tui.base import Page
from skillsmith.tui.screens.skill_dialogs import ConfirmDialog, TrustDialog
from skillsmith.tui.text import joined, plural
from skillsmith.tui.widgets.skill_lineage import LineagePanel
from skillsmith.tui.widgets.skill_pages import trust_page
from skillsmith.tui.widgets.skill_panels import (
    GraphPanel,
    LedgerPanel,
    ProofPanel,
    SkillPanel,
    StatsPanel,
    UsesPanel,
    WhyPanel,
)
from skillsmith.tui.widgets.skill_past import AdaptationsPanel, VersionsPanel
from skillsmith.workspace import Workspace

TABS: Final[tuple[tuple[str, type[SkillPanel]], ...]] = (
    ("Overview", StatsPanel), ("Graph", GraphPanel), ("Why", WhyPanel), ("Proof", ProofPanel),
    ("Ledger", LedgerPanel), ("Uses", UsesPanel), ("Adapted", AdaptationsPanel),
    ("Versions", VersionsPanel), ("Lineage", LineagePanel),
)  # fmt: skip


class SkillScreen(Page):
    """One version of a skill.

    Args:
        name: ``NAME`` (its current version), ``NAME@VERSION`` or a version's id.
    """

    DEFAULT_CSS = """
    SkillScreen {
        & TabbedContent { height: 1fr; }
        & TabPane { padding: 0; height: 1fr; }
        & ContentSwitcher { height: 1fr; }
        & Tab { padding: 0 1; }
        &.-wide GraphPanel { layout: grid; grid-size: 2 2; grid-columns: 5fr 4fr; grid-rows: 1fr 1; }
        &.-wide GraphPanel > #picture { height: 1fr; }
        &.-wide GraphPanel > .graph--node { height: 1fr; border-top: none; border-left: solid $panel; }
        &.-wide GraphPanel > .graph--legend { column-span: 2; }
        &.-wide ListPanel { layout: horizontal; }
        &.-wide ListPanel > OptionList { width: 2fr; height: 1fr; }
        &.-wide ListPanel > .list--page {
            width: 3fr; height: 1fr; border-top: none; border-left: solid $panel;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "run", "Run"),
        Binding("t", "trust", "Trust"),
        Binding("d", "delete", "Delete"),
        Binding("left_square_bracket", "tab(-1)", "Tab before", key_display="[", show=False),
        Binding("right_square_bracket", "tab(1)", "Next tab", key_display="]"),
    ]

    class Read(Message):
        """The skill is there."""

        def __init__(self, skill: Skill) -> None:
            super().__init__()
            self.skill = skill

    class Deleted(Message):
        """It is gone."""

        def __init__(self, names: tuple[str, ...]) -> None:
            super().__init__()
            self.names = names

    def __init__(self, name: str) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
        self._name_asked = name
        self.skill: Skill | None = None

    def body(self) -> ComposeResult:
        """Build the tabs."""
        with TabbedContent():
            for title, panel in TABS:
                with TabPane(title, id=f"tab-{title.lower()}"):
                    yield panel(id=f"panel-{title.lower()}")

    def on_mount(self) -> None:
        """Ask for the skill."""
        self.heading = self._name_asked
        self.load()

    def load(self) -> None:
        """Read the skill again."""
        asked = self._name_asked
        self.ask(lambda workspace: workspace.skills.get(asked), self.Read, group="skill")

    @on(Read)
    def _read(self, event: Read) -> None:
        event.stop()
        self.skill = event.skill
        self.heading = f"{event.skill.name}@{event.skill.version}  {event.skill.state}"
        self.refresh_bindings()
        self._show_active()

    @on(TabbedContent.TabActivated)
    def _activated(self, event: TabbedContent.TabActivated) -> None:
        event.stop()
        self._show_active()

    def _show_active(self) -> None:
        pane = self.query_one(TabbedContent).active_pane
        if pane is not None and self.skill is not None:
            pane.query_one(SkillPanel).show(self.skill)

    def action_tab(self, step: int) -> None:
        """Go to the tab beside."""
        tabs = self.query_one(Tabs)
        tabs.action_next_tab() if step > 0 else tabs.action_previous_tab()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """Offer trust only to what waits for it."""
        if action == "trust":
            return self.skill is not None and self.skill.state in ("quarantined", "retired")
        return True

    def action_run(self) -> None:
        """Run this version."""
        if self.skill is not None:
            self.smith.open_screen("run_form", f"{self.skill.name}@{self.skill.version}")

    def action_trust(self) -> None:
        """Show the skill's code, then let it run."""
        skill = self.skill
        if skill is None:
            return
        reference = f"{skill.name}@{skill.version}"
        page = trust_page(skill, pen=self.query_one(StatsPanel).pen)

        def answered(yes: bool | None) -> None:  # noqa: FBT001  (Textual calls it so)
            if yes:  # the very version that was shown, by its id
                self.ask(lambda workspace: trust(workspace.skills, skill.id), self.Read, lane="write")
                self.notify(f"{reference} is trusted")

        self.app.push_screen(TrustDialog(reference, page), answered)

    def action_delete(self) -> None:
        """Delete this version, or the whole skill when it was opened by its name."""
        skill = self.skill
        if skill is None:
            return
        whole = "@" not in self._name_asked
        reference = skill.name if whole else f"{skill.name}@{skill.version}"
        what = f"{skill.name} with all its versions" if whole else reference

        def answered(yes: bool | None) -> None:  # noqa: FBT001  (Textual calls it so)
            if yes:
                self.ask(lambda workspace: _delete(workspace, reference), self.Deleted, lane="write")

        question = ConfirmDialog(
            f"Delete {what}?", details="Its executions stay in the history.", action="Delete"
        )
        self.app.push_screen(question, answered)

    @on(Deleted)
    def _deleted(self, event: Deleted) -> None:
        event.stop()
        self.notify(f"deleted {joined(event.names)}", title=plural(len(event.names), "version"))
        self.dismiss()

    @on(VersionsPanel.RolledBack)
    def _rolled_back(self, event: VersionsPanel.RolledBack) -> None:
        event.stop()
        self.notify(f"version {event.skill.version} is the current one")
        self._name_asked = event.skill.name
        for panel in self.query(SkillPanel):
            panel.skill = None
        self.load()


def _delete(workspace: Workspace, reference: str) -> tuple[str, ...]:
    return workspace.skills.delete(reference)
