"""Agent nodes: what an agent is told of the skill it works in, and what its reply means for the node.

The agent gets the skill's knowledge for this one turn only, and a node that only reads gets only tools that
only read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

from skillsmith.library.program.bindings import normalise_result
from skillsmith.library.program.effects import effect_of
from skillsmith.library.program.inputs import takes_any_task
from skillsmith.models import Event, Json, Node, Skill, ToolSource
from skillsmith.models.protocols import AgentReply, AgentTask

PLAIN_AGENT = "agent"
"""Does nodes for which the source run names no agent."""

MAX_NOTES_CHARS = 40_000
"""Of a skill's notes that an agent is told."""


def agent_task(
    node: Node, prompt: str, *, knowledge: str, tools: ToolSource | None, cancelled: threading.Event
) -> AgentTask:
    """Return the work that a node gives to an agent.

    Args:
        node: The node.
        prompt: Its template with the values in place.
        knowledge: See ``knowledge_of``.
        tools: Where tools are.
        cancelled: Ends the work when it is set.
    """
    return AgentTask(
        prompt=prompt, agent=node.agent or PLAIN_AGENT, knowledge=knowledge, tools=tools,
        tool_names=allowed_tools(node, tools), output_schema=node.output_schema,
        timeout_seconds=node.timeout_seconds, cancelled=cancelled,
    )  # fmt: skip


def allowed_tools(node: Node, tools: ToolSource | None) -> tuple[str, ...] | None:
    """Return the names of the tools that a node's agent may call; None: all of them."""
    if tools is None or node.effect == "write":
        return None
    return tuple(name for name in tools.names() if effect_of(name) == "read")


def knowledge_of(skill: Skill, node: Node) -> str:
    """Return what a skill knows that helps with one of its nodes.

    Args:
        skill: The one that the node belongs to.
        node: What is to be done now.
    """
    return "\n\n".join(_paragraphs(skill, node))


def _paragraphs(skill: Skill, node: Node) -> Iterator[str]:
    about = f": {skill.description.strip()}" if skill.description.strip() else ""
    yield f"You do one step of the skill {skill.name!r}{about}"
    if skill.task_pattern and not takes_any_task(skill):
        yield f"What the skill is for: {skill.task_pattern.strip()[:MAX_NOTES_CHARS]}"
    if len(skill.nodes) > 1:
        steps = "\n".join(_step(number, one, node) for number, one in enumerate(skill.nodes, 1))
        yield f"Its steps:\n{steps}"
    if skill.body.strip():
        yield f"Its notes:\n{skill.body.strip()[:MAX_NOTES_CHARS]}"


def _step(number: int, one: Node, now: Node) -> str:
    here = "  ← this is yours" if one.id == now.id else ""
    return f"{number}. {one.title or one.tool or one.kind}{here}"


def answering_agent(reply: AgentReply) -> str | None:
    """Return who gave the final answer, as far as the events say it."""
    said = [event for event in reply.events if event.kind == "message" and event.role == "assistant"]
    return said[-1].agent if said else None


def result_of(reply: AgentReply) -> Json:
    """Return an agent's answer as the result of its node."""
    return normalise_result(reply.text) if reply.value is None else reply.value


def events_of(reply: AgentReply, *, key: str, at: float) -> Iterator[Event]:
    """Yield what an agent did as events of a node, with its model calls among them even if it only sums them.

    Args:
        reply: The reply.
        key: The node's.
        at: Unix time of events that have none.
    """
    for event in reply.events:
        yield replace(
            event, data={**(event.data or {}), "node": key}, at=at if event.at is None else event.at
        )
    if reply.model_calls and not any(event.kind == "llm_call" for event in reply.events):
        data: Mapping[str, Json] = {"node": key, "calls": reply.model_calls}
        yield Event(
            kind="llm_call", at=at, data=data, tokens_in=reply.tokens_in, tokens_out=reply.tokens_out,
            cost_usd=reply.cost_usd, duration_seconds=reply.duration_seconds,
        )  # fmt: skip
