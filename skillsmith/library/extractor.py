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
from skillsmith.library.align import TracedRun
from skillsmith.library.assemble import merged, ordered, outputs, tool_nodes
from skillsmith.library.calls import Said, calls_of, printed_in, said_in
from skillsmith.library.codenodes import CodePart, code_part
from skillsmith.library.dataflow import Flow, trace
from skillsmith.library.document import to_document
from skillsmith.library.families import attempted, families
from skillsmith.library.family import family_skill
from skillsmith.library.generalises import generalises, reconstructs_all
from skillsmith.library.naming import VariableSet
from skillsmith.library.perturbation import perturbed
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
        """The proof that counts: the highest that passed, else the last."""
        passed = [proof for proof in self.skill.proofs if proof.passed]
        return next(reversed(passed or self.skill.proofs), None)


@dataclass(frozen=True, slots=True)
class _Draft:
    skill: Skill
    recorded: dict[str, Recorded]
    files: tuple[FileSnapshot, ...]
    unsound: tuple[str, ...]
    proofs: tuple[Proof, ...] = ()


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

    def extract(  # noqa: PLR0913  (keyword-only options of one command)
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
        allow_secrets: bool = False,
    ) -> ExtractionReport:
        """Make a skill from a run, or from several of one family, prove it and store it.

        Args:
            run_ids: Runs by id or unique prefix. Of several, those that failed give checks, never steps.
            name: The skill's name; a known name gets a new version.
            steps: "all", or a range like "3-7".
            tags: Instead of those found.
            description: Instead of the one found.
            public: Mark it as meant for sharing.
            force: Store it although the library has one of the same structure.
            replay: Run its code for the proof; by default only code of runs captured here.
            allow_secrets: Keep it although something in it looks like a secret.

        Raises:
            ExtractionError: The run failed, is not over, or did nothing that can be repeated; or several
                have nothing in common.
            NearDuplicateError: The library has it already under another name.
            SecretFoundError: It holds what looks like a secret.
        """
        runs = list({run.id: run for run in map(self._runs.get, run_ids)}.values())
        _refuse_name(name)
        chosen = _step_range(steps)
        draft = self._single(runs[0], chosen) if len(runs) == 1 else self._family(runs, chosen)
        run = next(run for run in runs if run.id in draft.skill.source_run_ids)
        skill = replace(
            draft.skill,
            name=name or describe.skill_name(draft.skill.nodes, run.task),
            description=description or draft.skill.description,
            tags=tuple(tags) or draft.skill.tags,
            source_steps=steps,
            is_public=public,
        )
        duplicates = self._admit(skill, force=force, allow_secrets=allow_secrets)
        allowed = run.source in OWN_SOURCES if replay is None else replay
        stored = self._skills.add(self._proven(draft, skill, replay=allowed))
        return ExtractionReport(skill=stored, duplicates=duplicates)

    def _single(self, run: Run, steps: range | None) -> _Draft:
        _refuse_unfit(run)
        return self._draft(run, steps)

    def _admit(self, skill: Skill, *, force: bool, allow_secrets: bool) -> tuple[dict[str, Any], ...]:
        """Refuse what may not be stored unasked; return what the library has of the same structure."""
        if not allow_secrets:
            self._skills.clearance.refuse_secrets([(skill.name, to_document(skill))])
        duplicates = self._duplicates(skill)
        if duplicates and not force:
            first = duplicates[0]
            raise NearDuplicateError(
                f"skill {first['name']!r} does the same",
                hint=f"give --name {first['name']} for a new version of it, or --force to keep both",
            )
        return duplicates

    def families(self, run_ids: Sequence[str]) -> list[tuple[list[str], list[str]]]:
        """Return which of these runs belong together, each family's successes and failures, largest first.

        Args:
            run_ids: Runs by id or unique prefix. One that succeeded and is like no other stands alone.
        """
        runs = list({run.id: run for run in map(self._runs.get, run_ids)}.values())
        traced = [self.traced(run) for run in runs if run.status != "running"]
        good = [one for one in traced if one.run.outcome == "success"]
        plain = [one for one in good if not one.has_code and one.looks]
        bad = [one for one in traced if one.run.outcome == "failure" and not one.has_code]
        found = [
            ([one.run.id for one in family.runs], [one.run.id for one in bad if attempted(one, family)])
            for family in families(plain)
        ]
        return found + [([one.run.id], []) for one in good if one not in plain]

    def _family(self, runs: Sequence[Run], steps: range | None) -> _Draft:
        if not runs:
            raise UsageError("no run is named", hint="`skillsmith runs` lists them")
        if steps is not None:
            raise UsageError("--steps is for one run", hint="name one run, or leave --steps out")
        failed = [self.traced(run) for run in runs if run.outcome == "failure"]
        good = [self.traced(run) for run in runs if run.outcome != "failure"]
        if not good:
            raise ExtractionError("none of the runs succeeded; skills come from successful runs")
        for one in good:
            _refuse_unfit(one.run)
            if one.has_code:
                raise ExtractionError(
                    f"run {one.run.id[:13]} ran code; several runs are lined up by their tool calls only",
                    hint="make the skill from that run alone",
                )
        skill = family_skill(good, failed)
        proofs = [reconstructs_all(skill, good)]
        if not proofs[0].passed:
            raise ExtractionError(
                f"the runs cannot be made one skill: {proofs[0].failures[0]}", hint="leave that run out"
            )
        if len(good) > 1:
            proofs.append(generalises(good, failed))
        return _Draft(skill, {}, (), (), tuple(proofs))

    def traced(self, run: Run) -> TracedRun:
        """Return a run with the data flow of its tool calls."""
        events = list(self._runs.events(run.id))
        words, calls = said_in(run.task, events), calls_of(events)
        flow = trace(calls, words, variables=VariableSet.empty(), printed=printed_in(events))
        has_code = any(event.kind == "code" for event in events)
        return TracedRun(run=run, calls=tuple(calls), words=tuple(words), flow=flow, has_code=has_code)

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
            task_pattern=describe.task_pattern(run.task, variables, (*flow.reasons, *code.reasons)),
            tags=describe.tags(nodes, code.packages), variables=variables, outputs=schema,
            output_bindings=bindings, nodes=tuple(nodes), agents=_agents(run, nodes),
            examples=source_tasks,
            context_requirements={"tools": tools, "packages": list(code.packages), "notes": list(code.notes),
                                  "source_tasks": len(source_tasks)},
            source_run_ids=(run.id,), artifacts=code.artifacts, why=(*flow.reasons, *code.reasons),
        )  # fmt: skip

    def _proven(self, draft: _Draft, skill: Skill, *, replay: bool) -> Skill:
        if draft.proofs:  # of a family; what does not generalise still does what its own runs did
            return replace(skill, proofs=draft.proofs, state="proven")
        proofs = [reconstructs(skill, draft.recorded, known=draft.unsound)]
        has_code = any(node.kind == "code" for node in skill.nodes)
        if has_code and replay and proofs[0].passed:
            proofs.append(replays(skill, draft.recorded, draft.files))
        complete = all(proof.passed for proof in proofs) and (len(proofs) > 1 or not has_code)
        further = perturbed(skill, draft.files) if len(proofs) > 1 and complete else None
        if further is not None and further.compared:  # a refused value proves nothing
            proofs.append(further)
        return replace(skill, proofs=tuple(proofs), state="proven" if complete else "draft")

    def _duplicates(self, skill: Skill) -> tuple[dict[str, Any], ...]:
        found = self._skills.with_structure(structure_digest(skill))
        return tuple(
            {"name": name, "version": version, "similarity": 1.0}
            for name, version in found
            if name != skill.name
        )


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
