"""Logging by hand, for any agent framework: each call records what happened and never disturbs the host.

After construction no ``log_`` call raises into the host's run, waits for the database or changes a result.
What could not be recorded is counted and reported once, when the logger ends.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from skillsmith.capture.artifacts import ArtifactTracker
from skillsmith.capture.entries import RunEnd
from skillsmith.capture.harmless import Failures, harmless
from skillsmith.capture.recorder import DatabaseLike, Durability, Recorder
from skillsmith.capture.shapes import (
    error_of,
    execution_of,
    reply_of,
    safe_text,
    text_of,
    tool_calls_of,
    values_of,
)
from skillsmith.capture.steps import Sink, StepTally, open_sink
from skillsmith.capture.trails import CodeTrail, OpenCalls
from skillsmith.events import dump_json
from skillsmith.ids import new_id
from skillsmith.models import (
    CodeUse,
    Event,
    EventKind,
    Outcome,
    RunStatus,
    StepExecutionSummary,
    ToolUse,
)

TRACEBACK_CHARS = 20_000
FLUSH_SECONDS = 1.0
"""The longest that ending a step waits for a locked database."""


class AgentExecutionLogger:
    """Log what agents do in the steps of a run.

    As a context manager it finishes a run that it began itself; an exception inside is recorded, marks
    the run as failed and goes on unchanged.

    Args:
        db: Path of the database, or an object with a ``path``: a Workspace or Database.
        run_id: The run to add to; left out, a new run is begun.
        step_id: The step, as a number or the host's own id.
        task: What the agents of a new run were asked to do.
        work_dir: Track the files of this folder.
        durability: "group": stored at once by a writer thread; "sync": by the caller, zero loss at SIGKILL.
        redact: Replace secrets before anything is stored.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The database cannot be opened.
        UsageError: An argument makes no sense.
    """

    def __init__(
        self,
        db: DatabaseLike,
        run_id: str | None = None,
        step_id: int | str | None = None,
        *,
        task: str = "",
        work_dir: str | os.PathLike[str] | None = None,
        durability: Durability = "group",
        redact: bool = True,
    ) -> None:
        self.sink: Sink = open_sink(
            db, run_id=run_id, step_id=step_id, task=task, durability=durability, redact=redact,
            work_dir=None if work_dir is None else os.path.abspath(work_dir),  # noqa: PTH100  (kept as text)
        )  # fmt: skip
        self._prepare(Failures())
        self._release = weakref.finalize(self, Recorder.release, self.sink.recorder)
        self._release.atexit = False  # at exit the recorder itself sees to it that all is stored
        try:
            if work_dir is not None:
                self.track(work_dir)
        except BaseException:
            self._release()
            raise

    def _prepare(self, failures: Failures) -> None:
        self.failures = failures
        self.tracker: ArtifactTracker | None = None
        self._agent: str | None = None
        self._context: str | None = None
        self._calls = OpenCalls()
        self._code = CodeTrail()
        self._ended = False
        self._named = False

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.sink.run_id

    @property
    def run_pk(self) -> int:
        """The run's primary key, for ``recorder.record``."""
        return self.sink.run_pk

    @property
    def step(self) -> int:
        """The number of the step that is being logged."""
        return self.sink.step

    @property
    def recorder(self) -> Recorder:
        """Where the events go."""
        return self.sink.recorder

    def track(self, work_dir: str | os.PathLike[str]) -> ArtifactTracker:
        """Track the files of a folder from now on, around each code execution and tool call.

        Raises:
            StorageError: The database cannot be read.
        """
        self.tracker = ArtifactTracker(work_dir, self)
        if self.sink.fresh:
            self.tracker.snapshot()
        else:
            self.tracker.scan()
        return self.tracker

    @contextmanager
    def executing(self, agent: str) -> Iterator[None]:
        """Look at the work folder before and after the body: what changes inside is this agent's work."""
        self._scan(None)
        try:
            yield
        finally:
            self._scan(agent)

    @harmless
    def log_agent_start(self, agent_name: str, context: Any = None) -> None:
        """Record that an agent begins to work, and its context variables when they have changed."""
        self._agent = agent_name
        self._event("agent_start", agent=agent_name)
        if context is not None:
            self._snapshot(context, agent_name)

    @harmless
    def log_agent_reply(  # noqa: PLR0913  (all but four are keyword-only figures of one reply)
        self,
        agent_name: str,
        reply: Any,
        reasoning: str | None = None,
        tools: Sequence[Any] | None = None,
        *,
        recipient: str | None = None,
        role: str | None = None,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        cost_usd: float | None = None,
        duration_seconds: float | None = None,
        model: str | None = None,
    ) -> None:
        """Record what an agent said.

        Args:
            agent_name: Who.
            reply: A text, or a chat message as a dictionary or object.
            reasoning: What it thought before, unless the reply says so.
            tools: The tool calls it asks for, unless the reply holds them.
            recipient: To whom.
            role: Its role in the chat; left out, the one that the reply names, else assistant.
            tokens_in: Prompt tokens.
            tokens_out: Completion tokens.
            cost_usd: What it cost.
            duration_seconds: How long it took.
            model: Which model answered.
        """
        self._agent = agent_name
        said = reply_of(reply)
        self._event(
            "message", role=role or said.role or "assistant", agent=agent_name, recipient=recipient,
            content=said.content, reasoning=text_of(reasoning) or said.reasoning,
            data={"model": model} if model else None,
            tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost_usd, duration_seconds=duration_seconds,
        )  # fmt: skip
        for use in said.tools if tools is None else tool_calls_of(tools):
            self._calls.add(use)
            self._event("tool_call", agent=agent_name, tool=use)

    @harmless
    def log_message(
        self, content: Any, *, role: str = "user", sender: str | None = None, recipient: str | None = None
    ) -> None:
        """Record a message that no agent wrote: of the user or the system."""
        self._event("message", role=role, agent=sender, recipient=recipient, content=text_of(content))

    @harmless
    def log_code_execution(
        self,
        code: str,
        result: Any,
        *,
        agent: str | None = None,
        language: str = "python",
        duration_seconds: float | None = None,
    ) -> None:
        """Record a code block and what running it gave, then the files it made or changed.

        Args:
            code: The block.
            result: A dictionary or object with an exit code and an output, or stdout and stderr, or logs.
            agent: Whose block it is; left out, the agent at work.
            language: Of the block.
            duration_seconds: How long it ran.
        """
        who = agent or self._agent
        exit_code, output = execution_of(result)
        block, before, version = self._code.next(code, language=language)
        data = {"version": version, "supersedes": before.call_id} if before else None
        self._event("code", agent=who, code=block, data=data)
        ran = CodeUse(language=language, call_id=block.call_id, exit_code=exit_code, output=output)
        self._event("code_result", agent=who, code=ran, duration_seconds=duration_seconds)
        self._code.ran(block, exit_code=exit_code)
        self._scan(who)
        if before and self.tracker:
            self.tracker.track_code_evolution([before.text or "", block.text or ""])

    @harmless
    def log_tool_usage(
        self,
        tool_name: str,
        args: Any,
        result: Any,
        *,
        agent: str | None = None,
        call_id: str | None = None,
        error: Any = None,
        duration_seconds: float | None = None,
    ) -> None:
        """Record a tool call and its result, then the files it made or changed.

        Args:
            tool_name: The tool.
            args: Its arguments, as the model wrote them or as a dictionary.
            result: What it returned; an exception is its error.
            agent: Who called it; left out, the agent at work.
            call_id: The call's id; left out, that of an equal call which a reply asked for, or a new one.
            error: What went wrong.
            duration_seconds: How long it took.
        """
        who = agent or self._agent
        use = self._calls.claim(tool_name, args, call_id)
        if use is None:
            use = ToolUse(name=tool_name, call_id=call_id or new_id(), arguments=text_of(args))
            self._event("tool_call", agent=who, tool=use)
        if error is None and isinstance(result, BaseException):
            result, error = None, result
        done = ToolUse(name=tool_name, call_id=use.call_id, result=text_of(result), error=error_of(error))
        self._event("tool_result", role="tool", agent=who, tool=done, duration_seconds=duration_seconds)
        self._scan(who)

    @harmless
    def log_agent_transition(self, from_agent: str | None, to_agent: str | None, reason: str = "") -> None:
        """Record that one agent hands over to another, and why."""
        self._agent = to_agent or self._agent
        self._event("transition", agent=from_agent, recipient=to_agent, content=text_of(reason) or None)

    @harmless
    def log_context(self, values: Any, agent: str | None = None) -> None:
        """Record the context variables when they differ from the last ones recorded."""
        self._snapshot(values, agent or self._agent)

    @harmless
    def log_error(self, error: BaseException | str, *, agent: str | None = None) -> None:
        """Record an error with its type and traceback."""
        if isinstance(error, BaseException):
            import traceback  # noqa: PLC0415  (10 ms; only for errors)

            trace = "".join(traceback.format_exception(error))[-TRACEBACK_CHARS:]
            data = {"type": type(error).__name__, "traceback": trace}
            self._event("error", agent=agent or self._agent, content=safe_text(error), data=data)
        else:
            self._event("error", agent=agent or self._agent, content=text_of(error))

    def finalize_step_logging(self) -> StepExecutionSummary:
        """Store the step and return what it did; what is logged afterwards still counts to it."""
        self._scan(None)
        made = self.tracker.versions(self.sink.step) if self.tracker else ()
        summary, end = self.sink.tally.end(self.run_id, made, dropped=self.recorder.dropped)
        self.sink.record(end)
        self.recorder.flush(FLUSH_SECONDS)
        return summary

    def next_step(self, title: str | None = None, host_id: str | None = None) -> int:
        """End the step and begin the next; return its number. The first call names the first step.

        Args:
            title: What the step is about.
            host_id: The host's own id of it.
        """
        tally, step = self.sink.tally, self.sink.step
        if tally.events or self._named:
            if not tally.saved:
                self.finalize_step_logging()
            step += 1
        self._named = True
        self.sink.tally = StepTally(step, title=title, host_id=host_id)
        return step

    def finish(
        self, outcome: Outcome | None = None, *, status: RunStatus = "completed", reason: str | None = None
    ) -> None:
        """Finish the run and end logging.

        Args:
            outcome: Whether the task was done, when that is known.
            status: Whether the run came to its end.
            reason: Which fact says so.
        """
        if not self._ended:
            self._end(RunEnd(run_id=self.run_id, status=status, outcome=outcome, reason=reason))

    def close(self) -> None:
        """End logging; a run that was begun here is finished, one that was given stays as it is."""
        if self.sink.created:
            self.finish()
        elif not self._ended:
            self._end(None)

    def _end(self, end: RunEnd | None) -> None:
        self._ended = True
        if self.sink.tally.events and not self.sink.tally.saved:
            self.finalize_step_logging()
        if end is not None:
            self.sink.record(end)
        self._release.detach()
        self.recorder.close()
        self._report()

    def _report(self) -> None:
        """Say once what is not in the database, and why."""
        lost = self.recorder.dropped + self.failures.count
        if not lost and not self.recorder.side_files:
            return
        import logging  # noqa: PLC0415  (20 ms; only where something was lost)

        log = logging.getLogger("skillsmith.capture")
        if lost:
            why = self.failures.first or self.recorder.problem
            log.warning("run %s: %d of its records were not made, first reason: %s", self.run_id, lost, why)
        for path in self.recorder.side_files:
            log.warning(
                "run %s: what could not be stored (%s) waits in %s; it is stored when the database is next"
                " written to", self.run_id, self.recorder.problem, path,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
            return
        self.log_error(error)
        if not self.sink.created:
            self.close()
        elif isinstance(error, (Exception, SystemExit)):
            self.finish("failure", status="failed", reason=error_of(error))
        else:  # Ctrl-C, a cancelled task, a closed generator
            self.finish(status="interrupted", reason=error_of(error))

    def _event(self, kind: EventKind, *, agent: str | None, **fields: Any) -> None:
        name = agent if agent is None or type(agent) is str else str(agent)
        self.sink.log(Event(kind=kind, at=time.time(), step=self.sink.step, agent=name, **fields))

    def _snapshot(self, context: Any, agent: str | None) -> None:
        values = values_of(context)
        frozen = dump_json(values)
        if frozen != self._context:
            self._context = frozen
            self._event("context", agent=agent, data={"values": values})

    @harmless
    def _scan(self, agent: str | None) -> None:
        if self.tracker is not None:
            self.tracker.scan(agent=agent or self._agent)
