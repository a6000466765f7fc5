"""The formats as their other versions, and other tools, write them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from skillsmith.capture.importers import read_path
from skillsmith.models import Problem, RunRecord

ASK = {"role": "user", "content": "Weather in Paris?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = {"role": "tool", "tool_call_id": "c1", "content": "20 degrees"}
SAID = {"role": "assistant", "content": "It is warm"}
CHAT: list[dict[str, Any]] = [ASK, CALLING, ANSWER, SAID]


def _lines(*values: Any) -> bytes:
    return b"\n".join(map(orjson.dumps, values)) + b"\n"


def _read(folder: Path, content: bytes, name: str = "log.json") -> RunRecord:
    path = folder / name
    path.write_bytes(content)
    (run,) = [item.value for item in read_path(path)]
    assert isinstance(run, RunRecord), run
    return run


def _reasons(folder: Path, content: bytes, name: str = "log.json") -> list[str]:
    path = folder / name
    path.write_bytes(content)
    return [item.value.reason for item in read_path(path) if isinstance(item.value, Problem)]


def _told(run: RunRecord) -> tuple[str, dict[str, int], list[str], list[str | None]]:
    """Return source, messages by role, calls and results."""
    said = Counter(event.role or "" for event in run.events if event.kind == "message")
    calls = [event.tool.name for event in run.events if event.kind == "tool_call" and event.tool]
    results = [event.tool.result for event in run.events if event.kind == "tool_result" and event.tool]
    return run.source, dict(said), calls, results


def _tokens(run: RunRecord) -> tuple[int, int]:
    return sum(e.tokens_in or 0 for e in run.events), sum(e.tokens_out or 0 for e in run.events)


def _errors(run: RunRecord) -> int:
    return sum(event.kind == "error" or bool(event.tool and event.tool.error) for event in run.events)


# ------------------------------------------------------------------------------------------------- chats

LANGCHAIN: list[dict[str, Any]] = [
    {"type": "human", "content": "Weather in Paris?"},
    {"type": "ai", "content": "", "tool_calls": [{"name": "weather", "args": {"city": "Paris"}, "id": "c1"}]},
    {"type": "tool", "content": "20 degrees", "name": "weather", "tool_call_id": "c1", "status": "success"},
    {"type": "ai", "content": "It is warm", "tool_calls": []},
]
NAMES = ("HumanMessage", "AIMessage", "ToolMessage", "AIMessage")
PYDANTIC_AI: list[dict[str, Any]] = [
    {"kind": "request", "parts": [{"part_kind": "user-prompt", "content": "Weather in Paris?"}]},
    {"kind": "response", "parts": [
        {"part_kind": "tool-call", "tool_name": "weather", "args": {"city": "Paris"}, "tool_call_id": "c1"},
    ]},
    {"kind": "request", "parts": [
        {"part_kind": "tool-return", "tool_name": "weather", "content": "20 degrees", "tool_call_id": "c1"},
    ]},
    {"kind": "response", "parts": [{"part_kind": "text", "content": "It is warm"}]},
]  # fmt: skip
GOOGLE: list[dict[str, Any]] = [
    {"role": "user", "parts": [{"text": "Weather in Paris?"}]},
    {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Paris"}}}]},
    {
        "role": "user",
        "parts": [{"functionResponse": {"name": "weather", "response": {"result": "20 degrees"}}}],
    },
    {"role": "model", "parts": [{"text": "It is warm"}]},
]
AI_SDK: list[dict[str, Any]] = [
    ASK,
    {"role": "assistant", "content": [
        {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Paris"}},
    ]},
    {"role": "tool", "content": [
        {"type": "tool-result", "toolCallId": "c1", "toolName": "weather",
         "output": {"type": "text", "value": "20 degrees"}},
    ]},
    SAID,
]  # fmt: skip
INTERFACE: list[dict[str, Any]] = [
    {"role": "user", "parts": [{"type": "text", "text": "Weather in Paris?"}]},
    {"role": "assistant", "parts": [
        {"type": "step-start"},
        {"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": {"city": "Paris"},
         "output": "20 degrees"},
    ]},
    {"role": "assistant", "parts": [{"type": "text", "text": "It is warm"}]},
]  # fmt: skip
SHAPES: dict[str, Any] = {
    "langchain, plain": LANGCHAIN,
    "langchain, with data": [{"type": one["type"], "data": one} for one in LANGCHAIN],
    "langchain, dumped": [
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", name], "kwargs": one}
        for name, one in zip(NAMES, LANGCHAIN, strict=True)
    ],
    "pydantic-ai": PYDANTIC_AI,
    "google's request": {"contents": GOOGLE},
    "roles in capitals": [{**one, "role": one["role"].upper()} for one in CHAT],
    "inside another object": {"model": "m", "data": {"messages": CHAT}},
    "the interface of the AI SDK": INTERFACE,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_messages_of_other_frameworks_are_the_same_chat(shape: Any, tmp_path: Path) -> None:
    """Whatever a framework calls speakers, calls and results, the run has the same messages and calls."""
    run = _read(tmp_path, orjson.dumps(shape))
    source, said, calls, results = _told(run)
    assert (source, said, calls) == ("openai-chat", {"user": 1, "assistant": 2}, ["weather"])
    assert len(results) == 1
    assert "20 degrees" in str(results[0])
    assert run.task == "Weather in Paris?"


def test_results_in_the_blocks_of_the_ai_sdk_are_results(tmp_path: Path) -> None:
    """Calls and results that stand as blocks named with hyphens are calls and results, failures too."""
    run = _read(tmp_path, orjson.dumps(AI_SDK))
    assert _told(run)[2] == ["weather"]
    failed = orjson.loads(orjson.dumps(AI_SDK))
    failed[2]["content"][0]["output"] = {"type": "error-text", "value": "no such city"}
    failed[2]["role"] = "user"
    assert _errors(_read(tmp_path, orjson.dumps(failed))) == 1


def test_sharegpt_lines_are_chats(tmp_path: Path) -> None:
    """A line with speakers under "from" and texts under "value" is a conversation."""
    chat = [{"from": "human", "value": "Weather in Paris?"}, {"from": "gpt", "value": "It is warm"}]
    assert _told(_read(tmp_path, _lines({"conversations": chat}), "x.jsonl"))[1] == {
        "user": 1,
        "assistant": 1,
    }


@pytest.mark.parametrize("content", [
    _lines(CHAT, CHAT), _lines({"messages": CHAT}, {"messages": CHAT}), orjson.dumps([CHAT, CHAT]),
])  # fmt: skip
def test_several_conversations_in_a_file_are_several_runs(content: bytes, tmp_path: Path) -> None:
    """Lists of messages may stand one a line, in a list, or each in an object."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    runs = [item.value for item in read_path(path)]
    assert [_told(run)[2] for run in runs if isinstance(run, RunRecord)] == [["weather"], ["weather"]]
    assert len(runs) == 2


