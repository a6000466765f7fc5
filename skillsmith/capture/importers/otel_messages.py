"""What a span says that went into a model and came out of it, in every dialect, as messages of one form.

Dialects: ``gen_ai.input.messages`` with parts (or, as AG2 writes them, in OpenAI's form), the same as span
events (or in an attribute, as Logfire does), OpenLLMetry's ``gen_ai.prompt.0.content``, OpenInference's
``llm.input_messages.0.message.content``, Vercel's ``ai.prompt.messages`` and ``ai.response.text``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from skillsmith.capture.importers.base import (
    as_text,
    count_or_none,
    items,
    mapping,
    text_or_none,
    tool_call,
    tool_result,
)
from skillsmith.capture.importers.blocks import plain_text, take_apart
from skillsmith.capture.importers.chat import ROLES
from skillsmith.capture.importers.jsontext import parsed_or_none
from skillsmith.capture.importers.otel_spans import Span, SpanEvent
from skillsmith.models import Json, ToolUse

_TEXTS = frozenset({"text", "content"})
_THOUGHTS = frozenset({"reasoning", "thinking"})
_CALLS = frozenset({"tool_call", "server_tool_call"})
_RESPONSES = frozenset({"tool_call_response", "server_tool_call_response"})
_DETAILS = "gen_ai.client.inference.operation.details"
_INDEX_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message.

    Args:
        name: Who said it, where the message names somebody.
        recipient: For whom, where it says so.
        step: In which step, where it says so.
    """

    role: str
    name: str | None = None
    recipient: str | None = None
    step: int | None = None
    text: str | None = None
    reasoning: str | None = None
    calls: tuple[ToolUse, ...] = ()
    results: tuple[ToolUse, ...] = ()

    @property
    def identity(self) -> tuple[object, ...]:
        """What a message is known again by when a later request repeats it, by whatever role."""
        if self.text and self.text.strip():
            return ("text", self.text.strip())
        if self.calls:
            return ("calls", *((use.call_id, use.name, use.call_id or use.arguments) for use in self.calls))
        return ("results", *((use.call_id, use.call_id or use.result) for use in self.results))

    @property
    def says_something(self) -> bool:
        """Whether there is a text, if only an empty one, or a call, and not only results."""
        return self.text is not None or bool(self.calls)


def inputs_of(span: Span, *, plain: bool = True) -> list[Said]:
    """Return what went into a model or an agent, system message first.

    Args:
        span: Its span.
        plain: Whether an input that is no list of messages counts as one.
    """
    facts = _facts(span)
    system = _parts(structured(facts.get("gen_ai.system_instructions")))
    found = [Said(role="system", text=system.text)] if system and system.text else []
    said = _messages(structured(facts.get("gen_ai.input.messages")))
    said = said or _messages(nested(facts, "llm.input_messages")) or _messages(nested(facts, "gen_ai.prompt"))
    said = said or [message for event in _events(span) for message in _of_event(event, choice=False)]
    said = said or _ai_sdk_input(facts)
    return found + (said or (_plain(facts, "input.value", role="user") if plain else []))


def outputs_of(span: Span, *, plain: bool = True) -> list[Said]:
    """Return what came out of a model or an agent; arguments as for ``inputs_of``."""
    facts = _facts(span)
    said = _messages(structured(facts.get("gen_ai.output.messages")), role="assistant")
    said = said or _messages(nested(facts, "llm.output_messages"), role="assistant")
    said = said or _messages(nested(facts, "gen_ai.completion"), role="assistant")
    said = said or [message for event in _events(span) for message in _of_event(event, choice=True)]
    said = said or _ai_sdk_output(facts)
    return said or (_plain(facts, "output.value", role="assistant") if plain else [])


def finish_reason_of(span: Span) -> str | None:
    """Return why the model stopped."""
    reasons = structured(span.attributes.get("gen_ai.response.finish_reasons"))
    stated = [text_or_none(reason) for reason in items(reasons)]
    said = items(structured(_facts(span).get("gen_ai.output.messages")))
    stated += [text_or_none(mapping(message).get("finish_reason")) for message in said]
    return next((reason for reason in stated if reason), text_or_none(reasons))


def _facts(span: Span) -> Mapping[str, Json]:
    """Return the attributes, with those of the event that may carry the content in their place."""
    for event in span.events:
        if event.name == _DETAILS:
            return {**span.attributes, **event.attributes}
    return span.attributes


