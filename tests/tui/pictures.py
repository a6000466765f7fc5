"""Pictures of the application, each compared with the one that was kept.

One session takes several, as starting the application takes longest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Input

from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.launch import settle

Stops = Mapping[str, Iterable[str | tuple[str, ...]]]
"""What is pressed from picture to picture, by the picture's name; a tuple is pressed in a row."""


class KeptPicture(SVGImageExtension):  # type: ignore[misc]  # untyped
    """A picture in a file of its own name, whichever test of its file takes it."""

    @classmethod
    def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:
        """Return the picture's name."""
        return f"test_a_screen_looks_as_it_was_judged[{index}]"


async def _picture(pilot: Pilot[None], title: str) -> str:
    fields = list(pilot.app.screen.query(Input))
    for field in fields:
        field.cursor_blink = False
    if fields:
        await settle(pilot)
    await pilot.wait_for_scheduled_animations()
    await pilot.pause()
    return pilot.app.export_screenshot(title=title, simplify=True)


def changed(
    app: SkillsmithApp,
    stops: Stops,
    *,
    size: tuple[int, int],
    kept: SnapshotAssertion,
) -> list[str]:
    """Take the pictures of one session and return the names of those that are not as they were kept.

    Args:
        app: The application, as it was opened.
        stops: What is pressed before each picture.
        size: Columns and lines.
        kept: What compares, and with ``--snapshot-update`` keeps anew.
    """
    taken: dict[str, str] = {}

    async def whole() -> None:
        title = app.title
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            for stop, keys in stops.items():
                for key in keys:
                    await pilot.press(*([key] if isinstance(key, str) else key))
                    await settle(pilot)
                taken[f"{stop}-{size[0]}x{size[1]}-{app.theme}"] = await _picture(pilot, title)

    asyncio.run(whole())
    return [
        name for name, picture in taken.items() if kept(name=name, extension_class=KeptPicture) != picture
    ]
