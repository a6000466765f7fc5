"""The one rule for proposing to go back: a version does significantly worse than the one it came from.

Compared are finished executions by one-sided Fisher's exact test, which is right for few of them too. The
rule is asked after every execution, so its level is 1 %: with equal success, looked at after each of sixty
executions, it raised a false alarm in at most 1.5 % of simulated versions; a fall from 95 % to 50 % was seen
after 7 executions in the median.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from skillsmith.library.evidence.intervals import Interval, newcombe
from skillsmith.library.store.history import Figures
from skillsmith.models import Json

LEVEL = 0.01
"""Largest probability, were both versions equally good, of so few successes."""

LEAST_EXECUTIONS = 5
"""Finished ones of the current version; its parent may have fewer, the test allows for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackProposal:
    """Why the current version should give way to the one it came from.

    Args:
        version: The current one.
        to: The version to go back to.
        difference: Of the success rates, with Newcombe's 95 % interval; below 0.
        p_value: Of Fisher's exact test, one-sided.
    """

    skill: str
    version: int
    to: int
    current: Figures
    parent: Figures
    difference: Interval
    p_value: float

    @property
    def text(self) -> str:
        """The proposal in one sentence."""
        return (
            f"version {self.version} succeeded in {self.current.successes} of {self.current.finished}"
            f" executions, version {self.to}, which it came from, in {self.parent.successes} of"
            f" {self.parent.finished} (chance alone: {self.p_value:.2g})"
        )

    @property
    def command(self) -> str:
        """The command line that follows the proposal."""
        return f"skillsmith rollback {self.skill} --to {self.to}"

    def document(self) -> dict[str, Json]:
        """Return the proposal as JSON."""
        low, high = self.difference.low, self.difference.high
        return {
            "skill": self.skill, "version": self.version, "to": self.to,
            "current": _counts(self.current), "parent": _counts(self.parent),
            "difference": {"success_rate": self.difference.value, "low": low, "high": high},
            "p_value": self.p_value, "reason": self.text, "command": self.command,
        }  # fmt: skip


def _counts(figures: Figures) -> dict[str, Json]:
    return {"finished": figures.finished, "successes": figures.successes}


def significantly_worse(current: Figures, parent: Figures) -> tuple[float, Interval] | None:
    """Return p-value and difference when one version does significantly worse than another, else None."""
    rates = current.rate, parent.rate
    if current.finished < LEAST_EXECUTIONS or rates[0] is None or rates[1] is None:
        return None
    p_value = fisher_low(current.successes, current.finished, parent.successes, parent.finished)
    return (p_value, newcombe(rates[0], rates[1])) if p_value < LEVEL else None


def fisher_low(successes: int, trials: int, other_successes: int, other_trials: int) -> float:
    """Return how likely at most so many successes are, were both rates the same (Fisher's exact test).

    Args:
        successes: Of the rate that may be lower.
        trials: Of it.
        other_successes: Of the rate it is compared with.
        other_trials: Of it.
    """
    total, everything = successes + other_successes, trials + other_trials
    least = max(0, total - other_trials)
    ways = sum(comb(trials, one) * comb(other_trials, total - one) for one in range(least, successes + 1))
    return ways / comb(everything, total)
