"""Recorded provider traffic: repeated histories become one conversation, whatever dialect they are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillsmith.capture.importers import read_path
from skillsmith.capture.importers.providers import call_in, provider_of
from skillsmith.capture.importers.streams import pieces_of, put_together
from skillsmith.models import Event, Problem, RunRecord

EXCHANGES = Path(__file__).parent / "fixtures" / "logs" / "exchanges"
CHAT = "https://api.openai.com/v1/chat/completions"


def _run(path: Path) -> RunRecord:
    (item,) = read_path(path)
    assert isinstance(item.value, RunRecord)
    return item.value


def _of(run: RunRecord, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


def _write(folder: Path, exchanges: list[Any]) -> Path:
    path = folder / "x.json"
    path.write_bytes(orjson.dumps({"origin": "o", "exchanges": exchanges}))
    return path


def _exchange(messages: list[Any], reply: str | None, **more: Any) -> dict[str, Any]:
    choices = [] if reply is None else [{"message": {"role": "assistant", "content": reply}}]
    request = {"model": "m", "messages": messages}
    return {"uri": CHAT, "request": request, "status": 200, "response": {"choices": choices}, **more}


def test_a_history_is_added_once() -> None:
    """Requests repeat what was said before; each message, thought, call and result is there once."""
    run = _run(EXCHANGES / "openai.json")
    assert [event.kind for event in run.events] == [
        "raw", "message", "message", "llm_call", "error", "llm_call", "reasoning", "message", "tool_call",
        "tool_result", "llm_call", "message", "message", "llm_call", "message",
    ]  # fmt: skip
    said = [(event.role, event.content) for event in _of(run, "message")]
    assert said == [
        ("system", "Be brief."), ("user", "Lend 'Dune'."), ("assistant", None), ("assistant", "Done."),
        ("user", "Thanks"), ("assistant", "Welcome."),
    ]  # fmt: skip
    assert (run.task, run.native_id, run.metadata["models"]) == (
        "Lend 'Dune'.", "library.yaml", ["gpt-x", "gpt-x-2025"],
    )  # fmt: skip
    assert [tool["name"] for tool in run.metadata["tools"]] == ["lend"]
    assert [event.step for event in run.events] == [1] * 12 + [2] * 3


def test_every_exchange_leaves_its_address_and_status() -> None:
    """Model calls carry tokens, cost where the provider states it, and parameters; others are kept raw."""
    run = _run(EXCHANGES / "openai.json")
    sent = [event.data for event in run.events if event.data and "uri" in event.data]
    assert [(data["number"], data["status"]) for data in sent] == [
        (1, 200), (2, 429), (3, 200), (4, 200), (5, 200),
    ]  # fmt: skip
    call = _of(run, "llm_call")[1]
    assert (call.tokens_in, call.tokens_out, call.cost_usd, call.at, call.record_id) == (
        20, 7, 0.002, 1760000000.0, "r1",
    )  # fmt: skip
    data = dict(call.data or {})
    assert (data["model"], data["provider"], data["prompt_messages"]) == ("gpt-x-2025", "openai", 2)
    assert (data["cached_tokens"], data["reasoning_tokens"], data["parameters"]) == (4, 2, {"temperature": 0})
    (error,) = _of(run, "error")
    assert (error.content, (error.data or {})["error_type"]) == ("slow down", "rate_limit")


def test_results_are_joined_to_calls_whose_ids_were_changed() -> None:
    """A client may send calls back under other ids, or give ids where the provider has none."""
    for name, expected in (("openai.json", "call_1"), ("dialects.json", "lend-1")):
        result = _of(_run(EXCHANGES / name), "tool_result")[0].tool
        assert result
        assert (result.name, result.call_id, result.result) == ("lend", expected, "lent")


def test_anthropics_stream_is_put_together() -> None:
    """Thinking, tool input in pieces and usage of a stream come out as of a whole answer."""
    run = _run(EXCHANGES / "anthropic.json")
    first, second = _of(run, "llm_call")
    assert (first.tokens_in, first.tokens_out, second.tokens_in) == (16, 25, 40)
    assert (first.data or {})["cached_tokens"] == 10
    assert [event.content for event in _of(run, "reasoning")] == ["It is B-3."]
    (call,), (result,) = _of(run, "tool_call"), _of(run, "tool_result")
    assert call.tool
    assert result.tool
    assert (call.tool.name, call.tool.parsed) == ("lend", {"book": "B-3"})
    assert (result.tool.call_id, result.tool.error) == ("t1", "no such book")
    assert [event.content for event in _of(run, "message")][-1] == (
        "[redacted_thinking, 3 characters]\nWe have none."
    )


def test_dialects_give_the_same_events() -> None:
    """Google, OpenAI's responses and Bedrock: reasoning, calls, results, executed code and tokens."""
    run = _run(EXCHANGES / "dialects.json")
    tokens = [(event.tokens_in, event.tokens_out) for event in _of(run, "llm_call")]
    assert tokens == [(12, 7), (20, 9), (50, 20), (5, 6), (7, 1), (12, 8), (19, 2)]
    assert [event.content for event in _of(run, "reasoning")] == ["Hm.", "I search.", "Back."]
    called = [(event.tool.name, event.tool.call_id) for event in _of(run, "tool_call") if event.tool]
    assert called == [
        ("lend", "lend-1"), ("web_search", "ws1"), ("ask", "mcp1"), ("lend", "c9"), ("give_back", "b1"),
    ]  # fmt: skip
    answered = [(e.tool.call_id, e.tool.result, e.tool.error) for e in _of(run, "tool_result") if e.tool]
    assert answered == [
        ("lend-1", "lent", None), ("mcp1", "gone", "gone"), ("c9", "lent", None), ("b1", '{"fee":0}', None),
    ]  # fmt: skip
    code = [(event.code.text, event.code.language) for event in _of(run, "code") if event.code]
    assert code == [("print(1)", "python"), ("1+1", "python")]
    results = [(event.code.exit_code, event.code.output) for event in _of(run, "code_result") if event.code]
    assert results == [(0, "1\n"), (None, "2")]
    providers = {(event.data or {})["provider"] for event in _of(run, "llm_call")}
    assert providers == {"gcp.gemini", "openai", "aws.bedrock"}


