"""What matching costs in libraries of 1,000, 10,000 and 100,000 skills, beside plain sqlite-vec and chromadb.

usage: python bench/scale.py [--sizes N…] [--rounds N] [--json]

Skills are running text from the documentation of Python, each with a description, two earlier tasks, a body,
two inputs, stored as the product stores them. Their vectors are not the model's, which would take an hour for
100,000: every word has a direction of its own, and a text points where its rarer words do, so that texts of
similar words are near each other as they are with a model. A task is an earlier task of some skill with a
third of its words left out and the others in another order.

warm    milliseconds for a whole match in this process, the task's vector ready
recall  share of the five skills nearest to a task in truth that the search of the product finds
knn     of that, milliseconds for the bare search; "sqlite-vec" is one plain vec0 table of the same vectors,
        "chromadb" its persistent collection ("-": not installed)
cold    seconds for ``skillsmith match`` as a process of its own, the real model included; "text": without it.
        Bytecode is compiled beforehand, as an installer does
build   seconds to store the skills and index their ready vectors; "MB" is the file
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from _matching import Library

from skillsmith.db import Database
from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.library.vectors import extension_path
from skillsmith.models import Json, Skill, Variable

WORDS = " ".join(topics.values()).split()
MODEL = "sentence-transformers/all-MiniLM-L6-v2#int8"
DIMENSION = 384
NEAREST = 5
COLD_ROUNDS = 5
PART = 1000
"""Rows in one transaction or one call."""

Array = np.ndarray


class WordDirections:
    """An embedder without a model: a text points to the sum of its words' directions, rarer words more.

    Args:
        model: The identity that the vectors are stored under.
        dimension: Length of a vector.
    """

    def __init__(self, model: str, dimension: int) -> None:
        self.model, self.dimension = model, dimension
        counts = Counter(WORDS)
        self._places = {word: place for place, word in enumerate(counts)}
        directions = np.random.default_rng(7).standard_normal((len(counts), dimension))
        rarity = np.log(len(WORDS) / np.array(list(counts.values())))
        self._directions = directions * rarity[:, None]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        known = sorted({self._places[word] for word in text.split() if word in self._places}) or [0]
        total = self._directions[known].sum(axis=0)
        return bytes((total / np.linalg.norm(total)).astype("<f4").tobytes())


def main() -> None:
    """Measure every size and print it."""
    parser = argparse.ArgumentParser(description="What matching costs in large libraries.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000], metavar="N")
    parser.add_argument("--rounds", type=int, default=40, help="tasks timed; medians are shown")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    found = {}
    for size in options.sizes:
        found[str(size)] = measure(size, options.rounds)
        if not options.json:
            show(size, found[str(size)])
    if options.json:
        print(json.dumps(found, indent=2))


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


def task(number: int) -> str:
    """Return a task for a skill: one it served, in other words."""
    words = skill(number).examples[0].split()
    draw = random.Random(number)
    return " ".join(draw.sample(words, max(1, len(words) * 2 // 3)))


def measure(size: int, rounds: int) -> dict[str, Json]:
    """Return the figures of one size."""
    embedder = open_embedder()
    identity = (embedder.model, embedder.dimension) if embedder else (MODEL, DIMENSION)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skills.db"
        started = time.perf_counter()
        library = Library(path, map(skill, range(size)), WordDirections(*identity))
        build = time.perf_counter() - started
        tasks = [task(size * number // rounds) for number in range(rounds)]
        vectors = [library.vectors.embed(text) for text in tasks]
        keys, wholes = whole_vectors(library.db)
        found: dict[str, Json] = {
            "warm_ms": milliseconds(lambda number: library.matcher.match(tasks[number]), rounds),
            "knn_ms": milliseconds(
                lambda number: library.vectors.nearest(vectors[number], limit=NEAREST), rounds
            ),
            "recall": recall(library, vectors, keys, wholes),
        }
        library.db.close()
        found |= {"build_s": round(build, 2), "file_mb": round(path.stat().st_size / 1e6, 1)}
        found |= cold(path, tasks[0], Path(folder), with_model=embedder is not None)
        peers = {"sqlite_vec": sqlite_vec, "chromadb": chromadb}
        for name, peer in peers.items():
            took = peer(Path(folder) / name, wholes, vectors)
            found[f"{name}_ms"] = took
            found[f"{name}_ratio"] = None if took is None else round(took / found["knn_ms"], 2)
    return found


def whole_vectors(db: Database) -> tuple[Array, Array]:
    """Return the keys of all skills and their vectors as a whole, a row each."""
    rows = db.all(
        "SELECT w.skill_version, d.vector FROM skill_vectors w JOIN skill_vector_data d ON d.id = w.id"
        " WHERE w.field = 'whole'"
    )
    return np.array([row[0] for row in rows]), np.stack([np.frombuffer(row[1], "<f4") for row in rows])


def recall(library: Library, vectors: Sequence[bytes], keys: Array, wholes: Array) -> float:
    """Return the share of the truly nearest skills that the product's search finds."""
    found = 0
    for vector in vectors:
        cosines = wholes @ np.frombuffer(vector, "<f4")
        truth = set(keys[np.argsort(-cosines)[:NEAREST]].tolist())
        found += len(truth & library.vectors.nearest(vector, limit=NEAREST).keys())
    return round(found / (NEAREST * len(vectors)), 4)


