"""Why a run's code became what it did: a reason for each input, file, order and constant, with witnesses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.drafts import Draft, Drafts
from skillsmith.library.code.file_roles import KnownFile
from skillsmith.library.code.words import Words, is_weak
from skillsmith.models import Constant, Reason, Witness


def input_reason(draft: Draft) -> Reason:
    """Explain a variable: where it was said, and where it stands."""
    seen = [draft.mention.witness()] if draft.mention else []
    places = [
        Witness(
            seq=place.facts.seq,
            where="code",
            path=f"line {place.literal.line}",
            text=place.facts.block.text[place.start : place.end][:80],
        )
        for place in draft.places
    ]
    return Reason(
        subject=f"code {draft.places[0].facts.seq}.{draft.name}",
        decision="input",
        rule=draft.rule,
        detail=f"{draft.description} It stands in {len(draft.places)} place{'s' * (len(draft.places) > 1)}.",
        value=draft.value,
        witnesses=(*seen, *places),
    )


def file_reasons(files: Sequence[KnownFile]) -> Iterator[Reason]:
    """Explain the files whose paths stayed as they are."""
    for file in files:
        if not isinstance(file.binding(), Constant):
            continue
        where = tuple(
            Witness(seq=facts.seq, where="code", path=f"line {use.literal.line}", text=use.text)
            for facts, use in file.uses
        )
        rule = "named-by-data" if file.named_by_data else f"{file.role}-file"
        yield Reason(
            subject=f"file {file.path}",
            decision="left_out" if file.named_by_data else "file",
            rule=rule,
            detail=_WHY_FILE.get(rule, "No other path can be written where the code has it."),
            value=file.path,
            witnesses=where or (Witness(seq=file.first, where="file", text=file.path),),
        )


def unsure_reason(note: str) -> Reason:
    """Explain what a result depends on beside the inputs: ``code 3 line 2: time.time …``."""
    code, seq, what = note.split(" ", 2)
    detail = f"{what[:1].upper()}{what[1:]}: another time it may give something else."
    seen = Witness(seq=int(seq), where="code", text=what)
    return Reason(
        subject=f"{code} {seq}", decision="kept", rule="nondeterminism", detail=detail, witnesses=(seen,)
    )


def edge_reason(earlier: int, later: int, rule: str, what: str) -> Reason:
    """Explain why one block comes after another."""
    detail = {
        "earlier-file": f"It reads {what}, which code {earlier} writes.",
        "same-file": f"Both write {what}.",
        "read-before-written": f"It changes {what}, which code {earlier} reads.",
        "shared-state": f"It uses {what}, which code {earlier} defines.",
    }
    seen = tuple(Witness(seq=seq, where="code", text=what) for seq in (earlier, later))
    return Reason(
        subject=f"code {later} after code {earlier}",
        decision="edge",
        rule=rule,
        detail=detail[rule],
        witnesses=seen,
    )


def constants(kept: Sequence[Facts], drafts: Drafts, words: Words) -> Iterator[Reason]:
    """Explain the literals that stayed as they are, one reason a value."""
    found: dict[str, list[tuple[Facts, object, Witness]]] = {}
    for facts in kept:
        paths = {id(use.literal) for use in facts.paths}
        for literal in facts.literals:
            value = literal.value
            if value in ("", None) or isinstance(value, list | dict) or drafts.has(facts, literal):
                continue
            if not literal.whole or not literal.liftable or literal.beside.docstring or id(literal) in paths:
                continue
            text = facts.block.text[literal.token_start : literal.token_end][:80]
            seen = Witness(seq=facts.seq, where="code", path=f"line {literal.line}", text=text)
            found.setdefault(json.dumps(value), []).append((facts, value, seen))
    for places in found.values():
        facts, value, _ = places[0]
        said = words.mentions(value, before=facts.seq)
        rule = "no-source" if not said else "needs-second-witness" if is_weak(value) else "chance-word"
        witnesses = (*(mention.witness() for mention in said[:1]), *(seen for _, _, seen in places[:5]))
        yield Reason(
            subject=f"code {facts.seq}", decision="constant", rule=rule, detail=_WHY_CONSTANT[rule],
            value=value, witnesses=witnesses,
        )  # fmt: skip


_WHY_FILE = {
    "passed-file": "One block writes it and a later one reads it.",
    "named-by-data": "The code makes it, but its name comes from what it reads: other files give others.",
    "program-file": "It is a program that a command runs.",
}
_WHY_CONSTANT = {
    "no-source": "Nobody said it, and no file or earlier block has it.",
    "needs-second-witness": "It was said, but it is short or common, and no name beside it was said with it.",
    "chance-word": "The words hold it, but as a plain word; the code does not use it as a value.",
}
