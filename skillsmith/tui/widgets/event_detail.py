"""One event whole: its facts, and its text as what it is: code, a difference, JSON as a tree, or prose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text
from rich.tree import Tree
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from skillsmith.errors import SkillsmithError
from skillsmith.events import parse_json
from skillsmith.models import Event, Json
from skillsmith.output import clean, shorten
from skillsmith.tui.base import Asking
from skillsmith.tui.details import Detail
from skillsmith.tui.text import clock, duration, money, number, size, value_text
from skillsmith.tui.themes import THEMES

SHOWN_LINES: Final = 400
SHOWN_CHARS: Final = 40_000
"""Of one text; more is shown when it is asked for."""

TREE_LEAVES: Final = 300
SYNTAX_THEMES: Final = {"dark": "monokai", "light": "friendly", "contrast": "monokai"}
LEXERS: Final = {
    ".py": "python", ".sh": "bash", ".json": "json", ".md": "markdown", ".csv": "text", ".yaml": "yaml",
    ".yml": "yaml", ".js": "javascript", ".sql": "sql", ".toml": "toml", ".html": "html",
}  # fmt: skip


class EventDetail(Asking, VerticalScroll, can_focus=True):
    """Shows one event."""

    DEFAULT_CSS = """
    EventDetail { background: $surface; padding: 0 1; scrollbar-size-vertical: 1; }
    EventDetail:focus { background-tint: $foreground 3%; }
    EventDetail > Static { width: 1fr; height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name for it)
        super().__init__(id=id)
        self._detail: Detail | None = None
        self._whole = False

    def compose(self) -> ComposeResult:
        """Hold one text."""
        yield Static(id="detail")

    def show(self, detail: Detail | None, *, whole: bool = False) -> None:
        """Show an event.

        Args:
            detail: None: nothing.
            whole: Do not shorten long texts.
        """
        self._detail, self._whole = detail, whole
        self.query_one("#detail", Static).update(Group(*self._parts()) if detail else "")
        self.scroll_home(animate=False)

    def show_whole(self) -> None:
        """Show all of what was shortened."""
        self.show(self._detail, whole=True)

    def say(self, text: str) -> None:
        """Show a few words instead of an event."""
        self._detail = None
        self.query_one("#detail", Static).update(Text(clean(text), style=self.smith.style("muted")))

    def restyle(self) -> None:
        """Draw anew in the colours of a new theme."""
        self.show(self._detail, whole=self._whole)

    def _parts(self) -> Iterator[RenderableType]:
        assert self._detail is not None
        event = self._detail.event
        yield self._facts(event)
        if event.reasoning:
            yield self._label("thinks")
            yield Padding(self._prose(event.reasoning, style="italic"), (0, 0, 1, 2))
        if self._detail.file is not None:
            yield from self._file_parts()
        elif self._detail.context or event.kind == "context":
            yield from self._context_parts()
        else:
            yield from self._body_parts(event)

    def _facts(self, event: Event) -> Text:
        muted = self.smith.style("muted")
        who = event.agent or event.role or ""
        text = Text()
        text.append(
            f"{event.seq}  {event.kind.replace('_', ' ')}", style=f"bold {self.smith.style('primary')}"
        )
        if who:
            text.append(
                f"  {clean(who)}{' → ' + clean(event.recipient) if event.recipient else ''}", style="bold"
            )
        tokens = (event.tokens_in or 0) + (event.tokens_out or 0)
        facts = (
            f"step {event.step}", clock(event.at), duration(event.duration_seconds),
            f"{number(tokens)} tokens" if tokens else "", money(event.cost_usd),
        )  # fmt: skip
        return text.append("\n" + " · ".join(fact for fact in facts if fact) + "\n", style=muted)

    def _body_parts(self, event: Event) -> Iterator[RenderableType]:
        tool, code = event.tool, event.code
        if tool is not None:
            yield self._label(clean(tool.name))
            if tool.error:
                yield self._prose(tool.error, style=self.smith.style("error"))
            if tool.arguments is not None:
                yield self._value(tool.parsed if tool.parsed is not None else tool.arguments, "arguments")
            if tool.result is not None:
                yield self._value(_json_in(tool.result), "result")
        elif code is not None and code.text is not None:
            yield self._syntax(code.text, code.language)
        elif code is not None:
            failed = bool(code.exit_code)
            yield Text(
                f"exit code {code.exit_code}", style=self.smith.style("error" if failed else "success")
            )
            yield self._prose(code.output or "(no output)")
        elif event.content:
            yield self._value(_json_in(event.content), "content")
        if event.data:
            yield Text()
            yield self._tree("also", dict(event.data))

    def _file_parts(self) -> Iterator[RenderableType]:
        assert self._detail is not None
        change = self._detail.file
        assert change is not None
        yield self._label(clean(change.path))
        if change.version is None:
            yield self._note("the log has no content of it")
        elif change.diff is None:
            yield self._note(f"not text, or too large to keep: {size(change.version.size)}")
        elif not change.diff:
            yield self._note(f"the same text as {change.previous or 'an empty file'}")
        elif change.previous is None:
            added = [line[1:] for line in change.diff.splitlines() if line.startswith("+")]
            yield self._note(f"new, {size(change.version.size)}")
            yield self._syntax("\n".join(added), LEXERS.get(PurePath(change.path).suffix, "text"))
        else:
            yield self._note(f"version {change.version.version}, compared with {change.previous}")
            yield self._diff(change.diff)

    def _diff(self, diff: str) -> Text:
        styles = {
            "+": self.smith.style("success"),
            "-": self.smith.style("error"),
            "@": self.smith.style("secondary"),
        }
        text = Text()
        for line in self._cut(clean(diff)).splitlines():
            text.append(line + "\n", style=styles.get(line[:1], ""))
        return text

    def _context_parts(self) -> Iterator[RenderableType]:
        assert self._detail is not None
        if not self._detail.context:
            yield self._note("nothing changed since the context before")
        for change in self._detail.context:
            sign = {"+": "success", "-": "error", "~": "warning"}[change.sign]
            line = Text(f"{change.sign} {clean(change.name)}", style=f"bold {self.smith.style(sign)}")
            yield line
            if change.sign == "~":
                yield Padding(
                    self._prose(f"{value_text(change.before)}  →  {value_text(change.after)}"), (0, 0, 0, 4)
                )
            else:
                value = change.after if change.sign == "+" else change.before
                yield Padding(self._value(value, change.name), (0, 0, 0, 4))

    def _value(self, value: Json, label: str) -> RenderableType:
        if isinstance(value, (Mapping, list)):
            return self._tree(label, value)
        return self._prose(value_text(value))

    def _tree(self, label: str, value: Json) -> Tree:
        tree = Tree(Text(label, style=self.smith.style("muted")), guide_style=self.smith.style("muted"))
        left = [10 * TREE_LEAVES if self._whole else TREE_LEAVES]
        self._grow(tree, value, left)
        if left[0] <= 0:
            tree.add(Text("… more (o shows all)", style=self.smith.style("muted")))
        return tree

    def _grow(self, tree: Tree, value: Json, left: list[int]) -> None:
        pairs: Sequence[tuple[Any, Any]] = (
            list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
        )
        for name, item in pairs:
            left[0] -= 1
            if left[0] <= 0:
                return
            head = Text(clean(str(name)), style=self.smith.style("secondary"))
            if isinstance(item, (Mapping, list)) and item:
                self._grow(tree.add(head), item, left)
            else:
                tree.add(head + Text(": ") + self._leaf(item))

    def _leaf(self, value: Json) -> Text:
        if isinstance(value, str):
            return Text(clean(value if self._whole else value[:2000]), style=self.smith.style("success"))
        return Text(shorten(value_text(value), 200), style=self.smith.style("accent"))

    def _label(self, text: str) -> Text:
        return Text(text, style=f"bold {self.smith.style('secondary')}")

    def _note(self, text: str) -> Text:
        return Text(clean(text) + "\n", style=self.smith.style("muted"))

    def _prose(self, text: str, *, style: str = "") -> Text:
        return Text(self._cut(clean(text)), style=style)

    def _syntax(self, text: str, language: str) -> Syntax:
        theme = SYNTAX_THEMES[self.smith.theme_name]
        return Syntax(
            self._cut(clean(text)),
            language,
            theme=theme,
            background_color=THEMES[self.smith.theme_name].surface,
            word_wrap=True,
        )

    def _cut(self, text: str) -> str:
        lines = text[: None if self._whole else SHOWN_CHARS].splitlines()
        kept = lines if self._whole else lines[:SHOWN_LINES]
        if len(kept) == len(lines) and (self._whole or len(text) <= SHOWN_CHARS):
            return text
        return "\n".join([*kept, f"… of {size(len(text.encode()))} (o shows all)"])

    def fail(self, error: SkillsmithError) -> None:
        """Show why there is nothing to show."""
        self.say(str(error))


def _json_in(text: str) -> Json:
    """Return JSON where a text is an object or a list, else the text itself."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        value = parse_json(text)
    except ValueError:
        return text
    return value if isinstance(value, (dict, list)) and value else text
