"""The scripted model server of the capture tests, for the tests of what skillsmith itself asks of models."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "capture"))

from scripted_server import Answer, Server, last_role, refuse, system_of, text, tools

__all__ = ["Answer", "Server", "last_role", "refuse", "system_of", "text", "tools"]
