from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hub_team import PLOT, Machine, execution

from skillsmith.errors import SecretFoundError, UsageError
from skillsmith.hub.match import HubMatch, match
from skillsmith.hub.status import status
from skillsmith.hub.vector_rows import index_name, index_vectors
from skillsmith.library.exchange import trust
from skillsmith.models import Skill
from skillsmith.workspace import open_workspace

SUBJECTS = {
    "cancel_order": "Cancel an order of a customer.",
    "refund_booking": "Refund a flight booking.",
    "plot_spectrum": "Plot the power spectrum of a map.",
    "convert_units": "Convert lengths between units.",
    "send_invoice": "Send an invoice by mail.",
}


class Letters:
    """Embeds texts by their letters: the same text is the same vector, and like texts are near."""

    model = "letters"
    dimension = 32

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return unit vectors that count letters."""
        self.texts += texts
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        counts = [0.01] * self.dimension
        for letter in text.lower():
            counts[ord(letter) % self.dimension] += 1
        length = math.sqrt(sum(number * number for number in counts))
        return struct.pack(f"<{self.dimension}f", *(number / length for number in counts))


def _machine(path: Path, url: str, embedder: object = None) -> Machine:
    machine = Machine(path, url)
    machine.workspace.close()
    machine.workspace = open_workspace(path, _embedder=embedder)
    return machine


def _fill(machine: Machine) -> None:
    for name, text in SUBJECTS.items():
        machine.workspace.skills.add(replace(PLOT, name=name, description=text, task_pattern=text))
    machine.workspace.vectors.sync()
    machine.push()


def _match(machine: Machine, task: str, **options: object) -> HubMatch:
    with machine.hub() as hub:
        return match(machine.workspace, hub, task, **options)  # type: ignore[arg-type]  # as they are


@pytest.mark.parametrize("embedder", [None, Letters()], ids=["words", "vectors"])
def test_the_hub_answers_as_the_library_would(database: str, tmp_path: Path, embedder: object) -> None:
    """An empty file finds on the hub what its maker's file finds itself, with nearly the same confidence."""
    ann = _machine(tmp_path / "ann.db", database, embedder)
    bob = _machine(tmp_path / "bob.db", database, embedder)
    _fill(ann)
    task = "please cancel the order of customer 17"
    local = ann.workspace.matcher.match(task, min_confidence=0.0)
    found = _match(bob, task, min_confidence=0.0)
    assert found.result.matches[0].name == local.matches[0].name == "cancel_order"
    assert found.result.matches[0].confidence == pytest.approx(local.matches[0].confidence, abs=0.1)
    assert "not trusted yet" in found.result.matches[0].reason
    assert found.places["cancel_order"].here is None
    assert bob.workspace.skills.names() == []  # nothing of it is stored


def test_nothing_fits_is_an_answer(database: str, tmp_path: Path) -> None:
    """The matcher abstains on the hub as it does here, and says why."""
    ann = _machine(tmp_path / "ann.db", database)
    _fill(ann)
    found = _match(ann, "water the roses in the garden")
    assert found.result.abstained
    assert found.result.reason


def test_a_match_says_what_is_here_and_how_it_did(database: str, tmp_path: Path) -> None:
    """A version that is trusted here is shown by its number here, with what the whole team saw of it."""
    ann, bob = _machine(tmp_path / "ann.db", database), _machine(tmp_path / "bob.db", database)
    _fill(ann)
    for _time in range(3):
        ann.workspace.ledger.record(execution("cancel_order", 1))
    ann.push()
    bob.pull()
    trust(bob.workspace.skills, "cancel_order")
    found = _match(bob, "cancel the order of a customer", min_confidence=0.0)
    assert found.places["cancel_order"].here == "cancel_order@1"
    assert "succeeded in 3 of 3 executions" in found.result.matches[0].reason


def test_vectors_come_from_the_hub(database: str, tmp_path: Path) -> None:
    """Whoever matches embeds the task and nothing else."""
    ann = _machine(tmp_path / "ann.db", database, Letters())
    _fill(ann)
    mine = Letters()
    bob = _machine(tmp_path / "bob.db", database, mine)
    _match(bob, "cancel the order of a customer")
    assert mine.texts == ["cancel the order of a customer"]


