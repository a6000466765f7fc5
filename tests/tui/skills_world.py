"""Skills of every kind over the story's workspace: versions, uses, quarantine, a graph worth drawing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from story import NOW

from skillsmith.library.exchange import export_skills, import_files
from skillsmith.models import (
    Adaptation,
    Constant,
    Execution,
    FromInput,
    FromItem,
    FromNode,
    Json,
    Node,
    Proof,
    Skill,
    Slot,
    Template,
    Variable,
)
from skillsmith.workspace import Workspace, open_workspace

DAY = 86400.0

PLOT_CODE = """\
import csv
import matplotlib.pyplot as plt

with open({input_path}, newline="") as source:
    rows = [row for row in csv.DictReader(source) if float(row["k"]) <= {k_max}]
plt.loglog([float(row["k"]) for row in rows], [float(row["power"]) for row in rows])
plt.savefig({output_path})
print(f"drew {len(rows)} points")
"""


def code(key: str, text: str, *after: str, title: str, slots: tuple[str, ...] = (), **more: Any) -> Node:
    """Return a node of Python code."""
    template = Template(text=text, slots=tuple(Slot(variable=one, encoding="python") for one in slots))
    return Node(id=key, kind="code", language="python", template=template, title=title, after=after, **more)


def tool(key: str, name: str, *after: str, effect: Any = "read", **more: Any) -> Node:
    """Return a node that calls a tool."""
    return Node(id=key, kind="tool", tool=name, after=after, effect=effect, **more)


PLOT = Skill(
    name="plot_spectrum", state="proven", tags=("plot", "science"),
    description="Read a measured power spectrum, cut it off and draw it",
    task_pattern="plot the power spectrum of {input_path} up to {k_max} into {output_path}",
    variables=(
        Variable(name="input_path", type="path", default="pk.csv", required=True, description="measured"),
        Variable(name="k_max", type="number", default=10.0, description="where it is cut off"),
        Variable(name="output_path", type="path", default="spectrum.png"),
        Variable(name="scale", type="enum", enum=("linear", "log"), default="log"),
        Variable(name="grid", type="boolean", default=True),
        Variable(name="since", type="date", default="2026-01-31"),
        Variable(name="labels", type="list", default=["k", "P(k)"]),
    ),
    nodes=(
        tool("n1", "get_catalogue", arguments={"path": FromInput("input_path")}),
        tool("n2", "get_mask", arguments={"path": FromInput("input_path")}),
        tool("n3", "fetch_page", "n1", for_each=FromNode("n1", ("pages",)), arguments={"page": FromItem()}),
        code("n4", "print({k_max})", "n1", "n2", title="estimate the spectrum", slots=("k_max",)),
        Node(id="n5", kind="check", template=Template(text="len(n3) > 0"), after=("n3",), effect="read"),
        tool("n6", "notify_team", "n4", effect="write", optional=True, arguments={"text": Constant("done")}),
        code(
            "n7", PLOT_CODE, "n4", "n5", title="draw it",
            slots=("input_path", "k_max", "output_path"), condition="inputs['grid']",
        ),
        Node(
            id="n8", kind="agent", agent="writer", template=Template(text="Describe the spectrum."),
            after=("n7",), effect="write",
        ),
    ),
    agents=("engineer", "writer"),
    context_requirements={"packages": ["matplotlib"], "files": ["pk.csv"]},
    output_bindings={"pages": FromNode("n1", ("pages",))},
    proofs=(
        Proof(level="reconstructs", passed=True, compared=41, at=NOW - 9 * DAY, duration_seconds=0.21),
        Proof(
            level="replays", passed=False, compared=8, failures=("n7: spectrum.png differs in 12 % of it",),
            at=NOW - 8 * DAY, duration_seconds=3.4,
        ),
    ),
)  # fmt: skip

REPORT = Skill(
    name="weekly_report", state="trusted", description="Wait for the report of the week and hand it on",
    task_pattern="make the report of {week}", tags=("report",),
    variables=(Variable(name="week", type="string", default="2026-W30", required=True),
               Variable(name="seconds", type="number", default=0.01)),
    nodes=(
        tool("n1", "slow_report", arguments={"seconds": FromInput("seconds")}),
        Node(id="n2", kind="approval", template=Template(text="Hand it on?"), after=("n1",), effect="read"),
    ),
    output_bindings={"report": FromNode("n1")},
)  # fmt: skip


def write_skills(path: Path, folder: Path) -> None:
    """Add skills and what they did to the story's file.

    Args:
        path: The file.
        folder: Where a shared skill is put on the way.
    """
    ticking = iter(range(100_000))
    with (
        patch("time.time", lambda: NOW - 9 * DAY + next(ticking) / 1000),
        open_workspace(path, _embedder=None) as workspace,
    ):
        workspace.skills.add(PLOT)
        workspace.skills.add(REPORT)
        for number in range(3):
            workspace.skills.add(replace(REPORT, name=f"old_report_{number}", state="draft"))
        workspace.skills.set_state("old_report_2", "retired")
        _share(workspace, folder)
        second = replace(
            workspace.skills.get("plot_spectrum"), description="Read, cut off and draw a spectrum; log axes",
            nodes=(*PLOT.nodes[:3], replace(PLOT.nodes[3], retries=2), *PLOT.nodes[4:]),
        )  # fmt: skip
        workspace.versions.create_version(
            second, reason="the estimate failed now and then: try it again", make_current=True,
            lineage={"executions": ["019a1b2c"], "skills": ["weekly_report@1"]},
        )  # fmt: skip
        _use(workspace)


def _share(workspace: Workspace, folder: Path) -> None:
    alone = replace(PLOT.nodes[6], after=())
    workspace.skills.add(replace(PLOT, name="shared_plot", nodes=(alone,), output_bindings={}))
    export_skills(workspace.skills, ["shared_plot"], folder)
    workspace.skills.delete("shared_plot")
    import_files(workspace.skills, sorted(folder.rglob("*.json")))


def _use(workspace: Workspace) -> None:
    runs = [run.id for run in workspace.runs.list()]
    for number in range(22):
        good = number % 6 != 3
        version = 1 if number < 9 else 2
        workspace.ledger.record(
            execution(number, version=version, success=good, run_id=runs[number % len(runs)])
        )
    for number in range(22, 40):
        workspace.ledger.record(
            replace(execution(number), skill="cancel_order", adaptations=(), cost_usd=0.0)
        )


def execution(number: int, *, version: int = 1, success: bool = True, run_id: str | None = None) -> Execution:
    """Return one execution of the plot, the same every time."""
    start = NOW - (24 - number % 24) * 0.9 * DAY
    inputs: dict[str, Json] = {"input_path": f"pk_{number}.csv", "k_max": 12.5}
    changes = [Adaptation(
        type="parameter_change", target="k_max", before=10.0, after=12.5, reason="the task says up to 12.5",
    )]  # fmt: skip
    if number % 3 == 0:
        changes.append(Adaptation(
            type="code_modification", target="n7", reason="the column is called wave_number",
            before="row['k']",
            after='--- n7\n+++ n7\n@@ -5 +5 @@\n-float(row["k"])\n+float(row["wave_number"])',
            evidence={"error": "KeyError: 'k'"},
        ))  # fmt: skip
    if number % 5 == 0:
        changes.append(Adaptation(type="retry", target="n4", after=2, reason="an earlier try failed"))
    return Execution(
        id=f"019a0000-0000-7000-8000-{number:012d}", skill="plot_spectrum", version=version, run_id=run_id,
        task=f"plot the power spectrum of pk_{number}.csv up to 12.5", started_at=start,
        completed_at=start + 4,
        duration_seconds=2.0 + number % 5, success=success, inputs=inputs, outputs={"pages": [1, 2]},
        error=None if success else "n4: exit code 1: the matrix is singular", adaptations=tuple(changes),
        cost_usd=0.002 * (number % 4), confidence=0.83,
    )  # fmt: skip
