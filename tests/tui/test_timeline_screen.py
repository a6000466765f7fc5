"""Tests for the timeline of a run: folding, jumping, searching, details, and a run that is under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playing import play
from story import LIVE_RUN, NOW, ingest
from textual.pilot import Pilot
from textual.widgets import Static

from skillsmith.models import CodeUse, Event, RunRecord
from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.details import read_detail
from skillsmith.tui.launch import settle
from skillsmith.tui.widgets.event_detail import EventDetail
from skillsmith.tui.widgets.lanes import Lanes
from skillsmith.tui.widgets.timeline_rows import TimelineRows
from skillsmith.workspace import open_workspace

AppFor = Callable[..., SkillsmithApp]
TEAM = "01990000-0000-7000-8000-000000000005"
SHOP = "01990000-0000-7000-8000-000000000004"


@pytest.fixture
def team(app_for: AppFor, demo_db: Path) -> SkillsmithApp:
    """The browser on the run of the team."""
    return app_for(demo_db, screen=("timeline", TEAM))


def rows(pilot: Pilot[Any]) -> TimelineRows:
    """Return the lines."""
    return pilot.app.screen.query_one(TimelineRows)


def shown(pilot: Pilot[Any]) -> str:
    """Return the text of the whole screen."""
    screen = pilot.app.screen
    return "\n".join("".join(segment.text for segment in line) for line in screen._compositor.render_strips())


def test_events_stand_under_their_steps(team: SkillsmithApp) -> None:
    """Each step has a heading, events have their lanes, and the first event's text is beside them."""

    async def story(pilot: Pilot[None]) -> None:
        text = shown(pilot)
        assert "▾ step 2" in text
        assert "● planner" in text
        assert "●─▶" in text
        assert "█" in text
        assert "plot it as a bar chart" in text
        assert rows(pilot).seq == 1

    play(team, story, size=(160, 50))


def test_a_step_folds_and_unfolds(team: SkillsmithApp) -> None:
    """Left hides the events of the step under the cursor, enter shows them again; z does all."""

    async def story(pilot: Pilot[None]) -> None:
        lines = rows(pilot).line_count
        await pilot.press("left")
        assert rows(pilot).line_count == lines - 4
        assert rows(pilot).seq is None
        await pilot.press("enter")
        assert rows(pilot).line_count == lines
        await pilot.press("z")
        assert rows(pilot).line_count == 4
        await pilot.press("right_square_bracket", "z")
        assert rows(pilot).line_count == lines
        assert rows(pilot).slot_seq(rows(pilot).cursor + 1) == 5

    play(team, story)


