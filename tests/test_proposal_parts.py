"""The parts that proposals are made of: texts, code, order, edits, memory."""

from __future__ import annotations

import ast

import pytest
from histories import code, number, of, tool
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.errors import UsageError
from skillsmith.library.proposing.code import reaches_beyond, shares_state
from skillsmith.library.proposing.edits import apply_change, changed_nodes, fresh_id, fresh_name, readers
from skillsmith.library.proposing.flow import makespan
from skillsmith.library.proposing.guards import error_kind
from skillsmith.library.proposing.prompts import without_repeats
from skillsmith.library.proposing.texts import lifted_literal, shared_template, slots_for, words
from skillsmith.library.templates import fill
from skillsmith.models import Constant, FromInput, FromNode, Slot, Template

PLACE = Slot(variable="path", encoding="python")


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_words_put_together_are_the_text(text: str) -> None:
    """Nothing is lost, whatever the text."""
    assert "".join(words(text)) == text


def test_one_literal_that_differs_becomes_a_place_between_the_others() -> None:
    """The slots stay in the order of their places, and every text is a filling."""
    template = Template(text="a = {path}\nif x > 5:\n    b = {path}\n", slots=(PLACE, PLACE))
    texts = [template.text.replace("5", value) for value in ("7", "9", "7")]
    found = lifted_literal(template, texts, name="limit")
    assert found is not None
    assert (found.original, found.values, found.variable.default, found.variable.type) == (
        5,
        (7, 9, 7),
        7,
        "integer",
    )
    assert [slot.variable for slot in found.template.slots] == ["path", "limit", "path"]
    filled = fill(found.template, {"path": "x.csv", "limit": 9})
    assert filled == "a = 'x.csv'\nif x > 9:\n    b = 'x.csv'\n"


@pytest.mark.parametrize("text", ["if y > 7: pass", "if x > 5 + 1: pass", "if x > z: pass"])
def test_more_than_one_literal_is_not_lifted(text: str) -> None:
    """Two changes, other words, a name in place of a literal: each is another code."""
    assert lifted_literal(Template(text="if x > 5: pass"), [text], name="limit") is None


def test_a_changed_text_keeps_its_slots_only_if_their_writing_is_sure() -> None:
    """A place may move or go; one of two writings is not guessed."""
    one = Template(text="f({path})", slots=(PLACE,))
    assert slots_for(one, "g({path}, {path})") == Template(text="g({path}, {path})", slots=(PLACE, PLACE))
    assert slots_for(one, "g()") == Template(text="g()")
    two = Template(text="f({path}, '{path}')", slots=(PLACE, Slot(variable="path", encoding="sq")))
    assert slots_for(two, "g({path})") is None


def test_texts_that_differ_by_an_input_are_one_template() -> None:
    """What differs must be written as some input's value in every text."""
    inputs = [{"name": "x", "n": 1}, {"name": "y", "n": 2}]
    found = shared_template(["f('x', 3)", "f('y', 3)"], inputs, language="python")
    assert found == Template(text="f({name}, 3)", slots=(Slot(variable="name", encoding="python"),))
    assert shared_template(["f('x')", "f('z')"], inputs, language="python") is None
    assert shared_template(["f(1)", "f(1)"], inputs, language="sh") == Template(text="f(1)")


@pytest.mark.parametrize(
    ("text", "beyond", "shared"),
    [
        ("print(1)", False, False),
        ("open('x.txt', 'w').write('a')", False, False),
        ("float(row['a'])", False, False),
        ("open('x.txt', 'a').write('a')", False, True),
        ("import os\nos.remove('x.txt')", False, True),
        ("import glob\nglob.glob('*.txt')", False, True),
        ("from pathlib import Path\nlist(Path('.').iterdir())", False, True),
        ("import requests\nrequests.post('u')", True, True),
        ("import os\nos.system('x')", True, True),
        ("import subprocess", True, True),
        ("from urllib.request import urlopen\nurlopen('u')", True, True),
        ("open('/etc/x', 'w').write('a')", True, True),
        ("exec(text)", True, True),
    ],
)
def test_what_code_can_reach_is_judged_in_doubt_as_reached(text: str, beyond: bool, shared: bool) -> None:
    """The network, processes and absolute paths lead out; appending and looking around share the folder."""
    tree = ast.parse(text)
    assert (reaches_beyond(tree), shares_state(tree)) == (beyond, shared)


