from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from code_plans import block, code_with, reason, task, variables
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.code.flow import CodeBlock, plan_code
from skillsmith.library.code.shell import shell_only_looks
from skillsmith.library.program.bindings import resolve
from skillsmith.library.templates import verify_template


def test_what_was_written_again_is_left_out() -> None:
    """A block whose every file a later one wrote anew, without reading it, is superseded."""
    first = block(2, 'open("p.txt", "w").write("1")', files_written={"p.txt": "1"})
    second = block(
        3, 'open("p.txt", "w").write("22")', files_written={"p.txt": "2"}, files_before={"p.txt": "1"}
    )
    reader = block(
        4, 'open("q.txt", "w").write(open("p.txt").read())', files_before={"p.txt": "1"},
        files_written={"q.txt": "1"},
    )  # fmt: skip
    assert plan_code([first, second], task("Write")).left_out == (2,)
    assert reason(plan_code([first, second], task("Write")), "code 2").rule == "superseded"
    between = block(5, second.text, files_before={"p.txt": "1"}, files_written={"p.txt": "2"})
    assert plan_code([first, reader, between], task("Write")).left_out == ()
    assert [one.after for one in plan_code([first, reader, between], task("Write")).blocks] == [
        (),
        (2,),
        (2, 4),
    ]


def test_repeated_and_redefined_code_is_left_out() -> None:
    """Of the same code run twice, and of a function written twice, the last stays."""
    old = "def area(r):\n    return 3 * r * r\nprint(area(2))"
    new = "def area(r):\n    return 3.14 * r * r\nprint(area(2))"
    plan = plan_code([block(2, old), block(3, new), block(4, "print(1)"), block(5, "print(1)")], task("Area"))
    assert plan.left_out == (2, 4)
    assert {reason(plan, f"code {seq}").rule for seq in plan.left_out} == {"done-again"}
    assert plan_code([block(2, "ask('a')"), block(3, "ask('b')")], task("Ask")).left_out == ()


def test_a_failure_that_left_what_is_needed_stays() -> None:
    """A block that failed, but only after it wrote a file that is read later, stays as optional."""
    plan = plan_code(
        [
            block(
                2,
                'open("d.csv", "w").write("1")\nraise SystemExit(1)',
                exit_code=1,
                files_written={"d.csv": "1"},
            ),
            block(3, 'print(open("d.csv").read())', files_before={"d.csv": "1"}),
        ],
        task("Read"),
    )
    assert [one.optional for one in plan.blocks] == [True, False]
    assert reason(plan, "code 2").rule == "failed-but-needed"


def test_a_failure_without_successor_is_left_out() -> None:
    """A failure that nothing replaced is left out and says so; with nothing else the plan is empty."""
    plan = plan_code([block(2, "1/0", exit_code=1)], task("Divide"))
    assert (plan.blocks, plan.left_out, reason(plan, "code 2").rule) == ((), (2,), "failed")


SNIPPETS = [
    'open("a.txt", "w").write("Lisbon 42")',
    'print(open("a.txt").read())',
    'x = {"k": {"n": 42}}\nprint(f"{x!r:>9}")',
    "def f(n=42): return n",
    "print(f(7))",
    'open("b.txt", "w").write(open("a.txt").read())',
    "import requests",
    "x = (",
    'city = "Lisbon"; print(f"{city} {{city}}")',
    "1/0",
]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SNIPPETS), st.sampled_from([0, 0, 1, None])), max_size=7))
def test_plans_are_always_whole_and_sound(run: list[tuple[str, int | None]]) -> None:
    """Every block is kept or left out with a reason; kept ones verify and come after kept ones only."""
    blocks = [block(seq, text, exit_code=code) for seq, (text, code) in enumerate(run, 2)]
    plan = plan_code(blocks, task("For Lisbon, 42 times, write a.txt"))
    kept = [one.seq for one in plan.blocks]
    assert sorted([*kept, *plan.left_out]) == [one.seq for one in blocks]
    assert {item.subject for item in plan.reasons if item.decision == "left_out"} == {
        f"code {seq}" for seq in plan.left_out
    }
    defaults = {variable.name: variable.default for variable in plan.variables}
    used = {slot.variable for one in plan.blocks for slot in one.template.slots}
    assert used == set(defaults)
    assert len(defaults) == len(plan.variables)
    for one in plan.blocks:
        assert all(seq in kept and seq < one.seq for seq in one.after)
        assert verify_template(one.template, defaults, one.block.text, language="python") == []
        for use in (*one.reads, *one.writes):
            assert isinstance(resolve(use.path, defaults, {}), str)


