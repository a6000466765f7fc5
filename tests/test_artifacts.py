"""Every file that an agent makes or changes is recorded, version by version, with who did it and when."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.capture.artifacts import AT_ONCE_FILES, UNKNOWN_AGENT, ArtifactTracker
from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.capture.workfolder import family_of, same_program
from skillsmith.db import Database
from skillsmith.errors import NotFoundError
from skillsmith.files import FileRepository
from skillsmith.models import Event, FileVersion, Json
from skillsmith.runs import RunRepository

MakeTracker = Callable[..., ArtifactTracker]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An agent's work folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def run_id(runs: RunRepository) -> str:
    """The id of a new run."""
    return runs.create("make files").id


@pytest.fixture
def make_tracker(db: Database, run_id: str, work: Path) -> Iterator[MakeTracker]:
    """Make trackers of the work folder; they are finalized at the end."""
    made: list[ArtifactTracker] = []

    def make(step: int | str | None = None, **limits: Any) -> ArtifactTracker:
        made.append(ArtifactTracker(work, db.path, run_id, step, **limits))
        return made[-1]

    yield make
    for tracker in made:
        tracker.finalize()


def versions(db: Database, run_id: str) -> list[FileVersion]:
    """Return what is stored of the run's files."""
    return FileRepository(db).versions(RunRepository(db).key(run_id))


def told(db: Database, run_id: str) -> list[tuple[str | None, Json, str | None]]:
    """Return path, change and agent of each artifact event."""
    found: list[Event] = [e for e in RunRepository(db).events(run_id) if e.kind == "artifact"]
    return [(event.content, (event.data or {})["change"], event.agent) for event in found]


