"""Are the right improvements found in histories that really happened, and are the wrong ones kept out?

usage: python bench/optimize.py [--skills NAME …] [--executions 20] [--json]

Skills whose histories hold a planted regularity (bench/_planted) are each executed 20 times for real,
beside skills with nothing to find. Then they are optimized as ``skillsmith optimize NAME --apply`` does it,
and proposals that are harmful on purpose are given to the gate.

found            skills whose planted change is proposed, with kind and target
wrong            proposals that nothing was planted for
applied          new versions, each at least 20 % better in time or cost with an interval above zero, except a
                 new default, which saves an input to give and is listed as such
median_gain      of the applied versions that save time or cost, the larger of the two
harmful_rejected harmful changes that the gate rejected: a needed step dropped, results made wrong, slower,
                 a change outside left out
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from _histories import Planted, live
from _planted import CONTROLS, PLANTED, asked_again, in_a_row, never_works, slow

from skillsmith.library.optimizer import SkillOptimizer
from skillsmith.library.optimizing.gate import Gate
from skillsmith.library.proposing.edits import apply_change, template_json
from skillsmith.library.proposing.facts import FactReader
from skillsmith.library.proposing.proposals import Proposal
from skillsmith.models import Template
from skillsmith.workspace import Workspace, open_workspace


def main() -> int:
    """Run the histories, optimize, and print what came of it."""
    parser = argparse.ArgumentParser(description="Optimize skills with planted histories.")
    parser.add_argument("--skills", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--executions", type=int, default=20, help="of each skill")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="skillsmith-bench-") as folder:
        rows = list(run(Path(folder), [*PLANTED, *CONTROLS], options.skills, options.executions))
        harmful = [] if options.skills else list(harm(Path(folder) / "harm", options.executions))
    document = document_of(rows, harmful, seconds=time.perf_counter() - began)
    print(json.dumps(document, indent=2, ensure_ascii=False)) if options.json else show(document)
    return 0


def run(root: Path, makers: Sequence[Callable[[], Planted]], names: Sequence[str], count: int) -> Any:
    """Yield what came of each skill."""
    for place, make in enumerate(makers):
        planted = make()
        if names and planted.skill.name not in names:
            continue
        with open_workspace(root / f"{place}.db", _embedder=None) as workspace:
            live(workspace, planted, root=root / f"lives{place}", executions=count)
            yield row_of(workspace, planted)


def optimizer(workspace: Workspace, planted: Planted) -> SkillOptimizer:
    """Return an optimizer with the skill's model; tools are answered from the record."""
    return SkillOptimizer(workspace.db, workspace.skills, workspace.versions, agents=planted.agents)


def row_of(workspace: Workspace, planted: Planted) -> dict[str, Any]:
    """Optimize a skill and return what was proposed and made."""
    name = planted.skill.name
    done = optimizer(workspace, planted).optimize(name, apply=True)
    right = [one for one in done.proposals if (one.kind, one.target) == (planted.kind, planted.target)]
    verdict = done.verdict
    return {
        "skill": name,
        "planted": planted.kind and f"{planted.kind} {planted.target}",
        "proposed": [f"{one.kind} {one.target}" for one in done.proposals],
        "evidence": [one.evidence["text"] for one in right],
        "found": bool(right),
        "wrong": len(done.proposals) - len(right),
        "executions": done.executions,
        "decision": verdict.decision if verdict else None,
        "reason": verdict.reason if verdict else None,
        "pairs": verdict.pairs if verdict else 0,
        "applied": done.version is not None,
        "gain": gain_of(verdict.gains) if verdict and done.version else None,
        "must_gain": planted.better,
    }


def gain_of(gains: Any) -> float | None:
    """Return the larger of the sure gains in time and cost; None when neither is what it was made for."""
    sure = [
        one["gain"] for one in (gains["time"], gains["cost"]) if one and one["low"] > 0 and one["gain"] >= 0.2
    ]
    return max(sure) if sure else None


# ------------------------------------------------------------------------------------------------- harmful


