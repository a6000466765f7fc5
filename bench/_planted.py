"""The skills whose histories hold something to be found, and those that hold nothing."""

from __future__ import annotations

import time
from typing import Any

from _histories import TABLE, Planted, code, code_that_ran, number, reads, skill, table, tool, writes

from skillsmith.models import Constant, FromInput, FromNode, Json, Node, Slot, Template, Variable
from skillsmith.models.protocols import AgentTask

SLOW = "import time\ntime.sleep({seconds})\n"
_SUM = (
    "import csv, json\nrows = list(csv.DictReader(open({table})))\n"
    "print(json.dumps(sum(float(row['a']) for row in rows)))\n"
)


def slow(seconds: float) -> str:
    """Return the beginning of code that takes its time."""
    return SLOW.replace("{seconds}", str(seconds))


def overridden() -> Planted:
    """A number of bins that everybody sets to the same other value."""
    text = (
        "import json\nvalues = [{seed} * step % 17 for step in range(200)]\n"
        "print(json.dumps([values.count(one) for one in range({bins})]))\n"
    )
    made = skill(
        "histogram", "Count the values of seed", (number("seed", 3, required=True), number("bins", 10)),
        code("n1", text, places=("seed", "bins")), counts=FromNode("n1"),
    )  # fmt: skip
    return Planted(
        skill=made,
        kind="new_default",
        target="bins",
        inputs=lambda n: {"seed": 5 + n, "bins": 17},
        better=None,
    )


def never_needed() -> Planted:
    """A step whose condition was never true."""
    made = skill(
        "refund", "Work out the refund of order", (number("amount", 40, required=True),),
        code("n1", "print({amount} * 0.9)\n", places=("amount",)),
        code("n2", "open('approval.txt', 'w').write('ask')\n", "n1", condition="amount > 1000",
             writes=writes("approval.txt")),
        refund=FromNode("n1"),
    )  # fmt: skip
    return Planted(
        skill=made, kind="drop_node", target="n2", inputs=lambda n: {"amount": 20 + 7 * n}, better=None
    )


def never_works() -> Planted:
    """An optional step that fails every time, slowly."""
    preview = slow(0.4) + "import a_module_that_nobody_has\n"
    made = skill(
        "summary", "Sum up the table", (TABLE,),
        code("n1", _SUM, places=("table",), reads=reads("table")),
        code("n2", preview, "n1", optional=True),
        total=FromNode("n1"),
    )  # fmt: skip
    return Planted(
        skill=made, kind="drop_node", target="n2", inputs=lambda _: {"table": "table.csv"},
        files=lambda n: {"table.csv": table(5 + n, "a", "b")},
    )  # fmt: skip


def in_a_row() -> Planted:
    """Three reports that need nothing of each other, one after the other."""

    def report(name: str, factor: int) -> str:
        return (
            slow(0.35)
            + f"print({{seed}} * {factor})\nopen('{name}.txt', 'w').write(str({{seed}} * {factor}))\n"
        )

    def node(key: str, name: str, factor: int, *after: str) -> Node:
        slots = (Slot(variable="seed", encoding="python"),) * 2
        text = Template(text=report(name, factor), slots=slots)
        return Node(id=key, kind="code", title=name, template=text, after=after, writes=writes(f"{name}.txt"))

    made = skill(
        "reports", "Write the three reports of", (number("seed", 2, required=True),),
        node("n1", "north", 2), node("n2", "south", 3, "n1"), node("n3", "west", 5, "n2"),
        code("n4", "print(sum(int(open(f'{name}.txt').read()) for name in ('north', 'south', 'west')))\n",
             "n3"),
        total=FromNode("n4"),
    )  # fmt: skip
    return Planted(skill=made, kind="run_together", target="n2, n3", inputs=lambda n: {"seed": n + 1})


def computed_again() -> Planted:
    """A slow pure computation that two steps do alike."""
    text = slow(0.4) + "print(sum(one * one for one in range({limit})))\n"
    made = skill(
        "squares", "Add the squares up to", (number("limit", 10, required=True),),
        code("n1", text, places=("limit",)),
        code("n2", "print({first} + 1)\n", "n1", places=("first",), bindings={"first": FromNode("n1")}),
        code("n3", text, "n2", places=("limit",)),
        code("n4", "print({again} * 2)\n", "n3", places=("again",), bindings={"again": FromNode("n3")}),
        one=FromNode("n2"), two=FromNode("n4"),
    )  # fmt: skip
    return Planted(skill=made, kind="reuse_result", target="n3", inputs=lambda n: {"limit": 10 + n})


