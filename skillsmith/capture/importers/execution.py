"""Code in chats: fenced blocks that agents wrote, and the replies of executors that ran them.

Only a reply of an executor is evidence that a block was run. All blocks of one message share one call id,
because executors run them together and answer once. What only the reply makes code of is added when the
reply comes, so that a log that grows keeps its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from skillsmith.capture.importers.base import Timeline
from skillsmith.models import CodeUse, Event

_OPENING = re.compile(r"[ \t]*```[ \t]*([\w+#.-]*)[ \t]*\r?$")
_CLOSING = re.compile(r"[ \t]*```[ \t]*\r?$")
_REPLIES = (
    re.compile(
        r"exitcode: (?P<exit>-?\d{1,9}) \(execution (?:succeeded|failed)[^)\n]*\)\s*?(?:\nCode output: ?|$)"
    ),
    re.compile(r"The script ran, then exited with (?:an error \(POSIX|Unix) exit code: (?P<exit>-?\d{1,9})\)?"
               r"(?:\nIts output was:\n?)?"),
)  # fmt: skip
_CMBAGENT = re.compile(
    r"(?:\s*code being executed\.{4}.*?\n(?=[Ee]xecution))?\s*"
    r"[Ee]xecution (?P<verdict>succeeded|failed|results):?\s+Execution (?P<stream>output|error): ?",
    re.DOTALL,
)
_MINI_SWE = re.compile(
    r"\s*<returncode>(?P<exit>-?\d{1,9})</returncode>\s*(?:<output>\n?(?P<output>.*?)(?:</output>\s*)?)?",
    re.DOTALL,
)
_LANGUAGES = {
    "python": "python", "python3": "python", "py": "python", "ipython": "python",
    "sh": "sh", "bash": "sh", "shell": "sh", "zsh": "sh", "console": "sh",
    "mswea_bash_command": "sh",
    "powershell": "powershell", "pwsh": "powershell", "ps1": "powershell",
    "javascript": "javascript", "js": "javascript", "node": "javascript",
    "typescript": "typescript", "ts": "typescript",
    "r": "r", "julia": "julia", "sql": "sql", "perl": "perl", "ruby": "ruby",
}  # fmt: skip
_SHELL_STARTS = ("pip ", "pip3 ", "python ", "python3 ", "apt ", "apt-get ", "cd ", "ls", "curl ", "wget ")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language as written, maybe empty, and its text."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Execution:
    """What an executor said about a run of code; ``exit_code`` None when it does not say how it ended."""

    exit_code: int | None
    output: str


def fenced_blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a Markdown text; one that is never closed is none."""
    language: str | None = None
    inside: list[str] = []
    for line in text.split("\n"):
        fence = "```" in line
        if language is None:
            if fence and (opening := _OPENING.match(line)):
                language, inside = opening[1], []
        elif fence and _CLOSING.match(line):
            yield Block(language, "\n".join(inside))
            language = None
        else:
            inside.append(line)


def execution_reply(text: str | None) -> Execution | None:
    """Return what an executor reports in a message, or None when the message is something else."""
    for pattern in _REPLIES if text else ():
        if found := pattern.match(text or ""):
            return Execution(int(found["exit"]), (text or "")[found.end() :])
    if text and "<returncode>" in text and (found := _MINI_SWE.fullmatch(text)):
        return Execution(int(found["exit"]), found["output"] or "")
    if text and (found := _CMBAGENT.match(text)):
        failed = found["verdict"] == "failed" or found["stream"] == "error"
        exit_code = None if not failed and found["verdict"] == "results" else int(failed)
        return Execution(exit_code, text[found.end() :])
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A message that may hold code, and how much of it has been added."""

    text: str
    agent: str | None
    at: float | None
    call_id: str
    labelled: bool


@dataclass(slots=True)
class CodeTrail:
    """Adds code and its results to a timeline, and remembers which code a result belongs to.

    Args:
        timeline: Where the events go.
    """

    timeline: Timeline
    _latest: _Written | None = None
    _call_id: str | None = None
    _language: str = "python"

    def wrote(self, text: str | None, *, agent: str | None, at: float | None, own: bool) -> None:
        """Take note of a message that has been added, and add the code it holds.

        Args:
            text: The message.
            agent: Who wrote it.
            at: When.
            own: Whether code in it is the agent's own; else it may be quoted and counts only once an
                executor answers.
        """
        self._latest = None
        if text and "```" in text:
            call_id = f"code-{len(self.timeline.events)}"
            self._latest = _Written(text=text, agent=agent, at=at, call_id=call_id, labelled=own)
            if own:
                self._call_id = None  # what answers a message without code is no result of earlier code
                self._add(self._latest, labelled=True)

    def answered(self) -> None:
        """Add what was still open in the last message, now that an executor's answer to it follows."""
        if self._latest is not None:
            if not self._latest.labelled:
                self._add(self._latest, labelled=True)
            self._add(self._latest, labelled=False)
            self._latest = None

    def ran(self, execution: Execution, *, agent: str | None, at: float | None) -> None:
        """Add the result of the code that was written last."""
        code = CodeUse(
            language=self._language,
            call_id=self._call_id,
            exit_code=execution.exit_code,
            output=execution.output,
        )
        self.timeline.add(Event(kind="code_result", at=at, step=self.timeline.step, agent=agent, code=code))

    def _add(self, written: _Written, *, labelled: bool) -> None:
        for block in fenced_blocks(written.text):
            language = _language(block)
            if language is None or bool(block.language) != labelled or not block.text.strip():
                continue
            code = CodeUse(language=language, text=block.text, call_id=written.call_id)
            step = self.timeline.step
            self.timeline.add(Event(kind="code", at=written.at, step=step, agent=written.agent, code=code))
            self._call_id, self._language = written.call_id, language


def _language(block: Block) -> str | None:
    """Return the language of a block that can be run, None for any other."""
    if block.language:
        return _LANGUAGES.get(block.language.lower())
    return "sh" if block.text.lstrip().startswith(_SHELL_STARTS) else "python"
