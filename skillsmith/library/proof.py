"""Proofs: evidence that a skill does what its source run did.

``reconstructs``: from the inputs' defaults and the recorded results, the skill regenerates every recorded
call and code block exactly. ``replays``: its code, run for real in a scratch folder, gives the same exit
codes, files and shape of output. What fails, times out or differs from one replay to the next is written
down as such.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from skillsmith.errors import SkillsmithError
from skillsmith.ids import digest_of
from skillsmith.library.code.tests import GivenTests
from skillsmith.library.execution.sandbox import run_code
from skillsmith.library.program.bindings import resolve
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.program.languages import is_python
from skillsmith.library.templates import render, verify_template
from skillsmith.library.trace.results import as_exact
from skillsmith.models import FileSnapshot, FromInput, Json, Node, Proof, Skill, Template

REPLAY_TIMEOUT_SECONDS = 120.0
MAX_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the source run did at one node.

    Args:
        arguments: Of a tool call.
        result: Normalised result of a tool call.
        code: Text of a code block.
        exit_code: Of its execution.
        output: What it printed.
        files: Digest by path of the files it left.
        places: Values of places in the code that an execution fills otherwise: the run's own work folder.
    """

    arguments: Mapping[str, Json] | None = None
    result: Json = None
    code: str | None = None
    exit_code: int | None = None
    output: str = ""
    files: Mapping[str, str] | None = None
    places: Mapping[str, Json] = field(default_factory=dict)


def defaults_of(skill: Skill) -> dict[str, Json]:
    """Return each input's recorded value."""
    return {variable.name: variable.default for variable in skill.variables}


