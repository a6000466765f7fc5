"""Tests of everything printed."""

from __future__ import annotations

import io
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.errors import NotFoundError
from skillsmith.output import Column, Output, clean, fitted, shorten, to_json


class _Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def _output(*, as_json: bool = False, terminal: bool = False) -> tuple[Output, io.StringIO, io.StringIO]:
    stdout, stderr = (_Terminal(), _Terminal()) if terminal else (io.StringIO(), io.StringIO())
    return Output(as_json=as_json, stdout=stdout, stderr=stderr), stdout, stderr


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


COLUMNS = (
    Column(key="name", title="name", style="cyan"),
    Column(key="count", title="count", right=True),
    Column(key="empty", title="never shown"),
    Column(key="text", title="text", width=12, grow=True),
)
ROWS: list[dict[str, Any]] = [
    {"name": "a", "count": 5, "text": "one\ntwo"},
    {"name": "long", "count": 12345, "text": "a text that is too long"},
]


def test_table_into_a_pipe_is_aligned_text() -> None:
    """Off a terminal a table is one aligned line a row, without empty columns, colours or line breaks."""
    out, stdout, _ = _output()
    out.table(COLUMNS, ROWS)
    assert stdout.getvalue() == (
        "name  count  text\n"
        "a         5  one two\n"
        "long  12345  a text that…\n"
    )  # fmt: skip


def test_table_on_a_terminal_is_coloured() -> None:
    """On a terminal the same table has colours and the terminal's width."""
    out, stdout, _ = _output(terminal=True)
    out.table(COLUMNS, ROWS)
    text = stdout.getvalue()
    assert "\x1b[" in text
    assert "a text that is too long" in text


