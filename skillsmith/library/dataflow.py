"""Data flow over tool calls: for each argument, where its value came from, with the evidence.

The rules, in order: a person's words → an input; an earlier result → a flow; longer text that contains
either → text put together; nothing → a constant. Short or common values need a second witness. Slicing
runs backwards from the calls that change something: what no kept call uses is left out. Every decision is
kept as a ``Reason``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import islice

from skillsmith.library.program.bindings import as_text, rename_nodes, show, sources
from skillsmith.library.trace.calls import Call, Said
from skillsmith.library.trace.composed import GivenPhrases, counted, number_in, pieces
from skillsmith.library.trace.literals import Occurrence, find, find_alone, is_weak, named_nearby, type_of
from skillsmith.library.trace.naming import VariableSet
from skillsmith.library.trace.phrases import Haystack
from skillsmith.library.trace.results import Place, ResultIndex, best, flow
from skillsmith.library.trace.selectors import select_by_input
from skillsmith.models import (
    Binding,
    Constant,
    FromInput,
    FromNode,
    Json,
    ListOf,
    ObjectOf,
    Reason,
    Text,
    Witness,
)

UNIQUE_CHARS = 3
"""A weak value of so many characters may still flow from the only place that holds it."""

LONG_TEXT_CHARS = 8

TELLING_NUMBER = 100_000
"""A number as long as an account's does not stand in what people say by chance."""


@dataclass(frozen=True, slots=True)
class BoundCall:
    """A kept call with a binding for each argument."""

    call: Call
    arguments: dict[str, Binding]


@dataclass(frozen=True, slots=True)
class Flow:
    """The successful path of a run's tool calls.

    Args:
        kept: In the run's order.
        variables: All inputs that were lifted.
        reasons: One for each argument leaf and each call left out.
        names: Node id by the call's sequence number.
    """

    kept: tuple[BoundCall, ...]
    variables: VariableSet
    reasons: tuple[Reason, ...]
    names: dict[str, str]


def trace(
    calls: Sequence[Call],
    words: Sequence[Said],
    *,
    variables: VariableSet,
    chosen: Container[int] | None = None,
    printed: Sequence[Call] = (),
) -> Flow:
    """Find the successful path of a run's tool calls and the source of every argument on it.

    Args:
        calls: All calls, in order.
        words: What people said.
        variables: Where inputs are collected (shared with the code blocks of the same run).
        chosen: Sequence numbers of the calls that the skill may have; what others gave becomes an input.
        printed: What code blocks printed, each as the result of a call that cannot itself be kept.
    """
    return _Tracer(calls, words, variables, chosen=chosen, printed=printed).run()


