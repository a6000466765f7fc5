"""Time export and import of skills against bare file I/O of the same bytes, in one run.

Goals for 1,000 skills (machine of the first measurement): export 60 ms, import 300 ms. Compare ratios, not
milliseconds, between machines. The first export looks for secrets, a later one knows what is clear; an import
parses all code that is new, a later one and a sync know what they have seen.

    python bench/exchange.py [--skills 1000] [--rounds 5] [--json]
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

from skillsmith.db import Database
from skillsmith.library.exchange import export_skills, import_files
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sync import sync_folder
from skillsmith.models import (
    FromInput,
    FromNode,
    Node,
    Proof,
    Reason,
    Skill,
    Slot,
    Template,
    Variable,
    Witness,
)

WORDS = (
    "load table column filter plot spectrum flight user booking report price order total mean date file"
).split()
CODE_LINES = 60
BODY_LINES = 50


def make_skill(number: int) -> Skill:
    """Return a skill of about 10 kB: 3 kB of notes, 2.5 kB of code, typed inputs, reasons and a proof."""
    word = WORDS[number % len(WORDS)]
    other = WORDS[number // len(WORDS) % len(WORDS)]
    code = [
        f"{WORDS[line % 16]}_{line} = {word}(frame, column={line}) + {number}" for line in range(CODE_LINES)
    ]
    return Skill(
        name=f"{word}-{other}-{number}", state="proven", description=f"{word} the {other}, kind {number}",
        task_pattern=f"{word} the {other} of {{column}} in {{path}}", tags=(word, other, "table"),
        variables=(
            Variable(name="path", type="path", required=True, description="the table"),
            Variable(name="column", type="string", default="mass"),
            Variable(name="bins", type="integer", default=30),
        ),
        outputs={"type": "object", "properties": {"result": {"type": "object"}}},
        output_bindings={"result": FromNode("n3")},
        nodes=(
            Node(id="n1", kind="tool", tool="get_table", effect="read",
                 arguments={"path": FromInput("path")}),
            Node(
                id="n2", kind="code", language="python", after=("n1",),
                template=Template(text="\n".join([*code, "print({column})", ""]),
                                  slots=(Slot(variable="column", encoding="python"),)),
            ),
            Node(id="n3", kind="tool", tool="save_table", after=("n2",),
                 arguments={"rows": FromNode("n1", ("rows", 0)), "bins": FromInput("bins")}),
        ),
        agents=("planner", "engineer"), examples=(f"{word} the {other} of mass in data_{number}.csv",),
        body="\n".join(
            f"Note {line}: {word} and {other} need a {WORDS[line % 16]} first." for line in range(BODY_LINES)
        ),
        why=tuple(
            Reason(subject=f"n1.{name}", decision="input", rule="user-words", value=name,
                   witnesses=(Witness(seq=1, where="task", text=name),))
            for name in ("path", "column", "bins")
        ),
        proofs=(Proof(level="reconstructs", passed=True, compared=3),),
    )  # fmt: skip


def timed(figures: dict[str, float], name: str, work: Callable[[], object]) -> None:
    """Note how long some work takes, and how much of the processor's time it is."""
    began, began_cpu = time.perf_counter(), time.process_time()
    work()
    figures[name] = (time.perf_counter() - began) * 1000
    figures[f"{name}_cpu"] = (time.process_time() - began_cpu) * 1000


def bare_write(files: dict[Path, bytes]) -> None:
    """Write files with nothing around it."""
    for path, data in files.items():
        path.write_bytes(data)


def one_round(folder: Path, skills: list[Skill]) -> dict[str, float]:
    """Time one round: export with the scan for secrets and without, bare files, import twice, sync."""
    shared, bare = folder / "shared", folder / "bare"
    bare.mkdir()
    source = SkillRepository(Database(folder / "source.db"))
    with source.transaction():
        for skill in skills:
            source.add(skill)
    figures: dict[str, float] = {}
    timed(figures, "export", lambda: export_skills(source, source.names(), shared))
    contents = {bare / path.name: path.read_bytes() for path in shared.iterdir()}
    timed(figures, "bare_write", lambda: bare_write(contents))
    timed(figures, "bare_read", lambda: [path.read_bytes() for path in sorted(shared.iterdir())])
    target = SkillRepository(Database(folder / "target.db"))
    timed(figures, "import", lambda: import_files(target, [shared]))
    timed(figures, "import_again", lambda: import_files(target, [shared]))
    timed(figures, "export_again", lambda: export_skills(source, source.names(), folder / "third"))
    sync_folder(source, shared)
    timed(figures, "sync_again", lambda: sync_folder(source, shared))
    export_skills(target, target.names(), folder / "again")
    same = all((folder / "again" / path.name).read_bytes() == path.read_bytes() for path in shared.iterdir())
    if not same:
        raise SystemExit("an imported skill does not export the same bytes")
    figures["bytes"] = sum(map(len, contents.values()))
    return figures


def main() -> None:
    """Run the rounds and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skills", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    skills = [make_skill(number) for number in range(options.skills)]
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_round(Path(folder), skills))
    median = {name: round(statistics.median(figures[name] for figures in rounds), 1) for name in rounds[0]}
    result = {
        "skills": options.skills,
        "milliseconds": median,
        "export_vs_bare_write": round(median["export"] / median["bare_write"], 2),
        "import_vs_bare_read": round(median["import"] / median["bare_read"], 2),
        "goal_milliseconds": {"export": 60, "import": 300},
    }
    if options.json:
        json.dump(result, sys.stdout)
        print()
        return
    for name, value in median.items():
        print(f"{name:14} {value:12.1f}")
    print(f"export is {result['export_vs_bare_write']} × bare writing, goal 60 ms for 1,000 skills")
    print(f"import is {result['import_vs_bare_read']} × bare reading, goal 300 ms for 1,000 skills")


if __name__ == "__main__":
    main()
