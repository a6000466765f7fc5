"""Everything about an execution that can be known before anything runs, and everything that can be refused.

Whatever stops an execution here has changed nothing: no run, no file, no call. The same preparation is what
a dry run shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skillsmith.errors import ExecutionError, RefusedError, UntrustedError, UsageError
from skillsmith.library.execution.sandbox import check_language
from skillsmith.library.execution.workfolder import (
    FilePlan,
    FilePlanner,
    default_work_dir,
    skill_needs_folder,
)
from skillsmith.library.extraction.requirements import refuse_missing
from skillsmith.library.matching.binder import BoundValue
from skillsmith.library.matching.reading import Reading, read_task
from skillsmith.library.program.graph import Graph, Stop, build_graph
from skillsmith.library.program.inputs import (
    accept,
    as_setting,
    find_variable,
    missing_inputs,
    require_inputs,
)
from skillsmith.library.program.validation import validate_skill
from skillsmith.library.store.reader import SkillReader
from skillsmith.library.tools.callables import CheckedTools
from skillsmith.models import AgentRunner, Json, Skill, ToolSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What executions can use.

    Args:
        tools: Where tool nodes find their tools.
        agents: Runs agent nodes.
        can_ask: Whether there is a person to ask for approval.
        work_dir: Folder the code works in; None: a new one below ``folder``.
        folder: Where relative paths of the user lead from.
    """

    tools: ToolSource | None = None
    agents: AgentRunner | None = None
    can_ask: bool = False
    work_dir: Path | None = None
    folder: Path = field(default_factory=Path.cwd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One execution, ready to begin.

    Args:
        inputs: Values of the skill's inputs as the user means them.
        bound: Where each value that is no default came from.
        files: What is brought in, and the inputs as the nodes get them.
        work_dir: The work folder; None when nothing works with files.
        missing: Names of inputs without a value: required ones, and those of which the task says something
            that could not be read.
        defaults_used: Inputs from a person's words that kept the recorded value, as this task does not
            speak of them.
    """

    skill: Skill
    task: str
    graph: Graph
    inputs: Mapping[str, Json]
    bound: Mapping[str, BoundValue]
    files: FilePlan
    work_dir: Path | None
    missing: tuple[str, ...] = ()
    defaults_used: tuple[str, ...] = ()

    @property
    def reasons(self) -> dict[str, str]:
        """Why inputs are not their defaults, by name."""
        return {
            name: "given by hand" if one.rule == "given" else f"from the task: {one.evidence}"
            for name, one in self.bound.items()
        }


def prepare(
    skill: Skill,
    *,
    task: str,
    given: Mapping[str, Json],
    skills: SkillReader,
    means: Means,
    adapt: bool = True,
    only_look: bool = False,
) -> Preparation:
    """Prepare an execution.

    Args:
        skill: The version to run.
        task: What was asked for.
        given: Values by input name; text is read by the input's type.
        skills: Where sub-skills are found.
        means: What can be used.
        adapt: Whether the task's words may change inputs that have a default.
        only_look: Nothing will run: missing inputs, trust and tools are not insisted on.

    Raises:
        UsageError: An input is unknown or does not fit, or a required one has no value.
        RefusedError: The skill is not trusted, retired, or would write outside its work folder.
        ExecutionError: A tool, language, agent or person that it needs is not there.
    """
    _refuse_unsound(skill)
    graph = build_graph(skill, skills)
    reading = read_task(task, skill, folder=means.folder)
    inputs, bound = _bind(skill, reading, given, adapt=adapt)
    unclear = {name: said for name, said in reading.unclear.items() if name not in inputs}
    if not only_look:
        refuse_untrusted(graph)
        require_inputs(skill, inputs)
        _refuse_unclear(skill, unclear)
        require_means(graph, means)
    files, work_dir = FilePlan(values=inputs, files=(), outside=frozenset()), None
    missing = (*missing_inputs(skill, inputs), *unclear)
    if skill_needs_folder(graph):
        named = means.work_dir and means.folder / means.work_dir
        work_dir = named or default_work_dir(skill.name, folder=means.folder)
        if not missing:
            planner = FilePlanner(
                graph, values=inputs, explicit=bound, folder=means.folder, work_dir=work_dir
            )
            files = planner.plan()
    return Preparation(
        skill=skill, task=task, graph=graph, inputs=inputs, bound=bound, files=files, work_dir=work_dir,
        missing=missing, defaults_used=tuple(name for name in reading.unspoken if name not in bound),
    )  # fmt: skip


def _refuse_unsound(skill: Skill) -> None:
    if skill.id:  # stored versions were checked when they came in
        return
    problems = validate_skill(skill)
    if problems:
        raise UsageError(f"skill {skill.name!r} is not sound: {problems[0]}")


def _refuse_unclear(skill: Skill, unclear: Mapping[str, str]) -> None:
    """Refuse to use recorded values where the task says something else."""
    if not unclear:
        return
    defaults = {variable.name: variable.default for variable in skill.variables}
    said = "; ".join(
        f"{name} was {as_setting(defaults[name])}, and the task says “{text}”"
        for name, text in unclear.items()
    )
    raise UsageError(
        f"it is not clear which {' and '.join(unclear)} the task means ({said})",
        hint="give " + " ".join(f"--set {name}={as_setting(text)}" for name, text in unclear.items()),
    )


def _bind(
    skill: Skill, reading: Reading, given: Mapping[str, Json], *, adapt: bool
) -> tuple[dict[str, Json], dict[str, BoundValue]]:
    bound = {
        name: BoundValue(
            value=accept(value, find_variable(skill, name)), rule="given", evidence="given by hand"
        )
        for name, value in given.items()
    }
    required = {variable.name for variable in skill.variables if variable.required}
    for name, found in reading.bound.items():
        if name not in bound and (adapt or name in required):
            bound[name] = found
    inputs: dict[str, Json] = {}
    for variable in skill.variables:
        if variable.name in bound:
            inputs[variable.name] = bound[variable.name].value
        elif not variable.required and not (adapt and variable.name in reading.unclear):
            inputs[variable.name] = variable.default
    return inputs, bound


def refuse_untrusted(graph: Graph) -> None:
    """Refuse skills in quarantine and retired ones, the sub-skills too.

    Raises:
        UntrustedError: One is in quarantine.
        RefusedError: One is retired.
    """
    for skill in graph.skills.values():
        ref = f"{skill.name}@{skill.version}"
        if skill.state == "quarantined":
            raise UntrustedError(
                f"skill {ref} came from elsewhere and nobody has looked at its code",
                hint=f"see what it would do with --dry-run, then `skillsmith trust {ref}`",
            )
        if skill.state == "retired":
            raise RefusedError(f"skill {ref} is retired", hint="use another version of it")


def require_means(graph: Graph, means: Means) -> None:
    """Make sure that everything the nodes need to run is there.

    Raises:
        ExecutionError: A tool, language, package, program, agent or person is not; names it.
    """
    for stop in graph.work():
        problem = _problem(stop, means)
        if problem is not None:
            raise problem
    for skill in graph.skills.values():
        refuse_missing(skill)


def _problem(stop: Stop, means: Means) -> ExecutionError | None:
    node = stop.node
    if node.kind == "agent" and means.agents is None:
        return ExecutionError(
            f"this skill has agent nodes ({stop.key}), and no agent can run them",
            hint="running agents comes with a configured model",
        )
    if node.kind == "approval" and not means.can_ask:
        return ExecutionError(
            f"node {stop.key} asks for a person's yes, and nobody can be asked", hint="run it on a terminal"
        )
    if node.kind == "tool":
        return _tool_problem(stop, means.tools)
    if node.kind == "code":
        check_language(node.language or "python")
    return None


def _tool_problem(stop: Stop, tools: ToolSource | None) -> ExecutionError | None:
    node = stop.node
    if tools is None:
        return ExecutionError(
            f"node {stop.key} calls the tool {node.tool}, and no tools are given",
            hint="give the module that has them: --tools MODULE",
        )
    if isinstance(tools, CheckedTools):
        problem = tools.problem(node.tool or "", frozenset(node.arguments))
        return ExecutionError(f"node {stop.key}: {problem}") if problem else None
    names = sorted(tools.names())
    if node.tool in names:
        return None
    return ExecutionError(
        f"node {stop.key}: there is no tool {node.tool!r}; there are {', '.join(names) or 'none'}"
    )


def warnings_of(skill: Skill) -> list[str]:
    """Return what a user should know before the skill runs."""
    if skill.state == "draft":
        return [f"skill {skill.name}@{skill.version} is a draft: nothing has proven yet that it works"]
    return []
