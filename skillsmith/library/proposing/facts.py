"""What executions of one version did, node by node, as the detectors of proposals read it.

Everything here is read from the ledger, the checkpoints and the run's events; nothing is estimated, and what
was not recorded is absent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from skillsmith.db import Database
from skillsmith.events import load_json
from skillsmith.files import FileRepository
from skillsmith.library.checkpoints import PREPARED
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.models import Event, Execution, FileSnapshot, Json, Skill
from skillsmith.runs import RunRepository

MAX_EXECUTIONS = 200
"""The newest of a version; older ones say how it was used once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call of an execution.

    Args:
        result: As text; None when it raised.
        error: What it raised.
        seconds: How long it took.
    """

    node: str
    tool: str
    arguments: Mapping[str, Json]
    result: str | None = None
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFact:
    """What one node did in one execution.

    Args:
        status: done, failed or skipped; None: it was not reached.
        seconds: All its tries together.
        why: Why it was skipped.
        result: As later nodes read it.
        files: Paths it made or changed.
        calls: Its tool calls, in order; the last is the one that counts.
        codes: The code that ran for it, in order.
        errors: Of failed tries, in order.
        cost_usd: Of the models asked for it; None: not known.
        tokens: Prompt and completion tokens.
        ended_at: Unix time in seconds.
    """

    status: str | None = None
    seconds: float = 0.0
    why: str = ""
    result: Json = None
    files: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    codes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    cost_usd: float | None = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    ended_at: float | None = None


_NOTHING = NodeFact()


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One finished execution with what its nodes did.

    Args:
        execution: As the ledger has it.
        nodes: By node id, of the skill itself; items of a loop are counted for their node.
        calls: All tool calls, those of sub-skills too, in order.
        asked: What agents were asked and what they did then, in order: prompt and events.
    """

    execution: Execution
    nodes: Mapping[str, NodeFact]
    calls: tuple[Call, ...] = ()
    asked: tuple[tuple[Event, tuple[Event, ...]], ...] = ()

    def node(self, key: str) -> NodeFact:
        """Return what a node did."""
        return self.nodes.get(key, _NOTHING)

    @cached_property
    def adapted(self) -> frozenset[str]:
        """Ids of nodes that did not run as the skill has them."""
        return frozenset(
            one.target.rsplit(".", 1)[0]
            for one in self.execution.adaptations
            if one.type in ("code_modification", "node_added", "node_replaced", "parameter_change")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known about the use of one version.

    Args:
        skill: The version.
        uses: Its finished executions, newest first.
    """

    skill: Skill
    uses: tuple[Fact, ...] = ()

    @property
    def executions(self) -> list[Execution]:
        """The executions alone."""
        return [fact.execution for fact in self.uses]

    @property
    def successes(self) -> list[Fact]:
        """Those that succeeded."""
        return [fact for fact in self.uses if fact.execution.success]

    @property
    def mean_seconds(self) -> float:
        """Mean duration of those that say theirs."""
        known = [one.duration_seconds for one in self.executions if one.duration_seconds is not None]
        return sum(known) / len(known) if known else 0.0

    @property
    def mean_cost(self) -> float:
        """Mean cost in USD of those that say theirs."""
        known = [one.cost_usd for one in self.executions if one.cost_usd is not None]
        return sum(known) / len(known) if known else 0.0


class FactReader:
    """Reads facts.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._ledger = ExecutionLedger(db)
        self._runs = RunRepository(db)
        self._files = FileRepository(db)

    def read(self, skill: Skill, *, limit: int = MAX_EXECUTIONS) -> Facts:
        """Return what the newest executions of a version did.

        Args:
            skill: The version; executions of a deleted one of the same name and number are left out.
            limit: How many at most.
        """
        found = self._ledger.list(skill.name, version=skill.version)
        born = skill.created_at or 0.0
        finished = (one for one in found if one.success is not None and one.started_at >= born)
        uses = tuple(self._fact(one) for one in islice(finished, limit))
        return Facts(skill=skill, uses=uses)

    def _fact(self, execution: Execution) -> Fact:
        events = list(self._events(execution))
        calls = tuple(_calls(events))
        nodes = _from_events(events, calls)
        for _, key, state in self._ledger.checkpoints(execution.id):
            if key == PREPARED or key.endswith("/") or state.get("status") == "started":
                continue
            known = nodes.get(_loop(key), _NOTHING)
            if key == _loop(key):
                nodes[key] = _settled(known, state)
        for one in execution.adaptations:
            if one.type == "node_skipped":
                known = nodes.get(one.target, _NOTHING)
                nodes[one.target] = replace(known, status="skipped", why=known.why or one.reason)
        own = {key: node for key, node in nodes.items() if "/" not in key}
        return Fact(execution=execution, nodes=own, calls=calls, asked=tuple(_asked(events)))

    def _events(self, execution: Execution) -> Iterator[Event]:
        if execution.run_id is not None:
            yield from self._runs.events(execution.run_id)

    def files(self, execution: Execution) -> Iterator[FileSnapshot]:
        """Yield the files that were brought into an execution's folder, those that were kept."""
        if execution.run_id is None:
            return
        for version in self._files.versions(self._runs.key(execution.run_id)):
            content = self._files.content(version) if version.agent is None else None
            if content is not None and version.version == 1:
                yield FileSnapshot(
                    path=version.path, content=content, agent=None, at=version.at or time.time()
                )


def _loop(key: str) -> str:
    return key.partition("[")[0]


def _key(event: Event) -> str:
    return str((event.data or {}).get("node", ""))


def _calls(events: Sequence[Event]) -> Iterator[Call]:
    results = {
        event.tool.call_id: event
        for event in events
        if event.kind == "tool_result" and event.tool is not None
    }
    for event in events:
        if event.kind != "tool_call" or event.tool is None or not _key(event):
            continue
        answer = results.get(event.tool.call_id)
        tool = answer.tool if answer is not None else None
        yield Call(
            node=_key(event), tool=event.tool.name, arguments=_object(event.tool.arguments),
            result=tool.result if tool else None, error=tool.error if tool else "it never returned",
            seconds=(answer.duration_seconds or 0.0) if answer else 0.0,
        )  # fmt: skip


def _object(text: Json) -> Mapping[str, Json]:
    value = load_json(text) if isinstance(text, str) else text
    return value if isinstance(value, dict) else {}


def _from_events(events: Sequence[Event], calls: Sequence[Call]) -> dict[str, NodeFact]:
    nodes: dict[str, NodeFact] = {}
    for event in events:
        key = _loop(_key(event))
        if key:
            nodes[key] = _counted(nodes.get(key, _NOTHING), event)
    for call in calls:
        key = _loop(call.node)
        nodes[key] = replace(nodes[key], calls=(*nodes[key].calls, call))
    return nodes


def _counted(fact: NodeFact, event: Event) -> NodeFact:
    fact = replace(
        fact, tokens_in=fact.tokens_in + (event.tokens_in or 0),
        tokens_out=fact.tokens_out + (event.tokens_out or 0),
    )  # fmt: skip
    if event.kind == "llm_call":
        known = fact.cost_usd is not None and event.cost_usd is not None
        cost = (fact.cost_usd or 0.0) + (event.cost_usd or 0.0) if known else None
        return replace(fact, cost_usd=cost, seconds=fact.seconds + (event.duration_seconds or 0.0))
    if event.kind == "code" and event.code is not None:
        return replace(fact, codes=(*fact.codes, event.code.text or ""))
    if event.kind == "error":
        return replace(fact, errors=(*fact.errors, event.content or ""), status=fact.status or "failed")
    if event.kind in ("tool_result", "code_result"):
        failed = event.tool.error if event.tool else event.code.exit_code if event.code else None
        return replace(
            fact, seconds=fact.seconds + (event.duration_seconds or 0.0), ended_at=event.at,
            status="failed" if failed else "done",
        )  # fmt: skip
    return fact


def _settled(fact: NodeFact, state: Mapping[str, Json]) -> NodeFact:
    return replace(
        fact, status=state.get("status"), why=state.get("output") or "", result=state.get("result"),
        files=tuple(state.get("artifacts") or ()),
        seconds=fact.seconds or float(state.get("duration_seconds") or 0.0),
    )  # fmt: skip


def _asked(events: Sequence[Event]) -> Iterator[tuple[Event, tuple[Event, ...]]]:
    """Yield each question to an agent with what the agent did until the next one about the same node."""
    for place, event in enumerate(events):
        if not _is_question(event):
            continue
        answer: list[Event] = []
        for later in events[place + 1 :]:
            if _key(later) != _key(event):
                continue
            if _is_question(later) or later.kind in ("code", "error"):
                break
            if later.kind in ("llm_call", "message"):
                answer.append(later)
        yield event, tuple(answer)


def _is_question(event: Event) -> bool:
    return event.kind == "message" and event.role == "user" and bool(_key(event))
