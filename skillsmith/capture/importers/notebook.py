"""Notebooks in which agents were run: what CMBAgent and AG2 print and show becomes the run's events.

A cell that shows agents at work is a run; one that runs several tasks in turn is several. The other cells go
with the run before them, those at the beginning with the first, each as a raw event. Pictures become notes.
A notebook without agents is no log.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import as_text, items, mapping, text_or_none, without
from skillsmith.capture.importers.console import mentions_agents
from skillsmith.capture.importers.cost_tables import cost_rows
from skillsmith.capture.importers.printed_chat import PrintedChat
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.source import NOT_A_LOG, Head, LogSource
from skillsmith.models import Event, Json, Problem, RunRecord, RunStatus

NAME = "notebook"
_CELL_TYPES = ("code", "markdown", "raw")
_IMPORTS = re.compile(r"^\s*(?:import|from)\s+(?:cmbagent|autogen|ag2)\b", re.MULTILINE)
_TASK_NAMES = ("task", "question", "message", "prompt", "problem")
_TASK_CALLS = frozenset({
    "solve", "one_shot", "planning_and_control", "planning_and_control_context_carryover", "deep_research",
    "control", "human_in_the_loop", "initiate_chat", "run",
})  # fmt: skip
_REMOVED = re.compile(r"\s*<(\d{1,12}) base64 characters removed>\s*")  # as tools that shrink notebooks write
_TEXT_TYPES = ("text/markdown", "text/html", "text/plain")
_LONGEST_SOURCE = 200_000
_OLD_KEYS: Mapping[str, str] = {"input": "source", "prompt_number": "execution_count"}
_OLD_OUTPUTS: Mapping[str, str] = {
    "stream": "stream", "pyout": "execute_result", "pyerr": "error", "display_data": "display_data",
}  # fmt: skip
_OLD_MEDIA: Mapping[str, str] = {
    "text": "text/plain", "html": "text/html", "png": "image/png", "jpeg": "image/jpeg",
    "svg": "image/svg+xml", "latex": "text/latex", "json": "application/json",
    "javascript": "application/javascript",
}  # fmt: skip


def sniff(head: Head) -> float:
    """Return how surely a file is a notebook with agents in it."""
    document = head.objects[0] if head.objects and not head.lines else {}
    cells = [mapping(cell) for cell in _cells(document)]
    if not cells or cells[0].get("cell_type") not in _CELL_TYPES:
        return 0.0
    if any(_has_agents(cell) or _IMPORTS.search(_text(cell.get("source"))) for cell in cells):
        return 0.95
    return 0.0 if "nbformat" in document else 0.6  # the beginning may be one large picture


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield the runs of a notebook."""
    document = source.document()
    if isinstance(document, Problem):
        yield document
        return
    notebook = mapping(document)
    listed = _cells(notebook)
    cells = [cell for cell in listed if isinstance(cell, dict)]
    if not any(_has_agents(cell) or _IMPORTS.search(_text(cell.get("source"))) for cell in cells):
        yield source.problem(NOT_A_LOG)
        return
    for number, cell in enumerate(listed, 1):
        if not isinstance(cell, dict):
            yield source.problem(f"cell {number} is no object")
    code = [cell for cell in cells if cell.get("cell_type") == "code"]
    about = {
        "cells": len(cells),
        "code_cells": len(code),
        "outputs": sum(len(items(cell.get("outputs"))) for cell in code),
    }
    for run in _runs(cells):
        yield run.record(about)


def _cells(notebook: Mapping[str, Json]) -> list[Json]:
    """Return the cells of a notebook in today's form."""
    sheets = [mapping(sheet) for sheet in items(notebook.get("worksheets"))]  # until version 4
    listed = [cell for sheet in (notebook, *sheets) for cell in items(sheet.get("cells"))]
    return [_in_todays_form(cell) if isinstance(cell, dict) else cell for cell in listed]


