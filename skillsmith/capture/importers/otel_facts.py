"""What a span is and what it measured, told from its attributes in every dialect.

OpenTelemetry's GenAI conventions come first, then AG2's own attributes, OpenInference's and OpenLLMetry's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from skillsmith.capture.importers.base import as_text, count_or_none, number_or_none, text_or_none
from skillsmith.capture.importers.otel_messages import structured
from skillsmith.capture.importers.otel_spans import Span
from skillsmith.models import Json

Kind = Literal["workflow", "agent", "chat", "tool", "code", "human", "usage", "selection", "aside", "other"]

OWN_EVENT = "skillsmith.event"
"""Attribute of a span event: an event of ours, as JSON, that has no span of its own."""
OWN_SILENT = "skillsmith.silent"
"""Set on a model's span whose tool calls came without a message."""
OWN_RUN = "skillsmith.run.id"
OWN_STEP = "skillsmith.step"
OWN_CODE = "skillsmith.code.language"
OWN_COST = "gen_ai.usage.cost"
"""No convention has a cost yet; AG2 Classic and Langfuse call it so."""
EXIT_CODE = "process.exit.code"

_OPERATIONS: Mapping[str, Kind] = {
    "chat": "chat", "text_completion": "chat", "generate_content": "chat", "invoke_agent": "agent",
    "invoke_workflow": "workflow", "execute_tool": "tool", "execute_code": "code",
    "await_human_input": "human", "speaker_selection": "selection", "conversation": "workflow",
    "initiate_chats": "workflow",
}  # fmt: skip
_AG2: Mapping[str, Kind] = {
    "conversation": "workflow", "multi_conversation": "workflow", "agent": "agent", "llm": "chat",
    "tool": "tool", "speaker_selection": "selection", "human_input": "human", "code_execution": "code",
    "usage": "usage",
}  # fmt: skip
_OPENINFERENCE: Mapping[str, Kind] = {
    "AGENT": "agent", "LLM": "chat", "TOOL": "tool", "CHAIN": "workflow", "RETRIEVER": "aside",
    "RERANKER": "aside", "EMBEDDING": "aside", "GUARDRAIL": "aside", "EVALUATOR": "aside", "PROMPT": "aside",
}  # fmt: skip
_TRACELOOP: Mapping[str, Kind] = {"workflow": "workflow", "task": "other", "agent": "agent", "tool": "tool"}
_AI_SDK = "ai."  # Vercel's: ai.generateText around ai.generateText.doGenerate and ai.toolCall
_AI_SDK_MODEL = (".doGenerate", ".doStream")
_NAMESPACES = ("gen_ai.", "openinference.", "llm.", "ag2.", "traceloop.", _AI_SDK)
_COUNT_DIGITS = 15


def concerns_agents(span: Span) -> bool:
    """Tell whether a span is one of the conventions that are read here."""
    return any(name.startswith(_NAMESPACES) for name in span.attributes)


def kind_of(span: Span) -> Kind:
    """Return what a span stands for."""
    facts = span.attributes
    if ag2 := _AG2.get(text_or_none(facts.get("ag2.span.type")) or ""):
        return ag2
    if operation := text_or_none(facts.get("gen_ai.operation.name")):
        return "code" if OWN_CODE in facts else _OPERATIONS.get(operation, "aside")
    if named := _named_kind(facts):
        return named
    if "llm.request.type" in facts or "gen_ai.request.model" in facts:
        return "chat"
    return "tool" if "gen_ai.tool.name" in facts else "other"


def _named_kind(facts: Mapping[str, Json]) -> Kind | None:
    """Return the kind that a span has by the word of its dialect, None when it has no such word."""
    if sdk := text_or_none(facts.get("ai.operationId")):
        return _ai_sdk(sdk)
    if inference := text_or_none(facts.get("openinference.span.kind")):
        return _OPENINFERENCE.get(inference.upper(), "other")
    if traceloop := text_or_none(facts.get("traceloop.span.kind")):
        return _TRACELOOP.get(traceloop, "other")
    return None


def _ai_sdk(operation: str) -> Kind:
    if operation.endswith(_AI_SDK_MODEL):
        return "chat"
    if operation == "ai.toolCall":
        return "tool"
    return "aside" if operation.startswith("ai.embed") else "agent"


