"""Watch agents and hubs of AG2 1.x; loaded only where AG2 is in use already.

An agent gets one middleware, and with it the agents that it has for tools. A hub gets one listener, and every
agent that registers with it from now on is watched as well.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, Final, TypeVar

from ag2 import Agent

from skillsmith.capture.ag2_network import Listener, rooms_of
from skillsmith.capture.ag2_turns import Factory
from skillsmith.capture.tape import Tape, Undo

_T = TypeVar("_T")
_HUB_MODULE: Final = "ag2.network.hub.core"
_CLIENT_MODULE: Final = "ag2.network.client.hub_client"


def handles(obj: Any) -> bool:
    """Tell whether this is an agent or a hub of AG2, a client of a hub, or several of these."""
    if isinstance(obj, (list, tuple, set, frozenset)):
        return bool(obj) and all(map(handles, obj))
    return isinstance(obj, (Agent, *_hubs()))


def instrument(obj: _T, tape: Tape, undo: Undo) -> _T:
    """Watch an agent or a hub, and whom it knows; what is watched already stays as it is.

    Args:
        obj: An agent, a hub, a client of a hub, or several of these.
        tape: Where what they do is written.
        undo: Learns how to take it back.
    """
    if isinstance(obj, (list, tuple, set, frozenset)):
        for one in obj:
            instrument(one, tape, undo)
    elif isinstance(obj, Agent):
        _watch_agent(obj, tape, undo)
    else:
        _watch_hub(obj, tape, undo)
    return obj


def _hubs() -> tuple[type, ...]:
    found = ((_HUB_MODULE, "Hub"), (_CLIENT_MODULE, "HubClient"))
    kinds = (getattr(sys.modules.get(module), name, None) for module, name in found)
    return tuple(kind for kind in kinds if kind is not None)


def _watch_agent(agent: Any, tape: Tape, undo: Undo) -> None:
    if any(_writes_here(factory, tape) for factory in agent._middleware):  # noqa: SLF001  (its public view makes new objects)
        return
    factory = Factory(tape, agent.name)
    agent.insert_middleware(factory)
    undo.add(partial(_remove, agent._middleware, factory))  # noqa: SLF001  (AG2 cannot take one out)
    for tool in agent.tools:
        helper = getattr(tool, "agent", None)
        if isinstance(helper, Agent):
            _watch_agent(helper, tape, undo)


def _writes_here(factory: Any, tape: Tape) -> bool:
    """Tell whether a middleware writes to this tape, or always to that of the capture under way."""
    return isinstance(factory, Factory) and factory.tape.on and (factory.tape is tape or factory.tape.stands)


def _remove(factories: list[Any], factory: Factory) -> None:
    if factory in factories:
        factories.remove(factory)


def _watch_hub(hub: Any, tape: Tape, undo: Undo) -> None:
    if "register" in vars(hub) and vars(hub)["register"].keywords.get("tape") is tape:
        return
    if hasattr(hub, "register_listener"):
        listener = Listener(tape, hub)
        hub.register_listener(listener)
        undo.add(partial(hub.unregister_listener, listener))
        undo.add(partial(rooms_of(tape).end_all, "the capture has ended"))
    for client in _clients_of(hub):
        known = getattr(client, "agent", None)
        if isinstance(known, Agent):
            _watch_agent(known, tape, undo)
    original = vars(hub).get("register")
    hub.register = partial(_register, hub.register, tape=tape, undo=undo)
    undo.add(partial(_put_back, hub, original))


async def _register(register: Any, agent: Any, *args: Any, tape: Tape, undo: Undo, **options: Any) -> Any:
    if tape.on and isinstance(agent, Agent):
        try:
            _watch_agent(agent, tape, undo)
        except Exception as error:  # noqa: BLE001  (counted; registering goes on)
            tape.failures.note("register", error)
    return await register(agent, *args, **options)


def _put_back(hub: Any, original: Any) -> None:
    if original is None:
        vars(hub).pop("register", None)
    else:
        hub.register = original


def _clients_of(hub: Any) -> list[Any]:
    """Return the agents' clients that a hub, or a client of one, holds already."""
    holders = [hub, *getattr(hub, "_owned_clients", ())]
    return [client for holder in holders for client in getattr(holder, "_clients", {}).values()]
