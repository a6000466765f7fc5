"""What a block of Python can reach, for those who want to run it again or in another order.

Unlike a proof, which reruns what its user has just run, a comparison runs code many times and unasked: it
must know that nothing beyond the scratch folder can notice. In doubt the answer is that something might.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from skillsmith.library.code.beside import dotted_name, mode_of
from skillsmith.library.code.effects import only_looks

_REMOTE = frozenset(
    "requests httpx aiohttp urllib3 socket ftplib smtplib imaplib telnetlib paramiko boto3 botocore yfinance"
    " selenium playwright subprocess multiprocessing ctypes sqlalchemy psycopg psycopg2 pymysql pymongo redis"
    " openai anthropic google azure kubernetes docker webbrowser".split()
)
_REMOTE_CALLS = frozenset(
    "os.system os.popen os.kill os.fork os.execv os.spawnv urllib.request.urlopen urllib.request.Request"
    " urlopen exec eval __import__ importlib.import_module".split()
)
_SHARED = frozenset("sqlite3 sqlean shelve dbm pickle shutil tempfile threading".split())
_SHARED_CALLS = frozenset("os.remove os.unlink os.rename os.replace os.rmdir os.removedirs os.chdir".split())
_FOLDER_WIDE = frozenset("glob iglob rglob listdir walk iterdir scandir fwalk".split())


def parsed(code: str) -> ast.Module | None:
    """Return the syntax tree; None for what is no Python, such as a template with odd places."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def reaches_beyond(tree: ast.Module) -> bool:
    """Tell whether a block may do something outside its work folder.

    Args:
        tree: The parsed block.
    """
    if _modules(tree) & _REMOTE or {"urllib.request"} & _imports(tree):
        return True
    if set(_calls(tree)) & _REMOTE_CALLS:
        return True
    return any(map(_leads_out, _strings(tree))) and not only_looks(tree)


def shares_state(tree: ast.Module) -> bool:
    """Tell whether a block works with more than the files it names, so that its turn may matter.

    Args:
        tree: The parsed block.
    """
    calls = set(_calls(tree))
    if reaches_beyond(tree) or _modules(tree) & _SHARED or calls & _SHARED_CALLS:
        return True
    if {name.rpartition(".")[2] for name in calls} & _FOLDER_WIDE:
        return True
    return any(set(mode or "") & set("a+") for mode in map(mode_of, _opens(tree)))


def _imports(tree: ast.Module) -> set[str]:
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _modules(tree: ast.Module) -> set[str]:
    return {name.partition(".")[0] for name in _imports(tree)}


def _calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted_name(node.func)
            if name is None and isinstance(node.func, ast.Attribute):
                name = node.func.attr
            if name:
                yield name


def _opens(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (dotted_name(node.func) or "").rpartition(".")[2] == "open":
            yield node


def _strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _leads_out(text: str) -> bool:
    return len(text) > 1 and "\n" not in text and text.startswith(("/", "~/", "../", "\\\\"))
