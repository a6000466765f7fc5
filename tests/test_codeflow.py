from __future__ import annotations

import pytest
from code_plans import block, code_with, reason, task, variables

from skillsmith.library.code.flow import CodePlan, plan_code
from skillsmith.library.program.bindings import show
from skillsmith.library.templates import join_templates, render
from skillsmith.models import Constant, FromInput, Text

SALES = {"data/sales.csv": "d1"}


def constants(plan: CodePlan) -> dict[object, str]:
    """Return why values stayed constant."""
    return {str(item.value): item.rule for item in plan.reasons if item.decision == "constant"}


ANALYSIS = """import pandas as pd
df = pd.read_csv("data/sales.csv")
df["price"] = df["price"].astype(float)
sigma = 5
limit = df["price"].mean() + sigma * df["price"].std()
df[df["price"] > limit].to_csv("outliers.csv", index=False)
print(f"{len(df)} rows, beyond 5-sigma: {df['price'].max():.2f} in Paris")
"""
PLOT = """import matplotlib.pyplot as plt
import pandas as pd
df = pd.read_csv("outliers.csv")
plt.plot(df["day"], df["price"])
plt.title("Outliers of price in Paris")
plt.savefig("plot.png", dpi=1)
"""
TASK = "Find 5-sigma outliers of the price column of data/sales.csv for Paris and save a plot as PNG."


@pytest.fixture(name="outliers")
def outliers_plan() -> CodePlan:
    """Return the plan of a run with a failure, an analysis and a plot."""
    return plan_code(
        [
            block(3, ANALYSIS.replace("mean()", "meen()"), exit_code=1, files_before=SALES),
            block(5, ANALYSIS, files_before=SALES, files_written={"outliers.csv": "d2"}),
            block(7, PLOT, files_before={**SALES, "outliers.csv": "d2"}, files_written={"plot.png": "d3"}),
        ],
        task(TASK),
    )


def test_said_values_become_typed_variables(outliers: CodePlan) -> None:
    """Paths, columns, numbers, formats and names that the task says are the inputs, named by the code."""
    found = {name: (one.type, one.default, one.required) for name, one in variables(outliers).items()}
    assert found == {
        "input_file": ("path", "data/sales.csv", True),
        "price_column": ("string", "price", False),
        "output_format": ("string", "png", False),
        "sigma": ("integer", 5, False),
        "name": ("string", "Paris", False),
    }


def test_one_value_is_one_variable_in_all_its_places(outliers: CodePlan) -> None:
    """Another value reaches every place, also in titles and inside f-strings, in every block."""
    first, second = code_with(outliers, price_column="unit cost", sigma=3, name='"Rio"', output_format="pdf")
    assert first.count("unit cost") == 6
    assert "price" not in first + second
    assert "sigma = 3\n" in first
    assert "beyond 3-sigma" in first
    assert 'in \\"Rio\\""' in second
    assert 'plt.savefig("plot.pdf", dpi=1)' in second
    assert code_with(outliers) == [ANALYSIS, PLOT]


def test_failed_attempts_are_left_out_with_their_successor(outliers: CodePlan) -> None:
    """A failed block that a later one did again is left out, and the reason names both."""
    assert outliers.left_out == (3,)
    assert [one.seq for one in outliers.blocks] == [5, 7]
    why = reason(outliers, "code 3")
    assert (why.decision, why.rule) == ("left_out", "failed-then-replaced")
    assert [witness.seq for witness in why.witnesses] == [3, 5]


def test_files_bind_blocks_together(outliers: CodePlan) -> None:
    """A file that one block writes and a later reads orders them and stays as it is."""
    first, second = outliers.blocks
    assert second.after == (5,)
    assert [use.path for use in first.reads] == [FromInput("input_file")]
    assert [(use.path, use.digest) for use in first.writes] == [(Constant("outliers.csv"), "d2")]
    assert [use.path for use in second.reads] == [Constant("outliers.csv")]
    assert [use.path for use in second.writes] == [Text(("plot.", FromInput("output_format")))]
    assert reason(outliers, "code 7 after code 5").rule == "earlier-file"
    assert reason(outliers, "file outliers.csv").rule == "passed-file"
    assert outliers.packages == ("matplotlib", "pandas")
    assert not outliers.shares_state


