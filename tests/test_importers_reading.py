"""From paths to runs: folders, formats, plug-ins, and what is told about files that are no logs."""

from __future__ import annotations

import gzip
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from skillsmith.capture.importers import (
    NOT_A_LOG,
    Head,
    Importer,
    Item,
    LogSource,
    broken_importers,
    importers,
    read_path,
    read_paths,
    registry,
)
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.models import Problem, RunRecord

LOGS = Path(__file__).parent / "fixtures" / "logs"


def _sources(items: Iterator[Item]) -> Counter[str]:
    return Counter(item.value.source for item in items if isinstance(item.value, RunRecord))


def _problems(items: Iterator[Item]) -> list[str]:
    return [item.value.reason for item in items if isinstance(item.value, Problem)]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("chat.json", "openai-chat"), ("chats.jsonl", "openai-chat"), ("messages.jsonl", "openai-chat"),
        ("tau.json", "openai-chat"), ("blocks.json", "openai-chat"), ("executed.json", "openai-chat"),
        ("claude/session.jsonl", "claude-code"), ("claude/no_session.jsonl", "claude-code"),
        ("codex/rollout.jsonl", "codex"), ("codex/bare.jsonl", "codex"),
        ("codex/rollout-2025-06-26-legacy.json", "codex"), ("codex/paginated.jsonl", "codex"),
        ("captain.json", "multi-agent"), ("magentic.json", "multi-agent"), ("ag2_tools.json", "multi-agent"),
        ("cmbagent/chats/chat_history_step_2.json", "multi-agent"), ("swe/text.traj", "swe-agent"),
        ("swe/tools.traj", "swe-agent"), ("swe/history_only.traj", "swe-agent"),
        ("exchanges/openai.json", "provider-exchanges"), ("exchanges/lines.jsonl", "provider-exchanges"),
        ("notebook/headers.ipynb", "notebook"), ("notebook/rules.ipynb", "notebook"),
        ("notebook/ag2.ipynb", "notebook"), ("reflexion.jsonl", "reflexion"),
    ],
)  # fmt: skip
def test_the_format_is_told_from_the_content(tmp_path: Path, name: str, source: str) -> None:
    """Every format is recognised, also under a name that says nothing and when packed."""
    renamed = tmp_path / (name.rpartition("/")[2] if "step" in name else "log")
    renamed.write_bytes(gzip.compress((LOGS / name).read_bytes()))
    assert set(_sources(read_path(renamed))) == {source}


def test_a_folder_is_walked_in_order_and_files_of_no_format_are_counted(tmp_path: Path) -> None:
    """Folders are read recursively in a fixed order; hidden folders are left out, strangers counted."""
    shutil.copytree(LOGS / "codex", tmp_path / "b")
    shutil.copytree(LOGS / "codex", tmp_path / ".hidden")
    shutil.copy(LOGS / "chat.json", tmp_path / "a.json")
    (tmp_path / "notes.txt").write_text("shopping: milk")
    (tmp_path / "other.json").write_text('{"name": "a package"}')
    items = list(read_path(tmp_path))
    assert _sources(iter(items)) == {"openai-chat": 1, "codex": 4}
    assert _problems(iter(items)) == [NOT_A_LOG, NOT_A_LOG]
    assert [item.path for item in items] == sorted(item.path for item in items)
    assert items == list(read_path(tmp_path))


def test_links_that_lead_in_circles_are_walked_once(tmp_path: Path) -> None:
    """A symbolic link to a folder above, and a second way to a file, add nothing."""
    (tmp_path / "in").mkdir()
    shutil.copy(LOGS / "chat.json", tmp_path / "in" / "chat.json")
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "in" / "zz.json").symlink_to(tmp_path / "in" / "chat.json")
    assert _sources(read_path(tmp_path)) == {"openai-chat": 1}
    assert _sources(read_paths([tmp_path, tmp_path / "in" / "chat.json"])) == {"openai-chat": 1}


