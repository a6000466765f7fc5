"""Nothing is shared with a secret in it: the full scan, by our own formats and by the detect-secrets library.

Redaction at capture must be fast and never change ordinary text, so it knows only formats that name
themselves. This scan looks at what is about to become a skill or leave this machine, so it may take
milliseconds and also asks what a value is called (``password = "…"``). What it finds is refused, never
silently changed. The library (0.2 s to import) is loaded only for a text that holds a word which one of its
detectors looks for.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from skillsmith.errors import SecretFoundError
from skillsmith.models import Json
from skillsmith.secret_formats import is_placeholder, may_hold_secret, secrets_in

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

EDITION: Final = 3
"""Changes when this scan learns to find more: what an earlier edition has cleared is then scanned again."""

DETECTORS: Final = (
    "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector", "MailchimpDetector",
    "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector",
    "SlackDetector", "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
"""Left out: those that take any digest, id or capitalised word for a secret (entropy, IP addresses,
Artifactory), and IBM's four, whose keys the keyword detector finds by their names."""

SHOWN: Final = 3
"""Findings that an error names."""

_AS_WRITTEN: Final = (
    r"A(?:C[a-z0-9]{32}|(?:3T|BIA|CCA|KIA|SIA)[0-9A-Z]{16})",
    r"SK[a-z0-9]{32}",
    r"BEGIN .{0,15}PRIVATE",
    r"T3BlbkFJ",
    r"eyJ[\w=-]++\.[\w=-]",
    r"GR1348941",
    r"-(?:us[0-9]|(?<=PuTTY-)User|(?<=sq0csp-)|(?<=pypi-)AgE)",
    r"-(?:(?<=gl[dfr]t-)|(?<=gl(?:pat|cbt|imt|ptt|oas)-)|(?<=glsoat-)|(?<=glagent-))",
    r"_(?:authToken|(?<=[rs]k_)live_|(?<=gh[oprsu]_))",
    r"\.(?:(?<=SG\.)[\w-]{22}|[\w-]{6}\.[\w-]{27})",
    r":(?:(?<=\d{8}:)[\w-]{35}|//[^\s/:@]*:[^\s/@]+@)",
)
_NAME_END: Final = "\x1f"
"""Behind what another text is called: a name and its value may make a secret only together."""

_IN_LOWER_CASE: Final = (
    r"pass(?:w|(?<=dbpass)|(?<=db_pass)|(?<=databasepass)|(?<=database_pass)|(?<=keypass)|(?<=key_pass))",
    r"key(?:(?<=dbkey)|(?<=apikey)|(?<=(?:auth|priv)key)|(?<=clientkey)|(?<=(?:account|private|service)key))",
    r"_key(?:(?<=db_key)|(?<=api_key)|(?<=(?:auth|priv)_key)|(?<=client_key))",
    r"_key(?:(?<=(?:account|private|service)_key)|(?<=database_key))",
    r"basekey(?<=databasekey)",
    r"pwd",
    r"secret",
    r"contrase",
    r"aws.{0,20}(?:key|pw|pass|token|\x1f)",
    r"xox[apbosr]-",
    r"hooks\.slack\.com",
)
_TRIGGERS: Final = tuple(map(re.compile, _AS_WRITTEN))
_LOWER_TRIGGERS: Final = tuple(map(re.compile, _IN_LOWER_CASE))
"""Where none of these hits, no detector finds anything (tests/test_secret_scan.py).

Each begins with a literal, which is looked for ten times faster than an alternative of several, and hits
within one line. What hits in a part of a text hits in the whole of it, so one look at all that a document
holds tells whether to look closer; what hits in a shell's line as it is shown to them hits in it.
"""

