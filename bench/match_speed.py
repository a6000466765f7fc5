"""How long a match takes in libraries of several sizes: vector ready in this process, and as a whole command.

usage: python bench/match_speed.py [--sizes 1000 10000] [--rounds N] [--json]

Skills are made of running text from Python's own documentation, with two earlier tasks, a body and two inputs
each; the tasks timed are such earlier tasks. Vectors are random directions under the model's name, since only
their number matters here. "matcher" is milliseconds in this process, the task's vector ready; "text" and
"limit" are the bare full-text and vec0 searches inside. "cold" is `skillsmith match` as a process of its own,
the real model included; "cold, words alone" is without a model.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from pydoc_data.topics import topics

from _matching import Library, Remembering

from skillsmith.library.candidates import TextIndex
from skillsmith.library.embedding import open_embedder
from skillsmith.models import Skill, Variable

WORDS = " ".join(topics.values()).split()
MODEL = "sentence-transformers/all-MiniLM-L6-v2#int8"
DIMENSION = 384


class RandomDirections:
    """An embedder without a model: each text gets a direction of its own."""

    def __init__(self, model: str, dimension: int) -> None:
        self.model, self.dimension = model, dimension

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text."""
        return [self._direction(text) for text in texts]

    def _direction(self, text: str) -> bytes:
        draw = random.Random(text)
        numbers = [draw.gauss(0, 1) for _ in range(self.dimension)]
        length = math.hypot(*numbers)
        return struct.pack(f"<{self.dimension}f", *(number / length for number in numbers))


def main() -> None:
    """Time every size and print it."""
    parser = argparse.ArgumentParser(description="Time matching.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=40, help="tasks timed; medians are shown")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    found = {str(size): measure(size, options.rounds) for size in options.sizes}
    if options.json:
        print(json.dumps({"milliseconds": found}, indent=2))
        return
    for size, times in found.items():
        print(f"{size:>7} skills ", "  ".join(f"{name} {value:.2f} ms" for name, value in times.items()))


def passage(draw: random.Random, words: int) -> str:
    """Return running text."""
    start = draw.randrange(len(WORDS) - words)
    return " ".join(WORDS[start : start + words])


def skill(number: int) -> Skill:
    """Return a skill of a usual size."""
    draw = random.Random(number)
    return Skill(
        name=f"skill_{number}", description=passage(draw, 20), body=passage(draw, 80),
        examples=(passage(draw, 14), passage(draw, 14)),
        variables=(
            Variable(name="path", type="path", default="table.csv", required=True),
            Variable(name="limit", type="integer", default=number),
        ),
    )  # fmt: skip


def measure(size: int, rounds: int) -> dict[str, float]:
    """Return medians in milliseconds for a library of one size."""
    embedder = open_embedder()
    identity = (embedder.model, embedder.dimension) if embedder else (MODEL, DIMENSION)
    tasks = [skill(size * number // rounds).examples[0] for number in range(rounds)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skills.db"
        ready = Remembering(RandomDirections(*identity))
        library = Library(path, [skill(number) for number in range(size)], ready)
        index, vectors = TextIndex(library.db), [library.vectors.embed(task) for task in tasks]
        times = {
            "text": milliseconds(
                lambda number: index.search(index.question(tasks[number]), limit=50), rounds
            ),
            "limit": milliseconds(lambda number: library.vectors.nearest(vectors[number], limit=5), rounds),
            "matcher": milliseconds(lambda number: library.matcher.match(tasks[number]), rounds),
        }
        library.db.close()
        command = [sys.executable, "-m", "skillsmith", "match", tasks[0], "--db", str(path), "--json"]
        environments = {"cold, words alone": os.environ | {"SKILLSMITH_MODEL_DIR": folder}}
        if embedder is not None:
            environments["cold"] = dict(os.environ)
        for name, environment in environments.items():
            times[name] = milliseconds(lambda _: run(command, environment), 7)  # noqa: B023  (called at once)
    return times


def run(command: Sequence[str], environment: dict[str, str]) -> None:
    """Run a command that may find no match."""
    result = subprocess.run(command, env=environment, capture_output=True, check=False)
    if result.returncode not in (0, 4):
        sys.exit(result.stderr.decode())


def milliseconds(call: Callable[[int], object], rounds: int) -> float:
    """Return the median time of a call; the first round does not count."""
    taken = []
    for number in range(rounds):
        started = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