def test_every_decision_has_its_evidence(outliers: CodePlan) -> None:
    """Each variable shows where it was said and where it stands; each constant says why it is one."""
    why = reason(outliers, "code 5.sigma")
    assert (why.decision, why.rule, why.value) == ("input", "user-words", 5)
    assert {witness.where for witness in why.witnesses} == {"task", "code"}
    assert constants(outliers) == {"False": "no-source", "day": "no-source", "1": "no-source"}


def test_short_and_common_values_need_a_second_witness() -> None:
    """A small number, a boolean or a common word binds only where its name is said with it."""
    code = 'df.head(3)\nplot(bins=8, grid=True)\nx = y[1]\nagg("mean")\nopen(f, encoding="utf-8")\n'
    said = "Take the mean of the top 3 rows of 1 table, with 8 bins, encoding utf-8 and 'true' friends."
    plan = plan_code([block(2, code)], task(said))
    assert {name: one.default for name, one in variables(plan).items()} == {
        "rows": 3, "bins": 8, "encoding": "utf-8",
    }  # fmt: skip
    assert constants(plan) == {
        "True": "needs-second-witness", "1": "needs-second-witness", "mean": "needs-second-witness",
    }  # fmt: skip


def test_equal_short_values_said_apart_are_two_variables() -> None:
    """The same small number said twice, of different things, is two inputs; said once it is one."""
    code = "plot(bins=8, rows=8)\ndef f(bins=8): ..."
    assert code_with(plan_code([block(2, code)], task("Plot 8 bins of 8 rows")), bins=9) == [
        "plot(bins=9, rows=8)\ndef f(bins=9): ..."
    ]


def test_words_that_stand_by_chance_do_not_bind() -> None:
    """Keys that the code makes, printed words, parts of names and of dates are no inputs."""
    code = 'out = {"average": 1}\nprint("average")\nrun("sales.csv", year(2024))\nx = "Lisbon"\n'
    said = "Report the average of old-sales.csv.bak since 2024-05-01, 2024.5 and so on. Lisbonne is far."
    plan = plan_code([block(2, code)], task(said))
    assert plan.variables == ()
    assert constants(plan)["average"] == "chance-word"


def test_only_words_said_before_count() -> None:
    """What a user says after a block ran is not where its literals came from."""
    code = 'city = "Lisbon"'
    assert not plan_code([block(2, code)], [(3, "user", "And Lisbon?")]).variables
    assert plan_code([block(4, code)], [(3, "user", "And Lisbon?")]).variables


def test_lists_dates_and_addresses_are_typed() -> None:
    """An enumeration becomes a list; dates, addresses and ids get their types, also inside longer text."""
    code = (
        'cols = ["price", "quantity"]\n'
        "sql = \"SELECT * FROM orders WHERE day >= '2024-05-22' AND mail = 'a@b.org'\"\n"
        'get("https://api.example.org/v1/HAT097")\n'
    )
    said = "Sum price and quantity of orders since 2024-05-22 for a@b.org, flight HAT097."
    found = {one.type: one.default for one in plan_code([block(2, code)], task(said)).variables}
    assert found == {
        "list": ["price", "quantity"], "date": "2024-05-22", "email": "a@b.org", "id": "HAT097",
    }  # fmt: skip


def test_unsaid_files_are_inputs_and_results_too() -> None:
    """A file that was there becomes a required input, a file nobody reads later an optional one."""
    code = (
        'import json, os\nd = json.load(open(os.path.join("data", "in.json")))\n'
        'json.dump(d, open("out/o.json", "w"))\n'
    )
    plan = plan_code(
        [block(2, code, files_before={"data/in.json": "1"}, files_written={"out/o.json": "2"})],
        task("Do it."),
    )
    found = variables(plan)
    assert (found["input_file"].default, found["input_file"].required) == ("in.json", True)
    assert (found["output_file"].default, found["output_file"].required) == ("out/o.json", False)
    assert [use.path for use in plan.blocks[0].reads] == [Text(("data/", FromInput("input_file")))]
    assert {reason(plan, f"code 2.{name}").rule for name in found} == {"input-file", "output-file"}


