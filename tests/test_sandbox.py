"""Running code: limits, environment, output and what is left behind."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.errors import ExecutionError
from skillsmith.library.execution.sandbox import (
    TIMED_OUT,
    BoundedOutput,
    CodeOutcome,
    ProcessGroups,
    check_language,
    clean_environment,
    run_code,
)


def run(code: str, folder: Path, *, language: str = "python", timeout: float = 20.0) -> CodeOutcome:
    """Run code in a folder."""
    return run_code(code, language=language, work_dir=folder, timeout_seconds=timeout)


def is_alive(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until_dead(pid: int) -> bool:
    """Wait a little for a process to die."""
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def test_output_and_exit_code_come_back(tmp_path: Path) -> None:
    """Standard output and error come back together, in order, with the exit code."""
    code = "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\nsys.exit(3)"
    outcome = run(code, tmp_path)
    assert (outcome.exit_code, outcome.output, outcome.timed_out) == (3, "one\ntwo\nthree\n", False)


@pytest.mark.parametrize(("language", "code"), [("sh", "echo $((1+1))"), ("bash", "a=(1 2); echo ${a[1]}")])
def test_shells_run(tmp_path: Path, language: str, code: str) -> None:
    """Shell code runs in its own shell."""
    assert run(code, tmp_path, language=language).output == "2\n"


def test_a_timeout_kills_grandchildren_too(tmp_path: Path) -> None:
    """At the time limit the process and everything it started die."""
    code = "sleep 60 & echo $! > pid; sleep 60"
    outcome = run(code, tmp_path, language="bash", timeout=0.5)
    assert (outcome.timed_out, outcome.exit_code) == (True, TIMED_OUT)
    assert wait_until_dead(int((tmp_path / "pid").read_text()))


def test_what_code_leaves_running_dies_with_it(tmp_path: Path) -> None:
    """A background process does not outlive code that ended well, and does not hold it up."""
    outcome = run("sleep 60 & echo $! > pid; echo done", tmp_path, language="bash")
    assert (outcome.exit_code, outcome.output) == (0, "done\n")
    assert outcome.duration_seconds < 30
    assert wait_until_dead(int((tmp_path / "pid").read_text()))


def test_the_environment_holds_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, tokens, passwords, whatever they are called, never reach the code; PATH and language do."""
    secrets = "OPENAI_API_KEY GH_TOKEN MY_SECRET PGPASSWORD AWS_SESSION_TOKEN DATABASE_URL NPM_AUTH"
    for name in secrets.split():
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("LC_NUMERIC", "C")
    outcome = run("import os\nfor item in sorted(os.environ.items()): print(*item)", tmp_path)
    assert "hush-hush" not in outcome.output
    assert "PATH " in outcome.output
    assert "LC_NUMERIC C" in outcome.output
    assert f"HOME {os.environ.get('HOME', '?')}\n" not in outcome.output


def test_named_variables_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user names explicitly is passed on."""
    monkeypatch.setenv("DATA_DIR", "/data")
    assert "DATA_DIR" not in clean_environment(home=tmp_path)
    assert clean_environment(home=tmp_path, passed=["DATA_DIR"])["DATA_DIR"] == "/data"


def test_code_is_deterministic_and_cannot_ask(tmp_path: Path) -> None:
    """String hashes are the same in each run, and there is no standard input to wait for."""
    code = "import sys\nprint(hash('skill'), repr(sys.stdin.read()))"
    first, second = run(code, tmp_path), run(code, tmp_path)
    assert first.output == second.output
    assert first.output.endswith("''\n")


def test_code_leaves_no_file_and_finds_its_siblings(tmp_path: Path) -> None:
    """Modules in the work folder can be imported; the script itself is gone afterwards."""
    (tmp_path / "helper.py").write_text("VALUE = 42\n")
    assert run("import helper; print(helper.VALUE)", tmp_path).output == "42\n"
    assert [path.name for path in tmp_path.iterdir()] == ["helper.py"]


def test_code_that_names_its_file_is_kept_under_that_name(tmp_path: Path) -> None:
    """`# filename: x.py` keeps the script, as the agents that write it expect; never outside the folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    run("# filename: src/plot.py\nprint('x')\n", folder)
    run("# filename: ../evil.py\nprint('x')\n", folder)
    assert (folder / "src" / "plot.py").read_text().startswith("# filename")
    assert not (tmp_path / "evil.py").exists()


def test_unknown_languages_are_refused_by_name() -> None:
    """A language that cannot be run is named before anything runs."""
    with pytest.raises(ExecutionError, match="cobol"):
        check_language("cobol")


def test_a_missing_interpreter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is not there is named."""
    monkeypatch.setenv("SKILLSMITH_PYTHON", "/nowhere/python9")
    with pytest.raises(ExecutionError, match="python9"):
        check_language("python")


def test_everything_running_can_be_stopped_from_another_thread(tmp_path: Path) -> None:
    """Stopping kills what runs and whatever starts later."""
    groups = ProcessGroups()
    threading.Timer(0.3, groups.stop).start()
    started = time.monotonic()
    for _ in range(2):
        outcome = run_code("sleep 60", language="bash", work_dir=tmp_path, timeout_seconds=50, groups=groups)
        assert outcome.exit_code != 0
        assert not outcome.timed_out
    assert time.monotonic() - started < 30


@given(chunks=st.lists(st.binary(max_size=40), max_size=20), limit=st.integers(2, 60))
@settings(max_examples=150, deadline=None)
def test_bounded_output_keeps_both_ends(chunks: list[bytes], limit: int) -> None:
    """Output within the limit comes back whole; longer output keeps its beginning and its end."""
    kept = BoundedOutput(limit)
    for chunk in chunks:
        kept.add(chunk)
    whole = b"".join(chunks)
    half = limit // 2
    if len(whole) <= 2 * half:
        assert kept.text() == whole.decode("utf-8", "replace")
    else:
        text = kept.text().encode("utf-8", "replace")
        assert f"{len(whole) - 2 * half} bytes left out".encode() in text
        assert kept.text().startswith(whole[:half].decode("utf-8", "replace"))
        assert kept.text().endswith(whole[-half:].decode("utf-8", "replace")) or not whole[-half:].isascii()


def test_an_endless_talker_is_cut(tmp_path: Path) -> None:
    """A gigabyte of output does not fill the memory."""
    outcome = run("import sys\nfor _ in range(400): sys.stdout.write('x' * 100_000)", tmp_path)
    assert len(outcome.output) < 11 * 1024 * 1024
    assert "bytes left out" in outcome.output


@pytest.mark.parametrize(
    "name", [".", "..", "./", "folder", "../out.py", "/", "plain.txt/x.py", "x" * 300, "a\0b"]
)
def test_a_name_that_is_no_file_in_the_folder_is_ignored(tmp_path: Path, name: str) -> None:
    """Code that names a folder, or a place outside or impossible, for its file runs without one."""
    folder = tmp_path / "work"
    (folder / "folder").mkdir(parents=True)
    (folder / "plain.txt").write_text("plain")
    outcome = run_code(
        f"# filename: {name}\nprint(1)", language="python", work_dir=folder, timeout_seconds=20
    )
    ran = "\0" not in name  # Python itself refuses source with a zero byte
    assert outcome.output == "1\n" if ran else outcome.exit_code != 0
    assert sorted(path.name for path in folder.iterdir()) == ["folder", "plain.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
