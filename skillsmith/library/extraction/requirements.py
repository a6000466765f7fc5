"""What a skill's code needs on the machine: Python packages and programs, found in the code itself.

Nothing is imported to find out. A step that may be skipped or may fail needs nothing; neither does an import
that the code itself is ready to do without.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from skillsmith.errors import ExecutionError, SkillsmithError, UsageError
from skillsmith.library.code.beside import dotted_name
from skillsmith.library.code.shell import shell_commands
from skillsmith.library.code.source import parse_python
from skillsmith.library.execution.sandbox import check_language
from skillsmith.library.program.bindings import resolve
from skillsmith.library.program.languages import is_python, is_shell
from skillsmith.library.proof import defaults_of, template_values
from skillsmith.library.templates import fill
from skillsmith.models import Json, Node, Skill, SkillArtifact

LOOK_SECONDS = 20.0
"""For another interpreter to say which modules it has."""

REMEMBERED = 64
"""Versions whose needs are kept: the same one is run many times."""

_DISTRIBUTIONS: Mapping[str, str] = {
    "bs4": "beautifulsoup4", "cv2": "opencv-python", "dateutil": "python-dateutil", "docx": "python-docx",
    "dotenv": "python-dotenv", "fitz": "PyMuPDF", "git": "GitPython", "PIL": "pillow", "pptx": "python-pptx",
    "serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "PyYAML",
    "Bio": "biopython", "Crypto": "pycryptodome", "attr": "attrs", "jwt": "PyJWT", "magic": "python-magic",
    "OpenSSL": "pyOpenSSL", "psycopg2": "psycopg2-binary", "googleapiclient": "google-api-python-client",
}  # fmt: skip
"""Modules of well-known packages that are called otherwise, for machines that do not have them."""

_BUILTINS = frozenset(
    ". : [ alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs "
    "disown echo enable eval exec exit export false fc fg getopts hash help history jobs kill let local "
    "logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt source suspend test "
    "times trap true type typeset ulimit umask unalias unset wait".split()
)
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([\w-]+)\s*\(\)", re.MULTILINE)
_PROGRAM = re.compile(r"[A-Za-z_][\w.+-]*")
_RUNNERS = frozenset({"run", "Popen", "call", "check_call", "check_output"})
_FALLBACKS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_LOOK = (
    "import importlib.util, sys\n"
    "print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What code needs.

    Args:
        modules: Top-level Python modules that come neither with Python nor with the skill.
        programs: Commands that shell code calls, or that Python code starts.
    """

    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


_KNOWN: dict[str, tuple[tuple[Node, ...], tuple[SkillArtifact, ...], Needs]] = {}


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that is not here.

    Args:
        name: The package or program.
        hint: How to get it.
    """

    name: str
    hint: str


def needs_of(skill: Skill) -> Needs:
    """Return what a skill's code needs, as far as the code says.

    Args:
        skill: Its steps that are always done count.
    """
    known = _KNOWN.get(skill.id)
    if known is None or known[0] != skill.nodes or known[1] != skill.artifacts:
        while len(_KNOWN) >= REMEMBERED:
            _KNOWN.pop(next(iter(_KNOWN)), None)
        known = _KNOWN[skill.id] = skill.nodes, skill.artifacts, _needs(skill)
    return known[2]


def _needs(skill: Skill) -> Needs:
    own = set(_own_modules(skill))
    modules: dict[str, None] = {}
    programs: dict[str, None] = {}
    for node in skill.nodes:
        if node.kind != "code" or node.condition is not None or node.optional:
            continue
        code = _code(node, skill)
        if is_python(node.language or "python"):
            tree = parse_python(code)
            if tree is not None:
                modules |= dict.fromkeys(name for name in required_modules(tree) if name not in own)
                programs |= dict.fromkeys(_started(tree) if "subprocess" in code else ())
        elif is_shell(node.language):
            programs |= dict.fromkeys(_called(code))
    return Needs(tuple(modules), tuple(programs))


def _code(node: Node, skill: Skill) -> str:
    """Return a node's code with the inputs' defaults; where they cannot be written, with its places."""
    if node.template is None:
        return ""
    try:
        return fill(node.template, template_values(node, defaults_of(skill), {}))
    except SkillsmithError:  # a value that only an execution has
        return node.template.text


def _own_modules(skill: Skill) -> Iterator[str]:
    """Yield the modules that are files of the skill: it brings them, reads them or writes them."""
    paths = [artifact.path or artifact.name for artifact in skill.artifacts]
    for node in skill.nodes:
        for use in (*node.reads, *node.writes):
            try:
                paths.append(str(resolve(use.path, defaults_of(skill), {})))
            except SkillsmithError:  # known only when the skill runs
                continue
        if node.template is not None:
            paths += re.findall(r"\A\s*#\s*filename:\s*(\S+)", node.template.text)
    for path in paths:
        yield PurePosixPath(path).parts[0].removesuffix(".py") if path else ""


def required_modules(tree: ast.Module) -> list[str]:
    """Return the modules beyond Python's own that a block imports and cannot do without, in order."""
    found: dict[str, None] = {}
    _collect(tree, found)
    return [name for name in found if name not in sys.stdlib_module_names]


