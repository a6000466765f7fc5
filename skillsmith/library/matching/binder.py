"""What a task's words give to a skill's variables, with the evidence for each.

In this order: named outright (``top_n=5``); the task is the skill's pattern with other values in it; the
words around a place of the pattern; values of the right type whose likeness, neighbours or uniqueness speak
for one variable. Two candidates with equal evidence bind nothing: a missing input is asked for, a wrong one
would be acted upon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path, PurePath

from skillsmith.errors import UsageError
from skillsmith.library.matching.anchors import Wording, match_whole, places_in
from skillsmith.library.matching.claims import OUTPUT_WORDS, Claim, Claims
from skillsmith.library.matching.mentions import Mention, format_in, mentions
from skillsmith.library.program.bindings import sources
from skillsmith.library.program.effects import name_words
from skillsmith.library.program.inputs import accept, takes_any_task
from skillsmith.library.trace.phrases import whole
from skillsmith.models import FromInput, Json, Skill, Variable

MAX_TASK = 100_000
"""Characters of a task that are read for values: what comes after them is material."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundValue:
    """A value that the task gives to a variable.

    Args:
        rule: same-task, named, pattern, words-around, evidence, format or as-recorded.
        evidence: What speaks for it, for people.
        span: Where in the task it stands, when it stands there.
    """

    value: Json
    rule: str
    evidence: str
    span: tuple[int, int] | None = None


def bind_task(
    task: str, skill: Skill, *, today: date | None = None, folder: Path | None = None
) -> dict[str, Json]:
    """Return the values that the task's words give to the skill's variables, by name.

    Args:
        task: The words.
        skill: Its variables, pattern and nodes.
        today: The day that dates without a year are near to; None: today.
        folder: Where named files may exist; None: the current folder.
    """
    return {
        name: bound.value for name, bound in explain_binding(task, skill, today=today, folder=folder).items()
    }


def explain_binding(
    task: str, skill: Skill, *, today: date | None = None, folder: Path | None = None
) -> dict[str, BoundValue]:
    """Return the same values as ``bind_task``, each with its rule and evidence."""
    today = today or datetime.now(UTC).astimezone().date()
    return _Binder(task.strip(), skill, today, folder or Path()).run()


def read_part(task: str) -> str:
    """Return what of a task is read for values."""
    return task.strip()[:MAX_TASK]


def recorded_values(task: str, skill: Skill) -> dict[str, BoundValue]:
    """Return the values of the source run, when the task is the very one that the skill was made from.

    Some of them may have been said only in the course of that run, so its first words alone do not give them.
    """
    known = int(skill.context_requirements.get("source_tasks", 0))
    if " ".join(task.split()) not in {" ".join(text.split()) for text in skill.examples[:known]}:
        return {}
    evidence = "the skill was made from this very task"
    return {
        variable.name: BoundValue(value=variable.default, rule="same-task", evidence=evidence)
        for variable in skill.variables
    }


