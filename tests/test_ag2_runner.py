"""Tests of running agents with AG2, over real HTTP to a scripted server on this machine."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ag2")
pytest.importorskip("openai")

from model_server import Server, refuse, text, tools

from skillsmith.errors import SkillsmithError, UsageError
from skillsmith.library.agents.ag2_runner import Ag2Runner
from skillsmith.library.agents.budgets import Budget
from skillsmith.library.agents.model_settings import ModelSettings
from skillsmith.library.tools.callables import PythonTools
from skillsmith.models import Event
from skillsmith.models.protocols import AgentError, AgentReply, AgentRunner, AgentTask, BudgetError

SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def settings(server: Server, **more: Any) -> ModelSettings:
    """Return settings for a scripted server, without waiting for further tries unless asked."""
    return ModelSettings(
        model="scripted", base_url=server.url, **{"retries": 0, "timeout_seconds": 10, **more}
    )


def ask(server: Server, prompt: str = "Do it", *, runner: Ag2Runner | None = None, **task: Any) -> AgentReply:
    """Run one task."""
    return (runner or Ag2Runner(settings(server))).run(AgentTask(prompt=prompt, **task))


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def fail(why: str) -> None:
    """Fail."""
    raise ValueError(why)


def kinds(events: tuple[Event, ...]) -> list[str]:
    """Return the kinds of events in order."""
    return [event.kind for event in events]


def test_a_task_is_answered_with_its_bill() -> None:
    """An answer comes with its events, tokens and cost; reasoning of a local server is kept."""
    with Server([text("42", reasoning="six times seven", usage=(100, 20))]) as server:
        runner = Ag2Runner(settings(server), price=lambda _m, sent, got: (sent + 2 * got) / 1e6)
        assert isinstance(runner, AgentRunner)
        reply = ask(server, runner=runner, agent="counter")
    assert (reply.text, reply.value, reply.model_calls) == ("42", None, 1)
    assert (reply.tokens_in, reply.tokens_out) == (100, 20)
    assert reply.cost_usd == pytest.approx(0.00014)
    call, message = reply.events
    assert (call.kind, call.agent, call.tokens_in, call.cost_usd) == ("llm_call", "counter", 100, 0.00014)
    assert call.data is not None
    assert call.data["prompt_messages"] == 2
    assert (message.role, message.content, message.reasoning) == ("assistant", "42", "six times seven")


def test_tools_are_told_and_called_in_order() -> None:
    """The model sees signature and docstring; calls it wants at once are made in its order, errors told."""
    order: list[int] = []

    def note(number: int) -> int:
        time.sleep(0.01 * (4 - number))
        order.append(number)
        return number

    source = PythonTools({"add": add, "fail": fail, "note": note}, label="test", thread_safe=True)
    wanted = [
        *(("note", {"number": number}) for number in (1, 2, 3)),
        ("add", {"a": 2}),
        ("fail", {"why": "no"}),
    ]
    with Server([tools(*wanted), text("done")]) as server:
        reply = ask(server, tools=source)
        told = {one["function"]["name"]: one["function"] for one in server.requests[0]["tools"]}
        answers = [m["content"] for m in server.requests[1]["messages"] if m["role"] == "tool"]
    assert order == [1, 2, 3]
    assert told["add"]["description"] == "Add two numbers."
    assert told["add"]["parameters"]["properties"]["b"] == {"type": "integer", "default": 1}
    assert told["add"]["parameters"]["required"] == ["a"]
    assert answers == ["1", "2", "3", "3", "error: ValueError: no"]
    results = [event.tool for event in reply.events if event.kind == "tool_result"]
    assert [one.error for one in results if one] == [None, None, None, None, "ValueError: no"]
    assert kinds(reply.events)[:2] == ["llm_call", "tool_call"]


def test_only_the_named_tools_are_offered() -> None:
    """``tool_names`` chooses; a name that is not there is an error before the model is asked."""
    source = PythonTools({"add": add, "fail": fail}, label="test")
    with Server([text("done")]) as server:
        ask(server, tools=source, tool_names=("add",))
        with pytest.raises(AgentError, match="'subtract', which is not there"):
            ask(server, tools=source, tool_names=("subtract",))
        assert len(server.requests) == 1
        assert [one["function"]["name"] for one in server.requests[0]["tools"]] == ["add"]


def test_names_that_endpoints_refuse_are_translated() -> None:
    """A tool named ``shop.add`` is offered as ``shop_add``, called and written down under its own name."""
    source = PythonTools({"shop.add": add}, label="test")
    with Server([tools(("shop_add", {"a": 1, "b": 2})), text("3")]) as server:
        reply = ask(server, tools=source)
    used = [event.tool for event in reply.events if event.tool]
    assert [(one.name, one.result) for one in used] == [("shop.add", None), ("shop.add", "3")]


def test_nonsense_calls_do_not_end_the_task() -> None:
    """Malformed arguments, unknown tools and calls without ids are told to the model, which goes on."""
    source = PythonTools({"add": add}, label="test")
    wrong = tools(("add", "{not json"), ("missing", {}), ("add", "[1, 2]"))
    with Server([wrong, text("I give up")]) as server:
        reply = ask(server, tools=source)
    errors = [event.tool.error for event in reply.events if event.kind == "tool_result" and event.tool]
    assert reply.text == "I give up"
    assert len(errors) == 3
    assert all(errors)


def test_knowledge_is_told_for_one_turn_only() -> None:
    """What a skill knows stands in the system message of its task, and in no other's."""
    with Server([text("yes")]) as server:
        runner = Ag2Runner(settings(server))
        ask(server, runner=runner, role="You are a plotter.", knowledge="Axes are logarithmic.")
        ask(server, runner=runner, role="You are a plotter.")
        first, second = (request["messages"][0]["content"] for request in server.requests)
    assert first.startswith("You are a plotter.")
    assert "Axes are logarithmic." in first
    assert "Axes" not in second


