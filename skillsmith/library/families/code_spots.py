"""What differs between runs of one code becomes an input; what they agree on stays.

A value that is the same in all runs is an input only where each run by itself shows it to be one: people
said it, or it is the path of a file. Texts that differ only in a part share the variable of that part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.errors import ExtractionError
from skillsmith.library.code.blocks import Facts, PathUse
from skillsmith.library.code.drafts import Draft, Drafts, Place
from skillsmith.library.code.encodings import plain_text
from skillsmith.library.code.file_roles import KnownFile, known_files, lift_work_dir
from skillsmith.library.code.flow import Lifted
from skillsmith.library.code.literals import Literal
from skillsmith.library.code.naming import names_for, path_names
from skillsmith.library.code.words import is_weak
from skillsmith.library.families.code_columns import BUILT_DIFFERENTLY, CodeColumn, CodedRun
from skillsmith.library.families.inputs import common_type
from skillsmith.library.trace.literals import type_of
from skillsmith.library.trace.naming import IDENTIFYING, identifier
from skillsmith.library.trace.results import as_exact
from skillsmith.models import Json


@dataclass(frozen=True, slots=True)
class Spot:
    """One place of a variable: a literal of a block, or the part of it between two fixed texts.

    Args:
        column: Number of the block.
        literal: Number of the literal in it.
    """

    draft: Draft
    column: int
    literal: int
    before: str = ""
    after: str = ""

    def value_in(self, text: Json) -> Json | None:
        """Return what stands at the place in another run's literal; None when the fixed texts differ."""
        if not self.before and not self.after:
            return text
        held = isinstance(text, str) and len(text) > len(self.before) + len(self.after)
        if not held or not text.startswith(self.before) or not text.endswith(self.after):
            return None
        middle = text[len(self.before) : len(text) - len(self.after)]
        return middle if isinstance(self.draft.value, str) else _number(middle)


@dataclass(frozen=True, slots=True)
class Spots:
    """The inputs of a family's code.

    Args:
        lifted: As the plan of the base's code takes them.
        spots: Every place.
        values: The values of each draft, by the draft's identity and run number.
    """

    lifted: Lifted
    spots: tuple[Spot, ...]
    values: Mapping[int, Mapping[int, Json]]


def lift_spots(runs: Sequence[CodedRun], base: int, columns: Sequence[CodeColumn]) -> Spots:
    """Find the inputs of lined-up code.

    Args:
        runs: The family.
        base: Number of the run whose code it is.
        columns: The blocks, lined up.

    Raises:
        ExtractionError: A place differs between runs where nothing else can be written.
    """
    return _Lifter(runs, base, columns).run()


def literal_value(run: CodedRun, literal: Literal) -> Json:
    """Return what a literal says; a path in the work folder as seen from there."""
    value: Json = literal.value
    return value[_offset(run, value) :] if isinstance(value, str) else value


def _offset(run: CodedRun, value: str) -> int:
    folder = (run.read.work_dir or "").rstrip("/")
    return len(folder) + 1 if folder and value.startswith(f"{folder}/") else 0


def _number(text: str) -> Json:
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if plain_text(value) == text else None
    return None


@dataclass(slots=True)
class _Seen:
    """A literal of the base and what stands there in each run."""

    column: int
    index: int
    facts: Facts
    literal: Literal
    values: dict[int, Json]

    @property
    def differs(self) -> bool:
        return len({as_exact(value) for value in self.values.values()}) > 1


