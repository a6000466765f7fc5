"""Executions that were interrupted, or died, and go on where they stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import bank
import pytest

from skillsmith.db import Database
from skillsmith.errors import ExecutionError, UsageError
from skillsmith.library.executor import ExecutionCallbacks, ExecutionInterruptedError, SkillExecutor
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.library.tools.callables import PythonTools, module_tools
from skillsmith.models import Constant, FileUse, FromInput, FromNode, Node, Skill, Template, Variable
from skillsmith.runs import RunRepository

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pathlib import Path
from skillsmith.db import Database
from skillsmith.library.executor import ExecutionInterruptedError, SkillExecutor
from skillsmith.library.repository import SkillRepository

db = Database("skills.db")
skill = SkillRepository(db).get("slow")
try:
    SkillExecutor(db, work_dir=Path("work")).execute_skill(skill, {"inputs": {"word": "hello"}})
except ExecutionInterruptedError as error:
    print(error.execution_id)
    sys.exit(130)
"""


@pytest.fixture(autouse=True)
def _fresh_bank() -> None:
    bank.reset()


def _code(key: str, text: str, *after: str, **more: Any) -> Node:
    return Node(id=key, kind="code", language="python", template=Template(text=text), after=after, **more)


def _slow_skill() -> Skill:
    """A skill whose first node counts its runs, whose second is slow the first time."""
    return Skill(
        name="slow",
        variables=(Variable(name="word", type="string", default="x"),),
        nodes=(
            _code("n1", "open('count.txt', 'a').write('1'); print('[1, 2]')"),
            _code(
                "n2",
                "import os, subprocess, time\n"
                "if not os.path.exists('go.txt'):\n"
                "    child = subprocess.Popen(['sleep', '60'])\n"
                "    open('pid.txt', 'w').write(str(child.pid))\n"
                "    os.rename('pid.txt', 'started.txt')\n"
                "    time.sleep(60)\n"
                "print('done')",
                "n1",
            ),
        ),
        output_bindings={"numbers": FromNode("n1"), "end": FromNode("n2"), "word": FromInput("word")},
    )


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_an_execution_that_goes_on(tmp_path: Path, stop: signal.Signals) -> None:
    """Ctrl-C and SIGTERM kill running code, close the run, and resuming runs only what was not done."""
    db = Database(tmp_path / "skills.db")
    skill = SkillRepository(db).add(_slow_skill())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    _wait_for(tmp_path / "work" / "started.txt")
    process.send_signal(stop)
    execution_id = process.communicate(timeout=30)[0].strip()
    assert process.returncode == 130
    grandchild = int((tmp_path / "work" / "started.txt").read_text())
    assert _is_gone(grandchild)

    ledger = ExecutionLedger(db)
    execution = ledger.get(execution_id)
    assert (execution.success, execution.completed_at) == (None, None)
    assert RunRepository(db).get(execution.run_id or "").status == "interrupted"

    (tmp_path / "work" / "go.txt").write_text("")
    result = SkillExecutor(db).execute_skill(skill, {}, resume=execution_id[:20])
    assert result.success, result.error
    assert result.outputs == {"numbers": [1, 2], "end": "done\n", "word": "hello"}
    assert (tmp_path / "work" / "count.txt").read_text() == "1"
    assert result.work_dir == str(tmp_path / "work")
    assert (result.execution_id, result.run_id) == (execution_id, execution.run_id)
    assert [one.target for one in result.adaptations] == ["word"]
    assert RunRepository(db).get(execution.run_id or "").status == "completed"
    db.close()


def _is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def _tool(key: str, name: str, *after: str, **arguments: Any) -> Node:
    return Node(id=key, kind="tool", tool=name, arguments=arguments, after=after)


CLOSE = Skill(
    name="close",
    variables=(
        Variable(name="account", type="id", default="acc_a_1", required=True),
        Variable(name="note", type="integer"),
    ),
    nodes=(
        _tool("n1", "close_account", account_id=FromInput("account")),
        _tool("n2", "flaky", "n1", message=FromNode("n1")),
    ),
    output_bindings={"said": FromNode("n2")},
)


