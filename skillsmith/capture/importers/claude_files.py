"""Files that a Claude Code session wrote, version by version, as far as its log holds them whole.

``Write`` carries the content in its arguments; an edit's structured result carries the original text, from
which the new one follows. Anything less than whole content is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from skillsmith.capture.importers.base import items, mapping
from skillsmith.models import FileSnapshot, Json, ToolUse


@dataclass(slots=True)
class FileHistory:
    """Collects what the tool calls of a session did to files."""

    _calls: dict[str, ToolUse] = field(default_factory=dict)
    _found: list[FileSnapshot] = field(default_factory=list)

    def called(self, call: ToolUse) -> None:
        """Note a call that may change a file."""
        if call.call_id and call.name in ("Write", "Edit", "MultiEdit"):
            self._calls[call.call_id] = call

    def answered(self, result: ToolUse, structured: Json, *, agent: str, at: float | None, seq: int) -> None:
        """Note a result; a call that succeeded gives the file's content.

        Args:
            result: What the model saw.
            structured: The log's own copy of it (``toolUseResult``).
            agent: Who made the call.
            at: When.
            seq: The result's position in the run.
        """
        call = self._calls.pop(result.call_id or "", None)
        if call is None or result.error is not None:
            return
        path = mapping(call.parsed).get("file_path")
        content = _content_after(call, mapping(structured))
        if isinstance(path, str) and content is not None:
            encoded = content.encode("utf-8", "replace")
            self._found.append(FileSnapshot(path=path, content=encoded, agent=agent, at=at, seq=seq))

    def snapshots(self, work_dir: str | None) -> tuple[FileSnapshot, ...]:
        """Return the files inside the work folder, their paths relative to it."""
        inside = ((snapshot, _relative(snapshot.path, work_dir)) for snapshot in self._found)
        return tuple(
            FileSnapshot(path=path, content=one.content, agent=one.agent, at=one.at, seq=one.seq)
            for one, path in inside
            if path is not None
        )


def _content_after(call: ToolUse, structured: Mapping[str, Json]) -> str | None:
    arguments = mapping(call.parsed)
    if call.name == "Write":
        content = arguments.get("content")
        return content if isinstance(content, str) else None
    text = structured.get("originalFile")
    for edit in items(arguments.get("edits")) or [arguments]:
        text = _edited(text, mapping(edit))
    return text if isinstance(text, str) else None


def _edited(text: Json, edit: Mapping[str, Json]) -> str | None:
    old, new = edit.get("old_string"), edit.get("new_string")
    if not (isinstance(text, str) and isinstance(old, str) and isinstance(new, str)) or old not in text:
        return None
    return text.replace(old, new) if edit.get("replace_all") is True else text.replace(old, new, 1)


def _relative(path: str, work_dir: str | None) -> str | None:
    """Return a path relative to the work folder with forward slashes, None when it is outside."""
    if work_dir is None:
        return None
    flavour: type[PurePath] = PureWindowsPath if "\\" in work_dir else PurePosixPath
    whole = flavour(work_dir) / path
    if ".." in whole.parts or not whole.is_relative_to(work_dir):
        return None
    return whole.relative_to(work_dir).as_posix()
