"""Tests of the plain team and of the user's own, over real HTTP and with code that really runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ag2")
pytest.importorskip("openai")

from model_server import Answer, Server, refuse, system_of, text, tools

from skillsmith.errors import UsageError
from skillsmith.library.agents.ag2_runner import Ag2Runner
from skillsmith.library.agents.budgets import Budget
from skillsmith.library.agents.model_settings import ModelSettings
from skillsmith.library.tools.callables import PythonTools
from skillsmith.models import Event
from skillsmith.teams import PlainTeam, TeamResult, load_team
from skillsmith.teams.result import Fact, judge
from skillsmith.workspace import Workspace, open_workspace

SUM_UP = """\
import csv

total = sum(int(row["quantity"]) for row in csv.DictReader(open("sales.csv")))
open("total.txt", "w").write(str(total))
print("total", total)
"""

TASK = "Sum up the quantities in sales.csv into total.txt"


class Script:
    """Answers as a planner, an engineer and a reviewer would.

    Args:
        work: What the engineer says, one after the other.
        verdicts: What the reviewer says.
    """

    def __init__(self, work: list[Answer], verdicts: list[bool]) -> None:
        self.work = iter(work)
        self.verdicts = iter(verdicts)
        self.prompts: dict[str, list[str]] = {"planner": [], "engineer": [], "reviewer": []}

    def __call__(self, body: dict[str, Any], _number: int) -> Any:
        system = system_of(body)
        who = "planner" if "You plan" in system else "reviewer" if "You judge" in system else "engineer"
        self.prompts[who].append(str(body["messages"][-1]["content"]))
        if who == "planner":
            return text("1. Sum up with Python. 2. total.txt is there.", reasoning="one script is enough")
        if who == "engineer":
            return next(self.work)
        good = next(self.verdicts)
        said = {"approved": good, "reason": "the total is there" if good else "no total", "still_to_do": []}
        return text(json.dumps(said))


def run_code(code: str, language: str = "python") -> Answer:
    """Ask for code to be run."""
    return tools(("run_code", {"code": code, "language": language}))


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    """Return an open file beside a work folder with data."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "sales.csv").write_text("item,quantity\nball,3\nbat,4\n")
    with open_workspace(tmp_path / "x.db", _embedder=None) as opened:
        yield opened


def work(
    workspace: Workspace, script: Any, *, budget: Budget | None = None, tools: PythonTools | None = None
) -> TeamResult:
    """Let the plain team do the task."""
    folder = Path(workspace.path).parent / "work"
    with Server(script) as server:
        settings = ModelSettings(model="scripted", base_url=server.url, retries=0)
        runner = Ag2Runner(settings, price=lambda *_: 0.001, budget=budget)
        return PlainTeam(runner, tools=tools).run(TASK, db=workspace, work_dir=folder)


def events(workspace: Workspace, result: TeamResult) -> list[Event]:
    """Return what was recorded."""
    return list(workspace.runs.events(result.run_id))


def test_a_task_is_done_and_recorded(workspace: Workspace) -> None:
    """Planner, engineer and reviewer do a task; plan, code, files, hand-overs and cost are in the run."""
    script = Script([run_code(SUM_UP), text("The total is 7, in total.txt.")], [True])
    result = work(workspace, script)
    assert (result.outcome, result.success, result.artifacts) == ("success", True, ("total.txt",))
    assert result.answer == "The total is 7, in total.txt."
    assert (result.model_calls, result.cost_usd) == (4, pytest.approx(0.004))
    assert (Path(result.work_dir or "") / "total.txt").read_text() == "7"
    run = workspace.runs.get(result.run_id)
    assert (run.task, run.outcome, run.status) == (TASK, "success", "completed")
    assert run.cost_usd == pytest.approx(0.004)
    assert {"planner", "engineer", "reviewer"} <= set(run.agents)
    recorded = events(workspace, result)
    code = next(event for event in recorded if event.kind == "code_result")
    assert (code.agent, code.step, code.code and code.code.exit_code) == ("engineer", 2, 0)
    assert [e.recipient for e in recorded if e.kind == "transition"] == ["engineer", "reviewer"]
    assert sum(event.kind == "llm_call" for event in recorded) == 4
    assert (
        next(e for e in recorded if e.agent == "planner" and e.reasoning).reasoning == "one script is enough"
    )
    assert "total 7" in script.prompts["reviewer"][0]
    assert "total.txt" in script.prompts["reviewer"][0]


def test_a_skill_can_be_made_of_it(workspace: Workspace) -> None:
    """What a team did becomes a skill that runs on other data without a model."""
    result = work(workspace, Script([run_code(SUM_UP), text("done")], [True]))
    report = workspace.extractor.extract([result.run_id], name="sum_up")
    assert report.proof is not None
    assert report.proof.passed
    folder = Path(workspace.path).parent / "other"
    folder.mkdir()
    (folder / "sales.csv").write_text("item,quantity\nball,30\n")
    executed = workspace.executor(work_dir=folder).execute_skill(report.skill, {"task": TASK})
    assert executed.success, executed.error
    assert (folder / "total.txt").read_text() == "30"