@pytest.mark.parametrize(
    ("keys", "seq"),
    [
        (["e"], 8),
        (["down", "down", "a"], 4),
        (["end", "T"], 15),
        (["end", "E"], 8),
        (["colon", "1", "7", "enter"], 17),
        (["colon", "9", "9", "9", "enter"], 24),
        (["slash", *"duplic", "enter"], 1),
        (["slash", *"drop by", "enter", "n"], None),
        (["slash", *"kept 212", "enter"], 11),
        (["z", "e"], 8),
        (["right_square_bracket", "down"], 5),
        (["right_square_bracket", "right_square_bracket", "left_square_bracket", "down"], 5),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_keys_jump(team: SkillsmithApp, keys: list[str], seq: int | None) -> None:
    """Errors, agents, kinds, words, numbers and steps are one key away, also into folded steps."""

    async def story(pilot: Pilot[None]) -> None:
        for key in keys:
            await pilot.press(key)
            if key in ("enter", "e", "E", "a", "T", "n", "z"):
                await pilot.pause(0.2)
                await settle(pilot)
        if seq is not None:
            assert rows(pilot).seq == seq
        assert rows(pilot).has_focus

    play(team, story)


@pytest.mark.parametrize(
    ("seq", "words"),
    [
        (2, ["+ input", "sales_east.csv"]),
        (4, ["thinks", "Clean first", "1. Clean the orders."]),
        (5, ["planner → engineer", "the plan is made"]),
        (7, ["import csv", "with open"]),
        (8, ["exit code 1", "ValueError"]),
        (12, ["clean.csv", "order_id,price"]),
        (19, ["version 2", "clean.csv@1", "-2,4.00"]),
        (23, ["~ limit", "500  →  300", "+ months"]),
    ],
)
def test_details_show_what_an_event_is(app_for: AppFor, demo_db: Path, seq: int, words: list[str]) -> None:
    """Code, results, reasoning, differences between file versions and context changes are readable."""

    async def story(pilot: Pilot[None]) -> None:
        text = shown(pilot)
        assert [word for word in words if word not in text] == []

    play(app_for(demo_db, screen=("timeline", TEAM, seq)), story, size=(160, 50))


def test_json_is_a_tree(app_for: AppFor, demo_db: Path) -> None:
    """Arguments and results of tools are shown as trees."""

    async def story(pilot: Pilot[None]) -> None:
        text = shown(pilot)
        assert "└── orders" in text
        assert "status: pending" in text

    play(app_for(demo_db, screen=("timeline", SHOP, 6)), story, size=(160, 50))


def test_a_long_text_is_shortened_until_it_is_asked_for(app_for: AppFor, demo_db: Path) -> None:
    """Of a long text the beginning is shown; ``o`` shows all."""
    code = "\n".join(f"x{number} = {number}" for number in range(900))
    with open_workspace(demo_db) as workspace:
        event = Event(kind="code", agent="ann", at=NOW, code=CodeUse(text=code))
        ingest(workspace, RunRecord(source="ag2", native_id="long", task="Long", events=(event,)))

    async def story(pilot: Pilot[None]) -> None:
        detail = pilot.app.screen.query_one("#detail", Static)
        assert 300 < detail.size.height < 500
        await pilot.press("o")
        await settle(pilot)
        assert detail.size.height > 900

    play(app_for(demo_db, screen=("timeline", "01990000-0000-7000-8000-000000000007")), story)


def test_detail_can_be_hidden_and_alone(team: SkillsmithApp) -> None:
    """``d`` goes round: beside the timeline, not at all, alone; escape leads back."""

    async def story(pilot: Pilot[None]) -> None:
        detail, lines = pilot.app.screen.query_one(EventDetail), rows(pilot)
        assert (detail.display, lines.display) == (True, True)
        await pilot.press("d")
        assert (detail.display, lines.display) == (False, True)
        await pilot.press("d")
        assert (detail.display, lines.display) == (True, False)
        await pilot.press("escape")
        assert (detail.display, lines.display) == (True, True)
        assert lines.has_focus

    play(team, story)


def test_a_run_under_way_is_followed(app_for: AppFor, demo_db: Path) -> None:
    """Events that another connection appends appear at once; a cursor at the end stays at the end."""

    async def story(pilot: Pilot[None]) -> None:
        assert rows(pilot).line_count == 0
        with open_workspace(demo_db) as other:
            key = other.runs.key(LIVE_RUN)
            for number in range(1, 4):
                event = Event(kind="message", role="assistant", agent="ann", content=f"mail {number}", at=NOW)
                other.log.append(key, [event])
                begun = time.perf_counter()
                while rows(pilot).row(number - 1) is None:
                    assert time.perf_counter() - begun < 10
                    await asyncio.sleep(0.005)
                assert rows(pilot).seq == number
            other.runs.finish(LIVE_RUN, outcome="success")
        await pilot.pause(0.3)
        await settle(pilot)
        assert "3 events · success" in shown(pilot)
        assert "● ann" in shown(pilot)

    play(app_for(demo_db, live=True, screen=("timeline", LIVE_RUN)), story)


def test_a_file_without_content_is_told(demo_db: Path) -> None:
    """An artifact of which the log has no content is no error."""
    with open_workspace(demo_db) as workspace:
        key = workspace.runs.key(LIVE_RUN)
        workspace.log.append(key, [Event(kind="artifact", agent="ann", content="gone.txt")])
        detail = read_detail(workspace, key, 1)
    assert detail.file is not None
    assert (detail.file.version, detail.file.diff) == (None, None)


def test_lanes_draw_arrows_both_ways() -> None:
    """An arrow leaves the lane of who acts, crosses those between, and points into the other's lane."""
    lanes = Lanes(lambda place: "red")
    lanes.add(["a", "b", "c"])

    def text(agent: str | None, recipient: str | None, *, most: int = 9, strong: bool = False) -> str:
        return "".join(part.text for part in lanes.draw(agent, recipient, most=most, strong=strong))

    assert text("a", "c") == "●─┼─▶ "
    assert text("c", "a", strong=True) == "◀━┿━● "
    assert text("b", None) == "│ ● │ "
    assert text(None, None) == "│ │ │ "
    assert text("a", "c", most=2) == "●─▶ "
    assert text("b", "c", most=2) == "│ ● "


def test_control_characters_of_a_log_do_not_reach_the_terminal(app_for: AppFor, demo_db: Path) -> None:
    """Escape sequences in names and texts are shown as signs."""
    nasty = "\x1b]0;owned\x07\x1b[31mred\u202e"
    with open_workspace(demo_db) as workspace:
        event = Event(
            kind="message", role="assistant", agent=nasty, recipient=nasty, content=nasty, reasoning=nasty
        )
        ingest(workspace, RunRecord(source="ag2", native_id="bad", task=nasty, events=(event,)))

    async def story(pilot: Pilot[None]) -> None:
        for _ in range(2):
            text = shown(pilot)
            assert "owned" in text
            assert not {"\x1b", "\x07", "\u202e"} & set(text)
            await pilot.press("escape")
            await settle(pilot)

    play(app_for(demo_db, screen=("timeline", "01990000-0000-7000-8000-000000000007")), story, size=(160, 50))
