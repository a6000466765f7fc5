from __future__ import annotations

import ast
import json
import re
import warnings
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from code_values import JSON, MARK, VALUES
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skillsmith.errors import UsageError
from skillsmith.library.templates import (
    Lift,
    Literal,
    build_python_template,
    choose_names,
    python_literals,
    render,
    split_template,
    verify_template,
)
from skillsmith.models import Slot, Template

NUMBER = 987654321


# ------------------------------------------------------------------------------------- generated Python code

COMMON_CHUNKS = ["ab", " ", "é", "🎈", "0", "%s", "$x", "#"]
ESCAPES = ["\\n", "\\x41", "\\u00e9", "\\N{BULLET}", "\\\\", "\\'", '\\"', "\\0", "\\101", "\\\n", "\\d"]
BYTE_ESCAPES = ["\\n", "\\x41", "\\\\", "\\'", '\\"', "\\0", "\\d"]
FIELDS = [
    "{x}",
    "{x!r:>{w}}",
    "{x:.2f}",
    "{ {'a': {'b': 1}} }",
    "{(lambda y: y)(x)}",
    "{x=}",
    "{d[k]:%H:%M}",
    "{{",
    "}}",
]


@st.composite
def strings(draw: st.DrawFn) -> str:
    """Return the source of a string literal that has the mark in it."""
    prefix = draw(st.sampled_from(["", "", "r", "R", "u", "b", "rb", "f", "F", "rf", "fr"]))
    quote = draw(st.sampled_from(['"', "'", '"""', "'''"]))
    flags = prefix.lower()
    chunks = list(COMMON_CHUNKS if "b" not in flags else ["ab", " ", "0"])
    if "r" not in flags:
        chunks += BYTE_ESCAPES if "b" in flags else ESCAPES
    else:
        chunks += ["\\d", "\\{" if "f" not in flags else "\\w"]
    if "f" in flags:
        chunks += FIELDS
    else:
        chunks += ["{", "}", "{x}"]
    if len(quote) == 3:
        chunks += ["\n", quote[0]]
    pieces = st.lists(st.sampled_from(chunks), max_size=3).map("".join)
    return f"{prefix}{quote}{draw(pieces)}{MARK}{draw(pieces)}{quote}"


CONTEXTS = [
    "x = <>",
    "f(a, key=<>, **{'k': {'n': [1, {}]}})",
    "d = {'k': <>, 'n': {'m': [1, {}, {2}]}}  # {v} is no place",
    "if x == <>:\n\tpass",
    "def g(q=<>):\n    return<>",
    "@dec(<>)\ndef h(): ...",
    "print((y := <>), *[i for i in <>])",
    "x = (<>\n     <>)",
    "assert x in[<>], <>\ny = 1if <>else 2",
    "async def k():\n\tawait z(\\\n\t  <>)",
    "match x:\n    case {'a': <>}: pass\n    case _: y = 'é'; z = <>",
    "x: Literal[<>] = <>  # naïve",
    "lambda p=<>: (yield)",
]


def parses(code: str) -> bool:
    """Whether code parses on this interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError):
            return False
    return True


@st.composite
def blocks(draw: st.DrawFn) -> str:
    """Return code with marked strings in it, that parses."""
    lines = []
    for context in draw(st.lists(st.sampled_from(CONTEXTS), min_size=1, max_size=3)):
        binary = draw(strings())
        line = context
        while "<>" in line:
            literal = draw(strings())
            same_kind = ("b" in literal.split(MARK)[0][:2].lower()) == ("b" in binary[:2].lower())
            line = line.replace("<>", literal if same_kind else binary, 1)
        if parses(line):
            lines.append(line)
    assume(lines)
    eol = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    code = eol.join("\n".join(["# übung", *lines, ""]).split("\n"))
    assume(parses(code))
    return code


def marked_lifts(code: str) -> list[Lift]:
    """Return lifts of all marks that can be lifted."""
    lifts = []
    for item in python_literals(code):
        if item.segment is None or not isinstance(item.value, str) or MARK not in item.value:
            continue
        begin = item.value.index(MARK)
        span = item.segment.source_span(begin, begin + len(MARK))
        assert span is not None
        one = Lift(start=span[0], end=span[1], variable="value")
        try:
            build_python_template(code, [one])
        except UsageError:
            continue
        lifts.append(one)
    return lifts


class Expected(ast.NodeTransformer):
    """Puts a value in the place of the mark, in a tree."""

    def __init__(self, value: str) -> None:
        self.value = value

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        node.kind = None
        if isinstance(node.value, str):
            node.value = node.value.replace(MARK, self.value)
        elif isinstance(node.value, bytes):
            node.value = node.value.replace(MARK.encode(), self.value.encode())
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        self.generic_visit(node)
        node.values = [
            part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")
        ]
        return node


def tree(code: str, value: str = MARK) -> str:
    """Return what code means when a value stands in the place of the mark."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.dump(Expected(value).visit(ast.parse(code)))


@settings(max_examples=150, deadline=None)
@given(code=blocks(), value=VALUES)
def test_a_value_changes_its_literal_and_nothing_else(code: str, value: str) -> None:
    """Whatever text is given, the rendered code means the source with that text in the literal."""
    lifts = marked_lifts(code)
    assume(len(lifts) == code.count(MARK))
    template = build_python_template(code, lifts)
    assert tree(render(template, {"value": value}, language="python")) == tree(code, value)


