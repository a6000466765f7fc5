"""A shop in memory that keeps a journal of what was really done: the tools of composed skills in tests."""

from __future__ import annotations

from typing import Any

ORDERS: dict[str, dict[str, Any]] = {
    "ORD-1": {"status": "pending", "total": 25.0},
    "ORD-2": {"status": "shipped", "total": 40.0},
}
JOURNAL: list[tuple[Any, ...]] = []

__all__ = ["cancel_order", "find_order", "refund_order"]


def find_order(order_id: str) -> dict[str, Any]:
    """Return an order."""
    return {"order_id": order_id, **ORDERS[order_id]}


def cancel_order(order_id: str, reason: str) -> dict[str, str]:
    """Cancel an order."""
    JOURNAL.append(("cancel", order_id, reason))
    return {"cancelled": order_id}


def refund_order(order_id: str, amount: float) -> dict[str, float]:
    """Refund an order."""
    JOURNAL.append(("refund", order_id, amount))
    return {"refunded": amount}