def test_the_system_text_of_a_request_is_a_message(tmp_path: Path) -> None:
    """Providers keep the instructions beside the messages; the run begins with them."""
    run = _read(tmp_path, orjson.dumps({"system": [{"type": "text", "text": "Be kind"}], "messages": CHAT}))
    assert (run.events[0].role, run.events[0].content) == ("system", "Be kind")


@pytest.mark.parametrize(("field", "value"), [
    ("status", "error"), ("is_error", True), ("content", '{"content": [], "isError": true}'),
    ("content", "<tool_use_error>gone</tool_use_error>"),
])  # fmt: skip
def test_a_result_that_calls_itself_an_error_is_one(field: str, value: Any, tmp_path: Path) -> None:
    """A tool's failure is told by the message's field, by MCP's, or by Claude Code's mark in the text."""
    assert _errors(_read(tmp_path, orjson.dumps([ASK, CALLING, {**ANSWER, field: value}, SAID]))) == 1


def test_a_picture_is_no_part_of_the_task(tmp_path: Path) -> None:
    """The message keeps the note on a picture; the task is what was said in words."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40}}
    run = _read(
        tmp_path,
        orjson.dumps([{"role": "user", "content": [picture, {"type": "text", "text": "Hm?"}]}, SAID]),
    )
    assert run.task == "Hm?"
    assert "image_url" in (run.events[0].content or "")


def test_requests_with_their_answers_need_no_address(tmp_path: Path) -> None:
    """A pair of request and response tells by its shape whose it is; histories are joined."""
    pairs = [
        {"request": {"model": "m", "messages": CHAT[:1]}, "response": {
            "choices": [{"message": CALLING}], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}},
        {"request": {"model": "m", "messages": CHAT[:3]}, "response": {
            "choices": [{"message": SAID}], "usage": {"prompt_tokens": 20, "completion_tokens": 7}}},
    ]  # fmt: skip
    run = _read(tmp_path, _lines(*pairs), "x.jsonl")
    assert _told(run) == ("provider-exchanges", {"user": 1, "assistant": 2}, ["weather"], ["20 degrees"])
    assert _tokens(run) == (30, 12)


def test_letters_of_another_encoding_are_reported_not_replaced(tmp_path: Path) -> None:
    """Of several documents in a file, one that is not UTF-8 is a problem that says what to do."""
    good = orjson.dumps([ASK, SAID])
    bad = '[{"role": "user", "content": "Köln"}]'.encode("latin-1")
    path = tmp_path / "x.json"
    path.write_bytes(good + b"\n" + bad)
    run, problem = [item.value for item in read_path(path)]
    assert isinstance(run, RunRecord)
    assert isinstance(problem, Problem)
    assert (problem.line, "iconv" in problem.reason) == (2, True)
    assert any("iconv" in reason for reason in _reasons(tmp_path, bad))


# -------------------------------------------------------------------------------------------- Claude Code


def _claude(kind: str, uuid: str, content: Any, **more: Any) -> dict[str, Any]:
    message = {
        "role": kind,
        "content": content,
        "id": f"m-{uuid}",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    return {"type": kind, "uuid": uuid, "parentUuid": None, "sessionId": "s1", "message": message, **more}


CLAUDE = [
    _claude("user", "u1", "List the files"),
    _claude(
        "assistant", "a1", [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}]
    ),
    _claude("user", "u2", [{"type": "tool_result", "tool_use_id": "t1", "content": "a.txt"}]),
    _claude("assistant", "a2", [{"type": "text", "text": "There is a.txt"}]),
]
CLAUDE_TOLD = ("claude-code", {"user": 1, "assistant": 2}, ["Bash"], ["a.txt"])


def test_a_session_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    """Lines of a resumed session that repeat earlier ones are left out; other ones with their id are not."""
    assert _told(_read(tmp_path, _lines(*CLAUDE, *CLAUDE), "s.jsonl")) == CLAUDE_TOLD
    other = _claude("assistant", "a2", [{"type": "text", "text": "And b.txt"}])
    assert _told(_read(tmp_path, _lines(*CLAUDE, other), "s.jsonl"))[1] == {"user": 1, "assistant": 3}


def test_what_claude_code_prints_is_a_session_too(tmp_path: Path) -> None:
    """The lines, or the one list, that stream-json prints give the run, with the cost it states."""
    printed = [
        {"type": "system", "subtype": "init", "cwd": "/w", "session_id": "s1", "uuid": "x0"},
        *({"type": one["type"], "message": one["message"], "session_id": "s1", "uuid": one["uuid"],
           "parent_tool_use_id": None} for one in CLAUDE),
        {"type": "result", "subtype": "success", "session_id": "s1", "total_cost_usd": 0.5},
    ]  # fmt: skip
    for content in (_lines(*printed), orjson.dumps(printed)):
        run = _read(tmp_path, content, "out.txt")
        assert (_told(run), run.cost_usd, run.work_dir) == (CLAUDE_TOLD, 0.5, "/w")


def test_a_summary_that_begins_a_session_is_not_its_task(tmp_path: Path) -> None:
    """Also without its mark, the text that a compaction leaves is nothing that the user asked."""
    summary = "This session is being continued from a previous conversation that ran out of context. So far…"
    run = _read(tmp_path, _lines(_claude("user", "u0", summary), *CLAUDE), "s.jsonl")
    assert run.task == "List the files"


def test_failures_of_the_model_and_of_its_own_tools_are_errors(tmp_path: Path) -> None:
    """An answer that stands for an API error is one, and so is a search that gives only an error code."""
    broken = _claude("assistant", "a3", [{"type": "text", "text": "API Error: 500"}], isApiErrorMessage=True)
    search = [
        {"type": "server_tool_use", "id": "w1", "name": "web_search", "input": {"query": "x"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "w1",
            "content": {"error_code": "max_uses_exceeded"},
        },
    ]
    run = _read(tmp_path, _lines(*CLAUDE, broken, _claude("assistant", "a4", search)), "s.jsonl")
    assert _errors(run) == 2


def test_a_session_is_known_among_many_lines_of_new_kinds(tmp_path: Path) -> None:
    """One message of a session tells the format, whatever else a newer version writes."""
    new = [{"type": "brand-new", "sessionId": "s1", "uuid": f"n{number}"} for number in range(20)]
    assert _told(_read(tmp_path, _lines(*new, *CLAUDE), "s.jsonl")) == CLAUDE_TOLD


# -------------------------------------------------------------------------------------------------- Codex


def _rollout(kind: str, **payload: Any) -> dict[str, Any]:
    return {"timestamp": "2025-09-01T10:00:00.000Z", "type": kind, "payload": payload}


CODEX = [
    _rollout("session_meta", id="s1", timestamp="2025-09-01T10:00:00.000Z", cwd="/w"),
    _rollout("response_item", type="message", role="user", content=[{"type": "input_text", "text": "List"}]),
    _rollout(
        "response_item", type="function_call", name="shell", arguments='{"command":["ls"]}', call_id="c1"
    ),
]


@pytest.mark.parametrize("output", [
    "failed to parse function arguments: missing field", "execution error: Io(NotFound)",
    "exec command rejected by user", {"content": "bad", "success": False},
])  # fmt: skip
def test_a_call_that_codex_did_not_carry_out_has_failed(output: Any, tmp_path: Path) -> None:
    """What the program answers in a command's place, without an exit code, is an error."""
    answer = _rollout("response_item", type="function_call_output", call_id="c1", output=output)
    assert _errors(_read(tmp_path, _lines(*CODEX, answer), "r.jsonl")) == 1


