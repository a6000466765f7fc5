"""No secret reaches the file: known key formats and the values of secret environment variables are replaced.

Only precise formats count, so that ordinary text is never changed, and one glance at rare characters sends
ordinary text on its way: redaction runs on every event and every imported record.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from skillsmith.models import CodeUse, Event, Json, ToolUse

MIN_SECRET_CHARS = 8
REFRESH_SECONDS = 1.0

_Use = TypeVar("_Use", ToolUse, CodeUse)

# A key starts where a word starts, or after an escape such as the \n of a JSON string.
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
_FORMATS = {
    "private-key": (
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    ),
    "authorization": (
        r"(?P<authorization_head>(?i:authorization)[\"'\\]*\s*[:=]\s*[\"'\\]*(?i:bearer|basic)\s+)"
        r"(?!-----BEGIN)[^\s\"'\\,;‹›]{8,}"
    ),
    "bearer": r"(?P<bearer_head>\bBearer\s+)(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{16,}",
    "url-password": (r"(?P<url_password_head>\b[a-z][a-z0-9+.-]*://[^\s/:@\"'\\‹›]*:)[^\s/@\"'\\‹›]+(?=@)"),
    "anthropic": _START + r"sk-ant-[A-Za-z0-9_-]{20,}",
    "openai": _START + r"sk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{24,})",
    "github": _START + r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "gitlab": _START + r"glpat-[A-Za-z0-9_-]{20,}",
    "aws": r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])",
    "aws-secret": (
        r"(?P<aws_secret_head>(?i:secret_?access_?key)[\"'\\]*\s*[:=]\s*[\"'\\]*)[A-Za-z0-9/+=]{40,}"
    ),
    "google": _START + r"AIza[A-Za-z0-9_-]{35,}",
    "slack": _START + r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    "stripe": _START + r"(?:[sr]k_(?:live|test)_|whsec_)[A-Za-z0-9]{16,}",
    "huggingface": _START + r"hf_[A-Za-z0-9]{30,}",
    "groq": _START + r"gsk_[A-Za-z0-9]{40,}",
    "npm": _START + r"npm_[A-Za-z0-9]{36,}",
    "jwt": _START + r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
}
_SECRET = re.compile(
    "|".join(f"(?P<{kind.replace('-', '_')}>{pattern})" for kind, pattern in _FORMATS.items())
)

# Each format contains one of these characters with what stands around it there. A pattern that begins with
# one rare literal character is searched ten times faster than one with several beginnings.
_DASH = re.compile(
    r"-(?:(?<=sk-)(?:ant-|proj-|svcacct-|admin-|or-v1-|[A-Za-z0-9]{24})|(?<=xox.-)|(?<=glpat-))"
).search
_UNDERSCORE = re.compile(
    r"_(?:(?=[A-Za-z0-9]{16})(?:(?<=gh[pousr]_)|(?<=_pat_)|(?<=k_live_)|(?<=k_test_)|(?<=whsec_)|(?<=hf_)"
    r"|(?<=gsk_)|(?<=npm_))|access_key|ACCESS_KEY)"
).search
_CAPITAL_A = re.compile(r"A(?:(?:KIA|SIA)[A-Z0-9]{16}|ccessKey)").search
_CAPITAL_B = re.compile(r"B(?:earer\s|EGIN )").search
_LETTER_Z = re.compile(r"z(?:(?<=AIz)a|(?<=uthoriz)ation[\"'\\]*\s*[:=])").search
_URL_LOGIN = re.compile(r":(?://)[^\s/:@\"'\\]*:[^\s/@\"'\\]+@").search

_ENVIRONMENT_NAME = re.compile(r"_KEY$|_TOKEN$|_SECRET$|PASSWORD", re.IGNORECASE)
_TRIVIAL = frozenset({
    "changeme", "default", "disabled", "enabled", "localhost", "password", "postgres", "required",
    "undefined", "unlimited",
})  # fmt: skip
_PATH = re.compile(r"[~.]{0,2}/|[A-Za-z]:\\")


def redact_text(text: str) -> str:
    """Return the text with each secret replaced by ``‹redacted:kind›``; the same object when it has none."""
    if len(text) < MIN_SECRET_CHARS:
        return text
    for value, kind in _environment.secrets():
        if value in text:
            text = text.replace(value, f"‹redacted:{kind}›")
    return _SECRET.sub(_mark, text) if _suspicious(text) else text


def redact_json(value: Json) -> Json:
    """Return a JSON value with each secret in its texts and keys replaced; the same object if unchanged."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        pairs = {redact_json(key): redact_json(item) for key, item in value.items()}
        return value if all(pairs.get(key, pairs) is item for key, item in value.items()) else pairs
    if isinstance(value, (list, tuple)):
        items = [redact_json(item) for item in value]
        return value if all(map(_is, items, value)) else items
    return value


