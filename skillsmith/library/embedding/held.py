"""The vectors of whole skills in memory, for a process that searches again and again.

They are read as vec0 has stored them, in its pieces of many rows, so that reading all of them costs about as
much as the one search that vec0 would have made instead. A small library is held as it is and searched
exactly; of a large one only the signs are held, a bit a number, which find what is then compared exactly.
Rows are known by the keys of the vec0 table. What was read under one mark of the library is never changed, so
all connections of a process share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

BITS = 8

Piece = tuple[bytes, bytes, bytes]
"""A piece of a vec0 table: which of its rows are in use, a bit each, their keys, and their vectors."""

SHARED: WeakValueDictionary[str, HeldVectors] = WeakValueDictionary()
"""What the process holds, by mark, as long as somebody uses it."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class HeldVectors:
    """All vectors of a library as a whole, or their signs.

    Args:
        mark: The library's mark when they were read.
        keys: Of each row, as 64-bit integers.
        rows: The vectors, a row each; None where only signs are held.
        signs: The signs in words of 64, a column for each row; None where vectors are held.
    """

    mark: str
    keys: Any = field(repr=False)
    rows: Any = field(repr=False)
    signs: Any = field(repr=False)

    def nearest(self, vector: bytes, *, limit: int, among: Sequence[int] | None = None) -> dict[int, float]:
        """Return the keys of the nearest rows with their cosines, nearest first.

        Args:
            vector: A unit vector.
            limit: At most so many.
            among: Only these keys.
        """
        import numpy as np  # noqa: PLC0415 -- loaded with the model, as everywhere here

        cosines = np.vecdot(self.rows, np.frombuffer(vector, "<f4"))  # no slower than @, and on this thread
        best = _largest(cosines, limit, self._only(among))
        return dict(zip(self.keys[best].tolist(), cosines[best].tolist(), strict=True))

    def likely(self, vector: bytes, *, limit: int, among: Sequence[int] | None = None) -> list[int]:
        """Return the keys of the rows with the most signs in common with a vector.

        Args:
            vector: A unit vector.
            limit: At most so many.
            among: Only these keys.
        """
        import numpy as np  # noqa: PLC0415 -- as above

        wanted = np.packbits(np.frombuffer(vector, "<f4") > 0, bitorder="little").view("<u8")
        agreeing = np.zeros(len(self.keys), np.int16)
        for column, word in zip(self.signs, wanted, strict=True):
            agreeing -= np.bitwise_count(column ^ word)
        best = _largest(agreeing, limit, self._only(among))
        return [int(key) for key in self.keys[best]]

    def _only(self, among: Sequence[int] | None) -> Any:
        """Return the places of some keys; None for all."""
        import numpy as np  # noqa: PLC0415 -- as above

        return None if among is None else np.flatnonzero(np.isin(self.keys, among))


def hold(pieces: Iterable[Piece], *, mark: str, dimension: int, exact: bool) -> HeldVectors | None:
    """Take the pieces of a vec0 table into memory.

    Args:
        pieces: Of the column of vectors, or of that of their signs.
        mark: The library's mark.
        dimension: Length of a vector, a multiple of 8.
        exact: Whether the pieces are of vectors, little-endian float32, and not of signs.

    Returns:
        None where the pieces are not laid out as they are known to be, or signs do not fill words.
    """
    import numpy as np  # noqa: PLC0415 -- as above

    kind, width = ("<f4", dimension) if exact else ("<u8", dimension // 64)
    if not exact and dimension % 64:
        return None
    keys, rows = [np.empty(0, "<i8")], [np.empty((0, width), kind)]
    for used, ids, data in pieces:
        places = len(used) * BITS
        if len(ids) != places * 8 or len(data) != places * width * np.dtype(kind).itemsize:
            return None
        full = np.unpackbits(np.frombuffer(used, "u1"), bitorder="little").astype(bool)
        keys.append(np.frombuffer(ids, "<i8")[full])
        rows.append(np.frombuffer(data, kind).reshape(places, width)[full])
    all_rows = np.concatenate(rows)
    return HeldVectors(
        mark=mark, keys=np.concatenate(keys), rows=all_rows if exact else None,
        signs=None if exact else np.ascontiguousarray(all_rows.T),
    )  # fmt: skip


def _largest(values: Any, limit: int, only: Any) -> Any:
    """Return the places of the largest values, largest first, and of equal ones the first."""
    import numpy as np  # noqa: PLC0415 -- as above

    places = np.arange(len(values)) if only is None else only
    own = values if only is None else values[only]
    if limit < len(own):
        near = np.argpartition(-own, limit)[:limit]
        places, own = places[near], own[near]
    return places[np.lexsort((places, -own))]
