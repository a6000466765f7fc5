from __future__ import annotations

from pathlib import Path

import pytest
from hub_team import Machine, Team

from skillsmith import archive_rows
from skillsmith.errors import NotFoundError, SecretFoundError, StorageError, UsageError
from skillsmith.events import EventLog
from skillsmith.files import FileRepository
from skillsmith.hub.partitions import HubArchive, HubMove
from skillsmith.models import Event, FileSnapshot, Run

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

JANUARY, MARCH = 1_767_500_000.0, 1_773_000_000.0


def _run(machine: Machine, *, at: float = JANUARY, text: str = "hello") -> Run:
    """Store a run with a long text, a NUL, a file and a summary of a step."""
    runs, db = machine.workspace.runs, machine.workspace.db
    run = runs.create("Plot the\0 spectrum", started_at=at)
    events = [
        Event(seq=0, kind="message", role="user", agent="user", content=text),
        Event(seq=0, kind="message", role="assistant", agent="a\0b", content="long " * 4000),
    ]
    with db.transaction():
        EventLog(db).append(runs.key(run.id), events)
        FileRepository(db).record(
            runs.key(run.id), FileSnapshot(path="out.bin", content=bytes(range(256)), seq=2)
        )
    return runs.finish(run.id, outcome="success")


def _archive(machine: Machine, runs: list[str], *, remove: bool = True) -> HubMove:
    with machine.hub(create=True) as hub:
        return HubArchive(machine.workspace, hub).send(runs, remove=remove)


def _fetch(machine: Machine, runs: list[str]) -> HubMove:
    with machine.hub() as hub:
        return HubArchive(machine.workspace, hub).fetch(runs)


def _print(machine: Machine, run: Run) -> str:
    db = machine.workspace.db
    return archive_rows.fingerprint(db, machine.workspace.runs.key(run.id))


def test_a_run_goes_to_its_month_and_comes_back_as_it_was(team: Team) -> None:
    """Every row and content is the same after the way there and back, also on another machine."""
    first, second = _run(team.ann), _run(team.ann, at=MARCH)
    wanted = _print(team.ann, first)
    move = _archive(team.ann, [first.id, second.id])
    assert (move.runs, move.events, move.months) == ((first.id, second.id), 4, ("2026_01", "2026_03"))
    assert [*team.ann.workspace.runs.list()] == []
    assert {head.id for head in team.ann.workspace.archived.list()} == {first.id, second.id}
    for machine in (team.ann, team.bob):
        assert _fetch(machine, [first.id]).runs == (first.id,)
        assert _print(machine, first) == wanted
    assert [head.id for head in team.ann.workspace.archived.list()] == [second.id]
    assert _fetch(team.bob, [first.id]).runs == (first.id,)  # once more changes nothing


def test_partitions_are_made_when_needed(team: Team) -> None:
    """A month's runs lie in one table each, which can be moved or dropped by itself."""
    _archive(team.ann, [_run(team.ann).id, _run(team.ann, at=MARCH).id])
    with psycopg.connect(team.url) as conn:
        rows = conn.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'skillsmith.archived_runs'::regclass ORDER BY 1"
        ).fetchall()
    assert rows == [("archived_runs_2026_01",), ("archived_runs_2026_03",)]


def test_sending_whole_runs_leaves_them_here(team: Team) -> None:
    """Copies are only copies; sending a run that has not changed sends nothing."""
    run = _run(team.ann)
    for _time in range(2):
        _archive(team.ann, [run.id], remove=False)
    assert team.ann.workspace.runs.get(run.id).events == 2
    _fetch(team.bob, [run.id])
    assert _print(team.bob, run) == _print(team.ann, run)


def test_a_damaged_copy_removes_nothing(team: Team) -> None:
    """When what the hub gives back is not what was sent, the run stays."""
    run = _run(team.ann)
    _archive(team.ann, [run.id], remove=False)
    with psycopg.connect(team.url, autocommit=True) as conn:
        conn.execute("UPDATE skillsmith.archived_rows SET body = replace(body, 'hello', 'jello')")
    with pytest.raises(StorageError, match="is not whole"):
        _archive(team.ann, [run.id])
    assert team.ann.workspace.runs.get(run.id).events == 2
    with pytest.raises(StorageError, match="is not whole"):
        _fetch(team.bob, [run.id])
    assert [*team.bob.workspace.runs.list()] == []


def test_a_run_that_goes_on_is_refused(team: Team) -> None:
    """Only what is over is archived."""
    run = team.ann.workspace.runs.create("still at it")
    with pytest.raises(UsageError, match="is not over"):
        _archive(team.ann, [run.id])


def test_an_unknown_run_is_not_found(team: Team) -> None:
    """The hub says that it has no such run."""
    _archive(team.ann, [])
    with pytest.raises(NotFoundError, match="the hub has no run '0197'"):
        _fetch(team.ann, ["0197"])


def test_a_secret_in_a_run_never_leaves(team: Team) -> None:
    """Whole runs are scanned, too."""
    run = _run(team.ann, text="the token is ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
    with pytest.raises(SecretFoundError, match="event 1 of run"):
        _archive(team.ann, [run.id])
    assert team.ann.workspace.runs.get(run.id).events == 2


def test_figures_of_runs_are_pushed(team: Team, tmp_path: Path) -> None:
    """Every run that is over has one row on the hub, brought up to date by the machine it is from."""
    run = _run(team.ann)
    assert team.ann.push().runs == 1
    team.ann.workspace.runs.mark(run.id, "failure", note="wrong axis")
    assert (team.ann.push().runs, team.ann.push().runs) == (1, 0)
    with team.ann.hub() as hub:
        rows = hub.all("SELECT id::text, outcome, task, events FROM runs")
    assert rows == [(run.id, "failure", "Plot the\ufffd spectrum", 2)]
