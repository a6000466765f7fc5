from __future__ import annotations

import pytest

from skillsmith.library.trace.calls import calls_of, failure_in, said_in
from skillsmith.models import Event, Json, ToolUse


def call(seq: int, name: str, call_id: str | None, arguments: str = "{}", parsed: object = None) -> Event:
    """Return a tool_call event."""
    tool = ToolUse(name=name, call_id=call_id, arguments=arguments, parsed={} if parsed is None else parsed)
    return Event(kind="tool_call", seq=seq, tool=tool)


def result(seq: int, name: str, call_id: str | None, text: str | None, error: str | None = None) -> Event:
    """Return a tool_result event."""
    tool = ToolUse(name=name, call_id=call_id, result=text, error=error)
    return Event(kind="tool_result", seq=seq, role="tool", tool=tool)


def test_calls_are_joined_by_id_even_out_of_order() -> None:
    """Two calls of one message get their own results, in whatever order those came."""
    events = [
        call(1, "get", "a"),
        call(2, "get", "b"),
        result(3, "get", "b", '{"n": 2}'),
        result(4, "get", "a", "1"),
    ]
    assert [found.result for found in calls_of(events)] == [1, {"n": 2}]


def test_without_ids_the_next_result_of_that_tool_is_taken() -> None:
    """Logs without call ids still pair up, each result used once."""
    events = [
        call(1, "get", None),
        result(2, "get", None, "x"),
        call(3, "get", None),
        result(4, "get", None, "y"),
    ]
    assert [found.result for found in calls_of(events)] == ["x", "y"]


def test_errors_are_recognised() -> None:
    """A flagged error, a result that says Error, and no result at all are failures."""
    events = [
        call(1, "a", "1"), result(2, "a", "1", "Error: no such order"),
        call(3, "b", "2"), result(4, "b", "2", "gone", error="timeout"),
        call(5, "c", "3"),
        call(6, "d", "4"), result(7, "d", "4", "errors: 0"),
    ]  # fmt: skip
    assert [found.error is not None for found in calls_of(events)] == [True, True, True, False]


def test_arguments_that_are_no_object_are_none() -> None:
    """Malformed arguments do not pass for an empty call."""
    broken = Event(kind="tool_call", seq=1, tool=ToolUse(name="a", arguments="{oops", parsed=None))
    assert calls_of([broken])[0].arguments is None
    assert calls_of([Event(kind="tool_call", seq=1, tool=ToolUse(name="a"))])[0].arguments == {}


def test_words_are_the_task_and_the_user_messages() -> None:
    """Only what people said counts as words, the task before everything."""
    events = [
        Event(kind="message", seq=1, role="system", content="policy"),
        Event(kind="message", seq=2, role="user", content="hello"),
        Event(kind="message", seq=3, role="assistant", content="hi"),
    ]
    assert [(one.seq, one.where, one.text) for one in said_in("do it", events)] == [
        (0, "task", "do it"),
        (2, "user", "hello"),
    ]


def test_a_result_that_only_routes_marks_its_call() -> None:
    """A call whose result names who goes on ``routes``; one whose result is data does not."""
    tool = ToolUse(name="to_critic", call_id="a", result='{"target": "critic"}')
    handed = Event(kind="tool_result", seq=2, role="tool", tool=tool, data={"routing": "Handoff"})
    events = [call(1, "to_critic", "a"), handed, call(3, "get", "b"), result(4, "get", "b", "1")]
    assert [(found.name, found.routes) for found in calls_of(events)] == [("to_critic", True), ("get", False)]


@pytest.mark.parametrize(
    "answer",
    [
        {"success": False, "message": "over the limit"},
        {"ok": False},
        {"error": {"code": 404, "message": "no such order"}, "status": 404},
        {"content": [{"type": "text", "text": "no such order"}], "isError": True},
        {"content": [{"type": "text", "text": "Error: no such order"}]},
        {"content": [{"type": "text", "text": '{"error": "no such order"}'}]},
    ],
)
def test_a_tool_may_say_in_many_ways_that_it_failed(answer: Json) -> None:
    """A verdict, an error beside its code, and an MCP server's blocks tell a failure, with its words."""
    assert failure_in(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": None, "id": "A1"},
        {"success": True, "message": "done"},
        {"error": "E77", "name": "a part that is called so", "price": 3},
        {"content": [{"type": "text", "text": "all good"}]},
        {"content": "Error: is the title of this page", "id": 7},
        {"status": "failed", "job": "J1"},
    ],
)
def test_what_only_speaks_of_errors_is_no_failure(answer: Json) -> None:
    """A record that has a field of that name, or is about something that failed, is a result."""
    assert failure_in(answer) is None


def test_results_without_id_and_name_belong_to_calls_in_order() -> None:
    """Where a log names neither, the first free result is the first call's."""
    events = [
        call(1, "get", None),
        call(2, "put", None),
        result(3, "unknown", None, "x"),
        result(4, "", None, "y"),
    ]
    assert [found.result for found in calls_of(events)] == ["x", "y"]


def test_arguments_nested_too_deeply_are_not_taken_apart() -> None:
    """What no skill could hold is told as arguments that cannot be read, not as a crash."""
    deep: Json = {}
    for _ in range(300):
        deep = {"a": [deep, 1]}
    assert calls_of([call(1, "put", "a", parsed=deep), result(2, "put", "a", "ok")])[0].arguments is None
