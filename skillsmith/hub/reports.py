"""What became of a push or a pull, for people and scripts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerConflict:
    """A name that stands for one version here and for another on the hub; both are kept.

    Args:
        here: Our current version; None: deleted here.
        there: The hub's, by our number; None: deleted there, or not here.
        machine: Which machine moved the hub's pointer.
        reasons: Why they cannot be brought together, a line each.
    """

    name: str
    here: int | None
    there: int | None
    machine: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renumbered:
    """A version that has another number here than on the machine it came from.

    Args:
        here: ``NAME@VERSION`` in this file.
        there: Its number there.
        machine: That machine.
    """

    here: str
    there: int
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A version of the hub that was not taken.

    Args:
        name: The skill.
        digest: Of the content that the hub claims.
        reason: Why.
    """

    name: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReport:
    """What the hub got.

    Args:
        versions: ``NAME@VERSION`` that were new to it.
        moved: Names whose pointer moved on the hub.
        deleted: ``NAME@VERSION`` deleted here, whose tombstones it got.
        conflicts: Pointers that moved on both sides.
        executions: How many were new to it, or closed again.
        history: How many entries were new to it.
        runs: How many runs it was told of, or told more of.
    """

    versions: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    conflicts: tuple[PointerConflict, ...] = ()
    executions: int = 0
    history: int = 0
    runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PullReport:
    """What came from the hub.

    Args:
        versions: ``NAME@VERSION`` that are new here.
        quarantined: Those of them, and of the merged ones, that wait for ``trust``.
        renumbered: Those whose number differs from the one they had.
        moved: ``NAME@VERSION`` that names stand for now.
        merged: ``NAME@VERSION`` made of changes on both sides.
        retired: ``NAME@VERSION`` that another machine deleted.
        waiting: ``NAME@VERSION`` that the hub's pointer stands at, and that may not run here yet.
        conflicts: Pointers that moved on both sides and cannot be merged.
        refused: Versions that were not taken.
        executions: How many are new here.
        history: How many entries are new here.
    """

    versions: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    renumbered: tuple[Renumbered, ...] = ()
    moved: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    conflicts: tuple[PointerConflict, ...] = ()
    refused: tuple[Refused, ...] = ()
    executions: int = 0
    history: int = 0
