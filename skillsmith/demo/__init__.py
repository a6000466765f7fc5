"""The whole life of a skill, live: capture, extract, prove, match, run on other data, see what changed.

A scripted model says what the agents say (see ``scenario``), after the pause that a fast real one would
need; everything else is what users get: code runs in subprocesses, files are written, one SQLite file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from skillsmith.demo.scenario import NEW_TASK, TASK, TURNS
from skillsmith.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from skillsmith.library.execution.outcome import ExecutionResult
    from skillsmith.library.extractor import ExtractionReport
    from skillsmith.models import Json, MatchResult

MODEL_LATENCY_SECONDS = 1.0
"""What the scripted model waits before each answer; real ones take 2 to 20 seconds."""

LAST_WORDS_SECONDS = 2.0
SKILL = "monthly_revenue"
FOLDER = "skillsmith-demo"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the demo works: the database, the agents' folder, the skill's folder."""

    root: Path

    @property
    def db(self) -> Path:
        return self.root / "skillsmith.db"

    def folder(self, name: str, data: str) -> Path:
        """Return a work folder with one of the demo's data files in it."""
        folder = self.root / name
        folder.mkdir(parents=True)
        (folder / data).write_bytes(files("skillsmith.demo").joinpath("data", data).read_bytes())
        return folder


def run_demo(*, keep: bool = False, say: Say = print) -> dict[str, Json]:
    """Run the demo and return its document.

    Args:
        keep: Leave database and files behind, in ``./skillsmith-demo``.
        say: Gets each line of the story.
    """
    with _place(keep=keep) as place, open_workspace(place.db) as workspace:
        run_id, agent_seconds = _capture(place, say)
        report = _extract(workspace, run_id, say)
        found = _match(workspace, say)
        result = _execute(place, workspace, found, say)
        speedup = _speedup(agent_seconds, result.duration_seconds, say)
        if keep:
            say(f"\nKept in {place.root}: try `skillsmith show {SKILL} --why --db {place.db}`")
        return _document(run_id, report, found, result, speedup)


@contextmanager
def _place(*, keep: bool) -> Iterator[_Place]:
    if not keep:
        with TemporaryDirectory(prefix="skillsmith-demo-") as folder:
            yield _Place(Path(folder))
        return
    root, number = Path(FOLDER), 1
    while root.exists():
        number += 1
        root = Path(f"{FOLDER}-{number}")
    root.mkdir()
    yield _Place(root.resolve())


def _capture(place: _Place, say: Say) -> tuple[str, float]:
    import asyncio  # noqa: PLC0415  (50 ms)

    from skillsmith.capture.session import capture  # noqa: PLC0415  (with the team)
    from skillsmith.demo.team import build_agents, work  # noqa: PLC0415  (loads AG2: 1 s)

    say(f"1. CAPTURE  a team of AG2 agents works on:\n     “{TASK}”")
    folder = place.folder("agents", "sales_east.csv")
    agents = build_agents(folder, latency_seconds=MODEL_LATENCY_SECONDS)
    began = time.perf_counter()
    with _told(place, say), capture(TASK, db=place.db, work_dir=folder) as run:
        verdict = asyncio.run(work(TASK, agents, watch=run.instrument))
        run.mark("success", reason=f"the reviewer approved: {verdict}")
    seconds = time.perf_counter() - began
    calls = f"{len(TURNS)} model calls of {MODEL_LATENCY_SECONDS} s"
    say(f"   {seconds:.1f} s with {calls} (scripted; the team, its tools and the code are real)")
    return run.id, seconds


@contextmanager
def _told(place: _Place, say: Say) -> Iterator[None]:
    """Tell what happens while it happens, as any other process that follows the file could."""
    over = threading.Event()

    def tell(notice: Mapping[str, Json]) -> None:
        name, data = notice["event"], notice["data"]
        if name == "RUN_ENDED":
            over.set()
        elif name == "AGENT_MESSAGE" and data["role"] == "assistant" and data["content"]:
            say(f"   {data['agent']:9} {data['content']}")
        elif name == "CODE_EXECUTED":
            last = (data["output"] or "").strip().splitlines() or [""]
            say(f"             → exit code {data['exit_code']}: {last[-1]}")

    with open_workspace(place.db) as workspace:
        telling = workspace.events.subscribe(tell)
        try:
            yield
            over.wait(LAST_WORDS_SECONDS)
        finally:
            telling.close()


