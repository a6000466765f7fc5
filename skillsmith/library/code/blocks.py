"""A run's code blocks, and what can be read off each of them alone: literals, names, files."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from skillsmith.errors import UsageError
from skillsmith.library.code.files import Access, Calls, access_of, calls_on_names, file_in
from skillsmith.library.code.literals import Literal, python_literals
from skillsmith.library.code.names import Names, names_of
from skillsmith.library.code.shell import shell_literals
from skillsmith.library.code.source import parse_python
from skillsmith.library.program.languages import is_python, is_shell


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBlock:
    """One piece of code that a run executed.

    Args:
        seq: Of its event.
        language: ``python``, ``bash``, …
        text: The code.
        agent: Who ran it.
        exit_code: None when the log does not say.
        output: Standard output and error.
        files_before: Files that were there before it ran: relative path → digest.
        files_written: Files it made or changed: relative path → digest.
        at: Unix time in seconds.
    """

    seq: int
    text: str
    language: str = "python"
    agent: str | None = None
    exit_code: int | None = None
    output: str = ""
    files_before: Mapping[str, str] = field(default_factory=dict)
    files_written: Mapping[str, str] = field(default_factory=dict)
    at: float | None = None

    @property
    def failed(self) -> bool:
        """Whether it is known to have failed."""
        return self.exit_code not in (None, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathUse:
    """A literal that names a file.

    Args:
        literal: Where it stands.
        path: The file, relative to the work folder.
        offset: Where in the literal's value (the end of) the path begins.
        text: That part of the value.
        access: What is done with the file there.
    """

    literal: Literal
    path: str
    offset: int
    text: str
    access: Access

    def span(self, text: str) -> tuple[int, int] | None:
        """Return the source offsets of the end of the path, None when they would cut an escape."""
        offset = self.offset + len(self.text) - len(text)
        if self.literal.segment is not None:
            return self.literal.segment.source_span(offset, offset + len(text))
        return self.literal.start + offset, self.literal.start + offset + len(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one block says by itself.

    Args:
        block: The block.
        tree: Its syntax tree, for Python that parses.
        literals: Its literals; none in other languages.
        names: The Python names it needs and gives.
        paths: Its literals that name files.
        reads: Files that it reads and that were there before it.
        writes: Files it makes or changes, with their digest where a tracker saw it.
    """

    block: CodeBlock
    tree: ast.Module | None
    literals: Sequence[Literal]
    names: Names
    paths: tuple[PathUse, ...]
    reads: frozenset[str]
    writes: Mapping[str, str | None]

    @property
    def seq(self) -> int:
        """Return the block's sequence number."""
        return self.block.seq


def facts_of(blocks: Sequence[CodeBlock], *, work_dir: str | None) -> list[Facts]:
    """Read every block, in order.

    Args:
        blocks: All blocks of a run.
        work_dir: Absolute path of the run's work folder, if known.
    """
    tracked = any(block.files_before or block.files_written for block in blocks)
    present: set[str] = set()
    found = []
    for block in blocks:
        present |= set(block.files_before)
        facts = _Reader(block, present, work_dir=work_dir, tracked=tracked).facts()
        found.append(facts)
        present |= set(facts.writes)
    return found


class _Reader:
    """Reads one block.

    Args:
        block: The block.
        present: Files that are there before it.
        work_dir: Absolute path of the work folder.
        tracked: Whether files of the run were watched at all; if not, the code's own words must do.
    """

    def __init__(
        self, block: CodeBlock, present: Collection[str], *, work_dir: str | None, tracked: bool
    ) -> None:
        self._block = block
        self._present = frozenset(present)
        self._work_dir = work_dir
        self._tracked = tracked
        self._tree = parse_python(block.text) if is_python(block.language) else None
        self._calls: Calls = calls_on_names(self._tree) if self._tree else {}

    def facts(self) -> Facts:
        literals = self._literals()
        paths = tuple(use for literal in literals for use in self._paths_in(literal))
        names = names_of(self._tree) if self._tree else Names()
        writes: dict[str, str | None] = dict(self._block.files_written)
        if not self._tracked:
            writes |= {use.path: None for use in paths if use.access in {"write", "both"}}
        reads = {use.path for use in paths if self._is_read(use, writes)}
        reads |= {path for literal in literals for path in self._globbed(literal)}
        reads |= {path for module in names.modules for path in self._module_files(module)}
        return Facts(
            block=self._block, tree=self._tree, literals=literals, names=names, paths=paths,
            reads=frozenset(reads), writes=writes,
        )  # fmt: skip

    def _literals(self) -> list[Literal]:
        try:
            if self._tree is not None:
                return python_literals(self._block.text)
            return shell_literals(self._block.text) if is_shell(self._block.language) else []
        except UsageError:  # what cannot be read has no literals, and the block stays as it is
            return []

    def _paths_in(self, literal: Literal) -> Iterable[PathUse]:
        if literal.beside.docstring or literal.format_spec or not isinstance(literal.value, str):
            return
        access = access_of(literal, self._calls)
        known = self._present | set(self._block.files_written)
        guess = not self._tracked and literal.whole and access != "unknown"
        found = file_in(literal.value, known, work_dir=self._work_dir, guess=guess)
        if found is None:
            return
        path, offset, length = found
        text = literal.value[offset : offset + length]
        yield PathUse(literal=literal, path=path, offset=offset, text=text, access=access)

    def _is_read(self, use: PathUse, writes: Mapping[str, str | None]) -> bool:
        if use.access in {"read", "both"}:
            return use.path in self._present or not self._tracked
        return use.access == "unknown" and use.path in self._present and use.path not in writes

    def _globbed(self, literal: Literal) -> Iterable[str]:
        value = literal.value
        if literal.beside.docstring or literal.kind == "fstring" or not isinstance(value, str):
            return ()
        if not any(char in value for char in "*?[") or any(char in value for char in " \n\\|"):
            return ()
        pattern = posixpath.normpath(value)
        return (path for path in self._present if fnmatchcase(path, pattern) and "." in path)

    def _module_files(self, module: str) -> Iterable[str]:
        return (path for path in self._present if path == f"{module}.py" or path.startswith(f"{module}/"))
