"""What an execution asked of models, as far as the answers said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an execution asked of models.

    Args:
        cost_usd: 0.0 without a call; None when the price of one is not known.
    """

    model_calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


NO_USAGE = Usage(model_calls=0, tokens_in=0, tokens_out=0, cost_usd=0.0)
"""Of an execution that asked no model."""