def test_code_that_is_only_shown_is_run(workspace: Workspace) -> None:
    """A model that calls no tools has the code blocks of its answers run, and is told what they gave."""
    shown = text(f"I would do this:\n```python\n{SUM_UP}```\nThat is all.")
    script = Script([shown, text("The total is 7.")], [True])
    result = work(workspace, script)
    assert (result.outcome, result.artifacts) == ("success", ("total.txt",))
    assert "total 7" in script.prompts["engineer"][1]
    code = next(event for event in events(workspace, result) if event.kind == "code")
    assert code.code is not None
    assert code.code.text == SUM_UP


def test_the_reviewer_sends_back_in_bounded_rounds(workspace: Workspace) -> None:
    """What is still to be done is told to the engineer; after three rounds without approval it failed."""
    script = Script([run_code("print(1)"), text("first"), run_code(SUM_UP), text("second")], [False, True])
    assert work(workspace, script).outcome == "success"
    assert "no total" in script.prompts["engineer"][2]
    answers = [answer for _ in range(3) for answer in (run_code("print(1)"), text("again"))]
    result = work(workspace, Script(answers, [False] * 3))
    assert (result.outcome, result.success) == ("failure", False)
    assert result.reason == "the reviewer did not approve: no total"


def test_an_opinion_alone_is_no_success(workspace: Workspace) -> None:
    """Approved work of which nothing was run, or whose last code failed, has an unknown outcome."""
    result = work(workspace, Script([text("It is done, believe me.")], [True]))
    assert (result.outcome, result.success) == ("unknown", None)
    assert "nothing was run" in result.reason
    result = work(workspace, Script([run_code("raise SystemExit(3)"), text("done")], [True]))
    assert result.outcome == "unknown"
    assert "failed" in result.reason


def test_limits_end_the_team_with_the_reason(workspace: Workspace) -> None:
    """A team whose engineer goes in circles ends at the limit, as a failed run with all it did."""
    result = work(workspace, Script([run_code("print(1)")] * 50, []), budget=Budget(max_calls=5))
    assert (result.outcome, result.model_calls) == ("failure", 5)
    assert "limit of 5 model calls" in result.reason
    run = workspace.runs.get(result.run_id)
    assert (run.status, run.outcome) == ("failed", "failure")
    assert sum(event.kind == "code" for event in events(workspace, result)) == 4


def test_a_model_that_fails_is_told(workspace: Workspace) -> None:
    """An endpoint that answers 500 makes a failed run with one line."""
    result = work(workspace, [refuse(500, "boom")])
    assert result.outcome == "failure"
    assert "boom" in result.reason
    assert events(workspace, result)[-1].kind == "error"


def test_tools_are_offered_to_the_engineer(workspace: Workspace) -> None:
    """The user's tools are called by the engineer only, and recorded as tool calls."""
    stock = {"ball": 3}

    def order(item: str, count: int) -> dict[str, int]:
        """Order items."""
        stock[item] += count
        return stock

    source = PythonTools({"order": order}, label="shop")
    script = Script([tools(("order", {"item": "ball", "count": 2})), text("ordered")], [True])
    result = work(workspace, script, tools=source)
    assert stock == {"ball": 5}
    assert result.outcome == "success"
    used = [event.tool for event in events(workspace, result) if event.tool]
    assert [(one.name, one.result) for one in used] == [("order", None), ("order", '{"ball":5}')]
    assert "order" in script.prompts["reviewer"][0]


def test_code_that_cannot_be_run_is_an_error_of_the_call(workspace: Workspace) -> None:
    """A call without code, or in a language that cannot be run, is told and recorded with its error."""
    wrong = tools(("run_code", {"code": "x", "language": "cobol"}), ("run_code", {}))
    result = work(workspace, Script([wrong, run_code(SUM_UP), text("done")], [True]))
    assert result.outcome == "success"
    errors = [e.tool.error for e in events(workspace, result) if e.kind == "tool_result" and e.tool]
    assert len(errors) == 2
    assert "cobol" in str(errors[0])
    assert "no code to run" in str(errors[1])


