"""What agents of an AG2 network say to each other: the hub tells a listener, and each channel is a room.

A turn's reply comes out of its agent's model and is then posted as an envelope, and the envelope becomes the
next agent's request: the room knows what is written already, so that each is written once.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from skillsmith.capture.shapes import error_of, text_of
from skillsmith.capture.tape import Tape, Turn, Work
from skillsmith.events import dump_json, load_json
from skillsmith.models import Json

CHANNEL_KEY: Final = "ag2.network.channel"
"""Under this name AG2 keeps the channel among a context's dependencies."""

_TEXT: Final = "ag2.msg.text"
_PACKET: Final = "ag2.packet"
_CONTEXT: Final = "ag2.context.set"
_PROTOCOL: Final = ("ag2.channel.", "ag2.task.")
_REMEMBERED: Final = 32
_HANDED: Final = "[Handed off "
_ENDED: Final = frozenset({"closed", "expired"})


@dataclass(slots=True, eq=False)
class Room:
    """One channel: the run it belongs to, and what has been written of it.

    Args:
        tape: Where it is written.
        channel_id: AG2's id of it.
    """

    tape: Tape
    channel_id: str
    begun: Work | None = None
    speaker: str | None = None
    variables: dict[str, Json] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    replies: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    posted: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    before: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)

    @property
    def work(self) -> Work:
        """The run it belongs to; begun by the first who asks."""
        return self.begin("")

    def begin(self, task: str) -> Work:
        """Begin the run, unless that is done."""
        if self.begun is None:
            self.begun = self.tape.begin_work(task, around=False)
            for name, data in self.before:
                self.tape.note(self.turn(None), name=name, data=data)
            self.before.clear()
        return self.begun

    def turn(self, agent: str | None) -> Turn:
        """Return where to write what an agent does outside its turns: in its last step."""
        work = self.work
        step = self.steps.get(agent or "") or work.steps.current()
        return Turn(step, agent or "", work)

    def asker(self, agent: str, turn: Turn) -> str | None:
        """Note an agent's turn, and return who has spoken before."""
        self.steps[agent] = turn.step
        return self.speaker

    def heard(self, agent: str, content: str) -> None:
        """Note what an agent's model said: its envelope repeats it."""
        self.replies.append((agent, content))

    def delivered(self, content: str | None) -> bool:
        """Tell whether a request repeats an envelope, in the form that channels give it to the next agent."""
        if content is None or content in self.posted:
            return content is not None
        said = content.removeprefix(f"[{self.speaker}]: ")
        return any(said == body or (said.startswith(_HANDED) and said.endswith(body)) for body in self.posted)

    def said_before(self, agent: str, content: str) -> bool:
        """Tell whether an envelope repeats a reply."""
        if (agent, content) in self.replies:
            self.replies.remove((agent, content))
            return True
        return False


class Rooms:
    """The channels that one tape knows."""

    def __init__(self, tape: Tape) -> None:
        self._tape = weakref.ref(tape)
        self._rooms: dict[str, Room] = {}

    def at(self, channel_id: str) -> Room | None:
        """Return a channel's room; None when the tape is gone."""
        tape = self._tape()
        if tape is None:
            return None
        room = self._rooms.get(channel_id)
        return room if room is not None else self._rooms.setdefault(channel_id, Room(tape, channel_id))

    def find(self, channel: Any) -> Room | None:
        """Return the room of a channel whose hub is watched."""
        metadata = getattr(channel, "metadata", None) or getattr(channel, "_metadata", None)
        channel_id = getattr(channel, "channel_id", None) or getattr(metadata, "channel_id", None)
        return self._rooms.get(channel_id) if channel_id is not None else None

    def close(self, channel_id: str) -> None:
        """Forget a channel."""
        self._rooms.pop(channel_id, None)

    def end_all(self, reason: str) -> None:
        """End the runs of channels that are still open."""
        tape = self._tape()
        for room in tuple(self._rooms.values()):
            if tape is not None and room.begun is not None:
                tape.end_work(room.begun, reason=reason)
        self._rooms.clear()


_rooms: weakref.WeakKeyDictionary[Tape, Rooms] = weakref.WeakKeyDictionary()


def rooms_of(tape: Tape) -> Rooms:
    """Return the rooms of a tape."""
    rooms = _rooms.get(tape)
    if rooms is None:
        rooms = _rooms[tape] = Rooms(tape)
    return rooms


