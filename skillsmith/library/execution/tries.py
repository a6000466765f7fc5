"""Tries of nodes: each is begun, tried again after a pause, mended, until it is over.

The work itself is done on threads of its own; everything here is decided and written down on the thread that
owns the database. A node is written down before it starts and again when it has ended.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from skillsmith.errors import SkillsmithError
from skillsmith.library.agents.nodes import answering_agent
from skillsmith.library.checkpoints import SkillCheckpointManager
from skillsmith.library.execution.callbacks import ExecutionCallbacks
from skillsmith.library.execution.execution_log import AGENT, ExecutionLog
from skillsmith.library.execution.mending import MENDED_KINDS, MENDER, Mender, Mending, Proposal, text_of
from skillsmith.library.execution.mending_words import Trouble
from skillsmith.library.execution.node_runs import Attempt, Job, Known, NodeRunner, perform
from skillsmith.library.program.graph import Stop
from skillsmith.library.tracking import SkillAdaptationTracker
from skillsmith.models import Adaptation, NodeResult

PATIENCE_SECONDS = 5.0
"""How long running calls may take to end after an interrupt; code is killed at once."""

MAX_BACKOFF_SECONDS = 30.0

_STOPPED = "the execution stopped before it was mended"

_POLL_SECONDS = 1.0  # on Windows a wait without end cannot be interrupted
_CANCEL_SECONDS = 0.1
"""How long a caller that may cancel waits for it at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """What a walk works with.

    Args:
        runner: Makes jobs of nodes.
        mender: Has failing nodes mended; None: nobody does.
        log: Where events go.
        checkpoints: Where progress goes.
        tracker: Where differences from the skill go.
        stop_code: Kills all code that runs.
        side_by_side: How many nodes may run at once.
        backoff_seconds: Pause before the first further try; doubles with each.
        strict: Whether a failure of an optional node counts, too.
    """

    runner: NodeRunner
    mender: Mender | None
    log: ExecutionLog
    checkpoints: SkillCheckpointManager
    tracker: SkillAdaptationTracker
    callbacks: ExecutionCallbacks
    stop_code: Callable[[], None]
    side_by_side: int
    backoff_seconds: float
    strict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a node came out after its last try.

    Args:
        tries: How many there were.
        adaptations: Where it differs from the skill.
        final: Whether nothing may go on after it, even if it is optional.
    """

    stop: Stop
    result: NodeResult
    tries: int
    adaptations: tuple[Adaptation, ...] = ()
    final: bool = False


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One node while it is tried.

    Args:
        job: What runs for it, as the skill has it or as it was mended.
        role: Whether that is the node itself, asking the mender, or a step put before the node.
        next: What runs after a step put before the node.
        error: Why the first try failed.
        answered_by: The agent that gave the answer.
        paths: Files that all tries together made or changed.
    """

    stop: Stop
    known: Known
    job: Job
    role: str = "node"
    tries: int = 1
    next: Job | None = None
    error: str = ""
    mending: Mending | None = None
    failed: NodeResult | None = None
    call_id: str = ""
    answered_by: str | None = None
    paths: list[str] = field(default_factory=list)


