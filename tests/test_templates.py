from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from code_values import JSON, MARK, VALUES
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.errors import UsageError
from skillsmith.library.templates import (
    Lift,
    Literal,
    build_python_template,
    build_shell_template,
    build_template,
    build_text_template,
    choose_names,
    join_templates,
    python_literals,
    render,
    shell_literals,
    split_template,
    verify_template,
)
from skillsmith.models import Slot, Template


def literal_with(code: str, value: object) -> Literal:
    """Return the one literal with a value."""
    return next(
        item for item in python_literals(code) if item.value == value and type(item.value) is type(value)
    )


def lift(code: str, value: object, name: str = "v") -> Template:
    """Return a template in which one literal is lifted."""
    found = literal_with(code, value)
    return build_python_template(code, [Lift(start=found.start, end=found.end, variable=name)])


@pytest.mark.parametrize(
    ("code", "value", "other", "expected"),
    [
        ("x = 0x1F", 31, 32, "x = 32"),
        ("x = 1_000", 1000, 5, "x = 5"),
        ("x = 5.0", 5.0, 6.5, "x = 6.5"),
        ("x = -5", -5, 3, "x = 3"),
        ("x = (10, 6)", [10, 6], [8], "x = (8,)"),
        ("x = 10, 6", [10, 6], [8, 4], "x = (8, 4,)"),
        ("x = ['a',\n 'b']", ["a", "b"], ["c"], "x = ['c']"),
        ("x = ('a' # {x}\n  'b')", "ab", "c", 'x = ("c")'),
        ("x = {'a': {'b': None}}", {"a": {"b": None}}, {}, "x = {}"),
        ("x = True", True, False, "x = False"),
        ("x = r'C:\\data'", "C:\\data", "D:\\", "x = r'' \"D:\\\\\" r''"),
        ("x = b'ab'", "ab", "é", "x = b'\\xc3\\xa9'"),
        ("x = '\\x41'", "A", "B", "x = 'B'"),
        ("x = f'{{{y}}} of {z:>{w}}'", "} of ", "}}", "x = f'{{{y}}}}}{z:>{w}}'"),
    ],
)
def test_spellings_survive(code: str, value: object, other: object, expected: str) -> None:
    """A default keeps its own spelling, another value gets a plain one."""
    template = lift(code, value)
    assert render(template, {"v": value}, language="python") == code
    assert render(template, {"v": other}, language="python") == expected


def test_strings_in_f_string_expressions_refuse_what_no_python_can_write() -> None:
    """Inside an f-string's expression quotes cannot be escaped on Python 3.11, so they are refused."""
    template = lift("""x = f"{df['price']:.2f}" """, "price")
    assert (
        render(template, {"v": "unit price {x}"}, language="python")
        == """x = f"{df['unit price {x}']:.2f}" """
    )
    for value in ("it's", 'a"b', "a\\b", "a\nb"):
        with pytest.raises(UsageError, match="f-string"):
            render(template, {"v": value}, language="python")


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("x = '\\1MARK'", MARK),
        ("x = 'a\\x41b'", "x41"),
        ("x = r'\\MARK'", MARK),
        ("x = f'{x!r:MA}{y=}'", "y"),
    ],
)
def test_cuts_that_would_change_meaning_are_refused(code: str, part: str) -> None:
    """A place that would cut an escape, or let one take in what is written, is refused."""
    start = code.index(part)
    with pytest.raises(UsageError):
        build_python_template(code, [Lift(start=start, end=start + len(part), variable="v")])


def test_names_that_stand_in_the_code_are_not_chosen() -> None:
    """A name whose braces occur in the source would be ambiguous: another is chosen, and it is refused."""
    code = "name = 'Ann'\nprint(f'{name} is {2}', '{name_2}')"
    assert choose_names(code, ["name", "class", "2 days", "name"]) == {
        "name": "name_3", "class": "value_class", "2 days": "value_2_days",
    }  # fmt: skip
    with pytest.raises(UsageError, match="stands in the text already"):
        lift(code, "Ann", "name")
    assert render(lift(code, "Ann", "name_3"), {"name_3": "Bob"}, language="python").startswith(
        "name = 'Bob'\nprint(f'{name} "
    )


def test_lifts_that_overlap_or_are_no_literal_are_refused() -> None:
    """Only literals can be lifted, each once, under a proper name."""
    code = "total = 'sum' + name"
    for lifts in (
        [Lift(start=0, end=5, variable="v")],
        [Lift(start=9, end=12, variable="v"), Lift(start=10, end=12, variable="w")],
        [Lift(start=9, end=12, variable="not a name")],
        [Lift(start=9, end=99, variable="v")],
    ):
        with pytest.raises(UsageError):
            build_python_template(code, lifts)
    with pytest.raises(UsageError, match="not valid Python"):
        build_python_template("total = (", [Lift(start=0, end=1, variable="v")])
    with pytest.raises(UsageError, match="nothing can be lifted"):
        build_template("select 1", [Lift(start=7, end=8, variable="v")], language="sql")
    assert build_template("total = (", [], language="python") == Template(text="total = (")


