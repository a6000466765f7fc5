from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skillsmith import ids
from skillsmith.ids import digest_of, new_id


def test_ids_sort_in_the_order_they_were_made() -> None:
    """Two runs that begin in the same millisecond are still listed one after the other."""
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_are_uuids_of_version_7() -> None:
    """They are in lower case, with the variant of RFC 9562."""
    assert {(len(one), one[14], one[19] in "89ab", one == one.lower()) for one in map(_new, range(1000))} == {
        (36, "7", True, True)
    }


def _new(_: int) -> str:
    return new_id()


def test_threads_never_get_the_same_id() -> None:
    """Whichever thread makes them, all differ in time or order."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(_new, range(4000)))
    assert len({one[:18] for one in made}) == 4000


def test_ids_go_on_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corrected clock does not put a later run before an earlier one."""
    before = new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1)
    assert new_id() > before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_makes_ids_though_the_parent_was_making_one() -> None:
    """A lock held at the moment of the fork does not stop the child."""
    with ids._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if new_id() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_digests_are_those_of_everyone(tmp_path: Path) -> None:
    """They are what `sha256sum` prints."""
    assert digest_of(b"abc").startswith("ba7816bf8f01cfea")
