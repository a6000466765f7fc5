"""How well skills are found: full text alone, vectors alone, and the matcher, on labelled sets.

usage: python bench/match.py SET_DIR… [--json] [--no-examples] [--model NAME] [--no-model]

Every set becomes a library of real skills in a file of its own. "text" is BM25 over full text, "vectors" the
nearest vector, "matcher" what ``skillsmith match`` does. All three rank for every query, also where the
matcher would say that none fits; that answer is judged by itself, on all queries. For text and vectors alone
it is given below a fixed score, fitted together with the matcher's weights (bench/fit_match.py). A query that
is itself an earlier task of a skill is taken out of that skill for its turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _matching import METRICS, LabelledSet, Library, Query, Remembering, load_set, quality

from skillsmith.library.candidates import TextIndex
from skillsmith.library.embedding import open_embedder
from skillsmith.library.weights import MIN_CONFIDENCE
from skillsmith.models import Embedder, Json

TEXT_NONE_BELOW = 0.67
VECTORS_NONE_BELOW = 0.64
DEPTH = 50

Answer = tuple[list[str], bool]


def main() -> None:
    """Measure the sets and print their figures."""
    parser = argparse.ArgumentParser(description="Judge matching on labelled sets.")
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET_DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--no-examples", action="store_true", help="skills know no earlier tasks")
    parser.add_argument("--model", help="an embedding model by name")
    parser.add_argument("--no-model", action="store_true", help="words alone")
    options = parser.parse_args()
    embedder = None if options.no_model else open_embedder(options.model)
    if embedder is None and not options.no_model:
        sys.exit("no embedding model is ready; run `skillsmith model install`, or give --no-model")
    figures = {}
    for folder in options.sets:
        chosen = load_set(folder, examples=not options.no_examples)
        figures[chosen.name] = measure(chosen, embedder)
        if not options.json:
            show(chosen, figures[chosen.name])
    if options.json:
        print(json.dumps({"model": embedder and embedder.model, "sets": figures}, indent=2))
    else:
        show_means(figures)


def measure(chosen: LabelledSet, embedder: Embedder | None) -> dict[str, Json]:
    """Return the figures of one set."""
    remembering = None if embedder is None else Remembering(embedder)
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "skills.db", chosen.skills, remembering)
        ways = dict(_ways(library, by_meaning=embedder is not None))
        answers: dict[str, list[tuple[Query, list[str], bool]]] = {way: [] for way in ways}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for query, names in library.passes(chosen.queries):
            if remembering is not None:
                library.vectors.embed(query.text)  # so that no timing holds the model's work
            for way, answer in ways.items():
                started = time.perf_counter()
                ranked, abstained = answer(query.text, names)
                times[way].append((time.perf_counter() - started) * 1000)
                answers[way].append((query, ranked, abstained))
        library.db.close()
    return {way: quality(found) for way, found in answers.items()} | {
        "latency_ms": {way: round(statistics.median(taken), 3) for way, taken in times.items()}
    }


def _ways(library: Library, *, by_meaning: bool) -> dict[str, Callable[[str, dict[int, str]], Answer]]:
    index = TextIndex(library.db)

    def text(task: str, names: dict[int, str]) -> Answer:
        found = index.search(index.question(task), limit=DEPTH)
        return [names[pk] for pk in found], max(found.values(), default=0.0) < TEXT_NONE_BELOW

    def vectors(task: str, names: dict[int, str]) -> Answer:
        found = library.vectors.search(task, limit=DEPTH)
        return [names[pk] for pk, _, _ in found], found[0][1] < VECTORS_NONE_BELOW

    def matcher(task: str, names: dict[int, str]) -> Answer:
        found = library.matcher.rank(task).candidates
        ranked = [names[one.card.pk] for one in found]
        return ranked, not found or found[0].confidence < MIN_CONFIDENCE

    return {"text": text, **({"vectors": vectors} if by_meaning else {}), "matcher": matcher}


def show(chosen: LabelledSet, figures: dict[str, Json]) -> None:
    """Print one set's figures."""
    none = sum(not query.right for query in chosen.queries)
    print(
        f"\n{chosen.name}: {len(chosen.skills)} skills, {len(chosen.queries)} queries, {none} without a skill"
    )
    columns = (*METRICS, "no_match_precision", "no_match_recall", "answered_rightly")
    print(f"  {'':8}", *(f"{column.removeprefix('no_match_'):>9.9}" for column in columns), f"{'ms':>7}")
    for way, milliseconds in figures["latency_ms"].items():
        values = (figures[way][column] for column in columns)
        print(
            f"  {way:8}",
            *(f"{'-' if v is None else format(v, '.3f'):>9}" for v in values),
            f"{milliseconds:7.2f}",
        )


def show_means(figures: dict[str, dict[str, Json]]) -> None:
    """Print the matcher's lead over the better of its parts, by set and in the mean."""
    leads = []
    for name, found in figures.items():
        means = {
            way: statistics.fmean(found[way][metric] for metric in METRICS) for way in found["latency_ms"]
        }
        better = max(value for way, value in means.items() if way != "matcher")
        leads.append(means["matcher"] - better)
        print(
            f"\n{name}: matcher {means['matcher']:.3f}, the better part {better:.3f}, lead {leads[-1]:+.3f}",
            end="",
        )
    print(f"\nmean lead over the better part: {statistics.fmean(leads):+.4f}")


if __name__ == "__main__":
    main()
