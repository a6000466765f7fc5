"""Vectors in memory: the same answers as vec0's, never older than the file, and only where it pays."""

from __future__ import annotations

import struct
import sys
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_embedder import WordEmbedder

from skillsmith.db import Database
from skillsmith.library.embedding import whole_search
from skillsmith.library.embedding.held import SHARED, HeldVectors, hold
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Skill

SKILLS = 300  # more than one of vec0's pieces
TASK = "alpha17 beta3 gamma"


def skill(number: int) -> Skill:
    """Return a skill with words of its own."""
    return Skill(name=f"skill_{number}", description=f"alpha{number} beta{number % 7} gamma")


@pytest.fixture
def repo(db: Database) -> SkillRepository:
    """A library of some hundred skills, with vectors."""
    made = SkillRepository(db)
    with db.transaction():
        for number in range(SKILLS):
            made.add(skill(number))
    VectorIndex(db, WordEmbedder()).sync()
    return made


@pytest.fixture
def index(db: Database, repo: SkillRepository) -> VectorIndex:
    """Its index, which has not searched yet."""
    return VectorIndex(db, WordEmbedder())


def held(index: VectorIndex) -> HeldVectors | None:
    """Return what an index holds in memory."""
    return index._wholes._held


@pytest.mark.parametrize("exact_up_to", [SKILLS, 10])
@pytest.mark.parametrize("some", [False, True])
def test_memory_answers_as_vec0_does(
    index: VectorIndex, repo: SkillRepository, monkeypatch: pytest.MonkeyPatch, exact_up_to: int, some: bool
) -> None:
    """The second search is made in memory and finds the same skills with the same cosines, filtered too."""
    monkeypatch.setattr(whole_search, "EXACT_UP_TO", exact_up_to)
    among = [repo.version_pk(f"skill_{number}") for number in range(40, 60)] if some else None
    vector = index.embed("alpha41 alpha44 alpha230 beta3")
    first = index.nearest(vector, limit=3, among=among)
    assert held(index) is None
    second = index.nearest(vector, limit=3, among=among)
    assert held(index) is not None
    assert list(second)[:2] == list(first)[:2]
    assert list(second.values()) == pytest.approx(list(first.values()), abs=1e-5)


def test_what_was_written_meanwhile_is_found(index: VectorIndex, repo: SkillRepository, db: Database) -> None:
    """A skill that another connection added or changed is found by the very next search."""
    for _ in range(2):
        index.search(TASK, limit=3)
    with closing(Database(db.path)) as second:
        SkillRepository(second).add(Skill(name="bake_bread", description="bake a loaf of bread"))
        VectorIndex(second, WordEmbedder()).sync()
    for _ in range(3):
        assert index.search("bake bread", limit=1)[0][0] == repo.version_pk("bake_bread")
    repo.add(Skill(name="skill_17", description="boil an egg"))
    index.sync()
    for _ in range(3):
        assert index.search("boil an egg", limit=1)[0][0] == repo.version_pk("skill_17")


def test_what_was_deleted_is_not_found(index: VectorIndex, repo: SkillRepository) -> None:
    """A skill that is gone is no neighbour any more, although its vector is still in memory."""
    for _ in range(2):
        index.search(TASK, limit=3)
    gone = repo.version_pk("skill_17")
    repo.delete("skill_17")
    assert gone not in index.nearest(index.embed(TASK), limit=5)


def test_many_deleted_skills_hide_no_other(index: VectorIndex, repo: SkillRepository) -> None:
    """Once the index was brought up to date, what is gone takes no place among the nearest."""
    for _ in range(2):
        index.search("gamma", limit=3)
    assert held(index) is not None
    nearest = index.nearest(index.embed("gamma"), limit=250)
    names = {repo.version_pk(f"skill_{number}"): f"skill_{number}" for number in range(SKILLS)}
    for pk in nearest:
        repo.delete(names[pk])
    index.sync()
    for _ in range(3):
        assert len(index.nearest(index.embed("gamma"), limit=10)) == 10


