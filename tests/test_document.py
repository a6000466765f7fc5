from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import orjson
import pytest
import skill_strategies as any_
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.errors import InvalidSkillFileError
from skillsmith.library.program.document import (
    digest_of_document,
    from_document,
    from_lines,
    input_schema,
    schema_path,
    shape_check,
    to_document,
    to_lines,
)
from skillsmith.library.program.paths import leaves_folder
from skillsmith.library.program.seal import content_digest, render
from skillsmith.library.program.shape import compile_schema, show_place
from skillsmith.library.program.validation import validate_skill
from skillsmith.library.sharing.file import read_skill_file
from skillsmith.models import (
    Constant,
    FromInput,
    FromNode,
    Node,
    NodeKind,
    ObjectOf,
    Proof,
    Skill,
    SkillArtifact,
    Slot,
    Template,
    Variable,
)

SCHEMA = json.loads(schema_path().read_text(encoding="utf-8"))


def without_machine(skill: Skill) -> Skill:
    """Return what of a skill is the same on every machine."""
    proofs = sorted({(p.level, p.passed, p.compared, p.failures) for p in skill.proofs})
    plain = tuple(Proof(level=a, passed=b, compared=c, failures=d) for a, b, c, d in proofs)
    return replace(
        skill, proofs=plain, source_run_ids=(), id="", created_at=None, parent_id=None, state="draft"
    )


@settings(max_examples=25)
@given(any_.skills())
def test_a_skill_comes_back_whole_from_its_file_form(skill: Skill) -> None:
    """Skill → bytes → skill loses nothing that belongs to the skill, and the bytes come back the same."""
    assert validate_skill(skill) == []
    data = render(to_document(skill))
    back = from_document(json.loads(data))
    assert without_machine(back) == without_machine(skill)
    assert render(to_document(back)) == data


@settings(max_examples=25)
@given(any_.skills())
def test_a_document_fits_its_published_schema(skill: Skill) -> None:
    """Every document validates against the JSON Schema that the package ships, by the reference validator."""
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(render(to_document(skill))))


