from __future__ import annotations

import pytest

from skillsmith import files as files_module
from skillsmith.db import Database
from skillsmith.errors import NotFoundError
from skillsmith.files import FileRepository
from skillsmith.models import FileSnapshot
from skillsmith.runs import RunRepository


@pytest.fixture
def files(db: Database) -> FileRepository:
    """The files of that file."""
    return FileRepository(db)


@pytest.fixture
def run(runs: RunRepository) -> int:
    """A run's key."""
    return runs.key(runs.create("t").id)


def snapshot(path: str, content: bytes, agent: str | None = "engineer") -> FileSnapshot:
    """Return a file as a tracker saw it."""
    return FileSnapshot(path=path, content=content, agent=agent, at=1.0, seq=3)


def test_a_changed_file_gets_its_next_version(db: Database, files: FileRepository, run: int) -> None:
    """Each change is kept with who made it, and refers to what it replaced."""
    first = files.record(run, snapshot("a.py", b"1", None))
    second = files.record(run, snapshot("a.py", b"2"))
    assert (first.version, first.agent, first.superseded_by) == (1, None, None)
    assert (second.version, second.agent, second.seq, second.size) == (2, "engineer", 3, 1)
    history = files.history(run, "a.py")
    assert [version.superseded_by for version in history] == ["a.py@2", None]
    assert [files.content(version) for version in history] == [b"1", b"2"]
    assert db.scalar("SELECT parent_file_id FROM file_versions WHERE version = 2") == 1
    assert db.scalar("SELECT created_by_agent FROM file_versions WHERE version = 2") == "engineer"


def test_the_same_content_is_no_new_version(files: FileRepository, run: int) -> None:
    """Looking again finds nothing new; going back to old content is a change."""
    for content in (b"1", b"1", b"2", b"2", b"1"):
        last = files.record(run, snapshot("a.py", content))
    assert last.version == 3
    assert [version.version for version in files.versions(run)] == [1, 2, 3]


def test_files_of_runs_are_separate(files: FileRepository, runs: RunRepository, run: int) -> None:
    """The same path in two runs has two histories; versions are listed by path."""
    other = runs.key(runs.create("t").id)
    files.record(run, snapshot("b.py", b"1"))
    files.record(run, snapshot("a.py", b"1"))
    files.record(other, snapshot("a.py", b"9"))
    assert [version.path for version in files.versions(run)] == ["a.py", "b.py"]
    assert len(files.history(other, "a.py")) == 1
    with pytest.raises(NotFoundError, match=r"no file 'c.py'"):
        files.history(run, "c.py")


def test_a_file_that_took_anothers_place_is_noted(files: FileRepository, run: int) -> None:
    """plot_v1.py leads to plot_v2.py, and only its last version does."""
    files.record(run, snapshot("plot_v1.py", b"1"))
    files.record(run, snapshot("plot_v1.py", b"2"))
    files.supersede(run, "plot_v1.py", by="plot_v2.py")
    assert [version.superseded_by for version in files.history(run, "plot_v1.py")] == [
        "plot_v1.py@2",
        "plot_v2.py",
    ]


def test_of_a_huge_file_the_digest_is_kept(
    files: FileRepository, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its change is still seen; its content is not there, which is no damage."""
    monkeypatch.setattr(files_module, "MAX_STORED_BYTES", 10)
    version = files.record(run, snapshot("big.bin", b"x" * 11))
    assert files.content(version) is None
    assert files.record(run, snapshot("big.bin", b"x" * 12)).version == 2
    assert [*files.verify()] == []


def test_lost_content_is_found(db: Database, files: FileRepository, run: int) -> None:
    """A version whose bytes are gone is named."""
    files.record(run, snapshot("a.py", b"1"))
    assert [*files.verify()] == []
    db.execute("DELETE FROM blobs")
    (problem,) = files.verify()
    assert "a.py@1" in problem


def test_files_go_with_their_run(db: Database, files: FileRepository, run: int) -> None:
    """Deleting a run leaves no versions behind."""
    files.record(run, snapshot("a.py", b"1"))
    files.record(run, snapshot("a.py", b"2"))
    db.execute("DELETE FROM runs")
    assert db.scalar("SELECT count(*) FROM file_versions") == 0
    assert db.check() == []