def test_what_was_read_during_a_write_is_not_kept(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors that may be newer than the mark under which they would be shared are left alone."""
    index.search(TASK, limit=3)

    def hold_late(*args: Any, **kwargs: Any) -> HeldVectors | None:
        with closing(Database(index._db.path)) as second:
            whole_search.new_mark(second)
        return hold(*args, **kwargs)

    monkeypatch.setattr(whole_search, "hold", hold_late)
    assert index.search(TASK, limit=3)
    assert held(index) is None


def test_what_was_taken_back_is_not_found(index: VectorIndex, repo: SkillRepository, db: Database) -> None:
    """Vectors of a transaction that came to nothing are not kept in memory."""
    index.search(TASK, limit=3)

    def add_and_fail() -> None:
        with db.transaction():
            repo.add(Skill(name="bake_bread", description="bake a loaf of bread"))
            index.sync()
            for _ in range(3):
                assert index.nearest(index.embed("bake bread"), limit=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_and_fail()
    known = {repo.version_pk(f"skill_{number}") for number in range(SKILLS)}
    for _ in range(3):
        assert index.nearest(index.embed("bake bread"), limit=3).keys() <= known


def test_connections_share_what_is_held(index: VectorIndex, db: Database) -> None:
    """A second connection in the same state uses the same memory from its first search on."""
    for _ in range(2):
        index.search(TASK, limit=3)
    with closing(Database(db.path)) as second:
        other = VectorIndex(second, WordEmbedder())
        other.search(TASK, limit=3)
        assert held(other) is held(index)


def test_memory_is_given_back(index: VectorIndex) -> None:
    """What nobody uses any more does not stay."""
    for _ in range(2):
        index.search(TASK, limit=3)
    mark = held(index).mark  # type: ignore[union-attr]  # just searched twice
    assert mark in SHARED
    index._wholes._held = None
    assert mark not in SHARED


def test_nothing_is_held_without_numpy(index: VectorIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the model did not load numpy, vec0 goes on searching."""
    monkeypatch.delitem(sys.modules, "numpy")
    for _ in range(3):
        index.search(TASK, limit=3)
    assert held(index) is None


def test_pieces_of_another_layout_are_refused() -> None:
    """A table that is not laid out as known is left to vec0."""
    good = (b"\x01", struct.pack("<8q", *range(8)), bytes(8 * 64 * 4))
    assert hold([good], mark="m", dimension=64, exact=True) is not None
    assert hold([(b"\x01", good[1], good[2][4:])], mark="m", dimension=64, exact=True) is None
    assert hold([(b"\x01", good[1][8:], good[2])], mark="m", dimension=64, exact=True) is None
    assert hold([], mark="m", dimension=40, exact=False) is None
    empty = hold([], mark="m", dimension=64, exact=True)
    assert empty is not None
    assert empty.nearest(bytes(256), limit=3) == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_the_nearest_are_the_nearest(seed: int, count: int, limit: int, some: bool) -> None:
    """Memory finds what comparing everything finds, by vectors and by signs, among all rows or some."""
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((count, 64)).astype("<f4")
    padded = np.zeros((40, 64), "<f4")
    padded[:count] = rows
    used = np.packbits(np.arange(40) < count, bitorder="little").tobytes()
    keys = np.arange(40, dtype="<i8") * 3
    only = [int(key) for key in keys[:count:2]] if some else None
    vector = draw.standard_normal(64).astype("<f4")
    allowed = range(0, count, 2 if some else 1)

    exact = hold([(used, keys.tobytes(), padded.tobytes())], mark="m", dimension=64, exact=True)
    assert exact is not None
    best = sorted(allowed, key=lambda row: -float(rows[row] @ vector))[:limit]
    assert list(exact.nearest(vector.tobytes(), limit=limit, among=only)) == [3 * row for row in best]

    bits = np.packbits(padded > 0, axis=1, bitorder="little")
    signs = hold([(used, keys.tobytes(), bits.tobytes())], mark="m", dimension=64, exact=False)
    assert signs is not None
    agreeing = ((rows > 0) == (vector > 0)).sum(axis=1)
    best = sorted(allowed, key=lambda row: (-int(agreeing[row]), row))[:limit]
    found = signs.likely(vector.tobytes(), limit=limit, among=only)
    assert [agreeing[key // 3] for key in found] == [agreeing[row] for row in best]


def test_a_library_of_one_skill_is_held_too(db: Database) -> None:
    """Asking for more neighbours than there are gives all there are, from vec0 and from memory."""
    SkillRepository(db).add(skill(1))
    index = VectorIndex(db, WordEmbedder())
    index.sync()
    found = [list(index.nearest(index.embed("alpha1"), limit=3)) for _ in range(3)]
    assert held(index) is not None
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 1
