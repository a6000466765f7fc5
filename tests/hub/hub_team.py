"""Two machines that share a hub, what they may do to their libraries, and whether they agree in the end."""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from skillsmith.errors import SkillsmithError
from skillsmith.hub.address import Address
from skillsmith.hub.client import Hub
from skillsmith.hub.pull import pull
from skillsmith.hub.push import push
from skillsmith.hub.reports import PullReport, PushReport
from skillsmith.library.exchange import trust
from skillsmith.models import Adaptation, Execution, Node, Skill
from skillsmith.workspace import Workspace, open_workspace

PLOT = Skill(name="plot", description="Plot a table.", nodes=(Node(id="n1", kind="tool", tool="plot"),))


def address(url: str) -> Address:
    """Return an address without asking the environment."""
    return Address(url=url, shown=url)


def execution(skill: str, version: int, *, success: bool = True, **facts: Any) -> Execution:
    """Return an execution that is over."""
    started = time.time()
    values: dict[str, Any] = {
        "id": "", "run_id": None, "task": f"do {skill}", "started_at": started, "completed_at": started + 2,
        "duration_seconds": 2.0, "error": None if success else "it broke", "inputs": {"n": 1}, "outputs": {},
        "adaptations": (Adaptation(type="parameter_change", target="n1", before=1, after=2, reason="asked"),),
        "cost_usd": 0.25, "confidence": 0.9, "artifacts": (),
    }  # fmt: skip
    return Execution(skill=skill, version=version, success=success, **(values | facts))


class Machine:
    """One file, and how it talks to the hub.

    Args:
        path: The file.
        url: The hub.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.workspace: Workspace = open_workspace(path, _embedder=None)

    def hub(self, **options: Any) -> Hub:
        """Return a new connection."""
        return Hub(address(self.url), **options)

    def push(self, **options: Any) -> PushReport:
        """Send what is new."""
        with self.hub(create=True) as hub:
            return push(self.workspace, hub, **options)

    def pull(self, theirs: Collection[str] = (), *, again: bool = False) -> PullReport:
        """Take in what is new."""
        with self.hub() as hub:
            return pull(self.workspace, hub, theirs=theirs, again=again)

    def digest(self, name: str) -> str | None:
        """Return the content digest of the current version; None without a skill that may run."""
        skills = self.workspace.skills
        if not skills.exists(name) or skills.state(name) == "retired":
            return None
        return skills.stored_digest(name)

    def versions(self) -> set[tuple[str, str]]:
        """Return name and content digest of all versions."""
        skills = self.workspace.skills
        return {(name, digest) for name in skills.names() for digest in skills.contents(name)}

    def ledger(self) -> set[tuple[Any, ...]]:
        """Return what the ledger says, but for numbers of versions and keys of this file."""
        rows = self.workspace.db.all(
            "SELECT x.id, x.skill_name, x.task_description, x.started_at, x.completed_at, x.success,"
            " x.cost_usd, x.inputs, x.outputs, x.error_message, (SELECT group_concat(a.type || a.target"
            " || a.before || a.after || a.reason || a.evidence, '|')"
            " FROM adaptations a WHERE a.execution = x.pk) FROM executions x"
        )
        return {tuple(row) for row in rows}

    def trust_all(self) -> None:
        """Trust everything in quarantine."""
        skills = self.workspace.skills
        for name in skills.names():
            for number in skills.versions(name):
                if skills.state(f"{name}@{number}") == "quarantined":
                    trust(skills, f"{name}@{number}")

    def edit(self, chance: random.Random) -> None:
        """Do something to the library that a user may do."""
        skills = self.workspace.skills
        names = skills.names()
        what = chance.choice(
            ("new", "version", "version", "version", "use", "use", "trust", "delete", "back")
        )
        name = chance.choice(names) if names else "s0"
        if what == "new" or not names:
            name = f"s{chance.randrange(8)}"
            if not skills.exists(name):
                skills.add(replace(PLOT, name=name, description=f"first {chance.random()}"))
        elif what == "version":
            field, value = chance.choice(("tags", "description", "body")), str(chance.random())
            fields: dict[str, Any] = {field: (value,) if field == "tags" else value}
            changed = replace(skills.get(name), **fields)
            skills.add(replace(changed, state="draft"))
        elif what == "use":
            number = chance.choice(skills.versions(name))
            self.workspace.ledger.record(execution(name, number, success=chance.random() < 0.7))
        elif what == "trust":
            trust(skills, name)
        elif what == "delete" and chance.random() < 0.5:
            skills.delete(f"{name}@{chance.choice(skills.versions(name))}", reason="not needed")
        elif what == "back":
            self._roll_back(name, chance)

    def _roll_back(self, name: str, chance: random.Random) -> None:
        number = chance.choice(self.workspace.skills.versions(name))
        if self.workspace.skills.state(f"{name}@{number}") not in ("quarantined", "retired"):
            self.workspace.versions.rollback_to_version(name, number, reason="better")


class Team(AbstractContextManager["Team"]):
    """Two machines and a hub.

    Args:
        url: The hub.
        folder: Where their files are.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.ann = Machine(folder / "ann.db", url)
        self.bob = Machine(folder / "bob.db", url)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for machine in (self.ann, self.bob):
            machine.workspace.close()

    def settle(self) -> None:
        """Let both trust what came and agree on every pointer; of a conflict Ann's side wins."""
        for _round in range(8):
            quiet = True
            for machine in (self.ann, self.bob):
                machine.trust_all()
                pulled = machine.pull()
                machine.trust_all()
                pushed = machine.push()
                quiet &= not (
                    pulled.versions or pulled.merged or pulled.moved or pushed.versions or pushed.moved
                    or pulled.conflicts or pushed.conflicts or pulled.waiting or pushed.executions
                    or pulled.executions or pulled.retired or pushed.deleted
                )  # fmt: skip
                for conflict in (*pulled.conflicts, *pushed.conflicts):
                    self._decide(machine, conflict.name)
                if pulled.waiting:  # drafts, which never take over from what was found good by themselves
                    machine.pull([reference.partition("@")[0] for reference in pulled.waiting])
            if quiet:
                return
        raise AssertionError(f"they never come to rest: {pulled}, {pushed}")

    def _decide(self, machine: Machine, name: str) -> None:
        try:
            if machine is self.ann:
                machine.push(ours=[name])
            else:
                machine.pull([name])
        except SkillsmithError:
            machine.trust_all()