def test_an_exchange_a_line_is_read_too() -> None:
    """Lines of exchanges, with ``url`` for the address, local servers' streams and plain completions."""
    run = _run(EXCHANGES / "lines.jsonl")
    assert [event.content for event in _of(run, "message")] == [
        "Lend 'Dune'.", "On loan.", "Once", " upon a time",
    ]  # fmt: skip
    assert [(event.tokens_in, event.tokens_out) for event in _of(run, "llm_call")] == [(8, 2), (1, 3)]


def test_histories_that_part_keep_what_they_share_once(tmp_path: Path) -> None:
    """A second try of a question, and another after the same beginning, add only what differs."""
    ask, other = {"role": "user", "content": "a?"}, {"role": "user", "content": "b?"}
    said = {"role": "assistant", "content": "1"}
    asked = ([ask], [ask], [ask, said, other], [other])
    answers = ("1", "2", "3", "4")
    run = _run(_write(tmp_path, [_exchange(*pair) for pair in zip(asked, answers, strict=True)]))
    assert [event.content for event in _of(run, "message")] == ["a?", "1", "2", "b?", "3", "b?", "4"]


def test_what_is_no_exchange_is_reported(tmp_path: Path) -> None:
    """Items without request or address are named; a list of nothing but them is no run."""
    good = _exchange([{"role": "user", "content": "a?"}], None)
    values = [item.value for item in read_path(_write(tmp_path, [good, {"uri": "x"}, 7]))]
    assert [value.reason for value in values if isinstance(value, Problem)] == [
        "item 2 is no exchange: it has no request with address or answer",
        "item 3 is no exchange: it has no request with address or answer",
    ]
    for nothing in ([], [{}]):
        *_, last = read_path(_write(tmp_path, list(nothing)), format="provider-exchanges")
        assert isinstance(last.value, Problem)
        assert last.value.reason == "holds no exchanges"


