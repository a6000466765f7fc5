"""The code part of a run: its blocks with the files around them, planned, as nodes of a skill.

Blocks that share Python names ran in one process; they become one node, because nodes are processes of
their own.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from skillsmith.files import FileRepository
from skillsmith.library.code.flow import BlockPlan, CodeBlock, CodePlan, ReadCode, lifted, plan_of, read_code
from skillsmith.library.extraction.describe import schema_of
from skillsmith.library.program.bindings import rename_inputs, resolve, show
from skillsmith.library.program.languages import is_python
from skillsmith.library.proof import Recorded
from skillsmith.library.templates import join_templates
from skillsmith.library.trace.calls import Said
from skillsmith.library.trace.naming import identifier
from skillsmith.models import (
    Binding,
    Constant,
    Event,
    FileSnapshot,
    FileUse,
    FileVersion,
    FromInput,
    FromNode,
    Json,
    Node,
    Reason,
    Run,
    SkillArtifact,
    Variable,
)

MAX_ARTIFACT_BYTES = 256 * 1024
"""A larger file that the code needs is not carried in the skill: it must be there."""

SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePart:
    """What the code of a run gives to its skill.

    Args:
        edges: Predecessors by node id.
        files: What lay in the work folder before the run.
        notes: What the result depends on besides the inputs.
        unsound: Why the nodes cannot do what the blocks did, if so.
    """

    nodes: tuple[Node, ...] = ()
    variables: tuple[Variable, ...] = ()
    reasons: tuple[Reason, ...] = ()
    edges: Mapping[str, tuple[str, ...]]
    recorded: Mapping[str, Recorded]
    files: tuple[FileSnapshot, ...] = ()
    artifacts: tuple[SkillArtifact, ...] = ()
    outputs: Mapping[str, Json]
    output_bindings: Mapping[str, Binding]
    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unsound: tuple[str, ...] = ()


def code_part(
    events: Sequence[Event],
    words: Sequence[Said],
    *,
    run: Run,
    versions: Sequence[FileVersion],
    files: FileRepository,
    taken: Mapping[str, Json],
    calls: Sequence[int],
) -> CodePart:
    """Plan a run's code blocks and make nodes of them.

    Args:
        events: The run's events, or those of some steps.
        words: What people said.
        run: For its work folder.
        versions: Every file version of the run.
        files: Where contents are read.
        taken: Names of inputs that tool calls have lifted, with their values.
        calls: Sequence numbers of the kept tool calls, whose nodes are numbered first.
    """
    read = read_run(events, words, run=run, versions=versions)
    plan = plan_of(read, lifted(read))
    return part_of(plan, before=files_before(versions, files), taken=taken, calls=calls)


def read_run(
    events: Sequence[Event], words: Sequence[Said], *, run: Run, versions: Sequence[FileVersion]
) -> ReadCode:
    """Read a run's code blocks with the files around them; arguments as for ``code_part``."""
    said = [(one.seq, one.where, one.text) for one in words]
    return read_code(_blocks(events, versions), said, work_dir=run.work_dir, answers=_answers(events))


def part_of(
    plan: CodePlan,
    *,
    before: tuple[FileSnapshot, ...],
    taken: Mapping[str, Json],
    calls: Sequence[int] = (),
    alone: Collection[int] = (),
) -> CodePart:
    """Make nodes of planned code.

    Args:
        plan: The code.
        before: What lay in the work folder before the run.
        taken: Names of inputs that tool calls have lifted, with their values.
        calls: Sequence numbers of the kept tool calls, whose nodes are numbered first.
        alone: Sequence numbers of blocks that become nodes of their own.
    """
    groups = [list(group) for group in _groups(plan, calls, alone)]
    names = {block.seq: f"n{len(calls) + 1 + index}" for index, group in enumerate(groups) for block in group}
    renamed = _renamed(plan, taken)
    nodes = tuple(_node(group, names, renamed, plan.work_dir_variable) for group in groups)
    outputs, bindings = _outputs(plan, nodes, renamed)
    return CodePart(
        nodes=nodes,
        variables=tuple(_inputs(plan, taken, renamed)),
        reasons=tuple(_with_node(reason, names) for reason in plan.reasons),
        edges={node.id: _before_it(group, names) for node, group in zip(nodes, groups, strict=True)},
        recorded={node.id: _recorded(group, plan) for node, group in zip(nodes, groups, strict=True)},
        files=before,
        artifacts=tuple(_artifacts(plan, before)),
        outputs=outputs,
        output_bindings=bindings,
        packages=plan.packages,
        unsound=tuple(_torn(plan, names)),
        notes=tuple(
            re.sub(r"^code (\d+)", lambda found: names[int(found[1])], note) for note in plan.nondeterminism
        ),
    )