def test_literals_know_what_stands_beside_them() -> None:
    """Keyword, parameter, target, key, comparison, column and call are found for each literal."""
    code = (
        'def load(path, limit=7):\n    """Doc."""\n'
        'rows: int = 10\ndf = load("a.csv", 20)\nbig = df[df["price"] > 2.5].head(3)\n'
        'd = {"city": "Paris"}\nd["new"] = open("o.txt", "w")\nprint(f"{d[\'city\']:>8} x", sep=", ")\n'
    )
    found = {item.value: item for item in python_literals(code) if not isinstance(item.value, dict)}
    about = {value: (item.beside.name, item.beside.source, item.beside.call) for value, item in found.items()}
    assert about[7] == ("limit", "parameter", None)
    assert about[10] == ("rows", "target", None)
    assert about["a.csv"] == ("path", "parameter", "load")
    assert about[20] == ("limit", "parameter", "load")
    assert about[2.5] == ("price", "compare", None)
    assert about[3] == (None, None, "head")
    assert about["Paris"] == ("city", "key", None)
    assert about[", "] == ("sep", "keyword", "print")
    assert found["Doc."].beside.docstring
    assert found["price"].beside.subscript
    assert found["new"].beside.stored
    assert found["o.txt"].beside.mode == "w"
    assert found[">8"].format_spec
    assert [item.line for item in python_literals(code) if item.value == "city"] == [6, 8]


def test_templates_join_and_split_without_doubt() -> None:
    """Joined templates keep their places; a template whose text was tampered with is refused."""
    joined = join_templates([lift("a = 1", 1, "one"), lift("b = 'x'", "x", "two"), lift("c = 1", 1, "one")])
    assert render(joined, {"one": 2, "two": "y"}, language="python") == "a = 2\n\nb = 'y'\n\nc = 2"
    for broken in (
        Template(text="a = {one}{one}", slots=(Slot(variable="one", encoding="python"),)),
        Template(text="a = 1", slots=(Slot(variable="one", encoding="python"),)),
    ):
        with pytest.raises(UsageError):
            split_template(broken)
    with pytest.raises(UsageError, match="needs a value for one"):
        render(joined, {"two": "y"}, language="python")


@pytest.mark.parametrize(
    "encoding", ["magic", 'dq=" + evil() + "', "python=1) or evil(", "f-dq={evil()}", "sh-sq=' ; evil '"]
)
def test_tampered_encodings_are_refused(encoding: str) -> None:
    """An encoding that would bring in code of its own is refused, whatever the value."""
    template = Template(text="x = {v}", slots=(Slot(variable="v", encoding=encoding),))
    for value in ("a", encoding.partition("=")[2]):
        with pytest.raises(UsageError):
            render(template, {"v": value}, language=None)


def test_values_that_are_no_json_are_refused() -> None:
    """What has no literal is refused with the variable's name."""
    for value in (float("inf"), object(), {1, 2}):
        with pytest.raises(UsageError, match="'v'"):
            render(lift("x = 1", 1), {"v": value}, language="python")
    with pytest.raises(UsageError, match="'v' is a list"):
        render(lift("x = (1, 2)", [1, 2]), {"v": 3}, language="python")


def test_verify_reports_what_does_not_hold() -> None:
    """Wrong defaults, and a place where other values change the code, are reported."""
    code = "x = 1"
    assert verify_template(lift(code, 1), {"v": 1}, code, language="python") == []
    assert verify_template(lift(code, 1), {"v": 2}, code, language="python") == [
        "the defaults do not render back to the source"
    ]
    assert "cannot be rendered" in verify_template(lift(code, 1), {}, code, language="python")[0]
    loose = Template(text="x = '{v}'", slots=(Slot(variable="v", encoding="text"),))
    assert "change more than a literal" in verify_template(loose, {"v": "a"}, "x = 'a'", language="python")[0]


# ------------------------------------------------------------------------------------------------ text, shell


@given(before=st.text(), value=VALUES, after=st.text())
def test_text_takes_values_as_they_are(before: str, value: str, after: str) -> None:
    """In plain text a value stands as it is, and the default renders back."""
    text = f"{before}{MARK}{after}"
    name = choose_names(text, ["topic"])["topic"]
    template = build_text_template(text, [Lift(start=len(before), end=len(before) + 4, variable=name)])
    assert render(template, {name: value}, language=None) == f"{before}{value}{after}"
    assert render(template, {name: MARK}, language=None) == text


