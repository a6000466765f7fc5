"""How long a command takes from the shell, as a ratio to a bare Typer program in the same run.

Whole processes, in alternation, so that a busy machine slows all of them alike; medians. Twice: from the
source folder, and from a compiled copy as an installation has it.

    python bench/startup.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]

BARE = """
import typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
@app.command()
def one(name: str = typer.Option("x")) -> None:
    "Do one thing."
    print(name)
@app.command()
def two(name: str = typer.Option("x")) -> None:
    "Do another."
    print(name)
app()
"""

LOG = {"messages": [
    {"role": "user", "content": "Cancel reservation EHGLP3 please."},
    {"role": "assistant", "content": "Done."},
]}  # fmt: skip

LIMIT_SECONDS = 0.2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), rounds=options.rounds)
    if options.json:
        print(json.dumps({"limit_seconds": LIMIT_SECONDS, "commands": report}))
        return
    print(f"{'command':<28}{'median s':>10}{'ratio':>8}   (ratio to a bare Typer program)")
    for name, row in report.items():
        print(f"{name:<28}{row['seconds']:>10.3f}{row['ratio']:>8.2f}")


def measure(folder: Path, *, rounds: int) -> dict[str, dict[str, float]]:
    """Return seconds and ratio of each command."""
    bare = folder / "bare.py"
    bare.write_text(BARE)
    compiled = folder / "installed"
    shutil.copytree(
        ROOT / "skillsmith", compiled / "skillsmith", ignore=shutil.ignore_patterns("__pycache__")
    )
    compileall.compile_dir(str(compiled), quiet=1)
    database = _filled(folder)
    run = json.loads(_output(["runs", "--json"], database, ROOT))["items"][0]["id"]
    commands = {
        "python -c pass": ([sys.executable, "-c", "pass"], ROOT),
        "bare typer --help": ([sys.executable, str(bare), "--help"], ROOT),
    }
    for place, home in (("", compiled), (" (source)", ROOT)):
        for words in (["--help"], ["--version"], ["runs"], ["timeline", run], ["list"], ["list", "--json"]):
            label = " ".join("RUN" if word == run else word for word in words) + place
            commands[label] = ([sys.executable, "-m", "skillsmith", *words], home)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (line, home) in commands.items():
            times[name].append(_seconds(line, database, home))
    base = median(times["bare typer --help"])
    return {
        name: {"seconds": round(median(found), 4), "ratio": round(median(found) / base, 2)}
        for name, found in times.items()
    }


def _filled(folder: Path) -> Path:
    log = folder / "log.json"
    log.write_text(json.dumps(LOG))
    database = folder / "skillsmith.db"
    _output(["ingest", str(log)], database, ROOT)
    return database


def _environment(database: Path, home: Path) -> dict[str, str]:
    return {**os.environ, "SKILLSMITH_DB": str(database), "PYTHONPATH": str(home)}


def _output(words: list[str], database: Path, home: Path) -> str:
    line = [sys.executable, "-m", "skillsmith", *words]
    return subprocess.run(
        line, env=_environment(database, home), cwd=home, check=True, capture_output=True, text=True
    ).stdout


def _seconds(line: list[str], database: Path, home: Path) -> float:
    started = time.perf_counter()
    subprocess.run(
        line, env=_environment(database, home), cwd=home, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
