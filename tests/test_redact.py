"""Secrets are replaced wherever they stand, and nothing else is touched."""

from __future__ import annotations

import base64
import json
import string
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.capture.redact import redact_event, redact_json, redact_text
from skillsmith.models import CodeUse, Event, ToolUse

ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"


def chars(alphabet: str, low: int, high: int) -> st.SearchStrategy[str]:
    """Return texts over an alphabet."""
    return st.text(alphabet, min_size=low, max_size=high)


def parts(*pieces: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts put together from fixed and drawn pieces."""
    drawn = [st.just(piece) if isinstance(piece, str) else piece for piece in pieces]
    return st.tuples(*drawn).map("".join)


SECRETS = {
    "openai": st.one_of(
        parts("sk-", chars(ALNUM, 24, 60)),
        parts(st.sampled_from(["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-"]), chars(URLSAFE, 20, 90)),
    ),
    "anthropic": parts("sk-ant-api03-", chars(URLSAFE, 20, 95)),
    "github": st.one_of(
        parts(st.sampled_from(["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]), chars(ALNUM, 36, 40)),
        parts("github_pat_", chars(ALNUM, 22, 22), "_", chars(ALNUM, 59, 59)),
    ),
    "aws": parts(
        st.sampled_from(["AKIA", "ASIA"]), chars(string.ascii_uppercase + string.digits, 16, 16)
    ),
    "google": parts("AIza", chars(URLSAFE, 35, 35)),
    "slack": parts(st.sampled_from(["xoxb-", "xoxp-", "xoxa-"]), chars(ALNUM + "-", 10, 50)),
    "stripe": parts(st.sampled_from(["sk_live_", "rk_live_", "sk_test_", "whsec_"]), chars(ALNUM, 24, 40)),
    "gitlab": parts(st.sampled_from(["glpat-", "glrt-", "gldt-", "glptt-"]), chars(URLSAFE, 20, 20)),
    "sendgrid": parts("SG.", chars(URLSAFE, 22, 22), ".", chars(URLSAFE, 43, 43)),
    "pypi": parts("pypi-AgEIcHlwaS5vcmc", chars(URLSAFE, 70, 90)),
    "shopify": parts("shpat_", chars("0123456789abcdef", 32, 32)),
    "digitalocean": parts("dop_v1_", chars("0123456789abcdef", 64, 64)),
    "langsmith": parts("lsv2_pt_", chars("0123456789abcdef", 32, 32), "_", chars("0123456789abcdef", 10, 10)),
    "vault": parts("hvs.", chars(URLSAFE, 24, 90)),
    "huggingface": parts("hf_", chars(ALNUM, 34, 34)),
    "jwt": parts("eyJ", chars(URLSAFE, 10, 40), ".eyJ", chars(URLSAFE, 10, 60), ".", chars(URLSAFE, 20, 43)),
    "private-key": parts(
        "-----BEGIN ", st.sampled_from(["", "RSA ", "EC ", "OPENSSH "]), "PRIVATE KEY-----\n",
        chars(ALNUM + "+/=\n", 20, 200), "\n-----END PRIVATE KEY-----",
    ),
}  # fmt: skip
PLANTED = st.one_of([st.tuples(st.just(kind), secret) for kind, secret in SECRETS.items()])
WORDS = (
    "the task-management of a risk-free disk-based desk-side basic bearer responsibilities token secret "
    "password key sk-learn get_user_id hf_home test_internationalization_of_everything https://example.org/a "
    "user@example.org http://localhost:8080/x?y=z AKIA eyJ xoxo authorization none Bearers of news "
    "2024-01-01 call_4bXyHrTq8sLm3nPvWz toolu_01A09q90qw90lq917835lq9 antidisestablishmentarianism "
    "-----BEGIN--- Authorization"
).split()
PROSE = st.lists(st.sampled_from(WORDS) | chars(string.ascii_lowercase, 1, 12), max_size=30).map(" ".join)
GLUE = st.sampled_from([" ", "\n", '"', "'", "=", ": ", "(", ",", "\\n", "\\t", ">", "|", "`"])


@given(before=PROSE, glue=GLUE, planted=PLANTED, after=PROSE)
@settings(max_examples=150)
def test_a_planted_secret_never_gets_through(
    before: str, glue: str, planted: tuple[str, str], after: str
) -> None:
    """A key of a known format is replaced, wherever it stands and whatever stands around it."""
    kind, secret = planted
    clean = redact_text(f"{before}{glue}{secret} {after}")
    assert secret not in clean
    kinds = (kind, "bearer", "authorization")  # the words before it may make it the token of a header
    assert clean in {f"{before}{glue}‹redacted:{one}› {after}" for one in kinds}


@given(text=PROSE)
@settings(max_examples=150)
def test_ordinary_words_stay_the_same_object(text: str) -> None:
    """Text without a secret is returned as it is, without a copy."""
    assert redact_text(text) is text


@given(text=st.text(max_size=200))
def test_any_text_can_be_redacted_twice(text: str) -> None:
    """Redacting is total, and what it has redacted it leaves alone."""
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer ‹redacted:authorization›"),
        ("'authorization': 'Basic dXNlcjpwdw=='", "'authorization': 'Basic ‹redacted:authorization›'"),
        ('{\\"Authorization\\": \\"Bearer x.y-z_12345\\"}',
         '{\\"Authorization\\": \\"Bearer ‹redacted:authorization›\\"}'),
        ("curl -H 'X: Bearer 0123456789abcdef'", "curl -H 'X: Bearer ‹redacted:bearer›'"),
        ("postgres://bob:hunter22@db/x", "postgres://bob:‹redacted:url-password›@db/x"),
        ("redis://:pw@localhost:6379", "redis://:‹redacted:url-password›@localhost:6379"),
        ("git clone https://me:t0ken@host/r.git", "git clone https://me:‹redacted:url-password›@host/r.git"),
        ("aws_secret_access_key = " + "aB3/" * 10, "aws_secret_access_key = ‹redacted:aws-secret›"),
        ('"SecretAccessKey": "' + "aB3+" * 10 + '"', '"SecretAccessKey": "‹redacted:aws-secret›"'),
        ("AccountName=a;AccountKey=" + "aB3/5" * 17 + "x==;", "AccountName=a;AccountKey=‹redacted:azure›;"),
        ("TOKEN=123456789:AA" + "aB3" * 11, "TOKEN=123456789:‹redacted:telegram›"),
        ("AUTHORIZATION: Bearer abcdefgh", "AUTHORIZATION: Bearer ‹redacted:authorization›"),
        ("https://hooks.slack.com/services/T0A1B2C3/B0A1B2C3/" + "aB3d" * 6,
         "https://hooks.slack.com/services/‹redacted:slack-webhook›"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE cut off", "‹redacted:private-key›"),
        ("first ghp_" + "a" * 36 + " then sk-ant-" + "b" * 30,
         "first ‹redacted:github› then ‹redacted:anthropic›"),
    ],
)  # fmt: skip
def test_only_the_secret_part_is_replaced(text: str, clean: str) -> None:
    """What stands around a secret, scheme, user, header name, stays readable."""
    assert redact_text(text) == clean


@pytest.mark.parametrize(
    "text",
    ["", "short", "http://host:80/@x", "see https://a.b/c and mail me@x.org: hello",
     "Bearer of bad news today",
     'f"postgres://{user}:{password}@{host}/db"', "https://me:$TOKEN@host/r.git", "ftp://me:<password>@host",
     'f"Authorization: Bearer {api_token}"', "Authorization: Bearer <your-token>", "AREAS. SG. nav-users",
     "Bearer ${access_token}", "f'Bearer {token}'", "task-ant-hill", "sk-estimator", "AKIA12", "ghp_short",
     "eyJhbGciOi", base64.b64encode(b"x" * 300).decode()],
)  # fmt: skip
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    """Placeholders, short prefixes, links and encoded data are not touched."""
    assert redact_text(text) is text


def test_values_of_secret_variables_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of a variable named like a secret is replaced by the variable's name, also inside JSON."""
    monkeypatch.setenv("ACME_API_KEY", 'weird "value"')
    monkeypatch.setenv("DB_PASSWORD", "hunter2hunter2")
    monkeypatch.setenv("db_password_2", "hunter2hunter2-longer")
    text = f'use weird "value" or {json.dumps({"k": chr(34).join(["weird ", "value", ""])})}'
    assert redact_text(text) == 'use ‹redacted:ACME_API_KEY› or {"k": "‹redacted:ACME_API_KEY›"}'
    assert redact_text("hunter2hunter2-longer") == "‹redacted:db_password_2›"
    assert redact_text("hunter2hunter2") == "‹redacted:DB_PASSWORD›"


def test_trivial_values_of_secret_variables_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short values, placeholders and paths in such variables do not blot ordinary text."""
    for name, value in {"A_KEY": "true", "B_TOKEN": "changeme", "C_SECRET": "/etc/ssl/private.pem",
                        "SSH_PASSWORD": "password", "PLAIN": "hunter2hunter2"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    text = "true: changeme the password in /etc/ssl/private.pem, hunter2hunter2"
    assert redact_text(text) is text


def test_a_variable_set_later_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret loaded into the environment after the start is known at once."""
    assert redact_text("freshly-loaded-9") == "freshly-loaded-9"
    monkeypatch.setenv("LATE_TOKEN", "freshly-loaded-9")
    assert redact_text("freshly-loaded-9") == "‹redacted:LATE_TOKEN›"


KEY = "ghp_" + "Z9" * 18


def test_every_text_of_an_event_is_covered() -> None:
    """No field of an event, its tool, its code or its nested data lets a secret through."""
    texts: dict[str, Any] = dict.fromkeys(("content", "reasoning", "agent", "recipient", "record_id"), KEY)
    event = Event(
        kind="raw", seq=3, at=1.5, step=2, role="user", tokens_in=1,
        tool=ToolUse(name=KEY, call_id=KEY, arguments=KEY, parsed={"a": [KEY]}, result=KEY, error=KEY),
        code=CodeUse(text=KEY, call_id=KEY, output=KEY, exit_code=1),
        data={"list": [{"deep": (KEY, 1, None)}], KEY: True},
        **texts,
    )  # fmt: skip
    clean = redact_event(event)
    assert KEY not in repr(clean)
    for item in fields(Event):
        if item.name not in texts.keys() | {"tool", "code", "data"}:
            assert getattr(clean, item.name) == getattr(event, item.name)
    assert clean.data == {"list": [{"deep": ["‹redacted:github›", 1, None]}], "‹redacted:github›": True}


def test_a_clean_event_is_returned_as_it_is() -> None:
    """An event without secrets costs no copy, nor do its dictionaries."""
    event = Event(
        kind="tool_call", tool=ToolUse(name="search", arguments='{"q": 1}'), data={"a": {"b": [1, "x"]}}
    )
    assert redact_event(event) is event
    assert redact_json(event.data) is event.data


def test_real_runs_hold_nothing_that_is_redacted() -> None:
    """Over thousands of texts of real agent runs, which hold no secrets, nothing is replaced."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "runs"
    kinds = {".json", ".jsonl", ".traj"}
    files = [
        file for file in sorted(folder.glob("*/*")) if file.suffix in kinds and file.stat().st_size < 200_000
    ]
    if not files:
        pytest.skip("the real runs are not here (../shared/data)")
    for file in files[:80]:
        text = file.read_text(encoding="utf-8", errors="replace")
        assert redact_text(text) == text, file.name


@pytest.mark.parametrize(
    "text", ["Bearer\nabc123def456ghi789jkl", "Bearer\tabc123def456ghi789jkl", '"sk-' + "a1B2" * 8 + '"']
)
@pytest.mark.parametrize("inner", [lambda text: {"header": text}, lambda text: {"a": [{text: 1}]}])
def test_a_secret_that_json_would_write_otherwise(text: str, inner: Any) -> None:
    """In an event's data a secret is found also beside characters that are escaped when it is stored."""
    clean = redact_event(Event(kind="raw", data=inner(text)))
    assert "‹redacted:" in repr(clean.data)
    assert clean.data == redact_json(inner(text))
