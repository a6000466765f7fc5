"""Every screen by name, imported when it is first shown: the first paint pays for one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pane or a screen is.

    Args:
        title: For people.
        target: Module under ``skillsmith.tui.screens`` and class.
        needs: What it takes: nothing, ``run``, ``runs`` (two), ``skill`` or ``task``.
    """

    title: str
    target: str
    needs: str = ""

    def load(self) -> Callable[..., Any]:
        """Import its class."""
        module, name = self.target.split(":")
        found: Callable[..., Any] = getattr(import_module(f"skillsmith.tui.screens.{module}"), name)
        return found


PANES: Final = {
    "runs": Place("Runs", "runs:RunsPane"),
    "skills": Place("Skills", "skills:SkillsPane"),
    "analytics": Place("Analytics", "analytics:AnalyticsPane"),
}
"""The tabs of the main screen, in order; their keys are 1, 2, 3."""

SCREENS: Final = {
    "timeline": Place("Timeline", "timeline:TimelineScreen", "run"),
    "compare": Place("Two runs", "compare:CompareScreen", "runs"),
    "skill": Place("Skill", "skill:SkillScreen", "skill"),
    "run_form": Place("Run a skill", "run_form:RunFormScreen", "skill"),
    "match": Place("Match", "match:MatchScreen", "task"),
    "help": Place("Help", "help:HelpScreen"),
}
"""What is pushed over the main screen."""