def _in_todays_form(cell: Mapping[str, Json]) -> dict[str, Json]:
    renamed = {_OLD_KEYS.get(key, key): value for key, value in cell.items()}
    if "outputs" in renamed:
        renamed["outputs"] = [_todays_output(one) for one in items(renamed["outputs"])]
    return renamed


def _todays_output(output: Json) -> Json:
    kind = _OLD_OUTPUTS.get(text_or_none(mapping(output).get("output_type")) or "")
    if kind is None:
        return output
    renamed = {**output, "output_type": kind}
    if kind == "stream":
        return {**renamed, "name": output.get("name", output.get("stream", "stdout"))}
    if kind == "error" or "data" in output:
        return renamed
    data = {_OLD_MEDIA[key]: value for key, value in output.items() if key in _OLD_MEDIA}
    return {**without(renamed, _OLD_MEDIA), "data": data}


def _joined(outputs: Sequence[Json]) -> list[Json]:
    """Return outputs with the pieces of one stream as one."""
    joined: list[Json] = []
    for output in outputs:
        last = mapping(joined[-1]) if joined else {}
        stream = mapping(output).get("output_type") == last.get("output_type") == "stream"
        if stream and output.get("name") == last.get("name"):
            joined[-1] = {**last, "text": _text(last.get("text")) + _text(output.get("text"))}
        else:
            joined.append(output)
    return joined


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run as it is put together.

    Args:
        name: The id of its cell, with its number in the cell when it is not the first.
        cell: Whether a cell with agents has been added; else only cells that stand before the first.
    """

    name: str | None = None
    task: str = ""
    cell: bool = False
    status: RunStatus = "completed"
    events: list[Event] = field(default_factory=list)

    def record(self, about: Mapping[str, Json]) -> RunRecord:
        """Return the run."""
        return RunRecord(
            source=NAME,
            native_id=self.name,
            task=self.task,
            status=self.status,
            metadata=about,
            events=tuple(self.events),
        )


def _runs(cells: Sequence[Mapping[str, Json]]) -> Iterator[_Run]:
    """Yield the runs of a notebook's cells; without agents, one run that keeps the cells."""
    current = _Run()
    known: dict[str, str] = {}  # texts that cells have given names, such as the task
    for cell in cells:
        tree = _syntax(_text(cell.get("source")))
        known.update(_named_texts(tree))
        if not _has_agents(cell):
            current.events.append(_kept_cell(cell, outputs=True))
            continue
        for run in _runs_of_cell(cell, _asked(tree, known)):
            if current.cell:
                yield current
            else:
                run.events = [*current.events, *run.events]
            current = run
    yield current


def _runs_of_cell(cell: Mapping[str, Json], asked: str) -> Iterator[_Run]:
    chat = PrintedChat()
    status: RunStatus = "completed"
    for output in _joined(items(cell.get("outputs"))):
        if isinstance(output, dict):
            status = _add_output(chat, output) or status
        else:
            chat.kept("output", as_text(output))
    chat.finish()
    cell_id = text_or_none(cell.get("id"))
    for number, (task, events) in enumerate(chat.parts(), 1):
        yield _Run(
            name=f"{cell_id}/{number}" if cell_id and number > 1 else cell_id,
            task=task or asked,
            cell=True,
            status=status,
            events=[_kept_cell(cell, outputs=False), *events],
        )


def _add_output(chat: PrintedChat, output: Mapping[str, Json]) -> RunStatus | None:
    """Add one output of a cell; return how the run ended when the output says so."""
    kind = output.get("output_type")
    if kind == "stream":
        text, name = _text(output.get("text")), output.get("name")
        if name == "stdout":
            chat.printed(text)
        elif name == "stdin":
            chat.typed(text)
        else:
            chat.kept(text_or_none(name) or "stream", text)
    elif kind == "error":
        name, value = text_or_none(output.get("ename")) or "Error", as_text(output.get("evalue")) or ""
        chat.failed(name, value, "\n".join(map(str, items(output.get("traceback")))))
        return "interrupted" if name == "KeyboardInterrupt" else "failed"
    else:
        _add_display(chat, output)
    return None


