"""From a successful run to a typed, explained, proven skill; no model is asked.

A skill is stored with its proof: ``draft`` until the highest proof that its node kinds allow has passed,
then ``proven``. Code of an imported log is never run unasked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skillsmith.db import Database
from skillsmith.errors import ExtractionError, NearDuplicateError, UsageError
from skillsmith.files import FileRepository
from skillsmith.library import describe
from skillsmith.library.assemble import merged, ordered, outputs, tool_nodes
from skillsmith.library.calls import Said, calls_of, printed_in, said_in
from skillsmith.library.codenodes import CodePart, code_part
from skillsmith.library.dataflow import Flow, trace
from skillsmith.library.naming import VariableSet
from skillsmith.library.proof import Recorded, reconstructs, replays
from skillsmith.library.repository import SkillRepository
from skillsmith.library.similarity import structure_digest
from skillsmith.library.validation import NAME
from skillsmith.models import FileSnapshot, Node, Proof, Reason, Run, Skill, Variable
from skillsmith.runs import RunRepository

OWN_SOURCES = frozenset({"capture", "execution"})
"""Runs of this machine: their code ran here once already and may be replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionReport:
    """What an extraction made.

    Args:
        skill: As stored, with its proofs.
        duplicates: Skills of the library with the same structure: name, version, similarity.
    """

    skill: Skill
    duplicates: tuple[dict[str, Any], ...]

    @property
    def left_out(self) -> tuple[Reason, ...]:
        """What of the run is not in the skill, and why."""
        return tuple(reason for reason in self.skill.why if reason.decision == "left_out")

    @property
    def proof(self) -> Proof | None:
        """The proof that counts: the last and highest."""
        return self.skill.proofs[-1] if self.skill.proofs else None


@dataclass(frozen=True, slots=True)
class _Draft:
    skill: Skill
    recorded: dict[str, Recorded]
    files: tuple[FileSnapshot, ...]
    unsound: tuple[str, ...]


