from __future__ import annotations

import math
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_embedder import WordEmbedder

from skillsmith.db import Database
from skillsmith.errors import ModelError, StorageError
from skillsmith.library import vectors
from skillsmith.library.embedding import whole_search
from skillsmith.library.matching.own_texts import PART, mean_vector, own_texts, parts_of
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Skill

CANCEL = Skill(
    name="cancel_reservation", description="Cancel a flight booking", examples=("Cancel my trip EHGLP3",)
)
PLOT = Skill(name="plot_spectrum", description="Plot a power spectrum", body="Uses a Boltzmann solver.")


@pytest.fixture
def repo(db: Database) -> SkillRepository:
    """An empty library."""
    return SkillRepository(db)


@pytest.fixture
def embedder() -> WordEmbedder:
    """A model that remembers what it embedded."""
    return WordEmbedder()


@pytest.fixture
def index(db: Database, repo: SkillRepository, embedder: WordEmbedder) -> Iterator[VectorIndex]:
    """The index of a library of two skills, in step; the file is sound afterwards."""
    repo.add(CANCEL)
    repo.add(PLOT)
    made = VectorIndex(db, embedder)
    made.sync()
    embedder.embedded.clear()
    yield made
    assert db.check() == []


def found(index: VectorIndex, db: Database, text: str) -> list[str]:
    """Return the names found for a text, nearest first."""
    sql = "SELECT s.name FROM skills s JOIN skill_versions v ON v.skill = s.pk WHERE v.pk = ?"
    return [db.scalar(sql, (pk,)) for pk, _, _ in index.search(text, limit=5)]


def test_without_a_model_there_are_no_vectors_and_one_line_says_why(
    db: Database, repo: SkillRepository
) -> None:
    """Without a model nothing fails: nothing is found by meaning, and the notice names the remedy."""
    repo.add(CANCEL)
    index = VectorIndex(db, None)
    assert (index.sync(), index.search("cancel", limit=5), index.pending()) == (0, [], 1)
    assert "skillsmith model install" in index.notice
    assert "\n" not in index.notice
    assert index.status().model is None


def test_every_text_of_a_skill_is_embedded_once(db: Database, repo: SkillRepository) -> None:
    """Profile, earlier task and body are embedded, each once; a second sync has nothing to do."""
    repo.add(CANCEL)
    repo.add(PLOT)
    embedder, seen = WordEmbedder(), list[tuple[int, str]]()
    index = VectorIndex(db, embedder)
    assert index.sync(progress=lambda count, name: seen.append((count, name))) == 4
    assert sorted(embedder.embedded) == [
        "Cancel my trip EHGLP3", "Uses a Boltzmann solver.", "cancel reservation. Cancel a flight booking",
        "plot spectrum. Plot a power spectrum",
    ]  # fmt: skip
    assert seen == [(1, "cancel_reservation"), (1, "plot_spectrum")]
    assert index.sync() == 0
    status = index.status()
    assert (status.skills, status.embedded, status.vectors, status.notice) == (2, 2, 4, "")


def test_search_says_how_near_and_to_what(index: VectorIndex, repo: SkillRepository) -> None:
    """An earlier task said again is found with cosine 1, and the field says that it was an earlier task."""
    pk, similarity, field = index.search("Cancel my trip EHGLP3", limit=5)[0]
    assert pk == repo.version_pk("cancel_reservation")
    assert similarity == pytest.approx(1.0, abs=1e-5)
    assert field == "example"
    assert len(index.search("spectrum", limit=1)) == 1


def test_a_new_version_takes_over_what_did_not_change(
    index: VectorIndex, db: Database, repo: SkillRepository, embedder: WordEmbedder
) -> None:
    """Only texts that are new are embedded for a new version, and the old version is not found any more."""
    old = repo.version_pk("cancel_reservation")
    repo.add(Skill(name="cancel_reservation", description="Refund a flight", examples=CANCEL.examples))
    assert index.pending() == 1
    assert index.sync() == 1
    assert embedder.embedded == ["cancel reservation. Refund a flight"]
    assert old not in [pk for pk, _, _ in index.search("cancel flight", limit=5)]
    assert db.scalar("SELECT count(*) FROM skill_vectors WHERE skill_version = ?", (old,)) == 0


