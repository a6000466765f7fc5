"""The graph of a skill with its sub-skills in place: what waits for what, and how large it may be."""

from __future__ import annotations

import time

import pytest

from skillsmith.db import Database
from skillsmith.errors import ExecutionError
from skillsmith.library.program.graph import MAX_STOPS, build_graph
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Node, Skill, Template


def _calls(name: str, called: str, times: int) -> Skill:
    nodes = tuple(Node(id=f"n{number}", kind="skill", tool=called) for number in range(times))
    return Skill(name=name, nodes=nodes)


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """A library with a skill of one step and eight that each call the one before six times."""
    library = SkillRepository(db)
    step = Node(id="n0", kind="check", template=Template(text="1 < 2"))
    library.add(Skill(name="level0", nodes=(step,)))
    for level in range(1, 9):
        library.add(_calls(f"level{level}", f"level{level - 1}", 6))
    return library


def test_a_sub_skill_ends_when_all_of_it_has_ended(skills: SkillRepository) -> None:
    """The exit waits for the entry and all nodes of its own level, whose exits wait for theirs."""
    stops = build_graph(skills.get("level2"), skills).stops
    assert len(stops) == 6 * (2 + 6 * (2 + 1))
    assert stops["n0"].after == {"n0/", *(f"n0/n{number}" for number in range(6))}
    assert stops["n0/n1"].after == {"n0/n1/", "n0/n1/n0"}
    assert stops["n0/n1/"].after == {"n0/"}


def test_a_skill_that_would_grow_without_end_is_refused_at_once(skills: SkillRepository) -> None:
    """Skills that call each other many times over are refused by their number of nodes, in no time."""
    began = time.perf_counter()
    with pytest.raises(ExecutionError, match=f"more than {MAX_STOPS:,} nodes"):
        build_graph(skills.get("level8"), skills)
    assert time.perf_counter() - began < 2


def test_a_skill_that_reaches_itself_is_refused(skills: SkillRepository) -> None:
    """A circle is told by its names, whichever versions it goes through."""
    skills.add(_calls("level1", "level8", 1))
    with pytest.raises(ExecutionError, match="level2 → level1 → level8"):
        build_graph(skills.get("level2"), skills)


def test_a_long_chain_of_skills_is_refused_by_its_depth(skills: SkillRepository) -> None:
    """Sub-skills may stand inside each other, but not without end."""
    for level in range(9, 70):
        skills.add(_calls(f"level{level}", f"level{level - 1}" if level > 9 else "level0", 1))
    assert build_graph(skills.get("level40"), skills)
    with pytest.raises(ExecutionError, match="deep"):
        build_graph(skills.get("level69"), skills)
