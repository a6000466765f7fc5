"""From a successful run to a typed, explained, proven skill; no model is asked.

A skill is stored with its proof: ``draft`` until the highest proof that its node kinds allow has passed,
then ``proven``. Code of an imported log is never run unasked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skillsmith.db import Database
from skillsmith.errors import ExtractionError, NearDuplicateError, UsageError
from skillsmith.files import FileRepository
from skillsmith.library.code.nodes import CodePart, code_part, files_before, read_run
from skillsmith.library.code.tests import given_tests
from skillsmith.library.dataflow import Flow, trace
from skillsmith.library.extraction import describe
from skillsmith.library.extraction.assemble import merged, ordered, outputs, tool_nodes
from skillsmith.library.extraction.drafts import (
    SkillDraft,
    proven,
    refuse_name,
    refuse_unfit,
    step_range,
    with_better_words,
)
from skillsmith.library.extraction.requirements import requirements
from skillsmith.library.families.code_columns import CodedRun, coded
from skillsmith.library.families.code_family import code_family
from skillsmith.library.families.code_generalises import generalises_code, reconstructs_code
from skillsmith.library.families.code_groups import attempted_code, code_families
from skillsmith.library.families.generalises import generalises, reconstructs_all
from skillsmith.library.families.groups import attempted, families
from skillsmith.library.families.merging import family_skill
from skillsmith.library.program.document import to_document
from skillsmith.library.program.similarity import structure_digest
from skillsmith.library.proof import Recorded, reconstructs
from skillsmith.library.repository import SkillRepository
from skillsmith.library.trace.align import TracedRun
from skillsmith.library.trace.calls import Said, calls_of, printed_in, said_in
from skillsmith.library.trace.naming import VariableSet
from skillsmith.models import AgentRunner, Event, Node, Proof, Reason, Run, Skill, Variable
from skillsmith.runs import RunRepository

WORDS = ("name", "description", "tags")
"""What a user may say of a skill, and a model only where the user has not."""

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
    def proposed(self) -> tuple[Reason, ...]:
        """What a model proposed: what was taken, and what was dropped with its reason."""
        rules = ("model-proposed", "proposal-dropped")
        return tuple(reason for reason in self.skill.why if reason.rule in rules)

    @property
    def proof(self) -> Proof | None:
        """The proof that counts: the highest that passed, else the last."""
        passed = [proof for proof in self.skill.proofs if proof.passed]
        return next(reversed(passed or self.skill.proofs), None)


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
        polish: AgentRunner | None = None,
    ) -> ExtractionReport:
        """Make a skill from a run, or from several of one family, prove it and store it.

        Args:
            run_ids: Ids or unique prefixes. Of several runs, those that failed give checks, never steps.
            name: The skill's name; a known name gets a new version.
            steps: "all", or a range like "3-7".
            tags: Instead of those found.
            description: Instead of the one found.
            public: Mark it as meant for sharing.
            force: Store it although the library has one of the same structure.
            replay: Run its code for the proof; by default only code of runs captured here.
            allow_secrets: Keep it although something in it looks like a secret.
            polish: Asks a model for better words; what does not pass the same proof is dropped.

        Raises:
            ExtractionError: The run failed, is not over, or did nothing that can be repeated; or several
                have nothing in common.
            NearDuplicateError: The library has it already under another name.
            SecretFoundError: It holds what looks like a secret.
        """
        refuse_name(name)
        runs, chosen = self._distinct(run_ids), step_range(steps)
        draft = self._single(runs[0], chosen) if len(runs) == 1 else self._family(runs, chosen)
        run = next(run for run in runs if run.id in draft.skill.source_run_ids)
        skill = replace(
            draft.skill, name=name or describe.skill_name(draft.skill.nodes, run.task),
            description=description or draft.skill.description, tags=tuple(tags) or draft.skill.tags,
            source_steps=steps, is_public=public,
        )  # fmt: skip
        duplicates = self._admit(skill, force=force, allow_secrets=allow_secrets)
        allowed = run.source in OWN_SOURCES if replay is None else replay
        made = proven(draft, _with_needs(skill, run), replay=allowed)
        if polish is not None:
            made = self._polished(draft, made, polish, said=(name, description, tags), replay=allowed)
            self._admit(made, force=True, allow_secrets=allow_secrets)
        return ExtractionReport(skill=self._skills.add(made), duplicates=duplicates)

    def _polished(
        self, draft: SkillDraft, skill: Skill, agents: AgentRunner, *, said: Sequence[Any], replay: bool
    ) -> Skill:
        fixed = [one for one, value in zip(WORDS, said, strict=True) if value]
        taken = self._skills.exists
        return with_better_words(draft, skill, agents, fixed=fixed, taken=taken, replay=replay)

    def _distinct(self, run_ids: Sequence[str]) -> list[Run]:
        return list({run.id: run for run in map(self._runs.get, run_ids)}.values())

    def _single(self, run: Run, steps: range | None) -> SkillDraft:
        refuse_unfit(run)
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
        runs = self._distinct(run_ids)
        traced = [self.traced(run) for run in runs if run.status != "running"]
        good = [one for one in traced if one.run.outcome == "success"]
        bad = [one for one in traced if one.run.outcome == "failure"]
        plain = [one for one in good if not one.has_code and one.looks]
        only_code = [one for one in good if one.has_code and not one.looks]
        found = [
            (
                [one.run.id for one in family.runs],
                [one.run.id for one in bad if not one.has_code and attempted(one, family)],
            )
            for family in families(plain)
        ]
        found += self._code_families(only_code, bad)
        taken = {run for group, _ in found for run in group}
        return found + [([one.run.id], []) for one in good if one.run.id not in taken]

    def _code_families(
        self, good: Sequence[TracedRun], bad: Sequence[TracedRun]
    ) -> list[tuple[list[str], list[str]]]:
        failed = [self.coded(one) for one in bad if one.has_code]
        return [
            ([one.run.id for one in group], [one.run.id for one in failed if attempted_code(one, group)])
            for group in code_families([self.coded(one) for one in good])
        ]

    def _family(self, runs: Sequence[Run], steps: range | None) -> SkillDraft:
        if not runs:
            raise UsageError("no run is named", hint="`skillsmith runs` lists them")
        if steps is not None:
            raise UsageError("--steps is for one run", hint="name one run, or leave --steps out")
        failed = [self.traced(run) for run in runs if run.outcome == "failure"]
        good = [self.traced(run) for run in runs if run.outcome != "failure"]
        if not good:
            raise ExtractionError("none of the runs succeeded; skills come from successful runs")
        for one in good:
            refuse_unfit(one.run)
        if any(one.has_code for one in good):
            return self._code_family(good, failed)
        skill = family_skill(good, failed)
        proofs = [reconstructs_all(skill, good)]
        if not proofs[0].passed:
            raise ExtractionError(
                f"the runs cannot be made one skill: {proofs[0].failures[0]}", hint="leave that run out"
            )
        if len(good) > 1:
            proofs.append(generalises(good, failed))
        return SkillDraft(skill, {}, (), (), tuple(proofs), traced=tuple(good))

    def _code_family(self, good: Sequence[TracedRun], failed: Sequence[TracedRun]) -> SkillDraft:
        for one in good:
            if one.looks or not one.has_code:
                what = "calls tools beside its code" if one.has_code else "calls tools, others ran code"
                raise ExtractionError(
                    f"run {one.run.id[:13]} {what}; runs are lined up by their calls or by their code",
                    hint="make the skill from that run alone",
                )
        runs, bad = [self.coded(one) for one in good], [self.coded(one) for one in failed if one.has_code]
        family = code_family(runs, bad)
        problems = (*family.part.unsound, *reconstructs_code(family, family.skill).failures)
        if problems:
            raise ExtractionError(
                f"the runs cannot be made one skill: {problems[0]}", hint="leave that run out"
            )
        proofs = (generalises_code(runs, bad),) if len(runs) > 1 else ()
        return SkillDraft(family.skill, {}, (), (), proofs, family)

    def coded(self, traced: TracedRun) -> CodedRun:
        """Return a run with its code read."""
        run = traced.run
        versions = self._files.versions(self._runs.key(run.id))
        events = list(self._runs.events(run.id))
        read = read_run(events, traced.words, run=run, versions=versions)
        return coded(run, read, files_before(versions, self._files), calls=len(traced.looks))

    def traced(self, run: Run) -> TracedRun:
        """Return a run with the data flow of its tool calls."""
        events = list(self._runs.events(run.id))
        words, calls = said_in(run.task, events), calls_of(events)
        flow = trace(calls, words, variables=VariableSet.empty(), printed=printed_in(events))
        has_code = any(event.kind == "code" for event in events)
        return TracedRun(run=run, calls=tuple(calls), words=tuple(words), flow=flow, has_code=has_code)

    def _draft(self, run: Run, steps: range | None) -> SkillDraft:
        everything = list(self._runs.events(run.id))
        events = [event for event in everything if steps is None or event.step in steps]
        return self._drafted(run, everything, events)

    def part(self, run: Run, seen: Sequence[Event], *, events: Sequence[Event]) -> Skill:
        """Return the skill of a part of a run that may still go on, a draft with its proof; it is not stored.

        Args:
            run: The run.
            seen: What is known of it: the part and what came before.
            events: The part.

        Raises:
            ExtractionError: The part did nothing that can be repeated.
        """
        draft = self._drafted(run, seen, events)
        name = describe.skill_name(draft.skill.nodes, run.task)
        proof = reconstructs(draft.skill, draft.recorded, known=draft.unsound)
        return replace(draft.skill, name=name, proofs=(proof,), state="draft")

    def _drafted(self, run: Run, everything: Sequence[Event], events: Sequence[Event]) -> SkillDraft:
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
        return SkillDraft(skill, recorded, code.files, code.unsound, tests=given_tests(run.metadata))

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

    def _duplicates(self, skill: Skill) -> tuple[dict[str, Any], ...]:
        found = self._skills.with_structure(structure_digest(skill))
        return tuple(
            {"name": name, "version": version, "similarity": 1.0}
            for name, version in found
            if name != skill.name
        )


def _with_needs(skill: Skill, run: Run) -> Skill:
    """Note what a skill's code needs; versions only where its run was captured on this machine."""
    if not any(node.kind == "code" for node in skill.nodes):
        return skill
    needed = requirements(skill, here=run.source in OWN_SOURCES)
    return replace(skill, context_requirements={**skill.context_requirements, **needed})


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
    from skillsmith.library.program.bindings import sources  # noqa: PLC0415

    bindings = [binding for node in nodes for binding in (*node.arguments.values(), *node.bindings.values())]
    used = {source.name for binding in bindings for source in sources(binding) if hasattr(source, "name")}
    return (*lifted.all(used), *more)


def _agents(run: Run, nodes: Sequence[Node]) -> tuple[str, ...]:
    people = {"user", "human", "system"}
    return tuple(dict.fromkeys(node.agent for node in nodes if node.agent)) or tuple(
        agent for agent in run.agents if agent.lower() not in people
    )
