"""The events of one AG2 1.x stream, in the order in which they were logged.

AG2 logs a tool call three times (in the model's response, in a batch and alone) and a result twice; the
moment of its making tells that it is the same. Nothing of AG2 is needed to read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    epoch,
    items,
    mapping,
    number_or_none,
    text_or_none,
    tool_call,
    tool_result,
)
from skillsmith.models import Event, EventKind, Json

_TRANSIENT = frozenset({"ModelMessage", "ModelMessageChunk", "MessageEnqueued", "TranscriptionChunkEvent"})
"""What a later event repeats whole."""
_MARKS = {"__enum__": "value", "__uuid__": "__uuid__", "__dataclass__": "data", "__pydantic__": "data"}


def class_of(name: Json) -> str:
    """Return a class without its module, which moves between versions."""
    return (text_or_none(name) or "").rpartition(".")[2]


def plain(value: Json) -> Json:
    """Return a value without AG2's marks for what JSON has no type for."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    for mark, inner in _MARKS.items():
        if mark in value:
            return plain(value.get(inner))
    if isinstance(encoded := value.get("__bytes__"), str):
        return f"[{len(encoded) * 3 // 4:,} bytes]"
    if "__exception__" in value:
        return f"{value['__exception__']}: {value.get('message')}"
    return {key: plain(item) for key, item in value.items()}