@given(value=JSON)
def test_json_inside_text_stays_json(value: object) -> None:
    """Values written inside JSON leave it valid JSON."""
    text = '{"a": 1, "b": "c MARK"}'
    template = build_text_template(
        text,
        [
            Lift(start=6, end=7, variable="n", encoding="json"),
            Lift(start=17, end=21, variable="s", encoding="json-str"),
        ],
    )
    assert render(template, {"n": 1, "s": MARK}, language=None) == text
    other = json.loads(render(template, {"n": value, "s": 'it\'s "x"\n\\'}, language=None))
    assert other == {"a": value, "b": 'c it\'s "x"\n\\'}


SHELL = [
    "printf '%s\\0' MARK",
    'printf "%s\\0" "MARK"',
    "printf '%s\\0' 'a MARK b' \"c $HOME MARK `echo x`\" x'MARK'\"y\"MARK",
    "X=MARK; printf '%s\\0' \"$X\" $(echo one two) --out=MARK --name 'MARK'  # comment",
    "printf '%s\\0' one \\\n  MARK && true",
    'printf \'%s\\0\' "a\\"MARK\\$b" ${HOME:-other} | cat',
    "cat <<EOF >/dev/null\nbody $X\nEOF\nprintf '%s\\0' MARK",
]


def run_shell(code: str) -> bytes:
    """Return what commands print."""
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, env={"HOME": "/h", "PATH": "/usr/bin:/bin"}, check=False
    )
    assert done.stderr == b""
    return done.stdout


@settings(max_examples=60, deadline=None)
@given(
    code=st.sampled_from(SHELL),
    value=VALUES.filter(lambda text: "\0" not in text and not text.startswith("-")),
)
def test_a_value_never_leaves_its_shell_word(code: str, value: str) -> None:
    """Run for real, the commands print the same words with the value in the place of the mark."""
    lifts = [
        Lift(
            start=item.start + item.value.index(MARK),
            end=item.start + item.value.index(MARK) + 4,
            variable="v",
        )
        for item in shell_literals(code)
        if MARK in item.value and item.liftable
    ]
    assert lifts
    template = build_shell_template(code, lifts)
    assert render(template, {"v": MARK}, language="bash") == code
    assert run_shell(render(template, {"v": value}, language="bash")) == run_shell(code).replace(
        MARK.encode(), value.encode()
    )


def test_shell_values_cannot_become_options() -> None:
    """A value with a leading dash is refused where a word begins, a negative number is not."""
    code = "head -n 5 data.csv"
    found = {item.value: item for item in shell_literals(code)}
    assert not found["head"].liftable
    assert not found["-n"].liftable
    assert found["5"].beside.name == "n"
    template = build_shell_template(
        code,
        [
            Lift(start=item.start, end=item.end, variable=name)
            for name, item in (("n", found["5"]), ("f", found["data.csv"]))
        ],
    )
    assert render(template, {"n": -3, "f": "my data.csv"}, language="sh") == "head -n -3 'my data.csv'"
    with pytest.raises(UsageError, match="option"):
        render(template, {"n": 5, "f": "--help"}, language="sh")
    assert verify_template(template, {"n": 5, "f": "data.csv"}, code, language="sh") == []


def test_shell_code_that_is_unclear_has_no_literals() -> None:
    """Unclosed quotes are refused; here-documents, globs and substitutions are never lifted."""
    with pytest.raises(UsageError, match="line 2"):
        shell_literals("echo a\necho 'b")
    code = "cat <<'EOF'\nbody 'x\nEOF\nls *.csv ~/x $(echo a)b {c,d} \"$y\"e"
    assert [item.value for item in shell_literals(code) if item.liftable] == ["b", "e"]


def values_of(code: str) -> list[Any]:
    """Return the values of the liftable literals."""
    return [item.value for item in python_literals(code) if item.liftable]


def test_special_forms_are_read() -> None:
    """A byte order mark, tabs, lone carriage returns, patterns and huge numbers are all understood."""
    assert values_of("\ufeffx = 'a'\r\ty = 'b'".replace("\r\t", "\r")) == ["a", "b"]
    assert values_of("match x:\n case 1 | 'a': pass") == ["a"]
    assert values_of("x = 1e999, 10**30, 99999999999999999999, 1j, ..., '\\ud800'") == [10, 30]
    assert values_of("x = 'a' f'b{1}c' 'd' f'{2, 3}'") == ["a", "b", 1, "c", "d", 2, 3]
