from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
import skill_strategies as any_
from hypothesis import given, settings

from skillsmith.errors import InvalidSkillFileError
from skillsmith.library.program.bindings import (
    UnresolvedError,
    as_text,
    from_json,
    leaves,
    normalise_result,
    reads_item,
    resolve,
    same,
    show,
    show_path,
    sources,
    to_json,
)
from skillsmith.models import (
    Between,
    Binding,
    Constant,
    Each,
    FromInput,
    FromItem,
    FromNode,
    ListOf,
    ObjectOf,
    PathStep,
    Text,
    Where,
)


@settings(max_examples=100)
@given(any_.bindings(("path", "n"), ("n1", "n2")))
def test_every_binding_comes_back_from_json(binding: Binding) -> None:
    """Also when the file sorts its keys."""
    assert from_json(to_json(binding)) == binding
    assert from_json(json.loads(json.dumps(to_json(binding), sort_keys=True))) == binding


@settings(max_examples=100)
@given(any_.bindings(("path", "n"), ("n1", "n2")))
def test_every_binding_can_be_shown_and_searched(binding: Binding) -> None:
    """Words for people, leaves and sources exist for every form; sources are among the declared."""
    assert isinstance(show(binding), str)
    assert {source.name for source in sources(binding) if isinstance(source, FromInput)} <= {"path", "n"}
    assert {source.node for source in sources(binding) if isinstance(source, FromNode)} <= {"n1", "n2"}
    assert not any(isinstance(leaf, (ListOf, ObjectOf)) for _, leaf in leaves(binding))


def test_each_makes_a_list_of_a_list_and_the_nearest_item_counts() -> None:
    """Inside a loop's item, an inner list has items of its own."""
    orders = {"orders": [{"id": 1, "lines": [{"n": 2}, {"n": 3}]}, {"id": 4, "lines": []}]}
    inner = Each(FromItem(("lines",)), FromItem(("n",)))
    made = Each(FromNode("n1", ("orders",)), ObjectOf((("id", FromItem(("id",))), ("ns", inner))))
    assert resolve(made, {}, {"n1": orders}) == [{"id": 1, "ns": [2, 3]}, {"id": 4, "ns": []}]
    assert not reads_item(made)
    assert reads_item(inner)
    with pytest.raises(UnresolvedError, match="it stands in no loop"):
        resolve(FromItem(("id",)), {}, {})
    with pytest.raises(UnresolvedError, match="should be a list"):
        resolve(Each(FromNode("n1"), FromItem()), {}, {"n1": 7})
    with pytest.raises(UnresolvedError, match="the item has nothing at id"):
        resolve(Each(FromInput("all"), FromItem(("id",))), {"all": [{}]}, {})


RESULTS: dict[str, Any] = {
    "n1": {"user": {"id": "u7", "cards": [{"last": 7447, "id": "c1"}, {"last": "1120", "id": "c2"}]}},
    "n2": '{"total": 12.5, "items": [1, 2, 3]}',
    "n3": "Your order is #W123, placed on 2024-05-17.\nThank you",
    "n4": [{"x": 1}],
}
INPUTS = {"card": "7447", "n": 3, "rate": "2.5", "flag": True}


@pytest.mark.parametrize(
    ("binding", "value"),
    [
        (Constant({"a": [1]}), {"a": [1]}),
        (FromInput("n"), 3),
        (FromInput("n", "string"), "3"),
        (FromInput("card", "integer"), 7447),
        (FromInput("rate", "number"), 2.5),
        (FromNode("n1", ("user", "id")), "u7"),
        (FromNode("n1", ("user", "cards", 1, "id")), "c2"),
        (FromNode("n1", ("user", "cards", -1, "id")), "c2"),
        (FromNode("n1", ("user", "cards", Where("last", FromInput("card")), "id")), "c1"),
        (FromNode("n1", ("user", "cards", Where("last", Constant(1120)), "id")), "c2"),
        (FromNode("n2", ("total",)), 12.5),
        (FromNode("n2", ("items", 0), "string"), "1"),
        (FromNode("n3", (Between("order is ", ","),)), "#W123"),
        (FromNode("n3", (Between("", "\n"),)), "Your order is #W123, placed on 2024-05-17."),
        (FromNode("n3", (Between("\n", ""),)), "Thank you"),
        (FromNode("n3", (Between(" ", " ", 1),)), "is"),
        (FromNode("n4"), [{"x": 1}]),
        (Text(("Order ", FromNode("n3", (Between("#", ","),)), " for ", FromInput("n"))), "Order W123 for 3"),
        (ListOf((Constant(1), FromInput("flag"))), [1, True]),
        (ObjectOf((("b", FromInput("n")), ("a", Constant(None)))), {"b": 3, "a": None}),
    ],
)
def test_bindings_find_their_values(binding: Binding, value: Any) -> None:
    """Paths lead through JSON, through text that holds JSON, through selectors and between anchors."""
    assert resolve(binding, INPUTS, RESULTS) == value


