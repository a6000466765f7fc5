"""The skills on the screen: found, looked at, matched, run, stopped, trusted, rolled back, deleted."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from skills_world import write_skills
from story import NOW
from textual.pilot import Pilot
from textual.widgets import Button, Input, OptionList, Static, TabbedContent, Tree

from skillsmith.library.store.cards import skill_cards, skill_names
from skillsmith.models import Skill
from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.launch import settle
from skillsmith.tui.screens.match import MatchScreen
from skillsmith.tui.screens.run_form import RunFormScreen
from skillsmith.tui.screens.skill import SkillScreen
from skillsmith.tui.screens.skill_dialogs import ConfirmDialog, ReasonDialog, TrustDialog
from skillsmith.tui.widgets.dag import DagView
from skillsmith.tui.widgets.row_list import RowList
from skillsmith.tui.widgets.run_fields import RunFields
from skillsmith.workspace import open_workspace

AppFor = Callable[..., SkillsmithApp]
TOOLS = str(Path(__file__).with_name("shop_tools.py"))


@pytest.fixture(scope="session")
def skills_file(story_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story's workspace with skills of every kind."""
    folder = tmp_path_factory.mktemp("skills")
    path = Path(shutil.copy(story_db, folder / "skills.db"))
    write_skills(path, folder / "share")
    return path


