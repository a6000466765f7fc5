"""How well skills are found: full text alone, vectors alone, and the matcher, on labelled sets.

usage: python bench/match.py SET_DIR… [--json] [--no-examples] [--model NAME] [--no-model]

Every set becomes a library of real skills in a file of its own. "text" is BM25 over full text, "vectors" the
nearest vector, "matcher" what ``skillsmith match`` does. All three rank for every query, also where the
matcher would say that none fits; that answer is judged by itself, on all queries. For text and vectors alone
it is given below a fixed score, fitted together with the matcher's weights (bench/fit_match.py). A query that
is itself an earlier task of a skill is taken out of that skill for its turn.

"none right" and "none found" are precision and recall of the answer that no skill fits, "false none" is the
share of the tasks with a skill that got it. "ECE" is how far the confidence of the matcher is from the share
of its first answers that are right; the table at the end shows both by tenths, over all sets together.
"Words decide" is the share of the tasks for which ``run`` need not ask the model, and how many of those
answers are not the matcher's.
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

from _matching import (
    FALSE_ABSTENTIONS,
    METRICS,
    LabelledSet,
    Library,
    Query,
    Remembering,
    calibration_error,
    load_set,
    no_match_recall_at,
    quality,
    reliability,
)

from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.library.matching.candidates import TextIndex
from skillsmith.library.matching.ranking import NOT_ASKED
from skillsmith.library.matching.weights import MIN_CONFIDENCE
from skillsmith.models import Embedder, Json

TEXT_NONE_BELOW = 0.67
VECTORS_NONE_BELOW = 0.64
DEPTH = 50

COLUMNS = {
    "no_match_precision": "none right", "no_match_recall": "none found", "false_abstentions": "false none",
    "answered_rightly": "answered", "calibration_error": "ECE",
}  # fmt: skip

Answer = tuple[list[str], bool, float]
Answers = dict[str, list[tuple[Query, Answer]]]


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
    figures, sure = {}, []
    for folder in options.sets:
        chosen = load_set(folder, examples=not options.no_examples)
        answers, times, exits = ask(chosen, embedder)
        figures[chosen.name] = judge(answers) | {"latency_ms": times, "early_exits": exits}
        sure += first_answers(answers)
        if not options.json:
            show(chosen, figures[chosen.name])
    table = reliability(sure)
    calibration = {"calibration_error": round(calibration_error(table), 4), "reliability": table}
    if options.json:
        print(json.dumps({"model": embedder and embedder.model, "sets": figures, **calibration}, indent=2))
        return
    show_means(figures)
    show_reliability(calibration)


def ask(chosen: LabelledSet, embedder: Embedder | None) -> tuple[Answers, dict[str, float], dict[str, float]]:
    """Return each way's answers to the queries of a set, its median milliseconds, and the early exits."""
    remembering = None if embedder is None else Remembering(embedder)
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "skills.db", chosen.skills, remembering)
        ways = dict(_ways(library, by_meaning=embedder is not None))
        answers: Answers = {way: [] for way in ways}
        times: dict[str, list[float]] = {way: [] for way in ways}
        same = list[bool]()
        for query, names in library.passes(chosen.queries):
            if remembering is not None:
                library.vectors.embed(query.text)  # so that no timing holds the model's work
            for way, answer in ways.items():
                started = time.perf_counter()
                found = answer(query.text, names)
                times[way].append((time.perf_counter() - started) * 1000)
                answers[way].append((query, found))
            same += _decided_alike(library, query.text, answers["matcher"][-1][1])
        library.db.close()
    exits = {"share": round(len(same) / len(chosen.queries), 4), "other_answers": same.count(False)}
    return answers, {way: round(statistics.median(taken), 3) for way, taken in times.items()}, exits


def _decided_alike(library: Library, task: str, answer: Answer) -> list[bool]:
    """Return whether words alone decide as the matcher does; nothing where they do not decide."""
    found = library.matcher.choose(task, min_confidence=MIN_CONFIDENCE)
    if NOT_ASKED not in found.reason:
        return []
    ranked, abstained, _ = answer
    return [not abstained and [one.name for one in found.matches] == ranked[:1]]


def judge(answers: Answers) -> dict[str, Json]:
    """Return the figures of one set."""
    figures: dict[str, Json] = {
        way: quality([(query, ranked, abstained) for query, (ranked, abstained, _) in found])
        for way, found in answers.items()
    }
    table = reliability(first_answers(answers))
    sure = [(query, confidence) for query, (_, _, confidence) in answers["matcher"]]
    figures["matcher"] |= {
        "calibration_error": calibration_error(table),
        "no_match_recall_at_5%_false": no_match_recall_at(sure, FALSE_ABSTENTIONS),
        "reliability": table,
    }
    return figures


def first_answers(answers: Answers) -> list[tuple[float, bool]]:
    """Return the confidence of the matcher's first answers, and whether they are right."""
    return [
        (confidence, bool(ranked) and ranked[0] in query.right)
        for query, (ranked, _, confidence) in answers["matcher"]
    ]


def _ways(library: Library, *, by_meaning: bool) -> dict[str, Callable[[str, dict[int, str]], Answer]]:
    index = TextIndex(library.db)

    def text(task: str, names: dict[int, str]) -> Answer:
        found = index.search(index.question(task), limit=DEPTH)
        best = max(found.values(), default=0.0)
        return [names[pk] for pk in found], best < TEXT_NONE_BELOW, best

    def vectors(task: str, names: dict[int, str]) -> Answer:
        found = library.vectors.search(task, limit=DEPTH)
        return [names[pk] for pk, _, _ in found], found[0][1] < VECTORS_NONE_BELOW, found[0][1]

    def matcher(task: str, names: dict[int, str]) -> Answer:
        found = library.matcher.rank(task).candidates
        best = found[0].confidence if found else 0.0
        return [names[one.card.pk] for one in found], best < MIN_CONFIDENCE, best

    return {"text": text, **({"vectors": vectors} if by_meaning else {}), "matcher": matcher}


def show(chosen: LabelledSet, figures: dict[str, Json]) -> None:
    """Print one set's figures."""
    none = sum(not query.right for query in chosen.queries)
    print(
        f"\n{chosen.name}: {len(chosen.skills)} skills, {len(chosen.queries)} queries, {none} without a skill"
    )
    heads = [*METRICS, *COLUMNS.values()]
    print(f"  {'':8}", *(f"{head:>10}" for head in heads), f"{'ms':>7}")
    for way, milliseconds in figures["latency_ms"].items():
        values = (figures[way].get(column) for column in (*METRICS, *COLUMNS))
        shown = (f"{'-' if value is None else format(value, '.3f'):>10}" for value in values)
        print(f"  {way:8}", *shown, f"{milliseconds:7.2f}")
    exits = figures["early_exits"]
    print(f"  words decide {exits['share']:.3f} of the tasks, {exits['other_answers']} of them otherwise")
    best = figures["matcher"]["no_match_recall_at_5%_false"]
    if best is not None:
        print(f"  of the tasks without a skill {best:.3f} are found when 5 % of the others may be lost")


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


def show_reliability(calibration: dict[str, Json]) -> None:
    """Print confidence beside the share that is right."""
    print(f"\ncalibration error over all queries: {calibration['calibration_error']:.3f}")
    print("  confidence   answers   mean  right")
    for row in calibration["reliability"]:
        print(f"  from {row['from']:.1f}   {row['count']:9} {row['confidence']:7.3f} {row['right']:6.3f}")


if __name__ == "__main__":
    main()
