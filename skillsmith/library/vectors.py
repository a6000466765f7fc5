"""The vectors of the skills: made on demand, never of two models at once, searched with one vector a skill.

A vec0 table finds the skills whose vector as a whole is nearest; the vectors of their single texts lie in a
plain table beside it, where reading one costs a hundredth of what it costs in vec0. The vector of the whole
is a skill's mark of being up to date: triggers drop it when the skill gets another current version or a task
that it served, and ``sync`` makes what is missing. Without a model or without vec0 everything else works on
words alone; ``notice`` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from skillsmith.db import Database, Row
from skillsmith.errors import ModelError, StorageError
from skillsmith.events import dump_json
from skillsmith.ids import digest_of
from skillsmith.library.embedding.vocabulary import KnowsWords
from skillsmith.library.embedding.whole_search import WholeSearch, cosine_at, new_mark
from skillsmith.library.matching.own_texts import TASK_PARTS, WHOLE, OwnText, mean_vector, own_texts, parts_of
from skillsmith.models import Embedder

Progress = Callable[[int, str], None]

BATCH = 16
"""Skills embedded between two commits: about half a second of work."""
CHUNK = 256
"""Skills that vec0 keeps, and reads, in one piece. Its own 1024 make a search among 22 skills twice as slow
and their file 1.2 MB larger, and one among 10,000 no faster."""
MOST_UNREAD = 0.5
"""Share of what a task tells that may be in words which the model does not know. Beyond it vectors mislead:
of tasks in Chinese, Japanese, Arabic or with invented words for most others, words alone find more (.43 for
.28, .55 for .43, .46 for .31, .69 for .65); of 969 ordinary ones in English four have so many, to no loss."""
REMEMBERED_TEXTS = 256
"""A task that was matched is often kept as an example of the skill that served it right afterwards."""

_COUNTS = """
SELECT (SELECT value FROM meta WHERE key = 'embedding_model') AS model,
  (SELECT count(*) FROM skills) AS skills,
  (SELECT count(*) FROM skill_vectors WHERE field = 'whole') AS wholes
"""
_STALE = """
SELECT v.pk FROM skills s JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version
LEFT JOIN skill_vectors w ON w.skill_version = v.pk AND w.field = 'whole'
WHERE w.id IS NULL ORDER BY v.pk
"""
_TEXTS = """
SELECT v.pk, s.name, v.description, v.task_pattern, v.examples, v.body, v.dag_template
FROM skill_versions v JOIN skills s ON s.pk = v.skill
WHERE v.pk IN (SELECT value FROM json_each(?)) ORDER BY v.pk
"""
_SUPERSEDED = """
SELECT id FROM skill_vectors WHERE skill_version NOT IN (
  SELECT v.pk FROM skills s JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version)
