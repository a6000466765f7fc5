"""Tools from Python modules: which there are, how they are called, what their results become."""

from __future__ import annotations

import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from skillsmith.errors import ExecutionError, UsageError
from skillsmith.library.tools.callables import PythonTools, module_tools, to_plain
from skillsmith.library.trace.calls import failure_in
from skillsmith.models import ToolSource

_COUNT = iter(range(1_000_000))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Write a module under a fresh name into the current folder and return the name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(source: str) -> str:
        name = f"tools_under_test_{next(_COUNT)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return name

    yield write
    for name in [name for name in sys.modules if name.startswith("tools_under_test_")]:
        del sys.modules[name]


def test_a_modules_own_public_functions_are_its_tools(module: Any) -> None:
    """Imported names, classes, constants and private functions are no tools."""
    tools = module_tools(
        module("""
        from json import dumps
        from pathlib import Path
        LIMIT = 3
        class Account: ...
        def get_user(user_id): return {"id": user_id}
        def _helper(): ...
    """)
    )
    assert tools.names() == ("get_user",)
    assert isinstance(tools, ToolSource)
    assert tools.call("get_user", {"user_id": "u1"}) == {"id": "u1"}


def test_all_says_what_the_tools_are(module: Any) -> None:
    """With ``__all__``, exactly its callables are the tools, imported ones too."""
    tools = module_tools(
        module("""
        from math import sqrt
        __all__ = ["sqrt", "LIMIT"]
        LIMIT = 3
        def other(): ...
    """)
    )
    assert tools.names() == ("sqrt",)


@pytest.mark.parametrize("attribute", ["desk", "Desk", "make_desk", "registry", "Holder.inner"])
def test_objects_classes_factories_and_mappings_offer_tools(module: Any, attribute: str) -> None:
    """``module:attribute`` takes an object's public methods; classes and factories are called for one."""
    name = module("""
        class Desk:
            def __init__(self): self.calls = 0
            def ring(self, times: int): self.calls += times; return self.calls
            def _hidden(self): ...
        desk = Desk()
        def make_desk(): return Desk()
        registry = {"ring": desk.ring}
        class Holder: inner = desk
    """)
    tools = module_tools(f"{name}:{attribute}")
    assert tools.names() == ("ring",)
    assert tools.call("ring", {"times": 2}) == 2
    assert tools.call("ring", {"times": 1}) == 3


def test_tool_objects_of_frameworks_are_called_by_their_own_name(module: Any) -> None:
    """AG2's ``@tool`` objects, and others that keep their function, are the functions they were made from."""
    tools = module_tools(
        module("""
        from ag2 import tool
        @tool(name="greet")
        async def hello(name: str) -> str:
            "Say hello."
            return f"hi {name}"
        class Other:
            name = "sum_up"
            def __init__(self, func): self.func = func
        def _add(a: int, b: int) -> int: return a + b
        other = Other(_add)
    """)
    )
    assert tools.names() == ("greet", "sum_up")
    assert tools.call("greet", {"name": "Ann"}) == "hi Ann"
    assert tools.call("sum_up", {"a": 1, "b": 2}) == 3


def test_a_file_can_be_named(module: Any, tmp_path: Path) -> None:
    """A path to a Python file works like a module."""
    name = module("def hello(): return 'hi'")
    assert module_tools(str(tmp_path / f"{name}.py")).call("hello", {}) == "hi"


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("no_such_module_anywhere", UsageError, "no_such_module_anywhere"),
        ("no/such/file.py", UsageError, "no/such/file.py"),
        ("json:nothing", UsageError, "nothing"),
        ("this_has_none", UsageError, "no tools"),
        ("needs_more", ExecutionError, "package_that_is_not_there"),
        ("explodes", ExecutionError, "RuntimeError: boom"),
        ("leaves", ExecutionError, "SystemExit"),
        ("explodes_later:make", ExecutionError, "ValueError: no desk"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, error: type[Exception], words: str
) -> None:
    """A missing module, a broken import and an empty module each give one clear error."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "this_has_none.py").write_text("X = 1\n")
    (tmp_path / "needs_more.py").write_text("import package_that_is_not_there\n")
    (tmp_path / "explodes.py").write_text("raise RuntimeError('boom')\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(1)\n")
    (tmp_path / "explodes_later.py").write_text("def make(): raise ValueError('no desk')\n")
    with pytest.raises(error, match=words):
        module_tools(source)


def test_a_missing_tool_or_argument_is_named_before_a_call(module: Any) -> None:
    """Problems name the tool, what there is instead, and the argument that does not fit."""
    tools = module_tools(module("def pay(amount, *, to='bank'): ..."))
    assert "it has pay" in str(tools.problem("refund", frozenset()))
    assert "euros" in str(tools.problem("pay", frozenset({"amount", "euros"})))
    assert "amount" in str(tools.problem("pay", frozenset()))
    assert tools.problem("pay", frozenset({"amount"})) is None
    with pytest.raises(ExecutionError, match="refund"):
        tools.call("refund", {})


def test_coroutines_are_awaited(module: Any) -> None:
    """An async tool's result is what it returns."""
    tools = module_tools(
        module("""
        import asyncio
        async def slow(n): await asyncio.sleep(0); return n + 1
    """)
    )
    assert tools.call("slow", {"n": 1}) == 2


def test_results_become_json() -> None:
    """Models, dataclasses, dates, sets and big numbers become what they serialise to."""

    class Flight(BaseModel):
        number: str
        day: date

    @dataclass
    class Seat:
        row: int
        free: bool

    assert to_plain(Flight(number="HAT1", day=date(2024, 5, 22))) == {"number": "HAT1", "day": "2024-05-22"}
    assert to_plain([Seat(1, True), {1: {"b", "a"}}]) == [{"row": 1, "free": True}, {"1": ["a", "b"]}]
    assert to_plain({"n": 2**70, "raw": b"x"}) == {"n": 2**70, "raw": "x"}
    assert to_plain("[1]") == "[1]"


@pytest.mark.parametrize(
    ("result", "error"),
    [
        ("Error: payment method not found", "Error: payment method not found"),
        ("error - no such user", "error - no such user"),
        ("Traceback (most recent call last):\n…", "Traceback (most recent call last):\n…"),
        ({"error": "no such user"}, "no such user"),
        ({"error": None}, None),
        ({"error": "x", "data": 1}, None),
        ("Errors found: 0", None),
        ("No error", None),
        (["Error"], None),
        (None, None),
    ],
)
def test_errors_told_as_results_are_failures(result: Any, error: str | None) -> None:
    """A tool that says "Error: …" instead of raising has failed; text about errors has not."""
    assert failure_in(result) == error


@pytest.mark.parametrize(("thread_safe", "most"), [(False, 1), (True, 2)])
def test_calls_run_one_at_a_time_unless_said_safe(thread_safe: bool, most: int) -> None:
    """Two threads never are inside tools at once, unless the module says that they may."""
    inside: list[int] = []
    seen: list[int] = []
    both = threading.Barrier(2)

    def tool() -> None:
        inside.append(1)
        if thread_safe:
            both.wait(10)
        time.sleep(0.02)
        seen.append(len(inside))
        if thread_safe:
            both.wait(10)
        inside.pop()

    tools = PythonTools({"tool": tool}, label="test", thread_safe=thread_safe)
    threads = [threading.Thread(target=tools.call, args=("tool", {})) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) == most
