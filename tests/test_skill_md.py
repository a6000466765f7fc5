"""Tests of SKILL.md folders: reading any, writing what strict readers accept, and back without loss."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
import skill_strategies as any_
from cli_process import code_skill, tool_skill
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plot_skill import plot
from skill_md_rules import broken_rules, front_of

from skillsmith.db import Database
from skillsmith.errors import InvalidSkillFileError, NotFoundError, RefusedError, UsageError
from skillsmith.library.exchange import export_skills, import_files, trust
from skillsmith.library.program.stability import unstable_places
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.folder import folder_hash, is_plain_path, read_files
from skillsmith.library.sharing.skill_md import CLAUDE_CODE_KEYS, breaches, one_line, take_apart, write_head
from skillsmith.models import Skill, SkillArtifact

DATA = Path(__file__).parents[2] / "shared" / "data" / "skills"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real skill folders are not beside the repository"
)

GIF = "---\nname: make-gif\ndescription: Make GIFs. Use for animations.\n---\n\n# GIF\n\nUse pillow.\n"


@pytest.fixture
def library() -> SkillRepository:
    """A library."""
    return SkillRepository(Database(":memory:"))


@pytest.fixture
def other() -> SkillRepository:
    """The library of another machine."""
    return SkillRepository(Database(":memory:"))


def write(folder: Path, text: str | bytes = GIF, **files: str | bytes) -> Path:
    """Write a skill folder; double underscores in names of files stand for folders and dots."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"SKILL_md": text, **files}.items():
        *above, last = name.split("__")
        stem, _, suffix = last.rpartition("_")
        path = folder.joinpath(*above, f"{stem}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def back_and_forth(library: SkillRepository, folder: Path, **how: Any) -> Path:
    """Import a folder and return where it is exported to again."""
    report = import_files(library, [folder])
    (written,) = export_skills(library, report.imported, folder.parent / "again", format="skill-md", **how)
    return written


@settings(max_examples=12)
@given(skill=any_.skills().filter(lambda skill: not unstable_places(skill)))
def test_any_skill_travels_as_a_folder(tmp_path_factory: Any, skill: Skill) -> None:
    """Export, import elsewhere, export again: byte for byte the same, valid by the rules, nothing lost."""
    folder = tmp_path_factory.mktemp("machine")
    here, there = (SkillRepository(Database(":memory:")) for _ in range(2))
    here.add(replace(skill, version=3), keep_version=True)
    (first,) = export_skills(here, [skill.name], folder / "a", format="skill-md", allow_secrets=True)
    assert broken_rules(first) == []
    assert import_files(there, [folder / "a"]).imported == (f"{skill.name}@3",)
    (second,) = export_skills(there, [skill.name], folder / "b", format="skill-md", allow_secrets=True)
    assert read_files(first) == read_files(second)
    assert there.get(skill.name).nodes == here.get(skill.name).nodes
    assert there.get(skill.name).artifacts == here.get(skill.name).artifacts


KEYS = st.sampled_from(["license", "compatibility", "metadata", "author", "model", "hooks", "allowed-tools"])
FRONTS = st.dictionaries(
    KEYS,
    st.text(max_size=30) | st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=2),
    max_size=3,
)


@settings(max_examples=25)
@example(front={"compatibility": " ", "license": [], "metadata": {"": " "}}, about="0", body="")
@given(front=FRONTS, about=st.text(min_size=1, max_size=1500).filter(str.strip), body=st.text(max_size=40))
def test_any_foreign_folder_comes_back(tmp_path_factory: Any, front: Any, about: str, body: str) -> None:
    """As it was when the rules allow it, else repaired; in both cases the second export equals the first."""
    folder = tmp_path_factory.mktemp("machine")
    text = write_head({"name": "Any Name", "description": about, **front}) + body
    source = write(folder / "any-name", text.encode("utf-8", "replace"), references__a_md="# A")
    here, there = (SkillRepository(Database(":memory:")) for _ in range(2))
    import_files(here, [source])
    (first,) = export_skills(here, here.names(), folder / "a", format="skill-md", allow_secrets=True)
    assert broken_rules(first) == []
    import_files(there, [first])
    (second,) = export_skills(there, there.names(), folder / "b", format="skill-md", allow_secrets=True)
    assert read_files(first) == read_files(second)
    assert there.get("any-name").body == here.get("any-name").body
    assert there.get("any-name").description == about.strip()


