"""Skills from the completed steps of a run that is still going on.

A step is complete when a later one has begun or the run is over. Each step is read once when it is complete,
never the run from its beginning: what it costs depends on what is new, not on how long the run is. How far it
has come is stored, so another process goes on there. What recurs is worth a skill: when enough steps did the
same, the last of them becomes a draft. A skill made from the whole run takes the place of its drafts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from skillsmith.db import Database
from skillsmith.errors import ExtractionError, NotFoundError, SecretFoundError, UsageError
from skillsmith.events import EventLog
from skillsmith.ids import digest_of
from skillsmith.library.extraction.incremental_rows import PARTIAL, ProgressRows
from skillsmith.library.extractor import SkillExtractor
from skillsmith.library.program.document import to_document
from skillsmith.library.program.seal import canonical
from skillsmith.library.program.similarity import structure_digest
from skillsmith.library.repository import SkillRepository
from skillsmith.library.trace.calls import calls_of
from skillsmith.models import Event, Json, Run, Skill
from skillsmith.runs import RunRepository

SUPPORT: Final = 2
"""So many steps must have done the same before a draft is made of it."""

CONTEXT_EVENTS: Final = 400
"""Events before a step in which its values are looked for."""

MAX_PATTERNS: Final = 200
"""Kinds of steps that are remembered; of more, those seen longest ago are forgotten."""

MAX_STEP_EVENTS: Final = 5_000
"""A longer step is no pattern: it is counted, not extracted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run was learned from.

    Args:
        seq: The last event that is done with.
        over: Whether the run is over.
        steps: Completed steps that were new.
        read: Events that were read for it.
        drafts: Skills that were made of them.
        superseded: Drafts that a skill of the whole run took the place of, as NAME@VERSION.
        notes: What recurred but was not made a draft, and why.
    """

    run_id: str
    seq: int
    over: bool
    steps: int = 0
    read: int = 0
    drafts: tuple[Skill, ...] = ()
    superseded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Pass:
    """What one look at a run found."""

    patterns: dict[str, dict[str, Json]]
    steps: int = 0
    read: int = 0
    drafts: list[Skill] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class IncrementalSkillExtractor:
    """Makes drafts from runs that go on.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._runs = RunRepository(db)
        self._log = EventLog(db)
        self._rows = ProgressRows(db)
        self._skills = SkillRepository(db)
        self._extractor = SkillExtractor(db)

    def advance(self, run_id: str, *, support: int = SUPPORT, name: str | None = None) -> Progress:
        """Learn from the steps that were completed since the last time.

        Args:
            run_id: The run's id or unique prefix.
            support: Steps that must have done the same before a draft is made of it.
            name: What drafts are called; else told from what they do. A number is added where it is taken.
        """
        if support < 1:
            raise UsageError(f"{support} steps are no support", hint="give 1 or more")
        run = self._runs.get(run_id)
        key = self._runs.key(run.id)
        seq, state = self._rows.load(key)
        newest, step = self._rows.newest(key)
        over = run.status != "running"
        found = _Pass(patterns=state.get("patterns", {}))
        if newest > seq and (over or step != self._rows.step_at(key, seq + 1)):
            for events in self._completed(key, seq, found, over=over):
                with self._db.transaction():
                    self._learn(run, key, events, found, support=support, name=name)
                    seq = events[-1].seq
                    self._rows.save(key, seq, {"patterns": found.patterns})
        return Progress(
            run_id=run.id, seq=seq, over=over, steps=found.steps, read=found.read,
            drafts=tuple(found.drafts), notes=tuple(found.notes),
            superseded=self.supersede(run.id) if over else (),
        )  # fmt: skip

    def extract_partial_skill(
        self, run_id: str, completed_steps: Sequence[int], skill_name: str | None = None
    ) -> Skill:
        """Make a draft from chosen steps of a run that need not be over, and return it as stored.

        Raises:
            ExtractionError: A step is not complete, or they did nothing that can be repeated.
        """
        run = self._runs.get(run_id)
        key = self._runs.key(run.id)
        _, open_step = self._rows.newest(key)
        if run.status == "running" and open_step in completed_steps:
            raise ExtractionError(
                f"step {open_step} of run {run.id[:18]} is not complete", hint="wait until the next begins"
            )
        wanted = set(completed_steps)
        events = [event for event in self._log.replay(key) if event.step in wanted]
        if not events:
            raise NotFoundError(f"run {run.id[:18]} has no such steps")
        return self._store(run, key, events, name=skill_name)

    def supersede(self, run_id: str) -> tuple[str, ...]:
        """Retire a run's drafts once there is a skill of the whole run, and return which."""
        run = self._runs.get(run_id)
        whole = self._rows.whole(run.id)
        drafts = self._rows.drafts(run.id) if whole else []
        for ref in drafts:
            self._skills.set_state(ref, "retired", reason=f"{whole} was made from the whole run")
        return tuple(drafts)

    def _completed(self, run: int, after: int, found: _Pass, *, over: bool) -> Iterator[list[Event]]:
        """Yield the events of each completed step, in order; of the open one at most a window is read."""
        waiting: list[Event] | None = None
        for _, group in groupby(self._log.replay(run, after=after), key=lambda event: event.step):
            if waiting is not None:
                yield waiting
            waiting = list(group)
            found.read += len(waiting)
        if over and waiting is not None:
            yield waiting

    def _learn(
        self, run: Run, key: int, events: Sequence[Event], found: _Pass, *, support: int, name: str | None
    ) -> None:
        found.steps += 1
        pattern = _pattern(events)
        if pattern is None:
            return
        known = found.patterns.pop(pattern, {"steps": 0, "skill": None})
        known["steps"] += 1
        found.patterns[pattern] = known
        for oldest in list(found.patterns)[:-MAX_PATTERNS]:
            del found.patterns[oldest]
        if known["skill"] is not None or known["steps"] < support:
            return
        try:
            draft = self._store(run, key, events, name=name)
        except (ExtractionError, SecretFoundError) as error:
            found.notes.append(f"step {events[0].step}: {error.message}")
            known["skill"] = ""
            return
        known["skill"] = draft.name
        if draft.lineage.get(PARTIAL) == run.id and draft.id not in {one.id for one in found.drafts}:
            found.drafts.append(draft)

    def _store(self, run: Run, key: int, events: Sequence[Event], *, name: str | None) -> Skill:
        """Store a draft; where the library does the same already, that skill is returned."""
        before = self._log.replay(key, after=max(events[0].seq - CONTEXT_EVENTS - 1, 0))
        context = [event for event, _ in zip(before, range(CONTEXT_EVENTS), strict=False)]
        seen = [event for event in context if event.seq < events[0].seq] + list(events)
        skill = self._extractor.part(run, seen, events=events)
        same = self._skills.with_structure(structure_digest(skill))
        if same:
            return self._skills.get(same[0][0])
        steps = sorted({event.step for event in events})
        span = f"{steps[0]}-{steps[-1]}" if len(steps) > 1 else str(steps[0])
        skill = replace(
            skill, name=self._free(name or skill.name), source_steps=span, tags=(*skill.tags, "partial"),
            reason=f"made from step {span} while run {run.id[:18]} went on",
            lineage={"runs": [run.id], "steps": steps, PARTIAL: run.id},
        )  # fmt: skip
        self._skills.clearance.refuse_secrets([(skill.name, to_document(skill))])
        return self._skills.add(skill)

    def _free(self, name: str) -> str:
        """Return a name that no skill has: a draft never becomes a version of somebody's skill."""
        number, free = 2, name
        while self._skills.exists(free):
            free, number = f"{name}_{number}", number + 1
        return free


def _pattern(events: Sequence[Event]) -> str | None:
    """Return what a step did, whatever values it did it with; None for nothing that worked."""
    if len(events) > MAX_STEP_EVENTS:
        return None
    calls = [call for call in calls_of(events) if call.error is None and not call.routes]
    blocks = [event for event in events if event.kind == "code" and event.code]
    results = [event.code for event in events if event.kind == "code_result" and event.code]
    if not calls and not blocks:
        return None
    if blocks and (not results or results[-1].exit_code not in (0, None)):
        return None
    done: list[Json] = [[call.name, sorted(call.arguments or ())] for call in calls]
    done += [["code", event.code.language] for event in blocks if event.code]
    return digest_of(canonical(done))[:24]
