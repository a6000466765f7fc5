"""Tests for the runs: what is listed, found, judged, extracted and compared."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playing import play
from story import LIVE_RUN, NOW, write_story
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from skillsmith.browse import RunFilter
from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.launch import settle
from skillsmith.tui.screens.compare import CompareScreen
from skillsmith.tui.screens.extract import ExtractDialog
from skillsmith.tui.screens.help import HelpScreen
from skillsmith.tui.screens.runs import read_filter
from skillsmith.tui.screens.timeline import TimelineScreen
from skillsmith.tui.widgets.row_list import RowList
from skillsmith.workspace import open_workspace

AppFor = Callable[..., SkillsmithApp]


def listed(pilot: Pilot[Any]) -> RowList[Any]:
    """Return the list of runs."""
    return pilot.app.screen.query_one("#runs-list", RowList)


def tasks(pilot: Pilot[Any]) -> list[str]:
    """Return the tasks that are listed."""
    rows = listed(pilot)
    return [rows.row(line).task for line in range(rows.line_count)]


def test_runs_are_listed_newest_first(app_for: AppFor, demo_db: Path) -> None:
    """The first screen shows all runs, the newest at the top under the cursor."""

    async def story(pilot: Pilot[None]) -> None:
        assert tasks(pilot)[0].startswith("Watch the inbox")
        assert tasks(pilot)[-1].startswith("Cancel order ORD-7001")
        assert listed(pilot).has_focus
        assert listed(pilot).current.id == LIVE_RUN

    play(app_for(demo_db), story)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", RunFilter()),
        ("refund  order", RunFilter(words="refund order")),
        ("outcome:fail agent:bob pay", RunFilter(words="pay", outcome="fail", agent="bob")),
        ("source:", RunFilter()),
        ("http://x", RunFilter(words="http://x")),
    ],
)
def test_what_is_typed_is_read_as_a_filter(text: str, expected: RunFilter) -> None:
    """Terms with a name narrow by that; all the rest are words; a term without a value waits for one."""
    assert read_filter(text) == expected


def test_typing_narrows_the_list(app_for: AppFor, demo_db: Path) -> None:
    """Words are looked for in tasks and events while one types; escape shows all again."""

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"duplicates")
        await pilot.pause(0.2)
        await settle(pilot)
        assert [task[:7] for task in tasks(pilot)] == ["Analyse"]
        await pilot.press("escape")
        await pilot.pause(0.2)
        await settle(pilot)
        assert len(tasks(pilot)) == 6
        await pilot.press("slash", *"outcome:fail")
        await pilot.pause(0.2)
        await settle(pilot)
        assert [task[:21] for task in tasks(pilot)] == ["Cancel order ORD-7004"]
        await pilot.press("enter")
        assert listed(pilot).has_focus

    play(app_for(demo_db), story)


def test_a_key_shows_one_outcome_after_the_other(app_for: AppFor, demo_db: Path) -> None:
    """``o`` goes through successes, failures and the unknown."""

    async def story(pilot: Pilot[None]) -> None:
        counts = []
        for _ in range(4):
            await pilot.press("o")
            await settle(pilot)
            counts.append(len(tasks(pilot)))
        assert counts == [4, 1, 1, 6]

    play(app_for(demo_db), story)


def test_a_run_is_marked(app_for: AppFor, demo_db: Path) -> None:
    """The dialog stores the judgement with its note, and the list shows it."""

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("down", "m")
        await settle(pilot)
        pilot.app.screen.query_one(Input).value = "looked at the chart"
        await pilot.click("#failure")
        await settle(pilot)
        assert listed(pilot).current.outcome == "failure"

    play(app_for(demo_db), story)
    with open_workspace(demo_db) as workspace:
        run = next(run for run in workspace.runs.list(source="ag2"))
    assert (run.outcome, run.note) == ("failure", "looked at the chart")


def test_a_skill_is_extracted(app_for: AppFor, demo_db: Path) -> None:
    """The form makes a skill with its proof; its name is what was typed."""
    with open_workspace(demo_db) as workspace:
        workspace.skills.delete("cancel_order")

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("end", "x")
        await settle(pilot)
        pilot.app.screen.query_one("#extract-name", Input).value = "cancel_it"
        await pilot.click("#extract-make")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ExtractDialog)
        text = str(pilot.app.screen.query_one("#extract-text", Static).content)
        assert "cancel_it@1" in text
        assert "reconstructs" in text
        await pilot.press("escape")

    play(app_for(demo_db), story)
    with open_workspace(demo_db) as workspace:
        assert [skill.name for skill in workspace.skills.list()] == ["cancel_it"]


def test_a_near_duplicate_is_offered_as_a_new_version(app_for: AppFor, demo_db: Path) -> None:
    """When the library has it already, one key makes it the next version of that skill."""

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("end", "x")
        await settle(pilot)
        pilot.app.screen.query_one("#extract-name", Input).value = "cancel_it"
        await pilot.click("#extract-make")
        await settle(pilot)
        button = pilot.app.screen.query_one("#extract-yes", Button)
        assert str(button.label) == "New version of cancel_order"
        await pilot.click("#extract-yes")
        await settle(pilot)
        assert "cancel_order@2" in str(pilot.app.screen.query_one("#extract-text", Static).content)

    play(app_for(demo_db), story)


def test_two_runs_are_laid_side_by_side(app_for: AppFor, demo_db: Path) -> None:
    """``c`` on two runs opens them aligned; the differing lines can be visited."""

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("end", "c", "up", "up", "up", "c")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, CompareScreen)
        pairs = screen.query_one("#pairs", RowList)
        signs = [pairs.row(line).sign for line in range(pairs.line_count)]
        assert signs == ["="] + ["~"] * 8
        await pilot.press("n")
        assert pairs.cursor == 1
        await pilot.press("l")
        await settle(pilot)
        assert isinstance(pilot.app.screen, TimelineScreen)

    play(app_for(demo_db), story)


def test_help_lists_the_keys_of_the_screen_below(app_for: AppFor, demo_db: Path) -> None:
    """The help screen names what the runs' keys do, and escape closes it."""

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, HelpScreen)
        shown = pilot.app.export_screenshot()
        assert "make&#160;a&#160;skill&#160;from" in shown
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, HelpScreen)

    play(app_for(demo_db), story)