def test_the_published_schema_is_itself_valid() -> None:
    """The schema is JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


WRONG = st.sampled_from([None, True, 1, 1.5, "", "x", [], [1], {}, {"const": 1, "input": "x"}, {"a": 1}])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


@settings(max_examples=50)
@given(any_.skills(), st.data())
def test_the_fast_check_and_the_reference_validator_agree(skill: Skill, data: st.DataObject) -> None:
    """A document with one thing replaced, removed or added is judged the same by both."""
    document = json.loads(render(to_document(skill)))
    path = data.draw(st.sampled_from([path for path in places(document) if path]))
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "replace":
        parent[path[-1]] = data.draw(WRONG)
    elif change == "remove":
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent["unheard-of"] = data.draw(WRONG)
    reference = jsonschema.Draft202012Validator(SCHEMA).is_valid(document)
    assert (shape_check()(document) is None) == reference


def test_a_schema_keyword_that_is_not_known_is_not_skipped() -> None:
    """The schema compiler refuses what it cannot check."""
    with pytest.raises(ValueError, match="maxLength"):
        compile_schema({"type": "string", "maxLength": 3})
    with pytest.raises(ValueError, match="nowhere"):
        compile_schema({"$ref": "#/$defs/nowhere"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Not A Name"}, "name is 'Not A Name'"),
        ({"name": "x\n"}, "name"),
        ({"version": 0}, "version must be at least 1"),
        ({"version": 1.0}, "version must be integer"),
        ({"nodes": [{"id": "n1", "kind": "magic"}]}, r"nodes\[0\].kind is 'magic'"),
        ({"nodes": [{"id": "n1", "kind": "tool", "arguments": {"a": {"wish": 1}}}]}, "wish"),
        ({"surprise": 1}, "surprise is not known"),
        ({"format": "skillsmith.skill/9"}, "skillsmith.skill/9"),
        ({"body": "text"}, "body must be a list"),
    ],
)
def test_a_document_of_the_wrong_shape_is_refused_with_its_place(
    change: dict[str, Any], message: str
) -> None:
    """The error says where in the document the flaw is."""
    document = to_document(Skill(name="plot")) | change
    with pytest.raises(InvalidSkillFileError, match=message):
        from_document(document)


def test_what_is_no_document_is_refused() -> None:
    """A list or a number is not a skill."""
    values: list[Any] = [[], 3, None, "skill", {}]
    for value in values:
        with pytest.raises(InvalidSkillFileError):
            from_document(value)


@given(st.text())
def test_lines_join_to_the_very_same_text(text: str) -> None:
    """Whatever line ends a text has, and whether it ends with one, it comes back."""
    lines = to_lines(text)
    assert from_lines(lines) == text
    assert not any("\n" in line for line in lines)


def test_code_is_exported_as_lines() -> None:
    """A reviewer sees code line by line, also with Windows line ends."""
    node = Node(id="n1", kind="code", template=Template(text="a = 1\r\nb = 2\n"))
    document = to_document(Skill(name="plot", nodes=(node,)))
    assert document["nodes"][0]["template"]["lines"] == ["a = 1\r", "b = 2\r"[:-1], ""]


def test_text_artifacts_are_lines_and_others_base64() -> None:
    """Text can be reviewed; bytes that are no text survive."""
    artifacts = (
        SkillArtifact(name="a.py", type="code", content="print('ä')".encode()),
        SkillArtifact(name="a.bin", type="data", content=b"\xff\x00" * 100),
    )
    text, binary = to_document(Skill(name="plot", artifacts=artifacts))["artifacts"]
    assert (text["encoding"], text["content"]) == ("text", ["print('ä')"])
    assert binary["encoding"] == "base64"
    assert max(map(len, binary["content"])) == 76


def test_base64_that_is_none_is_refused() -> None:
    """A damaged artifact is an invalid file, not a crash."""
    document = to_document(
        Skill(name="plot", artifacts=(SkillArtifact(name="a", type="data", content=b"\xff"),))
    )
    document["artifacts"][0]["content"] = ["***"]
    with pytest.raises(InvalidSkillFileError, match="base64"):
        from_document(document)


def test_the_order_of_an_object_binding_is_kept() -> None:
    """Sorted keys in the file do not reorder the fields that a tool is called with."""
    binding = ObjectOf((("z", Constant(1)), ("a", FromInput("x"))))
    skill = Skill(
        name="plot",
        variables=(Variable(name="x", type="string"),),
        nodes=(Node(id="n1", kind="tool", tool="t", arguments={"o": binding}),),
    )
    back = from_document(orjson.loads(render(to_document(skill))))
    assert back.nodes[0].arguments["o"] == binding


def test_digests_tell_the_file_from_the_content() -> None:
    """Number, proofs and earlier tasks change the file's digest only; a step changes the content's too."""
    one = Skill(name="plot", nodes=(Node(id="n1", kind="tool", tool="t"),))
    first = to_document(one)
    more = to_document(
        replace(
            one,
            version=4,
            examples=("again",),
            proofs=(Proof(level="replays", passed=True, compared=1),),
        )
    )
    other = to_document(replace(one, nodes=(Node(id="n1", kind="tool", tool="u"),)))
    assert digest_of_document(first) == first["digest"] != more["digest"]
    assert content_digest(first) == content_digest(more) != content_digest(other)


def test_what_belongs_to_the_machine_is_not_in_the_document() -> None:
    """Ids, run ids, times and state do not change a skill's bytes; with_history adds them, unsealed."""
    plain = Skill(name="plot", proofs=(Proof(level="replays", passed=True, compared=1),))
    proof = Proof(
        level="replays", passed=True, compared=1, at=5.0, duration_seconds=2.0, detail={"dir": "/tmp/x"}
    )
    stored = replace(
        plain,
        id="0190",
        state="trusted",
        created_at=9.0,
        parent_id="0180",
        source_run_ids=("0170",),
        proofs=(proof,),
    )
    assert render(to_document(plain)) == render(to_document(stored))
    with_history = to_document(stored, with_history=True)
    assert with_history["history"]["source_run_ids"] == ["0170"]
    assert with_history["history"]["proofs"][0]["at"] == 5.0
    assert digest_of_document(with_history) == with_history["digest"] == to_document(plain)["digest"]


