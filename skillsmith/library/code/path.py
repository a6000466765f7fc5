"""The blocks that led to the result: failed attempts and what was done over are left out, each with a reason.

A block stays unless the run itself shows that it was not needed: it failed, the same was done again, or
everything it wrote was written anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain

from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.effects import only_looks, reaches_out
from skillsmith.library.code.shell import shell_only_looks
from skillsmith.library.program.languages import is_shell
from skillsmith.models import Reason, Witness

SIMILAR = 0.5
"""From this likeness on, a later block counts as another attempt at the same."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_LONGEST = 1500
"""Tokens compared: the time grows with their square."""
_INSTALL = re.compile(
    r"\s*(?:!|%)?(?:sudo\s+)?(?:[\w./-]*python[\d.]*\s+-m\s+)?"
    r"(?:pip3?|uv\s+pip|conda|mamba|apt(?:-get)?|npm|brew)\s+(?:-\S+\s+)*(?:install|update|add)\b.*"
)
_FIGURE = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+|\d)(?!\w)")
_TELLING_CHARS = 12
"""A printed line of fewer characters may stand in an answer by chance."""
_PACKAGE = re.compile(r"[A-Za-z][\w.-]*")


@dataclass(frozen=True, slots=True)
class Kept:
    """The successful path.

    Args:
        blocks: In order.
        optional: Sequence numbers of blocks that failed and are needed all the same.
        reasons: Why blocks were left out, or kept although they failed.
    """

    blocks: tuple[Facts, ...]
    optional: frozenset[int]
    reasons: tuple[Reason, ...]


def successful_path(facts: Sequence[Facts], answers: Sequence[str] = ()) -> Kept:
    """Leave out what failed, what was done over, what only looked and what only installed packages.

    Args:
        facts: All blocks of the run.
        answers: What agents said after the last block: the run's answer may tell what a block printed.
    """
    reasons = [_failure(block, facts) for block in facts if block.block.failed]
    reasons += [_installation(block) for block in facts if not block.block.failed and is_installation(block)]
    out = {reason.witnesses[0].seq for reason in reasons}
    kept = [block for block in facts if block.seq not in out]
    while (needless := next(chain(_superseded(kept), _looks(kept, answers)), None)) is not None:
        reasons.append(needless)
        kept = [block for block in kept if block.seq != needless.witnesses[0].seq]
    needed = [block for block in facts if block.block.failed and _is_needed(block, kept)]
    reasons = [reason for reason in reasons if reason.witnesses[0].seq not in {block.seq for block in needed}]
    reasons += [_kept_failure(block) for block in needed]
    chosen = sorted([*kept, *needed], key=lambda block: block.seq)
    return Kept(tuple(chosen), frozenset(block.seq for block in needed), tuple(reasons))


def _left_out(block: Facts, rule: str, detail: str, *, by: Facts | None = None) -> Reason:
    witnesses = [Witness(seq=block.seq, where="code", text=_first_line(block))]
    if by is not None:
        witnesses.append(Witness(seq=by.seq, where="code", text=_first_line(by)))
    return Reason(
        subject=f"code {block.seq}", decision="left_out", rule=rule, detail=detail, witnesses=tuple(witnesses)
    )


def _first_line(block: Facts) -> str:
    lines = [line.strip() for line in block.block.text.splitlines() if line.strip()]
    return lines[0][:80] if lines else ""


# ------------------------------------------------------------------------------------------------- failures


def _failure(block: Facts, facts: Sequence[Facts]) -> Reason:
    code = block.block.exit_code
    later = [other for other in facts if other.seq > block.seq and not other.block.failed]
    for other in later:
        why = _same_attempt(block, other)
        if why:
            return _left_out(
                block,
                "failed-then-replaced",
                f"It failed ({code}); {other.seq} did it again: {why}.",
                by=other,
            )
    return _left_out(block, "failed", f"It failed ({code}) and nothing later took its place.")


def _same_attempt(block: Facts, other: Facts) -> str | None:
    """Return how one sees that a later block is another attempt at the same, or None."""
    if block.block.language != other.block.language:
        return None
    files = {use.path for use in block.paths if use.access != "read"} & set(other.writes)
    if files:
        return f"the same file {min(files)}"
    functions = block.names.functions & other.names.functions
    if functions:
        return f"the same definition of {min(functions)}"
    likeness = similarity(block.block.text, other.block.text)
    return f"{likeness:.0%} the same code" if likeness >= SIMILAR else None


def similarity(one: str, other: str) -> float:
    """Return how alike two pieces of code are, from 0 to 1, by their tokens."""
    first, second = (_TOKEN.findall(text)[:_LONGEST] for text in (one, other))
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.real_quick_ratio() < SIMILAR or matcher.quick_ratio() < SIMILAR:
        return 0.0
    return matcher.ratio()