def test_what_another_process_writes_appears(app_for: AppFor, demo_db: Path) -> None:
    """A run that another connection stores comes onto the list by itself."""

    async def story(pilot: Pilot[None]) -> None:
        with open_workspace(demo_db) as other:
            begun = time.perf_counter()
            other.runs.create("Something new", started_at=NOW)
        while (first := listed(pilot).row(0)) is None or first.task != "Something new":
            assert time.perf_counter() - begun < 10
            await asyncio.sleep(0.005)
        assert listed(pilot).current.id == LIVE_RUN  # the cursor stays on its run

    play(app_for(demo_db, live=True), story)


def test_a_writer_does_not_hold_up_reading(app_for: AppFor, demo_db: Path) -> None:
    """While another process holds the write lock, runs are listed and opened."""

    async def story(pilot: Pilot[None]) -> None:
        assert len(tasks(pilot)) == 6
        await pilot.press("down", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, TimelineScreen)

    holder = sqlite3.connect(demo_db)
    holder.execute("BEGIN IMMEDIATE")
    try:
        play(app_for(demo_db), story)
    finally:
        holder.close()


def test_many_runs_are_loaded_by_the_page(app_for: AppFor, tmp_path: Path) -> None:
    """Of two thousand runs a jump to the end loads only the pages that were seen."""
    path = tmp_path / "many.db"
    write_story(path)
    with open_workspace(path) as workspace, workspace.db.transaction():
        for number in range(2000):
            workspace.runs.create(f"Task {number}", started_at=NOW - number)

    async def story(pilot: Pilot[None]) -> None:
        rows = listed(pilot)
        await pilot.press("end")
        await settle(pilot)
        assert rows.cursor == rows.line_count - 1 == 2005
        assert rows.current.task.startswith("Cancel order ORD-7001")
        assert rows.row(1000) is None

    play(app_for(path), story)


def test_a_bug_in_a_question_is_not_swallowed(app_for: AppFor, demo_db: Path) -> None:
    """An unexpected error of a worker ends the browser with that error."""

    async def story(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, SkillsmithApp)
        app.data.ask(app, lambda _: 1 // 0, lambda _: Static())  # type: ignore[arg-type,return-value]
        await settle(pilot)

    with pytest.raises(ZeroDivisionError):
        play(app_for(demo_db), story)