def test_proofs_are_a_set() -> None:
    """Proving twice with the same result does not change the document, in whatever order."""
    one = Proof(level="reconstructs", passed=True, compared=3)
    two = Proof(level="replays", passed=False, compared=1, failures=("exit 1",))
    assert to_document(Skill(name="p", proofs=(one, two))) == to_document(
        Skill(name="p", proofs=(two, one, one))
    )


@settings(max_examples=25)
@given(st.lists(any_.VARIABLES, unique_by=lambda one: one.name))
def test_the_input_schema_is_json_schema(variables: list[Variable]) -> None:
    """Inputs are described by valid JSON Schema 2020-12 with one property for each variable."""
    schema = input_schema(Skill(name="plot", variables=tuple(variables)))
    jsonschema.Draft202012Validator.check_schema(json.loads(render(schema)))
    assert list(schema["properties"]) == [variable.name for variable in variables]
    assert schema["required"] == [variable.name for variable in variables if variable.required]


def test_the_input_schema_says_type_format_default_and_values() -> None:
    """A reader of the schema learns all that the variables say."""
    variables = (
        Variable(name="day", type="date", default="2024-05-17", description="when"),
        Variable(name="cabin", type="enum", enum=("economy", "business"), required=True),
        Variable(name="n", type="integer"),
    )
    schema = input_schema(Skill(name="plot", variables=variables))
    assert schema["properties"] == {
        "day": {"type": "string", "format": "date", "default": "2024-05-17", "description": "when"},
        "cabin": {"enum": ["economy", "business"]},
        "n": {"type": "integer"},
    }
    assert schema["required"] == ["cabin"]


X = Variable(name="x", type="string")


def tool(node_id: str, *, after: tuple[str, ...] = (), **arguments: Any) -> Node:
    """Return a tool node."""
    return Node(id=node_id, kind="tool", tool="t", after=after, arguments=arguments)


@pytest.mark.parametrize(
    ("skill", "problem"),
    [
        (Skill(name="Plot"), "the name 'Plot'"),
        (Skill(name="../x"), "the name"),
        (Skill(name="x" * 65), "the name"),
        (Skill(name="p", variables=(X, X)), "declared twice"),
        (Skill(name="p", variables=(Variable(name="a b", type="string"),)), "identifier"),
        (Skill(name="p", variables=(Variable(name="a", type="enum"),)), "without values"),
        (Skill(name="p", nodes=(tool("n1"), tool("n1"))), "two nodes are called n1"),
        (Skill(name="p", nodes=(Node(id="n1", kind="tool"),)), "needs a tool"),
        (Skill(name="p", nodes=(Node(id="n1", kind="code"),)), "needs a template"),
        (Skill(name="p", nodes=(tool("n 1"),)), "node id"),
        (Skill(name="p", nodes=(tool("n1", after=("n9",)),)), "n9, which is not a node"),
        (Skill(name="p", nodes=(tool("n1", after=("n2",)), tool("n2"))), "n1 stands before n2"),
        (
            Skill(name="p", nodes=(tool("n1", after=("n2",)), tool("n2", after=("n1",)))),
            "wait for each other",
        ),
        (Skill(name="p", nodes=(tool("n1", after=("n1",)),)), "wait for each other"),
        (Skill(name="p", nodes=(tool("n1", a=FromInput("x")),)), "n1.a reads the input 'x'"),
        (Skill(name="p", nodes=(tool("n1", a=FromNode("n2")),)), "n2, which is not a node"),
        (Skill(name="p", nodes=(tool("n1", a=FromNode("n2")), tool("n2"))), "does not come before"),
        (Skill(name="p", nodes=(tool("n1", a=Constant(float("nan"))),)), "JSON cannot hold"),
        (Skill(name="p", nodes=(tool("n1", a=Constant({1: 2})),)), "JSON cannot hold"),
        (Skill(name="p", extras={"a": {1, 2}}), "extras"),
        (Skill(name="p", output_bindings={"r": FromNode("n1")}), "the output r"),
        (Skill(name="p", outputs={"anyOf": [{"$ref": "http://localhost/x"}]}), "outside of it"),
        (
            Skill(
                name="p",
                nodes=(
                    Node(
                        id="n1",
                        kind="code",
                        template=Template(text="{x}", slots=(Slot(variable="x", encoding="python"),)),
                    ),
                ),
            ),
            "{x}, which is not declared",
        ),
        (
            Skill(
                name="p",
                variables=(X,),
                nodes=(
                    Node(
                        id="n1",
                        kind="code",
                        template=Template(text="x", slots=(Slot(variable="x", encoding="text"),)),
                    ),
                ),
            ),
            "no place {x}",
        ),
        (Skill(name="p", nodes=(Node(id="n1", kind="skill", tool="p@1"),)), "calls the skill it is part of"),
        (Skill(name="p", nodes=(Node(id="n1", kind="skill", tool="../q"),)), "must be NAME"),
        (Skill(name="p", nodes=(replace(tool("n1"), condition="x >"),)), "condition"),
        (Skill(name="p", nodes=(replace(tool("n1"), condition="y == 1"),)), "'y', which is neither"),
        (Skill(name="p", nodes=(replace(tool("n1"), timeout_seconds=0),)), "time limit"),
        (Skill(name="p", nodes=(replace(tool("n1"), retries=-1),)), "tried again"),
        (
            Skill(name="p", artifacts=(SkillArtifact(name="a", type="data", content=b"", path="../a"),)),
            "outside the work folder",
        ),
        (
            Skill(name="p", artifacts=(SkillArtifact(name="a", type="data", content=b""),) * 2),
            "two artifacts",
        ),
    ],
)
def test_an_unsound_skill_is_told_what_is_wrong(skill: Skill, problem: str) -> None:
    """Each way to be unsound gives a line that names the place."""
    assert problem in "\n".join(validate_skill(skill))