@pytest.mark.parametrize(
    ("binding", "problem"),
    [
        (FromInput("absent"), "give --set absent=VALUE"),
        (FromNode("n9"), "node n9 has no result"),
        (FromNode("n1", ("user", "name")), r"nothing at user\.name"),
        (FromNode("n1", ("user", "cards", 5)), r"nothing at user\.cards\[5\]"),
        (FromNode("n1", ("user", "cards", Where("last", Constant(0)))), r"cards\[last=0\]"),
        (FromNode("n3", (Between("price: ", ""),)), "price"),
        (FromNode("n3", ("total",)), "nothing at total"),
        (FromInput("flag", "number"), None),
        (FromInput("card", "integer"), None),
        (FromNode("n3", (), "integer"), "no integer"),
        (FromNode("n2", ("total",), "integer"), "no integer"),
    ],
)
def test_a_binding_that_finds_nothing_says_where(binding: Binding, problem: str | None) -> None:
    """The error names the input, the node or the path; casts that work do not fail."""
    if problem is None:
        assert isinstance(resolve(binding, INPUTS, RESULTS), (int, float))
        return
    with pytest.raises(UnresolvedError, match=problem):
        resolve(binding, INPUTS, RESULTS)


@pytest.mark.parametrize(
    "data",
    [None, 3, "x", [], {}, {"wish": 1}, {"node": "n1"}, {"list": 3}, {"object": []}, {"fields": [1]},
     {"node": "n1", "path": [None]}, {"node": "n1", "path": [{"between": ["a"]}]}, {"text": [5]},
     {"node": "n1", "path": [True]}, {"node": "n1", "path": [{"where": "a"}]}],
)  # fmt: skip
def test_what_is_no_binding_is_refused(data: Any) -> None:
    """Any other JSON is an invalid skill file, never a crash."""
    with pytest.raises(InvalidSkillFileError, match="not a binding"):
        from_json(data)


@given(any_.JSON)
def test_a_result_that_is_json_is_read_as_json(value: Any) -> None:
    """Also integers of any size, which must not be rounded on their way to the next call."""
    assert normalise_result(json.dumps(value)) == value


def test_a_result_that_is_text_stays_text() -> None:
    """Bytes are decoded, half emojis and broken JSON are no error."""
    for text in ("hello", "", "{'a': 1}", "NaN", "[1, 2"):
        assert normalise_result(text) == text
    assert normalise_result(b"\xffab") == "\ufffdab"
    assert normalise_result({"a": 1}) == {"a": 1}


def test_values_are_equal_as_people_see_them() -> None:
    """7 and "7" are the same, 7 and 8 are not; case does not matter."""
    assert same(7, "7")
    assert same("Economy", "economy")
    assert not same(7, 8)


def test_text_of_values_is_compact() -> None:
    """Strings as they are, the rest as JSON."""
    assert as_text("ä") == "ä"
    assert as_text([1, {"a": None}]) == '[1,{"a":null}]'
    assert orjson.loads(as_text({"a": 1})) == {"a": 1}
    assert as_text(10**30) == str(10**30)


def test_paths_are_written_for_people() -> None:
    """Dots, brackets, selectors and anchors."""
    path: tuple[PathStep, ...] = ("flights", 0, Where("id", FromInput("x")), Between("a", "b"), "date")
    assert show_path(path) == "flights[0][id={x}]‹a…b›.date"
    assert show_path(()) == "whole result"