@dataclass(slots=True)
class _Lifter:
    runs: Sequence[CodedRun]
    base: int
    columns: Sequence[CodeColumn]
    drafts: Drafts = field(default_factory=Drafts)
    spots: list[Spot] = field(default_factory=list)
    values: dict[int, dict[int, Json]] = field(default_factory=dict)
    files: list[KnownFile] = field(default_factory=list)

    def run(self) -> Spots:
        kept = [one.facts for one in self.columns]
        folder = lift_work_dir(kept, self.drafts, self._own.read.work_dir)
        self.files = known_files(kept)
        later = []
        for seen in self._literals():
            if not seen.differs:
                self._same(seen)
            elif isinstance(seen.literal.value, str) and not self._said_everywhere(seen):
                later.append(seen)
            else:
                self._whole(seen)
        for seen in later:
            if not self._part(seen):
                self._whole(seen)
        return Spots(
            Lifted(drafts=self.drafts, files=self.files, folder=folder), tuple(self.spots), self.values
        )

    @property
    def _own(self) -> CodedRun:
        return self.runs[self.base]

    def _literals(self) -> Iterator[_Seen]:
        for place, column in enumerate(self.columns):
            shapes = {number: self.runs[number].shape(facts) for number, facts in column.members.items()}
            for index, literal in enumerate(shapes[self.base].literals):
                values = {
                    number: literal_value(self.runs[number], shape.literals[index])
                    for number, shape in shapes.items()
                }
                yield _Seen(place, index, column.facts, literal, values)

    def _said_everywhere(self, seen: _Seen) -> bool:
        return all(self.runs[number].said(value) for number, value in seen.values.items())

    # ------------------------------------------------------------------------------------ the same in all

    def _same(self, seen: _Seen) -> None:
        """Lift what every run by itself shows to be an input, at the places where the base has it."""
        for number, facts in self.columns[seen.column].members.items():
            run = self.runs[number]
            literal = run.shape(facts).literals[seen.index]
            if next(_places_in(run, facts, literal), None) is None:
                return
        for draft, place in _places_in(self._own, seen.facts, seen.literal):
            text, inside = str(literal_value(self._own, seen.literal)), plain_text(draft.value)
            whole = as_exact(draft.value) == as_exact(literal_value(self._own, seen.literal))
            before, found, after = ("", inside, "") if whole else text.partition(inside)
            if found:
                same = dict.fromkeys(seen.values, draft.value)
                made = self._draft(same, draft.names, seen, rule=draft.rule, like=draft)
                self._put(made, seen, (place.start, place.end), before, after)

    # ------------------------------------------------------------------------------------- what differs

    def _whole(self, seen: _Seen) -> None:
        use = self._use(seen)
        draft = self._draft(seen.values, self._names(seen, use), seen, use=use)
        start = _offset(self._own, seen.literal.value) if isinstance(seen.literal.value, str) else 0
        span = _span(seen.literal, start, None)
        if not self._put(draft, seen, span, "", ""):
            shown = ", ".join(dict.fromkeys(repr(value)[:40] for value in seen.values.values()))
            raise ExtractionError(
                f"line {seen.literal.line} of “{seen.facts.block.text.splitlines()[0][:40]}” differs between"
                f" the runs ({shown}), and nothing else can be written there",
                hint=BUILT_DIFFERENTLY,
            )

    def _part(self, seen: _Seen) -> bool:
        """Lift the part in which texts differ, where it is a variable already or people said it."""
        before, after = _common(list(seen.values.values()))
        if not before and not after:
            return self._known(seen.values) is not None and self._take(seen, seen.values, "", "")
        middle = {
            number: value[len(before) : len(value) - len(after)] for number, value in seen.values.items()
        }
        spoken = all(self.runs[number].said(value) for number, value in middle.items())
        if self._known(middle) is None and not (spoken and not all(map(is_weak, middle.values()))):
            numbers = {number: _number(value) for number, value in middle.items()}
            if None in numbers.values() or self._known(numbers) is None:
                return False
            middle = numbers
        return self._take(seen, middle, before, after)

    def _take(self, seen: _Seen, values: Mapping[int, Json], before: str, after: str) -> bool:
        draft = self._known(values) or self._draft(values, [], seen)
        start = _offset(self._own, seen.literal.value) + len(before)
        span = _span(seen.literal, start, len(seen.literal.value) - len(after))
        return self._put(draft, seen, span, before, after)

    def _put(self, draft: Draft, seen: _Seen, span: tuple[int, int] | None, before: str, after: str) -> bool:
        if span is None or not self.drafts.place(draft, seen.facts, seen.literal, span):
            return False
        self.spots.append(Spot(draft, seen.column, seen.index, before, after))
        use = self._use(seen)
        file = next((one for one in self.files if use is not None and one.path == use.path), None)
        if file is not None and isinstance(draft.value, str) and file.path.endswith(draft.value + after):
            file.draft, file.after = draft, after
        return True

    def _known(self, values: Mapping[int, Json]) -> Draft | None:
        """Return the variable that has these values in the runs that have the block."""
        wanted = {number: as_exact(value) for number, value in values.items()}
        if all(map(is_weak, values.values())):
            return None
        for draft in self.drafts:
            held = {number: as_exact(value) for number, value in self.values.get(id(draft), {}).items()}
            if held and wanted == {number: held.get(number) for number in wanted}:
                return draft
        return None

    def _draft(
        self,
        values: Mapping[int, Json],
        names: Sequence[str],
        seen: _Seen,
        *,
        use: PathUse | None = None,
        rule: str | None = None,
        like: Draft | None = None,
    ) -> Draft:
        known = self._known(values)
        if known is not None:
            return known
        said = sum(self.runs[number].said(value) for number, value in values.items())
        role = next((one.role for one in self.files if use is not None and one.path == use.path), None)
        kinds = {type_of((*names, "")[0], value) for value in values.values()}
        kind = like.type if like else "path" if use is not None else common_type(kinds)
        value = values[self.base]
        mentions = self._own.read.words.mentions(value, before=seen.facts.seq) if _sayable(value) else []
        different = len({as_exact(one) for one in values.values()})
        fallback = "user-words" if said == len(values) else "differs-between-runs"
        draft = Draft(
            value=value, type=kind, rule=rule or fallback, mention=next(iter(mentions), None),
            names=[*names],
            required=len(values) == len(self.runs)
            and (like.required if like else _is_required(kind, role, different)),
            description=_described(different, len(values), said),
        )  # fmt: skip
        self.values[id(draft)] = dict(values)
        return self.drafts.put(draft)

    def _use(self, seen: _Seen) -> PathUse | None:
        return next((use for use in seen.facts.paths if use.literal is seen.literal), None)

    def _names(self, seen: _Seen, use: PathUse | None) -> list[str]:
        if use is not None:
            role = next((one.role for one in self.files if one.path == use.path), "output")
            role = "input" if role == "input" else "output"
            alone = sum((one.role == "input") == (role == "input") for one in self.files) == 1
            return path_names(use.path, role, [seen.literal], alone=alone or seen.differs)[:1]
        own = [name for draft, _ in _places_in(self._own, seen.facts, seen.literal) for name in draft.names]
        value = seen.literal.value
        found = self._own.read.words.mentions(value, before=seen.facts.seq) if _sayable(value) else []
        names = own or names_for(seen.literal, next(iter(found), None))
        return [_without(name, value) for name in names] if seen.differs else names


