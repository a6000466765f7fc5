"""What looks like a secret is neither kept as a skill nor written for others; ordinary text passes."""

from __future__ import annotations

import base64
import json
import string
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli, fill, order_run, tool_skill, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith import leaks
from skillsmith.db import Database
from skillsmith.errors import SecretFoundError
from skillsmith.leaks import DETECTORS, Finding, refuse, scan
from skillsmith.library.exchange import export_skills
from skillsmith.library.program.document import to_document
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sync import sync_folder
from skillsmith.models import Json, Skill, Variable
from skillsmith.workspace import open_workspace

ALNUM = string.ascii_letters + string.digits
R = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zC0fL"
GITHUB = "ghp_" + "Z9" * 18

SECRETS = {
    "github": GITHUB,
    "aws": "AKIA" + "Q3EGRDJ6RTZKWYXA",
    "AWS Access Key": f'aws_key = "{R}{R[:8]}"',
    "azure": f"AccountKey={(R * 3)[:86]}==;",
    "url-password": "postgres://bob:h8nter22x@db.internal/x",
    "openai": f"sk-{R}{R[:16]}",
    "anthropic": f"sk-ant-api03-{R}",
    "xai": f"xai-{R}{R}",
    "gitlab": f"glrt-{R[:20]}",
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{R}",
    "private-key": "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    "Private Key": "PuTTY-User-Key-File-2: ssh-rsa",
    "pypi": f"pypi-AgEIcHlwaS5vcmc{R}{R}{R}",
    "sendgrid": f"SG.{R[:22]}.{R}{R[:11]}",
    "slack": f"xoxb-123456789012-{R}",
    "slack-webhook": f"https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/{R[:24]}",
    "stripe": f"sk_live_{R}",
    "telegram": f"123456789:AA{R}x",
    "Telegram Bot Token": f"123456789:BB{R}x",
    "Discord Bot Token": f"M{R[:24]}.{R[:6]}.{R[:27]}",
    "Mailchimp Access Key": "0123456789abcdef0123456789abcdef-us12",
    "Square OAuth Secret": f"sq0csp-{R}{R[:11]}",
    "Twilio API Key": "SK" + "0a1b2c3d" * 4,
    "NPM tokens": "//registry.npmjs.org/:_authToken=npm_" + R,
    "google": f"GOCSPX-{R[:28]}",
    "shopify": "shpat_" + "0a1b2c3d" * 4,
    "digitalocean": "dop_v1_" + "0a1b2c3d" * 8,
    "vault": f"hvs.{R}",
    "atlassian": f"ATATT3{R}{R}",
    "Secret Keyword": 'db_password = "hunter2-Blue"',
}

HARMLESS = (
    'password = os.environ["DB_PASSWORD"]',
    'password = getpass.getpass("password: ")',
    'password = "password"',
    'password: str = "changeme"',
    'api_key = "{api_key}"',
    'api_key = "<your key>"',
    'api_key = "your-api-key-123"',
    'secret = "‹redacted:openai›"',
    "postgres://user:password@localhost/db",
    'f"postgres://{user}:{password}@{host}/db"',
    "curl -H 'Authorization: Bearer $TOKEN'",
    'headers = {"Authorization": f"Bearer {api_token}"}',
    "Authorization: Bearer <your-long-token>",
    'digest = "3e25960a79dbc69b674cd4ec67a72c62"',
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    'secret_id = "01a2042b-e256-73aa-bb39-073625923c60"',
    'key = "mass_function_2"',
    "import secrets; token = secrets.token_hex(16)",
    "tokens_in = 1234567890",
    "call_4bXyHrTq8sLm3nPvWz toolu_01A09q90qw90lq917835lq9",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "passenger_key = 'passengers'",
    "export PASSWORD=$DB_PASSWORD",
)


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """An empty library."""
    return SkillRepository(db)


