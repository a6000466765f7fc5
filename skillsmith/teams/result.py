"""What a team came to, judged by facts: exit codes, tool errors and the reviewer's verdict together.

An opinion alone is no success: where nothing was run that could show it, or where the last thing that was
run failed, the outcome is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from skillsmith.models import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamResult:
    """What a team did.

    Args:
        run_id: The run that has all of it.
        outcome: success, failure or unknown.
        reason: Which fact says so.
        answer: What the team says of its work.
        artifacts: Paths of files that were made or changed, relative to ``work_dir``.
        cost_usd: None when it is not known.
    """

    run_id: str
    outcome: Outcome
    reason: str
    answer: str = ""
    work_dir: str | None = None
    artifacts: tuple[str, ...] = ()
    model_calls: int = 0
    tokens: int = 0
    cost_usd: float | None = None
    duration_seconds: float = 0.0

    @property
    def success(self) -> bool | None:
        """The outcome as scripts read it: None is unknown."""
        return {"success": True, "failure": False, "unknown": None}[self.outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that was really done.

    Args:
        what: ``python code``, or a tool with its arguments.
        good: Whether it ended well.
        output: What came of it.
    """

    what: str
    good: bool
    output: str = ""


def judge(facts: tuple[Fact, ...], *, approved: bool | None, reason: str) -> tuple[Outcome, str]:
    """Return an outcome and the fact that says so.

    Args:
        facts: What was done, in order.
        approved: The reviewer's verdict; None: there is none.
        reason: What the reviewer says.
    """
    if approved is False:
        return "failure", f"the reviewer did not approve: {reason}"
    if not facts:
        return "unknown", "nothing was run that could show whether the task is done"
    if not facts[-1].good:
        return "unknown", f"the last thing that was run failed: {facts[-1].what}"
    if approved is None:
        return "unknown", "nobody judged the work"
    done = sum(fact.good for fact in facts)
    return "success", f"the reviewer approved, and {done} of {len(facts)} things that were run ended well"