def test_narrow_terminals_lose_spare_columns_first() -> None:
    """Where room is short spare columns go, the last one first; then the growing column shrinks."""
    columns = (
        Column(key="id", title="id"),
        Column(key="a", title="a", spare=True),
        Column(key="b", title="b", spare=True),
        Column(key="text", title="text", grow=True),
    )
    rows = [["0123456789", "a" * 20, "b" * 20, "t" * 100]]
    shown = {room: fitted(columns, rows, room) for room in (200, 100, 70, 40)}
    assert shown == {
        200: {0: 10, 1: 20, 2: 20, 3: 100},
        100: {0: 10, 1: 20, 2: 20, 3: 44},
        70: {0: 10, 1: 20, 3: 36},
        40: {0: 10, 3: 28},
    }


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``NO_COLOR`` nothing is coloured, also on a terminal."""
    monkeypatch.setenv("NO_COLOR", "1")
    out, stdout, _ = _output(terminal=True)
    out.table(COLUMNS, ROWS)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", stdout.getvalue())


def test_wide_characters_keep_columns_aligned() -> None:
    """Characters that take two cells on a terminal are counted as two."""
    out, stdout, _ = _output()
    out.table(COLUMNS[:2], [{"name": "日本", "count": 1}, {"name": "abcd", "count": 2}])
    assert stdout.getvalue().splitlines()[1:] == ["日本      1", "abcd      2"]


def test_a_page_says_how_to_go_on() -> None:
    """A list longer than the page names the cursor of the next one; the last page names none."""
    out, stdout, _ = _output(as_json=True)
    items = [{"id": number} for number in range(5)]
    out.items(items[:3], limit=2, cursor="id", show=print, empty="none")
    out.items(items[3:], limit=2, cursor="id", show=print, empty="none")
    first, last = map(json.loads, stdout.getvalue().splitlines())
    assert first == {"items": [{"id": 0}, {"id": 1}], "next": "1"}
    assert last == {"items": [{"id": 3}, {"id": 4}], "next": None}


def test_a_page_takes_no_more_than_it_needs() -> None:
    """Of a long list only one item more than the page is read."""
    taken = []

    def items() -> Any:
        for number in range(1000):
            taken.append(number)
            yield {"id": number}

    out, _, _ = _output(as_json=True)
    out.items(items(), limit=10, cursor="id", show=print, empty="none")
    assert len(taken) == 11


def test_limit_zero_means_all() -> None:
    """A limit of zero prints the whole list."""
    out, stdout, _ = _output(as_json=True)
    out.items(({"id": number} for number in range(300)), limit=0, cursor="id", show=print, empty="none")
    document = json.loads(stdout.getvalue())
    assert len(document["items"]) == 300
    assert document["next"] is None


def test_an_empty_list_is_data_for_scripts_and_a_note_for_people() -> None:
    """Scripts get an empty list; people get a line on stderr and nothing on stdout."""
    out, stdout, _ = _output(as_json=True)
    out.items([], limit=10, cursor="id", show=print, empty="nothing here")
    assert json.loads(stdout.getvalue()) == {"items": [], "next": None}
    out, stdout, stderr = _output()
    out.items([], limit=10, cursor="id", show=print, empty="nothing here")
    assert (stdout.getvalue(), stderr.getvalue()) == ("", "nothing here\n")


def test_errors_are_one_line_on_stderr() -> None:
    """An error is one line that says what is wrong and what to do."""
    out, stdout, stderr = _output()
    out.error(NotFoundError("there is no\nrun 'x'", hint="look again"))
    assert stdout.getvalue() == ""
    assert stderr.getvalue() == "error: there is no run 'x'; look again\n"


def test_errors_as_json() -> None:
    """With ``--json`` an error is one document on stderr."""
    out, stdout, stderr = _output(as_json=True)
    out.error(NotFoundError("there is no run", hint="look again"))
    assert stdout.getvalue() == ""
    assert json.loads(stderr.getvalue()) == {
        "error": {"code": "not_found", "message": "there is no run", "hint": "look again"}
    }


def test_notes_are_for_people_only() -> None:
    """A note goes to stderr, and nowhere with ``--json``."""
    for as_json, expected in ((False, "hello\n"), (True, "")):
        out, stdout, stderr = _output(as_json=as_json)
        out.note("hello")
        assert (stdout.getvalue(), stderr.getvalue()) == ("", expected)


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_logs_cannot_steer_the_terminal(text: str) -> None:
    """Whatever a log holds, no control character but line breaks reaches the terminal."""
    out, stdout, stderr = _output()
    out.line(text)
    out.code(text, language="text")
    out.warn(text)
    printed = (stdout.getvalue() + stderr.getvalue()).replace("\n", "")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", printed)


@settings(max_examples=50)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists))
def test_json_holds_any_value(value: Any) -> None:
    """Any JSON value is written and read back the same, also integers beyond 64 bits."""
    assert json.loads(to_json(value)) == value
    assert json.loads(to_json(value, indent=True)) == value


def test_json_holds_what_json_cannot() -> None:
    """Lone surrogates and foreign objects do not stop a document."""
    document = json.loads(to_json({"half": "\ud800", "set": {1}, "path": io.StringIO}))
    assert document["half"] == "\ud800"
    assert document["set"] == [1]


@settings(max_examples=50)
@given(st.text(max_size=100), st.integers(1, 50))
def test_shortened_text_fits_on_one_line(text: str, width: int) -> None:
    """A shortened text is never longer than asked for and never has a second line."""
    short = shorten(text, width)
    assert len(short) <= width
    assert len(short.splitlines()) <= 1


def test_progress_is_silent_off_a_terminal() -> None:
    """Off a terminal no bar is drawn, however long the work takes."""
    out, stdout, stderr = _output()
    with out.progress("working", total=2) as step:
        step(1, "one")
        step(1, "two")
    assert stdout.getvalue() + stderr.getvalue() == ""


def test_progress_appears_when_work_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar appears on stderr once the work lasts, and lines printed meanwhile stay whole."""
    monkeypatch.setattr("skillsmith.progress.PROGRESS_AFTER_SECONDS", 0.0)
    out, stdout, stderr = _output(terminal=True)
    with out.progress("working", total=2) as step:
        step(1, "one")
        while "working" not in stderr.getvalue():
            time.sleep(0.01)
        out.warn("a line")
        step(1, "two")
    assert stdout.getvalue() == ""
    assert "working" in stderr.getvalue()
    assert "a line\n" in stderr.getvalue()


def test_clean_keeps_ordinary_text() -> None:
    """Text of any language stays as it is; tabs become spaces and line ends become line feeds."""
    assert clean("añb 日本 → ‹x›\r\ny") == "añb 日本 → ‹x›\ny"
    assert clean("\x1b[31mred") == "�[31mred"


def test_json_cannot_steer_the_terminal() -> None:
    """A document on a terminal has escapes for controls and hidden characters, and means the same."""
    document = {"text": "\x9b31m \u202e \U000e0041 plain ü"}
    for terminal in (True, False):
        out, stdout, _ = _output(as_json=True, terminal=terminal)
        out.document(document, lambda: None)
        out.json_line(document)
        first, second = stdout.getvalue().rsplit("\n", 2)[:2]
        assert json.loads(first) == json.loads(second) == document
        assert ("\u202e" in stdout.getvalue()) is not terminal
        assert ("\x9b" in stdout.getvalue()) is not terminal


@pytest.mark.parametrize("hidden", ["\u200e", "\u200f", "\u061c", "\u2060", "\ufeff", "\U000e0041"])
def test_marks_and_hidden_characters_are_shown(hidden: str) -> None:
    """What turns text round or nobody sees is visible, so that it cannot hide words from a person."""
    assert clean(f"a{hidden}b") == "a�b"
