"""Matching and searching in scripts without spaces, and where the model does not know the words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tasks_in_scripts import SPACED, UNSPACED, Asked
from word_embedder import WordEmbedder

from skillsmith.db import Database
from skillsmith.events import EventLog
from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.library.embedding.store import model_status
from skillsmith.library.matcher import SkillMatcher
from skillsmith.library.matching.ranking import NOT_READ
from skillsmith.library.matching.wording import phrasing, telling_words
from skillsmith.library.repository import SkillRepository
from skillsmith.library.store.cards import skill_names
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Embedder, Event, Skill
from skillsmith.runs import RunRepository

MODELS = [False, pytest.param(True, marks=pytest.mark.skipif(
    not model_status().ready, reason="the embedding model is not installed"
))]  # fmt: skip


def library(
    db: Database, asked: Asked, *, name: str = "skill", model: Embedder | None = None
) -> SkillMatcher:
    """Return the matcher over a library of skills with these descriptions, numbered in their order."""
    repo = SkillRepository(db)
    for number, (description, _) in enumerate(asked):
        repo.add(Skill(name=f"{name}-{number}", description=description))
    vectors = VectorIndex(db, model)
    vectors.sync()
    return SkillMatcher(db, repo, vectors)


def right(matcher: SkillMatcher, asked: Asked, *, name: str = "skill") -> int:
    """Return for how many tasks the best candidate is the right one."""
    found = [matcher.rank(task).candidates for _, task in asked]
    return sum(bool(best) and best[0].card.name == f"{name}-{number}" for number, best in enumerate(found))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("language", UNSPACED)
def test_tasks_without_spaces_find_their_skill(db: Database, language: str, *, model: bool) -> None:
    """Of twelve tasks in other words than their skills' descriptions at most two miss, whatever the model."""
    asked = UNSPACED[language]
    matcher = library(db, asked, model=open_embedder() if model else None)
    assert right(matcher, asked) >= len(asked) - 2


@pytest.mark.parametrize("model", MODELS)
def test_other_scripts_are_found_among_all_the_others(db: Database, *, model: bool) -> None:
    """In one library of all, tasks in German, Russian, Arabic, Hebrew, Hindi and Korean find their skill."""
    embedder = open_embedder() if model else None
    for language, asked in (UNSPACED | SPACED).items():
        matcher = library(db, asked, name=language, model=embedder)
    assert {language: right(matcher, asked, name=language) for language, asked in SPACED.items()} == {
        language: len(asked) for language, asked in SPACED.items()
    }


def test_people_are_told_whole_stretches(db: Database) -> None:
    """The reason of a match quotes the task, not the pieces that were compared."""
    found = library(db, UNSPACED["zh"]).match("请把数据画成折线图", min_confidence=0)
    assert "says 折线图, 数据" in found.matches[0].reason or "says 数据, 折线图" in found.matches[0].reason


def test_phrasings_without_spaces_are_compared() -> None:
    """A task is like an earlier one with another number in it, and unlike one about something else."""
    earlier = "请取消订单12345并退款"
    assert phrasing("请取消订单67890并退款", [earlier]) == 1
    assert phrasing("请查询北京的天气", [earlier]) < 0.3
    assert telling_words("取消订单 7") == ["取消", "消订", "订单", "7"]


def test_lists_are_searched_by_any_part_of_a_run(db: Database) -> None:
    """One sign, a piece and a longer stretch find the skill; what it does not say finds nothing."""
    library(db, UNSPACED["zh"][:4])
    repo = SkillRepository(db)
    for words in ("图", "数据", "折线图", "表格 折线"):
        assert [one.name for one in repo.list(search=words)] == ["skill-2"], words
        assert skill_names(db, words=words) == ["skill-2"]
    assert [*repo.list(search="发票")] == []


def test_events_are_searched_in_any_script(db: Database) -> None:
    """Runs and events are found by words inside a sentence without spaces."""
    texts = ("请把销售数据画成折线图", "ช่วยส่งอีเมลถึงลูกค้า", "Plot the sales", "बिक्री का रेखाचित्र")
    runs, log = RunRepository(db), EventLog(db)
    run = runs.key(runs.create("t").id)
    log.append(run, [Event(kind="message", role="user", content=text) for text in texts])
    for words, text in zip(("折线图 销售", "อีเมล", "sales", "रेखाचित्र"), texts, strict=True):
        assert [event.content for _, event in log.search(words)] == [text], words
        assert log.runs_mentioning(words) == [run]
    assert log.search("天气") == []


def test_a_library_from_before_is_mended_by_a_reindex(db: Database) -> None:
    """Where full text holds whole sentences as words it says so, and a reindex lets them be found."""
    asked = UNSPACED["zh"]
    matcher, repo = library(db, asked), SkillRepository(db)
    assert not repo.text_is_outdated()
    db.execute("INSERT INTO skills_fts (skills_fts) VALUES ('delete-all')")
    rows = [(repo.version_pk(f"skill-{number}"), text) for number, (text, _) in enumerate(asked)]
    db.executemany("INSERT INTO skills_fts (rowid, description) VALUES (?, ?)", rows)
    assert right(matcher, asked) == 0
    assert repo.text_is_outdated()
    repo.reindex()
    assert right(matcher, asked) == len(asked)
    assert not repo.text_is_outdated()


class Reader(WordEmbedder):
    """An embedder that knows some words."""

    known = frozenset({"plot", "cancel", "table"})

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Tell of each word whether it is one of them."""
        return [word in self.known for word in words]


def test_a_model_that_does_not_know_the_words_is_not_asked(db: Database) -> None:
    """Where most of what a task tells is in words that the model never saw, words alone are compared."""
    asked = (("Plot the zorblat of a table", ""), ("Cancel the frimmel", ""))
    matcher = library(db, asked, model=Reader())
    assert matcher.rank("plot a table").notice == ""
    unread = matcher.rank("brindle the zorblat of a quanteril")
    assert unread.notice == NOT_READ
    assert unread.candidates[0].card.name == "skill-0"
    assert unread.candidates[0].near is None


@pytest.mark.skipif(not model_status().ready, reason="the embedding model is not installed")
@pytest.mark.parametrize("long_lived", [False, True])
def test_the_real_model_knows_english_and_no_other_script(*, long_lived: bool) -> None:
    """Common words are known; letters one by one, unknown signs and invented words are not."""
    embedder = open_embedder(long_lived=long_lived)
    assert embedder is not None
    words = ["cancel", "reservation", "weather", "график", "ตรวจ", "缩压", "zubivedora"]
    assert embedder.knows(words) == [True, True, True, False, False, False, False]  # type: ignore[attr-defined]
    assert embedder.knows(["word"] * 2000) == [True] * 2000  # type: ignore[attr-defined]
