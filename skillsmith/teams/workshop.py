"""Where a team's engineer works: code runs in the work folder, tools are called, and all of it is recorded.

What was run and how it ended is kept as facts: the reviewer is told them, and the outcome rests on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.errors import ExecutionError
from skillsmith.library.execution.sandbox import CodeOutcome, ProcessGroups, clean_environment, run_code
from skillsmith.library.executor import passed_variables
from skillsmith.library.program.bindings import as_text
from skillsmith.library.tools.schemas import schema_of
from skillsmith.library.trace.calls import failure_in
from skillsmith.models import Json, ToolSource
from skillsmith.teams.result import Fact

CODE_TOOL = "run_code"
CODE_TIMEOUT_SECONDS = 300.0
MAX_OUTPUT_CHARS = 20_000
"""Of a longer output the model is told the beginning and the end, half each."""

_BLOCK = re.compile(r"^```[ \t]*(python|bash|sh)[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE | re.IGNORECASE)

_CODE_SCHEMA: Mapping[str, Json] = {
    "type": "object",
    "description": (
        "Run code as a process of its own in the work folder and return what it prints. Nothing is kept"
        " between calls but the files in the folder."
    ),
    "properties": {
        "code": {"type": "string", "description": "The whole program."},
        "language": {"type": "string", "enum": ["python", "bash"], "default": "python"},
    },
    "required": ["code"],
    "additionalProperties": False,
}


class Workshop:
    """The tools of an engineer: ``run_code``, and the user's own; use as a context manager.

    Args:
        work_dir: Where code runs.
        log: Where what is done is recorded.
        agent: Who works here.
        tools: The user's own tools.
    """

    def __init__(
        self, work_dir: Path, *, log: AgentExecutionLogger, agent: str, tools: ToolSource | None = None
    ) -> None:
        self.work_dir = work_dir
        self.facts: list[Fact] = []
        self._log = log
        self._agent = agent
        self._tools = tools
        self._groups = ProcessGroups()
        self._home = TemporaryDirectory(prefix="skillsmith-home-", ignore_cleanup_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._groups.stop()
        self._home.cleanup()

    def names(self) -> tuple[str, ...]:
        """Return the names of all tools."""
        own = () if self._tools is None else tuple(self._tools.names())
        return (CODE_TOOL, *(name for name in own if name != CODE_TOOL))

    def schema(self, name: str) -> Mapping[str, Json]:
        """Return what a tool takes, and what it does as ``description``."""
        if name == CODE_TOOL:
            return _CODE_SCHEMA
        assert self._tools is not None
        return schema_of(self._tools, name)

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Run code or call a tool; what it raises is told to the model.

        Raises:
            ExecutionError: There is no such tool, or the code cannot be run.
        """
        if name == CODE_TOOL:
            return self._run(arguments)
        if self._tools is None:
            raise ExecutionError(f"there is no tool {name!r}")
        what = f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"[:300]
        try:
            with self._log.executing(self._agent):
                result = self._tools.call(name, arguments)
        except Exception as error:
            self.facts.append(Fact(what=what, good=False, output=f"{type(error).__name__}: {error}"))
            raise
        self.facts.append(Fact(what=what, good=failure_in(result) is None, output=as_text(result)))
        return result

    def run_blocks(self, answer: str) -> str | None:
        """Run the code blocks of an answer and return what came of them, or None when it has none.

        For models that show their code instead of calling ``run_code``.
        """
        blocks = [(match[1].lower(), match[2]) for match in _BLOCK.finditer(answer)]
        told = [self._run({"code": code, "language": language}) for language, code in blocks if code.strip()]
        return "\n\n".join(told) or None

    def _run(self, arguments: Mapping[str, Json]) -> str:
        code, language = arguments.get("code"), str(arguments.get("language") or "python")
        if not isinstance(code, str) or not code.strip():
            raise ExecutionError("there is no code to run", hint="give it as `code`")
        with self._log.executing(self._agent):
            outcome = run_code(
                code, language=language, work_dir=self.work_dir, timeout_seconds=CODE_TIMEOUT_SECONDS,
                env=clean_environment(home=Path(self._home.name), passed=passed_variables()),
                groups=self._groups,
            )  # fmt: skip
            self._log.log_code_execution(
                code, {"exit_code": outcome.exit_code, "output": outcome.output}, agent=self._agent,
                language=language, duration_seconds=outcome.duration_seconds,
            )  # fmt: skip
        good = outcome.exit_code == 0
        self.facts.append(Fact(what=f"{language} code", good=good, output=outcome.output))
        return _told(outcome)


def _told(outcome: CodeOutcome) -> str:
    """Return a process's output for a model, with its end when that was not a good one."""
    output = outcome.output.rstrip()
    if len(output) > MAX_OUTPUT_CHARS:
        half = MAX_OUTPUT_CHARS // 2
        output = f"{output[:half]}\n… {len(output) - 2 * half} characters left out …\n{output[-half:]}"
    if outcome.timed_out:
        return f"{output}\n[stopped after {outcome.duration_seconds:.0f} s, its time limit]".lstrip()
    if outcome.exit_code:
        return f"{output}\n[exit code: {outcome.exit_code}]".lstrip()
    return output or "[exit code: 0, no output]"
