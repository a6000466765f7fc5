"""A form for a skill's inputs: one field for each, of the kind that fits its type, checked as one types.

A field left empty gives no value: then the task's words, or the recorded value, decide, as on the command
line. What is typed is read by the very function that reads ``--set``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Label, Select, TextArea

from skillsmith.errors import UsageError
from skillsmith.library.program.inputs import coerce
from skillsmith.models import Json, Variable
from skillsmith.output import clean, shorten
from skillsmith.tui.text import joined, value_text

HINT_CHARS: Final = 60
AREA_TYPES: Final = frozenset({"list", "object"})
YES, NO = "true", "false"


class InputField(Vertical):
    """One input: its name and type, where to type, and what is wrong with that.

    Args:
        variable: The input.
        value: What stands in it at first; None: nothing.
    """

    DEFAULT_CSS = """
    InputField {
        height: auto; margin: 0 0 1 0;
        & .field--name { color: $text; width: 100%; }
        & .field--problem { color: $text-error; display: none; width: 100%; }
        &.-wrong .field--problem { display: block; }
        & Input { height: 1; border: none; padding: 0 1; background: $surface; }
        & Select, & TextArea { background: $surface; }
        & TextArea { height: 3; padding: 0 1; }
        & Input:focus { border: none; background: $primary 20%; }
        & TextArea:focus { background: $primary 20%; }
    }
    """

    def __init__(self, variable: Variable, *, value: Json = None) -> None:
        super().__init__()
        self.variable = variable
        self._value = value

    @property
    def choices(self) -> Sequence[tuple[str, str]]:
        """What can be chosen, as shown and as text; nothing for free text."""
        if self.variable.enum:
            return [(value_text(one), value_text(one)) for one in self.variable.enum]
        return [("yes", YES), ("no", NO)] if self.variable.type == "boolean" else []

    def compose(self) -> ComposeResult:
        """Build label, control and problem line."""
        text = "" if self._value is None else value_text(self._value)
        yield Label(heading_of(self.variable), classes="field--name", markup=False)
        if self.choices:
            known = [value for _, value in self.choices]
            chosen = text if text in known else Select.NULL
            yield Select(
                self.choices, value=chosen, prompt=hint_of(self.variable), allow_blank=True, compact=True
            )
        elif self.variable.type in AREA_TYPES:
            yield TextArea(text, language="json", placeholder=hint_of(self.variable), compact=True)
        else:
            yield Input(text, placeholder=hint_of(self.variable))
        yield Label("", classes="field--problem", markup=False)

    @property
    def text(self) -> str:
        """What is typed or chosen; empty: nothing."""
        if self.choices:
            value = self.query_one(Select).value
            return "" if value is Select.NULL else str(value)
        if self.variable.type in AREA_TYPES:
            return self.query_one(TextArea).text
        return self.query_one(Input).value

    def read(self) -> Json:
        """Return the value, None where nothing is given.

        Raises:
            UsageError: It does not fit the input.
        """
        return coerce(self.text, self.variable) if self.text.strip() else None

    def problem(self, *, finished: bool) -> str:
        """Return what is wrong, or nothing.

        Args:
            finished: Whether a required input must have its value by now.
        """
        try:
            value = self.read()
        except UsageError as error:
            return error.message
        missing = finished and self.variable.required and value is None
        return f"{self.variable.name} is needed" if missing else ""

    def check(self, *, finished: bool) -> bool:
        """Show what is wrong; True when nothing is."""
        problem = self.problem(finished=finished)
        self.query_one(".field--problem", Label).update(problem)
        self.set_class(bool(problem), "-wrong")
        return not problem

    def fill(self, value: Json) -> None:
        """Put a value in."""
        text = value_text(value)
        if self.choices:
            known = [one for _, one in self.choices]
            self.query_one(Select).value = text if text in known else Select.NULL
        elif self.variable.type in AREA_TYPES:
            self.query_one(TextArea).text = text
        else:
            self.query_one(Input).value = text

    @on(Input.Changed)
    @on(Select.Changed)
    @on(TextArea.Changed)
    def _changed(self, event: Message) -> None:
        event.stop()
        self.check(finished=False)
        self.post_message(InputForm.Changed())


class InputForm(Vertical):
    """The fields of all inputs.

    Args:
        variables: The inputs.
        values: What stands in them at first, by name.
        id: Of the widget.
    """

    DEFAULT_CSS = """
    InputForm { height: auto; }
    """

    @dataclass
    class Changed(Message):
        """Something was typed."""

    def __init__(
        self,
        variables: Iterable[Variable] = (),
        *,
        values: Mapping[str, Json] | None = None,
        id: str | None = None,  # noqa: A002  (Textual's name)
    ) -> None:
        super().__init__(id=id)
        given = values or {}
        ordered = sorted(variables, key=lambda one: not one.required)
        self._fields = [InputField(one, value=given.get(one.name)) for one in ordered]

    def compose(self) -> ComposeResult:
        """Build the fields, needed inputs first."""
        if not self._fields:
            yield Label("it takes no inputs", markup=False)
        yield from self._fields

    def values(self) -> dict[str, Json] | None:
        """Return what is given by name; None when a field is wrong, which then says why."""
        good = [field.check(finished=False) for field in self._fields]
        if not all(good):
            self._focus_first(good)
            return None
        read = {field.variable.name: field.read() for field in self._fields}
        return {name: value for name, value in read.items() if value is not None}

    def need(self, names: Iterable[str]) -> None:
        """Say at these inputs that they need a value, and go to the first."""
        wanted = set(names)
        good = [field.variable.name not in wanted or field.check(finished=True) for field in self._fields]
        self._focus_first(good)

    def fill(self, values: Mapping[str, Json]) -> None:
        """Put values in, by name."""
        for field in self._fields:
            if field.variable.name in values:
                field.fill(values[field.variable.name])

    def _focus_first(self, good: Sequence[bool]) -> None:
        for field, fine in zip(self._fields, good, strict=True):
            if not fine:
                field.query("Input, Select, TextArea").first().focus()
                return


def heading_of(variable: Variable) -> str:
    """Write an input's name, type and description in one line."""
    kind = f"one of {joined(variable.enum)}" if variable.enum else variable.type
    needed = ", required" if variable.required else ""
    text = f" · {shorten(variable.description, 200)}" if variable.description else ""
    return clean(f"{variable.name}  {shorten(kind, HINT_CHARS)}{needed}{text}")


def hint_of(variable: Variable) -> str:
    """Write what stands in an empty field: the recorded value, and whether it is used."""
    if variable.default is None:
        return "no value" if not variable.required else ""
    value = shorten(value_text(variable.default), HINT_CHARS)
    return f"e.g. {value}" if variable.required else f"if left empty: {value}, unless the task says otherwise"