class _Binder:
    def __init__(self, task: str, skill: Skill, today: date, folder: Path) -> None:
        self._entire = task
        self._task = read_part(task)
        self._skill = skill
        self._today = today
        self._folder = folder
        self._wording = Wording(self._task)
        names = [variable.name for variable in skill.variables]
        self._places = places_in(skill.task_pattern, names)
        self._roles = file_roles(skill)
        self._claims = Claims(self._wording, self._places, self._roles, today=today, folder=folder)
        self._bound: dict[str, BoundValue] = {}
        self._taken: list[tuple[int, int]] = []

    def run(self) -> dict[str, BoundValue]:
        self._any_task()
        self._named()
        self._whole()
        self._settle([claim for one in self._open() for claim in self._claims.of(one, self._is_free)])
        for variable in self._open():
            self._by_format(variable)
        for variable in self._open():
            self._as_recorded(variable)
        order = [variable.name for variable in self._skill.variables]
        return {name: self._bound[name] for name in order if name in self._bound}

    def _any_task(self) -> None:
        """Give the whole task to a skill whose pattern is nothing but one input, as prose skills have it."""
        if self._task and takes_any_task(self._skill):
            name = self._skill.task_pattern.strip()[1:-1]
            found = BoundValue(value=self._entire, rule="pattern", evidence="the task itself")
            self._take(name, found, (0, len(self._task)))

    def _open(self) -> list[Variable]:
        return [variable for variable in self._skill.variables if variable.name not in self._bound]

    def _take(self, name: str, bound: BoundValue, span: tuple[int, int]) -> None:
        self._bound[name] = replace(bound, span=span)
        self._taken.append(span)

    def _named(self) -> None:
        """Bind ``name=value`` and ``name: value``."""
        if "=" not in self._task and ":" not in self._task:
            return
        for variable in self._skill.variables:
            name = r"[\s_-]+".join(map(re.escape, variable.name.split("_")))
            pattern = rf"(?<!\w){name}\s*(?:=|:\s)\s*(\"[^\"]*\"|'[^']*'|[^\s,;]*[^\s,;.])"
            found = list(re.finditer(pattern, self._task, re.IGNORECASE))
            if len(found) == 1:
                value = self._accepted(found[0][1].strip("\"'"), variable)
                if value is not None:
                    self._take(
                        variable.name,
                        BoundValue(value=value, rule="named", evidence=found[0][0]),
                        found[0].span(),
                    )

    def _whole(self) -> None:
        """Bind every place when the task is the pattern in other words nowhere but there."""
        names = [variable.name for variable in self._open()]
        spans = match_whole(self._skill.task_pattern, self._task, names)
        for variable in self._open():
            if variable.name in spans:
                start, end = spans[variable.name]
                value = self._typed(start, end, variable)
                if value is not None:
                    evidence = f"“{self._task[start:end]}” stands where the pattern has it"
                    self._take(
                        variable.name,
                        BoundValue(value=value, rule="pattern", evidence=evidence),
                        (start, end),
                    )

    def _typed(self, start: int, end: int, variable: Variable) -> Json:
        """Return what a span says, as the variable takes it; None when it is no such value."""
        text = self._task[start:end].strip().strip("\"“”\u2018\u2019`'")
        if variable.type in ("string", "object") and not variable.enum:
            return self._accepted(text, variable) if text else None
        candidates = mentions(text, variable, today=self._today, folder=self._folder)
        whole = [one for one in candidates if (one.start, one.end) == (0, len(text))]
        if len(whole) == 1:
            return whole[0].value
        if variable.type in ("boolean", "path", "list"):
            return self._accepted(text, variable)
        return None

    def _accepted(self, text: str, variable: Variable) -> Json:
        try:
            return accept(text, variable, today=self._today)
        except UsageError:  # these words are no such value, so they bind nothing
            return None

    def _is_free(self, span: tuple[int, int]) -> bool:
        return all(span[1] <= start or span[0] >= end for start, end in self._taken)

    def _settle(self, claims: list[Claim]) -> None:
        """Bind the strongest claim that no other equals, until none is left."""
        claims = [claim for claim in claims if claim.score > 0]
        while True:
            claims = [
                claim for claim in claims
                if claim.variable not in self._bound
                and self._is_free((claim.mention.start, claim.mention.end))
            ]  # fmt: skip
            if not claims:
                return
            best = max(claims, key=lambda claim: claim.score)
            rivals = [claim for claim in claims if claim.score >= best.score and _conflict(claim, best)]
            chosen = self._in_order(claims, best) if rivals else [best]
            for claim in chosen:
                self._bind(claim)
            if not chosen:
                hopeless = {claim.variable for claim in (best, *rivals)}
                claims = [claim for claim in claims if claim.variable not in hopeless]

    def _bind(self, claim: Claim) -> None:
        span = (claim.mention.start, claim.mention.end)
        evidence = f"“{self._task[slice(*span)]}”: {', '.join(claim.evidence) or 'nothing else fits'}"
        bound = BoundValue(value=claim.mention.value, rule=claim.rule, evidence=evidence)
        self._take(claim.variable, bound, span)

    def _in_order(self, claims: Sequence[Claim], best: Claim) -> list[Claim]:
        """Return claims by order of appearance: several like statements, one for each like variable.

        "Cancel order A. Cancel order B." over a pattern with the same two statements: only when the words
        around them agree, every variable could take every value, and there are as many as variables.
        """
        if not best.agreement:
            return []
        equal = [claim for claim in claims if claim.score == best.score and claim.agreement]
        spans = sorted({(claim.mention.start, claim.mention.end) for claim in equal})
        order = [place.variable for place in self._places]
        variables = sorted({claim.variable for claim in equal}, key=order.index)
        if len(spans) != len(variables) or len(equal) != len(spans) * len(variables):
            return []
        pairs = dict(zip(variables, spans, strict=True))
        return [
            replace(claim, evidence=(*claim.evidence, "in the pattern's order"))
            for claim in equal
            if pairs[claim.variable] == (claim.mention.start, claim.mention.end)
        ]

    def _by_format(self, variable: Variable) -> None:
        """Bind what "as PDF" asks for: a format, or an output file of another format."""
        if variable.default is None:
            return
        path = PurePath(str(variable.default))
        writes = variable.type == "path" and path.suffix and (
            variable.name in self._roles[1] or set(name_words(variable.name)) & OUTPUT_WORDS
        )  # fmt: skip
        known = path.suffix if writes else variable.default
        if not writes and not {"format", "extension", "filetype"} & set(name_words(variable.name)):
            return
        found = format_in(self._task, known)
        if found is None or found[0].lower() == str(known).lstrip(".").lower():
            return
        written = _written_like(found[0], str(known))
        value = str(path.with_suffix(written)) if writes else written
        evidence = f"“{self._task[found[1] : found[2]]}”"
        self._take(
            variable.name, BoundValue(value=value, rule="format", evidence=evidence), (found[1], found[2])
        )

    def _as_recorded(self, variable: Variable) -> None:
        """Bind the recorded value where the task says it in so many words."""
        plain = variable.type == "string" and not variable.enum and isinstance(variable.default, str)
        if not plain or not str(variable.default).strip():
            return
        for found in whole(str(variable.default).strip(), flags=re.IGNORECASE).finditer(self._task):
            mention = Mention(start=found.start(), end=found.end(), value=variable.default)
            usable = self._is_free(found.span()) and not self._task.endswith(".", 0, found.start())
            if usable and self._claims.is_witnessed(variable, mention):
                evidence = f"“{found[0]}” is the recorded value"
                bound = BoundValue(value=variable.default, rule="as-recorded", evidence=evidence)
                self._take(variable.name, bound, found.span())
                return


def _conflict(one: Claim, other: Claim) -> bool:
    if one is other:
        return False
    same_span = one.mention.start < other.mention.end and one.mention.end > other.mention.start
    if one.variable == other.variable:
        return bool(one.mention.value != other.mention.value)
    return same_span


def _written_like(text: str, model: str) -> str:
    text = text.upper() if model.lstrip(".").isupper() else text.lower()
    return "." + text if model.startswith(".") else text


def file_roles(skill: Skill) -> tuple[frozenset[str], frozenset[str]]:
    """Return the variables that name files brought to the skill, and those that name files it makes."""
    reads = {name for node in skill.nodes for use in node.reads for name in _inputs_of(use.path)}
    writes = {name for node in skill.nodes for use in node.writes for name in _inputs_of(use.path)}
    return frozenset(reads - writes), frozenset(writes)


def _inputs_of(binding: object) -> Iterator[str]:
    for source in sources(binding):  # type: ignore[arg-type]
        if isinstance(source, FromInput):
            yield source.name