"""
_VECTORS = """
SELECT w.text_digest, d.vector FROM skill_vectors w JOIN skill_vector_data d ON d.id = w.id
WHERE w.field <> 'whole' AND w.{column} IN (SELECT value FROM json_each(?))
"""
_TABLES = """
CREATE TABLE IF NOT EXISTS skill_vector_data (
  id INTEGER PRIMARY KEY REFERENCES skill_vectors (id) ON DELETE CASCADE, vector BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS skill_vectors_outdated AFTER UPDATE OF examples ON skill_versions BEGIN
  DELETE FROM skill_vectors WHERE skill_version = new.pk AND field = 'whole'; END;
CREATE TRIGGER IF NOT EXISTS skill_vectors_superseded AFTER UPDATE OF current_version ON skills BEGIN
  DELETE FROM skill_vectors WHERE field = 'whole' AND skill_version IN (
    SELECT pk FROM skill_versions WHERE skill = new.pk AND version <> new.current_version); END;
CREATE UNIQUE INDEX IF NOT EXISTS skill_vectors_whole ON skill_vectors (skill_version) WHERE field = 'whole';
CREATE VIRTUAL TABLE skill_vec USING
  vec0(whole float[{dimension}], signs bit[{dimension}], chunk_size={chunk});
"""
_NEAREST_TEXTS = """
SELECT w.skill_version, min(vec_distance_L2(d.vector, ?)), w.field
FROM skill_vectors w JOIN skill_vector_data d ON d.id = w.id
WHERE w.field <> 'whole' AND w.skill_version IN (SELECT value FROM json_each(?)) GROUP BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorStatus:
    """The state of the index.

    Args:
        model: Identity of the model in use; None without one.
        stored_model: Identity of the model that made the stored vectors; None without any.
        skills: How many skills there are.
        embedded: How many of them have vectors of the model in use.
        vectors: How many vectors there are.
        notice: Why vectors are not used, in one line; empty when they are.
    """

    model: str | None
    stored_model: str | None
    skills: int
    embedded: int
    vectors: int
    notice: str


def extension_path() -> Path:
    """Return the vec0 library, without importing its package (that pulls in numpy: 115 ms).

    Raises:
        StorageError: The package is not installed.
    """
    spec = find_spec("sqlite_vec")
    if spec is None or spec.origin is None:
        raise StorageError("sqlite-vec is not installed", hint="install skillsmith-cli with its dependencies")
    return Path(spec.origin).with_name("vec0")


class VectorIndex:
    """Embeds skills and finds those that are near to a text.

    Args:
        db: The connection.
        embedder: The model; None to work without.
    """

    def __init__(self, db: Database, embedder: Embedder | None) -> None:
        self._db = db
        self._embedder = embedder
        self._loaded: bool | None = None
        self._problem = ""
        self._recent: dict[str, bytes] = {}
        self._wholes = WholeSearch(db)

    @property
    def notice(self) -> str:
        """Why vectors are not used, in one line; empty when they are."""
        if self._embedder is None:
            return "no embedding model is ready, so words alone are compared; run `skillsmith model install`"
        return "" if self._load() else f"words alone are compared: {self._problem}"

    def _load(self) -> bool:
        if self._loaded is None:
            try:
                self._db.load_extension(extension_path())
                self._loaded = True
            except StorageError as error:
                self._loaded, self._problem = False, str(error)
        return self._loaded

    def pending(self) -> int:
        """Return how many skills have no vectors of this model yet; all of them without a model."""
        row = self._db.one(_COUNTS)
        assert row is not None
        if self._embedder is None or row["model"] != self._embedder.model:
            return int(row["skills"])
        return int(row["skills"] - row["wholes"])

    def _meta(self, key: str) -> str | None:
        return self._db.scalar("SELECT value FROM meta WHERE key = ?", (key,))  # type: ignore[no-any-return]  # TEXT NOT NULL

    def status(self) -> VectorStatus:
        """Return the state of the index."""
        skills = int(self._db.scalar("SELECT count(*) FROM skills"))
        return VectorStatus(
            model=None if self._embedder is None else self._embedder.model,
            stored_model=self._meta("embedding_model"), skills=skills, embedded=skills - self.pending(),
            vectors=int(self._db.scalar("SELECT count(*) FROM skill_vectors WHERE field <> 'whole'")),
            notice=self.notice,
        )  # fmt: skip

    def sync(self, *, progress: Progress | None = None, limit: int | None = None) -> int:
        """Embed what is missing for the current versions and drop what is superseded.

        Args:
            progress: Called with 1 and its name after each skill.
            limit: At most so many skills.

        Returns:
            How many texts were embedded.

        Raises:
            ModelError: The model cannot be loaded, or its dimension does not fit vec0.
        """
        if self.notice or self._db.readonly:
            return 0
        self._adopt()
        with self._db.transaction():
            self._forget_lost()
            reusable = self._superseded()
            stale = [row[0] for row in self._db.all(_STALE)][:limit]
        made = 0
        for start in range(0, len(stale), BATCH):
            rows = self._db.all(_TEXTS, (dump_json(stale[start : start + BATCH]),))
            made += self._embed_skills(rows, reusable)
            if progress is not None:
                for row in rows:
                    progress(1, row["name"])
        return made

    def rebuild(self, *, progress: Progress | None = None) -> int:
        """Embed all skills anew and return how many texts that were."""
        if self.notice or self._db.readonly:
            return 0
        with self._db.transaction():
            self._db.execute("DELETE FROM meta WHERE key = 'embedding_model'")
        self._recent.clear()
        return self.sync(progress=progress)

    def _adopt(self) -> None:
        """Make the tables for this model; vectors of another model go."""
        embedder = self._model()
        if self._meta("embedding_model") == embedder.model:
            return
        if embedder.dimension % 8:
            raise ModelError(
                f"{embedder.model} makes vectors of {embedder.dimension} numbers, which vec0 cannot search",
                hint="choose a model whose dimension is a multiple of 8",
            )
        with self._db.transaction():
            self._db.execute("DELETE FROM skill_vectors")
            self._db.execute("DROP TABLE IF EXISTS skill_vec")
            for statement in _TABLES.format(dimension=embedder.dimension, chunk=CHUNK).strip().split(";\n"):
                self._db.execute(statement)
            facts = {"embedding_model": embedder.model, "embedding_dimension": str(embedder.dimension)}
            self._db.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", facts.items())
            new_mark(self._db)

    def _model(self) -> Embedder:
        if self._embedder is None:
            raise ModelError("no embedding model is ready", hint="run `skillsmith model install`")
        return self._embedder

    def _superseded(self) -> dict[str, bytes]:
        """Remove the vectors of versions that are not current, and return them by their text's digest."""
        superseded = [row[0] for row in self._db.all(_SUPERSEDED)]
        if not superseded:
            return {}
        gone = (dump_json(superseded),)
        rows = self._db.all(_VECTORS.format(column="id"), gone)
        self._db.execute("DELETE FROM skill_vectors WHERE id IN (SELECT value FROM json_each(?))", gone)
        return {row[0]: row[1] for row in rows}

    def _embed_skills(self, rows: Sequence[Row], reusable: Mapping[str, bytes]) -> int:
        """Store all vectors of some skill versions, and return how many texts had to be embedded."""
        texts = {row["pk"]: own_texts(row) for row in rows}
        known = dict(reusable) | self._stored(list(texts))
        missing = {one.digest: one.text for own in texts.values() for one in own if one.digest not in known}
        known |= zip(missing, self._vectors_of(list(missing.values())), strict=True)
        with self._db.transaction():
            for pk, own in texts.items():
                self._store(pk, own, known)
            new_mark(self._db)
        return len(missing)

    def _stored(self, versions: Sequence[int]) -> dict[str, bytes]:
        rows = self._db.all(_VECTORS.format(column="skill_version"), (dump_json(versions),))
        return {row[0]: row[1] for row in rows}

    def _forget_lost(self) -> None:
        """Remove from vec0 what a trigger or a cascade removed elsewhere."""
        lost = self._db.all(
            "SELECT rowid FROM skill_vec_rowids"
            " WHERE rowid NOT IN (SELECT id FROM skill_vectors WHERE field = 'whole')"
        )
        if lost:
            self._db.executemany("DELETE FROM skill_vec WHERE rowid = ?", [(row[0],) for row in lost])
            new_mark(self._db)

    def _store(self, pk: int, own: Sequence[OwnText], vectors: Mapping[str, bytes]) -> None:
        if not self._db.scalar("SELECT 1 FROM skill_versions WHERE pk = ?", (pk,)):
            return  # deleted by another process while its texts were embedded
        kept = self._keep(pk, own)
        for one in own:
            if (one.field, one.digest) not in kept:
                self._insert(pk, one.field, one.digest, vectors[one.digest])
        core = [one.digest for one in own if one.field in ("profile", "example")]
        whole = mean_vector([vectors[digest] for digest in core])
        row = self._insert(pk, WHOLE, digest_of("".join(core).encode()), whole)
        if self._db.scalar("SELECT 1 FROM skill_vec_rowids WHERE rowid = ?", (row,)):
            self._db.execute("DELETE FROM skill_vec WHERE rowid = ?", (row,))
        self._db.execute(
            "INSERT INTO skill_vec (rowid, whole, signs) VALUES (?, ?, vec_quantize_binary(?))",
            (row, whole, whole),
        )

    def _keep(self, pk: int, own: Sequence[OwnText]) -> set[tuple[str, str]]:
        """Remove the vectors of a version that stand for none of its texts, and return what the others do."""
        wanted = {(one.field, one.digest) for one in own}
        kept, gone = set[tuple[str, str]](), list[tuple[int]]()
        sql = "SELECT id, field, text_digest FROM skill_vectors WHERE skill_version = ?"
        for row in self._db.all(sql, (pk,)):
            one = (row["field"], row["text_digest"])
            if one in wanted - kept:
                kept.add(one)
            else:
                gone.append((row["id"],))
        self._db.executemany("DELETE FROM skill_vectors WHERE id = ?", gone)
        return kept

    def _insert(self, pk: int, field: str, digest: str, vector: bytes) -> int:
        row = int(self._db.execute(
            "INSERT INTO skill_vectors (skill_version, field, text_digest, model) VALUES (?, ?, ?, ?)",
            (pk, field, digest, self._model().model),
        ).lastrowid)  # fmt: skip
        self._db.execute("INSERT INTO skill_vector_data (id, vector) VALUES (?, ?)", (row, vector))
        return row

    def reads(self, told: Mapping[str, float]) -> bool:
        """Tell whether the model knows the words that hold half or more of what a text tells.

        Args:
            told: How much each word of the text tells.
        """
        if not told or not isinstance(self._embedder, KnowsWords):
            return True
        known = self._embedder.knows(list(told))
        words = zip(told.items(), known, strict=True)
        unread = sum(nats for (word, nats), is_known in words if word.isalpha() and not is_known)
        return unread <= MOST_UNREAD * sum(told.values())

    def embed(self, text: str) -> bytes:
        """Return a task's unit vector as little-endian float32 bytes; a long one is read part by part."""
        vectors = self._vectors_of(parts_of(text, limit=TASK_PARTS) or [text])
        return vectors[0] if len(vectors) == 1 else mean_vector(vectors)

    def _vectors_of(self, texts: Sequence[str]) -> list[bytes]:
        new = [text for text in dict.fromkeys(texts) if text not in self._recent]
        if new:
            self._recent |= zip(new, self._model().embed(new), strict=True)
        found = [self._recent[text] for text in texts]
        for text in list(self._recent)[:-REMEMBERED_TEXTS]:
            del self._recent[text]
        return found

    def search(self, text: str, *, limit: int) -> list[tuple[int, float, str]]:
        """Return the skills with the vectors nearest to a text; none without a model or before any was made.

        Returns:
            Version key, cosine of its nearest vector, and what that stands for: profile, example, node, body
            or the whole.
        """
        if self.notice or self._meta("embedding_model") != self._model().model:
            return []
        vector = self.embed(text)
        wholes = self.nearest(vector, limit=limit)
        texts = self.nearest_texts(vector, list(wholes))
        found = {pk: max((cosine, WHOLE), texts.get(pk, (-1.0, ""))) for pk, cosine in wholes.items()}
        ranked = sorted(found.items(), key=lambda pair: (-pair[1][0], pair[0]))
        return [(pk, cosine, field) for pk, (cosine, field) in ranked]

    def nearest(
        self, vector: bytes, *, limit: int, among: Sequence[int] | None = None, skills: int | None = None
    ) -> dict[int, float]:
        """Return the skill versions that are nearest as a whole with their cosines, nearest first.

        Args:
            vector: A unit vector of this model.
            limit: At most so many.
            among: Only these versions.
            skills: How many skills there are, where that is known.
        """
        return self._wholes.nearest(vector, limit=limit, among=among, skills=skills)

    def wholes(self, vector: bytes, versions: Sequence[int]) -> dict[int, float]:
        """Return the cosines of a vector with skill versions as a whole, for those that have vectors."""
        return self._wholes.cosines(vector, versions)

    def nearest_texts(self, vector: bytes, versions: Sequence[int]) -> dict[int, tuple[float, str]]:
        """Return for skill versions the cosine of a vector with their nearest text, and which that is."""
        rows = self._db.all(_NEAREST_TEXTS, (vector, dump_json(versions)))
        return {pk: (cosine_at(distance), field) for pk, distance, field in rows}
