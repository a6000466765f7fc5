"""Which names of a language mean Python, and which a POSIX shell."""

from __future__ import annotations

_PYTHON = {"python", "py", "python3", "ipython"}
_SHELL = {"sh", "bash", "shell", "zsh", "console"}


def is_python(language: str | None) -> bool:
    """Whether a code block's language is Python."""
    return (language or "").lower() in _PYTHON


def is_shell(language: str | None) -> bool:
    """Whether a code block's language is a POSIX shell's."""
    return (language or "").lower() in _SHELL