def _without(name: str, value: Json) -> str:
    """Return a name without the value of one run in it: what differs is not called by that."""
    own = identifier(value[:30]) if isinstance(value, str) else ""
    return name.removeprefix(f"{own}_") if own else name


def _described(different: int, runs: int, said: int) -> str:
    values = f"{different} different values" if different > 1 else "The same"
    return f"{values} in {runs} {'run' if runs == 1 else 'runs'}, said by people in {said}."


def _is_required(kind: str, role: str | None, different: int) -> bool:
    """Whether an execution must give it: what only names a result may stay as it was."""
    if role is not None and role != "input":
        return False
    return kind in IDENTIFYING or different > 1


def _sayable(value: Json) -> bool:
    return isinstance(value, str | int | float)


def _places_in(run: CodedRun, facts: Facts, literal: Literal) -> Iterator[tuple[Draft, Place]]:
    """Yield what a run by itself lifts from a literal; its work folder is no input."""
    for draft in run.found.drafts:
        for place in draft.places:
            inside = literal.start <= place.start and place.end <= literal.end
            if place.facts is facts and inside and draft.rule != "work-dir":
                yield draft, place


def _span(literal: Literal, start: int, end: int | None) -> tuple[int, int] | None:
    """Return the source offsets of a part of a literal's value."""
    if not start and end in (None, len(literal.value) if isinstance(literal.value, str) else None):
        return literal.start, literal.end
    end = len(literal.value) if end is None else end
    if literal.segment is not None:
        return literal.segment.source_span(start, end)
    return (literal.start + start, literal.start + end) if literal.kind == "word" else None


def _shared_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[:same]


def _common(values: Sequence[str]) -> tuple[str, str]:
    """Return what texts begin and end with alike, cut where a word begins or ends."""
    before = _shared_start(values)
    while before and before[-1].isalnum() and any(text[len(before) :][:1].isalnum() for text in values):
        before = before[:-1]
    rest = [text[len(before) :][::-1] for text in values]
    after = _shared_start(rest)
    while after and after[-1].isalnum() and any(text[len(after) :][:1].isalnum() for text in rest):
        after = after[:-1]
    if any(len(text) <= len(after) for text in rest):
        return "", ""
    return before, after[::-1]