def _extract(workspace: Workspace, run_id: str, say: Say) -> ExtractionReport:
    report = workspace.extractor.extract([run_id], name=SKILL)
    skill = report.skill
    say(f"\n2. EXTRACT  skill {skill.name}@{skill.version}: {len(skill.nodes)} steps")
    for variable in skill.variables:
        needed = "required" if variable.required else "optional"
        say(f"   input     {variable.name}: {variable.type}, {needed}, was {variable.default!r}")
    for reason in report.left_out:
        say(f"   left out  {reason.subject}: {reason.detail}")
    say("\n3. PROVE    before anyone trusts it")
    for proof in skill.proofs:
        verdict = "passed" if proof.passed else "; ".join(proof.failures)
        say(f"   {proof.level:13} {verdict} ({proof.compared} things compared)")
    say(f"   state: {skill.state}")
    return report


def _match(workspace: Workspace, say: Say) -> MatchResult:
    workspace.vectors.sync()
    if workspace.vectors.notice:
        say(f"\n   ({workspace.vectors.notice})")
    say(f"\n4. MATCH    another task, in other words:\n     “{NEW_TASK}”")
    found = workspace.matcher.match(NEW_TASK)
    for match in found.matches:
        say(f"   {match.name}@{match.version}  confidence {match.confidence:.2f}: {match.reason}")
    none = workspace.matcher.match("Book a table for two at an Italian restaurant tonight")
    say(f"   and for “Book a table for two …”: {'none' if none.abstained else none.matches[0].name}")
    return found


def _execute(place: _Place, workspace: Workspace, found: MatchResult, say: Say) -> ExecutionResult:
    folder = place.folder("skill", "sales_west.csv")
    skill = workspace.skills.get(SKILL)
    confidence = found.matches[0].confidence if found.matches else None
    result = workspace.executor(work_dir=folder).execute_skill(
        skill, {"task": NEW_TASK, "confidence": confidence}
    )
    say(f"\n5. RUN      {skill.name}@{skill.version} on the other file, no model asked")
    for node in result.nodes:
        last = (node.output.strip().splitlines() or [""])[-1]
        say(f"   {node.node_id:4} {node.status:7} {node.duration_seconds:5.2f} s  {last}")
    for one in result.adaptations:
        say(f"   adapted   {one.target}: {one.before!r} → {one.after!r} ({one.reason})")
    say(f"   files     {', '.join(result.artifacts)}")
    say(f"   {'success' if result.success else f'failed: {result.error}'}")
    return result


def _speedup(agent_seconds: float, skill_seconds: float, say: Say) -> dict[str, float]:
    calls = len(TURNS)
    at_two = agent_seconds + calls * (2.0 - MODEL_LATENCY_SECONDS)
    speedup = {
        "agent_seconds": round(agent_seconds, 3),
        "skill_seconds": round(skill_seconds, 3),
        "times": round(agent_seconds / skill_seconds, 1),
        "times_at_2s": round(at_two / skill_seconds, 1),
        "model_calls_saved": calls,
        "model_latency_seconds": MODEL_LATENCY_SECONDS,
    }
    say(
        f"\n6. LEARNED  {agent_seconds:.1f} s with agents, {skill_seconds:.1f} s with the skill:"
        f" {speedup['times']} times as fast, {calls} model calls saved"
        f"\n            (with a model that takes 2 s an answer: {speedup['times_at_2s']} times)"
    )
    return speedup


def _document(
    run_id: str,
    report: ExtractionReport,
    found: MatchResult,
    result: ExecutionResult,
    speedup: Mapping[str, Json],
) -> dict[str, Json]:
    proof = report.proof
    return {
        "run_id": run_id,
        "skill": f"{report.skill.name}@{report.skill.version}",
        "proof": None if proof is None else {
            "level": proof.level, "passed": proof.passed, "compared": proof.compared,
            "failures": list(proof.failures),
        },
        "matches": [
            {"name": one.name, "version": one.version, "confidence": one.confidence, "reason": one.reason}
            for one in found.matches
        ],
        "execution": {
            "execution_id": result.execution_id, "success": result.success,
            "adaptations": [
                {"type": one.type, "target": one.target, "before": one.before, "after": one.after,
                 "reason": one.reason}
                for one in result.adaptations
            ],
            "outputs": dict(result.outputs), "artifacts": list(result.artifacts),
        },
        "speedup": dict(speedup),
    }  # fmt: skip
