"""What recording costs an AG2 run, ours and others', in runs that take turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

SCRIPT = Path(__file__).with_name("_agent_runs.py")
LATENCY_MS = 200
WARM_UP_ROUNDS = 2
SLOW_ROUNDS = 3
NEEDED = {"ag2-opentelemetry": "opentelemetry.sdk", "mlflow": "mlflow"}
"""Peers that are left out, saying so, where their package is not installed."""

PEERS = {"ag2": ("ag2-opentelemetry",), "classic": ("ag2-sqlite", "ag2-opentelemetry", "mlflow")}
"""MLflow records Classic only."""

MODULES = {"ag2": "ag2", "classic": "autogen"}

Answer = dict[str, Any]


class Worker:
    """A process that runs the agents whenever it is told to.

    Args:
        words: Generation, recorder and latency in milliseconds.
        folder: Where it may write.
    """

    def __init__(self, words: tuple[str, str, int], folder: Path) -> None:
        self.words = words
        command = [sys.executable, str(SCRIPT), *map(str, words), str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def once(self) -> Answer:
        """Run once more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise SystemExit(f"{' '.join(map(str, self.words))}: {self._process.stderr.read()[-2000:]}")
        answer: Answer = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()


@contextmanager
def workers(plan: list[tuple[str, str, int]]) -> Iterator[list[Worker]]:
    """Start a process for each."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        started = []
        for number, words in enumerate(plan):
            place = Path(folder, str(number))
            place.mkdir()
            started.append(Worker(words, place))
            stack.callback(started[-1].close)
        yield started


def take_turns(plan: list[tuple[str, str, int]], rounds: int, *, warm_up: int) -> dict[str, list[Answer]]:
    """Let the processes run one after the other, again and again; return answers by recorder."""
    answers: dict[str, list[Answer]] = {recorder: [] for _, recorder, _ in plan}
    with workers(plan) as started:
        for number in range(warm_up + rounds):
            for worker in started:
                answer = worker.once()
                if number >= warm_up:
                    answers[worker.words[1]].append(answer)
    return answers


def paired(answers: list[Answer], without: list[Answer], key: str) -> list[float]:
    """Return, round by round, how much longer it took than the run next to it without recording."""
    return [one[key] - other[key] for one, other in zip(answers, without, strict=True)]


def share(answers: list[Answer], without: list[Answer]) -> float:
    """Return the median extra time as a fraction of the run without recording."""
    return median(paired(answers, without, "seconds")) / median(one["seconds"] for one in without)


def measure(generation: str, rounds: int) -> tuple[dict[str, float], dict[str, Answer], list[str]]:
    """Measure one generation.

    Returns:
        Our figures; each peer's; the peers that are not installed.
    """
    present = [name for name in PEERS[generation] if name not in NEEDED or _installed(NEEDED[name])]
    fast = take_turns(
        [(generation, name, 0) for name in ("none", "ours", *present)], rounds, warm_up=WARM_UP_ROUNDS
    )
    slow = take_turns([(generation, name, LATENCY_MS) for name in ("none", "ours")], SLOW_ROUNDS, warm_up=1)
    events = median(one["events"] for one in fast["ours"])
    each = 1e6 / events
    figures = {
        "overhead_0ms": share(fast["ours"], fast["none"]),
        "overhead_200ms": share(slow["ours"], slow["none"]),
        "us_per_event": median(paired(fast["ours"], fast["none"], "seconds")) * each,
        "cpu_us_per_event": median(paired(fast["ours"], fast["none"], "cpu")) * each,
        "events": events,
        "model_calls": median(one["calls"] for one in fast["ours"]),
        "run_ms": median(one["seconds"] for one in fast["none"]) * 1000,
        "open_close_ms": median(one["open_close"] for one in fast["ours"]) * 1000,
        "bytes_per_event": median(one["bytes"] for one in fast["ours"]) / events,
    }
    peers = {
        f"{name} ({MODULES[generation]})": {
            "us_per_event": median(paired(fast[name], fast["none"], "seconds")) * each,
            "overhead_0ms": share(fast[name], fast["none"]),
        }
        for name in present
    }
    return figures, peers, [name for name in PEERS[generation] if name not in present]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def measure_all(rounds: int) -> dict[str, Any]:
    """Measure each generation that is installed."""
    report: dict[str, Any] = {"peers": {}, "absent": []}
    for generation, module in MODULES.items():
        if not _installed(module):
            report["absent"].append(module)
            continue
        report[generation], peers, absent = measure(generation, rounds)
        report["peers"] |= peers
        report["absent"] += [f"{name} ({module})" for name in absent]
    return report


def show(report: dict[str, Any]) -> None:
    """Print it."""
    for generation, module in MODULES.items():
        if generation in report:
            mine = report[generation]
            print(
                f"\n{module}: a run of {mine['model_calls']:.0f} model calls,"
                f" {mine['events']:.0f} events, {mine['run_ms']:.1f} ms without recording"
            )
            print(f"  model at 0 ms       {mine['overhead_0ms']:+8.1%}   limit 5 %")
            print(f"  model at {LATENCY_MS} ms     {mine['overhead_200ms']:+8.2%}   limit 2 %")
            print(f"  an event            {mine['us_per_event']:8.1f} microseconds   limit 15")
            print(f"  of the caller's processor time {mine['cpu_us_per_event']:.1f} microseconds")
            print(f"  to begin and end    {mine['open_close_ms']:8.1f} ms")
            print(f"  file                {mine['bytes_per_event']:8.0f} bytes an event")
    for name, peer in report["peers"].items():
        print(f"{name:<32}{peer['us_per_event']:10.1f} microseconds an event {peer['overhead_0ms']:+8.1%}")
    if report["absent"]:
        print(f"not installed: {', '.join(report['absent'])}")
