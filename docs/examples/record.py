"""Two small tasks, done with one block of code each and recorded by hand."""  # noqa: INP001  (a script of its own)

from __future__ import annotations

import subprocess
import sys

from skillsmith.capture import AgentExecutionLogger

CLEAN = """\
import csv

with open("sales.csv", newline="") as source:
    rows = [row for row in csv.DictReader(source) if row["amount"]]
with open("clean.csv", "w", newline="") as target:
    writer = csv.DictWriter(target, fieldnames=["month", "amount"])
    writer.writeheader()
    writer.writerows(rows)
print(f"kept {len(rows)} rows")
"""

TOTAL = """\
import csv

with open("clean.csv", newline="") as source:
    total = sum(float(row["amount"]) for row in csv.DictReader(source))
with open("total.txt", "w") as target:
    target.write(f"{total:.2f}")
print(f"{total:.2f} in all")
"""


def record(task: str, code: str) -> None:
    """Do a task with one block of code, and record it."""
    with AgentExecutionLogger("skillsmith.db", task=task, work_dir=".") as log:
        log.log_message(task, sender="user", recipient="engineer")
        log.log_agent_reply("engineer", "I write a small program.", recipient="executor")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        log.log_code_execution(code, {"exit_code": done.returncode, "output": done.stdout}, agent="engineer")
        log.finish(outcome="success" if done.returncode == 0 else "failure")


record("Clean sales.csv: drop rows without an amount, write clean.csv", CLEAN)
record("Sum up the amounts in clean.csv and write total.txt", TOTAL)
