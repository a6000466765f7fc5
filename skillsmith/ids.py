"""UUIDv7 ids: sortable by time, mergeable between machines.

Source: RFC 9562, section 5.7 (48 bits of Unix milliseconds, then version, variant and random bits).
"""

from __future__ import annotations

import os
import time
from hashlib import sha256
from uuid import UUID


def new_id() -> str:
    """Return a new UUIDv7 as text."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(UUID(int=value))


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of the data as 64 hex digits."""
    return sha256(data).hexdigest()
