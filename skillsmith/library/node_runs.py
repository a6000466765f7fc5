"""Run one node of a skill: resolve what it needs, then do it.

Resolving happens on the thread that owns the database, doing on any thread: a job holds everything it needs
and touches nothing shared but the work folder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from skillsmith.errors import ExecutionError, SkillsmithError
from skillsmith.library.bindings import as_text, normalise_result, resolve
from skillsmith.library.calls import failure_in
from skillsmith.library.conditions import Surroundings, holds
from skillsmith.library.graph import Stop
from skillsmith.library.proof import template_values
from skillsmith.library.sandbox import CodeOutcome, ProcessGroups, run_code
from skillsmith.library.templates import render
from skillsmith.library.tools import to_plain
from skillsmith.library.workfolder import FileChange, WorkFolder
from skillsmith.models import AgentRunner, Json, Node, ToolSource

CODE_TIMEOUT_SECONDS = 600.0
"""Of a code node that names no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one try of a node came to.

    Args:
        result: Normalised, for the nodes that read it.
        error: Why it failed, else None.
        changes: Files that appeared or changed meanwhile.
        ended_at: Unix time in seconds.
        abandoned: Whether it still runs somewhere and cannot be stopped.
    """

    result: Json = None
    output: str = ""
    exit_code: int | None = None
    error: str | None = None
    changes: tuple[FileChange, ...] = ()
    ended_at: float = 0.0
    duration_seconds: float = 0.0
    abandoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One node with everything resolved.

    Args:
        text: The code, prompt, question or expression.
        arguments: Of a tool call.
        do: Does it.
    """

    stop: Stop
    text: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    do: Callable[[], Attempt]


class NodeRunner:
    """Makes jobs of nodes.

    Args:
        tools: Where tool nodes find their tools.
        agents: Runs agent nodes.
        folder: Where code runs; None when nothing works with files.
        environment: Of the code.
        groups: The process groups that run now.
    """

    def __init__(
        self,
        *,
        tools: ToolSource | None,
        agents: AgentRunner | None,
        folder: WorkFolder | None,
        environment: Mapping[str, str],
        groups: ProcessGroups,
    ) -> None:
        self._tools = tools
        self._agents = agents
        self._folder = folder
        self._environment = environment
        self._groups = groups

    def job(self, stop: Stop, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Job:
        """Resolve a node into a job.

        Args:
            stop: The node and its place.
            inputs: Values of its skill's inputs.
            results: Results of its skill's nodes by id.

        Raises:
            SkillsmithError: Something it needs has no value, or it would write where it may not.
        """
        match stop.node.kind:
            case "code":
                return self._code(stop, inputs, results)
            case "tool":
                return self._tool(stop, inputs, results)
            case "agent":
                return self._agent(stop, inputs, results)
            case "check":
                return self._check(stop, inputs, results)
            case kind:
                raise ExecutionError(f"node {stop.key}: nothing runs nodes of kind {kind!r}")

    def surroundings(
        self, stop: Stop, inputs: Mapping[str, Json], results: Mapping[str, Json]
    ) -> Surroundings:
        """Return what the node's condition or check can see."""
        bound = {name: resolve(binding, inputs, results) for name, binding in stop.node.bindings.items()}
        place = self._folder.path if self._folder else None
        known = {"work_dir": place} if place else {}
        return Surroundings(inputs={**inputs, **bound}, results=results, **known)

    def _code(self, stop: Stop, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Job:
        node, folder = stop.node, self._folder
        assert folder is not None
        text = rendered(node, inputs, results)
        wanted = {}
        for use in node.writes:
            path = as_text(resolve(use.path, inputs, results))
            wanted[path] = folder.check_write(path)

        def do() -> Attempt:
            outcome = run_code(
                text, language=node.language or "python", work_dir=folder.path,
                timeout_seconds=node.timeout_seconds or CODE_TIMEOUT_SECONDS, env=self._environment,
                groups=self._groups,
            )  # fmt: skip
            missing = [path for path, target in wanted.items() if not target.exists()]
            return Attempt(
                result=normalise_result(outcome.output), output=outcome.output, exit_code=outcome.exit_code,
                error=_code_error(outcome, missing), changes=tuple(folder.changes()),
            )  # fmt: skip

        return Job(stop=stop, text=text, do=do)

    def _tool(self, stop: Stop, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Job:
        node, tools = stop.node, self._tools
        assert tools is not None
        arguments = {name: resolve(binding, inputs, results) for name, binding in node.arguments.items()}

        def do() -> Attempt:
            result = normalise_result(to_plain(tools.call(node.tool or "", arguments)))
            return Attempt(result=result, error=failure_in(result))

        return Job(stop=stop, arguments=arguments, do=_limited(do, node))

    def _agent(self, stop: Stop, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Job:
        node, agents = stop.node, self._agents
        assert agents is not None
        prompt = rendered(node, inputs, results)

        def do() -> Attempt:
            answer = agents.run(prompt, agent=node.agent or "agent", tools=self._tools)
            return Attempt(result=normalise_result(answer), output=answer)

        return Job(stop=stop, text=prompt, do=_limited(do, node))

    def _check(self, stop: Stop, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Job:
        expression = rendered(stop.node, inputs, results)
        surroundings = self.surroundings(stop, inputs, results)

        def do() -> Attempt:
            good = holds(expression, surroundings)
            return Attempt(result=good, error=None if good else f"the check {expression} does not hold")

        return Job(stop=stop, text=expression, do=do)


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
    except SkillsmithError as error:
        attempt = Attempt(error=error.message)
    except BaseException as error:  # noqa: BLE001  (a tool is foreign code: whatever it raises fails its node)
        attempt = Attempt(error=f"{type(error).__name__}: {error}")
    return replace(attempt, ended_at=time.time(), duration_seconds=time.monotonic() - started)


def _limited(do: Callable[[], Attempt], node: Node) -> Callable[[], Attempt]:
    """Return the work with the node's time limit; Python cannot stop a call, so it is left behind."""
    seconds = node.timeout_seconds
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