class _Tracer:
    def __init__(
        self,
        calls: Sequence[Call],
        words: Sequence[Said],
        variables: VariableSet,
        *,
        chosen: Container[int] | None,
        printed: Sequence[Call],
    ) -> None:
        outside = [call for call in calls if chosen is not None and call.seq not in chosen]
        self._calls = [call for call in calls if chosen is None or call.seq in chosen]
        self._words = words
        self._variables = variables
        self._index = ResultIndex(self._calls)
        self._foreign = ResultIndex(sorted([*outside, *printed], key=lambda call: call.seq))
        self._given = GivenPhrases(self._calls, words)
        self._by_key = {_key(call): call for call in self._calls}
        self._reasons: dict[int, list[Reason]] = {}
        self._used: list[Place] = []  # places that arguments of the call in hand are bound to

    def run(self) -> Flow:
        usable = [
            call
            for call in self._calls
            if call.error is None and call.arguments is not None and not call.routes
        ]
        goals = [call for call in usable if call.effect == "write"] or _telling(usable)
        bound = self._slice(goals)
        kept = [bound[seq] for seq in sorted(bound)]
        names = {_key(one.call): f"n{number}" for number, one in enumerate(kept, 1)}
        renamed = tuple(
            BoundCall(one.call, {name: rename_nodes(item, names) for name, item in one.arguments.items()})
            for one in kept
        )
        reasons = [
            self._named(reason, names) for one in kept for reason in self._reasons.get(one.call.seq, ())
        ]
        reasons += [self._left_out(call) for call in self._calls if call.seq not in bound]
        return Flow(renamed, self._variables, tuple(reasons), names)

    def _slice(self, goals: Sequence[Call]) -> dict[int, BoundCall]:
        """Bind the goals' arguments and, going backwards, those of every call they read from."""
        waiting = {call.seq: call for call in goals}
        latest = [-seq for seq in waiting]
        heapify(latest)
        bound: dict[int, BoundCall] = {}
        while latest:
            call = waiting[-heappop(latest)]
            self._used = []
            arguments = {
                name: self._bind(call, name, (), value) for name, value in (call.arguments or {}).items()
            }
            bound[call.seq] = BoundCall(call, arguments)
            for binding in arguments.values():
                for source in sources(binding):
                    if isinstance(source, FromNode):
                        needed = self._by_key[source.node]
                        if needed.seq not in waiting:
                            waiting[needed.seq] = needed
                            heappush(latest, -needed.seq)
        return bound

    def _bind(self, call: Call, name: str, path: tuple[str | int, ...], value: Json) -> Binding:
        if isinstance(value, dict) and value:
            return ObjectOf(
                tuple((key, self._bind(call, name, (*path, key), item)) for key, item in value.items())
            )
        if isinstance(value, list) and value:
            return ListOf(
                tuple(self._bind(call, name, (*path, index), item) for index, item in enumerate(value))
            )
        leaf_name = next((step for step in reversed(path) if isinstance(step, str)), name)
        binding, rule, detail, witnesses = self._leaf(call, leaf_name, value)
        subject = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in (name, *path))
        reason = Reason(
            subject=f"{_key(call)}{subject}", decision=_decision(binding), rule=rule, detail=detail,
            value=value, witnesses=tuple(witnesses),
        )  # fmt: skip
        self._reasons.setdefault(call.seq, []).append(reason)
        return binding

    def _leaf(self, call: Call, name: str, value: Json) -> tuple[Binding, str, str, list[Witness]]:
        occurrence = find(value, self._words, before=call.seq, near=name)
        if occurrence is not None and not self._is_chance(call, name, value, occurrence):
            binding = self._variables.lift(value, name, description=_describe(name, call))
            said = occurrence.said.text[occurrence.start : occurrence.end]
            detail = f"the {'task' if occurrence.said.where == 'task' else 'user'} said “{said}”"
            return binding, "user-words", detail, [occurrence.witness()]
        found = self._from_results(call, name, value)
        if found is not None:
            place, flowing = found
            self._used.append(place)
            return flowing, "earlier-result", f"from {show(flowing)}", [place.witness()]
        if occurrence is None and is_weak(value) and not self._index.exact(value, before=call.seq):
            alone = find_alone(value, self._words, before=call.seq)
            if alone is not None:
                binding = self._variables.lift(value, name, description=_describe(name, call))
                detail = "a person said it, just once, and no result holds it"
                return binding, "user-words", detail, [alone.witness()]
        if isinstance(value, str) and len(value) >= LONG_TEXT_CHARS:
            text, witnesses = self._compose(call, value)
            if text is not None:
                return text, "text-with-values", f"put together as {show(text)}"[:300], witnesses
        given = self._from_outside(call, value)
        if given is not None:
            variable = self._variables.lift(value, name, description=_describe(name, call), required=True)
            detail = f"came from {given.call.name}, which is not part of the skill"
            return variable, "outside-result", detail, [given.witness()]
        return Constant(value), *self._why_constant(call, value)

    def _from_results(self, call: Call, name: str, value: Json) -> tuple[Place, FromNode] | None:
        places = self._index.exact(value, before=call.seq)
        if is_weak(value):
            named = [place for place in places if place.is_named(name)]
            named = named or self._labelled(value, name, before=call.seq)
            fresh = [place for place in places if not place.echo]
            distinct = {(place.call.seq, place.path) for place in fresh}
            alone = len(distinct) == 1 and len(as_text(value)) >= UNIQUE_CHARS
            places = named or (fresh if alone and not isinstance(value, bool) else [])
        elif not places:
            places = [next(iter(self._index.pieces(value, before=call.seq)), None)]  # type: ignore[list-item]
            places = [place for place in places if place is not None]
        for _ in range(len(places)):
            place = best(places, name, used=self._used)
            binding = flow(place, _key(place.call), value)
            if binding is not None:
                return place, select_by_input(binding, place, self._words, self._variables, before=call.seq)
            places = [other for other in places if other is not place]
        return None

    def _labelled(self, value: Json, name: str, *, before: int) -> list[Place]:
        """Return where a text says a short or common value right after the argument's name."""
        if value is None or isinstance(value, bool) or not str(value).strip():
            return []
        return [*islice(self._index.pieces(value, before=before, name=name), 1)]

    def _is_chance(self, call: Call, name: str, value: Json, occurrence: Occurrence) -> bool:
        """Whether a number stands in the words by chance: a result holds it under the argument's own name."""
        if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) >= TELLING_NUMBER:
            return False
        named = any(place.is_named(name) for place in self._index.exact(value, before=call.seq))
        return named and not named_nearby(occurrence, name)

    def _from_outside(self, call: Call, value: Json) -> Place | None:
        """Return where a value stands in a result that the skill itself will not have."""
        if is_weak(value):
            return None
        places = self._foreign.exact(value, before=call.seq)
        return next(iter(places), None) or next(self._foreign.pieces(value, before=call.seq), None)

    def _compose(self, call: Call, text: str) -> tuple[Text | None, list[Witness]]:
        """Bind the identifiers and figures inside a longer text."""
        parts: list[str | Binding] = []
        witnesses: list[Witness] = []
        end = 0
        names = {value: name for value, name in self._variables.strings() if value in text}
        names |= self._given.said_within(text, before=call.seq)
        known = {*names, *self._index.phrases_in(text, before=call.seq)}
        for start, stop in pieces(text, sorted(known, key=lambda value: (-len(value), value))):
            bound = self._piece(call, text[start:stop], text[stop:], names)
            if bound is None:
                continue
            parts += [text[end:start], bound[0]]
            witnesses.append(bound[1])
            end = stop
        if not witnesses:
            return None, []
        return Text(tuple(part for part in (*parts, text[end:]) if part != "")), witnesses

    def _piece(
        self, call: Call, text: str, after: str, names: Mapping[str, str]
    ) -> tuple[Binding, Witness] | None:
        number = number_in(text)
        value: Json = text if number is None else number
        if number is None and not is_weak(value):
            occurrence = find(text, self._words, before=call.seq)
            if occurrence is not None:
                name = next(
                    (place.key for place in self._index.exact(text, before=call.seq) if place.key), ""
                )
                name = name or names.get(text) or type_of("", text)
                return self._lifted(call, text, name), occurrence.witness()
        if number is None or self._index.exact(number, before=call.seq):
            found = self._from_results(call, "", value)
            if found is not None:
                return found[1], found[0].witness()
        said = number is not None and counted(number, after, self._given, self._words, before=call.seq)
        return (self._lifted(call, number, said[0]), said[1].witness()) if said else None

    def _lifted(self, call: Call, value: Json, name: str) -> Binding:
        return self._variables.lift(value, name, description=_describe(name, call))

    def _why_constant(self, call: Call, value: Json) -> tuple[str, str, list[Witness]]:
        text = as_text(value)
        if value in ("", None, [], {}):
            return "empty", "nothing to look for", []
        fields = self._index.field_names(value, before=call.seq)
        exact = self._index.exact(value, before=call.seq)
        if is_weak(value):
            seen = [place.witness() for place in exact[:2]]
            return "short-or-common", "too short or common to bind without a second witness", seen
        if fields:
            return (
                "field-name-only",
                "stands in earlier results only as a field's name",
                [fields[0].witness()],
            )
        for said in self._words:
            if said.seq < call.seq and text.casefold() in said.text.casefold():
                seen = [Witness(seq=said.seq, where=said.where, text=text[:80])]
                return "part-of-a-word", "stands in what was said only inside a longer word", seen
        holding = self._haystack.first(text)
        if holding is not None and (other := self._answered[holding]).known_before(call.seq):
            seen = [Witness(seq=other.result_seq or 0, where="result", path=other.name, text=text[:80])]
            return "part-of-a-word", "stands in an earlier result only inside a longer word", seen
        return "no-source", "neither said by a person nor in an earlier result", []

    @cached_property
    def _answered(self) -> list[Call]:
        known = [call for call in self._calls if call.result_seq is not None and call.error is None]
        return sorted(known, key=lambda call: call.result_seq or 0)

    @cached_property
    def _haystack(self) -> Haystack:
        return Haystack(as_text(call.result) for call in self._answered)

    @cached_property
    def _successes(self) -> dict[str, list[Call]]:
        found: dict[str, list[Call]] = {}
        for call in self._calls:
            if call.error is None:
                found.setdefault(call.name, []).append(call)
        return found

    def _replacing(self, call: Call) -> Call | None:
        """Return the next successful call of the same tool."""
        same = self._successes.get(call.name, [])
        at = bisect_right(same, call.seq, key=lambda other: other.seq)
        return same[at] if at < len(same) else None

    def _left_out(self, call: Call) -> Reason:
        replaced = self._replacing(call)
        if call.error is not None and replaced is not None:
            rule, detail = (
                "failed-and-replaced",
                f"failed ({call.error[:120]}); {replaced.label} took its place",
            )
        elif call.error is not None:
            rule, detail = "failed", f"failed and changed nothing: {call.error[:120]}"
        elif call.arguments is None:
            rule, detail = "not-json", "its arguments are no JSON object that can be taken apart"
        elif call.routes:
            rule, detail = "hand-over", "it only says which agent goes on, or that the work is done"
        else:
            rule, detail = "result-unused", "it only looks, and nothing kept uses its result"
        return Reason(
            subject=call.label, decision="left_out", rule=rule, detail=detail,
            witnesses=(Witness(seq=call.seq, where="argument", text=as_text(call.arguments)[:80]),),
        )  # fmt: skip

    @staticmethod
    def _named(reason: Reason, names: dict[str, str]) -> Reason:
        """Return the reason with final node ids in place of the calls' keys."""

        def put(text: str) -> str:
            return re.sub(r"call\d+\b", lambda found: names.get(found[0], found[0]), text)

        return Reason(
            subject=put(reason.subject), decision=reason.decision, rule=reason.rule,
            detail=put(reason.detail), value=reason.value, witnesses=reason.witnesses,
        )  # fmt: skip


def _telling(calls: Sequence[Call]) -> list[Call]:
    """Return the reads of a run that only looked: those with a result, each question once."""
    last = {(call.name, as_text(call.arguments)): call for call in calls if call.result not in ("", None)}
    return list(last.values())


def _key(call: Call) -> str:
    return f"call{call.seq}"


def _decision(binding: Binding) -> str:
    if isinstance(binding, FromInput):
        return "input"
    if isinstance(binding, FromNode):
        return "flow"
    if isinstance(binding, Text):
        return "flow" if any(isinstance(source, FromNode) for source in sources(binding)) else "input"
    return "constant"


def _describe(name: str, call: Call) -> str:
    return f"{name.replace('_', ' ')} for {call.name}"
