"""The tools of a small shop, with its orders in memory."""  # noqa: INP001  (a module of its own)

from __future__ import annotations

__all__ = ["cancel_order", "find_user", "list_orders"]

USERS = {"kim@example.org": "user_2001", "lea@example.org": "user_2002"}
ORDERS = {
    "ORD-8001": {"user": "user_2001", "status": "pending"},
    "ORD-8002": {"user": "user_2001", "status": "shipped"},
    "ORD-8003": {"user": "user_2002", "status": "pending"},
}


def find_user(email: str) -> dict[str, str]:
    """Find a customer by e-mail address."""
    return {"user_id": USERS[email], "name": email.partition("@")[0].title()}


def list_orders(user_id: str) -> dict[str, list[dict[str, str]]]:
    """List a customer's orders."""
    orders = [{"id": name, "status": one["status"]} for name, one in ORDERS.items() if one["user"] == user_id]
    return {"orders": orders}


def cancel_order(user_id: str, order_id: str, reason: str) -> dict[str, str]:
    """Cancel a customer's order that has not been shipped."""
    if ORDERS[order_id]["user"] != user_id:
        raise ValueError(f"order {order_id} belongs to somebody else")
    if ORDERS[order_id]["status"] != "pending":
        raise ValueError(f"order {order_id} has been shipped")
    ORDERS[order_id] = {**ORDERS[order_id], "status": "cancelled", "reason": reason}
    return {"order_id": order_id, "status": "cancelled"}
