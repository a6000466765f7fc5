"""Tests of the commands on runs: ingest, runs, timeline, artifacts, mark."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from cli_process import Cli, order_run, write_json

from skillsmith.models import FileSnapshot
from skillsmith.workspace import open_workspace

SECRET = "sk-proj-" + "aB3dE5gH7jK9" * 4


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with an empty folder and no file yet."""
    return Cli(tmp_path, tmp_path / "x.db")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Return a command line with twelve runs, the last of them failed; only for reading."""
    folder = tmp_path_factory.mktemp("filled")
    line = Cli(folder, folder / "x.db")
    runs = [order_run(number, success=number < 11) for number in range(12)]
    assert line("ingest", write_json(folder / "log.json", runs)).code == 0
    return line


def test_ingest_tells_what_it_added(cli: Cli) -> None:
    """Each run is listed with source, task, outcome and the events added, by kind."""
    log = write_json(cli.folder / "log.json", [order_run(1), order_run(2, success=False)])
    document = cli.json("ingest", log)
    assert document["skipped"] == []
    first, second = document["runs"]
    assert first["source"] == "openai-chat"
    assert first["new"] is True
    assert "eve1@example.org" in first["task"]
    assert (first["outcome"], second["outcome"]) == ("success", "failure")
    assert first["events"]["tool_call"] == first["events"]["tool_result"] == 3


def test_ingesting_again_adds_nothing(cli: Cli) -> None:
    """The same log, also compressed or under another name, adds nothing; a grown log adds its tail."""
    record = order_run(1)
    log = write_json(cli.folder / "log.json", [record])
    first = cli.json("ingest", log)["runs"][0]
    packed = cli.folder / "other.json.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    for path in (log, packed):
        again = cli.json("ingest", path)["runs"][0]
        assert (again["id"], again["new"], again["events"]) == (first["id"], False, {})
    record["messages"].append({"role": "user", "content": "Thanks!"})
    grown = cli.json("ingest", write_json(log, [record]))["runs"][0]
    assert (grown["id"], grown["new"], grown["events"]) == (first["id"], False, {"message": 1})


def test_damage_costs_only_the_damaged(cli: Cli) -> None:
    """Damaged, foreign and missing files get a clear line each, the rest is imported, the exit code is 1."""
    folder = cli.folder
    good = write_json(folder / "good.json", [order_run(1)])
    whole = json.dumps(order_run(2))
    files = {
        "binary.jsonl": bytes(range(256)) * 50,
        "empty.jsonl": b"",
        "truncated.json": good.read_bytes()[:-200],
        "broken_line.jsonl": f"{whole}\n{{not json\n{json.dumps(order_run(3))}\n".encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    result = cli("ingest", *files, "missing.json", good, "--json")
    document = result.document
    assert result.code == 1
    assert {item["path"] for item in document["skipped"]} == {*files, "missing.json"}
    assert all(item["reason"] for item in document["skipped"])
    assert {"path": "broken_line.jsonl", "line": 2}.items() <= next(
        item for item in document["skipped"] if item["path"] == "broken_line.jsonl"
    ).items()
    lines = result.stderr.splitlines()
    assert len(lines) == len(document["skipped"])
    assert all(line.startswith("skipped ") for line in lines)
    tasks = " ".join(run["task"] for run in document["runs"])
    assert all(f"eve{number}@" in tasks for number in (1, 2, 3))


def test_other_files_in_a_folder_are_no_error(cli: Cli) -> None:
    """A folder is walked; what is no log in it is counted, not complained about."""
    logs = cli.folder / "logs" / "deep"
    logs.mkdir(parents=True)
    write_json(logs / "log.json", [order_run(1)])
    (logs / "README.md").write_text("# Notes\n")
    document = cli.json("ingest", "logs")
    assert len(document["runs"]) == 1
    assert (document["skipped"], document["ignored"]) == ([], 1)


def test_ingest_reports_to_people(cli: Cli) -> None:
    """People get a short table and a line of totals on stdout, and skipped lines on stderr."""
    write_json(cli.folder / "log.json", [order_run(number) for number in range(30)])
    result = cli("ingest", "log.json")
    lines = result.stdout.splitlines()
    assert "30 runs read, 30 new" in lines[-1]
    assert "… and 10 more runs" in lines[-2]


def test_outcome_can_be_given(cli: Cli) -> None:
    """``--outcome`` judges the runs that are read."""
    record = order_run(1)
    del record["success"]
    write_json(cli.folder / "log.json", [record])
    assert cli.json("ingest", "log.json")["runs"][0]["outcome"] == "unknown"
    assert cli.json("ingest", "log.json", "--outcome", "success")["runs"][0]["outcome"] == "success"


def test_secrets_do_not_reach_the_file(cli: Cli) -> None:
    """Keys in tasks, messages and tool arguments are replaced before anything is stored."""
    text = json.dumps([order_run(1)]).replace("ordered by mistake", f"my key is {SECRET}")
    (cli.folder / "log.json").write_text(text)
    document = cli.json("ingest", "log.json")
    timeline = cli("timeline", document["runs"][0]["id"], "--full").stdout
    assert "‹redacted:" in timeline
    assert "‹redacted:" in document["runs"][0]["task"]
    for path in cli.folder.glob("x.db*"):
        assert SECRET.encode() not in path.read_bytes()


def test_redaction_can_be_turned_off(cli: Cli) -> None:
    """``--no-redact`` keeps the log as it is."""
    text = json.dumps([order_run(1)]).replace("ordered by mistake", f"my key is {SECRET}")
    (cli.folder / "log.json").write_text(text)
    run = cli.json("ingest", "log.json", "--no-redact")["runs"][0]
    assert SECRET in run["task"]


def test_two_processes_ingest_while_a_third_reads(cli: Cli) -> None:
    """Several processes use one file at once: no error, nothing lost, every read is whole."""
    for half in range(2):
        runs = [order_run(number) for number in range(half * 150, half * 150 + 150)]
        write_json(cli.folder / f"log{half}.json", runs)
    writers = [cli.start("ingest", f"log{half}.json", "--json") for half in range(2)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        if cli.db.exists():
            result = cli("runs", "--limit", 0, "--json")
            assert (result.code, result.stderr) == (0, ""), result
            found = result.document["items"]
            assert len(found) >= seen
            assert all(run["events"] == 12 for run in found)
            seen = len(found)
    for writer in writers:
        stdout, stderr = writer.communicate()
        assert (writer.returncode, stderr) == (0, "")
        assert sum(run["new"] for run in json.loads(stdout)["runs"]) == 150
    assert len(cli.json("runs", "--limit", 0)["items"]) == 300


def test_runs_have_the_documented_keys(filled: Cli) -> None:
    """The keys of a run are a contract with scripts."""
    run = filled.json("runs")["items"][0]
    assert set(run) >= {
        "id", "task", "source", "status", "outcome", "started_at", "duration_seconds", "agents", "events",
        "tokens", "cost_usd",
    }  # fmt: skip


def test_runs_page_by_page_are_all_runs(filled: Cli) -> None:
    """Pages put together are the whole list, newest first, nothing twice."""
    everything = [run["id"] for run in filled.json("runs", "--limit", 0)["items"]]
    paged, cursor = [], None
    while True:
        page = filled.json("runs", "--limit", 5, *(["--after", cursor] if cursor else []))
        paged += [run["id"] for run in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert paged == everything
    assert len(everything) == 12


def test_runs_are_filtered(filled: Cli) -> None:
    """Runs are found by outcome, source and words."""
    assert len(filled.json("runs", "--outcome", "failure")["items"]) == 1
    assert filled.json("runs", "--source", "codex")["items"] == []
    found = filled.json("runs", "--search", "ORD-7004")["items"]
    assert [("eve4@" in run["task"]) for run in found] == [True]


def test_runs_for_people_say_how_to_go_on(filled: Cli) -> None:
    """People get a table, and the way to the next page on stderr."""
    result = filled("runs", "--limit", 2)
    assert result.stdout.splitlines()[0].split()[:2] == ["run", "source"]
    assert len(result.stdout.splitlines()) == 3
    assert "--after" in result.stderr


def test_timeline_tells_what_happened(filled: Cli) -> None:
    """Events come in order with what applies to them: tool, arguments, result."""
    run = filled.json("runs", "--search", "ORD-7004")["items"][0]["id"]
    events = filled.json("timeline", run[:-4])["items"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    calls = [event["tool"] for event in events if event["kind"] == "tool_call"]
    assert [call["name"] for call in calls] == ["find_user", "list_orders", "cancel_order"]
    assert calls[2]["arguments"] == {"order_id": "ORD-7004", "reason": "ordered by mistake"}
    assert "cost_usd" not in events[0]


def test_timeline_is_filtered_and_paged(filled: Cli) -> None:
    """Kind, agent and page narrow a timeline down."""
    run = filled.json("runs")["items"][0]["id"]
    assert {e["kind"] for e in filled.json("timeline", run, "--kind", "tool_result")["items"]} == {
        "tool_result"
    }
    assert {e["agent"] for e in filled.json("timeline", run, "--agent", "user")["items"]} == {"user"}
    page = filled.json("timeline", run, "--limit", 2)
    rest = filled.json("timeline", run, "--after", page["next"])["items"]
    assert rest[0]["seq"] == 3


def test_timeline_for_people_shortens_long_texts(cli: Cli) -> None:
    """A long text is cut with a note how to see all of it; ``--full`` shows it."""
    record = order_run(1)
    record["messages"][0]["content"] = "\n".join(f"rule {number}" for number in range(100))
    run = cli.json("ingest", write_json(cli.folder / "log.json", [record]))["runs"][0]["id"]
    assert "88 more lines (--full)" in cli("timeline", run).stdout
    assert "rule 99" in cli("timeline", run, "--full").stdout


def test_ambiguous_prefix_is_refused(filled: Cli) -> None:
    """A beginning that fits several runs is refused with exit code 2."""
    run = filled.json("runs")["items"][0]["id"]
    result = filled("timeline", run[:4])
    assert result.code == 2
    assert "several" in result.stderr


def test_mark_survives_the_next_import(cli: Cli) -> None:
    """A person's judgement stays when the log is read again."""
    log = write_json(cli.folder / "log.json", [order_run(1)])
    run = cli.json("ingest", log)["runs"][0]["id"]
    marked = cli.json("mark", run, "--outcome", "failure", "--note", "wrong order")
    assert (marked["outcome"], marked["note"]) == ("failure", "wrong order")
    record = order_run(1)
    record["messages"].append({"role": "user", "content": "Thanks!"})
    cli.json("ingest", write_json(log, [record]))
    assert cli.json("runs")["items"][0]["outcome"] == "failure"