@needs_data
def test_all_real_folders_come_in_and_go_out(
    library: SkillRepository, other: SkillRepository, tmp_path: Path
) -> None:
    """Unchanged where the rules allow it; what is exported is valid, and comes back as the same."""
    sources = {path.parent.name: path.parent for path in DATA.rglob("SKILL.md")}
    report = import_files(library, [DATA])
    assert (len(report.imported), report.problems, report.conflicts) == (len(sources), (), ())
    first = export_skills(library, library.names(), tmp_path / "a", format="skill-md", allow_secrets=True)
    assert [broken_rules(folder) for folder in first if broken_rules(folder)] == []
    for folder in first:
        same = read_files(folder) == read_files(sources[folder.name])
        head = take_apart((sources[folder.name] / "SKILL.md").read_bytes().decode()).head
        assert same == (not breaches(head, folder=folder.name)), folder.name
    import_files(other, [tmp_path / "a"])
    second = export_skills(other, other.names(), tmp_path / "b", format="skill-md", allow_secrets=True)
    assert list(map(read_files, first)) == list(map(read_files, second))


def test_prose_can_be_found_shown_and_given_to_an_agent(library: SkillRepository, tmp_path: Path) -> None:
    """A folder without code is a draft whose one step gives the task to an agent that knows its text."""
    report = import_files(library, [write(tmp_path / "make-gif", references__sizes_md="# Sizes\n128")])
    assert (report.imported, report.quarantined) == (("make-gif@1",), ())
    skill = library.get("make-gif")
    assert (skill.state, skill.description) == ("draft", "Make GIFs. Use for animations.")
    assert skill.body == "\n# GIF\n\nUse pillow.\n"
    assert [node.kind for node in skill.nodes] == ["agent"]
    assert [one.path for one in skill.artifacts] == ["references/sizes.md"]
    assert library.search("pillow")
    assert library.search("animations")


@pytest.mark.parametrize("files", [
    {"scripts__run_py": "print(1)"}, {"scripts__notes_md": "# notes"}, {"tool_sh": "ls"},
    {"data_md": "#!/bin/sh\nls"}, {"page_html": "<script>"},
])  # fmt: skip
def test_folders_with_code_wait_in_quarantine(library: SkillRepository, tmp_path: Path, files: Any) -> None:
    """Whatever could run has to be seen by its user first."""
    report = import_files(library, [write(tmp_path / "make-gif", **files)])
    assert report.quarantined == ("make-gif@1",)
    assert trust(library, "make-gif").state == "trusted"


def test_hooks_are_code(library: SkillRepository, tmp_path: Path) -> None:
    """Commands in the front matter are not let in as prose."""
    text = GIF.replace("---\n\n", "hooks:\n  Stop: rm -rf .\n---\n\n", 1)
    assert import_files(library, [write(tmp_path / "make-gif", text)]).quarantined


def test_every_file_is_kept_byte_for_byte(library: SkillRepository, tmp_path: Path) -> None:
    """Line ends, byte order mark, binary files: the folder comes back as it was."""
    text = b"\xef\xbb\xbf" + GIF.replace("\n", "\r\n").encode() + b"no newline at the end \t"
    source = write(
        tmp_path / "make-gif",
        text,
        assets__logo_png=b"\x89PNG\r\n\x00\xff",
        scripts__a_py=b"#!/x\n",
        empty_txt=b"",
    )
    written = back_and_forth(library, source)
    assert read_files(written) == read_files(source)
    assert os.access(written / "scripts/a.py", os.X_OK)


@pytest.mark.parametrize(("line", "about"), [
    ("description: Use it: when plotting", "Use it: when plotting"),
    ("description: Do this: or that\n  and more", "Do this: or that and more"),
    ("description: [draft] plots", "[draft] plots"),
    ("description: @mention `code`", "@mention `code`"),
    ('description: "quoted: fine"', "quoted: fine"),
    ("description: >\n  Folded: text\n  here", "Folded: text here"),
    ("description: ends with colon:", "ends with colon:"),
    ("description: 2024-01-01", "2024-01-01"),
])  # fmt: skip
def test_front_matter_is_read_leniently(line: str, about: str) -> None:
    """What strict YAML refuses is read with quotes around the values; numbers and dates stay text."""
    parts = take_apart(f"---\nname: x\n{line}\nmetadata:\n  version: 1.10\n  note: a: b\n---\nbody")
    assert str(parts.front["description"]).strip() == about
    assert parts.front["metadata"] == {"version": "1.10", "note": "a: b"}
    assert parts.body == "body"