def test_an_answer_in_a_form_is_validated_and_repaired_once() -> None:
    """An answer that does not fit is asked for again with what is wrong; the second must fit."""
    with Server([text("sure!"), text('```json\n{"ok": true}\n```')]) as server:
        reply = ask(server, output_schema=SCHEMA)
        repair = server.requests[1]["messages"][-1]["content"]
        assert server.requests[0]["response_format"]["type"] == "json_schema"
    assert reply.value == {"ok": True}
    assert reply.model_calls == 2
    assert "no JSON" in repair
    with (
        Server([text('{"ok": 1}')]) as server,
        pytest.raises(AgentError, match="ok: 1 is not of type") as raised,
    ):
        ask(server, output_schema=SCHEMA)
    assert raised.value.reply is not None
    assert raised.value.reply.model_calls == 2


def test_an_endpoint_that_knows_no_schemas_is_asked_in_words() -> None:
    """A refused form of answer is asked for in words, from then on at once."""
    with Server([refuse(400, "no response_format here"), text('{"ok": false}')]) as server:
        runner = Ag2Runner(settings(server))
        for _ in range(2):
            assert ask(server, runner=runner, output_schema=SCHEMA).value == {"ok": False}
        forms = ["response_format" in request for request in server.requests]
        assert "JSON Schema" in server.requests[1]["messages"][0]["content"]
    assert forms == [True, False, False]


def test_a_schema_that_is_none_is_refused() -> None:
    """A wrong schema is the caller's mistake, told before anything is asked."""
    with Server([text("{}")]) as server:
        with pytest.raises(UsageError, match="no JSON Schema"):
            ask(server, output_schema={"type": "thing"})
        assert server.requests == []


