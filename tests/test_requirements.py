"""Tests of what a skill's code needs on a machine, and of what is said when it is not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.db import Database
from skillsmith.errors import ExecutionError
from skillsmith.library.code.source import require_python
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.extraction.requirements import (
    Needs,
    distribution_of,
    missing_for,
    needs_of,
    refuse_missing,
    required_modules,
)
from skillsmith.library.extractor import SkillExtractor
from skillsmith.models import Node, Skill, SkillArtifact, Template


def of(*texts: tuple[str, str], **more: object) -> Skill:
    """Return a skill of code nodes: language and text each."""
    nodes = tuple(
        Node(id=f"n{number}", kind="code", language=language, template=Template(text=text))
        for number, (language, text) in enumerate(texts, 1)
    )
    return Skill(name="s", nodes=nodes, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import os, pandas.io\nfrom sklearn.x import y", ["pandas", "sklearn"]),
        ("try:\n    import ujson\nexcept ImportError:\n    import json as ujson", []),
        ("from . import local\nfrom .other import name", []),
        ("def f():\n    import numpy", ["numpy"]),
    ],
)
def test_what_python_cannot_do_without(code: str, modules: list[str]) -> None:
    """Imports beyond Python's own are needed, unless the code is ready to do without them."""
    assert required_modules(require_python(code, subject="it")) == modules


def test_the_skills_own_files_are_no_packages() -> None:
    """A module that the skill brings itself is not needed from elsewhere."""
    helper = SkillArtifact(name="helper.py", path="helper.py", type="code", content=b"x = 1")
    assert needs_of(of(("python", "import helper, pandas"), artifacts=(helper,))) == Needs(("pandas",), ())


def test_programs_of_shell_code_and_of_python() -> None:
    """Commands count, the shell's own and its functions do not; Python's subprocesses count, too."""
    shell = "f() { echo; }\nf\ncd x && jq . a.json | sort > b\n./own.sh\nX=1 awk '{print}'"
    python = "import subprocess\nsubprocess.run(['ffmpeg', '-i', 'a'])"
    assert needs_of(of(("bash", shell), ("python", python))).programs == ("jq", "sort", "awk", "ffmpeg")


def test_what_is_missing_says_how_to_get_it() -> None:
    """A missing package is named as it is installed, a missing program as it is called."""
    found = missing_for(Needs(("nothing_like_this", "json"), ("no-such-program", "sh")))
    assert [(one.name, one.hint.split()[0]) for one in found] == [
        ("nothing_like_this", "pip"), ("no-such-program", "install"),
    ]  # fmt: skip
    with pytest.raises(ExecutionError, match="needs nothing_like_this") as error:
        refuse_missing(of(("python", "import nothing_like_this")))
    assert error.value.hint == "pip install nothing_like_this"


def test_modules_have_the_names_of_their_packages() -> None:
    """A module that is called otherwise than its package maps to it, installed or not."""
    assert distribution_of("pytest") == "pytest"
    assert distribution_of("skimage") == "scikit-image"


def test_a_captured_run_keeps_what_it_had(tmp_path: Path) -> None:
    """Packages with their versions, programs and modules are kept with the skill."""
    with AgentExecutionLogger(tmp_path / "x.db", task="Show it", work_dir=tmp_path) as log:
        log.log_code_execution("import pytest\nprint(pytest)", {"exit_code": 0, "output": "x"}, agent="a")
        log.finish(outcome="success")
    skill = SkillExtractor(Database(tmp_path / "x.db")).extract([log.run_id], name="show", replay=False).skill
    needs = skill.context_requirements
    assert (needs["packages"], needs["modules"]) == (["pytest"], {"pytest": "pytest"})
    assert needs["versions"] == {"pytest": pytest.__version__}


def test_nothing_runs_without_its_package(tmp_path: Path) -> None:
    """An execution is refused before anything runs; a dry run lists what is missing."""
    executor = SkillExecutor(Database(tmp_path / "x.db"))
    skill = of(("python", "import nothing_like_this\nopen('made.txt', 'w')"))
    with pytest.raises(ExecutionError, match="nothing_like_this"):
        executor.execute_skill(skill, {"task": "x"})
    plan = executor.execute_skill(skill, {"task": "x"}, dry_run=True).plan
    assert plan is not None
    assert any("pip install nothing_like_this" in problem for problem in plan["problems"])


def test_nondeterminism_is_in_the_proof_and_in_the_reasons(tmp_path: Path) -> None:
    """That a result depends on the time or the network is in the proof's detail and among the reasons."""
    with AgentExecutionLogger(tmp_path / "x.db", task="Say when", work_dir=tmp_path) as log:
        log.log_code_execution("import time\nprint(time.time())", {"exit_code": 0, "output": "1"}, agent="a")
        log.log_code_execution("date > now.txt", {"exit_code": 0, "output": ""}, agent="a", language="bash")
        log.finish(outcome="success")
    skill = SkillExtractor(Database(tmp_path / "x.db")).extract([log.run_id], name="when", replay=False).skill
    assert all("depends on the time" in note for note in skill.proofs[0].detail["depends_on"])
    assert [one.rule for one in skill.why].count("nondeterminism") == len(
        skill.proofs[0].detail["depends_on"]
    )


def test_needs_follow_the_code_even_under_one_id() -> None:
    """What is remembered of a version is never told of other code that carries its id."""
    before = replace(of(("python", "import pandas")), id="v1")
    after = replace(of(("python", "import numpy")), id="v1")
    assert [needs_of(one).modules for one in (before, after, before)] == [
        ("pandas",),
        ("numpy",),
        ("pandas",),
    ]
