"""Tests that the page on JSON documents is true: every key that it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from cli_process import ROOT, Cli, fill, order_run, tool_skill, write_json

PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
ROWS = {
    name: set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)|; (?:where|with|beside).*", "", keys)))
    for names, keys in re.findall(r"^\| (`.+?) \| (.+) \|$", PAGE, re.MULTILINE)
    for name in re.findall(r"`([a-z -]+?)(?: [A-Z]+)?`", names)
}
RUN = "RUN"
"""Stands for the newest run's id."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Return a command line with runs, a skill that was run, and files of it."""
    folder: Path = tmp_path_factory.mktemp("json")
    line = Cli(folder, folder / "x.db")
    line.json("ingest", write_json(folder / "log.json", [order_run(number) for number in range(1, 4)]))
    fill(line, tool_skill())
    return line


@pytest.mark.parametrize(
    "words",
    [
        ("runs",), ("timeline", RUN), ("list",), ("versions", "cancel_order"),
        ("mark", RUN, "--outcome", "success"), ("extract", RUN, "--name", "again", "--force"),
        ("match", "cancel order ORD-1"), ("stats", "cancel_order"), ("compare", "cancel_order", RUN),
        ("diff", "cancel_order", "1", "1"), ("analytics",), ("usage", "cancel_order"), ("learn", RUN),
        ("summarize", RUN), ("export", "cancel_order", "-o", "skills"), ("import", "skills"),
        ("sync", "skills"), ("verify",), ("doctor",), ("backup", "copy.db", "--yes"), ("reindex",),
        ("model", "status"), ("rollback", "again", "--to", "1"), ("trust", "cancel_order", "--yes"),
        ("archive", RUN, "--to", "old.db", "--yes"), ("delete", "cancel_order", "--yes"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_key_is_there(cli: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A document has the keys that the page promises; the page knows every command tried here."""
    monkeypatch.chdir(cli.folder)
    run = cli.json("runs")["items"][0]["id"]
    result = cli.inside(*(run if word == RUN else word for word in words), "--json")
    assert result.code in (0, 4), result.stderr
    document: dict[str, Any] = result.document
    name = "model status" if words[0] == "model" else words[0]
    found = document["items"][0] if "items" in document else document
    wanted = ROWS["runs"] if name == "mark" else ROWS[name]
    assert wanted
    assert wanted <= set(found), f"{name}: {sorted(wanted - set(found))}"