def test_the_number_of_calls_is_limited() -> None:
    """A model that goes in circles ends at the task's limit, or the budget's; events and bill are kept."""
    source = PythonTools({"add": add}, label="test")
    circle = [tools(("add", {"a": 1}))]
    with Server(circle) as server:
        with pytest.raises(BudgetError, match="asked the model 3 times") as raised:
            ask(server, tools=source, max_turns=3)
        assert len(server.requests) == 3
    assert raised.value.reply.model_calls == 3
    assert kinds(raised.value.reply.events).count("tool_result") == 3
    assert raised.value.reply.events[-1].kind == "error"
    with Server(circle) as server:
        runner = Ag2Runner(settings(server), budget=Budget(max_calls=4))
        with pytest.raises(BudgetError, match="limit of 4 model calls"):
            ask(server, runner=runner, tools=source)
        with pytest.raises(BudgetError):
            ask(server, runner=runner)
        assert len(server.requests) == 4


def test_the_cost_is_limited() -> None:
    """The call that reaches the limit is the last; without a known price a limit allows none."""
    with Server([text("yes", usage=(1000, 0))]) as server:
        runner = Ag2Runner(
            settings(server), price=lambda _m, sent, _got: sent * 1e-4, budget=Budget(max_cost_usd=0.15)
        )
        ask(server, runner=runner)
        ask(server, runner=runner)
        with pytest.raises(BudgetError, match=r"limit of \$0.15 is reached: 2 model calls cost \$0.2"):
            ask(server, runner=runner)
        assert len(server.requests) == 2
        unpriced = Ag2Runner(settings(server), budget=Budget(max_cost_usd=1))
        with pytest.raises(BudgetError, match="price of the model 'scripted' is not known"):
            ask(server, runner=unpriced)
        assert len(server.requests) == 2


def test_without_told_tokens_a_cost_limit_cannot_be_kept() -> None:
    """An endpoint that tells no tokens leaves the cost unknown, and a cost limit ends after one call."""
    with Server([text("yes", usage=None)]) as server:
        runner = Ag2Runner(settings(server), price=lambda *_: 0.0, budget=Budget(max_cost_usd=1))
        assert ask(server, runner=runner).cost_usd is None
        with pytest.raises(BudgetError, match="tells no tokens"):
            ask(server, runner=runner)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (refuse(401, "bad key"), "refuses the key"),
        (refuse(404, "no such model"), "does not know the model 'scripted'"),
        (refuse(400, "too long"), "refused the request"),
        (refuse(500, "boom"), "failed, tried once"),
        (refuse(429, "slow down"), "allows no further request now"),
        (text(""), "gave no answer"),
    ],
)
def test_failures_are_one_line(script: Any, words: str) -> None:
    """What an endpoint answers instead of an answer becomes one line that names it."""
    with Server([script]) as server, pytest.raises(AgentError, match=words) as raised:
        ask(server)
    assert "\n" not in str(raised.value)
    assert raised.value.reply.events[-1].kind == "error"


def test_passing_failures_are_tried_again() -> None:
    """A 429 and a 500 are tried again after a pause; the answer then counts as one call."""
    with Server([429, 500, text("at last")]) as server:
        reply = ask(server, runner=Ag2Runner(settings(server, retries=2)))
        assert len(server.requests) == 3
    assert (reply.text, reply.model_calls) == ("at last", 1)


def test_no_server_is_one_line() -> None:
    """An endpoint that is not there is named, with what to do."""
    runner = Ag2Runner(ModelSettings(model="m", base_url="http://127.0.0.1:9/v1", retries=0))
    with pytest.raises(AgentError, match="cannot be reached") as raised:
        runner.run(AgentTask(prompt="hello"))
    assert "OPENAI_BASE_URL" in raised.value.hint


def test_a_model_that_hangs_is_left_at_the_time_limit() -> None:
    """A request has its own limit, a task another; both end in one line and in time."""
    with Server([text("late").after(3)]) as server:
        began = time.monotonic()
        with pytest.raises(AgentError, match=r"did not answer within 0\.2 s"):
            ask(server, runner=Ag2Runner(settings(server, timeout_seconds=0.2)))
        with pytest.raises(BudgetError, match=r"not done within 0\.3 s"):
            ask(server, timeout_seconds=0.3)
        assert time.monotonic() - began < 2.5


