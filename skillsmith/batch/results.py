"""The results of a batch: a JSON object a line, appended as they come; the last line of an input counts.

Beside them stands, while the batch is not through, a small file that says which batch it is, and which inputs
went to other machines. A line that a kill cut off is taken away; what it said is in the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import orjson

from skillsmith.batch.items import ItemResult, Job
from skillsmith.errors import RefusedError, UsageError
from skillsmith.ids import new_id
from skillsmith.models import Json

_SHORTEST_LINE = 2


class Results:
    """The results file of one batch.

    Args:
        path: The file.
        skill: ``NAME@VERSION`` that the batch is about.

    Raises:
        RefusedError: The file belongs to another batch, or to none.
        UsageError: It cannot be read or written.
    """

    def __init__(self, path: Path, *, skill: str) -> None:
        self.path = path
        self._ticket = path.with_name(f"{path.name}.batch")
        self._file: BinaryIO | None = None
        self.handed_out: frozenset[str] = frozenset()
        self.batch = self._begin(skill)
        self.known = self._read()

    def _begin(self, skill: str) -> str:
        """Return the id of the batch that the file belongs to, a new one for a new file."""
        try:
            if self._ticket.exists():
                head, *keys = self._ticket.read_text(encoding="utf-8").splitlines()
                self.handed_out = frozenset(keys)
                return self._continued(orjson.loads(head), skill)
            if self.path.exists() and self.path.stat().st_size:
                raise RefusedError(
                    f"{self.path} is there already, and its batch is finished",
                    hint="name another file with --output, or take it away",
                )
            self.path.parent.mkdir(parents=True, exist_ok=True)
            batch = new_id()
            self._ticket.write_bytes(orjson.dumps({"batch": batch, "skill": skill}) + b"\n")
        except (OSError, ValueError) as error:
            raise UsageError(f"the results cannot be kept in {self.path}: {error}") from error
        return batch

    def _continued(self, ticket: Mapping[str, Json], skill: str) -> str:
        if ticket.get("skill") != skill:
            raise RefusedError(
                f"{self.path} holds results of {ticket.get('skill')}, not of {skill}",
                hint="name another file with --output",
            )
        return str(ticket["batch"])

    def _read(self) -> dict[str, bool]:
        """Return whether the inputs that have results succeeded, by key; take a torn last line away."""
        if not self.path.exists():
            return {}
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self.path, whole)
        try:
            lines = [orjson.loads(line) for line in data[:whole].splitlines() if len(line) >= _SHORTEST_LINE]
            return {line["key"]: line["success"] for line in lines}
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.path} holds what are no results", hint="name another file with --output"
            ) from error

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("ab")
        except OSError as error:
            raise UsageError(f"the results cannot be written to {self.path}: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, result: ItemResult) -> None:
        """Write one result, so that it is there whatever comes next."""
        assert self._file is not None
        self._file.write(orjson.dumps(result.document()) + b"\n")
        self._file.flush()
        self.known[result.key] = result.status == "succeeded"

    def hand_out(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield jobs, and write down first that each has gone to where the ledger does not see it."""
        with self._ticket.open("a", encoding="utf-8") as file:
            for job in jobs:
                file.write(job.key + "\n")
                file.flush()
                yield job

    def finish(self) -> None:
        """Say that the batch is through."""
        self._ticket.unlink(missing_ok=True)
