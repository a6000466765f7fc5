"""The user's own agents in place of the plain team: ``--team package.module:factory``.

The factory is called once for each task, with those of these keyword arguments that it names: ``task`` (str),
``work_dir`` (pathlib.Path, the folder to work in), ``tools`` (ToolSource or None), ``model``
(ModelSettings or None) and ``capture`` (the running ``skillsmith.capture``, for logging by hand). It returns

- an agent of AG2 1.x, or anything else with ``async def ask(task)``: it is asked the task;
- a list of such agents: they work one after the other, each told the task and what the one before said;
- an object with ``run(task)``, plain or ``async``: it is run; its attribute ``agents``, a list, names the
  agents, groups, patterns or hubs to watch (of AG2 1.x or Classic); without it the object itself is watched
  when it is one of these.

What comes back is the answer: a text, or an object with ``body``, ``summary`` or ``text``. If it has a
boolean ``success``, that is the verdict on the task; exit codes and tool errors alone cannot tell success.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillsmith.errors import UsageError
from skillsmith.library.agents.ag2_runner import run_blocking
from skillsmith.library.tools.callables import import_place
from skillsmith.models import Event, ToolSource
from skillsmith.teams.result import Fact, TeamResult, judge
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.agents.model_settings import ModelSettings

HINT = "name it as package.module:factory"


def load_team(source: str) -> OwnTeam:
    """Return the team that a factory makes; the factory is not called yet.

    Args:
        source: ``package.module:factory`` or ``path/to/file.py:factory``.

    Raises:
        UsageError: There is no such module or factory.
        ExecutionError: Importing it failed.
    """
    place, colon, name = source.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise UsageError(f"{source!r} names no team", hint=HINT)
    factory = getattr(import_place(place), name, None)
    if factory is None:
        raise UsageError(f"{place} has no {name!r}", hint=HINT)
    if not callable(factory):
        raise UsageError(f"{source} cannot be called", hint="it is a function that returns the team")
    return OwnTeam(factory, label=source)


class OwnTeam:
    """The user's own agents.

    Args:
        factory: Makes them for a task; see above.
        label: Where they come from, for messages.
    """

    def __init__(self, factory: Callable[..., Any], *, label: str) -> None:
        self._factory = factory
        self.label = label

    def run(
        self,
        task: str,
        *,
        workspace: Workspace,
        work_dir: Path,
        tools: ToolSource | None = None,
        model: ModelSettings | None = None,
    ) -> TeamResult:
        """Do a task; what the team raises is in the result.

        Args:
            task: What is to be done, in words.
            workspace: Where the run is recorded.
            work_dir: The folder to work in; made when it is not there.
            tools: The user's own tools.
            model: The model that is configured.

        Raises:
            UsageError: What the factory makes is no team.
            KeyboardInterrupt: On Ctrl-C; the run is marked as interrupted.
        """
        from skillsmith.capture.session import Capture  # noqa: PLC0415  (only when a team works)

        work_dir = work_dir.absolute()
        work_dir.mkdir(parents=True, exist_ok=True)
        capture, answer, failure = Capture(task, workspace, work_dir=work_dir), None, None
        given = {"task": task, "work_dir": work_dir, "tools": tools, "model": model, "capture": capture}
        try:
            with capture:
                team = self._made(given)
                capture.instrument(*_watchable(team))
                answer = _work(team, task)
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001  (foreign code, which may raise anything; it is recorded)
            failure = f"{type(error).__name__}: {error}"
        return _result(workspace, capture.id, answer, failure, work_dir=work_dir)

    def _made(self, given: Mapping[str, Any]) -> Any:
        parameters = inspect.signature(self._factory).parameters.values()
        everything = any(one.kind is one.VAR_KEYWORD for one in parameters)
        names = {one.name for one in parameters}
        team = self._factory(**{name: value for name, value in given.items() if everything or name in names})
        if hasattr(team, "initiate_chat"):
            raise UsageError(
                f"{self.label} made an agent of AG2 Classic, which needs to be told how to begin",
                hint="return an object whose run(task) starts the chat, with the agents as its `agents`",
            )
        if not (_is_list(team) or hasattr(team, "run") or hasattr(team, "ask")):
            raise UsageError(
                f"{self.label} made a {type(team).__name__}, which is no team",
                hint="return an agent, a list of agents, or an object with run(task)",
            )
        return team


def _is_list(team: Any) -> bool:
    return isinstance(team, (list, tuple)) and bool(team) and all(hasattr(one, "ask") for one in team)


def _watchable(team: Any) -> list[Any]:
    """Return what of a team is to be watched."""
    from skillsmith.capture.session import adapter_of  # noqa: PLC0415  (loaded already)

    named = getattr(team, "agents", None)
    if isinstance(named, (list, tuple)):
        return list(named)
    if _is_list(team):
        return list(team)
    try:
        adapter_of(team)
    except UsageError:  # an object with run(task) that works with agents nobody told us of
        return []
    return [team]


def _work(team: Any, task: str) -> Any:
    """Have a team do a task and return what it gives back."""
    if _is_list(team):
        return run_blocking(lambda: _in_turn(team, task))
    if inspect.iscoroutinefunction(getattr(team, "ask", None)):  # also AG2's agents, whose run() is another
        return run_blocking(lambda: team.ask(task))
    answer = team.run(task)
    return run_blocking(lambda: _awaited(answer)) if inspect.isawaitable(answer) else answer


async def _in_turn(agents: Sequence[Any], task: str) -> Any:
    answer: Any = None
    for agent in agents:
        told = task if answer is None else f"{task}\n\n# What was done before\n{answer_text(answer)}"
        answer = await agent.ask(told)
    return answer


async def _awaited(answer: Any) -> Any:
    return await answer


def answer_text(answer: Any) -> str:
    """Return what a team says of its work, as text."""
    if answer is None or isinstance(answer, str):
        return answer or ""
    for name in ("body", "summary", "text"):
        if isinstance(said := getattr(answer, name, None), str):
            return said
    return str(answer)


def _result(
    workspace: Workspace, run_id: str, answer: Any, failure: str | None, *, work_dir: Path
) -> TeamResult:
    if failure is None:
        verdict = getattr(answer, "success", None)
        outcome, reason = judge(
            tuple(_facts(workspace.runs.events(run_id))),
            approved=verdict if isinstance(verdict, bool) else None,
            reason=str(getattr(answer, "reason", "") or "no reason given"),
        )
        workspace.runs.finish(run_id, outcome=outcome, reason=reason)
    run = workspace.runs.get(run_id)
    made = workspace.files.versions(workspace.runs.key(run_id))
    calls = sum(event.kind == "llm_call" for event in workspace.runs.events(run_id, kind="llm_call"))
    return TeamResult(
        run_id=run_id, outcome=run.outcome, reason=failure or run.outcome_reason or "",
        answer=answer_text(answer), work_dir=str(work_dir), model_calls=calls, tokens=run.tokens,
        artifacts=tuple(dict.fromkeys(one.path for one in made if one.agent is not None)),
        cost_usd=run.cost_usd, duration_seconds=run.duration_seconds or 0.0,
    )  # fmt: skip


def _facts(events: Iterable[Event]) -> Iterator[Fact]:
    """Yield what was really done in a run: code and tool calls, with how they ended."""
    for event in events:
        if event.code is not None and event.kind == "code_result":
            yield Fact(what=f"{event.code.language} code", good=not event.code.exit_code)
        elif event.tool is not None and event.kind == "tool_result":
            yield Fact(what=event.tool.name, good=event.tool.error is None)