def harm(root: Path, count: int) -> Any:
    """Yield what the gate says of changes that are harmful on purpose."""
    for planted, cases in (
        (in_a_row(), _harm_to_reports()),
        (asked_again(), _harm_to_letters()),
        (never_works(), _harm_to_sums()),
    ):  # fmt: skip
        folder = root / planted.skill.name
        folder.mkdir(parents=True)
        with open_workspace(folder / "harm.db", _embedder=None) as workspace:
            live(workspace, planted, root=folder, executions=min(count, 8))
            facts = FactReader(workspace.db).read(workspace.skills.get(planted.skill.name))
            for label, change in cases:
                proposal = Proposal(kind="drop_node", target=label, change=change, evidence={})
                child = apply_change(facts.skill, change)
                verdict, _ = Gate(workspace.db).judge(facts, child, [proposal])
                yield {"harm": label, "decision": verdict.decision, "reason": verdict.reason}


def _harm_to_reports() -> list[tuple[str, dict[str, Any]]]:
    nodes = {node.id: node for node in in_a_row().skill.nodes}
    first = nodes["n1"].template
    assert first is not None
    wrong = replace(first, text=first.text.replace("* 2", "* 7"))
    late = replace(first, text=first.text.replace("sleep(0.35)", "sleep(1.2)"))
    return [
        ("drops a step whose file another reads", {"edit": "drop", "node": "n2"}),
        ("makes a result wrong", {"edit": "template", "node": "n1", "template": template_json(wrong)}),
        ("is slower", {"edit": "template", "node": "n1", "template": template_json(late)}),
        ("takes away an order that is needed", {"edit": "order", "after": {"n4": []}}),
    ]


def _harm_to_letters() -> list[tuple[str, dict[str, Any]]]:
    return [
        ("sends another letter", {"edit": "constant", "node": "n3", "argument": "text", "to": "goodbye"}),
        ("sends no letter", {"edit": "condition", "node": "n3", "condition": "account == 'nobody'"}),
    ]


def _harm_to_sums() -> list[tuple[str, dict[str, Any]]]:
    text = Template(text=slow(0.0) + "print(42.0)\n")
    return [
        (
            "gives one answer to everything",
            {"edit": "template", "node": "n1", "template": template_json(text)},
        )
    ]


# ------------------------------------------------------------------------------------------------- printing


def document_of(rows: Sequence[dict[str, Any]], harmful: Sequence[dict[str, Any]], *, seconds: float) -> Any:
    """Return the figures."""
    planted = [row for row in rows if row["planted"]]
    gains = [row["gain"] for row in rows if row["gain"] is not None]
    return {
        "skills": len(planted),
        "controls": len(rows) - len(planted),
        "executions": sum(row["executions"] for row in rows),
        "found": sum(row["found"] for row in planted),
        "wrong": sum(row["wrong"] for row in rows),
        "applied": sum(row["applied"] for row in rows),
        "applied_with_gain": len(gains),
        "applied_to_save_an_input": [row["skill"] for row in rows if row["applied"] and row["gain"] is None],
        "not_applied_though_better": [
            row["skill"] for row in planted if row["must_gain"] and not row["applied"]
        ],
        "median_gain": round(statistics.median(gains), 3) if gains else None,
        "smallest_gain": round(min(gains), 3) if gains else None,
        "harmful": len(harmful),
        "harmful_rejected": sum(one["decision"] == "rejected" for one in harmful),
        "seconds": round(seconds, 1),
        "rows": list(rows),
        "harm": list(harmful),
    }  # fmt: skip


def show(document: dict[str, Any]) -> None:
    """Print a table."""
    for row in document["rows"]:
        verdict = "applied" if row["applied"] else row["decision"] or "–"
        print(
            f"{row['skill']:11} {row['planted'] or '(nothing)':24}"
            f" proposed: {', '.join(row['proposed']) or '–'}"
        )
        print(f"{'':11} {verdict}: {row['reason'] or ''}")
    for one in document["harm"]:
        print(f"harmful: {one['harm']}: {one['decision']}: {one['reason']}")
    print(
        f"\n{document['found']} of {document['skills']} found, {document['wrong']} wrong,"
        f" {document['applied_with_gain']} applied with a median gain of {document['median_gain'] or 0:.0%},"
        f" {document['harmful_rejected']} of {document['harmful']} harmful rejected; {document['seconds']} s"
    )


if __name__ == "__main__":
    sys.exit(main())
