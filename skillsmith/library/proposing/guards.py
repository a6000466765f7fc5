"""Proposals about failures that come again: a check that sees them coming, a condition, another try.

A failure counts as known when it recurs with the same words (figures and quoted values aside) at the same
node. Only what the executions can tell is proposed: an expression that separated them without fail, or
another try where the error names a passing cause and trying again can do no harm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from skillsmith.library.proposing.conditions import MIN_EACH, separating
from skillsmith.library.proposing.edits import fresh_id, readers
from skillsmith.library.proposing.facts import Fact, FactReader, Facts
from skillsmith.library.proposing.proposals import Proposal, support
from skillsmith.models import Json, Node

RETRIES = 2
"""Further tries that are proposed against a passing failure."""

_PASSING = re.compile(
    r"time[d ]?-?out|tempora|unavailable|connection|reset by|try again|rate limit|too many requests|\b429\b"
    r"|\b50[234]\b|\blocked\b|busy|overloaded",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|‹[^›]*›")
_FIGURES = re.compile(r"0x[0-9a-f]+|\d+(?:[.:]\d+)*")


def error_kind(text: str) -> str:
    """Return an error without what differs from one time to the next."""
    return " ".join(_FIGURES.sub("#", _QUOTED.sub("…", text)).split())[:200]


def known_failures(facts: Facts, reader: FactReader) -> Iterator[Proposal]:
    """Propose what keeps a recurring failure away from a node, or takes it early."""
    for node in facts.skill.nodes:
        if node.kind in ("check", "approval"):
            continue
        failed = [fact for fact in facts.uses if fact.node(node.id).status == "failed" and not fact.adapted]
        kinds = Counter(error_kind(_error(fact, node)) for fact in failed)
        for kind, count in kinds.most_common(1):
            if count >= MIN_EACH:
                hit = [fact for fact in failed if error_kind(_error(fact, node)) == kind]
                yield from _guard(facts, reader, node, hit)


def _error(fact: Fact, node: Node) -> str:
    errors = fact.node(node.id).errors
    return errors[-1] if errors else fact.execution.error or ""


def _guard(facts: Facts, reader: FactReader, node: Node, hit: Sequence[Fact]) -> Iterator[Proposal]:
    well = [fact for fact in facts.uses if fact.node(node.id).status == "done"]
    found = separating(hit, well, reader, facts.skill)
    error = _error(hit[0], node)
    if found is None:
        if not node.retries and _may_try_again(node) and _PASSING.search(error) and len(well) >= MIN_EACH:
            yield _try_again(facts, node, hit, error)
        return
    passed_over = node.optional and not readers(facts.skill, node.id)
    change: dict[str, Json] = {"edit": "condition", "node": node.id, "condition": f"not ({found.expression})"}
    wasted = [fact.node(node.id).seconds for fact in hit]
    if not passed_over:
        if any(fact.execution.success for fact in hit):
            return  # it went on all the same: a check would stop what works
        change = {
            "edit": "check", "id": fresh_id(facts.skill, "guard"), "expression": f"not ({found.expression})",
            "title": f"{node.id} would fail: {error_kind(error)}"[:120],
        }  # fmt: skip
        wasted = [fact.execution.duration_seconds or 0.0 for fact in hit]
    whole, seconds = facts.mean_seconds, sum(wasted) / len(facts.uses)
    yield Proposal(
        kind="guard_failure",
        target=node.id,
        change=change,
        evidence=support(
            [fact.execution for fact in hit], facts.executions,
            f"{{of}} failed at {node.id} ({error[:120]}): just those with {found.expression}",
            error=error, **found.document(),
        ),
        expected={"seconds": seconds, "share": seconds / whole if whole else None},
    )  # fmt: skip


def _may_try_again(node: Node) -> bool:
    return node.effect == "read" or node.repeatable


def _try_again(facts: Facts, node: Node, hit: Sequence[Fact], error: str) -> Proposal:
    lost = [fact for fact in hit if not fact.execution.success]
    return Proposal(
        kind="guard_failure",
        target=node.id,
        change={"edit": "retries", "node": node.id, "retries": RETRIES},
        evidence=support(
            [fact.execution for fact in hit], facts.executions,
            f"{{of}} failed at {node.id} for a passing cause ({error[:120]}), whatever the inputs",
            error=error,
        ),
        expected={"success": len(lost) / len(facts.uses)},
    )  # fmt: skip
