"""The skill library: immutable versions, a pointer to the current one, search and lists.

A version never changes once it is stored; what may be added to it is evidence (proofs, tasks it served) and
its state. One transaction stores a version with its artifacts, tags, proofs, full-text row and the line of
its history.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, get_args

from skillsmith.db import Database
from skillsmith.errors import RefusedError, UntrustedError, UsageError
from skillsmith.events import dump_json, load_json, storable
from skillsmith.ids import new_id
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.program.document import Document, to_document
from skillsmith.library.program.seal import render
from skillsmith.library.program.validation import validate_skill
from skillsmith.library.store import rows as skill_rows
from skillsmith.library.store.clearance import Clearance
from skillsmith.library.store.history import CREATED, CURRENT, DELETED, STATE, SkillHistory, user_name
from skillsmith.library.store.reader import SkillReader
from skillsmith.library.store.sync_base import SyncBase
from skillsmith.library.store.text import search_columns
from skillsmith.models import Execution, Json, Proof, Skill, SkillArtifact, SkillState

MAX_EXAMPLES = 50

Skills: TypeAlias = list[Skill]
Executions: TypeAlias = list[Execution]
Artifacts: TypeAlias = list[SkillArtifact]

_ADD_SKILL = "INSERT INTO skills (name, current_version, created_at, created_by_user) VALUES (?, ?, ?, ?)"
_ADD_ARTIFACT = """
INSERT INTO skill_artifacts (skill_version, artifact_type, name, file_path, digest, description, language,
                             is_template, template_variables, size_bytes, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_PROOF = """
INSERT INTO proofs (skill_version, level, passed, compared, failures, detail, at, duration_seconds)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_TEXT = """
INSERT INTO skills_fts (rowid, name, description, task_pattern, tags, examples, body)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_DELETE_TEXT = """
DELETE FROM skills_fts WHERE rowid = (
  SELECT v.pk FROM skill_versions v JOIN skills s ON s.pk = v.skill
  WHERE s.name = ? AND v.version = s.current_version)
"""
_USERS = """
SELECT DISTINCT s.name FROM skill_versions v JOIN skills s ON s.pk = v.skill, json_each(v.dag_template) n
WHERE s.name <> :name AND n.value ->> '$.kind' = 'skill'
  AND n.value ->> '$.tool' IN (SELECT value FROM json_each(:references))
ORDER BY s.name
"""


class SkillRepository(SkillReader):
    """Everything about skills but what their executions did.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._history = SkillHistory(db)

    def add(self, skill: Skill, *, make_current: bool = True, keep_version: bool = False) -> Skill:
        """Store a skill as the next version of its name, and return it with id, version and time.

        Args:
            skill: Its id and time are ignored.
            make_current: Whether the new version becomes the current one (a first version always does).
            keep_version: Keep the skill's own version number when it is higher than those in use.

        Raises:
            UsageError: The skill is not sound; says in what.
            InvalidSkillFileError: It holds what JSON cannot.
        """
        with self._db.transaction():
            highest = max(self._highest(skill.name), self._history.highest(skill.name))
            if not (keep_version and skill.version > highest):
                skill = replace(skill, version=highest + 1)
            _refuse_unsound(skill)
            document = to_document(skill)
            render(document)  # refuses what could never be exported
            skill = replace(skill, id=new_id(), created_at=time.time())
            return self._store(skill, document, make_current=make_current)

    def add_imported(
        self,
        skill: Skill,
        document: Document,
        *,
        version: int,
        make_current: bool,
        state: SkillState = "quarantined",
    ) -> Skill:
        """Store a skill that was read and checked together with its document, by default in quarantine.

        Args:
            skill: As it was read.
            document: The same skill.
            version: A number that is free.
            make_current: Whether the version becomes the current one.
            state: ``draft`` for what holds nothing that could run.
        """
        skill = replace(skill, version=version, state=state, id=new_id(), created_at=time.time())
        with self._db.transaction():
            return self._store(
                skill, document | {"version": version}, make_current=make_current, reason="imported"
            )

    def _store(self, skill: Skill, document: Document, *, make_current: bool, reason: str = "") -> Skill:
        before = self._pointer(skill.name)
        leads = make_current or before is None
        version = self._insert(skill, document, is_new=before is None)
        if before is None:
            self._db.execute(_ADD_TEXT, (version, *search_columns(document)))
        elif leads:
            self._point(skill.name, skill.version, version, document)
        self._history.add(
            skill.name, CREATED, version=skill.version, from_version=before, reason=skill.reason or reason,
            detail={"state": skill.state, "current": leads},
        )  # fmt: skip
        return skill

    def _pointer(self, name: str) -> int | None:
        """Return the number of the current version, or None when there is no skill of this name."""
        number = self._db.scalar("SELECT current_version FROM skills WHERE name = ?", (name,))
        return None if number is None else int(number)

    def _highest(self, name: str) -> int:
        sql = "SELECT max(v.version) FROM skill_versions v JOIN skills s ON s.pk = v.skill WHERE s.name = ?"
        return self._db.scalar(sql, (name,)) or 0

    def _insert(self, skill: Skill, document: Document, *, is_new: bool) -> int:
        columns = skill_rows.version_columns(skill, document)
        if is_new:
            row = (skill.name, skill.version, skill.created_at, user_name())
            columns["skill"] = self._db.execute(_ADD_SKILL, row).lastrowid
        else:
            columns["skill"] = self._db.scalar("SELECT pk FROM skills WHERE name = ?", (skill.name,))
        names, marks = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        cursor = self._db.execute(f"INSERT INTO skill_versions ({names}) VALUES ({marks})", columns)  # noqa: S608  (our own column names)
        version = int(cursor.lastrowid)
        for artifact in skill.artifacts:
            self._blobs.put(artifact.content)
        rows = [skill_rows.artifact_columns(version, artifact) for artifact in skill.artifacts]
        self._db.executemany(_ADD_ARTIFACT, rows)
        self._db.executemany(
            "INSERT INTO skill_tags (skill_version, tag) VALUES (?, ?)",
            [(version, tag) for tag in dict.fromkeys(skill.tags)],
        )
        self._db.executemany(_ADD_PROOF, [skill_rows.proof_columns(version, proof) for proof in skill.proofs])
        return version

    def _point(self, name: str, number: int, version: int, document: Document) -> None:
        """Make a version the current one: the pointer and the full-text row move together."""
        self._db.execute(_DELETE_TEXT, (name,))
        self._db.execute("UPDATE skills SET current_version = ? WHERE name = ?", (number, name))
        self._db.execute(_ADD_TEXT, (version, *search_columns(document)))

    @property
    def clearance(self) -> Clearance:
        """Refuses skills that hold secrets."""
        return Clearance(self._db)

    def sync_base(self, folder: Path) -> SyncBase:
        """Return what a folder held when it was last synced."""
        return SyncBase(self._db, folder)

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context in which several changes are made together or not at all."""
        return self._db.transaction()

    def set_current(self, ref: str, *, reason: str = "", action: str = CURRENT) -> Skill:
        """Make a version the current one of its name, and return it.

        Args:
            ref: ``NAME@VERSION`` or an id.
            reason: Why, for the history; the version that is current already leaves nothing there.
            action: What the history calls it: ``current`` or ``rolled_back``.
        """
        with self._db.transaction():
            row = self._find(ref)
            before = self._pointer(row["name"])
            self._point(row["name"], row["version"], row["pk"], self._document(row))
            if before != row["version"]:
                self._history.add(
                    row["name"], action, version=row["version"], from_version=before, reason=reason
                )
        return self._skill(row)

    def reindex(self) -> int:
        """Rebuild full text from nothing and return how many skills it holds."""
        with self._db.transaction():
            self._db.execute("INSERT INTO skills_fts (skills_fts) VALUES ('delete-all')")
            current = self.current_pks()
            for pk in current:
                self._db.execute(_ADD_TEXT, (pk, *search_columns(self._document(self._row(pk)))))
        return len(current)

    def set_state(self, ref: str, state: SkillState, *, reason: str = "") -> Skill:
        """Set a version's state, and return it.

        Args:
            ref: ``NAME``, ``NAME@VERSION`` or an id.
            state: The new one.
            reason: Why, for the history.

        Raises:
            UntrustedError: It is in quarantine, which only trust or retirement ends; or retired, from where
                it comes back through quarantine only.
        """
        if state not in get_args(SkillState):
            raise UsageError(
                f"there is no state {state!r}", hint=f"use one of {', '.join(get_args(SkillState))}"
            )
        with self._db.transaction():
            row = self._find(ref)
            _refuse_shortcut(f"{row['name']}@{row['version']}", row["state"], state)
            self._db.execute("UPDATE skill_versions SET state = ? WHERE pk = ?", (state, row["pk"]))
            if state != row["state"]:
                self._history.add(
                    row["name"], STATE, version=row["version"], from_version=row["current_version"],
                    reason=reason, detail={"from": row["state"], "to": state},
                )  # fmt: skip
        return self.by_pk(row["pk"])

    def add_proof(self, ref: str, proof: Proof) -> None:
        """Add a proof to a version."""
        with self._db.transaction():
            self._db.execute(_ADD_PROOF, skill_rows.proof_columns(self.version_pk(ref), proof))

    def add_example(self, ref: str, task: str) -> None:
        """Keep a task that a version served, so that the next one like it is found; the newest stay."""
        task = storable(task.strip()) or ""
        with self._db.transaction():
            row = self._find(ref)
            examples = [example for example in load_json(row["examples"]) if example != task]
            source, served = examples[:1], examples[1:]
            kept = [*source, *[*served, task][1 - MAX_EXAMPLES :]] if source else [task]
            if not task or kept == load_json(row["examples"]):
                return
            self._db.execute(
                "UPDATE skill_versions SET examples = ? WHERE pk = ?", (dump_json(kept), row["pk"])
            )
            if row["version"] == row["current_version"]:
                document = self._document(row) | {"examples": kept}
                self._point(row["name"], row["version"], row["pk"], document)

    def delete(self, ref: str, *, reason: str = "") -> tuple[str, ...]:
        """Delete a skill, or with ``NAME@VERSION`` or an id one version, and return what went.

        Its executions and its history stay.

        Args:
            ref: What to delete.
            reason: Why, for the history.

        Raises:
            RefusedError: Another skill calls it.
        """
        with self._db.transaction():
            row = self._find(ref)
            every = self.versions(row["name"])
            gone = every if ref == row["name"] else [row["version"]]
            left = [number for number in every if number not in gone]
            names = tuple(f"{row['name']}@{number}" for number in gone)
            self._refuse_in_use(row["name"], names if left else (*names, row["name"]))
            if row["current_version"] in gone:
                self._db.execute(_DELETE_TEXT, (row["name"],))
            for number in gone:
                self._history.add(
                    row["name"], DELETED, version=number, from_version=row["current_version"], reason=reason,
                    detail={"state": self.state(f"{row['name']}@{number}")},
                )  # fmt: skip
            self._db.executemany(
                "DELETE FROM skill_versions WHERE skill = ? AND version = ?",
                [(row["skill"], number) for number in gone],
            )
            if not left:
                self._db.execute("DELETE FROM skills WHERE pk = ?", (row["skill"],))
            elif row["current_version"] in gone:
                lost = f"version {row['current_version']} was deleted"
                self.set_current(f"{row['name']}@{self._best_of(row['skill'])}", reason=lost)
        return names

    def _refuse_in_use(self, name: str, references: Sequence[str]) -> None:
        params = {"name": name, "references": dump_json(list(references))}
        users = [row[0] for row in self._db.all(_USERS, params)]
        if users:
            raise RefusedError(f"skill {' and '.join(users)} calls {name}", hint=f"delete {users[0]} first")

    def _best_of(self, skill: int) -> int:
        """Return the newest version that may run, else the newest."""
        return int(self._db.scalar(
            "SELECT version FROM skill_versions WHERE skill = ?"
            " ORDER BY state IN ('quarantined', 'retired'), version DESC LIMIT 1",
            (skill,),
        ))  # fmt: skip

    def create_skill(self, skill: Skill) -> str:
        """Store a skill and return the id of its version; see ``add``."""
        return self.add(skill).id

    def get_skill_by_id(self, skill_id: str) -> Skill:
        """Return the version with this id."""
        return self.get(skill_id)

    def get_skill_by_name(self, name: str, version: int | None = None) -> Skill:
        """Return a version of a skill, by default the current one."""
        return self.get(name if version is None else f"{name}@{version}")

    def search_skills(self, query: str, tags: Sequence[str] | None = None) -> Skills:
        """Return the skills that hold any word of the query and all of the tags, best first."""
        found = (self.by_pk(pk) for pk, _ in self.search(query))
        return [skill for skill in found if set(tags or ()) <= set(skill.tags)]

    def get_all_skills(self) -> Skills:
        """Return the current version of every skill; ``list`` streams summaries of large libraries."""
        return [self.by_pk(pk) for pk in self.current_pks()]

    def update_skill_metrics(
        self,
        skill_id: str,
        success: bool,  # noqa: FBT001  (the specification's signature)
        duration: float,
        cost: float | None = None,
    ) -> Mapping[str, Json]:
        """Check that the ledger holds an execution with these figures, and return the exact metrics.

        Nothing is updated: metrics are counted from the executions, so they cannot drift.

        Raises:
            UsageError: The version's last finished execution has other figures.
        """
        row = self._find(skill_id)
        last = self._db.one(
            "SELECT success, duration_seconds, cost_usd FROM executions"
            " WHERE skill_version = ? AND success IS NOT NULL ORDER BY pk DESC LIMIT 1",
            (row["pk"],),
        )
        if last is None or (bool(last[0]), last[1], last[2]) != (success, duration, cost):
            raise UsageError(
                f"the last execution of {row['name']}@{row['version']} has other figures than these",
                hint="record the execution first, with create_skill_execution",
            )
        metrics = self._db.one("SELECT * FROM skill_metrics WHERE skill_id = ?", (row["id"],))
        assert metrics is not None
        return dict(metrics)

    def create_skill_execution(self, execution: Execution) -> str:
        """Store an execution that is over, and return its id."""
        return ExecutionLedger(self._db).record(execution)

    def get_skill_executions(self, skill_id: str) -> Executions:
        """Return what a version's executions did, newest first."""
        row = self._find(skill_id)
        return [*ExecutionLedger(self._db).list(row["name"], version=row["version"])]

    def get_skill_artifacts(self, skill_id: str) -> Artifacts:
        """Return the files that belong to a version."""
        return [*self._artifacts(self.version_pk(skill_id))]


def _refuse_unsound(skill: Skill) -> None:
    problems = validate_skill(skill)
    if problems:
        shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")  # noqa: PLR2004  (what fits a line or two)
        raise UsageError(f"skill {skill.name[:80]!r} cannot be stored: {shown}")
    if skill.state not in get_args(SkillState):
        raise UsageError(
            f"there is no state {skill.state!r}", hint=f"use one of {', '.join(get_args(SkillState))}"
        )


def _refuse_shortcut(ref: str, old: SkillState, new: SkillState) -> None:
    """Refuse ways around trust: out of quarantine, or out of retirement, where a quarantined one may be."""
    if old == "quarantined" and new not in ("quarantined", "trusted", "retired"):
        raise UntrustedError(
            f"skill {ref} is in quarantine and cannot become {new}",
            hint=f"look at it, then `skillsmith trust {ref}`",
        )
    if old == "retired" and new not in ("retired", "quarantined"):
        raise UntrustedError(
            f"skill {ref} is retired and cannot become {new} at once",
            hint=f"make it quarantined and look at it, then `skillsmith trust {ref}`",
        )
