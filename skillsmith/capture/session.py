"""Capture what agents of a framework do: ``capture`` for one run, ``instrument`` for whatever an object does.

Entering and leaving are the only places where the host waits, and only there does a user's mistake raise. In
between the run behaves as without a capture; on leaving, everything instrumented is as it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final, Self, TypeVar

from skillsmith.capture import lifecycle
from skillsmith.capture.harmless import Failures
from skillsmith.capture.live import LiveRun
from skillsmith.capture.live_log import LiveLogger
from skillsmith.capture.prices import PriceTable, price_table
from skillsmith.capture.recorder import DatabaseLike, Durability, Recorder, database_path
from skillsmith.capture.shapes import error_of
from skillsmith.capture.standing import StandingTape, active_captures, capture_here
from skillsmith.capture.tape import Tape
from skillsmith.errors import StorageError, UsageError
from skillsmith.location import default_path
from skillsmith.models import Outcome, RunStatus
from skillsmith.schema import APPLICATION_ID

CLOSE_SECONDS = 2.0
"""So long a capture's end waits for a file that another process holds; the rest waits in a side file."""

_ADAPTERS: Final = (("ag2", "skillsmith.capture.ag2"), ("autogen", "skillsmith.capture.classic"))
"""A framework, and the module that is imported only where that framework is."""

_T = TypeVar("_T")


