"""Skills as folders of resources: the very files that an export writes, each with its digest.

A skill stands at ``skill://NAME/FOLDER``, where NAME is its name here, which no other has, and FOLDER the one
of the open format. So an address stays the same whatever else the library holds.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote

from skillsmith.errors import NotFoundError, RefusedError, SecretFoundError
from skillsmith.library.program.validation import NAME
from skillsmith.library.sharing.skill_md import FILE
from skillsmith.library.sharing.skill_md_writer import folder_name, skill_md_files
from skillsmith.mcp_server.front_matter import front_matter_of
from skillsmith.mcp_server.settings import RUNNABLE
from skillsmith.models import Json, Skill, SkillState
from skillsmith.workspace import Workspace

SCHEME: Final = "skill://"
DIRECTORY: Final = "inode/directory"

MAX_FILES: Final = 512
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of one skill: what every host of the extension must take; larger ones are not served."""

SERVED: Final[frozenset[SkillState]] = RUNNABLE | {"draft"}
"""States in which a skill can be read: to be read is not to be run."""

MARKDOWN: Final = "text/markdown"
_TYPES: Final[Mapping[str, str]] = {".md": MARKDOWN, ".json": "application/json", ".py": "text/x-python"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One skill as it is served.

    Args:
        folder: Its name in the open format.
        files: Content by path in the folder.
    """

    skill: Skill
    folder: str
    files: Mapping[str, bytes]

    @property
    def root(self) -> str:
        """The address of its folder."""
        return f"{SCHEME}{self.skill.name}/{self.folder}"

    @property
    def front(self) -> Mapping[str, Json]:
        """The front matter of its SKILL.md."""
        return front_matter_of(self.files[FILE].decode())

    @property
    def uri(self) -> str:
        """The address of its SKILL.md."""
        return self.uri_of(FILE)

    def uri_of(self, path: str) -> str:
        """Return the address of a file or folder in it."""
        return f"{self.root}/{quote(path)}"

    @property
    def entry(self) -> dict[str, Json]:
        """What the extension says of a skill: front matter, and every file with digest and size."""
        return {
            "uri": self.uri,
            "frontmatter": dict(self.front),
            "resources": [
                {
                    "uri": self.uri_of(path),
                    "digest": f"sha256:{sha256(content).hexdigest()}",
                    "size": len(content),
                }
                for path, content in self.files.items()
            ],
        }

    def resource(self, path: str) -> dict[str, Json]:
        """Return what a list of resources says of one of its files."""
        about: dict[str, Json] = {
            "uri": self.uri_of(path), "name": path.rpartition("/")[2],
            "mimeType": mime_type(path, self.files[path]), "size": len(self.files[path]),
        }  # fmt: skip
        if path == FILE:
            about |= {key: self.front[key] for key in ("name", "description")}
        return about

    def children(self, place: str) -> list[dict[str, Json]] | None:
        """Return what stands directly in a folder of it; None when there is no such folder.

        Args:
            place: Path of the folder, empty for its own.
        """
        start = f"{place}/" if place else ""
        inside = [path for path in self.files if path.startswith(start)]
        if not inside:
            return None
        folders = dict.fromkeys(
            start + path[len(start) :].partition("/")[0] for path in inside if "/" in path[len(start) :]
        )
        files = [self.resource(path) for path in inside if "/" not in path[len(start) :]]
        return files + [
            {"uri": self.uri_of(path), "name": path.rpartition("/")[2], "mimeType": DIRECTORY}
            for path in folders
        ]


def publish(workspace: Workspace, name: str) -> Published:
    """Return a skill as it is served.

    Args:
        workspace: The open file.
        name: The skill's.

    Raises:
        NotFoundError: There is no such skill.
        RefusedError: It is in quarantine or retired, too large, or holds what looks like a secret.
    """
    if NAME.fullmatch(name) is None:
        raise NotFoundError(f"there is no skill {name!r}")
    skill = workspace.skills.get(name)
    if skill.state not in SERVED:
        raise RefusedError(f"skill {name!r} is {skill.state}: it is not served")
    document = workspace.skills.document(skill.id)
    try:
        workspace.skills.clearance.refuse_secrets([(name, document)])
    except SecretFoundError as error:
        raise RefusedError(f"{error.message}: it is not served") from error
    folder = folder_name(skill)
    files = skill_md_files(document, folder=folder)
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
        raise RefusedError(
            f"skill {name!r} has more than {MAX_FILES} files or {MAX_BYTES // 2**20} MB: it is not served"
        )
    return Published(skill=skill, folder=folder, files=files)


def published(workspace: Workspace, *, after: str | None, limit: int) -> tuple[list[Published], str | None]:
    """Return a page of the skills that are served, and the name to go on after.

    Args:
        workspace: The open file.
        after: Name of the last skill looked at.
        limit: How many skills are looked at.
    """
    names = list(_names(workspace, after, limit + 1))
    found = []
    for name in names[:limit]:
        try:
            found.append(publish(workspace, name))
        except RefusedError:  # what is not served is not listed; who names it is told why
            continue
    return found, names[limit - 1] if len(names) > limit else None


def _names(workspace: Workspace, after: str | None, limit: int) -> Iterator[str]:
    """Yield names of skills in a state in which they are served."""
    for summary in workspace.skills.list(after=after, window=limit):
        if summary.state in SERVED:
            yield summary.name
            limit -= 1
        if not limit:
            return


def find(workspace: Workspace, uri: str) -> tuple[Published, str]:
    """Return the skill that an address leads into, and the path inside its folder.

    Raises:
        NotFoundError: It leads nowhere.
        RefusedError: The skill is not served.
    """
    name, _, rest = uri.removeprefix(SCHEME).partition("/")
    folder, _, path = rest.partition("/")
    if not uri.startswith(SCHEME) or not folder:
        raise NotFoundError(f"no skill is served at {uri}")
    found = publish(workspace, name)
    if found.folder != folder:
        raise NotFoundError(f"no skill is served at {uri}", hint=f"skill {name!r} is at {found.uri}")
    return found, unquote(path)


def mime_type(path: str, content: bytes) -> str:
    """Return what kind of content a file has."""
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    known = _TYPES.get(suffix) or mimetypes.guess_type(path)[0]
    if known:
        return known
    return "text/plain" if as_text(content) is not None else "application/octet-stream"


def as_text(content: bytes) -> str | None:
    """Return content as text, or None when it is none."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None
