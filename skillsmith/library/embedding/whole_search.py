"""Finds the skills whose vector as a whole is nearest to a task's: with vec0, or from memory.

The first search of a connection is vec0's. A second one in the same state of the library shows that more will
come, so the vectors are taken into memory; a search there takes a tenth. The state is a mark in the file that
every writer of vectors renews. The keys of a skill that is deleted lead nowhere, here as in vec0, until
``sync`` forgets them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from skillsmith.db import Database, Row
from skillsmith.events import dump_json
from skillsmith.library.embedding.held import SHARED, HeldVectors, hold

EXACT_UP_TO = 50_000
"""In a larger library the signs of the numbers are searched first, and the best of them compared exactly.
What is held in memory is 77 MB at most up to here, and 5 MB for each 100,000 skills from here on."""
OVERSAMPLING = 8
RESCORED = 200
"""So many times the skills asked for are rescored, and so many at least: 40 find 95 of the nearest 100."""
MAX_NEIGHBOURS = 4096  # vec0 refuses more
MARK = "whole_vectors"

_NEAREST = """
SELECT w.skill_version, n.distance
FROM (SELECT rowid, distance FROM skill_vec WHERE {condition} AND k = ?{among}) n
JOIN skill_vectors w ON w.id = n.rowid AND w.field = 'whole'
"""
_AMONG = """
 AND rowid IN (SELECT id FROM skill_vectors WHERE field = 'whole'
               AND skill_version IN (SELECT value FROM json_each(?)))
"""
_WHOLES = """
SELECT w.skill_version, vec_distance_L2(d.vector, ?)
FROM skill_vectors w JOIN skill_vector_data d ON d.id = w.id
WHERE w.field = 'whole' AND w.{column} IN (SELECT value FROM json_each(?))
"""
_KEYS = """
SELECT id, skill_version FROM skill_vectors
WHERE field = 'whole' AND {column} IN (SELECT value FROM json_each(?))
"""
_PIECES = """
SELECT c.validity, c.rowids, v.vectors FROM skill_vec_chunks c
JOIN skill_vec_vector_chunks{column} v ON v.rowid = c.chunk_id ORDER BY c.chunk_id
"""


def new_mark(db: Database) -> None:
    """Note in the file that vectors were written, so that what others hold of them is no longer used."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (MARK, os.urandom(16).hex()))


def cosine_at(distance: float) -> float:
    """Return the cosine of two unit vectors at a distance."""
    return 1 - distance * distance / 2


class WholeSearch:
    """Searches the vectors of whole skills.

    Args:
        db: The connection, with vec0 loaded before the first search.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._held: HeldVectors | None = None
        self._searched = ""

    def nearest(
        self, vector: bytes, *, limit: int, among: Sequence[int] | None = None, skills: int | None = None
    ) -> dict[int, float]:
        """Return the skill versions that are nearest with their cosines, nearest first.

        Args:
            vector: A unit vector.
            limit: At most so many.
            among: Only these versions.
            skills: How many skills there are, where that is known.
        """
        if skills is None:
            skills = int(self._db.scalar("SELECT count(*) FROM skills"))
        exact, limit = skills <= EXACT_UP_TO, min(limit, MAX_NEIGHBOURS)
        held = self._in_memory(len(vector) // 4, exact=exact)
        if held is not None:
            return self._among_held(held, vector, limit, among)
        if exact:
            rows = self._neighbours("whole MATCH ?", vector, limit, among)
            return {pk: cosine_at(distance) for pk, distance in rows}
        rough = self._neighbours("signs MATCH vec_quantize_binary(?)", vector, _rescored(limit), among)
        return _best(self.cosines(vector, [pk for pk, _ in rough]), limit)

    def cosines(self, vector: bytes, versions: Sequence[int]) -> dict[int, float]:
        """Return the cosines of a vector with skill versions, for those that have vectors."""
        return self._cosines("skill_version", vector, versions) if versions else {}

    def _cosines(self, column: str, vector: bytes, keys: Sequence[int]) -> dict[int, float]:
        rows = self._db.all(_WHOLES.format(column=column), (vector, dump_json(keys)))
        return {pk: cosine_at(distance) for pk, distance in rows}

    def _neighbours(
        self, condition: str, vector: bytes, limit: int, among: Sequence[int] | None
    ) -> list[Row]:
        sql = _NEAREST.format(condition=condition, among="" if among is None else _AMONG)
        params = [vector, limit]
        return self._db.all(sql, params if among is None else [*params, dump_json(list(among))])

    def _among_held(
        self, held: HeldVectors, vector: bytes, limit: int, among: Sequence[int] | None
    ) -> dict[int, float]:
        only = None if among is None else list(self._versions("skill_version", list(among)))
        if held.rows is None:
            likely = held.likely(vector, limit=_rescored(limit), among=only)
            return _best(self._cosines("id", vector, likely), limit)
        found = held.nearest(vector, limit=limit, among=only)
        versions = self._versions("id", list(found))
        return {versions[key]: cosine for key, cosine in found.items() if key in versions}

    def _versions(self, column: str, keys: Sequence[int]) -> dict[int, int]:
        """Return the skill versions that keys of vectors stand for, looked up by one or the other."""
        return dict(map(tuple, self._db.all(_KEYS.format(column=column), (dump_json(keys),))))

    def _in_memory(self, dimension: int, *, exact: bool) -> HeldVectors | None:
        """Return the vectors in memory, or None: where nothing was searched yet, or it would cost numpy."""
        mark = self._mark()
        held, searched, self._searched = self._held, self._searched, mark
        if held is None or held.mark != mark or (held.rows is not None) != exact:
            held = SHARED.get(mark)
            if held is None or (held.rows is not None) != exact:
                again = bool(mark) and mark == searched and _numpy_is_loaded()
                held = self._read(mark, dimension, exact=exact) if again else None
            self._held = held
        return held

    def _read(self, mark: str, dimension: int, *, exact: bool) -> HeldVectors | None:
        pieces = self._db.execute(_PIECES.format(column="00" if exact else "01"))
        held = hold(map(tuple, pieces), mark=mark, dimension=dimension, exact=exact)
        if held is None or self._mark() != mark:  # written meanwhile: what was read is newer than its mark
            return None
        SHARED[mark] = held
        return held

    def _mark(self) -> str:
        return self._db.scalar("SELECT value FROM meta WHERE key = ?", (MARK,)) or ""


def _numpy_is_loaded() -> bool:
    """Whether the model has loaded numpy, in a version (2) that can do what is needed."""
    return hasattr(sys.modules.get("numpy"), "vecdot")


def _rescored(limit: int) -> int:
    return min(max(limit * OVERSAMPLING, RESCORED), MAX_NEIGHBOURS)


def _best(found: dict[int, float], limit: int) -> dict[int, float]:
    return dict(sorted(found.items(), key=lambda pair: -pair[1])[:limit])
