"""Which skill fits a task: the answer as one types, with what speaks for it, or that none does and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.console import Group, RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from skillsmith.models import Json
from skillsmith.output import clean, shorten
from skillsmith.tui.base import Page
from skillsmith.tui.text import bar, joined, share, value_text
from skillsmith.tui.widgets.bars import part_bars, quality
from skillsmith.tui.widgets.choices import Choices
from skillsmith.tui.widgets.skill_pages import Pen
from skillsmith.workspace import Workspace

PAUSE_SECONDS: Final = 0.25
"""So long nothing is typed before skills are looked for."""

SHOWN: Final = 8
PART_WORDS: Final[Mapping[str, str]] = {
    "semantic": "meaning", "lexical": "words", "tags": "tags", "structure": "inputs", "evidence": "record",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One skill and how it fits."""

    name: str
    version: int
    description: str
    confidence: float
    parts: Mapping[str, float]
    inputs: Mapping[str, Json]
    missing: tuple[str, ...]
    reason: str

    @property
    def reference(self) -> str:
        """``NAME@VERSION``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the matcher says; when it abstains, ``found`` are the nearest."""

    task: str
    abstained: bool
    reason: str
    found: Sequence[Found]


def matched(workspace: Workspace, task: str) -> Answer:
    """Return the skills that fit a task, or the nearest when none does."""
    result = workspace.matcher.match(task, top_k=SHOWN)
    if not result.abstained:
        found = [
            Found(
                name=one.name, version=one.version, confidence=one.confidence, parts=one.parts,
                description=workspace.skills.get(f"{one.name}@{one.version}").description,
                inputs=one.inputs, missing=one.missing, reason=one.reason,
            )
            for one in result.matches
        ]  # fmt: skip
        return Answer(task=task, abstained=False, reason=result.reason, found=found)
    near = workspace.matcher.find_matching_skills(task, top_k=SHOWN, min_similarity=0.0)
    found = [
        Found(
            name=skill.name, version=skill.version, description=skill.description, confidence=confidence,
            parts=why["parts"], inputs=why["inputs"], missing=tuple(why["missing"]), reason=why["reason"],
        )
        for skill, confidence, why in near
    ]  # fmt: skip
    return Answer(task=task, abstained=True, reason=result.reason, found=found)


class MatchScreen(Page):
    """Asks which skill fits.

    Args:
        task: What stands in the box at first.
    """

    DEFAULT_CSS = """
    MatchScreen {
        & #verdict { height: auto; max-height: 4; padding: 0 1; margin: 0 0 1 0; }
        & #task { height: 1; border: none; padding: 0 1; background: $surface; margin: 0 0 1 0; }
        & #task:focus { border: none; background: $primary 20%; }
        & #matches { height: auto; max-height: 8; }
        & .match--page { height: 1fr; border-top: solid $panel; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Task", key_display="/"),
        Binding("x", "run", "Run it"),
        Binding("s", "skill", "Look at it"),
    ]

    class Answered(Message):
        """The matcher's answer."""

        def __init__(self, answer: Answer) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, task: str = "") -> None:
        super().__init__()
        self._first_task = task
        self._answer: Answer | None = None
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        """Build the box, the verdict, the list and the explanation."""
        yield Input(
            self._first_task, placeholder="What is to be done? e.g. plot the spectrum of new.csv", id="task"
        )
        yield Static("", id="verdict")
        yield Choices(id="matches", markup=False)
        with VerticalScroll(classes="match--page"):
            yield Static("", id="why")

    def on_mount(self) -> None:
        """Go to the box."""
        self.heading = "Which skill fits a task?"
        self.query_one(Input).focus()
        self._look()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        task = self.query_one(Input).value.strip()
        if self._answer is not None and self._answer.task == task:
            return
        if not task:
            self._answer = None
            self._show_nothing("say in words what is to be done")
            return
        self.query_one("#verdict", Static).update(Text("looking …", style=self.smith.style("muted")))
        self.ask(lambda workspace: matched(workspace, task), self.Answered, lane="match", group="match")

    def _show_nothing(self, words: str) -> None:
        self.query_one("#verdict", Static).update(Text(words, style=self.smith.style("muted")))
        self.query_one(OptionList).clear_options()
        self.query_one("#why", Static).update("")

    @on(Answered)
    def _answered(self, event: Answered) -> None:
        event.stop()
        answer = self._answer = event.answer
        self.query_one("#verdict", Static).update(self._verdict(answer))
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(self._line(one)) for one in answer.found])
        listed.highlighted = 0 if answer.found else None
        if not answer.found:
            self.query_one("#why", Static).update("")

    def _verdict(self, answer: Answer) -> Text:
        style = self.smith.style
        if not answer.abstained:
            return Text(f"✓ {clean(answer.reason)}", style=style("success"))
        text = Text("✗ no skill fits: ", style=f"bold {style('error')}")
        text.append(clean(answer.reason), style=style("error"))
        return text.append("\nThe nearest:" if answer.found else "", style=style("muted"))

    def _line(self, one: Found) -> Text:
        text = Text(f" {share(one.confidence):>4} ", no_wrap=True)
        text.append(bar(one.confidence, 10), style=self.smith.style(quality(one.confidence)))
        text.append(f"  {one.reference}  ", style=self.smith.style("primary"))
        return text.append(shorten(one.description, 100), style=self.smith.style("muted"))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self._answer is not None and event.option_index < len(self._answer.found):
            page = self._page(self._answer.found[event.option_index])
            self.query_one("#why", Static).update(page)

    def _page(self, one: Found) -> RenderableType:
        pen = Pen(style=self.smith.style, dark=self.smith.current_theme.dark)
        parts = {PART_WORDS.get(name, name): value for name, value in one.parts.items()}
        missing = Text(joined(one.missing), style=pen.style("warning")) if one.missing else ""
        return Group(
            Text(clean(one.reference), style="bold").append(f"  {share(one.confidence)} confident"),
            part_bars(parts, width=min(self.size.width - 4, 60), style=pen.style),
            Text(""),
            pen.facts([
                *((name, f"= {value_text(value)}") for name, value in one.inputs.items()),
                ("missing", missing), ("because", one.reason),
            ]),
        )  # fmt: skip

    @property
    def chosen(self) -> Found | None:
        """The skill under the cursor."""
        place = self.query_one(OptionList).highlighted
        return None if place is None or self._answer is None else self._answer.found[place]

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._look()
        self.query_one(OptionList).focus()

    def key_down(self) -> None:
        """Go from the box to the list."""
        if self.query_one(Input).has_focus:
            self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self._answer is not None and self._answer.abstained:
            self.action_skill()  # what does not fit is looked at, not run
        else:
            self.action_run()

    def action_find(self) -> None:
        """Change the task."""
        self.query_one(Input).focus()

    def action_skill(self) -> None:
        """Look at the skill under the cursor."""
        if self.chosen is not None:
            self.smith.open_screen("skill", self.chosen.reference)

    def action_run(self) -> None:
        """Fill in the form of the skill under the cursor."""
        one, answer = self.chosen, self._answer
        if one is None or answer is None:
            return
        from skillsmith.tui.screens.run_form import RunFormScreen  # noqa: PLC0415  (only to run)

        fits = not answer.abstained
        self.app.push_screen(RunFormScreen(
            one.reference, task=answer.task, inputs=one.inputs,
            confidence=one.confidence if fits else None, reason=one.reason if fits else None,
        ))  # fmt: skip
