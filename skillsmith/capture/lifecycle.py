"""However a process ends or divides, its recorders are told first: exit, SIGTERM, fork.

SIGTERM is caught only where nobody else has asked for it and only while a recorder is open; the process then
still dies from the signal.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from types import FrameType
from typing import Protocol

GRACE_SECONDS = 5.0


class Recording(Protocol):
    """What wants to be told."""

    def end(self, deadline: float) -> None:
        """Store everything until the deadline (monotonic time), or put it in a side file."""

    def before_fork(self) -> None:
        """Let go of what a child process must not inherit."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Begin anew; what waits is the parent's."""


_live: set[Recording] = set()
_hooked = False


def watch(recording: Recording) -> None:
    """Tell it from now on."""
    global _hooked  # noqa: PLW0603  (one set of hooks a process; they cannot be taken back)
    _live.add(recording)
    if not _hooked:
        _hooked = True
        atexit.register(_end_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
            )
    if _may_catch() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def unwatch(recording: Recording) -> None:
    """Tell it no longer; with the last one SIGTERM is given back."""
    _live.discard(recording)
    if not _live and _may_catch() and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _may_catch() -> bool:
    return threading.current_thread() is threading.main_thread()


def _end_all() -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    for recording in tuple(_live):
        recording.end(deadline)


def _on_sigterm(number: int, _frame: FrameType | None) -> None:
    _end_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _before_fork() -> None:
    for recording in tuple(_live):
        recording.before_fork()


def _after_in_parent() -> None:
    for recording in tuple(_live):
        recording.after_fork_in_parent()


def _after_in_child() -> None:
    for recording in tuple(_live):
        recording.after_fork_in_child()
