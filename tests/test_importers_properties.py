"""What holds for every importer and any input: nothing raises, counts survive, prefixes stay."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillsmith.capture.importers import Importer, LogSource, importers, read_path
from skillsmith.models import Problem, RunRecord

KEYS = (
    "role", "content", "type", "name", "message", "messages", "tool_calls", "function", "arguments", "id",
    "tool_call_id", "tool_responses", "function_call", "text", "thinking", "input", "tool_use_id", "is_error",
    "sessionId", "uuid", "isSidechain", "agentId", "timestamp", "cwd", "summary", "leafUuid", "usage",
    "input_tokens", "output_tokens", "toolUseResult", "originalFile", "file_path", "old_string", "new_string",
    "payload", "call_id", "output", "action", "info", "last_token_usage", "total_token_usage", "session",
    "items", "result", "Ok", "invocation", "duration", "changes", "metadata", "exit_code", "trajectory",
    "history", "observation", "thought", "state", "agent", "model_stats", "tokens_sent", "execution_time",
    "tool_call_ids", "traj", "task", "reward", "task_id", "trial", "chat_history", "cost", "mistake_step",
    "question_ID", "source", "data", "media_type", "image_url", "url", "exchanges", "uri", "request",
    "response", "response_text", "status", "choices", "contents", "parts", "functionCall",
    "functionResponse", "candidates", "previous_response_id", "system", "tools", "error", "reasoning",
    "prompt", "is_solved", "solution", "implementations", "reflections", "test_feedback", "entry_point",
    "cells", "cell_type", "outputs", "output_type", "stdout", "text/html", "text/markdown", "image/png",
    "ename", "sub_tasks", "Agent", "Cost ($)", "Prompt Tokens", "Completion Tokens", "total_time",
    "toolUse", "toolResult", "reasoningContent", "executableCode", "codeExecutionResult", "delta",
    "usageMetadata",
)  # fmt: skip
WORDS = (
    "user", "assistant", "tool", "system", "developer", "human", "Orchestrator (thought)", "A (-> B)", "text",
    "tool_use", "tool_result", "thinking", "image", "image_url", "session_meta", "response_item", "event_msg",
    "turn_context", "compacted", "message", "reasoning", "function_call", "function_call_output",
    "custom_tool_call", "local_shell_call", "web_search_call", "exec_command_end", "mcp_tool_call_end",
    "patch_apply_end", "token_count", "user_message", "agent_message", "item_completed", "turn_aborted",
    "summary", "Write", "Edit", "2025-06-14T11:00:00Z", '{"a": 1}', "Error: no", "```python\nx = 1\n```",
    "exitcode: 1 (execution failed)\nCode output: boom", "<environment_context>x", "Exit code: 2\nOutput:\n",
    "data:image/png;base64,AAAA", "s1", "c1", "http://a/v1/messages", "http://a/v1/responses", "http://[",
    "code", "markdown", "stream", "stdout", "display_data", "error", "Calling a...", "Message from b:",
    "c (to d):", 'data: {"type": "message_start"}', 'data: {"choices": [{}]}', "mcp_call", "model",
    "code_interpreter_call", "<tr><th>Cost</th><th>Prompt Tokens</th><th>Completion Tokens</th></tr>",
)  # fmt: skip
WORD = st.sampled_from(WORDS) | st.text(max_size=8)
SCALAR = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | WORD
JSON = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | WORD, inner, max_size=6)
    ),
    max_leaves=25,
)
OBJECT = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8)
LOGS = Path(__file__).parent / "fixtures" / "logs"
SOON = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _write(folder: Path, content: bytes, name: str = "log.jsonl") -> LogSource:
    path = folder / name
    path.write_bytes(content)
    return LogSource(path)


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, default=str) if _fits(value) else _python_json(value)


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _python_json(value: Any) -> bytes:
    import json  # noqa: PLC0415  (only for what the strict writer refuses)

    return json.dumps(value).encode()


def _check(values: list[RunRecord | Problem]) -> None:
    for value in values:
        assert isinstance(value, (RunRecord, Problem))
        if isinstance(value, Problem):
            assert "\n" not in value.reason
            continue
        orjson.dumps(dict(value.metadata))
        for event in value.events:
            orjson.dumps(dict(event.data or {}))
            assert event.seq == 0
            assert (event.role is not None) == (event.kind in ("message", "tool_result"))


@SOON
@given(st.binary(max_size=300))
def test_any_bytes_give_runs_or_problems(tmp_path: Path, content: bytes) -> None:
    """Whatever bytes a file holds, parsing it gives runs and Problems and never raises."""
    for name in ("log.jsonl", "log.json"):
        source = _write(tmp_path, content, name)
        for one in importers():
            _check(list(one.parse(source)))


@SOON
@given(st.lists(OBJECT | JSON, max_size=6))
def test_any_json_lines_give_runs_or_problems(tmp_path: Path, lines: list[Any]) -> None:
    """Whatever JSON stands on the lines, parsing gives runs and Problems and never raises."""
    source = _write(tmp_path, b"\n".join(map(_dump, lines)))
    for one in importers():
        _check(list(one.parse(source)))


@SOON
@given(OBJECT | JSON)
def test_any_json_document_gives_runs_or_problems(tmp_path: Path, value: Any) -> None:
    """Whatever JSON document a file is, parsing gives runs and Problems and never raises."""
    source = _write(tmp_path, _dump(value), "log.json")
    for one in importers():
        _check(list(one.parse(source)))


@SOON
@given(JSON, st.integers(0, 400))
def test_sniffing_never_raises(tmp_path: Path, value: Any, cut: int) -> None:
    """Telling the format of a cut-off file never raises."""
    source = _write(tmp_path, _dump(value)[:cut], "log.json")
    head = source.head
    if not isinstance(head, Problem):
        assert all(0.0 <= one.sniff(head) <= 1.0 for one in importers())


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in _paths(item, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


def _good_values(path: Path) -> list[Any]:
    """Return the document that a file is, else the objects on its lines."""
    content = path.read_bytes()
    values = [value for text in (content, *content.splitlines()) if (value := _parsed(text)) is not None]
    return values[:1] if _parsed(content) is not None else values


def _parsed(text: bytes) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, (dict, list)) else None


FIXTURES = sorted(path for path in LOGS.rglob("*") if path.suffix in (".json", ".jsonl", ".ipynb", ".traj"))


@SOON
@given(st.data())
def test_damaged_logs_give_runs_or_problems(tmp_path: Path, data: st.DataObject) -> None:
    """A real log in which any one value is another is still read, by its own and every other importer."""
    path = data.draw(st.sampled_from(FIXTURES))
    values = _good_values(path)
    where = data.draw(st.sampled_from(_paths(values)[1:]))
    damaged = _replaced(values, where, data.draw(JSON))
    content = b"\n".join(map(_dump, damaged))
    for one in importers():
        _check(list(one.parse(_write(tmp_path, content, path.name))))
    _check([item.value for item in read_path(tmp_path)])


@SOON
@given(st.data())
def test_truncated_logs_give_runs_or_problems(tmp_path: Path, data: st.DataObject) -> None:
    """A real log cut off anywhere is read by its own and every other importer without an exception."""
    path = data.draw(st.sampled_from(FIXTURES))
    content = path.read_bytes()
    cut = content[: data.draw(st.integers(0, len(content)))]
    for one in importers():
        _check(list(one.parse(_write(tmp_path, cut, path.name))))
    _check([item.value for item in read_path(tmp_path)])


@SOON
@given(st.data())
def test_a_damaged_log_is_taken_for_no_other_format(tmp_path: Path, data: st.DataObject) -> None:
    """A log in which one value is another is told as what it was, or as nothing that can be told surely."""
    path = data.draw(
        st.sampled_from([path for path in FIXTURES if path.suffix in (".json", ".ipynb", ".traj")])
    )
    (value,) = _good_values(path)
    before = _best(_write(tmp_path, _dump(value), path.name))
    where = data.draw(st.sampled_from(_paths(value)[1:]))
    after = _best(_write(tmp_path, _dump(_replaced(value, where, None)), path.name))
    assert after is None or after == before or {after, before} == {"openai-chat", "multi-agent"}


def _best(source: LogSource) -> str | None:
    """Return the format that a file is surely of."""
    head = source.head
    assert not isinstance(head, Problem)
    scores = {one.name: one.sniff(head) for one in importers()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= 0.5 else None


CALL = st.fixed_dictionaries({
    "id": st.uuids().map(str), "type": st.just("function"),
    "function": st.fixed_dictionaries({"name": WORD, "arguments": WORD}),
})  # fmt: skip
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": WORD | st.none()}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": WORD | st.none(), "tool_calls": st.lists(CALL, max_size=3)}
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": WORD, "content": WORD}),
)


@SOON
@given(st.lists(MESSAGE, min_size=1, max_size=12), st.booleans(), st.booleans())
def test_a_chat_keeps_every_message_and_call(
    tmp_path: Path, messages: list[dict[str, Any]], as_lines: bool, packed: bool
) -> None:
    """Messages by role and tool calls by name come out of a chat as they went in, packed or not."""
    content = b"\n".join(map(_dump, messages)) if as_lines else _dump(messages)
    name = "chat.jsonl" if as_lines else "chat.json"
    path = tmp_path / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(content) if packed else content)
    (item,) = read_path(path, format="openai-chat")
    assert isinstance(item.value, RunRecord)
    events = item.value.events
    assert Counter(event.role for event in events if event.role) == Counter(
        message["role"] for message in messages
    )
    called = [call["function"]["name"] or "unknown" for m in messages for call in m.get("tool_calls", ())]
    assert [event.tool.name for event in events if event.kind == "tool_call" and event.tool] == called
    said = [message["content"] for message in messages if message["role"] != "tool"]
    assert [event.content for event in events if event.kind == "message"] == said


def _runs(importer: Importer, source: LogSource) -> list[RunRecord]:
    return [value for value in importer.parse(source) if isinstance(value, RunRecord)]


@SOON
@given(st.lists(OBJECT, min_size=1, max_size=8), st.integers(1, 8))
def test_a_grown_log_begins_as_it_was(tmp_path: Path, lines: list[dict[str, Any]], cut: int) -> None:
    """The events of a line-based log's beginning are the same after it has grown."""
    for line in lines:  # one session, of the main agent, so that there is one run to compare
        line.update(sessionId="s1", isSidechain=False)
        line.setdefault("role", "user")
    dumped = [_dump(line) for line in lines]
    beginning = _write(tmp_path, b"\n".join([*dumped[:cut], b""]), "beginning.jsonl")
    whole = _write(tmp_path, b"\n".join([*dumped, b""]), "whole.jsonl")
    for one in importers():
        if one.name == "swe-agent":  # written once, at the end
            continue
        after = _runs(one, whole)
        for run in _runs(one, beginning):
            same = [other for other in after if other.native_id == run.native_id]
            assert any(other.events[: len(run.events)] == run.events for other in same)