def test_a_task_that_a_skill_served_is_embedded_with_the_next_sync(
    index: VectorIndex, repo: SkillRepository, embedder: WordEmbedder
) -> None:
    """Adding an earlier task marks the skill, and only that task is embedded."""
    repo.add_example("cancel_reservation", "I cannot travel, undo my ticket")
    assert index.pending() == 1
    assert index.sync() == 1
    assert embedder.embedded == ["I cannot travel, undo my ticket"]
    assert index.search("I cannot travel, undo my ticket", limit=1)[0][2] == "example"


def test_deleted_skills_are_not_found(index: VectorIndex, db: Database, repo: SkillRepository) -> None:
    """A deleted skill is gone from search at once, and its place is reused without a mix-up."""
    repo.delete("cancel_reservation")
    assert found(index, db, "cancel flight") == ["plot_spectrum"]
    repo.add(Skill(name="send_letter", description="Send a letter by mail"))
    index.sync()
    assert found(index, db, "mail a letter")[0] == "send_letter"
    assert db.scalar("SELECT count(*) FROM skill_vec") == 2


def test_rollback_brings_back_the_vectors_of_the_old_version(
    index: VectorIndex, db: Database, repo: SkillRepository
) -> None:
    """After going back to an older version that version is found by its own texts."""
    repo.add(Skill(name="plot_spectrum", description="Weigh a parcel"))
    index.sync()
    assert found(index, db, "weigh parcel")[0] == "plot_spectrum"
    repo.set_current("plot_spectrum@1")
    index.sync()
    assert index.search("power spectrum", limit=1)[0][0] == repo.version_pk("plot_spectrum@1")


def test_another_model_embeds_everything_anew(index: VectorIndex, db: Database) -> None:
    """Vectors of two models are never mixed: another model finds nothing until it has embedded all."""
    other = VectorIndex(db, WordEmbedder("words#other", dimension=32))
    assert (other.pending(), other.search("cancel", limit=5)) == (2, [])
    assert other.sync() == 4
    assert found(other, db, "cancel flight")[0] == "cancel_reservation"
    assert other.status().stored_model == "words#other"
    assert {row[0] for row in db.all("SELECT DISTINCT model FROM skill_vectors")} == {"words#other"}
    assert index.search("cancel", limit=5) == []


def test_rebuild_embeds_everything_anew(index: VectorIndex, embedder: WordEmbedder) -> None:
    """A rebuild embeds all texts again and leaves the same index behind."""
    before = index.search("cancel the flight", limit=5)
    assert index.rebuild() == 4
    assert len(embedder.embedded) == 5
    assert [row[0] for row in index.search("cancel the flight", limit=5)] == [row[0] for row in before]


def test_a_dimension_that_vec0_cannot_search_is_refused(db: Database, repo: SkillRepository) -> None:
    """A model with an odd dimension is named in one line before anything is stored."""
    repo.add(CANCEL)
    with pytest.raises(ModelError, match="multiple of 8"):
        VectorIndex(db, WordEmbedder(dimension=13)).sync()


def test_a_file_that_may_only_be_read_is_searched_as_it_is(
    index: VectorIndex, db: Database, repo: SkillRepository, embedder: WordEmbedder
) -> None:
    """With a read-only file nothing is embedded into it, and what it has is found."""
    with closing(Database(db.path, readonly=True)) as readonly:
        reader = VectorIndex(readonly, embedder)
        assert found(reader, readonly, "cancel flight")[0] == "cancel_reservation"
        repo.add(Skill(name="other", description="Something else"))
        assert (reader.pending(), reader.sync(), reader.rebuild()) == (1, 0, 0)