@pytest.mark.parametrize(
    "path", ["../a", "/etc/passwd", "a/../../b", "C:\\x", "\\\\host\\x", "a\\..\\b", "", "a\0b"]
)
def test_paths_that_leave_the_work_folder_are_seen(path: str) -> None:
    """On any platform's terms."""
    assert leaves_folder(path)


def test_ordinary_paths_stay_in_the_work_folder() -> None:
    """Names with dots and folders are fine."""
    assert not any(map(leaves_folder, ["a.py", "data/in.csv", "..a/b", "a b/c..d"]))


def test_a_place_is_written_for_people() -> None:
    """Keys with dots, indexes with brackets."""
    assert show_place(("nodes", 3, "kind")) == "nodes[3].kind"
    assert show_place(()) == "the document"


def test_a_document_that_claims_other_inputs_than_its_variables_is_refused(tmp_path: Any) -> None:
    """What a reviewer reads about the inputs is what runs, even when the digest was made to fit."""
    document = to_document(Skill(name="plot", variables=(X,)))
    document["inputs"]["properties"]["x"]["description"] = "harmless"
    document["digest"] = digest_of_document(document)
    file = tmp_path / "plot.skill.json"
    file.write_bytes(render(document))
    with pytest.raises(InvalidSkillFileError, match="inputs does not agree"):
        read_skill_file(file)


@pytest.mark.parametrize(
    ("kind", "language", "encoding", "problem"),
    [
        ("code", "python", "text", "'text' of plain text, but stands in Python"),
        ("code", None, "json", "'json' of plain text, but stands in Python"),
        ("code", "bash", "json-str", "'json-str' of plain text, but stands in shell"),
        ("code", "python", "sh-sq", "'sh-sq' of shell, but stands in Python"),
        ("code", "sh", "python=1", "'python' of Python, but stands in shell"),
        ("code", "javascript", "text", "into which no values can be written"),
        ("code", "python", "magic", "the unknown encoding 'magic'"),
        ("agent", None, "dq", "'dq' of Python, but stands in plain text"),
        ("code", "python", "f-raw-tdq", ""),
        ("code", "sh", "sh-bare-arg", ""),
        ("approval", None, "text", ""),
        ("agent", None, "json=1.0", ""),
    ],
)
def test_an_encoding_must_fit_what_it_stands_in(
    kind: NodeKind, language: str | None, encoding: str, problem: str
) -> None:
    """Values are written into code only as its language's literals: as plain text they would be code."""
    template = Template(text="{x}", slots=(Slot(variable="x", encoding=encoding),))
    node = Node(id="n1", kind=kind, language=language, template=template)
    found = validate_skill(Skill(name="p", variables=(X,), nodes=(node,)))
    assert (problem in found[0]) if problem else (found == [])
