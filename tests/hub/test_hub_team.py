from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from hub_team import PLOT, Machine, Team, execution

from skillsmith.library.exchange import trust
from skillsmith.models import Node


def test_a_skill_travels_into_quarantine(team: Team) -> None:
    """What one machine pushes the other gets, inert until it is trusted; doing it again changes nothing."""
    team.ann.workspace.skills.add(PLOT)
    assert team.ann.push().versions == ("plot@1",)
    report = team.bob.pull()
    assert (report.versions, report.quarantined) == (("plot@1",), ("plot@1",))
    assert team.bob.workspace.skills.state("plot") == "quarantined"
    assert team.bob.versions() == team.ann.versions()
    again = (team.ann.push(), team.bob.pull(), team.bob.push())
    assert [one.versions for one in again] == [(), (), ()]


def test_what_is_quarantined_is_not_passed_on(team: Team) -> None:
    """A skill that its user has not trusted never leaves for the hub."""
    team.ann.workspace.skills.add(replace(PLOT, state="quarantined"))
    assert team.ann.push().versions == ()
    assert team.bob.pull().versions == ()


def test_a_version_known_here_keeps_its_trust(team: Team) -> None:
    """Content that is trusted in a file stays so when the hub has it, too."""
    for machine in (team.ann, team.bob):
        machine.workspace.skills.add(replace(PLOT, state="proven"))
    trust(team.bob.workspace.skills, "plot")
    team.ann.push()
    assert team.bob.pull().versions == ()
    assert team.bob.workspace.skills.state("plot") == "trusted"


def test_a_version_that_was_trusted_takes_over(team: Team) -> None:
    """The hub's pointer is followed once its version may run here, and not before."""
    team.ann.workspace.skills.add(PLOT)
    team.ann.push()
    team.bob.pull()
    trust(team.bob.workspace.skills, "plot")
    team.ann.workspace.skills.add(replace(PLOT, description="better"))
    team.ann.push()
    report = team.bob.pull()
    assert (report.waiting, team.bob.workspace.skills.current_version("plot")) == (("plot@2",), 1)
    trust(team.bob.workspace.skills, "plot@2")
    assert team.bob.pull().waiting == ()
    assert team.bob.digest("plot") == team.ann.digest("plot")
    assert team.bob.push().moved == ()


def test_a_rollback_travels(team: Team) -> None:
    """When a pointer goes back, that of the other machine goes back, too."""
    for machine in (team.ann, team.bob):
        machine.workspace.skills.add(replace(PLOT, state="proven"))
        machine.workspace.skills.add(replace(PLOT, state="proven", description="worse"))
    team.ann.push()
    team.bob.pull()
    team.ann.workspace.versions.rollback_to_version("plot", 1, reason="the second is worse")
    assert team.ann.push().moved == ("plot",)
    assert team.bob.pull().moved == ("plot@1",)
    assert team.bob.digest("plot") == team.ann.digest("plot")


def test_one_number_may_mean_two_versions(team: Team) -> None:
    """Versions that two machines numbered alike are both kept, and it is told which is which."""
    team.ann.workspace.skills.add(PLOT)
    team.ann.push()
    team.bob.pull()
    trust(team.bob.workspace.skills, "plot")
    for machine, body in ((team.ann, "Ann's"), (team.bob, "Bob's")):
        machine.workspace.skills.add(replace(PLOT, body=body))
        report = machine.push()
    assert [one.name for one in report.conflicts] == ["plot"]
    pulled = team.bob.pull()
    assert [(one.here, one.there) for one in pulled.renumbered] == [("plot@3", 2)]
    assert pulled.conflicts[0].reasons == ("body was changed differently on both sides",)
    assert team.bob.workspace.skills.get("plot").body == "Bob's"
    team.ann.pull()
    assert team.ann.versions() == team.bob.versions()


def test_changes_of_both_are_merged(team: Team) -> None:
    """What two machines changed in different places comes together in a third version."""
    for machine in (team.ann, team.bob):
        machine.workspace.skills.add(replace(PLOT, state="proven"))
    team.ann.push()
    team.bob.pull()
    team.ann.workspace.skills.add(replace(PLOT, tags=("table",)))
    team.bob.workspace.skills.add(replace(PLOT, description="Plot any table."))
    team.ann.push()
    assert team.bob.push().conflicts
    assert team.bob.pull().merged == ("plot@4",)
    merged = team.bob.workspace.skills.get("plot")
    assert (merged.tags, merged.description) == (("table",), "Plot any table.")
    assert team.bob.push().moved == ("plot",)
    team.settle()
    assert team.ann.digest("plot") == team.bob.digest("plot")