def test_a_deep_folder_is_no_problem(tmp_path: Path) -> None:
    """Folders may be nested as deep as the system allows."""
    deep = tmp_path
    for _ in range(300):
        deep /= "d"
    deep.mkdir(parents=True)
    shutil.copy(LOGS / "chat.json", deep / "chat.json")
    assert _sources(read_path(tmp_path)) == {"openai-chat": 1}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_dead_link_does_not_hang(tmp_path: Path) -> None:
    """What is no regular file is reported and never opened."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zdead").symlink_to(tmp_path / "nowhere")
    first, second = _problems(read_path(tmp_path))
    assert first == "not a regular file"
    assert second.startswith("cannot be read: ")


def test_a_named_file_of_no_format_is_told_what_to_do(tmp_path: Path) -> None:
    """Naming a file that no format claims gives a Problem that lists the formats."""
    path = tmp_path / "notes.json"
    path.write_text('{"milk": 2}')
    (reason,) = _problems(read_path(path))
    assert reason.startswith("not a known agent log; if it is one, name its format with --format (")
    assert all(importer.name in reason for importer in importers())


def test_an_unknown_format_and_a_missing_path_are_refused_at_once(tmp_path: Path) -> None:
    """Both are the user's slips and are told before anything is read."""
    with pytest.raises(UsageError, match=r"use one of claude-code, codex, .*, openai-chat"):
        read_path(LOGS / "chat.json", format="nonsense")
    with pytest.raises(NotFoundError, match="there is no file or folder"):
        read_paths([LOGS, tmp_path / "missing"])


def test_a_named_format_is_taken_without_sniffing(tmp_path: Path) -> None:
    """With a format named, a file is read as that format even when it looks like another."""
    (item,) = read_path(LOGS / "captain.json", format="openai-chat")
    assert isinstance(item.value, RunRecord)
    assert item.value.source == "openai-chat"


def test_step_files_of_a_folder_are_one_run() -> None:
    """CMBAgent's histories are joined by folder in the order of their numbers, however they are named."""
    folder = LOGS / "cmbagent" / "chats"
    (whole,) = read_path(folder)
    (named,) = read_paths(sorted(folder.iterdir(), reverse=True))
    assert whole == named
    assert whole.path.endswith("chat_history_step_1.json")
    assert isinstance(whole.value, RunRecord)
    assert [event.step for event in whole.value.events if event.kind == "code"] == [1, 2, 10]
    assert whole.value.task == "Plot the loans."


def _never(head: Head) -> float:
    raise RuntimeError(f"sniffing {head.name} failed")


def _broken(source: LogSource) -> Iterator[RunRecord | Problem]:
    yield RunRecord(source="broken", events=())
    raise RuntimeError("no more")


PLUGIN = Importer(name="notes", description="notes", sniff=lambda head: head.name == "n.txt", parse=_broken)
BAD_SNIFF = Importer(name="bad-sniff", description="", sniff=_never, parse=_broken)
SECOND_CHAT = Importer(name="openai-chat", description="", sniff=_never, parse=_broken)
NO_IMPORTER = "only a text"


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register this module's importers as another package would."""
    names = ("PLUGIN", "BAD_SNIFF", "SECOND_CHAT", "NO_IMPORTER", "MISSING")
    points = [EntryPoint(name.lower(), f"{__name__}:{name}", registry.GROUP) for name in names]

    def entry_points(**_: Any) -> list[EntryPoint]:
        return points

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry._load.cache_clear()
    yield
    registry._load.cache_clear()


@pytest.mark.usefixtures("plugged")
def test_plug_ins_are_used_and_broken_ones_reported(tmp_path: Path) -> None:
    """A plug-in's runs come out, what it raises becomes a Problem, and one that cannot load stops nothing."""
    path = tmp_path / "n.txt"
    path.write_text("a note")
    assert [importer.name for importer in importers()][-2:] == ["bad-sniff", "notes"]
    assert len(broken_importers()) == 3
    with pytest.warns(UserWarning, match="the importer 'bad-sniff' failed on n.txt: RuntimeError"):
        items = list(read_path(path))
    reasons = _problems(iter(items))
    assert sum("cannot be used" in reason for reason in reasons) == 3
    assert reasons[-1] == "the importer 'notes' failed: RuntimeError: no more"
    assert _sources(iter(items)) == {"broken": 1}
