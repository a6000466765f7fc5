"""``model status`` and ``model install``: the local embedding model, which makes matching better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.session import Session, command
from skillsmith.models import Json

if TYPE_CHECKING:
    from skillsmith.library.embedding.store import ModelStatus

NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="A model's name; else the default one.", show_default=False),
]


@command("skillsmith model status", "skillsmith model status --json")
def model_status(session: Session, *, name: NameArgument = None) -> None:
    """Tell whether the embedding model is installed; nothing is downloaded."""
    from skillsmith.library.embedding import store as model_store  # noqa: PLC0415  (15 ms)

    _print(session, model_store.model_status(name or model_store.DEFAULT_MODEL))


@command("skillsmith model install", "skillsmith model install BAAI/bge-small-en-v1.5")
def model_install(session: Session, *, name: NameArgument = None) -> None:
    """Install the embedding model once; afterwards matching needs no network."""
    from skillsmith.library.embedding import store as model_store  # noqa: PLC0415  (15 ms)

    chosen = name or model_store.DEFAULT_MODEL
    _print(session, model_store.install_model(chosen, progress=session.out.note))


def _print(session: Session, status: ModelStatus) -> None:
    document: dict[str, Json] = {
        "name": status.name,
        "form": status.form,
        "ready": status.ready,
        "dimension": status.dimension,
        "path": str(status.path) if status.path else None,
        "source": status.source,
        "digest": status.digest,
        "detail": status.detail,
    }
    line = status.detail if status.ready else f"{status.name}: {status.detail}"
    session.out.document(document, lambda: session.out.line(line))
