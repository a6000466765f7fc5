"""Watching all of AG2 Classic through its own runtime logging, for captures that name no agents.

Whoever logs already goes on doing so; when the last such capture ends, all is as before.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Any

from autogen import runtime_logging
from autogen.logger.base_logger import BaseLogger

from skillsmith.capture.classic_scopes import current_scope
from skillsmith.capture.classic_talk import heard
from skillsmith.capture.classic_wire import KEY, Wire

_home: ContextVar[Wire | None] = ContextVar("skillsmith_classic_home", default=None)
_lock = threading.Lock()


class Watcher(BaseLogger):
    """Hears of every agent; the host's own logger hears all that it would have heard.

    Args:
        found: What was set before.
        logging: Whether the host logs.
    """

    def __init__(self, found: Any, *, logging: bool) -> None:
        self.found = found
        self.logging = logging
        self.before = found if logging else None
        self.wires: list[Wire] = []

    def _wire(self) -> Wire | None:
        """Return the capture that the acting thread or task belongs to, else the newest."""
        scope, home = current_scope.get(), _home.get()
        if scope is not None and scope.wire in self.wires:
            return scope.wire
        if home is not None and home in self.wires:
            return home
        return self.wires[-1] if self.wires else None

    def start(self) -> str:
        """Name the session."""
        return "skillsmith"

    def stop(self) -> None:
        """Stop the host's logger: the host said so."""
        if self.before is not None:
            self.before.stop()

    def get_connection(self) -> Any:
        """Return the connection of the host's logger."""
        return None if self.before is None else self.before.get_connection()

    def log_new_agent(self, agent: Any, init_args: Any) -> None:
        """Watch an agent from the moment it is made."""
        wire = self._wire()
        if wire is not None and wire.tape.on:
            wire.adopt(agent)
        if self.before is not None:
            self.before.log_new_agent(agent, init_args)

    def log_event(self, source: Any, name: str, **kwargs: Any) -> None:
        """Watch an agent that was made earlier from its first message on."""
        wire = self._wire()
        unwatched = name == "received_message" and KEY not in getattr(source, "__dict__", {KEY: None})
        if unwatched and wire is not None and wire.tape.on:
            self._first_message(wire, source, kwargs)
        if self.before is not None:
            self.before.log_event(source, name, **kwargs)

    @staticmethod
    def _first_message(wire: Wire, source: Any, said: dict[str, Any]) -> None:
        wire.adopt(source)
        heard(wire, source, said.get("message"), said.get("sender"))

    def log_chat_completion(self, *args: Any, **kwargs: Any) -> None:
        """Leave it to the host's logger; calls are seen at the agents' clients."""
        if self.before is not None:
            self.before.log_chat_completion(*args, **kwargs)

    def log_new_wrapper(self, *args: Any, **kwargs: Any) -> None:
        """Leave it to the host's logger."""
        if self.before is not None:
            self.before.log_new_wrapper(*args, **kwargs)

    def log_new_client(self, *args: Any, **kwargs: Any) -> None:
        """Leave it to the host's logger."""
        if self.before is not None:
            self.before.log_new_client(*args, **kwargs)

    def log_function_use(self, *args: Any, **kwargs: Any) -> None:
        """Leave it to the host's logger."""
        if self.before is not None:
            self.before.log_function_use(*args, **kwargs)


def watch_all(wire: Wire) -> None:
    """Watch every agent of this process until the capture ends."""
    with _lock:
        watcher, logging = runtime_logging.autogen_logger, runtime_logging.logging_enabled()
        if not logging or not isinstance(watcher, Watcher):
            watcher = Watcher(watcher, logging=logging)
            runtime_logging.start(logger=watcher)
        watcher.wires.append(wire)
        _home.set(wire)


def unwatch_all(wire: Wire) -> None:
    """Take back ``watch_all``; the last one leaves AG2's logging as the first found it."""
    with _lock:
        watcher = runtime_logging.autogen_logger
        if _home.get() is wire:
            _home.set(None)
        if not isinstance(watcher, Watcher) or wire not in watcher.wires:
            return
        watcher.wires.remove(wire)
        if not watcher.wires:
            runtime_logging.autogen_logger = watcher.found
            runtime_logging.is_logging = watcher.logging
