"""Labelled sets of "new task → right skill" as real skills, and the figures that rankings are judged by.

A set is a folder with ``catalogue.jsonl`` (id, name, description, examples, body, tags) and ``queries.jsonl``
(query, positive_ids; no ids: nothing in the catalogue fits), perhaps with ``usage_examples.jsonl`` (skill_id,
query: earlier tasks of a skill). A folder with ``train.csv`` (text, category) is read as intents: each
category a skill whose earlier tasks are some of its lines, the other lines queries.
"""

from __future__ import annotations

import csv
import json
import math
import random
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillsmith.db import Database
from skillsmith.library.embedding.vocabulary import KnowsWords
from skillsmith.library.matcher import SkillMatcher
from skillsmith.library.matching.wording import spoken
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Embedder, Skill

MAX_NAME = 64
INTENT_EXAMPLES = 5
INTENT_QUERIES = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A task and the names of the skills that are right for it; none: no skill is."""

    text: str
    right: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSet:
    """Skills and the queries they are to be found by."""

    name: str
    skills: tuple[Skill, ...]
    queries: tuple[Query, ...]
    examples_come_apart: bool = False
    """Whether the earlier tasks stand in a file of their own, so that the skills are whole without them."""

    @property
    def source(self) -> str:
        """What it shares with other sets cut from the same source."""
        return re.split(r"[_:]", self.name)[0]


def load_set(folder: Path, *, examples: bool = True) -> LabelledSet:
    """Read one set.

    Args:
        folder: With the files named above.
        examples: Whether skills know earlier tasks of theirs.
    """
    if (folder / "train.csv").exists():
        return _load_intents(folder, INTENT_EXAMPLES if examples else 0)
    rows = list(_lines(folder / "catalogue.jsonl"))
    names = _names(rows)
    used: dict[str, list[str]] = defaultdict(list)
    for row in _lines(folder / "usage_examples.jsonl") if examples else ():
        used[row["skill_id"]].append(row["query"])
    skills = tuple(_skill(row, names[row["id"]], used[row["id"]], examples=examples) for row in rows)
    queries = tuple(
        Query(text=row["query"], right=frozenset(names[right] for right in row["positive_ids"]))
        for row in _lines(folder / "queries.jsonl")
    )
    apart = (folder / "usage_examples.jsonl").exists()
    return LabelledSet(name=folder.name, skills=skills, queries=queries, examples_come_apart=apart)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.strip())


def _names(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Give each catalogue id a skill name that says what its own name says."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for row in rows:
        base = spoken(row.get("name") or row["id"]).encode("ascii", "ignore").decode().replace(" ", "_")
        name, count = base[:MAX_NAME].strip("_") or "skill", 1
        while name in taken:
            count += 1
            name = f"{base[: MAX_NAME - len(str(count)) - 1]}_{count}"
        taken.add(name)
        names[row["id"]] = name
    return names


def _skill(row: Mapping[str, Any], name: str, used: Sequence[str], *, examples: bool) -> Skill:
    description = row.get("description") or ""
    if len(spoken(row.get("name") or "")) > MAX_NAME:
        description = f"{row['name']}. {description}".strip()
    known = dict.fromkeys([*(row.get("examples") or ()), *used]) if examples else ()
    return Skill(
        name=name, description=description, examples=tuple(known), body=row.get("body") or "",
        tags=tuple(row.get("tags") or ()),
    )  # fmt: skip


def _load_intents(folder: Path, known: int) -> LabelledSet:
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        lines = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    random.Random(known).shuffle(lines)
    examples: dict[str, list[str]] = {category: [] for _, category in sorted(lines)}
    queries = list[Query]()
    for text, category in lines:
        if len(examples[category]) < known:
            examples[category].append(text)
        elif len(queries) < INTENT_QUERIES:
            queries.append(Query(text=text, right=frozenset({category.lower().strip("?")})))
    skills = (Skill(name=name.lower().strip("?"), examples=tuple(texts)) for name, texts in examples.items())
    return LabelledSet(
        name=f"{folder.name}:{known}", skills=tuple(skills), queries=tuple(queries), examples_come_apart=True
    )


class Remembering:
    """An embedder that embeds each text once, so that timings and repeated passes have vectors ready."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, bytes] = {}
        self.model, self.dimension = embedder.model, embedder.dimension

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return each text's unit vector."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known |= zip(new, self._embedder.embed(new), strict=True)
        return [self._known[text] for text in texts]

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Tell of each word whether the model knows it."""
        return self._embedder.knows(words) if isinstance(self._embedder, KnowsWords) else [True] * len(words)


class Library:
    """A set's skills in a file of their own, as the product stores them."""

    def __init__(self, path: Path, skills: Iterable[Skill], embedder: Embedder | None) -> None:
        self.db = Database(path)
        self.skills = SkillRepository(self.db)
        self.vectors = VectorIndex(self.db, embedder)
        self.matcher = SkillMatcher(self.db, self.skills, self.vectors)
        with self.db.transaction():
            for skill in skills:
                self.skills.add(skill)
        self.vectors.sync()

    def names(self) -> dict[int, str]:
        """Return the names of the current versions by key."""
        return {self.skills.version_pk(name): name for name in self.skills.names()}

    def passes(self, queries: Sequence[Query]) -> Iterator[tuple[Query, dict[int, str]]]:
        """Yield every query with the names by key of a library that does not know it as an earlier task."""
        names = self.names()
        knowing: dict[str, list[str]] = defaultdict(list)
        for name in names.values():
            for example in self.skills.get(name).examples:
                knowing[example].append(name)
        for query in queries:
            held = knowing.get(query.text, [])
            for name in held:
                self._set_examples(name, leave_out=query.text)
            yield query, self.names() if held else names
            for name in held:
                self._set_examples(name, put_back=query.text)
            if held:
                names = self.names()

    def _set_examples(self, name: str, *, leave_out: str = "", put_back: str = "") -> None:
        skill = self.skills.get(name)
        kept = tuple(example for example in skill.examples if example != leave_out)
        self.skills.add(replace(skill, examples=(*kept, put_back) if put_back else kept))
        self.vectors.sync()