class Capture:
    """A run that is being captured.

    Args:
        task: What the agents are asked to do.
        db: The file, or an object with a ``path``: a Workspace or Database; left out, the usual one.
        work_dir: Track the files of this folder.
        step: The host's own step id, or number, for all that is captured.
        durability: "group": stored at once by a writer thread; "sync": by the caller, zero loss at SIGKILL.
        redact: Replace secrets before anything is stored.
        prices: What models cost: a file or a table; left out, ours.
        agents: What to instrument at once.
        classic: Whether to watch everything that AG2 Classic does in this process; None: where it is loaded,
            until an agent is named.

    Raises:
        StorageError: The file is another program's.
        UsageError: An argument makes no sense.
    """

    def __init__(  # noqa: PLR0913  (all but two are keyword-only options of one run)
        self,
        task: Any = "",
        db: DatabaseLike | None = None,
        *,
        work_dir: str | os.PathLike[str] | None = None,
        step: int | str | None = None,
        durability: Durability = "group",
        redact: bool = True,
        prices: PriceTable | str | os.PathLike[str] | None = None,
        agents: Iterable[Any] = (),
        classic: bool | None = None,
    ) -> None:
        self.failures = Failures()
        self._task, self._step, self._agents, self._classic = task, step, tuple(agents), classic
        self._work_dir = None if work_dir is None else os.path.abspath(work_dir)  # noqa: PTH100  (kept as text)
        self._options: dict[str, Any] = {"durability": durability, "redact": redact}
        self._path = _checked(database_path(default_path() if db is None else db))
        self._prices = price_table(prices)
        self._verdict: tuple[Outcome, str | None] | None = None
        self._run: LiveRun | None = None
        self._log: LiveLogger | None = None
        self._tape: Tape | None = None
        self._outer: Tape | None = None
        self._named: Callable[[], None] | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def run(self) -> LiveRun:
        """What is recorded.

        Raises:
            UsageError: It has not begun.
        """
        if self._run is None:
            raise UsageError("the capture has not begun", hint="use it in a with statement")
        return self._run

    @property
    def tape(self) -> Tape:
        """Where adapters write it."""
        self.run.id  # noqa: B018  (says so when it has not begun)
        assert self._tape is not None
        return self._tape

    @property
    def log(self) -> LiveLogger:
        """For what agents do outside the frameworks that are instrumented."""
        if self._log is None:
            self._log = LiveLogger(self.run, mark=self.mark)
        return self._log

    @property
    def dropped(self) -> int:
        """How many of its records were lost until now; the target is none."""
        return self.run.recorder.dropped + self.failures.count

    @property
    def side_files(self) -> tuple[str, ...]:
        """After the end: files that hold what could not be stored yet."""
        return self.run.recorder.side_files

    def instrument(self, *objects: _T) -> Any:
        """Watch agents, groups, patterns or hubs until the capture ends; return what was given.

        Raises:
            UsageError: Nobody knows how to watch one of them.
        """
        if self._named is not None and objects:
            self._named()
            self._named = None
        for obj in objects:
            adapter_of(obj).instrument(obj, self.tape, self.tape.undo)
        return objects[0] if len(objects) == 1 else objects

    @contextmanager
    def step(self, name: int | str, *, title: str | None = None) -> Iterator[int]:
        """Let everything inside be one step that the host names.

        Args:
            name: The host's own id of it, which may hold its number ("step_5").
            title: What it is about; left out, its name.
        """
        with self.run.steps.hosted(name, title=title) as number:
            yield number

    def mark(self, outcome: Outcome, reason: str | None = None) -> None:
        """Say whether the task was done.

        Raises:
            UsageError: The outcome is not known.
        """
        if outcome not in ("success", "failure", "unknown"):
            raise UsageError(f"outcome {outcome!r} is not known", hint="use success or failure")
        self._verdict = outcome, reason

    def begin(self) -> Self:
        """Begin; ``with`` does it.

        Raises:
            UsageError: It has begun already, or one of the agents cannot be watched.
        """
        if self._run is not None:
            raise UsageError("this capture has begun already", hint="make one for each run")
        recorder = Recorder(self._path, **self._options)
        try:
            self._run = run = LiveRun(
                recorder, task=self._task, failures=self.failures, work_dir=self._work_dir
            )
            if self._step is not None:
                run.steps.open_host(self._step)
            self._tape = Tape(run.work, prices=self._prices, failures=self.failures)
            active_captures.append(self._tape)
            self._outer = capture_here.get()
            capture_here.set(self._tape)
            self.instrument(*self._agents)
            self._watch_all_classic()
        except BaseException:
            self._leave()
            recorder.close(CLOSE_SECONDS)
            raise
        return self

    def _watch_all_classic(self) -> None:
        """Watch all Classic agents of the process when that is wanted, or until some are named."""
        if self._classic:
            classic_adapter().instrument_all(self.tape, self.tape.undo)
        elif self._classic is None and not self._agents and "autogen" in sys.modules:
            self._named = classic_adapter().instrument_all(self.tape, self.tape.undo)

    def end(self, error: BaseException | None = None) -> None:
        """End: restore what was instrumented, store what waits, say what is missing.

        Args:
            error: What ended the host's work.
        """
        if self._finish(error):
            self.run.recorder.close(CLOSE_SECONDS)
            report(self.run, self.failures)

    def _finish(self, error: BaseException | None) -> bool:
        run = self.run
        if run.ended:
            return False
        failed = error is not None and not (isinstance(error, SystemExit) and not error.code)
        if failed and error is not None:
            self.tape.error(None, agent=None, error=error, where="host")
        self._leave()
        status, outcome, reason = _ending(error if failed else None)
        if self._verdict is not None:
            outcome, reason = self._verdict
        run.finish(status, outcome, reason)
        return True

    def _leave(self) -> None:
        if self._tape is not None:
            self._tape.undo.run()
            self._tape.on = False
            if capture_here.get() is self._tape:
                capture_here.set(self._outer)
            if self._tape in active_captures:
                active_captures.remove(self._tape)

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio  # noqa: PLC0415  (running already)

        if self._finish(error):
            recorder = self.run.recorder
            await asyncio.to_thread(recorder.close, CLOSE_SECONDS)  # other tasks go on meanwhile
            lifecycle.unwatch(recorder)  # signals can be given back on the main thread only
            report(self.run, self.failures)


capture = Capture


