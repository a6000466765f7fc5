"""The price table: known models cost what their providers say, unknown ones an unknown amount."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.capture import prices
from skillsmith.capture.prices import PriceTable, Rate, price_table
from skillsmith.errors import UsageError

MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _no_table_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKILLSMITH_PRICES", raising=False)


def cost(
    model: str | None, tokens_in: int | None = MILLION, tokens_out: int | None = 0, **more: Any
) -> float | None:
    """Return what our table says."""
    return price_table().cost(model, tokens_in=tokens_in, tokens_out=tokens_out, **more)


def test_a_model_is_known_by_its_name_its_date_and_its_provider() -> None:
    """Dated, prefixed and upper-case names are the same model."""
    names = ("gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "GPT-4o", "gpt-4o-2099-01-01")
    assert {cost(name) for name in names} == {2.5}
    assert (
        cost("claude-sonnet-4-5-20250929") == cost("claude-sonnet-4.5") == 6.0
    )  # above 200,000 prompt tokens


def test_what_is_not_known_costs_an_unknown_amount() -> None:
    """Neither an unknown model, nor one without counts, nor none at all is for nothing."""
    assert cost("home-made") is cost(None) is cost("gpt-4o", None) is cost("gpt-4o", 1, None) is None
    assert cost("gpt-4o", 0, 0) == 0.0


def test_open_weights_cost_only_where_their_provider_is_named() -> None:
    """A model that anyone may run at home has a price only at its maker's."""
    assert cost("mistral-small-latest") is None
    assert cost("mistral-small-latest", provider="openai") is None
    assert (cost("mistral-small-latest", provider="Mistral") or 0) > 0


def test_cached_prompt_tokens_and_long_prompts_have_their_own_prices() -> None:
    """Tokens read from the cache are cheaper; above a length the whole call has another price."""
    assert cost("gpt-4o", 1000, 100, tokens_cached=600) == pytest.approx(
        (400 * 2.5 + 600 * 1.25 + 100 * 10) / 1e6
    )
    table = PriceTable({"m": Rate(prompt=1, completion=2, above=((100, Rate(prompt=3, completion=4)),))}, {})
    assert table.cost("m", tokens_in=100, tokens_out=10) == pytest.approx(120e-6)
    assert table.cost("m", tokens_in=101, tokens_out=10) == pytest.approx(343e-6)
    assert PriceTable({"m": Rate(prompt=1, completion=None)}, {}).cost("m", tokens_in=1, tokens_out=1) is None


def test_a_table_of_ones_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument or environment; its models hide ours, the others stay."""
    own = tmp_path / "prices.json"
    own.write_text(json.dumps({"models": {"gpt-4o": {"in": 1, "out": 1}, "Local-*": {"in": 0, "out": 0}}}))
    monkeypatch.setenv("SKILLSMITH_PRICES", str(own))
    for table in (price_table(), price_table(own)):
        assert table.cost("gpt-4o", tokens_in=MILLION, tokens_out=0) == 1.0
        assert table.cost("local-llama", tokens_in=MILLION, tokens_out=5) == 0.0
        assert table.cost("gpt-4o-mini", tokens_in=MILLION, tokens_out=0) == 0.15
    assert price_table(table) is table


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "has no models"),
        ('{"models": {"m": 3}}', "neither 'in' nor 'out'"),
        ('{"models": {"m": {"in": -1}}}', "'in' is -1, not a price"),
        ('{"models": {"m": {"out": true}}}', "'out' is True, not a price"),
    ],
)
def test_a_wrong_table_is_told(text: str, says: str, tmp_path: Path) -> None:
    """One line says which model of which file is wrong, and how it should look."""
    own = tmp_path / "prices.json"
    own.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        price_table(own)
    assert caught.value.hint
    with pytest.raises(UsageError, match="No such file"):
        price_table(tmp_path / "nowhere.json")


def test_our_table_names_its_sources() -> None:
    """Every provider's figures have a page, the whole a date and a licence; every price is sound."""
    document = json.loads(prices._TABLE.read_text())
    assert document["as_of"]
    assert "MIT" in document["source"]
    for section in document["providers"].values():
        assert section["pages"]
        for facts in section["models"].values():
            assert all(facts[key] >= 0 for key in ("in", "out", "cached") if key in facts)


@given(
    counts=st.tuples(*[st.integers(0, 10**9)] * 3),
    rates=st.tuples(*[st.floats(0, 1000)] * 3),
)
def test_more_tokens_never_cost_less(counts: tuple[int, int, int], rates: tuple[float, float, float]) -> None:
    """A cost is never negative, and grows with prompt and completion."""
    prompt, completion, cached = counts
    table = PriceTable({"m": Rate(prompt=rates[0], completion=rates[1], cached=rates[2])}, {})
    cached = min(cached, prompt)
    less = table.cost("m", tokens_in=prompt, tokens_out=completion, tokens_cached=cached)
    more = table.cost("m", tokens_in=prompt + 1, tokens_out=completion + 1, tokens_cached=cached)
    assert less is not None
    assert more is not None
    assert 0 <= less <= more