def _is_needed(block: Facts, kept: Sequence[Facts]) -> bool:
    """Whether a failed block wrote a file that only it wrote and that a later block reads."""
    made = set(block.writes) - {path for other in kept for path in other.writes}
    return any(other.seq > block.seq and made & other.reads for other in kept)


def _kept_failure(block: Facts) -> Reason:
    return Reason(
        subject=f"code {block.seq}",
        decision="kept",
        rule="failed-but-needed",
        detail=f"It failed ({block.block.exit_code}), "
        f"but a later block reads {min(block.writes)}, which only it wrote.",
        witnesses=(Witness(seq=block.seq, where="code", text=_first_line(block)),),
    )


# ------------------------------------------------------------------------------------------------ done over


def _superseded(kept: Sequence[Facts]) -> Iterator[Reason]:
    """Yield blocks whose whole effect a later one had again."""
    for index, block in enumerate(kept):
        later = kept[index + 1 :]
        if _is_used(block, later) or block.tree is None or reaches_out(block.tree):
            continue
        if block.writes:
            again = _rewriter(block, later)
            if again is not None:
                detail = f"Everything it wrote was written again by {again.seq}, which did not read it."
                yield _left_out(block, "superseded", detail, by=again)
        else:
            same = next((other for other in later if _repeats(block, other)), None)
            if same is not None:
                yield _left_out(block, "done-again", f"{same.seq} does the same.", by=same)


def _is_used(block: Facts, later: Sequence[Facts]) -> bool:
    """Whether a later block needs a name that this one was the last to define."""
    open_names = set(block.names.defines)
    for other in later:
        if other.names.needs & open_names:
            return True
        open_names -= other.names.defines
    return False


def _rewriter(block: Facts, later: Sequence[Facts]) -> Facts | None:
    """Return the block by which all files of a block are written anew, unless one was read before."""
    waiting = set(block.writes)
    for other in later:
        if waiting & other.reads:
            return None
        waiting -= set(other.writes)
        if not waiting:
            return other
    return None


def _repeats(block: Facts, other: Facts) -> bool:
    """Whether a later block that also writes nothing does the same as this one, or defines it anew."""
    if block.block.language != other.block.language or other.writes != block.writes:
        return False
    if block.block.text.strip() == other.block.text.strip():
        return True
    functions = block.names.functions
    return (
        bool(functions)
        and functions <= other.names.functions
        and similarity(block.block.text, other.block.text) >= SIMILAR
    )


# ---------------------------------------------------------------------------------------------- looks only


def _looks(kept: Sequence[Facts], answers: Sequence[str]) -> Iterator[Reason]:
    """Yield blocks that only printed something on the way, which nothing that came later used."""
    for index, block in enumerate(kept):
        later = kept[index + 1 :]
        if block.writes or _is_used(block, later) or not _changes_nothing(block):
            continue
        made = next((other for other in later if other.writes or _is_attempt(block, other)), None)
        if made is not None and not _is_told(block, later, answers):
            detail = f"It only looked: {made.seq} made the result, and nothing used what it printed."
            yield _left_out(block, "only-looked", detail, by=made)


def _changes_nothing(block: Facts) -> bool:
    if block.tree is not None:
        return only_looks(block.tree)
    return is_shell(block.block.language) and shell_only_looks(block.block.text)


def _is_attempt(block: Facts, other: Facts) -> bool:
    return similarity(block.block.text, other.block.text) >= SIMILAR


def _is_told(block: Facts, later: Sequence[Facts], answers: Sequence[str]) -> bool:
    """Whether the run's answer tells figures or lines that this block printed, and no later one."""
    printed_later = "\n".join(other.block.output for other in later)
    own = {*_FIGURE.findall(block.block.output), *_lines(block.block.output)}
    return any(piece in answer and piece not in printed_later for piece in own for answer in answers)


def _lines(output: str) -> Iterator[str]:
    yield from (line.strip() for line in output.splitlines() if len(line.strip()) >= _TELLING_CHARS)


# --------------------------------------------------------------------------------------------- installation


def is_installation(block: Facts) -> bool:
    """Whether all a block does is to install packages."""
    lines = [
        line for line in block.block.text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return (
        bool(lines)
        and not block.writes
        and all(_INSTALL.fullmatch(line) and "&&" not in line for line in lines)
    )


def _installation(block: Facts) -> Reason:
    return _left_out(block, "installs-packages", "It only installs packages: a requirement, not a step.")


def installed_packages(block: Facts) -> set[str]:
    """Return the packages an installation names."""
    found = set()
    for line in block.block.text.splitlines():
        words = re.split(r"\b(?:install|add)\b", line, maxsplit=1)[-1].split()
        found |= {match[0] for word in words if (match := _PACKAGE.match(word))}
    return found
