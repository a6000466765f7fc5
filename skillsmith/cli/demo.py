"""``demo``: the whole life of a skill, live, with no key and no network."""

from __future__ import annotations

from typing import Annotated

import typer

from skillsmith.cli.session import Session, command


@command("skillsmith demo", "skillsmith demo --keep --json")
def demo(
    session: Session,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the demo's file and folder, to look around in.")
    ] = False,
) -> None:
    """Capture an agent run, extract a skill, prove it, match it, run it on other data; no key, no network."""
    from skillsmith.demo import run_demo  # noqa: PLC0415  (loads AG2: 1 s)

    out = session.out
    document = run_demo(keep=keep, say=_silent if out.as_json else out.line)
    out.document(document, out.flush)


def _silent(_line: str) -> None:
    """Say nothing: the document tells it all."""
