"""Everything a run of a skill takes: the task, the inputs, tools, folder and limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Checkbox, Input, Label

from skillsmith.models import Json, Skill
from skillsmith.tui.skill_runner import Order
from skillsmith.tui.text import joined
from skillsmith.tui.widgets.form import InputForm


class RunFields(Vertical):
    """The fields for one run.

    Args:
        skill: What is run.
        task: What stands in the task's field at first.
        inputs: What stands in the inputs' fields at first, by name.
    """

    DEFAULT_CSS = """
    RunFields {
        height: auto;
        & .fields--head { color: $foreground 65%; }
        & Input { height: 1; border: none; padding: 0 1; margin: 0 0 1 0; background: $surface; }
        & Input:focus { border: none; background: $primary 20%; }
        & InputField Input { margin: 0; }
        & .fields--more { height: auto; margin: 1 0 0 0; border-top: solid $panel; padding: 1 0 0 0; }
        & Checkbox { border: none; padding: 0; background: transparent; }
    }
    """
    last_tools: ClassVar[str] = ""
    """What was typed as tools the last time: the next run most likely needs the same."""

    def __init__(self, skill: Skill, *, task: str, inputs: Mapping[str, Json]) -> None:
        super().__init__()
        self._skill = skill
        self._first_task = task
        self._inputs = inputs
        self._fixed: Mapping[str, Json] = {}

    def compose(self) -> ComposeResult:
        """Build the fields."""
        skill = self._skill
        yield _head("task, in words")
        yield Input(self._first_task, placeholder=skill.task_pattern or skill.description, id="task")
        yield InputForm(skill.variables, values=self._inputs)
        with Vertical(classes="fields--more"):
            yield _head("tools: package.module, file.py or 'mcp:COMMAND'")
            yield Input(RunFields.last_tools, placeholder=_tool_hint(skill), id="tools")
            yield _head("work folder")
            yield Input(placeholder="a new one in ./skillsmith-runs", id="folder")
            yield _head("stop before model calls that cost more, in USD")
            yield Input(placeholder="no limit", id="cost", type="number")
            yield Checkbox("the task's words may change recorded values", value=True, id="adapt")
            yield Checkbox("a step that may fail fails the skill", id="strict")

    def order(
        self,
        *,
        confidence: float | None = None,
        reason: str | None = None,
        resume: str | None = None,
    ) -> Order | None:
        """Return what is wanted; None when a field is wrong, which then says why.

        Args:
            confidence: The matcher's, when it chose the skill; ``reason`` says why.
            reason: See there.
            resume: Id of the execution to go on with: its own inputs are used.
        """
        values = self._fixed if resume else self.query_one(InputForm).values()
        if values is None:
            return None
        cost = self.query_one("#cost", Input).value.strip()
        tools = RunFields.last_tools = self.query_one("#tools", Input).value
        return Order(
            skill=self._skill, task=self.query_one("#task", Input).value, inputs=values,
            confidence=confidence, reason=reason, tools=tools,
            work_dir=self.query_one("#folder", Input).value, max_cost=float(cost) if cost else None,
            strict=self.query_one("#strict", Checkbox).value, adapt=self.query_one("#adapt", Checkbox).value,
            resume=resume,
        )  # fmt: skip

    def need(self, names: Iterable[str]) -> None:
        """Say at these inputs that they need a value."""
        self.query_one(InputForm).need(names)

    def freeze(self, inputs: Mapping[str, Json] | None) -> None:
        """Fix task and inputs to those of an execution that goes on; None: they can be changed again.

        Args:
            inputs: By name.
        """
        self._fixed = inputs or {}
        self.query_one("#task", Input).disabled = inputs is not None
        self.query_one(InputForm).disabled = inputs is not None


def _head(words: str) -> Label:
    return Label(words, classes="fields--head", markup=False)


def _tool_hint(skill: Skill) -> str:
    names = dict.fromkeys(node.tool for node in skill.nodes if node.kind == "tool" and node.tool)
    return f"it calls {joined(names)}" if names else "it calls no tools"
