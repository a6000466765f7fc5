"""Pictures of the skills' screens, small and large, dark and light: each was looked at before it was kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from skills_world import write_skills

from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.launch import settle
from skillsmith.tui.widgets.run_fields import RunFields

NEXT = "right_square_bracket"
SCREENS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "list": ({"pane": "skills"}, []),
    "overview": ({"screen": ("skill", "plot_spectrum")}, []),
    "graph": ({"screen": ("skill", "plot_spectrum")}, [NEXT, "down", "down", "down"]),
    "why": ({"screen": ("skill", "cancel_order")}, [NEXT] * 2),
    "proof": ({"screen": ("skill", "plot_spectrum@1")}, [NEXT] * 3),
    "ledger": ({"screen": ("skill", "plot_spectrum")}, [NEXT] * 4),
    "uses": ({"screen": ("skill", "plot_spectrum")}, [NEXT] * 5),
    "adapted": ({"screen": ("skill", "plot_spectrum")}, [*[NEXT] * 6, "down"]),
    "versions": ({"screen": ("skill", "plot_spectrum")}, [NEXT] * 7),
    "lineage": ({"screen": ("skill", "plot_spectrum")}, [NEXT] * 8),
    "trust": ({"screen": ("skill", "shared_plot")}, ["t"]),
    "form": ({"screen": ("run_form", "plot_spectrum")}, []),
    "analytics": ({"pane": "analytics"}, ["down"]),
}


@pytest.fixture(scope="session")
def skills_file(story_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story's workspace with skills of every kind."""
    folder = tmp_path_factory.mktemp("pictures")
    path = Path(shutil.copy(story_db, folder / "skills.db"))
    write_skills(path, folder / "share")
    return path


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_was_judged(
    name: str,
    size: tuple[int, int],
    theme: str,
    skills_file: Path,
    tmp_path: Path,
    app_for: Callable[..., SkillsmithApp],
    snap_compare: Callable[..., bool],
) -> None:
    """Nothing of it changes unnoticed."""
    options, keys = SCREENS[name]
    RunFields.last_tools = ""
    path = Path(shutil.copy(skills_file, tmp_path / "demo.db"))

    async def before(pilot: Any) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        for field in pilot.app.screen.query("Input"):
            field.cursor_blink = False

    assert snap_compare(app_for(path, theme=theme, **options), terminal_size=size, run_before=before)