def _answers(events: Sequence[Event]) -> list[str]:
    """Return what agents said after the last code had run."""
    last = max((event.seq for event in events if event.kind in ("code", "code_result")), default=0)
    return [
        event.content or ""
        for event in events
        if event.kind == "message" and event.role == "assistant" and event.seq > last
    ]


def _inputs(plan: CodePlan, taken: Mapping[str, Json], renamed: Mapping[str, str]) -> Iterator[Variable]:
    """Yield the inputs that the code needs and that no tool call has lifted with the same value."""
    for variable in plan.variables:
        known = variable.name in taken and taken[variable.name] == variable.default
        if variable.name != plan.work_dir_variable and not known:
            yield replace(variable, name=renamed.get(variable.name, variable.name))


def _before_it(group: Sequence[BlockPlan], names: Mapping[int, str]) -> tuple[str, ...]:
    own = names[group[0].seq]
    earlier = [names[seq] for block in group for seq in block.after]
    return tuple(dict.fromkeys(node for node in earlier if node != own))


def _blocks(events: Sequence[Event], versions: Sequence[FileVersion]) -> list[CodeBlock]:
    code = [event for event in events if event.kind == "code" and event.code and event.code.text]
    results = [event for event in events if event.kind == "code_result" and event.code]
    present = {version.path: version.digest for version in versions if version.agent is None}
    blocks = []
    for position, event in enumerate(code):
        end = code[position + 1].seq if position + 1 < len(code) else None
        written = {
            version.path: version.digest
            for version in sorted(versions, key=lambda one: one.version)
            if version.agent is not None and version.seq is not None
            and event.seq <= version.seq and (end is None or version.seq < end)
        }  # fmt: skip
        blocks.append(_block(event, _result(event, results), dict(present), written))
        present |= written
    return blocks


def _result(event: Event, results: Sequence[Event]) -> Event | None:
    """Return the execution result of a block: by its call id, else the next one."""
    assert event.code is not None
    for result in results:
        assert result.code is not None
        if result.seq < event.seq:
            continue
        if event.code.call_id is None or result.code.call_id in (None, event.code.call_id):
            return result
    return None


def _block(event: Event, result: Event | None, present: dict[str, str], written: dict[str, str]) -> CodeBlock:
    assert event.code is not None
    ran = result.code if result else None
    return CodeBlock(
        seq=event.seq, text=event.code.text or "", language=event.code.language, agent=event.agent,
        exit_code=ran.exit_code if ran else None, output=(ran.output or "") if ran else "",
        files_before=present, files_written=written, at=event.at,
    )  # fmt: skip


def _groups(plan: CodePlan, calls: Sequence[int], alone: Collection[int]) -> Iterator[list[BlockPlan]]:
    """Yield the blocks that make one node each: one, or neighbours that share Python names.

    Blocks are no neighbours when a kept tool call stood between them: its place in the order matters.
    """
    group: list[BlockPlan] = []
    for block in plan.blocks:
        joins = (
            plan.shares_state
            and group
            and is_python(block.block.language)
            and is_python(group[-1].block.language)
            and not {block.seq, group[-1].seq} & set(alone)
            and not any(group[-1].seq < call < block.seq for call in calls)
        )
        if group and not joins:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _torn(plan: CodePlan, names: Mapping[int, str]) -> Iterator[str]:
    """Yield a line for each Python name that would have to go from one process to another."""
    for reason in plan.reasons:
        if reason.rule == "shared-state":
            earlier, later = (names.get(witness.seq) for witness in reason.witnesses[:2])
            if earlier != later:
                yield f"{later}: it uses {reason.witnesses[0].text}, which only {earlier} defines"


def _renamed(plan: CodePlan, taken: Mapping[str, Json]) -> dict[str, str]:
    """Return new names for inputs whose name the tool calls use for another value."""
    names = {variable.name for variable in plan.variables} | set(taken)
    renamed = {}
    for variable in plan.variables:
        if variable.name in taken and taken[variable.name] != variable.default:
            number = 2
            while f"{variable.name}_{number}" in names:
                number += 1
            renamed[variable.name] = f"{variable.name}_{number}"
            names.add(renamed[variable.name])
    return renamed