def test_without_vec0_words_alone_are_compared(
    db: Database, repo: SkillRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing extension is a notice, not an error."""
    repo.add(CANCEL)

    def missing() -> Path:
        raise StorageError("sqlite-vec is not installed")

    monkeypatch.setattr(vectors, "extension_path", missing)
    index = VectorIndex(db, WordEmbedder())
    assert "sqlite-vec is not installed" in index.notice
    assert (index.sync(), index.search("cancel", limit=5)) == (0, [])


def test_a_large_library_is_searched_by_signs_and_rescored(
    db: Database, repo: SkillRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searching by signs first finds the same nearest skill, with the same exact cosine."""
    with db.transaction():
        for number in range(120):
            repo.add(Skill(name=f"skill_{number}", description=f"alpha{number} beta{number % 7} gamma"))
    index = VectorIndex(db, WordEmbedder())
    index.sync()
    exact = index.search("alpha17 beta3 gamma", limit=3)
    monkeypatch.setattr(whole_search, "EXACT_UP_TO", 10)
    rough = index.search("alpha17 beta3 gamma", limit=3)
    assert rough[0] == pytest.approx(exact[0])
    assert len(rough) == 3


def test_search_can_be_kept_to_some_skills(index: VectorIndex, repo: SkillRepository) -> None:
    """Only the versions asked for are found, however near others are."""
    plot = repo.version_pk("plot_spectrum")
    assert list(index.nearest(index.embed("cancel flight"), limit=5, among=[plot])) == [plot]


def test_another_connection_sees_and_shares_the_vectors(index: VectorIndex, db: Database) -> None:
    """What one process embedded another finds, and what one adds the other can embed."""
    with closing(Database(db.path)) as second:
        other = VectorIndex(second, WordEmbedder())
        assert other.pending() == 0
        SkillRepository(second).add(Skill(name="bake_bread", description="Bake a loaf of bread"))
        assert index.pending() == 1
        index.sync()
        assert found(other, second, "loaf of bread")[0] == "bake_bread"


def test_a_file_with_vectors_is_sound_without_the_extension(index: VectorIndex, db: Database) -> None:
    """Programs that never load vec0 can still check and change such a file."""
    with closing(Database(db.path)) as plain:
        repo = SkillRepository(plain)
        repo.add_example("cancel_reservation", "Stop my trip")
        repo.delete("plot_spectrum")
        assert plain.check() == []
    assert index.sync() == 1


def test_no_skill_text_is_lost_or_endless() -> None:
    """A body is embedded in parts of whole paragraphs, the profile falls back on pattern or body."""
    body = "\n\n".join(f"Paragraph {number} " + "word " * 60 for number in range(40))
    parts = parts_of(body, limit=5)
    assert len(parts) == 5
    assert all(len(part) <= PART for part in parts)
    assert parts[0].startswith("Paragraph 0")
    assert parts_of("one sentence", limit=5) == ["one sentence"]
    bare = {"name": "doIt_now", "description": "", "examples": "[]", "body": "", "dag_template": "[]"}
    texts = own_texts(bare | {"task_pattern": "Fetch {url} and sum it"})
    assert texts[0].text.startswith("do it now. Fetch")
    assert "{" not in texts[0].text


@settings(max_examples=50)
@given(st.lists(st.lists(st.floats(-1, 1, width=32), min_size=8, max_size=8), min_size=1, max_size=6))
def test_the_vector_of_the_whole_is_a_unit_vector_in_any_order(numbers: list[list[float]]) -> None:
    """The mean has length one, or none at all, and does not depend on the order of the texts."""
    packed = [struct.pack("<8f", *row) for row in numbers]
    mean = struct.unpack("<8f", mean_vector(packed))
    length = math.hypot(*mean)
    assert length == pytest.approx(1, abs=1e-5) or length == pytest.approx(0, abs=1e-5)
    assert struct.unpack("<8f", mean_vector(packed[::-1])) == pytest.approx(mean, abs=1e-6)


def test_importing_and_searching_words_needs_no_numpy() -> None:
    """Neither importing the index nor finding vec0 pulls in numpy, onnxruntime or sqlite_vec's package."""
    code = (
        "import sys; from skillsmith.library import matcher, vectors; vectors.extension_path();"
        "print(sorted({'numpy', 'onnxruntime', 'sqlite_vec', 'fastembed'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
