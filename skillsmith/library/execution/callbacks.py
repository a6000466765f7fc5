"""The caller's side of an execution: it hears what happens, is asked, and may have it end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from skillsmith.models import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCallbacks:
    """What the caller wants to hear, and to be asked.

    Args:
        approve: Asks a person a question about the node with this key; True means yes.
        on_event: Gets the name of what happened and its data, as JSON.
        cancelled: Once set, the execution ends as on Ctrl-C: it can be resumed.
    """

    approve: Callable[[str, str], bool] | None = None
    on_event: Callable[[str, Mapping[str, Json]], None] | None = None
    cancelled: threading.Event | None = None

    def check(self) -> None:
        """Interrupt the execution when the caller wants it to end.

        Raises:
            KeyboardInterrupt: It does.
        """
        if self.cancelled is not None and self.cancelled.is_set():
            raise KeyboardInterrupt

    def tell(self, event: str, **data: Json) -> None:
        """Tell the caller what happened."""
        if self.on_event is not None:
            self.on_event(event, data)