@pytest.mark.parametrize("counts", [
    [{"input_tokens": 100, "output_tokens": 20}, {"input_tokens": 50, "output_tokens": 10}],
    [{"info": {"total_token_usage": {"input_tokens": 100, "output_tokens": 20}}},
     {"info": {"total_token_usage": {"input_tokens": 150, "output_tokens": 30}}}],
])  # fmt: skip
def test_tokens_are_counted_in_the_older_forms(counts: list[dict[str, Any]], tmp_path: Path) -> None:
    """Counts may stand plainly, or only as totals that grow."""
    lines = [_rollout("event_msg", type="token_count", **one) for one in counts]
    assert _tokens(_read(tmp_path, _lines(*CODEX, *lines), "r.jsonl")) == (150, 30)


@pytest.mark.parametrize("turned", [False, True])
def test_a_search_without_an_id_is_one_call(turned: bool, tmp_path: Path) -> None:
    """The item of a search and the message of its end are one, whichever comes first."""
    both = [
        _rollout("response_item", type="web_search_call", action={"type": "search", "query": "x"}),
        _rollout("event_msg", type="web_search_end", call_id="ws1", query="x"),
    ]
    run = _read(tmp_path, _lines(*CODEX, *(reversed(both) if turned else both)), "r.jsonl")
    assert _told(run)[2] == ["shell", "web_search"]


