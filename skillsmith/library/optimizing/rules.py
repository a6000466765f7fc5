"""What a comparison of a version with its parent comes to: every threshold of the gate stands here.

Losing anything is decisive: an output, a file, a change outside, a success. What loses nothing must also be
better, by a figure whose confidence interval says so; a change that is merely harmless is not made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from skillsmith.events import dump_json
from skillsmith.library.optimizing.figures import Gain, ratio_gain, sign_chance, sum_gain
from skillsmith.library.optimizing.trial import Side, Trial
from skillsmith.models import Json

Decision: TypeAlias = Literal["accepted", "rejected", "undecided"]

MIN_PAIRS = 5
"""Recorded inputs that both versions must have done."""

MIN_GAIN = 0.2
"""Share of time or cost that an accepted version must save, the interval's lower end being above zero."""

HARM = 0.05
"""A version that is surely slower or dearer by more than this share is rejected, whatever else it gains."""

SURE = 0.05
"""How likely chance alone may be to bring as many successes more."""

SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says of a changed version.

    Args:
        decision: ``undecided``: what was recorded does not suffice to say; it may be asked again.
        reason: One sentence.
        pairs: Recorded inputs that both versions did.
        executions: Ids of those past executions.
        left_out: Why others could not be repeated, with how often.
        differences: What the child loses or changes.
        gains: ``time``, ``cost``: Gain as JSON; ``success``: won and lost; ``inputs``: fewer to give.
        notes: What else to know: what was answered from the record, what no run gives the same twice.
        proof: The proofs of the child, as JSON.
    """

    decision: Decision
    reason: str
    pairs: int = 0
    executions: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    gains: Mapping[str, Json] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    proof: tuple[Mapping[str, Json], ...] = ()

    def document(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {
            "decision": self.decision, "reason": self.reason, "pairs": self.pairs,
            "executions": list(self.executions), "left_out": dict(self.left_out),
            "differences": list(self.differences), "gains": dict(self.gains), "notes": list(self.notes),
            "proof": [dict(one) for one in self.proof],
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a proposal may be accepted for.

    Args:
        inputs: Fewer inputs to give count as a gain: it makes a value the default.
        unrecorded: What decides over it and no record can say, if tools are answered from one.
    """

    inputs: bool = False
    unrecorded: str = ""


