"""Tests of the served OpenAPI document by generated requests: no 5xx, every answer as it promises."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from cli_process import Cli, code_skill, fill
from serving import TOKEN, serving

# A request that fits the schema may still make no sense, such as an input that a skill does not have: 400.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "429"]
"""


def test_generated_requests_find_no_fault(cli: Cli, tmp_path: Path) -> None:
    """Some hundred requests, valid and broken, over all endpoints: every check of schemathesis passes."""
    fill(cli, replace(code_skill(), name="refund_booking"))  # the name that the examples have
    (tmp_path / "st.toml").write_text(CONFIGURATION, encoding="utf-8")
    with serving(cli.db, allow_run=frozenset({"refund_booking"}), queued_jobs=2) as server:
        done = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "--config-file", str(tmp_path / "st.toml"), "run",
                f"{server.address.url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}",
                "--checks", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "3",
                "--seed", "1", "--no-color",
            ],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