def run_in(folder: Path, codes: list[str]) -> list[CodeBlock]:
    """Run scripts one after the other, with the files before and after each as a tracker sees them."""
    blocks = []
    for seq, code in enumerate(codes, 2):
        before = digests(folder)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        written = {path: digest for path, digest in digests(folder).items() if before.get(path) != digest}
        blocks.append(
            CodeBlock(
                seq=seq,
                text=code,
                exit_code=done.returncode,
                output=done.stdout,
                files_before=before,
                files_written=written,
            )
        )
    return blocks


def digests(folder: Path) -> dict[str, str]:
    """Return the files of a folder with their digests."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


MISTAKE = "import csv\nrows = list(csv.DictReader(open('shop.csv')))\nprint(rows[0]['prize'])"
SELECT = """import csv
rows = list(csv.DictReader(open('shop.csv')))
big = [r for r in rows if float(r['price']) > 20]
with open('big.csv', 'w', newline='') as f:
    w = csv.DictWriter(f, ['name', 'price'])
    w.writeheader()
    w.writerows({k: r[k] for k in ('name', 'price')} for r in big)
"""
REPORT = """import csv
rows = list(csv.DictReader(open('big.csv')))
open('report.txt', 'w').write(f"{len(rows)} above 20: {[r['price'] for r in rows]}\\n")
"""


def test_a_real_run_does_the_same_again_and_other_things_with_other_inputs(tmp_path: Path) -> None:
    """A run executed for real is planned, run again to the same files, and with other inputs to others."""
    folders = [tmp_path / name for name in ("run", "again", "other")]
    for folder in folders:
        folder.mkdir()
        (folder / "shop.csv").write_text("name,price,cost\nnut,1,9\nbolt,30,80\n")
    run, again, other = folders
    blocks = run_in(run, [MISTAKE, SELECT, REPORT])
    plan = plan_code(blocks, task("Which rows of shop.csv have a price above 20? Write report.txt."))
    assert plan.left_out == (2,)
    assert [one.exit_code for one in run_in(again, code_with(plan))] == [0, 0]
    assert digests(again) == digests(run)
    number = next(name for name, one in variables(plan).items() if one.default == 20)
    assert [one.exit_code for one in run_in(other, code_with(plan, **{number: 0.5}))] == [0, 0]
    assert (run / "report.txt").read_text() == "1 above 20: ['30']\n"
    assert (other / "report.txt").read_text() == "2 above 20: ['1', '30']\n"


def test_blocks_that_only_looked_are_left_out() -> None:
    """What printed on the way to a result is left out, unless something used it or the answer tells it."""
    look = block(2, 'rows = open("a.csv").read()\nprint(len(rows))', output="4711\n")
    make = block(3, 'open("b.txt", "w").write("x")', files_written={"b.txt": "1"}, output="done\n")
    plan = plan_code([look, make], task("Write"))
    assert plan.left_out == (2,)
    assert reason(plan, "code 2").rule == "only-looked"
    assert plan_code([look, make], task("Write"), answers=["There are 4711 characters"]).left_out == ()
    user = block(4, "print(rows[:10])")
    assert 2 not in plan_code([look, make, user], task("Write")).left_out
    assert plan_code([make, look], task("Write")).left_out == ()


@pytest.mark.parametrize(
    "code",
    [
        'open(name, "w").write("x")', "df.to_csv(name)", "os.makedirs(name)", "subprocess.run(command)",
        "requests.post(address)", 'print("x", file=target)', "exec(text)",
    ],
)  # fmt: skip
def test_blocks_that_may_change_something_stay(code: str) -> None:
    """Nothing that may write, send or run something counts as a look, whatever a tracker saw."""
    make = block(3, 'open("b.txt", "w").write("x")', files_written={"b.txt": "1"})
    assert plan_code([block(2, f"import os, subprocess, requests\n{code}"), make], task("Do")).left_out == ()


@pytest.mark.parametrize(
    ("code", "looks"),
    [
        ("grep -w ERROR a.log | sort | uniq -c | head -n 3", True),
        ("cat a.log 2>/dev/null | awk '{print $3}'", True),
        ("LC_ALL=C sort -k2 a.log && wc -l < a.log", True),
        ("sort a.log > b.log", False),
        ("sort -o b.log a.log", False),
        ("sed -i s/a/b/ a.log", False),
        ("awk '{print > \"b.log\"}' a.log", False),
        ("curl http://x.org | head", False),
        ("echo $(rm a.log)", False),
        ("find . -name '*.tmp' -delete", False),
    ],
)
def test_shell_commands_that_only_look_are_known(code: str, looks: bool) -> None:
    """Only pipes of commands that change no file count as a look."""
    assert shell_only_looks(code) is looks
