"""Pictures of the runs' screens, small and large, in two themes: each was looked at before it was kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import Stops, changed
from syrupy.assertion import SnapshotAssertion

from skillsmith.tui.app import SkillsmithApp

TEAM = "01990000-0000-7000-8000-000000000005"
SHOP = "01990000-0000-7000-8000-00000000000"
SESSIONS: dict[str, tuple[dict[str, Any], Stops]] = {
    "runs": ({}, {"runs": ("down",), "mark": ("m",)}),
    "search": ({}, {"search": ("slash", tuple("cancel outcome:fail"))}),
    "timeline": ({"screen": ("timeline", TEAM, 7)}, {"timeline": ()}),
    "diff": ({"screen": ("timeline", TEAM, 19)}, {"diff": ()}),
    "context": ({"screen": ("timeline", TEAM, 23)}, {"context": ()}),
    "tool": ({"screen": ("timeline", f"{SHOP}4", 6)}, {"tool": ()}),
    "folded": ({"screen": ("timeline", TEAM)}, {"folded": ("z",)}),
    "compare": ({"screen": ("compare", f"{SHOP}3", f"{SHOP}4")}, {"compare": ("n",)}),
    "extract": ({}, {"extract": ("end", "x")}),
    "help": ({"screen": ("timeline", TEAM)}, {"help": ("question_mark",)}),
}


@pytest.mark.parametrize("theme", ["light", "contrast"])
@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
@pytest.mark.parametrize("session", SESSIONS)
def test_screens_look_as_they_were_judged(
    session: str,
    size: tuple[int, int],
    theme: str,
    demo_db: Path,
    app_for: Callable[..., SkillsmithApp],
    snapshot: SnapshotAssertion,
) -> None:
    """Nothing of them changes unnoticed."""
    options, stops = SESSIONS[session]
    assert changed(app_for(demo_db, theme=theme, **options), stops, size=size, kept=snapshot) == []
