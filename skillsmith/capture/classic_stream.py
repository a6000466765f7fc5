"""What AG2 tells its output stream and nobody else: why a chat ended, why a speaker was chosen.

The host's stream stays in place behind a stand-in that passes everything on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autogen.io.base import IOStream

from skillsmith.capture.classic_scopes import Scope, current_scope

_HANDOVERS = {
    "OnConditionLLMTransitionEvent": "the model chose the handoff",
    "OnContextConditionTransitionEvent": "a condition on the context variables was met",
    "AfterWorksTransitionEvent": "after work",
    "ReplyResultTransitionEvent": "the tool's result names the next agent",
}


class Stream:
    """A host's stream, listened to; it passes for the host's own.

    Args:
        inner: The host's stream.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "_inner", inner)

    def send(self, message: Any) -> None:
        """Listen to an event, then pass it on."""
        if type(message).__name__ in _HEARD:
            listen(message)
        self._inner.send(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_inner"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    @property  # type: ignore[misc]  # isinstance() asks this, so the host's checks hold
    def __class__(self) -> type:
        return type(self._inner)


@contextmanager
def listening() -> Iterator[None]:
    """Listen to the default stream of this context, once."""
    stream = IOStream.get_default()
    if type(stream) is Stream:
        yield
        return
    with IOStream.set_default(Stream(stream)):
        yield


def listen(event: Any) -> None:
    """Keep what an event says that nothing else does."""
    scope = current_scope.get()
    if scope is None or not scope.wire.tape.on:
        return
    try:
        _HEARD[type(event).__name__](scope, getattr(event, "content", event))
    except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
        scope.wire.failures.note("listen", error)


def _ended(scope: Scope, event: Any) -> None:
    chat = scope.chat
    chat.ended_because = str(event.termination_reason)
    scope.wire.tape.note(
        chat.here(), name="termination", agent=event.sender, content=event.termination_reason,
        data={"recipient": event.recipient},
    )  # fmt: skip


def _handed_over(kind: str, reason: str) -> Callable[[Scope, Any], None]:
    def hear(scope: Scope, event: Any) -> None:
        target = event.transition_target
        data = {"event": kind, "by": getattr(event.source_agent, "name", None)}
        scope.chat.handover = f"{reason}: {target.display_name()}", data

    return hear


_HEARD: dict[str, Callable[[Scope, Any], None]] = {
    "TerminationEvent": _ended,
    **{kind: _handed_over(kind, reason) for kind, reason in _HANDOVERS.items()},
}
