"""Does the embedding path give the right vectors: Banking77 by the published protocol, beside its figure.

usage: python bench/banking.py BANKING77_DIR [--draws N] [--model NAME] [--json]

The protocol is that of MTEB (Banking77Classification): ten times, eight training lines of each intent are
drawn, logistic regression (L2, C = 1) is fitted on their vectors, and the mean accuracy over the test lines
counts. The folder holds ``train.csv`` and, if the published test lines are there, ``test.csv``; without
them as many lines (40 an intent) are held out of the training lines, which the figures then say. "nearest" is
the accuracy of the intent of the nearest line drawn, without any fitting. PUBLISHED is that of
sentence-transformers/all-MiniLM-L6-v2 in 32-bit numbers (results of mteb 1.12.75); the model measured here is
the installed form of it, by default int8.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.models import Embedder, Json

PUBLISHED = 0.8004
DRAWS = 10
LINES_AN_INTENT = 8
HELD_OUT_AN_INTENT = 40
STEPS = 300
"""Of accelerated gradient descent; the loss then changes in the sixth digit."""

Array = np.ndarray
Lines = list[tuple[str, str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Banking77 by the published protocol.")
    parser.add_argument("folder", type=Path, metavar="BANKING77_DIR")
    parser.add_argument("--draws", type=int, default=DRAWS, help="draws of training lines")
    parser.add_argument("--model", help="an embedding model by name")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    embedder = open_embedder(options.model)
    if embedder is None:
        sys.exit("no embedding model is ready; run `skillsmith model install`")
    found = measure(options.folder, embedder, options.draws)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['model']}, {found['test_lines']} test lines ({found['test']}), {options.draws} draws")
    print(
        f"logistic regression {found['accuracy']:.4f} ({found['lowest']:.4f} to {found['highest']:.4f}),"
        f" published {PUBLISHED:.4f}, difference {found['difference']:+.4f}; nearest {found['nearest']:.4f}"
    )


def measure(folder: Path, embedder: Embedder, draws: int) -> dict[str, Json]:
    """Return the figures."""
    train, test = read(folder / "train.csv"), read(folder / "test.csv")
    source = "test.csv" if test else "held out of train.csv"
    if not test:
        train, test = hold_out(train)
    intents = sorted({intent for _, intent in train})
    number = {intent: place for place, intent in enumerate(intents)}
    drawn = [draw(train, random.Random(seed)) for seed in range(draws)]
    vectors = embedded(embedder, [text for lines in (test, *drawn) for text, _ in lines])
    known = matrix(vectors, test)
    right = np.array([number[intent] for _, intent in test])
    fitted, nearest = [], []
    for lines in drawn:
        rows, labels = matrix(vectors, lines), np.array([number[intent] for _, intent in lines])
        fitted.append(float(((known @ regression(rows, labels, len(intents))).argmax(1) == right).mean()))
        nearest.append(float((labels[(known[:, :-1] @ rows[:, :-1].T).argmax(1)] == right).mean()))
    accuracy = statistics.fmean(fitted)
    return {
        "model": embedder.model, "test": source, "test_lines": len(test), "accuracy": round(accuracy, 4),
        "lowest": round(min(fitted), 4), "highest": round(max(fitted), 4), "published": PUBLISHED,
        "difference": round(accuracy - PUBLISHED, 4), "nearest": round(statistics.fmean(nearest), 4),
    }  # fmt: skip


def read(path: Path) -> Lines:
    """Return text and intent of each line; none when the file is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def by_intent(lines: Lines) -> dict[str, Lines]:
    """Return the lines of each intent."""
    groups: dict[str, Lines] = defaultdict(list)
    for line in lines:
        groups[line[1]].append(line)
    return dict(sorted(groups.items()))


def hold_out(lines: Lines) -> tuple[Lines, Lines]:
    """Return training lines and test lines; at most half of an intent's lines become test lines."""
    shuffled = random.Random(0).sample(lines, len(lines))
    train, test = Lines(), Lines()
    for group in by_intent(shuffled).values():
        held = min(HELD_OUT_AN_INTENT, len(group) // 2)
        test += group[:held]
        train += group[held:]
    return train, test


def draw(lines: Lines, chance: random.Random) -> Lines:
    """Return eight lines of each intent."""
    groups = by_intent(lines).values()
    return [line for group in groups for line in chance.sample(group, min(LINES_AN_INTENT, len(group)))]


def embedded(embedder: Embedder, texts: Sequence[str]) -> dict[str, Array]:
    """Return the vector of each text."""
    distinct = list(dict.fromkeys(texts))
    vectors = (np.frombuffer(vector, dtype="<f4") for vector in embedder.embed(distinct))
    return dict(zip(distinct, vectors, strict=True))


def matrix(vectors: Mapping[str, Array], lines: Lines) -> Array:
    """Return a row for each line: its vector and a one."""
    rows = np.stack([vectors[text] for text, _ in lines]).astype(float)
    return np.column_stack([rows, np.ones(len(rows))])


def regression(rows: Array, labels: Array, classes: int) -> Array:
    """Fit multinomial logistic regression with penalty 1/2 of the squared weights, the last row free.

    Nesterov's accelerated gradient descent: the function is convex, and the step is one over the largest
    bend it can have.
    """
    wanted = np.eye(classes)[labels]
    penalty = np.ones((rows.shape[1], 1))
    penalty[-1] = 0.0
    step = 1 / (0.5 * np.linalg.eigvalsh(rows.T @ rows)[-1] + 1)
    weights = ahead = np.zeros((rows.shape[1], classes))
    for turn in range(STEPS):
        odds = rows @ ahead
        chances = np.exp(odds - odds.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        new = ahead - step * (rows.T @ (chances - wanted) + penalty * ahead)
        ahead = new + turn / (turn + 3) * (new - weights)
        weights = new
    return weights


if __name__ == "__main__":
    main()
