"""A limit on what models may cost holds before a call is made, not after.

One budget is shared by everything that a command asks of models, from any thread. A call is counted when it
is begun, so calls side by side cannot overrun the number of calls; of the cost, calls that are under way are
not known yet, so it can be overrun by what those cost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from skillsmith.errors import UsageError
from skillsmith.models.protocols import BudgetError

Price: TypeAlias = Callable[[str, int, int], float | None]
"""What a model's prompt and completion tokens cost in USD; None: not known."""


def unknown_price(_model: str, _tokens_in: int, _tokens_out: int) -> float | None:
    """Know no price."""
    return None


class Budget:
    """What may still be asked of models.

    Args:
        max_cost_usd: What all calls together may cost.
        max_calls: How many calls there may be.

    Raises:
        UsageError: A limit is not above zero.
    """

    def __init__(self, *, max_cost_usd: float | None = None, max_calls: int | None = None) -> None:
        for name, limit in (("cost", max_cost_usd), ("number of model calls", max_calls)):
            if limit is not None and not limit > 0:
                raise UsageError(f"a {name} of at most {limit} allows nothing", hint="give more than 0")
        self.max_cost_usd = max_cost_usd
        self.max_calls = max_calls
        self._lock = threading.Lock()
        self._calls = 0
        self._spent = 0.0
        self._unpriced: str | None = None

    @property
    def calls(self) -> int:
        """Calls begun."""
        return self._calls

    @property
    def spent_usd(self) -> float:
        """What the calls cost whose cost is known."""
        return self._spent

    def claim(self) -> None:
        """Count a call that is about to be made.

        Raises:
            BudgetError: It would be beyond a limit, or it is not known whether it would.
        """
        with self._lock:
            if self.max_calls is not None and self._calls >= self.max_calls:
                raise BudgetError(
                    f"the limit of {self.max_calls} model calls is used up",
                    hint="allow more with --max-turns",
                )
            if self.max_cost_usd is not None:
                self._check_cost(self.max_cost_usd)
            self._calls += 1

    def _check_cost(self, limit: float) -> None:
        if self._unpriced is not None:
            raise BudgetError(
                f"the cost limit of ${limit:g} cannot be kept: {self._unpriced}",
                hint="name a price table in SKILLSMITH_PRICES, or limit the calls instead, with --max-turns",
            )
        if self._spent >= limit:
            raise BudgetError(
                f"the cost limit of ${limit:g} is reached: {self._calls} model calls cost ${self._spent:.4g}",
                hint="allow more with --max-cost",
            )

    def spend(self, cost_usd: float | None, *, why_unknown: str = "the cost of a call is not known") -> None:
        """Count what a call cost.

        Args:
            cost_usd: In USD; None: not known, and then a cost limit allows no further call.
            why_unknown: Why it is not known.
        """
        with self._lock:
            if cost_usd is None:
                self._unpriced = self._unpriced or why_unknown
            else:
                self._spent += cost_usd
