"""What an execution would do, node by node: the exact code, the exact calls.

Where a value comes from a result that is not there yet, the document says from which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from skillsmith.errors import ExecutionError, RefusedError, SkillsmithError
from skillsmith.library.bindings import resolve, show, sources
from skillsmith.library.graph import Stop
from skillsmith.library.node_runs import CODE_TIMEOUT_SECONDS, rendered
from skillsmith.library.preparation import Means, Preparation, refuse_untrusted, require_means, warnings_of
from skillsmith.library.workfolder import InputFile
from skillsmith.models import Binding, FileUse, FromInput, FromNode, Json, Node


def document_of(preparation: Preparation, *, means: Means) -> dict[str, Json]:
    """Return the dry run of an execution as JSON.

    Args:
        preparation: Made with ``only_look``.
        means: What could be used; what is missing becomes a problem in the document.
    """
    skill = preparation.skill
    return {
        "skill": skill.name,
        "version": skill.version,
        "state": skill.state,
        "task": preparation.task,
        "inputs": [_input(preparation, name) for name in preparation.inputs],
        "missing": list(preparation.missing),
        "work_dir": None if preparation.work_dir is None else str(preparation.work_dir),
        "files_brought_in": [_file(file) for file in preparation.files.files],
        "nodes": [_node(preparation, stop) for stop in preparation.graph.work()],
        "warnings": warnings_of(skill),
        "problems": list(_problems(preparation, means)),
    }  # fmt: skip


def _problems(preparation: Preparation, means: Means) -> Iterator[str]:
    try:
        refuse_untrusted(preparation.graph)
    except RefusedError as error:
        yield str(error)
    try:
        require_means(preparation.graph, means)
    except ExecutionError as error:
        yield str(error)
    if preparation.missing:
        yield f"no value for {', '.join(preparation.missing)}"


def _file(file: InputFile) -> dict[str, Json]:
    own = isinstance(file.source, Path)
    return {"path": file.path, "from": str(file.source) if own else "the skill"}


def _input(preparation: Preparation, name: str) -> dict[str, Json]:
    value = preparation.inputs[name]
    bound = preparation.bound.get(name)
    entry: dict[str, Any] = {"name": name, "value": value, "from": "default" if bound is None else bound.rule}
    if bound is not None:
        entry["evidence"] = bound.evidence
    used = preparation.files.values.get(name, value)
    if used != value:
        entry["used_as"] = used
    return entry


def _node(preparation: Preparation, stop: Stop) -> dict[str, Json]:
    node = stop.node
    values = preparation.files.values if not stop.scope else {}
    entry: dict[str, Json] = {
        "id": stop.key, "kind": node.kind, "title": node.title, "agent": node.agent, "effect": node.effect,
        "after": sorted(stop.after), "optional": node.optional, "condition": node.condition,
        "retries": node.retries,
    }  # fmt: skip
    if node.kind == "tool":
        entry |= {"tool": node.tool, "arguments": {n: _value(b, values) for n, b in node.arguments.items()}}
    if node.template is not None:
        entry |= _text(node, values)
    if node.kind == "code":
        entry |= {
            "language": node.language or "python",
            "timeout_seconds": node.timeout_seconds or CODE_TIMEOUT_SECONDS,
            "reads": _paths(node.reads, values),
            "writes": _paths(node.writes, values),
        }
    return entry


def _text(node: Node, values: Mapping[str, Json]) -> dict[str, Json]:
    """Return the template filled in, or, while values are unknown, as it is with where they come from."""
    name = {"code": "code", "agent": "prompt", "approval": "question"}.get(node.kind, "expression")
    assert node.template is not None
    places = {
        slot.variable: node.bindings.get(slot.variable, FromInput(slot.variable))
        for slot in node.template.slots
    }
    if all(_is_known(binding, values) for binding in places.values()):
        try:
            return {name: rendered(node, values, {})}
        except SkillsmithError as error:
            return {"template": node.template.text, "problem": str(error)}
    return {
        "template": node.template.text,
        "values": {key: _value(item, values) for key, item in places.items()},
    }


def _value(binding: Binding, values: Mapping[str, Json]) -> dict[str, Json]:
    if _is_known(binding, values):
        try:
            return {"value": resolve(binding, values, {})}
        except ExecutionError as error:
            return {"problem": error.message}
    return {"from": show(binding)}


def _is_known(binding: Binding, values: Mapping[str, Json]) -> bool:
    return all(not isinstance(source, FromNode) and source.name in values for source in sources(binding))


def _paths(uses: Iterable[FileUse], values: Mapping[str, Json]) -> list[Json]:
    return [_value(use.path, values) for use in uses]
