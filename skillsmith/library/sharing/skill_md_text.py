"""What people and agents read of an exported skill: the body of its SKILL.md, and the cases that try it.

Made from the skill alone, so that the same skill reads the same on every machine. It is for reading:
what counts on the way back is the sidecar.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from skillsmith.library.program.bindings import as_text, show
from skillsmith.models import Constant, FromInput, Json, Node, Proof, Skill, Variable

SHOWN_EXAMPLES: Final = 5
MAX_CELL: Final = 160

_DOES: Mapping[str, str] = {
    "code": "run code", "tool": "call a tool", "agent": "give to an agent", "skill": "use the skill",
    "approval": "ask a person", "check": "check",
}  # fmt: skip


def body_of(skill: Skill, scripts: Mapping[str, str]) -> str:
    """Return the markdown body of a typed skill.

    Args:
        skill: The skill.
        scripts: Path of a node's code in the folder, by node id.
    """
    sections = (
        _about(skill), _inputs(skill.variables), _steps(skill, scripts), _outputs(skill), _running(skill),
        _proofs(skill.proofs), _notes(skill),
    )  # fmt: skip
    return "\n" + "\n".join(line for section in sections for line in section)


def _about(skill: Skill) -> Iterator[str]:
    yield from (f"# {title_of(skill)}", "")
    if skill.description.strip():
        yield from (skill.description.strip(), "")
    if skill.task_pattern.strip():
        yield from ("It does tasks like this one, with other values in the places:", "")
        yield from (*_quoted(skill.task_pattern.strip()), "")
    if skill.examples:
        yield from ("Tasks it has done:", "")
        yield from (f"- {_cell(example)}" for example in skill.examples[:SHOWN_EXAMPLES])
        yield ""


def title_of(skill: Skill) -> str:
    """Return a skill's name as words."""
    words = " ".join(skill.name.replace("_", " ").replace("-", " ").split())
    return words[:1].upper() + words[1:]


def _quoted(text: str) -> Iterator[str]:
    yield from (f"> {line}".rstrip() for line in text.splitlines())


def _cell(value: Json) -> str:
    """Return any value as one short line that cannot end a table's cell."""
    text = value if isinstance(value, str) else as_text(value)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = line if len(line) <= MAX_CELL else line[: MAX_CELL - 1].rstrip() + "…"
    return line.replace("\\", "\\\\").replace("|", "\\|")


def _inputs(variables: Sequence[Variable]) -> Iterator[str]:
    if not variables:
        return
    yield from ("## Inputs", "", "| input | type | | example or default | meaning |", "|---|---|---|---|---|")
    for one in variables:
        kind = f"{one.type}: {', '.join(map(_cell, one.enum))}" if one.enum else one.type
        default = "" if one.default is None else f"`{_cell(one.default)}`"
        yield (
            f"| `{one.name}` | {kind} | {'required' if one.required else ''} | {default} |"
            f" {_cell(one.description)} |"
        )
    yield ""


def _steps(skill: Skill, scripts: Mapping[str, str]) -> Iterator[str]:
    if not skill.nodes:
        return
    yield from ("## Steps", "")
    if any(node.template and node.template.slots for node in skill.nodes):
        yield from ("A name in braces stands for a value: of an input, or as said under its step.", "")
    for number, node in enumerate(skill.nodes, 1):
        yield f"{number}. {_headline(node, scripts)}"
        yield from (f"   - {fact}" for fact in _facts(node))
        if node.template is not None and node.kind != "code":
            yield from (f"   {line}".rstrip() for line in ("", *_quoted(node.template.text.strip()), ""))
    yield ""


def _headline(node: Node, scripts: Mapping[str, str]) -> str:
    what = f" `{_cell(node.tool)}`" if node.tool else ""
    if node.id in scripts:
        what = f" [{scripts[node.id]}]({scripts[node.id]})"
    title = f": {_cell(node.title)}" if node.title and node.title != node.tool else ""
    who = f" (by {_cell(node.agent)})" if node.agent else ""
    return f"**{_cell(node.id)}** {_DOES[node.kind]}{what}{title}{who}"


def _facts(node: Node) -> Iterator[str]:
    if node.condition:
        yield f"only if `{_cell(node.condition)}`"
    if node.for_each is not None:
        yield f"once for each item of {_cell(show(node.for_each))}"
    for name, binding in (*node.arguments.items(), *node.bindings.items()):
        yield f"`{_cell(name)}` = {_cell(show(binding))}"
    for verb, uses in (("reads", node.reads), ("writes", node.writes)):
        if uses:
            yield f"{verb} {', '.join(_cell(show(use.path)) for use in uses)}"
    if node.after:
        yield f"after {', '.join(node.after)}"
    if node.optional:
        yield "may fail"


