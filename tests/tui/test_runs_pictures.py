"""Pictures of the runs' screens, small and large, in two themes: each was looked at before it was kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.launch import settle

TEAM = "01990000-0000-7000-8000-000000000005"
SHOP = "01990000-0000-7000-8000-00000000000"
SCREENS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "runs": ({}, ["down"]),
    "search": ({}, ["slash", *"cancel outcome:fail"]),
    "timeline": ({"screen": ("timeline", TEAM, 7)}, []),
    "diff": ({"screen": ("timeline", TEAM, 19)}, []),
    "context": ({"screen": ("timeline", TEAM, 23)}, []),
    "tool": ({"screen": ("timeline", f"{SHOP}4", 6)}, []),
    "folded": ({"screen": ("timeline", TEAM)}, ["z"]),
    "compare": ({"screen": ("compare", f"{SHOP}3", f"{SHOP}4")}, ["n"]),
    "mark": ({}, ["down", "m"]),
    "extract": ({}, ["end", "x"]),
    "help": ({"screen": ("timeline", TEAM)}, ["question_mark"]),
}


@pytest.mark.parametrize("theme", ["light", "contrast"])
@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_was_judged(
    name: str,
    size: tuple[int, int],
    theme: str,
    demo_db: Path,
    app_for: Callable[..., SkillsmithApp],
    snap_compare: Callable[..., bool],
) -> None:
    """Nothing of it changes unnoticed."""
    options, keys = SCREENS[name]

    async def prepare(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await pilot.press(*keys)
        await pilot.pause(0.2)
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False
        await settle(pilot)

    assert snap_compare(app_for(demo_db, theme=theme, **options), terminal_size=size, run_before=prepare)
