"""Run the application unseen and do what a story says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.launch import settle

Story = Callable[[Pilot[None]], Awaitable[None]]


def play(app: SkillsmithApp, story: Story, *, size: tuple[int, int] = (120, 40)) -> None:
    """Run the application unseen and do what the story says."""

    async def whole() -> None:
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await story(pilot)

    asyncio.run(whole())