def differences(parent: Side, child: Side, *, unstable: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield what a child's trial loses or changes: a key for it, and a sentence.

    Args:
        parent: What the parent did.
        child: What the child did on the same input.
        unstable: Keys of what the parent itself does not give the same twice.
    """
    if parent.success and not child.success:
        if not is_begun_alike(parent, child):
            yield "changes", f"it makes {_calls(child)} instead of {_calls(parent)} outside"
        yield "success", f"it fails where its parent succeeds: {child.error}"
        return
    if not parent.success:
        if not child.success and not is_begun_alike(parent, child):
            yield "changes", "it fails, too, and changes other things before"
        return
    for name, value in parent.outputs.items():
        key = f"output {name}"
        if key not in unstable and dump_json(child.outputs.get(name)) != dump_json(value):
            yield key, f"the {key} is {_short(child.outputs.get(name))} instead of {_short(value)}"
    for path, digest in parent.files.items():
        key = f"file {path}"
        if key not in unstable and child.files.get(path) != digest:
            yield key, f"the {key} {'differs' if path in child.files else 'is not made'}"
    if "changes" not in unstable and dump_json(list(parent.changes)) != dump_json(list(child.changes)):
        yield "changes", f"it makes {_calls(child)} instead of {_calls(parent)} outside"


def is_begun_alike(parent: Side, child: Side) -> bool:
    """Tell whether all that a child changes outside, its parent changes, too, in the same order."""
    theirs = [dump_json(list(one)) for one in parent.changes]
    return [dump_json(list(one)) for one in child.changes] == theirs[: len(child.changes)]


def _short(value: Json) -> str:
    return dump_json(value)[:80]


def _calls(side: Side) -> str:
    calls = [f"{name} {_short(arguments)}" for name, arguments in side.changes]
    return f"the changes {', '.join(calls[:SHOWN])}" if calls else "no change"


def figures(trials: Sequence[Trial]) -> tuple[Gain | None, Gain | None]:
    """Return the gains in time and in cost where both came out alike; of an input done again, the means."""
    by_input: dict[str, list[Trial]] = {}
    alike = [trial for trial in trials if trial.parent.success == trial.child.success]
    for trial in alike:
        by_input.setdefault(trial.fact.execution.id, []).append(trial)
    times = [(_mean([t.parent.seconds for t in some]), _mean([t.child.seconds for t in some]))
             for some in by_input.values()]  # fmt: skip
    costs = [(_mean([t.parent.cost_usd or 0.0 for t in some]), _mean([t.child.cost_usd or 0.0 for t in some]))
             for some in by_input.values()]  # fmt: skip
    known = all(side.cost_usd is not None for trial in alike for side in (trial.parent, trial.child))
    return ratio_gain(times), sum_gain(costs) if known else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def is_better(gain: Gain | None) -> bool:
    """Tell whether a gain is large and sure enough."""
    return gain is not None and gain.gain >= MIN_GAIN and gain.low > 0


def is_worse(gain: Gain | None) -> bool:
    """Tell whether a loss is sure."""
    return gain is not None and gain.high < -HARM


@dataclass(frozen=True, slots=True, kw_only=True)
class _Score:
    """What the trials of one comparison add up to, by input.

    Args:
        inputs: How many were done.
        won: How many succeed that failed before.
        fewer: In how many there is less to give.
        replayed: Whether tools were answered from the record.
    """

    inputs: int
    won: int
    fewer: int
    replayed: bool
    time: Gain | None
    cost: Gain | None

    @property
    def words(self) -> str:
        cost = f", cost {self.cost.words}" if self.cost else ""
        return f"time {self.time.words if self.time else 'not measured'}{cost}"

    def document(self) -> dict[str, Json]:
        return {
            "time": self.time and self.time.document(), "cost": self.cost and self.cost.document(),
            "success": {"won": self.won, "lost": 0, "chance": sign_chance(self.won, 0)},
            "inputs": self.fewer / self.inputs if self.inputs else 0.0,
        }  # fmt: skip


def _score(trials: Sequence[Trial]) -> _Score:
    time, cost = figures(trials)
    won = {t.fact.execution.id for t in trials if t.child.success and not t.parent.success}
    fewer = {t.fact.execution.id for t in trials if t.child.inputs_given < t.parent.inputs_given}
    return _Score(
        inputs=len({trial.fact.execution.id for trial in trials}), won=len(won), fewer=len(fewer),
        replayed=any(trial.child.replayed for trial in trials), time=time, cost=cost,
    )  # fmt: skip


def decide(
    trials: Sequence[Trial], found: Sequence[str], claim: Claim
) -> tuple[Decision, str, dict[str, Json]]:
    """Return the decision, the reason and the gains.

    Args:
        trials: All that both sides did.
        found: What the child loses, a line each.
        claim: What the change may be accepted for.
    """
    score = _score(trials)
    if found:
        decision, reason = _REJECTED, f"it loses results: {found[0]}"
    elif score.inputs < MIN_PAIRS:
        reason = f"only {score.inputs} recorded inputs could be repeated, {MIN_PAIRS} are needed"
        decision = _UNDECIDED
    else:
        decision, reason = _weighed(score, claim)
    return decision, reason, score.document()


_ACCEPTED: Decision = "accepted"
_REJECTED: Decision = "rejected"
_UNDECIDED: Decision = "undecided"


def _weighed(score: _Score, claim: Claim) -> tuple[Decision, str]:
    """Return the decision on a version that loses nothing."""
    if score.won and sign_chance(score.won, 0) <= SURE:
        return _ACCEPTED, f"{score.won} of {score.inputs} inputs succeed that failed before; {score.words}"
    worse = "slower" if is_worse(score.time) else "dearer" if is_worse(score.cost) else ""
    if not worse and (is_better(score.time) or is_better(score.cost)):
        return _ACCEPTED, f"the same results, and better: {score.words}"
    if not worse and claim.inputs and score.fewer > score.inputs / 2:
        saved = f"an input less to give in {score.fewer} of {score.inputs}"
        return _ACCEPTED, f"the same results with {saved}; {score.words}"
    if claim.unrecorded and score.replayed:
        return _UNDECIDED, f"{claim.unrecorded} is not in the record; give --tools"
    return _REJECTED, f"it is {worse}: {score.words}" if worse else f"{_NO_GAIN}: {score.words}"


_NO_GAIN = f"no gain of {MIN_GAIN:.0%} or more is shown"
