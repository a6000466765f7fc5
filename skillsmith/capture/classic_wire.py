"""A capture's hold on Classic objects: found again from every object, and let go without a trace.

An agent or group chat is watched by giving the object a subclass of its class, a client, executor or pattern
by putting a callable before one method of the one object; classes are never changed.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from skillsmith.capture.classic_scopes import Chat, Speech, current_scope
from skillsmith.capture.harmless import Failures, harmless
from skillsmith.capture.tape import Tape, Undo
from skillsmith.capture.trails import OpenCalls

KEY = "_skillsmith"
"""The attribute of a watched object that holds its ``Tap``."""

MARK = "_skillsmith_watches"
"""Classes made here have it."""


REMEMBERED_CALLS = 4096

SELECTOR = "speaker_selection_agent"
"""The name that AG2 gives the agent which selects."""


class Selection:
    """How a speaker is being selected: what the selecting model said."""

    __slots__ = ("said",)

    def __init__(self) -> None:
        self.said: str | None = None

    def hear(self, speaker: str, content: Any) -> None:
        """Keep what the selecting agent says."""
        if speaker == SELECTOR:
            self.said = content if isinstance(content, str) else str(content)


class Tap:
    """What is known of one watched object.

    Args:
        owner: The object.
        original: Its class before; None when it was built as a class that watches.
        selection: For the agents that AG2 makes to select a speaker.
    """

    __slots__ = (
        "choosing", "groups_seen", "manages", "open", "original", "owner", "pending", "selection", "wire",
        "wires",
    )  # fmt: skip

    def __init__(
        self, owner: object, original: type | None, *, manages: bool, selection: Selection | None
    ) -> None:
        self.owner = id(owner)
        self.original = original
        self.manages = manages
        self.selection = selection
        self.wires: list[Wire] = []
        self.wire: Wire | None = None
        self.open: list[Speech] = []
        self.pending: dict[int, Speech] = {}
        self.choosing: Selection | None = None
        self.groups_seen: tuple[int, int, int] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Tap:
        """Stay whole when its object is copied; the copy is told apart by ``owner``."""
        return self

    def speech(self, peer: Any = None) -> Speech | None:
        """Return the agent's open turn, with this peer when it has several."""
        if not self.open:
            return None
        return next((one for one in reversed(self.open) if one.peer is peer), self.open[-1])


