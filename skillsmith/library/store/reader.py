"""Read the skill library: by name, version or id, by words, by structure, page by page.

Everything here leaves the file as it is, so it also serves files opened for reading only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from skillsmith.blobs import BlobStore
from skillsmith.db import Database, Row
from skillsmith.errors import NotFoundError
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import digest_of_document
from skillsmith.library.program.validation import REFERENCE
from skillsmith.library.store import rows as skill_rows
from skillsmith.library.store.listing import list_skills
from skillsmith.library.store.text import WEIGHTS, search_expression
from skillsmith.models import Proof, Skill, SkillArtifact, SkillState, SkillSummary
from skillsmith.word_pieces import UNSPACED

Names: TypeAlias = list[str]
Numbers: TypeAlias = list[int]
Pairs: TypeAlias = list[tuple[str, int]]
Scores: TypeAlias = list[tuple[int, float]]
Rows: TypeAlias = list[Row]

REMEMBERED = 32
"""Built skills that are kept: one that is matched is then shown, run and added to."""

_JOINED = "FROM skill_versions v JOIN skills s ON s.pk = v.skill"
_VERSION = f"SELECT v.*, s.name, s.current_version {_JOINED}"
_LOST_POINTERS = """
SELECT s.name, s.current_version FROM skills s
WHERE NOT EXISTS (SELECT 1 FROM skill_versions v WHERE v.skill = s.pk AND v.version = s.current_version)
"""
_CURRENT = f"SELECT v.pk {_JOINED} WHERE v.version = s.current_version"
_LOST_TEXT = """
SELECT s.name FROM skill_versions v JOIN skills s ON s.pk = v.skill
WHERE v.version = s.current_version AND v.pk NOT IN (SELECT rowid FROM skills_fts) ORDER BY s.name
"""
_STALE_TEXT = f"SELECT rowid FROM skills_fts WHERE rowid NOT IN ({_CURRENT}) LIMIT 1"  # noqa: S608  (two constants)

_TEXT_TERMS = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.skill_text_terms USING fts5vocab(main, skills_fts, row)"
)
_UNCUT_TERM = "SELECT 1 FROM temp.skill_text_terms WHERE term >= ? AND term GLOB ? LIMIT 1"


class SkillReader:
    """The reading half of ``SkillRepository``.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._blobs = BlobStore(db)
        self._built: dict[int, tuple[Rows, Skill]] = {}

    def _find(self, ref: str) -> Row:
        """Return the row of ``NAME`` (its current version), ``NAME@VERSION`` or a version's id."""
        match = REFERENCE.fullmatch(ref)
        if match:
            number = match[2]
            condition = "v.version = " + ("?" if number else "s.current_version")
            params = (match[1], int(number)) if number else (match[1],)
            row = self._db.one(f"{_VERSION} WHERE s.name = ? AND {condition}", params)
            if row is not None:
                return row
            if number and self.exists(match[1]):
                known = ", ".join(map(str, self.versions(match[1])))
                raise NotFoundError(f"skill {match[1]!r} has no version {number}", hint=f"it has {known}")
        row = self._db.one(f"{_VERSION} WHERE v.id = ?", (ref.lower(),))
        if row is None:
            raise NotFoundError(f"there is no skill {ref!r}", hint=self._suggestion(ref.partition("@")[0]))
        return row

    def _suggestion(self, name: str) -> str:
        close = get_close_matches(name, self.names(), n=3, cutoff=0.6)
        return f"did you mean {' or '.join(close)}?" if close else "`skillsmith list` shows them"

    def get(self, ref: str) -> Skill:
        """Return the skill with this name (its current version), ``NAME@VERSION`` or version id.

        Raises:
            NotFoundError: There is none; the hint gives close names.
        """
        return self._skill(self._find(ref))

    def by_pk(self, pk: int) -> Skill:
        """Return the version with this primary key."""
        return self._skill(self._row(pk))

    def _row(self, pk: int) -> Row:
        row = self._db.one(f"{_VERSION} WHERE v.pk = ?", (pk,))
        if row is None:
            raise NotFoundError(f"there is no skill version with the key {pk}")
        return row

    def document(self, ref: str) -> Document:
        """Return a version's document with its digest, as it is exported."""
        document = self._document(self._find(ref))
        return document | {"digest": digest_of_document(document)}

    def _skill(self, row: Row) -> Skill:
        """Build a skill, or give back the one that was built of the very same rows."""
        artifacts, proofs = self._rows("skill_artifacts", row["pk"]), self._rows("proofs", row["pk"])
        rows = [tuple(one) for one in (row, *artifacts, *proofs)]
        built = self._built.get(row["pk"])
        if built is not None and built[0] == rows:
            return built[1]
        skill = skill_rows.skill_of(
            row, tuple(skill_rows.artifact_of(one, self._blobs.get) for one in artifacts),
            tuple(map(skill_rows.proof_of, proofs)),
        )  # fmt: skip
        while len(self._built) >= REMEMBERED:
            del self._built[next(iter(self._built))]
        self._built[row["pk"]] = rows, skill
        return skill

    def _document(self, row: Row) -> Document:
        return skill_rows.document_of(row, self._artifacts(row["pk"]), self._proofs(row["pk"]))

    def _rows(self, table: str, version: int) -> Rows:
        return self._db.all(f"SELECT * FROM {table} WHERE skill_version = ? ORDER BY id", (version,))  # noqa: S608  (two fixed names)

    def _artifacts(self, version: int) -> tuple[SkillArtifact, ...]:
        rows = self._rows("skill_artifacts", version)
        return tuple(skill_rows.artifact_of(row, self._blobs.get) for row in rows)

    def _proofs(self, version: int) -> tuple[Proof, ...]:
        return tuple(map(skill_rows.proof_of, self._rows("proofs", version)))

    def version_pk(self, ref: str) -> int:
        """Return a version's primary key."""
        return int(self._find(ref)["pk"])

    def current_version(self, name: str) -> int:
        """Return the number of the current version."""
        return int(self._find(name)["version"])

    def exists(self, name: str) -> bool:
        """Tell whether there is a skill of this name."""
        return self._db.one("SELECT 1 FROM skills WHERE name = ?", (name,)) is not None

    def has(self, ref: str) -> bool:
        """Tell whether there is a skill ``NAME``, or a version ``NAME@VERSION`` of it."""
        name, _, number = ref.partition("@")
        known = self.versions(name)
        return bool(known) and (not number or number in map(str, known))

    def names(self) -> Names:
        """Return the names of all skills, sorted."""
        return [row[0] for row in self._db.all("SELECT name FROM skills ORDER BY name")]

    def versions(self, name: str) -> Numbers:
        """Return the version numbers of a skill, oldest first."""
        rows = self._db.all(f"SELECT v.version {_JOINED} WHERE s.name = ? ORDER BY v.version", (name,))
        return [row[0] for row in rows]

    def current_pks(self) -> Numbers:
        """Return the primary keys of all current versions."""
        return [row[0] for row in self._db.all(_CURRENT + " ORDER BY v.pk")]

    def state(self, ref: str) -> SkillState:
        """Return a version's state."""
        state: SkillState = self._find(ref)["state"]
        return state

    def newest_in_state(self, name: str, state: SkillState) -> int | None:
        """Return the newest version of a name that is in a state, or None."""
        number = self._db.scalar(
            f"SELECT max(v.version) {_JOINED} WHERE s.name = ? AND v.state = ?", (name, state)
        )
        return None if number is None else int(number)

    def with_structure(self, digest: str) -> Pairs:
        """Return name and version of the current versions whose DAG has this structure digest."""
        rows = self._db.all(
            f"SELECT s.name, v.version {_JOINED} WHERE v.structure = ? AND v.version = s.current_version"
            " ORDER BY s.name",
            (digest,),
        )
        return [(row[0], row[1]) for row in rows]

    def contents(self, name: str) -> dict[str, int]:
        """Return the versions of a name by content digest; of equal ones the newest."""
        rows = self._db.all(
            f"SELECT v.digest, v.version {_JOINED} WHERE s.name = ? ORDER BY v.version", (name,)
        )
        return {row[0]: row[1] for row in rows}

    def stored_digest(self, ref: str) -> str:
        """Return the content digest that was stored with a version."""
        return str(self._find(ref)["digest"])

    def counts(self) -> dict[str, int]:
        """Return how many skills, versions, stored contents and file versions there are."""
        tables = ("skills", "skill_versions", "blobs", "file_versions")
        return {table: int(self._db.scalar(f"SELECT count(*) FROM {table}")) for table in tables}  # noqa: S608  (the names above)

    def pointer_problems(self) -> Iterator[str]:
        """Yield a line for every skill whose current version or full-text row is missing, or too many."""
        for row in self._db.all(_LOST_POINTERS):
            yield f"skill {row[0]} points to its version {row[1]}, which is missing"
        for row in self._db.all(_LOST_TEXT):
            yield f"skill {row[0]} is not in full text; run `skillsmith reindex`"
        if self._db.one(_STALE_TEXT) is not None:
            yield "full text holds versions that are not current; run `skillsmith reindex`"

    def text_is_outdated(self) -> bool:
        """Tell whether full text holds sentences without spaces uncut, as it did before they were cut."""
        self._db.execute(_TEXT_TERMS)
        longer_than_a_piece = f"{f'[{UNSPACED}]' * 4}*"
        return self._db.one(_UNCUT_TERM, (UNSPACED[0], longer_than_a_piece)) is not None

    def search(self, words: str, *, limit: int = 50) -> Scores:
        """Return the current versions that hold any of the words, best first.

        Returns:
            Primary key and BM25 score, weighted by column; the larger the better.
        """
        expression = search_expression(words)
        if not expression:
            return []
        rank = f"bm25(skills_fts, {', '.join(map(str, WEIGHTS))})"
        rows = self._db.all(
            f"SELECT rowid, {rank} AS rank FROM skills_fts WHERE skills_fts MATCH ? ORDER BY 2, 1 LIMIT ?",  # noqa: S608  (our own numbers)
            (expression, limit),
        )
        return [(row[0], -row[1]) for row in rows]

    def list(
        self,
        *,
        tags: Sequence[str] = (),
        state: str | None = None,
        search: str | None = None,
        sort: str = "name",
        after: str | None = None,
        window: int = 100,
    ) -> Iterator[SkillSummary]:
        """Yield the current version of every skill.

        Args:
            tags: Only those with all of these tags.
            state: Only those in this state.
            search: Only those that hold all of these words.
            sort: name, success_rate, last_used or created; all but the name with the largest first.
            after: Name of the last skill already seen.
            window: Rows fetched at a time.

        Raises:
            NotFoundError: The skill named by ``after`` is gone, and the order is not that of names.
        """
        return list_skills(
            self._db, tags=tags, state=state, search=search, sort=sort, after=after, window=window
        )
