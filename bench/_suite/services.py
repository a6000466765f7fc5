"""Family: tools with state: a booking desk, a ticket tracker and a store behind one set of tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from _suite.desks import Services
from _suite.model import (
    Check,
    Family,
    Planted,
    Source,
    Task,
    Turn,
    argument_of,
    node_with,
    only_if,
    other_value,
    state_is,
)
from _suite.stand_ins import calls_instead, mends_call
from skillsmith.models import Json, Skill

TITLE = "Printer on floor 3 is jammed"
CHEAPEST = Services().search_rooms("Lisbon", "2026-05-03", 3, 2)[0]["room_id"]
PAID = Services().get_booking("B-2003")["paid"]
SUPPLIER = Services().get_item("LMP-204")["supplier_id"]
"""What the tools answer in the source runs, and the scripted model reads from their answers."""

PATIENT_TOOLS = ("who_is_on_call", "get_item", "search_rooms")
"""Reading tools that the skills' owner has tried again when the network fails."""


def patient(skill: Skill) -> Skill:
    """Let reading tools be tried again, as an owner would who knows the network."""
    nodes = [replace(node, retries=2) if node.tool in PATIENT_TOOLS else node for node in skill.nodes]
    return replace(skill, nodes=tuple(nodes))


def careful(skill: Skill) -> Skill:
    """Wake people up for tickets of high priority only."""
    priority = next(one.name for one in skill.variables if one.default == "high")
    return only_if(patient(skill), "send_page", f'{priority} == "high"')


def journal(service: Any) -> Json:
    """Return every change of the state."""
    return [list(entry) for entry in service._journal]  # noqa: SLF001  (the judge looks behind the desk)


def changes(*entries: Sequence[Json]) -> tuple[Check, ...]:
    """Check that the state was changed in just these ways, in order."""
    return (state_is("the journal", journal, [list(entry) for entry in entries]),)


BOOK = Source(
    name="book_cheapest_room",
    task="Book the cheapest room for 2 guests in Lisbon from 2026-05-03 for 3 nights, for guest G-1042.",
    edit=patient,
    checks=changes(("book", CHEAPEST, "G-1042", "2026-05-03", 3)),
    turns=(
        Turn(agent="clerk", text="First the guest.", tool="get_guest", arguments={"guest_id": "G-1042"}),
        Turn(agent="clerk", text="Now the free rooms.", tool="search_rooms",
             arguments={"city": "Lisbon", "check_in": "2026-05-03", "nights": 3, "guests": 2}),
        Turn(agent="clerk", text="The first is the cheapest.", tool="book_room",
             arguments={"room_id": CHEAPEST, "guest_id": "G-1042", "check_in": "2026-05-03", "nights": 3}),
        Turn(agent="clerk", text="The room is booked."),
    ),
)  # fmt: skip

CANCEL = Source(
    name="cancel_with_refund",
    task="Please cancel booking B-2003 and refund everything that was paid for it.",
    checks=changes(("cancel", "B-2003", PAID)),
    turns=(
        Turn(agent="clerk", text="What was paid?", tool="get_booking", arguments={"booking_id": "B-2003"}),
        Turn(agent="clerk", text="I cancel it and pay all of it back.", tool="cancel_booking",
             arguments={"booking_id": "B-2003", "refund": PAID}),
        Turn(agent="clerk", text="Cancelled and refunded."),
    ),
)  # fmt: skip

TICKET = Source(
    name="ticket_for_on_call",
    task=(
        f'Open a ticket "{TITLE}" with priority high, reported by ann.lee@example.com, assign it to'
        f' whoever is'
        " on call for hardware and page that person."
    ),
    edit=careful,
    checks=changes(
        ("open", 507, TITLE, "high", "ann.lee@example.com"), ("assign", 507, "p.novak"),
        ("page", "p.novak", f"Ticket 507: {TITLE}"),
    ),
    turns=(
        Turn(agent="dispatcher", text="The ticket first.", tool="open_ticket",
             arguments={"title": TITLE, "priority": "urgent", "reporter": "ann.lee@example.com"}),
        Turn(agent="dispatcher", text="There is no priority urgent; high it is.", tool="open_ticket",
             arguments={"title": TITLE, "priority": "high", "reporter": "ann.lee@example.com"}),
        Turn(agent="dispatcher", text="Who is on call?", tool="who_is_on_call",
             arguments={"team": "hardware"}),
        Turn(agent="dispatcher", text="I assign it.", tool="assign_ticket",
             arguments={"ticket_id": 507, "person": "p.novak"}),
        Turn(agent="dispatcher", text="And wake them up.", tool="send_page",
             arguments={"person": "p.novak", "text": f"Ticket 507: {TITLE}"}),
        Turn(agent="dispatcher", text="All done."),
    ),
)  # fmt: skip