class Tries:
    """The nodes that are being tried now.

    Args:
        means: What they work with.
        execution_id: Whose nodes they are.
    """

    def __init__(self, means: Walker, *, execution_id: str) -> None:
        self._means = means
        self._execution_id = execution_id
        self._trials: dict[str, _Trial] = {}
        self._attempts: dict[str, Attempt] = {}  # what an interrupt takes from the queue may be lost
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._trials)

    def begin(self, job: Job, known: Known, *, mark: Callable[[], None]) -> None:
        """Begin a node.

        Args:
            job: What is to be done.
            known: What the node can read.
            mark: Marks in the checkpoints that it begins.
        """
        trial = self._trials[job.key] = _Trial(stop=job.stop, known=known, job=job)
        with self._means.log.together():
            mark()
            self._write_begun(trial, job)
        self._launch(job)

    def begin_broken(self, stop: Stop, error: str, known: Known) -> bool:
        """Have a node mended that cannot even begin; False when nobody can."""
        node, mender = stop.node, self._means.mender
        if mender is None or self._is_stopping() or node.kind not in MENDED_KINDS:
            return False
        trouble = Trouble(stop=stop, error=error, text=text_of(node, known))
        result = NodeResult(node_id=stop.key, status="failed", error=error)
        job = Job(stop=stop, key=stop.key, do=Attempt)  # stands for what could not be made
        trial = self._trials[stop.key] = _Trial(stop=stop, known=known, job=job, tries=0, failed=result)
        self._means.callbacks.tell("NODE_STARTED", node=stop.key, title=node.title)
        trial.mending = mender.begin(trouble)
        self._ask(trial, trial.mending)
        return True

    def next(self) -> Ended | None:
        """Wait for a try to end; None when its node goes on."""
        callbacks = self._means.callbacks
        pause = _POLL_SECONDS if callbacks.cancelled is None else _CANCEL_SECONDS
        while True:
            try:
                key = self._ended.get(timeout=pause)
            except queue.Empty:
                callbacks.check()
                continue
            return self._end(key)

    def drain(self) -> list[Ended]:
        """Give running calls a little time to end, so that what they did is known."""
        self.stopping = True
        deadline, over = time.monotonic() + PATIENCE_SECONDS, []
        while self._trials and (left := deadline - time.monotonic()) > 0:
            ready = [key for key in self._trials if key in self._attempts]
            over += [end for key in ready if (end := self._end(key))]
            if self._trials:
                with contextlib.suppress(queue.Empty):
                    self._ended.get(timeout=min(left, _POLL_SECONDS))
        return over

    # ------------------------------------------------------------------------------------------- starting

    def _start(self, trial: _Trial, job: Job, *, role: str = "node", delay_seconds: float = 0.0) -> None:
        with self._means.log.together():
            self._write_begun(trial, job, role=role)
        self._launch(job, delay_seconds=delay_seconds)

    def _write_begun(self, trial: _Trial, job: Job, *, role: str = "node") -> None:
        stop, log = job.stop, self._means.log
        trial.job, trial.role = job, role
        trial.call_id = f"{self._execution_id[-8:]}-{job.key}-{log.position}"
        if role == "mend":
            log.prompt(stop.node, job.key, job.text, to=MENDER)
        elif stop.node.kind == "tool":
            log.tool_call(stop.node, job.key, trial.call_id, job.arguments)
        elif stop.node.kind == "code":
            log.code(stop.node, job.key, trial.call_id, job.text)
        else:
            log.prompt(stop.node, job.key, job.text)

    def _launch(self, job: Job, *, delay_seconds: float = 0.0) -> None:
        threading.Thread(target=self._work, args=(job, delay_seconds), daemon=True).start()

    def _work(self, job: Job, delay_seconds: float) -> None:
        attempt = perform(job, delay_seconds=delay_seconds, cancelled=self._means.runner.cancelled)
        self._attempts[job.key] = attempt
        self._ended.put(job.key)

    # --------------------------------------------------------------------------------------------- ending

    def _end(self, key: str) -> Ended | None:
        trial, attempt = self._trials[key], self._attempts.pop(key)
        result = self._write_down(trial, attempt)
        over = {"node": self._tried, "mend": self._answered, "added": self._added}[trial.role](
            trial, attempt, result
        )
        if over is not None:
            del self._trials[key]
        return over

    def _write_down(self, trial: _Trial, attempt: Attempt) -> NodeResult:
        job, log = trial.job, self._means.log
        node, answered = job.stop.node, False
        if attempt.reply is not None:
            log.reply(attempt.reply, job.key, at=attempt.ended_at)
            trial.answered_by = answering_agent(attempt.reply)
            answered = trial.answered_by is not None
        paths = log.files(attempt.changes, agent=node.agent or AGENT)
        trial.paths += paths
        result = NodeResult(
            node_id=job.key, status="failed" if attempt.error else "done", result=attempt.result,
            output=attempt.output, exit_code=attempt.exit_code, error=attempt.error, artifacts=paths,
            duration_seconds=attempt.duration_seconds,
        )  # fmt: skip
        if trial.role != "mend":
            log.ended(node, job.key, trial.call_id, result, at=attempt.ended_at, answered=answered)
        elif attempt.error:
            log.failure(attempt.error, node=replace(node, agent=MENDER), key=job.key, at=attempt.ended_at)
        return result

    def _tried(self, trial: _Trial, attempt: Attempt, result: NodeResult) -> Ended | None:
        mending, mender = trial.mending, self._means.mender
        if attempt.error is None and mending is not None and mender is not None:
            lacking = mender.lacking(trial.stop, result.result, trial.known)
            if lacking:
                self._means.log.failure(lacking, node=trial.stop.node, key=trial.stop.key)
                result = replace(result, status="failed", error=lacking)
        if result.error is None:
            return self._over(trial, result)
        trial.failed, trial.error = result, trial.error or result.error
        if self._may_try_again(trial, attempt):
            pause = self._means.backoff_seconds * 2 ** (trial.tries - 1)
            trial.tries += 1
            self._start(trial, trial.job, delay_seconds=min(pause, MAX_BACKOFF_SECONDS))
            return None
        if self._mend(trial, attempt, result):
            return None
        return self._over(trial, result, final=attempt.abandoned)

    def _may_try_again(self, trial: _Trial, attempt: Attempt) -> bool:
        used_up = trial.mending is not None or trial.tries > trial.stop.node.retries
        return not (used_up or attempt.abandoned or attempt.spent or self._is_stopping())

    def _is_stopping(self) -> bool:
        return self.stopping or self._means.runner.cancelled.is_set()

    def _over(self, trial: _Trial, result: NodeResult, *, final: bool = False) -> Ended:
        adaptations = self._adaptations(trial, result) if result.status == "done" else ()
        result = replace(result, artifacts=tuple(dict.fromkeys(trial.paths)))
        return Ended(
            stop=trial.stop, result=result, tries=max(trial.tries, 1), adaptations=adaptations, final=final
        )

    def _adaptations(self, trial: _Trial, result: NodeResult) -> tuple[Adaptation, ...]:
        tracker, mender = SkillAdaptationTracker(), self._means.mender
        node, key = trial.stop.node, trial.stop.key
        if node.kind == "agent" and node.agent and trial.answered_by:
            reason = f"{trial.answered_by} gave the answer"
            tracker.track_agent_deviation(node.agent, trial.answered_by, reason, node=key)
        if trial.mending is not None and mender is not None:
            tracker.add(*mender.adaptations(trial.mending, trial.job, result, trial.known))
        elif trial.tries > 1:
            evidence = {"error": trial.error}
            tracker.track_retry(key, trial.tries, "an earlier try failed", evidence=evidence)
        return tracker.adaptations

    # -------------------------------------------------------------------------------------------- mending

    def _mend(self, trial: _Trial, attempt: Attempt, result: NodeResult) -> bool:
        """Ask the mender about a failed try; False when there is none, or it has had its turns."""
        mender, node = self._means.mender, trial.job.stop.node
        hopeless = attempt.abandoned or attempt.spent or self._is_stopping()
        if mender is None or hopeless or node.kind not in MENDED_KINDS:
            return False
        trouble = Trouble(
            stop=trial.job.stop, error=result.error or "", text=trial.job.text, arguments=trial.job.arguments,
            output=result.output, exit_code=result.exit_code,
        )  # fmt: skip
        if trial.mending is None:
            trial.mending = mender.begin(trouble)
        else:
            trial.mending.now = replace(trouble, may_skip=trial.mending.first.may_skip)
            trial.mending.earlier.append(trouble.error)
        return self._ask(trial, trial.mending)

    def _ask(self, trial: _Trial, mending: Mending) -> bool:
        mender = self._means.mender
        if mender is None or not mender.may_go_on(mending) or self._is_stopping():
            return False
        self._means.callbacks.tell("NODE_MENDING", node=trial.stop.key, error=mending.now.error)
        self._start(trial, mender.ask(mending), role="mend")
        return True

    def _answered(self, trial: _Trial, attempt: Attempt, _: NodeResult) -> Ended | None:
        mending, mender = trial.mending, self._means.mender
        assert mending is not None
        assert mender is not None
        if attempt.error:
            return self._unmended(trial, f"mending it failed: {attempt.error}")
        if self._is_stopping():
            return self._unmended(trial, _STOPPED)
        try:
            proposal = mender.proposal(mending, attempt.result, trial.known)
        except SkillsmithError as error:
            mending.earlier.append(f"the answer could not be used: {error.message}")
            if self._ask(trial, mending):
                return None
            return self._unmended(trial, mending.earlier[-1])
        return self._follow(trial, mending, proposal)

    def _follow(self, trial: _Trial, mending: Mending, proposal: Proposal) -> Ended | None:
        if proposal.action == "give_up":
            return self._unmended(trial, f"it cannot be mended: {proposal.reason}")
        if proposal.action == "skip":
            return self._left_out(trial, mending, proposal.reason)
        job = proposal.before or proposal.job
        assert job is not None
        if not self._may_change(job, proposal.reason):
            return self._unmended(trial, "a person said no to its mending")
        mending.reason, trial.next = proposal.reason, proposal.job
        self._start(trial, job, role="added" if proposal.before else "node")
        return None

    def _may_change(self, job: Job, reason: str) -> bool:
        """Ask a person, if there is one, about a mended call that changes something."""
        node, approve = job.stop.node, self._means.callbacks.approve
        if node.kind != "tool" or node.effect != "write":
            return True
        given = ", ".join(f"{name}={value!r}" for name, value in job.arguments.items())
        question = f"{job.key} is to be mended ({reason}). Call {node.tool}({given})?"
        if approve is not None and not approve(question, job.key):
            return False
        if not node.repeatable:
            self._means.checkpoints.started(self._execution_id, job.key)
        return True

    def _added(self, trial: _Trial, attempt: Attempt, _: NodeResult) -> Ended | None:
        mending = trial.mending
        assert mending is not None
        assert trial.next is not None
        if attempt.error is None:
            mending.added.append((trial.job, mending.reason))
            if self._is_stopping():
                return self._unmended(trial, _STOPPED)
            self._start(trial, trial.next)
            return None
        mending.earlier.append(f"the added step failed: {attempt.error}")
        if not (attempt.abandoned or attempt.spent) and self._ask(trial, mending):
            return None
        return self._unmended(trial, mending.earlier[-1], final=attempt.abandoned)

    def _unmended(self, trial: _Trial, why: str, *, final: bool = False) -> Ended:
        assert trial.failed is not None
        result = replace(trial.failed, error=f"{trial.failed.error}; {why}")
        return self._over(trial, result, final=final)

    def _left_out(self, trial: _Trial, mending: Mending, reason: str) -> Ended:
        tracker = SkillAdaptationTracker()
        evidence = {"error": mending.first.error, "rounds": mending.rounds}
        tracker.track_skipped(trial.stop.key, reason, evidence=evidence)
        result = NodeResult(node_id=trial.stop.key, status="skipped", output=reason)
        return Ended(
            stop=trial.stop, result=result, tries=max(trial.tries, 1), adaptations=tracker.adaptations
        )