_EXPORT: Final = re.compile(r"(?<!\S)(?:export|set|setx|ENV|-e) +(\w+)[= ]([^\s\"'$;&|]+)")
_KEYWORD_CHARS: Final = 8
_MARK: Final = "‹redacted:"
_DUMMY: Final = re.compile(
    r"example|dummy|placeholder|changeme|your|xxx|\.\.\.|\*\*|test|sample", re.IGNORECASE
)
_CLASSES: Final = tuple(map(re.compile, ("[a-z]", "[A-Z]", "[0-9]", "[^a-zA-Z0-9]")))
_NAMED_BY: Final = ("default", "value", "const")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What looks like a secret; the secret itself is not in it.

    Args:
        where: Path in the document, like ``nodes[0].template``; empty for a bare text.
        line: Line in that text, from 1.
        kind: What it looks like.
    """

    where: str
    line: int
    kind: str

    def __str__(self) -> str:
        place = f"{self.where} line {self.line}" if self.where else f"line {self.line}"
        return f"{self.kind} at {place}"


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of a document, and the line that shows what it is called."""

    where: str
    text: str
    named: str | None


def scan(value: Json) -> tuple[Finding, ...]:
    """Find what looks like a secret in a text, in bytes, or anywhere in a JSON document.

    Args:
        value: Lists of lines are read as the text they make; base64 content of artifacts is decoded.
    """
    if not _may_hold(_together(value)):
        return ()
    texts = list(_texts(value, "", prune=True))
    found: dict[Finding, None] = {}
    for text in texts:
        for name, at in secrets_in(text.text):
            found[Finding(where=text.where, line=text.text.count("\n", 0, at) + 1, kind=name)] = None
    taken = {(finding.where, finding.line) for finding in found}
    for finding in _by_library(texts):
        if (finding.where, finding.line) not in taken:
            found[finding] = None
    return tuple(found)


def refuse(value: Json, *, subject: str, hint: str) -> None:
    """Raise when a scan finds something.

    Args:
        value: What to scan.
        subject: What it is, like ``skill 'plot'``.
        hint: How its user can go on.

    Raises:
        SecretFoundError: Something was found.
    """
    if findings := scan(value):
        raise secret_found(subject, findings, hint=hint)


def secret_found(subject: str, findings: Sequence[Finding], *, hint: str) -> SecretFoundError:
    """Return the error that says where the findings are; of many, the first."""
    shown = "; ".join(map(str, findings[:SHOWN]))
    more = f" and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    return SecretFoundError(f"{subject} holds what looks like a secret: {shown}{more}", hint=hint)


def _may_hold(text: str) -> bool:
    """Tell whether a text, or any text that is a part of it, may hold what a scan finds."""
    return may_hold_secret(text) or _triggers(text)


def _triggers(text: str) -> bool:
    """Tell whether a detector may find something in a text."""
    lowered = _lowered(text)
    return any(one.search(text) for one in _TRIGGERS) or any(one.search(lowered) for one in _LOWER_TRIGGERS)


def _lowered(text: str) -> str:
    """Return a text in lower case, with each letter that expressions take for one of ASCII as that one."""
    if not text.isascii():
        text = text.replace("\u017f", "s").replace("\u0130", "i").replace("\u0131", "i")
    return text.lower()


def _telling_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines in which a detector may find something."""
    lowered = _lowered(text)
    found = {number for one in _TRIGGERS for number in _line_numbers(one, text)}
    found.update(number for one in _LOWER_TRIGGERS for number in _line_numbers(one, lowered))
    lines = text.split("\n") if found else []
    yield from ((number, lines[number - 1]) for number in sorted(found))


def _line_numbers(pattern: re.Pattern[str], text: str) -> Iterator[int]:
    number, at = 1, 0
    for match in pattern.finditer(text):
        number += text.count("\n", at, match.start())
        at = match.start()
        yield number


def _together(value: Json) -> str:
    """Return a text that holds each of a value's texts, keys too, as lines of its own.

    What another text may be called ends with a mark of its own.
    """
    parts: list[str] = []
    _gather((value,), parts)
    return "\n".join(parts)


def _gather(values: Iterable[Json], parts: list[str]) -> None:
    for value in values:
        kind = type(value)
        if kind is str:
            parts.append(value)
        elif kind is dict and value.get("encoding") != "base64":
            parts.extend(f"{key}{_NAME_END}" for key in value)
            if type(name := value.get("name")) is str:
                parts.append(f"{name}{_NAME_END}")
            _gather(value.values(), parts)
        elif kind is list:
            try:
                parts.append("\n".join(value))
            except TypeError:  # not only texts
                _gather(value, parts)
        elif kind is not int and kind is not bool and value is not None:
            parts.extend(f"{text.text}\n{text.named or ''}" for text in _texts(value, ""))


def _texts(value: Json, where: str, name: str | None = None, *, prune: bool = False) -> Iterator[_Text]:
    """Yield the texts of a value.

    Args:
        value: Anything of JSON, and bytes.
        where: Its place.
        name: What it is called.
        prune: Leave out what stands under a key of the outermost mapping and cannot hold a secret.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace").replace("\0", "")
    if isinstance(value, str):
        yield _Text(where, value, None if name is None or "\n" in value else f'{name} = "{value}"')
    elif isinstance(value, Mapping):
        yield from _texts_of_mapping(value, where, prune=prune)
    elif isinstance(value, (list, tuple)):
        if value and all(isinstance(item, str) for item in value):
            yield _Text(where, "\n".join(value), None)
            return
        for index, item in enumerate(value):
            yield from _texts(item, f"{where}[{index}]", name)