def test_new_and_changed_files_become_versions(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """A new file is version 1, a change its next version with its parent, each with agent and content."""
    tracker = make_tracker()
    (work / "sub").mkdir()
    (work / "sub" / "a.txt").write_text("one")
    tracker.scan(agent="writer")
    (work / "sub" / "a.txt").write_text("two")
    tracker.scan(agent="editor")
    tracker.scan(agent="nobody")
    history = tracker.get_artifact_history("sub/a.txt")
    assert [(v.version, v.agent, v.superseded_by) for v in history] == [
        (1, "writer", "sub/a.txt@2"),
        (2, "editor", None),
    ]
    assert [FileRepository(db).content(version) for version in history] == [b"one", b"two"]
    assert told(db, run_id) == [
        ("sub/a.txt", "created", "writer"),
        ("sub/a.txt", "modified", "editor"),
    ]
    assert history == tracker.get_artifact_history(work / "sub" / "a.txt")
    parents = db.all("SELECT id, parent_file_id FROM file_versions ORDER BY id")
    assert [row["parent_file_id"] for row in parents] == [None, parents[0]["id"]]


def test_the_event_says_what_was_stored(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """An artifact event carries path, version, digest and size as stored, and the step."""
    tracker = make_tracker(step="step_4")
    (work / "a.bin").write_bytes(b"\x00\xff")
    (made,) = tracker.scan(agent="writer")
    tracker.finalize()
    (event,) = RunRepository(db).events(run_id)
    assert event.data == {
        "path": "a.bin", "change": "created", "version": 1, "digest": made.digest, "size": 2,
    }  # fmt: skip
    assert (event.content, event.agent, event.step) == ("a.bin", "writer", 4)
    assert versions(db, run_id)[0].digest == made.digest


def test_files_from_before_have_no_agent(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """The snapshot at the start keeps contents as version 1 without an agent and without events."""
    (work / "in.csv").write_text("a,b\n")
    tracker = make_tracker()
    tracker.snapshot()
    (work / "in.csv").write_text("a,b\n1,2\n")
    tracker.scan(agent="loader")
    tracker.finalize()
    first, second = versions(db, run_id)
    assert (first.agent, first.seq, second.agent) == (None, None, "loader")
    assert FileRepository(db).content(first) == b"a,b\n"
    assert told(db, run_id) == [("in.csv", "modified", "loader")]
    assert tracker.finalize() == (second,) or tracker.versions()[0].version == 2


def test_a_change_of_the_same_size_in_the_same_moment_is_seen(work: Path, make_tracker: MakeTracker) -> None:
    """A file rewritten with the same size and the same times is still seen as changed."""
    tracker = make_tracker()
    path = work / "a.txt"
    path.write_text("aaaa")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    tracker.scan(agent="a")
    path.write_text("bbbb")
    os.utime(path, ns=times)
    assert [version.version for version in tracker.scan(agent="a")] == [2]


def test_deleted_and_returning_files(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """A deletion is an event; the same content again is the same version, other content the next."""
    tracker = make_tracker()
    path = work / "a.txt"
    for text in ("one", None, "one", None, "two"):
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        tracker.scan(agent="a")
    tracker.finalize()
    assert [change for _path, change, _agent in told(db, run_id)] == [
        "created", "deleted", "created", "deleted", "created",
    ]  # fmt: skip
    assert [version.version for version in versions(db, run_id)] == [1, 2]


def test_execution_is_looked_at_from_both_sides(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """What changed before an execution is not its agent's, what changed inside is, even when it fails."""
    tracker = make_tracker()
    (work / "earlier.txt").write_text("x")

    def execute() -> None:
        with tracker.executing("coder"):
            (work / "made.txt").write_text("y")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        execute()
    tracker.finalize()
    assert {v.path: v.agent for v in versions(db, run_id)} == {
        "earlier.txt": UNKNOWN_AGENT,
        "made.txt": "coder",
    }


def test_named_files_are_tracked_at_once(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """The calls of the specification record one file now, by relative or absolute path."""
    tracker = make_tracker()
    (work / "a.py").write_text("1")
    first = tracker.track_file_creation("a.py", "engineer")
    (work / "a.py").write_text("2")
    second = tracker.track_file_modification(str(work / "a.py"), "reviewer")
    assert first is not None
    assert second is not None
    assert (first.version, first.agent, second.version, second.agent) == (1, "engineer", 2, "reviewer")
    assert tracker.track_file_modification("a.py", "nobody") == second
    assert tracker.track_file_creation("absent.py", "engineer") is None
    assert tracker.track_file_creation("../outside.py", "engineer") is None
    tracker.finalize()
    assert [(path, change) for path, change, _agent in told(db, run_id)][2:] == [
        ("absent.py", "left out"),
        ("../outside.py", "left out"),
    ]


def test_a_file_that_calls_itself_the_next_version_supersedes(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """plot.py gives way to plot_v2.py and that to plot_v3.py; figure1 and figure2 stand side by side."""
    tracker = make_tracker()
    for name in ("plot.py", "figure1.png", "figure2.png", "plot_v2.py", "plot_v3.py"):
        (work / name).write_text(name)
        tracker.scan(agent="a")
    tracker.finalize()
    links = {version.path: version.superseded_by for version in versions(db, run_id)}
    assert links == {
        "plot.py": "plot_v2.py@1", "plot_v2.py": "plot_v3.py@1", "plot_v3.py": None,
        "figure1.png": None, "figure2.png": None,
    }  # fmt: skip
    assert {version.path: version.superseded_by for version in tracker.versions()} == links


def test_code_evolution_by_path_and_by_text(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """Versions may be named by path or by the code they hold; what no file holds is passed over."""
    tracker = make_tracker()
    for name, code in {"one.py": "print(1)\n", "two.py": "print(2)\n", "three.py": "print(3)\n"}.items():
        (work / name).write_text(code)
    tracker.scan(agent="a")
    tracker.track_code_evolution(["one.py", "print(2)\n", "print('no file')\n", "three.py"])
    tracker.finalize()
    links = {version.path: version.superseded_by for version in versions(db, run_id)}
    assert links == {"one.py": "two.py@1", "two.py": "three.py@1", "three.py": None}


def test_what_does_not_belong_is_ignored(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker, tmp_path: Path
) -> None:
    """Caches, version control, links out of the folder, pipes and the database itself are not artifacts."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("x")
    for name in (".git", "__pycache__", "node_modules"):
        (work / name).mkdir()
        (work / name / "inner.txt").write_text("x")
    (work / "module.pyc").write_text("x")
    (work / "skillsmith.db-wal").write_text("x")
    (work / "away.txt").symlink_to(outside / "secret.txt")
    (work / "away").symlink_to(outside)
    (work / "broken").symlink_to(work / "nowhere")
    os.mkfifo(work / "pipe")
    (work / "real.txt").write_text("x")
    (work / "alias.txt").symlink_to(work / "real.txt")
    tracker = make_tracker()
    tracker.scan(agent="a")
    tracker.finalize()
    assert [version.path for version in versions(db, run_id)] == ["alias.txt", "real.txt"]


def test_many_files_are_left_out_and_said_so(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """Files beyond the limit leave one note, not one a look; of a large file only the digest is kept."""
    (work / "a_large.bin").write_bytes(b"x" * 1001)
    for number in range(5):
        (work / f"b{number}.txt").write_text(str(number))
    tracker = make_tracker(max_file_bytes=1000, max_files=4)
    for _look in range(3):
        tracker.scan(agent="a")
    tracker.finalize()
    assert [version.path for version in versions(db, run_id)] == [
        "a_large.bin", "b0.txt", "b1.txt", "b2.txt"
    ]  # fmt: skip
    notes = [item for item in told(db, run_id) if item[1] == "left out"]
    assert notes == [(".", "left out", "a")]


def test_of_a_large_file_digest_and_size_are_kept(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """Who made which version of a large file is known, though its content is not stored."""
    tracker = make_tracker(max_file_bytes=1000)
    for letter in (b"x", b"y"):
        (work / "large.bin").write_bytes(letter * 1001)
        tracker.scan(agent=letter.decode())
    tracker.finalize()
    files = FileRepository(db)
    found = [(v.version, v.agent, v.size, v.digest, files.content(v)) for v in versions(db, run_id)]
    assert found == [
        (number, letter.decode(), 1001, hashlib.sha256(letter * 1001).hexdigest(), None)
        for number, letter in enumerate((b"x", b"y"), 1)
    ]
    assert db.scalar("SELECT count(*) FROM blobs") == 0
    assert list(files.verify()) == []


def test_a_renamed_file_is_the_same_file(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """A file under a new name supersedes the old one; it is neither deleted nor made anew."""
    tracker = make_tracker()
    (work / "draft.txt").write_text("text")
    (work / "sub").mkdir()
    (work / "empty.txt").touch()
    tracker.scan(agent="a")
    (work / "draft.txt").rename(work / "sub" / "final.txt")
    (work / "empty.txt").unlink()
    (work / "other.txt").touch()
    tracker.scan(agent="b")
    tracker.finalize()
    assert told(db, run_id)[2:] == [
        ("other.txt", "created", "b"), ("sub/final.txt", "renamed", "b"), ("empty.txt", "deleted", "b")
    ]  # fmt: skip
    links = {version.path: version.superseded_by for version in versions(db, run_id)}
    assert links["draft.txt"] == "sub/final.txt@1"
    renamed = next(e for e in RunRepository(db).events(run_id) if e.content == "sub/final.txt")
    assert (renamed.data or {})["renamed_from"] == "draft.txt"


def test_a_large_folder_is_read_by_a_thread(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """What lay in a large folder is recorded as before the run, also when the first look comes at once."""
    for number in range(AT_ONCE_FILES + 50):
        (work / f"{number}.txt").write_text(f"{number}")
    tracker = make_tracker()
    tracker.snapshot()
    (work / "new.txt").write_text("x")
    assert [version.path for version in tracker.scan(agent="a")] == ["new.txt"]
    tracker.finalize()
    stored = versions(db, run_id)
    assert len(stored) == AT_ONCE_FILES + 51
    assert {version.agent for version in stored if version.path != "new.txt"} == {None}


def test_a_file_that_is_written_while_it_is_looked_at(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """However looks and a writer fall together, no look fails and the last version is what the file holds."""
    tracker = make_tracker()
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (work / "log.txt").write_text(f"{number}\n" * 50)
            (work / f"part{number % 5}.txt").write_text(f"{number}")
            (work / f"part{(number + 2) % 5}.txt").unlink(missing_ok=True)

    writer = threading.Thread(target=write)
    writer.start()
    for _look in range(30):
        tracker.scan(agent="a")
    stop.set()
    writer.join()
    tracker.finalize()
    last = tracker.get_artifact_history("log.txt")[-1]
    assert FileRepository(db).content(last) == (work / "log.txt").read_bytes()
    numbers = [version.version for version in versions(db, run_id) if version.path == "log.txt"]
    assert numbers == list(range(1, len(numbers) + 1))


def test_two_trackers_of_one_folder_record_a_change_once(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """Two trackers that see the same change, one after the other, give one version, without a gap."""
    one, two = make_tracker(), make_tracker()
    for text in ("1", "2"):
        (work / "a.txt").write_text(text)
        for tracker, agent in ((one, "a"), (two, "b")):
            tracker.scan(agent=agent)
            tracker.get_artifact_history("a.txt")  # waits until all is stored
    one.finalize()
    two.finalize()
    assert [(version.version, version.digest) for version in versions(db, run_id)] == [
        (number, hashlib.sha256(text).hexdigest()) for number, text in ((1, b"1"), (2, b"2"))
    ]


def test_a_virtual_environment_is_ignored_whatever_its_name(work: Path, make_tracker: MakeTracker) -> None:
    """A folder with pyvenv.cfg is no agent's work."""
    (work / "myenv" / "lib").mkdir(parents=True)
    (work / "myenv" / "pyvenv.cfg").write_text("home = /usr")
    (work / "myenv" / "lib" / "x.py").write_text("x")
    (work / "a.py").write_text("x")
    assert [version.path for version in make_tracker().scan(agent="a")] == ["a.py"]


def test_a_link_turned_to_the_outside_is_not_followed(
    work: Path, make_tracker: MakeTracker, tmp_path: Path
) -> None:
    """A link that was tracked while it led inside is not read once it leads outside."""
    (tmp_path / "outside.txt").write_text("not ours")
    (work / "real.txt").write_text("ours")
    (work / "link.txt").symlink_to(work / "real.txt")
    tracker = make_tracker()
    assert len(tracker.scan(agent="a")) == 2
    (work / "link.txt").unlink()
    (work / "link.txt").symlink_to(tmp_path / "outside.txt")
    assert tracker.scan(agent="a") == ()


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        ("é KEY=ghp_".encode("latin-1") + b"x" * 36, "é KEY=<redacted:github>".encode("latin-1")),
        (b"\x00\xff\x00ghp_" + b"x" * 36 + b"\x00", b"\x00\xff\x00<redacted:github>\x00"),
        (("KEY=ghp_" + "x" * 36).encode("utf-16"), None),
        (("KEY=ghp_" + "x" * 36).encode("utf-16-le"), None),
        (b"\x89PNG\r\n\x1a\n\x00\x01", b"\x89PNG\r\n\x1a\n\x00\x01"),
    ],
    ids=["latin-1", "binary", "utf-16", "utf-16-le", "clean binary"],
)
def test_secrets_in_other_encodings_are_not_stored(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker, content: bytes, stored: bytes | None
) -> None:
    """A secret in what is no UTF-8 is replaced, or the file is left out; the digest is of what is stored."""
    (work / "file").write_bytes(content)
    tracker = make_tracker()
    tracker.scan(agent="a")
    tracker.finalize()
    found = versions(db, run_id)
    assert [FileRepository(db).content(version) for version in found] == ([] if stored is None else [stored])
    assert [version.digest for version in found] == [
        hashlib.sha256(text).hexdigest() for text in (stored,) if text is not None
    ]
    assert b"x" * 36 not in Path(db.path).read_bytes() + Path(f"{db.path}-wal").read_bytes()


def test_files_beyond_the_limit_do_not_look_deleted(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """A new file that pushes a known one over the limit does not make it look deleted."""
    tracker = make_tracker(max_files=1)
    (work / "z.txt").write_text("z")
    tracker.scan(agent="a")
    (work / "a.txt").write_text("a")
    tracker.scan(agent="a")
    tracker.finalize()
    assert not [item for item in told(db, run_id) if item[1] == "deleted"]


def test_secrets_in_files_are_not_stored(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """A text file's content is stored without its keys, and event and version agree on the digest."""
    (work / ".env").write_text("KEY=ghp_" + "x" * 36 + "\n")
    tracker = make_tracker()
    tracker.scan(agent="a")
    tracker.finalize()
    (version,) = versions(db, run_id)
    assert FileRepository(db).content(version) == "KEY=‹redacted:github›\n".encode()
    (event,) = RunRepository(db).events(run_id)
    assert (event.data or {})["digest"] == version.digest


def test_a_second_tracker_goes_on_where_the_first_stopped(
    db: Database, run_id: str, work: Path, make_tracker: MakeTracker
) -> None:
    """A later step's tracker continues the version numbers, and what has not changed adds nothing."""
    (work / "a.txt").write_text("1")
    (work / "same.txt").write_text("1")
    first = make_tracker()
    first.scan(agent="a")
    first.finalize()
    (work / "a.txt").write_text("2")
    second = make_tracker(step=2)
    assert [(v.path, v.version) for v in second.scan(agent="b")] == [("a.txt", 2)]
    second.finalize()
    assert told(db, run_id)[-1] == ("a.txt", "modified", "b")
    assert (len(second.versions(1)), len(second.versions(2))) == (0, 1)


def test_the_command_shows_how_files_evolved(tmp_path: Path) -> None:
    """A file is compared with the version or file that it took the place of; deleted ones are marked."""
    cli = Cli(tmp_path, tmp_path / "x.db")
    work = tmp_path / "work"
    work.mkdir()
    with AgentExecutionLogger(cli.db, task="plot", work_dir=work) as log:
        for name, content in (
            ("plot_v1.py", b"a = 1\nplot(a)\n"), ("plot_v2.py", b"a = 2\nplot(a)\n"),
            ("plot.png", b"\x89PNG\0one"), ("plot.png", b"\x89PNG\0three"), ("tmp.txt", b"x\n"),
        ):  # fmt: skip
            (work / name).write_bytes(content)
            log.log_tool_usage("write", {"path": name}, "ok", agent="engineer")
        (work / "plot_v2.py").rename(work / "final.py")
        (work / "tmp.txt").unlink()
        log.log_tool_usage("tidy", {}, "ok", agent="cleaner")
    items = {f"{item['path']}@{item['version']}": item for item in cli.json("artifacts", log.run_id)["items"]}
    assert items["plot_v1.py@1"]["superseded_by"] == "plot_v2.py@1"
    assert items["plot_v2.py@1"]["superseded_by"] == "final.py@1"
    assert [name for name, item in items.items() if item["deleted"]] == ["tmp.txt@1"]
    (second,) = cli.json("artifacts", log.run_id, "plot_v2.py")["items"]
    assert second["previous"] == "plot_v1.py@1"
    assert "--- plot_v1.py@1\n+++ plot_v2.py@1\n" in second["diff"]
    assert "-a = 1\n+a = 2\n" in second["diff"]
    (final,) = cli.json("artifacts", log.run_id, "final.py")["items"]
    assert (final["previous"], final["diff"], final["agent"]) == ("plot_v2.py@1", "", "cleaner")
    binary = cli.inside("artifacts", log.run_id, "plot.png").stdout
    assert "plot.png@2: not text, or too large to keep: 10 B, sha256 " in binary


def test_a_folder_that_is_not_there_yet(work: Path, make_tracker: MakeTracker) -> None:
    """Tracking may begin before the folder exists, and unreadable files raise nothing."""
    work.rmdir()
    tracker = make_tracker()
    assert tracker.scan(agent="a") == ()
    work.mkdir()
    (work / "a.txt").write_text("x")
    assert [version.path for version in tracker.scan(agent="a")] == ["a.txt"]
    assert tracker.get_artifact_history("never.txt") == []


def test_an_unknown_run_is_an_error_at_once(db: Database, work: Path) -> None:
    """A run that does not exist is named when the tracker is made, not later."""
    with pytest.raises(NotFoundError, match="no run"):
        ArtifactTracker(work, db, "0000")


def test_a_look_at_an_unchanged_folder_reads_nothing(
    work: Path, make_tracker: MakeTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files whose marks have not changed are not opened again."""
    for number in range(20):
        (work / f"{number}.txt").write_text("x")
        os.utime(work / f"{number}.txt", (time.time() - 60, time.time() - 60))
    tracker = make_tracker()
    tracker.scan(agent="a")
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("read again"))
    assert tracker.scan(agent="a") == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [("plot.py", "plot_v2.py"), ("plot_v1.py", "plot_v2.py"), ("a/plot-v9.py", "a/plot-v10.py"),
     ("plot.py", "plot_fixed.py"), ("report.v1.md", "report.v2.md"), ("Plot.PY", "plot_V2.py")],
)  # fmt: skip
def test_versions_of_one_file_are_known_by_name(old: str, new: str) -> None:
    """Names that differ in a version mark alone belong together, in order."""
    assert family_of(old)[0] == family_of(new)[0]
    assert family_of(old)[1] < family_of(new)[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [("figure1.png", "figure2.png"), ("data_2023.csv", "data_2024.csv"), ("a/plot.py", "b/plot_v2.py"),
     ("plot.py", "plot_v2.png"), ("final.png", "final_new.png"), ("v1.py", "v2.py.txt")],
)  # fmt: skip
def test_other_names_are_other_files(one: str, other: str) -> None:
    """A number, another folder, another kind of file: no version of it."""
    assert family_of(one)[0] != family_of(other)[0]


@given(lines=st.lists(st.text("abc =()", min_size=1, max_size=8), min_size=4, max_size=12))
@settings(max_examples=50)
def test_a_program_with_one_line_mended_is_the_same_program(lines: list[str]) -> None:
    """Replacing one of at least four lines leaves the same program; replacing all of them does not."""
    lines = [f"x{number} {line}" for number, line in enumerate(lines)]
    assert same_program("\n".join(lines), "\n".join([*lines[:-1], "mended"]))
    assert not same_program("\n".join(lines), "\n".join(f"other {line}" for line in lines))
    assert not same_program("", "\n".join(lines))
