"""How far an execution is: the skill's graph with each node's state, and a log of what happened when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import RichLog

from skillsmith.library.execution.loops import loop_key
from skillsmith.output import clean
from skillsmith.tui.text import clock
from skillsmith.tui.widgets.dag import DagView
from skillsmith.tui.widgets.dag_model import STATUS_MARKS, SkillGraph
from skillsmith.tui.widgets.skill_pages import Pen

STATUS_STYLES: Final[Mapping[str, str]] = {
    "running": "warning", "done": "success", "failed": "error", "skipped": "muted", "mending": "warning",
}  # fmt: skip


class RunProgress(Vertical):
    """Shows one execution as it goes."""

    DEFAULT_CSS = """
    RunProgress {
        & #progress { height: 3fr; }
        & RichLog { height: 2fr; border-top: solid $panel; padding: 0 1; background: $background; }
    }
    """

    def compose(self) -> ComposeResult:
        """Build the graph and the log below it."""
        yield DagView(id="progress")
        yield RichLog(wrap=True, id="log")

    def begin(self, graph: SkillGraph) -> None:
        """Show a graph of which nothing is done yet."""
        self.query_one(DagView).show(graph)
        self.query_one(RichLog).clear()

    def mark(self, key: str, status: str, words: str, *, pen: Pen, at: float) -> None:
        """Mark a node; what happens inside a sub-skill or a loop counts as its node at work.

        Args:
            key: The node, as the execution names it.
            status: What it does now.
            words: Its title, or its error.
            pen: The theme's.
            at: Unix time.
        """
        top = loop_key(key.partition("/")[0])
        self.query_one(DagView).mark(top, status if top == key or status == "failed" else "running")
        line = Text(f"{clock(at)} ", style=pen.style("muted"))
        line.append(f"{STATUS_MARKS[status]} {key} {status}", style=pen.style(STATUS_STYLES[status]))
        self.query_one(RichLog).write(line.append(f"  {clean(words)}" if words else ""))
