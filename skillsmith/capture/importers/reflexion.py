"""Logs of Reflexion's programming runs: one task a line, attempts, test feedback, reflections, the verdict.

A step is an attempt. The log says of each attempt but the last that its tests failed (a reflection on the
failure follows) and of the last whether it solved the task (``is_solved``); exit codes 1 and 0 stand for
that. Older logs keep only the reflections and the last solution. A record does not name the agent, so the
same task in files of other names is other runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import as_text, items, outcome_of, text_or_none, without
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import CodeUse, Event, Json, Problem, RunRecord

NAME = "reflexion"
_ACTOR, _EVALUATOR, _REFLECTOR = "actor", "evaluator", "self_reflection"
_FEEDBACK = ("test_feedback", "feedbacks")
_SPOKEN = ("prompt", "solution", "implementations", "reflections", *_FEEDBACK)


def sniff(head: Head) -> float:
    """Return how surely a file is a log of Reflexion."""
    objects = head.objects
    known = sum(_is_record(value) for value in objects)
    return 0.97 if known and 2 * known >= len(objects) else 0.0


def _is_record(value: Mapping[str, Json]) -> bool:
    return isinstance(value.get("is_solved"), bool) and isinstance(value.get("prompt"), str)


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield a run for every task of a file."""
    agent = source.name.partition(".")[0]
    for found in _records(source):
        if isinstance(found, Problem):
            yield found
        elif _is_record(found):
            yield _run(found, agent)
        else:
            yield source.problem("not a Reflexion record: it has no prompt and no is_solved")


def _records(source: LogSource) -> Iterator[dict[str, Json] | Problem]:
    head = source.head
    if isinstance(head, Problem):
        yield head
    elif head.lines:
        for record in source.records():
            yield record if isinstance(record, Problem) else record.value
    else:
        document = source.document()
        if isinstance(document, Problem):
            yield document
        for item in document if isinstance(document, list) else [document]:
            if isinstance(item, dict):
                yield item
            elif not isinstance(item, Problem):
                yield source.problem("not a Reflexion record")


@dataclass(slots=True)
class _Attempts:
    """The attempts at one task as events.

    Args:
        prompt: The beginning of the code, with the task in its docstring.
        name: The function that is asked for, when the log says.
        solved: Whether the last attempt solved the task.
    """

    prompt: str
    name: str | None
    solved: bool
    events: list[Event] = field(default_factory=list)
    step: int = 1

    def tried(self, code: str, feedback: str | None, *, last: bool) -> None:
        """Add an attempt and what its tests said."""
        call_id, exit_code = f"attempt-{self.step}", int(not (last and self.solved))
        self.events += (
            Event(kind="message", step=self.step, role="assistant", agent=_ACTOR, content=code),
            Event(kind="code", step=self.step, agent=_ACTOR,
                  code=CodeUse(language="python", text=self._whole(code), call_id=call_id)),
            Event(kind="code_result", step=self.step, agent=_EVALUATOR,
                  code=CodeUse(language="python", call_id=call_id, exit_code=exit_code, output=feedback)),
        )  # fmt: skip

    def reflected(self, text: str) -> None:
        """Add what was learnt from an attempt that failed; the next one is another step."""
        self.events.append(Event(kind="reasoning", step=self.step, agent=_REFLECTOR, content=text))
        self.step += 1

    def _whole(self, code: str) -> str:
        """Return code that can run: some agents write only the body of the function."""
        is_body = self.name is not None and f"def {self.name}" not in code
        return self.prompt + code if is_body else code


def _run(record: Mapping[str, Json], agent: str) -> RunRecord:
    prompt = record["prompt"]
    codes = [text for text in items(record.get("implementations")) if isinstance(text, str)]
    solution = text_or_none(record.get("solution"))
    if solution and solution not in codes[-1:]:
        codes.append(solution)
    attempts = _Attempts(prompt, text_or_none(record.get("entry_point")), record["is_solved"])
    attempts.events.append(Event(kind="message", role="user", agent="user", content=prompt))
    _add(attempts, codes, record)
    outcome, reason = outcome_of(record)
    return RunRecord(
        source=NAME,
        native_id=f"{agent}/{record.get('task_id', record.get('name', ''))}",
        task=prompt,
        outcome=outcome,
        outcome_reason=reason,
        metadata={"agent": agent, **without(record, _SPOKEN)},
        events=tuple(attempts.events),
    )


def _add(attempts: _Attempts, codes: Sequence[str], record: Mapping[str, Json]) -> None:
    """Add what was tried and learnt in turn; of attempts whose code was not kept, only what was learnt."""
    reflections = [text for text in items(record.get("reflections")) if isinstance(text, str)]
    feedback = next((items(record[key]) for key in _FEEDBACK if key in record), [])
    unseen = max(0, len(reflections) - len(codes) + 1)
    for reflection in reflections[:unseen]:
        attempts.reflected(reflection)
    learnt = deque(reflections[unseen:])
    for number, code in enumerate(codes):
        said = as_text(feedback[number]) if number < len(feedback) else None
        attempts.tried(code, said, last=number == len(codes) - 1)
        if learnt:
            attempts.reflected(learnt.popleft())


IMPORTER = Importer(
    name=NAME,
    description="Reflexion's programming runs: attempts, test feedback, reflections, verdict (JSON lines)",
    sniff=sniff,
    parse=parse,
)
