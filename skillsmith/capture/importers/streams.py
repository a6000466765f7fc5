"""Answers that a model streamed, put together again from their pieces.

A stream is server-sent events, a JSON array or JSON lines. The result has the shape of the answer that is
not streamed, so that whoever reads answers need not know how they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from skillsmith.capture.importers.base import (
    count_or_none,
    items,
    mapping,
    number_or_none,
    text_or_none,
)
from skillsmith.capture.importers.jsontext import parsed_or_none
from skillsmith.models import Json

_WHOLE = ("response.completed", "response.incomplete", "response.failed")


def pieces_of(text: str) -> list[dict[str, Json]]:
    """Return the JSON objects of a streamed answer, in order."""
    whole = parsed_or_none(text)
    if isinstance(whole, dict):
        return [whole]
    if isinstance(whole, list):
        return [piece for piece in whole if isinstance(piece, dict)]
    return [piece for data in _data(text) if isinstance(piece := parsed_or_none(data), dict)]


def _data(text: str) -> Iterator[str]:
    """Yield the data of each server-sent event; without events, each line."""
    lines = text.splitlines()
    if not any(line.startswith("data:") for line in lines):
        yield from lines
        return
    data: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def put_together(pieces: Sequence[dict[str, Json]]) -> dict[str, Json] | None:
    """Return the answer that streamed pieces are, None when they are of no known kind."""
    for is_one, assemble in _KINDS:
        if any(map(is_one, pieces)):
            return assemble(pieces)
    return pieces[0] if len(pieces) == 1 else None


def _openai_chat(pieces: Sequence[dict[str, Json]]) -> dict[str, Json]:
    message: dict[str, Json] = {"role": "assistant"}
    calls: dict[int, dict[str, Json]] = {}
    answer: dict[str, Json] = {}
    finish = None
    for piece in pieces:
        groq = mapping(mapping(piece.get("x_groq")).get("usage"))
        answer.update({key: piece[key] for key in ("id", "model", "created", "usage") if piece.get(key)})
        if groq:
            answer.setdefault("usage", groq)
        for choice in items(piece.get("choices"))[:1]:
            delta = mapping(mapping(choice).get("delta"))
            finish = mapping(choice).get("finish_reason") or finish
            for key in ("content", "reasoning_content", "reasoning", "refusal"):
                _extend(message, key, delta.get(key))
            for part in items(delta.get("tool_calls")):
                _add_call(calls, mapping(part))
    if calls:
        message["tool_calls"] = list(calls.values())
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": finish}]
    return answer


def _extend(target: dict[str, Json], key: str, more: Json) -> None:
    """Add to a text; content may also come as a list of blocks."""
    if isinstance(more, str):
        so_far = target.get(key)
        if isinstance(so_far, list):
            so_far.append({"type": "text", "text": more})
        else:
            target[key] = (so_far or "") + more
    elif isinstance(more, list):
        so_far = target.get(key)
        before = [{"type": "text", "text": so_far}] if isinstance(so_far, str) and so_far else so_far or []
        target[key] = [*before, *more]


def _add_call(calls: dict[int, dict[str, Json]], part: dict[str, Json]) -> None:
    """Add a piece of a tool call; a piece without an index belongs to the call of its id, or to the last."""
    index = count_or_none(part.get("index"))
    if index is None:
        known = [number for number, call in calls.items() if call["id"] == part.get("id")]
        index = known[0] if known else len(calls) - (not part.get("id") and bool(calls))
    call = calls.setdefault(
        index, {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
    )
    call["id"] = call["id"] or part.get("id")
    function = mapping(part.get("function"))
    call["function"]["name"] = call["function"]["name"] or text_or_none(function.get("name")) or ""
    call["function"]["arguments"] += text_or_none(function.get("arguments")) or ""


def _anthropic(pieces: Sequence[dict[str, Json]]) -> dict[str, Json]:
    answer: dict[str, Json] = {}
    blocks: dict[int, dict[str, Json]] = {}
    inputs: dict[int, str] = {}
    for piece in pieces:
        kind, index = piece.get("type"), count_or_none(piece.get("index")) or 0
        if kind == "message_start":
            answer = dict(mapping(piece.get("message")))
        elif kind == "content_block_start":
            blocks[index] = dict(mapping(piece.get("content_block")))
        elif kind == "content_block_delta":
            delta = mapping(piece.get("delta"))
            block = blocks.setdefault(index, {"type": "text", "text": ""})
            for key in ("text", "thinking"):
                _extend(block, key, delta.get(key))
            inputs[index] = inputs.get(index, "") + (text_or_none(delta.get("partial_json")) or "")
        elif kind == "message_delta":
            answer.update(mapping(piece.get("delta")))
            answer["usage"] = {**mapping(answer.get("usage")), **mapping(piece.get("usage"))}
        elif kind == "error":
            answer["error"] = piece.get("error")
    for index, text in inputs.items():
        if text:
            blocks[index]["input"] = text
    return {**answer, "content": [blocks[index] for index in sorted(blocks)]}


def _responses(pieces: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """Return the whole answer, which the last event repeats; of a stream cut off, the items that are done."""
    for piece in reversed(pieces):
        if piece.get("type") in _WHOLE and isinstance(piece.get("response"), dict):
            return dict(piece["response"])
    started = next((dict(mapping(piece["response"])) for piece in pieces if "response" in piece), {})
    done = [piece.get("item") for piece in pieces if piece.get("type") == "response.output_item.done"]
    return {**started, "output": done}


def _google(pieces: Sequence[dict[str, Json]]) -> dict[str, Json]:
    answer: dict[str, Json] = {}
    parts: list[dict[str, Json]] = []
    finish = None
    for piece in pieces:
        answer.update({key: value for key, value in piece.items() if key != "candidates"})
        for candidate in items(piece.get("candidates"))[:1]:
            finish = mapping(candidate).get("finishReason") or finish
            for part in items(mapping(mapping(candidate).get("content")).get("parts")):
                _add_part(parts, mapping(part))
    content = {"role": "model", "parts": parts}
    return {**answer, "candidates": [{"content": content, "finishReason": finish}]}


def _add_part(parts: list[dict[str, Json]], part: dict[str, Json]) -> None:
    """Add a part; a text that goes on is joined to what it goes on from."""
    last = parts[-1] if parts else {}
    texts = isinstance(part.get("text"), str) and isinstance(last.get("text"), str)
    if texts and bool(part.get("thought")) == bool(last.get("thought")):
        parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
    else:
        parts.append(part)


def _ollama(pieces: Sequence[dict[str, Json]]) -> dict[str, Json]:
    message: dict[str, Json] = {"role": "assistant"}
    answer: dict[str, Json] = {}
    for piece in pieces:
        said = mapping(piece.get("message"))
        answer.update({key: value for key, value in piece.items() if key != "message"})
        for key in ("content", "thinking"):
            _extend(message, key, said.get(key))
        message["tool_calls"] = [*items(message.get("tool_calls")), *items(said.get("tool_calls"))]
    return {**answer, "message": message, "created": number_or_none(answer.get("created"))}


def _of_type(beginning: str) -> Callable[[dict[str, Json]], bool]:
    return lambda piece: (text_or_none(piece.get("type")) or "").startswith(beginning)


_KINDS: tuple[
    tuple[Callable[[dict[str, Json]], bool], Callable[[Sequence[dict[str, Json]]], dict[str, Json]]], ...
] = (
    (_of_type("message_start"), _anthropic),
    (_of_type("response."), _responses),
    (lambda piece: "candidates" in piece, _google),
    (lambda piece: "choices" in piece, _openai_chat),
    (lambda piece: "done" in piece and "message" in piece, _ollama),
)