class Shadow:
    """Stands before one method of one object.

    Args:
        owner: The object.
        name: The method.
        around: Called as (wire, owner, the method, positional arguments, keyword arguments).
    """

    __slots__ = ("__weakref__", "around", "before", "name", "owner", "wires")

    def __init__(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        self.owner = owner
        self.name = name
        self.around = around
        self.before = owner.__dict__.get(name)
        self.wires: list[Wire] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method, by way of ``around`` while a capture is open."""
        bare = self.before or getattr(type(self.owner), self.name).__get__(self.owner)
        wire = self.wires[-1] if self.wires else None
        if wire is None or not wire.tape.on:
            return bare(*args, **kwargs)
        return self.around(wire, self.owner, bare, args, kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Shadow:
        copied = memo.get(id(self.owner))
        if copied is None:
            return self
        shadow = Shadow.__new__(Shadow)
        shadow.owner, shadow.name, shadow.around, shadow.before = copied, self.name, self.around, None
        shadow.wires = list(self.wires)
        return shadow


class Recent(dict[str, str]):
    """Facts on tool calls, by their ids; the oldest are forgotten, so that a long capture does not grow."""

    def note(self, call_id: str, fact: str = "") -> None:
        """Remember a fact."""
        if len(self) >= REMEMBERED_CALLS:
            for old in [*self][: REMEMBERED_CALLS // 2]:
                del self[old]
        self[call_id] = fact


class Wire:
    """One capture's hold on Classic objects.

    Args:
        tape: Where it writes.
        adopt: Takes an object that an agent deals with; one that is not watched yet is from then on.
    """

    def __init__(self, tape: Tape, adopt: Callable[[Wire, Any], None]) -> None:
        self.tape = tape
        self._adopt = adopt
        self.root = Chat(self)
        self.has_context = False
        self.unnamed = OpenCalls()
        self.names = Recent()
        self.answered = Recent()
        self._lock = threading.RLock()
        self._watched: dict[int, weakref.ref[Any]] = {}
        self._shadows: dict[int, weakref.ref[Any]] = {}

    @property
    def failures(self) -> Failures:
        """Where what could not be recorded is counted."""
        return self.tape.failures

    @harmless
    def adopt(self, obj: Any) -> None:
        """Watch a peer of a watched agent, unless it is watched already."""
        tap = getattr(obj, "__dict__", {}).get(KEY)
        if tap is None or tap.owner != id(obj) or self not in tap.wires:
            self._adopt(self, obj)

    def watch(self, obj: Any, make: Callable[[type], type], *, selection: Selection | None = None) -> Tap:
        """Watch an agent or a group chat.

        Args:
            obj: The object.
            make: Returns the class that watches for a class.
            selection: For the agents that AG2 makes to select a speaker.
        """
        with self._lock:
            tap: Tap | None = obj.__dict__.get(KEY)
            if tap is None or tap.owner != id(obj):
                tap = self._swap(obj, make, copied_from=tap, selection=selection)
            if self not in tap.wires:
                tap.wires.append(self)
                tap.wire = self
                self._hold(self._watched, obj)
        return tap

    @staticmethod
    def _swap(
        obj: Any, make: Callable[[type], type], *, copied_from: Tap | None, selection: Selection | None
    ) -> Tap:
        kind = type(obj)
        if copied_from is not None:
            original = copied_from.original
        else:
            original = None if getattr(kind, MARK, False) else kind
        if not getattr(kind, MARK, False):
            obj.__class__ = make(kind)
        tap = Tap(obj, original, manages=hasattr(kind, "run_chat"), selection=selection)
        obj.__dict__[KEY] = tap
        return tap

    def shadow(self, obj: Any, name: str, around: Callable[..., Any]) -> None:
        """Put a callable before one method of one object.

        Args:
            obj: The object.
            name: The method.
            around: As in ``Shadow``.
        """
        with self._lock:
            present = obj.__dict__.get(name)
            if not isinstance(present, Shadow) or present.owner is not obj:
                present = Shadow(obj, name, around)
                obj.__dict__[name] = present
            if self not in present.wires:
                present.wires.append(self)
                self._hold(self._shadows, present)

    @staticmethod
    def _hold(where: dict[int, weakref.ref[Any]], obj: Any) -> None:
        key = id(obj)
        where[key] = weakref.ref(obj, lambda _gone: where.pop(key, None))

    def close(self) -> None:
        """Let go of everything: each object is as it was before."""
        with self._lock:
            self._finish()
            for ref in list(self._watched.values()):
                self._unwatch(ref())
            for ref in list(self._shadows.values()):
                self._unshadow(ref())
            self._watched.clear()
            self._shadows.clear()

    @harmless
    def _finish(self) -> None:
        """End what is still open: turns whose replies were never sent, and messages outside of any chat."""
        from skillsmith.capture.classic_talk import end_loose, flush  # noqa: PLC0415  (it needs this module)

        for ref in list(self._watched.values()):
            tap = getattr(ref(), "__dict__", {}).get(KEY)
            if tap is not None:
                flush(self, tap)
        end_loose(self)

    @harmless
    def _unwatch(self, obj: Any) -> None:
        tap: Tap | None = obj.__dict__.get(KEY) if obj is not None else None
        if tap is None or tap.owner != id(obj) or self not in tap.wires:
            return
        tap.wires.remove(self)
        tap.wire = tap.wires[-1] if tap.wires else None
        if tap.wires:
            return
        del obj.__dict__[KEY]
        if tap.original is not None and getattr(type(obj), MARK, False):
            obj.__class__ = tap.original

    @harmless
    def _unshadow(self, shadow: Shadow | None) -> None:
        if shadow is None or self not in shadow.wires:
            return
        shadow.wires.remove(self)
        held = shadow.owner.__dict__
        if shadow.wires or held.get(shadow.name) is not shadow:
            return
        if shadow.before is None:
            del held[shadow.name]
        else:
            held[shadow.name] = shadow.before


_wires: weakref.WeakValueDictionary[int, Wire] = weakref.WeakValueDictionary()
"""The wires of the captures that are open, by the ids of their tapes; what they watch keeps them alive."""


def wire_for(tape: Tape, undo: Undo) -> Wire:
    """Return a capture's hold on Classic objects, made on first use.

    Args:
        tape: Where the capture writes.
        undo: Lets go when the capture ends.
    """
    wire = _wires.get(id(tape))
    if wire is None or wire.tape is not tape:
        from skillsmith.capture.classic_agents import adopt  # noqa: PLC0415  (it needs this module)

        wire = _wires[id(tape)] = Wire(tape, adopt)
        undo.add(wire.close)
    return wire


def live(obj: Any) -> tuple[Tap, Wire] | None:
    """Return what is known of a watched object and the capture that is to hear of it, if there is one."""
    tap: Tap | None = obj.__dict__.get(KEY)
    if tap is None or tap.owner != id(obj):
        tap = _join(obj, tap)
        if tap is None:
            return None
    wire, scope = tap.wire, current_scope.get()
    if scope is not None and scope.wire is not wire and scope.wire in tap.wires:
        wire = scope.wire
    if wire is None or wire.tape.on:
        return (tap, wire) if wire is not None else None
    wire.close()  # its capture has ended without saying so
    return None


def _join(obj: Any, copied_from: Tap | None) -> Tap | None:
    """Watch a copy of a watched object, or one that was built to write into the capture that is open."""
    wire = current_wire() if copied_from is None else copied_from.wire
    if wire is not None:
        wire.adopt(obj)
    tap: Tap | None = obj.__dict__.get(KEY)
    return tap if tap is not None and tap.owner == id(obj) else None


def current_wire() -> Wire | None:
    """Return the wire of the capture that is open now."""
    standing = sys.modules.get("skillsmith.capture.standing")
    if standing is None or not standing.active_captures:
        return None
    tape: Tape = standing.active_captures[-1]
    return wire_for(tape, tape.undo)