def first_text(span: Span, *names: str) -> str | None:
    """Return the first of these attributes that is there, as text."""
    values = (span.attributes.get(name) for name in names)
    return next((text for value in values if (text := as_text(value))), None)


def agent_of(span: Span, kind: Kind) -> str | None:
    """Return the agent that a span names."""
    named = first_text(span, "gen_ai.agent.name", "agent.name")
    if named or kind != "agent":
        return named
    return first_text(span, "traceloop.entity.name", "gen_ai.agent.id", "ai.telemetry.functionId") or (
        span.name.removeprefix("invoke_agent").strip() or None
    )


def tool_name_of(span: Span) -> str:
    """Return the tool that a span ran."""
    return (
        first_text(span, "gen_ai.tool.name", "tool.name", "ai.toolCall.name", "traceloop.entity.name")
        or span.name.removeprefix("execute_tool").strip()
        or "unknown"
    )


def call_id_of(span: Span) -> str | None:
    """Return the id of the call that a tool's span carried out."""
    return first_text(span, "gen_ai.tool.call.id", "tool_call.id", "ai.toolCall.id")


def arguments_of(span: Span) -> Json:
    """Return what a tool was called with, as it stands in the span."""
    names = (
        "gen_ai.tool.call.arguments", "tool.parameters", "input.value", "ai.toolCall.args", "tool_arguments",
        "traceloop.entity.input",
    )  # fmt: skip
    return next((span.attributes[name] for name in names if span.attributes.get(name) is not None), None)


def result_of(span: Span) -> str | None:
    """Return what a tool gave, which may be an empty text."""
    names = (
        "gen_ai.tool.call.result", "output.value", "ai.toolCall.result", "tool_response",
        "traceloop.entity.output", "ag2.code_execution.output",
    )  # fmt: skip
    values = (span.attributes.get(name) for name in names)
    return next((as_text(value) for value in values if value is not None), None)


def model_of(span: Span) -> str | None:
    """Return the model that answered, else the one that was asked."""
    return first_text(span, "gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "ai.model.id")


def provider_of(span: Span) -> str | None:
    """Return whose model it is."""
    return first_text(span, "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")


def tokens_of(span: Span) -> tuple[int | None, int | None]:
    """Return prompt and completion tokens."""
    return (
        _count(
            span,
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
        ),
        _count(
            span,
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
        ),
    )


def cached_tokens_of(span: Span) -> int | None:
    """Return how many of the prompt's tokens came from the provider's cache."""
    return _count(
        span, "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    )  # fmt: skip


def cost_of(span: Span) -> float | None:
    """Return what a call cost, in US dollars."""
    values = (number_or_none(span.attributes.get(name)) for name in (OWN_COST, "llm.cost.total"))
    return next((value for value in values if value is not None), None)


def _count(span: Span, *names: str) -> int | None:
    for name in names:
        value = span.attributes.get(name)
        if isinstance(value, str) and value.isdecimal() and len(value) <= _COUNT_DIGITS:
            return int(value)
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        if (number := count_or_none(whole)) is not None:
            return number
    return None


def exit_code_of(span: Span) -> int | None:
    """Return the exit code of code that ran."""
    for name in (EXIT_CODE, "ag2.code_execution.exit_code"):
        value = span.attributes.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a span failed: the error's type, what it says and where it came from."""

    kind: str
    message: str
    traceback: str | None = None


def failure_of(span: Span) -> Failure | None:
    """Return why a span failed, None when it did not."""
    for event in span.events:
        if event.name == "exception" and span.status != "ok":
            kind, message, stack = (
                as_text(event.attributes.get(f"exception.{part}"))
                for part in ("type", "message", "stacktrace")
            )
            return Failure(kind or "Error", message or span.message or kind or "failed", stack)
    stated = first_text(span, "error.type")
    if span.status != "error" and stated is None:
        return None
    message = span.message or first_text(span, "error.message") or stated or "failed"
    return Failure(stated or "Error", message)


def own_event(text: Json) -> dict[str, Json]:
    """Return an event of ours that a span carries, as the keyword arguments it was made from."""
    found = structured(text)
    return found if isinstance(found, dict) else {}