def test_absolute_paths_of_the_work_folder_move_with_it() -> None:
    """The work folder's own path becomes one variable, the files in it are relative."""
    code = (
        'import pandas as pd\nout = "/home/u/p/results"\n'
        'pd.read_csv("/home/u/p/a.csv").to_csv(f"{out}/b.csv")\n'
    )
    plan = plan_code(
        [block(2, code, files_before={"a.csv": "1"}, files_written={"results/b.csv": "2"})],
        task("Copy a.csv"),
        work_dir="/home/u/p",
    )
    assert plan.work_dir_variable == "work_dir"
    assert {name: one.default for name, one in variables(plan).items()} == {
        "work_dir": "/home/u/p", "input_file": "a.csv", "output_file": "b.csv",
    }  # fmt: skip
    assert code_with(plan, work_dir=".", input_file="c.csv")[0].count("./") == 2
    assert [use.path for use in plan.blocks[0].writes] == [Text(("results/", FromInput("output_file")))]


def test_blocks_that_share_names_are_told_to_run_together() -> None:
    """Names that only an earlier block defines mean shared state; the templates join into one script."""
    plan = plan_code(
        [
            block(2, 'import csv\nrows = list(csv.reader(open("a.csv")))', files_before={"a.csv": "1"}),
            block(4, "def last(n=10):\n    return rows[-n:]\n"),
            block(6, "print([r for r in last()])"),
        ],
        task("Show the last 10 rows of a.csv"),
    )
    assert plan.shares_state
    assert [one.after for one in plan.blocks] == [(), (2,), (4,)]
    joined = join_templates([one.template for one in plan.blocks])
    defaults = {variable.name: variable.default for variable in plan.variables}
    assert render(joined, defaults, language="python") == "\n\n".join(one.block.text for one in plan.blocks)


def test_shell_commands_are_traced_too() -> None:
    """Words of a command bind like literals of code; the program stays, installations become packages."""
    plan = plan_code(
        [
            block(2, "pip install -q pandas==2.1 requests\n", language="bash"),
            block(
                3,
                'python analyse.py --input sales.csv --city "New York" --days 30 > report.txt',
                language="bash",
                files_before={"analyse.py": "1", "sales.csv": "2"},
                files_written={"report.txt": "3"},
            ),
        ],
        task("Analyse sales.csv for New York over 30 days"),
    )
    assert {name: one.default for name, one in variables(plan).items()} == {
        "input_file": "sales.csv", "output_file": "report.txt", "city": "New York", "days": 30,
    }  # fmt: skip
    assert plan.packages == ("pandas", "requests")
    assert reason(plan, "code 2").rule == "installs-packages"
    assert reason(plan, "file analyse.py").rule == "program-file"
    assert code_with(plan, city="St. John's; rm -rf /")[0].count('"St. John\'s; rm -rf /"') == 1


def test_dependence_on_anything_but_inputs_is_noted() -> None:
    """Clocks, unseeded chance, ids, the network, the environment and people are noted with their line."""
    code = (
        "import random, time, uuid, os, requests\nfrom datetime import datetime as dt\nimport numpy as np\n"
        "rng = np.random.default_rng(7)\nprint(dt.now(), random.random(), uuid.uuid4())\n"
        "os.environ['X']; requests.get('http://x'); input()\n"
    )
    notes = plan_code([block(2, code)], task("x")).nondeterminism
    assert [note.split(" depends on ") for note in notes] == [
        ["code 2 line 5: datetime.datetime.now", "the time"],
        ["code 2 line 5: random.random", "chance"],
        ["code 2 line 5: uuid.uuid4", "a new id"],
        ["code 2 line 6: input", "a person"],
        ["code 2 line 6: os.environ", "the environment"],
        ["code 2 line 6: requests.get", "the network"],
    ]
    seeded = "import random\nrandom.seed(1)\nrandom.random()"
    assert plan_code([block(2, seeded)], task("x")).nondeterminism == ()


def test_files_are_seen_without_a_tracker() -> None:
    """Where nobody watched the files, the calls that open them must do."""
    plan = plan_code(
        [
            block(2, 'import pandas as pd\npd.read_csv("a.csv").describe().to_json("b.json")'),
            block(3, 'from pathlib import Path\np = Path("b.json")\nprint(p.read_text())'),
        ],
        task("Describe a.csv"),
    )
    assert variables(plan)["input_file"].default == "a.csv"
    assert plan.blocks[1].after == (2,)