ORDER = Source(
    name="order_from_supplier",
    task="Order 40 pieces of article LMP-204 from its supplier and note the order in the article's log.",
    edit=patient,
    checks=changes(
        ("order", SUPPLIER, "LMP-204", 40),
        ("note", "LMP-204", f"Ordered 40 pieces from {SUPPLIER}, order PO-7001"),
    ),
    turns=(
        Turn(agent="buyer", text="Who supplies it?", tool="get_item", arguments={"sku": "LMP-204"}),
        Turn(agent="buyer", text="I order.", tool="create_order",
             arguments={"supplier_id": SUPPLIER, "sku": "LMP-204", "pieces": 40}),
        Turn(agent="buyer", text="And the note.", tool="add_note",
             arguments={"sku": "LMP-204", "text": f"Ordered 40 pieces from {SUPPLIER}, order PO-7001"}),
        Turn(agent="buyer", text="Ordered and noted."),
    ),
)  # fmt: skip


def _task(
    words: str, source: Source, entries: Sequence[Sequence[Json]], planted: Sequence[Planted] = (),
    trouble: Callable[[Any], None] | None = None,
) -> Task:  # fmt: skip
    return Task(
        words=words, skill=source.name, planted=tuple(planted), trouble=trouble,
        checks=changes(*entries),
    )  # fmt: skip


def _booking(
    words: str, city: str, guests: int, check_in: str, nights: int, guest: str, *, fails: int = 0
) -> Task:
    """Return a booking task; the reference looks for the cheapest room in the hotel's own list."""
    hotel = Services()
    taken = {one["room_id"] for one in hotel._bookings.values()}  # noqa: SLF001  (as above)
    rooms = [
        (room["price"], key)
        for key, room in hotel._rooms.items()  # noqa: SLF001  (as above)
        if room["city"] == city and room["beds"] >= guests and key not in taken
    ]
    planted = [other_value(3, nights)] if nights != 3 else []
    if fails:
        planted.append(Planted(kind="retry", target=node_with("search_rooms"), after=fails + 1))
    entry = ("book", min(rooms)[1], guest, check_in, nights)
    return _task(words, BOOK, [entry], planted, _failing("search_rooms", fails))


def _failing(tool: str, times: int) -> Callable[[Any], None] | None:
    """Return what makes a tool fail so often; None when it does not fail."""
    if not times:
        return None
    return lambda service: service._fail_next(tool, times)  # noqa: SLF001  (trouble comes from behind the desk)


def _cancel(words: str, booking: str) -> Task:
    paid = Services()._bookings[booking]["paid"]  # noqa: SLF001  (as above)
    return _task(words, CANCEL, [("cancel", booking, paid)])


def _ticket(words: str, title: str, priority: str, reporter: str, team: str, *, fails: int = 0) -> Task:
    person = {"hardware": "p.novak", "network": "s.adeyemi", "software": "l.moreau"}[team]
    entries = [("open", 507, title, priority, reporter), ("assign", 507, person)]
    planted = [other_value("high", priority)] if priority != "high" else []
    if priority == "high":
        entries.append(("page", person, f"Ticket 507: {title}"))
    else:
        planted.append(Planted(kind="node_skipped", target=node_with("send_page")))
    if fails:
        planted.append(Planted(kind="retry", target=node_with("who_is_on_call"), after=fails + 1))
    return _task(words, TICKET, entries, planted, _failing("who_is_on_call", fails))


