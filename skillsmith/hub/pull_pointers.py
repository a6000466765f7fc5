"""Let our pointers follow a hub's, as far as what they stand at may run here, and merge where both moved.

What waits for trust, and what could not be merged, is looked at again by every pull until it is settled.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import orjson

from skillsmith.errors import NotFoundError
from skillsmith.hub import local_rows
from skillsmith.hub.client import Hub
from skillsmith.hub.deciding import Pull, decide_pull
from skillsmith.hub.local_rows import Pointer
from skillsmith.hub.marks import Base, Marks
from skillsmith.hub.reports import PointerConflict
from skillsmith.library.program.document import Document, to_document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.sharing.merge import Merge, merge_skills
from skillsmith.models import Skill, SkillState
from skillsmith.workspace import Workspace

BATCH = 500

_NEW = """
SELECT k.seq, k.name, k.digest, m.name FROM skills k JOIN machines m ON m.id = k.machine
WHERE k.seq > %s ORDER BY k.seq LIMIT %s
"""
_NAMED = """
SELECT k.seq, k.name, k.digest, m.name FROM skills k JOIN machines m ON m.id = k.machine
WHERE k.name = ANY(%s) AND k.seq <= %s ORDER BY k.name
"""
_DOCUMENT = "SELECT document FROM versions WHERE name = %s AND digest = %s"


class PulledPointers:
    """One pull's pointers.

    Args:
        workspace: The file; the hub's versions are in it by now.
        hub: Read as of one moment.
        marks: What is known of it.
    """

    def __init__(self, workspace: Workspace, hub: Hub, marks: Marks) -> None:
        self._db = workspace.db
        self._repo = workspace.skills
        self._hub = hub
        self._marks = marks
        self._bases = marks.bases()
        self._here = local_rows.pointers(workspace.db)
        self.moved: list[str] = []
        self.merged: list[str] = []
        self.quarantined: list[str] = []
        self.retired: list[str] = []
        self.waiting: list[str] = []
        self.conflicts: list[PointerConflict] = []

    def follow(self, theirs: Collection[str] = ()) -> None:
        """Handle every pointer that moved on the hub, or that is still not settled.

        Args:
            theirs: Names of which the hub's pointer is followed in any case.

        Raises:
            NotFoundError: The hub has no skill of one of these names.
        """
        start = self._marks.cursor("skills")
        unsettled = {name for name, base in self._bases.items() if base.there not in (None, base.here)}
        names = sorted(unsettled | self._marks.open_names() | set(theirs))
        old = self._hub.all(_NAMED, (names, start))
        self._handle(old, theirs)
        known = {row[1] for row in old}
        while rows := self._hub.all(_NEW, (self._marks.cursor("skills"), BATCH)):
            known |= {row[1] for row in rows}
            self._handle(rows, theirs, up_to=rows[-1][0])
        for name in theirs:
            if name not in known:
                raise NotFoundError(
                    f"the hub has no skill {name!r}", hint="`skillsmith hub match TASK` finds some"
                )

    def _handle(
        self, rows: list[tuple[Any, ...]], theirs: Collection[str], *, up_to: int | None = None
    ) -> None:
        with self._db.transaction():
            for _seq, name, there, machine in rows:
                conflicts = len(self.conflicts)
                self._meet(name, there, machine, forced=name in theirs)
                self._marks.put_open([(name, len(self.conflicts) > conflicts)])
            if up_to is not None:
                self._marks.read_up_to("skills", up_to)

    def _meet(self, name: str, there: str | None, machine: str, *, forced: bool) -> None:
        base, here = self._bases.get(name), self._here.get(name)
        way = decide_pull(base, here, there)
        if forced and way is not Pull.SETTLE:
            way = Pull.FOLLOW
        if way is Pull.SETTLE:
            self._settle(name, there=there, here=there)
        elif way is Pull.FOLLOW:
            self._follow(name, here, there, machine, forced=forced)
        elif way is Pull.MERGE:
            self._bring_together(name, base, here, there, machine)

    def _settle(self, name: str, *, there: str | None, here: str | None) -> None:
        self._bases[name] = Base(there=there, here=here)
        self._marks.put_bases([(name, self._bases[name])])

    def _follow(
        self, name: str, here: Pointer | None, there: str | None, machine: str, *, forced: bool = False
    ) -> None:
        """Move our pointer to the hub's version if that may run here; else it waits for trust."""
        if there is None:
            if here is not None and here.state != "retired":
                self._repo.set_state(f"{name}@{here.version}", "retired", reason=f"deleted on {machine}")
                self.retired.append(f"{name}@{here.version}")
            self._settle(name, there=None, here=here.digest if here else None)
            return
        number, state = local_rows.present(self._db, name).get((name, there), (None, ""))
        if number is not None and _takes_over(here, state, forced=forced):
            self._repo.set_current(f"{name}@{number}", reason=f"the hub's, moved by {machine}")
            self.moved.append(f"{name}@{number}")
            self._settle(name, there=there, here=there)
            return
        if number is not None and state != "retired":
            self.waiting.append(f"{name}@{number}")
        self._settle(name, there=there, here=here.digest if here else None)

    def _bring_together(
        self, name: str, base: Base | None, here: Pointer | None, there: str | None, machine: str
    ) -> None:
        """Merge what both sides made of a skill, or report why that cannot be."""
        number, state = local_rows.present(self._db, name).get((name, there or ""), (None, ""))
        if there is None or number is None or here is None or base is None or base.here is None:
            self._refuse(name, here, number, machine, _why_not(base, here, there, number))
            return
        ours, theirs = self._repo.document(f"{name}@{here.version}"), self._repo.document(f"{name}@{number}")
        merge = merge_skills(self._ancestor(name, base.here), ours, theirs)
        if merge.skill is None:
            self._refuse(name, here, number, machine, merge.conflicts)
            return
        digest = content_digest(to_document(merge.skill))
        if digest == there:
            self._follow(name, here, there, machine)
        elif digest == here.digest:
            self._settle(name, there=there, here=base.here)  # ours has all of theirs: the next push says so
        else:
            self._store(name, merge, here, digest, known_good=state in ("proven", "trusted"))
            self._settle(name, there=there, here=here.digest)

    def _ancestor(self, name: str, digest: str) -> Document:
        known = local_rows.present(self._db, name).get((name, digest))
        if known is not None:
            return self._repo.document(f"{name}@{known[0]}")
        document: Document = orjson.loads(self._hub.scalar(_DOCUMENT, (name, digest)))
        return document

    def _store(self, name: str, merge: Merge, here: Pointer, digest: str, *, known_good: bool) -> None:
        """Store a merged version, unless an earlier pull or another machine made the same."""
        if (name, digest) in local_rows.present(self._db, name):
            return
        state: SkillState = "quarantined" if merge.brings_code and not known_good else "draft"
        parent = self._repo.get(f"{name}@{here.version}").id
        skill: Skill | None = merge.skill
        assert skill is not None
        merged = replace(skill, state=state, parent_id=parent, proofs=(), reason="merged with the hub's")
        stored = self._repo.add(merged, make_current=state == "draft")
        self.merged.append(f"{name}@{stored.version}")
        if state == "quarantined":
            self.quarantined.append(self.merged[-1])

    def _refuse(
        self, name: str, here: Pointer | None, number: int | None, machine: str, reasons: tuple[str, ...]
    ) -> None:
        self.conflicts.append(
            PointerConflict(
                name=name, here=here.version if here else None, there=number, machine=machine, reasons=reasons
            )
        )


def _takes_over(here: Pointer | None, state: str, *, forced: bool) -> bool:
    """Tell whether a version takes over from ours: what nobody has looked at never does from a good one."""
    if state in ("proven", "trusted"):
        return True
    return state == "draft" and (forced or here is None or not here.usable or here.state == "draft")


def _why_not(
    base: Base | None, here: Pointer | None, there: str | None, number: int | None
) -> tuple[str, ...]:
    if there is None:
        return ("it was changed here and deleted on the hub",)
    if here is None:
        return ("it was deleted here and changed on the hub",)
    if number is None:
        return ("the hub's version was not taken",)
    if base is None or base.here is None:
        return ("nothing is known that both came from",)
    return ()
