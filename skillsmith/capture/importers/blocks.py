"""Message content in every shape the providers give it, taken apart into text, thinking and tool uses.

Binary parts (images, audio) become a short note: a timeline is text, and base64 in it helps no one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import (
    as_text,
    integer_or_none,
    items,
    mapping,
    text_or_none,
    tool_call,
)
from skillsmith.models import CodeUse, Json, ToolUse

_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
_CALL_TYPES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_THINKING_TYPES = frozenset({"thinking", "reasoning"})
_MEDIA_TYPES = frozenset({
    "image", "image_url", "input_image", "audio", "input_audio", "file", "input_file", "document", "video",
    "video_url",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A tool's result inside a message."""

    call_id: str | None
    text: str | None
    failed: bool


EXECUTED = "executed_code"
"""Type of the block that stands for code which the provider ran: language, code, id, output, exit_code."""


@dataclass(slots=True, kw_only=True)
class Parts:
    """One message's content, taken apart.

    Args:
        text: The visible text, None when there is none.
        thinking: What the model thought, None when it does not say.
        calls: Tool calls.
        results: Tool results.
        code: Code that the provider ran, with what it gave.
        counts: Blocks by type, empty when the content was plain text.
    """

    text: str | None = None
    thinking: str | None = None
    calls: list[ToolUse] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    code: list[CodeUse] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def take_apart(content: Json) -> Parts:
    """Return the parts of a message's ``content``: a text, a list of blocks, an object or nothing."""
    if not isinstance(content, list):
        return Parts(text=as_text(content))
    parts = Parts()
    texts: list[str] = []
    thoughts: list[str] = []
    counts: Counter[str] = Counter()
    for block in content:
        if not isinstance(block, dict):
            texts.append(as_text(block) or "")
            continue
        counts[_type_of(block)] += 1
        _sort_block(block, parts, texts, thoughts)
    parts.text = "\n".join(texts) if texts else None
    parts.thinking = "\n".join(thoughts) if thoughts else None
    parts.counts = dict(counts)
    return parts


def _sort_block(block: Mapping[str, Json], parts: Parts, texts: list[str], thoughts: list[str]) -> None:
    kind = _type_of(block)
    if kind in _CALL_TYPES:
        parts.calls.append(tool_call(block.get("name"), block.get("id"), block.get("input")))
    elif kind == "tool-call":  # of Vercel's AI SDK, as is tool-result
        parts.calls.append(
            tool_call(block.get("toolName"), block.get("toolCallId"), block.get("input", block.get("args")))
        )
    elif kind == "tool-result":
        parts.results.append(_sdk_result(block))
    elif kind.endswith("tool_result"):
        parts.results.append(
            Result(
                call_id=text_or_none(block.get("tool_use_id")),
                text=plain_text(block.get("content")),
                failed=block.get("is_error") is True or "error_code" in mapping(block.get("content")),
            )
        )
    elif kind in _THINKING_TYPES:
        if thought := _thought(block):
            thoughts.append(thought)
    elif kind == EXECUTED:
        parts.code.append(
            CodeUse(
                language=text_or_none(block.get("language")) or "python",
                text=text_or_none(block.get("code")),
                call_id=text_or_none(block.get("id")),
                exit_code=integer_or_none(block.get("exit_code")),
                output=text_or_none(block.get("output")),
            )
        )
    else:
        texts.append(_block_text(block))


def _sdk_result(block: Mapping[str, Json]) -> Result:
    given = block.get("output", block.get("result"))
    kind = text_or_none(mapping(given).get("type")) or ""
    typed = "value" in mapping(given) and bool(kind)  # {"type": "text" or "json" or "error-…", "value": …}
    return Result(
        call_id=text_or_none(block.get("toolCallId")),
        text=as_text(mapping(given)["value"] if typed else given),
        failed=block.get("isError") is True or (typed and kind.startswith("error")),
    )


def _thought(block: Mapping[str, Json]) -> str | None:
    """Return what a thinking block says; some providers give it as a list of texts."""
    thinking = block.get("thinking")
    return joined_text(thinking) or text_or_none(thinking) or text_or_none(block.get("text"))


def _type_of(block: Mapping[str, Json]) -> str:
    return text_or_none(block.get("type")) or ""


def _block_text(block: Mapping[str, Json]) -> str:
    """Return the text of one block, or a note on what stands there instead."""
    kind = _type_of(block)
    text = block.get("text")
    if isinstance(text, str) and (not kind or kind.lower() in _TEXT_TYPES):
        return text
    if kind == "refusal":
        return str(block.get("refusal"))
    if kind == "redacted_thinking":
        return f"[{kind}, {len(text_or_none(block.get('data')) or ''):,} characters]"
    if kind in _MEDIA_TYPES:
        return f"[{kind}{_media_note(block)}]"
    return as_text(dict(block)) or ""


def _media_note(block: Mapping[str, Json]) -> str:
    source = mapping(block.get("source"))
    url = mapping(block.get("image_url")).get("url", block.get("image_url"))
    if isinstance(url, str):
        head, _, payload = url.partition(",")
        return f" {head}, {len(payload):,} characters" if url.startswith("data:") else f" {url}"
    kind = text_or_none(source.get("media_type"))
    data = text_or_none(source.get("data"))
    note = f" {kind}" if kind else ""
    return f"{note}, {len(data):,} characters" if data else note


def plain_text(content: Json) -> str | None:
    """Return content as one text, its text blocks joined by line breaks."""
    return take_apart(content).text


def words_of(content: Json) -> str | None:
    """Return what stands in words in content: its text without the notes on pictures and files."""
    if not isinstance(content, list):
        return plain_text(content)
    media = [block for block in content if _type_of(mapping(block)) in _MEDIA_TYPES]
    return plain_text([block for block in content if block not in media] if media else content)


def joined_text(blocks: Json) -> str | None:
    """Return the texts of a list of blocks (of a reasoning summary) as one text, None when there are none."""
    texts = [text_or_none(mapping(block).get("text")) for block in items(blocks)]
    found = [text for text in texts if text]
    return "\n".join(found) if found else None
