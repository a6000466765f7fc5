"""One trace as a run's events: spans in the order in which things began and ended, nothing said twice.

A model's request repeats the conversation so far, an agent's span repeats what its model said, and a tool's
result stands in its span and in the next request. What is stored is each message once: where it came up
first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from skillsmith.capture.importers.base import as_text, count_or_none
from skillsmith.capture.importers.otel_events import SpanEvents
from skillsmith.capture.importers.otel_facts import (
    OWN_EVENT,
    OWN_RUN,
    OWN_SILENT,
    OWN_STEP,
    Failure,
    Kind,
    agent_of,
    call_id_of,
    failure_of,
    first_text,
    kind_of,
)
from skillsmith.capture.importers.otel_messages import Said, inputs_of, outputs_of
from skillsmith.capture.importers.otel_spans import Span
from skillsmith.models import Event, Json

_DEEPEST = 200  # of spans within spans; deeper ones are a loop in a damaged file


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A span in its trace.

    Args:
        kind: What it stands for.
        index: Its place among the spans by their beginning.
        above: The spans around it, innermost first.
        said: Identities of what models and agents inside it said.
        failures: Messages of what failed inside it.
        has_chats: Whether a model was called inside it.
    """

    span: Span
    kind: Kind
    index: int
    above: tuple[Node, ...] = ()
    said: Counter[tuple[object, ...]] = field(default_factory=Counter)
    failures: set[str] = field(default_factory=set)
    has_chats: bool = False

    @property
    def agents(self) -> list[Node]:
        """The spans of agents that it stands in, itself included, innermost first."""
        return [node for node in (self, *self.above) if node.kind == "agent"]

    @property
    def agent(self) -> str | None:
        """Who did it."""
        named = agent_of(self.span, self.kind) if self.kind != "workflow" else None
        above = (agent_of(node.span, node.kind) for node in self.agents)
        return named or next((name for name in above if name), None)

    @property
    def scope(self) -> str:
        """Within what messages are the same when they read the same: a delegation has its own."""
        for place, node in enumerate((self, *self.above)):
            if node.kind == "agent":
                delegated = any(outer.kind == "agent" for outer in self.above[place:])
                return self.above[place].span.span_id if delegated else ""
        return ""


def nodes_of(spans: Sequence[Span]) -> list[Node]:
    """Return the spans of a trace by their beginning, each with those around it; a repeated one once."""
    unique = {span.span_id: span for span in spans}
    ordered = sorted(unique.values(), key=lambda span: (span.start, -span.end))
    nodes = {
        span.span_id: Node(span=span, kind=kind_of(span), index=index) for index, span in enumerate(ordered)
    }
    for node in nodes.values():
        node.above = tuple(_around(node, nodes))
    for node in nodes.values():
        if node.kind == "chat":
            for outer in node.above:
                outer.has_chats = True
    return list(nodes.values())


def _around(node: Node, nodes: Mapping[str, Node]) -> Iterator[Node]:
    seen = {node.span.span_id}
    around = nodes.get(node.span.parent_id or "")
    while around is not None and around.span.span_id not in seen and len(seen) < _DEEPEST:
        yield around
        seen.add(around.span.span_id)
        around = nodes.get(around.span.parent_id or "")