def test_what_codex_prints_is_a_session_too(tmp_path: Path) -> None:
    """The lines of ``codex exec --json`` give thoughts, commands, changes, answers and tokens."""
    items = [
        {"id": "i0", "type": "reasoning", "text": "Look first"},
        {"id": "i1", "type": "command_execution", "command": "ls", "aggregated_output": "a.txt",
         "exit_code": 0},
        {"id": "i2", "type": "file_change", "changes": [{"path": "b.txt", "kind": "add"}],
         "status": "failed"},
        {"id": "i3", "type": "mcp_tool_call", "server": "s", "tool": "t", "arguments": {},
         "error": {"message": "no"}},
        {"id": "i4", "type": "agent_message", "text": "There is a.txt"},
    ]  # fmt: skip
    run = _read(tmp_path, _lines(
        {"type": "thread.started", "thread_id": "t1"}, {"type": "turn.started"},
        *({"type": "item.completed", "item": item} for item in items),
        {"type": "turn.completed", "usage": {"input_tokens": 100, "output_tokens": 20}},
    ), "out.jsonl")  # fmt: skip
    source, said, calls, results = _told(run)
    assert (source, run.native_id, said) == ("codex", "t1", {"assistant": 1})
    assert calls == ["exec_command", "apply_patch", "s.t"]
    assert results[0] == "a.txt"
    assert (_errors(run), _tokens(run)) == (2, (100, 20))


