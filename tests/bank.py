"""A small bank whose state lives in the module: the tools that executions in tests call."""

from __future__ import annotations

import json
import time
from typing import Any

ACCOUNTS: dict[str, dict[str, Any]] = {}
JOURNAL: list[tuple[Any, ...]] = []
SPANS: list[tuple[str, float, float]] = []
FLAKY = {"left": 0}

__all__ = ["ask_credit", "block_card", "close_account", "flaky", "get_account", "get_rates", "transfer"]


def reset() -> None:
    """Open the bank anew."""
    JOURNAL.clear()
    SPANS.clear()
    FLAKY["left"] = 0
    ACCOUNTS.clear()
    ACCOUNTS.update(
        acc_anna_01={
            "owner": "Anna",
            "balance": 500,
            "cards": [{"id": "card_17", "last_four": "1111"}, {"id": "card_23", "last_four": "2222"}],
        },
        acc_ben_02={"owner": "Ben", "balance": 20, "cards": []},
    )


def get_account(account_id: str) -> str:
    """Return an account as JSON text, as many agents' tools do."""
    account = ACCOUNTS.get(account_id)
    return "Error: account not found" if account is None else json.dumps(account | {"id": account_id})


def get_rates(currency: str) -> dict[str, float]:
    """Return a rate after a while."""
    began = time.time()
    time.sleep(0.05)
    SPANS.append((currency, began, time.time()))
    return {"EUR": 1.0, "USD": 1.25}


def transfer(source: str, target: str, amount: float, note: str = "") -> dict[str, Any]:
    """Move money."""
    if ACCOUNTS[source]["balance"] < amount:
        raise ValueError(f"{source} has only {ACCOUNTS[source]['balance']}")
    ACCOUNTS[source]["balance"] -= amount
    ACCOUNTS[target]["balance"] += amount
    JOURNAL.append(("transfer", source, target, amount, note))
    return {"reference": f"T-{len(JOURNAL)}", "rest": ACCOUNTS[source]["balance"]}


async def block_card(card_id: str) -> dict[str, str]:
    """Block a card."""
    JOURNAL.append(("block", card_id))
    return {"blocked": card_id}


def close_account(account_id: str) -> str:
    """Close an account."""
    JOURNAL.append(("close", account_id))
    return "Account closed."


def flaky(message: str) -> str:
    """Fail as often as asked, then succeed."""
    JOURNAL.append(("try", message))
    if FLAKY["left"] > 0:
        FLAKY["left"] -= 1
        raise ConnectionError("the line is dead")
    return message


def ask_credit(amount: int) -> str:
    """Refuse."""
    JOURNAL.append(("credit", amount))
    return f"Error: no credit over {amount}"


reset()
