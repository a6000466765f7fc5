"""Where a skill came from, as a tree: its versions, and the runs, versions and skills each was made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from skillsmith.errors import NotFoundError
from skillsmith.models import Json, Skill
from skillsmith.output import clean, shorten
from skillsmith.tui.text import plural, short_id, value_text
from skillsmith.tui.widgets.bars import STATE_STYLES
from skillsmith.tui.widgets.skill_panels import SkillPanel
from skillsmith.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One line of the lineage.

    Args:
        target: The screen that Enter opens, and what with; None: nothing.
    """

    label: str
    kind: str = "muted"
    target: tuple[str, str] | None = None
    branches: tuple[Branch, ...] = ()


class LineagePanel(SkillPanel):
    """Runs, versions and skills that a skill was made of, as a tree."""

    DEFAULT_CSS = """
    LineagePanel Tree { background: $background; padding: 0 1; }
    """

    class Grown(Message):
        """The tree is there."""

        def __init__(self, root: Branch) -> None:
            super().__init__()
            self.root = root

    def compose(self) -> ComposeResult:
        """Build the tree."""
        tree: Tree[Branch] = Tree("")
        tree.show_root = True
        tree.auto_expand = False
        yield tree

    def load(self, skill: Skill) -> None:
        """Ask where the skill came from."""
        self.ask(lambda workspace: lineage_of(workspace, skill.name), self.Grown, group="lineage")

    @on(Grown)
    def _grown(self, event: Grown) -> None:
        event.stop()
        tree: Tree[Branch] = self.query_one(Tree)
        tree.reset(self._label(event.root), event.root)
        self._add(tree.root, event.root)
        tree.root.expand_all()

    def _add(self, node: TreeNode[Branch], branch: Branch) -> None:
        for one in branch.branches:
            if one.branches:
                self._add(node.add(self._label(one), one), one)
            else:
                node.add_leaf(self._label(one), one)

    def _label(self, branch: Branch) -> Text:
        return Text(clean(branch.label), style=self.smith.style(branch.kind))

    @on(Tree.NodeSelected)
    def _chosen(self, event: Tree.NodeSelected[Branch]) -> None:
        event.stop()
        if event.node.data is not None and event.node.data.target is not None:
            self.smith.open_screen(*event.node.data.target)


def lineage_of(workspace: Workspace, name: str) -> Branch:
    """Return a skill with its versions, each with what it was made of."""
    numbers = workspace.skills.versions(name)
    current = workspace.skills.current_version(name)
    versions = [
        _version_branch(workspace, workspace.skills.get(f"{name}@{number}"), current=number == current)
        for number in reversed(numbers)
    ]
    return Branch(label=f"{name}: {plural(len(numbers), 'version')}", kind="accent", branches=tuple(versions))


def _version_branch(workspace: Workspace, skill: Skill, *, current: bool) -> Branch:
    label = f"version {skill.version}  {skill.state}{'  current' if current else ''}"
    if skill.reason:
        label += f"  {shorten(skill.reason, 44)}"
    return Branch(
        label=label, kind=STATE_STYLES.get(skill.state, "muted"),
        target=("skill", f"{skill.name}@{skill.version}"), branches=tuple(_sources(workspace, skill)),
    )  # fmt: skip


def _sources(workspace: Workspace, skill: Skill) -> Iterator[Branch]:
    for run in skill.source_run_ids:
        yield _run_branch(workspace, run, "run")
    if skill.parent_id:
        yield _parent_branch(workspace, skill.parent_id)
    called = dict.fromkeys(node.tool for node in skill.nodes if node.kind == "skill" and node.tool)
    for reference in called:
        yield Branch(label=f"calls skill {reference}", kind="secondary", target=("skill", reference))
    yield from _noted(workspace, skill.lineage)


def _run_branch(workspace: Workspace, run_id: str, word: str) -> Branch:
    try:
        run = workspace.runs.get(run_id)
    except NotFoundError:
        return Branch(label=f"{word} {short_id(run_id)}, which is gone")
    text = f"{word} {short_id(run.id)}  {run.outcome}  {shorten(run.task, 34)}"
    return Branch(label=text, kind="primary", target=("timeline", run.id))


def _parent_branch(workspace: Workspace, skill_id: str) -> Branch:
    try:
        parent = workspace.skills.get(skill_id)
    except NotFoundError:
        return Branch(label="made from a version that is gone")
    reference = f"{parent.name}@{parent.version}"
    return Branch(label=f"made from {reference}", target=("skill", reference))


def _noted(workspace: Workspace, lineage: Mapping[str, Json]) -> Iterator[Branch]:
    """Yield what a version's lineage says beside its runs, its parent and what it calls."""
    for kind, values in lineage.items():
        listed = values if isinstance(values, list) else [values]
        if kind == "runs":
            for run in listed:
                yield _run_branch(workspace, str(run), "run")
        elif kind == "skills":
            for one in listed:
                yield Branch(label=f"composed of {one}", kind="secondary", target=("skill", str(one)))
        elif listed:
            shown = ", ".join(shorten(value_text(one), 40) for one in listed[:5])
            more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""  # noqa: PLR2004  (what fits a line)
            yield Branch(label=f"{kind}: {shown}{more}")