def test_secrets_of_the_environment_do_not_reach_the_code(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code of the engineer runs without the keys of the user's environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-code")
    seen = run_code("import os; print('key:', os.environ.get('OPENAI_API_KEY'))")
    result = work(workspace, Script([seen, text("looked")], [True]))
    code = next(event for event in events(workspace, result) if event.kind == "code_result")
    assert code.code is not None
    assert code.code.output == "key: None\n"


def test_the_outcome_rests_on_facts() -> None:
    """Only approval and a good last fact together are a success."""
    good, bad = Fact(what="python code", good=True), Fact(what="python code", good=False)
    assert judge((bad, good), approved=True, reason="")[0] == "success"
    assert judge((good, bad), approved=True, reason="")[0] == "unknown"
    assert judge((good,), approved=None, reason="")[0] == "unknown"
    assert judge((), approved=True, reason="")[0] == "unknown"
    assert judge((good,), approved=False, reason="no")[0] == "failure"


# ------------------------------------------------------------------------------------------ the user's own

OWN = '''
from dataclasses import dataclass

from ag2 import Agent
from ag2.config import OpenAIConfig


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def agent(model):
    config = OpenAIConfig(model=model.model, base_url=model.base_url, api_key="none", streaming=True)
    return Agent("counter", "You count.", config=config, tools=[multiply])


def two(model):
    return [agent(model), agent(model)]


@dataclass
class Verdict:
    text: str
    success: bool


class Own:
    def __init__(self, model):
        self.agents = [agent(model)]

    async def run(self, task):
        reply = await self.agents[0].ask(task)
        return Verdict(text=reply.body, success=True)


def own(**given):
    assert sorted(given) == ["capture", "model", "task", "tools", "work_dir"]
    return Own(given["model"])


class Plain:
    def __init__(self, work_dir):
        self.work_dir = work_dir

    def run(self, task):
        (self.work_dir / "made.txt").write_text(task)
        return "made"


def plain(work_dir):
    return Plain(work_dir)


def broken():
    raise ValueError("no licence")


def nothing():
    return 42


number = 7
'''


@pytest.fixture
def own(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what runs a factory of the user's module."""
    pytest.importorskip("skillsmith.capture.session")
    folder = Path(workspace.path).parent
    (folder / "mine.py").write_text(OWN)
    monkeypatch.chdir(folder)

    def run(name: str, script: Any = ()) -> TeamResult:
        with Server(script) as server:
            model = ModelSettings(model="scripted", base_url=server.url)
            team = load_team(f"{folder / 'mine.py'}:{name}")
            return team.run("6 times 7", workspace=workspace, work_dir=folder / "own", model=model)

    yield run
    sys.modules.pop("skillsmith_tools_mine", None)


def test_an_agent_of_the_user_is_asked(own: Any, workspace: Workspace) -> None:
    """An AG2 agent does the task; its model and tool calls are in the run, its success is not claimed."""
    result = own("agent", [tools(("multiply", {"a": 6, "b": 7})), text("42")])
    assert (result.answer, result.outcome, result.model_calls) == ("42", "unknown", 2)
    recorded = events(workspace, result)
    results = [event.tool.result for event in recorded if event.kind == "tool_result" and event.tool]
    assert results == ["42"]
    assert workspace.runs.get(result.run_id).task == "6 times 7"


def test_agents_in_a_list_work_one_after_the_other(own: Any) -> None:
    """The second is told what the first said."""
    heard: list[str] = []

    def script(body: dict[str, Any], number: int) -> Answer:
        heard.append(body["messages"][-1]["content"])
        return text(f"answer {number}")

    assert own("two", script).answer == "answer 2"
    assert heard[0] == "6 times 7"
    assert "answer 1" in heard[1]


def test_an_object_that_judges_itself_can_succeed(own: Any) -> None:
    """A boolean ``success`` is the verdict, which counts together with what was run."""
    result = own("own", [tools(("multiply", {"a": 6, "b": 7})), text("42")])
    assert (result.outcome, result.answer) == ("success", "42")


def test_files_of_any_team_are_found(own: Any) -> None:
    """What an object that nobody can watch writes into the work folder is an artifact of the run."""
    result = own("plain")
    assert (result.answer, result.outcome) == ("made", "unknown")
    assert (Path(result.work_dir) / "made.txt").read_text() == "6 times 7"


def test_what_a_team_raises_is_its_failure(own: Any, workspace: Workspace) -> None:
    """An error of the user's code is in the result and in the run."""
    result = own("broken")
    assert (result.outcome, result.reason) == ("failure", "ValueError: no licence")
    assert workspace.runs.get(result.run_id).outcome == "failure"


def test_what_is_no_team_is_refused(own: Any) -> None:
    """A wrong name, a missing factory and a thing that cannot work are told in one line."""
    with pytest.raises(UsageError, match="made a int, which is no team"):
        own("nothing")
    with pytest.raises(UsageError, match="has no 'missing'"):
        own("missing")
    with pytest.raises(UsageError, match="cannot be called"):
        own("number")
    with pytest.raises(UsageError, match="names no team"):
        load_team("mine")
    with pytest.raises(UsageError, match="no Python module 'not_there'"):
        load_team("not_there:team")