def asked_again() -> Planted:
    """A slow look-up that is made twice, the second time by the id that the first one gave."""

    def get_account(account: str) -> dict[str, Json]:
        time.sleep(0.2)
        return {"id": account, "owner": f"owner of {account}", "balance": len(account)}

    def send_letter(owner: str, text: str) -> dict[str, str]:
        return {"sent": f"{owner}: {text}"}

    made = skill(
        "letter", "Write to the owner of", (Variable(name="account", type="id", default="a", required=True),),
        tool("n1", "get_account", account=FromInput("account")),
        tool("n2", "get_account", "n1", account=FromNode("n1", ("id",))),
        tool("n3", "send_letter", "n2", effect="write", owner=FromNode("n2", ("owner",)),
             text=Constant("hello")),
        sent=FromNode("n3", ("sent",)),
    )  # fmt: skip
    return Planted(
        skill=made, kind="reuse_result", target="n2", inputs=lambda n: {"account": f"acc_{n:03}"},
        tools={"get_account": get_account, "send_letter": send_letter},
    )  # fmt: skip


def known_to_fail() -> Planted:
    """A table without its column is found out only after the slow part."""
    made = skill(
        "prices", "Add the prices in", (TABLE,),
        code("n1", slow(0.5) + "print('warmed up')\n"),
        code("n2", _SUM.replace("'a'", "'price'") + "print({start})\n", "n1", places=("table", "start"),
             reads=reads("table"), bindings={"start": FromNode("n1")}),
        total=FromNode("n2"),
    )  # fmt: skip

    def files(n: int) -> dict[str, str]:
        return {"table.csv": table(4 + n, "day", "cost" if n % 2 else "price")}

    return Planted(
        skill=made, kind="guard_failure", target="n2", inputs=lambda _: {"table": "table.csv"}, files=files
    )


def fails_for_some() -> Planted:
    """An optional chart that fails, slowly, in one mode."""
    chart = slow(0.6) + (
        "assert {mode} != 'dark', 'no dark charts here'\nopen('chart.txt', 'w').write({mode} * {value})\n"
    )
    mode = Variable(name="mode", type="string", default="light", required=True)
    made = skill(
        "chart", "Draw the chart of", (number("seed", 1, required=True), mode),
        code("n1", "print({seed} + 1)\n", places=("seed",)),
        code("n2", chart, "n1", places=("mode", "mode", "value"), optional=True,
             bindings={"value": FromNode("n1")}, writes=writes("chart.txt")),
        value=FromNode("n1"),
    )  # fmt: skip
    return Planted(
        skill=made, kind="guard_failure", target="n2",
        inputs=lambda n: {"seed": n, "mode": "light" if n % 3 == 0 else "dark"},
    )  # fmt: skip


def mended_alike() -> Planted:
    """Code that a model mends the very same way each time."""
    broken = slow(0.15) + "rows = open({table}).read().split()\nprint(total(rows))\n"

    def answer(task: AgentTask) -> dict[str, Any]:
        written = code_that_ran(task)
        line = next(one for one in written.splitlines() if one.startswith("rows = "))
        mended = slow(0.15) + f"{line}\nprint(len(rows))\n"
        return {"action": "code", "code": mended, "reason": "there is no function total"}

    made = skill(
        "words", "Count the words of", (TABLE,),
        code("n1", broken, places=("table",), reads=reads("table")), count=FromNode("n1"),
    )  # fmt: skip
    return Planted(
        skill=made, kind="replace_template", target="n1", inputs=lambda _: {"table": "table.csv"},
        files=lambda n: {"table.csv": table(6 + n, "a", "b")}, answer=answer,
    )  # fmt: skip


_HOUSE_RULES = (
    "Write in plain words and keep to what is known about the customer and the order.\n\n"
    "Never promise a date, a price or a refund that the records do not hold, and never blame anybody.\n\n"
)