def _events(span: Span) -> Iterator[SpanEvent]:
    """Yield the events of a span, and those that one of its attributes lists."""
    yield from span.events
    for listed in items(structured(span.attributes.get("events"))):
        if name := text_or_none(mapping(listed).get("event.name")):
            yield SpanEvent(name=name, at=span.end, attributes=listed)


def _ai_sdk_input(facts: Mapping[str, Json]) -> list[Said]:
    prompt = mapping(structured(facts.get("ai.prompt")))
    listed = structured(facts.get("ai.prompt.messages")) or prompt.get("messages") or prompt.get("prompt")
    system = text_or_none(prompt.get("system"))
    return [*([Said(role="system", text=system)] if system else []), *_messages(listed)]


def _ai_sdk_output(facts: Mapping[str, Json]) -> list[Said]:
    text = text_or_none(facts.get("ai.response.text")) or text_or_none(facts.get("ai.response.object"))
    listed = [mapping(call) for call in items(structured(facts.get("ai.response.toolCalls")))]
    calls = tuple(
        tool_call(call.get("toolName"), call.get("toolCallId"), call.get("input", call.get("args")))
        for call in listed
    )
    return [Said(role="assistant", text=text, calls=calls)] if text or calls else []


def structured(value: Json) -> Json:
    """Return what an attribute holds that may be JSON or JSON as text."""
    return parsed_or_none(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


def nested(attributes: Mapping[str, Json], prefix: str) -> Json:
    """Return the value that dotted names below ``prefix`` spell out: ``x.0.y`` is a list of objects."""
    if prefix in attributes:
        return structured(attributes[prefix])
    tree: dict[str, Json] = {}
    for name, value in attributes.items():
        if not name.startswith(prefix + "."):
            continue
        at, *path = name[len(prefix) + 1 :].split(".")
        node = tree
        for key in path:
            inner = node.setdefault(at, {})
            if not isinstance(inner, dict):
                break
            node, at = inner, key
        else:
            node.setdefault(at, value)
    return _listed(tree)


def _listed(tree: Json) -> Json:
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdecimal() and len(key) < _INDEX_DIGITS for key in tree):
        return [_listed(tree[key]) for key in sorted(tree, key=int)]
    return {key: _listed(value) for key, value in tree.items()}


def _messages(value: Json, *, role: str = "user") -> list[Said]:
    """Return the messages of a list (or a text that stands for one message).

    Args:
        value: As the attribute holds it.
        role: Of a message that names none.
    """
    if isinstance(value, str) and value:
        return [Said(role=role, text=value)]
    found: list[Said] = []
    for item in [value] if isinstance(value, dict) else items(value):
        if isinstance(item, str):
            found.append(Said(role=role, text=item))
        elif isinstance(item, dict):
            message = mapping(item.get("message")) or item
            found.append(_message(_undotted(message), role))
    return [said for said in found if said.says_something or said.reasoning or said.results]


def _undotted(message: Mapping[str, Json]) -> dict[str, Json]:
    """Return a message whose fields may be named ``message.role``, as in Phoenix's tables."""
    return {key.removeprefix("message."): value for key, value in message.items()}


def _message(message: Mapping[str, Json], role: str) -> Said:
    stated = text_or_none(message.get("role")) or role
    role = ROLES.get(stated.lower(), role)
    taken = _parts(message.get("parts")) or _openai(message)
    if role == "tool" and taken.text is not None and not taken.results:
        taken = Said(role=role, results=(_result(None, taken.text, name=message.get("name")),))
    return Said(
        role=role,
        name=text_or_none(message.get("name")),
        recipient=text_or_none(message.get("recipient")),
        step=count_or_none(message.get("step")),
        text=taken.text,
        reasoning=taken.reasoning,
        calls=taken.calls,
        results=taken.results,
    )


def _parts(value: Json) -> Said | None:
    """Return what a list of parts says; None when there is no list."""
    if isinstance(value, str):
        return Said(role="", text=value)
    if not isinstance(value, list):
        return None
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolUse] = []
    results: list[ToolUse] = []
    for part in value:
        record = part if isinstance(part, dict) else {"type": "text", "content": part}
        kind = text_or_none(record.get("type")) or ""
        if kind in _TEXTS:
            texts.append(as_text(record.get("content", record.get("text"))) or "")
        elif kind in _THOUGHTS:
            thoughts.append(as_text(record.get("content", record.get("text"))) or "")
        elif kind in _CALLS:
            calls.append(tool_call(record.get("name"), record.get("id"), record.get("arguments")))
        elif kind in _RESPONSES:
            answer = next((record[key] for key in ("response", "result", "content") if key in record), None)
            results.append(_result(record.get("id"), answer, name=record.get("name")))
        else:
            texts.append(_note(record))
    return Said(
        role="",
        text="\n".join(texts) if texts else None,
        reasoning="\n".join(thoughts) or None,
        calls=tuple(calls),
        results=tuple(results),
    )


