"""Every interaction of an AG2 1.x run is recorded once, and the run is as it would be without a capture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ag2")

import ag2_scenes as scenes
from ag2_scenes import MODEL, Scene, Script, bare, captured, unnamed
from coverage import COVERAGE, Expected
from scripted_server import text, tools

from skillsmith.library.trace.calls import calls_of

USER = "user"


@dataclass(frozen=True)
class Case:
    """A scene, its script, what happens in it, and on how many steps."""

    scene: Scene
    script: Script
    expected: Expected
    steps: int = 1
    status: str = "completed"


def _said(agent: str, content: str | None, to: str = USER) -> tuple[str, str, str, str | None]:
    return "assistant", agent, to, content


def _asked(agent: str, content: str, by: str = USER) -> tuple[str, str, str, str]:
    return "user", by, agent, content


def _system(agent: str, content: str) -> tuple[str, str, str, str]:
    return "system", agent, agent, content


def _calls(agent: str, *tokens: tuple[int, int]) -> list[tuple[str, str, int, int]]:
    return [(agent, MODEL, prompt, completion) for prompt, completion in tokens]


TALK = Expected(
    turns=["asst", "asst"],
    messages=[
        _asked("asst", "add and fail"), _system("asst", "Use the tools."), _said("asst", None),
        _said("asst", "five"), _asked("asst", "thanks"), _said("asst", "welcome"),
    ],
    reasoning=["I should use tools", "two and three is five"],
    tool_calls=[
        ("asst", "add", '{"a": 2, "b": 3}'), ("asst", "boom", '{"x": 1}'), ("asst", "nope", "{}"),
    ],
    tool_results=[
        ("asst", "add", "5", False), ("asst", "boom", "Traceback", True),
        ("asst", "nope", "ag2.exceptions.ToolNotFoundError: Tool `nope` not found", True),
    ],
    contexts=[("asst", {"unit": "cm", "turn": 1})],
    llm_calls=_calls("asst", (13, 9), (11, 7), (11, 7)),
)  # fmt: skip

CHANNEL_NOTES = ["channel_created", "channel_opened"]

CASES = {
    "ag2 talk": Case(scenes.talk(streaming=False), scenes.TALK, TALK, steps=2),
    "ag2 talk, streaming": Case(scenes.talk(streaming=True), scenes.TALK, TALK, steps=2),
    "ag2 malformed arguments": Case(
        scenes.malformed, [tools(("add", "{bad")), text("never")],
        Expected(
            turns=["asst"], messages=[_asked("asst", "add"), _said("asst", None)],
            tool_calls=[("asst", "add", "{bad")], tool_results=[("asst", "add", "Traceback", True)],
            llm_calls=[*_calls("asst", (13, 9)), ("asst", MODEL, None, None)],
            errors=[("asst", "JSONDecodeError")],
        ),
    ),
    "ag2 code": Case(
        scenes.code, scenes.CODE,
        Expected(
            turns=["coder"],
            messages=[_asked("coder", "run it"), *[_said("coder", None)] * 3, _said("coder", "done")],
            reasoning=["try it"],
            code=[
                ("coder", "python", "print(6*7)", 0, "42"),
                ("coder", "python", "print('so far')\nraise SystemExit(3)", 3, "so far"),
            ],
            tool_calls=[("coder", "run_code", '{"language": "python"}')],
            tool_results=[("coder", "run_code", "Traceback", True)],
            llm_calls=_calls("coder", (13, 9), (13, 9), (13, 9), (11, 7)),
        ),
    ),
    "ag2 model error 500": Case(
        scenes.refused, [500],
        Expected(
            turns=["asst"], messages=[_asked("asst", "go"), _system("asst", "p")],
            llm_calls=[("asst", MODEL, None, None)], errors=[("asst", "InternalServerError")],
        ),
    ),
    "ag2 cancelled turn": Case(
        scenes.stopped, [text("late").after(3)],
        Expected(
            turns=["asst"], messages=[_asked("asst", "go")], llm_calls=[("asst", MODEL, None, None)],
            errors=[("asst", "CancelledError")],
        ),
    ),
    "ag2 subtasks": Case(
        scenes.subtask, scenes.subtask_script,
        Expected(
            turns=["boss", "subtask-#", "subtask-#"],
            messages=[
                _asked("boss", "delegate"), _said("boss", None), _said("boss", "both are back"),
                _asked("subtask-#", "sum", "boss"), _asked("subtask-#", "fail", "boss"),
                _system("subtask-#", "You are a task agent. Complete the assigned task thoroughly and"
                        " concisely. Return only the result."),
                _said("subtask-#", None, "boss"), _said("subtask-#", "3", "boss"),
            ],
            reasoning=["split it"],
            tool_calls=[
                ("boss", "run_subtask", '{"task": "sum"}'), ("boss", "run_subtask", '{"task": "fail"}'),
                ("subtask-#", "add", '{"a": 1, "b": 2}'),
            ],
            tool_results=[
                ("boss", "run_subtask", "3", False), ("boss", "run_subtask", "Error: ", False),
                ("subtask-#", "add", "3", False),
            ],
            llm_calls=[*_calls("boss", (13, 9), (11, 7)), *_calls("subtask-#", (5, 5), (11, 7))],
            errors=[("subtask-#", "InternalServerError")],
            notes=["TaskStarted", "TaskStarted", "TaskCompleted", "TaskFailed"],
        ),
    ),
    "ag2 agent as tool": Case(
        scenes.helper, scenes.HELPER,
        Expected(
            turns=["boss", "expert"],
            messages=[
                _asked("boss", "ask the expert"), _said("boss", None),
                _asked("expert", "explain\n\n## Context\nbriefly", "boss"), _system("expert", "You help."),
                _said("expert", "because", "boss"), _said("boss", "it is because"),
            ],
            reasoning=["hm"],
            tool_calls=[("boss", "task_expert", '{"objective": "explain", "context": "briefly"}')],
            tool_results=[("boss", "task_expert", "because", False)],
            llm_calls=[*_calls("boss", (13, 9), (11, 7)), *_calls("expert", (11, 7))],
            notes=["TaskStarted", "TaskCompleted"],
        ),
    ),
    "ag2 agent asked by a tool": Case(
        scenes.nested, scenes.NESTED,
        Expected(
            turns=["boss", "expert"],
            messages=[
                _asked("boss", "consult"), _said("boss", None), _asked("expert", "why?", "boss"),
                _said("expert", "so", "boss"), _said("boss", "so it is"),
            ],
            tool_calls=[("boss", "consult", '{"question": "why?"}')],
            tool_results=[("boss", "consult", "so", False)],
            llm_calls=[*_calls("boss", (13, 9), (11, 7)), *_calls("expert", (11, 7))],
        ),
    ),
    "ag2 human input": Case(
        scenes.person, scenes.PERSON,
        Expected(
            turns=["asst"],
            messages=[
                _asked("asst", "go"), _said("asst", None), _said("asst", "May I?"),
                _asked("asst", "yes to May I?"), _said("asst", "thanks"),
            ],
            tool_calls=[("asst", "confirm", "{}")],
            tool_results=[("asst", "confirm", "yes to May I?", False)],
            llm_calls=_calls("asst", (13, 9), (11, 7)),
        ),
    ),
    "ag2 nobody to ask": Case(
        scenes.nobody, scenes.PERSON,
        Expected(
            turns=["asst"],
            messages=[_asked("asst", "go"), _said("asst", None), _said("asst", "May I?")],
            tool_calls=[("asst", "confirm", "{}")], tool_results=[("asst", "confirm", None, True)],
            llm_calls=_calls("asst", (13, 9)), errors=[("asst", "HumanInputNotProvidedError")],
        ),
    ),
    "ag2 parallel asks": Case(
        scenes.parallel, scenes.parallel_script,
        Expected(
            turns=["asst"] * 8,
            messages=[
                *[_asked("asst", f"question {n}") for n in range(8)], *[_said("asst", None)] * 8,
                *[_said("asst", f"answer {n}") for n in range(8)],
            ],
            tool_calls=[("asst", "add", json.dumps({"a": n, "b": 1})) for n in range(8)],
            tool_results=[("asst", "add", str(n + 1), False) for n in range(8)],
            llm_calls=_calls("asst", *[(13, 9), (11, 7)] * 8),
        ),
        steps=8,
    ),
    "ag2 variables": Case(
        scenes.variables, scenes.VARIABLES,
        Expected(
            turns=["asst"],
            messages=[_asked("asst", "count"), _said("asst", None), _said("asst", "two")],
            tool_calls=[("asst", "count", "{}")], tool_results=[("asst", "count", "counted", False)],
            contexts=[("asst", {"n": 1}), ("asst", {"n": 2})], llm_calls=_calls("asst", (13, 9), (11, 7)),
        ),
    ),
    "ag2 network": Case(
        scenes.conversation, scenes.conversation_script,
        Expected(
            turns=["ben", "ann", "ben"],
            messages=[
                _asked("ben", "start?", "ann"), _system("ben", "b"), _said("ben", "reply 1", "ann"),
                _system("ann", "a"), _said("ann", "reply 2", "ben"),
            ],
            reasoning=["thought 1", "thought 2"],
            transitions=[("ann", "ben", "message"), ("ben", "ann", "message"), ("ann", "ben", "message")],
            llm_calls=[*_calls("ben", (5, 5)), *_calls("ann", (5, 5)), ("ben", MODEL, None, None)],
            errors=[("ben", "CancelledError")], notes=[*CHANNEL_NOTES, "channel_closed"],
        ),
        steps=4,
    ),
    "ag2 workflow": Case(
        scenes.workflow, scenes.workflow_script,
        Expected(
            turns=["writer", "critic"],
            messages=[
                _asked("writer", "write a play", "host"), _system("writer", "writer"),
                *[_said("writer", None, "host")] * 2, _said("writer", "said by writer", "host"),
                _system("critic", "critic"), _said("critic", "said by critic", "writer"),
            ],
            reasoning=["a title first"],
            tool_calls=[
                ("writer", "plan", '{"title": "Faust"}'), ("writer", "to_critic", '{"why": "draft done"}'),
            ],
            tool_results=[
                ("writer", "plan", "noted", False),
                ("writer", "to_critic", '{"target":"critic","reason":"draft done"}', False),
            ],
            contexts=[("writer", {"title": "Faust"})],
            transitions=[("host", "writer", "message"), ("writer", "critic", "draft done")],
            llm_calls=[*_calls("writer", (13, 9), (13, 9), (11, 7)), *_calls("critic", (11, 7))],
            notes=[*CHANNEL_NOTES, "channel_closed"],
        ),
        steps=3,
    ),
    "ag2 workflow, turn fails": Case(
        scenes.workflow_fails, [500],
        Expected(
            turns=["writer"],
            messages=[_asked("writer", "write a play", "host"), _system("writer", "writer")],
            transitions=[("host", "writer", "message")], llm_calls=[("writer", MODEL, None, None)],
            errors=[("writer", "InternalServerError")], notes=[*CHANNEL_NOTES, "turn_failed"],
        ),
        steps=2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_captured_run_is_the_bare_run_and_wholly_recorded(name: str, tmp_path: Path) -> None:
    """Replies, exceptions and requests are those of the bare run; every fact is there, none of them twice."""
    case = CASES[name]
    alone = bare(case.scene, case.script)
    watched = captured(case.scene, case.script, tmp_path / "skillsmith.db")
    assert (watched.result, watched.error) == (alone.result, alone.error)
    assert _comparable(watched.requests) == _comparable(alone.requests)
    COVERAGE.check(watched.events, name, case.expected)
    assert watched.run is not None
    assert watched.run.status == case.status
    assert [row["step"] for row in watched.steps] == list(range(1, case.steps + 1))
    assert {event.step for event in watched.events} == {row["step"] for row in watched.steps}


def test_a_handoff_is_known_for_one_when_the_run_is_read_again(tmp_path: Path) -> None:
    """A result that only names the next agent says so, and its call is no work for a skill to repeat."""
    watched = captured(scenes.workflow, scenes.workflow_script, tmp_path / "skillsmith.db")
    results = [event for event in watched.events if event.kind == "tool_result"]
    assert [event.data for event in results] == [None, {"routing": "Handoff"}]
    assert [(call.name, call.routes) for call in calls_of(watched.events)] == [
        ("plan", False), ("to_critic", True),
    ]  # fmt: skip


def _comparable(requests: list[dict[str, Any]]) -> list[str]:
    """Requests without random names, in an order that does not depend on which of several came first."""
    return sorted(unnamed(json.dumps(_settled(body), sort_keys=True)) for body in requests)


def _settled(body: dict[str, Any]) -> dict[str, Any]:
    """Tools run side by side: the order of their results, and the lines of their tracebacks, may vary."""
    results = [m for m in body["messages"] if m["role"] == "tool"]
    for message in results:
        message["content"] = str(message["content"])[:20]
    others = [m for m in body["messages"] if m["role"] != "tool"]
    return {**body, "messages": [*others, *sorted(results, key=json.dumps)]}
