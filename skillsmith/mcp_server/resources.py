"""Everything that clients read by address: the files of skills, skills and runs in words.

``skill://…`` are the files of the skills extension (published.py), ``skillsmith://skills/NAME`` is a skill
and ``skillsmith://runs/ID`` a run's timeline, both for people and models to read.
"""

from __future__ import annotations

from base64 import b64encode
from itertools import islice
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from skillsmith.errors import NotFoundError, UsageError
from skillsmith.library.sharing.skill_md import FILE
from skillsmith.mcp_server.published import SCHEME, Published, as_text, find, mime_type, published
from skillsmith.mcp_server.texts import run_text, skill_text
from skillsmith.mcp_server.visit import Document, Visit
from skillsmith.models import Run, SkillSummary
from skillsmith.output import shorten

PAGE: Final = 50
"""Skills on one page of a list."""

LISTED_RUNS: Final = 50
"""The newest runs stand in the list of resources; search_runs finds the others."""

SKILLS: Final = "skillsmith://skills/"
RUNS: Final = "skillsmith://runs/"
PLAIN: Final = "text/plain"

TEMPLATES: Final[tuple[Document, ...]] = (
    {
        "name": "skill", "uriTemplate": f"{SKILLS}{{name}}", "mimeType": PLAIN,
        "description": "One skill to read: inputs, steps, proof, how it has fared.",
    },
    {
        "name": "run", "uriTemplate": f"{RUNS}{{id}}{{?after}}", "mimeType": PLAIN,
        "description": "The timeline of one run, a page from the event after a number on.",
    },
    {
        "name": "skill-file", "uriTemplate": f"{SCHEME}{{name}}/{{folder}}/{{+path}}",
        "description": "A file of a skill's folder, as the skills extension lists them.",
    },
)  # fmt: skip


def list_skills(visit: Visit, cursor: str | None) -> Document:
    """Return a page of the entries of the skills extension."""
    found, after = published(visit.workspace, after=cursor, limit=PAGE)
    return _page({"skills": [one.entry for one in found]}, after)


def get_skill(visit: Visit, uri: str) -> Document:
    """Return one entry of the skills extension.

    Raises:
        NotFoundError: It is no address of a SKILL.md here.
        RefusedError: The skill is not served.
    """
    found, path = find(visit.workspace, uri)
    if path != FILE:
        raise NotFoundError(f"no skill is served at {uri}", hint=f"its SKILL.md is at {found.uri}")
    return {"skill": found.entry}


def read_directory(visit: Visit, uri: str) -> Document:
    """Return what stands directly in a folder.

    Raises:
        NotFoundError: It is no folder here.
        RefusedError: The skill is not served.
    """
    found, path = find(visit.workspace, uri)
    children = None if path.endswith("/") else found.children(path)
    if children is None:
        raise NotFoundError(f"{uri} is not a directory here", hint=f"the skill's folder is {found.root}")
    return {"resources": children}


def list_resources(visit: Visit, cursor: str | None) -> Document:
    """Return a page of what can be read: skills by name, with their SKILL.md, then the newest runs.

    Raises:
        NotFoundError: The cursor is none of ours.
    """
    if cursor == RUNS:
        runs = islice(visit.workspace.runs.list(window=LISTED_RUNS), LISTED_RUNS)
        return {"resources": [_run_resource(run) for run in runs]}
    after = None if cursor is None else _after(cursor)
    skills = list(islice(visit.workspace.skills.list(after=after, window=PAGE + 1), PAGE + 1))
    served, _ = published(visit.workspace, after=after, limit=PAGE)
    shown = skills[:PAGE]
    last = shown[-1].name if shown else ""
    files = [one.resource(FILE) for one in served if one.skill.name <= last]
    following = f"{SKILLS}{last}" if len(skills) > PAGE else RUNS
    read = [_skill_resource(one) for one in shown if one.state != "quarantined"]
    return _page({"resources": [*read, *files]}, following)


def _after(cursor: str) -> str:
    if not cursor.startswith(SKILLS):
        raise NotFoundError(f"{cursor!r} is no cursor of this list", hint="take `nextCursor` of a page")
    return cursor.removeprefix(SKILLS)


def _skill_resource(summary: SkillSummary) -> Document:
    return {
        "uri": f"{SKILLS}{summary.name}", "name": summary.name, "mimeType": PLAIN,
        "description": shorten(f"{summary.state}: {summary.description}", 300),
    }  # fmt: skip


def _run_resource(run: Run) -> Document:
    return {
        "uri": f"{RUNS}{run.id}", "name": f"run {run.id[:13]}", "mimeType": PLAIN,
        "description": shorten(f"{run.outcome}: {run.task}", 300),
    }  # fmt: skip


def read_resource(visit: Visit, uri: str) -> Document:
    """Return what stands at an address.

    Raises:
        NotFoundError: Nothing does.
        UsageError: It cannot be read.
        RefusedError: It is a file of a skill that is not served.
    """
    if uri.startswith(SCHEME):
        found, path = find(visit.workspace, uri)
        return {"contents": [_file(found, path, uri)]}
    if uri.startswith(SKILLS):
        text = skill_text(visit.workspace, unquote(uri.removeprefix(SKILLS)))
    elif uri.startswith(RUNS):
        parts = urlsplit(uri)
        text = run_text(visit.workspace, parts.path.strip("/"), after=_number(parts.query))
    else:
        raise NotFoundError(f"there is no resource {uri!r}")
    return {"contents": [{"uri": uri, "mimeType": PLAIN, "text": text}]}


def _number(query: str) -> int:
    given = parse_qs(query).get("after", ["0"])[-1]
    if not given.isdecimal():
        raise UsageError(f"after={given} is not an event's number", hint="take that of the page before")
    return int(given)


def _file(found: Published, path: str, uri: str) -> Document:
    content = found.files.get(path)
    if content is None:
        raise NotFoundError(f"there is no file at {uri}", hint=f"skills/get of {found.uri} lists them")
    about: Document = {"uri": uri, "mimeType": mime_type(path, content)}
    text = as_text(content)
    return {**about, "blob": b64encode(content).decode()} if text is None else {**about, "text": text}


def _page(page: Document, after: str | None) -> Document:
    return page if after is None else {**page, "nextCursor": after}