def _outputs(skill: Skill) -> Iterator[str]:
    if skill.output_bindings:
        yield from ("## Result", "")
        for name, binding in skill.output_bindings.items():
            yield f"- `{_cell(name)}`: {_cell(show(binding))}"
        yield ""


def _running(skill: Skill) -> Iterator[str]:
    values = " ".join(
        f"--set {one.name}={'…' if one.default is None else _argument(one.default)}"
        for one in skill.variables
        if one.required
    )
    tools = " --tools MODULE" if any(node.kind == "tool" for node in skill.nodes) else ""
    yield from (
        "## Run it", "",
        "skillsmith (`pip install skillsmith-cli`) does all steps by itself and checks them, from what is in",
        "`assets/skill.json`. In this folder:", "", "```sh",
        "skillsmith import .",
        f"skillsmith trust {skill.name}",
        " ".join(f'skillsmith run "TASK" --use-skill {skill.name} {values}{tools}'.split()),
        "```", "", "Without it, do the steps above in their order.", "",
    )  # fmt: skip


def _argument(value: Json) -> str:
    text = " ".join(as_text(value).split())
    return shlex.quote(text if text.isprintable() and len(text) <= MAX_CELL else "…")


def _proofs(proofs: Sequence[Proof]) -> Iterator[str]:
    if not proofs:
        return
    yield from ("## Proof", "", "Found on the machine of its author; skillsmith proves it anew on yours.", "")
    seen = dict.fromkeys(
        (one.level, one.passed, one.compared) for one in sorted(proofs, key=lambda one: one.level)
    )
    for level, passed, compared in seen:
        yield f"- {level}: {'passed' if passed else 'failed'}, {compared} compared"
    yield ""


def _notes(skill: Skill) -> Iterator[str]:
    if skill.body.strip():
        yield from ("## Notes", "", skill.body.strip("\n"), "")


def evals_of(skill: Skill, name: str) -> bytes | None:
    """Return ``evals.json``: the tasks the skill has done and what must come of them; None without any.

    Args:
        skill: The skill.
        name: As the folder is called.
    """
    if not skill.examples:
        return None
    known = int(skill.context_requirements.get("source_tasks", 0)) if skill.context_requirements else 0
    cases = [
        _case(skill, number, task, number <= max(1, known)) for number, task in enumerate(skill.examples, 1)
    ]
    document = {"skill_name": name, "evals": cases}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _case(skill: Skill, number: int, task: str, from_source: bool) -> dict[str, Json]:  # noqa: FBT001  (private)
    proven = [f"{one.level} ({one.compared} compared)" for one in skill.proofs if one.passed]
    outcome = f"What the recorded run did, as proven: {', '.join(sorted(set(proven)))}." if proven else ""
    expected = outcome if from_source and outcome else f"The task is done as {title_of(skill)} does it."
    return {
        "id": number, "prompt": task, "expected_output": expected,
        "files": _files(skill) if from_source else [],
        "assertions": list(dict.fromkeys(_assertions(skill, recorded=from_source))),
    }  # fmt: skip


def _files(skill: Skill) -> list[str]:
    inputs = {one.name: one.default for one in skill.variables}
    made = {_path(use.path, inputs) for node in skill.nodes for use in node.writes}
    read = [_path(use.path, inputs) for node in skill.nodes for use in node.reads]
    return list(dict.fromkeys(path for path in read if path and path not in made))


def _assertions(skill: Skill, *, recorded: bool) -> Iterator[str]:
    """Yield what must hold afterwards; with recorded values where the task is the recorded one."""
    inputs = {one.name: one.default for one in skill.variables} if recorded else {}
    for node in skill.nodes:
        if node.kind == "tool" and node.effect == "write":
            values = ", ".join(f"{name} = {_cell(value)}" for name, value in _known(node, inputs).items())
            yield f"the tool {_cell(node.tool)} is called" + (f" with {values}" if values else "")
        for use in node.writes:
            path = _path(use.path, inputs)
            yield (
                f"the file {path} exists"
                if path
                else f"step {node.id} leaves the file {_cell(show(use.path))}"
            )
        if node.kind == "check" and node.template is not None:
            yield f"{_cell(node.template.text)} holds"
    yield from (f"the result has {_cell(name)}" for name in skill.output_bindings)


def _known(node: Node, inputs: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, binding in node.arguments.items():
        if isinstance(binding, Constant):
            found[name] = binding.value
        elif isinstance(binding, FromInput) and inputs.get(binding.name) is not None:
            found[name] = inputs[binding.name]
    return found


def _path(binding: object, inputs: Mapping[str, Json]) -> str | None:
    value = inputs.get(binding.name) if isinstance(binding, FromInput) else None
    value = binding.value if isinstance(binding, Constant) else value
    return value if isinstance(value, str) else None