# ---------------------------------------------------------------------------------------------- SWE-agent


def test_the_last_observation_answers_a_call_that_no_message_answers(tmp_path: Path) -> None:
    """A trajectory whose history ends with a call has the result in its own step."""
    call = {"id": "c1", "type": "function", "function": {"name": "submit", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "Fix it", "agent": "main", "message_type": "observation"},
        {"role": "assistant", "content": "Done", "action": "submit", "agent": "main", "tool_calls": [call],
         "message_type": "action"},
    ]  # fmt: skip
    step = {"action": "submit", "observation": "diff", "thought": "", "state": {}}
    run = _read(tmp_path, orjson.dumps({"trajectory": [step], "history": history, "info": {}}), "x.traj")
    assert _told(run)[2:] == (["submit"], ["diff"])


def test_commands_of_the_small_agent_are_code_with_results(tmp_path: Path) -> None:
    """mini-swe-agent answers blocks of bash with a return code and an output in tags."""
    said = [
        ("system", "You fix things"), ("user", "Fix it"), ("assistant", "Look\n\n```bash\nls\n```"),
        ("user", "<returncode>2</returncode>\n<output>\nno such file\n</output>"), ("assistant", "Done"),
    ]  # fmt: skip
    messages = [{"role": role, "content": text} for role, text in said]
    run = _read(tmp_path, orjson.dumps({"messages": messages, "trajectory_format": "mini-swe-agent-1"}))
    ran = [
        (e.code.language, e.code.exit_code, e.code.output)
        for e in run.events
        if e.kind == "code_result" and e.code
    ]
    assert ran == [("sh", 2, "no such file\n")]


# -------------------------------------------------------------------------------------------------- spans

TRACE = "0123456789abcdef0123456789abcdef"
QUESTION = [{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}]
REPLY = [{"role": "assistant", "parts": [{"type": "text", "content": "It is warm"}]}]
START = 1_750_000_000_000_000_000


def _facts(**more: Any) -> dict[str, Any]:
    facts = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5, "gen_ai.input.messages": orjson.dumps(QUESTION).decode(),
        "gen_ai.output.messages": orjson.dumps(REPLY).decode(),
    }  # fmt: skip
    return {name: value for name, value in {**facts, **more}.items() if value is not None}


def _value(value: Any) -> dict[str, Any]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _span(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "traceId": TRACE, "spanId": "00000000000000ab", "name": "chat m", "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 10**9),
        "attributes": [{"key": key, "value": _value(value)} for key, value in facts.items()],
    }  # fmt: skip


def _otlp(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}]}]}


def _spans_of_other_tools() -> dict[str, Any]:
    facts, micro = _facts(), START // 1000
    tags = [{"key": key, "type": "string", "value": value} for key, value in facts.items()]
    return {
        "bare": [_span(facts)],
        "under spans": {"spans": [_span(facts)]},
        "with plain attributes": _otlp({**_span({}), "attributes": facts}),
        "jaeger": {"data": [{"traceID": TRACE, "spans": [
            {"traceID": TRACE, "spanID": "ab", "operationName": "chat m", "references": [],
             "startTime": micro, "duration": 10**6, "tags": tags, "logs": []},
        ]}]},
        "zipkin": [{"traceId": TRACE, "id": "ab", "name": "chat m", "timestamp": micro, "duration": 10**6,
                    "tags": {key: str(value) for key, value in facts.items()}}],
        "javascript": [{"traceId": TRACE, "id": "ab", "name": "chat m", "timestamp": micro, "duration": 1e6,
                        "attributes": facts, "status": {"code": 0}, "events": []}],
    }  # fmt: skip