def _executor(db: Database) -> SkillExecutor:
    return SkillExecutor(db, tools=module_tools("bank"))


def test_a_failed_execution_goes_on_after_its_cause_is_gone(db: Database) -> None:
    """Resuming a failed execution repeats the failed node, not those that are done."""
    skill = SkillRepository(db).add(CLOSE)
    bank.FLAKY["left"] = 1
    first = _executor(db).execute_skill(skill, {"task": "close acc_x_7"})
    assert first.error == "n2: ConnectionError: the line is dead"
    again = _executor(db).execute_skill(skill, {}, resume=first.execution_id)
    assert again.success, again.error
    assert bank.JOURNAL == [("close", "acc_x_7"), ("try", "Account closed."), ("try", "Account closed.")]
    assert again.outputs == {"said": "Account closed."}
    execution = ExecutionLedger(db).get(first.execution_id or "")
    assert (execution.success, execution.error, execution.task) == (True, None, "close acc_x_7")
    with pytest.raises(UsageError, match="has succeeded"):
        _executor(db).execute_skill(skill, {}, resume=first.execution_id)


def test_resuming_needs_the_same_version(db: Database) -> None:
    """An execution is resumed with its own version only; the message names it."""
    skills = SkillRepository(db)
    skill = skills.add(CLOSE)
    bank.FLAKY["left"] = 1
    first = _executor(db).execute_skill(skill, {"task": "close acc_x_7"})
    newer = skills.add(CLOSE)
    with pytest.raises(UsageError, match="--use-skill close@1"):
        _executor(db).execute_skill(newer, {}, resume=first.execution_id)


def test_a_change_that_may_have_been_made_is_not_repeated_unasked(db: Database, tmp_path: Path) -> None:
    """A process killed inside a call leaves a change in doubt: only a person's yes repeats it."""
    skill = SkillRepository(db).add(
        Skill(
            name="deadly",
            nodes=(
                _tool("n1", "leave", code=Constant(9)),
                _tool("n2", "close_account", "n1", account_id=Constant("x")),
            ),
        )
    )
    (tmp_path / "deadly_tools.py").write_text(
        textwrap.dedent("""
            import os
            def leave(code: int): os._exit(code)
            def close_account(account_id: str): ...
        """)
    )
    program = textwrap.dedent(f"""
        from skillsmith.db import Database
        from skillsmith.library.executor import SkillExecutor
        from skillsmith.library.repository import SkillRepository
        from skillsmith.library.tools.callables import PythonTools, module_tools
        db = Database({db.path!r})
        skill = SkillRepository(db).get("deadly")
        SkillExecutor(db, tools=module_tools("deadly_tools")).execute_skill(skill, {{}})
    """)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    died = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=False)
    assert died.returncode == 9

    (execution,) = ExecutionLedger(db).list("deadly")
    assert execution.success is None
    calls: list[int] = []
    executor = SkillExecutor(db, tools=_Recording(calls))
    with pytest.raises(ExecutionError, match=r"n1 \(leave\) was under way"):
        executor.execute_skill(skill, {}, resume=execution.id)
    assert not calls
    callbacks = ExecutionCallbacks(approve=lambda question, node: "Do it again?" in question)
    result = executor.execute_skill(skill, {}, resume=execution.id, callbacks=callbacks)
    assert result.success, result.error
    assert calls == [9]
    assert json.dumps(result.outputs) == "{}"


def test_an_interrupt_waits_for_running_calls(db: Database) -> None:
    """A call that is under way when Ctrl-C comes is waited for, and its result is kept."""
    told = threading.Event()

    def slow_close(account_id: str) -> str:
        told.set()
        time.sleep(0.3)
        return f"{account_id} closed"

    def interrupt() -> None:
        told.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    tools = PythonTools({"close_account": slow_close, "flaky": bank.flaky}, label="slow")
    skill = SkillRepository(db).add(CLOSE)
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(ExecutionInterruptedError) as caught:
        SkillExecutor(db, tools=tools).execute_skill(skill, {"inputs": {"account": "acc_x_7"}})
    result = SkillExecutor(db, tools=tools).execute_skill(skill, {}, resume=caught.value.execution_id)
    assert result.outputs == {"said": "acc_x_7 closed"}
    assert "--resume" in str(caught.value)


