"""The same work without the product: the code an execution ran, and its tool calls, one after the other."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _suite.model import Files
from _suite.play import write_files
from skillsmith.workspace import Workspace

_PROGRAMS = {"python": (sys.executable, ".py"), "bash": ("bash", ".sh"), "sh": ("sh", ".sh")}


def seconds_without(workspace: Workspace, run_id: str, *, folder: Path, files: Files, service: Any) -> float:
    """Do the work of an execution again, directly, and return how long it took.

    Args:
        workspace: Where the execution is written down.
        run_id: Its run.
        folder: A new folder to work in.
        files: What has to lie there.
        service: A new service to call.
    """
    events = list(workspace.runs.events(run_id))
    write_files(folder, files)
    began = time.perf_counter()
    for number, event in enumerate(events):
        if event.kind == "code" and event.code:
            program, ending = _PROGRAMS[event.code.language]
            script = folder / f"step{number}{ending}"
            script.write_text(event.code.text or "", encoding="utf-8")
            subprocess.run([program, str(script)], cwd=folder, capture_output=True, check=False)
        elif event.kind == "tool_call" and event.tool:
            with contextlib.suppress(
                Exception
            ):  # a call that failed then fails again: that is part of the work
                getattr(service, event.tool.name)(**event.tool.parsed)
    return time.perf_counter() - began
