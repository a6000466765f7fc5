"""What secrets look like: known key formats, and the values of secret environment variables.

Only precise formats count, so that ordinary text is never changed, and one glance at rare characters sends
ordinary text on its way: redaction runs on every event and every imported record. The formats are those that
gitleaks and detect-secrets agree on, as far as they name themselves.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from functools import lru_cache, partial

MIN_SECRET_CHARS = 8
REFRESH_SECONDS = 1.0

# Every pattern begins with a literal, which is looked for fifty times faster than an alternative of several;
# what must stand before it is checked behind it. One pattern for all took 3 seconds for a megabyte.
_KEYS = (
    ("anthropic", "sk-ant-", r"[A-Za-z0-9_-]{20,}"),
    ("langfuse", "sk-lf-", r"[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    ("openai", "sk-", r"(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{24,})"),
    ("github", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,}"),
    ("github", "github_pat_", r"[A-Za-z0-9_]{22,}"),
    ("gitlab", "glpat- gldt- glft- glrt- glptt- glsoat- glcbt- glagent-", r"[A-Za-z0-9_-]{20,}"),
    ("google", "AIza", r"[A-Za-z0-9_-]{35,}"),
    ("google", "GOCSPX-", r"[A-Za-z0-9_-]{28,}"),
    ("google", "ya29.", r"[A-Za-z0-9_-]{30,}"),
    ("slack", "xox", r"[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("slack", "xapp-", r"[0-9]-[A-Za-z0-9-]{20,}"),
    ("stripe", "sk_live_ rk_live_ sk_test_ rk_test_ whsec_", r"[A-Za-z0-9]{16,}"),
    ("huggingface", "hf_", r"[A-Za-z0-9]{30,}"),
    ("groq", "gsk_", r"[A-Za-z0-9]{40,}"),
    ("replicate", "r8_", r"[A-Za-z0-9]{37,}"),
    ("perplexity", "pplx-", r"[A-Za-z0-9]{32,}"),
    ("xai", "xai-", r"[A-Za-z0-9]{60,}"),
    ("tavily", "tvly-", r"(?:(?:dev|prod)-)?[A-Za-z0-9]{24,}"),
    ("langsmith", "lsv2_pt_ lsv2_sk_", r"[a-f0-9]{32}_[a-f0-9]{10}"),
    ("npm", "npm_", r"[A-Za-z0-9]{36,}"),
    ("pypi", "pypi-AgE", r"[A-Za-z0-9_-]{50,}"),
    ("rubygems", "rubygems_", r"[a-f0-9]{48}"),
    ("sendgrid", "SG.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("shopify", "shpat_ shpca_ shppa_ shpss_", r"[a-fA-F0-9]{32}"),
    ("linear", "lin_api_", r"[A-Za-z0-9]{32,}"),
    ("notion", "ntn_", r"[A-Za-z0-9]{40,}"),
    ("supabase", "sbp_", r"[a-f0-9]{40}"),
    ("digitalocean", "doo_v1_ dop_v1_ dor_v1_", r"[a-f0-9]{64}"),
    ("grafana", "glsa_", r"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    ("vault", "hvs.", r"[A-Za-z0-9_-]{24,}"),
    ("atlassian", "ATATT3", r"[A-Za-z0-9_=-]{60,}"),
    ("age", "AGE-SECRET-KEY-1", r"[A-Z0-9]{58}"),
    ("jwt", "eyJ", r"[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
)
"""Kind, beginnings, and what follows them: a key that stands where a word starts."""

_BLOCK = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r"(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_URL = (  # what is filled in later, {password} or $PASSWORD, is no secret
    r"(?P<head>://(?<=[a-z0-9+.-]://)[^\s/:@\"'\\‹›]*:)"
    r"(?!\$?\{|\$[A-Z_]+@|<[^>]*>@|%[({s]|\*+@)[^\s/@\"'\\‹›]+(?=@)"
)
_HEADER = (
    r"(?P<head>{0}(?<=[aA]{0})[\"'\\]*\s*[:=]\s*[\"'\\]*(?i:bearer|basic)\s+)"
    r"(?!-----BEGIN|<|\$?\{{|%[({{s]|\*{{3}})[^\s\"'\\,;‹›]{{8,}}"
)
_AWS_PAIR = r"(?P<head>{0}(?<={1})[\"'\\]*\s*[:=]\s*[\"'\\]*)[A-Za-z0-9/+=]{{40,}}"
_IN_CONTEXT = (
    ("private-key", _BLOCK),
    ("authorization", _HEADER.format("uthorization")),
    ("authorization", _HEADER.format("UTHORIZATION")),
    ("bearer", r"(?P<head>Bearer(?<=\bBearer)\s+)(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{16,}"),
    ("url-password", _URL),
    ("aws", r"AKIA(?<![A-Z0-9]AKIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    ("aws", r"ASIA(?<![A-Z0-9]ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    ("aws-secret", _AWS_PAIR.format("access_key", "secret_access_key")),
    ("aws-secret", _AWS_PAIR.format("ACCESS_KEY", "SECRET_ACCESS_KEY")),
    ("aws-secret", _AWS_PAIR.format("ccessKey", "[sS]ecretAccessKey")),
    ("azure", r"(?P<head>AccountKey=)[A-Za-z0-9+/]{42,86}={1,2}"),
    ("azure", r"(?P<head>SharedAccessKey=)[A-Za-z0-9+/]{42,86}={1,2}"),
    ("slack-webhook", r"(?P<head>hooks\.slack\.com/services/)T[A-Za-z0-9_]+/B[A-Za-z0-9_/]{20,}"),
    ("telegram", r"AA(?<=[0-9]{8}:AA)[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
)  # fmt: skip
"""Kind and pattern; what the group ``head`` matches is no secret."""


def _key_pattern(beginning: str, rest: str) -> str:
    """Return the pattern of a key that stands where a word starts, or after a line break written in JSON."""
    literal = re.escape(beginning)
    return rf"{literal}(?:(?<![A-Za-z0-9]{literal})|(?<=\\[nrt]{literal})){rest}"


_FORMATS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        *_IN_CONTEXT,
        *((kind, _key_pattern(start, rest)) for kind, starts, rest in _KEYS for start in starts.split()),
    )
)

# Each format contains one of these characters with what stands around it there. A pattern that begins with
# one rare literal character is searched ten times faster than one with several beginnings.
_DASH = re.compile(
    r"-(?=[A-Za-z0-9_-]{10})(?:(?<=sk-)(?:ant-|proj-|svcacct-|admin-|or-v1-|lf-|[A-Za-z0-9]{24})|(?<=xox.-)"
    r"|(?=[A-Za-z0-9_-]{20})(?:(?<=xai-)|(?<=pplx-)|(?<=tvly-)|(?<=pypi-)|(?<=xapp-)|(?<=GOCSPX-)"
    r"|(?<=glpat-)|(?<=gl[dfr]t-)|(?<=glptt-)|(?<=glsoat-)|(?<=glcbt-)|(?<=glagent-)))"
).search
_UNDERSCORE = re.compile(
    r"_(?:(?=[A-Za-z0-9]{16})(?:(?<=gh[pousr]_)|(?<=_pat_)|(?<=k_live_)|(?<=k_test_)|(?<=whsec_)|(?<=hf_)"
    r"|(?<=gsk_)|(?<=npm_)|(?<=r8_)|(?<=rubygems_)|(?<=shp[acps][ats]_)|(?<=lin_api_)|(?<=ntn_)|(?<=sbp_)"
    r"|(?<=do[opr]_v1_)|(?<=glsa_)|(?<=lsv2_pt_)|(?<=lsv2_sk_))|access_key|ACCESS_KEY)"
).search
_CAPITAL_A = re.compile(
    r"A(?:(?:KIA|SIA)[A-Z0-9]{16}|ccessKey|ccountKey=|TATT3|GE-SECRET|A(?<=:AA)[A-Za-z0-9_-]{33})"
).search
_CAPITAL_B = re.compile(r"B(?:earer\s|EGIN )").search
_LETTER_Z = re.compile(r"z(?:(?<=AIz)a|(?<=uthoriz)ation[\"'\\]*\s*[:=])").search
_DOT = re.compile(
    r"\.(?:(?=[A-Za-z0-9_-]{20})(?:(?<=SG\.)|(?<=ya29\.)|(?<=hvs\.))|eyJ|com/services/T)"
).search
_URL_LOGIN = re.compile(r":(?://)[^\s/:@\"'\\]*:[^\s/@\"'\\]+@").search

_ENVIRONMENT_NAME = re.compile(r"_KEY$|_TOKEN$|_SECRET$|PASSWORD", re.IGNORECASE)
_TRIVIAL = frozenset({
    "changeme", "default", "disabled", "enabled", "localhost", "password", "postgres", "required",
    "undefined", "unlimited",
})  # fmt: skip
_PLACEHOLDERS = _TRIVIAL | {"pass", "passwd", "pwd", "secret", "user", "token", "root", "admin", "guest"}
_FILLED_IN = re.compile(r"\$?\{|\$[A-Z_]+$|<.*>$|%[({s]|\*+$|\.\.\.|x{3,}$", re.IGNORECASE)
_PATH = re.compile(r"[~.]{0,2}/|[A-Za-z]:\\")


def redact_text(text: str) -> str:
    """Return the text with each secret replaced by ``‹redacted:kind›``; the same object when it has none."""
    if len(text) < MIN_SECRET_CHARS:
        return text
    for value, kind in _environment.secrets():
        if value in text:
            text = text.replace(value, f"‹redacted:{kind}›")
    if _suspicious(text):
        for kind, pattern in _FORMATS:
            text = pattern.sub(partial(_mark, kind), text)
    return text


def has_environment_secrets() -> bool:
    """Tell whether the environment names any secret."""
    return bool(_environment.secrets())


def environment_secrets_in(text: str) -> bool:
    """Tell whether a text holds the value of a secret environment variable."""
    return any(value in text for value, _kind in _environment.secrets())


def may_hold_secret(text: str) -> bool:
    """Tell whether ``redact_text`` might change a text, or any text that is a part of it."""
    return environment_secrets_in(text) or _suspicious(text)


def secrets_in(text: str) -> Iterator[tuple[str, int]]:
    """Yield kind and position of each secret in a text: by its format, or because the environment has it."""
    for value, kind in _environment.secrets():
        if (start := text.find(value)) >= 0:
            yield kind, start
    if _suspicious(text):
        for kind, pattern in _FORMATS:
            for match in pattern.finditer(text):
                start = match.start() + len(_head(match))
                if not is_placeholder(text[start : match.end()]):
                    yield kind, start


def _suspicious(text: str) -> bool:
    return bool(
        ("-" in text and _DASH(text))
        or ("_" in text and _UNDERSCORE(text))
        or ("A" in text and _CAPITAL_A(text))
        or ("B" in text and _CAPITAL_B(text))
        or ("z" in text and _LETTER_Z(text))
        or ("Z" in text and "UTHORIZATION" in text)
        or ("." in text and _DOT(text))
        or ("@" in text and _URL_LOGIN(text))
    )


def _mark(kind: str, match: re.Match[str]) -> str:
    return f"{_head(match)}‹redacted:{kind}›"


def _head(match: re.Match[str]) -> str:
    """Return what of a match stands before the secret itself and is no secret."""
    return match["head"] if "head" in match.re.groupindex else ""


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


def is_placeholder(value: str) -> bool:
    """Tell whether a password only stands for one, as in the address of a database in a manual."""
    return value.lower() in _PLACEHOLDERS or bool(_FILLED_IN.match(value))


_environment = _Environment()