class Stream:
    """One stream as its events come in.

    Args:
        agent: Whose it is; the events do not say.
    """

    def __init__(self, agent: str | None) -> None:
        self.timeline = Timeline()
        self.models: dict[str, None] = {}
        self._agent = agent or "assistant"
        self._asked = False
        self._thoughts: list[str] = []
        self._seen: set[tuple[str, str | None, float | None]] = set()
        self._uncounted = 0
        self._counted = 0

    def add(self, name: str, data: Mapping[str, Json]) -> None:
        """Add an event.

        Args:
            name: Its class, without module.
            data: Its fields, as ``plain`` returns them.
        """
        readers: dict[str, Callable[[Mapping[str, Json]], None]] = {
            "ModelRequest": self._request,
            "DrainedModelRequest": self._request,
            "ModelReasoning": lambda data: self._thoughts.append(as_text(data.get("content")) or ""),
            "ModelResponse": self._response,
            "UsageEvent": self._usage,
            "ToolCallsEvent": lambda data: self._calls(data.get("calls")),
            "ToolCallEvent": lambda data: self._calls([data]),
            "BuiltinToolCallEvent": lambda data: self._calls([data]),
            "ClientToolCallEvent": lambda data: self._calls([data]),
            "ToolResultsEvent": lambda data: self._results(data.get("results")),
            "ToolResultEvent": lambda data: self._results([data]),
            "BuiltinToolResultEvent": lambda data: self._results([data]),
            "ToolErrorEvent": lambda data: self._results([data]),
            "ToolNotFoundEvent": lambda data: self._results([data]),
            "HumanInputRequest": lambda data: self._message(data, "assistant", data.get("content")),
            "ToolApprovalRequest": lambda data: self._message(data, "assistant", data.get("content")),
            "HumanMessage": lambda data: self._message(data, "user", data.get("content")),
            "TaskStarted": self._task_started,
        }
        if name in readers:
            readers[name](data)
        elif name.endswith("Failed") or name == "HaltEvent":
            self._failure(name, data)
        elif name.startswith("Task") and name != "TaskProgress":
            self._task_ended(name, data)
        elif name not in _TRANSIENT:
            self._add("raw", data, data={"type": name, "record": dict(data)})

    def finish(self) -> None:
        """Add what the model thought last, when no answer of it followed."""
        for thought in self._thoughts:
            self._add("reasoning", {}, agent=self._agent, content=thought)
        self._thoughts = []

    def _add(self, kind: EventKind, source: Mapping[str, Json], **facts: Json) -> None:
        at = epoch(source.get("created_at"))
        self.timeline.add(Event(kind=kind, at=at, step=self.timeline.step, **facts))

    def _message(self, data: Mapping[str, Json], role: str, content: Json) -> None:
        own = role == "assistant"
        self._add(
            "message", data, role=role, agent=self._agent if own else "user",
            recipient="user" if own else self._agent, content=as_text(content),
        )  # fmt: skip

    def _request(self, data: Mapping[str, Json]) -> None:
        """Add what the agent was asked; each question begins a step."""
        self.timeline.step += self._asked
        self._asked = True
        self._message(data, "user", _parts_text(data.get("parts")))

    def _response(self, data: Mapping[str, Json]) -> None:
        message, calls = mapping(data.get("message")), mapping(data.get("tool_calls")).get("calls")
        if self._counted:
            self._counted -= 1
        elif self._model_call(data):
            self._uncounted += 1
        content = as_text(message.get("content"))
        files = [f"[file{_named(file)}]" for file in items(data.get("files"))]
        text = "\n".join([*([content] if content is not None else []), *files]) if files else content
        thought = "\n".join(self._thoughts) or None
        self._thoughts = []
        if text is not None or thought or calls:
            self._add(
                "message", message or data, role="assistant", agent=self._agent, content=text,
                reasoning=thought, record_id=text_or_none(data.get("response_id")),
            )  # fmt: skip
        self._calls(calls)

    def _usage(self, data: Mapping[str, Json]) -> None:
        """Add a model call; its response, which states the same usage, comes before or after it."""
        if data.get("kind", "model_call") != "model_call":
            self._model_call(data, kind=as_text(data.get("kind")), label=as_text(data.get("label")))
        elif self._uncounted:
            self._uncounted -= 1
        else:
            self._counted += self._model_call(data)

    def _model_call(
        self, data: Mapping[str, Json], *, kind: str | None = None, label: str | None = None
    ) -> bool:
        """Add a model call when anything about it is known, and tell whether it is."""
        usage = mapping(data.get("usage"))
        tokens = [_count(usage.get(f"{part}_tokens")) for part in ("prompt", "completion")]
        model = text_or_none(data.get("model"))
        if model is None and tokens == [None, None]:
            return False
        if model:
            self.models.setdefault(model)
        facts = {
            "model": model,
            "provider": text_or_none(data.get("provider")),
            "finish_reason": text_or_none(data.get("finish_reason")),
            "cached_tokens": _count(usage.get("cache_read_input_tokens")),
            "kind": kind,
        }
        self._add(
            "llm_call", data, agent=label or self._agent, tokens_in=tokens[0], tokens_out=tokens[1],
            data={name: value for name, value in facts.items() if value is not None},
        )  # fmt: skip
        return True

    def _is_new(self, kind: str, record: Mapping[str, Json], key: str) -> bool:
        identity = (kind, text_or_none(record.get(key)), number_or_none(record.get("created_at")))
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def _calls(self, calls: Json) -> None:
        for call in items(calls):
            record = mapping(call)
            if record and self._is_new("call", record, "id"):
                made = tool_call(record.get("name"), record.get("id"), record.get("arguments"))
                self._add("tool_call", record, agent=self._agent, tool=self.timeline.call(made))

    def _results(self, results: Json) -> None:
        for result in items(results):
            record = mapping(result)
            if not record or not self._is_new("result", record, "parent_id"):
                continue
            call_id = text_or_none(record.get("parent_id"))
            text = _parts_text(mapping(record.get("result")).get("parts"))
            made = tool_result(self.timeline.tool_name(call_id, record.get("name")), call_id, text)
            if error := as_text(record.get("error")):
                made = replace(made, error=error)
            self._add("tool_result", record, role="tool", agent=self._agent, tool=made)

    def _task_started(self, data: Mapping[str, Json]) -> None:
        self._add(
            "transition", data, agent=self._agent, recipient=text_or_none(data.get("agent_name")),
            content=text_or_none(data.get("objective")), data=_task(data),
        )  # fmt: skip

    def _task_ended(self, name: str, data: Mapping[str, Json]) -> None:
        """Add that a task's agent hands back; what it found stands in the result of the tool that ran it."""
        reason = as_text(data.get("reason")) or name
        self._add(
            "transition", data, agent=text_or_none(data.get("agent_name")), recipient=self._agent,
            content=reason, data=_task(data),
        )  # fmt: skip

    def _failure(self, name: str, data: Mapping[str, Json]) -> None:
        error = as_text(data.get("error")) or as_text(data.get("reason")) or name
        agent = text_or_none(data.get("agent_name")) or text_or_none(data.get("agent")) or self._agent
        kind = text_or_none(data.get("error_type")) or error.partition(":")[0]
        self._add("error", data, agent=agent, content=error, data={"type": kind, "where": name})


def _task(data: Mapping[str, Json]) -> dict[str, Json]:
    return {key: data[key] for key in ("task_id", "task_stream") if data.get(key)}


def _count(value: Json) -> int | None:
    """Return a number of tokens; AG2 has them as floats."""
    number = number_or_none(value)
    return int(number) if number is not None and 0 <= number < 2**53 else None


def _parts_text(parts: Json) -> str | None:
    """Return the parts of a request or a result as text, what is no text as a note."""
    texts = [_part_text(part) for part in items(parts)]
    return "\n".join(texts) if texts else None


def _part_text(part: Json) -> str:
    record = mapping(part)
    kind = class_of(record.get("__event__"))
    if "content" in record:
        return as_text(record["content"]) or ""
    if kind in ("BinaryInput", "UrlInput", "FileIdInput"):
        shown = ("media_type", "kind", "url", "filename", "file_id", "data")
        facts = [text for key in shown if (text := text_or_none(record.get(key)))]
        return f"[{' '.join(dict.fromkeys(facts))}]"
    return as_text(record.get("data") if "data" in record else part) or ""


def _named(file: Json) -> str:
    name = text_or_none(mapping(mapping(file).get("metadata")).get("filename"))
    return f" {name}" if name else ""
