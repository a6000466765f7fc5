"""Run a skill and its changed version on the recorded inputs of past executions, in turn, for real.

Each side works in its own scratch folder with the files that the execution was given, and is written down in
a scratch database: neither the user's files nor the ledger see anything of it. Code really runs; what would
change something outside is answered from the record.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from skillsmith.db import Database
from skillsmith.errors import SkillsmithError
from skillsmith.ids import digest_of
from skillsmith.library.execution.cleaning import holds_redacted
from skillsmith.library.execution.marks import SKIPPED_FOLDERS
from skillsmith.library.execution.preparation import Means
from skillsmith.library.execution.sandbox import SCRIPT_PREFIX
from skillsmith.library.execution.walk import ExecutionCallbacks
from skillsmith.library.execution.workfolder import MAX_COPIED_BYTES
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.optimizing.replay import RecordedAgents, RecordedTools
from skillsmith.library.program.languages import is_python
from skillsmith.library.program.paths import leaves_folder
from skillsmith.library.proposing.code import parsed, reaches_beyond
from skillsmith.library.proposing.facts import Fact, FactReader, Facts
from skillsmith.library.repository import SkillRepository
from skillsmith.library.store.reader import SkillReader
from skillsmith.models import AgentRunner, Json, Node, Skill, ToolSource

_REMOTE = re.compile(r"\b(?:curl|wget|ssh|scp|rsync|git\s+push|nc|mail|sendmail|ftp|sftp|aws|kubectl)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one version did on one recorded input.

    Args:
        files: Digest by path of what lay in the work folder in the end and was not brought in unchanged.
        changes: Calls that would have changed something, in order.
        unknown: Calls and questions that the record could not answer.
    """

    success: bool
    seconds: float
    cost_usd: float | None
    error: str | None = None
    outputs: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    changes: Sequence[tuple[str, Json]] = ()
    unknown: Sequence[str] = ()
    replayed: int = 0
    asked_for_real: int = 0
    inputs_given: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What both versions did on the input of one past execution."""

    fact: Fact
    parent: Side
    child: Side


class _Scratch(SkillExecutor):
    """An executor that sees no files but those of its trial.

    Args:
        folder: Where relative paths lead from; holds nothing.
    """

    folder = Path()

    def _means(self, callbacks: ExecutionCallbacks) -> Means:
        return replace(super()._means(callbacks), folder=self.folder)


class Trials:
    """Runs trials.

    Args:
        root: A scratch folder of its own; whoever made it removes it.
        reader: Gives the files of past executions.
        skills: Where sub-skills are found.
        tools: Where reads are made for real.
        agents: The model, for questions that the record does not hold.
        pace: Share of the recorded time that answers from the record take.
    """

    def __init__(
        self,
        root: Path,
        *,
        reader: FactReader,
        skills: SkillReader,
        tools: ToolSource | None = None,
        agents: AgentRunner | None = None,
        pace: float = 1.0,
    ) -> None:
        self._root = root
        self._reader = reader
        self._skills = skills
        self._tools = tools
        self._agents = agents
        self._pace = pace
        self._number = 0
        self._db = Database(root / "trials.db")

    def close(self) -> None:
        """Close the scratch database."""
        self._db.close()

    def admit(self, *versions: Skill) -> tuple[Skill, ...]:
        """Store versions in the scratch database, their sub-skills before them, and return them as stored."""
        repository, known = SkillRepository(self._db), set[str]()
        for skill in versions:
            for child in self._children(skill):
                if f"{child.name}@{child.version}" not in known:
                    repository.add(replace(child, state="proven"), keep_version=True)
                    known.add(f"{child.name}@{child.version}")
        # names of their own keep a parent and its child apart, whatever numbers they have
        return tuple(
            repository.add(replace(skill, name=f"t{place}-{skill.name}"[:60], state="proven", proofs=()))
            for place, skill in enumerate(versions)
        )

    def _children(self, skill: Skill) -> Iterator[Skill]:
        references = sorted({node.tool or "" for node in skill.nodes if node.kind == "skill"})
        for child in (self._skills.get(reference) for reference in references):
            yield from self._children(child)
            yield child

    def run(self, skill: Skill, fact: Fact, given: Mapping[str, Json]) -> Side:
        """Run one version on one recorded input.

        Args:
            skill: As ``admit`` returned it.
            fact: The past execution.
            given: Values of inputs; those left out take their defaults.
        """
        self._number += 1
        folder, empty = self._root / f"work{self._number}", self._root / "empty"
        empty.mkdir(exist_ok=True)
        folder.mkdir()
        try:
            inputs = self._lay_out(skill, fact, given, folder)
            return self._execute(skill, fact, inputs, folder, empty)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _lay_out(self, skill: Skill, fact: Fact, given: Mapping[str, Json], folder: Path) -> dict[str, Json]:
        """Put the recorded files into the folder; return the inputs with outside paths led into it."""
        for file in self._reader.files(fact.execution):
            if not leaves_folder(file.path):
                target = folder / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.content)
        inputs = dict(given)
        for variable in skill.variables:
            value = inputs.get(variable.name)
            if variable.type == "path" and isinstance(value, str) and leaves_folder(value):
                inputs[variable.name] = _brought_in(Path(value), folder, variable.name)
        return inputs

    def _execute(
        self, skill: Skill, fact: Fact, inputs: Mapping[str, Json], folder: Path, empty: Path
    ) -> Side:
        nodes = [node for node in skill.nodes if node.kind == "tool"]
        tools = RecordedTools(
            fact, names=(node.tool or "" for node in nodes),
            writes=(node.tool or "" for node in nodes if node.effect == "write"),
            real=self._tools, pace=self._pace,
        )  # fmt: skip
        agents = RecordedAgents(fact, real=self._agents, pace=self._pace)
        asks = self._agents is not None or fact.asked or any(node.kind == "agent" for node in skill.nodes)
        executor = _Scratch(self._db, tools=tools, work_dir=folder, agents=agents if asks else None)
        executor.folder = empty
        before = _digests(folder)
        callbacks = ExecutionCallbacks(approve=lambda _question, _node: True)
        context = {"task": fact.execution.task, "inputs": dict(inputs)}
        try:
            result = executor.execute_skill(skill, context, callbacks=callbacks)
        except SkillsmithError as error:
            return Side(success=False, seconds=0.0, cost_usd=None, error=error.message)
        files = {path: digest for path, digest in _digests(folder).items() if before.get(path) != digest}
        return Side(
            success=bool(result.success), seconds=result.duration_seconds, cost_usd=result.cost_usd,
            error=result.error, outputs=result.outputs, files=files, changes=tuple(tools.changes),
            unknown=(*tools.unknown, *agents.unknown), replayed=tools.replayed,
            asked_for_real=agents.asked_for_real, inputs_given=len(inputs),
        )  # fmt: skip


def _brought_in(path: Path, folder: Path, name: str) -> str:
    """Copy a file from outside into the folder; return its path there."""
    place = f"outside/{name}/{path.name}"
    source, target = path.expanduser(), folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file() and source.stat().st_size <= MAX_COPIED_BYTES:
        shutil.copyfile(source, target)
    elif source.is_dir():
        return str(source)  # folders are only looked at
    return place


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): digest_of(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.startswith(SCRIPT_PREFIX)
        and not SKIPPED_FOLDERS & set(path.relative_to(folder).parts)
    }  # fmt: skip


def refusal(facts: Facts, skill: Skill, skills: SkillReader) -> str | None:
    """Return why a skill may not be run again for a comparison, or None.

    Args:
        facts: What its code was, with values in it.
        skill: The version.
        skills: Where sub-skills are found.
    """
    for node in skill.nodes:
        codes = {code for fact in facts.uses for code in fact.node(node.id).codes}
        codes |= {node.template.text} if node.kind == "code" and node.template else set()
        if node.kind == "code" and any(_may_reach_out(code, node) for code in codes):
            return (
                f"the code of {node.id} may change something outside its work folder, so it is not run again"
            )
        if node.kind == "skill":
            problem = refusal(Facts(skill=skill), skills.get(node.tool or ""), skills)
            if problem is not None:
                return f"{node.id}: {problem}"
    return None


def _may_reach_out(code: str, node: Node) -> bool:
    if not is_python(node.language or "python"):
        return _REMOTE.search(code) is not None
    tree = parsed(code)  # of a template with odd places nothing is known: its fillings are looked at
    return tree is not None and reaches_beyond(tree)


def repeatable(fact: Fact, skill: Skill) -> str | None:
    """Return why an execution cannot be repeated, or None."""
    if holds_redacted(dict(fact.execution.inputs)):
        return "it used a secret, which is not stored"
    lacking = [
        one.name for one in skill.variables if one.required and fact.execution.inputs.get(one.name) is None
    ]
    return f"it has no value for {', '.join(lacking)}" if lacking else None
