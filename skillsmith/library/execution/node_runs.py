"""Run one node of a skill: resolve what it needs, then do it.

Resolving happens on the thread that owns the database, doing on any thread: a job holds everything it needs
and touches nothing shared but the work folder.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from skillsmith.errors import ExecutionError, SkillsmithError
from skillsmith.library.agents.nodes import agent_task, knowledge_of, result_of
from skillsmith.library.execution.outcome import misfit
from skillsmith.library.execution.sandbox import CodeOutcome, ProcessGroups, run_code
from skillsmith.library.execution.workfolder import FileChange, WorkFolder
from skillsmith.library.program.bindings import as_text, normalise_result, resolve
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.program.graph import Stop
from skillsmith.library.proof import template_values
from skillsmith.library.templates import render
from skillsmith.library.tools.callables import to_plain
from skillsmith.library.trace.calls import failure_in
from skillsmith.models import AgentRunner, Json, Node, Skill, ToolSource
from skillsmith.models.protocols import AgentError, AgentReply, BudgetError

CODE_TIMEOUT_SECONDS = 600.0
"""Of a code node that names no limit."""

AGENT_GRACE_SECONDS = 5.0
"""How long an agent may need beyond its time limit to say that it was reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one try of a node came to.

    Args:
        result: Normalised, for the nodes that read it.
        error: Why it failed, else None.
        changes: Files that appeared or changed meanwhile.
        ended_at: Unix time in seconds.
        abandoned: Whether it still runs somewhere and cannot be stopped.
        spent: Whether a limit was reached, so that trying again or mending is no use.
        reply: What the agent did, when one was asked.
    """

    result: Json = None
    output: str = ""
    exit_code: int | None = None
    error: str | None = None
    changes: tuple[FileChange, ...] = ()
    ended_at: float = 0.0
    duration_seconds: float = 0.0
    abandoned: bool = False
    spent: bool = False
    reply: AgentReply | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work for one node, with everything resolved.

    Args:
        stop: What is done; for a mended node, with what was mended in it.
        key: Of the node that it is done for.
        text: The code, prompt, question or expression.
        arguments: Of a tool call.
        files: Where the files go that it promises to write, by the path it gives them.
        do: Does it.
    """

    stop: Stop
    key: str
    text: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    do: Callable[[], Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a node can read.

    Args:
        inputs: Values of its skill's inputs.
        results: Results of its skill's finished nodes by id.
    """

    inputs: Mapping[str, Json]
    results: Mapping[str, Json]


class NodeRunner:
    """Makes jobs of nodes.

    Args:
        tools: Where tool nodes find their tools.
        agents: Runs agent nodes.
        folder: Where code runs; None when nothing works with files.
        environment: Of the code.
        groups: The process groups that run now.
        skills: The skill of each scope, for what agents are told.
        cancelled: Ends the work of agents when it is set.
    """

    def __init__(
        self,
        *,
        tools: ToolSource | None,
        agents: AgentRunner | None,
        folder: WorkFolder | None,
        environment: Mapping[str, str],
        groups: ProcessGroups,
        skills: Mapping[str, Skill],
        cancelled: threading.Event,
    ) -> None:
        self.tools = tools
        self.agents = agents
        self.folder = folder
        self._environment = environment
        self._groups = groups
        self._skills = skills
        self.cancelled = cancelled

    def job(self, stop: Stop, known: Known) -> Job:
        """Resolve a node into a job.

        Args:
            stop: The node and its place.
            known: What it can read.

        Raises:
            SkillsmithError: Something it needs has no value, or it would write where it may not.
        """
        match stop.node.kind:
            case "code":
                return self._code(stop, known)
            case "tool":
                return self._tool(stop, known)
            case "agent":
                return self._agent(stop, known)
            case "check":
                return self._check(stop, known)
            case kind:
                raise ExecutionError(f"node {stop.key}: nothing runs nodes of kind {kind!r}")

    def surroundings(self, stop: Stop, known: Known) -> Surroundings:
        """Return what the node's condition or check can see."""
        inputs, results = known.inputs, known.results
        bound = {name: resolve(binding, inputs, results) for name, binding in stop.node.bindings.items()}
        place = self.folder.path if self.folder else None
        where = {"work_dir": place} if place else {}
        return Surroundings(inputs={**inputs, **bound}, results=results, **where)

    def _code(self, stop: Stop, known: Known) -> Job:
        text = rendered(stop.node, known.inputs, known.results)
        return self.code_job(stop, text, known=known)

    def code_job(self, stop: Stop, text: str, *, known: Known, key: str | None = None) -> Job:
        """Return the job of running code as a node: its declared files must be there afterwards.

        Args:
            stop: The node and its place.
            text: The code.
            known: What it can read.
            key: Of the node that it is done for, when that is another.

        Raises:
            SkillsmithError: It would write where it may not.
        """
        node, folder = stop.node, self.folder
        assert folder is not None
        wanted = declared_files(node, folder, known)

        def do() -> Attempt:
            outcome = run_code(
                text, language=node.language or "python", work_dir=folder.path,
                timeout_seconds=node.timeout_seconds or CODE_TIMEOUT_SECONDS, env=self._environment,
                groups=self._groups,
            )  # fmt: skip
            missing = [path for path, target in wanted.items() if not target.exists()]
            result = normalise_result(outcome.output)
            return Attempt(
                result=result, output=outcome.output, exit_code=outcome.exit_code,
                error=_code_error(outcome, missing) or shape_problem(node, result),
                changes=tuple(folder.changes()),
            )  # fmt: skip

        return Job(stop=stop, key=key or stop.key, text=text, files=wanted, do=do)

    def _tool(self, stop: Stop, known: Known) -> Job:
        node = stop.node
        arguments = {
            name: resolve(binding, known.inputs, known.results) for name, binding in node.arguments.items()
        }
        return self.tool_job(stop, arguments)

    def tool_job(self, stop: Stop, arguments: Mapping[str, Json], *, key: str | None = None) -> Job:
        """Return the job of calling a node's tool with these arguments."""
        node, tools = stop.node, self.tools
        assert tools is not None

        def do() -> Attempt:
            given = copy.deepcopy(dict(arguments))  # a tool may change what it is given
            result = normalise_result(to_plain(tools.call(node.tool or "", given)))
            return Attempt(result=result, error=failure_in(result) or shape_problem(node, result))

        return Job(stop=stop, key=key or stop.key, arguments=arguments, do=_limited(do, node.timeout_seconds))

    def _agent(self, stop: Stop, known: Known) -> Job:
        node, agents = stop.node, self.agents
        assert agents is not None
        task = agent_task(
            node, rendered(node, known.inputs, known.results), tools=self.tools, cancelled=self.cancelled,
            knowledge=knowledge_of(self._skills[stop.scope], node),
        )  # fmt: skip

        def do() -> Attempt:
            reply = agents.run(task)
            result = result_of(reply)
            return Attempt(result=result, output=reply.text, error=shape_problem(node, result), reply=reply)

        limit = node.timeout_seconds and node.timeout_seconds + AGENT_GRACE_SECONDS
        return Job(stop=stop, key=stop.key, text=task.prompt, do=_limited(do, limit))

    def _check(self, stop: Stop, known: Known) -> Job:
        expression = rendered(stop.node, known.inputs, known.results)
        surroundings = self.surroundings(stop, known)

        def do() -> Attempt:
            good = holds(expression, surroundings)
            return Attempt(result=good, error=None if good else f"the check {expression} does not hold")

        return Job(stop=stop, key=stop.key, text=expression, do=do)


def rendered(node: Node, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> str:
    """Return a node's template with its values in place."""
    if node.template is None:
        raise ExecutionError(f"node {node.id} has no template")
    values = template_values(node, inputs, results)
    language = node.language or "python" if node.kind == "code" else None
    return render(node.template, values, language=language)


def perform(job: Job, *, delay_seconds: float, cancelled: threading.Event) -> Attempt:
    """Do a job after a pause and return what came of it; whatever goes wrong becomes its error.

    Args:
        job: The job.
        delay_seconds: How long to wait before.
        cancelled: Ends the wait early.
    """
    cancelled.wait(delay_seconds)
    started = time.monotonic()
    try:
        attempt = job.do()
    except AgentError as error:
        spent = isinstance(error, BudgetError)
        attempt = Attempt(error=error.message, reply=error.reply, spent=spent)
    except SkillsmithError as error:
        attempt = Attempt(error=error.message)
    except BaseException as error:  # noqa: BLE001  (a tool is foreign code: whatever it raises fails its node)
        attempt = Attempt(error=f"{type(error).__name__}: {error}")
    return replace(attempt, ended_at=time.time(), duration_seconds=time.monotonic() - started)


def declared_files(node: Node, folder: WorkFolder, known: Known) -> dict[str, Path]:
    """Return where the files go that a node promises to write, by the path it gives them.

    Raises:
        SkillsmithError: A path has no value, or lies where the node may not write.
    """
    paths = (as_text(resolve(use.path, known.inputs, known.results)) for use in node.writes)
    return {path: folder.check_write(path) for path in paths}


def shape_problem(node: Node, result: Json) -> str | None:
    """Return how a result differs from the node's output schema, or None."""
    problem = misfit(node.output_schema, result)
    return problem and f"its result does not fit its schema: {problem}"


def _limited(do: Callable[[], Attempt], seconds: float | None) -> Callable[[], Attempt]:
    """Return work with a time limit; Python cannot stop a call, so it is left behind."""
    if seconds is None:
        return do

    def limited() -> Attempt:
        outcome: list[Attempt | BaseException] = []

        def work() -> None:
            try:
                outcome.append(do())
            except BaseException as error:  # noqa: BLE001  (handed to the caller's thread below)
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(seconds)
        if not outcome:
            return Attempt(error=f"did not return within {seconds:g} s, its time limit", abandoned=True)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    return limited


def _code_error(outcome: CodeOutcome, missing: list[str]) -> str | None:
    last = next((line for line in reversed(outcome.output.splitlines()) if line.strip()), "").strip()[:300]
    if outcome.timed_out:
        return f"stopped after {outcome.duration_seconds:.1f} s, its time limit"
    if outcome.exit_code:
        return f"exit code {outcome.exit_code}" + (f": {last}" if last else "")
    if missing:
        return f"it did not write {', '.join(missing)}"
    return None
