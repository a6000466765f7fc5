"""Messages that cross from worker threads to widgets, and from widgets to the application."""

from __future__ import annotations

from textual.message import Message

from skillsmith.errors import SkillsmithError


class Failed(Message):
    """A question met an error that the user can understand."""

    def __init__(self, error: SkillsmithError) -> None:
        super().__init__()
        self.error = error


class Crashed(Message):
    """A question met a bug; it is raised again where the application can end cleanly."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class FileChanged(Message):
    """Some process has committed to the file."""

    def can_replace(self, message: Message) -> bool:
        """Let one stand for several that nobody has looked at yet."""
        return isinstance(message, FileChanged)
