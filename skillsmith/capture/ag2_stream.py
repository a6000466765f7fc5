"""A turn's stream, seen as its events are sent and in the order of their causes, at the cost of one look-up.

Subscribing would cost a tenth of a millisecond per event, and shows events in the reverse order. The proxy
stands in for the stream while the turn lasts. Subtasks that AG2 builds itself share its storage: through that
their own streams are met, and watched in the same way.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from skillsmith.capture.ag2_scribe import Scribe
from skillsmith.capture.ag2_watch import Watch

AGENT_KEY: Final = "__ag2_agent__"
"""Under this name AG2 keeps the agent among a context's dependencies."""


class StreamProxy:
    """Stands for the stream of a turn: shows what is sent to a watch, and passes everything on.

    Args:
        stream: The stream.
        watch: Writes what it sees.
    """

    __slots__ = ("_history", "_known", "_stream", "_watch", "id")

    def __init__(self, stream: Any, watch: Watch) -> None:
        put = object.__setattr__
        put(self, "_stream", stream)
        put(self, "_watch", watch)
        put(self, "_known", watch.known)
        put(self, "_history", None)
        put(self, "id", stream.id)  # AG2 asks for it with every event

    def send(self, event: Any, context: Any) -> Awaitable[None]:
        """Write the event, then pass it on: the stream's own coroutine is awaited, at no further cost."""
        if type(event) not in self._known:
            self._watch.see(event)
        sent: Awaitable[None] = self._stream.send(event, context)
        return sent

    @property
    def stream(self) -> Any:
        """What it stands for."""
        return self._stream

    @property
    def watch(self) -> Watch:
        """Who sees what is sent."""
        watch: Watch = self._watch
        return watch

    @property
    def history(self) -> Any:
        """The stream's history, whose storage notices the streams of subtasks."""
        if self._history is None:
            object.__setattr__(self, "_history", _watched_history(self._stream.history, self._watch))
        return self._history

    @property
    def pending_messages(self) -> Any:
        """The stream's; like the next one, what AG2 asks for most often."""
        return self._stream.pending_messages

    @property
    def get(self) -> Any:
        """The stream's."""
        return self._stream.get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._stream, name, value)
        if name == "id":
            object.__setattr__(self, name, value)


class _Storage:
    """A stream's storage, which notices when a subtask begins to keep its events in it."""

    __slots__ = ("_storage", "_watch")

    def __init__(self, storage: Any, watch: Watch) -> None:
        self._storage = storage
        self._watch = watch

    async def save_event(self, event: Any, context: Any) -> None:
        """Save it; with its first event a subtask is met."""
        if type(context.stream) is not StreamProxy:
            _meet(self._watch, event, context)
        await self._storage.save_event(event, context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


def _watched_history(history: Any, watch: Watch) -> Any:
    try:
        watched = object.__new__(type(history))
        vars(watched).update(vars(history))
        watched.storage = _Storage(history.storage, watch)
    except Exception as error:  # noqa: BLE001  (counted; subtasks then stay unseen, and work)
        watch.failures.note("history", error)
        return history
    return watched


def _meet(around: Watch, event: Any, context: Any) -> None:
    """Begin to watch a subtask that no middleware watches."""
    tape, outer = around.scribe.tape, around.scribe
    if not tape.on:
        return
    try:
        agent = context.dependencies.get(AGENT_KEY)
        name = str(getattr(agent, "name", None) or "subtask")
        turn = tape.begin_turn(name, within=outer.turn)
        scribe = Scribe(tape, turn, asker=outer.turn.agent, code_tools=outer.code_tools, asked=outer.asked)
        watch = Watch(scribe, context=context)
        tape.context(turn, agent=name, values=context.variables, shared=False)
        context.stream = StreamProxy(context.stream, watch)
        around.children.append(watch)
    except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
        around.failures.note("subtask", error)
    else:
        watch.see(event)
