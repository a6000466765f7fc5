from __future__ import annotations

from pathlib import Path

import pytest
from hub_team import PLOT, Team, address

from skillsmith.errors import SkillsmithError, StorageError, UsageError
from skillsmith.hub.address import find_address
from skillsmith.hub.client import Hub
from skillsmith.hub.schema import MIGRATIONS, SCHEMA_VERSION

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")


def _refused(url: str, **options: bool) -> str:
    with pytest.raises(StorageError) as caught:
        Hub(address(url), **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_password_is_taken_from_the_environment_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--hub`` refuses one; what is printed of an address never holds it."""
    with pytest.raises(UsageError, match="command line") as caught:
        find_address("postgresql://ann:hunter2@db.example/team")
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("SKILLSMITH_HUB", "postgresql://ann:hunter2@db.example:5433/team")
    found = find_address(None)
    assert found.shown == "postgresql://ann@db.example:5433/team"
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("url", ["nonsense", "postgresql://ann:hunter2@[x/team", "https://db.example/team"])
def test_what_is_no_address_is_one_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A malformed address is refused without repeating what may be a password."""
    monkeypatch.setenv("SKILLSMITH_HUB", url)
    with pytest.raises(UsageError, match="holds no address") as caught:
        find_address(None)
    assert "hunter2" not in str(caught.value)


def test_without_an_address_it_is_said_how_to_give_one() -> None:
    """No hub named: the option, the variable and the trial are."""
    with pytest.raises(UsageError, match=r"--hub .*SKILLSMITH_HUB.*hub try"):
        find_address(None)


def test_no_server_no_database_no_user_is_one_line(server: str, tmp_path: Path) -> None:
    """Each says what is wrong and what to check."""
    assert "check the socket's folder" in _refused(f"postgresql://postgres@/x?host={tmp_path}")
    assert "check host and port" in _refused("postgresql://postgres@127.0.0.1:1/x")
    assert "check the database's name" in _refused(server.replace("/skillsmith?", "/nothing_here?"))
    assert "check the user's name" in _refused(server.replace("postgres@", "nobody_here@"))


def test_a_wrong_password_is_one_line_without_it(
    server: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that asks for a password and gets a wrong one refuses; the line does not repeat it."""
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS guest")
        conn.execute("CREATE ROLE guest LOGIN PASSWORD 'right-one'")
        file = Path(conn.execute("SHOW hba_file").fetchone()[0])  # type: ignore[index]  # always one row
        before = file.read_text(encoding="utf-8")
        try:
            file.write_text("local all guest scram-sha-256\n" + before, encoding="utf-8")
            conn.execute("SELECT pg_reload_conf()")
            line = ""
            for _attempt in range(50):
                monkeypatch.setenv("SKILLSMITH_HUB", database.replace("postgres@", "guest:wrong-one@"))
                with pytest.raises(StorageError) as caught:
                    Hub(find_address(None))
                line = str(caught.value)
                if "password" in line:
                    break
            assert "password authentication failed" in line
            assert "~/.pgpass" in line
            assert "wrong-one" not in line
        finally:
            file.write_text(before, encoding="utf-8")
            conn.execute("SELECT pg_reload_conf()")
            conn.execute("DROP ROLE guest")


def test_a_server_without_pgvector_is_one_line(server: str, database: str) -> None:
    """Where the extension cannot be had, nothing is made and it is said where to get it."""
    name = database.split("/")[3].partition("?")[0]
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {name} SET extension_control_path = '/nowhere'")
    assert "has no pgvector" in _refused(database, create=True)
    with psycopg.connect(database) as conn:
        assert conn.execute("SELECT to_regnamespace('skillsmith')").fetchone() == (None,)


def test_an_empty_database_is_no_hub(database: str) -> None:
    """Reading never makes a hub; pushing does."""
    assert "holds no hub yet" in _refused(database)
    with Hub(address(database), create=True) as hub:
        made = hub.id
    with Hub(address(database)) as hub:
        assert hub.id == made


def test_a_foreign_schema_is_left_alone(database: str) -> None:
    """A schema of the same name that is not ours is not touched."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("CREATE SCHEMA skillsmith")
    assert "belongs to something else" in _refused(database, create=True)


def test_an_older_hub_is_brought_up_to_date_only_when_asked(database: str, team: Team) -> None:
    """One line says how; afterwards the hub is as a new one, with its id and rows."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION vector")
        conn.execute("CREATE SCHEMA skillsmith")
        conn.execute("SET search_path = skillsmith, public")
        conn.execute(MIGRATIONS[0][1])
        conn.execute("INSERT INTO hub VALUES ('schema', '1'), ('id', '0197-old')")
    assert "--upgrade" in _refused(database, create=True)
    with Hub(address(database), upgrade=True) as hub:
        assert hub.id == "0197-old"
        assert hub.scalar("SELECT value FROM hub WHERE key = 'schema'") == str(SCHEMA_VERSION)
        assert hub.scalar("SELECT count(*) FROM archived_runs") == 0
    team.ann.workspace.skills.add(PLOT)
    assert team.ann.push().versions == ("plot@1",)


def test_a_newer_hub_is_refused(database: str) -> None:
    """A schema that this skillsmith does not know is not written to."""
    with Hub(address(database), create=True) as hub:
        hub.execute("UPDATE hub SET value = '99' WHERE key = 'schema'")
    assert "upgrade skillsmith" in _refused(database)


def test_missing_rights_are_one_line(server: str, database: str) -> None:
    """Who may not write is told so, and whom to ask."""
    Hub(address(database), create=True).close()
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS reader")
        conn.execute("CREATE ROLE reader LOGIN")
        conn.execute("GRANT USAGE ON SCHEMA skillsmith TO reader")
        conn.execute("GRANT SELECT ON ALL TABLES IN SCHEMA skillsmith TO reader")
    try:
        with Hub(address(database.replace("postgres@", "reader@"))) as hub:
            assert hub.scalar("SELECT count(*) FROM versions") == 0
            with pytest.raises(SkillsmithError, match=r"does not allow it.*ask its owner"):
                hub.introduce("0197a000-0000-7000-8000-000000000000", "x")
    finally:
        with psycopg.connect(database, autocommit=True) as conn:
            conn.execute("DROP OWNED BY reader")
            conn.execute("DROP ROLE reader")
