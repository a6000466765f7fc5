"""What recording costs an AG2 run, ours and others', in runs that take turns.

The same run twice over: asking a model over HTTP on 127.0.0.1 through the framework's own client, as every
host does, without latency and with 200 ms; and with a model in the process that answers at once, where hardly
anything but the framework is left. The second is no run that anybody has: it is there because each
microsecond shows. All figures are medians of differences between neighbours in time, with their quartiles.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

SCRIPT = Path(__file__).with_name("_agent_runs.py")
SERVER = Path(__file__).with_name("_model_server.py")
IN_PROCESS = "in-process"
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
        words: Generation, recorder and model.
        folder: Where it may write.
    """

    def __init__(self, words: tuple[str, str, str], folder: Path) -> None:
        self.words = words
        command = [sys.executable, str(SCRIPT), *words, str(folder)]
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
            raise SystemExit(f"{' '.join(self.words)}: {self._process.stderr.read()[-2000:]}")
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
def workers(plan: list[tuple[str, str, str]]) -> Iterator[list[Worker]]:
    """Start a process for each."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        started = []
        for number, words in enumerate(plan):
            place = Path(folder, str(number))
            place.mkdir()
            started.append(Worker(words, place))
            stack.callback(started[-1].close)
        yield started


def take_turns(plan: list[tuple[str, str, str]], rounds: int, *, warm_up: int) -> dict[str, list[Answer]]:
    """Let the processes run one after the other, again and again; return answers by recorder."""
    answers: dict[str, list[Answer]] = {recorder: [] for _, recorder, _ in plan}
    with workers(plan) as started:
        for number in range(warm_up + rounds):
            for worker in started if number % 2 else started[::-1]:
                answer = worker.once()
                if number >= warm_up:
                    answers[worker.words[1]].append(answer)
    return answers


@contextmanager
def model_server() -> Iterator[str]:
    """Run the model's process; yield its address."""
    command = [sys.executable, str(SERVER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


class Against:
    """Runs of one recorder beside the same runs without any.

    Args:
        answers: Of the recorder, round by round.
        without: Those without recording.
    """

    def __init__(self, answers: list[Answer], without: list[Answer]) -> None:
        self._answers, self._without = answers, without

    def extra(self, key: str = "seconds") -> list[float]:
        """Return, round by round, how much more it took than the run next to it without recording."""
        pairs = zip(self._answers, self._without, strict=True)
        return [one[key] - other["seconds" if key == "until_stored" else key] for one, other in pairs]

    def quartiles_each(self, key: str, events: float) -> list[float]:
        """Return the quartiles of the extra microseconds an event."""
        low, _middle, high = quantiles(self.extra(key), n=4)
        return [low * 1e6 / events, high * 1e6 / events]

    def share(self, key: str = "seconds") -> float:
        """Return the median extra time as a fraction of the run without recording."""
        return float(median(self.extra(key)) / self._base())

    def processor_share(self) -> float:
        """Return the extra processor time of all threads as a fraction: it does not feel what else runs."""
        return float(median(self.extra("process")) / median(one["process"] for one in self._without))

    def spread(self) -> list[float]:
        """Return the quartiles of that fraction."""
        low, _middle, high = quantiles(self.extra(), n=4)
        return [low / self._base(), high / self._base()]

    def each(self, key: str, events: float) -> float:
        """Return the median extra microseconds an event."""
        return float(median(self.extra(key)) * 1e6 / events)

    def _base(self) -> float:
        return float(median(one["seconds"] for one in self._without))


def measure(generation: str, rounds: int, server: str) -> tuple[dict[str, Any], dict[str, Answer], list[str]]:
    """Measure one generation.

    Args:
        generation: "ag2" or "classic".
        rounds: How often each recorder has its turn.
        server: The model's address.

    Returns:
        Our figures; each peer's; the peers that are not installed.
    """
    present = [name for name in PEERS[generation] if name not in NEEDED or _installed(NEEDED[name])]

    def run(names: tuple[str, ...], model: str, *, times: int, warm_up: int) -> dict[str, list[Answer]]:
        return take_turns([(generation, name, model) for name in names], times, warm_up=warm_up)

    bare = run(("none", "floor", "ours", *present), IN_PROCESS, times=rounds, warm_up=WARM_UP_ROUNDS)
    fast = run(("none", "floor", "ours"), f"{server}/0", times=rounds, warm_up=WARM_UP_ROUNDS)
    slow = run(("none", "ours"), f"{server}/{LATENCY_MS}", times=SLOW_ROUNDS, warm_up=1)
    events = median(one["events"] for one in bare["ours"])
    in_process = {name: Against(answers, bare["none"]) for name, answers in bare.items()}
    http = {name: Against(answers, fast["none"]) for name, answers in fast.items()}
    mine = in_process["ours"]
    figures = {
        "overhead_0ms": http["ours"].share(),
        "overhead_0ms_quartiles": http["ours"].spread(),
        "overhead_0ms_processor": http["ours"].processor_share(),
        "overhead_0ms_floor": http["floor"].share(),
        "overhead_0ms_until_stored": http["ours"].share("until_stored"),
        "overhead_200ms": Against(slow["ours"], slow["none"]).share(),
        "overhead_in_process": mine.share(),
        "overhead_in_process_quartiles": mine.spread(),
        "overhead_in_process_floor": in_process["floor"].share(),
        "us_per_event": mine.each("cpu", events),
        "us_per_event_quartiles": mine.quartiles_each("cpu", events),
        "us_per_event_floor": in_process["floor"].each("cpu", events),
        "us_per_event_above_floor": Against(bare["ours"], bare["floor"]).each("cpu", events),
        "wall_us_per_event": mine.each("seconds", events),
        "all_threads_us_per_event": mine.each("process", events),
        "events": events,
        "model_calls": median(one["calls"] for one in bare["ours"]),
        "run_ms": median(one["seconds"] for one in fast["none"]) * 1000,
        "run_ms_in_process": median(one["seconds"] for one in bare["none"]) * 1000,
        **{
            f"{key}_ms": median(one[key] for one in bare["ours"]) * 1000
            for key in ("begin", "begin_cpu", "end", "end_cpu")
        },
        "bytes_per_event": median(one["bytes"] for one in bare["ours"]) / events,
    }
    peers = {
        f"{name} ({MODULES[generation]})": {
            "us_per_event": in_process[name].each("cpu", events),
            "wall_us_per_event": in_process[name].each("seconds", events),
            "overhead_in_process": in_process[name].share(),
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
    with model_server() as server:
        for generation, module in MODULES.items():
            if not _installed(module):
                report["absent"].append(module)
                continue
            report[generation], peers, absent = measure(generation, rounds, server)
            report["peers"] |= peers
            report["absent"] += [f"{name} ({module})" for name in absent]
    return report


def show(report: dict[str, Any]) -> None:
    """Print it."""
    for generation, module in MODULES.items():
        if generation in report:
            _show_one(module, report[generation])
    print()
    for name, peer in report["peers"].items():
        print(
            f"{name:<32}{peer['us_per_event']:9.1f} µs an event on the caller's thread,"
            f" {peer['wall_us_per_event']:9.1f} by the clock, in process {peer['overhead_in_process']:+8.1%}"
        )
    if report["absent"]:
        print(f"not installed: {', '.join(report['absent'])}")


def _show_one(module: str, mine: dict[str, Any]) -> None:
    low, high = mine["overhead_0ms_quartiles"]
    lowest, highest = mine["overhead_in_process_quartiles"]
    least, most = mine["us_per_event_quartiles"]
    print(
        f"\n{module}: {mine['model_calls']:.0f} model calls, {mine['events']:.0f} events;"
        f" unrecorded {mine['run_ms']:.1f} ms over HTTP, {mine['run_ms_in_process']:.1f} ms in process\n"
        f"  HTTP, model at 0 ms     {mine['overhead_0ms']:+8.1%}   limit 5 %"
        f"   (quartiles {low:+.1%} {high:+.1%}, empty hook {mine['overhead_0ms_floor']:+.1%})\n"
        f"    with the end          {mine['overhead_0ms_until_stored']:+8.1%}   until all is stored\n"
        f"    processor time        {mine['overhead_0ms_processor']:+8.1%}   of all threads\n"
        f"  HTTP, model at {LATENCY_MS} ms   {mine['overhead_200ms']:+8.2%}   limit 2 %\n"
        f"  in process, 0 ms        {mine['overhead_in_process']:+8.1%}   no limit  (quartiles {lowest:+.1%}"
        f" {highest:+.1%}, empty hook {mine['overhead_in_process_floor']:+.1%})\n"
        f"  an event                {mine['us_per_event']:8.1f} µs of the caller's processor time, limit 15"
        f" (quartiles {least:.1f} {most:.1f})\n"
        f"    above an empty hook   {mine['us_per_event_above_floor']:8.1f} µs; the hook alone"
        f" {mine['us_per_event_floor']:.1f}\n"
        f"    by the clock          {mine['wall_us_per_event']:8.1f} µs;"
        f" processor time in all threads {mine['all_threads_us_per_event']:.1f}\n"
        f"  to begin                {mine['begin_ms']:8.1f} ms   ({mine['begin_cpu_ms']:.1f} of the"
        f" caller's processor time)\n"
        f"  to end                  {mine['end_ms']:8.1f} ms   ({mine['end_cpu_ms']:.1f}; it waits"
        f" until all is stored)\n"
        f"  file                    {mine['bytes_per_event']:8.0f} bytes an event"
    )