class Listener:
    """Hears what happens in a hub; the hub calls its methods, and logs what they raise.

    Args:
        tape: Where it is written.
        hub: The hub.
    """

    def __init__(self, tape: Tape, hub: Any) -> None:
        self.tape = tape
        self._hub = weakref.ref(hub)

    async def on_envelope_posted(self, envelope: Any, metadata: Any) -> None:
        """Write what an agent sends, hands over or sets."""
        room = self._room(envelope.channel_id)
        if room is None:
            return
        try:
            self._posted(room, envelope, metadata)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.tape.failures.note("envelope", error)

    async def on_envelope_rejected(self, envelope: Any, reason: Any) -> None:
        """Write what the hub does not take."""
        room = self._room(envelope.channel_id)
        if room is not None:
            sender = self._name(envelope.sender_id)
            data = {"event_type": envelope.event_type, "data": _plain(envelope.event_data)}
            self.tape.note(
                room.turn(sender), name="envelope_rejected", agent=sender, data=data, content=error_of(reason)
            )

    async def on_dispatch_failed(self, envelope: Any, recipient_id: str, reason: BaseException) -> None:
        """Write that an envelope did not arrive."""
        room = self._room(envelope.channel_id)
        if room is not None:
            agent = self._name(recipient_id)
            self.tape.error(room.turn(agent), agent=agent, error=reason, where="dispatch")

    async def on_turn_failed(
        self, channel_id: str, agent_id: str, envelope_id: str, exc: BaseException
    ) -> None:
        """Write why a turn failed; what its middleware has written is not written again."""
        room = self._room(channel_id)
        if room is not None:
            agent = self._name(agent_id)
            self.tape.error(room.turn(agent), agent=agent, error=exc, where="turn")
            data = {"envelope": envelope_id, "error": error_of(exc)}
            self.tape.note(room.turn(agent), name="turn_failed", agent=agent, data=data)

    async def on_channel_event(self, channel_id: str, kind: str, payload: dict[str, Any]) -> None:
        """Write that a channel opens or closes, and why; with its end its run ends."""
        room = self._room(channel_id)
        if room is None:
            return
        facts = {name: value for name, value in payload.items() if name != "metadata" or kind == "created"}
        data = {"channel": channel_id, **_plain(facts)}
        if kind not in _ENDED and room.begun is None:
            room.before.append((f"channel_{kind}", data))  # what it is about, its first message says
            return
        reason = payload.get("reason") or None
        self.tape.note(room.turn(None), name=f"channel_{kind}", data=data, content=reason)
        if kind in _ENDED:
            rooms_of(self.tape).close(channel_id)
            self.tape.end_work(room.work, reason=payload.get("reason") or kind)

    async def on_task_event(self, task_id: str, kind: str, payload: dict[str, Any]) -> None:
        """Write what becomes of a task."""
        self._note(f"task_{kind}", {"task": task_id, **_plain(payload)}, payload.get("channel_id"))

    async def on_expectation_fired(self, channel_id: str, expectation: Any, violation: Any) -> None:
        """Write that a channel's expectation was not met."""
        data = {"expectation": getattr(expectation, "name", None), "violation": _plain(violation)}
        self._note("expectation_fired", data, channel_id)

    async def on_inbox_pressure(self, agent_id: str, pending: int, cap: int) -> None:
        """Write that an agent has much before it."""
        self._note("inbox_pressure", {"agent": self._name(agent_id), "pending": pending, "cap": cap}, None)

    async def on_agent_event(self, agent_id: str, kind: str, payload: dict[str, Any]) -> None:
        """Do nothing: who takes part is seen from what they do."""

    def _room(self, channel_id: str) -> Room | None:
        return rooms_of(self.tape).at(channel_id) if self.tape.on else None

    def _note(self, name: str, data: dict[str, Json], channel_id: str | None) -> None:
        room = self._room(channel_id) if channel_id else None
        self.tape.note(room.turn(None) if room else None, name=name, data=data)

    def _posted(self, room: Room, envelope: Any, metadata: Any) -> None:
        kind, data = envelope.event_type, envelope.event_data
        sender = self._name(envelope.sender_id)
        if kind.startswith(_PROTOCOL):
            if kind.endswith("reject"):
                self.tape.note(room.turn(sender), name=kind, agent=sender, data={"data": _plain(data)})
            return
        if kind == _CONTEXT:
            self._set(room, sender, data)
            return
        if kind not in (_TEXT, _PACKET):
            self.tape.note(room.turn(sender), name=kind, agent=sender, data={"data": _plain(data)})
            return
        body = text_of(data.get("text" if kind == _TEXT else "body")) or ""
        room.begin(body)
        target = self._target(room, envelope, metadata)
        if body:
            if not room.said_before(sender or "", body):
                facts = {"envelope": envelope.envelope_id, "channel": room.channel_id}
                self.tape.message(
                    room.turn(sender), sender=sender, recipient=target, role="user", content=body, data=facts
                )
            room.posted.append(body)
        room.speaker = sender
        self._set(room, sender, data.get("context_updates"))
        if target is not None and target != sender:
            self._hand_over(room, envelope, sender, target)

    def _hand_over(self, room: Room, envelope: Any, sender: str | None, target: str) -> None:
        routing = envelope.event_data.get("routing") or {}
        reason = (
            routing.get("reason")
            or routing.get("tool")
            or ("message" if not routing else routing.get("kind"))
        )
        facts = {"channel": room.channel_id, "envelope": envelope.envelope_id, **_plain(routing)}
        facts.pop("reason", None)
        self.tape.transition(room.turn(sender), source=sender, target=target, reason=reason, data=facts)

    def _set(self, room: Room, agent: str | None, changes: Any) -> None:
        if not isinstance(changes, Mapping) or not (changes.get("set") or changes.get("delete")):
            return
        room.variables.update(_plain(changes.get("set") or {}))
        for key in changes.get("delete") or ():
            room.variables.pop(key, None)
        self.tape.context(room.turn(agent), agent=agent, values=dict(room.variables))

    def _target(self, room: Room, envelope: Any, metadata: Any) -> str | None:
        """Return who speaks next: named by the packet, expected by the channel, or the only one addressed."""
        routing = envelope.event_data.get("routing") or {}
        if routing.get("target"):
            return self._name(routing["target"])
        hub = self._hub()
        state: Any = None if hub is None else hub.adapter_state(room.channel_id)
        if hasattr(state, "expected_next_speaker"):
            expected = state.expected_next_speaker
            return None if expected is None else self._name(expected)
        audience = envelope.audience or [one.agent_id for one in metadata.participants]
        others = [agent_id for agent_id in audience if agent_id != envelope.sender_id]
        return self._name(others[0]) if len(others) == 1 else None

    def _name(self, agent_id: str) -> str | None:
        hub = self._hub()
        try:
            return None if hub is None else str(hub.name_for(agent_id, default=agent_id))
        except Exception:  # noqa: BLE001  (older hubs take no default, and do not know everyone)
            return agent_id


def _plain(value: Any) -> Any:
    """Return a copy as JSON."""
    return load_json(dump_json(value))
