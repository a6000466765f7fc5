"""``mcp``: the library as a server for other programs' agents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skillsmith.cli.run import MaxCostOption, MaxTurnsOption, ModelOption, ToolsOption
from skillsmith.cli.session import Session, command
from skillsmith.errors import UsageError

AllowOption = Annotated[
    str | None,
    typer.Option("--allow-run", metavar="NAME,…", help="Skills that clients may run, or `all`; else none."),
]
OfferOption = Annotated[
    str | None,
    typer.Option("--skills", metavar="NAME,…", help="Skills that are tools of their own, or `all`."),
]
WorkdirOption = Annotated[
    Path | None,
    typer.Option(
        "--workdir", metavar="D", help="Where executions get their folders; else ./skillsmith-runs."
    ),
]


@command(
    "skillsmith mcp",
    "skillsmith mcp --db shop.db --allow-run cancel_order,refund --tools shop.tools",
    "skillsmith mcp --allow-run all --skills plot_spectrum --workdir out",
)
def mcp(
    session: Session,
    *,
    allow_run: AllowOption = None,
    skills: OfferOption = None,
    tools: ToolsOption = None,
    workdir: WorkdirOption = None,
    model: ModelOption = None,
    max_cost: MaxCostOption = None,
    max_turns: MaxTurnsOption = None,
) -> None:
    """Serve the library to other programs' agents by MCP, on standard input and output.

    They can find, read and search everything, judge runs and make skills of them. They run what you allow by
    name, and of that only what is proven or trusted. --max-cost and --max-turns hold for each execution.
    """
    from skillsmith.mcp_server import Choice, Settings, serve  # noqa: PLC0415  (only to serve)
    from skillsmith.mcp_server.settings import check  # noqa: PLC0415  (as above)

    with session.open() as workspace:
        if workspace.path == ":memory:":
            raise UsageError("a library in memory cannot be served", hint="name a file with --db")
        settings = Settings(
            db=str(Path(workspace.path).resolve()), allowed=Choice.parse(allow_run, option="--allow-run"),
            offered=Choice.parse(skills, option="--skills"), tools=tuple(tools or ()),
            work_dir=workdir and workdir.resolve(), model=model, max_cost=max_cost, max_turns=max_turns,
        )  # fmt: skip
        check(settings, workspace)
    serve(settings)
