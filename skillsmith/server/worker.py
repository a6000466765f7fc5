"""The process of one job: reads what to do, does it, and says on its standard output how far it is.

What tools and skills print goes to the standard error. When the standard input closes, because the job was
cancelled or the server is gone, the work is interrupted like by Ctrl-C; an execution can then be resumed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any

from skillsmith.capture.redact import redact_event
from skillsmith.errors import SkillsmithError
from skillsmith.events import dump_json, load_json
from skillsmith.library.execution.cleaning import Cleaner
from skillsmith.models import Json
from skillsmith.server.job_work import WORK, Task
from skillsmith.workspace import open_workspace


def main() -> int:
    """Do the job that stands in the first line of the standard input."""
    with _private_output() as out:
        say = _Voice(out)
        request = load_json(sys.stdin.readline())
        threading.Thread(target=_interrupt_at_end, name="skillsmith-stop", daemon=True).start()
        try:
            with ExitStack() as stack:
                say(_done(request, say, stack))
        except KeyboardInterrupt as stop:
            say({"interrupted": True, "error": {}, **_execution(stop)})
        except SkillsmithError as error:
            say({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
    return 0


def _done(request: dict[str, Any], say: _Voice, stack: ExitStack) -> dict[str, Json]:
    workspace = stack.enter_context(open_workspace(request["db"], create=False))
    return WORK[request["kind"]](Task(workspace=workspace, request=request, say=say, stack=stack))


def _execution(stop: KeyboardInterrupt) -> dict[str, Json]:
    found = getattr(stop, "execution_id", None)
    return {} if found is None else {"execution_id": found}


class _Voice:
    """Writes lines of JSON, without secrets, from any thread."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._cleaner = Cleaner(redact_event)

    def __call__(self, said: dict[str, Json]) -> None:
        line = dump_json(self._cleaner.json(said)).encode() + b"\n"
        with self._lock:
            self._out.write(line)
            self._out.flush()


@contextmanager
def _private_output() -> Iterator[IO[bytes]]:
    """Keep the standard output for us; what others print goes to the standard error."""
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        yield out


def _interrupt_at_end() -> None:
    """Wait until the standard input closes, then interrupt the main thread."""
    while os.read(0, 1):
        pass
    if sys.platform == "win32":
        import _thread  # noqa: PLC0415  (there is no signal for one thread)

        _thread.interrupt_main()
        return
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