def test_the_index_gives_what_exact_search_gives(database: str, tmp_path: Path) -> None:
    """Above a size an HNSW index proposes candidates; a broken one is built anew, a whole one is kept."""
    ann = _machine(tmp_path / "ann.db", database, Letters())
    _fill(ann)
    task = "convert a length to other units"
    exact = _match(ann, task, min_confidence=0.0)
    with ann.hub() as hub:
        assert index_vectors(hub) == []
        assert index_vectors(hub, exact_up_to=1) == ["letters"]
        hub.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)",
            (index_name("letters"),),
        )
        assert index_vectors(hub, exact_up_to=1) == ["letters"]
        assert index_vectors(hub, exact_up_to=1) == []
    indexed = _match(ann, task, min_confidence=0.0)
    assert indexed.result == exact.result


def test_tags_narrow_the_search(database: str, tmp_path: Path) -> None:
    """Only skills with all the tags are candidates, by words and by vectors."""
    ann = _machine(tmp_path / "ann.db", database, Letters())
    _fill(ann)
    tagged: Skill = replace(PLOT, name="tagged", description="Cancel a tagged order.", tags=("a", "b"))
    ann.workspace.skills.add(tagged)
    ann.workspace.vectors.sync()
    ann.push()
    found = _match(ann, "cancel an order", tags=["a", "b"], min_confidence=0.0)
    assert [one.name for one in found.result.matches] == ["tagged"]
    assert _match(ann, "cancel an order", tags=["a", "c"]).result.matches == ()


def test_an_empty_task_is_refused(database: str, tmp_path: Path) -> None:
    """There is nothing to look for."""
    ann = _machine(tmp_path / "ann.db", database)
    ann.push()
    with pytest.raises(UsageError, match="the task is empty"):
        _match(ann, "  ")


def test_an_empty_hub_says_so(database: str, tmp_path: Path) -> None:
    """A hub without skills answers that none fits."""
    ann = _machine(tmp_path / "ann.db", database)
    ann.push()
    assert _match(ann, "cancel an order").result.abstained


@pytest.mark.parametrize("where", ["skill", "task", "execution", "history"])
def test_a_secret_never_leaves(database: str, tmp_path: Path, where: str) -> None:
    """Skills, tasks they served, executions and reasons are scanned before anything of them is sent."""
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    ann = _machine(tmp_path / "ann.db", database)
    ann.workspace.skills.add(replace(PLOT, body=f"use {secret}" if where == "skill" else ""))
    if where == "task":
        ann.workspace.skills.add_example("plot", f"log in with {secret}")
    elif where == "execution":
        ann.workspace.ledger.record(execution("plot", 1, inputs={"key": secret}))
    elif where == "history":
        ann.workspace.skills.set_state("plot", "proven", reason=f"works with {secret}")
    with pytest.raises(SecretFoundError) as caught:
        ann.push()
    assert secret not in str(caught.value)
    tables = ("versions", "examples", "executions", "history")
    with ann.hub() as hub:
        for table in tables:
            assert not hub.scalar(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", (f"%{secret}%",))
    ann.push(allow_secrets=True)


def test_status_compares_both_sides(database: str, tmp_path: Path) -> None:
    """What is to be sent, what is to be pulled, and which number means what on which machine."""
    ann, bob = _machine(tmp_path / "ann.db", database), _machine(tmp_path / "bob.db", database)
    _fill(ann)
    bob.workspace.skills.add(replace(PLOT, name="own"))
    with bob.hub() as hub:
        found = status(bob.workspace, hub, name="cancel_order")
    assert (found.counts["skills"], found.to_send["versions"], found.to_read["versions"]) == (5, 1, 5)
    assert [(one.here, one.current, one.deleted) for one in found.numbers] == [(None, True, False)]
    assert found.numbers[0].machines[0].endswith("ann.db@1")
    bob.pull()
    bob.push()
    with bob.hub() as hub:
        found = status(bob.workspace, hub)
    assert set(found.to_send.values()) == {0}
