"""What belongs together across calls: a tool's result and the call that asked for it, code and its repair."""

from __future__ import annotations

from typing import Any

from skillsmith.capture.shapes import text_of
from skillsmith.capture.workfolder import same_program
from skillsmith.events import parse_json
from skillsmith.ids import new_id
from skillsmith.models import CodeUse, ToolUse


class OpenCalls:
    """Tool calls that replies asked for and nothing has answered yet."""

    def __init__(self) -> None:
        self._open: dict[str, ToolUse] = {}

    def add(self, use: ToolUse) -> None:
        """Remember a call."""
        self._open[use.call_id or ""] = use

    def claim(self, name: str, args: Any, call_id: str | None) -> ToolUse | None:
        """Return the call that a usage answers, and forget it; without an id, an equal call."""
        if call_id is not None:
            return self._open.pop(call_id, None)
        for known, use in self._open.items():
            if use.name == name and (args is None or _same(use.arguments, args)):
                return self._open.pop(known)
        return None


def _same(written: str | None, args: Any) -> bool:
    if isinstance(args, str):
        return written == args
    try:
        return bool(parse_json(written or "null") == args)
    except ValueError:
        return False


class CodeTrail:
    """Follows a program through failures: a block that resembles the last failed one is its next version."""

    def __init__(self) -> None:
        self._failed: CodeUse | None = None
        self._version = 1

    def next(self, code: str, *, language: str) -> tuple[CodeUse, CodeUse | None, int]:
        """Return a block with its own call id, the failed block that it mends, and its version number."""
        block = CodeUse(language=language, text=text_of(code), call_id=new_id())
        failed = self._failed
        mends = (
            failed is not None
            and failed.language == language
            and same_program(failed.text or "", block.text or "")
        )
        self._version = self._version + 1 if mends else 1
        return block, failed if mends else None, self._version

    def ran(self, block: CodeUse, *, exit_code: int | None) -> None:
        """Note how a block ended."""
        self._failed = block if exit_code else None
