"""Which files of a run's code are inputs, which pass between blocks, which are its results.

An input's path and a result's path become variables; what one block writes and another reads ties the two
together and stays as it is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skillsmith.library.code.blocks import Facts, PathUse
from skillsmith.library.code.drafts import Draft, Drafts, string_literals
from skillsmith.library.code.naming import path_names
from skillsmith.library.code.words import Words
from skillsmith.library.program.languages import is_shell
from skillsmith.library.trace.literals import Occurrence
from skillsmith.models import Binding, Constant, FromInput, Text

_PROGRAM = re.compile(r".*\.(?:py|sh|bash|js|mjs|ts|r|rb|pl|jl)", re.IGNORECASE)
_ASKED = (
    r"(?:as|to|into|in)\s+(?:an?\s+)?(?:\w+\s+)?\.?{0}\b(?!\.\w)"
    r"|(?<![\w.]){0}\s+(?:file|image|format|plot|figure|chart|version)\b"
)


@dataclass(slots=True, kw_only=True)
class KnownFile:
    """One file that kept blocks read or write.

    Args:
        path: Relative to the work folder.
        role: input, program (run by a command), passed (written by one block, read by another) or output.
        first: Sequence number of the first block that uses it.
        spelled: Whether code that writes it holds its name without the ending as a text of its own.
        draft: The variable that holds its path or a part of it, if it became one.
        after: What of the path stands behind that part.
        format: The variable that holds its ending instead.
    """

    path: str
    role: str
    first: int
    uses: list[tuple[Facts, PathUse]]
    spelled: bool = False
    draft: Draft | None = None
    after: str = ""
    format: Draft | None = None

    @property
    def named_by_data(self) -> bool:
        """Whether it is a result whose name stands nowhere in the code."""
        return self.role == "output" and not self.uses and not self.spelled

    def binding(self) -> Binding:
        """Return where the path comes from."""
        draft = self.draft or self.format
        if draft is None:
            return Constant(self.path)
        fixed = self.path[: len(self.path) - len(str(draft.value)) - len(self.after)]
        parts = [part for part in (fixed, FromInput(draft.name), self.after) if part]
        return Text(tuple(parts)) if len(parts) > 1 else FromInput(draft.name)


def known_files(kept: Sequence[Facts]) -> list[KnownFile]:
    """Tell the role of every file that kept blocks read or write, in order of first use."""
    files: dict[str, KnownFile] = {}
    for facts in kept:
        for path in sorted(facts.reads | set(facts.writes)):
            if path not in files:
                files[path] = KnownFile(path=path, role=_role(path, kept), first=facts.seq, uses=[])
    for facts in kept:
        for use in facts.paths:
            if use.path in files:
                files[use.path].uses.append((facts, use))
    for file in files.values():
        stem = posixpath.splitext(posixpath.basename(file.path))[0]
        file.spelled = any(file.path in facts.writes and _holds(facts, stem) for facts in kept)
        if _is_program(file):
            file.role = "program"
    return list(files.values())


def _holds(facts: Facts, stem: str) -> bool:
    """Whether a text of the block ends with a file's name without its ending; without texts, one may."""
    texts = [literal.value for literal in facts.literals if isinstance(literal.value, str)]
    return not texts or any(re.search(rf"(?<!\w){re.escape(stem)}\Z", text.rstrip(".")) for text in texts)


def _role(path: str, kept: Sequence[Facts]) -> str:
    readers = [index for index, facts in enumerate(kept) if path in facts.reads]
    writers = [index for index, facts in enumerate(kept) if path in facts.writes]
    if readers and (not writers or readers[0] <= writers[0]):
        return "input"
    return "passed" if readers and readers[-1] > writers[0] else "output"


def lift_paths(files: Sequence[KnownFile], drafts: Drafts, words: Words) -> None:
    """Turn the paths of inputs, of results and of files people named into variables."""
    for file in files:
        mention = _mention(file, words)
        if not file.uses or file.role == "program" or (file.role == "passed" and mention is None):
            continue
        asked = _asked_format(file, words) if file.role == "output" and mention is None else None
        if asked is not None and _lift_format(file, drafts, asked):
            continue
        _lift_path(file, files, drafts, mention)


def _mention(file: KnownFile, words: Words) -> Occurrence | None:
    for value in (file.path, posixpath.basename(file.path)):
        found = words.mentions(value, before=file.first)
        if found:
            return found[0]
    return None


def _is_program(file: KnownFile) -> bool:
    """Whether a file is code that a shell command runs."""
    in_shell = any(is_shell(facts.block.language) for facts, _ in file.uses)
    return in_shell and file.role == "input" and _PROGRAM.fullmatch(file.path) is not None


def _lift_path(
    file: KnownFile, files: Sequence[KnownFile], drafts: Drafts, mention: Occurrence | None
) -> None:
    text = min((use.text for _, use in file.uses), key=len)
    role = "input" if file.role == "input" else "output"
    alone = sum(other.role == file.role and bool(other.uses) for other in files) == 1
    draft = drafts.add(
        Draft(
            value=text,
            type="path",
            rule="user-words" if mention else f"{role}-file",
            mention=mention,
            names=path_names(file.path, role, [use.literal for _, use in file.uses], alone=alone),
            required=role == "input",
            description="A file the code reads." if role == "input" else "A file the code makes.",
        )
    )
    for facts, use in file.uses:
        drafts.place(draft, facts, use.literal, use.span(text) or (-1, -1))
    if draft.places:
        file.draft = draft


def _asked_format(file: KnownFile, words: Words) -> Occurrence | None:
    """Return where people asked for the file's format ("save it as PNG")."""
    ending = posixpath.splitext(file.path)[1][1:]
    if not ending:
        return None
    pattern = re.compile(_ASKED.format(re.escape(ending)), re.IGNORECASE)
    for said in words.said:
        if (said.where == "task" or said.seq < file.first) and (match := pattern.search(said.text)):
            start = said.text.lower().index(ending.lower(), match.start())
            return Occurrence(said, start, start + len(ending))
    return None


def _lift_format(file: KnownFile, drafts: Drafts, asked: Occurrence) -> bool:
    ending = posixpath.splitext(file.path)[1][1:]
    draft = drafts.add(
        Draft(
            value=ending, type="string", rule="user-words", mention=asked, names=["output_format"],
            description="The format of the file the code makes.",
        )
    )  # fmt: skip
    for facts, use in file.uses:
        drafts.place(draft, facts, use.literal, use.span(ending) or (-1, -1))
        for literal in string_literals(facts):
            if literal.whole and literal.value == ending:
                drafts.place(draft, facts, literal)
    if draft.places:
        file.format = draft
    return bool(draft.places)


def lift_work_dir(kept: Iterable[Facts], drafts: Drafts, work_dir: str | None) -> Draft | None:
    """Turn the absolute path of the work folder into a variable where the code holds it."""
    folder = (work_dir or "").rstrip("/")
    if not folder:
        return None
    draft = Draft(
        value=folder, type="path", rule="work-dir", names=["work_dir"],
        description="The folder the code works in; '.' in a work folder of its own.",
    )  # fmt: skip
    drafts.add(draft)
    pattern = re.compile(rf"(?<![\w/.-]){re.escape(folder)}(?![\w.-])")
    for facts in kept:
        for literal in string_literals(facts):
            for match in pattern.finditer(literal.value):
                span = (literal.start + match.start(), literal.start + match.end())
                if literal.segment is not None:
                    span = literal.segment.source_span(match.start(), match.end()) or (-1, -1)
                drafts.place(draft, facts, literal, span)
    return draft if draft.places else None
