"""Walk a skill's graph: ready nodes side by side, one record for each, stop at the first failure that counts.

One thread, the caller's, decides and writes everything; the others only work. So a node is written down
before it starts and again when it has ended, and an interrupt finds the books in order.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from skillsmith.errors import SkillsmithError
from skillsmith.library.bindings import resolve
from skillsmith.library.checkpoints import Progress, SkillCheckpointManager
from skillsmith.library.conditions import Surroundings, holds
from skillsmith.library.execution_log import AGENT, ExecutionLog
from skillsmith.library.graph import Graph, Stop
from skillsmith.library.inputs import accept, find_variable
from skillsmith.library.node_runs import Attempt, Job, NodeRunner, perform, rendered
from skillsmith.library.outcome import collect_outputs
from skillsmith.library.tracking import SkillAdaptationTracker
from skillsmith.models import Json, NodeResult, Skill

PATIENCE_SECONDS = 5.0
"""How long running calls may take to end after an interrupt; code is killed at once."""

MAX_BACKOFF_SECONDS = 30.0

_POLL_SECONDS = 1.0  # on Windows a wait without end cannot be interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCallbacks:
    """What the caller wants to hear, and to be asked.

    Args:
        approve: Asks a person a question about the node with this key; True means yes.
        on_event: Gets the name of what happened and its data, as JSON.
    """

    approve: Callable[[str, str], bool] | None = None
    on_event: Callable[[str, Mapping[str, Json]], None] | None = None

    def tell(self, event: str, **data: Json) -> None:
        """Tell the caller what happened."""
        if self.on_event is not None:
            self.on_event(event, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """What a walk works with.

    Args:
        runner: Makes jobs of nodes.
        log: Where events go.
        checkpoints: Where progress goes.
        tracker: Where differences from the skill go.
        stop_code: Kills all code that runs.
        side_by_side: How many nodes may run at once.
        backoff_seconds: Pause before the first further try; doubles with each.
        strict: Whether a failure of an optional node counts, too.
    """

    runner: NodeRunner
    log: ExecutionLog
    checkpoints: SkillCheckpointManager
    tracker: SkillAdaptationTracker
    callbacks: ExecutionCallbacks
    stop_code: Callable[[], None]
    side_by_side: int
    backoff_seconds: float
    strict: bool


class Walk:
    """One walk through a graph.

    Args:
        graph: Where to.
        execution_id: Whose progress it is.
        values: Inputs of the skill as the nodes get them.
        means: What it works with.
        progress: How far an interrupted one had come.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        execution_id: str,
        values: Mapping[str, Json],
        means: Walker,
        progress: Progress,
    ) -> None:
        self._graph = graph
        self._execution_id = execution_id
        self._means = means
        self.results: dict[str, NodeResult] = dict(progress.settled)
        self.failure: str | None = None
        self._inputs: dict[str, Mapping[str, Json]] = {"": values}
        self._tries = dict(progress.attempts)
        self._broken: dict[str, str] = {}
        self._running: dict[str, Job] = {}
        self._call_ids: dict[str, str] = {}
        self._attempts: dict[str, Attempt] = {}  # what an interrupt takes from the queue may be lost
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    def run(self) -> None:
        """Walk to the end, or to the first failure that counts; ``failure`` says which.

        Raises:
            KeyboardInterrupt: Passed on after what runs has been stopped or waited for, and written down.
        """
        try:
            self._walk()
        except KeyboardInterrupt:
            self._cancelled.set()
            self._means.stop_code()
            self._drain()
            raise

    def _walk(self) -> None:
        sorter = self._graph.sorter()
        ready: deque[str] = deque()
        while sorter.is_active():
            ready.extend(sorter.get_ready())
            settled = []
            while ready and self.failure is None and len(self._running) < self._means.side_by_side:
                key = ready.popleft()
                if self._begin(self._graph.stops[key]):
                    settled.append(key)
            if settled:
                sorter.done(*settled)
                continue
            if not self._running:
                return  # only after a failure: otherwise something is ready or running
            key = self._next()
            if self._end(key):
                sorter.done(key)

    def _next(self) -> str:
        while True:
            try:
                return self._ended.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue

    def _drain(self) -> None:
        """Give running calls a little time to end, so that what they did is known."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._running and (left := deadline - time.monotonic()) > 0:
            for key in self._running.keys() & self._attempts.keys():
                self._end(key)
            if self._running:
                with contextlib.suppress(queue.Empty):
                    self._ended.get(timeout=min(left, _POLL_SECONDS))

    # ------------------------------------------------------------------------------------------ beginning

    def _begin(self, stop: Stop) -> bool:
        """Begin a node; True when it is settled already."""
        if stop.key in self.results:
            self._restore(stop)
            return True
        try:
            reason = self._reason_to_skip(stop)
            if reason is not None:
                self._skip(stop, reason)
                return True
            return self._dispatch(stop)
        except SkillsmithError as error:
            self._means.log.failure(error.message, node=stop.node, key=stop.key)
            self._fail(stop, NodeResult(node_id=stop.key, status="failed", error=error.message))
            return True

    def _restore(self, stop: Stop) -> None:
        result = self.results[stop.key]
        if stop.enters and result.status == "done":
            self._inputs[stop.inner] = result.result
        if stop.key in self._tries:
            self._means.tracker.track_retry(stop.key, self._tries[stop.key], "an earlier try failed")
        if result.status == "skipped" and self._is_own_choice(stop, result.output):
            self._means.tracker.track_skipped(stop.key, result.output)

    def _dispatch(self, stop: Stop) -> bool:
        node = stop.node
        if stop.enters:
            self._inputs[stop.inner] = self._entry(stop, stop.enters)
            self._done(stop, dict(self._inputs[stop.inner]))
            return True
        if stop.leaves:
            self._leave(stop, stop.leaves)
            return True
        if node.kind == "approval":
            self._ask(stop)
            return True
        job = self._means.runner.job(stop, self._inputs[stop.scope], self.results_in(stop.scope))
        if node.effect == "write" and node.kind in ("tool", "agent"):
            self._means.checkpoints.started(self._execution_id, stop.key)
        self._tries[stop.key] = 1
        self._start(job, delay_seconds=0.0)
        return False

    def _reason_to_skip(self, stop: Stop) -> str | None:
        entry = self.results.get(stop.scope)
        if stop.leaves:
            entry = self.results.get(stop.inner)
        if entry is not None and entry.status == "skipped":
            return entry.output
        broken = next((scope for scope in self._broken if stop.key.startswith(scope)), None)
        if broken is not None:
            return f"{broken[:-1]} has failed"
        for key in sorted(stop.uses):
            if self.results[key].status != "done":
                return f"it needs the result of {key}, which {_fate(self.results[key])}"
        condition = None if stop.leaves else stop.node.condition
        if condition is not None and not holds(condition, self._surroundings(stop)):
            return f"its condition is false: {condition}"
        return None

    def _surroundings(self, stop: Stop) -> Surroundings:
        return self._means.runner.surroundings(stop, self._inputs[stop.scope], self.results_in(stop.scope))

    def results_in(self, scope: str) -> dict[str, Json]:
        """Return the results of a skill's finished nodes by id.

        Args:
            scope: "" for the skill itself, ``n4/`` for the sub-skill at node n4.
        """
        start = len(scope)
        return {
            key[start:]: result.result
            for key, result in self.results.items()
            if result.status == "done" and key.startswith(scope) and key[start:] and "/" not in key[start:]
        }

    def _entry(self, stop: Stop, child: Skill) -> dict[str, Json]:
        inputs, results = self._inputs[stop.scope], self.results_in(stop.scope)
        values = {variable.name: variable.default for variable in child.variables}
        for name, binding in stop.node.arguments.items():
            value, variable = resolve(binding, inputs, results), find_variable(child, name)
            values[name] = value if value is None and not variable.required else accept(value, variable)
        return values

    def _leave(self, stop: Stop, child: Skill) -> None:
        if stop.inner in self._broken:
            error = self._broken[stop.inner]
            self._fail(stop, NodeResult(node_id=stop.key, status="failed", error=error))
            return
        self._done(stop, collect_outputs(child, self._inputs[stop.inner], self.results_in(stop.inner)))

    def _ask(self, stop: Stop) -> None:
        approve = self._means.callbacks.approve
        assert approve is not None
        question = rendered(stop.node, self._inputs[stop.scope], self.results_in(stop.scope))
        self._means.log.prompt(stop.node, stop.key, question)
        if approve(question, stop.key):
            self._done(stop, "yes")
        else:
            error = f"a person said no to: {question}"
            self._fail(stop, NodeResult(node_id=stop.key, status="failed", result="no", error=error))

    def _start(self, job: Job, *, delay_seconds: float) -> None:
        stop, log = job.stop, self._means.log
        call_id = self._call_ids[stop.key] = f"{self._execution_id[-8:]}-{stop.key}-{log.position}"
        if stop.node.kind == "tool":
            log.tool_call(stop.node, stop.key, call_id, job.arguments)
        elif stop.node.kind == "code":
            log.code(stop.node, stop.key, call_id, job.text)
        else:
            log.prompt(stop.node, stop.key, job.text)
        self._running[stop.key] = job
        self._means.callbacks.tell("NODE_STARTED", node=stop.key, title=stop.node.title)
        threading.Thread(target=self._work, args=(job, delay_seconds), daemon=True).start()

    def _work(self, job: Job, delay_seconds: float) -> None:
        attempt = perform(job, delay_seconds=delay_seconds, cancelled=self._cancelled)
        self._attempts[job.stop.key] = attempt
        self._ended.put(job.stop.key)

    # --------------------------------------------------------------------------------------------- ending

    def _end(self, key: str) -> bool:
        """Write down how a try ended; False when there is another."""
        job, attempt = self._running.pop(key), self._attempts.pop(key)
        stop, log = job.stop, self._means.log
        paths = log.files(attempt.changes, agent=stop.node.agent or AGENT)
        result = NodeResult(
            node_id=key, status="failed" if attempt.error else "done", result=attempt.result,
            output=attempt.output, exit_code=attempt.exit_code, error=attempt.error, artifacts=paths,
            duration_seconds=attempt.duration_seconds,
        )  # fmt: skip
        log.ended(stop.node, key, self._call_ids[key], result, at=attempt.ended_at)
        tries = self._tries[key]
        if attempt.error and self._may_try_again(stop, attempt):
            self._tries[key] = tries + 1
            self._start(
                job, delay_seconds=min(self._means.backoff_seconds * 2 ** (tries - 1), MAX_BACKOFF_SECONDS)
            )
            return False
        if attempt.error:
            self._fail(stop, result, final=attempt.abandoned)
        else:
            if tries > 1:
                self._means.tracker.track_retry(key, tries, "an earlier try failed")
            self._settle(stop, result)
        return True

    def _may_try_again(self, stop: Stop, attempt: Attempt) -> bool:
        spent = self._tries[stop.key] > stop.node.retries
        return not (spent or attempt.abandoned or self.failure or self._cancelled.is_set())

    def _settle(self, stop: Stop, result: NodeResult) -> None:
        self.results[stop.key] = result
        self._means.checkpoints.settled(
            self._execution_id, stop.key, result, attempts=self._tries.get(stop.key, 1)
        )
        self._means.callbacks.tell("NODE_ENDED", node=stop.key, status=result.status, error=result.error)

    def _done(self, stop: Stop, result: Json) -> None:
        self._settle(stop, NodeResult(node_id=stop.key, status="done", result=result))

    def _skip(self, stop: Stop, reason: str) -> None:
        if self._is_own_choice(stop, reason):
            self._means.tracker.track_skipped(stop.key, reason)
        self._settle(stop, NodeResult(node_id=stop.key, status="skipped", output=reason))

    def _is_own_choice(self, stop: Stop, reason: str) -> bool:
        """Whether a skipped stop is the node itself, not the inside or the end of a skipped sub-skill."""
        entry = self.results.get(stop.inner if stop.leaves else stop.scope)
        return entry is None or entry.output != reason

    def _fail(self, stop: Stop, result: NodeResult, *, final: bool = False) -> None:
        """Settle a failed node: what it stops is everything, an optional sub-skill, or only itself."""
        self._settle(stop, result)
        error = f"{stop.key}: {result.error}"
        optional = self._optional_part(stop)
        if optional is None or final:
            self.failure = self.failure or error
        elif optional.endswith("/"):
            self._broken[optional] = error

    def _optional_part(self, stop: Stop) -> str | None:
        """Return the optional node that a stop is, or the scope of the optional sub-skill it is in."""
        if self._means.strict:
            return None
        if stop.node.optional:
            return stop.inner if stop.enters else stop.key
        parts = stop.scope.split("/")[:-1]
        for depth in range(len(parts), 0, -1):
            if self._graph.stops["/".join(parts[:depth])].node.optional:
                return "/".join(parts[:depth]) + "/"
        return None


def _fate(result: NodeResult) -> str:
    return "failed" if result.status == "failed" else "was skipped"
