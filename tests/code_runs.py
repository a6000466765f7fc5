"""Captured runs of code, for tests of families: agents that really run programs in folders of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.library.execution.sandbox import run_code

READ = """\
import csv
import json

with open("{source}") as file:
    rows = list(csv.DictReader(file))
"""
TOTAL = """\
limit = {limit}
kept = [row for row in rows if int(row["{column}"]) >= limit]
total = sum(int(row["{column}"]) for row in kept)
with open("{target}", "w") as file:
    json.dump({{"total": total, "rows": len(kept)}}, file)
print("total", total)
"""
LISTING = """\
import csv

with open("{source}") as file, open("names.txt", "w") as out:
    for row in csv.DictReader(file):
        out.write(row["name"] + "\\n")
"""


def program(source: str, column: str, limit: int, target: str) -> list[str]:
    """Return the two blocks of a run that adds up a column."""
    values: dict[str, object] = {"source": source, "column": column, "limit": limit, "target": target}
    return [READ.format(**values), TOTAL.format(**values)]


def asked(source: str, column: str, limit: int, target: str) -> str:
    """Return the task of such a run."""
    return f"Add up the column {column} of {source}, rows of at least {limit} only, and write {target}"


def table(*amounts: int, column: str = "amount") -> str:
    """Return a small table."""
    return f"name,{column}\n" + "".join(f"row{n},{amount}\n" for n, amount in enumerate(amounts))


def capture(
    path: Path,
    folder: Path,
    task: str,
    blocks: Sequence[str],
    files: Mapping[str, str],
    *,
    outcome: str = "success",
) -> str:
    """Capture a run that really executes the blocks in a folder with these files, and return its id."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    with AgentExecutionLogger(path, task=task, work_dir=folder) as log:
        for number, block in enumerate(blocks):
            whole = "\n".join(blocks[: number + 1]) if "rows" in block and number else block
            ran = run_code(whole, language="python", work_dir=folder, timeout_seconds=20)
            log.log_code_execution(block, {"exit_code": ran.exit_code, "output": ran.output}, agent="coder")
        log.finish(outcome=outcome)  # type: ignore[arg-type]
        return log.run_id
