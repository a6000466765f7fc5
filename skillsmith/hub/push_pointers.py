"""Move a hub's pointers where ours have moved, and tell it what was deleted here.

A pointer is compared and set under the hub's lock, so that no other machine's move is ever overwritten
unseen. What was in quarantine when it was deleted was only declined: that stays between a user and their
file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from skillsmith.errors import NotFoundError, UntrustedError
from skillsmith.hub import local_rows
from skillsmith.hub.client import Hub
from skillsmith.hub.deciding import ABSENT, Push, decide_push, moved_here
from skillsmith.hub.local_rows import Pointer
from skillsmith.hub.marks import ALIVE, DEFERRED, GONE, Base, Marks
from skillsmith.hub.reports import PointerConflict
from skillsmith.library.store.history import user_name
from skillsmith.workspace import Workspace

BATCH = 1000

_THERE = """
SELECT s.name, k.digest, k.machine::text, m.name FROM stage s
JOIN skills k ON k.name = s.name JOIN machines m ON m.id = k.machine
"""
_MOVE = """
INSERT INTO skills (name, digest, machine, by_user)
SELECT s.name, s.digest, %(machine)s, %(user)s FROM stage s
WHERE s.digest IS NULL OR EXISTS (SELECT 1 FROM versions v WHERE v.name = s.name AND v.digest = s.digest)
ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, machine = excluded.machine,
  by_user = excluded.by_user, at = now(), seq = excluded.seq
RETURNING name
"""
_BURY = """
INSERT INTO tombstones (name, digest, gone, machine, by_user, reason)
SELECT s.name, s.digest, s.gone, %(machine)s, %(user)s, s.reason FROM stage s
ON CONFLICT (name, digest) DO UPDATE SET gone = excluded.gone, machine = excluded.machine,
  by_user = excluded.by_user, reason = excluded.reason, at = now(), seq = excluded.seq
