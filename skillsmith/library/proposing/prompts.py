"""Proposals about prompts: what stands twice or is blank is left out; a model may word it more briefly.

Without a model only passages go that say nothing new. With one, its wording must keep every place and stay
near the old length: a bounded edit, judged by the same comparison as every other change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from skillsmith.errors import SkillsmithError
from skillsmith.library.proposing.edits import template_json
from skillsmith.library.proposing.facts import Facts
from skillsmith.library.proposing.proposals import Proposal, support
from skillsmith.library.proposing.texts import slots_for
from skillsmith.models import AgentRunner, Json, Node, Template
from skillsmith.models.protocols import AgentTask

MIN_SAVED_SHARE = 0.1
"""Of a prompt's characters that must go."""

MIN_SAVED_CHARS = 80
MIN_PASSAGE_CHARS = 40
MIN_KEPT_SHARE = 0.3
"""Of a prompt's characters that a model must keep: more is no edit but another prompt."""

CHARS_A_TOKEN = 4.0

_SCHEMA: dict[str, Json] = {
    "type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"],
}  # fmt: skip
_ROLE = "You shorten prompts. You keep every instruction, every fact and every {place} as it is."
_ASK = (
    "Shorten this prompt by at least a quarter without losing an instruction. Every place in braces, like"
    " {name}, must stay, as often as it stands there now. Answer with the whole new prompt.\n\n---\n"
)


def shorter_prompts(facts: Facts, agents: AgentRunner | None, notes: list[str]) -> Iterator[Proposal]:
    """Propose shorter prompts for the agent nodes that were really asked.

    Args:
        facts: The history.
        agents: The model, if one is configured.
        notes: Gets a line when the model could not be asked.
    """
    for node in facts.skill.nodes:
        asked = [fact for fact in facts.successes if fact.node(node.id).tokens_in]
        if node.kind != "agent" or node.template is None or not asked:
            continue
        text, how = without_repeats(node.template.text), "blank or repeated passages are left out"
        if not _is_worth_it(node.template.text, text) and agents is not None:
            text, how = _reworded(node, agents, notes), "worded more briefly by the model"
        template = slots_for(node.template, text)
        if template is None or not _is_worth_it(node.template.text, text) or not _same_places(node, template):
            continue
        yield _proposal(facts, node, template, how)


def without_repeats(text: str) -> str:
    """Return a text without blanks at line ends, runs of blank lines, and passages that stand twice."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    passages, kept, seen = re.split(r"\n{2,}", lines.strip()), list[str](), set[str]()
    for passage in passages:
        key = " ".join(passage.split())
        if "{" in key or len(key) < MIN_PASSAGE_CHARS or key not in seen:
            kept.append(_without_repeated_sentences(passage, seen))
        seen.add(key)
    return "\n\n".join(part for part in kept if part)


def _without_repeated_sentences(passage: str, seen: set[str]) -> str:
    parts = re.split(r"(?<=[.!?])(\s+)", passage)
    kept: list[str] = []
    for part in parts:
        key = " ".join(part.split())
        if len(key) >= MIN_PASSAGE_CHARS and "{" not in key:
            if key in seen:
                continue
            seen.add(key)
        kept.append(part)
    return "".join(kept).strip()


def _is_worth_it(old: str, new: str) -> bool:
    saved = len(old) - len(new)
    return saved >= max(MIN_SAVED_CHARS, MIN_SAVED_SHARE * len(old))


def _same_places(node: Node, template: Template) -> bool:
    assert node.template is not None
    return sorted(slot.variable for slot in node.template.slots) == sorted(
        slot.variable for slot in template.slots
    )


def _reworded(node: Node, agents: AgentRunner, notes: list[str]) -> str:
    """Return the model's wording; the old one when it gives none that can be used."""
    assert node.template is not None
    task = AgentTask(prompt=_ASK + node.template.text, agent="editor", role=_ROLE, output_schema=_SCHEMA)
    try:
        reply = agents.run(task)
    except SkillsmithError as error:  # the proposals that need no model stand all the same
        notes.append(f"the model could not shorten the prompt of {node.id}: {error.message}")
        return node.template.text
    value = reply.value if isinstance(reply.value, dict) else _object(reply.text)
    text = value.get("prompt")
    enough = isinstance(text, str) and len(text) >= MIN_KEPT_SHARE * len(node.template.text)
    return str(text).strip() if enough else node.template.text


def _object(text: str) -> dict[str, Json]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _proposal(facts: Facts, node: Node, template: Template, how: str) -> Proposal:
    assert node.template is not None
    asked = [fact for fact in facts.successes if fact.node(node.id).tokens_in]
    tokens = (len(node.template.text) - len(template.text)) / CHARS_A_TOKEN
    paid = [fact.node(node.id) for fact in asked if fact.node(node.id).cost_usd]
    priced = sum(one.tokens_in + one.tokens_out for one in paid)
    price = sum(one.cost_usd or 0.0 for one in paid) / priced if priced else None
    saved = None if price is None else price * tokens
    return Proposal(
        kind="shorten_prompt",
        target=node.id,
        change={
            "edit": "template", "node": node.id, "before": node.template.text,
            "template": template_json(template),
        },
        evidence=support(
            [fact.execution for fact in asked], facts.executions,
            f"{{of}} sent the prompt of {node.id}: {how}, {len(node.template.text) - len(template.text)}"
            f" of {len(node.template.text)} characters",
        ),
        expected={
            "tokens": tokens, "cost_usd": saved,
            "share": saved / facts.mean_cost if saved is not None and facts.mean_cost else None,
        },
    )  # fmt: skip
