"""How executions differ from their skill, as structured data, and what a skill's history says about it.

An input that any new task changes (an id, a date, a file to read) is ordinary use and no adaptation. A value
that was meant to stay, a node that was left out, code that was mended: these are, and what recurs in most
executions belongs into the skill.
"""

from __future__ import annotations

import difflib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from skillsmith.events import dump_json
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.models import Adaptation, Execution, Json, Node, Skill, Variable

ORDINARY_TYPES = frozenset({"id", "email", "url", "date"})
"""Types of inputs whose value is another in every task."""

RECURRING_SHARE = 0.5
MIN_EXECUTIONS = 3
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """The same change in several executions.

    Args:
        count: In how many of them.
        after: The value most of them had, as JSON.
        agreeing: How many had just this value.
    """

    type: str
    target: str
    count: int
    after: Json
    agreeing: int
    reasons: tuple[str, ...]


class SkillAdaptationTracker:
    """Collects the differences between a skill and one execution."""

    def __init__(self) -> None:
        self._adaptations: list[Adaptation] = []

    @property
    def adaptations(self) -> tuple[Adaptation, ...]:
        """What was tracked so far, in order."""
        return tuple(self._adaptations)

    def add(self, *found: Adaptation) -> tuple[Adaptation, ...]:
        """Take in what was tracked elsewhere."""
        self._adaptations += found
        return found

    def track_dag_modification(
        self, original: Sequence[Node], modified: Sequence[Node], reason: str = ""
    ) -> tuple[Adaptation, ...]:
        """Track nodes that were added, removed or replaced."""
        before, after = {node.id: node for node in original}, {node.id: node for node in modified}
        found = [
            Adaptation(type="node_removed", target=key, before=_label(before[key]), reason=reason)
            for key in before.keys() - after.keys()
        ]
        found += [
            Adaptation(type="node_added", target=key, after=_label(after[key]), reason=reason)
            for key in after.keys() - before.keys()
        ]
        found += [
            Adaptation(
                type="node_replaced",
                target=key,
                before=_label(before[key]),
                after=_label(after[key]),
                reason=reason,
            )
            for key in before.keys() & after.keys()
            if before[key] != after[key]
        ]
        return self.add(*sorted(found, key=lambda one: (one.type, one.target)))

    def track_agent_deviation(
        self,
        expected: str,
        actual: str,
        reason: str,
        *,
        node: str = "",
        evidence: Mapping[str, Json] | None = None,
    ) -> tuple[Adaptation, ...]:
        """Track that another agent did a node; nothing when it is the same one."""
        if expected == actual:
            return ()
        return self.add(Adaptation(
            type="agent_deviation", target=node or expected, before=expected, after=actual, reason=reason,
            evidence=evidence or {},
        ))  # fmt: skip

    def track_code_modification(
        self,
        template: str,
        actual: str,
        *,
        node: str = "",
        reason: str = "",
        evidence: Mapping[str, Json] | None = None,
    ) -> tuple[Adaptation, ...]:
        """Track changed code as a unified diff; nothing when it is the same."""
        if template == actual:
            return ()
        lines = difflib.unified_diff(
            template.splitlines(), actual.splitlines(), "template", "actual", lineterm=""
        )
        return self.add(Adaptation(
            type="code_modification", target=node, after="\n".join(lines), reason=reason,
            evidence=evidence or {},
        ))  # fmt: skip

    def track_parameter_changes(
        self,
        template_params: Mapping[str, Json],
        actual_params: Mapping[str, Json],
        *,
        reasons: Mapping[str, str] | None = None,
    ) -> tuple[Adaptation, ...]:
        """Track values that differ; names that only one side has count as None on the other.

        Args:
            template_params: What the skill says, by name.
            actual_params: What was used.
            reasons: Why, by name.
        """
        names = dict.fromkeys((*template_params, *actual_params))
        return self.add(*(
            Adaptation(
                type="parameter_change", target=name, before=template_params.get(name),
                after=actual_params.get(name), reason=(reasons or {}).get(name, ""),
            )
            for name in names
            if _exact(template_params.get(name)) != _exact(actual_params.get(name))
        ))  # fmt: skip

    def track_inputs(
        self,
        skill: Skill,
        values: Mapping[str, Json],
        reasons: Mapping[str, str],
        *,
        reads: Iterable[str] = (),
    ) -> tuple[Adaptation, ...]:
        """Track inputs with a default that was meant to stay and was given another value.

        Args:
            skill: Whose inputs they are.
            values: What was used, by name.
            reasons: Where a value came from, for those that are not the default.
            reads: Names of inputs that name files to read, which are ordinary use.
        """
        ordinary = set(reads)
        kept = [one for one in skill.variables if _is_meant_to_stay(one, ordinary) and one.name in reasons]
        return self.track_parameter_changes(
            {one.name: one.default for one in kept},
            {one.name: values[one.name] for one in kept if one.name in values},
            reasons=reasons,
        )

    def track_skipped(
        self, node: str, reason: str, *, evidence: Mapping[str, Json] | None = None
    ) -> tuple[Adaptation, ...]:
        """Track a node that was left out."""
        return self.add(Adaptation(type="node_skipped", target=node, reason=reason, evidence=evidence or {}))

    def track_added(
        self, node: str, added: Node, what: Json, reason: str, evidence: Mapping[str, Json]
    ) -> tuple[Adaptation, ...]:
        """Track a step that was put before a node.

        Args:
            node: The node's key.
            added: The step.
            what: Its code, or its arguments.
            reason: Why.
            evidence: What shows it.
        """
        after = {"kind": added.kind, "what": added.tool or added.language, "before": node, "with": what}
        return self.add(
            Adaptation(type="node_added", target=node, after=after, reason=reason, evidence=evidence)
        )

    def track_replaced(
        self, node: str, before: Node, after: Node, what: Json, reason: str, evidence: Mapping[str, Json]
    ) -> tuple[Adaptation, ...]:
        """Track a node that another tool, or code in another language, took the place of."""
        return self.add(Adaptation(
            type="node_replaced", target=node, before=_label(before), reason=reason, evidence=evidence,
            after={"kind": after.kind, "what": after.tool or after.language, "with": what},
        ))  # fmt: skip

    def track_arguments(
        self,
        node: str,
        before: Mapping[str, Json],
        after: Mapping[str, Json],
        reason: str,
        evidence: Mapping[str, Json],
    ) -> tuple[Adaptation, ...]:
        """Track arguments of a node's call that were changed; the target is ``NODE.ARGUMENT``."""
        names = [name for name in dict.fromkeys((*before, *after)) if name not in before
                 or name not in after or _exact(before[name]) != _exact(after[name])]  # fmt: skip
        return self.add(*(
            Adaptation(
                type="parameter_change", target=f"{node}.{name}", before=before.get(name),
                after=after.get(name), reason=reason, evidence=evidence,
            )
            for name in names
        ))  # fmt: skip

    def track_retry(
        self, node: str, attempts: int, reason: str, *, evidence: Mapping[str, Json] | None = None
    ) -> tuple[Adaptation, ...]:
        """Track a node that succeeded only after it was tried again."""
        return self.add(
            Adaptation(
                type="retry", target=node, before=1, after=attempts, reason=reason, evidence=evidence or {}
            )
        )

    def summarize_adaptations(self, adaptations: Iterable[Adaptation]) -> tuple[Recurrence, ...]:
        """Return what was changed how often, the most frequent first."""
        groups: dict[tuple[str, str], list[Adaptation]] = {}
        for adaptation in adaptations:
            groups.setdefault((adaptation.type, adaptation.target), []).append(adaptation)
        found = [_recurrence(group) for group in groups.values()]
        return tuple(sorted(found, key=lambda one: (-one.count, one.type, one.target)))

    def should_update_skill(
        self, adaptations: Iterable[Adaptation], *, executions: int, min_executions: int = MIN_EXECUTIONS
    ) -> bool:
        """Tell whether more than half of the executions made the very same change.

        Args:
            adaptations: Of all those executions.
            executions: How many they were.
            min_executions: Fewer say nothing.
        """
        return executions >= min_executions and any(
            one.agreeing > RECURRING_SHARE * executions for one in self.summarize_adaptations(adaptations)
        )


