"""What a model call costs, or that nobody knows: a model that is not in the table is never taken for free.

The figures stand in ``prices.json`` beside this file, with their date and source. ``SKILLSMITH_PRICES`` names
a file of one's own, whose models come first: ``{"models": {"my-model*": {"in": 0.5, "out": 1.5}}}``, in US
dollars per million tokens; a star at the end stands for any rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

from skillsmith.errors import UsageError

VARIABLE: Final = "SKILLSMITH_PRICES"

_TABLE: Final = Path(__file__).with_name("prices.json")
_MILLION: Final = 1_000_000
_DATED = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|latest|default)$")
_HINT = 'it looks like {"models": {"NAME": {"in": 0.5, "out": 1.5}}}, US dollars per million tokens'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """US dollars per million tokens; None: not known.

    Args:
        prompt: For a prompt token.
        completion: For a completion token.
        cached: For a prompt token read from the provider's cache; left out, as any other.
        above: From more prompt tokens on, other rates for the whole call.
    """

    prompt: float | None
    completion: float | None
    cached: float | None = None
    above: tuple[tuple[int, Rate], ...] = ()

    def cost(self, tokens_in: int, tokens_out: int, tokens_cached: int) -> float | None:
        """Return what a call costs."""
        for start, other in reversed(self.above):
            if tokens_in > start:
                return other.cost(tokens_in, tokens_out, tokens_cached)
        fresh = max(tokens_in - tokens_cached, 0)
        prompt, completion = self.prompt, self.completion
        if (prompt is None and tokens_in) or (completion is None and tokens_out):
            return None
        dollars = fresh * (prompt or 0.0) + tokens_out * (completion or 0.0)
        cached = self.cached if self.cached is not None else prompt or 0.0
        return (dollars + tokens_cached * cached) / _MILLION


class PriceTable:
    """Rates by model.

    Args:
        exact: By model name, in lower case; behind ``provider/`` where the price holds only there.
        begins: By the beginning of a name, longest first.
    """

    def __init__(self, exact: Mapping[str, Rate], begins: Mapping[str, Rate]) -> None:
        self._exact = dict(exact)
        self._begins = sorted(begins.items(), key=lambda item: -len(item[0]))
        self._known: dict[tuple[str, str | None], Rate | None] = {}

    def rate(self, model: str, *, provider: str | None = None) -> Rate | None:
        """Return a model's rates, or None when they are not known.

        Args:
            model: As the provider names it; ``openai/gpt-4o`` and dated names are understood.
            provider: Who runs it; many servers call themselves by the name of the interface they offer.
        """
        key = (model, provider)
        if key not in self._known:
            self._known[key] = self._find(model.lower(), (provider or "").lower())
        return self._known[key]

    def cost(
        self,
        model: str | None,
        *,
        tokens_in: int | None,
        tokens_out: int | None,
        tokens_cached: int | None = None,
        provider: str | None = None,
    ) -> float | None:
        """Return what a call costs in US dollars, or None when that is not known.

        Args:
            model: As the provider names it.
            tokens_in: Of the prompt, cached ones included.
            tokens_out: Of the completion.
            tokens_cached: Of the prompt tokens, those read from the provider's cache.
            provider: Who runs the model.
        """
        if not model or tokens_in is None or tokens_out is None:
            return None
        rate = self.rate(model, provider=provider)
        return None if rate is None else rate.cost(tokens_in, tokens_out, tokens_cached or 0)

    def before(self, other: PriceTable) -> PriceTable:
        """Return a table in which this one's models come first."""
        return _Layered(self, other)

    def _find(self, model: str, provider: str) -> Rate | None:
        for name in _spellings(model):
            for known in (f"{provider}/{name}", name):
                if known in self._exact:
                    return self._exact[known]
        for name in _spellings(model):
            for known in (f"{provider}/{name}", name):
                for beginning, rate in self._begins:
                    if known.startswith(beginning):
                        return rate
        return None


class _Layered(PriceTable):
    """One table before another."""

    def __init__(self, first: PriceTable, second: PriceTable) -> None:
        super().__init__({}, {})
        self._tables = first, second

    def rate(self, model: str, *, provider: str | None = None) -> Rate | None:
        first, second = self._tables
        return first.rate(model, provider=provider) or second.rate(model, provider=provider)


def price_table(source: PriceTable | str | os.PathLike[str] | None = None) -> PriceTable:
    """Return the table to use: a file's models first, then ours.

    Args:
        source: A table, used as it is, or a file; left out, the one that ``SKILLSMITH_PRICES`` names.

    Raises:
        UsageError: The file cannot be read, or is no price table.
    """
    if isinstance(source, PriceTable):
        return source
    named = source or os.environ.get(VARIABLE)
    return _read_own(Path(named).expanduser()).before(_ours()) if named else _ours()


@lru_cache(maxsize=1)
def _ours() -> PriceTable:
    exact: dict[str, Rate] = {}
    begins: dict[str, Rate] = {}
    document = orjson.loads(_TABLE.read_bytes())
    for provider, section in document["providers"].items():
        for name, facts in section["models"].items():
            rate = _rate(facts, where=name)
            head = f"{provider}/" if facts.get("there") else ""
            for known in (name, *facts.get("also", ())):
                exact.setdefault(head + known, rate)
            for beginning in facts.get("begins", ()):
                begins.setdefault(head + beginning, rate)
    return PriceTable(exact, begins)


def _read_own(path: Path) -> PriceTable:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a price table that can be read") from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint=_HINT) from error
    models = document.get("models") if isinstance(document, dict) else None
    if not isinstance(models, dict):
        raise UsageError(f"{path} has no models", hint=_HINT)
    rates = {name.lower(): _rate(facts, where=f"{path}: {name}") for name, facts in models.items()}
    return PriceTable(
        {name: rate for name, rate in rates.items() if not name.endswith("*")},
        {name[:-1]: rate for name, rate in rates.items() if name.endswith("*")},
    )


def _rate(facts: Any, *, where: str) -> Rate:
    if not isinstance(facts, dict) or not {"in", "out"} & facts.keys():
        raise UsageError(f"{where}: neither 'in' nor 'out'", hint=_HINT)
    prices = {}
    for key in ("in", "out", "cached"):
        price = facts.get(key)
        if price is not None and (
            isinstance(price, bool) or not isinstance(price, (int, float)) or price < 0
        ):
            raise UsageError(f"{where}: {key!r} is {price!r}, not a price", hint=_HINT)
        prices[key] = None if price is None else float(price)
    above = tuple((int(tier["tokens"]), _rate({**facts, **tier, "above": ()}, where=where))
                  for tier in facts.get("above", ()))  # fmt: skip
    return Rate(prompt=prices["in"], completion=prices["out"], cached=prices["cached"], above=above)


def _spellings(model: str) -> Iterator[str]:
    """Yield a name as it is, without what stands before it, without its date."""
    seen = dict.fromkeys((model, model.rpartition("/")[2]))
    yield from seen
    for name in tuple(seen):
        if (undated := _DATED.sub("", name)) not in seen:
            seen[undated] = None
            yield undated
