"""Play a source run by hand: code really runs, tools are really called, all is captured as it happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _suite.model import Done, Files, Source, Turn
from skillsmith.capture import AgentExecutionLogger
from skillsmith.library.execution.sandbox import run_code
from skillsmith.library.tools.callables import PythonTools

CODE_TIMEOUT_SECONDS = 30.0


def write_files(folder: Path, files: Files) -> Path:
    """Make a folder with these files, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")
    return folder


def methods_of(service: Any) -> dict[str, Callable[..., Any]]:
    """Return the public methods of a service by name: its tools."""
    names = [name for name in dir(type(service)) if not name.startswith("_")]
    return {name: getattr(service, name) for name in names}


def play(source: Source, *, db: Path, folder: Path, service: Any) -> tuple[str, Done]:
    """Have a source run happen; return its id, and what it left behind.

    Args:
        source: What the agents say and do.
        db: Where it is captured.
        folder: Where they work.
        service: Whose methods are their tools.
    """
    write_files(folder, source.files)
    tools = PythonTools(methods_of(service), label=source.name)
    with AgentExecutionLogger(db, task=source.task, work_dir=folder) as log:
        log.log_message(source.task, sender="user", recipient=source.turns[0].agent)
        before, output = None, ""
        for turn in source.turns:
            if before is not None and before.agent != turn.agent:
                log.log_agent_transition(before.agent, turn.agent, before.text)
            log.log_agent_reply(turn.agent, turn.text, reasoning=turn.reasoning or None)
            output = _act(turn, log, folder, tools) or output
            before = turn
        log.finish(outcome="success", reason="the reviewer approved")
        return log.run_id, Done(folder=folder, outputs={"output": output}, service=service)


def _act(turn: Turn, log: AgentExecutionLogger, folder: Path, tools: PythonTools) -> str:
    """Do what a turn asks for, and return what its code printed."""
    if turn.code is not None:
        outcome = run_code(
            turn.code, language=turn.language, work_dir=folder, timeout_seconds=CODE_TIMEOUT_SECONDS
        )
        result = {"exit_code": outcome.exit_code, "output": outcome.output}
        log.log_code_execution(
            turn.code, result, agent=turn.agent, language=turn.language,
            duration_seconds=outcome.duration_seconds,
        )  # fmt: skip
        return outcome.output
    if turn.tool is not None:
        began = time.perf_counter()
        try:
            answer: Any = tools.call(turn.tool, turn.arguments)
        except Exception as error:  # noqa: BLE001  (a failed call is part of the run, as agents see it)
            answer = error
        log.log_tool_usage(
            turn.tool, dict(turn.arguments), answer, agent=turn.agent,
            duration_seconds=time.perf_counter() - began,
        )  # fmt: skip
    return ""
