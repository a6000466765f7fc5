"""A deterministic workspace and an application whose clock, zone and file's name are pinned."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from story import NOW, write_story

from skillsmith.tui.app import SkillsmithApp

AppFor = Callable[..., SkillsmithApp]


@pytest.fixture(autouse=True)
def _pinned_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="session")
def story_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that every test begins with."""
    path = tmp_path_factory.mktemp("story") / "story.db"
    write_story(path)
    return path


@pytest.fixture
def demo_db(story_db: Path, tmp_path: Path) -> Path:
    """A copy of that workspace for one test."""
    return Path(shutil.copy(story_db, tmp_path / "demo.db"))


@pytest.fixture
def app_for(monkeypatch: pytest.MonkeyPatch) -> AppFor:
    """Build the application for a file, its clock pinned; it does not listen unless asked to."""

    def build(path: Path, **options: Any) -> SkillsmithApp:
        monkeypatch.chdir(path.parent)
        return SkillsmithApp(path.name, **{"now": lambda: NOW, "live": False, **options})

    return build
