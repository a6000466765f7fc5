"""The same AG2 run, recorded in one way or in none, as a process that is told when to run.

    python bench/_agent_runs.py GENERATION RECORDER MILLISECONDS FOLDER

Each line on its standard input makes it run once more and answer with one line of JSON: seconds, processor
seconds of the calling thread, model calls and, for our own capture, events and bytes. One process a recorder
keeps apart what recorders change in a framework for good; whoever starts several can let them take turns.
"""

# ruff: noqa: PLC0415, ARG001, ARG002  (a process imports only what it measures; the frameworks name parameters)

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROUNDS_OF_A_RUN = 12
"""How often the task is asked for in one run: a tool call, its result and an answer each time."""

PROMPT_TOKENS, COMPLETION_TOKENS = 100, 10
ANSWER = "the mean of column three is written into the report as it was asked for " * 9
REASONING = "because the second column holds identifiers " * 5
ARGUMENTS = '{"column": 3, "limit": 100, "query": "SELECT name, amount FROM orders WHERE amount > 20"}'
RESULT = json.dumps(
    [{"id": number, "title": "galaxy survey spectrum", "amount": 17.5} for number in range(8)]
)

Run = Callable[[], int]
"""Runs the agents once and returns how many calls of the model that took."""


def look_up(column: int, limit: int, query: str) -> str:
    """Look something up."""
    return RESULT


# --- AG2 1.x ---------------------------------------------------------------------------------------------


def ag2_run(watch: Callable[[Any], object], delay: float) -> Run:
    """Return a run of one agent with a tool; the model is scripted and waits."""
    from ag2 import Agent
    from ag2.config import LLMClient
    from ag2.events import (
        ModelMessage,
        ModelReasoning,
        ModelResponse,
        ToolCallEvent,
        ToolCallsEvent,
        ToolResultEvent,
        ToolResultsEvent,
        Usage,
    )
    from ag2.testing import TestConfig

    usage = Usage(prompt_tokens=PROMPT_TOKENS, completion_tokens=COMPLETION_TOKENS)

    class Client(LLMClient):
        calls = 0

        async def __call__(self, messages: Any, context: Any, **_options: Any) -> ModelResponse:
            Client.calls += 1
            if delay:
                await asyncio.sleep(delay)
            await context.send(ModelReasoning(REASONING))
            if isinstance(messages[-1], (ToolResultEvent, ToolResultsEvent)):
                return ModelResponse(ModelMessage(ANSWER), usage=usage, model="scripted")
            call = ToolCallEvent(id=f"call_{Client.calls}", name="look_up", arguments=ARGUMENTS)
            return ModelResponse(
                ModelMessage("I look it up."),
                tool_calls=ToolCallsEvent([call]),
                usage=usage,
                model="scripted",
            )

    class Config(TestConfig):
        def create(self) -> Any:
            return Client()

    agent = Agent("analyst", prompt="You look things up.", config=Config(), tools=[look_up])
    watch(agent)

    async def ask() -> None:
        for number in range(ROUNDS_OF_A_RUN):
            await agent.ask(f"look number {number} up and write it down")

    def once() -> int:
        Client.calls = 0
        asyncio.run(ask())
        return Client.calls

    return once


# --- AG2 Classic -----------------------------------------------------------------------------------------


class Quiet:
    """An output of AG2 Classic that prints nothing."""

    def send(self, message: Any) -> None:
        """Take an event."""

    def print(self, *_objects: Any, **_options: Any) -> None:
        """Take a line."""

    def input(self, *_arguments: Any, **_options: Any) -> str:
        """Answer nothing."""
        return ""


def classic_run(watch: Callable[[Any], object], delay: float) -> Run:
    """Return a run of an assistant and an executor; the model is a client of our own, and waits."""
    import autogen
    from autogen.io.base import IOStream
    from openai.types.chat import ChatCompletion

    calls = 0

    class Scripted:
        def __init__(self, config: Any, **_options: Any) -> None:
            pass

        def create(self, params: dict[str, Any]) -> Any:
            nonlocal calls
            calls += 1
            if delay:
                time.sleep(delay)
            message: dict[str, Any] = {"role": "assistant", "reasoning_content": REASONING}
            if params["messages"][-1]["role"] == "tool":
                message["content"] = ANSWER
            else:
                function = {"name": "look_up", "arguments": ARGUMENTS}
                message["content"] = "I look it up."
                message["tool_calls"] = [{"id": f"call_{calls}", "type": "function", "function": function}]
            total = PROMPT_TOKENS + COMPLETION_TOKENS
            usage = {
                "prompt_tokens": PROMPT_TOKENS,
                "completion_tokens": COMPLETION_TOKENS,
                "total_tokens": total,
            }
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            return ChatCompletion.model_validate({
                "id": f"chat-{calls}", "model": "scripted", "created": 1, "object": "chat.completion",
                "choices": [choice], "usage": usage,
            })  # fmt: skip

        def message_retrieval(self, response: Any) -> list[Any]:
            message = response.choices[0].message
            return [message.model_dump() if message.tool_calls else message.content]

        def cost(self, response: Any) -> float:
            return 0.0

        @staticmethod
        def get_usage(response: Any) -> dict[str, Any]:
            return {**response.usage.model_dump(), "cost": 0.0, "model": response.model}

    entry = {"model": "scripted", "model_client_cls": "Scripted", "api_key": "none"}
    model = {"config_list": [entry], "cache_seed": None}
    assistant = autogen.ConversableAgent("analyst", llm_config=model, human_input_mode="NEVER")
    person = autogen.ConversableAgent(
        "user", llm_config=False, human_input_mode="NEVER", default_auto_reply="next"
    )
    autogen.register_function(look_up, caller=assistant, executor=person, description="Look something up.")
    assistant.register_model_client(Scripted)
    watch(person)

    def once() -> int:
        nonlocal calls
        calls = 0
        with IOStream.set_default(Quiet()):
            person.initiate_chat(assistant, message="look it up", max_turns=2 * ROUNDS_OF_A_RUN)
        return calls

    return once


