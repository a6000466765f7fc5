"""Which files a block of code names, and what it does with them.

A tracker sees which files changed, never which were read: reading is seen in the code, from literals that
equal the path of a file that was there, and from the calls they are given to.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Collection, Mapping
from typing import Literal as OneOf
from typing import TypeAlias

from skillsmith.library.code.beside import PATH_WRAPPERS, dotted_name, mode_of
from skillsmith.library.code.literals import Literal

Access: TypeAlias = OneOf["read", "write", "both", "unknown"]
Calls: TypeAlias = Mapping[str, Collection[tuple[str, str | None]]]
"""Variable name → functions it is given to, or methods called on it, each with a file mode."""

_READS = re.compile(
    r"(read|load|parse|scan|import|imread|genfromtxt|fromfile|from_file|isfile|exists|stat|getsize)",
    re.IGNORECASE,
)
_WRITES = re.compile(r"(to_(?!datetime|numeric)|save|write|dump|export|imsave|imwrite|unlink|remove|tofile)")
_FILE_NAME = re.compile(r"(?!\w+://)[^\s<>|\"'{}$*?]*[\w-]\.[A-Za-z]\w{0,7}")


def file_in(
    value: str, known: Collection[str], *, work_dir: str | None, guess: bool = False
) -> tuple[str, int, int] | None:
    """Find the file that a literal names.

    Args:
        value: The literal's value: a path, or the end of one.
        known: Relative paths of the files there are.
        work_dir: Absolute path they are relative to.
        guess: Whether a value that looks like a file's path names one even if none is known.

    Returns:
        The file's path, and offset and length of the part of the value that is its path or the end of it.
    """
    offset = _prefix_length(value, work_dir)
    rest = value[offset:]
    if not rest or rest != rest.strip() or (rest.startswith("/") and posixpath.dirname(rest) != "/"):
        return None
    if rest in known:
        return rest, offset, len(rest)
    tail = rest.lstrip("/")
    offset += len(rest) - len(tail)
    if not _FILE_NAME.fullmatch(tail):
        return None
    owners = [path for path in known if path == tail or path.endswith(f"/{tail}")]
    if len(owners) == 1:
        return owners[0], offset, len(tail)
    return (posixpath.normpath(tail), offset, len(tail)) if guess and not rest.startswith("/") else None


def _prefix_length(value: str, work_dir: str | None) -> int:
    """Return how much of a path leads to the work folder."""
    offset = 0
    if work_dir and value.startswith(work_dir.rstrip("/") + "/"):
        offset = len(work_dir.rstrip("/")) + 1
    while value.startswith("./", offset):
        offset += 2
    return offset


def calls_on_names(tree: ast.Module) -> Calls:
    """Map each variable of a block to the calls it takes part in."""
    found: dict[str, set[tuple[str, str | None]]] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        call, mode = dotted_name(node.func) or "", mode_of(node)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if isinstance(argument, ast.Name):
                found.setdefault(argument.id, set()).add((call, mode))
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            found.setdefault(node.func.value.id, set()).add((node.func.attr, mode))
    return found


def access_of(literal: Literal, calls: Calls) -> Access:
    """Return what is done with the file a literal names, as far as the code says."""
    beside = literal.beside
    name = (beside.call or "").rpartition(".")[2]
    if name and name not in PATH_WRAPPERS:
        return _access(name, beside.mode)
    holders = {word for word in (beside.name, *beside.words) if word and beside.source in {"target", None}}
    accesses = {
        _access(call.rpartition(".")[2], mode) for holder in holders for call, mode in calls.get(holder, ())
    }
    accesses.discard("unknown")
    if len(accesses) > 1:
        return "both"
    return accesses.pop() if accesses else "unknown"


def _access(name: str, mode: str | None) -> Access:
    if name == "open":
        if mode is None or not set(mode) & set("wax+"):
            return "read"
        return "both" if set(mode) & set("a+") else "write"
    if _WRITES.match(name):
        return "write"
    return "read" if _READS.match(name) else "unknown"