@pytest.fixture
def skills_db(skills_file: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it for one test."""
    RunFields.last_tools = ""
    yield Path(shutil.copy(skills_file, tmp_path / "demo.db"))
    RunFields.last_tools = ""


def drive(app: SkillsmithApp, story: Callable[[Pilot[None]], Awaitable[None]], **options: Any) -> None:
    """Run an application as a user would, and let a story use it."""

    async def whole() -> None:
        async with app.run_test(**options) as pilot:
            await settle(pilot)
            await story(pilot)

    asyncio.run(whole())


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait for what they lead to."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def said(pilot: Pilot[None], selector: str) -> str:
    """Return what a widget says."""
    out = StringIO()
    Console(width=120, color_system=None, file=out).print(
        pilot.app.screen.query_one(selector, Static).content
    )
    return out.getvalue()


def test_the_list_is_narrowed_as_one_types(skills_db: Path, app_for: AppFor) -> None:
    """Words, tags, states and orders choose what is listed; Enter opens it."""

    async def story(pilot: Pilot[None]) -> None:
        rows = pilot.app.screen.query_one("#skills", RowList)
        assert rows.count == 7
        await press(pilot, "slash", *"axes")
        assert rows.count == 1
        await press(pilot, "enter", "enter")
        assert isinstance(pilot.app.screen, SkillScreen)
        assert pilot.app.screen.heading.startswith("plot_spectrum@2")

    drive(app_for(skills_db, pane="skills"), story)


def test_states_and_orders_are_chosen_by_key(skills_db: Path, app_for: AppFor) -> None:
    """S shows one state alone, o the last used first."""

    async def story(pilot: Pilot[None]) -> None:
        rows = pilot.app.screen.query_one("#skills", RowList)
        await press(pilot, "s", "s")
        assert [rows.row(line).name for line in range(rows.count)] == ["cancel_order"]
        await press(pilot, "s", "s", "s", "s", "o")
        assert rows.row(0).name in ("cancel_order", "plot_spectrum")

    drive(app_for(skills_db, pane="skills"), story)


def test_a_card_counts_what_the_ledger_counts(skills_db: Path) -> None:
    """Rates, counts and days of a page are those of the executions; #tag narrows."""
    with open_workspace(skills_db, _embedder=None) as workspace:
        plot = skill_cards(workspace.db, ["weekly_report", "gone", "plot_spectrum"], now=NOW)[1]
        stats = workspace.ledger.stats("plot_spectrum")
        assert plot.rate is not None
        assert (plot.executions, plot.rate.value) == (stats["executions"], stats["success_rate"])
        assert sum(plot.daily) == 22
        assert skill_names(workspace.db, words="#report rep") == [
            "old_report_0", "old_report_1", "old_report_2", "weekly_report",
        ]  # fmt: skip
        assert skill_names(workspace.db, words="week old_report_1 hand") == ["old_report_1"]


def test_every_tab_shows_its_side(skills_db: Path, app_for: AppFor) -> None:
    """By one key after the other all tabs are reached, each with its facts."""

    async def story(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        tabs = screen.query_one(TabbedContent)
        seen = [tabs.active]
        for _ in range(8):
            await press(pilot, "right_square_bracket")
            seen.append(tabs.active)
        assert len(set(seen)) == 9
        assert screen.query_one("#panel-uses RowList", RowList).count == 22
        assert screen.query_one("#panel-adapted OptionList", OptionList).option_count == 35
        assert "version 1" in str(screen.query_one(Tree).root.children[1].label)
        assert "82% (61–93) of 22" in said(pilot, "#panel-ledger .panel--page")

    drive(app_for(skills_db, screen=("skill", "plot_spectrum")), story)


def test_a_node_is_selected_by_keys_and_shown_whole(skills_db: Path, app_for: AppFor) -> None:
    """Down goes along the graph, and the detail shows template and bindings."""

    async def story(pilot: Pilot[None]) -> None:
        await press(pilot, "right_square_bracket", "down", "down", "down")
        assert pilot.app.screen.query_one(DagView).selected == "n7"
        shown = said(pilot, "#node")
        assert "only if" in shown
        assert "{input_path}" in shown

    drive(app_for(skills_db, screen=("skill", "plot_spectrum")), story)


def test_a_node_is_selected_by_mouse(skills_db: Path, app_for: AppFor) -> None:
    """A click on a box selects it."""

    async def story(pilot: Pilot[None]) -> None:
        await press(pilot, "right_square_bracket")
        dag = pilot.app.screen.query_one(DagView)
        box = dag.picture.boxes["n2"]
        await pilot.click(DagView, offset=(box.centre + dag.indent + 1, box.y + 1))
        await settle(pilot)
        assert dag.selected == "n2"

    drive(app_for(skills_db, screen=("skill", "plot_spectrum")), story, size=(100, 40))


def test_why_says_literal_rule_and_occurrences(skills_db: Path, app_for: AppFor) -> None:
    """For the selected variable the literal, the rule and the places in the run are shown."""

    async def story(pilot: Pilot[None]) -> None:
        await press(pilot, "right_square_bracket", "right_square_bracket")
        shown = said(pilot, "#panel-why #chosen")
        assert "ORD-7003" in shown
        assert "rule" in shown
        assert "event" in shown

    drive(app_for(skills_db, screen=("skill", "cancel_order")), story)


def test_the_matcher_answers_as_one_types_and_abstains_clearly(skills_db: Path, app_for: AppFor) -> None:
    """A fitting task leads by Enter to its form, filled in; for another it says that none fits."""

    async def story(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, MatchScreen)
        assert "no skill fits" in said(pilot, "#verdict")
        screen.query_one(Input).value = "cancel order ORD-7001 of eve1@example.org"
        await pilot.pause(0.4)
        await press(pilot, "enter")
        assert "no skill fits" not in said(pilot, "#verdict")
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, RunFormScreen)
        fields = [field.text for field in pilot.app.screen.query("InputField")]
        assert "ORD-7001" in fields

    drive(app_for(skills_db, screen=("match", "bake a cake")), story)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(400):
        if holds():
            return
        await pilot.pause(0.05)
    raise AssertionError("it never came so far")


def test_a_skill_is_run_after_a_yes_and_its_result_shown(skills_db: Path, app_for: AppFor) -> None:
    """A tool that changes things is asked about with its arguments; then it really runs, node by node."""

    async def story(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        screen.query_one("#tools", Input).value = TOOLS
        screen.query_one("#task", Input).value = "Cancel order ORD-7002 of eve2@example.org"
        screen.query_one(RunFields).query("InputField").first().query_one(Input).value = "ORD-7002"
        await press(pilot, "f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await press(pilot, "y")
        await until(pilot, lambda: screen.query_one(TabbedContent).active == "tab-result")
        assert "✓ succeeded" in said(pilot, "#result")
        assert set(screen.query_one(DagView).statuses.values()) == {"done"}

    drive(app_for(skills_db, screen=("run_form", "cancel_order")), story)
    with open_workspace(skills_db, _embedder=None) as workspace:
        last = next(workspace.ledger.list("cancel_order"))
        assert last.success
        assert last.inputs["order_id"] == "ORD-7002"


def test_after_a_no_nothing_is_run_and_the_field_is_left_where_it_was(
    skills_db: Path, app_for: AppFor
) -> None:
    """Whoever refuses goes on typing in the same field."""

    async def story(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        screen.query_one("#tools", Input).value = TOOLS
        field = screen.query_one(RunFields).query("InputField").first().query_one(Input)
        field.value = "ORD-7002"
        field.focus()
        await press(pilot, "f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await press(pilot, "n")
        assert pilot.app.screen.focused is field
        assert screen.query_one(TabbedContent).active == "tab-inputs"

    drive(app_for(skills_db, screen=("run_form", "cancel_order")), story)
    with open_workspace(skills_db, _embedder=None) as workspace:
        assert "ORD-7002" not in [one.inputs.get("order_id") for one in workspace.ledger.list("cancel_order")]


def test_a_missing_input_is_asked_for(skills_db: Path, app_for: AppFor) -> None:
    """Nothing runs while a required input has no value; its field says so and has the focus."""

    async def story(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        screen.query_one("#tools", Input).value = TOOLS
        await press(pilot, "f5")
        wrong = screen.query_one("InputField.-wrong")
        assert wrong.query_one(Input).has_focus

    drive(app_for(skills_db, screen=("run_form", "weekly_report")), story)


def test_a_stopped_execution_can_be_gone_on_with(skills_db: Path, app_for: AppFor) -> None:
    """Stop leaves an execution that the same screen finishes, without doing again what was done."""

    async def story(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        screen.query_one("#tools", Input).value = TOOLS
        fields = list(screen.query_one(RunFields).query("InputField"))
        fields[0].query_one(Input).value = "2026-W31"
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        screen.action_stop()
        await until(pilot, lambda: str(screen.query_one("#run", Button).label) == "Go on")
        assert pilot.app.screen is screen
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await press(pilot, "y")
        await until(pilot, lambda: screen.query_one(TabbedContent).active == "tab-result")
        assert "✓ succeeded" in said(pilot, "#result")

    drive(app_for(skills_db, screen=("run_form", "weekly_report")), story)
    with open_workspace(skills_db, _embedder=None) as workspace:
        found = list(workspace.ledger.list("weekly_report"))
        assert [one.success for one in found] == [True]


def test_trust_is_given_only_after_the_end_was_seen(skills_db: Path, app_for: AppFor) -> None:
    """The button wakes up when the code was scrolled to its end."""

    async def story(pilot: Pilot[None]) -> None:
        await press(pilot, "t")
        assert isinstance(pilot.app.screen, TrustDialog)
        assert pilot.app.screen.query_one("#yes", Button).disabled
        await press(pilot, "end")
        assert not pilot.app.screen.query_one("#yes", Button).disabled
        await pilot.click("#yes")
        await settle(pilot)

    drive(app_for(skills_db, screen=("skill", "shared_plot")), story, size=(80, 24))
    assert stored(skills_db, "shared_plot").state == "trusted"


def test_going_back_to_a_version_asks_for_the_reason(skills_db: Path, app_for: AppFor) -> None:
    """The reason stands in the history, and the older version is the current one."""

    async def story(pilot: Pilot[None]) -> None:
        await press(pilot, *["right_square_bracket"] * 7, "down", "b")
        assert isinstance(pilot.app.screen, ReasonDialog)
        await press(pilot, *"worse", "enter")
        await settle(pilot)

    drive(app_for(skills_db, screen=("skill", "plot_spectrum")), story)
    assert stored(skills_db, "plot_spectrum").version == 1
    with open_workspace(skills_db, _embedder=None) as workspace:
        assert workspace.versions.history("plot_spectrum")[0].reason == "worse"


def test_deleting_is_confirmed(skills_db: Path, app_for: AppFor) -> None:
    """No keeps the skill, yes deletes it and goes back."""

    async def story(pilot: Pilot[None]) -> None:
        await press(pilot, "d", "n", "d", "y")
        assert not isinstance(pilot.app.screen, SkillScreen)

    drive(app_for(skills_db, screen=("skill", "old_report_0")), story)
    with open_workspace(skills_db, _embedder=None) as workspace:
        assert not workspace.skills.exists("old_report_0")


def stored(path: Path, name: str) -> Skill:
    """Return a skill as it is stored."""
    with open_workspace(path, _embedder=None) as workspace:
        return workspace.skills.get(name)


def test_analytics_rank_and_show_where_skills_change(skills_db: Path, app_for: AppFor) -> None:
    """The ranking leads to the heat map of the skill under the cursor; o ranks anew."""

    async def story(pilot: Pilot[None]) -> None:
        await press(pilot, "down")
        assert "plot_spectrum@2" in said(pilot, "#about")
        assert "code modification" in said(pilot, "#about")
        await press(pilot, "o")
        assert "most used first" in said(pilot, ".totals")

    drive(app_for(skills_db, pane="analytics"), story)
