"""The tools of a small shop, as the runs of the story call them."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["cancel_order", "find_user", "list_orders", "slow_report"]


def find_user(email: str) -> dict[str, Any]:
    """Return the customer with this address."""
    number = int("".join(character for character in email if character.isdigit()) or 0)
    return {"user_id": f"user_{number:04d}", "name": "Eve", "tier": "gold"}


def list_orders(user_id: str) -> dict[str, Any]:
    """Return a customer's orders."""
    number = int(user_id.removeprefix("user_"))
    return {"orders": [{"id": f"ORD-{7000 + number}", "status": "pending", "items": [3, 5]}]}


def cancel_order(order_id: str, reason: str) -> dict[str, Any]:
    """Cancel an order; of those beyond 9000 nothing is known."""
    if int(order_id.removeprefix("ORD-")) > 9000:
        raise ValueError(f"there is no order {order_id}")
    return {"id": order_id, "status": "cancelled"}


def slow_report(seconds: float) -> str:
    """Return after a while."""
    time.sleep(seconds)
    return "done"
