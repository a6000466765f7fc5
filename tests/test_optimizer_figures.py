"""Figures of paired trials against independent computations, and the rules that weigh them."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.optimizing.figures import ratio_gain, sign_chance, student, sum_gain
from skillsmith.library.optimizing.rules import Claim, decide, differences
from skillsmith.library.optimizing.trial import Side, Trial
from skillsmith.library.proposing.facts import Fact
from skillsmith.models import Execution

T_TABLE = {1: 12.706, 3: 3.182, 5: 2.571, 9: 2.262, 11: 2.201, 19: 2.093, 30: 2.042, 100: 1.984}
"""Two-sided 95 % quantiles, from printed tables."""

positive = st.floats(0.01, 100.0)


@pytest.mark.parametrize(("freedom", "quantile"), T_TABLE.items())
def test_students_quantile_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    """Three digits are right."""
    assert student(freedom) == pytest.approx(quantile, abs=0.004)


@settings(max_examples=40)
@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=20))
def test_the_gain_is_that_of_the_geometric_mean_and_lies_in_its_interval(
    pairs: list[tuple[float, float]],
) -> None:
    """Computed here a second way."""
    found = ratio_gain(pairs)
    assert found is not None
    ratio = math.prod(child for _, child in pairs) / math.prod(parent for parent, _ in pairs)
    assert found.gain == pytest.approx(1 - ratio ** (1 / len(pairs)), abs=1e-6)
    assert found.low <= found.gain + 1e-9
    assert found.gain <= found.high + 1e-9
    assert found.parent == pytest.approx(statistics.mean(parent for parent, _ in pairs))


def test_a_steady_halving_is_sure_and_noise_is_not() -> None:
    """The interval of equal ratios is a point; that of mere noise holds zero."""
    sure = ratio_gain([(2.0, 1.0)] * 6)
    assert sure is not None
    assert (sure.low, sure.gain, sure.high) == pytest.approx((0.5, 0.5, 0.5))
    noise = ratio_gain([(1.0, 1.3), (1.3, 1.0), (1.0, 1.1), (1.1, 1.0)])
    assert noise is not None
    assert noise.low < 0 < noise.high
    assert ratio_gain([(1.0, 1.0)]) is None
    assert ratio_gain([(0.0, 1.0), (1.0, 1.0)]) is None


@settings(max_examples=30)
@given(st.lists(st.tuples(positive, st.floats(0.0, 100.0)), min_size=2, max_size=12))
def test_sums_are_compared_with_an_interval_that_holds_the_gain(pairs: list[tuple[float, float]]) -> None:
    """A bootstrap over the pairs, the same each time."""
    found = sum_gain(pairs)
    assert found is not None
    assert found.low - 0.35 * abs(found.low) - 1e-9 <= found.gain or found.low <= found.gain
    assert found == sum_gain(pairs)
    assert sum_gain([(0.0, 0.0), (0.0, 1.0)]) is None


def test_wins_are_weighed_by_the_sign_test() -> None:
    """Five of five are sure enough, four of four are not."""
    assert sign_chance(5, 0) == pytest.approx(1 / 32)
    assert sign_chance(4, 0) == pytest.approx(1 / 16)
    assert sign_chance(0, 0) == 1.0


# --------------------------------------------------------------------------------------------------- rules


def trial(number: int, parent: Side, child: Side) -> Trial:
    """Return a trial of the input with this number."""
    execution = Execution(
        id=f"e{number}", skill="x", version=1, run_id=None, task="", started_at=0.0, completed_at=1.0,
        duration_seconds=1.0, success=True, error=None, inputs={}, outputs={}, adaptations=(), cost_usd=0.0,
    )  # fmt: skip
    return Trial(fact=Fact(execution=execution, nodes={}), parent=parent, child=child)


def side(seconds: float = 1.0, cost: float | None = 0.0, *, success: bool = True, inputs: int = 2) -> Side:
    """Return what one version did."""
    return Side(success=success, seconds=seconds, cost_usd=cost, inputs_given=inputs)


def decision(parent: Side, child: Side, *, count: int = 6, claim: Claim | None = None) -> str:
    """Return the decision on so many equal pairs."""
    trials = [trial(number, parent, child) for number in range(count)]
    return decide(trials, (), claim or Claim())[0]


@pytest.mark.parametrize(
    ("parent", "child", "expected"),
    [
        (side(2.0), side(1.0), "accepted"),
        (side(2.0), side(1.9), "rejected"),
        (side(2.0), side(2.2), "rejected"),
        (side(1.0, 0.1), side(1.0, 0.05), "accepted"),
        (side(2.0, 0.1), side(1.0, 0.2), "rejected"),
        (side(1.0, 0.1), side(2.0, 0.01), "rejected"),
        (side(1.0, None), side(0.5, None), "accepted"),
        (side(1.0, success=False), side(1.0), "accepted"),
    ],
    ids=[
        "faster", "hardly faster", "slower", "cheaper", "faster but dearer", "cheaper but slower",
        "faster at an unknown cost", "succeeds where it failed",
    ],
)  # fmt: skip
def test_only_a_sure_gain_without_a_loss_is_accepted(parent: Side, child: Side, expected: str) -> None:
    """Time and cost are both looked at."""
    assert decision(parent, child) == expected


def test_what_the_record_cannot_say_is_left_open() -> None:
    """Too few inputs; tools that may not be called at once."""
    assert decision(side(2.0), side(1.0), count=4) == "undecided"
    replayed = Side(success=True, seconds=1.0, cost_usd=0.0, replayed=2)
    assert decision(side(), replayed, claim=Claim(unrecorded="what another try gives")) == "undecided"


def test_an_input_less_is_a_gain_for_a_default_alone() -> None:
    """Any other change must save time or cost."""
    assert decision(side(), side(inputs=1), claim=Claim(inputs=True)) == "accepted"
    assert decision(side(), side(inputs=1)) == "rejected"
    assert decision(side(), side(1.5, inputs=1), claim=Claim(inputs=True)) == "rejected"


def full(**more: object) -> Side:
    """Return a side with results."""
    base = {
        "success": True, "seconds": 1.0, "cost_usd": 0.0, "outputs": {"a": 1}, "files": {"f": "d"},
        "changes": (("send", {"to": "x"}),),
    }  # fmt: skip
    return Side(**{**base, **more})  # type: ignore[arg-type]  # fields of Side, by name


@pytest.mark.parametrize(
    ("child", "keys"),
    [
        (full(), []),
        (full(outputs={"a": 1, "b": 2}, files={"f": "d", "g": "e"}), []),
        (full(outputs={"a": 1.0}), ["output a"]),
        (full(outputs={}), ["output a"]),
        (full(files={"f": "other"}), ["file f"]),
        (full(files={}), ["file f"]),
        (full(changes=()), ["changes"]),
        (full(changes=(("send", {"to": "y"}),)), ["changes"]),
        (full(success=False), ["success"]),
    ],
)
def test_every_loss_is_named(child: Side, keys: list[str]) -> None:
    """More is no loss; another value, file, effect or a failure is."""
    assert [key for key, _ in differences(full(), child, unstable=frozenset())] == keys


def test_what_the_parent_itself_does_not_give_twice_is_not_held_against_its_child() -> None:
    """Times of day and random figures differ by themselves."""
    assert not list(differences(full(), full(outputs={"a": 2}), unstable=frozenset({"output a"})))