def told_twice() -> Planted:
    """A prompt that says everything three times."""
    text = (
        _HOUSE_RULES * 3 + "Answer with the one word that says how order {order} stands.\n\n" + _HOUSE_RULES
    )
    prompt = Template(text=text, slots=(Slot(variable="order", encoding="text"),))
    made = skill(
        "status", "Say how the order stands:",
        (Variable(name="order", type="id", default="o1", required=True),),
        Node(id="n1", kind="agent", title="answer", agent="clerk", effect="read", template=prompt),
        word=FromNode("n1"),
    )  # fmt: skip

    def answer(task: AgentTask) -> str:
        order = task.prompt.partition("how order ")[2].partition(" ")[0]
        return "open" if int(order[1:]) % 2 else "shipped"

    return Planted(
        skill=made,
        kind="shorten_prompt",
        target="n1",
        inputs=lambda n: {"order": f"o{100 + n}"},
        answer=answer,
    )


def changed_each_time() -> Planted:
    """A limit in the code that a model has to set anew for each kind of table."""
    limits = (5, 8, 12)
    broken = (
        slow(0.15)
        + "rows = open({table}).read().split()\nassert len(rows) <= 3, len(rows)\nprint(len(rows))\n"
    )

    def answer(task: AgentTask) -> dict[str, Any]:
        written = code_that_ran(task)
        found = task.prompt.partition("AssertionError: ")[2].split()[0].strip("`.,;")
        limit = next(one for one in limits if int(found) <= one)
        return {
            "action": "code",
            "code": written.replace("<= 3", f"<= {limit}"),
            "reason": "the limit is too low",
        }

    made = skill(
        "limited", "Count at most so many rows of", (TABLE,),
        code("n1", broken, places=("table",), reads=reads("table")), count=FromNode("n1"),
    )  # fmt: skip
    return Planted(
        skill=made, kind="constant_to_variable", target="n1", inputs=lambda _: {"table": "table.csv"},
        files=lambda n: {"table.csv": table(3 + n % 8, "a", "b")}, answer=answer,
    )  # fmt: skip


def put_before() -> Planted:
    """A step that a model has to put before another each time."""

    def answer(_: AgentTask) -> dict[str, Any]:
        made = "import pathlib\npathlib.Path('ready.txt').write_text('yes')\n"
        return {"action": "add_before", "code": made, "reason": "ready.txt has to be there"}

    made = skill(
        "ready", "Read what is ready for", (number("seed", 1, required=True),),
        code("n1", slow(0.15) + "print(open('ready.txt').read(), {seed})\n", places=("seed",)),
        said=FromNode("n1"),
    )  # fmt: skip
    return Planted(skill=made, kind="add_node", target="n1", inputs=lambda n: {"seed": n}, answer=answer)


def nothing_to_do() -> Planted:
    """A skill that is as it should be."""
    made = skill(
        "plain", "Double the rows of", (TABLE, number("factor", 2)),
        code("n1", _SUM, places=("table",), reads=reads("table")),
        code("n2", "print({total} * {factor})\n", "n1", places=("total", "factor"),
             bindings={"total": FromNode("n1")}),
        result=FromNode("n2"),
    )  # fmt: skip
    return Planted(
        skill=made, kind=None, inputs=lambda n: {"table": "table.csv", "factor": 2 + n % 5},
        files=lambda n: {"table.csv": table(5 + n, "a")},
    )  # fmt: skip


def in_a_row_for_a_reason() -> Planted:
    """Two steps in a row that look independent: the second reads, undeclared, what the first wrote."""
    made = skill(
        "hidden", "Pass on the number", (number("seed", 1, required=True),),
        code("n1", slow(0.2) + "open('handed.txt', 'w').write(str({seed}))\n", places=("seed",)),
        code("n2", slow(0.2) + "print(int(open('handed.txt').read()) + 1)\n", "n1"),
        result=FromNode("n2"),
    )  # fmt: skip
    return Planted(skill=made, kind=None, inputs=lambda n: {"seed": n})


PLANTED = (
    overridden, never_needed, never_works, in_a_row, computed_again, asked_again, known_to_fail,
    fails_for_some,
    mended_alike, told_twice, changed_each_time, put_before,
)  # fmt: skip
CONTROLS = (nothing_to_do, in_a_row_for_a_reason)
