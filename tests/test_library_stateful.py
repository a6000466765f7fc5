"""Random lives of a library: versions, rollbacks, optimising, deletion, export and import, in any order.

``SKILLSMITH_SEQUENCES`` says how many lives are tried; the default keeps the file quick. What is drawn never
hangs on the library's state: whether an optimised version is made depends on measured times.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import orders
import parts
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from skillsmith.errors import NotFoundError, RefusedError, UsageError
from skillsmith.library.exchange import export_skills, import_files, trust
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.sharing.verify import verify_library
from skillsmith.library.tools.callables import module_tools
from skillsmith.workspace import open_workspace

SEQUENCES = int(os.environ.get("SKILLSMITH_SEQUENCES", "12"))
STEPS = 15
UNUSABLE = ("quarantined", "retired")

NAMES = st.sampled_from(["cancel_order", "cancel_twin"])
NUMBERS = st.integers(1, 6)
WORDS = st.text("abc", min_size=1, max_size=4)


class Library(RuleBasedStateMachine):
    """One library, and what is known of it from outside."""

    exports = Bundle("exports")

    def __init__(self) -> None:
        super().__init__()
        self.work = open_workspace(":memory:", _embedder=None)
        self.folder = Path(mkdtemp(prefix="skillsmith-lives-"))
        self.digests: dict[tuple[str, int], str] = {}
        self.written = 0

    def teardown(self) -> None:
        """Go back once to every version that may run: it succeeds in every library."""
        for name in self.work.skills.names():
            for number in self.work.skills.versions(name):
                if self._state(name, number) not in UNUSABLE:
                    self.work.versions.rollback_to_version(name, number)
                    assert self.work.skills.current_version(name) == number
        self.work.close()
        shutil.rmtree(self.folder)

    def _state(self, name: str, number: int) -> str:
        return self.work.skills.state(f"{name}@{number}")

    # -------------------------------------------------------------------------------------- what is done

    @rule(name=NAMES, words=WORDS, lead=st.booleans())
    def version(self, name: str, words: str, lead: bool) -> None:
        """Make a version by changing the current one, or the first."""
        skills = self.work.skills
        if not skills.exists(name):
            made = skills.add(replace(parts.cancel_order(), name=name, body=words))
        else:
            changed = replace(skills.get(name), body=words)
            try:
                made = self.work.versions.create_version(changed, reason=words, make_current=lead)
            except UsageError as error:
                assert "nothing was changed" in error.message  # noqa: PT017  (only then it may be refused)
                return
            except RefusedError:
                assert lead
                assert skills.state(name) in UNUSABLE
                return
        assert (name, made.version) not in self.digests, "a number stands for one version for ever"

    @rule(place=st.integers(0, 11), words=WORDS)
    def rollback(self, place: int, words: str) -> None:
        """Go to a version that is or was there: it works when it may run, else it says why not."""
        known = [*sorted(self.digests), ("cancel_order", 99)]
        name, number = known[place % len(known)]
        there = self.work.skills.has(f"{name}@{number}")
        before = self.work.skills.current_version(name) if self.work.skills.exists(name) else None
        try:
            self.work.versions.rollback_to_version(name, number, reason=words)
        except NotFoundError as error:
            assert not there
            if (name, number) in self.digests:
                assert "was deleted" in error.message  # noqa: PT017  (a version that once was)
        except RefusedError:
            assert self._state(name, number) in UNUSABLE
            assert self.work.skills.current_version(name) == before
        else:
            event("rolled back" if before != number else "was current")
            assert self.work.skills.current_version(name) == number

    @rule(name=NAMES, reason=st.sampled_from(["late", "broken", "changed my mind"]))
    def optimise(self, name: str, reason: str) -> None:
        """Use the current version ten times with a value of one's own, and let it be improved."""
        if not self.work.skills.exists(name) or self.work.skills.state(name) in UNUSABLE:
            return
        skill = self.work.skills.get(name)
        executor = self.work.executor(tools=module_tools("orders"))
        for number in range(10):
            given = {"order_id": f"ORD-{number}", "reason": reason}
            assert executor.execute_skill(skill, {"task": "", "inputs": given}).success
        orders.JOURNAL.clear()
        done = self.work.optimizer.optimize(name, apply=True, reason="optimise")
        event("optimised" if done.version is not None else "nothing to optimise")
        if done.version is not None:
            assert self.work.skills.has(f"{name}@{done.version}")
            assert (name, done.version) not in self.digests

    @rule(name=NAMES, number=st.none() | NUMBERS)
    def delete(self, name: str, number: int | None) -> None:
        """Delete a version, or all of them."""
        with suppress(NotFoundError):
            self.work.skills.delete(name if number is None else f"{name}@{number}", reason="tidy")

    @rule(name=NAMES, number=NUMBERS)
    def retire(self, name: str, number: int) -> None:
        """Retire a version."""
        with suppress(NotFoundError):
            self.work.skills.set_state(f"{name}@{number}", "retired", reason="old")

    @rule(name=NAMES)
    def trust(self, name: str) -> None:
        """Trust what waits in quarantine, else the current version."""
        with suppress(NotFoundError):
            assert trust(self.work.skills, name).state == "trusted"

    @rule(target=exports)
    def export(self) -> tuple[Path, dict[str, Document]]:
        """Export every version of everything."""
        skills = self.work.skills
        refs = [f"{name}@{number}" for name in skills.names() for number in skills.versions(name)]
        self.written += 1
        folder = self.folder / str(self.written)
        export_skills(skills, refs, folder)
        return folder, {ref: skills.document(ref) for ref in refs}

    @rule(export=exports, new_version=st.booleans())
    def import_here(self, export: tuple[Path, dict[str, Document]], new_version: bool) -> None:
        """Import an older state of the same library: nothing that is there is changed."""
        if not export[1]:
            return
        skills = self.work.skills
        before = {name: skills.contents(name) for name in skills.names()}
        gone = {ref for ref in self._gone() if not skills.has(ref)}
        report = import_files(skills, [export[0]], new_version=new_version)
        for name, contents in before.items():
            assert contents.items() <= skills.contents(name).items()
        assert set(report.quarantined) <= set(report.imported)
        for ref in report.imported:
            if ref in gone:  # it came back under its own number
                name, _, number = ref.partition("@")
                self.digests.pop((name, int(number)), None)

    def _gone(self) -> set[str]:
        return {f"{name}@{number}" for name, number in self.digests}

    @rule(export=exports)
    def import_elsewhere(self, export: tuple[Path, dict[str, Document]]) -> None:
        """Import an export into an empty library: the very same documents, all of them."""
        if not export[1]:
            return
        with open_workspace(":memory:", _embedder=None) as other:
            import_files(other.skills, [export[0]])
            found = {
                f"{name}@{number}": other.skills.document(f"{name}@{number}")
                for name in other.skills.names()
                for number in other.skills.versions(name)
            }
            digests = {content_digest(document) for document in found.values()}
            assert digests == {content_digest(document) for document in export[1].values()}
            assert all(export[1][ref] == document for ref, document in found.items())

    # ------------------------------------------------------------------------------------ what must hold

    @invariant()
    def is_sound(self) -> None:
        """The file verifies, and every name has one current version, which is there and readable."""
        assert verify_library(self.work.db).problems == ()
        for name in self.work.skills.names():
            entries = self.work.versions.get_version_history(name)
            assert [one.version for one in entries if one.current] == [self.work.skills.get(name).version]
            assert [one.version for one in reversed(entries)] == self.work.skills.versions(name)

    @invariant()
    def versions_never_change(self) -> None:
        """A number stands for the same content as long as it is there, and for no other later."""
        for name in self.work.skills.names():
            for number in self.work.skills.versions(name):
                ref = f"{name}@{number}"
                digest = content_digest(self.work.skills.document(ref))
                assert digest == self.work.skills.stored_digest(ref)
                assert self.digests.setdefault((name, number), digest) == digest

    @invariant()
    def the_history_tells_the_state(self) -> None:
        """Told from its beginning, the history ends with what is there."""
        for name in ("cancel_order", "cancel_twin"):
            states: dict[int, str] = {}
            pointer: int | None = None
            told = []
            with suppress(NotFoundError):
                told = self.work.versions.history(name)
            for entry in reversed(told):
                assert entry.from_version == pointer
                if entry.action == "created":
                    states[entry.version] = entry.detail["state"]
                elif entry.action == "state":
                    assert states[entry.version] == entry.detail["from"]
                    states[entry.version] = entry.detail["to"]
                elif entry.action == "deleted":
                    del states[entry.version]
                    pointer = pointer if states else None
                if entry.moves:
                    pointer = entry.version
            skills = self.work.skills
            assert sorted(states) == skills.versions(name)
            assert states == {number: self._state(name, number) for number in states}
            assert pointer == (skills.current_version(name) if skills.exists(name) else None)


Library.TestCase.settings = settings(max_examples=SEQUENCES, stateful_step_count=STEPS, deadline=None)
TestLibrary = Library.TestCase
