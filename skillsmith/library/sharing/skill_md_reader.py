"""Read a SKILL.md folder: one of our own export gives its typed skill back, any other becomes a prose skill.

A prose skill is one agent node: the task goes to an agent that is told the body, so the skill can be found,
shown and run like any other. Everything of the folder is kept byte for byte. Of our own export the sidecar
counts, and a seal over all files tells whether anything else was changed by hand since.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import orjson

from skillsmith.errors import InvalidSkillFileError, NotFoundError
from skillsmith.library.program.document import FORMAT, Document, from_lines, to_document, to_lines
from skillsmith.library.program.seal import render
from skillsmith.library.program.validation import NAME, validate_skill
from skillsmith.library.sharing.file import Reference, SkillFile, read_skill_bytes
from skillsmith.library.sharing.folder import Files, read_files, seal_of
from skillsmith.library.sharing.skill_md import FILE, SIDECAR, SkillMd, take_apart
from skillsmith.models import Json, Node, Skill, SkillArtifact, Slot, Template, Variable

EVALS: Final = "evals/evals.json"
ORIGINAL: Final = "skill_md"
"""Key of a skill's extras that holds the front matter as it was written."""

NO_SEAL: Final = "0" * 64
MAX_EXAMPLES: Final = 50

PROSE_INPUTS: Final = (
    Variable(name="task", type="string", description="What is to be done, in words.", required=True),
)
PROSE_NODES: Final = (
    Node(
        id="n1",
        kind="agent",
        template=Template(text="{task}", slots=(Slot(variable="task", encoding="text"),)),
    ),
)
PROSE_PATTERN: Final = "{task}"

_SEAL = re.compile(r"^  skillsmith-files: sha256:([0-9a-f]{64})\r?$", re.MULTILINE)
_INERT = frozenset(
    ".bib .csv .gif .jpeg .jpg .json .md .pdf .png .rst .tex .toml .tsv .ttf .txt .webp .yaml .yml".split()
)
_LANGUAGES: Mapping[str, str] = {
    ".py": "python", ".sh": "bash", ".bash": "bash", ".js": "javascript", ".mjs": "javascript",
    ".ts": "typescript", ".rb": "ruby", ".r": "r", ".jl": "julia", ".pl": "perl", ".sql": "sql",
    ".md": "markdown", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".html": "html",
}  # fmt: skip


def md_name(files: Files) -> str | None:
    """Return what a folder's SKILL.md is called there; None when it has none."""
    return next((name for name in (FILE, FILE.lower()) if name in files), None)


def read_skill_folder(folder: Path, *, reference: Reference | None = None) -> SkillFile:
    """Read and check one folder.

    Args:
        folder: It holds a SKILL.md.
        reference: The library that the folder is compared with.

    Raises:
        InvalidSkillFileError: It is no skill, or not what its export has written; says why.
        NotFoundError: It holds no SKILL.md.
    """
    try:
        skill, document = _read(read_files(folder), folder, reference)
    except InvalidSkillFileError as error:
        raise InvalidSkillFileError(f"{folder}: {error.message}", hint=error.hint) from error
    return SkillFile(path=folder, skill=skill, document=document)


def _read(files: Files, folder: Path, reference: Reference | None) -> tuple[Skill, Document]:
    name = md_name(files)
    if name is None:
        raise NotFoundError(f"the folder {folder} holds no {FILE}")
    if has_sidecar(files):
        skill, document = read_skill_bytes(files[SIDECAR], reference)
        _refuse_changed(files, document)
        return skill, document
    if SIDECAR in files and _SEAL.search(_text_of(files[name])):
        raise InvalidSkillFileError(f"its {SIDECAR} is damaged", hint="export the skill again")
    skill = foreign_skill(files, folder.resolve().name)
    document = to_document(skill)
    render(document)  # refuses what could never be exported
    problems = validate_skill(skill)
    if problems:
        raise InvalidSkillFileError("; ".join(problems[:3]))
    return skill, document


def has_sidecar(files: Files) -> bool:
    """Tell whether a folder holds a skill in our own format, whatever else is called ``skill.json``."""
    try:
        value = orjson.loads(files.get(SIDECAR, b""))
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and str(value.get("format")).startswith(FORMAT.rpartition("/")[0])


def _refuse_changed(files: Files, document: Document) -> None:
    text = _text_of(files[md_name(files) or FILE])
    stated = _SEAL.search(text)
    if stated is None or f"sha256:{stated[1]}" != sealed(files, text, stated[1]):
        raise InvalidSkillFileError(
            f"its files are not those that were exported with {SIDECAR}",
            hint=f"change the skill itself and export it again; without {SIDECAR} it is read as prose",
        )
    if f"skillsmith-digest: {document['digest']}" not in text:
        raise InvalidSkillFileError(
            f"{FILE} and {SIDECAR} are of two versions", hint="export the skill again"
        )