@pytest.mark.parametrize(("text", "reason"), [
    ("# no front matter", "front matter is missing"),
    ("---\nname: x\n", "is not closed"),
    ("---\nname: x\n---\n", "no description"),
    ("---\nname: x\ndescription: ''\n---\n", "no description"),
    ("---\nname: x\ndescription: [a, b]\n---\n", "no description"),
    ("---\n- a\n- b\n---\n", "no list of keys"),
    ("---\nname: x\ndescription: {a\n\tb: [\n---\n", "not YAML"),
    ("---\nname: x\na: &a [x, x]\nb: *a\ndescription: d\n---\n", "by reference"),
    ("---\nname: x\ndescription: d\na: " + "[" * 3000 + "]" * 3000 + "\n---\n", "nested"),
    ("---\nname: x\ndescription: d\na: " + "[" * 110 + "]" * 110 + "\n---\n", "nested"),
    ("---\nname: x\ndescription: d\na: " + "x" * 70_000 + "\n---\n", "longer than 64 KB"),
    ("---\nname: 日本\ndescription: d\n---\n", "neither its name nor"),
    (b"---\nname: x\ndescription: \xff\n---\n", "not UTF-8"),
])  # fmt: skip
def test_unreadable_folders_are_skipped_with_the_reason(
    library: SkillRepository, tmp_path: Path, text: str | bytes, reason: str
) -> None:
    """In a tree the others come in; a folder that is named itself is refused."""
    bad = write(tmp_path / "tree" / "…", text)
    write(tmp_path / "tree" / "make-gif")
    report = import_files(library, [tmp_path / "tree"])
    assert report.imported == ("make-gif@1",)
    ((problem),) = report.problems
    assert reason in problem.reason
    with pytest.raises(InvalidSkillFileError, match=reason):
        import_files(library, [bad])


