from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.errors import UsageError
from skillsmith.library.template_builder import SkillTemplateBuilder
from skillsmith.library.templates import Lift, build_python_template, build_text_template
from skillsmith.models import Constant, FileUse, FromInput, FromNode, Node, Skill, Template, Text, Variable

BUILDER = SkillTemplateBuilder()
LOAD = 'rows = load("sales.csv", limit=10)\nprint(f"{rows} {{limit}}")'


def load_template() -> Template:
    """Return the code template of the skill's first node."""
    path, number = LOAD.index("sales.csv"), LOAD.index("10")
    return build_python_template(
        LOAD,
        [
            Lift(start=path, end=path + 9, variable="input_file"),
            Lift(start=number, end=number + 2, variable="count"),
        ],
    )


@pytest.fixture(name="skill")
def report_skill() -> Skill:
    """Return a skill with code, a tool call and an agent's step."""
    prompt = "Write about {topic} for sales.csv"
    return Skill(
        name="report",
        task_pattern="Report {count} rows of {input_file}",
        variables=(
            Variable(name="input_file", type="path", default="sales.csv", required=True),
            Variable(name="count", type="integer", default=10),
        ),
        nodes=(
            Node(
                id="n1", kind="code", title="Load", agent="engineer", language="python",
                template=load_template(), reads=(FileUse(path=FromInput("input_file")),),
                writes=(FileUse(path=Text(("out/", FromInput("input_file")))),),
            ),
            Node(
                id="n2", kind="tool", title="Send", agent="clerk", tool="send_mail",
                arguments={"to": Constant("ann"), "body": FromNode("n1", ("text",))}, after=("n1",),
            ),
            Node(
                id="n3", kind="agent", title="Tell", agent="writer", after=("n1",),
                template=build_text_template(prompt, [Lift(start=24, end=33, variable="file")]),
                bindings={"file": FromInput("input_file")},
            ),
        ),
        agents=("engineer", "writer", "critic"),
        body="Mind the currency.",
    )  # fmt: skip


def test_the_graph_names_inputs_edges_and_levels(skill: Skill) -> None:
    """The DAG template tells what runs after what and why, and what may run side by side."""
    graph = BUILDER.build_dag_template(skill)
    assert graph["levels"] == [["n1"], ["n2", "n3"]]
    assert graph["edges"] == [
        {"from": "n1", "to": "n2", "why": "data"},
        {"from": "n1", "to": "n3", "why": "order"},
    ]
    assert graph["inputs"]["required"] == ["input_file"]
    assert graph["agents"] == ["engineer", "writer", "critic"]
    first, second, _ = graph["nodes"]
    assert (first["variables"], first["reads"]) == (["count", "input_file"], ["{input_file}"])
    assert second["arguments"] == {"to": "'ann'", "body": "n1 → text"}


def test_nodes_that_wait_for_each_other_are_named(skill: Skill) -> None:
    """A circle is refused, and the message shows it."""
    first, *others = skill.nodes
    broken = replace(skill, nodes=(replace(first, after=("n3",)), *others))
    with pytest.raises(UsageError, match=r"wait for each other: n[13] → n[13] → n[13]"):
        BUILDER.build_dag_template(broken)


def test_agents_are_told_their_own_steps(skill: Skill) -> None:
    """Each agent gets the task with its values, its steps with code, calls and prompts, and the notes."""
    orders = BUILDER.build_agent_instructions(skill, {"count": 3, "deadline": "Friday"})
    assert list(orders) == ["engineer", "writer", "critic", "clerk"]
    assert orders["engineer"].startswith("You are engineer. The task: Report 3 rows of sales.csv\n")
    assert 'load("sales.csv", limit=3)' in orders["engineer"]
    assert "send_mail" not in orders["engineer"]
    assert '1. Send: call send_mail(to="ann", body=n1 → text)' in orders["clerk"]
    assert "1. Tell: Write about {topic} for sales.csv" in orders["writer"]
    assert "None of the steps is yours" in orders["critic"]
    for text in orders.values():
        assert "Context: deadline = Friday" in text
        assert text.endswith("Notes:\nMind the currency.")


def test_code_takes_the_given_values_and_keeps_the_other_places(skill: Skill) -> None:
    """Values given are written as code; a place without a value stays a place."""
    assert BUILDER.build_code_templates(skill, {}) == [
        LOAD.replace("sales.csv", "{input_file}").replace("=10", "={count}")
    ]
    assert BUILDER.build_code_templates(skill, {"input_file": 'a"b.csv'}) == [
        LOAD.replace("sales.csv", 'a\\"b.csv').replace("=10", "={count}")
    ]
    assert BUILDER.build_code_templates(skill, {"input_file": "sales.csv", "count": 10}) == [LOAD]
    with pytest.raises(UsageError, match="has no input 'rows'"):
        BUILDER.build_code_templates(skill, {"rows": 1})


def test_only_declared_variables_are_replaced_in_text() -> None:
    """Every other brace stays, and a value's own braces are not replaced again."""
    text = "{a} {b} {{a}} { a } {'k': {c}}"
    assert BUILDER.instantiate_template(text, {"a": "{b}", "b": 5.0}) == "{b} 5 {{b}} { a } {'k': {c}}"
    assert BUILDER.instantiate_template(text, {}) == text


@given(st.text(), st.text())
def test_text_without_places_never_changes(text: str, value: str) -> None:
    """Text that does not hold a variable's place comes back as it was."""
    assert BUILDER.instantiate_template(text.replace("{name}", ""), {"name": value}) == text.replace(
        "{name}", ""
    )
