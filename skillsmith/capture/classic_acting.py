"""Agents whose actions are listened to: layers of the class that ``classic_agents`` makes.

Each layer has one base, so that CPython lets an object change its class.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from autogen import ConversableAgent

from skillsmith.capture.classic_actions import (
    begin_code,
    executing,
    legacy_run,
    open_tool,
    record_human,
    tap_executor,
)
from skillsmith.capture.classic_model import tap_client
from skillsmith.capture.classic_wire import KEY, Wire, live


def with_tools(cls: Any) -> Any:
    """Listen to the execution of tools."""
    looks_up = cls.execute_function is ConversableAgent.execute_function
    a_looks_up = cls.a_execute_function is ConversableAgent.a_execute_function

    class Tools(cls):  # type: ignore[misc]
        @property
        def _function_map(self) -> Any:
            known = stored(self, "_function_map")
            call = executing.get()
            return call.functions(known) if call is not None and call.agent is self else known

        @_function_map.setter
        def _function_map(self, functions: Any) -> None:
            self.__dict__["_function_map"] = functions

        def execute_function(self, func_call: Any, *args: Any, **kwargs: Any) -> Any:
            bare, found = super().execute_function, live(self)
            call = open_tool(found[1], found[0], self, func_call, args, kwargs) if found else None
            if call is None:
                return bare(func_call, *args, **kwargs)
            executing.set(call if looks_up else None)
            try:
                outcome = bare(func_call, *args, **kwargs)
            except BaseException as error:
                call.failed(error)
                raise
            finally:
                executing.set(None)
            call.done(outcome)
            return outcome

        async def a_execute_function(self, func_call: Any, *args: Any, **kwargs: Any) -> Any:
            bare, found = super().a_execute_function, live(self)
            call = open_tool(found[1], found[0], self, func_call, args, kwargs) if found else None
            if call is None:
                return await bare(func_call, *args, **kwargs)
            executing.set(call if a_looks_up else None)
            try:
                outcome = await bare(func_call, *args, **kwargs)
            except BaseException as error:
                call.failed(error)
                raise
            finally:
                executing.set(None)
            call.done(outcome)
            return outcome

    return Tools


def with_code(cls: Any) -> Any:
    """Listen to code that runs, and to every client and executor that the agent is given."""

    class Code(cls):  # type: ignore[misc]
        client = watched_attribute("client", tap_client)
        _code_executor = watched_attribute("_code_executor", tap_executor)

        def execute_code_blocks(self, code_blocks: Any) -> Any:
            bare, found = super().execute_code_blocks, live(self)
            run = begin_code(found[1], found[0], self) if found else None
            if run is None:
                return bare(code_blocks)
            token = legacy_run.set(run)
            try:
                exit_code, logs = bare(code_blocks)
            except BaseException as error:
                run.failed([(code, language) for language, code in code_blocks], error)
                raise
            finally:
                legacy_run.reset(token)
            run.finished(code_blocks, exit_code, logs)
            return exit_code, logs

        def run_code(self, code: str, **kwargs: Any) -> Any:
            bare, run, started = super().run_code, legacy_run.get(), time.perf_counter()
            result = bare(code, **kwargs)
            if run is not None:
                run.saw(code, kwargs.get("lang"), result, time.perf_counter() - started)
            return result

    return Code


def with_people(cls: Any) -> Any:
    """Listen to questions to a person."""

    class People(cls):  # type: ignore[misc]
        def get_human_input(self, prompt: Any, *args: Any, **kwargs: Any) -> Any:
            bare, started = super().get_human_input, time.perf_counter()
            reply = bare(prompt, *args, **kwargs)
            if found := live(self):
                seconds = time.perf_counter() - started
                record_human(found[1], found[0], self, prompt, reply=reply, seconds=seconds)
            return reply

        async def a_get_human_input(self, prompt: Any, *args: Any, **kwargs: Any) -> Any:
            bare, started = super().a_get_human_input, time.perf_counter()
            reply = await bare(prompt, *args, **kwargs)
            if found := live(self):
                seconds = time.perf_counter() - started
                record_human(found[1], found[0], self, prompt, reply=reply, seconds=seconds)
            return reply

    return People


def stored(agent: Any, name: str) -> Any:
    """Return an attribute that is kept where the agent's own class keeps it."""
    try:
        return agent.__dict__[name]
    except KeyError:
        raise AttributeError(f"{type(agent).__name__!r} object has no attribute {name!r}") from None


def watched_attribute(name: str, tap: Callable[[Wire, Any], None]) -> property:
    """Return a property that listens to whatever an agent's attribute is set to: AG2 replaces clients."""

    def get(self: Any) -> Any:
        try:
            return self.__dict__[name]
        except KeyError:
            return stored(self, name)

    def put(self: Any, value: Any) -> None:
        self.__dict__[name] = value
        if KEY in self.__dict__ and (found := live(self)):
            tap(found[1], value)

    return property(get, put)