def test_the_length_of_a_graph_is_its_longest_way_or_its_lanes() -> None:
    """In a row the sum, side by side the longest, with too few lanes what they can hold."""
    row = {"a": set[str](), "b": {"a"}, "c": {"b"}}
    free: dict[str, set[str]] = {"a": set(), "b": set(), "c": set()}
    seconds = {"a": 1.0, "b": 2.0, "c": 3.0}
    assert makespan(row, seconds) == 6.0
    assert makespan(free, seconds) == 3.0
    assert makespan(free, seconds, lanes=1) == 6.0


def test_errors_of_one_kind_are_alike_whatever_their_figures() -> None:
    """Numbers, addresses and quoted values do not tell kinds apart."""
    assert error_kind("KeyError: 'price' on line 17") == error_kind("KeyError: 'cost' on line 3")
    assert error_kind("KeyError: 'price'") != error_kind("ValueError: 'price'")


def test_a_prompt_loses_what_it_says_twice_and_no_place() -> None:
    """Short lines may repeat; a sentence with a place stays however often it stands there."""
    long = "Never promise a date that the records do not hold."
    assert without_repeats(f"{long}\n\n\n\n{long}  \n\nok\n\nok") == f"{long}\n\nok\n\nok"
    placed = "Never promise {name} a date that the records do not hold."
    assert without_repeats(f"{placed}\n\n{placed}") == f"{placed}\n\n{placed}"
    assert without_repeats(f"{long} {{name}}\n\n{long} {{name}}") == f"{long} {{name}}\n\n{{name}}"


# --------------------------------------------------------------------------------------------------- edits

SKILL = of(
    "all", (number("seed", 1),),
    code("n1", "print({seed})", places=("seed",)),
    tool("n2", "get_it", "n1", key=FromNode("n1")),
    tool("n3", "get_it", "n2", key=Constant(5)),
    tool("n4", "send", "n3", effect="write", text=FromNode("n2"), also=FromInput("seed")),
)  # fmt: skip


def test_a_dropped_node_leaves_the_order_of_the_others() -> None:
    """What waited for it waits for what it waited for; what is read cannot go."""
    dropped = apply_change(SKILL, {"edit": "drop", "node": "n3"})
    assert [node.id for node in dropped.nodes] == ["n1", "n2", "n4"]
    assert dropped.nodes[-1].after == ("n2",)
    with pytest.raises(UsageError, match="n4 read its result"):
        apply_change(SKILL, {"edit": "drop", "node": "n2"})
    assert readers(SKILL, "n2") == ["n4"]
    assert readers(SKILL, "n4") == ["output result"]


def test_a_reused_result_is_read_by_all_that_read_the_dropped_one() -> None:
    """Bindings and outputs lead to the earlier node."""
    skill = of(
        "r", (number("seed", 1),), tool("a", "get_it", key=FromInput("seed")),
        tool("b", "get_it", "a", key=FromInput("seed")), tool("c", "put", "b", key=FromNode("b", ("id",))),
        output_bindings={"x": FromNode("b"), "y": FromNode("c")},
    )  # fmt: skip
    changed = apply_change(skill, {"edit": "reuse", "node": "b", "by": "a"})
    assert changed.nodes[1].arguments == {"key": FromNode("a", ("id",))}
    assert changed.nodes[1].after == ("a",)
    assert changed.output_bindings["x"] == FromNode("a")


def test_a_check_comes_before_everything_that_waits_for_nothing() -> None:
    """So nothing runs when it does not hold."""
    change = {"edit": "check", "id": "guard1", "expression": "seed > 0", "title": "t"}
    changed = apply_change(SKILL, change)
    assert [node.after for node in changed.nodes[:3]] == [(), ("guard1",), ("n1",)]
    assert changed_nodes(SKILL, changed) == {"guard1"}


@pytest.mark.parametrize(
    "change",
    [
        {"edit": "nonsense"},
        {"edit": "drop", "node": "n9"},
        {"edit": "default", "variable": "gone", "to": 1},
        {"edit": "constant", "node": "n2", "argument": "key", "to": 1},
        {"edit": "template", "node": "n1", "before": "other", "template": {"text": "1", "slots": []}},
        {"edit": "condition", "node": "n1", "condition": "nobody > 1"},
        {"edit": "order", "after": {"n1": ["n4"]}},
    ],
)
def test_an_edit_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    """Nothing is bent to make it fit."""
    with pytest.raises(UsageError):
        apply_change(SKILL, change)


def test_new_names_are_free() -> None:
    """Nodes and inputs share one space of names."""
    assert fresh_id(SKILL, "n") == "n5"
    assert fresh_name(SKILL, "seed") == "seed_2"
    assert fresh_name(SKILL, "limit") == "limit"