@settings(max_examples=150, deadline=None)
@given(code=blocks())
def test_defaults_render_back_byte_for_byte(code: str) -> None:
    """Code with f-strings, dicts and nested braces comes back exactly with its defaults, through JSON too."""
    lifts = marked_lifts(code)
    built = build_python_template(code, lifts)
    stored = json.loads(json.dumps([[slot.variable, slot.encoding] for slot in built.slots]))
    template = Template(
        text=built.text, slots=tuple(Slot(variable=name, encoding=how) for name, how in stored)
    )
    assert render(template, {"value": MARK}, language="python") == code
    assert "".join(part + MARK for part in split_template(template)).removesuffix(MARK) == code


@settings(max_examples=100, deadline=None)
@given(code=blocks(), data=st.data())
def test_every_literal_can_be_lifted_or_is_refused(code: str, data: st.DataObject) -> None:
    """Each literal that is called liftable gives a template that verifies."""
    item = data.draw(st.sampled_from(python_literals(code)))
    name = choose_names(code, ["v"])["v"]
    one = Lift(start=item.start, end=item.end, variable=name)
    if not item.liftable:
        with pytest.raises(UsageError):
            build_python_template(code, [one])
        return
    template = build_python_template(code, [one])
    assert verify_template(template, {name: item.value}, code, language="python") == []


NUMBER_CONTEXTS = [
    "x = <>", "x = -<>", "x = 2**<>", "x = <>**2", "x = <> .real", "x = 1if <>else 2", "x = a[<>:-<>]",
    "f(<>, k=[<>])", "x = {'a': <>, <>: {}}", "assert a not in[<>]", "x = f'{<>:>{<>}}' f'{a!r}'", "x = ~<>",
    "x = not<>", "x = a-<>--<>", "def f(a, /, b=<>, *, c=<>): return<>", "x = (<>)", "x = a<<>>>3",
]  # fmt: skip


class WithValue(ast.NodeTransformer):
    """Puts a value in the place of the marked number."""

    def __init__(self, value: object) -> None:
        self.source = repr(value)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        operand = node.operand
        if isinstance(node.op, ast.USub) and isinstance(operand, ast.Constant) and operand.value == NUMBER:
            return node
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.parse(f"({self.source})", mode="eval").body if node.value == NUMBER else node


@pytest.mark.filterwarnings("ignore:invalid decimal literal")
@settings(max_examples=200, deadline=None)
@given(context=st.sampled_from(NUMBER_CONTEXTS), value=JSON)
def test_whole_literals_take_any_json_value(context: str, value: object) -> None:
    """A number's place takes any JSON value, with parentheses where they are needed."""
    code = context.replace("<>", f" {NUMBER}" if "not" in context or "return" in context else str(NUMBER))
    lifts = [
        Lift(start=item.start, end=item.end, variable="v")
        for item in python_literals(code)
        if item.value == NUMBER
    ]
    template = build_python_template(code, lifts)
    assert render(template, {"v": NUMBER}, language="python") == code
    try:
        rendered = render(template, {"v": value}, language="python")
    except UsageError:
        assert "f'" in context
        return
    expected = WithValue(value).visit(ast.parse(code))
    assert ast.dump(ast.parse(rendered)) == ast.dump(expected)


# ------------------------------------------------------------------------------------------------- real code

DATA = Path(__file__).parents[2] / "shared" / "data" / "runs"
FENCE = re.compile(r"```python\r?\n(.*?)```", re.DOTALL)


def real_blocks() -> list[str]:
    """Return Python that agents wrote: fenced code of group chats and solved programming tasks."""
    found = []
    for file in sorted((DATA / "who_and_when").glob("*/*.json")):
        for message in json.loads(file.read_text("utf-8"))["history"]:
            found += FENCE.findall(message.get("content") or "")
    with (DATA / "humaneval_reflexion" / "gpt4_simple.jsonl").open(encoding="utf-8") as lines:
        found += [
            f"{record['prompt']}\n{record['solution']}" for record in map(json.loads, islice(lines, 40))
        ]
    return [code for code in dict.fromkeys(found) if parses(code)]


@pytest.mark.skipif(not DATA.is_dir(), reason="the captured runs are not beside the repository")
def test_real_code_comes_back_with_all_its_literals_lifted() -> None:
    """With every literal of a real block lifted at once, defaults give it back and others parse."""
    blocks, lifted = real_blocks(), 0
    for code in blocks:
        items: list[Literal] = []
        for item in python_literals(code):
            inside = bool(items) and item.start < items[-1].end
            if item.liftable and not inside and (item.segment or not isinstance(item.value, list | dict)):
                items.append(item)
        names = choose_names(code, [f"v{index}" for index in range(len(items))])
        lifts = [
            Lift(start=item.start, end=item.end, variable=names[f"v{index}"])
            for index, item in enumerate(items)
        ]
        template = build_python_template(code, lifts)
        defaults = {lift.variable: item.value for lift, item in zip(lifts, items, strict=True)}
        assert render(template, defaults, language="python") == code
        other = {name: f"{value}\"'\\" if isinstance(value, str) else 7 for name, value in defaults.items()}
        with suppress(UsageError):  # text inside f-string expressions
            assert parses(render(template, other, language="python"))
        lifted += len(lifts)
    assert len(blocks) > 50
    assert lifted > 500