def _texts_of_mapping(value: Mapping[str, Json], where: str, *, prune: bool) -> Iterator[_Text]:
    own_name = value.get("name")
    for key, item in value.items():
        inner = f"{where}.{key}" if where else str(key)
        if key == "content" and value.get("encoding") == "base64":
            item = _decoded(item)  # noqa: PLW2901  (the same content, readable)
        named = own_name if key in _NAMED_BY and isinstance(own_name, str) else str(key)
        if prune and not _may_hold(_together([f"{key}{_NAME_END}", f"{named}{_NAME_END}", item])):
            continue
        yield _Text(f"{inner} (key)", str(key), None)
        yield from _texts(item, inner, named)


def _decoded(content: Json) -> Json:
    try:
        return base64.b64decode("".join(content), validate=True)
    except (TypeError, binascii.Error):
        return content


def _by_library(texts: Iterable[_Text]) -> Iterator[Finding]:
    for text in texts:
        if not _triggers(f"{text.text}\n{text.named or ''}"):
            continue
        lines = [*_telling_lines(_EXPORT.sub(_quoted, text.text))]
        lines += [(1, line) for line in (_EXPORT.sub(_quoted, text.named or ""),) if _triggers(line)]
        for number, line in lines:
            yield from (Finding(where=text.where, line=number, kind=kind) for kind in _kinds(line))


def _kinds(line: str) -> Iterator[str]:
    for detector in _detectors():
        found = detector.analyze_line(filename="x.py", line=line, line_number=1)
        if any(_is_secret(secret.secret_value or "", line, detector) for secret in found):
            yield detector.secret_type


def _quoted(match: re.Match[str]) -> str:
    """Return a shell's assignment as the detectors know one."""
    return f'{match[1]} = "{match[2]}"'


@lru_cache(maxsize=1)
def _detectors() -> tuple[BasePlugin, ...]:
    from detect_secrets.core.plugins.util import (  # noqa: PLC0415  (0.2 s: it imports requests)
        get_mapping_from_secret_type_to_class,
    )

    kinds: list[Any] = list(get_mapping_from_secret_type_to_class().values())
    known = {kind.__name__: kind for kind in kinds}
    return tuple(known[name]() for name in DETECTORS)


def _is_secret(value: str, line: str, detector: BasePlugin) -> bool:
    """Tell a secret from its stand-in: a template, a reference, a mark of redaction, a word."""
    from detect_secrets.filters import heuristic  # noqa: PLC0415  (loaded with the detectors)

    if _MARK in value or is_placeholder(value) or heuristic.is_templated_secret(value):
        return False
    if type(detector).__name__ != "KeywordDetector":
        return True
    if len(value) < _KEYWORD_CHARS or _DUMMY.search(value) or any(map(str.isspace, value)):
        return False
    if sum(bool(one.search(value)) for one in _CLASSES) < 2 or not _CLASSES[2].search(value):  # noqa: PLR2004
        return False
    return not (
        heuristic.is_sequential_string(value)
        or heuristic.is_potential_uuid(value)
        or heuristic.is_not_alphanumeric_string(value)
        or heuristic.is_prefixed_with_dollar_sign(value)
        or heuristic.is_indirect_reference(line)
        or heuristic.is_likely_id_string(value, line, detector)
    )
