"""Write a skill as an Agent Skills folder that strict readers accept and that comes back without loss.

A folder that was imported and not changed since is written as it was, byte for byte. Every other skill gets a
front matter made for it, a body to read, its code in ``scripts/`` and the whole of it in the sidecar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from skillsmith.errors import InvalidSkillFileError
from skillsmith.library.program.document import Document, build_skill, to_document
from skillsmith.library.program.languages import is_python, is_shell
from skillsmith.library.program.seal import content_digest, render
from skillsmith.library.sharing.folder import fit_together, is_plain_path
from skillsmith.library.sharing.skill_md import (
    CLAUDE_CODE_KEYS,
    FILE,
    MAX_COMPATIBILITY,
    MAX_DESCRIPTION,
    OPEN_KEYS,
    OPEN_NAME,
    SIDECAR,
    breaches,
    one_line,
    open_name,
    take_apart,
    write_head,
)
from skillsmith.library.sharing.skill_md_reader import (
    EVALS,
    NO_SEAL,
    foreign_skill,
    original_files,
    sealed,
    text_extras,
)
from skillsmith.library.sharing.skill_md_text import body_of, evals_of, title_of
from skillsmith.models import Json, Skill, SkillArtifact

_SUFFIXES: Mapping[str, str] = {
    "javascript": ".js", "js": ".js", "typescript": ".ts", "ruby": ".rb", "r": ".r", "julia": ".jl",
    "perl": ".pl", "sql": ".sql",
}  # fmt: skip


def skill_md_files(document: Document, *, folder: str, dialect: str = "open") -> dict[str, bytes]:
    """Return the files of a skill's folder.

    Args:
        document: The skill, with its digest.
        folder: What the folder is called; a name of the format.
        dialect: ``claude-code`` also writes that client's keys, where the skill has any.
    """
    sidecar = render(document)
    skill = build_skill(json.loads(sidecar))  # the order of keys is then the same on every machine
    original = original_files(skill)
    if original is not None:
        head = original[FILE].decode()[: -len(skill.body) or None]
        if _is_whole(original, document, folder) and not breaches(head, folder=folder, dialect=dialect):
            return original
        cut = len(" ".join(skill.description.split())) > MAX_DESCRIPTION
        body = f"\n{skill.description.strip()}\n{skill.body}" if cut else skill.body
        placed = _placed({name: content for name, content in original.items() if name != FILE})
    else:
        placed, scripts = _parts(skill)
        body = body_of(skill, scripts)
        cases = evals_of(skill, folder)
        if cases is not None:
            placed[EVALS] = cases
    placed[SIDECAR] = sidecar
    front = _front(skill, document, folder, dialect)
    return _sealed(placed, write_head(front) + body)


def folder_name(skill: Skill) -> str:
    """Return what a skill's folder is called, which is also its name in the format."""
    original = original_files(skill)
    if original is not None:
        try:
            name = take_apart(original[FILE].decode()).front.get("name")
        except InvalidSkillFileError:  # extras made by hand: the skill has another name to go by
            name = None
        if isinstance(name, str) and OPEN_NAME.fullmatch(name):
            return name
    return open_name(skill.name)


def _is_whole(files: Mapping[str, bytes], document: Document, folder: str) -> bool:
    """Tell whether reading the files gives the skill again, so that they need no sidecar."""
    try:
        again = foreign_skill(files, folder)
    except InvalidSkillFileError:  # extras made by hand: then the sidecar holds what they do not
        return False
    names_fit = fit_together(files) and all(map(is_plain_path, files))
    return names_fit and content_digest(to_document(again)) == content_digest(document)


def _sealed(files: dict[str, bytes], text: str) -> dict[str, bytes]:
    seal = sealed(files, text).removeprefix("sha256:")
    return dict(sorted({**files, FILE: text.replace(NO_SEAL, seal, 1).encode()}.items()))


def _front(skill: Skill, document: Document, folder: str, dialect: str) -> dict[str, Json]:
    extras = text_extras(skill)
    front: dict[str, Json] = {"name": folder, "description": _description(skill)}
    texts = {
        "license": one_line(_text(extras.get("license") or ""), MAX_DESCRIPTION),
        "allowed-tools": one_line(_text(extras.get("allowed-tools") or ""), MAX_DESCRIPTION),
        "compatibility": one_line(_text(extras.get("compatibility") or _needs(skill)), MAX_COMPATIBILITY),
    }
    front |= {key: text for key, text in texts.items() if text}
    front["metadata"] = _metadata(skill, document, extras)
    if dialect == "claude-code":
        front |= {key: extras[key] for key in CLAUDE_CODE_KEYS if key in extras}
    return front


