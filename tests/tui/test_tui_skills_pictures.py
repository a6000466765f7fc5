"""Pictures of the skills' screens, small and large, dark and light: each was looked at before it was kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import Stops, changed
from skills_world import write_skills
from syrupy.assertion import SnapshotAssertion

from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.widgets.run_fields import RunFields

NEXT = "right_square_bracket"
PLOT = {"screen": ("skill", "plot_spectrum")}
SESSIONS: dict[str, tuple[dict[str, Any], Stops]] = {
    "list": ({"pane": "skills"}, {"list": ()}),
    "tabs": (PLOT, {
        "overview": (), "graph": (NEXT, "down", "down", "down"), "ledger": [NEXT] * 3, "uses": (NEXT,),
        "adapted": (NEXT, "down"), "versions": (NEXT,), "lineage": (NEXT,),
    }),
    "why": ({"screen": ("skill", "cancel_order")}, {"why": [NEXT] * 2}),
    "proof": ({"screen": ("skill", "plot_spectrum@1")}, {"proof": [NEXT] * 3}),
    "trust": ({"screen": ("skill", "shared_plot")}, {"trust": ("t",)}),
    "form": ({"screen": ("run_form", "plot_spectrum")}, {"form": ()}),
    "analytics": ({"pane": "analytics"}, {"analytics": ("down",)}),
}  # fmt: skip


@pytest.fixture(scope="session")
def skills_file(story_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story's workspace with skills of every kind."""
    folder = tmp_path_factory.mktemp("pictures")
    path = Path(shutil.copy(story_db, folder / "skills.db"))
    write_skills(path, folder / "share")
    return path


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
@pytest.mark.parametrize("session", SESSIONS)
def test_screens_look_as_they_were_judged(
    session: str,
    size: tuple[int, int],
    theme: str,
    skills_file: Path,
    tmp_path: Path,
    app_for: Callable[..., SkillsmithApp],
    snapshot: SnapshotAssertion,
) -> None:
    """Nothing of them changes unnoticed."""
    options, stops = SESSIONS[session]
    RunFields.last_tools = ""
    app = app_for(Path(shutil.copy(skills_file, tmp_path / "demo.db")), theme=theme, **options)
    assert changed(app, stops, size=size, kept=snapshot) == []
