"""Find the skill that fits a task among all that a hub's pointers stand at.

PostgreSQL proposes candidates, by vectors and by words; they are taken into a library in memory and scored by
the same matcher as local skills, with the hub's own word counts and ledgers, so that a confidence means the
same in both. Nothing of it is stored.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from skillsmith.db import Database
from skillsmith.errors import InvalidSkillFileError, UsageError
from skillsmith.hub import local_rows
from skillsmith.hub.client import Hub
from skillsmith.hub.vector_rows import index_name, quoted, vector_text
from skillsmith.ids import digest_of
from skillsmith.library.embedding.vocabulary import KnowsWords
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.matcher import SkillMatcher
from skillsmith.library.matching.candidates import MAX_TERMS, SMALL_LIBRARY, Question, TextIndex
from skillsmith.library.matching.ranking import BEST_IN_WORDS, NEIGHBOURS, Ranker
from skillsmith.library.matching.threshold import learned_threshold
from skillsmith.library.matching.wording import MAX_CHARACTERS, telling_words
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.file import read_skill_bytes
from skillsmith.library.sharing.skill_md_reader import carries_code
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Embedder, MatchResult, SkillState
from skillsmith.workspace import Workspace

MOST_HITS: Final = 5_000
"""The commonest words of a task are left out of the search once the rarer ones are held by so many skills."""
EF_SEARCH: Final = 100

_COUNTS = """
SELECT w, (SELECT count(*) FROM versions WHERE current AND words @@ plainto_tsquery('english', w))
FROM unnest(%s::text[]) w WHERE numnode(plainto_tsquery('english', w)) > 0
"""
_BY_WORDS = """
SELECT name, digest FROM versions, (
  SELECT string_agg(plainto_tsquery('english', w)::text, ' | ')::tsquery AS query FROM unnest(%s::text[]) w) q
WHERE current AND words @@ q.query AND tags @> %s ORDER BY ts_rank(words, q.query) DESC, name LIMIT %s
"""
_BY_VECTOR = """
SELECT v.name, v.digest FROM vectors v {tagged} WHERE v.current AND v.model = {model}
ORDER BY v.{column} <=> {vector} LIMIT {limit}
"""
_TAGGED = "JOIN versions t ON t.name = v.name AND t.digest = v.digest AND t.tags @> %s"
_CANDIDATES = """
SELECT v.name, v.digest, v.number, m.name, v.document,
  (SELECT count(*) FROM executions x WHERE x.name = v.name AND x.digest = v.digest AND x.success),
  (SELECT count(*) FROM executions x WHERE x.name = v.name AND x.digest = v.digest AND NOT x.success),
  ARRAY(SELECT e.task FROM examples e WHERE e.name = v.name AND e.digest = v.digest
        ORDER BY e.seq DESC LIMIT 50)
FROM versions v JOIN machines m ON m.id = v.machine
JOIN unnest(%s::text[], %s::text[]) c (name, digest) ON c.name = v.name AND c.digest = v.digest
"""
_TEXT_VECTORS = "SELECT text_digest, embedding FROM text_vectors WHERE model = %s AND text_digest = ANY(%s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a matched version is.

    Args:
        here: ``NAME@VERSION`` in this file; None: it has to be pulled.
        there: Its number on the machine it came from.
        machine: That machine.
    """

    here: str | None
    there: int
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubMatch:
    """The answer of the matcher, and where each match is, by name."""

    result: MatchResult
    places: Mapping[str, Place]