def redact_event(event: Event) -> Event:
    """Return the event with each secret in any of its texts replaced; the same object when it has none."""
    changes: dict[str, Json] = {}
    for name in ("content", "reasoning", "agent", "recipient", "record_id"):
        text = getattr(event, name)
        if text is not None and (clean := redact_json(text)) is not text:
            changes[name] = clean
    if event.tool is not None and (tool := _redact_use(event.tool, _TOOL_TEXTS)) is not event.tool:
        changes["tool"] = tool
    if event.code is not None and (code := _redact_use(event.code, _CODE_TEXTS)) is not event.code:
        changes["code"] = code
    if event.data and (data := redact_json(event.data)) is not event.data:
        changes["data"] = data
    return replace(event, **changes) if changes else event


_TOOL_TEXTS = ("name", "call_id", "arguments", "parsed", "result", "error")
_CODE_TEXTS = ("text", "output", "call_id")


def _redact_use(use: _Use, names: tuple[str, ...]) -> _Use:
    changes: dict[str, Json] = {}
    for name in names:
        value = getattr(use, name)
        if value is not None and (clean := redact_json(value)) is not value:
            changes[name] = clean
    return replace(use, **changes) if changes else use


def _is(one: object, other: object) -> bool:
    return one is other


def _suspicious(text: str) -> bool:
    return bool(
        ("-" in text and _DASH(text))
        or ("_" in text and _UNDERSCORE(text))
        or ("A" in text and _CAPITAL_A(text))
        or ("B" in text and _CAPITAL_B(text))
        or ("z" in text and _LETTER_Z(text))
        or ("J" in text and ".eyJ" in text)
        or ("@" in text and _URL_LOGIN(text))
    )


def _mark(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    head = match[f"{group}_head"] if f"{group}_head" in _SECRET.groupindex else ""
    return f"{head}‹redacted:{group.replace('_', '-')}›"


class _Environment:
    """The values of secret environment variables; looked up again when the environment may have changed."""

    def __init__(self) -> None:
        self._secrets: tuple[tuple[str, str], ...] = ()
        self._size = -1
        self._read_at = 0.0

    def secrets(self) -> tuple[tuple[str, str], ...]:
        """Return (value, variable name), longest value first."""
        now = time.monotonic()
        if len(os.environ) != self._size or now - self._read_at > REFRESH_SECONDS:
            self._size, self._read_at = len(os.environ), now
            self._secrets = _secrets_of(tuple(sorted(os.environ.items())))
        return self._secrets


@lru_cache(maxsize=2)
def _secrets_of(environment: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name, value in environment:
        if _ENVIRONMENT_NAME.search(name) and _is_secret(value.strip()):
            found[value.strip()] = name
            found[json.dumps(value.strip())[1:-1]] = name
    return tuple(sorted(found.items(), key=lambda item: -len(item[0])))


def _is_secret(value: str) -> bool:
    return len(value) >= MIN_SECRET_CHARS and value.lower() not in _TRIVIAL and not _PATH.match(value)


_environment = _Environment()