def test_artifacts_show_versions_and_diffs(cli: Cli) -> None:
    """A run's files are listed version by version; one file shows what each version changed."""
    with open_workspace(cli.db) as workspace:
        run = workspace.runs.create("plot")
        key = workspace.runs.key(run.id)
        for number, text in enumerate((b"a = 1\nb = 2\n", b"a = 1\nb = 3\n"), 1):
            workspace.files.record(
                key, FileSnapshot(path="plot.py", content=text, agent="engineer", at=number)
            )
        workspace.files.record(key, FileSnapshot(path="plot.png", content=b"\x89PNG\0\0", agent="engineer"))
    items = cli.json("artifacts", run.id)["items"]
    assert [(item["path"], item["version"]) for item in items] == [
        ("plot.png", 1), ("plot.py", 1), ("plot.py", 2),
    ]  # fmt: skip
    assert items[1]["superseded_by"] == "plot.py@2"
    history = cli.json("artifacts", run.id, "plot.py")["items"]
    assert "-b = 2\n+b = 3" in history[1]["diff"]
    assert "+b = 3" in cli("artifacts", run.id, "plot.py").stdout
    assert cli.json("artifacts", run.id, "plot.png")["items"][0]["diff"] is None
    page = cli.json("artifacts", run.id, "--limit", 1)
    rest = cli.json("artifacts", run.id, "--after", page["next"])["items"]
    assert [(item["path"], item["version"]) for item in rest] == [("plot.py", 1), ("plot.py", 2)]
    assert cli("artifacts", run.id, "nothing.py").code == 3
