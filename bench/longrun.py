"""What a run of 336,000 events costs: learning while it grows, a page at any depth, search, a full stream.

Times are processor time of this process, so that other work on the machine does not count; the peers (OFFSET
paging, loading all) are measured in the same process on the same file. ``--json`` prints one document.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from _long_runs import STEP_EVENTS, LongRun, corpus

from skillsmith.archive import RunArchive
from skillsmith.db import Database
from skillsmith.events import EventLog
from skillsmith.library.incremental import IncrementalSkillExtractor
from skillsmith.library.summarizer import ContextSummarizer
from skillsmith.models import Json
from skillsmith.runs import RunRepository

PAGE = 50
PARTS = 10
DEPTHS = (0.0, 0.25, 0.5, 0.75, 0.99)
ROUNDS = 200
GOALS = {
    "page_ms": 0.3, "search_newest_ms": 1.0, "search_ranked_ms": 20.0, "stream_rows_per_second": 200_000,
    "growth_ratio": 1.5,
}  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a very long run costs.")
    parser.add_argument("--events", type=int, default=336_000, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.events)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            goal = f"   (goal {GOALS[name]:,})" if name in GOALS else ""
            print(f"{name:<26} {value if not isinstance(value, float) else round(value, 4)}{goal}")


def measure(folder: Path, events: int) -> dict[str, Json]:
    """Return all figures."""
    db = Database(folder / "long.db")
    runs, maker = RunRepository(db), LongRun(corpus())
    run = runs.create("Work through the orders of the month")
    found = grow(db, runs.key(run.id), run.id, maker, events)
    found |= summing_up(db, run.id, maker)
    found |= pages(db, runs.key(run.id), run.id)
    found |= searches(db)
    found |= streams(db, runs.key(run.id))
    runs.finish(run.id, outcome="success")
    size = (folder / "long.db").stat().st_size
    found |= {"file_mb": round(size / 1e6, 1), "archive_s": cpu(lambda: archived(db, run.id, folder))}
    db.close()
    return {"events": events, **found}


def archived(db: Database, run_id: str, folder: Path) -> None:
    """Move the run to a second file."""
    RunArchive(db).archive([run_id], folder / "old.db")


def cpu(deed: Callable[[], object]) -> float:
    """Return the processor seconds of a deed."""
    started = time.process_time()
    deed()
    return time.process_time() - started


def grow(db: Database, key: int, run_id: str, maker: LongRun, events: int) -> dict[str, Json]:
    """Let the run grow part by part, learning from each as it comes."""
    log, extractor = EventLog(db), IncrementalSkillExtractor(db)
    steps = iter(range(1, events // STEP_EVENTS + 2))
    written, build, costs, idle, drafts = 0, 0.0, list[float](), list[float](), list[str]()
    for _ in range(PARTS):
        read, started = 0, time.process_time()
        for step in islice(steps, max(events // PARTS // STEP_EVENTS, 1)):
            batch = list(maker.step(step))
            log.append(key, batch)
            written += len(batch)
        build += time.process_time() - started
        started = time.process_time()
        progress = extractor.advance(run_id)
        read = progress.read
        costs.append((time.process_time() - started) / max(read, 1) * 1e6)
        drafts += [skill.name for skill in progress.drafts]
        idle.append(cpu(lambda: extractor.advance(run_id)) * 1000)
    return {
        "written": written, "append_us_an_event": build / written * 1e6,
        "incremental_us_an_event_first": costs[0], "incremental_us_an_event_last": costs[-1],
        "growth_ratio": statistics.median(costs[-3:]) / statistics.median(costs[:3]),
        "incremental_nothing_new_ms": statistics.median(idle), "drafts": drafts,
    }  # fmt: skip


def summing_up(db: Database, run_id: str, maker: LongRun) -> dict[str, Json]:
    """Sum up the run once, then again; look for every planted decision."""
    summarizer, budget = ContextSummarizer(db), 30_000
    first = cpu(lambda: summarizer.summarize(run_id, budget=budget))
    again = cpu(lambda: summarizer.summarize(run_id, budget=budget))
    lines = "\n".join(row[0] for row in db.all("SELECT text FROM summaries ORDER BY first_seq"))
    recent = summarizer.summarize(run_id, budget=budget)
    everything = lines + recent.text + "".join(event.content or "" for event in recent.recent)
    kept = sum(f"{name} " in everything or f"{name}." in everything for name in maker.decisions)
    small = summarizer.summarize(run_id, budget=2000)
    return {
        "decisions_planted": len(maker.decisions), "decisions_kept": kept,
        "decisions_in_summary": sum(name in recent.text for name in maker.decisions),
        "summarize_s": first, "summarize_again_s": again, "summary_tokens": recent.tokens,
        "small_summary_tokens": small.tokens,
    }  # fmt: skip


def pages(db: Database, key: int, run_id: str) -> dict[str, Json]:
    """Read pages at several depths, by key, by OFFSET, and by loading all."""
    runs, total = RunRepository(db), int(db.scalar("SELECT max(seq) FROM events WHERE run = ?", (key,)))
    log, draw = EventLog(db), random.Random(1)
    by_depth = {}
    for depth in DEPTHS:
        starts = [min(int(total * depth) + draw.randrange(PAGE * 20), total - PAGE) for _ in range(ROUNDS)]
        by_depth[f"{depth:.0%}"] = each(
            lambda start: list(islice(runs.events(run_id, after=start, window=PAGE), PAGE)), starts
        )
    deep = int(total * DEPTHS[-1])
    plain = "SELECT * FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?"
    rows = each(lambda start: db.conn.execute(plain, (key, start, PAGE)).fetchall(), [deep] * ROUNDS)
    sql = "SELECT * FROM events WHERE run = ? ORDER BY seq LIMIT ? OFFSET ?"
    by_offset = each(lambda start: [log.event(row) for row in db.all(sql, (key, PAGE, start))], [deep] * 7)
    everything = cpu(lambda: [*log.replay(key)][deep : deep + PAGE]) * 1000
    slowest = max(by_depth.values())
    return {
        "page_ms": slowest, "driver_page_ms": rows, "page_ms_by_depth": by_depth, "offset_page_ms": by_offset,
        "offset_ratio": by_offset / slowest, "load_all_ms": everything,
        "load_all_ratio": everything / slowest,
    }  # fmt: skip


def searches(db: Database) -> dict[str, Json]:
    """Search for rare and common words, newest first and ranked."""
    log = EventLog(db)
    index = cpu(log.index_pending)
    words = ("return", "timeout", "W000100", "import sys", "order customer")
    newest = {word: each(log.search, [word] * 21) for word in words}
    ranked = {word: each(lambda one: log.search(one, ranked=True), [word] * 11) for word in words}
    like = cpu(lambda: db.all("SELECT id FROM events WHERE content LIKE '%timeout%'")) * 1000
    return {
        "index_s": index, "search_newest_ms": max(newest.values()), "search_ranked_ms": max(ranked.values()),
        "search_newest_ms_by_word": newest, "search_ranked_ms_by_word": ranked, "like_ms": like,
    }  # fmt: skip


def streams(db: Database, key: int) -> dict[str, Json]:
    """Stream the whole run, and see how much memory is held meanwhile."""
    log = EventLog(db)
    count = 0

    def all_events() -> None:
        nonlocal count
        count = sum(1 for _ in log.replay(key))

    def all_rows() -> None:
        for _ in db.conn.execute("SELECT * FROM events WHERE run = ? ORDER BY seq", (key,)):
            pass

    took, least = (min(cpu(deed) for _ in range(3)) for deed in (all_events, all_rows))
    peaks = [peak(islice(log.replay(key), part)) for part in (count // 10, count)]
    return {
        "stream_rows_per_second": count / took, "driver_rows_per_second": count / least,
        "stream_peak_kb_tenth": peaks[0] / 1e3,
        "stream_peak_kb": peaks[1] / 1e3,
    }  # fmt: skip


def peak(events: Iterable[object]) -> int:
    """Return the most bytes that Python held while it went through some events."""
    gc.collect()
    tracemalloc.start()
    for _ in events:
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def each(deed: Callable[..., object], arguments: Iterable[object]) -> float:
    """Return the median processor milliseconds of a deed; the first round does not count."""
    taken = []
    for argument in arguments:
        started = time.thread_time()
        deed(argument)
        taken.append((time.thread_time() - started) * 1000)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
