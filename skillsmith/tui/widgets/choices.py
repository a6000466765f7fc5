"""A list to choose from whose lines keep their colours where the cursor stands."""

from __future__ import annotations

from textual.widgets import OptionList


class Choices(OptionList):
    """An option list without a frame, one line an option."""

    DEFAULT_CSS = """
    Choices {
        border: none; padding: 0 1; background: $background; text-wrap: nowrap; text-overflow: ellipsis;
        &:focus { border: none; background-tint: $foreground 0%; }
        & > .option-list--option-disabled { color: $accent; text-style: bold; }
        & > .option-list--option-highlighted { background: $primary 18%; color: $foreground; }
        &:focus > .option-list--option-highlighted {
            background: $primary 35%; color: $foreground; text-style: bold;
        }
    }
    """