def test_links_and_large_files_are_refused(
    library: SkillRepository, tmp_path: Path, monkeypatch: Any
) -> None:
    """Nothing outside a folder is read through it, and nothing without bounds."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    (write(tmp_path / "a") / "notes.md").symlink_to(secret)
    (write(tmp_path / "b") / "more").symlink_to(tmp_path)
    write(tmp_path / "c", big_md="x" * 3000)
    monkeypatch.setattr("skillsmith.library.sharing.folder.MAX_FILE_BYTES", 2000)
    for name, reason in {"a": "notes.md is a link", "b": "more is a link", "c": "big.md is larger"}.items():
        with pytest.raises(InvalidSkillFileError, match=reason):
            import_files(library, [tmp_path / name])
    monkeypatch.setattr("skillsmith.library.sharing.folder.MAX_FILES", 0)
    with pytest.raises(InvalidSkillFileError, match="more than 0 files"):
        import_files(library, [write(tmp_path / "d")])


def test_trees_are_searched_without_following_links(library: SkillRepository, tmp_path: Path) -> None:
    """Skills below hidden folders are found; a link inside counts once, one that leads out is named."""
    project, elsewhere = tmp_path / "project", write(tmp_path / "elsewhere", GIF.replace("make-gif", "else"))
    real = write(project / ".agents/skills/make-gif", sub__SKILL_md="part of it", x_skill_json="{}")
    (project / ".claude/skills/none").mkdir(parents=True)
    (project / ".claude/skills/make-gif").symlink_to(real)
    (project / ".claude/skills/else").symlink_to(elsewhere)
    write(project / "node_modules/x")
    report = import_files(library, [project])
    assert report.imported == ("make-gif@1",)
    assert [problem.reason.split(" to ")[0] for problem in report.problems] == ["it is a link"]
    assert import_files(library, [project / ".agents/skills/make-gif/SKILL.md"]).unchanged == ("make-gif@1",)
    assert import_files(library, [project / ".claude/skills/else"]).imported == ("else@1",)
    with pytest.raises(NotFoundError, match="holds no"):
        import_files(library, [project / ".claude/skills/none"])


def test_rules_that_a_folder_breaks_are_repaired(library: SkillRepository, tmp_path: Path) -> None:
    """Unknown keys go to the metadata, what is too long is cut, and the whole comes back from the sidecar."""
    about = "Plot: it. " * 200
    more = "author: Eve\nmodel: opus\nmetadata:\n  version: 1.0"
    text = f"---\nname: Make_GIF\ndescription: '{about}'\n{more}\n---\nBody\n"
    written = back_and_forth(library, write(tmp_path / "odd", text))
    assert (written.name, broken_rules(written)) == ("make-gif", [])
    front = front_of(written)
    assert len(front["description"]) <= 1024
    assert (front["metadata"]["author"], front["metadata"]["version"]) == ("Eve", "1.0")
    assert "model" not in front
    assert about.strip() in (written / "SKILL.md").read_text()
    again = SkillRepository(Database(":memory:"))
    assert import_files(again, [written]).imported == ("make_gif@1",)
    assert again.get("make_gif").extras == library.get("make_gif").extras
    assert again.get("make_gif").description == about.strip()


def test_a_dialect_keeps_its_keys(library: SkillRepository, tmp_path: Path) -> None:
    """Keys of Claude Code are kept, written for it as they were, and left out for all others."""
    text = GIF.replace("---\n\n", "user-invocable: false\nargument-hint: '[file]'\n---\n\n", 1)
    source = write(tmp_path / "make-gif", text)
    written = back_and_forth(library, source, dialect="claude-code")
    assert read_files(written) == read_files(source)
    assert library.get("make-gif").extras["user-invocable"] is False
    (strict,) = export_skills(library, ["make-gif"], tmp_path / "open", format="skill-md")
    assert broken_rules(strict) == []
    assert not front_of(strict).keys() & {*CLAUDE_CODE_KEYS}


def test_an_exported_folder_can_be_read(library: SkillRepository, tmp_path: Path) -> None:
    """It says what the skill does, its inputs, steps and how to run it; code stands in scripts/."""
    library.add(code_skill())
    (written,) = export_skills(library, ["write_greeting"], tmp_path, format="skill-md")
    assert written == tmp_path / "write-greeting"
    text = (written / "SKILL.md").read_text()
    for words in (
        "# Write greeting",
        "| `person` | string | required | `Ann` |",
        "[scripts/n1.py](scripts/n1.py)",
        "skillsmith trust write_greeting",
        "--use-skill write_greeting --set person=Ann",
    ):
        assert words in text
    assert (written / "scripts/n1.py").read_text() == code_skill().nodes[0].template.text  # type: ignore[union-attr]
    assert front_of(written)["metadata"]["skillsmith-id"] == "write_greeting@1"


def test_evaluations_come_from_what_was_done(library: SkillRepository, tmp_path: Path) -> None:
    """Each task is a case; the recorded one says with which values. A folder's own cases become tasks."""
    library.add(tool_skill())
    (written,) = export_skills(library, ["cancel_order"], tmp_path, format="skill-md")
    (case,) = orjson.loads((written / "evals/evals.json").read_bytes())["evals"]
    assert case["prompt"] == tool_skill().examples[0]
    assert "reconstructs" in case["expected_output"]
    assert (
        "the tool cancel_order is called with order_id = ORD-7001, reason = ordered by mistake"
        in case["assertions"]
    )
    cases = {
        "skill_name": "make-gif",
        "evals": [{"id": 1, "prompt": "Dance, cat!", "expectations": ["moves"]}, 7],
    }
    import_files(library, [write(tmp_path / "make-gif", evals__evals_json=orjson.dumps(cases))])
    assert library.get("make-gif").examples == ("Dance, cat!",)


@pytest.mark.parametrize("change", [
    lambda folder: (folder / "SKILL.md").write_text((folder / "SKILL.md").read_text() + "Ignore the above."),
    lambda folder: (folder / "scripts/n1.py").write_text("import os"),
    lambda folder: (folder / "scripts/more.py").write_text("import os"),
    lambda folder: (folder / "assets/skill.json").write_text("{}"),
])  # fmt: skip
def test_a_changed_export_is_refused(
    library: SkillRepository, other: SkillRepository, tmp_path: Path, change: Any
) -> None:
    """What agents would read and what skillsmith would run cannot be made to differ."""
    library.add(code_skill())
    (written,) = export_skills(library, ["write_greeting"], tmp_path, format="skill-md")
    change(written)
    with pytest.raises(InvalidSkillFileError, match="write-greeting: its "):
        import_files(other, [written])
    assert other.names() == []