class _Recording:
    def __init__(self, calls: list[int]) -> None:
        self._calls = calls

    def names(self) -> tuple[str, ...]:
        return ("leave", "close_account")

    def call(self, name: str, arguments: Any) -> Any:
        if name == "leave":
            self._calls.append(arguments["code"])
        return "ok"


APPENDING = """
import os, signal, sys, time
old = open('log.txt').read() if os.path.exists('log.txt') else ''
open('log.txt', 'a').write('2')
open('made.txt', 'a').write('x')
if not os.path.exists('../again'):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(5)
print(old)
"""


def test_code_killed_half_way_leaves_no_trace_when_it_runs_again(tmp_path: Path) -> None:
    """Files that unfinished code changed or made are put back first; other files stay as they are."""
    db = Database(tmp_path / "skills.db")
    skill = SkillRepository(db).add(
        Skill(
            name="slow",
            variables=(Variable(name="word", type="string", default="x"),),
            nodes=(
                _code("n1", "open('log.txt', 'w').write('1')"),
                _code("n2", APPENDING, "n1", writes=(FileUse(path=Constant("made.txt")),)),
            ),
            output_bindings={"before": FromNode("n2")},
        )
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    died = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    work = tmp_path / "work"
    _wait_for(work / "made.txt")
    assert (work / "log.txt").read_text() == "12"
    (work / "mine.txt").write_text("the user's")
    (tmp_path / "again").write_text("")
    (execution,) = ExecutionLedger(db).list("slow")
    result = SkillExecutor(db).execute_skill(skill, {}, resume=execution.id)
    assert result.success, result.error
    assert str(result.outputs["before"]).strip() == "1"
    assert [(work / name).read_text() for name in ("log.txt", "made.txt", "mine.txt")] == [
        "12", "x", "the user's",
    ]  # fmt: skip
    db.close()


KILLED = """
import os, signal, sys
from skillsmith.db import Database
from skillsmith.library.executor import ExecutionCallbacks, SkillExecutor
from skillsmith.library.repository import SkillRepository
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.tools.callables import module_tools

db, left = Database("skills.db"), int(sys.argv[1])

def die_at(name, data):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

skill = SkillRepository(db).get("chain")
found = next(ExecutionLedger(db).list("chain"), None)
result = SkillExecutor(db, tools=module_tools("notes")).execute_skill(
    skill, {}, resume=found and found.id, callbacks=ExecutionCallbacks(on_event=die_at)
)
print(result.outputs["all"], result.error)
"""


def test_killed_at_every_boundary_it_still_does_everything_once(tmp_path: Path) -> None:
    """SIGKILL at each event, one later each time: resuming ends it, and no change is made twice."""
    (tmp_path / "notes.py").write_text(
        "def write_note(text: str) -> str:\n"
        "    with open('notes.txt', 'a') as file:\n"
        "        file.write(text)\n"
        "    return text\n"
    )
    db = Database(tmp_path / "skills.db")
    nodes = [
        Node(id=f"n{n}", kind="tool", tool="write_note", arguments={"text": Constant(str(n))},
             after=(f"n{n - 1}",) if n > 1 else ())
        for n in range(1, 4)
    ]  # fmt: skip
    skill = Skill(name="chain", nodes=tuple(nodes), output_bindings={"all": FromNode("n3")})
    SkillRepository(db).add(skill)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for events in range(12):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(events)], cwd=tmp_path, env=environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            break
        if "under way" in done.stderr:  # killed between the beginning of a call and its end
            pytest.fail(done.stderr)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == "3 None\n"
    assert (tmp_path / "notes.txt").read_text() == "123"
    db.close()