def match(
    workspace: Workspace,
    hub: Hub,
    task: str,
    *,
    top_k: int = 5,
    min_confidence: float | None = None,
    tags: Sequence[str] = (),
) -> HubMatch:
    """Return the skills of a hub that fit a task, best first, or that none does and why.

    Args:
        workspace: The file: its model embeds the task, and it knows what is here already.
        hub: Where to look.
        task: What is to be done, in words.
        top_k: At most so many.
        min_confidence: The least confidence of a match; None: that of this file's own matches.
        tags: Only skills with all of these.

    Raises:
        UsageError: The task is empty, or a number is out of its range.
    """
    if not task.strip():
        raise UsageError("the task is empty", hint="say in words what is to be done")
    least = learned_threshold(workspace.db).value if min_confidence is None else min_confidence
    temporary = _Temporary(workspace, hub)
    try:
        with hub.snapshot():
            skills = int(hub.scalar("SELECT count(*) FROM versions WHERE current"))
            counts = dict(hub.all(_COUNTS, (telling_words(task[:MAX_CHARACTERS]),)))
            by_vector = _by_vector(temporary.vectors, workspace.embedder, hub, task, tags)
            temporary.fill(hub, {*_by_words(hub, counts, tags), *by_vector})
            matcher = _Matcher(temporary, counts=counts, skills=skills)
            result = matcher.match(task, top_k=top_k, min_confidence=least, tags=tags)
    finally:
        temporary.db.close()
    return HubMatch(result=result, places=temporary.places)


def _by_words(hub: Hub, counts: Mapping[str, int], tags: Sequence[str]) -> list[tuple[str, str]]:
    searched = _rarest(counts, most=MOST_HITS)
    if not searched:
        return []
    return [(row[0], row[1]) for row in hub.all(_BY_WORDS, (searched, list(tags), BEST_IN_WORDS))]


def _rarest(counts: Mapping[str, int], *, most: int) -> list[str]:
    """Return the words that some skill holds, rarest first, as long as there are not too many hits."""
    known = sorted((number, word) for word, number in counts.items() if number)
    searched, hits = list[str](), 0
    for number, word in known[:MAX_TERMS]:
        hits += number
        if searched and hits > most:
            break
        searched.append(word)
    return searched


def _by_vector(
    vectors: VectorIndex, embedder: Embedder | None, hub: Hub, task: str, tags: Sequence[str]
) -> list[tuple[str, str]]:
    if embedder is None or vectors.notice:
        return []
    dimension = int(embedder.dimension)
    text = vector_text(memoryview(vectors.embed(task)).cast("f").tolist())
    kind = "vector"
    column = "embedding"
    if hub.scalar("SELECT to_regclass(%s)", (index_name(embedder.model),)) is not None:
        kind = f"halfvec({dimension})"
        column = f"embedding::{kind}"
        hub.execute(f"SET LOCAL hnsw.ef_search = {EF_SEARCH}")
        hub.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
    sql = _BY_VECTOR.format(
        tagged=_TAGGED if tags else "", model=quoted(embedder.model).replace("%", "%%" if tags else "%"),
        column=column, vector=f"'{text}'::{kind}", limit=NEIGHBOURS,
    )  # fmt: skip
    return [(row[0], row[1]) for row in hub.all(sql, (list(tags),) if tags else ())]


class _Temporary:
    """A library in memory that holds the candidates, and what the hub knows of them."""

    def __init__(self, workspace: Workspace, hub: Hub) -> None:
        self.db = Database(":memory:")
        self.skills = SkillRepository(self.db)
        self.places: dict[str, Place] = {}
        self.tried: dict[int, tuple[int, int]] = {}
        self._local = workspace.db
        embedder = workspace.embedder
        self.vectors = VectorIndex(self.db, None if embedder is None else _Known(embedder, hub))

    def fill(self, hub: Hub, versions: Collection[tuple[str, str]]) -> None:
        """Take in versions of the hub, by name and digest."""
        names, digests = [name for name, _ in versions], [digest for _, digest in versions]
        with self.db.transaction():
            for row in hub.all(_CANDIDATES, (names, digests)):
                self._add(row)
        self.vectors.sync()

    def _add(self, row: tuple[Any, ...]) -> None:
        name, digest, number, machine, text, succeeded, failed, tasks = row
        try:
            skill, document = read_skill_bytes(text.encode())
        except InvalidSkillFileError:  # a pull says what is wrong with it; it can be no match
            return
        known = local_rows.present(self._local, name).get((name, digest))
        state: SkillState = "quarantined" if carries_code(skill) else "draft"
        stored = self.skills.add_imported(
            skill, document, version=known[0] if known else number, make_current=True,
            state=known[1] if known else state,
        )  # fmt: skip
        for task in reversed(tasks):
            self.skills.add_example(stored.id, orjson.loads(task))
        self.tried[self.skills.version_pk(stored.id)] = (succeeded, failed)
        self.places[name] = Place(here=f"{name}@{known[0]}" if known else None, there=number, machine=machine)


