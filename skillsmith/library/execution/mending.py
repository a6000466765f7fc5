"""Mend a failing node with an agent's help, within the limits the skill sets.

The agent proposes, nothing more: its code runs in the same sandbox, its call goes to the same tools, a node
that only reads stays one that only reads, and what later nodes take from the result must still be there.
What it changed is told as adaptations, said in terms of the template where that is possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skillsmith.errors import ExecutionError, UsageError
from skillsmith.library.agents.nodes import knowledge_of
from skillsmith.library.execution.mending_words import ROLE, Trouble, answer_schema, trouble_prompt
from skillsmith.library.execution.node_runs import Attempt, Job, Known, NodeRunner
from skillsmith.library.execution.sandbox import check_language
from skillsmith.library.execution.template_change import changed_template
from skillsmith.library.program.bindings import UnresolvedError, resolve, sources
from skillsmith.library.program.effects import effect_of_call
from skillsmith.library.program.graph import Graph, Stop
from skillsmith.library.program.validation import bindings_of
from skillsmith.library.proof import template_values
from skillsmith.library.templates import fill
from skillsmith.library.tools.callables import CheckedTools
from skillsmith.library.tracking import SkillAdaptationTracker
from skillsmith.models import Adaptation, Binding, FromNode, Json, Node, NodeResult
from skillsmith.models.protocols import AgentRunner, AgentTask, DescribedTools

MENDER = "mender"
"""The agent's name in the events."""

MENDED_KINDS = frozenset({"code", "tool"})

MAX_LISTED_FILES = 50


