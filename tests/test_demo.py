"""Tests of the demo: a live AG2 team, captured, becomes a proven skill that runs on other data."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ag2", reason="AG2 1.x is not installed")

from skillsmith import demo


@pytest.fixture(scope="module")
def told() -> tuple[list[str], dict[str, Any]]:
    """Return what the demo said, and its document, with a model that hardly waits."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "MODEL_LATENCY_SECONDS", 0.02)
        return lines, demo.run_demo(say=lines.append)


def test_the_whole_life_of_a_skill_is_shown(told: tuple[list[str], dict[str, Any]]) -> None:
    """Each of the six parts is told, in order, with what the agents said and what their code printed."""
    lines, _document = told
    text = "\n".join(lines)
    places = [text.index(part) for part in ("CAPTURE", "EXTRACT", "PROVE", "MATCH", "RUN ", "LEARNED")]
    assert places == sorted(places)
    assert "engineer  Let me load the file." in text
    assert "→ exit code 1: ValueError" in text
    assert "it only says which agent goes on" in text


def test_the_document_holds_what_happened(told: tuple[list[str], dict[str, Any]]) -> None:
    """The skill is proven, fits the new task, runs on it, and is faster than the agents were."""
    _lines, document = told
    assert document["skill"] == "monthly_revenue@1"
    assert document["proof"]["passed"]
    assert document["matches"][0]["name"] == "monthly_revenue"
    assert document["execution"]["success"]
    changed = {one["target"]: one["after"] for one in document["execution"]["adaptations"]}
    assert changed == {"output_file": "revenue.pdf", "max_quantity": 800}
    assert document["speedup"]["model_calls_saved"] == 12
