"""Take what is new on a hub: versions into quarantine, then tombstones, pointers, ledger and history.

The hub is read as it is at one moment, in the order of its commits, and only from where the last pull ended.
Each batch is stored together with how far it reached, in one transaction of the file, so that a pull that is
killed anywhere goes on where it was. What the hub says is checked like any imported file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from skillsmith.errors import InvalidSkillFileError
from skillsmith.hub import local_rows
from skillsmith.hub.client import Hub
from skillsmith.hub.marks import ALIVE, DEFERRED, GONE, Marks, machine_id
from skillsmith.hub.pull_pointers import PulledPointers
from skillsmith.hub.reports import PullReport, Refused, Renumbered
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.program.validation import REFERENCE
from skillsmith.library.sharing.file import read_skill_bytes
from skillsmith.library.sharing.skill_md_reader import carries_code
from skillsmith.models import Skill, SkillState
from skillsmith.workspace import Workspace

Progress = Callable[[int, str], None]

BATCH: Final = 200
ROWS_BATCH: Final = 2000

_VERSIONS = """
SELECT v.seq, v.name, v.digest, v.number, v.machine::text, m.name, v.document, coalesce(t.gone, false)
FROM versions v JOIN machines m ON m.id = v.machine
LEFT JOIN tombstones t ON t.name = v.name AND t.digest = v.digest
WHERE v.seq > %(after)s ORDER BY v.seq LIMIT %(limit)s
"""
_ONE_VERSION = """
SELECT v.seq, v.name, v.digest, v.number, v.machine::text, m.name, v.document, false
FROM versions v JOIN machines m ON m.id = v.machine WHERE v.name = %s AND v.digest = %s
"""
_CALLED = "SELECT digest FROM numbers WHERE machine = %s AND name = %s AND number = %s"
_EXAMPLES = """
SELECT seq, name, digest, task FROM examples WHERE seq > %(after)s ORDER BY seq LIMIT %(limit)s
"""
_TOMBSTONES = """
SELECT t.seq, t.name, t.digest, t.gone, t.reason, m.name FROM tombstones t JOIN machines m ON m.id = t.machine
WHERE t.seq > %(after)s ORDER BY t.seq LIMIT %(limit)s
"""
_LIFTED = "SELECT name, digest FROM tombstones WHERE seq > %s AND NOT gone ORDER BY seq"
_EXECUTIONS = """
SELECT seq, name, digest, number, body FROM executions WHERE seq > %(after)s ORDER BY seq LIMIT %(limit)s
"""
_HISTORY = """
SELECT h.seq, h.name, h.digest, h.from_digest, h.body, h.id, h.machine::text, m.name
FROM history h JOIN machines m ON m.id = h.machine WHERE h.seq > %(after)s ORDER BY h.seq LIMIT %(limit)s
"""


def pull(
    workspace: Workspace,
    hub: Hub,
    *,
    theirs: Collection[str] = (),
    again: bool = False,
    progress: Progress | None = None,
) -> PullReport:
    """Take in what is new on a hub.

    Args:
        workspace: The file.
        hub: Where from.
        theirs: Names of which the hub's pointer is followed, although ours has moved, too.
        again: Look at everything anew, also what was read before.
        progress: Told after each batch how many rows it had, and of what.

    Raises:
        NotFoundError: The hub has no skill of a name in ``theirs``.
        StorageError: The hub or the file broke off; what was taken stays.
    """
    work = _Pull(workspace, hub, progress or _silent)
    if again:
        work.marks.forget_read()
    with hub.snapshot():
        work.versions()
        work.examples()
        pointed = PulledPointers(workspace, hub, work.marks)
        pointed.follow(theirs)
        work.tombstones()
        work.executions()
        work.history()
    return PullReport(
        versions=tuple(work.new), quarantined=(*work.quarantined, *pointed.quarantined),
        renumbered=tuple(work.renumbered), moved=tuple(pointed.moved), merged=tuple(pointed.merged),
        retired=(*work.retired, *pointed.retired), waiting=tuple(pointed.waiting),
        conflicts=tuple(pointed.conflicts), refused=tuple(work.refused), executions=work.executions_new,
        history=work.history_new,
    )  # fmt: skip


class _Pull:
    """One pull under way, but for the pointers."""

    def __init__(self, workspace: Workspace, hub: Hub, progress: Progress) -> None:
        self._db = workspace.db
        self._repo = workspace.skills
        self._hub = hub
        self._progress = progress
        self._machine = machine_id(workspace.db)
        self.marks = Marks(workspace.db, hub.id)
        self.new: list[str] = []
        self.quarantined: list[str] = []
        self.renumbered: list[Renumbered] = []
        self.retired: list[str] = []
        self.refused: list[Refused] = []
        self.executions_new = 0
        self.history_new = 0

    def _each(self, table: str, sql: str, limit: int, handle: Callable[[tuple[Any, ...]], None]) -> None:
        """Handle what is new in a table; each batch is stored with a note of how far it went."""
        while rows := self._hub.all(sql, {"after": self.marks.cursor(table), "limit": limit}):
            with self._db.transaction():
                for row in rows:
                    handle(row)
                self.marks.read_up_to(table, rows[-1][0])
            self._progress(len(rows), table)

    def versions(self) -> None:
        """Store versions that are not here, in quarantine where they could run, and those taken up again."""
        self._each("versions", _VERSIONS, BATCH, self._take)
        for name, digest in self._hub.all(_LIFTED, (self.marks.cursor("tombstones"),)):
            for row in self._hub.all(_ONE_VERSION, (name, digest)):
                self._take(row)

    def _take(self, row: tuple[Any, ...]) -> None:
        _seq, name, digest, number, machine, label, text, gone = row
        here = local_rows.present(self._db, name).get((name, digest))
        if here is None and gone:
            self.marks.put_gone([(name, digest, GONE)])
            return
        if here is None:
            try:
                skill, document = self._read(name, digest, text, machine)
            except InvalidSkillFileError as error:
                self.refused.append(Refused(name=name, digest=digest, reason=str(error)))
                return
            here = self._store(skill, document, number=number)
        self.marks.put_numbers([(name, here[0], digest)])
        if here[0] != number and machine != self._machine:
            self.renumbered.append(Renumbered(here=f"{name}@{here[0]}", there=number, machine=label))

    def _read(self, name: str, digest: str, text: str, machine: str) -> tuple[Skill, Document]:
        """Return what a hub's document holds.

        Raises:
            InvalidSkillFileError: It is not what it promises, or would call something else here than there.
        """
        skill, document = read_skill_bytes(text.encode())
        if skill.name != name or content_digest(document) != digest:
            raise InvalidSkillFileError(
                "it does not hold what its digest says", hint="tell the owner of the hub"
            )
        for node in skill.nodes:
            if node.kind == "skill":
                self._check_called(node.tool or "", machine)
        return skill, document

    def _check_called(self, reference: str, machine: str) -> None:
        """Refuse a version that calls ``NAME@NUMBER`` where that number stands for something else here."""
        match = REFERENCE.fullmatch(reference)
        if match is None or not match[2]:
            return
        name, number = match[1], int(match[2])
        meant = {row[0] for row in self._hub.all(_CALLED, (machine, name, number))}
        known = local_rows.present(self._db, name)
        taken = number in local_rows.used_numbers(self._db, name)
        if meant and taken and not any(known.get((name, one), (0,))[0] == number for one in meant):
            there = [f"{name}@{known[name, one][0]}" for one in meant if (name, one) in known]
            raise InvalidSkillFileError(
                f"it calls {reference}, which is another version here",
                hint=f"what it means is {there[0]} here" if there else "compose it anew here",
            )

    def _store(self, skill: Skill, document: Document, *, number: int) -> tuple[int, SkillState]:
        used = local_rows.used_numbers(self._db, skill.name)
        version = max(used) + 1 if number in used else number
        state: SkillState = "quarantined" if carries_code(skill) else "draft"
        stored = self._repo.add_imported(
            skill, document, version=version, make_current=not self._repo.exists(skill.name), state=state
        )
        ref = f"{skill.name}@{stored.version}"
        self.new.append(ref)
        if state == "quarantined":
            self.quarantined.append(ref)
        return stored.version, state

    def tombstones(self) -> None:
        """Retire what other machines deleted; what a name still stands for here waits until it does not."""
        for (name, digest), what in self.marks.gone().items():
            if what == DEFERRED:
                with self._db.transaction():
                    self._bury((0, name, digest, True, "", "another machine"))
        self._each("tombstones", _TOMBSTONES, ROWS_BATCH, self._bury)

    def _bury(self, row: tuple[Any, ...]) -> None:
        _seq, name, digest, gone, reason, machine = row
        what = GONE if gone else ALIVE
        here = local_rows.present(self._db, name).get((name, digest))
        if gone and here is not None and here[1] != "retired":
            if self._repo.current_version(name) == here[0]:
                what = DEFERRED
            else:
                why = f"deleted on {machine}" + (f": {reason}" if reason else "")
                self._repo.set_state(f"{name}@{here[0]}", "retired", reason=why)
                self.retired.append(f"{name}@{here[0]}")
        self.marks.put_gone([(name, digest, what)])

    def examples(self) -> None:
        """Add tasks that versions served elsewhere; they help to find a skill."""
        self._each("examples", _EXAMPLES, ROWS_BATCH, self._add_example)

    def _add_example(self, row: tuple[Any, ...]) -> None:
        _seq, name, digest, task = row
        here = local_rows.present(self._db, name).get((name, digest))
        if here is not None:
            self._repo.add_example(f"{name}@{here[0]}", str(local_rows.decoded(task) or ""))

    def executions(self) -> None:
        """Add what versions did elsewhere."""
        present = local_rows.present(self._db)

        def add(row: tuple[Any, ...]) -> None:
            _seq, name, digest, number, text = row
            here, body = present.get((name, digest)), local_rows.decoded(text)
            if not local_rows.sound_execution(body):
                self.refused.append(Refused(name=name, digest=digest or "", reason="an execution is damaged"))
                return
            self.executions_new += local_rows.put_execution(
                self._db,
                body,
                number=here[0] if here else number,
                digest=digest if here else None,
            )

        self._each("executions", _EXECUTIONS, ROWS_BATCH, add)

    def history(self) -> None:
        """Add what was done elsewhere to versions that are here."""
        numbers = {(name, digest): number for (name, number), digest in self.marks.numbers().items()}
        known = local_rows.history_of_hubs(self._db)

        def add(row: tuple[Any, ...]) -> None:
            _seq, name, digest, from_digest, text, entry, machine, label = row
            number, body = numbers.get((name, digest)), local_rows.decoded(text)
            if number is None or machine == self._machine or entry in known:
                return
            if not local_rows.sound_history(body):
                self.refused.append(
                    Refused(name=name, digest=digest, reason="an entry of its history is damaged")
                )
            else:
                local_rows.put_history(
                    self._db, body, number=number, before=numbers.get((name, from_digest)),
                    origin={"hub": entry, "machine": label},
                )  # fmt: skip
                self.history_new += 1

        self._each("history", _HISTORY, ROWS_BATCH, add)


def _silent(_amount: int, _note: str) -> None:
    """Report to nobody."""
