"""The desks whose tools the agents of the family "services" call: hotels, tickets and a store, with state.

Each is as plain as the mock services that people test agents with: data in memory, errors as exceptions.
``_fail_next`` makes a tool fail as often as asked, as a network would.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

CITIES = "Lisbon Porto Madrid Vienna Prague".split()
PRICES = (59.0, 74.5, 98.0, 121.0)


class Desk:
    """What all desks share: a journal of every change, and tools that fail when told to."""

    def __init__(self) -> None:
        self._journal: list[tuple[Any, ...]] = []
        self._failures: Counter[str] = Counter()

    def _fail_next(self, tool: str, times: int) -> None:
        self._failures[tool] += times

    def _reach(self, tool: str) -> None:
        if self._failures[tool]:
            self._failures[tool] -= 1
            raise ConnectionError(f"{tool}: the service did not answer")


class Hotels(Desk):
    """Rooms, guests and bookings."""

    def __init__(self) -> None:
        super().__init__()
        draw = random.Random(8)
        self._rooms: dict[str, dict[str, Any]] = {
            f"{city[:3].upper()}-{100 + number}": {
                "city": city, "beds": draw.randint(1, 4), "price": draw.choice(PRICES) + number,
            }
            for city in CITIES
            for number in range(1, 13)
        }  # fmt: skip
        self._guests = {f"G-{1000 + number}": f"Guest {number}" for number in range(1, 90)}
        self._bookings: dict[str, dict[str, Any]] = {}
        for number, room in enumerate(sorted(self._rooms)[::5]):
            self._bookings[f"B-{2000 + number}"] = {
                "room_id": room, "guest_id": f"G-{1001 + number}", "status": "confirmed",
                "paid": round(3 * self._rooms[room]["price"], 2),
            }  # fmt: skip

    def get_guest(self, guest_id: str) -> dict[str, Any]:
        """Look a guest up."""
        self._reach("get_guest")
        if guest_id not in self._guests:
            raise LookupError(f"there is no guest {guest_id}")
        return {"guest_id": guest_id, "name": self._guests[guest_id]}

    def search_rooms(self, city: str, check_in: str, nights: int, guests: int) -> list[dict[str, Any]]:
        """Find free rooms, the cheapest first."""
        self._reach("search_rooms")
        if city not in CITIES:
            raise ValueError(f"there is no hotel in {city}; cities: {', '.join(CITIES)}")
        taken = {one["room_id"] for one in self._bookings.values() if one["status"] == "confirmed"}
        free = [
            {
                "room_id": key,
                "beds": room["beds"],
                "total": round(nights * room["price"], 2),
                "from": check_in,
            }
            for key, room in self._rooms.items()
            if room["city"] == city and room["beds"] >= guests and key not in taken
        ]
        return sorted(free, key=lambda room: (room["total"], room["room_id"]))

    def book_room(self, room_id: str, guest_id: str, check_in: str, nights: int) -> dict[str, Any]:
        """Book a room."""
        self._reach("book_room")
        booking_id = f"B-{2000 + len(self._bookings)}"
        total = round(nights * self._rooms[room_id]["price"], 2)
        self._bookings[booking_id] = {
            "room_id": room_id, "guest_id": guest_id, "paid": total, "status": "confirmed",
        }  # fmt: skip
        self._journal.append(("book", room_id, guest_id, check_in, nights))
        return {"booking_id": booking_id, "total": total}

    def get_booking(self, booking_id: str) -> dict[str, Any]:
        """Look a booking up."""
        self._reach("get_booking")
        if booking_id not in self._bookings:
            raise LookupError(f"there is no booking {booking_id}")
        return {"booking_id": booking_id, **self._bookings[booking_id]}

    def cancel_booking(self, booking_id: str, refund: float) -> dict[str, Any]:
        """Cancel a booking and pay money back, at most what was paid."""
        booking = self._bookings[booking_id]
        if refund > booking["paid"]:
            raise ValueError(f"only {booking['paid']} was paid")
        booking["status"] = "cancelled"
        self._journal.append(("cancel", booking_id, refund))
        return {"booking_id": booking_id, "status": "cancelled", "refund": refund}


class Tickets(Desk):
    """A ticket tracker with people on call."""

    def __init__(self) -> None:
        super().__init__()
        self._on_call = {"hardware": "p.novak", "network": "s.adeyemi", "software": "l.moreau"}
        self._tickets: dict[int, dict[str, Any]] = {500 + number: {"status": "open"} for number in range(7)}

    def who_is_on_call(self, team: str) -> dict[str, str]:
        """Say who is on call in a team."""
        self._reach("who_is_on_call")
        if team not in self._on_call:
            raise LookupError(f"there is no team {team}; teams: {', '.join(self._on_call)}")
        return {"team": team, "person": self._on_call[team]}

    def get_roster(self, team: str) -> dict[str, str]:
        """Read a team's printed roster, which is always there."""
        return {"team": team, "person": self._on_call[team]}

    def open_ticket(self, title: str, priority: str, reporter: str) -> dict[str, Any]:
        """Open a ticket."""
        if priority not in ("low", "normal", "high"):
            raise ValueError("priority is low, normal or high")
        number = 500 + len(self._tickets)
        self._tickets[number] = {"title": title, "priority": priority, "reporter": reporter, "status": "open"}
        self._journal.append(("open", number, title, priority, reporter))
        return {"ticket_id": number, "status": "open"}

    def assign_ticket(self, ticket_id: int, person: str) -> dict[str, Any]:
        """Give a ticket to a person."""
        self._tickets[ticket_id]["person"] = person
        self._journal.append(("assign", ticket_id, person))
        return {"ticket_id": ticket_id, "person": person}

    def send_page(self, person: str, text: str) -> dict[str, Any]:
        """Wake a person up."""
        self._reach("send_page")
        self._journal.append(("page", person, text))
        return {"sent": True}


class Store(Desk):
    """Articles, their suppliers, and orders."""

    def __init__(self) -> None:
        super().__init__()
        kinds = ("LMP", "TBL", "RUG", "SHF")
        self._items: dict[str, dict[str, Any]] = {
            f"{kind}-{200 + number}": {
                "pieces": 7 * number % 23, "supplier_id": f"S{10 + (number + place) % 5}", "log": [],
            }
            for place, kind in enumerate(kinds)
            for number in range(1, 9)
        }  # fmt: skip

    def get_item(self, sku: str) -> dict[str, Any]:
        """Look an article up."""
        self._reach("get_item")
        if sku not in self._items:
            raise LookupError(f"there is no article {sku}")
        item = self._items[sku]
        return {"sku": sku, "pieces": item["pieces"], "supplier_id": item["supplier_id"]}

    def create_order(self, supplier_id: str, sku: str, pieces: int) -> dict[str, Any]:
        """Order pieces of an article from a supplier."""
        self._reach("create_order")
        if self._items[sku]["supplier_id"] != supplier_id:
            raise ValueError(f"{supplier_id} does not supply {sku}")
        order = f"PO-{7001 + sum(entry[0] == 'order' for entry in self._journal)}"
        self._journal.append(("order", supplier_id, sku, pieces))
        return {"order_id": order, "pieces": pieces}

    def add_note(self, sku: str, text: str) -> dict[str, Any]:
        """Write a note into an article's log."""
        self._items[sku]["log"].append(text)
        self._journal.append(("note", sku, text))
        return {"sku": sku, "notes": len(self._items[sku]["log"])}


class Services(Hotels, Tickets, Store):
    """All desks behind one door, as an agent with many tools has them."""