def with_secret(name: str = "leaky", default: str = "hunter2-Blue") -> Skill:
    """Return a skill whose variable ``db_password`` has a password as its default."""
    skill = tool_skill(name)
    leak = Variable(name="db_password", type="string", default=default)
    return replace(skill, variables=(*skill.variables, leak))


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_is_found_where_it_stands(kind: str) -> None:
    """A secret of every kind is found in the middle of code, with its path and line and without itself."""
    secret = SECRETS[kind]
    lines = ["import os", f"x = 1  # {secret.splitlines()[0]}", *secret.splitlines()[1:], "print(x)"]
    document = {"nodes": [{"id": "n1", "template": "\n".join(lines)}]}
    findings = scan(document)
    assert kind in {finding.kind for finding in findings}
    assert {(finding.where, finding.line) for finding in findings} == {("nodes[0].template", 2)}
    assert secret not in "".join(map(str, findings))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_let_through(text: str) -> None:
    """Placeholders, references, digests, ids and words about secrets are not findings."""
    assert scan({"code": ["import os", text, "pass"], "value": text}) == ()


@given(before=st.text(ALNUM + " \n=(", max_size=60), after=st.text(ALNUM + " \n),", max_size=60))
@settings(max_examples=30)
def test_the_library_is_asked_whenever_it_could_find_something(before: str, after: str) -> None:
    """The cheap look that decides whether the library is asked never keeps a finding from it."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415

    plugins: list[Any] = list(get_mapping_from_secret_type_to_class().values())
    chosen = [plugin() for plugin in plugins if plugin.__name__ in DETECTORS]
    assert len(chosen) == len(DETECTORS)
    for secret in SECRETS.values():
        for line in f"{before} {secret} {after}".split("\n"):
            if any(plugin.analyze_line(filename="x.py", line=line) for plugin in chosen):
                assert leaks._triggers(line), line


def scan_all(value: Json) -> tuple[Finding, ...]:
    """Scan with every look that spares work left out: each detector sees each line of each text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "_may_hold", lambda _text: True)
        patch.setattr(leaks, "_triggers", lambda _text: True)
        patch.setattr(leaks, "_telling_lines", lambda text: enumerate(text.split("\n"), 1))
        return scan(value)


