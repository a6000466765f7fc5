"""Values for a skill's inputs: given by hand, read from text, checked against their types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Any

import orjson

from skillsmith.errors import MissingInputError, UsageError
from skillsmith.library.program.dates import like_default, parse_date
from skillsmith.library.program.phones import like_phone
from skillsmith.models import Json, Skill, Variable

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def parse_settings(settings: Iterable[str], skill: Skill) -> dict[str, Json]:
    """Read ``--set name=value`` settings.

    Args:
        settings: Each ``name=value``.
        skill: Whose inputs they are.

    Raises:
        UsageError: One has no ``=``, names no input, or does not fit the input's type.
    """
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: there is no =", hint="write --set NAME=VALUE")
        values[name.strip()] = coerce(text, find_variable(skill, name.strip()))
    return values


def takes_any_task(skill: Skill) -> bool:
    """Tell whether a skill's task pattern is nothing but one of its inputs, a text."""
    pattern = skill.task_pattern.strip()
    return any(one.type == "string" and pattern == f"{{{one.name}}}" for one in skill.variables)


def find_variable(skill: Skill, name: str) -> Variable:
    """Return the input with this name.

    Raises:
        UsageError: The skill has none; the message lists those it has.
    """
    for variable in skill.variables:
        if variable.name == name:
            return variable
    known = ", ".join(variable.name for variable in skill.variables) or "none"
    raise UsageError(f"skill {skill.name!r} has no input {name!r}", hint=f"its inputs: {known}")


def coerce(text: str, variable: Variable) -> Json:
    """Read text as a variable's type: JSON for lists and objects, words for the rest.

    Raises:
        UsageError: It is no such value; the message names the input.
    """
    return accept(text, variable)


def accept(value: Json, variable: Variable, *, today: date | None = None) -> Json:
    """Return a value as the variable takes it: text is read, everything else is checked.

    Raises:
        UsageError: It is no value of the variable's type; the message names the input.
    """
    if variable.enum:
        return _enum(value, variable)
    reader = _READERS.get(variable.type)
    if reader is None:
        return value
    try:
        return reader(value, variable, today)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"input {variable.name!r} takes {_ARTICLES[variable.type]}, not {_short(value)}",
            hint=f"e.g. --set {variable.name}={_short(variable.default)}"
            if variable.default is not None
            else "",
        ) from error


def as_setting(value: Json) -> str:
    """Return a value as it is written after ``--set NAME=``, shortened and in quotes where it has blanks."""
    text = _short(value)
    return f"'{text}'" if re.search(r"\s", text) else text


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004  (one line)


def _enum(value: Json, variable: Variable) -> Json:
    for allowed in variable.enum:
        if value == allowed and isinstance(value, bool) == isinstance(allowed, bool):
            return allowed
    folded = [
        allowed for allowed in variable.enum if str(allowed).casefold() == str(value).strip().casefold()
    ]
    if len(folded) == 1:
        return folded[0]
    raise UsageError(
        f"input {variable.name!r} cannot be {_short(value)}",
        hint="use one of " + ", ".join(map(_short, variable.enum)),
    )


def _string(value: Json, variable: Variable, _: date | None) -> Json:
    if variable.type == "id" and isinstance(variable.default, int) and not isinstance(variable.default, bool):
        return _integer(value, variable, None)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and variable.type == "id":
        return str(value)
    if not isinstance(value, str):
        raise TypeError(value)
    return like_phone(value, variable.default)


def _filled(value: Json, variable: Variable, _: date | None) -> Json:
    text = _string(value, variable, None)
    if isinstance(text, str) and not text.strip():
        raise ValueError(value)
    return text


def _integer(value: Json, _: Variable, __: date | None) -> Json:
    if isinstance(value, str):
        return int(value.strip().replace(",", ""))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise TypeError(value)
    return int(value)


def _number(value: Json, variable: Variable, _: date | None) -> Json:
    if isinstance(value, str):
        text = value.strip().replace(",", "").lstrip("$€£")
        number = float(text)
        if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124  (NaN is no JSON)
            raise ValueError(value)
        return (
            int(text) if re.fullmatch(r"-?\d+", text) and not isinstance(variable.default, float) else number
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    return value


def _boolean(value: Json, _: Variable, __: date | None) -> Json:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise TypeError(value)


def _date(value: Json, variable: Variable, today: date | None) -> Json:
    if not isinstance(value, str):
        raise TypeError(value)
    today = today or datetime.now(UTC).astimezone().date()
    day = parse_date(value, today=today, like=variable.default)
    if day is not None:
        return like_default(day, variable.default)
    datetime.fromisoformat(value.strip())  # a point in time is kept as it is written
    return value.strip()


def _url(value: Json, _: Variable, __: date | None) -> Json:
    if not isinstance(value, str) or not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S+\Z", value.strip()):
        raise ValueError(value)
    return value.strip()


def _email(value: Json, _: Variable, __: date | None) -> Json:
    if not isinstance(value, str) or not re.fullmatch(r"[^@\s]+@[^@\s]+", value.strip()):
        raise ValueError(value)
    return value.strip()


def _path(value: Json, variable: Variable, _: date | None) -> Json:
    if isinstance(value, PurePath):
        value = str(value)
    return _filled(value, variable, None)


def _structured(kind: type) -> Any:
    def read(value: Json, _: Variable, __: date | None) -> Json:
        if isinstance(value, str):
            value = orjson.loads(value)
        if isinstance(value, tuple):
            value = list(value)
        if not isinstance(value, kind):
            raise TypeError(value)
        return value

    return read


_READERS: Mapping[str, Any] = {
    "string": _string, "id": _filled, "path": _path, "integer": _integer, "number": _number,
    "boolean": _boolean, "date": _date, "url": _url, "email": _email, "list": _structured(list),
    "object": _structured(dict),
}  # fmt: skip
_ARTICLES = {
    "string": "text", "id": "an id", "path": "a path", "integer": "a whole number", "number": "a number",
    "boolean": "true or false", "date": "a date", "url": "a URL", "email": "an e-mail address",
    "list": "a JSON list", "object": "a JSON object", "enum": "one of its values",
}  # fmt: skip


def missing_inputs(skill: Skill, values: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the names of required inputs without a value."""
    return tuple(one.name for one in skill.variables if one.required and one.name not in values)


def require_inputs(skill: Skill, values: Mapping[str, Json]) -> None:
    """Make sure that every required input has a value.

    Raises:
        MissingInputError: Some have none; it names them.
    """
    missing = missing_inputs(skill, values)
    if missing:
        raise MissingInputError(skill.name, missing)
