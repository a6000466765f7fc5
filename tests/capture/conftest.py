"""The coverage table, printed when the tests are done."""

from __future__ import annotations

import pytest
from coverage import COVERAGE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what of which scenario was recorded."""
    if COVERAGE.rows:
        terminalreporter.section("capture coverage: recorded/expected")
        terminalreporter.write_line(COVERAGE.table())