class _Known:
    """Takes the vectors of texts from the hub, and only what that lacks from the model."""

    def __init__(self, embedder: Embedder, hub: Hub) -> None:
        self._embedder = embedder
        self._hub = hub
        self.model = embedder.model
        self.dimension = embedder.dimension

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return the vectors of texts."""
        digests = [digest_of(text.encode("utf-8", "replace")) for text in texts]
        known = {
            digest: bytes(vector) for digest, vector in self._hub.all(_TEXT_VECTORS, (self.model, digests))
        }
        missing = [text for text, digest in zip(texts, digests, strict=True) if digest not in known]
        made = iter(self._embedder.embed(missing) if missing else ())
        return [known[digest] if digest in known else next(made) for digest in digests]

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Tell of each word whether the model knows it."""
        return self._embedder.knows(words) if isinstance(self._embedder, KnowsWords) else [True] * len(words)


class _Matcher(SkillMatcher):
    """The local matcher over candidates of a hub."""

    def __init__(self, temporary: _Temporary, *, counts: Mapping[str, int], skills: int) -> None:
        super().__init__(temporary.db, temporary.skills, temporary.vectors)
        self._ranker = _Ranker(temporary, counts=counts, skills=skills)


class _Ranker(Ranker):
    """Ranks with the hub's word counts and ledgers."""

    def __init__(self, temporary: _Temporary, *, counts: Mapping[str, int], skills: int) -> None:
        super().__init__(temporary.db, temporary.skills, temporary.vectors)
        self._text = _Text(temporary.db, counts=counts, skills=skills)
        self._ledger = _Ledger(temporary.db, temporary.tried)


class _Text(TextIndex):
    """Full text of the candidates, in which words tell as much as in the whole hub."""

    def __init__(self, db: Database, *, counts: Mapping[str, int], skills: int) -> None:
        super().__init__(db)
        self._counts = counts
        self._skills = skills

    def question(self, task: str) -> Question:
        """Weigh the words of a task by how many skills of the hub hold them."""
        words = telling_words(task[:MAX_CHARACTERS])
        held = self._held_by(words)
        size = max(self._skills, SMALL_LIBRARY)
        nats = {word: _nats(size, self._counts.get(word, 0)) for word in held}
        rarest = sorted((-nats[word], word) for word, number in held.items() if number)
        return Question(
            words=tuple(words), nats=nats, searched=tuple(word for _, word in rarest[:MAX_TERMS]),
            skills=self._skills,
        )  # fmt: skip

    def _ranked(self, question: Question, limit: int, among: Sequence[int] | None) -> dict[int, float]:
        """Count words: BM25 knows no rare words among a handful of skills."""
        del limit, among  # its caller sees to both
        return dict(self._counted(question))


def _nats(size: int, holders: int) -> float:
    held = min(holders, size)
    return math.log(1 + (size - held + 0.5) / (held + 0.5))


class _Ledger(ExecutionLedger):
    """What the hub counted."""

    def __init__(self, db: Database, tried: Mapping[int, tuple[int, int]]) -> None:
        super().__init__(db)
        self._tried = tried

    def evidence(self, version_pks: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return how often each version succeeded and failed, by its primary key."""
        return {pk: self._tried.get(pk, (0, 0)) for pk in version_pks}
