"""What keeps an interrupted execution from being resumed, said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from skillsmith.errors import ExecutionError, NotFoundError, UsageError
from skillsmith.library.checkpoints import Progress
from skillsmith.library.execution.cleaning import holds_redacted
from skillsmith.library.execution.loops import loop_key, stop_of
from skillsmith.library.execution.walk import ExecutionCallbacks
from skillsmith.library.program.bindings import sources
from skillsmith.library.program.graph import Graph
from skillsmith.models import Execution, FromNode, Skill


def refuse_resume(execution: Execution, skill: Skill) -> None:
    """Refuse an execution of another version, or one that is over.

    Raises:
        UsageError: It is.
        NotFoundError: It has no run.
    """
    if (execution.skill, execution.version) != (skill.name, skill.version):
        raise UsageError(
            f"execution {execution.id[:13]} is one of {execution.skill}@{execution.version},"
            f" not of {skill.name}@{skill.version}",
            hint=f"resume it with --use-skill {execution.skill}@{execution.version}",
        )
    if execution.success:
        raise UsageError(f"execution {execution.id[:13]} has succeeded: there is nothing to go on with")
    if execution.run_id is None:
        raise NotFoundError(f"execution {execution.id[:13]} has no run to go on with")


def refuse_without_secrets(execution: Execution, progress: Progress) -> None:
    """Refuse an execution whose inputs held a secret, which is not stored.

    Raises:
        ExecutionError: One did; names the input.
    """
    for name, value in (*execution.inputs.items(), *(progress.values or {}).items()):
        if holds_redacted(value):
            _refuse(execution, f"the input {name}")


def refuse_without_results(execution: Execution, progress: Progress, graph: Graph) -> None:
    """Refuse an execution that still needs a result which held a secret.

    Raises:
        ExecutionError: It does; names the node.
    """
    for key in dict.fromkeys(_needed(graph, progress)):
        settled = progress.settled.get(key)
        if settled is not None and holds_redacted(settled.result):
            _refuse(execution, f"the result of {key.rstrip('/')}")


def _needed(graph: Graph, progress: Progress) -> Iterator[str]:
    """Yield keys of the results that nodes which are not settled, or outputs, will read."""
    for key, stop in graph.stops.items():
        if key not in progress.settled:
            yield from sorted(stop.uses)
            if stop.scope:
                yield stop.scope  # the inputs of the sub-skill it is in
    for key in progress.settled:
        if loop_key(key) != key and loop_key(key) not in progress.settled:
            yield key  # of an item: its loop, which is not over, will read it
    for scope, skill in graph.skills.items():
        if scope and scope[:-1] in progress.settled:
            continue
        for binding in skill.output_bindings.values():
            yield from (scope + one.node for one in sources(binding) if isinstance(one, FromNode))
        if scope:
            yield scope


def _refuse(execution: Execution, what: str) -> None:
    raise ExecutionError(
        f"execution {execution.id[:13]} cannot be resumed: {what} held a secret, which was not stored",
        hint="start it again",
    )


def confirm_uncertain(progress: Progress, graph: Graph, callbacks: ExecutionCallbacks) -> None:
    """Ask about changes that began and never ended: they may have been made.

    Raises:
        ExecutionError: Nobody can be asked, or the answer is no.
    """
    for key in progress.uncertain:
        stop = stop_of(graph, key)
        if stop is None:
            continue
        what = f"{key} ({stop.node.tool or stop.node.title})"
        question = f"{what} was under way when the execution stopped and may have been done. Do it again?"
        if callbacks.approve is None or not callbacks.approve(question, key):
            raise ExecutionError(
                f"{what} was under way when the execution stopped and may have been done",
                hint="see whether it was; resume on a terminal to do it again, or start anew",
            )
