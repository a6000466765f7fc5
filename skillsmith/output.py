"""Everything printed: data to stdout, all the rest to stderr, and the same facts in both forms.

On a terminal tables and code are drawn by Rich, which is imported only then; into a pipe goes plain, aligned
text with a row a line; ``--json`` writes exactly one JSON document. Logs are other people's text: control
characters in them never reach the terminal.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from skillsmith.errors import SkillsmithError

if TYPE_CHECKING:
    from rich.console import Console

    from skillsmith.models import Json
    from skillsmith.progress import Bar

GAP = 2
"""Spaces between columns."""

LEAST_GROWN = 30
"""A growing column wants at least so much room before spare columns are shown."""

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)
"""Terminal controls, marks that turn the direction of text, and characters that only models see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Args:
        key: Field of the item it shows.
        title: Heading.
        show: Turns the field into text; the default writes nothing for None.
        right: Align to the right (numbers).
        width: Longest text in characters into a pipe; a terminal cuts by its own width.
        style: Rich style on a terminal, or a function from the field to one.
        grow: On a terminal, takes the room that is left.
        spare: On a narrow terminal it is left out; the last such column first.
    """

    key: str
    title: str
    show: Callable[[Any], str] = lambda value: "" if value is None else str(value)
    right: bool = False
    width: int = 40
    style: str | Callable[[Any], str] = ""
    grow: bool = False
    spare: bool = False


class Output:
    """The one writer of a command.

    Args:
        as_json: One JSON document instead of text for people.
        stdout: Where data goes.
        stderr: Where notes, progress and errors go.
    """

    def __init__(
        self, *, as_json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._bar: Bar | None = None
        self._console: Console | None = None
        for stream in (self._stdout, self._stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")

    @property
    def fancy(self) -> bool:
        """Whether a person looks at stdout on a terminal that can draw."""
        return not self.as_json and is_terminal(self._stdout)

    @property
    def width(self) -> int:
        """Characters a line may have: the terminal's width, or 100 into a pipe."""
        return self.console.width if self.fancy else 100

    @property
    def console(self) -> Console:
        """Rich's console on stdout (75 ms to import; only terminals need it)."""
        if self._console is None:
            from rich.console import Console  # noqa: PLC0415  (75 ms)

            self._console = Console(file=self._stdout, highlight=False, markup=False, emoji=False)
        return self._console

    def document(self, value: Mapping[str, Json], show: Callable[[], None]) -> None:
        """Print one document: as JSON, or by calling ``show``."""
        if self.as_json:
            self._write_json(value)
        else:
            show()

    def json_line(self, value: Mapping[str, Json]) -> None:
        """Print one of many documents, each on a line of its own, and hand it over at once."""
        self._stdout.write(self._json(value) + "\n")
        self._stdout.flush()

    def items(
        self,
        items: Iterable[dict[str, Json]],
        *,
        limit: int,
        cursor: str,
        show: Callable[[Sequence[dict[str, Json]]], None],
        empty: str,
    ) -> None:
        """Print one page of a list.

        Args:
            items: As many as there are; at most ``limit + 1`` are taken.
            limit: Items on the page; 0 means all.
            cursor: The field whose last value continues the list (``--after``).
            show: Prints the items for people.
            empty: What to say to people when there is none.
        """
        found = list(islice(items, limit + 1) if limit else items)
        page = found[:limit] if limit else found
        following = page[-1][cursor] if len(found) > len(page) else None
        if self.as_json:
            self._write_json({"items": page, "next": None if following is None else str(following)})
            return
        if not page:
            self.note(empty)
            return
        show(page)
        if following is not None:
            self.note(f"there is more: --after {following}, or --limit 0 for all")

    def table(self, columns: Sequence[Column], items: Sequence[Mapping[str, Json]]) -> None:
        """Print rows under headings; columns that are empty throughout are left out."""
        cells = [[_one_line(column.show(item.get(column.key))) for column in columns] for item in items]
        used = [index for index, _ in enumerate(columns) if any(row[index] for row in cells)]
        chosen = [columns[index] for index in used]
        rows = [[row[index] for index in used] for row in cells]
        if self.fancy:
            self._draw_table(chosen, rows, items)
        else:
            for line in _aligned(chosen, rows):
                self.line(line)

    def _draw_table(
        self, columns: Sequence[Column], rows: Sequence[Sequence[str]], items: Sequence[Mapping[str, Json]]
    ) -> None:
        from rich.table import Table  # noqa: PLC0415  (Rich: terminals only)
        from rich.text import Text  # noqa: PLC0415

        widths = fitted(columns, rows, self.console.width)
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for index, width in widths.items():
            column = columns[index]
            table.add_column(
                column.title, justify="right" if column.right else "left", width=width, no_wrap=True,
                overflow="ellipsis",
            )  # fmt: skip
        for row, item in zip(rows, items, strict=True):
            table.add_row(*(Text(row[index], style=_style(columns[index], item)) for index in widths))
        self.console.print(table)

    def line(self, text: str = "", *, style: str = "") -> None:
        """Print one line (or several) of text."""
        text = clean(text)
        if self.fancy:
            from rich.text import Text  # noqa: PLC0415  (Rich: terminals only)

            self.console.print(Text(text, style=style), soft_wrap=True)
        else:
            self._stdout.write(text + "\n")

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print names with their values, aligned; empty values are left out."""
        shown = [(name, value) for name, value in pairs if value]
        widest = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(f"{name:<{widest}}  {value}")

    def code(self, text: str, *, language: str, indent: int = 0) -> None:
        """Print a code block, highlighted on a terminal."""
        text = clean(text).rstrip("\n")
        if self.fancy:
            from rich.padding import Padding  # noqa: PLC0415  (Rich: terminals only)
            from rich.syntax import Syntax  # noqa: PLC0415

            syntax = Syntax(text, language, theme="ansi_dark", background_color="default", word_wrap=True)
            self.console.print(Padding(syntax, (0, 0, 0, indent)))
        else:
            for line in text.splitlines():
                self._stdout.write(f"{' ' * indent}{line}".rstrip() + "\n")

    def note(self, text: str) -> None:
        """Tell people something beside the data, on stderr; scripts find it in the document."""
        if not self.as_json:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Print one line on stderr, for people and scripts alike."""
        with self._without_bar():
            self._stderr.write(_one_line(text) + "\n")

    def error(self, error: SkillsmithError) -> None:
        """Print an error on stderr: one line, or one JSON document."""
        if self.as_json:
            hint = error.hint or None
            document = {"error": {"code": error.code, "message": error.message, "hint": hint}}
            self._stderr.write(to_json(document) + "\n")
        else:
            self.warn(f"error: {error}")

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        self._stdout.flush()
        self._stderr.flush()

    @contextmanager
    def progress(self, label: str, *, total: int | None = None) -> Iterator[Callable[[int, str], None]]:
        """Give a function that counts work done: ``step(amount, note)``.

        A bar appears on stderr when that is a terminal and the work takes over a second.
        """
        from skillsmith.progress import Bar  # noqa: PLC0415  (threading; help shows no bar)

        wanted = not self.as_json and is_terminal(self._stderr)
        bar = self._bar = Bar(self._stderr, label=label, total=total, wanted=wanted)
        try:
            yield bar.step
        finally:
            self._bar = None
            bar.close()

    @contextmanager
    def _without_bar(self) -> Iterator[None]:
        if self._bar is None:
            yield
        else:
            with self._bar.hidden():
                yield

    def _write_json(self, value: Json) -> None:
        self._stdout.write(self._json(value, indent=is_terminal(self._stdout)) + "\n")

    def _json(self, value: Json, *, indent: bool = False) -> str:
        """Write a document; for a terminal with escapes in place of characters that could steer it."""
        text = to_json(value, indent=indent)
        return _CONTROL.sub(_escaped, text) if is_terminal(self._stdout) else text


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a person looks at the stream on a terminal that can draw."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def to_json(value: Json, *, indent: bool = False) -> str:
    """Write a JSON document; what JSON cannot hold becomes its text form."""
    import orjson  # noqa: PLC0415  (30 ms; help and versions print no document)

    option = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(value, default=_plain, option=option).decode()
    except TypeError:  # lone surrogates, or integers beyond 64 bits
        import json  # noqa: PLC0415  (rare)

        return json.dumps(value, default=_plain, indent=2 if indent else None)