def test_code_that_cannot_be_read_stays_as_it_is() -> None:
    """Magics, other languages and unclosed quotes are kept whole, without places."""
    texts = [("python", "%matplotlib inline\nx = 5"), ("sql", "select 5"), ("bash", "echo 'five")]
    plan = plan_code(
        [block(seq, text, language=language) for seq, (language, text) in enumerate(texts, 2)], task("x = 5")
    )
    assert [one.template.text for one in plan.blocks] == [text for _, text in texts]
    assert plan.variables == ()


def test_names_never_collide_with_braces_in_the_code() -> None:
    """A variable gets another name where its place could be taken for braces that the code has."""
    plan = plan_code([block(2, 'city = "Lisbon"\nprint(f"in {city}")')], task("Weather in Lisbon"))
    assert [one.name for one in plan.variables] == ["city_text"]
    assert code_with(plan, city_text="Rio") == ['city = "Rio"\nprint(f"in {city}")']


def test_short_values_with_a_telling_name_are_lifted() -> None:
    """A number said once in figures is the one that the code names; so is a word in the same capitals."""
    code = 'CAP = 7\nFACTOR = 1.5\nstep = 1\nlevel = "WARN"\nprint(CAP, FACTOR, step, level)'
    words = task("The 7 hosts with most WARN lines, each counted 1.5 times, 1 a line")
    assert {name: one.default for name, one in variables(plan_code([block(2, code)], words)).items()} == {
        "cap": 7, "factor": 1.5, "level": "WARN",
    }  # fmt: skip
    twice = block(2, "CAP = 7\nWEEK = 7\nprint(CAP, WEEK)")
    assert variables(plan_code([twice], words)) == {}
    spelled = task("The seven hosts with most lines")
    assert variables(plan_code([block(2, "CAP = 7\nprint(CAP)")], spelled)) == {}


def test_a_short_number_given_to_the_own_function_is_lifted() -> None:
    """What the code gives only to functions and classes that it defines itself is what the task asked for."""
    code = (
        "def sqr(x):\n    return x * x\n\n"
        "class Box:\n    def __init__(self, side):\n        self.side = side\n\n"
        "print(sqr(7), Box(9).side)\nopen('sq.txt', 'w').write(str(sqr(7)))\n"
    )
    plan = plan_code([block(2, code)], task("Write the square of 7 to sq.txt, in a box of 9"))
    defaults = {one.default for one in variables(plan).values()}
    assert {7, 9} <= defaults
    elsewhere = plan_code([block(2, f"{code}rows = range(7)\n")], task("Write the square of 7 to sq.txt"))
    assert 7 not in {one.default for one in variables(elsewhere).values()}


def test_shell_settings_and_what_is_searched_for_are_lifted() -> None:
    """The value of a setting is whole, and the first operand of a search is its pattern, not its verb."""
    said = task("Filter sales.csv for south with a width of 12 and the value 42")
    code = "VALUE=42\ngrep -i south sales.csv > found.csv\n./draw --width=12 found.csv"
    plan = plan_code([block(2, code, language="sh")], said)
    found = {name: one.default for name, one in variables(plan).items()}
    assert {"south", 42, 12} <= set(found.values())
    short = task("Give the 7 hosts with most errors")
    assert variables(plan_code([block(2, "sleep 7\nping -c 3 host", language="sh")], short)) == {}


def test_plain_words_need_more_than_to_stand_in_a_call() -> None:
    """A heading that happens to be a word of the task is no input; a folder that was said is."""
    code = 'writer.writerow(["day", "person", "total"])\nPath("letters").mkdir()\nopen(name + ".txt")'
    plan = plan_code([block(2, code)], task("One person a day from a.txt, files in letters/"))
    assert {name: one.default for name, one in variables(plan).items()} == {"folder": "letters"}


def test_files_named_by_the_data_are_not_promised() -> None:
    """A result whose name stands nowhere in the code is left out with a reason."""
    code = 'for row in open("a.csv"):\n    open(row.strip() + ".txt", "w").write("x")\nopen("sum.txt", "w")'
    made = block(
        2, code, files_before={"a.csv": "0"}, files_written={"ann.txt": "1", "bob.txt": "1", "sum.txt": "2"}
    )
    plan = plan_code([made], task("A file for everybody in a.csv"))
    assert [show(use.path) for use in plan.blocks[0].writes] == ["{output_file}"]
    assert reason(plan, "file ann.txt").rule == "named-by-data"
    assert reason(plan, "file bob.txt").decision == "left_out"
