"""How the tests play a run of AG2 Classic: bare and captured, against a scripted server.

A scene is a function of ``watch``, which it calls with the one object that is instrumented; what it returns
(and what it raises) must be the same both times. Import this only where ``autogen`` is installed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from autogen import ConversableAgent
from autogen.io.base import IOStream
from coverage import COVERAGE, Expected
from scripted_server import JsonObject, Server

from skillsmith.capture import classic
from skillsmith.capture.tape import Tape, Undo
from skillsmith.models import Event

MODEL = "scripted"

Watch = Callable[[Any], Any]
Scene = Callable[[Watch], Any]

logging.getLogger("autogen").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="autogen")


class Quiet:
    """An output stream that shows nothing, and answers as a person would.

    Args:
        answers: What the person types, in order.
    """

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    def send(self, message: Any) -> None:
        self.heard.append(type(message).__name__)

    def print(self, *objects: Any, **options: Any) -> None:
        pass

    def input(self, prompt: str = "", *, password: bool = False) -> str:
        return self.answers.pop(0)


@dataclass
class Played:
    """What came of a scene: its result or exception, the events, and what could not be recorded."""

    result: Any = None
    error: tuple[str, str] | None = None
    raised: BaseException | None = None
    events: list[Event] = field(default_factory=list)
    failures: int = 0


def play(scene: Scene, *, captured: bool) -> Played:
    """Play a scene once."""
    played = Played()
    tape = Tape(played.events.append)
    undo = Undo(tape.failures)

    def watch(obj: Any) -> Any:
        return classic.instrument(obj, tape, undo) if captured else obj

    try:
        with IOStream.set_default(Quiet()):
            played.result = scene(watch)
    except BaseException as error:  # noqa: BLE001  (compared with that of the other time)
        played.error, played.raised = (type(error).__name__, str(error)), error
    undo.run()
    assert tape.failures.count == 0, tape.failures.first
    return played


def both(scene: Scene, *, raises: str | None = None) -> Played:
    """Play a scene bare and captured; return the latter, which must have come to the same.

    Args:
        scene: The scene.
        raises: The type of the exception that it ends with.
    """
    bare, captured = play(scene, captured=False), play(scene, captured=True)
    assert (bare.error[0] if bare.error else None) == raises, bare.error
    assert captured.error == bare.error
    assert captured.result == bare.result
    return captured


def config(server: Server, **more: Any) -> dict[str, Any]:
    """Return the configuration of a model at the scripted server."""
    entry = {
        "model": "scripted", "api_key": "none", "base_url": server.url, "api_type": "openai",
        "price": [0.001, 0.002], "max_retries": 0, **more,
    }  # fmt: skip
    return {"config_list": [entry], "cache_seed": None}


def agent(name: str, server: Server | None = None, **more: Any) -> ConversableAgent:
    """Return an agent whose system message is its name; with a server, one that has a model."""
    model = config(server) if server else False
    options = {"system_message": name, "human_input_mode": "NEVER", "llm_config": model, **more}
    return ConversableAgent(name, **options)


def is_done(message: JsonObject) -> bool:
    """Tell whether a message ends the chat."""
    return "TERMINATE" in (message.get("content") or "")


def told(result: Any) -> dict[str, Any]:
    """Return what a chat result says."""
    return {
        "history": result.chat_history, "summary": result.summary, "cost": result.cost,
        "human": result.human_input,
    }  # fmt: skip


def kinds(events: list[Event]) -> list[str]:
    """Return what the events are, in order."""
    return [event.kind for event in events]


def steps(events: list[Event], kind: str) -> list[int]:
    """Return the steps of the events of a kind."""
    return [event.step for event in events if event.kind == kind]


def check(played: Played, name: str, **facts: Any) -> list[Event]:
    """Check a scene against what happened in it; return its events."""
    COVERAGE.check(played.events, f"classic {name}", Expected(**facts))
    return played.events


def asked(agent: str, times: int = 1, tokens: tuple[int, int] = (11, 7)) -> list[Any]:
    """Return model calls of an agent."""
    return [(agent, MODEL, *tokens)] * times


class Taped:
    """A capture that keeps its events in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.tape = Tape(self.events.append)
        self.undo = Undo(self.tape.failures)

    def watch(self, obj: Any) -> Any:
        return classic.instrument(obj, self.tape, self.undo)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.undo.run()
        self.tape.on = False
        assert self.tape.failures.count == 0, self.tape.failures.first

    def said(self) -> list[tuple[str | None, str | None]]:
        return [(e.agent, e.content) for e in self.events if e.kind == "message" and e.role != "system"]
