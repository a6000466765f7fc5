"""The judges of matching: reliability, calibration error and the protocol of Banking77."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import banking  # noqa: E402  (found beside the benchmarks)
from _matching import Query, calibration_error, no_match_recall_at, quality, reliability  # noqa: E402  (as above)
from word_embedder import WordEmbedder  # noqa: E402  (as above)

WITH = Query(text="cancel it", right=frozenset({"cancel"}))
WITHOUT = Query(text="sing", right=frozenset())


def test_confidence_that_comes_true_has_no_error() -> None:
    """Eight of ten right at 0.8 is perfect; all right at 0.8 is two tenths off."""
    true = [(0.8, True)] * 8 + [(0.8, False)] * 2
    assert calibration_error(reliability(true)) == pytest.approx(0)
    assert calibration_error(reliability([(0.8, True)] * 10)) == pytest.approx(0.2)
    assert [row["from"] for row in reliability([(0.0, False), (1.0, True)])] == [0.0, 0.9]


def test_no_match_recall_counts_what_a_threshold_costs() -> None:
    """The threshold is the highest that loses no more of the tasks with a skill than is allowed."""
    answers = [(WITH, sure / 100) for sure in range(100)]
    answers += [(WITHOUT, 0.02), (WITHOUT, 0.5)]
    assert no_match_recall_at(answers, 0.05) == 0.5
    assert no_match_recall_at(answers[:100], 0.05) is None


def test_answering_none_is_judged_both_ways() -> None:
    """A lost answer counts as a false abstention, a rightly missing one as found."""
    figures = quality([(WITH, ["cancel"], True), (WITH, ["cancel"], False), (WITHOUT, ["cancel"], True)])
    assert figures["false_abstentions"] == 0.5
    assert figures["no_match_recall"] == 1
    assert figures["no_match_precision"] == 0.5


def test_the_banking_protocol_tells_intents_apart(tmp_path: Path) -> None:
    """Intents of different words are recognised, by the test file when it is there."""
    intents = {"card_arrival": "where is my new card", "top_up": "add money to the account"}
    lines = [f"{text} {number},{name}" for name, text in intents.items() for number in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(["text,category", *lines]))
    found = banking.measure(tmp_path, WordEmbedder(), 2)
    assert (found["accuracy"], found["nearest"], found["test_lines"]) == (1, 1, 20)
    assert "held out" in found["test"]
    (tmp_path / "test.csv").write_text("text,category\nnew card please,card_arrival\n")
    assert banking.measure(tmp_path, WordEmbedder(), 2)["test_lines"] == 1


def test_the_regression_is_at_its_least() -> None:
    """The slope of the penalised loss vanishes where the fit ends."""
    draw = np.random.default_rng(1)
    rows = np.column_stack([draw.standard_normal((30, 4)), np.ones(30)])
    labels = np.arange(30) % 3
    weights = banking.regression(rows, labels, 3)
    chances = np.exp(rows @ weights)
    chances /= chances.sum(1, keepdims=True)
    slope = rows.T @ (chances - np.eye(3)[labels])
    slope[:-1] += weights[:-1]
    assert np.abs(slope).max() < 1e-3
