from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.blobs import COMPRESS_FROM_BYTES, BlobStore
from skillsmith.db import Database
from skillsmith.errors import StorageError
from skillsmith.ids import digest_of


@pytest.fixture
def blobs(db: Database) -> BlobStore:
    """The contents of that file."""
    return BlobStore(db)


@given(data=st.binary(max_size=100) | st.binary(min_size=1, max_size=20).map(lambda part: part * 2000))
def test_any_bytes_come_back(data: bytes) -> None:
    """Short or long, compressible or not, under the SHA-256 of the content."""
    blobs = BlobStore(Database(":memory:"))
    digest = blobs.put(data)
    assert digest == digest_of(data)
    assert blobs.get(digest) == data
    assert [*blobs.verify()] == []


def test_the_same_content_is_stored_once(db: Database, blobs: BlobStore) -> None:
    """A message that is resent a hundred times takes the room of one."""
    digests = {blobs.put(b"the system prompt" * 1000) for _ in range(100)}
    assert len(digests) == 1
    assert db.scalar("SELECT count(*) FROM blobs") == 1


def test_compression_only_where_it_pays(db: Database, blobs: BlobStore) -> None:
    """Text shrinks, random bytes and short texts stay as they are and readable by any tool."""
    contents = [b"x" * 100_000, os.urandom(100_000), b"short" * 10]
    encodings = [
        db.scalar("SELECT encoding FROM blobs WHERE digest = ?", (blobs.put(content),))
        for content in contents
    ]
    assert encodings == ["zlib", "identity", "identity"]
    assert db.scalar("SELECT length(data) < size / 50 FROM blobs WHERE encoding = 'zlib'") == 1
    assert COMPRESS_FROM_BYTES > 50


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE blobs SET data = x'00' WHERE encoding = 'identity'",
        "UPDATE blobs SET data = x'00' WHERE encoding = 'zlib'",
        "UPDATE blobs SET size = size + 1 WHERE encoding = 'zlib'",
        "UPDATE blobs SET data = zeroblob(length(data))",
    ],
)
def test_damage_is_found(db: Database, blobs: BlobStore, damage: str) -> None:
    """Content that is not what its digest says is reported, not returned as if it were."""
    digests = [blobs.put(b"plain"), blobs.put(b"packed" * 10_000)]
    db.execute(damage)
    problems = [*blobs.verify()]
    assert problems
    assert all(any(digest[:12] in problem for digest in digests) for problem in problems)


def test_damaged_and_missing_content_is_an_error(db: Database, blobs: BlobStore) -> None:
    """Reading never gives wrong bytes for packed content, and says what to run."""
    digest = blobs.put(b"packed" * 10_000)
    db.execute("UPDATE blobs SET data = x'0011'")
    with pytest.raises(StorageError, match="damaged"):
        blobs.get(digest)
    with pytest.raises(StorageError, match="skillsmith doctor"):
        blobs.get("0" * 64)
