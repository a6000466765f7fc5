"""The gate that every change of a skill passes or does not: a proof, and a comparison with its parent.

Both versions do the recorded inputs of past executions, in turn and in changing order. Nothing of it
reaches the ledger or the world outside; what the record cannot answer leaves the question open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from skillsmith.db import Database
from skillsmith.errors import SkillsmithError
from skillsmith.events import dump_json
from skillsmith.library.optimizing.proof import reconstructed, repeated
from skillsmith.library.optimizing.rules import MIN_PAIRS, Claim, Verdict, decide, differences, is_begun_alike
from skillsmith.library.optimizing.trial import Side, Trial, Trials, refusal, repeatable
from skillsmith.library.proposing.facts import Fact, FactReader, Facts
from skillsmith.library.proposing.proposals import Proposal
from skillsmith.library.store.reader import SkillReader
from skillsmith.models import AgentRunner, Json, Proof, Skill, ToolSource

MAX_PAIRS = 12
"""Recorded inputs that are compared; more say little more."""

ROUNDS = 3
"""How often each is done at most, while the figures do not say enough."""

BUDGET_SECONDS = 300.0
"""About how long one comparison may take, as far as recorded durations tell."""


class Gate:
    """Compares changed versions with their parents.

    Args:
        db: The user's file, which is only read.
        tools: Where reads are made for real; None: the record answers them.
        agents: The model, for questions that the record does not hold.
        budget_seconds: About how long one comparison may take.
    """

    def __init__(
        self,
        db: Database,
        *,
        tools: ToolSource | None = None,
        agents: AgentRunner | None = None,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self._reader = FactReader(db)
        self._skills = SkillReader(db)
        self._tools = tools
        self._agents = agents
        self._budget = budget_seconds

    def judge(
        self,
        facts: Facts,
        child: Skill,
        proposals: Sequence[Proposal],
        *,
        parent: Skill | None = None,
        before: Sequence[Proposal] = (),
    ) -> tuple[Verdict, tuple[Proof, ...]]:
        """Compare a changed version with its parent and prove it.

        Args:
            facts: What the executions of the stored version did.
            child: The changed version, not stored.
            proposals: What was changed since its parent.
            parent: What it is compared with; None: the version that the facts are of.
            before: What was changed from that version to the parent.
        """
        problem = refusal(facts, child, self._skills)
        if problem is not None:
            return Verdict(decision="undecided", reason=problem), ()
        uses, left_out = self._chosen(facts, proposals)
        if len(uses) < MIN_PAIRS:
            reason = f"only {len(uses)} recorded inputs can be repeated, {MIN_PAIRS} are needed"
            return Verdict(decision="undecided", reason=reason, left_out=left_out), ()
        with TemporaryDirectory(prefix="skillsmith-trials-", ignore_cleanup_errors=True) as folder:
            trials = Trials(
                Path(folder), reader=self._reader, skills=self._skills, tools=self._tools,
                agents=self._agents, pace=self._pace(uses),
            )  # fmt: skip
            try:
                versions = (parent or facts.skill, child)
                comparison = _Comparison(trials, versions, proposals=proposals, before=before)
                comparison.run(uses)
            finally:
                trials.close()
        return comparison.verdict(left_out, facts)

    def _chosen(self, facts: Facts, proposals: Sequence[Proposal]) -> tuple[list[Fact], Counter[str]]:
        """Return past executions as they come: each sort with its share, different inputs first."""
        left_out: Counter[str] = Counter()
        fit: list[Fact] = []
        for fact in facts.uses:
            problem = repeatable(fact, facts.skill)
            if problem is None:
                fit.append(fact)
            else:
                left_out[problem] += 1
        told = {one for proposal in proposals for one in proposal.evidence.get("execution_ids", ())}
        fit.sort(
            key=lambda fact: (bool(fact.execution.success), bool(fact.adapted), fact.execution.id in told)
        )
        most = min(MAX_PAIRS, len(fit), max(MIN_PAIRS, int(self._budget / max(4 * facts.mean_seconds, 1e-9))))
        different = list(
            {dump_json([dict(fact.execution.inputs), fact.execution.success]): fact for fact in fit}.values()
        )
        source = different if len(different) >= most else fit
        step = len(source) / most if most else 1.0
        return [source[int(place * step)] for place in range(most)], left_out

    def _pace(self, uses: Sequence[Fact]) -> float:
        """Return how much of the recorded time answers take, so that long waits are shortened alike."""
        waits = sum(
            sum(call.seconds for call in fact.calls)
            + sum(event.duration_seconds or 0.0 for _, events in fact.asked for event in events)
            for fact in uses
        )
        return min(1.0, self._budget / (4 * waits)) if waits else 1.0


class _Comparison:
    """One parent and one child over recorded inputs."""

    def __init__(
        self,
        trials: Trials,
        versions: tuple[Skill, Skill],
        *,
        proposals: Sequence[Proposal],
        before: Sequence[Proposal],
    ) -> None:
        self._trials = trials
        self._versions = versions
        self._proposals = proposals
        self._before = before
        self._stored = trials.admit(*versions)
        self.done: list[Trial] = []
        self.lost: dict[str, str] = {}
        self.unstable: set[str] = set()
        self.left_out: Counter[str] = Counter()
        self.open: list[str] = []

    @property
    def _claim(self) -> Claim:
        nodes = {node.id: node for node in self._versions[1].nodes}
        together = [one for one in self._proposals if one.kind == "run_together"]
        moved = {key.strip() for one in together for key in one.target.split(",")}
        edits = {one.change.get("edit") for one in self._proposals}
        unrecorded = ""
        if any(nodes[key].kind == "tool" for key in moved if key in nodes):
            unrecorded = "whether its tools can be called at once"
        elif "retries" in edits:
            unrecorded = "what another try gives"
        return Claim(inputs="default" in edits, unrecorded=unrecorded)

    def run(self, uses: Sequence[Fact]) -> None:
        """Do all trials; stop as soon as a loss is found, or the figures say enough."""
        self._pair(uses[0], first=0)  # what is read for the first time is read slowly
        self.done.clear()
        for number in range(ROUNDS):
            for place, fact in enumerate(uses):
                self._pair(fact, first=(place + number) % 2)
                if self.lost or self.open:
                    return
            if decide(self.done, (), self._claim)[0] == "accepted" or not self._is_close():
                return

    def _is_close(self) -> bool:
        """Whether more rounds could change the decision."""
        gains = decide(self.done, (), self._claim)[2]
        return any(isinstance(one, dict) and one.get("high", 0.0) > 0 and one.get("gain", 0.0) > 0
                   for one in (gains["time"], gains["cost"]))  # fmt: skip

    def _pair(self, fact: Fact, *, first: int) -> None:
        order = (0, 1) if first == 0 else (1, 0)
        sides = {place: self._side(place, fact) for place in order}
        parent, child = sides[0], sides[1]
        if parent.unknown or (fact.execution.success and not parent.success):
            self.left_out[f"the parent does not do it again: {parent.error or parent.unknown[0]}"[:160]] += 1
            return
        if child.unknown and not child.success and is_begun_alike(parent, child):
            self.open.append(child.unknown[0])
            return
        found = dict(differences(parent, child, unstable=frozenset(self.unstable)))
        if found and "success" not in found:
            again = self._side(0, fact)
            self.unstable |= dict(differences(parent, again, unstable=frozenset())).keys()
            found = {key: text for key, text in found.items() if key not in self.unstable}
        if parent.asked_for_real or child.asked_for_real:  # a model words its answer anew each time
            found = {key: text for key, text in found.items() if key in ("success", "changes")}
        self.lost |= found
        self.done.append(Trial(fact=fact, parent=parent, child=child))

    def _side(self, place: int, fact: Fact) -> Side:
        skill = self._stored[place]
        return self._trials.run(skill, fact, self._given(skill, fact, child=place == 1))

    def _given(self, skill: Skill, fact: Fact, *, child: bool) -> dict[str, Json]:
        """Return the recorded inputs; a version is not given what was made its default."""
        known = {variable.name for variable in skill.variables}
        given = {name: value for name, value in fact.execution.inputs.items()
                 if name in known and value is not None}  # fmt: skip
        for one in (*self._before, *self._proposals):
            change, edit = one.change, one.change.get("edit")
            renewed = child or one in self._before
            if edit in ("lift_argument", "lift_literal") and change["variable"]["name"] in known:
                values: Mapping[str, Json] = one.evidence.get("given", {})
                given[change["variable"]["name"]] = values.get(fact.execution.id, change.get("from"))
            elif (
                edit == "default"
                and renewed
                and dump_json(given.get(change["variable"])) == dump_json(change["to"])
            ):
                given.pop(change["variable"], None)
        return given

    def verdict(self, left_out: Counter[str], facts: Facts) -> tuple[Verdict, tuple[Proof, ...]]:
        """Return what came of it, with the child's proofs."""
        decision, reason, gains = decide(self.done, tuple(self.lost.values()), self._claim)
        if self.open and not self.lost:
            decision, reason = "undecided", f"{self.open[0]}: only asking again could tell"
        proofs = self._proofs(facts)
        failed = [failure for proof in proofs for failure in proof.failures]
        if decision == "accepted" and failed:
            decision, reason = "rejected", f"its proof fails: {failed[0]}"
        found = Verdict(
            decision=decision, reason=reason, pairs=len({t.fact.execution.id for t in self.done}),
            executions=tuple(dict.fromkeys(trial.fact.execution.id for trial in self.done)),
            left_out={**left_out, **self.left_out}, differences=tuple(self.lost.values()), gains=gains,
            notes=tuple(self._notes()),
            proof=tuple({name: value for name, value in asdict(proof).items() if name in
                         ("level", "passed", "compared", "failures")} for proof in proofs),
        )  # fmt: skip
        return found, proofs

    def _proofs(self, facts: Facts) -> tuple[Proof, ...]:
        try:
            changes = (*self._before, *self._proposals)
            first = reconstructed(self._versions[1], facts, changes, self._given)
        except SkillsmithError as error:
            first = Proof(level="reconstructs", passed=False, compared=0, failures=(error.message,))
        found = [first] if first.compared or first.failures else []  # agents alone: no call is made by rule
        if any(node.kind in ("code", "agent") for node in self._versions[1].nodes):
            found.append(repeated(self._versions[0], self.done, tuple(self.lost.values())))
        return tuple(found)

    def _notes(self) -> list[str]:
        sides = [side for trial in self.done for side in (trial.parent, trial.child)]
        notes = []
        if any(side.replayed for side in sides):
            notes.append("tool calls were answered from the record, and took the recorded time")
        if any(side.changes for side in sides):
            notes.append("tools that change something were not called: the record answered for them")
        if any(side.asked_for_real for side in sides):
            notes.append("the model was asked anew: its answers were compared by checks and schema alone")
        if self.unstable:
            notes.append(f"not the same twice even from the parent: {', '.join(sorted(self.unstable))}")
        return notes


def proven(child: Skill, proofs: Sequence[Proof]) -> Skill:
    """Return a version with its proofs, and in the state that they give it."""
    passed = bool(proofs) and all(proof.passed for proof in proofs)
    return replace(child, proofs=tuple(proofs), state="proven" if passed else "draft")
