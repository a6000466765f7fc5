"""Full text of the skills, read for matching: which hold the task's words, and what they are.

How much a word tells is measured in nats from how many skills hold it, and a skill's share is its BM25 score
over what the whole task tells. In a library of a handful of skills BM25 knows no rare words, so there the
words that a skill holds are counted themselves, each as telling as it would be in a library of fifty.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from skillsmith.db import Database, Row
from skillsmith.events import dump_json, load_json
from skillsmith.library.matching.wording import MAX_CHARACTERS, telling_words
from skillsmith.models import SkillState

SMALL_LIBRARY = 50
MAX_TERMS = 256
MAX_HITS = 500
HITS_A_WORD = 60
HITS_A_SKILL = 0.1
"""The commonest words of a task are left out of the search, so that it reads no more postings than the most
of these: so many in any case, for each word of the task, and for each skill of the library."""
MAX_LEARNT = 100_000
"""Words whose stems are remembered."""
ENOUGH_NATS = 30.0
"""A task of more words is not told apart better; its share is measured against so many nats."""

_COLUMN_WEIGHTS = "1.0, 1.0, 1.0, 1.0, 1.0, 0.3"  # the body is long and says little about the purpose
_BODY_WEIGHT = 0.3
_TEMPORARY = {
    "task_words": "fts5(word, content = '', tokenize = 'porter unicode61')",
    "task_terms": "fts5vocab(temp, task_words, instance)",
    "skill_terms": "fts5vocab(main, skills_fts, row)",
    "skill_places": "fts5vocab(main, skills_fts, instance)",
}
_HOLDERS = """
SELECT i.term, i.doc, max(i.col <> 'body') AS above
FROM json_each(?) t JOIN temp.skill_places i ON i.term = t.value GROUP BY 1, 2
"""
_CARDS = """
SELECT v.pk, s.name, v.version, v.state, v.description, v.tags, v.task_pattern, v.examples,
  v.variables <> '[]' AS has_variables
FROM skill_versions v JOIN skills s ON s.pk = v.skill AND s.current_version = v.version
WHERE v.pk IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A task as full text sees it.

    Args:
        words: Its telling words in order.
        nats: What each word tells, by word; words with one stem count once.
        searched: The words worth searching for, rarest first.
        skills: How many skills the library has.
    """

    words: tuple[str, ...]
    nats: Mapping[str, float]
    searched: tuple[str, ...]
    skills: int

    @property
    def total(self) -> float:
        """What the task tells in all, in nats."""
        return sum(self.nats.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What matching looks at in the current version of a skill.

    ``has_variables`` tells whether anything can be bound.
    """

    pk: int
    name: str
    version: int
    state: SkillState
    description: str
    tags: tuple[str, ...]
    task_pattern: str
    examples: tuple[str, ...]
    has_variables: bool


