"""Tests that values made quickly are like any other frozen ones."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.models import CodeUse, Event, ToolUse
from skillsmith.models.quick import maker, quick

PLAIN = st.none() | st.integers() | st.text(max_size=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """A value as dataclasses make it."""

    first: Any
    second: Any = 2


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """The same value, made quickly."""

    first: Any
    second: Any = 2


@given(PLAIN, PLAIN)
def test_a_quick_value_is_like_a_slow_one(first: Any, second: Any) -> None:
    """Fields, defaults, equality, hash, copies and pickles are the same."""
    value, twin = Quick(first=first, second=second), Slow(first=first, second=second)
    assert (value.first, value.second, Quick(first=1).second) == (twin.first, twin.second, 2)
    assert type(value) is Quick
    assert hash(value) == hash(twin)
    assert value == copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value))
    assert replace(value, second=3) == Quick(first=first, second=3)
    assert repr(value).replace("Quick", "Slow") == repr(twin)
    assert maker(Quick)(first, second) == value


def test_a_quick_value_cannot_be_changed() -> None:
    """It is frozen as soon as anyone else can see it."""
    event = Event(kind="message")
    with pytest.raises(FrozenInstanceError):
        event.seq = 2  # type: ignore[misc]  # that is the point
    with pytest.raises((AttributeError, TypeError)):
        event.other = 2  # type: ignore[attr-defined]  # that is the point


def test_wrong_arguments_are_told_as_ever() -> None:
    """A missing or unknown field is a TypeError that names it."""
    with pytest.raises(TypeError, match="'kind'"):
        Event()  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError, match="'colour'"):
        Event(kind="message", colour="red")  # type: ignore[call-arg]  # that is the point


@pytest.mark.parametrize("cls", [Event, ToolUse, CodeUse])
def test_a_maker_takes_all_fields_in_order(cls: Any) -> None:
    """What is given in order is what is given by name."""
    values = {one.name: number for number, one in enumerate(fields(cls))}
    assert maker(cls)(*values.values()) == cls(**values)
