"""Requests to model providers and their answers, each dialect brought to one shape: a chat's messages.

The dialect is told from the bodies, not from the host: proxies and local servers speak the same ones.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from skillsmith.capture.importers.base import (
    as_text,
    count_or_none,
    epoch,
    items,
    mapping,
    number_or_none,
    text_or_none,
    without,
)
from skillsmith.capture.importers.blocks import EXECUTED, plain_text
from skillsmith.capture.importers.response_items import messages_of
from skillsmith.models import Json

_HOSTS = {
    "api.openai.com": "openai", "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini", "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.groq.com": "groq", "api.mistral.ai": "mistral_ai", "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter", "api.cohere.com": "cohere", "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity", "openai.azure.com": "azure.ai.openai", "amazonaws.com": "aws.bedrock",
}  # fmt: skip
_MODEL_IN_PATH = re.compile(r"/(?:models?|deployments)/([^/:]+(?::\d+)?)")
_NO_ANSWER: Mapping[str, Json] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call; ``details`` are parts of them (cached, reasoning)."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    details: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model.

    Args:
        system: The instructions, None when there are none.
        messages: The history that was sent, instructions left out.
        reply: The message that came back, None when none did.
        previous_id: The id of the answer that the history continues, when it was not sent again.
        parameters: What else the request asked for (temperature, limits).
        tools: The tools that were offered, as the request describes them.
    """

    model: str | None
    messages: Sequence[Mapping[str, Json]]
    reply: Mapping[str, Json] | None
    usage: Usage
    system: str | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    previous_id: str | None = None
    at: float | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    tools: Sequence[Json] = ()


_NOT_PARAMETERS = (
    "messages", "input", "contents", "system", "systemInstruction", "system_instruction", "instructions",
    "tools", "model", "stream", "previous_response_id", "prompt", "toolConfig",
)  # fmt: skip


def provider_of(uri: str) -> str | None:
    """Return the provider that a host belongs to, else the host."""
    host, _ = _host_and_path(uri)
    for known, provider in _HOSTS.items():
        if host == known or host.endswith((f".{known}", f"-{known}")):
            return provider
    return host or None


def _host_and_path(uri: str) -> tuple[str, str]:
    """Return the parts of an address; one that is none is all path."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "", uri
    return parts.hostname or "", parts.path


def call_in(uri: str, request: Mapping[str, Json], response: Mapping[str, Json] | None) -> Call | None:
    """Return the call of a model that an exchange is, None when it is something else.

    Args:
        uri: Where it was sent.
        request: The body.
        response: The answer's body, None when there is none that can be read.
    """
    _, path = _host_and_path(uri)
    dialect = _dialect(path, request, response or _NO_ANSWER)
    return dialect(uri, request, response or _NO_ANSWER) if dialect else None


_Dialect = Callable[[str, Mapping[str, Json], Mapping[str, Json]], Call]


def _dialect(path: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> _Dialect | None:
    if isinstance(request.get("contents"), list):
        return _google
    if "input" in request and ("responses" in path or "output" in response):
        return _openai_responses
    if isinstance(request.get("messages"), list):
        if "/converse" in path or "inferenceConfig" in request or "output" in response:
            return _bedrock
        native = response.get("type") == "message" or "anthropic_version" in request
        return _anthropic if native or path.endswith("/messages") else _openai_chat
    return _completion if "prompt" in request and "choices" in response else None


def _openai_chat(uri: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> Call:
    """Read OpenAI's chats, and what Cohere and Ollama made of them."""
    system, messages = _split_system(request["messages"])
    choice = mapping(next(iter(items(response.get("choices"))), None))
    reply = mapping(choice.get("message")) or mapping(response.get("message"))
    usage = mapping(response.get("usage"))
    counts = mapping(usage.get("tokens")) or usage or response
    return Call(
        model=_model(uri, request, response),
        system=system,
        messages=messages,
        reply={**reply, "role": "assistant"} if reply else None,
        finish_reason=text_or_none(choice.get("finish_reason"))
        or text_or_none(response.get("finish_reason")),
        response_id=text_or_none(response.get("id")),
        at=epoch(response.get("created", response.get("created_at"))),
        usage=Usage(
            tokens_in=_first(counts, "prompt_tokens", "input_tokens", "prompt_eval_count"),
            tokens_out=_first(counts, "completion_tokens", "output_tokens", "eval_count"),
            cost_usd=number_or_none(usage.get("cost")),
            details=_details(
                cached=mapping(usage.get("prompt_tokens_details")).get("cached_tokens"),
                reasoning=mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"),
            ),
        ),
        parameters=without(request, _NOT_PARAMETERS),
        tools=items(request.get("tools")),
    )


def _split_system(messages: Sequence[Json]) -> tuple[str | None, list[Mapping[str, Json]]]:
    """Return the instructions at the head of a history, and the rest of it."""
    rest: list[Mapping[str, Json]] = [message for message in messages if isinstance(message, dict)]
    texts: list[str] = []
    while rest and rest[0].get("role") in ("system", "developer"):
        texts.append(plain_text(rest.pop(0).get("content")) or "")
    return "\n".join(texts) or None, rest


