"""A run as long as a month of work, with the text of real files: what bench/longrun.py measures on."""

from __future__ import annotations

import json
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from skillsmith.models import CodeUse, Event, ToolUse

STEP_EVENTS = 50
MEAN_CHARS = 1455
AGENTS = ("planner", "researcher", "engineer", "analyst", "reviewer", "writer")
DECISIONS = (
    "Decision: we use the {} table for joins.",
    "After comparing both we decided to keep {} as the default.",
    "I conclude that {} is the cause of the drift.",
    "We will go with {} and drop the other plan.",
    "The team agreed to cache {} for the rest of the run.",
    "Let's switch to {} from now on.",
    "{} was ruled out because it loses precision.",
    "The reviewer rejected {} as too slow.",
    "We settled on {} for the final figures.",
    "I chose {} over the alternatives.",
)


def corpus() -> str:
    """Return the text of the interpreter's own library, in a fixed order."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py"))[:120]
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


class LongRun:
    """Makes the events of a run step by step, the same for the same number.

    Args:
        text: What messages are cut from.
        planted: Every so many steps an agent says a decision.
    """

    def __init__(self, text: str, *, planted: int = 200) -> None:
        self._text = text
        self._planted = planted
        self.decisions: list[str] = []

    def step(self, number: int) -> Iterator[Event]:
        """Yield the events of one step, from 1."""
        draw = random.Random(number)
        order = f"W{number:06d}"
        at = 1_700_000_000.0 + number * 60
        yield Event(kind="message", role="user", agent="user", step=number, at=at,
                    content=f"Please update the order {order} and send a note to the customer")  # fmt: skip
        yield from self._calls(number, order, at)
        if number % self._planted == 0:
            said = DECISIONS[number // self._planted % len(DECISIONS)].format(f"variant_{number}")
            self.decisions.append(f"variant_{number}")
            yield self._message(draw, number, at, said)
        for place in range(STEP_EVENTS - 7 - (number % self._planted == 0)):
            yield self._any(draw, number, place, at + place)

    def _calls(self, number: int, order: str, at: float) -> Iterator[Event]:
        customer = f"c_{number:07d}"
        deeds = (
            ("get_order", {"order_id": order}, {"customer": {"id": customer}, "status": "open"}),
            ("update_order", {"order_id": order, "customer_id": customer}, {"status": "updated"}),
            ("send_note", {"customer_id": customer}, {"sent": True}),
        )
        for name, arguments, result in deeds:
            call = f"{name}-{number}"
            yield Event(kind="tool_call", agent="engineer", step=number, at=at,
                        tool=ToolUse(name=name, call_id=call, arguments=json.dumps(arguments)))  # fmt: skip
            yield Event(kind="tool_result", role="tool", agent="engineer", step=number, at=at,
                        tool=ToolUse(name=name, call_id=call, result=json.dumps(result)))  # fmt: skip

    def _any(self, draw: random.Random, number: int, place: int, at: float) -> Event:
        agent = draw.choice(AGENTS)
        if place % 10 == 9:
            return Event(kind="llm_call", agent=agent, step=number, at=at, tokens_in=draw.randrange(9000),
                         tokens_out=draw.randrange(900), cost_usd=0.001, data={"model": "m"})  # fmt: skip
        if place % 15 == 14:
            return Event(kind="code_result", role="tool", agent=agent, step=number, at=at,
                         code=CodeUse(exit_code=0, output=self._piece(draw)))  # fmt: skip
        return self._message(draw, number, at, self._piece(draw))

    def _message(self, draw: random.Random, number: int, at: float, content: str) -> Event:
        return Event(kind="message", role="assistant", agent=draw.choice(AGENTS), step=number, at=at,
                     content=content)  # fmt: skip

    def _piece(self, draw: random.Random) -> str:
        length = min(int(draw.expovariate(1 / MEAN_CHARS)) + 40, 30_000)
        start = draw.randrange(len(self._text) - length)
        return self._text[start : start + length]
