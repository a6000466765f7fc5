"""The command line, in this process and in one of its own, and small logs and skills to give to it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from skillsmith.cli.app import main
from skillsmith.models import (
    Constant,
    FileUse,
    FromInput,
    FromNode,
    Node,
    Proof,
    Reason,
    Skill,
    Slot,
    Template,
    Variable,
    Witness,
)
from skillsmith.workspace import open_workspace

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished process left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)

    @property
    def error(self) -> Any:
        """The error document on stderr."""
        return json.loads(self.stderr)["error"]


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs ``skillsmith`` in a folder of its own, with a file of its own.

    Args:
        folder: Where it runs.
        db: The file; it need not be there yet.
    """

    folder: Path
    db: Path

    def __call__(self, *words: object, stdin: str = "", **environment: str) -> Result:
        """Run a command inside this process as a process of its own would run it, in a tenth of the time."""
        with patch.dict(os.environ, self.environment(**environment), clear=True), _stdin(stdin):
            return self._run([*map(str, words)])

    def process(self, *words: object, stdin: str = "", **environment: str) -> Result:
        """Run a command in a process of its own to its end."""
        done = subprocess.run(
            self.line(*words), cwd=self.folder, env=self.environment(**environment), input=stdin,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def json(self, *words: object, **environment: str) -> Any:
        """Run a command that must succeed and return its document; without settings as ``inside``."""
        result = self(*words, "--json", **environment) if environment else self.inside(*words, "--json")
        assert result.code == 0, result
        return result.document

    def inside(self, *words: object) -> Result:
        """Run a command inside this process with this process's settings; ``--db`` is added."""
        return self._run(["--db", str(self.db), *map(str, words)])

    def _run(self, line: list[str]) -> Result:
        stdout, stderr = _stream(), _stream()
        with contextlib.chdir(self.folder), redirect_stdout(stdout), redirect_stderr(stderr):
            code = main(line)
        return Result(code, _text(stdout), _text(stderr))

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Begin a command and return its process."""
        return subprocess.Popen(
            self.line(*words), cwd=self.folder, env=self.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def line(self, *words: object) -> list[str]:
        """Return the whole command line."""
        return [sys.executable, "-m", "skillsmith", *map(str, words)]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the process's environment: this source tree, this file, no other settings."""
        home = str(self.folder / "home")
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SKILLSMITH_DB": str(self.db),
            "HOME": home,
            "XDG_DATA_HOME": home,
            "XDG_CACHE_HOME": home,
            **more,
        }


def _stream(text: str = "") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


def _stdin(text: str) -> contextlib.AbstractContextManager[object]:
    return patch.object(sys, "stdin", _stream(text))


def write_json(path: Path, value: Any) -> Path:
    """Write a value as a JSON file."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def order_run(number: int, *, success: bool = True) -> dict[str, Any]:
    """Return a small conversation in which an agent cancels an order with three tools."""
    email, user, order = f"eve{number}@example.org", f"user_{number:04d}", f"ORD-{7000 + number}"
    record: dict[str, Any] = {
        "id": f"orders-{number}",
        "success": success,
        "messages": [
            {"role": "system", "content": "You help customers of a shop."},
            {"role": "user", "content": f"I am {email}. Please cancel order {order}: ordered by mistake."},
            *_call(1, "find_user", {"email": email}, {"user_id": user, "name": "Eve"}),
            *_call(2, "list_orders", {"user_id": user}, {"orders": [{"id": order, "status": "pending"}]}),
            *_call(3, "cancel_order", {"order_id": order, "reason": "ordered by mistake"},
                   {"order_id": order, "status": "cancelled"}),
            {"role": "assistant", "content": f"Order {order} is cancelled."},
        ],
    }  # fmt: skip
    return record


def _call(number: int, name: str, arguments: dict[str, Any], result: dict[str, Any]) -> list[dict[str, Any]]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [
        {
            "role": "assistant", "content": None,
            "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": f"c{number}", "name": name, "content": json.dumps(result)},
    ]  # fmt: skip


TOOLS = '''
"""A shop in memory."""

ORDERS = {"ORD-8001": "pending", "ORD-8002": "shipped"}


def find_user(email: str) -> dict:
    return {"user_id": "user_" + email.split("@")[0], "name": "Ann"}


def list_orders(user_id: str) -> dict:
    return {"orders": [{"id": order, "status": status} for order, status in ORDERS.items()]}


def cancel_order(order_id: str, reason: str) -> dict:
    if ORDERS.get(order_id) != "pending":
        raise ValueError(f"order {order_id} cannot be cancelled")
    return {"order_id": order_id, "status": "cancelled"}
'''
"""Tools that do for other orders what those of the logs did."""


def tool_skill(name: str = "cancel_order") -> Skill:
    """Return a skill with two tool calls, for the tools above."""
    find = {"email": FromInput("email")}
    cancel = {"order_id": FromInput("order_id"), "reason": FromInput("reason")}
    return Skill(
        name=name,
        state="proven",
        description="Cancel an order of a customer.",
        task_pattern="I am {email}. Please cancel order {order_id}: {reason}.",
        tags=("orders",),
        variables=(
            Variable(name="email", type="email", default="eve1@example.org", required=True),
            Variable(name="order_id", type="id", default="ORD-7001", required=True),
            Variable(name="reason", type="string", default="ordered by mistake"),
        ),
        nodes=(
            Node(id="n1", kind="tool", tool="find_user", arguments=find, effect="read"),
            Node(id="n2", kind="tool", tool="cancel_order", arguments=cancel, after=("n1",)),
        ),
        outputs={"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]},
        output_bindings={"status": FromNode("n2", ("status",))},
        proofs=(Proof(level="reconstructs", passed=True, compared=2),),
        why=(
            Reason(
                subject="n1.email", decision="input", rule="user-words", detail="the user said it",
                value="eve1@example.org",
                witnesses=(Witness(seq=2, where="user", text="I am eve1@example.org"),),
            ),
            Reason(subject="call 5 list_orders", decision="left_out", rule="unused-read", detail="unused"),
        ),
        examples=("I am eve1@example.org. Please cancel order ORD-7001: ordered by mistake.",),
    )  # fmt: skip


def code_skill(name: str = "write_greeting") -> Skill:
    """Return a skill whose one node is code that writes a file."""
    return Skill(
        name=name,
        state="proven",
        description="Write a greeting into a file.",
        task_pattern="Write a greeting for {person} into greeting.txt",
        variables=(Variable(name="person", type="string", default="Ann", required=True),),
        nodes=(
            Node(
                id="n1", kind="code", language="python", title="write greeting.txt",
                template=Template(
                    text="with open('greeting.txt', 'w') as file:\n    file.write('Hello ' + {person})\n",
                    slots=(Slot(variable="person", encoding="python"),),
                ),
                writes=(FileUse(path=Constant("greeting.txt")),),
            ),
        ),
    )  # fmt: skip


def fill(cli: Cli, *skills: Skill) -> None:
    """Store skills in a command line's file."""
    with open_workspace(cli.db, _embedder=None) as workspace:
        for skill in skills:
            workspace.skills.add(skill)