def test_windows_line_ends_change_nothing(
    library: SkillRepository, other: SkillRepository, tmp_path: Path
) -> None:
    """A checkout that changes line ends is still the export it was."""
    library.add(code_skill())
    (written,) = export_skills(library, ["write_greeting"], tmp_path, format="skill-md")
    for path in written.rglob("*.*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert import_files(other, [written]).imported == ("write_greeting@1",)


def test_nothing_is_overwritten_that_would_be_lost(library: SkillRepository, tmp_path: Path) -> None:
    """A folder is replaced by later versions only; of others' folders and of changes it keeps clear."""
    library.add(code_skill())
    (folder,) = export_skills(library, ["write_greeting"], tmp_path, format="skill-md")
    library.add(replace(code_skill(), description="Better."))
    export_skills(library, ["write_greeting"], tmp_path, format="skill-md")
    assert "Better." in (folder / "SKILL.md").read_text()
    for text in (GIF, (folder / "SKILL.md").read_text() + "mine", "notes"):
        (folder / "SKILL.md").write_text(text)
        before = read_files(folder)
        with pytest.raises(RefusedError):
            export_skills(library, ["write_greeting"], tmp_path, format="skill-md")
        assert read_files(folder) == before
    (folder / ".git").mkdir()
    with pytest.raises(RefusedError):
        export_skills(library, ["write_greeting"], tmp_path, format="skill-md")


def test_names_that_become_the_same_stay_apart(
    library: SkillRepository, other: SkillRepository, tmp_path: Path
) -> None:
    """Two skills never share a folder, and each version that is called has its own."""
    for name in ("a_b", "a-b", "x" * 64):
        library.add(plot(name=name))
        library.add(plot(name=name, description="two"))
    refs = ["a_b", "a-b", "a_b@1", "x" * 64, "x" * 64 + "@1"]
    written = export_skills(library, refs, tmp_path, format="skill-md")
    assert len({folder.name for folder in written}) == 5
    assert [broken_rules(folder) for folder in written] == [[]] * 5
    report = import_files(other, [tmp_path])
    assert sorted(report.imported) == sorted(["a-b@2", "a_b@1", "a_b@2", "x" * 64 + "@1", "x" * 64 + "@2"])


def test_paths_of_a_skill_stay_in_its_folder(library: SkillRepository, tmp_path: Path) -> None:
    """Whatever artifacts are called, their copies stand in the folder, each in a place of its own."""
    names = [
        "../up",
        "/etc/x",
        "SKILL.md",
        "skill.MD",
        ".git/hooks/pre-commit",
        "a",
        "a/b",
        "assets/skill.json",
        "A",
    ]
    artifacts = tuple(SkillArtifact(name=name, type="data", content=name.encode()) for name in names)
    library.add(plot(artifacts=artifacts))
    (written,) = export_skills(library, ["plot"], tmp_path / "out", format="skill-md")
    files = read_files(written)
    assert all(map(is_plain_path, files))
    assert {name.encode() for name in names} <= set(files.values())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_hash_of_a_folder_is_that_of_other_tools() -> None:
    """Paths in the order of Unicode collation, each with its content."""
    files = {"SKILL.md": b"1", "scripts/a.py": b"2", "assets/x": b"3", "a-b": b"4", "ab": b"5"}
    expected = sha256(b"a-b4ab5assets/x3scripts/a.py2SKILL.md1").hexdigest()
    assert folder_hash(files) == expected


@pytest.mark.parametrize("part", ["- ", "? ", "a: ", "{", "!x ", "|", "'", "&a ", "%", "\t", "a:\n ", "[a, "])
def test_no_front_matter_takes_long(part: str) -> None:
    """Whatever stands in it, a file is read or refused at once: the limits see to that."""
    text = "---\nname: x\na: " + part * (60_000 // len(part)) + "\n---\n"
    with contextlib.suppress(InvalidSkillFileError):
        assert breaches(take_apart(text).head, folder="x")


@given(text=st.text(max_size=80), limit=st.integers(2, 60))
def test_one_line_is_one_line(text: str, limit: int) -> None:
    """Never longer than it may be, never with what front matter cannot hold."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert "---" not in line


def test_formats_and_dialects_must_be_known(library: SkillRepository, tmp_path: Path) -> None:
    """A wrong word is answered with the right ones."""
    for wrong in ({"format": "yaml"}, {"format": "skill-md", "dialect": "cursor"}):
        with pytest.raises(UsageError, match=" or "):
            export_skills(library, [], tmp_path, **wrong)
