"""People, mishaps, streams and hosts' own calls in Classic runs are recorded, and change nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("autogen", reason="AG2 Classic is not installed")

import classic_more_scenes as more
from classic_play import MODEL, asked, both, check, steps


@pytest.mark.parametrize("name", ["human", "human_async"])
def test_person(name: str) -> None:
    """What a person is asked and answers is recorded; words passed on stay the user's."""
    played = both(getattr(more, name))
    question = next(e.content for e in played.events if e.data and e.data.get("human_input") == "question")
    check(
        played, name,
        turns=["person", "asst", "person", "asst", "person"],
        messages=[
            ("user", "person", "asst", "paint"), ("system", "asst", "asst", "asst"),
            *[("assistant", "asst", "person", "which colour?")] * 2,
            *[("assistant", "person", "user", question)] * 2,
            ("user", "user", "person", "blue"), ("user", "person", "asst", "blue"),
            ("user", "user", "person", "exit"),
        ],
        llm_calls=asked("asst", 2),
        notes=["termination"],
    )  # fmt: skip


def test_speaker_chosen_by_a_person() -> None:
    """A person who selects the speaker was asked, and answered."""
    check(
        both(more.manual), "manual",
        turns=["A", "B"],
        messages=[
            ("user", "A", "chat_manager", "start"),
            ("assistant", "chat_manager", "user", "Who speaks next?"), ("user", "user", "chat_manager", "B"),
            ("system", "B", "B", "B"), ("assistant", "B", "chat_manager", "hello"),
        ],
        transitions=[("A", "B", "manual")],
        llm_calls=asked("B"),
        notes=["termination"],
    )  # fmt: skip


def test_cancelled_chat() -> None:
    """A cancelled chat ends as it would, and its record says so."""
    played = both(more.cancelled, raises="CancelledError")
    assert [e.data["type"] for e in played.events if e.kind == "error" and e.data] == ["CancelledError"]


def test_failing_reply_function() -> None:
    """An exception in the user's own code goes through unchanged and is recorded once."""
    played = both(more.raising, raises="LookupError")
    check(
        played, "raising", turns=["alice", "bob"], messages=[("user", "alice", "bob", "hi")],
        errors=[("bob", "LookupError")],
    )  # fmt: skip
    assert played.error == ("LookupError", "no answer")


def test_tool_that_ends_the_process() -> None:
    """``sys.exit`` in a tool ends the host as it would, after it was recorded."""
    played = both(more.exiting, raises="SystemExit")
    assert played.error == ("SystemExit", "3")
    check(
        played, "exiting",
        turns=["exec", "asst", "exec"],
        messages=[
            ("user", "exec", "asst", "go"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "exec", None),
        ],
        reasoning=["time to go"],
        tool_calls=[("asst", "leave", '{"code": 3}')],
        tool_results=[("exec", "leave", None, True)],
        errors=[("exec", "SystemExit")],
        llm_calls=asked("asst", tokens=(13, 9)),
    )  # fmt: skip


@pytest.mark.parametrize(("name", "notes"), [("streaming", ["termination"]), ("newer_client", [])])
def test_reasoning_that_ag2_drops(name: str, notes: list[str]) -> None:
    """Reasoning is kept where AG2 loses it: in streams, and in clients that do not know the field."""
    check(
        both(getattr(more, name)), name,
        turns=["u", "asst"],
        messages=[
            ("user", "u", "asst", "count"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "u", "one two"),
        ],
        reasoning=["count them"],
        llm_calls=asked("asst"),
        notes=notes,
    )  # fmt: skip


def test_timeout() -> None:
    """A model that takes too long is an error like any other."""
    played = both(more.timing_out, raises="TimeoutError")
    check(
        played, "timing_out", turns=["u", "asst"],
        messages=[("user", "u", "asst", "go"), ("system", "asst", "asst", "asst")],
        llm_calls=[("asst", MODEL, None, None)], errors=[("asst", "TimeoutError")],
    )  # fmt: skip


def test_answer_from_the_cache() -> None:
    """An answer from AG2's cache is marked, and costs nothing."""
    played = both(more.cached)
    calls = [event for event in played.events if event.kind == "llm_call"]
    assert [bool(event.data and event.data.get("cached")) for event in calls] == [False, True]
    assert calls[0].cost_usd
    assert calls[1].cost_usd == 0.0
    assert [e.reasoning for e in played.events if e.reasoning] == ["known", "known"]


def test_carry_over() -> None:
    """What a chat carries over into the next is recorded."""
    check(
        both(more.carried_over), "carried_over",
        turns=["u", "one", "u", "two"],
        messages=[
            ("user", "u", "one", "capital?"), ("system", "one", "one", "one"),
            ("assistant", "one", "u", "paris"), ("user", "u", "two", "river?\nContext: \nparis"),
            ("system", "two", "two", "two"), ("assistant", "two", "u", "seine"),
        ],
        llm_calls=asked("one") + asked("two"),
        notes=["termination", "carryover", "termination"],
    )  # fmt: skip