def _note(part: Mapping[str, Json]) -> str:
    """Return a note on what is no text: a picture's data helps no one in a timeline."""
    kind = text_or_none(part.get("type")) or "part"
    where = text_or_none(part.get("uri")) or text_or_none(part.get("file_id"))
    content = text_or_none(part.get("content")) or text_or_none(part.get("data"))
    facts = [kind, text_or_none(part.get("mime_type")) or text_or_none(part.get("modality")), where]
    if kind == "blob" and content:
        facts.append(f"{len(content):,} characters")
    elif where is None:
        return as_text(dict(part)) or ""
    return f"[{' '.join(fact for fact in facts if fact)}]"


def _result(call_id: Json, answer: Json, *, name: Json = None) -> ToolUse:
    text = plain_text(answer) if isinstance(answer, list) else as_text(answer)
    return tool_result(text_or_none(name) or "unknown", call_id, text)


def _openai(message: Mapping[str, Json]) -> Said:
    """Return what a message in OpenAI's form, or in OpenInference's, says."""
    blocks = message.get("contents")
    content = _inference_blocks(blocks) if isinstance(blocks, list) else message.get("content")
    parts = take_apart(structured(content) if isinstance(content, str) and content[:2] == "[{" else content)
    results = tuple(_result(result.call_id, result.text) for result in parts.results)
    text = parts.text
    if message.get("tool_call_id") and message.get("role") in ("tool", "function"):
        results, text = (_result(message["tool_call_id"], parts.text, name=message.get("name")),), None
    thought = text_or_none(message.get("reasoning_content")) or text_or_none(message.get("reasoning"))
    calls = (*_calls(message.get("tool_calls")), *_calls(message.get("function_call")), *parts.calls)
    return Said(role="", text=text, reasoning=thought or parts.thinking, calls=calls, results=results)


def _inference_blocks(blocks: Iterable[Json]) -> list[Json]:
    found: list[Json] = []
    for block in blocks:
        inner = mapping(mapping(block).get("message_content")) or mapping(block)
        found.append({key.removeprefix("message_content."): value for key, value in inner.items()})
    return found


def _calls(value: Json) -> Iterator[ToolUse]:
    for item in [value] if isinstance(value, dict) else items(value):
        call = mapping(mapping(item).get("tool_call")) or mapping(item)
        call = {key.removeprefix("tool_call."): inner for key, inner in call.items()}
        function = mapping(call.get("function")) or call
        name = function.get("name", call.get("function.name"))
        arguments = function.get("arguments", call.get("function.arguments"))
        if name is not None or arguments is not None:
            yield tool_call(name, call.get("id"), arguments)


def _of_event(event: SpanEvent, *, choice: bool) -> Iterator[Said]:
    """Yield the messages of a span event of the older conventions."""
    facts = event.attributes
    if event.name == "gen_ai.choice" and choice:
        message = structured(facts.get("message"))
        yield from _messages(message if message is not None else dict(facts), role="assistant")
    elif event.name == "gen_ai.content.prompt" and not choice:
        yield from _messages(structured(facts.get("gen_ai.prompt")))
    elif event.name == "gen_ai.content.completion" and choice:
        yield from _messages(structured(facts.get("gen_ai.completion")), role="assistant")
    elif event.name.startswith("gen_ai.") and event.name.endswith(".message") and not choice:
        role = event.name.removeprefix("gen_ai.").removesuffix(".message")
        body = {**facts, "tool_calls": structured(facts.get("tool_calls"))}
        if role == "tool":
            body.setdefault("tool_call_id", facts.get("id"))
        yield from _messages({"role": role, **body})


def _plain(facts: Mapping[str, Json], name: str, *, role: str) -> list[Said]:
    """Return a span's plain input or output as a message; JSON may be a list of messages, or hold one."""
    value = facts.get(name)
    found = structured(value)
    inner = mapping(found).get("messages", found)
    listed = items(inner[0]) if isinstance(inner, list) and inner and isinstance(inner[0], list) else inner
    if isinstance(listed, list) and any(isinstance(item, dict) and "role" in item for item in listed):
        return _messages(listed, role=role)
    text = as_text(value)
    return [Said(role=role, text=text)] if text else []