def _completion(uri: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> Call:
    """Read a plain completion: a prompt and how it goes on."""
    said = mapping(next(iter(items(response.get("choices"))), None)).get("text")
    chat = {**request, "messages": [{"role": "user", "content": request.get("prompt")}]}
    answer = {**response, "choices": [{"message": {"content": said}}]}
    return _openai_chat(uri, chat, answer)


def _anthropic(uri: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> Call:
    usage = mapping(response.get("usage"))
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    content = response.get("content")
    return Call(
        model=_model(uri, request, response),
        system=plain_text(request.get("system")),
        messages=[message for message in request["messages"] if isinstance(message, dict)],
        reply={"role": "assistant", "content": content} if content else None,
        finish_reason=text_or_none(response.get("stop_reason")),
        response_id=text_or_none(response.get("id")),
        usage=Usage(
            tokens_in=_sum(usage.get("input_tokens"), cached, written),
            tokens_out=count_or_none(usage.get("output_tokens")),
            details=_details(cached=cached, cache_creation=written),
        ),
        parameters=without(request, _NOT_PARAMETERS),
        tools=items(request.get("tools")),
    )


def _openai_responses(uri: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> Call:
    given = request.get("input")
    listed = given if isinstance(given, list) else [{"role": "user", "content": given}]
    system, messages = _split_system(list(messages_of(listed)))
    replies = list(messages_of(items(response.get("output"))))
    blocks = [block for reply in replies for block in items(reply["content"])]
    usage = mapping(response.get("usage"))
    instructions = [text for text in (text_or_none(request.get("instructions")), system) if text]
    return Call(
        model=_model(uri, request, response),
        system="\n".join(instructions) or None,
        messages=messages,
        reply={"role": "assistant", "content": blocks} if replies else None,
        finish_reason=text_or_none(mapping(response.get("incomplete_details")).get("reason"))
        or text_or_none(response.get("status")),
        response_id=text_or_none(response.get("id")),
        previous_id=text_or_none(request.get("previous_response_id")),
        at=epoch(response.get("created_at")),
        usage=Usage(
            tokens_in=count_or_none(usage.get("input_tokens")),
            tokens_out=count_or_none(usage.get("output_tokens")),
            details=_details(
                cached=mapping(usage.get("input_tokens_details")).get("cached_tokens"),
                reasoning=mapping(usage.get("output_tokens_details")).get("reasoning_tokens"),
            ),
        ),
        parameters=without(request, _NOT_PARAMETERS),
        tools=items(request.get("tools")),
    )


def _google(uri: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> Call:
    parts = GoogleParts()
    messages = [parts.message(mapping(content)) for content in request["contents"]]
    candidate = mapping(next(iter(items(response.get("candidates"))), None))
    content = mapping(candidate.get("content"))
    usage = mapping(response.get("usageMetadata"))
    instructions = request.get("systemInstruction", request.get("system_instruction"))
    offered = [mapping(tool) for tool in items(request.get("tools"))]
    return Call(
        model=_model(uri, request, response),
        system=plain_text(mapping(instructions).get("parts")),
        messages=messages,
        reply=parts.message({**content, "role": "model"}) if content.get("parts") else None,
        finish_reason=text_or_none(candidate.get("finishReason")),
        response_id=text_or_none(response.get("responseId")),
        usage=Usage(
            tokens_in=_sum(usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")),
            tokens_out=_sum(usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")),
            details=_details(
                cached=usage.get("cachedContentTokenCount"), reasoning=usage.get("thoughtsTokenCount")
            ),
        ),
        parameters=without(request, _NOT_PARAMETERS),
        tools=[tool for one in offered for tool in items(one.get("functionDeclarations", one))],
    )


@dataclass(slots=True)
class GoogleParts:
    """Google's parts as blocks. Calls may have no ids; they are numbered, and results come in their order."""

    _count: Counter[str] = field(default_factory=Counter)
    _open: dict[str, deque[str]] = field(default_factory=dict)

    def message(self, content: Mapping[str, Json]) -> dict[str, Json]:
        """Return a chat message for one of Google's contents."""
        role = "assistant" if content.get("role") == "model" else "user"
        blocks: list[dict[str, Json]] = []
        for part in items(content.get("parts")):
            ran = mapping(mapping(part).get("codeExecutionResult"))
            if ran and blocks and blocks[-1]["type"] == EXECUTED:
                blocks[-1].update(_outcome(ran))
            else:
                blocks.append(self._block(mapping(part)))
        return {"role": role, "content": blocks}

    def _block(self, part: Mapping[str, Json]) -> dict[str, Json]:
        if called := mapping(part.get("functionCall")):
            name = text_or_none(called.get("name")) or "unknown"
            return {
                "type": "tool_use",
                "id": self._id(name, called),
                "name": name,
                "input": called.get("args"),
            }
        if answered := mapping(part.get("functionResponse")):
            waiting = self._open.get(text_or_none(answered.get("name")) or "unknown", deque())
            first = waiting.popleft() if waiting else None
            return {
                "type": "tool_result",
                "tool_use_id": text_or_none(answered.get("id")) or first,
                "content": _unwrapped(answered.get("response")),
            }
        if isinstance(part.get("text"), str):
            kind = "thinking" if part.get("thought") is True else "text"
            return {"type": kind, kind: part["text"]}
        return _google_extra(part)

    def _id(self, name: str, called: Mapping[str, Json]) -> str:
        self._count[name] += 1
        call_id = text_or_none(called.get("id")) or f"{name}-{self._count[name]}"
        self._open.setdefault(name, deque()).append(call_id)
        return call_id


def _unwrapped(response: Json) -> Json:
    """Return a function's value out of the object that libraries put around one that is none."""
    inner = mapping(response)
    for key in ("return_value", "result", "output"):
        if set(inner) == {key}:
            return as_text(inner[key])
    return as_text(response)


def _google_extra(part: Mapping[str, Json]) -> dict[str, Json]:
    """Return the block of a part that is no text: code the provider ran, data, a file."""
    if code := mapping(part.get("executableCode")):
        language = (text_or_none(code.get("language")) or "python").lower()
        return {"type": EXECUTED, "language": language, "code": code.get("code"), "id": code.get("id")}
    if inline := mapping(part.get("inlineData")):
        size = len(text_or_none(inline.get("data")) or "")
        return {"type": "text", "text": f"[{inline.get('mimeType')}, {size:,} characters]"}
    return {"type": "text", "text": as_text(dict(part))}


def _outcome(ran: Mapping[str, Json]) -> dict[str, Json]:
    return {"exit_code": int(ran.get("outcome") != "OUTCOME_OK"), "output": ran.get("output") or ""}


def _bedrock(uri: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> Call:
    reply = mapping(mapping(response.get("output")).get("message"))
    usage = mapping(response.get("usage"))
    cached, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    return Call(
        model=_model(uri, request, response),
        system=plain_text(request.get("system")),
        messages=[_bedrock_message(mapping(message)) for message in request["messages"]],
        reply=_bedrock_message(reply) if reply else None,
        finish_reason=text_or_none(response.get("stopReason")),
        usage=Usage(
            tokens_in=_sum(usage.get("inputTokens"), cached, written),
            tokens_out=count_or_none(usage.get("outputTokens")),
            details=_details(cached=cached, cache_creation=written),
        ),
        parameters=without(request, _NOT_PARAMETERS),
        tools=items(mapping(request.get("toolConfig")).get("tools")),
    )


def _bedrock_message(message: Mapping[str, Json]) -> dict[str, Json]:
    blocks = [_bedrock_block(mapping(block)) for block in items(message.get("content"))]
    return {"role": text_or_none(message.get("role")) or "user", "content": blocks}


def _bedrock_block(block: Mapping[str, Json]) -> dict[str, Json]:
    if called := mapping(block.get("toolUse")):
        return {"type": "tool_use", "id": called.get("toolUseId"), **without(called, ("toolUseId",))}
    if result := mapping(block.get("toolResult")):
        content = [{"text": as_text(part.get("json"))} if "json" in part else part
                   for part in map(mapping, items(result.get("content")))]  # fmt: skip
        return {"type": "tool_result", "tool_use_id": result.get("toolUseId"), "content": content,
                "is_error": result.get("status") == "error"}  # fmt: skip
    if thought := mapping(block.get("reasoningContent")):
        return {"type": "thinking", "thinking": mapping(thought.get("reasoningText")).get("text")}
    return dict(block)


def _model(uri: str, request: Mapping[str, Json], response: Mapping[str, Json]) -> str | None:
    """Return the model that answered, else the one that was asked for."""
    stated = (response.get("model"), response.get("modelVersion"), request.get("model"))
    named = next((text for one in stated if (text := text_or_none(one))), None)
    found = _MODEL_IN_PATH.search(unquote(_host_and_path(uri)[1]))
    return named or (found[1] if found else None)


def _first(counts: Mapping[str, Json], *keys: str) -> int | None:
    return next((count for key in keys if (count := count_or_none(counts.get(key))) is not None), None)


def _sum(*counts: Json) -> int | None:
    """Return the sum of those that are counts, None when the first is none."""
    known = [count for count in map(count_or_none, counts) if count is not None]
    return sum(known) if count_or_none(counts[0]) is not None else None


def _details(**counts: Json) -> dict[str, int]:
    return {f"{name}_tokens": count for name, value in counts.items() if (count := count_or_none(value))}


def described_tools(tools: Iterable[Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield name and description of tools as any provider's request gives them."""
    for tool in tools:
        outer = mapping(tool)
        spec = mapping(outer.get("function")) or mapping(outer.get("toolSpec")) or outer
        name = text_or_none(spec.get("name")) or text_or_none(spec.get("type"))
        if name:
            yield name, spec