def test_function_call_without_an_id() -> None:
    """A function call as it was before tool calls is joined with its result."""
    check(
        both(more.functions), "functions",
        turns=["exec", "asst", "exec", "asst"],
        messages=[
            ("user", "exec", "asst", "spell"), ("assistant", "asst", "exec", None),
            ("assistant", "asst", "exec", "TERMINATE"),
        ],
        tool_calls=[("asst", "spell", '{"word": "ab"}')],
        tool_results=[("exec", "spell", "a-b", False)],
        notes=["termination"],
    )  # fmt: skip


def test_reply_that_the_host_asks_for() -> None:
    """A host that calls ``generate_reply`` itself has its questions and the answers recorded, each once."""
    events = check(
        both(more.asked_directly), "asked_directly",
        turns=["asst", "asst"],
        messages=[
            ("user", None, "asst", "hi"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", None, "hello"), ("user", None, "asst", "ciao"),
            ("assistant", "asst", None, "bye"),
        ],
        reasoning=["greet"],
        llm_calls=asked("asst", 2),
    )  # fmt: skip
    assert steps(events, "agent_start") == [1, 2]


def test_message_that_the_host_sends() -> None:
    """A host that calls ``send`` itself has the message and its answer recorded."""
    check(
        both(more.sent_directly), "sent_directly",
        turns=["u", "asst"],
        messages=[
            ("user", "u", "asst", "hi"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "u", "hello"),
        ],
        llm_calls=asked("asst"),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["iterated", "run_asynchronously"])
def test_other_ways_to_run(name: str) -> None:
    """Chats that AG2 runs in its own threads and tasks are recorded like others."""
    check(
        both(getattr(more, name)), name,
        turns=["u", "asst"],
        messages=[
            ("user", "u", "asst", "hi"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "u", "hello"),
        ],
        llm_calls=asked("asst"),
        notes=["termination"],
    )  # fmt: skip


def test_agent_as_a_tool() -> None:
    """Agents that a tool talks to belong to the step of the turn that asked for the tool."""
    events = check(
        both(more.as_tool), "as_tool",
        turns=["exec", "asst", "exec", "go_between", "expert", "asst"],
        messages=[
            ("user", "exec", "asst", "go"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "exec", None), ("assistant", "go_between", "expert", "why?"),
            ("system", "expert", "expert", "expert"), ("assistant", "expert", "go_between", "deep"),
            ("assistant", "asst", "exec", "done"),
        ],
        reasoning=["expertly"],
        tool_calls=[("asst", "ask", '{"question": "why?"}')],
        tool_results=[("exec", "ask", "deep", False)],
        llm_calls=asked("asst", tokens=(13, 9)) + asked("expert") + asked("asst"),
        notes=["termination", "termination"],
    )  # fmt: skip
    assert {event.step for event in events if event.agent in ("expert", "go_between")} == {2}


def test_resumed_group() -> None:
    """What a resumed group said before is recorded once, though AG2 sends it to everybody again."""
    check(
        both(more.resumed), "resumed",
        turns=["A", "B", "A"],
        messages=[
            ("user", "A", "chat_manager", "first"), ("user", "B", "chat_manager", "second"),
            ("system", "A", "A", "A"), ("assistant", "A", "chat_manager", "third"),
        ],
        transitions=[("B", "A", "round_robin")],
        llm_calls=asked("A"),
        notes=["termination"],
    )  # fmt: skip


def test_chats_side_by_side() -> None:
    """One agent in two chats at the same time: each answer keeps its own reasoning, recipient and step."""
    events = check(
        both(more.in_pairs), "in_pairs",
        turns=["one", "two", "asst", "asst"],
        messages=[
            ("user", "one", "asst", "one"), ("user", "two", "asst", "two"),
            ("system", "asst", "asst", "asst"), ("assistant", "asst", "one", "to one"),
            ("assistant", "asst", "two", "to two"),
        ],
        reasoning=["about one", "about two"],
        llm_calls=asked("asst", 2),
        notes=["termination", "termination"],
    )  # fmt: skip
    said = [
        event for event in events if event.kind == "message" and event.agent == "asst" and event.reasoning
    ]
    assert {(e.recipient, e.reasoning) for e in said} == {("one", "about one"), ("two", "about two")}
    assert len({event.step for event in said}) == 2


def test_reply_that_is_never_sent() -> None:
    """A reply in a thread of the host's that nobody sends on is recorded when the capture ends."""
    check(
        both(more.silent_thread), "silent_thread", turns=["bob"],
        messages=[("assistant", "bob", "alice", "yes")],
    )  # fmt: skip