def cold(path: Path, text: str, folder: Path, *, with_model: bool) -> dict[str, Json]:
    """Return the seconds of whole processes, with the model and without one."""
    command = [sys.executable, "-m", "skillsmith", "match", text, "--db", str(path), "--json"]
    compiled = os.environ | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    compiled.pop("PYTHONDONTWRITEBYTECODE", None)
    times: dict[str, Json] = {
        "cold_text_s": seconds(command, compiled | {"SKILLSMITH_MODEL_DIR": str(folder / "no-model")}),
        "cold_s": seconds(command, compiled) if with_model else None,
    }
    return times


def seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """Return the median time of a command that may find no match; the first run compiles the bytecode."""

    def run(_: int) -> None:
        result = subprocess.run(command, env=environment, capture_output=True, check=False)
        if result.returncode not in (0, 4):
            sys.exit(result.stderr.decode())

    return round(milliseconds(run, COLD_ROUNDS) / 1000, 3)


def milliseconds(call: Callable[[int], object], rounds: int) -> float:
    """Return the median time of a call; the first round does not count."""
    taken = []
    for number in range(rounds):
        started = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(taken[1:]), 3)


def sqlite_vec(folder: Path, wholes: Array, vectors: Sequence[bytes]) -> float:
    """Return the milliseconds of a search in one vec0 table of the same vectors."""
    folder.mkdir()
    db = Database(folder / "plain.db")
    db.load_extension(extension_path())
    db.execute(f"CREATE VIRTUAL TABLE plain USING vec0(vector float[{wholes.shape[1]}])")
    for start in range(0, len(wholes), PART):
        rows = enumerate((row.tobytes() for row in wholes[start : start + PART]), start + 1)
        with db.transaction():
            db.executemany("INSERT INTO plain (rowid, vector) VALUES (?, ?)", rows)
    sql = "SELECT rowid, distance FROM plain WHERE vector MATCH ? AND k = ?"
    took = milliseconds(lambda number: db.all(sql, (vectors[number], NEAREST)), len(vectors))
    db.close()
    return took


def chromadb(folder: Path, wholes: Array, vectors: Sequence[bytes]) -> float | None:
    """Return the milliseconds of a search in a chromadb collection of the same vectors; None without it."""
    if importlib.util.find_spec("chromadb") is None:
        return None
    client: Any = importlib.import_module("chromadb").PersistentClient(path=str(folder))
    collection = client.create_collection("skills", metadata={"hnsw:space": "cosine"})
    for start in range(0, len(wholes), PART):
        part = wholes[start : start + PART]
        collection.add(ids=[str(start + place) for place in range(len(part))], embeddings=part.tolist())
    queries = [np.frombuffer(vector, "<f4").tolist() for vector in vectors]
    return milliseconds(
        lambda number: collection.query(query_embeddings=[queries[number]], n_results=NEAREST), len(queries)
    )


def show(size: int, found: dict[str, Json]) -> None:
    """Print the figures of one size."""
    shown = {name: "-" if value is None else value for name, value in found.items()}
    print(
        f"{size:>7} skills: warm {shown['warm_ms']} ms, recall {shown['recall']}, cold {shown['cold_s']} s,"
        f" text {shown['cold_text_s']} s, build {shown['build_s']} s, {shown['file_mb']} MB\n"
        f"{'':16} knn {shown['knn_ms']} ms, sqlite-vec {shown['sqlite_vec_ms']} ms"
        f" ({shown['sqlite_vec_ratio']} x), chromadb {shown['chromadb_ms']} ms ({shown['chromadb_ratio']} x)",
        flush=True,
    )


if __name__ == "__main__":
    main()
