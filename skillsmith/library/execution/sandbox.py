"""Run code of a skill: its own process group, a time limit, no secrets, bounded output.

This keeps honest code from doing harm by accident (a hang, a leaked key, a gigabyte of output, processes
left behind); it is no wall against hostile code, which is why imported skills are quarantined.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from skillsmith.errors import ExecutionError

MAX_OUTPUT_BYTES = 10 * 1024 * 1024
"""Of a longer output the beginning and the end are kept, half each."""

TIMED_OUT = 124
"""Exit code of a run that was stopped at its time limit, as of timeout(1)."""

SCRIPT_PREFIX = ".skillsmith-"
"""Begins the names of files that stand in the work folder only while they run."""

PIPE_PATIENCE_SECONDS = 2.0
"""How long to wait for the last output after the process group is gone."""

_PASSED = frozenset(
    "PATH LANG LANGUAGE TZ TMPDIR TEMP TMP SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT "
    "PROCESSOR_ARCHITECTURE NUMBER_OF_PROCESSORS PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX "
    "LD_LIBRARY_PATH DYLD_LIBRARY_PATH JAVA_HOME NODE_PATH R_HOME SSL_CERT_FILE SSL_CERT_DIR "
    "OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS CUDA_VISIBLE_DEVICES MPLCONFIGDIR".split()
)
_LANGUAGES: Mapping[str, tuple[str, str]] = {
    "python": ("python", ".py"), "python3": ("python", ".py"), "py": ("python", ".py"),
    "ipython": ("python", ".py"), "zsh": ("zsh", ".sh"), "console": ("bash", ".sh"),
    "sh": ("sh", ".sh"), "bash": ("bash", ".sh"), "shell": ("bash", ".sh"),
    "javascript": ("node", ".js"), "js": ("node", ".js"), "node": ("node", ".js"),
}  # fmt: skip
_NAMED_FILE = re.compile(r"\A\s*(?:#|//)\s*filename:\s*(\S+)\s*\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOutcome:
    """What a piece of code did.

    Args:
        exit_code: Of the process; 124 when it was stopped at its time limit.
        output: Standard output and error together, in the order they came.
        timed_out: Whether the time limit stopped it.
    """

    exit_code: int
    output: str
    timed_out: bool
    duration_seconds: float


class ProcessGroups:
    """The process groups that run now, so that all of them can be stopped at once from another thread."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """Take in a running process; it is killed at once when everything was stopped before."""
        with self._lock:
            self._running.add(process)
            stopped = self.stopped
        if stopped:
            kill_group(process)

    def remove(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a process that has ended."""
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """Kill everything that runs, and whatever is added later."""
        with self._lock:
            self.stopped = True
            running = list(self._running)
        for process in running:
            kill_group(process)


def check_language(language: str) -> str:
    """Return the program that runs a language.

    Raises:
        ExecutionError: The language is not known, or its program is not installed.
    """
    known = _LANGUAGES.get(language.lower())
    if known is None:
        raise ExecutionError(
            f"code in {language!r} cannot be run", hint="python, sh, bash and javascript can be run"
        )
    name = known[0]
    if name == "python":
        name = os.environ.get("SKILLSMITH_PYTHON") or sys.executable
    program = shutil.which(name)
    if program is None:
        raise ExecutionError(
            f"running code in {language!r} needs {name}, which cannot be found",
            hint=f"install {known[0]} or put it on PATH",
        )
    return program


