"""What becomes of a name's pointer where hub and file differ: the three-way rule of ``sync``, and no SQL.

A side has moved when its pointer is not where it was when both were last brought together. One side moved:
the other follows. Both: their changes are merged, or nothing is touched and both versions stay.
"""

from __future__ import annotations

from enum import Enum

from skillsmith.hub.local_rows import Pointer
from skillsmith.hub.marks import Base


class Push(Enum):
    """What a push does to a name."""

    NOTHING = "nothing"
    SETTLE = "settle"
    MOVE = "move"
    CONFLICT = "conflict"


class Pull(Enum):
    """What a pull does to a name."""

    NOTHING = "nothing"
    SETTLE = "settle"
    FOLLOW = "follow"
    MERGE = "merge"


class Absent(Enum):
    """Stands for: the hub has never heard of the name."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


def moved_here(base: Base | None, here: Pointer | None) -> bool:
    """Tell whether our pointer has moved, or a skill that the hub let go was taken up again."""
    if base is None:
        return here is not None
    digest = None if here is None else here.digest
    return digest != base.here or (base.there is None and here is not None and here.usable)


def decide_push(
    base: Base | None, here: Pointer | None, there: str | Absent | None, *, ours_there: bool
) -> Push:
    """Return what to do with the hub's pointer.

    Args:
        base: Where both stood; None: never brought together.
        here: Our pointer; None: we have no such skill.
        there: The hub's.
        ours_there: The hub's pointer stands where this file put it, or at a version that we went on from.
    """
    digest = None if here is None else here.digest
    if there is not ABSENT and digest == there:
        return Push.SETTLE
    if not moved_here(base, here) or (here is not None and not here.usable):
        return Push.NOTHING
    if there is ABSENT:
        return Push.MOVE if here is not None else Push.NOTHING
    if ours_there or (base is not None and there == base.there):
        return Push.MOVE
    return Push.CONFLICT


def decide_pull(base: Base | None, here: Pointer | None, there: str | None) -> Pull:
    """Return what to do with our pointer; arguments as in ``decide_push``."""
    digest = None if here is None else here.digest
    if digest == there:
        return Pull.SETTLE
    ours = moved_here(base, here) and (base is not None or (here is not None and here.usable))
    if base is not None and there == base.there:
        return Pull.NOTHING if ours else Pull.FOLLOW  # what waited for trust may have got it
    return Pull.MERGE if ours else Pull.FOLLOW