def adapted_data(adaptations: Sequence[Adaptation]) -> dict[str, Json]:
    """Return what the event SKILL_ADAPTED says: each change, and why they were made."""
    return {
        "adaptations": [_change(one) for one in adaptations],
        "reason": "; ".join(dict.fromkeys(one.reason for one in adaptations if one.reason)),
    }


def _change(one: Adaptation) -> dict[str, Json]:
    kind = "parameter" if one.type == "parameter_change" else "node"
    change = {"type": one.type, kind: one.target, "from": one.before, "to": one.after, "reason": one.reason}
    return change | ({"evidence": dict(one.evidence)} if one.evidence else {})


def _is_meant_to_stay(variable: Variable, reads: set[str]) -> bool:
    ordinary = variable.required or variable.type in ORDINARY_TYPES or variable.name in reads
    return variable.default is not None and not ordinary


def _label(node: Node) -> str:
    return f"{node.kind} {node.tool or node.title or node.id}"


def _exact(value: Json) -> str:
    return dump_json(value)


def _recurrence(group: Sequence[Adaptation]) -> Recurrence:
    values = Counter(_exact(one.after) for one in group)
    common, agreeing = values.most_common(1)[0]
    return Recurrence(
        type=group[0].type, target=group[0].target, count=len(group),
        after=next(one.after for one in group if _exact(one.after) == common), agreeing=agreeing,
        reasons=tuple(dict.fromkeys(one.reason for one in group if one.reason)),
    )  # fmt: skip


