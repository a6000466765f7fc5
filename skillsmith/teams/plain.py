"""The plain team: a planner, an engineer who runs code, a reviewer; bounded rounds, judged by facts.

It asks any ``AgentRunner``, so limits on cost, calls and time are the runner's and hold for all three.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.models import Event, Json, Outcome, ToolSource
from skillsmith.models.protocols import AgentError, AgentReply, AgentRunner, AgentTask
from skillsmith.teams.result import Fact, TeamResult, judge
from skillsmith.teams.workshop import CODE_TOOL, Workshop

if TYPE_CHECKING:
    from skillsmith.capture.recorder import DatabaseLike

MAX_ROUNDS = 3
"""How often the engineer works and the reviewer looks."""

MAX_FACT_CHARS = 1_500
"""Of an output that the reviewer is told."""

MAX_FACTS = 30
"""The last ones are told."""

MAX_SHOWN_CODE = 6
"""How often in a round code is run that the engineer showed instead of running it."""

SAID_CHARS = 160
"""Of a message that is told to who looks on."""

PLANNER, ENGINEER, REVIEWER = "planner", "engineer", "reviewer"

ROLES = {
    PLANNER: (
        "You plan the work of an engineer who can run Python and shell code in a folder{tools}. Say in a few"
        " numbered steps what is to be done, and how one can see that it is done. You do nothing yourself."
    ),
    ENGINEER: (
        "You do the work that you are given, with your tools. run_code runs a whole program in the work"
        " folder, where all files are; name them by relative paths. Run what you write, look at what comes of"
        " it, mend it until it is right. At the end say in a few sentences what you did, what the result is"
        " and which files you made."
    ),
    REVIEWER: (
        "You judge whether a task was done, by what was run and what came of it, not by what is claimed."
        " Approve only what the facts show; else say what is still to be done."
    ),
}

VERDICT: Json = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean", "description": "Whether the task was done."},
        "reason": {"type": "string", "description": "One sentence: which fact shows it."},
        "still_to_do": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["approved", "reason", "still_to_do"],
    "additionalProperties": False,
}


class PlainTeam:
    """A planner, an engineer and a reviewer.

    Args:
        agents: Runs them.
        tools: The user's own tools, for the engineer.
        max_rounds: How often the engineer works.
        say: Hears what is going on, a line each.
    """

    def __init__(
        self,
        agents: AgentRunner,
        *,
        tools: ToolSource | None = None,
        max_rounds: int = MAX_ROUNDS,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._agents = agents
        self._tools = tools
        self._max_rounds = max_rounds
        self._say = say

    def run(self, task: str, *, db: DatabaseLike, work_dir: Path) -> TeamResult:
        """Do a task; whatever goes wrong with the model is in the result.

        Args:
            task: What is to be done, in words.
            db: Where the run is recorded.
            work_dir: Where code runs; made when it is not there.

        Raises:
            StorageError: The database cannot be written.
            KeyboardInterrupt: On Ctrl-C; the run is marked as interrupted.
        """
        work_dir = work_dir.absolute()
        work_dir.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with (
            AgentExecutionLogger(db, task=task, work_dir=work_dir) as log,
            Workshop(work_dir, log=log, agent=ENGINEER, tools=self._tools) as workshop,
        ):
            shift = _Shift(self._agents, log, workshop, self._say)
            try:
                answer, outcome, reason = self._work(task, shift)
            except AgentError as error:
                answer, outcome, reason = shift.report, "failure", error.message
            log.finish(outcome, status="failed" if outcome == "failure" else "completed", reason=reason)
            return TeamResult(
                run_id=log.run_id, outcome=outcome, reason=reason, answer=answer, work_dir=str(work_dir),
                artifacts=shift.artifacts(), model_calls=shift.model_calls, tokens=shift.tokens,
                cost_usd=shift.cost_usd, duration_seconds=time.monotonic() - began,
            )  # fmt: skip

    def _work(self, task: str, shift: _Shift) -> tuple[str, Outcome, str]:
        """Plan, then work and review in turns; return the report, the outcome and its reason."""
        named = ", and call tools: " + ", ".join(self._tools.names()) if self._tools else ""
        role = ROLES[PLANNER].format(tools=named)
        plan = shift.ask(PLANNER, task, title="plan", role=role, from_user=True).text
        shift.hand_over(PLANNER, ENGINEER, "the plan is ready", plan)
        approved, reason, to_do = None, "", ""
        for number in range(1, self._max_rounds + 1):
            shift.engineer(_work_prompt(task, plan, shift.report, to_do), title=f"work {number}")
            shift.hand_over(ENGINEER, REVIEWER, "the work is done", shift.report)
            verdict = shift.ask(
                REVIEWER, _review_prompt(task, shift), title=f"review {number}", output_schema=VERDICT
            ).value
            approved, reason = verdict["approved"], verdict["reason"]
            if approved:
                break
            to_do = "\n".join(f"- {item}" for item in verdict["still_to_do"]) or reason
            if number < self._max_rounds:
                shift.hand_over(REVIEWER, ENGINEER, reason, to_do)
        return shift.report, *judge(tuple(shift.workshop.facts), approved=approved, reason=reason)


class _Shift:
    """One task's work: who was asked what, and what it cost."""

    def __init__(
        self,
        agents: AgentRunner,
        log: AgentExecutionLogger,
        workshop: Workshop,
        say: Callable[[str], None],
    ) -> None:
        self.log = log
        self.workshop = workshop
        self.report = ""
        self.model_calls = 0
        self.tokens = 0
        self.cost_usd: float | None = 0.0
        self._agents = agents
        self._say = say
        self._calls: dict[str, Event] = {}

    def ask(
        self,
        agent: str,
        prompt: str,
        *,
        title: str,
        role: str | None = None,
        works: bool = False,
        from_user: bool = False,
        output_schema: Json = None,
    ) -> AgentReply:
        """Have an agent do its part, as a step of the run."""
        self.log.next_step(title)
        if from_user:
            self.log.log_message(prompt, role="user", sender="user", recipient=agent)
        self.log.log_agent_start(agent)
        self._say(f"{agent}: {title}")
        task = AgentTask(
            prompt=prompt, agent=agent, role=role or ROLES[agent], output_schema=output_schema,
            tools=self.workshop if works else None, on_event=self._record,
        )  # fmt: skip
        try:
            reply = self._agents.run(task)
        except AgentError as error:
            self._count(error.reply)
            raise
        self._count(reply)
        return reply

    def engineer(self, prompt: str, *, title: str) -> None:
        """Have the engineer work; code that is only shown, by a model that calls no tools, is run for it."""
        asked = prompt
        for _ in range(MAX_SHOWN_CODE):
            before = len(self.workshop.facts)
            self.report = self.ask(ENGINEER, asked, title=title, works=True).text
            if len(self.workshop.facts) > before or (told := self.workshop.run_blocks(self.report)) is None:
                return
            asked = f"{prompt}\n\n# What you said\n{self.report}\n\n# Your code was run and printed\n{told}"
            asked += "\n\nGo on with further code, or say in words, without code, what came of it."

    def hand_over(self, source: str, target: str, reason: str, message: str) -> None:
        """Record that the work goes on to another agent, with what it is told."""
        self.log.log_agent_transition(source, target, reason)
        self._say(f"{source} → {target}: {textwrap.shorten(message, SAID_CHARS, placeholder='…')}")

    def artifacts(self) -> tuple[str, ...]:
        """Return the paths of the files that were made or changed."""
        tracker = self.log.tracker
        made = tracker.versions() if tracker else ()
        return tuple(dict.fromkeys(version.path for version in made if version.agent is not None))

    def _count(self, reply: AgentReply) -> None:
        self.model_calls += reply.model_calls
        self.tokens += reply.tokens_in + reply.tokens_out
        known = reply.cost_usd is not None and self.cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (reply.cost_usd or 0.0) if known else None

    def _record(self, event: Event) -> None:
        """Record what an agent did; code that was run has been recorded as such by the workshop."""
        tool = event.tool
        if tool is not None and tool.name == CODE_TOOL and tool.call_id is not None:
            if event.kind == "tool_call":
                self._calls[tool.call_id] = event
                return
            asked = self._calls.pop(tool.call_id, None)
            if tool.error is None:
                return
            if asked is not None:  # it was not run at all, which only the call itself shows
                self.log.sink.log(replace(asked, step=self.log.step))
        self.log.sink.log(replace(event, step=self.log.step))


def _work_prompt(task: str, plan: str, report: str, to_do: str) -> str:
    parts = [f"# Task\n{task}", f"# Plan\n{plan}"]
    if report:
        parts.append(f"# What you said of your work so far\n{report}")
    if to_do:
        parts.append(f"# The reviewer says: still to be done\n{to_do}")
    return "\n\n".join(parts)


def _review_prompt(task: str, shift: _Shift) -> str:
    facts = shift.workshop.facts[-MAX_FACTS:]
    run = "\n\n".join(_fact(number, fact) for number, fact in enumerate(facts, 1)) or "nothing was run"
    files = "\n".join(shift.artifacts()) or "none"
    return (
        f"# Task\n{task}\n\n# What the engineer says\n{shift.report}\n\n# What was run, in order\n{run}"
        f"\n\n# Files made or changed\n{files}"
    )


def _fact(number: int, fact: Fact) -> str:
    output = fact.output.strip()
    if len(output) > MAX_FACT_CHARS:
        half = MAX_FACT_CHARS // 2
        output = f"{output[:half]}\n…\n{output[-half:]}"
    return f"{number}. {fact.what}: {'ended well' if fact.good else 'failed'}\n{output}".rstrip()