def template_values(node: Node, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> dict[str, Json]:
    """Return the value of each place in a node's template."""
    names = {slot.variable for slot in node.template.slots} if node.template else set[str]()
    return {name: resolve(node.bindings.get(name, FromInput(name)), inputs, results) for name in names}


def reconstructs(skill: Skill, recorded: Mapping[str, Recorded], *, known: Sequence[str] = ()) -> Proof:
    """Prove that the skill regenerates every recorded call and code block of its source run.

    Args:
        skill: As it is stored.
        recorded: What the run did, by node id.
        known: What is already known to be wrong with it; then the proof fails.
    """
    began = time.time()
    inputs = defaults_of(skill)
    results = {node: record.result for node, record in recorded.items()}
    failures = list(known)
    compared = {"calls": 0, "arguments": 0, "code_blocks": 0}
    for node in skill.nodes:
        record = recorded.get(node.id)
        if record is None:
            failures.append(f"{node.id}: the run has nothing recorded for it")
        elif node.kind == "tool":
            compared["calls"] += 1
            compared["arguments"] += len(record.arguments or {})
            failures += _differing_arguments(node, record, inputs, results)
        elif node.kind == "code":
            compared["code_blocks"] += 1
            failures += _differing_code(node, record, inputs, results)
    total = compared["calls"] + compared["code_blocks"]
    return Proof(
        level="reconstructs", passed=not failures and total > 0, compared=total, failures=tuple(failures),
        detail=compared, at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def _differing_arguments(
    node: Node, record: Recorded, inputs: Mapping[str, Json], results: Mapping[str, Json]
) -> list[str]:
    wanted = dict(record.arguments or {})
    try:
        got = {name: resolve(binding, inputs, results) for name, binding in node.arguments.items()}
    except SkillsmithError as error:
        return [f"{node.id} {node.tool}: {error.message}"]
    if as_exact(got) == as_exact(wanted):
        return []
    names = [name for name in {**wanted, **got} if as_exact(got.get(name)) != as_exact(wanted.get(name))]
    return [
        f"{node.id} {node.tool}.{name}: got {_short(got.get(name))}, recorded {_short(wanted.get(name))}"
        for name in names or ["(order of arguments)"]
    ]


def _differing_code(
    node: Node, record: Recorded, inputs: Mapping[str, Json], results: Mapping[str, Json]
) -> list[str]:
    if node.template is None:
        return [f"{node.id}: it has no template"]
    try:
        values = template_values(node, inputs, results) | dict(record.places)
    except SkillsmithError as error:
        return [f"{node.id}: {error.message}"]
    problems = verify_template(node.template, values, record.code or "", language=node.language)
    return [f"{node.id}: {problem}" for problem in problems]


def _short(value: Json) -> str:
    return as_exact(value).decode()[:MAX_SHOWN]


def replays(
    skill: Skill,
    recorded: Mapping[str, Recorded],
    files: Iterable[FileSnapshot],
    *,
    tests: GivenTests | None = None,
) -> Proof:
    """Prove that the skill's code, run for real, does what it did in the source run.

    Args:
        skill: Only its code nodes are run.
        recorded: What the run did, by node id.
        files: What lay in the work folder before the run.
        tests: What its program must pass, when they came with the run.
    """
    began = time.time()
    files = tuple(files)
    first, problem = replayed(skill, files)
    failures, compared = _compare(skill, recorded, first)
    failures = [problem, *failures] if problem else failures
    detail: dict[str, Json] = {"seconds": {node: one.seconds for node, one in first.items()}}
    if tests is not None and not failures:
        wrong = _untested(skill, files, tests)
        failures, compared = [*failures, *([wrong] if wrong else [])], compared + 1
        detail["tests"] = "failed" if wrong else "passed"
    if any("differs" in failure for failure in failures):
        unstable = sorted(_unstable(first, replayed(skill, files)[0]))
        detail["nondeterministic"] = unstable
        failures += [f"{path}: differs from one replay to the next (nondeterminism)" for path in unstable]
    return Proof(
        level="replays", passed=not failures and compared > 0, compared=compared, failures=tuple(failures),
        detail=detail, at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one code node did when it was run.

    Args:
        files: Digest by path of what lay in the folder then.
    """

    exit_code: int
    output: str
    timed_out: bool
    files: Mapping[str, str]
    seconds: float


def replayed(skill: Skill, files: Sequence[FileSnapshot]) -> tuple[dict[str, Replayed], str | None]:
    """Run the code nodes in a scratch folder, with the inputs' defaults.

    Args:
        skill: Only its code nodes are run.
        files: What lies in the folder before.

    Returns:
        What each node did, by id, and what kept them from being run to the end.
    """
    done: dict[str, Replayed] = {}
    where = "the files of the run"
    try:
        with TemporaryDirectory(prefix="skillsmith-replay-", ignore_cleanup_errors=True) as folder:
            root = Path(folder)
            _put(files, root)
            for node in skill.nodes:
                if node.kind == "code" and node.template is not None and _is_asked(node, skill):
                    where = node.id
                    done[node.id] = _replay_node(node, node.template, defaults_of(skill), root)
                    if done[node.id].exit_code != 0:
                        break
    except SkillsmithError as error:
        return done, f"{where}: {error.message}"
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        return done, f"{where}: {error}"
    return done, None


def _untested(skill: Skill, files: Sequence[FileSnapshot], tests: GivenTests) -> str | None:
    """Return why the program, all Python nodes together, does not pass the tests given with the run."""
    values = defaults_of(skill)
    chosen = [node for node in skill.nodes if node.kind == "code" and is_python(node.language or "python")]
    try:
        parts = [
            render(node.template, template_values(node, values, {}), language=node.language)
            for node in chosen
            if node.template is not None
        ]
        with TemporaryDirectory(prefix="skillsmith-tests-", ignore_cleanup_errors=True) as folder:
            _put(files, Path(folder))
            problem = tests.problem_of("\n\n".join(parts), folder=Path(folder))
    except SkillsmithError as error:
        problem = error.message
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        problem = str(error)
    return f"{chosen[-1].id if chosen else 'the skill'}: {problem}" if problem else None


def _is_asked(node: Node, skill: Skill) -> bool:
    """Whether a node's condition, if it has one, holds with the inputs' defaults."""
    return node.condition is None or holds(node.condition, Surroundings(inputs=defaults_of(skill)))


def _put(files: Iterable[FileSnapshot], root: Path) -> None:
    for file in files:
        target = root / file.path
        if not target.resolve().is_relative_to(root.resolve()):
            continue  # a log may name any path; nothing is written outside the scratch folder
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)


def _replay_node(node: Node, template: Template, inputs: Mapping[str, Json], root: Path) -> Replayed:
    language = node.language or "python"
    code = render(template, template_values(node, inputs, {}), language=language)
    timeout = node.timeout_seconds or REPLAY_TIMEOUT_SECONDS
    ran = run_code(code, language=language, work_dir=root, timeout_seconds=timeout)
    seconds = round(ran.duration_seconds, 3)
    return Replayed(ran.exit_code, ran.output, ran.timed_out, _digests(root), seconds)


def _digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): digest_of(path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _compare(
    skill: Skill, recorded: Mapping[str, Recorded], done: Mapping[str, Replayed]
) -> tuple[list[str], int]:
    failures: list[str] = []
    compared = 0
    for node in skill.nodes:
        record = recorded.get(node.id)
        if node.kind != "code" or record is None:
            continue
        ran = done.get(node.id)
        compared += 1
        if ran is None:
            failures.append(f"{node.id}: not reached")
        elif ran.timed_out:
            failures.append(f"{node.id}: timed out")
        elif ran.exit_code != (record.exit_code or 0):
            last = (ran.output.strip().splitlines() or [""])[-1][:MAX_SHOWN]
            failures.append(
                f"{node.id}: exit code {ran.exit_code} instead of {record.exit_code or 0}: {last}"
            )
        else:
            compared += len(record.files or {})
            failures += _differing_files(node, record, ran)
            if _shape(ran.output) != _shape(record.output):
                failures.append(f"{node.id}: what it prints differs in shape")
    return failures, compared


def _differing_files(node: Node, record: Recorded, ran: Replayed) -> list[str]:
    failures = []
    for path, digest in sorted((record.files or {}).items()):
        if path not in ran.files:
            failures.append(f"{node.id}: {path} was not made")
        elif ran.files[path] != digest:
            failures.append(f"{node.id}: {path} differs from the recorded one")
    return failures


def _shape(output: str) -> str:
    """Return the output with figures, addresses and blank runs flattened: times and ids may differ."""
    flat = re.sub(r"0x[0-9a-f]+|\d+(?:[.:]\d+)*", "#", output.strip())
    return re.sub(r"\s+", " ", flat)


def _unstable(first: Mapping[str, Replayed], second: Mapping[str, Replayed]) -> set[str]:
    return {
        path
        for node, one in first.items()
        if node in second
        for path, digest in one.files.items()
        if second[node].files.get(path) != digest
    }