def test_a_tool_that_hangs_does_not_hold_the_task() -> None:
    """The time limit ends a task whose tool does not return."""
    release = threading.Event()
    source = PythonTools({"wait": lambda: release.wait(20)}, label="test")
    with Server([tools(("wait", {}))]) as server:
        began = time.monotonic()
        with pytest.raises(BudgetError):
            ask(server, tools=source, timeout_seconds=0.5)
        assert time.monotonic() - began < 5
    release.set()


def test_a_cancelled_task_ends_at_once() -> None:
    """Once its signal is set, a task ends though the model is still thinking."""
    stop = threading.Event()
    with Server([text("late").after(5)]) as server:
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(AgentError, match="was stopped"):
            ask(server, cancelled=stop)
        assert time.monotonic() - began < 3


def test_tasks_run_side_by_side() -> None:
    """Eight threads share a runner; each gets its own answer and the budget counts all."""
    with Server(lambda body, _number: text(body["messages"][-1]["content"]).after(0.2)) as server:
        runner = Ag2Runner(settings(server), budget=Budget(max_calls=100))
        ask(server, runner=runner)
        answers: dict[int, str] = {}

        def work(number: int) -> None:
            answers[number] = ask(server, f"say {number}", runner=runner).text

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {number: f"say {number}" for number in range(8)}
    assert time.monotonic() - began < 8 * 0.2
    assert runner.budget.calls == 9


def test_it_can_be_called_where_a_loop_runs() -> None:
    """Inside of asynchronous code a task runs all the same, and its errors arrive."""
    with Server([text("yes"), 400]) as server:
        runner = Ag2Runner(settings(server))

        async def host() -> str:
            return ask(server, runner=runner).text

        assert asyncio.run(host()) == "yes"

        async def failing() -> None:
            ask(server, runner=runner)

        with pytest.raises(AgentError):
            asyncio.run(failing())


def test_events_are_heard_as_they_happen() -> None:
    """A listener gets each event before the task is over, in the order of the reply."""
    heard: list[Event] = []
    source = PythonTools({"seen": lambda: len(heard)}, label="test")
    with Server([tools(("seen", {})), text("done")]) as server:
        reply = ask(server, tools=source, on_event=heard.append)
    assert tuple(heard) == reply.events
    result = next(event.tool for event in reply.events if event.kind == "tool_result")
    assert result is not None
    assert result.result == "2"


def test_ctrl_c_ends_a_task(tmp_path: Path) -> None:
    """An interrupt of the process ends the task at once, as an interrupt."""
    with Server([text("late").after(20)]) as server:
        script = tmp_path / "script.py"
        script.write_text(
            "from skillsmith.library.agents.ag2_runner import Ag2Runner\n"
            "from skillsmith.library.agents.model_settings import ModelSettings\n"
            "from skillsmith.models.protocols import AgentTask\n"
            f"runner = Ag2Runner(ModelSettings(model='m', base_url={server.url!r}))\n"
            "try:\n    runner.run(AgentTask(prompt=1))\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
        )
        process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[0].strip() == "interrupted"


def test_a_source_without_schemas_is_offered_openly() -> None:
    """Tools that cannot describe themselves take what the model gives."""

    class Plain:
        def names(self) -> list[str]:
            return ["echo"]

        def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
            return dict(arguments)

    with Server([tools(("echo", {"x": 1})), text("done")]) as server:
        reply = ask(server, tools=Plain())
        assert server.requests[0]["tools"][0]["function"]["parameters"]["additionalProperties"] is True
    results = [event.tool for event in reply.events if event.kind == "tool_result"]
    assert results[0] is not None
    assert json.loads(results[0].result or "") == {"x": 1}


@pytest.mark.parametrize("limits", [{"max_calls": 0}, {"max_cost_usd": 0.0}, {"max_cost_usd": float("nan")}])
def test_limits_that_allow_nothing_are_refused(limits: dict[str, Any]) -> None:
    """A limit is above zero."""
    with pytest.raises(SkillsmithError):
        Budget(**limits)
