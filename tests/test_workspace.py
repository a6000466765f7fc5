"""Tests of settings and the composition root."""

from __future__ import annotations

from pathlib import Path

import pytest

import skillsmith
from skillsmith.errors import NotFoundError, StorageError
from skillsmith.models import Embedder
from skillsmith.workspace import Workspace, default_path, open_workspace


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty current folder, with no settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKILLSMITH_DB", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def test_named_path_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is given wins over the environment and the current folder."""
    monkeypatch.setenv("SKILLSMITH_DB", str(folder / "environment.db"))
    with open_workspace(folder / "given.db") as workspace:
        assert workspace.path == str(folder / "given.db")


def test_environment_names_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``SKILLSMITH_DB`` wins over a file in the current folder."""
    (folder / "skillsmith.db").touch()
    monkeypatch.setenv("SKILLSMITH_DB", str(folder / "environment.db"))
    assert default_path() == folder / "environment.db"


def test_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde in ``SKILLSMITH_DB`` means the home folder."""
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SKILLSMITH_DB", "~/mine.db")
    assert default_path() == folder / "mine.db"


def test_file_in_the_current_folder_is_used(folder: Path) -> None:
    """``./skillsmith.db`` is used when it is there."""
    (folder / "skillsmith.db").touch()
    assert default_path() == Path("skillsmith.db")


def test_user_data_folder_is_last(folder: Path) -> None:
    """Without any of those the file lies in the user's data folder, under a name of its own."""
    path = default_path()
    assert path.name == "skillsmith.db"
    assert path.parent.name == "skillsmith-cli"


def test_file_is_made_when_writing(folder: Path) -> None:
    """Opening makes the file and its folders."""
    with open_workspace(folder / "new" / "x.db") as workspace:
        assert list(workspace.runs.list()) == []
    assert (folder / "new" / "x.db").exists()


@pytest.mark.parametrize("options", [{"readonly": True}, {"create": False}])
def test_missing_file_is_named(folder: Path, options: dict[str, bool]) -> None:
    """A missing file is not made by who only reads, and the error says what to do."""
    with pytest.raises(NotFoundError, match="no database at") as caught:
        open_workspace(folder / "x.db", **options)
    assert "ingest" in caught.value.hint
    assert not (folder / "x.db").exists()


def test_readonly_workspace_cannot_write(folder: Path) -> None:
    """A workspace opened for reading refuses to write."""
    open_workspace(folder / "x.db").close()
    with open_workspace(folder / "x.db", readonly=True) as workspace, pytest.raises(StorageError):
        workspace.runs.create("something")


def test_services_share_one_connection(folder: Path) -> None:
    """What one service writes the others see at once; each is built once."""
    with open_workspace(folder / "x.db") as workspace:
        run = workspace.runs.create("a task")
        assert workspace.runs is workspace.runs
        assert workspace.runs.get(run.id).task == "a task"
        assert workspace.files.versions(workspace.runs.key(run.id)) == []
        assert workspace.skills.names() == []
        assert workspace.ledger.stats("nothing")["executions"] == 0


def test_closed_after_the_block(folder: Path) -> None:
    """Leaving the block closes the file, also after an error."""
    with pytest.raises(RuntimeError, match="boom"), open_workspace(folder / "x.db") as workspace:
        raise RuntimeError("boom")
    with pytest.raises(Exception, match="closed"):
        workspace.runs.create("too late")


class _Letters:
    """An embedder that needs no model: counts of letters."""

    model = "letters#1"
    dimension = 2

    def embed(self, texts: list[str]) -> list[bytes]:
        raise AssertionError(texts)


def test_embedder_can_be_injected(folder: Path) -> None:
    """A test's own embedder takes the place of the installed model, also none at all."""
    letters: Embedder = _Letters()  # type: ignore[assignment]  # a list is a Sequence enough here
    with open_workspace(":memory:", _embedder=letters) as workspace:
        assert workspace.embedder is letters
    with open_workspace(":memory:", _embedder=None) as workspace:
        assert workspace.embedder is None


def test_library_offers_the_workspace() -> None:
    """``skillsmith.open_workspace`` is the one way in."""
    assert skillsmith.open_workspace is open_workspace
    assert skillsmith.Workspace is Workspace
