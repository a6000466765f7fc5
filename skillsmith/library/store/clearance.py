"""A version found clear of secrets is not scanned again: it never changes, so neither does the answer.

Remembered is the version's digest, for one edition of the scan. Tasks that a skill served are added later and
stand outside the digest, and the environment has other secrets tomorrow: these are looked through every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from skillsmith.db import Database
from skillsmith.errors import StorageError
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import render

HINT = "take it out of what the skill was made from, or give --allow-secrets if it is none"


class Clearance:
    """Refuse skills that hold secrets.

    Args:
        db: The connection; remembers what is clear.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def refuse_secrets(self, documents: Sequence[tuple[str, Document]]) -> None:
        """Raise for the first skill that holds what looks like a secret.

        Args:
            documents: What each skill is called, and its document.

        Raises:
            SecretFoundError: Names the skill, what was found and where.
        """
        from skillsmith.leaks import scan, secret_found  # noqa: PLC0415  (13 ms; only what is shared is scanned)

        known = self._known(document["digest"] for _label, document in documents)
        suspects = [pair for pair in documents if pair[1]["digest"] not in known]
        suspects += _changed([pair for pair in documents if pair[1]["digest"] in known])
        for label, document in suspects:
            if findings := scan(document):
                raise secret_found(f"skill {label!r}", findings, hint=HINT)
        self._remember([document["digest"] for _label, document in suspects])

    def _known(self, digests: Iterable[str]) -> set[str]:
        wanted = [_prefix() + digest for digest in digests]
        found: set[str] = set()
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            marks = ", ".join("?" for _ in some)
            rows = self._db.all(f"SELECT key FROM meta WHERE key IN ({marks})", some)  # noqa: S608  (question marks only)
            found.update(row[0].removeprefix(_prefix()) for row in rows)
        return found

    def _remember(self, digests: Sequence[str]) -> None:
        if digests:
            with (
                suppress(StorageError),
                self._db.transaction(),
            ):  # a file that may not be written is scanned again
                self._db.executemany(
                    "INSERT OR IGNORE INTO meta (key, value) VALUES (?, '')",
                    [(_prefix() + digest,) for digest in digests],
                )


def _prefix() -> str:
    from skillsmith.leaks import EDITION  # noqa: PLC0415  (as above)

    return f"clear:{EDITION}:"


def _changed(cleared: Sequence[tuple[str, Document]]) -> list[tuple[str, Document]]:
    """Return the skills that may hold a secret by now although their versions were found clear."""
    from skillsmith.leaks import scan  # noqa: PLC0415  (as above)
    from skillsmith.secret_formats import (  # noqa: PLC0415  (as above)
        environment_secrets_in,
        has_environment_secrets,
    )

    if scan("\n".join(task for _label, document in cleared for task in document["examples"])):
        return list(cleared)
    if not has_environment_secrets():
        return []
    return [pair for pair in cleared if environment_secrets_in(render(pair[1]).decode())]
