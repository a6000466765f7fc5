"""SWE-agent's trajectories: the messages of ``history``, and the ``trajectory`` of actions and observations.

A message becomes a message; the action it took becomes a tool call where the model called a tool, else shell
code, and what was observed becomes its result. Steps are the trajectory's, also those that the history has
dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import (
    Timeline,
    count_or_none,
    items,
    mapping,
    number_or_none,
    text_or_none,
    tool_call,
    tool_result,
    without,
)
from skillsmith.capture.importers.blocks import plain_text
from skillsmith.capture.importers.jsontext import parsed_or_none
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import CodeUse, Event, Json, Problem, RunRecord

NAME = "swe-agent"


def sniff(head: Head) -> float:
    """Return how surely a file is a SWE-agent trajectory."""
    if head.lines or not head.objects:
        return 0.0
    document = head.objects[0]
    step = next(iter(items(document.get("trajectory"))), None)
    if {"action", "observation"} <= mapping(step).keys():
        return 0.98
    history = [mapping(message) for message in items(document.get("history"))]
    if any("agent" in message and ("message_type" in message or "action" in message) for message in history):
        return 0.95
    return 0.0


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield the run of a trajectory."""
    document = source.document()
    if isinstance(document, Problem):
        yield document
        return
    record = mapping(document)
    steps = [mapping(step) for step in items(record.get("trajectory"))]
    history = [mapping(message) for message in items(record.get("history"))]
    if not steps and not history:
        yield source.problem("a trajectory without steps and without history")
        return
    attempt = _Attempt(steps)
    attempt.add(history)
    yield _record(record, attempt)


