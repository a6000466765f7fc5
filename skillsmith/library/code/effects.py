"""What in a block of Python gives another result another time: clocks, chance, the network, the machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from skillsmith.errors import UsageError
from skillsmith.library.code.beside import dotted_name, mode_of
from skillsmith.library.code.shell import shell_commands

_KINDS = {
    "the time": "time.time time.time_ns time.localtime time.gmtime time.ctime time.strftime "
    "time.perf_counter time.monotonic datetime.datetime.now datetime.datetime.utcnow "
    "datetime.datetime.today datetime.date.today pandas.Timestamp.now pandas.Timestamp.today",
    "chance": "random.* numpy.random.* torch.rand torch.randn torch.randint torch.randperm",
    "a new id": "uuid.uuid1 uuid.uuid4 secrets.* os.urandom tempfile.*",
    "the network": "requests.* httpx.* aiohttp.* urllib.request.* urllib3.* socket.* ftplib.* smtplib.* "
    "paramiko.* boto3.* yfinance.* selenium.*",
    "the environment": "os.getenv os.environ os.environ.* os.getcwd os.getpid os.cpu_count os.listdir "
    "platform.*",
    "a person": "input getpass.*",
}
_SEEDS = {"random.seed", "numpy.random.seed", "torch.manual_seed"}
_TAKES_SEED = {"numpy.random.default_rng", "numpy.random.RandomState", "random.Random"}


def nondeterminism(tree: ast.Module) -> list[str]:
    """Say what a block depends on besides its inputs, a line each, in order.

    Args:
        tree: The parsed block.
    """
    aliases = _aliases(tree)
    uses = sorted(_uses(tree, aliases), key=lambda use: use[:2])
    seeded = any(name in _SEEDS for _, name, _ in uses)
    notes = []
    for line, name, has_arguments in uses:
        kind = _kind(name)
        settled = name in _TAKES_SEED and has_arguments
        if kind and not settled and not (kind == "chance" and seeded):
            notes.append(f"line {line}: {name} depends on {kind}")
    return list(dict.fromkeys(notes))


_SHELL_KINDS = {
    "the time": "date uptime",
    "chance": "shuf mktemp uuidgen",
    "the network": "curl wget ssh scp rsync ftp nc ping dig nslookup",
    "the environment": "env printenv hostname uname whoami ps df free",
}


def shell_nondeterminism(code: str) -> list[str]:
    """Say what shell commands depend on besides their words, a line each.

    Args:
        code: The commands.
    """
    try:
        called = shell_commands(code)
    except UsageError:  # what cannot be read says nothing
        called = []
    notes = [
        f"{name} depends on {kind}"
        for name in called
        for kind, names in _SHELL_KINDS.items()
        if name in names.split()
    ]
    return [*notes, *(["$RANDOM depends on chance"] if re.search(r"\$\{?RANDOM\b", code) else [])]


_REACHES_OUT = (
    "requests.* httpx.* aiohttp.* urllib.request.* urllib3.* socket.* ftplib.* smtplib.* paramiko.* boto3.* "
    "subprocess.* os.system os.popen os.remove os.unlink os.rename os.replace os.rmdir shutil.move "
    "shutil.rmtree sqlite3.* sqlean.* sqlalchemy.* psycopg.* psycopg2.* pymysql.* pymongo.* redis.*"
).split()
_CHANGES = re.compile(
    r"(?:to_(?!datetime|numeric|dict|list|string|numpy|period|timestamp)|save|write|dump(?!s\b)|export|imsave"
    r"|imwrite|tofile|unlink|remove_?(?:file|tree|dir)|mkdir|makedirs|touch|chmod|symlink|extract(?:all)?\b"
    r"|system|run\b|Popen|call\b|check_|exec\b|eval\b|copy(?:file|tree|2)|rename|send|post|put\b|delete)"
)
_APPENDS = frozenset({"a", "ab", "a+", "at", "r+", "r+b"})


def reaches_out(tree: ast.Module) -> bool:
    """Tell whether a block may change something that the files it wrote do not show.

    Args:
        tree: The parsed block.
    """
    aliases = _aliases(tree)
    names = [name for _, name, _ in _uses(tree, aliases)]
    if any(fnmatchcase(name, pattern) for name in names for pattern in _REACHES_OUT):
        return True
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    texts = {node.value for call in calls for node in ast.walk(call) if isinstance(node, ast.Constant)}
    attributes = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    return bool(_APPENDS & {text for text in texts if isinstance(text, str)}) or "to_sql" in attributes


def only_looks(tree: ast.Module) -> bool:
    """Tell whether a block can change nothing, as far as its code says: it reads, works out and prints.

    Args:
        tree: The parsed block.
    """
    if reaches_out(tree):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = (dotted_name(node.func) or "").rpartition(".")[2]
            mode = mode_of(node) if name == "open" else None
            prints_elsewhere = any(keyword.arg == "file" for keyword in node.keywords)
            if _CHANGES.match(name) or prints_elsewhere or (mode is not None and set(mode) & set("wax+")):
                return False
    return True


def _kind(name: str) -> str | None:
    patterns = ((kind, pattern) for kind, names in _KINDS.items() for pattern in names.split())
    return next((kind for kind, pattern in patterns if fnmatchcase(name, pattern)), None)


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Map the names of imports to what they stand for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _uses(tree: ast.Module, aliases: Mapping[str, str]) -> Iterator[tuple[int, str, bool]]:
    """Yield line, full name and whether arguments are given, for calls and for the environment."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _full_name(node.func, aliases)
            if name:
                yield node.lineno, name, bool(node.args or node.keywords)
        elif isinstance(node, ast.Subscript | ast.Attribute):
            name = _full_name(node.value, aliases)
            if name == "os.environ":
                yield node.lineno, name, False


def _full_name(node: ast.expr, aliases: Mapping[str, str]) -> str | None:
    """Return a dotted name with its import resolved; None for what is called on a value."""
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    name = dotted_name(node)
    if not isinstance(root, ast.Name) or name is None:
        return None
    head, dot, rest = name.partition(".")
    if head not in aliases:
        return name if not dot else None
    return f"{aliases[head]}{dot}{rest}"
