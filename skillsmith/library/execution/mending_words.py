"""What an agent is told about a node that failed, and the form of its answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.events import dump_json
from skillsmith.library.program.graph import Stop
from skillsmith.models import Json
from skillsmith.models.protocols import DescribedTools

MAX_OUTPUT_CHARS = 4_000
"""Of what failing code printed; the end is what tells."""

MAX_CODE_CHARS = 30_000

ROLE = (
    "You mend one failing step of a recorded workflow. Change as little as needed so that the step does what"
    " it was meant to do with the values it was given; never leave out a check or make up a result. When that"
    " is impossible, give up and say why."
)
"""Who mends."""

_RULES = {
    "code": "code: `code` is the whole new code of the step; `language` only if it is another.",
    "arguments": "arguments: `arguments` is the whole set of arguments to call the same tool with.",
    "tool": "tool: call another tool instead; `tool` is its name, `arguments` its arguments.",
    "add_code": "add_before: run `code` (in `language`) first, then the step as it is.",
    "add_tool": "add_before: call `tool` with `arguments` first, then the step as it is.",
    "skip": "skip: leave the step out, because this task does not need it.",
    "give_up": "give_up: it cannot be mended.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A try of a node that failed.

    Args:
        error: Why.
        text: The code as it ran; of code that could not be made, the template.
        arguments: Of the tool call, as far as they are known.
        output: What it printed.
        may_skip: Whether nothing would miss the node.
    """

    stop: Stop
    error: str
    text: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    output: str = ""
    exit_code: int | None = None
    may_skip: bool = False

    @property
    def tried(self) -> str:
        """What was tried, so that the same is not tried twice."""
        return dump_json([self.stop.node.tool, dict(self.arguments)]) if self.stop.node.tool else self.text


def answer_schema(trouble: Trouble) -> dict[str, Json]:
    """Return the JSON Schema of the agent's answer."""
    is_code = trouble.stop.node.kind == "code"
    fields: dict[str, Json] = {
        "action": {"type": "string", "enum": _actions(trouble)},
        "reason": {"type": "string", "description": "One sentence: what was wrong and what you changed."},
    }
    if is_code:
        fields |= {"code": {"type": "string"}, "language": {"type": "string"}}
    else:
        fields |= {"tool": {"type": "string"}, "arguments": {"type": "object"}}
    return {"type": "object", "properties": fields, "required": ["action", "reason"]}


def _actions(trouble: Trouble) -> list[str]:
    changes = ["code"] if trouble.stop.node.kind == "code" else ["arguments", "tool"]
    return [*changes, "add_before", *(["skip"] if trouble.may_skip else []), "give_up"]


def trouble_prompt(
    trouble: Trouble, *, task: str, files: Sequence[str], tools: DescribedTools | None, earlier: Sequence[str]
) -> str:
    """Return what the agent is asked.

    Args:
        trouble: What went wrong.
        task: What the user asked for.
        files: Names of the files in the work folder.
        tools: Where the schema of a tool's arguments stands, when that is known.
        earlier: Why what the agent gave before was no use.
    """
    parts = [*_what(trouble, task), *_how(trouble, tools), *_answers(trouble)]
    if files and trouble.stop.node.kind == "code":
        parts.append("Files in the work folder: " + ", ".join(files))
    if earlier:
        parts.append("You tried before, in vain:\n" + "\n".join(f"- {error}" for error in earlier))
    return "\n\n".join(parts)


def _what(trouble: Trouble, task: str) -> Iterator[str]:
    node = trouble.stop.node
    if task:
        yield f"The task: {task}"
    purpose = node.title or node.tool or "a step"
    yield f"The step {trouble.stop.key} ({purpose}) has failed: {trouble.error}"
    if trouble.output.strip():
        yield f"It printed, at the end:\n{_fenced(trouble.output[-MAX_OUTPUT_CHARS:])}"


def _how(trouble: Trouble, tools: DescribedTools | None) -> Iterator[str]:
    node = trouble.stop.node
    if node.kind == "code":
        yield f"The code that ran ({node.language or 'python'}):\n{_fenced(trouble.text[:MAX_CODE_CHARS])}"
        if node.template is not None and node.template.slots:
            names = ", ".join(dict.fromkeys(f"{{{slot.variable}}}" for slot in node.template.slots))
            text = node.template.text[:MAX_CODE_CHARS]
            yield f"Its template, where {names} stand for this task's values:\n{_fenced(text)}"
        return
    yield f"The call: {node.tool}({dump_json(dict(trouble.arguments))})"
    if tools is not None:
        yield f"What the tool takes: {dump_json(dict(tools.schema(node.tool or '')))}"


def _answers(trouble: Trouble) -> Iterator[str]:
    kind = "code" if trouble.stop.node.kind == "code" else "tool"
    rules = [_RULES[f"add_{kind}" if action == "add_before" else action] for action in _actions(trouble)]
    yield "Answer with one action:\n" + "\n".join(f"- {rule}" for rule in rules)
    if trouble.stop.node.writes:
        yield "Files that the step promises to write must be there afterwards, under the same names."


def _fenced(text: str) -> str:
    return f"```\n{text.rstrip()}\n```"