def test_a_failure_without_a_body_is_an_error(tmp_path: Path) -> None:
    """An answer of which only the status is known is an error with that status."""
    broken = {**_exchange([{"role": "user", "content": "a?"}], None), "status": 502, "response": None}
    run = _run(_write(tmp_path, [broken]))
    assert [event.content for event in _of(run, "error")] == ["HTTP status 502"]


@pytest.mark.parametrize(
    ("uri", "provider"),
    [
        ("https://api.openai.com/v1", "openai"), ("https://x.openai.azure.com/o", "azure.ai.openai"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse", "aws.bedrock"),
        ("https://europe-west1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("http://localhost:8000/v1", "localhost"), ("nothing", None), ("http://[broken", None),
    ],
)  # fmt: skip
def test_providers_are_told_from_hosts(uri: str, provider: str | None) -> None:
    """Known hosts give the provider's name in the conventions, others themselves."""
    assert provider_of(uri) == provider


def test_the_model_may_stand_in_the_address() -> None:
    """Google, Bedrock and Azure name the model in the path."""
    for uri, model in (
        ("https://g/v1beta/models/gemini-x:generateContent", "gemini-x"),
        ("https://b/model/amazon.nova-x%3A0/converse", "amazon.nova-x:0"),
        ("https://a/openai/deployments/mine/chat/completions", "mine"),
    ):
        call = call_in(uri, {"messages": []}, None)
        assert call
        assert call.model == model


def test_streams_of_all_kinds_are_cut_into_pieces() -> None:
    """Events, an array and lines are pieces; an unknown kind of more than one piece is no answer."""
    assert pieces_of('data: {"a": 1}\n\ndata: {"a":\ndata: 2}\n\ndata: [DONE]\n') == [{"a": 1}, {"a": 2}]
    assert pieces_of('[{"a": 1}, 2]') == [{"a": 1}]
    assert pieces_of('{"a": 1}\noops\n{"a": 2}') == [{"a": 1}, {"a": 2}]
    assert put_together([{"a": 1}, {"a": 2}]) is None
    assert put_together([{"a": 1}]) == {"a": 1}
    assert put_together([]) is None


def test_streamed_calls_without_an_index_are_kept_apart() -> None:
    """Pieces of tool calls belong to the call of their id, else to the last."""
    parts = [("c1", '{"a"'), (None, ": 1}"), ("c2", "{}")]
    pieces = [
        {"choices": [{"delta": {"tool_calls": [{"id": i, "function": {"name": "f", "arguments": text}}]}}]}
        for i, text in parts
    ]
    answer = put_together(pieces)
    assert answer
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [
        ("c1", '{"a": 1}'),
        ("c2", "{}"),
    ]


TURN = st.tuples(st.text(min_size=1, max_size=6), st.text(min_size=1, max_size=6))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TURN, min_size=1, max_size=6))
def test_a_conversation_comes_out_of_its_requests(tmp_path: Path, turns: list[tuple[str, str]]) -> None:
    """However long a chat gets, its requests give each question and each answer once, in order."""
    history: list[dict[str, str]] = []
    exchanges = []
    for question, answer in turns:
        history = [*history, {"role": "user", "content": question}]
        exchanges.append(_exchange(history, answer))
        history = [*history, {"role": "assistant", "content": answer}]
    run = _run(_write(tmp_path, exchanges))
    said = [(event.role, event.content) for event in run.events if event.kind == "message"]
    assert said == [(message["role"], message["content"]) for message in history]