class Trace:
    """Builds the events of a trace.

    Args:
        spans: Its spans, in any order.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self.nodes = nodes_of(spans)
        self.own = any(OWN_RUN in node.span.attributes for node in self.nodes)
        self._out = SpanEvents(codes=any(node.kind == "code" for node in self.nodes))
        self._turns: dict[str, int] = {}
        self._last: dict[str, Node] = {}
        self._reason: str | None = None
        self._talkative = any(node.kind in ("chat", "agent") for node in self.nodes)
        self._note_results()

    def events(self) -> tuple[Event, ...]:
        """Return the events of the whole trace."""
        for _, act, node in sorted(self._moments(), key=lambda moment: moment[0]):
            self._out.timeline.step = self._step(node)
            act(node)
        return tuple(self._out.timeline.events)

    def _moments(self) -> Iterator[tuple[tuple[int, ...], Callable[[Node], None], Node]]:
        """Yield when what is to be done: at one moment, first what ends, then what lasted no time."""
        for node in self.nodes:
            span = node.span
            brief = span.start == span.end
            if begin := self._beginnings.get(node.kind):
                yield (span.start, 1 if brief else 2, node.index, 0), begin, node
            yield (span.end, 1 if brief else 0, node.index, 2), self._ends, node
            for number, event in enumerate(span.events):
                if OWN_EVENT in event.attributes:
                    restore = partial(self._restore, event.attributes.get(OWN_EVENT))
                    yield (event.at or span.end, 1, node.index, 1, number), restore, node

    def _restore(self, kept: Json, node: Node) -> None:  # noqa: ARG002  (called like the others)
        self._out.restore(kept)

    def _step(self, node: Node) -> int:
        """Return the turn a span belongs to: its outermost agent's, or the one that its maker numbered."""
        for around in (node, *node.above):
            if stated := count_or_none(around.span.attributes.get(OWN_STEP)):
                return stated
        agents = node.agents
        if not agents:
            return max(1, len(self._turns))
        return self._turns.setdefault(agents[-1].span.span_id, len(self._turns) + 1)

    @property
    def _beginnings(self) -> dict[Kind, Callable[[Node], None]]:
        return {
            "agent": self._agent_begins,
            "tool": self._tool_begins,
            "code": self._code_begins,
            "workflow": self._workflow_begins,
        }

    def _ends(self, node: Node) -> None:
        ends: dict[Kind, Callable[[Node], None]] = {
            "agent": self._agent_ends,
            "chat": self._chat_ends,
            "tool": lambda node: self._out.tool_result(node.span, agent=node.agent),
            "code": lambda node: self._out.code_result(node.span, agent=node.agent),
            "human": lambda node: self._out.human(node.span, agent=node.agent),
            "usage": self._usage_ends,
            "selection": self._selection_ends,
            "aside": lambda node: self._out.aside(node.span, agent=node.agent),
            "workflow": self._workflow_ends,
        }
        if node.kind in ends:
            ends[node.kind](node)
        if not self.own and (failed := failure_of(node.span)):
            self._failed(node, failed)

    def _failed(self, node: Node, failed: Failure) -> None:
        """Add why a span failed; what passes through the spans around it counts once."""
        if node.kind not in ("tool", "code") and failed.message not in node.failures:
            self._out.failure(failed, node.span, agent=node.agent)
        for around in node.above:
            around.failures.add(failed.message)

    def _agent_begins(self, node: Node) -> None:
        if not self.own:
            self._transition(node)
            self._out.agent_start(node.span, agent=node.agent)
        self._hear(node, inputs_of(node.span, plain=not node.has_chats), at=node.span.start)

    def _transition(self, node: Node) -> None:
        """Add a change of speaker: this agent begins after another one beside it has ended."""
        target = first_text(node.span, "gen_ai.agent.handoff.target.name")
        last = self._last.get(node.scope)
        self._last[node.scope] = node
        source = first_text(node.span, "gen_ai.agent.handoff.source.name")
        if last is not None and last.span.end <= node.span.start and last.agent != node.agent:
            source = source or last.agent
        if source is not None:
            self._out.transition(source, target or node.agent, self._reason, at=node.span.start)
        self._reason = None

    def _selection_ends(self, node: Node) -> None:
        chosen = first_text(node.span, "ag2.speaker_selection.selected")
        self._reason = f"speaker selection: {chosen}" if chosen else None

    def _agent_ends(self, node: Node) -> None:
        """Add what the agent said, unless its model or an agent inside it said it."""
        if not node.has_chats:
            self._out.llm_call(node.span, agent=node.agent, prompt_messages=None)
        for said in outputs_of(node.span, plain=not node.has_chats):
            if not node.said[said.identity]:
                self._say(node, said)

    def _chat_ends(self, node: Node) -> None:
        said = inputs_of(node.span)
        self._hear(node, said, at=node.span.start)
        self._out.llm_call(node.span, agent=node.agent, prompt_messages=len(said) or None)
        for message in outputs_of(node.span):
            self._say(node, message)

    def _workflow_begins(self, node: Node) -> None:
        if not self._talkative:
            self._hear(node, inputs_of(node.span), at=node.span.start)

    def _workflow_ends(self, node: Node) -> None:
        if not self._talkative:
            self._hear(node, outputs_of(node.span), at=node.span.end)

    def _say(self, node: Node, said: Said) -> None:
        """Add what came out of a model or an agent."""
        for around in (node, *node.above):
            around.said[said.identity] += 1
        self._out.stored[(node.scope, said.identity)] += 1
        agent = said.name or node.agent or (None if self.own else "assistant")
        silent = node.span.attributes.get(OWN_SILENT) is True
        self._out.say(said, agent=agent, at=node.span.end, new=True, silent=silent)

    def _hear(self, node: Node, messages: Sequence[Said], *, at: int) -> None:
        """Add those messages of a request that are new to its scope."""
        counts: Counter[tuple[object, ...]] = Counter()
        for said in messages:
            key: tuple[object, ...] = (node.scope, said.identity)
            if said.role == "system":
                key = ("system", node.agent, said.identity)
            counts[key] += 1
            if said.results:
                self._out.answers(said, counts, at=at)
            repeated = said.role == "assistant" if self.own else counts[key] <= self._out.stored[key]
            if repeated or not said.says_something:
                continue
            self._out.stored[key] += 1
            self._out.say(said, agent=self._speaker(node, said), at=at, recipient=self._listener(node, said))

    def _speaker(self, node: Node, said: Said) -> str | None:
        if said.name or said.role == "system" or self.own:
            return said.name
        if said.role != "user":
            return node.agent or "assistant"
        asking = node.agents[1:2] if node.scope else []  # a delegation: the agent outside asks
        return next((outer.agent for outer in asking if outer.agent), "user")

    def _listener(self, node: Node, said: Said) -> str | None:
        return node.agent if said.role in ("user", "system") and not self.own else None

    def _tool_begins(self, node: Node) -> None:
        self._out.tool_call(node.span, agent=node.agent)

    def _code_begins(self, node: Node) -> None:
        self._out.code(node.span, agent=node.agent)

    def _usage_ends(self, node: Node) -> None:
        """Count what no model call in the trace accounts for (AG2): compaction, and agents without spans."""
        kind = first_text(node.span, "ag2.usage.kind")
        label = first_text(node.span, "ag2.usage.label")
        traced = kind == "subtask" and any(
            other.kind == "agent" and other.agent == label for other in self.nodes
        )
        if kind != "model_call" and not traced:
            self._out.llm_call(node.span, agent=label or node.agent, prompt_messages=None, kind=kind)

    def _note_results(self) -> None:
        """Note the results that requests repeat, for tools whose spans leave them out."""
        if self.own:
            return
        wanted = {call_id_of(node.span) for node in self.nodes if node.kind == "tool"}
        for node in self.nodes:
            if node.kind == "chat" and wanted:
                for said in inputs_of(node.span, plain=False):
                    self._out.known_results.update(
                        (use.call_id, use) for use in said.results if use.call_id in wanted
                    )

    def task(self) -> str:
        """Return what was asked for: as its maker noted it, else the first that a user said."""
        stated = next((as_text(node.span.attributes.get("skillsmith.task")) for node in self.nodes), None)
        said = (event.content for event in self._out.timeline.events if event.role == "user")
        return stated or next((text for text in said if text), "")