class TextIndex:
    """Searches the skills' full text for tasks.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._terms: dict[str, str] = {}

    def question(self, task: str) -> Question:
        """Weigh the words of a task by how many skills hold them."""
        words = telling_words(task[:MAX_CHARACTERS])
        skills = int(self._db.scalar("SELECT count(*) FROM skills"))
        held = self._held_by(words)
        size = max(skills, SMALL_LIBRARY)
        nats = {word: _nats(size, min(number, size)) for word, number in held.items()}
        known = sorted((number, word) for word, number in held.items() if number)
        searched, hits = list[str](), 0
        most = max(MAX_HITS, HITS_A_WORD * len(known), HITS_A_SKILL * skills)
        for number, word in known[:MAX_TERMS]:
            hits += number
            if searched and hits > most:
                break
            searched.append(word)
        return Question(words=tuple(words), nats=nats, searched=tuple(searched), skills=skills)

    def _held_by(self, words: Sequence[str]) -> dict[str, int]:
        """Return how many skills hold each word; of words with one stem only the first is in it."""
        if not words:
            return {}
        if len(self._terms) > MAX_LEARNT:
            self._terms.clear()
        unknown = [word for word in words if word not in self._terms]
        if unknown:
            self._learn(unknown)
        first: dict[str, str] = {}
        for word in words:
            first.setdefault(self._terms[word], word)
        sql = "SELECT s.term, s.doc FROM json_each(?) t JOIN temp.skill_terms s ON s.term = t.value"
        held = {row[0]: row[1] for row in self._db.all(sql, (dump_json(list(first)),))}
        return {word: held.get(term, 0) for term, word in first.items()}

    def _learn(self, words: Sequence[str]) -> None:
        """Let full text itself say which term each word is: only it knows its stems."""
        if not self._terms:
            for name, module in _TEMPORARY.items():
                self._db.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{name} USING {module}")
        self._db.execute("INSERT INTO temp.task_words (task_words) VALUES ('delete-all')")
        self._db.executemany("INSERT INTO temp.task_words (rowid, word) VALUES (?, ?)", enumerate(words))
        rows = self._db.all("SELECT doc, term FROM temp.task_terms ORDER BY doc, offset DESC")
        self._terms |= dict.fromkeys(words, "") | {words[row["doc"]]: row["term"] for row in rows}

    def search(
        self, question: Question, *, limit: int, among: Sequence[int] | None = None
    ) -> dict[int, float]:
        """Return the share of what a question tells that each skill holds, for the best.

        Args:
            question: What to look for.
            limit: At most so many skills.
            among: Only these versions.

        Returns:
            Share by version key; about 1 when a skill of usual length holds every word.
        """
        if not question.searched:
            return {}
        full = min(question.total, ENOUGH_NATS)
        scores = (
            self._counted(question)
            if question.skills < SMALL_LIBRARY
            else self._ranked(question, limit, among)
        )
        allowed = None if among is None else set(among)
        best = sorted(
            (pair for pair in scores.items() if allowed is None or pair[0] in allowed),
            key=lambda pair: (-pair[1], pair[0]),
        )
        return {pk: score / full for pk, score in best[:limit]}

    def _ranked(self, question: Question, limit: int, among: Sequence[int] | None) -> dict[int, float]:
        expression = " OR ".join(map(_quoted, question.searched))
        condition = "" if among is None else " AND rowid IN (SELECT value FROM json_each(?))"
        params = (expression, limit) if among is None else (expression, dump_json(list(among)), limit)
        rows = self._db.all(
            f"SELECT rowid, bm25(skills_fts, {_COLUMN_WEIGHTS}) FROM skills_fts"  # noqa: S608  (our own numbers)
            f" WHERE skills_fts MATCH ?{condition} ORDER BY 2 LIMIT ?",
            params,
        )
        return {row[0]: -row[1] for row in rows}

    def _counted(self, question: Question) -> dict[int, float]:
        nats = {self._terms[word]: question.nats[word] for word in question.searched}
        scores = defaultdict[int, float](float)
        for term, skill, above in self._db.all(_HOLDERS, (dump_json(list(nats)),)):
            scores[skill] += nats[term] * (1.0 if above else _BODY_WEIGHT)
        return scores

    def tagged(self, tags: Iterable[str]) -> list[int]:
        """Return the current versions that have all of the tags."""
        wanted = sorted(set(tags))
        rows = self._db.all(
            "SELECT t.skill_version FROM skill_tags t JOIN skill_versions v ON v.pk = t.skill_version"
            " JOIN skills s ON s.pk = v.skill AND s.current_version = v.version"
            " WHERE t.tag IN (SELECT value FROM json_each(?)) GROUP BY t.skill_version HAVING count(*) = ?",
            (dump_json(wanted), len(wanted)),
        )
        return [row[0] for row in rows]

    def cards(self, versions: Iterable[int]) -> list[Card]:
        """Return what matching looks at in those of the versions that are current."""
        return [_card(row) for row in self._db.all(_CARDS, (dump_json(list(versions)),))]


def _card(row: Row) -> Card:
    return Card(
        pk=row["pk"], name=row["name"], version=row["version"], state=row["state"],
        description=row["description"], tags=tuple(load_json(row["tags"])), task_pattern=row["task_pattern"],
        examples=tuple(load_json(row["examples"])), has_variables=bool(row["has_variables"]),
    )  # fmt: skip


def _nats(size: int, holders: int) -> float:
    """Return what a word tells that so many of a library's skills hold."""
    return math.log(1 + (size - holders + 0.5) / (holders + 0.5))


def _quoted(word: str) -> str:
    return f'"{word}"'
