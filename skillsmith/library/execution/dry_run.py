"""What an execution would do, node by node: the exact code, the exact calls.

Where a value comes from a result that is not there yet, the document says from which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from skillsmith.errors import ExecutionError, RefusedError, SkillsmithError
from skillsmith.library.agents.nodes import allowed_tools, knowledge_of
from skillsmith.library.execution.node_runs import CODE_TIMEOUT_SECONDS, rendered
from skillsmith.library.execution.preparation import (
    Means,
    Preparation,
    refuse_untrusted,
    require_means,
    warnings_of,
)
from skillsmith.library.execution.workfolder import InputFile
from skillsmith.library.program.bindings import ITEM, reads_item, resolve, show, sources
from skillsmith.library.program.graph import Stop
from skillsmith.models import Binding, FileUse, FromInput, FromNode, Json, Node, Skill


def document_of(preparation: Preparation, *, means: Means) -> dict[str, Json]:
    """Return the dry run of an execution as JSON.

    Args:
        preparation: Made with ``only_look``.
        means: What could be used; what is missing becomes a problem in the document.
    """
    skill, values = preparation.skill, _scope_values(preparation)
    return {
        "skill": skill.name,
        "version": skill.version,
        "state": skill.state,
        "task": preparation.task,
        "inputs": [_input(preparation, name) for name in preparation.inputs],
        "missing": list(preparation.missing),
        "work_dir": None if preparation.work_dir is None else str(preparation.work_dir),
        "files_brought_in": [_file(file) for file in preparation.files.files],
        "nodes": [
            _node(stop, values[stop.scope], preparation.graph.skills[stop.scope], means)
            for stop in preparation.graph.work()
        ],
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
    elif name in preparation.defaults_used:
        entry["evidence"] = "the task does not speak of it"
    used = preparation.files.values.get(name, value)
    if used != value:
        entry["used_as"] = used
    return entry


def _scope_values(preparation: Preparation) -> dict[str, dict[str, Json]]:
    """Return the inputs of each skill as far as they are known before anything runs, by scope."""
    values: dict[str, dict[str, Json]] = {"": dict(preparation.files.values)}
    for stop in preparation.graph.stops.values():
        if stop.enters is None:
            continue
        outer = values[stop.scope]
        inner = {variable.name: variable.default for variable in stop.enters.variables}
        for name, binding in stop.node.arguments.items():
            known = _value(binding, outer)
            if "value" in known:
                inner[name] = known["value"]
            else:
                inner.pop(name, None)
        values[stop.inner] = inner
    return values


def _node(stop: Stop, values: Mapping[str, Json], skill: Skill, means: Means) -> dict[str, Json]:
    node = stop.node
    entry: dict[str, Json] = {
        "id": stop.key, "kind": node.kind, "title": node.title, "agent": node.agent, "effect": node.effect,
        "after": sorted(stop.after), "optional": node.optional, "condition": node.condition,
        "retries": node.retries, "repeatable": node.repeatable, "output_schema": node.output_schema,
        "timeout_seconds": node.timeout_seconds,
    }  # fmt: skip
    if node.kind == "agent":
        allowed = allowed_tools(node, means.tools)
        entry["knowledge"] = knowledge_of(skill, node)
        entry["tools"] = sorted(means.tools.names() if means.tools and allowed is None else allowed or ())
    if node.kind == "tool":
        entry |= {"tool": node.tool, "arguments": _arguments(node, values)}
    if node.for_each is not None:
        entry["for_each"] = _value(node.for_each, values)
        items = entry["for_each"].get("value")
        if node.kind == "tool" and isinstance(items, list):
            entry["calls"] = [_arguments(node, {**values, ITEM: item}) for item in items]
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


def _arguments(node: Node, values: Mapping[str, Json]) -> dict[str, Json]:
    return {name: _value(binding, values) for name, binding in node.arguments.items()}


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
    if reads_item(binding) and ITEM not in values:
        return False
    return all(not isinstance(source, FromNode) and source.name in values for source in sources(binding))


def _paths(uses: Iterable[FileUse], values: Mapping[str, Json]) -> list[Json]:
    return [_value(use.path, values) for use in uses]