def _foreign_name(words: str, said: str, city: str, *, guest: str, check_in: str) -> Task:
    """Return a booking in a city under a name that the hotels do not know: the call has to be mended."""
    arguments: dict[str, Json] = {"city": city, "check_in": check_in, "nights": 3, "guests": 2}
    room = Services().search_rooms(**arguments)[0]["room_id"]
    mended = Planted(kind="parameter_change", target=argument_of("search_rooms", "city"), after=city)
    return Task(
        words=words, skill=BOOK.name, planted=(mended,), checks=changes(("book", room, guest, check_in, 3)),
        agents=mends_call(arguments, f"{said} is {city}.", when=f"there is no hotel in {said}"),
    )  # fmt: skip


def _without_service(words: str, title: str, reporter: str, team: str) -> Task:
    """Return a ticket while nobody can be asked who is on call: the roster says it, too."""
    person = Services().who_is_on_call(team)["person"]
    return Task(
        words=words, skill=TICKET.name, trouble=_failing("who_is_on_call", 9),
        planted=(Planted(kind="node_replaced", target=node_with("who_is_on_call")),),
        checks=changes(
            ("open", 507, title, "high", reporter), ("assign", 507, person),
            ("page", person, f"Ticket 507: {title}"),
        ),
        agents=calls_instead("get_roster", {"team": team}, "The roster says it.", when="did not answer"),
    )  # fmt: skip


def _order(words: str, sku: str, pieces: int, *, fails: int = 0) -> Task:
    supplier = Services()._items[sku]["supplier_id"]  # noqa: SLF001  (as above)
    note = f"Ordered {pieces} pieces from {supplier}, order PO-7001"
    planted = [other_value(40, pieces)] if pieces != 40 else []
    if fails:
        planted.append(Planted(kind="retry", target=node_with("get_item"), after=fails + 1))
    entries = [("order", supplier, sku, pieces), ("note", sku, note)]
    return _task(words, ORDER, entries, planted, _failing("get_item", fails))


FAMILY = Family(
    name="services",
    service=Services,
    sources=(BOOK, CANCEL, TICKET, ORDER),
    tasks=(
        _booking("Guest G-1017 needs the cheapest room for 3 guests in Vienna from 2026-06-11 for 2 nights.",
                 "Vienna", 3, "2026-06-11", 2, "G-1017"),
        _booking("Could you book the cheapest room for 1 guest in Porto from 2026-09-20 for 5 nights? It"
                 " is for guest G-1003.", "Porto", 1, "2026-09-20", 5, "G-1003", fails=1),
        _booking("Please reserve the cheapest room in Prague for 2 guests, from 2026-07-01 for 3 nights, for"
                 " guest G-1080.", "Prague", 2, "2026-07-01", 3, "G-1080"),
        _foreign_name("Book the cheapest room for 2 guests in Wien from 2026-08-02 for 3 nights, for guest"
                      " G-1007.", "Wien", "Vienna", guest="G-1007", check_in="2026-08-02"),
        _cancel("Cancel booking B-2007 and give all the money back.", "B-2007"),
        _cancel("The guest of B-2001 cannot come: cancel the booking and refund everything that was paid.",
                "B-2001"),
        _ticket('Open a ticket "No Wi-Fi in the lobby" with priority normal, reported by'
                ' bo.vik@example.com, and'
                " assign it to whoever is on call for network.",
                "No Wi-Fi in the lobby", "normal", "bo.vik@example.com", "network"),
        _ticket('Please open a ticket "Server room is hot" with priority high, reported by eva@example.com,'
                " assign it to whoever is on call for hardware and page that person.",
                "Server room is hot", "high", "eva@example.com", "hardware", fails=2),
        _ticket('Could you open a ticket "Mail client crashes" for cem.roth@example.com with priority low and'
                " assign it to whoever is on call for software?",
                "Mail client crashes", "low", "cem.roth@example.com", "software"),
        _without_service('Open a ticket "Screen in room 12 is dark" with priority high, reported by'
                         " max@example.com, assign it to whoever is on call for hardware and page that"
                         " person.",
                         "Screen in room 12 is dark", "max@example.com", "hardware"),
        _order("Order 15 pieces of article RUG-206 from its supplier and note it in the log.", "RUG-206", 15),
        _order("We are running out of SHF-203: please order 120 pieces from the supplier and write the order"
               " into the article's log.", "SHF-203", 120, fails=1),
    ),
)  # fmt: skip