METRICS = ("hit@1", "recall@5", "ndcg@5", "mrr")
BINS = 10
FALSE_ABSTENTIONS = 0.05

Sure = Sequence[tuple[float, bool]]
"""Confidence of the best candidate of each query, and whether it is right."""


def quality(answers: Sequence[tuple[Query, Sequence[str], bool]]) -> dict[str, float | None]:
    """Judge answers: how well right skills are ranked, and how well it is said that there is none.

    Args:
        answers: Query, names ranked best first, and whether the answer was that none fits; queries that have
            a right skill are judged on the ranking whatever that answer was.
    """
    judged = [_rank_quality(query.right, ranked) for query, ranked, _ in answers if query.right]
    means: list[float | None] = [statistics.fmean(column) for column in zip(*judged, strict=True)]
    means = means or [None] * len(METRICS)
    none = {query.text for query, _, _ in answers if not query.right}
    said = [query.text in none for query, _, abstained in answers if abstained]
    return dict(zip(METRICS, means, strict=True)) | {
        "no_match_precision": sum(said) / len(said) if said and none else None,
        "no_match_recall": sum(said) / len(none) if none else None,
        "false_abstentions": said.count(False) / len(judged) if judged else None,
        "answered_rightly": statistics.fmean(
            (not query.right) if abstained else bool(ranked) and ranked[0] in query.right
            for query, ranked, abstained in answers
        ),
    }


def _rank_quality(right: frozenset[str], ranked: Sequence[str]) -> tuple[float, float, float, float]:
    places = [place for place, name in enumerate(ranked) if name in right]
    gain = math.fsum(1 / math.log2(place + 2) for place in places if place < 5)
    ideal = math.fsum(1 / math.log2(place + 2) for place in range(min(5, len(right))))
    return (
        float(bool(places) and places[0] == 0),
        sum(place < 5 for place in places) / len(right),
        gain / ideal,
        1 / (places[0] + 1) if places else 0.0,
    )


def reliability(sure: Sure) -> list[dict[str, float]]:
    """Return for each tenth of confidence how many answers had it, their mean and how many were right."""
    rows = []
    for low in range(BINS):
        inside = [one for one in sure if min(int(one[0] * BINS), BINS - 1) == low]
        if inside:
            confidence, right = (statistics.fmean(column) for column in zip(*inside, strict=True))
            rows.append({
                "from": low / BINS, "count": len(inside), "confidence": round(confidence, 4),
                "right": round(right, 4),
            })  # fmt: skip
    return rows


def calibration_error(table: Sequence[Mapping[str, float]]) -> float:
    """Return how far confidence is from the share that is right, in the mean over answers (ECE)."""
    total = sum(row["count"] for row in table)
    return sum(row["count"] * abs(row["confidence"] - row["right"]) for row in table) / total


def no_match_recall_at(answers: Sequence[tuple[Query, float]], allowed: float) -> float | None:
    """Return how many queries without a skill a threshold finds that costs so few of the others their answer.

    Args:
        answers: Query and confidence of its best candidate.
        allowed: Share of the queries with a skill that may be told that there is none.
    """
    with_skill = sorted(sure for query, sure in answers if query.right)
    without = [sure for query, sure in answers if not query.right]
    if not with_skill or not without:
        return None
    threshold = with_skill[int(allowed * len(with_skill))]
    return sum(sure < threshold for sure in without) / len(without)
