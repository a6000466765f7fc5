"""Walk a skill's graph: ready nodes side by side, one record for each, stop at the first failure that counts.

One thread, the caller's, decides and writes everything; the others only work (tries.py). So an interrupt
finds the books in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from skillsmith.errors import SkillsmithError
from skillsmith.library.checkpoints import Progress
from skillsmith.library.execution.callbacks import ExecutionCallbacks
from skillsmith.library.execution.loops import Loop, loop_at, loop_key
from skillsmith.library.execution.node_runs import Job, Known, rendered
from skillsmith.library.execution.outcome import collect_outputs
from skillsmith.library.execution.tries import Ended, Tries, Walker
from skillsmith.library.program.bindings import resolve
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.program.graph import Graph, Stop
from skillsmith.library.program.inputs import accept, find_variable
from skillsmith.models import Adaptation, Json, NodeResult, Skill

__all__ = ["ExecutionCallbacks", "Walk", "Walker"]


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
        self._attempts = dict(progress.attempts)
        self._adapted = dict(progress.adaptations)
        self._broken: dict[str, str] = {}
        self._loops: dict[str, Loop] = {}
        self._tries = Tries(means, execution_id=execution_id)

    def run(self) -> None:
        """Walk to the end, or to the first failure that counts; ``failure`` says which.

        Raises:
            KeyboardInterrupt: Passed on after what runs has been stopped or waited for, and written down.
        """
        try:
            self._walk()
        except KeyboardInterrupt:
            self._means.runner.cancelled.set()
            self._means.stop_code()
            for ended in self._tries.drain():
                if ended.result.status != "failed" or ended.stop.node.kind != "code":  # code was killed
                    self._end(ended)
            raise

    def _walk(self) -> None:
        sorter = self._graph.sorter()
        ready: deque[str] = deque()
        while sorter.is_active():
            self._means.callbacks.check()
            ready.extend(sorter.get_ready())
            settled = []
            while ready and self.failure is None and len(self._tries) < self._means.side_by_side:
                key = ready.popleft()
                if self._begin(self._graph.stops[key]):
                    settled.append(key)
            if settled:
                sorter.done(*settled)
                continue
            if not len(self._tries):
                return  # only after a failure: otherwise something is ready or running
            ended = self._tries.next()
            settled_key = None if ended is None else self._end(ended)
            if settled_key is not None:
                sorter.done(settled_key)

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
            known = self._known(stop)
            if stop.node.for_each is None and self._tries.begin_broken(stop, error.message, known):
                return False
            self._fail(stop, NodeResult(node_id=stop.key, status="failed", error=error.message))
            return True

    def _restore(self, stop: Stop) -> None:
        result = self.results[stop.key]
        if stop.enters and result.status == "done":
            self._inputs[stop.inner] = result.result
        tracker = self._means.tracker
        for key in (key for key in self.results if loop_key(key) == stop.key):
            if key in self._adapted:
                tracker.add(*self._adapted[key])
            elif key in self._attempts:
                tracker.track_retry(key, self._attempts[key], "an earlier try failed")
        if stop.key in self._adapted or stop.key in self._attempts:
            return
        if result.status == "skipped" and self._is_own_choice(stop, result.output):
            tracker.track_skipped(stop.key, result.output)

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
        if node.for_each is not None:
            loop = self._loops[stop.key] = loop_at(stop, self._known(stop))
            return self._go_on(loop)
        self._start(stop, self._known(stop))
        return False

    def _start(self, stop: Stop, known: Known) -> None:
        job = self._means.runner.job(stop, known)
        self._means.callbacks.tell("NODE_STARTED", node=stop.key, title=stop.node.title)
        # told first: who dies in between has not begun
        self._tries.begin(job, known, mark=lambda: self._mark_begun(job))

    def _go_on(self, loop: Loop) -> bool:
        """Begin the first item of a loop that is not settled; True when all are, or one cannot begin."""
        for index, key in enumerate(loop.item_keys()):
            if key in self.results:
                continue
            try:
                self._start(*loop.item(index))
            except SkillsmithError as error:
                self._means.log.failure(error.message, node=loop.stop.node, key=key)
                self._fail_loop(loop, f"{key}: {error.message}")
                return True
            return False
        self._done(loop.stop, [self.results[key].result for key in loop.item_keys()])
        return True

    def _mark_begun(self, job: Job) -> None:
        """Note in the books that a node which may change something begins."""
        node, absent = job.stop.node, None
        if node.kind == "code":
            absent = [path for path, target in job.files.items() if not target.exists()]
        elif node.effect == "read" or node.repeatable or node.kind not in ("tool", "agent"):
            return
        self._means.checkpoints.started(self._execution_id, job.key, absent=absent)

    def _known(self, stop: Stop) -> Known:
        return Known(inputs=self._inputs[stop.scope], results=self.results_in(stop.scope))

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
        return self._means.runner.surroundings(stop, self._known(stop))

    def results_in(self, scope: str) -> dict[str, Json]:
        """Return the results of a skill's finished nodes by id.

        Args:
            scope: "" for the skill itself, ``n4/`` for the sub-skill at node n4.
        """
        start = len(scope)
        return {
            key[start:]: result.result
            for key, result in self.results.items()
            if result.status == "done"
            and key.startswith(scope)
            and key[start:]
            and "/" not in key[start:]
            and loop_key(key) == key
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

    # --------------------------------------------------------------------------------------------- ending

    def _end(self, ended: Ended) -> str | None:
        """Settle a node that was tried; return its key, for an item its loop's, None while that goes on."""
        loop = self._loops.get(loop_key(ended.stop.key))
        failed = ended.result.status == "failed"
        if failed and loop is None:
            self._fail(ended.stop, ended.result, final=ended.final)
            return ended.stop.key
        self._means.tracker.add(*ended.adaptations)
        self._settle(ended.stop, ended.result, tries=ended.tries, adaptations=ended.adaptations)
        if loop is None:
            return ended.stop.key
        if failed:
            self._fail_loop(loop, f"{ended.stop.key}: {ended.result.error}", final=ended.final)
            return loop.stop.key
        if self._tries.stopping:
            return None
        return loop.stop.key if self._go_on(loop) else None

    def _fail_loop(self, loop: Loop, error: str, *, final: bool = False) -> None:
        self._fail(loop.stop, NodeResult(node_id=loop.stop.key, status="failed", error=error), final=final)

    def _settle(
        self, stop: Stop, result: NodeResult, *, tries: int = 1, adaptations: tuple[Adaptation, ...] = ()
    ) -> None:
        self.results[stop.key] = result
        with self._means.log.together():
            self._means.checkpoints.settled(
                self._execution_id, stop.key, result, attempts=tries, adaptations=adaptations
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
            self._tries.stopping = True
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