def _node(
    group: Sequence[BlockPlan], names: Mapping[int, str], renamed: Mapping[str, str], folder: str | None
) -> Node:
    head = group[0]
    template = head.template if len(group) == 1 else join_templates(
        [block.template for block in group], separator=SEPARATOR
    )  # fmt: skip
    used = {slot.variable for slot in template.slots}
    bindings: dict[str, Binding] = {name: FromInput(new) for name, new in renamed.items() if name in used}
    if folder in used:
        bindings[folder] = Constant(".")
    return Node(
        id=names[head.seq],
        kind="code",
        title=_title(group),
        agent=head.block.agent,
        language=head.block.language,
        template=template,
        bindings=bindings,
        reads=_uses([use for block in group for use in block.reads], group, renamed),
        writes=_uses([use for block in group for use in block.writes], (), renamed),
        source_seqs=tuple(block.seq for block in group),
        optional=any(block.optional for block in group),
    )


def _uses(
    uses: Sequence[FileUse], group: Sequence[BlockPlan], renamed: Mapping[str, str]
) -> tuple[FileUse, ...]:
    """Return file uses once each, without files that an earlier block of the same node has written."""
    own: set[str] = set()
    if len(group) > 1:
        own = {repr(use.path) for block in group for use in block.writes}
    kept = {repr(use.path): use for use in uses if repr(use.path) not in own}
    return tuple(replace(use, path=rename_inputs(use.path, renamed)) for use in kept.values())


def _title(group: Sequence[BlockPlan]) -> str:
    made = [show_file(use.path) for block in group for use in block.writes]
    language = group[0].block.language
    return (
        f"{language}: write {', '.join(made)}" if made else f"{language}: {_first_line(group[0].block.text)}"
    )


def show_file(path: Binding) -> str:
    """Write a file's path for people, without quotes."""
    return str(path.value) if isinstance(path, Constant) else show(path)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines if line and not line.startswith(("#", "import ", "from "))), "")[:60]


def _recorded(group: Sequence[BlockPlan], plan: CodePlan) -> Recorded:
    written: dict[str, str] = {}
    for block in group:
        written |= block.block.files_written
    return Recorded(
        code=SEPARATOR.join(block.block.text for block in group),
        exit_code=group[-1].block.exit_code,
        output="".join(block.block.output for block in group),
        files=written,
        places={one.name: one.default for one in plan.variables if one.name == plan.work_dir_variable},
    )


def files_before(versions: Sequence[FileVersion], files: FileRepository) -> tuple[FileSnapshot, ...]:
    """Return what lay in the work folder before the run, as far as it was kept."""
    snapshots = []
    for version in versions:
        content = files.content(version) if version.agent is None else None
        if content is not None:
            snapshots.append(FileSnapshot(path=version.path, content=content))
    return tuple(snapshots)


def _artifacts(plan: CodePlan, before: Sequence[FileSnapshot]) -> Iterator[SkillArtifact]:
    """Yield small files that the code needs and that are no input: helper programs, settings."""
    needed = {
        use.path.value for block in plan.blocks for use in block.reads if isinstance(use.path, Constant)
    }
    for file in before:
        if file.path in needed and len(file.content) <= MAX_ARTIFACT_BYTES:
            kind = mimetypes.guess_type(file.path)[0] or ""
            code = "python" in kind or PurePosixPath(file.path).suffix in (".py", ".sh")
            yield SkillArtifact(
                name=file.path, path=file.path, type="code" if code else "data", content=file.content,
                description="needed by the code, was there before the run",
            )  # fmt: skip


def _outputs(
    plan: CodePlan, nodes: Sequence[Node], renamed: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Binding]]:
    """Return the files that no later block reads, and what the last block prints."""
    read = {repr(use.path) for node in nodes for use in node.reads}
    defaults = {renamed.get(one.name, one.name): one.default for one in plan.variables}
    bindings: dict[str, Binding] = {}
    for node in nodes:
        for use in node.writes:
            if repr(use.path) not in read:
                stem = PurePosixPath(str(resolve(use.path, defaults, {}))).stem
                bindings[_free(identifier(stem), bindings)] = use.path
    properties: dict[str, Any] = {name: {"type": "string", "description": "path"} for name in bindings}
    if nodes:
        name = _free("output", bindings)
        bindings[name] = FromNode(nodes[-1].id, (), "string")
        properties[name] = schema_of("")
    return {"type": "object", "properties": properties, "required": sorted(properties)}, bindings


def _free(name: str, taken: Mapping[str, Binding]) -> str:
    number = 1
    base = name
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _with_node(reason: Reason, names: Mapping[int, str]) -> Reason:
    """Return the reason with node ids in place of the blocks' sequence numbers."""

    def put(text: str) -> str:
        return re.sub(r"\bcode (\d+)", lambda found: names.get(int(found[1]), found[0]), text)

    return replace(reason, subject=put(reason.subject), detail=put(reason.detail))