class SkillExtractor:
    """Make skills from runs.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._runs = RunRepository(db)
        self._files = FileRepository(db)
        self._skills = SkillRepository(db)
        self._db = db

    def extract_skill_from_run(
        self,
        run_id: str,
        step_range: str = "all",
        skill_name: str | None = None,
        tags: Sequence[str] | None = None,
        description: str | None = None,
        make_public: bool = False,  # noqa: FBT001, FBT002  (the specification's signature)
    ) -> Skill:
        """Make a skill from one run and return it as stored; see ``extract``."""
        report = self.extract(
            [run_id], name=skill_name, steps=step_range, tags=tags or (), description=description,
            public=make_public,
        )  # fmt: skip
        return report.skill

    def extract(
        self,
        run_ids: Sequence[str],
        *,
        name: str | None = None,
        steps: str = "all",
        tags: Sequence[str] = (),
        description: str | None = None,
        public: bool = False,
        force: bool = False,
        replay: bool | None = None,
    ) -> ExtractionReport:
        """Make a skill from a run, prove it and store it.

        Args:
            run_ids: One run, by id or unique prefix.
            name: The skill's name; a known name gets a new version.
            steps: "all", or a range like "3-7".
            tags: Instead of those found.
            description: Instead of the one found.
            public: Mark it as meant for sharing.
            force: Store it although the library has one of the same structure.
            replay: Run its code for the proof; by default only code of runs captured here.

        Raises:
            ExtractionError: The run failed, is not over, or did nothing that can be repeated.
            NearDuplicateError: The library has it already under another name.
        """
        run = self._runs.get(_only(run_ids))
        _refuse_name(name)
        _refuse_unfit(run)
        draft = self._draft(run, _step_range(steps))
        skill = replace(
            draft.skill,
            name=name or describe.skill_name(draft.skill.nodes, run.task),
            description=description or draft.skill.description,
            tags=tuple(tags) or draft.skill.tags,
            source_steps=steps,
            is_public=public,
        )
        duplicates = self._duplicates(skill)
        if duplicates and not force:
            first = duplicates[0]
            raise NearDuplicateError(
                f"skill {first['name']!r} does the same",
                hint=f"give --name {first['name']} for a new version of it, or --force to keep both",
            )
        allowed = run.source in OWN_SOURCES if replay is None else replay
        stored = self._skills.add(self._proven(draft, skill, replay=allowed))
        return ExtractionReport(skill=stored, duplicates=duplicates)

    def _draft(self, run: Run, steps: range | None) -> _Draft:
        everything = list(self._runs.events(run.id))
        events = [event for event in everything if steps is None or event.step in steps]
        words = said_in(run.task, everything)
        variables = VariableSet.empty()
        chosen = {event.seq for event in events}
        flow = trace(
            calls_of(everything), words, variables=variables, chosen=chosen, printed=printed_in(everything)
        )
        code = code_part(
            events, words, run=run, versions=self._files.versions(self._runs.key(run.id)), files=self._files,
            taken=variables.defaults(), calls=[bound.call.seq for bound in flow.kept],
        )  # fmt: skip
        nodes = sorted([*tool_nodes(flow), *code.nodes], key=lambda node: node.source_seqs)
        if not nodes:
            raise ExtractionError(
                f"run {run.id[:13]} has no successful tool call or code block",
                hint="there is nothing to repeat",
            )
        nodes = list(ordered(nodes, code.edges))
        recorded = {**_recorded(flow), **code.recorded}
        skill = self._skill(run, nodes, flow, code, recorded, words)
        return _Draft(skill, recorded, code.files, code.unsound)

    def _skill(
        self,
        run: Run,
        nodes: list[Node],
        flow: Flow,
        code: CodePart,
        recorded: dict[str, Recorded],
        words: Sequence[Said],
    ) -> Skill:
        variables = _used(nodes, flow.variables, code.variables)
        results = {node.id: recorded[node.id].result for node in nodes if node.kind == "tool"}
        schema, bindings = outputs(nodes, results)
        if code.nodes:
            schema, bindings = merged((schema, bindings), (code.outputs, code.output_bindings))
        tools = sorted({node.tool for node in nodes if node.tool})
        source_tasks = _source_tasks(words)
        return Skill(
            name="", description=describe.description(nodes, run.task),
            task_pattern=describe.task_pattern(run.task, variables),
            tags=describe.tags(nodes, code.packages), variables=variables, outputs=schema,
            output_bindings=bindings, nodes=tuple(nodes), agents=_agents(run, nodes),
            examples=source_tasks,
            context_requirements={"tools": tools, "packages": list(code.packages), "notes": list(code.notes),
                                  "source_tasks": len(source_tasks)},
            source_run_ids=(run.id,), artifacts=code.artifacts, why=(*flow.reasons, *code.reasons),
        )  # fmt: skip

    def _proven(self, draft: _Draft, skill: Skill, *, replay: bool) -> Skill:
        proofs = [reconstructs(skill, draft.recorded, known=draft.unsound)]
        has_code = any(node.kind == "code" for node in skill.nodes)
        if has_code and replay and proofs[0].passed:
            proofs.append(replays(skill, draft.recorded, draft.files))
        complete = all(proof.passed for proof in proofs) and (len(proofs) > 1 or not has_code)
        return replace(skill, proofs=tuple(proofs), state="proven" if complete else "draft")

    def _duplicates(self, skill: Skill) -> tuple[dict[str, Any], ...]:
        found = self._skills.with_structure(structure_digest(skill))
        return tuple(
            {"name": name, "version": version, "similarity": 1.0}
            for name, version in found
            if name != skill.name
        )


def _only(run_ids: Sequence[str]) -> str:
    if len(run_ids) != 1:
        raise UsageError("a skill is made from one run", hint="name one run, or use --all-successful")
    return run_ids[0]


def _refuse_name(name: str | None) -> None:
    if name is not None and not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no skill name", hint="use lower-case letters, digits, - and _")


def _refuse_unfit(run: Run) -> None:
    short = run.id[:13]
    if run.outcome == "failure":
        raise ExtractionError(
            f"run {short} failed ({run.outcome_reason or 'no reason given'});"
            " skills come from successful runs",
            hint=f"if it did succeed, say so with `skillsmith mark {short} --outcome success`",
        )
    if run.status == "running":
        raise ExtractionError(f"run {short} is still running", hint="wait until it has ended")


def _step_range(steps: str) -> range | None:
    if steps == "all":
        return None
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", steps)
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise UsageError(f"steps {steps!r} is no range", hint='use "all", "4" or "3-7"')
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _source_tasks(words: Sequence[Said]) -> tuple[str, ...]:
    """Return how the source run was asked for: its task, and what the person typed first."""
    texts = [words[0].text] if words else []
    texts += [next((said.text for said in words if said.where == "user"), "")]
    return tuple(dict.fromkeys(text for text in texts if text))


def _recorded(flow: Flow) -> dict[str, Recorded]:
    return {
        flow.names[f"call{bound.call.seq}"]: Recorded(
            arguments=bound.call.arguments, result=bound.call.result
        )
        for bound in flow.kept
    }


def _used(nodes: Sequence[Node], lifted: VariableSet, more: Sequence[Variable]) -> tuple[Variable, ...]:
    """Return the variables that some node really uses."""
    from skillsmith.library.bindings import sources  # noqa: PLC0415

    bindings = [binding for node in nodes for binding in (*node.arguments.values(), *node.bindings.values())]
    used = {source.name for binding in bindings for source in sources(binding) if hasattr(source, "name")}
    return (*lifted.all(used), *more)


def _agents(run: Run, nodes: Sequence[Node]) -> tuple[str, ...]:
    people = {"user", "human", "system"}
    return tuple(dict.fromkeys(node.agent for node in nodes if node.agent)) or tuple(
        agent for agent in run.agents if agent.lower() not in people
    )
