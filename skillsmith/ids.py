"""UUIDv7 ids: sortable by time, mergeable between machines, and in one process in the order they were made.

Source: RFC 9562, section 5.7 (48 bits of Unix milliseconds, then version, variant and random bits) and
section 6.2, method 3: the 12 bits after the version are the fraction of the millisecond, advanced by one
where two ids would otherwise share a tick or the clock went back.
"""

from __future__ import annotations

import os
import threading
import time
from hashlib import sha256
from typing import Final
from uuid import UUID

_TICK_BITS: Final = 12
_RANDOM_BITS: Final = 62
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << _RANDOM_BITS

_lock = threading.Lock()
_last_tick = 0


def _renew_lock() -> None:
    """Forget a lock that another thread held while the process was forked."""
    global _lock  # noqa: PLW0603  (one clock a process)
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def new_id() -> str:
    """Return a new UUIDv7 as text, greater than every one that this process made before."""
    tick = _next_tick()
    milliseconds, fraction = tick >> _TICK_BITS, tick & ((1 << _TICK_BITS) - 1)
    random = int.from_bytes(os.urandom(8), "big") >> (64 - _RANDOM_BITS)
    return str(UUID(int=milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | random))


def _next_tick() -> int:
    """Return the time in 4,096ths of a millisecond, later than any returned before."""
    global _last_tick  # noqa: PLW0603  (one clock a process)
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    now = milliseconds << _TICK_BITS | (nanoseconds << _TICK_BITS) // 1_000_000
    with _lock:
        _last_tick = max(now, _last_tick + 1)
        return _last_tick


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of the data as 64 hex digits."""
    return sha256(data).hexdigest()