@dataclass(slots=True, kw_only=True)
class Mending:
    """One node's mending, from its first failure on.

    Args:
        first: The failure that it began with.
        now: The latest failure.
        rounds: How often the agent was asked.
        added: Steps that the agent put before the node and that went well, each with the reason for it.
        earlier: Why what the agent gave before was no use.
        tried: What was tried already.
        reason: Why the agent made its latest change.
    """

    first: Trouble
    now: Trouble
    rounds: int = 0
    added: list[tuple[Job, str]] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an agent wants to be done about a failing node.

    Args:
        action: code, arguments, tool, add_before, skip or give_up.
        job: What is to run in its place; None when nothing is.
        before: What is to run before it.
    """

    action: str
    reason: str
    job: Job | None = None
    before: Job | None = None


class Mender:
    """Has failing nodes mended.

    Args:
        agents: Runs the agent.
        runner: Makes jobs of what it proposes.
        graph: Of the execution.
        task: What the user asked for.
        limit: How often the agent is asked about one node.
    """

    def __init__(
        self, agents: AgentRunner, *, runner: NodeRunner, graph: Graph, task: str, limit: int
    ) -> None:
        self._agents = agents
        self._runner = runner
        self._graph = graph
        self._task = task
        self._limit = limit

    def may_go_on(self, mending: Mending) -> bool:
        """Tell whether the agent may be asked once more."""
        return mending.rounds < self._limit

    def begin(self, trouble: Trouble) -> Mending:
        """Return a new mending."""
        trouble = replace(trouble, may_skip=self._may_skip(trouble.stop))
        return Mending(first=trouble, now=trouble, tried={trouble.tried})

    def _may_skip(self, stop: Stop) -> bool:
        """Whether nothing would miss a node: no later node, no output, no change it should have made."""
        node = stop.node
        read = any(True for _ in self._readers(stop))
        return not read and (node.optional or (node.effect == "read" and not node.writes))

    def ask(self, mending: Mending) -> Job:
        """Return the job of asking the agent; its result is the agent's answer."""
        trouble, stop = mending.now, mending.now.stop
        tools, agents = self._runner.tools, self._agents
        task = AgentTask(
            prompt=trouble_prompt(
                trouble, task=self._task, files=self._files(), earlier=mending.earlier,
                tools=tools if isinstance(tools, DescribedTools) else None,
            ),
            agent=MENDER, role=ROLE, knowledge=knowledge_of(self._graph.skills[stop.scope], stop.node),
            output_schema=answer_schema(trouble), cancelled=self._runner.cancelled,
        )  # fmt: skip
        mending.rounds += 1

        def do() -> Attempt:
            reply = agents.run(task)
            return Attempt(result=reply.value, output=reply.text, reply=reply)

        return Job(stop=stop, key=stop.key, text=task.prompt, do=do)

    def _files(self) -> list[str]:
        folder = self._runner.folder
        return [] if folder is None else folder.names()[:MAX_LISTED_FILES]

    # ------------------------------------------------------------------------------------------ proposals

    def proposal(self, mending: Mending, answer: Json, known: Known) -> Proposal:
        """Return what an answer means.

        Args:
            mending: What it is about.
            answer: The agent's.
            known: What the node can read.

        Raises:
            SkillsmithError: It cannot be done, or may not be.
        """
        if not isinstance(answer, dict):
            raise ExecutionError("the answer is no JSON object")
        action, reason = str(answer.get("action")), str(answer.get("reason") or "").strip()
        stop = mending.first.stop
        if action == "give_up" or (action == "skip" and mending.first.may_skip):
            return Proposal(action=action, reason=reason)
        if action not in ("code", "arguments", "tool", "add_before"):
            raise ExecutionError(f"the action {action!r} is not possible here")
        added = action == "add_before"
        named = replace(stop, node=_named(stop.node, answer, added=added))
        if stop.node.kind == "code":
            job = self._code_job(named, answer, known, key=stop.key)
        else:
            job = self._tool_job(named, answer, key=stop.key)
        if added:
            return Proposal(action=action, reason=reason, before=job, job=self._as_it_is(mending, known))
        tried = replace(mending.first, stop=named, text=job.text, arguments=job.arguments).tried
        if tried in mending.tried:
            raise ExecutionError("that is what has failed already")
        mending.tried.add(tried)
        return Proposal(action=action, reason=reason, job=job)

    def _code_job(self, stop: Stop, answer: Mapping[str, Any], known: Known, *, key: str) -> Job:
        code = answer.get("code")
        if not isinstance(code, str) or not code.strip():
            raise ExecutionError("there is no code in the answer")
        check_language(stop.node.language or "python")
        return self._runner.code_job(stop, code, known=known, key=key)

    def _tool_job(self, stop: Stop, answer: Mapping[str, Any], *, key: str) -> Job:
        arguments = answer.get("arguments")
        if not isinstance(arguments, dict):
            raise ExecutionError("there are no arguments in the answer")
        name, tools = stop.node.tool or "", self._runner.tools
        problem = None
        if isinstance(tools, CheckedTools):
            problem = tools.problem(name, frozenset(arguments))
        elif tools is None or name not in tools.names():
            problem = f"there is no tool {name!r}"
        if problem:
            raise ExecutionError(problem)
        if stop.node.effect == "read" and effect_of_call(name, arguments) == "write":
            raise ExecutionError(f"{name} may change something, and this step only reads")
        return self._runner.tool_job(stop, arguments, key=key)

    def _as_it_is(self, mending: Mending, known: Known) -> Job:
        """Return the job of the node as it stood when it failed last."""
        now = mending.now
        if now.stop.node.kind == "tool":
            return self._runner.tool_job(now.stop, now.arguments, key=now.stop.key)
        return self._runner.code_job(now.stop, now.text, known=known, key=now.stop.key)

    # ------------------------------------------------------------------------------------------- accepting

    def lacking(self, stop: Stop, result: Json, known: Known) -> str | None:
        """Return what later nodes or outputs would miss in a mended result, or None."""
        results = {**known.results, stop.node.id: result}
        for where, binding in self._readers(stop):
            for source in sources(binding):
                if not isinstance(source, FromNode) or source.node != stop.node.id:
                    continue
                try:
                    resolve(source, known.inputs, results)
                except UnresolvedError as error:
                    if stop.node.id in error.message:
                        return f"{where} cannot be read from the mended result: {error.message}"
        return None

    def _readers(self, stop: Stop) -> list[tuple[str, Binding]]:
        """Return the bindings that read a node's result, each with words for where it stands."""
        skill = self._graph.skills[stop.scope]
        bindings = [found for node in skill.nodes for found in bindings_of(node)]
        bindings += [(f"the output {name}", one) for name, one in skill.output_bindings.items()]
        return [
            (where, binding)
            for where, binding in bindings
            if any(isinstance(one, FromNode) and one.node == stop.node.id for one in sources(binding))
        ]

    def adaptations(
        self, mending: Mending, job: Job, result: NodeResult, known: Known
    ) -> tuple[Adaptation, ...]:
        """Return how a mended node differs from the skill's.

        Args:
            mending: How it came to it.
            job: What went well in the end.
            result: What came of it.
            known: What the node can read.
        """
        tracker, first = SkillAdaptationTracker(), mending.first
        evidence: dict[str, Json] = {"error": first.error, "rounds": mending.rounds}
        if first.stop.node.kind == "code":
            evidence |= {"exit_code_before": first.exit_code, "exit_code_after": result.exit_code}
        for added, reason in mending.added:
            tracker.track_added(first.stop.key, added.stop.node, _done(added), reason, evidence)
        before, after = first.stop.node, job.stop.node
        if (before.tool, before.language or "python") != (after.tool, after.language or "python"):
            tracker.track_replaced(first.stop.key, before, after, _done(job), mending.reason, evidence)
        elif before.kind == "tool":
            tracker.track_arguments(first.stop.key, first.arguments, job.arguments, mending.reason, evidence)
        elif job.text != first.text:
            old, new, level = _texts(first, job.text, known)
            more = {"template": new} if level == "template" else {}
            tracker.track_code_modification(
                old, new, node=first.stop.key, reason=mending.reason,
                evidence={**evidence, "level": level, **more},
            )  # fmt: skip
        return tracker.adaptations


def _named(node: Node, answer: Mapping[str, Any], *, added: bool) -> Node:
    """Return the node with the tool or language that an answer names."""
    if node.kind == "code":
        node = replace(node, language=str(answer.get("language") or node.language or "python"))
    elif added or answer.get("action") == "tool":
        node = replace(node, tool=str(answer.get("tool") or ""))
    if added:
        return replace(node, writes=(), output_schema=None, title=f"before {node.title or node.id}")
    return node


def _done(job: Job) -> Json:
    return dict(job.arguments) if job.stop.node.kind == "tool" else job.text


def text_of(node: Node, known: Known) -> str:
    """Return the code of a node as far as its values are known, valid or not."""
    if node.template is None:
        return ""
    try:
        return fill(node.template, template_values(node, known.inputs, known.results))
    except (UnresolvedError, UsageError):  # a value is missing, or cannot be written at its place
        return node.template.text


def _texts(first: Trouble, code: str, known: Known) -> tuple[str, str, str]:
    """Return the text before and after, the template's where that is possible, and which it is."""
    node = first.stop.node
    assert node.template is not None
    try:
        values = template_values(node, known.inputs, known.results)
    except UnresolvedError:  # that may be what was wrong
        return first.text, code, "code"
    changed = changed_template(node.template, values, code)
    return (first.text, code, "code") if changed is None else (node.template.text, changed.text, "template")