def _plain(value: Any) -> Json:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, (set, frozenset)) else str(value)


def clean(text: str) -> str:
    """Return text without the control characters that could move a cursor or hide what is there."""
    return _CONTROL.sub("�", text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFFFF:  # noqa: PLR2004  (one UTF-16 unit)
        return f"\\u{code:04x}"
    return "".join(f"\\u{unit:04x}" for unit in (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)))


def shorten(text: str, width: int) -> str:
    """Return the text on one line, cut to a width in characters."""
    text = _one_line(text)
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _one_line(text: str) -> str:
    return clean(" ".join(text.split()))


def _style(column: Column, item: Mapping[str, Json]) -> str:
    return column.style(item.get(column.key)) if callable(column.style) else column.style


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> dict[int, int]:
    """Return the width of each column that fits side by side, by its index.

    Args:
        columns: In order.
        rows: Their cells.
        room: Characters in all; two stay free between columns.
    """
    widths = {
        index: min(column.width, max(map(_cells, [column.title, *(row[index] for row in rows)])))
        for index, column in enumerate(columns)
    }
    growing = [index for index, column in enumerate(columns) if column.grow]
    for index in growing:
        widths[index] = max(map(_cells, [columns[index].title, *(row[index] for row in rows)]))
    spare = [index for index, column in enumerate(columns) if column.spare]
    while True:
        fixed = sum(width + GAP for index, width in widths.items() if index not in growing)
        needed = sum(min(widths[index], LEAST_GROWN) for index in growing)
        if fixed + needed <= room or not spare:
            break
        del widths[spare.pop()]
    for index in growing:
        widths[index] = min(widths[index], max(room - fixed, len(columns[index].title)))
    return widths


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    table = [[column.title for column in columns]]
    table += [
        [shorten(cell, column.width) for cell, column in zip(row, columns, strict=True)] for row in rows
    ]
    widths = [max(_cells(row[index]) for row in table) for index in range(len(columns))]
    for row in table:
        cells = (
            _padded(cell, width, right=column.right)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _padded(cell: str, width: int, *, right: bool) -> str:
    gap = " " * (width - _cells(cell))
    return gap + cell if right else cell + gap


def _cells(text: str) -> int:
    """Count terminal cells: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(character) in "WF" else not unicodedata.combining(character)
        for character in text
    )
