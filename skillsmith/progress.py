"""A progress bar for work over a second, on terminals only; shorter work never pays for Rich.

A timer draws it, so that it also appears while one long call (a copy, a check) reports nothing. Lines that
are printed meanwhile take it off the screen first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

PROGRESS_AFTER_SECONDS = 1.0
"""Work that is done sooner shows no bar."""


class Bar:
    """A progress bar.

    Args:
        stream: Where it is drawn.
        label: What is being done.
        total: How much there is to do; None when that is not known.
        wanted: Whether anybody looks.
    """

    def __init__(self, stream: TextIO, *, label: str, total: int | None, wanted: bool) -> None:
        self._stream = stream
        self._label = label
        self._total = total
        self._done = 0
        self._note = ""
        self._progress: Any = None
        self._task: Any = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(PROGRESS_AFTER_SECONDS, self._draw)
        if wanted:
            self._timer.daemon = True
            self._timer.start()

    def step(self, amount: int, note: str = "") -> None:
        """Count work done, and say what it was."""
        self._done += amount
        self._note = note
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done, note=self._figures())

    def _figures(self) -> str:
        of = f"/{self._total:,}" if self._total else ""
        return f"{self._done:,}{of}  {self._note}".rstrip() if self._done else self._note

    def _draw(self) -> None:
        from rich.console import Console  # noqa: PLC0415  (100 ms; only long work on a terminal)
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=self._stream), transient=True,
        )  # fmt: skip
        with self._lock:
            if self._timer.finished.is_set():  # the work was done while Rich was loading
                return
            self._task = progress.add_task(
                self._label, total=self._total, completed=self._done, note=self._figures()
            )
            progress.start()
            self._progress = progress

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar off the screen while something else is printed."""
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
            try:
                yield
            finally:
                if self._progress is not None:
                    self._progress.start()

    def close(self) -> None:
        """Take the bar away."""
        self._timer.cancel()
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
