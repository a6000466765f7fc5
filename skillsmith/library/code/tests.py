"""Tests that came with a run: the judge of a program is what it was asked to pass, not that it merely runs.

Benchmarks of programs keep their tests beside the task (``test`` with ``entry_point`` as HumanEval,
``test_list`` as MBPP). A skill made of such a run replays only when its program passes them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skillsmith.library.execution.sandbox import run_code
from skillsmith.models import Json

TEST_TIMEOUT_SECONDS = 30.0
"""Of all tests of a program together: a program that loops for ever fails them."""


@dataclass(frozen=True, slots=True)
class GivenTests:
    """Tests of a program.

    Args:
        code: Python that raises when the program before it is wrong.
    """

    code: str

    def problem_of(self, program: str, *, folder: Path) -> str | None:
        """Run a program with the tests behind it; return why it does not pass, None when it does.

        Args:
            program: Python code.
            folder: Where it runs.

        Raises:
            ExecutionError: Python cannot be run here.
        """
        reached = secrets.token_hex(16)  # a program that leaves early has not passed
        whole = f"{program}\n\n\n{self.code}\n\nprint()\nprint({reached!r})\n"
        ran = run_code(whole, language="python", work_dir=folder, timeout_seconds=TEST_TIMEOUT_SECONDS)
        if ran.timed_out:
            return f"its tests are not done within {TEST_TIMEOUT_SECONDS:g} s"
        lines = [line.strip() for line in ran.output.splitlines() if line.strip()]
        if ran.exit_code:
            return f"its tests fail: {(lines or ['no output'])[-1][:200]}"
        return None if reached in lines else "it ends before its tests"


def given_tests(facts: Mapping[str, Json]) -> GivenTests | None:
    """Return the tests among the facts that a run's log holds; None when it has none.

    Args:
        facts: The run's metadata.
    """
    test, name = facts.get("test"), facts.get("entry_point")
    if isinstance(test, str) and test.strip():
        called = (
            isinstance(name, str) and name.isidentifier() and re.search(r"^def check\(", test, re.MULTILINE)
        )
        return GivenTests(f"{test}\n\ncheck({name})" if called else test)
    cases = facts.get("test_list")
    if isinstance(cases, list) and cases and all(isinstance(case, str) for case in cases):
        before = facts.get("test_setup_code")
        return GivenTests("\n".join([before if isinstance(before, str) else "", *cases]))
    return None
