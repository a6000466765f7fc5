"""The same AG2 run, recorded in one way or in none, as a process that is told when to run.

    python bench/_agent_runs.py GENERATION RECORDER MODEL FOLDER

MODEL is the address of ``_model_server.py``, asked through the framework's own client as a host would, or
"in-process": a client of our own that answers at once and does no HTTP, so that hardly anything but the
framework is left and each microsecond shows.

Each line on its standard input makes it run once more and answer with one line of JSON: seconds, processor
seconds of the calling thread and of all threads, model calls and, for our own capture, events and bytes. One
process a recorder keeps apart what recorders change in a framework for good; whoever starts several can let
them take turns.
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

from _script import ANSWER, ARGUMENTS, COMPLETION_TOKENS, PROMPT_TOKENS, REASONING, RESULT

ROUNDS_OF_A_RUN = 12
"""How often the task is asked for in one run: a tool call, its result and an answer each time."""

IN_PROCESS = "in-process"

Run = Callable[[], int]
"""Runs the agents once and returns how many calls of the model that took."""


def look_up(column: int, limit: int, query: str) -> str:
    """Look something up."""
    return RESULT


# --- AG2 1.x ---------------------------------------------------------------------------------------------


def ag2_run(watch: Callable[[Any], object], model: str) -> Run:
    """Return a run of one agent with a tool."""
    from ag2 import Agent
    from ag2.config import OpenAIConfig

    calls = [0]
    config = (
        ag2_config(calls)
        if model == IN_PROCESS
        else OpenAIConfig(model="scripted", base_url=f"{model}/v1", api_key="none")
    )
    agent = Agent("analyst", prompt="You look things up.", config=config, tools=[look_up])
    watch(agent)

    async def ask() -> None:
        for number in range(ROUNDS_OF_A_RUN):
            await agent.ask(f"look number {number} up and write it down")

    def once() -> int:
        calls[0] = 0
        asyncio.run(ask())
        return calls[0] or 2 * ROUNDS_OF_A_RUN

    return once


def ag2_config(calls: list[int]) -> Any:
    """Return the configuration of a model in this process that answers at once."""
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
        async def __call__(self, messages: Any, context: Any, **_options: Any) -> ModelResponse:
            calls[0] += 1
            await context.send(ModelReasoning(REASONING))
            if isinstance(messages[-1], (ToolResultEvent, ToolResultsEvent)):
                return ModelResponse(ModelMessage(ANSWER), usage=usage, model="scripted")
            call = ToolCallEvent(id=f"call_{calls[0]}", name="look_up", arguments=ARGUMENTS)
            return ModelResponse(
                ModelMessage("I look it up."),
                tool_calls=ToolCallsEvent([call]),
                usage=usage,
                model="scripted",
            )

    class Config(TestConfig):
        def create(self) -> Any:
            return Client()

    return Config()


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


def classic_run(watch: Callable[[Any], object], model: str) -> Run:
    """Return a run of an assistant and an executor."""
    import autogen
    from autogen.io.base import IOStream

    calls = [0]
    entry: dict[str, Any] = {"model": "scripted", "api_key": "none", "price": [0.0, 0.0]}
    if model == IN_PROCESS:
        entry["model_client_cls"] = "Scripted"
    else:
        entry |= {"api_type": "openai", "base_url": f"{model}/v1"}
    config = {"config_list": [entry], "cache_seed": None}
    assistant = autogen.ConversableAgent("analyst", llm_config=config, human_input_mode="NEVER")
    person = autogen.ConversableAgent(
        "user", llm_config=False, human_input_mode="NEVER", default_auto_reply="next"
    )
    autogen.register_function(look_up, caller=assistant, executor=person, description="Look something up.")
    if model == IN_PROCESS:
        assistant.register_model_client(classic_client(calls))
    watch(person)

    def once() -> int:
        calls[0] = 0
        with IOStream.set_default(Quiet()):
            person.initiate_chat(assistant, message="look it up", max_turns=2 * ROUNDS_OF_A_RUN)
        return calls[0] or 2 * ROUNDS_OF_A_RUN

    return once


def classic_client(calls: list[int]) -> type:
    """Return the class of a model in this process that answers at once."""
    from openai.types.chat import ChatCompletion

    class Scripted:
        def __init__(self, config: Any, **_options: Any) -> None:
            pass

        def create(self, params: dict[str, Any]) -> Any:
            calls[0] += 1
            message: dict[str, Any] = {"role": "assistant", "reasoning_content": REASONING}
            if params["messages"][-1]["role"] == "tool":
                message["content"] = ANSWER
            else:
                function = {"name": "look_up", "arguments": ARGUMENTS}
                message["content"] = "I look it up."
                message["tool_calls"] = [{"id": f"call_{calls[0]}", "type": "function", "function": function}]
            total = PROMPT_TOKENS + COMPLETION_TOKENS
            usage = {
                "prompt_tokens": PROMPT_TOKENS,
                "completion_tokens": COMPLETION_TOKENS,
                "total_tokens": total,
            }
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            return ChatCompletion.model_validate({
                "id": f"chat-{calls[0]}", "model": "scripted", "created": 1, "object": "chat.completion",
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

    return Scripted


GENERATIONS = {"ag2": ag2_run, "classic": classic_run}

# --- recorders -------------------------------------------------------------------------------------------

Round = Callable[[], dict[str, Any]]


def timed(run: Run) -> dict[str, Any]:
    """Run once; return seconds, processor seconds of this thread and of all, and model calls."""
    gc.collect()
    process, cpu, wall = time.process_time(), time.thread_time(), time.perf_counter()
    calls = run()
    return {
        "seconds": time.perf_counter() - wall, "cpu": time.thread_time() - cpu,
        "process": time.process_time() - process, "calls": calls,
    }  # fmt: skip


def clocks() -> tuple[float, float]:
    """Return the time by the clock and the processor time of this thread."""
    return time.perf_counter(), time.thread_time()


def nothing(generation: str, model: str, _folder: Path) -> Round:
    """Record nothing; agents are built anew for each round, outside the time, as with every recorder."""
    return lambda: timed(GENERATIONS[generation](lambda _agent: None, model))


def floor(generation: str, model: str, _folder: Path) -> Round:
    """Do nothing where a recorder has to be: an empty middleware, or an empty class of the agents."""

    def watch(agent: Any) -> None:
        if generation == "ag2":
            from ag2.middleware import BaseMiddleware

            agent.insert_middleware(BaseMiddleware)
        else:
            from autogen import ConversableAgent

            class Empty(ConversableAgent):
                def generate_reply(self, *args: Any, **kwargs: Any) -> Any:
                    return super().generate_reply(*args, **kwargs)

            agent.__class__ = Empty

    return lambda: timed(GENERATIONS[generation](watch, model))


def ours(generation: str, model: str, folder: Path) -> Round:
    """Capture with skillsmith, each round into a file of its own that is there already."""
    import skillsmith

    rounds = iter(range(1_000_000))
    empty = folder / "empty.db"
    skillsmith.open_workspace(empty).close()

    def once() -> dict[str, Any]:
        path = folder / f"{generation}-{next(rounds)}.db"
        path.write_bytes(empty.read_bytes())
        agents: list[Any] = []
        run = GENERATIONS[generation](agents.append, model)
        began = clocks()
        with skillsmith.capture("bench", db=path) as capture:
            capture.instrument(*agents)
            opened = clocks()
            found = timed(run)
            closing = clocks()
        closed = clocks()
        found["begin"], found["begin_cpu"] = opened[0] - began[0], opened[1] - began[1]
        found["end"], found["end_cpu"] = closed[0] - closing[0], closed[1] - closing[1]
        found["until_stored"] = found["seconds"] + found["end"]
        with skillsmith.open_workspace(path) as workspace:
            found["events"] = workspace.runs.get(capture.id).events
        found["bytes"] = path.stat().st_size - empty.stat().st_size  # the tables without a row
        return found

    return once


def own_sqlite(generation: str, model: str, folder: Path) -> Round:
    """AG2 Classic's own logger, which writes into SQLite."""
    from autogen import runtime_logging

    runtime_logging.start(logger_type="sqlite", config={"dbname": str(folder / "autogen.db")})
    return lambda: timed(GENERATIONS[generation](lambda _agent: None, model))


def own_telemetry(generation: str, model: str, folder: Path) -> Round:
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
    return lambda: timed(GENERATIONS[generation](watch, model))


def mlflow(generation: str, model: str, folder: Path) -> Round:
    """MLflow's autolog for AG2, with its default store."""
    import mlflow as library

    library.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    library.set_experiment("bench")
    library.ag2.autolog()
    return lambda: timed(GENERATIONS[generation](lambda _agent: None, model))


RECORDERS: dict[str, Callable[[str, str, Path], Round]] = {
    "none": nothing,
    "floor": floor,
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
    generation, recorder, model, folder = sys.argv[1:]
    with _only_answers() as answers:
        once = RECORDERS[recorder](generation, model, Path(folder))
        for _line in sys.stdin:
            print(json.dumps(once()), file=answers, flush=True)


if __name__ == "__main__":
    main()