def _collect(node: ast.AST, found: dict[str, None]) -> None:
    match node:
        case ast.Try() if any(_is_fallback(handler) for handler in node.handlers):
            parts: Iterable[ast.AST] = (*node.orelse, *node.finalbody)
        case ast.Import():
            found |= dict.fromkeys(alias.name.partition(".")[0] for alias in node.names)
            parts = ()
        case ast.ImportFrom(module=str() as module, level=0):
            found[module.partition(".")[0]] = None
            parts = ()
        case ast.expr():  # holds no statement, so no import
            parts = ()
        case _:
            parts = ast.iter_child_nodes(node)
    for part in parts:
        _collect(part, found)


def _is_fallback(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _FALLBACKS) for kind in kinds)


def _started(tree: ast.Module) -> Iterator[str]:
    """Yield programs that Python code starts by a literal name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.List):
            name = dotted_name(node.func) or ""
            words = node.args[0].elts
            first = words[0] if words else None
            known = name.startswith("subprocess.") and name.rpartition(".")[2] in _RUNNERS
            if known and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield from _programs([first.value])


def _called(code: str) -> Iterator[str]:
    try:
        commands = shell_commands(code)
    except UsageError:  # what cannot be read names nothing
        return
    yield from _programs([name for name in commands if name not in _FUNCTION.findall(code)])


def _programs(names: Sequence[str]) -> Iterator[str]:
    yield from (name for name in names if _PROGRAM.fullmatch(name) and name not in _BUILTINS)


# ---------------------------------------------------------------------------------------------- what is here


def missing_for(needs: Needs) -> list[Missing]:
    """Return what code needs and this machine does not have.

    Args:
        needs: What it needs.

    Raises:
        ExecutionError: Python itself cannot be found.
    """
    absent = _absent(check_language("python"), needs.modules) if needs.modules else ()
    names = dict.fromkeys(distribution_of(module) for module in absent)
    found = [Missing(name, f"pip install {name}") for name in names]
    programs = [name for name in needs.programs if shutil.which(name) is None]
    return [*found, *(Missing(name, f"install {name}, or put it on PATH") for name in programs)]


def _absent(program: str, modules: tuple[str, ...]) -> tuple[str, ...]:
    """Return which modules the interpreter that runs the code does not find."""
    if program == shutil.which(sys.executable):
        importlib.invalidate_caches()  # it may have been installed a moment ago
        return tuple(name for name in modules if not _is_here(name))
    try:
        ran = subprocess.run(
            [program, "-c", _LOOK, *modules], capture_output=True, text=True, timeout=LOOK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ExecutionError(
            f"{program} cannot say which packages it has: {error}", hint="see SKILLSMITH_PYTHON"
        ) from error
    return tuple(ran.stdout.split())


def _is_here(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a module without a specification
        return False


def refuse_missing(skill: Skill) -> None:
    """Refuse to run a skill whose packages or programs are not here.

    Raises:
        ExecutionError: Names what is missing and how to get it.
    """
    missing = missing_for(needs_of(skill))
    if missing:
        names = ", ".join(one.name for one in missing)
        raise ExecutionError(f"skill {skill.name!r} needs {names}", hint=_hint(missing))


def _hint(missing: Sequence[Missing]) -> str:
    packages = [one.name for one in missing if one.hint.startswith("pip ")]
    others = [one.hint for one in missing if one.name not in packages]
    return "; ".join([f"pip install {' '.join(packages)}"] * bool(packages) + others)


def distribution_of(module: str) -> str:
    """Return the package that a module comes with: as installed here, else as it is commonly called."""
    return next(iter(_installed().get(module, ())), _DISTRIBUTIONS.get(module, module))


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions  # noqa: PLC0415  (reads every package: 50 ms)

    return packages_distributions()


def requirements(skill: Skill, *, here: bool) -> dict[str, Json]:
    """Return what a skill needs, as it is kept with it.

    Args:
        skill: With the modules that its code imports and the packages that its run installed as
            ``packages``.
        here: Whether its run was captured on this machine, so that versions seen here are those it had.

    Returns:
        ``packages`` (names to install), ``programs``, ``modules`` (module: package) and ``versions``.
    """
    needs, named = needs_of(skill), skill.context_requirements.get("packages", [])
    modules = {module: distribution_of(module) for module in needs.modules}
    others = [name for name in named if name not in modules]
    packages = sorted({*modules.values(), *map(distribution_of, others)})
    found: dict[str, Json] = {"packages": packages, "programs": list(needs.programs), "modules": modules}
    return found | {"versions": _versions(packages) if here else {}}


def _versions(packages: Iterable[str]) -> dict[str, Json]:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  (only to make skills)

    found: dict[str, Json] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # it was installed elsewhere, or is gone
            continue
    return found