def _description(skill: Skill) -> str:
    """Return what the skill does and when to use it."""
    about = skill.description.strip() or f"{title_of(skill)}."
    if original_files(skill) is None and skill.task_pattern.strip():
        when = f"{about.rstrip('. ')}. Use it for tasks like: {skill.task_pattern}"
        return one_line(when, MAX_DESCRIPTION)
    return one_line(about, MAX_DESCRIPTION) or title_of(skill)


def _needs(skill: Skill) -> str:
    packages = skill.context_requirements.get("packages")
    names = [str(one) for one in packages] if isinstance(packages, list) else []
    return f"Needs the Python packages {', '.join(names)}" if names else ""


def _metadata(skill: Skill, document: Document, extras: Mapping[str, Json]) -> dict[str, str]:
    """Return text by text: what the skill's author wrote, keys the format does not know, and our own."""
    given = extras.get("metadata")
    found = {key: _text(value) for key, value in given.items()} if isinstance(given, dict) else {}
    for key, value in extras.items():
        if key not in (*OPEN_KEYS, *CLAUDE_CODE_KEYS):
            found.setdefault(key, _text(value))
    ours = {
        "version": str(skill.version),
        "skillsmith-id": f"{skill.name}@{skill.version}",
        "skillsmith-digest": str(document["digest"]),
        "skillsmith-files": f"sha256:{NO_SEAL}",
    }
    if original_files(skill) is not None:
        ours = {**ours, "version": found.get("version", ours["version"])}
    mine = {one_line(key, 200): one_line(text, 2000) for key, text in found.items() if key not in ours}
    return {**mine, **ours}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parts(skill: Skill) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the files of a typed skill, and where the code of each node stands."""
    code = {
        f"scripts/{node.id}{_suffix(node.language)}": (node.id, node.template.text.encode())
        for node in skill.nodes
        if node.kind == "code" and node.template is not None
    }
    wanted = [(path, content, node) for path, (node, content) in code.items()]
    wanted += [(_artifact_path(one), one.content, "") for one in skill.artifacts]
    files: dict[str, bytes] = {}
    scripts: dict[str, str] = {}
    for path, content, node in wanted:
        place = _free(path, files, reserved=(FILE, SIDECAR, EVALS))
        files[place] = content
        if node:
            scripts[node] = place
    return files, scripts


def _suffix(language: str | None) -> str:
    if language is None or is_python(language):
        return ".py"
    return ".sh" if is_shell(language) else _SUFFIXES.get(language.lower(), ".txt")


def _artifact_path(artifact: SkillArtifact) -> str:
    path = artifact.path or artifact.name
    if path.split("/")[0] in ("scripts", "references", "assets"):
        return path
    return f"scripts/{path}" if artifact.type == "code" else f"assets/{path}"


def _placed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files that are only copies for readers under paths that fit anywhere."""
    found: dict[str, bytes] = {}
    for path, content in files.items():
        if path.casefold() != SIDECAR:  # ours takes its place, and holds it
            found[_free(path, found, reserved=(FILE, SIDECAR))] = content
    return found


def _free(path: str, taken: Mapping[str, bytes], *, reserved: Sequence[str]) -> str:
    """Return the path, or one like it that fits beside those that are taken or reserved."""
    parts = [re.sub(r"[^\w.-]", "_", part, flags=re.ASCII).strip(".")[:100] for part in path.split("/")]
    plain = "/".join(part for part in parts if part) or "file"
    others = {**taken, **dict.fromkeys(reserved, b"")}
    return next(one for one in _candidates(plain) if _fits(one, others))


def _fits(path: str, others: Mapping[str, bytes]) -> bool:
    return path not in others and is_plain_path(path) and fit_together({**others, path: b""})


def _candidates(path: str) -> Iterator[str]:
    """Yield the path, and others without end; one in no folder always fits at last."""
    yield path
    flat = path.replace("/", "_")
    for number in count(2):
        for one in (path, flat):
            stem, dot, suffix = one.rpartition(".")
            yield f"{stem}-{number}.{suffix}" if dot and "/" not in suffix else f"{one}-{number}"
