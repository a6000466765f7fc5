"""Captures that name no agents watch all of AG2 Classic, through its own logging, and leave it as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("autogen", reason="AG2 Classic is not installed")

from autogen import ConversableAgent, runtime_logging
from autogen.io.base import IOStream
from autogen.logger.base_logger import BaseLogger
from classic_play import Quiet, Taped, agent
from scripted_server import Server, text

import skillsmith
from skillsmith.capture import classic


@pytest.fixture(autouse=True)
def _quietly() -> Any:
    with IOStream.set_default(Quiet()):
        yield


class OwnLogger(BaseLogger):
    """A logger of the host's."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def start(self) -> str:
        return "own"

    def stop(self) -> None:
        self.heard.append("stop")

    def get_connection(self) -> None:
        return None

    def log_chat_completion(self, *_args: Any, **_kwargs: Any) -> None:
        self.heard.append("completion")

    def log_new_agent(self, agent: Any, init_args: Any) -> None:
        self.heard.append("agent")

    def log_event(self, source: Any, name: str, **_kwargs: Any) -> None:
        self.heard.append(name)

    def log_new_wrapper(self, *_args: Any, **_kwargs: Any) -> None:
        self.heard.append("wrapper")

    def log_new_client(self, *_args: Any, **_kwargs: Any) -> None:
        self.heard.append("client")

    def log_function_use(self, *_args: Any, **_kwargs: Any) -> None:
        self.heard.append("function")


@pytest.mark.parametrize("logs", [False, True])
def test_capture_that_names_no_agents(logs: bool) -> None:
    """Agents made before and inside a capture are recorded without being named, next to the host's logger."""
    own = OwnLogger()
    if logs:
        runtime_logging.start(logger=own)
    found = (runtime_logging.autogen_logger, runtime_logging.is_logging)
    try:
        with Server([text("hello", reasoning="polite")]) as server:
            early = agent("early")
            with Taped() as taped:
                classic.instrument_all(taped.tape, taped.undo)
                late = agent("late", server)
                early.initiate_chat(late, message="hi", max_turns=1)
                late.initiate_chat(early, message="back", max_turns=1)
            assert (runtime_logging.autogen_logger, runtime_logging.is_logging) == found
    finally:
        runtime_logging.is_logging, runtime_logging.autogen_logger = False, None
    assert taped.said() == [("early", "hi"), ("late", "hello"), ("late", "back"), ("early", None)]
    assert [e.reasoning for e in taped.events if e.reasoning] == ["polite"]
    assert type(early) is type(late) is ConversableAgent
    assert logs == ({"agent", "completion", "received_message"} <= set(own.heard))


def test_two_captures_that_name_no_agents() -> None:
    """The first one to end leaves the other one watching, the last one leaves nothing."""
    first, second = Taped(), Taped()
    classic.instrument_all(first.tape, first.undo)
    classic.instrument_all(second.tape, second.undo)
    first.__exit__()
    agent("one").initiate_chat(agent("two", default_auto_reply="yes"), message="hi", max_turns=1)
    second.__exit__()
    assert not runtime_logging.logging_enabled()
    assert (first.said(), second.said()) == ([], [("one", "hi"), ("two", "yes")])


def test_a_capture_watches_all_agents_until_one_is_named(tmp_path: Path) -> None:
    """``skillsmith.capture()`` records all that Classic does; once an agent is named, only that."""
    path = tmp_path / "skillsmith.db"
    with skillsmith.capture("x", path) as run:
        agent("one").initiate_chat(agent("two", default_auto_reply="yes"), message="hi", max_turns=1)
        three = run.instrument(agent("three"))
        agent("four").initiate_chat(agent("five", default_auto_reply="no"), message="psst", max_turns=1)
        three.initiate_chat(agent("six", default_auto_reply="aye"), message="ho", max_turns=1)
    assert not runtime_logging.logging_enabled()
    assert type(three) is ConversableAgent
    with skillsmith.open_workspace(path) as workspace:
        said = [event for event in workspace.runs.events(run.id) if event.kind == "message"]
    assert [(event.agent, event.content) for event in said] == [
        ("one", "hi"), ("two", "yes"), ("three", "ho"), ("six", "aye"),
    ]  # fmt: skip