AWS_PAIRED = f"token '{R}{R[:8]}'"
PIECES = st.sampled_from(
    [*SECRETS.values(), *HARMLESS, "hunter2-Blue", R + R[:8], AWS_PAIRED, "aws", "base64", "a\nb", ""]
)
MARGINS = st.sampled_from(["", "", "", "a ", '"', "# ", "\n", " z", "'", "export X=", "Ω"])
TEXTS = st.builds(lambda before, piece, after: before + piece + after, MARGINS, PIECES, MARGINS)
NAMES = st.sampled_from(
    "password aws_secret_key my_aws_token aws name default value content encoding db_pass private".split()
)
VALUES = st.recursive(
    TEXTS | TEXTS.map(str.encode) | st.sampled_from([1, 2.5, None, True]) | st.lists(TEXTS, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@given(value=VALUES)
@settings(max_examples=60)
def test_what_spares_work_never_spares_a_finding(value: Json) -> None:
    """Looking at the whole before its parts finds exactly what showing every line to every detector finds."""
    assert set(scan(value)) == set(scan_all(value))


@pytest.mark.parametrize(
    "value",
    [
        {"aws_login": f"token: '{R}{R[:8]}'"},
        {"name": "aws", "value": f"key '{R}{R[:8]}'"},
        [{"encoding": "base64", "aws": f"pass '{R}{R[:8]}'"}],
        'pa\u017fsword = "hunter2-Blue9"',
        'pr\u0131vate_key = "hunter2-Blue9"',
        'PR\u0130VATE_KEY = "hunter2-Blue9"',
        'x = 1\r\npassword = "hunter2-Blue9"\r\n',
    ],
)
def test_a_secret_that_only_shows_with_its_name_or_in_odd_letters_is_found(value: Json) -> None:
    """A name and its value are seen together, and a letter counts as those that detectors take it for."""
    assert scan(value)
    assert set(scan(value)) == set(scan_all(value))


def test_a_long_line_that_holds_half_a_trigger_many_times_is_read_at_once() -> None:
    """Looking for what points to a secret takes time in proportion to the text."""
    started = time.process_time()
    assert not scan("aws " * 100_000 + "BEGIN " * 100_000)
    assert time.process_time() - started < 5  # it took minutes


def test_nothing_is_spared_in_real_texts() -> None:
    """Among real skills, and beside secrets put into them, the quick scan finds what the full one finds."""
    files = sorted((Path(__file__).parents[2] / "shared" / "data" / "skills").rglob("*.md"))[:24]
    if not files:
        pytest.skip("the real skills are not here (../shared/data)")
    for path, secret in zip(files, SECRETS.values(), strict=False):
        lines = path.read_text(encoding="utf-8").split("\n")[:120]
        document = {"body": [*lines[:9], secret, *lines[9:]], "notes": lines, "nodes": [{"text": lines[0]}]}
        found = scan(document)
        assert found
        assert set(found) == set(scan_all(document)), path


def test_every_detector_finds_its_own_kind() -> None:
    """Each detector of the library that is used finds at least one of the secrets above."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415

    plugins: list[Any] = list(get_mapping_from_secret_type_to_class().values())
    texts = [*SECRETS.values(), "sk-" + ALNUM[:20] + "T3BlbkFJ" + ALNUM[:20]]
    for plugin in plugins:
        if plugin.__name__ in DETECTORS:
            detector = plugin()
            lines = [line for text in texts for line in text.split("\n")]
            assert any(detector.analyze_line(filename="x.py", line=line) for line in lines), plugin.__name__


def test_a_value_is_judged_by_its_name() -> None:
    """A value under a key, or of a variable, with a telling name is a secret, elsewhere it is none."""
    assert [str(found) for found in scan({"arguments": {"password": "hunter2-Blue"}})] == [
        "Secret Keyword at arguments.password line 1"
    ]
    variables = [{"name": "api_key", "type": "string", "default": "hunter2-Blue"}]
    assert [found.where for found in scan({"variables": variables})] == ["variables[0].default"]
    assert scan({"colour": "hunter2-Blue"}) == ()


def test_shell_lines_are_read_without_quotes() -> None:
    """What a shell exports needs no quotes to be a secret."""
    assert scan("set -e\nexport DB_PASSWORD=hunter2-Blue\n")[0].line == 2
    assert scan("docker run -e MYSQL_PASSWORD=hunter2-Blue img")
    assert scan(f"export AWS_SESSION_TOKEN={R}{R[:8]}")


def test_keys_bytes_and_encoded_artifacts_are_looked_into() -> None:
    """Nothing in a document is skipped: keys, bytes, and content in base64."""
    assert scan({GITHUB: 1})
    assert scan(GITHUB.encode())
    encoded = base64.b64encode(b"\xff\x00" + GITHUB.encode()).decode()
    lines = [encoded[:40], encoded[40:]]
    (found,) = scan({"artifacts": [{"name": "x.bin", "encoding": "base64", "content": lines}]})
    assert found.where == "artifacts[0].content"


def test_values_of_secret_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment keeps secret is found, whatever it looks like."""
    assert scan("say plain-looking-words") == ()
    monkeypatch.setenv("ACME_TOKEN", "plain-looking-words")
    assert [found.kind for found in scan("say plain-looking-words")] == ["ACME_TOKEN"]


def test_a_refusal_names_the_first_few() -> None:
    """The error says what and where, counts the rest, and says how to go on."""
    with pytest.raises(SecretFoundError) as caught:
        refuse([GITHUB] * 1 + [{"a": GITHUB}] * 4, subject="run 01", hint="use --no-secrets")
    assert caught.value.message == (
        "run 01 holds what looks like a secret: github at [0] line 1; github at [1].a line 1;"
        " github at [2].a line 1 and 2 more"
    )
    assert int(caught.value.exit_code) == 5


def test_ordinary_documents_do_not_load_the_library() -> None:
    """Nothing that names no secret costs the library's import."""
    probe = (
        "import sys; from skillsmith.leaks import scan; scan({'code': ['import os'], 'task': 'plot'});"
        "print('detect_secrets' in sys.modules, 'requests' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_export_refuses_and_writes_nothing(skills: SkillRepository, tmp_path: Path) -> None:
    """One skill with a secret keeps all from being written; allowed, all are."""
    skills.add(tool_skill("clean"))
    skills.add(with_secret())
    with pytest.raises(SecretFoundError, match=r"skill 'leaky' .*Secret Keyword at variables"):
        export_skills(skills, ["clean", "leaky"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(export_skills(skills, ["clean", "leaky"], tmp_path / "out", allow_secrets=True)) == 2


def test_sync_refuses_and_writes_nothing(skills: SkillRepository, tmp_path: Path) -> None:
    """A shared folder gets nothing while a skill that would go there holds a secret."""
    skills.add(tool_skill("clean"))
    skills.add(with_secret())
    with pytest.raises(SecretFoundError):
        sync_folder(skills, tmp_path)
    assert list(tmp_path.glob("*.skill.json")) == []
    assert len(sync_folder(skills, tmp_path, allow_secrets=True).written) == 2


def test_what_was_found_clear_is_remembered_but_later_secrets_count(
    skills: SkillRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version is scanned whole once; tasks added later and new secrets of the environment still count."""
    stored = skills.add(tool_skill())
    document = to_document(stored)
    skills.clearance.refuse_secrets([("x", document)])
    with monkeypatch.context() as patch:
        patch.setattr(
            "skillsmith.leaks.scan",
            lambda value: scan(value) if isinstance(value, str) else pytest.fail("scanned again"),
        )
        skills.clearance.refuse_secrets([("x", document)])
    with monkeypatch.context() as patch:
        patch.setenv("SHOP_TOKEN", "ordered by mistake")
        with pytest.raises(SecretFoundError, match="SHOP_TOKEN"):
            skills.clearance.refuse_secrets([("x", document)])
    skills.add_example(stored.id, f"cancel it with {GITHUB}")
    with pytest.raises(SecretFoundError, match="github at examples"):
        export_skills(skills, [stored.name], tmp_path)


def leaky_run(folder: Path) -> Path:
    """Return a log whose user gives a password that no format names."""
    record = order_run(1)
    text = json.dumps(record).replace("ordered by mistake", "password = 'hunter2-Blue'")
    return write_json(folder / "log.json", [json.loads(text)])


def test_extract_and_export_refuse_on_the_command_line(tmp_path: Path) -> None:
    """Exit code 5, one line with the place and the flag; with the flag the skill is made and written."""
    cli = Cli(tmp_path, tmp_path / "x.db")
    run = cli.json("ingest", leaky_run(tmp_path))["runs"][0]["id"]
    refused = cli("extract", run, "--name", "cancel")
    assert refused.code == 5
    assert refused.stderr.count("\n") == 1
    assert "Secret Keyword at" in refused.stderr
    assert "--allow-secrets" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert cli("extract", run, "--name", "cancel", "--json").error["code"] == "secret"
    assert cli.json("list")["items"] == []
    (item,) = cli.inside("extract", "--all-successful", "--json").document["items"]
    assert item["code"] == "secret"
    cli.json("extract", run, "--name", "cancel", "--allow-secrets")
    assert cli("export", "cancel", "-o", "out").code == 5
    assert not (tmp_path / "out").exists()
    assert cli("sync", "team").code == 5
    assert cli("export", "cancel", "-o", "out", "--allow-secrets").code == 0


def test_clean_skills_pass_on_the_command_line(tmp_path: Path) -> None:
    """Skills without secrets are exported without a word."""
    cli = Cli(tmp_path, tmp_path / "x.db")
    with open_workspace(cli.db):
        pass
    fill(cli, tool_skill("one"), tool_skill("two"))
    result = cli("export", "--all", "-o", "out")
    assert (result.code, result.stderr) == (0, "")


def test_real_skills_and_runs_hold_nothing_that_is_found() -> None:
    """Over the public skills and runs, which hold no secrets, nothing is found."""
    data = Path(__file__).parents[2] / "shared" / "data"
    files = [
        path for folder in ("skills", "runs/tau_airline", "runs/swe_agent", "runs/claude_code")
        for path in sorted((data / folder).rglob("*"))
        if path.suffix in {".md", ".py", ".sh", ".json", ".jsonl", ".traj", ".yaml"}
        and path.stat().st_size < 200_000
    ]  # fmt: skip
    if not files:
        pytest.skip("the real skills and runs are not here (../shared/data)")
    found = {path.name: scan(path.read_text(encoding="utf-8", errors="replace")) for path in files[:150]}
    assert {name: findings for name, findings in found.items() if findings} == {}
