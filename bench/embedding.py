"""Times the two embedders on the same local model, each in processes of its own, in turn: read the ratios.

usage: python bench/embedding.py [--rounds N] [--json]

cold   a whole new process that makes one vector; "python" is one that does nothing
warm   one text of 30 words in a process that has embedded before; "limit" is onnxruntime on ready tokens
bulk   a text of 8 to 120 words, one of 100 in a row, as the indexer embeds them
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from skillsmith.library.embedding.embedders import THREADS, open_embedder
from skillsmith.library.embedding.store import model_status

WORDS = "the agent reads a table of flights, finds the customer's booking and cancels it if allowed".split()
TEXT = " ".join((WORDS * 2)[:30])
TEXTS = [" ".join((WORDS * 8)[: 8 + 7 * (number % 17)]) for number in range(100)]
COLD = """
from skillsmith.library.embedding.embedders import open_embedder
open_embedder(long_lived={long_lived}).embed(["cancel my flight"])
"""
COLD_SCRIPTS = {
    "python": "pass",
    "direct": COLD.format(long_lived=False),
    "fastembed": COLD.format(long_lived=True),
}
WARM_KINDS = ("limit", "direct", "fastembed")
RATIOS = {
    "cold: fastembed / direct": ("cold fastembed", "cold direct"),
    "warm: direct / limit": ("warm direct", "warm limit"),
    "warm: fastembed / direct": ("warm fastembed", "warm direct"),
    "bulk: fastembed / direct": ("bulk fastembed", "bulk direct"),
}


def main() -> None:
    """Run all timings and print them."""
    parser = argparse.ArgumentParser(description="Time the embedders on the local model.")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; medians are shown")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--child", choices=WARM_KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    status = model_status()
    if status.path is None:
        sys.exit(f"{status.name}: {status.detail}")
    if options.child:
        print(json.dumps(warm(options.child, status.path)))
        return
    times = measure(options.rounds)
    ratios = {name: times[above] / times[below] for name, (above, below) in RATIOS.items()}
    if options.json:
        print(json.dumps({"model": status.identity, "milliseconds": times, "ratios": ratios}, indent=2))
        return
    print(status.detail)
    for name, milliseconds in times.items():
        print(f"{name:26} {milliseconds:8.1f} ms")
    for name, ratio in ratios.items():
        print(f"{name:26} {ratio:8.2f}")


def measure(rounds: int) -> dict[str, float]:
    """Return the median of each timing in milliseconds, after one round that does not count."""
    taken: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        found: dict[str, float] = {}
        for kind, script in COLD_SCRIPTS.items():
            process = partial(subprocess.run, [sys.executable, "-c", script], check=True)
            found[f"cold {kind}"] = milliseconds(process)
        for kind in WARM_KINDS:
            child = [sys.executable, __file__, "--child", kind]
            found |= json.loads(subprocess.run(child, check=True, capture_output=True).stdout)
        for name, value in found.items():
            if number:
                taken.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in sorted(taken.items())}


def warm(kind: str, model: Path) -> dict[str, float]:
    """Time one way of embedding in this process."""
    if kind == "limit":
        run = bare_run(model)
        return {"warm limit": statistics.median(milliseconds(run) for _ in range(40))}
    embedder: Any = open_embedder(long_lived=kind == "fastembed")
    embedder.embed(TEXTS[:5])
    return {
        f"warm {kind}": statistics.median(milliseconds(lambda: embedder.embed([TEXT])) for _ in range(40)),
        f"bulk {kind}": milliseconds(lambda: embedder.embed(TEXTS)) / len(TEXTS),
    }


def bare_run(model: Path) -> Callable[[], object]:
    """Return one run of the model on tokens that are ready."""
    import numpy as np  # noqa: PLC0415 -- not for the cold timings
    import onnxruntime  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokens = np.array([tokenizer.encode(TEXT).ids], dtype=np.int64)
    inputs = {
        "input_ids": tokens,
        "attention_mask": np.ones_like(tokens),
        "token_type_ids": np.zeros_like(tokens),
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), options)
    return lambda: session.run(None, inputs)


def milliseconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
