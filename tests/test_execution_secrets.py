"""Executions that use a secret: it reaches the nodes and nothing that is stored; one place at a time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from skillsmith.capture.redact import redact_event
from skillsmith.db import Database
from skillsmith.errors import ExecutionError
from skillsmith.library.execution.lease import lease
from skillsmith.library.executor import ExecutionCallbacks, SkillExecutor
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.models import FromNode, Json, Node, Skill, Slot, Template, Variable

SECRET = "sk-ant-" + "a1B2c3D4" * 6

MAKER = Node(
    id="n1", kind="code", language="python",
    template=Template(
        text="token = {token}\nopen('key.txt', 'w').write(token)\nprint('key', token)\n",
        slots=(Slot(variable="token", encoding="python"),),
    ),
)  # fmt: skip
STUMBLER = Node(
    id="n2", kind="code", language="python", after=("n1",),
    template=Template(text="import os\nassert os.path.exists('go.txt'), open('key.txt').read()\n"),
)  # fmt: skip
READER = Node(
    id="n2", kind="code", language="python",
    bindings={"key": FromNode("n1")},
    template=Template(
        text="import os\nassert os.path.exists('go.txt'), {key}\n",
        slots=(Slot(variable="key", encoding="python"),),
    ),
)  # fmt: skip


def _skill(*nodes: Node, **fields: Json) -> Skill:
    variables = (Variable(name="token", type="string", default="none"),)
    return Skill(name="keyed", variables=variables, nodes=nodes, **fields)


@pytest.fixture
def db(tmp_path: Path) -> Database:
    """Return a database in a file."""
    return Database(tmp_path / "skills.db")


def _stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("skills.db*"))


def _words_in(db: Database) -> str:
    """Return all texts of all tables, blobs read as texts."""
    names = [row[0] for row in db.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return repr(
        [[tuple(row) for row in db.all(f"SELECT * FROM {name}")] for name in names if "fts" not in name]
    )


def test_a_secret_reaches_the_nodes_and_nothing_that_is_stored(db: Database, tmp_path: Path) -> None:
    """Inputs, checkpoints, outputs, artifacts, errors and adaptations are stored without it."""
    skill = SkillRepository(db).add(
        _skill(MAKER, outputs={"type": "object"}, output_bindings={"said": FromNode("n1")})
    )
    executor = SkillExecutor(db, work_dir=tmp_path / "work", redact=redact_event)
    result = executor.execute_skill(skill, {"task": f"use {SECRET}", "inputs": {"token": SECRET}})
    assert result.success, result.error
    assert SECRET in str(result.outputs["said"])
    assert (tmp_path / "work" / "key.txt").read_text() == SECRET
    assert SECRET not in _words_in(db)
    assert SECRET.encode() not in _stored(tmp_path)
    execution = ExecutionLedger(db).get(result.execution_id or "")
    assert execution.inputs == {"token": "‹redacted:anthropic›"}
    assert execution.adaptations[0].after == "‹redacted:anthropic›"


def test_an_execution_that_used_a_secret_is_not_resumed(db: Database, tmp_path: Path) -> None:
    """What failed with a secret in its inputs says that it has to be started again; nothing is run."""
    skill = SkillRepository(db).add(_skill(MAKER, STUMBLER))
    executor = SkillExecutor(db, work_dir=tmp_path / "work", redact=redact_event)
    result = executor.execute_skill(skill, {"inputs": {"token": SECRET}})
    assert result.success is False
    assert SECRET in str(result.error)
    assert SECRET not in _words_in(db)
    (tmp_path / "work" / "key.txt").unlink()
    with pytest.raises(ExecutionError, match="the input token held a secret, which was not stored"):
        executor.execute_skill(skill, {}, resume=result.execution_id)
    assert not (tmp_path / "work" / "key.txt").exists()


@pytest.mark.parametrize(("second", "resumable"), [(READER, False), (STUMBLER, True)])
def test_a_secret_result_matters_only_when_it_is_needed(
    db: Database, tmp_path: Path, second: Node, resumable: bool
) -> None:
    """An execution is refused when a node still reads a result that was not stored, and only then."""
    code = f"open('key.txt', 'w').write('x')\nprint('{SECRET}')\n"
    first = Node(id="n1", kind="code", language="python", template=Template(text=code))
    skill = SkillRepository(db).add(_skill(first, second))
    executor = SkillExecutor(db, work_dir=tmp_path / "work", redact=redact_event)
    result = executor.execute_skill(skill, {})
    (tmp_path / "work" / "go.txt").touch()
    if resumable:
        assert executor.execute_skill(skill, {}, resume=result.execution_id).success
        return
    with pytest.raises(ExecutionError, match="the result of n1 held a secret"):
        executor.execute_skill(skill, {}, resume=result.execution_id)


def test_what_still_runs_is_not_resumed(db: Database, tmp_path: Path) -> None:
    """An execution that runs elsewhere is refused before anything runs; afterwards no lock is left behind."""
    question = Node(id="n1", kind="approval", template=Template(text="Go on?"))
    skill = SkillRepository(db).add(_skill(question))
    refused: list[str] = []

    def approve(_question: str, _key: str) -> bool:
        (execution,) = ExecutionLedger(db).list("keyed")
        other = Database(tmp_path / "skills.db")
        with pytest.raises(ExecutionError, match="is still running") as caught:
            SkillExecutor(other).execute_skill(
                skill, {}, resume=execution.id, callbacks=ExecutionCallbacks(approve=approve)
            )
        refused.append(str(caught.value))
        return True

    result = SkillExecutor(db).execute_skill(skill, {}, callbacks=ExecutionCallbacks(approve=approve))
    assert result.success
    assert len(refused) == 1
    assert list(tmp_path.glob("*.running")) == []


def test_a_lease_is_for_one_and_ends(tmp_path: Path) -> None:
    """A second holder is refused, a later one is not; in memory there is nothing to hold."""
    place = str(tmp_path / "x.db")
    with lease(place, "e1"), lease(place, "e2"):
        with pytest.raises(ExecutionError), lease(place, "e1"):
            pass
        with lease(":memory:", "e1"), lease(":memory:", "e1"):
            pass
    with lease(place, "e1"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lease_needs_a_folder_that_can_hold_it(tmp_path: Path) -> None:
    """Where no lock can be made that is said, with what to do; nothing is run."""
    with (
        pytest.raises(ExecutionError, match="cannot be locked"),
        lease(str(tmp_path / "none" / "s.db"), "e1"),
    ):
        pytest.fail("it was taken")


def test_a_lease_is_not_taken_on_a_file_that_is_gone(tmp_path: Path) -> None:
    """Many threads that want the same lease one after the other never hold it at the same time."""
    place, holders, most = str(tmp_path / "s.db"), [0], [0]

    def work() -> None:
        for _ in range(40):
            with suppress(ExecutionError), lease(place, "e1"):
                holders[0] += 1
                most[0] = max(most[0], holders[0])
                time.sleep(0.0002)
                holders[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert not list(tmp_path.iterdir())