def test_a_conflict_is_decided_by_either_side(team: Team) -> None:
    """``ours`` moves the hub's pointer, ``theirs`` follows it; the other version stays where it is."""
    for machine, text in ((team.ann, "Ann's"), (team.bob, "Bob's")):
        machine.workspace.skills.add(replace(PLOT, description=text, state="proven"))
    team.ann.push()
    assert [one.name for one in team.bob.push().conflicts] == ["plot"]
    assert [one.name for one in team.bob.pull().conflicts] == ["plot"]
    assert [one.name for one in team.bob.pull().conflicts] == ["plot"]  # until it is decided
    assert team.bob.push(ours=["plot"]).moved == ("plot",)
    team.ann.pull()
    trust(team.ann.workspace.skills, "plot@2")
    team.ann.pull(["plot"])
    assert team.ann.workspace.skills.get("plot").description == "Bob's"
    assert team.bob.pull().conflicts == team.ann.pull().conflicts == ()
    assert team.ann.versions() == team.bob.versions()


def test_a_deletion_travels_as_a_tombstone(team: Team) -> None:
    """What one machine deletes is retired on the other, where its content stays until it is trusted anew."""
    for machine in (team.ann, team.bob):
        machine.workspace.skills.add(replace(PLOT, state="proven"))
    team.ann.push()
    team.bob.pull()
    team.ann.workspace.skills.delete("plot", reason="nobody needs it")
    assert team.ann.push().deleted == ("plot@1",)
    assert team.bob.pull().retired == ("plot@1",)
    assert team.bob.workspace.skills.state("plot") == "retired"
    trust(team.bob.workspace.skills, "plot")
    assert team.bob.push().moved == ("plot",)
    assert team.ann.pull().versions == ("plot@2",)  # a number is never used twice


def test_declining_is_no_deletion(team: Team) -> None:
    """Deleting what came from the hub before trusting it stays between a user and their file."""
    team.ann.workspace.skills.add(PLOT)
    team.ann.push()
    team.bob.pull()
    team.bob.workspace.skills.delete("plot")
    report = team.bob.push()
    assert (report.deleted, report.moved, report.conflicts) == ((), (), ())
    assert team.bob.pull().versions == ()
    assert team.ann.pull().retired == ()


def test_ledgers_are_united(team: Team) -> None:
    """Executions with their adaptations meet under their ids, linked to the same content, counted once."""
    for machine in (team.ann, team.bob):
        machine.workspace.skills.add(replace(PLOT, state="proven"))
        machine.workspace.ledger.record(execution("plot", 1))
    team.ann.workspace.ledger.record(execution("plot", 1, success=False))
    for machine in (team.ann, team.bob, team.ann, team.bob):
        machine.pull() if machine is team.bob else None
        machine.push()
    team.ann.pull()
    assert team.ann.ledger() == team.bob.ledger()
    for machine in (team.ann, team.bob):
        stats = machine.workspace.ledger.stats("plot")
        assert (stats["executions"], stats["completed"], stats["adaptation_rate"]) == (3, 2, 1.0)


def test_an_execution_that_is_resumed_is_closed_again(team: Team) -> None:
    """A failed execution that succeeds later does so everywhere; an older state never comes back."""
    skills, ledger = team.ann.workspace.skills, team.ann.workspace.ledger
    begun = ledger.start(skills.add(PLOT), task="t", run_id=None, inputs={})
    ledger.finish(begun, success=False, outputs={}, adaptations=(), artifacts=())
    team.ann.push()
    team.bob.pull()
    ledger.finish(begun, success=True, outputs={"x": 1}, adaptations=(), artifacts=())
    assert team.ann.push().executions == 1
    assert team.bob.pull().executions == 1
    assert team.bob.workspace.ledger.get(begun).success is True
    assert team.bob.push().executions == team.ann.pull().executions == 0


def test_history_travels_with_its_author(team: Team) -> None:
    """What was done to a skill elsewhere is told with machine and reason, once."""
    team.ann.workspace.skills.add(replace(PLOT, reason="the table had to be seen"))
    team.ann.push()
    team.bob.pull()
    entries = [entry for entry in team.bob.workspace.versions.history("plot") if "machine" in entry.detail]
    assert [(entry.action, entry.reason) for entry in entries] == [("created", "the table had to be seen")]
    team.bob.push()
    assert team.ann.pull().history == 1  # Bob's own import
    assert team.bob.pull().history == 0


def test_tasks_that_were_served_travel(team: Team) -> None:
    """An earlier task helps to find the skill on every machine."""
    team.ann.workspace.skills.add(PLOT)
    team.ann.push()
    team.bob.pull()
    team.ann.workspace.skills.add_example("plot", "plot my table")
    team.ann.push()
    team.bob.pull()
    assert team.bob.workspace.skills.get("plot").examples == ("plot my table",)