def _add_display(chat: PrintedChat, output: Mapping[str, Json]) -> None:
    data = mapping(output.get("data"))
    rows = list(cost_rows(_text(data.get("text/html")))) if "text/html" in data else []
    for row in rows:
        chat.cost(row)
    if rows:
        return
    is_result = output.get("output_type") == "execute_result"
    if "text/markdown" in data and not is_result:
        chat.displayed(_text(data["text/markdown"]))
        return
    for content, about in _noted(data):
        chat.kept("result" if is_result else "display", content, about)


def _noted(data: Mapping[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield what an output shows: text as it is, pictures and other data as a note on their size."""
    others = [kind for kind in data if not kind.startswith("text/")]
    for kind in others:
        if kind.endswith("json"):
            yield as_text(data[kind]) or "", {"media_type": kind}
            continue
        payload = _text(data[kind])
        removed = _REMOVED.fullmatch(payload)
        size = int(removed[1]) if removed else len(payload)
        yield f"[{kind}, {size:,} characters]", {"media_type": kind, "characters": size}
    for kind in _TEXT_TYPES:
        if kind in data and not others:
            yield _text(data[kind]), {"media_type": kind}
            return


def _kept_cell(cell: Mapping[str, Json], *, outputs: bool) -> Event:
    """Return a cell as a raw event: its source, and what it gave."""
    about = {
        "line_type": "cell",
        "cell_type": text_or_none(cell.get("cell_type")),
        "id": text_or_none(cell.get("id")),
        "execution_count": cell.get("execution_count"),
        "outputs": [_kept_output(mapping(output)) for output in items(cell.get("outputs"))]
        if outputs
        else None,
    }
    kept = {key: value for key, value in about.items() if value not in (None, [])}
    return Event(kind="raw", content=_text(cell.get("source")), data=kept)


def _kept_output(output: Mapping[str, Json]) -> dict[str, Json]:
    if "data" not in output:
        return {**output, "text": _text(output.get("text"))} if "text" in output else dict(output)
    shown = [{"content": content, **about} for content, about in _noted(mapping(output.get("data")))]
    return {"output_type": output.get("output_type"), "shown": shown}


def _has_agents(cell: Mapping[str, Json]) -> bool:
    """Tell whether a cell's output shows agents at work."""
    for output in _joined(items(cell.get("outputs"))):
        shown = mapping(output)
        if shown.get("output_type") == "stream" and mentions_agents(_text(shown.get("text"))):
            return True
        html = mapping(shown.get("data")).get("text/html")
        if html is not None and any(cost_rows(_text(html))):
            return True
    return False


def _text(value: Json) -> str:
    """Return a text of a notebook, which may be a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _syntax(source: str) -> ast.AST:
    """Return a cell's code as a tree, an empty one when it is not Python."""
    lines = ("" if line.lstrip().startswith(("%", "!", "?")) else line for line in source.split("\n"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the notebook's code may hold odd escapes
            return ast.parse("\n".join(lines) if len(source) <= _LONGEST_SOURCE else "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _named_texts(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield names and the literal texts that a cell gives them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (text := _literal(node.value)) is not None:
            yield from ((target.id, text) for target in node.targets if isinstance(target, ast.Name))


def _asked(tree: ast.AST, known: Mapping[str, str]) -> str:
    """Return the task that a cell's code gives to the agents, empty when it cannot be told."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in _TASK_CALLS:
            continue
        named = [keyword.value for keyword in node.keywords if keyword.arg in _TASK_NAMES]
        for argument in [*named, *node.args[:1]]:
            text = known.get(argument.id) if isinstance(argument, ast.Name) else _literal(argument)
            if text and text.strip():
                return text.strip()
    return next((known[name].strip() for name in _TASK_NAMES if known.get(name)), "")


def _literal(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


IMPORTER = Importer(
    name=NAME,
    description="notebooks in which agents ran: CMBAgent's and AG2's output (.ipynb)",
    sniff=sniff,
    parse=parse,
)