@pytest.mark.parametrize("shape", _spans_of_other_tools().values(), ids=list(_spans_of_other_tools()))
def test_spans_of_other_tools_are_the_same_trace(shape: Any, tmp_path: Path) -> None:
    """With or without envelope, as Jaeger, Zipkin or JavaScript write them, spans give the same run."""
    run = _read(tmp_path, orjson.dumps(shape))
    assert _told(run)[:2] == ("otel", {"user": 1, "assistant": 1})
    assert (run.task, _tokens(run), run.started_at) == ("Weather in Paris?", (10, 5), START / 1e9)


@pytest.mark.parametrize("first", [True, False])
def test_messages_in_log_records_belong_to_their_spans(first: bool, tmp_path: Path) -> None:
    """Where messages are logged beside the spans, they are found by trace and span, in any order."""

    def note(name: str, body: dict[str, Any]) -> dict[str, Any]:
        said = orjson.dumps(body).decode()
        return {"timeUnixNano": str(START), "traceId": TRACE, "spanId": "00000000000000ab", "eventName": name,
                "body": {"stringValue": said}, "attributes": []}  # fmt: skip

    records = [
        note("gen_ai.user.message", {"content": "Weather in Paris?"}),
        note("gen_ai.choice", {"message": {"role": "assistant", "content": "It is warm"}}),
    ]
    logs = {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]}
    empty = {"gen_ai.input.messages": None, "gen_ai.output.messages": None}
    lines = [_otlp(_span(_facts(**empty))), logs]
    run = _read(tmp_path, _lines(*(reversed(lines) if first else lines)), "t.jsonl")
    assert _told(run)[1] == {"user": 1, "assistant": 1}


def test_spans_of_the_ai_sdk_and_of_logfire_are_understood(tmp_path: Path) -> None:
    """Vercel's names for prompts, answers and tools, and events that stand in an attribute, are read."""
    calls = [{"toolCallId": "c1", "toolName": "weather", "input": {"city": "Paris"}}]
    sdk: list[dict[str, Any]] = [
        {"ai.operationId": "ai.generateText", "ai.prompt": '{"system": "Be kind", "prompt": "Weather?"}'},
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m", "ai.usage.promptTokens": 10,
         "ai.usage.completionTokens": 5, "ai.response.toolCalls": orjson.dumps(calls).decode()},
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather", "ai.toolCall.id": "c1",
         "ai.toolCall.args": '{"city": "Paris"}', "ai.toolCall.result": "20 degrees"},
    ]  # fmt: skip
    spans = [{**_span(facts), "spanId": f"{number:016x}", "parentSpanId": f"{1:016x}" if number > 1 else "",
              "startTimeUnixNano": str(START + number), "endTimeUnixNano": str(START + number)}
             for number, facts in enumerate(sdk, 1)]  # fmt: skip
    run = _read(tmp_path, orjson.dumps(_otlp(*spans)))
    assert _told(run) == ("otel", {"system": 1, "user": 1, "assistant": 1}, ["weather"], ["20 degrees"])
    assert _tokens(run) == (10, 5)
    events = [
        {"event.name": "gen_ai.user.message", "role": "user", "content": "Weather in Paris?"},
        {"event.name": "gen_ai.choice", "message": {"role": "assistant", "content": "It is warm"}},
    ]
    kept = {
        "gen_ai.input.messages": None,
        "gen_ai.output.messages": None,
        "events": orjson.dumps(events).decode(),
    }
    assert _told(_read(tmp_path, orjson.dumps(_otlp(_span(_facts(**kept))))))[1] == {
        "user": 1,
        "assistant": 1,
    }