def test_what_would_call_something_else_here_is_refused(team: Team) -> None:
    """A composed skill whose part has another number here is not taken in to run the wrong part."""
    ann, bob = team.ann.workspace.skills, team.bob.workspace.skills
    bob.add(replace(PLOT, description="Bob's own"))
    ann.add(PLOT)
    ann.add(replace(PLOT, name="report", nodes=(Node(id="n1", kind="skill", tool="plot@1"),)))
    team.ann.push()
    report = team.bob.pull()
    assert [(one.name, "plot@2" in one.reason) for one in report.refused] == [("report", True)]
    assert not bob.exists("report")


def test_a_copied_file_is_another_machine(team: Team, tmp_path: Path) -> None:
    """A copy never takes the original's moves for its own: what both changed is a conflict."""
    skills = team.ann.workspace.skills
    skills.add(PLOT)
    team.ann.push()
    team.ann.workspace.db.backup(tmp_path / "copy.db")
    copy = Machine(tmp_path / "copy.db", team.url)
    skills.add(replace(PLOT, description="the original's"))
    copy.workspace.skills.add(replace(PLOT, description="the copy's"))
    assert team.ann.push().moved == ("plot",)
    report = copy.push()
    assert ([one.name for one in report.conflicts], report.history) == (["plot"], 1)
    copy.workspace.close()


def test_what_the_hub_says_is_checked(team: Team) -> None:
    """A version whose content is not what its digest says, and damaged rows, are refused and told."""
    team.ann.workspace.skills.add(PLOT)
    team.ann.workspace.skills.add(replace(PLOT, name="load"))
    team.ann.workspace.ledger.record(execution("plot", 1))
    team.ann.push()
    with team.ann.hub() as hub:
        hub.execute("UPDATE versions SET document = replace(document, 'Plot', 'Wipe') WHERE name = 'load'")
        hub.execute("UPDATE executions SET body = '{}'")
        hub.execute("UPDATE history SET body = 'no JSON' WHERE name = 'plot'")
    report = team.bob.pull()
    assert [one.name for one in report.refused] == ["load", "plot", "plot"]
    assert team.bob.workspace.skills.names() == ["plot"]
    assert (team.bob.ledger(), report.history) == (set(), 0)


def test_everything_may_be_looked_at_again(team: Team) -> None:
    """After a hub was restored, both directions can start anew, and nothing comes twice."""
    team.ann.workspace.skills.add(PLOT)
    team.ann.workspace.ledger.record(execution("plot", 1))
    team.ann.push()
    first = team.bob.pull()
    assert (first.executions, first.history) == (1, 1)
    with team.ann.hub() as hub:
        hub.execute("DELETE FROM executions")
    assert team.ann.push().executions == 0
    assert team.ann.push(again=True).executions == 1
    again = team.bob.pull(again=True)
    assert (again.versions, again.executions, again.history) == ((), 0, 0)
    assert team.bob.workspace.skills.versions("plot") == [1]


def test_two_machines_converge(team: Team) -> None:
    """After rounds of random edits, pushes and pulls at once both have the same library and ledger."""
    chance = random.Random(8)
    made: set[tuple[object, ...]] = set()
    seen: set[tuple[str, str]] = set()
    for _round in range(12):
        for machine in (team.ann, team.bob):
            for _edit in range(3):
                machine.edit(chance)
            made |= machine.ledger()
            seen |= {pair for pair in machine.versions() if _is_good(machine, pair)}
        _at_once(team, chance)
    team.settle()
    assert team.ann.ledger() == team.bob.ledger() == made
    names = {*team.ann.workspace.skills.names(), *team.bob.workspace.skills.names()}
    assert {name: team.ann.digest(name) for name in names} == {name: team.bob.digest(name) for name in names}
    with team.ann.hub() as hub:
        kept = set(hub.all("SELECT name, digest FROM versions"))
    assert team.ann.versions() | team.bob.versions() | seen <= kept
    for machine in (team.ann, team.bob):
        assert [*machine.workspace.skills.pointer_problems()] == machine.workspace.db.check() == []


def _is_good(machine: Machine, pair: tuple[str, str]) -> bool:
    number = machine.workspace.skills.contents(pair[0])[pair[1]]
    return machine.workspace.skills.state(f"{pair[0]}@{number}") not in ("quarantined", "retired")


def _at_once(team: Team, chance: random.Random) -> None:
    """Let both push and pull at the same time, each in a thread with a connection of its own to its file."""
    ways = [(machine.path, chance.choice(("push", "pull"))) for machine in (team.ann, team.bob)]

    def go(path: Path, way: str) -> None:
        machine = Machine(path, team.url)
        try:
            machine.push()
            if way == "pull":
                machine.pull()
        finally:
            machine.workspace.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(go, *way) for way in ways]:
            done.result()