class SkillPerformanceTracker:
    """A skill's figures, counted from its executions; nothing is kept that could drift from them.

    Args:
        ledger: The executions.
    """

    def __init__(self, ledger: ExecutionLedger) -> None:
        self._ledger = ledger

    def record_execution(self, skill_execution: Execution) -> str:
        """Store an execution that is over, and return its id."""
        return self._ledger.record(skill_execution)

    def get_skill_metrics(self, skill: str) -> dict[str, Json]:
        """Return all figures of a skill, by its name."""
        return self._ledger.stats(skill)

    def get_success_rate(self, skill: str, window_days: float = 30) -> float | None:
        """Return the share of successes among the executions of the last days; None without any."""
        verdicts = [execution.success for execution in self._recent(skill, window_days)]
        return sum(map(bool, verdicts)) / len(verdicts) if verdicts else None

    def get_avg_execution_time(self, skill: str) -> float | None:
        """Return the mean duration in seconds."""
        return self._figure(skill, "avg_duration_seconds")

    def get_avg_cost(self, skill: str) -> float | None:
        """Return the mean cost in US dollars; None when no cost is known."""
        return self._figure(skill, "avg_cost_usd")

    def get_adaptation_frequency(self, skill: str) -> float | None:
        """Return the share of executions that differed from the skill."""
        return self._figure(skill, "adaptation_rate")

    def _figure(self, skill: str, name: str) -> float | None:
        value = self._ledger.stats(skill)[name]
        return None if value is None else float(value)

    def recommend_skill_update(self, skill: str, *, min_executions: int = MIN_EXECUTIONS) -> dict[str, Json]:
        """Return whether the newest version should change, and which changes recur.

        Returns:
            ``recommended``, ``version``, ``executions`` looked at, and ``changes``: type, target, after,
            count and evidence ("7 of 9 executions") of every change that more than half of them made alike.
        """
        executions = [execution for execution in self._ledger.list(skill) if execution.success is not None]
        version = max((execution.version for execution in executions), default=None)
        executions = [execution for execution in executions if execution.version == version]
        total = len(executions)
        tracker = SkillAdaptationTracker()
        adaptations = [one for execution in executions for one in _once(execution.adaptations)]
        changes = [
            {
                "type": one.type, "target": one.target, "after": one.after, "count": one.agreeing,
                "evidence": f"{one.agreeing} of {total} executions", "reasons": list(one.reasons),
            }
            for one in tracker.summarize_adaptations(adaptations)
            if one.agreeing > RECURRING_SHARE * total
        ]  # fmt: skip
        recommended = tracker.should_update_skill(
            adaptations, executions=total, min_executions=min_executions
        )
        return {"recommended": recommended, "version": version, "executions": total, "changes": changes}

    def _recent(self, skill: str, window_days: float) -> Iterator[Execution]:
        since = time.time() - window_days * SECONDS_A_DAY
        for execution in self._ledger.list(skill):
            if execution.started_at < since:
                return
            if execution.success is not None:
                yield execution


def _once(adaptations: Iterable[Adaptation]) -> Iterator[Adaptation]:
    """Yield one execution's changes, the same one once only."""
    seen: set[tuple[str, str]] = set()
    for adaptation in adaptations:
        key = (adaptation.type, adaptation.target)
        if key not in seen:
            seen.add(key)
            yield adaptation