def sealed(files: Files, text: str, seal: str = NO_SEAL) -> str:
    """Return the seal over an export's files, ``sha256:…``.

    Args:
        files: All of them.
        text: Of the SKILL.md.
        seal: What stands in the text where the seal belongs.
    """
    others = {name: content for name, content in files.items() if name != md_name(files)}
    return "sha256:" + seal_of({**others, FILE: text.replace(seal, NO_SEAL, 1).encode()})


def _text_of(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSkillFileError(f"its {FILE} is not UTF-8 text (byte {error.start})") from error


def foreign_skill(files: Files, folder: str) -> Skill:
    """Return the prose skill that a folder from elsewhere describes.

    Args:
        files: One of them a SKILL.md.
        folder: Its name, for a skill whose own is of no use.

    Raises:
        InvalidSkillFileError: There is no description, no name, or no front matter that can be read.
    """
    own = md_name(files) or FILE
    parts = take_apart(_text_of(files[own]))
    about = parts.front.get("description")
    if not isinstance(about, str) or not about.strip():
        raise InvalidSkillFileError(
            "it has no description, so nothing could tell when to use it", hint="add one to its front matter"
        )
    extras = {key: value for key, value in parts.front.items() if key not in ("name", "description")}
    return Skill(
        name=_name(parts, folder),
        description=about.strip(),
        task_pattern=PROSE_PATTERN,
        variables=PROSE_INPUTS,
        nodes=PROSE_NODES,
        examples=tuple(dict.fromkeys(_prompts(files))),
        body=parts.body,
        artifacts=tuple(_artifact(name, content) for name, content in files.items() if name != own),
        extras={**extras, ORIGINAL: {"head": [*to_lines(parts.head)]}},
    )


def original_files(skill: Skill) -> dict[str, bytes] | None:
    """Return the files of the folder that a prose skill was read from; None for any other skill."""
    kept = skill.extras.get(ORIGINAL)
    head = kept.get("head") if isinstance(kept, dict) else None
    if not isinstance(head, list) or not all(isinstance(line, str) for line in head):
        return None
    if skill.nodes != PROSE_NODES:
        return None
    files = {artifact.path: artifact.content for artifact in skill.artifacts if artifact.path}
    return dict(sorted({**files, FILE: (from_lines(head) + skill.body).encode()}.items()))


def _name(parts: SkillMd, folder: str) -> str:
    for candidate in (parts.front.get("name"), folder):
        if isinstance(candidate, str):
            plain = unicodedata.normalize("NFKC", candidate.strip()).lower()
            name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:64]
            if NAME.fullmatch(name):
                return name
    raise InvalidSkillFileError(
        "neither its name nor that of its folder has a letter a-z or a digit", hint="give it such a name"
    )


def _prompts(files: Files) -> Iterator[str]:
    """Yield the tasks that the folder's evaluations try it on: what it is for, in a user's words."""
    try:
        value = orjson.loads(files.get(EVALS, b""))
    except orjson.JSONDecodeError:
        return
    cases = value.get("evals") if isinstance(value, dict) else None
    for case in cases[:MAX_EXAMPLES] if isinstance(cases, list) else ():
        prompt = case.get("prompt") if isinstance(case, dict) else None
        if isinstance(prompt, str) and prompt.strip():
            yield prompt.strip()


def _artifact(path: str, content: bytes) -> SkillArtifact:
    suffix = PurePosixPath(path).suffix.lower()
    kind = "data" if is_inert(path, content) else "code"
    return SkillArtifact(name=path, type=kind, content=content, path=path, language=_LANGUAGES.get(suffix))


def is_inert(path: str, content: bytes) -> bool:
    """Tell whether a file is text to read or a picture to look at, and nothing that runs."""
    where = PurePosixPath(path)
    plain = where.suffix.lower() in _INERT or where.name.upper() in ("LICENSE", "NOTICE", "AUTHORS")
    return plain and where.parts[0] != "scripts" and not content.startswith(b"#!")


def carries_code(skill: Skill) -> bool:
    """Tell whether anything of an imported skill could run, so that its user has to see it first."""
    return (
        original_files(skill) is None
        or "hooks" in skill.extras
        or not all(is_inert(one.path or one.name, one.content) for one in skill.artifacts)
    )


def text_extras(skill: Skill) -> dict[str, Json]:
    """Return the keys of a skill's front matter that are neither name nor description."""
    return {key: value for key, value in skill.extras.items() if key != ORIGINAL}
