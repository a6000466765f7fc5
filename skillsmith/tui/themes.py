"""Three themes: dark, light, and one of high contrast that needs no sense for colour."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="dark", primary="#7aa2f7", secondary="#7dcfff", accent="#ff9e64", success="#9ece6a",
    warning="#e0af68", error="#f7768e", foreground="#c8d3f5", background="#16161e", surface="#1a1b26",
    panel="#24283b", dark=True,
    variables={"footer-key-foreground": "#ff9e64", "scrollbar": "#3b4261", "scrollbar-background": "#1a1b26"},
)  # fmt: skip
LIGHT: Final = Theme(
    name="light", primary="#2e5cb8", secondary="#00708a", accent="#b15c00", success="#3c7a1f",
    warning="#8f5e15", error="#c0203f", foreground="#22252f", background="#fbfbfd", surface="#f3f4f8",
    panel="#e3e6ef", dark=False,
    variables={"footer-key-foreground": "#b15c00", "scrollbar": "#b6bccd", "scrollbar-background": "#f3f4f8"},
)  # fmt: skip
CONTRAST: Final = Theme(
    name="contrast", primary="#ffffff", secondary="#00ffff", accent="#ffff00", success="#00ff00",
    warning="#ffd700", error="#ff6060", foreground="#ffffff", background="#000000", surface="#000000",
    panel="#1c1c1c", dark=True, text_alpha=1.0,
    variables={
        "footer-key-foreground": "#ffff00", "scrollbar": "#ffffff", "scrollbar-background": "#303030",
        "block-cursor-background": "#ffff00", "block-cursor-foreground": "#000000", "text-muted": "#e0e0e0",
    },
)  # fmt: skip

THEMES: Final = {theme.name: theme for theme in (DARK, LIGHT, CONTRAST)}

LANES: Final = {
    "dark": ("#7aa2f7", "#9ece6a", "#e0af68", "#bb9af7", "#7dcfff", "#f7768e", "#ff9e64", "#73daca"),
    "light": ("#2e5cb8", "#3c7a1f", "#8f5e15", "#7b3fb5", "#00708a", "#c0203f", "#b15c00", "#0f766e"),
    "contrast": ("#5fd7ff", "#5fff5f", "#ffff00", "#ff87ff", "#00ffff", "#ff8787", "#ffaf00", "#ffffff"),
}
"""Colours of agents, by theme, in order of first appearance."""

MUTED: Final = {"dark": "#828bb0", "light": "#616779", "contrast": "#d0d0d0"}
"""The colour of what matters less, by theme; readable on its background all the same."""