def test_a_trace_in_rotated_files_is_one_run(tmp_path: Path) -> None:
    """The files that a collector filled and the one it writes are read as one, by their times."""
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.id": "c1",
    }
    later = {**_span(tool), "spanId": "00000000000000ac"}
    (tmp_path / "traces.json").write_bytes(_lines(_otlp(later)))
    (tmp_path / "traces-2025-06-01T10-00-00.000.json").write_bytes(_lines(_otlp(_span(_facts()))))
    (tmp_path / "others.json").write_bytes(_lines(_otlp({**_span(_facts()), "traceId": "f" * 32})))
    runs = [item.value for item in read_path(tmp_path)]
    told = [_told(run)[2] for run in runs if isinstance(run, RunRecord)]
    assert sorted(told) == [[], ["weather"]]


# -------------------------------------------------------------------------------- AG2 Classic, notebooks


def test_the_first_tables_of_runtime_logging_are_read(tmp_path: Path) -> None:
    """Without events and names, prompts tell what was said, and every reply is a message."""
    path = tmp_path / "logs.db"
    history: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Weather?"},
    ]
    with sqlite3.connect(path) as base:
        base.execute(
            "create table chat_completions"
            "(session_id, request, response, is_cached, cost, start_time, end_time)"
        )
        base.execute("create table agents(agent_id, session_id, name, class, timestamp)")
        for number, text in enumerate(("Where?", "It is warm")):
            answer = {
                "choices": [{"message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": 10},
            }
            request = orjson.dumps({"messages": history}).decode()
            at = f"2025-01-01 10:0{number}:00.000000"
            base.execute("insert into chat_completions values('s', ?, ?, 0, 0.5, ?, ?)",
                         (request, orjson.dumps(answer).decode(), at, at))  # fmt: skip
            history += [{"role": "assistant", "content": text}, {"role": "user", "content": "Paris"}]
    base.close()
    (run,) = [item.value for item in read_path(path)]
    assert isinstance(run, RunRecord)
    said = [(event.role, event.content) for event in run.events if event.kind == "message"]
    assert said == [
        ("system", "Be kind"), ("user", "Weather?"), ("assistant", "Where?"), ("user", "Paris"),
        ("assistant", "It is warm"),
    ]  # fmt: skip
    assert (run.task, _tokens(run)) == ("Weather?", (20, 0))


RULE = "-" * 80
TALK = f"user_proxy (to coder):\n\nPlot it\n\n{RULE}\ncoder (to user_proxy):\n\nDone\n\n{RULE}\n"


@pytest.mark.parametrize("output", [
    [{"output_type": "stream", "name": "stdout", "text": TALK}],
    [{"output_type": "stream", "stream": "stdout", "text": TALK.splitlines(keepends=True)}],
    [{"output_type": "stream", "name": "stdout", "text": TALK[at : at + 30]} for at in range(0, 300, 30)],
    [{"output_type": "stream", "name": "stdout", "text": f"\x1b[32mINFO\x1b[0m begun\n{TALK}"}],
])  # fmt: skip
@pytest.mark.parametrize("old", [False, True])
def test_notebooks_of_both_formats_give_the_conversation(
    output: list[dict[str, Any]],
    old: bool,
    tmp_path: Path,
) -> None:
    """Old cells stand in worksheets under other names; streams may come in pieces, beside coloured logs."""
    source = 'user_proxy.initiate_chat(coder, message="Plot it")'
    cell = {"cell_type": "code", "input" if old else "source": source, "outputs": output}
    error: dict[str, Any] = {
        "output_type": "pyerr" if old else "error",
        "ename": "ValueError",
        "evalue": "no",
        "traceback": [],
    }
    cell["outputs"] = [*output, error]
    notebook = {"worksheets": [{"cells": [cell]}], "nbformat": 3} if old else {"cells": [cell], "nbformat": 4}
    run = _read(tmp_path, orjson.dumps(notebook), "x.ipynb")
    assert _told(run)[:2] == ("notebook", {"user": 1, "assistant": 1})
    assert (run.task, run.status, _errors(run)) == ("Plot it", "failed", 1)