@dataclass(slots=True)
class _Attempt:
    """A trajectory as it is put together from its two halves.

    Args:
        steps: The trajectory.
        done: How many of them have been added.
    """

    steps: Sequence[Mapping[str, Json]]
    timeline: Timeline = field(default_factory=Timeline)
    done: int = 0
    task: str = ""
    work_dir: str | None = None
    _open: str | None = None  # code whose output is to come
    _unanswered: str | None = None  # a tool call whose result is to come
    _seconds: float | None = None
    _acted: bool = False
    _places: dict[str, deque[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, step in enumerate(self.steps):
            self._places.setdefault(text_or_none(step.get("action")) or "", deque()).append(number)

    def add(self, history: Sequence[Mapping[str, Json]]) -> None:
        """Add the messages in order, and the steps where they belong."""
        for message in history:
            role = text_or_none(message.get("role")) or "user"
            if role == "assistant":
                self._add_action(message)
            elif role == "tool":
                self._add_tool_result(message)
            else:
                self._add_words(message, role)
        self._close()
        while self.done < len(self.steps):
            self._add_step(self.steps[self.done])

    def _add_action(self, message: Mapping[str, Json]) -> None:
        agent = text_or_none(message.get("agent")) or "assistant"
        self._close()
        at = None if message.get("is_demo") is True else self._find(text_or_none(message.get("action")))
        while at is not None and self.done < at:
            self._add_step(self.steps[self.done])
        step = self.steps[at] if at is not None else None
        self._begin(step)
        self._think(text_or_none(message.get("thought")), agent)
        self._add_message(message, "assistant", agent)
        calls = [mapping(call) for call in items(message.get("tool_calls"))]
        for number, call in enumerate(calls):
            self._call(call, step if number == 0 else None, agent)
        self._unanswered = text_or_none(calls[0].get("id")) if calls and step is not None else None
        if not calls and (action := text_or_none(message.get("action"))):
            self._run(action, step, agent)

    def _find(self, action: str | None) -> int | None:
        """Return the number of the next step with this action."""
        places = self._places.get(action or "", deque())
        while places and places[0] < self.done:
            places.popleft()
        return places[0] if places else None

    def _begin(self, step: Mapping[str, Json] | None) -> None:
        """Enter a step; without a trajectory, each action is one."""
        self._seconds = None
        if step is not None:
            self.done += 1
            self.timeline.step = self.done
            self._seconds = number_or_none(step.get("execution_time"))
            state = step.get("state")
            state = mapping(parsed_or_none(state) if isinstance(state, str) else state)
            self.work_dir = self.work_dir or text_or_none(state.get("working_dir"))
        elif not self.steps:
            self.timeline.step += self._acted
        self._acted = True

    def _think(self, thought: str | None, agent: str) -> None:
        if thought and thought.strip():
            self.timeline.add(Event(kind="reasoning", step=self.timeline.step, agent=agent, content=thought))

    def _call(self, call: Mapping[str, Json], step: Mapping[str, Json] | None, agent: str) -> None:
        function = mapping(call.get("function"))
        tool = tool_call(function.get("name"), call.get("id"), function.get("arguments"))
        self.timeline.add(
            Event(kind="tool_call", step=self.timeline.step, agent=agent, tool=self.timeline.call(tool),
                  data=_step_data(step))
        )  # fmt: skip

    def _run(self, action: str, step: Mapping[str, Json] | None, agent: str) -> None:
        self._open = f"action-{len(self.timeline.events)}"
        code = CodeUse(language="sh", text=action, call_id=self._open)
        self.timeline.add(
            Event(kind="code", step=self.timeline.step, agent=agent, code=code, data=_step_data(step))
        )

    def _add_step(self, step: Mapping[str, Json]) -> None:
        """Add a step that the history does not tell of."""
        self._begin(step)
        self._think(text_or_none(step.get("thought")), "assistant")
        self._run(text_or_none(step.get("action")) or "", step, "assistant")
        self._close()

    def _close(self) -> None:
        """Add what the trajectory says was observed, when no message told it."""
        observed = self._observed()
        if self._open is not None and observed is not None:
            self._observe(observed)
        if self._unanswered is not None and observed:
            self._add_answer(self._unanswered, observed)
        self._open = self._unanswered = None

    def _observed(self) -> str | None:
        step = self.steps[self.done - 1] if 0 < self.done <= len(self.steps) else {}
        observed = step.get("observation")
        return observed if isinstance(observed, str) else None

    def _observe(self, observation: str) -> None:
        code = CodeUse(language="sh", call_id=self._open, output=observation)
        self.timeline.add(
            Event(kind="code_result", step=self.timeline.step, code=code, duration_seconds=self._seconds)
        )
        self._open = None

    def _add_words(self, message: Mapping[str, Json], role: str) -> None:
        text = self._add_message(message, "system" if role == "system" else "user", None)
        if self._open is None:
            if role == "user" and not self.task and not message.get("is_demo"):
                self.task = text or ""
            return
        observed = self._observed()
        self._observe(text or "" if observed is None else observed)

    def _add_message(self, message: Mapping[str, Json], role: str, agent: str | None) -> str | None:
        text = plain_text(message.get("content"))
        data = {"is_demo": True} if message.get("is_demo") is True else None
        self.timeline.add(
            Event(kind="message", step=self.timeline.step, role=role, agent=agent, content=text, data=data)
        )
        return text

    def _add_tool_result(self, message: Mapping[str, Json]) -> None:
        ids = [call_id for call_id in items(message.get("tool_call_ids")) if isinstance(call_id, str)]
        call_id = ids[0] if ids else text_or_none(message.get("tool_call_id"))
        self._add_answer(call_id, plain_text(message.get("content")))
        self._unanswered = None

    def _add_answer(self, call_id: str | None, text: str | None) -> None:
        tool = tool_result(self.timeline.tool_name(call_id), call_id, text)
        self.timeline.add(
            Event(kind="tool_result", step=self.timeline.step, role="tool", tool=tool,
                  duration_seconds=self._seconds)
        )  # fmt: skip


def _step_data(step: Mapping[str, Json] | None) -> dict[str, Json] | None:
    """Return what marks an event as a step of the trajectory: the action as it was run."""
    return None if step is None else {"action": text_or_none(step.get("action")) or ""}


def _record(document: Mapping[str, Json], attempt: _Attempt) -> RunRecord:
    info = mapping(document.get("info"))
    stats = mapping(info.get("model_stats"))
    exit_status = text_or_none(info.get("exit_status"))
    metadata = {
        **without(info, ("edited_files30", "edited_files50", "edited_files70")),
        **without(document, ("trajectory", "history", "info")),
    }
    cost = number_or_none(stats.get("instance_cost"))
    return RunRecord(
        source=NAME,
        task=attempt.task,
        outcome_reason=f"exit_status {exit_status}" if exit_status else None,
        cost_usd=cost or None,
        work_dir=attempt.work_dir,
        metadata=metadata,
        events=_with_totals(attempt.timeline.events, stats),
    )


def _with_totals(events: Sequence[Event], stats: Mapping[str, Json]) -> tuple[Event, ...]:
    """Return the events and, where the log states totals, one event that carries them."""
    sent, received = count_or_none(stats.get("tokens_sent")), count_or_none(stats.get("tokens_received"))
    if not sent and not received:
        return tuple(events)
    calls = {"api_calls": stats.get("api_calls")} if "api_calls" in stats else None
    last = events[-1].step if events else 1
    return (*events, Event(kind="llm_call", step=last, tokens_in=sent, tokens_out=received, data=calls))


IMPORTER = Importer(
    name=NAME,
    description="SWE-agent trajectories (.traj)",
    sniff=sniff,
    parse=parse,
)