GENERATIONS = {"ag2": ag2_run, "classic": classic_run}

# --- recorders -------------------------------------------------------------------------------------------

Round = Callable[[], dict[str, Any]]


def timed(run: Run) -> dict[str, Any]:
    """Run once; return seconds, processor seconds of this thread, and model calls."""
    gc.collect()
    cpu, wall = time.thread_time(), time.perf_counter()
    calls = run()
    return {"seconds": time.perf_counter() - wall, "cpu": time.thread_time() - cpu, "calls": calls}


def nothing(generation: str, delay: float, _folder: Path) -> Round:
    """Record nothing; agents are built anew for each round, outside the time, as with every recorder."""
    return lambda: timed(GENERATIONS[generation](lambda _agent: None, delay))


def ours(generation: str, delay: float, folder: Path) -> Round:
    """Capture with skillsmith, each round into a file of its own that is there already."""
    import skillsmith

    rounds = iter(range(1_000_000))
    empty = folder / "empty.db"
    skillsmith.open_workspace(empty).close()

    def once() -> dict[str, Any]:
        path = folder / f"{generation}-{next(rounds)}.db"
        path.write_bytes(empty.read_bytes())
        began = time.perf_counter()
        with skillsmith.capture("bench", db=path) as capture:
            run = GENERATIONS[generation](capture.instrument, delay)
            opened = time.perf_counter()
            found = timed(run)
            closing = time.perf_counter()
        found["open_close"] = opened - began + time.perf_counter() - closing
        with skillsmith.open_workspace(path) as workspace:
            found["events"] = workspace.runs.get(capture.id).events
        found["bytes"] = path.stat().st_size - empty.stat().st_size  # the tables without a row
        return found

    return once


def own_sqlite(generation: str, delay: float, folder: Path) -> Round:
    """AG2 Classic's own logger, which writes into SQLite."""
    from autogen import runtime_logging

    runtime_logging.start(logger_type="sqlite", config={"dbname": str(folder / "autogen.db")})
    return lambda: timed(GENERATIONS[generation](lambda _agent: None, delay))


def own_telemetry(generation: str, delay: float, folder: Path) -> Round:
    """AG2's OpenTelemetry with content, through the SDK's batch processor into a file."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    out = (folder / f"{generation}.spans.json").open("w")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=out)))

    def watch(agent: Any) -> None:
        if generation == "ag2":
            from ag2.middleware import TelemetryMiddleware

            agent.insert_middleware(
                TelemetryMiddleware(tracer_provider=provider, capture_content=True, agent_name=agent.name)
            )
        else:
            from autogen.opentelemetry import instrument_agent

            instrument_agent(agent, tracer_provider=provider)

    if generation == "classic":
        from autogen.opentelemetry import instrument_llm_wrapper

        instrument_llm_wrapper(tracer_provider=provider, capture_messages=True)
    return lambda: timed(GENERATIONS[generation](watch, delay))


def mlflow(generation: str, delay: float, folder: Path) -> Round:
    """MLflow's autolog for AG2, with its default store."""
    import mlflow as library

    library.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    library.set_experiment("bench")
    library.ag2.autolog()
    return lambda: timed(GENERATIONS[generation](lambda _agent: None, delay))


RECORDERS: dict[str, Callable[[str, float, Path], Round]] = {
    "none": nothing,
    "ours": ours,
    "ag2-sqlite": own_sqlite,
    "ag2-opentelemetry": own_telemetry,
    "mlflow": mlflow,
}


@contextlib.contextmanager
def _only_answers() -> Iterator[Any]:
    """Keep what libraries print away from the answers."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield answers
    finally:
        sys.stdout = answers


def main() -> None:
    """Run whenever a line comes."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    generation, recorder, milliseconds, folder = sys.argv[1:]
    with _only_answers() as answers:
        once = RECORDERS[recorder](generation, float(milliseconds) / 1000, Path(folder))
        for _line in sys.stdin:
            print(json.dumps(once()), file=answers, flush=True)


if __name__ == "__main__":
    main()
