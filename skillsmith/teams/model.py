"""The model that a command may ask, whichever face it came from; without one, everything else goes on."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from skillsmith.errors import SkillsmithError, UsageError
from skillsmith.models import AgentRunner
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.agents.model_settings import ModelSettings

MAX_TURNS = 60
"""Model calls of one command, unless --max-turns says otherwise: nothing that asks a model runs for ever."""


class Model:
    """The model that a command may ask, if there is one.

    What is wrong with its settings matters only to who needs it: a skill of code and tools runs all the same.

    Args:
        workspace: The open file.
        name: From the command line; None: the environment says it.
        max_cost: In USD.
        max_turns: Model calls.

    Raises:
        UsageError: A limit allows nothing.
    """

    def __init__(
        self, workspace: Workspace, *, name: str | None, max_cost: float | None, max_turns: int | None
    ) -> None:
        from skillsmith.library.agents.budgets import Budget  # noqa: PLC0415  (only to run)

        self._workspace = workspace
        self._budget = Budget(max_cost_usd=max_cost, max_calls=MAX_TURNS if max_turns is None else max_turns)
        self.problem: SkillsmithError | None = None
        self.settings = self._read(name)

    def _read(self, name: str | None) -> ModelSettings | None:
        from skillsmith.library.agents.model_settings import read_settings  # noqa: PLC0415  (only to run)

        try:
            return read_settings(model=name)
        except UsageError as error:
            self.problem = error
            return None

    @cached_property
    def agents(self) -> AgentRunner | None:
        """What runs agents, or None; then ``problem`` may say why."""
        if self.settings is None:
            return None
        try:
            return self._workspace.agents(self.settings, budget=self._budget)
        except SkillsmithError as error:  # a package is missing, a price table cannot be read
            self.problem = error
            return None