WHERE tombstones.gone <> excluded.gone
"""


@dataclass(slots=True, kw_only=True)
class Pointed:
    """What became of pointers and deletions."""

    moved: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    conflicts: tuple[PointerConflict, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Batch:
    """The decisions on some names."""

    moves: dict[str, str | None] = field(default_factory=dict)
    settled: list[tuple[str, Base]] = field(default_factory=list)
    conflicts: list[PointerConflict] = field(default_factory=list)


def push_pointers(
    workspace: Workspace, hub: Hub, marks: Marks, *, machine: str, ours: Collection[str] = ()
) -> Pointed:
    """Bring the hub's pointers and tombstones up to date.

    Args:
        workspace: The file.
        hub: It has our versions by now.
        marks: What is known of it.
        machine: This file's id.
        ours: Names whose pointer gives way to ours in any case.

    Raises:
        NotFoundError: A name in ``ours`` is not known.
        UntrustedError: A name in ``ours`` stands for a version that may not run.
    """
    work = _Pointers(workspace, hub, marks, machine=machine, ours=frozenset(ours))
    deleted = work.bury()
    work.point()
    return Pointed(moved=tuple(work.moved), deleted=deleted, conflicts=tuple(work.conflicts))


class _Pointers:
    """One push's pointers."""

    def __init__(
        self, workspace: Workspace, hub: Hub, marks: Marks, *, machine: str, ours: frozenset[str]
    ) -> None:
        self._hub = hub
        self._marks = marks
        self._who = {"machine": machine, "user": user_name()}
        self._ours = ours
        self._db = workspace.db
        self._here = local_rows.pointers(workspace.db)
        self._present = local_rows.present(workspace.db)
        self._bases = marks.bases()
        self._numbers = marks.numbers()
        self.moved: list[str] = []
        self.conflicts: list[PointerConflict] = []

    def bury(self) -> tuple[str, ...]:
        """Send tombstones of what was deleted here, and lift those of what was taken up again."""
        known = self._marks.gone()
        rows: dict[tuple[str, str], tuple[bool, str]] = {}
        labels: dict[tuple[str, str], str] = {}
        for (name, number), digest in self._numbers.items():
            key = (name, digest)
            if key in self._present:
                revived = known.get(key) == GONE and self._present[key][1] != "retired"
                if revived or (known.get(key) == DEFERRED and name in self._ours):
                    rows[key] = (False, "")
            elif known.get(key) != GONE and not self._declined(name, number):
                gone = local_rows.deletion(self._db, name, number)
                rows[key], labels[key] = (True, gone["reason"] if gone else ""), f"{name}@{number}"
        if rows:
            with self._hub.transaction(writer=True):
                self._hub.stage(
                    "name text, digest text, gone boolean, reason text",
                    ((*key, gone, reason.replace("\0", " ")) for key, (gone, reason) in rows.items()),
                )
                self._hub.execute(_BURY, self._who)
            self._marks.put_gone((*key, GONE if gone else ALIVE) for key, (gone, _reason) in rows.items())
        return tuple(labels.values())

    def _declined(self, name: str, number: int) -> bool:
        gone = local_rows.deletion(self._db, name, number)
        return gone is not None and gone["state"] == "quarantined"

    def point(self) -> None:
        """Move pointers, a batch at a time."""
        self._check_ours()
        names = iter(sorted(self._candidates()))
        while some := list(islice(names, BATCH)):
            with self._hub.transaction(writer=True):
                self._hub.stage("name text", ((name,) for name in some))
                there = {row[0]: row[1:] for row in self._hub.all(_THERE)}
                batch = self._decide(some, there)
                self._hub.stage("name text, digest text", batch.moves.items())
                moved = {row[0] for row in self._hub.all(_MOVE, self._who)}
            bases = {name: Base(there=digest, here=digest) for name, digest in batch.moves.items()}
            self._marks.put_bases([*batch.settled, *((name, bases[name]) for name in sorted(moved))])
            self.moved += sorted(moved)
            self.conflicts += batch.conflicts

    def _check_ours(self) -> None:
        for name in sorted(self._ours):
            here = self._here.get(name)
            if here is None and name not in self._bases:
                raise NotFoundError(f"there is no skill {name!r}", hint="`skillsmith list` shows them")
            if here is not None and not here.usable:
                raise UntrustedError(
                    f"{name}@{here.version} is {here.state}, so the hub's pointer cannot stand there",
                    hint=f"look at it, then `skillsmith trust {name}`",
                )

    def _candidates(self) -> Iterator[str]:
        for name in self._here.keys() | self._bases.keys():
            if name in self._ours or moved_here(self._bases.get(name), self._here.get(name)):
                yield name

    def _decide(self, names: Collection[str], there: Mapping[str, tuple[Any, ...]]) -> _Batch:
        batch = _Batch()
        for name in names:
            base, here = self._bases.get(name), self._here.get(name)
            digest, machine, label = there.get(name, (ABSENT, None, ""))
            if here is None and base is not None and self._was_declined(name, base):
                batch.settled.append((name, Base(there=base.there, here=None)))
                continue
            ours_there = machine == self._who["machine"] or (base is None and self._went_on(name, digest))
            way = decide_push(base, here, digest, ours_there=ours_there)
            if name in self._ours and way is not Push.SETTLE:
                way = Push.MOVE
            if way is Push.MOVE:
                batch.moves[name] = here.digest if here else None
            elif way is Push.SETTLE:
                batch.settled.append((name, Base(there=digest, here=digest)))
            elif way is Push.CONFLICT:
                batch.conflicts.append(self._conflict(name, here, digest, label))
        return batch

    def _was_declined(self, name: str, base: Base) -> bool:
        numbers = [number for (known, number), digest in self._numbers.items()
                   if known == name and digest == base.here]  # fmt: skip
        return any(self._declined(name, number) for number in numbers)

    def _went_on(self, name: str, digest: Any) -> bool:
        """Tell whether we have the hub's version and found it good, so that ours came after it."""
        number_state = self._present.get((name, digest))
        return number_state is not None and number_state[1] not in ("quarantined", "retired")

    def _conflict(self, name: str, here: Pointer | None, digest: str | None, machine: str) -> PointerConflict:
        number = self._present.get((name, digest or ""))
        return PointerConflict(
            name=name, here=here.version if here else None, there=number[0] if number else None,
            machine=machine, reasons=("the hub's pointer was moved since; `skillsmith hub pull` merges",),
        )  # fmt: skip
