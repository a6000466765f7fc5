"""Tests of the commands on the library: list, show, delete, executions, stats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import TOOLS, Cli, code_skill, fill, tool_skill

TASK = "I am ann@example.org. Please cancel order ORD-8001: I changed my mind."


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with three skills in its file."""
    line = Cli(tmp_path, tmp_path / "x.db")
    retired = replace(code_skill("old_greeting"), state="retired")
    fill(line, tool_skill(), code_skill(), retired)
    (tmp_path / "shop.py").write_text(TOOLS)
    return line


def test_list_has_the_documented_keys(cli: Cli) -> None:
    """The keys of a skill in the list are a contract with scripts."""
    items = cli.json("list")["items"]
    assert [item["name"] for item in items] == ["cancel_order", "old_greeting", "write_greeting"]
    assert set(items[0]) >= {
        "name", "version", "state", "tags", "description", "success_rate", "executions", "last_used_at",
    }  # fmt: skip
    assert (items[0]["success_rate"], items[0]["executions"]) == (None, 0)


def test_list_is_filtered_sorted_and_paged(cli: Cli) -> None:
    """Skills are found by tag, state and words, sorted, and read page by page."""

    def names(*words: object) -> list[str]:
        return [item["name"] for item in cli.json("list", *words)["items"]]

    assert names("--tags", "orders") == ["cancel_order"]
    assert names("--state", "retired") == ["old_greeting"]
    assert names("--search", "greeting") == ["old_greeting", "write_greeting"]
    assert names("--sort", "created") == ["old_greeting", "write_greeting", "cancel_order"]
    page = cli.json("list", "--limit", 2)
    assert page["next"] == "old_greeting"
    assert names("--limit", 2, "--after", page["next"]) == ["write_greeting"]


def test_list_for_people_is_a_table(cli: Cli) -> None:
    """People get one line a skill."""
    lines = cli("list").stdout.splitlines()
    assert lines[0].split()[0] == "skill"
    assert len(lines) == 4


def test_show_has_the_whole_skill(cli: Cli) -> None:
    """The document is that of export, with proof, ledger and reasons."""
    document = cli.json("show", "cancel_order")
    assert document["format"] == "skillsmith.skill/1"
    assert set(document["inputs"]["required"]) == {"email", "order_id"}
    assert [node["tool"] for node in document["nodes"]] == ["find_user", "cancel_order"]
    assert document["proof"]["level"] == "reconstructs"
    assert document["ledger"]["executions"] == 0
    assert document["why"][0]["witnesses"][0]["seq"] == 2
    assert document["state"] == "proven"


def test_show_for_people_names_sources_and_code(cli: Cli) -> None:
    """People see inputs, steps with where their values come from, code, proof and ledger."""
    text = cli("show", "cancel_order").stdout
    assert "n1  tool  find_user" in text
    for part in ("order_id ← {order_id}", "status ← n2 → status", "not used yet", "reconstructs passed"):
        assert part in text
    assert "file.write('Hello ' + {person})" in cli("show", "write_greeting@1").stdout


def test_show_why_gives_every_decision_its_evidence(cli: Cli) -> None:
    """``--why`` lists each decision with its rule and where it was seen."""
    text = cli("show", "cancel_order", "--why").stdout
    for part in ("n1.email", "user-words: the user said it", "event 2, user", "Left out", "unused-read"):
        assert part in text
    assert "no decisions" in cli("show", "write_greeting", "--why").stdout


def test_close_names_are_suggested(cli: Cli) -> None:
    """A name that is nearly right gets the right one as a hint."""
    result = cli("show", "cancel_ordre")
    assert result.code == 3
    assert "cancel_order" in result.stderr


def test_delete_needs_a_yes(cli: Cli) -> None:
    """Nothing is deleted unasked: without a terminal and without ``--yes`` it is refused."""
    result = cli("delete", "cancel_order")
    assert result.code == 5
    assert "--yes" in result.stderr
    assert len(cli.json("list")["items"]) == 3
    assert cli.json("delete", "cancel_order", "--yes") == {"deleted": ["cancel_order@1"]}
    assert len(cli.json("list")["items"]) == 2


def test_one_version_can_be_deleted(cli: Cli) -> None:
    """``NAME@VERSION`` deletes that version only."""
    fill(cli, replace(tool_skill(), description="Better."))
    assert cli.json("show", "cancel_order")["version"] == 2
    assert cli.json("delete", "cancel_order@2", "--yes") == {"deleted": ["cancel_order@2"]}
    assert cli.json("show", "cancel_order")["version"] == 1


def test_executions_and_stats_count_what_was_done(cli: Cli) -> None:
    """Every execution is listed, newest first, and counted; also after the skill is gone."""
    run = ("run", TASK, "--use-skill", "cancel_order", "--tools", "shop.py", "--yes")
    assert cli(*run).code == 0
    assert cli(*run, "--set", "order_id=ORD-8002").code == 1
    items = cli.json("executions", "cancel_order")["items"]
    assert [item["success"] for item in items] == [False, True]
    assert "cannot be cancelled" in items[0]["error"]
    assert items[1]["inputs"]["order_id"] == "ORD-8001"
    stats = cli.json("stats", "cancel_order")
    assert set(stats) >= {
        "executions", "success_rate", "success_rate_low", "avg_duration_seconds", "p95_duration_seconds",
        "avg_cost_usd", "adaptation_rate", "helped", "hurt", "baseline",
    }  # fmt: skip
    assert (stats["executions"], stats["success_rate"]) == (2, 0.5)
    assert "50%" in cli("stats", "cancel_order").stdout
    assert "2 executions" in cli("show", "cancel_order").stdout
    page = cli.json("executions", "cancel_order", "--limit", 1)
    rest = cli.json("executions", "cancel_order", "--after", page["next"])["items"]
    assert [item["id"] for item in rest] == [items[1]["id"]]
    assert cli("delete", "cancel_order", "--yes").code == 0
    assert len(cli.json("executions", "cancel_order")["items"]) == 2


def test_unused_skill_has_an_empty_history(cli: Cli) -> None:
    """A skill that was never used has an empty list and figures that say so."""
    assert cli.json("executions", "write_greeting") == {"items": [], "next": None}
    assert cli.json("stats", "write_greeting")["success_rate"] is None
    assert "not been used" in cli("executions", "write_greeting").stderr