def clean_environment(*, home: Path, passed: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment of a skill's code: what programs need to work, and no secrets.

    Only names known to be harmless are passed on: secrets have too many names to be listed.

    Args:
        home: Stands in for the user's home folder.
        passed: More names that the user wants to pass on.
    """
    import site  # noqa: PLC0415  (2 ms; only code nodes need it)

    wanted = _PASSED | set(passed)
    environment = {
        name: value for name, value in os.environ.items() if name.upper() in wanted or name.startswith("LC_")
    }
    if "MPLCONFIGDIR" not in environment:
        environment["MPLCONFIGDIR"] = str(_cache_folder() / "matplotlib")
    environment |= {
        "HOME": str(home), "USERPROFILE": str(home), "PYTHONUSERBASE": site.getuserbase(),
        "MPLBACKEND": "Agg", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1",
    }  # fmt: skip
    return environment


def _cache_folder() -> Path:
    """Where caches that only cost time survive: matplotlib builds its font list once, not in each run."""
    import platformdirs  # noqa: PLC0415  (5 ms; only code nodes need it)

    return platformdirs.user_cache_path("skillsmith-cli")


def run_code(
    code: str,
    *,
    language: str,
    work_dir: Path,
    timeout_seconds: float,
    env: Mapping[str, str] | None = None,
    groups: ProcessGroups | None = None,
) -> CodeOutcome:
    """Run code in a folder and wait for it; nothing that it started outlives it.

    Code whose first line says ``# filename: NAME`` is kept under that name, as the agents that wrote it
    expect; other code leaves no file behind.

    Args:
        code: The code.
        language: "python", "sh", "bash", "javascript" or a common alias.
        work_dir: The folder it runs in; on the path for its imports.
        timeout_seconds: Wall clock limit.
        env: Its whole environment; None means a clean one with a home folder that ends with it.
        groups: Where its process group is kept while it runs.

    Raises:
        ExecutionError: The language cannot be run here.
    """
    program = check_language(language)
    script, keep = _script_path(code, language=language, work_dir=work_dir)
    try:
        if not script.parent.is_dir():
            script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(code, encoding="utf-8", newline="")
    except (OSError, ValueError) as error:  # ValueError: text that is no UTF-8
        raise ExecutionError(
            f"the code cannot be written to {script}: {error}", hint="name another work folder"
        ) from error
    command = [program, str(script)]
    try:
        with TemporaryDirectory(prefix="skillsmith-home-", ignore_cleanup_errors=True) as home:
            environment = clean_environment(home=Path(home)) if env is None else dict(env)
            return _run(command, work_dir, environment, timeout_seconds, groups)
    finally:
        if not keep:
            script.unlink(missing_ok=True)


def _script_path(code: str, *, language: str, work_dir: Path) -> tuple[Path, bool]:
    """Return where code is written to, and whether it stays there."""
    named = _NAMED_FILE.match(code)
    path = _kept_path(named[1], work_dir) if named else None
    if path is not None:
        return path, True
    ending = _LANGUAGES[language.lower()][1]
    return work_dir / f"{SCRIPT_PREFIX}{threading.get_ident():x}{ending}", False


def _kept_path(name: str, work_dir: Path) -> Path | None:
    """Return the file that code names for itself; None when it is no file in the folder."""
    root = work_dir.resolve()
    try:
        path = (root / name).resolve()
        inside = path.is_relative_to(root) and path != root and not path.is_dir()
        above = path.parent
        while inside and above != root:
            inside, above = not above.is_file(), above.parent
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
        return None
    return path if inside else None


def _run(
    command: list[str],
    work_dir: Path,
    environment: dict[str, str],
    timeout_seconds: float,
    groups: ProcessGroups | None,
) -> CodeOutcome:
    groups = groups or ProcessGroups()
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=work_dir, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    groups.add(process)
    kept = BoundedOutput(MAX_OUTPUT_BYTES)
    assert process.stdout is not None
    reader = threading.Thread(target=_drain, args=(process.stdout, kept), daemon=True)
    ended = threading.Event()
    waiter = threading.Thread(target=_wait, args=(process, ended), daemon=True)
    reader.start()
    waiter.start()
    try:
        timed_out = not ended.wait(timeout_seconds)
    finally:
        kill_group(process)
        groups.remove(process)
    ended.wait()
    duration = time.monotonic() - started
    reader.join(PIPE_PATIENCE_SECONDS)  # a child that left the group may hold the pipe for ever
    exit_code = TIMED_OUT if timed_out else process.returncode
    return CodeOutcome(
        exit_code=exit_code, output=kept.text(), timed_out=timed_out, duration_seconds=duration
    )


def _wait(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    process.wait()
    ended.set()


def _drain(pipe: IO[bytes], kept: BoundedOutput) -> None:
    with pipe:
        while chunk := os.read(pipe.fileno(), 65536):
            kept.add(chunk)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with everything it started; one that is gone already is no error."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        # macOS answers EPERM for a group whose members are all dead but not yet reaped
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


class BoundedOutput:
    """Bytes as they come, of which only the beginning and the end are kept.

    Args:
        limit: Bytes kept in all.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._lock = threading.Lock()

    def add(self, chunk: bytes) -> None:
        """Append bytes."""
        with self._lock:
            room = self._half - len(self._head)
            self._head += chunk[:room]
            self._tail += chunk[max(room, 0) :]
            if len(self._tail) > 2 * self._half:
                self._cut()

    def _cut(self) -> None:
        excess = max(len(self._tail) - self._half, 0)
        del self._tail[:excess]
        self._dropped += excess

    def text(self) -> str:
        """Return what was kept; a gap says how much is missing."""
        with self._lock:
            self._cut()
            gap = f"\n… {self._dropped} bytes left out …\n".encode() if self._dropped else b""
            return (bytes(self._head) + gap + bytes(self._tail)).decode("utf-8", "replace")
