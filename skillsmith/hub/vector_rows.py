"""The vectors of skills on their way to a hub, and back for a match: never of two models at once.

A hub keeps one vector for each version as a whole, which is searched, and those of its single texts, so that
whoever matches embeds the task and nothing else. Up to ``EXACT_UP_TO`` skills the search is exact; above, an
HNSW index of half-precision numbers proposes candidates.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from skillsmith.db import Database, Row
from skillsmith.hub.client import Hub
from skillsmith.hub.local_rows import text_vectors, whole_vectors
from skillsmith.hub.schema import INDEX_LOCK
from skillsmith.ids import digest_of

EXACT_UP_TO: Final = 10_000
"""Skills of one model; reading so many vectors takes PostgreSQL about 20 ms."""

_ADD = """
INSERT INTO vectors (name, digest, model, texts, embedding, current)
SELECT s.name, s.digest, s.model, s.texts, s.embedding, v.current
FROM stage s JOIN versions v ON v.name = s.name AND v.digest = s.digest ORDER BY 1, 2, 3
ON CONFLICT (name, digest, model) DO UPDATE SET texts = excluded.texts, embedding = excluded.embedding
WHERE vectors.texts <> excluded.texts
"""
_ADD_TEXTS = """
INSERT INTO text_vectors (model, text_digest, embedding) SELECT model, text_digest, embedding FROM stage
ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
_INDEX_STATE = """
SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(%s)
"""


def push_vectors(db: Database, hub: Hub, rows: Sequence[Row]) -> None:
    """Send the vectors that versions have here.

    Args:
        db: The connection.
        hub: It has the versions.
        rows: Versions with ``pk``, ``name`` and ``digest``.
    """
    keys = {row["pk"]: (row["name"], row["digest"]) for row in rows}
    wholes = {
        (*keys[row[0]], row["model"]): (row["text_digest"], _text_of(row["vector"]))
        for row in whole_vectors(db, list(keys))
    }
    if not wholes:
        return
    with hub.transaction(writer=True):  # so that no pointer moves between reading and storing ``current``
        hub.stage(
            "name text, digest text, model text, texts text, embedding vector",
            ((*key, *value) for key, value in sorted(wholes.items())),
        )
        hub.execute(_ADD)
        hub.stage(
            "model text, text_digest text, embedding bytea",
            sorted(
                {(row["model"], row["text_digest"], row["vector"]) for row in text_vectors(db, list(keys))}
            ),
        )
        hub.execute(_ADD_TEXTS)


def index_vectors(hub: Hub, *, exact_up_to: int = EXACT_UP_TO) -> list[str]:
    """Build the index of each model that has outgrown exact search, and return the models.

    Others may push and match meanwhile. An index that broke off while it was built is built anew.
    """
    if not hub.scalar("SELECT pg_try_advisory_lock(%s)", (INDEX_LOCK,)):
        return []  # another machine is at it
    try:
        counted = hub.all(
            "SELECT model, count(*), min(vector_dims(embedding)) FROM vectors WHERE current GROUP BY model"
        )
        return [
            model for model, skills, dimension in counted
            if skills > exact_up_to and _index(hub, model, int(dimension))
        ]  # fmt: skip
    finally:
        hub.scalar("SELECT pg_advisory_unlock(%s)", (INDEX_LOCK,))


def _index(hub: Hub, model: str, dimension: int) -> bool:
    """Build a model's index unless it is there, and tell whether that had to be done."""
    name = index_name(model)
    valid = hub.scalar(_INDEX_STATE, (name,))
    if valid:
        return False
    if valid is False:
        hub.execute(f"DROP INDEX {name}")
    hub.execute("SET maintenance_work_mem = '512MB'")
    hub.execute(
        f"CREATE INDEX CONCURRENTLY {name} ON vectors USING hnsw"
        f" ((embedding::halfvec({dimension})) halfvec_cosine_ops)"
        f" WHERE current AND model = {quoted(model)}"
    )
    hub.execute("RESET maintenance_work_mem")
    return True


def index_name(model: str) -> str:
    """Return the name of a model's index."""
    return f"vectors_{digest_of(model.encode())[:16]}"


def quoted(text: str) -> str:
    """Return text as an SQL literal: the condition of a partial index cannot be a parameter."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f" E'{escaped}'"


def _text_of(vector: bytes) -> str:
    return vector_text(struct.unpack(f"<{len(vector) // 4}f", vector))


def vector_text(numbers: Sequence[float]) -> str:
    """Return a vector as pgvector reads it."""
    return f"[{','.join(map('{:.9g}'.format, numbers))}]"