def instrument(
    obj: _T,
    db: DatabaseLike | None = None,
    *,
    work_dir: str | os.PathLike[str] | None = None,
    durability: Durability = "group",
    redact: bool = True,
    prices: PriceTable | str | os.PathLike[str] | None = None,
) -> _T:
    """Record each outermost ask, chat or channel of an object as a run of its own, until ``uninstrument``.

    Inside a ``capture`` what it does belongs to that capture's run.

    Args:
        obj: An agent, group, pattern or hub.
        db: As in ``capture``, like the others.
        work_dir: Track the files of this folder.
        durability: When an event is stored.
        redact: Replace secrets before anything is stored.
        prices: What models cost.

    Raises:
        StorageError: The file is another program's.
        UsageError: Nobody knows how to watch the object, or an argument makes no sense.
    """
    adapter = adapter_of(obj)
    if StandingTape.of(obj) is None:
        path = _checked(database_path(default_path() if db is None else db))
        folder = None if work_dir is None else os.path.abspath(work_dir)  # noqa: PTH100  (kept as text)
        recorder = Recorder(path, durability=durability, redact=redact)
        tape = StandingTape(recorder, prices=price_table(prices), work_dir=folder, report=report)
        try:
            adapter.instrument(obj, tape, tape.undo)
        except BaseException:
            tape.end()
            raise
        tape.keep(obj)
    return obj


def uninstrument(obj: _T) -> _T:
    """Take back what ``instrument`` did, and store what waits; return the object."""
    tape = StandingTape.of(obj)
    if tape is not None:
        tape.end()
    return obj


def adapter_of(obj: Any) -> Any:
    """Return the adapter that knows how to watch an object.

    Raises:
        UsageError: None does.
    """
    for framework, module in _ADAPTERS:
        if framework in sys.modules:
            adapter = import_module(module)
            if adapter.handles(obj):
                return adapter
    raise UsageError(
        f"nobody knows how to watch a {type(obj).__module__}.{type(obj).__qualname__}",
        hint="give an agent, group, pattern or hub of AG2; log other frameworks with run.log",
    )


def classic_adapter() -> ModuleType:
    """Return the adapter for AG2 Classic.

    Raises:
        UsageError: Classic is not in use.
    """
    if "autogen" not in sys.modules:
        raise UsageError("AG2 Classic is not imported", hint="import autogen first")
    return import_module("skillsmith.capture.classic")


def report(run: LiveRun, failures: Failures) -> None:
    """Say once what of a run is missing or waits, and why."""
    recorder = run.recorder
    lost = recorder.dropped + failures.count
    said = []
    if lost:
        said.append(f"{lost} of its records were lost ({failures.first or recorder.problem})")
    if recorder.side_files:
        waits = ", ".join(recorder.side_files)
        said.append(
            f"what could not be stored ({recorder.problem}) waits in {waits}; it is stored when the database"
            " is next written to"
        )
    if not said and recorder.replaced:
        said.append(f"{recorder.problem}; nothing was lost")
    if said:
        import logging  # noqa: PLC0415  (20 ms; only where something went wrong)

        logging.getLogger("skillsmith.capture").warning("run %s: %s", run.id, "; ".join(said))


def _ending(error: BaseException | None) -> tuple[RunStatus, Outcome | None, str | None]:
    if error is None:
        return "completed", None, None
    if isinstance(error, (Exception, SystemExit)):
        return "failed", "failure", error_of(error)
    return "interrupted", None, error_of(error)  # Ctrl-C, a cancelled task, a closed generator


def _checked(path: str) -> str:
    """Refuse at once what a wait cannot mend; a locked or read-only file is the writer's business.

    Raises:
        StorageError: It is a folder, or another program's file.
    """
    file = Path(path)
    if file.is_dir():
        raise StorageError(f"{path} is a folder", hint="name a file, e.g. db='skillsmith.db'")
    try:
        with file.open("rb") as opened:
            head = opened.read(100)
    except OSError:  # it is not there yet, or may not be read now
        return path
    if head and (not head.startswith(b"SQLite format 3\0") or _application(head) not in (0, APPLICATION_ID)):
        raise StorageError(f"{path} is not a skillsmith database", hint="choose another db")
    return path


def _application(head: bytes) -> int:
    return int.from_bytes(head[68:72], "big")


__all__: Final[list[str]] = ["Capture", "capture", "instrument", "uninstrument"]
