"""One task through the product: match, execute, and what an independent judge says of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _suite.model import Done, Family, Planted, Source, Task
from _suite.plain import seconds_without
from _suite.play import methods_of, play, write_files
from _suite.stopwatch import Stopwatch, TimedAgents, TimedTools
from skillsmith.capture.redact import redact_event
from skillsmith.errors import SkillsmithError
from skillsmith.library.execution.outcome import ExecutionResult
from skillsmith.library.executor import SkillExecutor
from skillsmith.models import Adaptation, Skill
from skillsmith.workspace import Workspace

UNRELATED = "Which films are on at the cinema tonight?"


@dataclass(slots=True)
class Trial:
    """What came of one task.

    Args:
        found: The skill that was matched; None: the product said that none fits.
        succeeded: Whether the product says that the skill did the task.
        run_id: The execution's run.
        problems: What the judge found wrong, or why it came to nothing.
        planted: How many deviations were planted.
        recorded: How many of them are in the record, with kind, target and value.
        missed: Those that are not, a line each.
        unplanted: What else was recorded.
        whole: Seconds from the words to the result; None when nothing was executed.
        phases: Seconds of it by phase: in code, tools and agents, and in what the product does beside them.
        cpu: Seconds of it that its thread computed.
        direct: Seconds that the same work takes without the product.
    """

    family: str
    words: str
    right: str
    found: str | None = None
    succeeded: bool = False
    run_id: str | None = None
    problems: list[str] = field(default_factory=list)
    planted: int = 0
    recorded: int = 0
    missed: list[str] = field(default_factory=list)
    unplanted: list[str] = field(default_factory=list)
    whole: float | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    direct: float = 0.0

    @property
    def completed(self) -> bool:
        """Whether the right skill did the task and the judge agrees."""
        return self.found == self.right and self.succeeded and not self.problems


class Suite:
    """A library of skills from the families' source runs, and the tasks run against it.

    Args:
        root: An empty folder.
        workspace: An empty database in it.
    """

    def __init__(self, root: Path, workspace: Workspace) -> None:
        self._root = root
        self._workspace = workspace
        self._watch = Stopwatch()
        self._count = 0

    def learn(self, family: Family) -> None:
        """Have a family's source runs happen and extract a skill from each."""
        for source in family.sources:
            self.learn_from(source, family)

    def learn_from(self, source: Source, family: Family) -> Skill:
        """Have a source run happen, and return the skill that came of it.

        Raises:
            SkillsmithError: No skill can be made of it.
            AssertionError: The source run itself did not do its task.
        """
        folder = self._root / "sources" / source.name
        run_id, done = play(source, db=Path(self._workspace.path), folder=folder, service=_service(family))
        problems = [problem for check in source.checks for problem in check(done)]
        assert not problems, f"{source.name}: {problems}"
        return self.learn_from_run(run_id, source)

    def learn_from_run(self, run_id: str, source: Source) -> Skill:
        """Return the skill that comes of a captured run, with its owner's changes.

        Raises:
            SkillsmithError: No skill can be made of it.
        """
        skill = self._workspace.extractor.extract([run_id], name=source.name).skill
        return self._workspace.skills.add(source.edit(skill)) if source.edit else skill

    def warm_up(self, family: Family) -> None:
        """Load what any first use loads, on the first source's own task."""
        self._workspace.vectors.sync()
        self._workspace.matcher.match(UNRELATED)
        source = family.sources[0]
        task = Task(words=source.task, skill=source.name, checks=(), files=source.files)
        self._executed(Trial(family.name, task.words, source.name), task, family)

    def trials(self, families: Sequence[Family]) -> Iterator[Trial]:
        """Run every task, one of each family in turn, and yield what came of it."""
        for number in range(max(len(family.tasks) for family in families)):
            for family in families:
                if number < len(family.tasks):
                    yield self.trial(family.tasks[number], family)

    def trial(self, task: Task, family: Family) -> Trial:
        """Run one task, and return what came of it."""
        trial = Trial(family.name, task.words, task.skill, planted=len(task.planted))
        done = self._executed(trial, task, family)
        if done is None:
            trial.missed += [f"{planted.kind}: nothing was executed" for planted in task.planted]
        else:
            trial.problems += [problem for check in task.checks for problem in check(done)]
        return trial

    def _executed(self, trial: Trial, task: Task, family: Family) -> Done | None:
        self._count += 1
        folder = write_files(self._root / f"task{self._count}", task.files)
        service = _service(family)
        if task.trouble:
            task.trouble(service)
        tools = TimedTools(methods_of(service), label=family.name, watch=self._watch) if service else None
        agents = TimedAgents(task.agents(), self._watch) if task.agents else None
        executor = SkillExecutor(
            self._workspace.db, tools=tools, agents=agents, redact=redact_event, backoff_seconds=0.0
        )
        with contextlib.chdir(folder), self._watch.at_doors():
            began, computed = time.perf_counter(), time.thread_time()
            with self._watch.during("matching"):
                found = self._workspace.matcher.choose(task.words)
            if found.abstained:
                trial.problems.append(f"no skill was found: {found.reason}")
                return None
            best = found.matches[0]
            trial.found = best.name
            with self._watch.during("preparing"):
                skill = self._workspace.skills.get(f"{best.name}@{best.version}")
            try:
                result = executor.execute_skill(skill, {"task": task.words, "confidence": best.confidence})
            except SkillsmithError as error:
                trial.problems.append(f"{type(error).__name__}: {error.message}")
                return None
            finally:
                whole, trial.cpu = time.perf_counter() - began, time.thread_time() - computed
                trial.phases = self._watch.seconds()
        self._note(trial, task, skill, result)
        trial.whole = whole
        trial.direct = seconds_without(
            self._workspace, result.run_id or "", folder=self._root / f"direct{self._count}",
            files=task.files, service=_service(family),
        )  # fmt: skip
        return Done(folder=Path(result.work_dir or folder), outputs=result.outputs, service=service)

    @staticmethod
    def _note(trial: Trial, task: Task, skill: Skill, result: ExecutionResult) -> None:
        trial.succeeded, trial.run_id = bool(result.success), result.run_id
        if result.error:
            trial.problems.append(result.error)
        left = list(result.adaptations)
        for planted in task.planted:
            one = _recorded(planted, skill, left)
            if one is None:
                trial.missed.append(f"{planted.kind} of {planted.target(skill)} to {planted.after!r}")
            else:
                left.remove(one)
                trial.recorded += 1
        trial.unplanted += [f"{one.type} of {one.target} to {one.after!r}" for one in left]


def _service(family: Family) -> Any:
    return family.service() if family.service else None


def _recorded(planted: Planted, skill: Skill, found: Sequence[Adaptation]) -> Adaptation | None:
    for one in found:
        alike = planted.after is None or one.after == planted.after
        if one.type == planted.kind and one.target == planted.target(skill) and alike:
            return one
    return None
