"""Tools that a skill calls: the public callables of a Python module or object, by name and by keyword.

Calls run one at a time unless the module says ``THREAD_SAFE = True``: most tools keep their state in plain
module globals, and a right answer late is better than a wrong one early.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeAlias, runtime_checkable

import orjson

from skillsmith.errors import ExecutionError, UsageError
from skillsmith.models import Json

Tool: TypeAlias = Callable[..., Any]


_WRAPPED = ("model.call", "func", "fn")
"""Where tool objects of frameworks keep the function they were made from."""


@runtime_checkable
class CheckedTools(Protocol):
    """A tool source that can tell before a call whether its arguments fit."""

    def problem(self, name: str, arguments: frozenset[str]) -> str | None:
        """Return what is wrong with calling the tool with arguments of these names, or None."""
        ...


class PythonTools:
    """A ToolSource over Python callables.

    Args:
        tools: By name.
        label: Where they come from, for messages.
        thread_safe: Whether calls may run side by side.
    """

    def __init__(self, tools: Mapping[str, Tool], *, label: str, thread_safe: bool = False) -> None:
        self._tools = dict(tools)
        self.label = label
        self._turn: contextlib.AbstractContextManager[Any] = (
            contextlib.nullcontext() if thread_safe else threading.Lock()
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of all tools, sorted."""
        return tuple(sorted(self._tools))

    def problem(self, name: str, arguments: frozenset[str]) -> str | None:
        """Return what is wrong with calling the tool with arguments of these names, or None."""
        if name not in self._tools:
            return f"{self.label} has no tool {name!r}; it has {', '.join(self.names()) or 'none'}"
        try:
            signature = inspect.signature(self._tools[name])
        except (TypeError, ValueError):  # some built-in callables do not tell theirs
            return None
        try:
            signature.bind(**dict.fromkeys(arguments))
        except TypeError as error:
            return f"{name}{signature} of {self.label} cannot be called: {error}"
        return None

    def schema(self, name: str) -> dict[str, Json]:
        """Return the JSON Schema of a tool's arguments, from its signature and docstring.

        Raises:
            ExecutionError: There is no such tool.
        """
        from skillsmith.library.tools.schemas import function_schema  # noqa: PLC0415  (only for models)

        tool = self._tools.get(name)
        if tool is None:
            raise ExecutionError(str(self.problem(name, frozenset())))
        return function_schema(tool)

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool by keyword and return its result as JSON; coroutines are awaited.

        Raises:
            ExecutionError: There is no such tool.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise ExecutionError(str(self.problem(name, frozenset())))
        with self._turn:
            result = tool(**arguments)
            if inspect.isawaitable(result):
                import asyncio  # noqa: PLC0415  (50 ms; most tools are plain functions)

                result = asyncio.run(_awaited(result))
        return to_plain(result)


async def _awaited(result: Any) -> Any:
    return await result


def module_tools(source: str) -> PythonTools:
    """Return the tools of a module, of an object in it, or of a Python file.

    Args:
        source: ``package.module``, ``package.module:attribute`` (an object, a class or a factory without
            arguments), or ``path/to/file.py`` with the same ending.

    Raises:
        UsageError: There is no such module or attribute, or it offers no tools.
        ExecutionError: Importing it failed.
    """
    place, colon, attribute = source.rpartition(":")
    if not colon or not attribute.replace(".", "_").isidentifier():
        place, attribute = source, ""
    module = import_place(place)
    tools = dict(_tools_of_object(module, attribute, source) if attribute else _tools_of_module(module))
    if not tools:
        raise UsageError(f"{source} offers no tools", hint="tools are its public functions, or its __all__")
    return PythonTools(tools, label=source, thread_safe=bool(getattr(module, "THREAD_SAFE", False)))


def import_place(place: str) -> ModuleType:
    """Import a module by its name from where the user is, or a Python file by its path.

    Raises:
        UsageError: There is none.
        ExecutionError: Importing it failed.
    """
    try:
        if place.endswith(".py"):
            return _import_file(Path(place))
        folder = str(Path.cwd())
        if folder not in sys.path and "" not in sys.path:
            sys.path.insert(0, folder)  # as `python -m` does
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(error.name + ".")):
            raise UsageError(
                f"there is no Python module {place!r}", hint="name one that can be imported from here"
            ) from error
        raise ExecutionError(f"importing {place} failed: {error}", hint="install what it needs") from error
    except (UsageError, ExecutionError):
        raise
    except (Exception, SystemExit) as error:  # importing runs foreign code, which may raise anything
        raise ExecutionError(f"importing {place} failed: {type(error).__name__}: {error}") from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint="name a Python module or file")
    name = f"skillsmith_tools_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    spec.loader.exec_module(module)
    return module


def _tools_of_module(module: ModuleType) -> Iterator[tuple[str, Tool]]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        for attribute in listed:
            name, function = _unwrapped(attribute, getattr(module, attribute, None))
            if callable(function):
                yield name, function
        return
    for attribute, value in vars(module).items():
        name, function = _unwrapped(attribute, value)
        own = getattr(function, "__module__", None) == module.__name__
        if not attribute.startswith("_") and callable(function) and own and not inspect.isclass(value):
            yield name, function


def _unwrapped(attribute: str, value: Any) -> tuple[str, Any]:
    """Return name and function of a framework's tool object (AG2's ``@tool`` and its like), else as it is."""
    name = getattr(value, "name", None)
    if isinstance(name, str) and not inspect.isroutine(value) and not inspect.isclass(value):
        for path in _WRAPPED:
            try:
                function = attrgetter(path)(value)
            except AttributeError:  # another framework's object
                continue
            if inspect.isroutine(function):
                return name, function
    return attribute, value


def _tools_of_object(module: ModuleType, attribute: str, source: str) -> Iterator[tuple[str, Tool]]:
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise UsageError(f"{source}: {module.__name__} has no attribute {attribute!r}")
        value = getattr(value, part)
    if callable(value):
        try:
            value = value()
        except Exception as error:  # a factory is foreign code, which may raise anything
            raise ExecutionError(f"{source}() failed: {type(error).__name__}: {error}") from error
    if isinstance(value, Mapping):
        found = [_unwrapped(str(name), tool) for name, tool in value.items()]
    else:
        public = [name for name in dir(value) if not name.startswith("_")]
        found = [_unwrapped(name, getattr(value, name)) for name in public]
    yield from ((name, tool) for name, tool in found if callable(tool))


def to_plain(value: Any) -> Json:
    """Return any value as JSON: models, dataclasses, dates and arrays become what they serialise to."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    try:
        return orjson.loads(orjson.dumps(value, default=_plain_part, option=options))
    except TypeError:  # integers beyond 64 bits, lone surrogates
        import json  # noqa: PLC0415  (rare)

        return json.loads(json.dumps(value, default=_plain_part))


def _plain_part(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
