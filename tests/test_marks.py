"""What a work folder holds, as far as the marks of its files tell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skillsmith.library.execution.marks import marks_in

DEPTH = 1500


def test_ordinary_files_are_seen_and_nothing_else(tmp_path: Path) -> None:
    """Files at any depth have size and time; links, scripts of ours and skipped folders are left out."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep.txt").write_text("123")
    (tmp_path / "top.txt").write_text("")
    (tmp_path / "link.txt").symlink_to(tmp_path / "top.txt")
    (tmp_path / "linked").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref")
    found = dict(marks_in(str(tmp_path)))
    assert found.keys() == {"top.txt", "a/b/deep.txt"}
    assert found["a/b/deep.txt"] == (3, (tmp_path / "a" / "b" / "deep.txt").stat().st_mtime_ns)
    assert dict(marks_in(str(tmp_path / "gone"))) == {}


@pytest.mark.skipif(os.name == "nt", reason="paths are shorter there")
def test_folders_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:
    """Code that makes a folder in a folder a thousand times ends no execution."""
    (tmp_path / "first.txt").write_text("x")
    code = f"import os\nfor _ in range({DEPTH}):\n    os.mkdir('d')\n    os.chdir('d')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    try:
        assert [name for name, _ in marks_in(str(tmp_path))] == ["first.txt"]
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)
