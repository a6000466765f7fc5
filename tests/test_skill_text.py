from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.library.repository import SkillRepository
from skillsmith.library.store.text import search_expression, split_names
from skillsmith.models import Node, Skill, SkillArtifact, Template, Variable


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """The library of that file."""
    return SkillRepository(db)


def named(name: str, **fields: Any) -> Skill:
    """Return a small sound skill."""
    return Skill(name=name, nodes=(Node(id="n1", kind="tool", tool="getUserDetails"),), **fields)


def test_a_skill_is_found_by_what_it_is_and_does(skills: SkillRepository) -> None:
    """Name, description, pattern, tags, examples and body are searched, and names of tools by their parts."""
    code = Node(id="n2", kind="code", title="fit it", template=Template(text="frame = loadTable('x')"))
    skill = Skill(
        name="power-spectrum", description="Draws curves", task_pattern="Draw {what}", tags=("cosmology",),
        examples=("the CMB of 2018",), body="Needs healpy.",
        nodes=(Node(id="n1", kind="tool", tool="getUserDetails"), code),
        artifacts=(SkillArtifact(name="style.yaml", type="config", content=b"palette: viridis"),),
        variables=(Variable(name="binning", type="integer", description="how coarse"),),
    )  # fmt: skip
    skills.add(skill)
    skills.add(Skill(name="unrelated", body="Anything else."))
    words = "spectrum curve drawing cosmology CMB healpy details table fit viridis coarse"
    for word in words.split():
        assert skills.search(word)[0][0] == skills.version_pk("power-spectrum"), word


def test_the_name_counts_more_than_the_body(skills: SkillRepository) -> None:
    """Results are best first, with a score that is larger for the better."""
    skills.add(named("about", body="A spectrum."))
    skills.add(named("spectrum"))
    found = skills.search("spectrum")
    assert [skills.by_pk(pk).name for pk, _ in found] == ["spectrum", "about"]
    assert found[0][1] > found[1][1] > 0
    assert len(skills.search("spectrum", limit=1)) == 1


@given(st.text())
def test_any_text_can_be_searched_for(text: str) -> None:
    """Quotes, operators, NUL and lone surrogates are words or nothing, never an error."""
    skills = SkillRepository(Database(":memory:"))
    skills.add(named("plot"))
    assert isinstance(skills.search(text), list)
    assert isinstance(list(skills.list(search=text)), list)


def test_common_words_are_left_out_unless_there_are_no_others() -> None:
    """A question's filler does not drown its telling words."""
    assert search_expression("Please plot the spectrum of it") == '"plot" OR "spectrum"'
    assert search_expression("to be or not to be") == '"to" OR "be" OR "or" OR "not"'
    assert search_expression("getUser", operator="AND") == '"get" AND "user"'
    assert search_expression("!?") == ""


def test_names_are_split_at_their_humps() -> None:
    """Camel case becomes words, also after an acronym."""
    assert (
        split_names("getUserDetails of HTTPServer, Größe and ABC")
        == "get User Details of HTTP Server, Größe and ABC"
    )


def test_full_text_can_be_rebuilt(db: Database, skills: SkillRepository) -> None:
    """After the index was lost, search finds again what it found."""
    skills.add(named("old"))
    skills.add(named("plot", body="viridis"))
    before = skills.search("viridis old")
    db.execute("INSERT INTO skills_fts (skills_fts) VALUES ('delete-all')")
    assert skills.search("viridis") == []
    assert [*skills.pointer_problems()]
    assert skills.reindex() == 2
    assert skills.search("viridis old") == before
    assert [*skills.pointer_problems()] == []
