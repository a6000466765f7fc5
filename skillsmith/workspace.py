"""Settings and the one composition root: every face opens a file here and finds its services here.

Services are built on first use, so that a command which reads one table pays for one table.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from skillsmith.db import Database
from skillsmith.errors import NotFoundError
from skillsmith.location import default_path

if TYPE_CHECKING:
    from skillsmith.archive import RunArchive
    from skillsmith.archived import ArchivedRuns
    from skillsmith.blobs import BlobStore
    from skillsmith.events import EventLog
    from skillsmith.feed import Feed
    from skillsmith.files import FileRepository
    from skillsmith.library.agents.budgets import Budget
    from skillsmith.library.agents.model_settings import ModelSettings
    from skillsmith.library.analytics import SkillAnalytics
    from skillsmith.library.composer import SkillComposer
    from skillsmith.library.evidence.trust_ladder import TrustLadder
    from skillsmith.library.executor import SkillExecutor
    from skillsmith.library.extractor import SkillExtractor
    from skillsmith.library.ledger import ExecutionLedger
    from skillsmith.library.matcher import SkillMatcher
    from skillsmith.library.optimizer import SkillOptimizer
    from skillsmith.library.repository import SkillRepository
    from skillsmith.library.vectors import VectorIndex
    from skillsmith.library.versions import SkillVersionManager
    from skillsmith.models import AgentRunner, Embedder, ToolSource
    from skillsmith.runs import MessageRepository, RunRepository

__all__ = ["Workspace", "default_path", "open_workspace"]

_INSTALLED: Final = object()
"""Stands for: whichever embedding model is installed."""


class Workspace:
    """One skillsmith file with its services; close it, or use it as a context manager.

    Like its connection it belongs to one thread.

    Args:
        db: The open database.
        embedder: The embedding model; left out, the installed one; None: text search alone.
    """

    def __init__(self, db: Database, *, embedder: object = _INSTALLED) -> None:
        self.db = db
        self._embedder = embedder

    @property
    def path(self) -> str:
        """The file's path, or ``:memory:``."""
        return self.db.path

    @cached_property
    def runs(self) -> RunRepository:
        """Runs and steps."""
        from skillsmith.runs import RunRepository  # noqa: PLC0415  (built on first use)

        return RunRepository(self.db)

    @cached_property
    def messages(self) -> MessageRepository:
        """Messages, streamed."""
        from skillsmith.runs import MessageRepository  # noqa: PLC0415  (built on first use)

        return MessageRepository(self.db)

    @cached_property
    def log(self) -> EventLog:
        """The append-only event log."""
        from skillsmith.events import EventLog  # noqa: PLC0415  (built on first use)

        return EventLog(self.db)

    @cached_property
    def events(self) -> Feed:
        """What any process writes into the file, for listeners."""
        from skillsmith.feed import Feed  # noqa: PLC0415  (built on first use)

        return Feed(self.path)

    @cached_property
    def files(self) -> FileRepository:
        """Files of runs, version by version."""
        from skillsmith.files import FileRepository  # noqa: PLC0415  (built on first use)

        return FileRepository(self.db)

    @cached_property
    def blobs(self) -> BlobStore:
        """Content by digest."""
        from skillsmith.blobs import BlobStore  # noqa: PLC0415  (built on first use)

        return BlobStore(self.db)

    @cached_property
    def skills(self) -> SkillRepository:
        """The skill library."""
        from skillsmith.library.repository import SkillRepository  # noqa: PLC0415  (built on first use)

        return SkillRepository(self.db)

    @cached_property
    def ledger(self) -> ExecutionLedger:
        """What executions of skills did."""
        from skillsmith.library.ledger import ExecutionLedger  # noqa: PLC0415  (built on first use)

        return ExecutionLedger(self.db)

    @cached_property
    def versions(self) -> SkillVersionManager:
        """Versions of skills: history, differences, the way back."""
        from skillsmith.library.versions import SkillVersionManager  # noqa: PLC0415  (built on first use)

        return SkillVersionManager(self.db, self.skills)

    @cached_property
    def composer(self) -> SkillComposer:
        """Makes skills of others."""
        from skillsmith.library.composer import SkillComposer  # noqa: PLC0415  (built on first use)

        return SkillComposer(self.db, self.skills, matcher=lambda: self.matcher)

    @cached_property
    def optimizer(self) -> SkillOptimizer:
        """Improves skills from their executions; ``optimizing`` gives it tools and a model."""
        return self.optimizing()

    def optimizing(
        self, *, tools: ToolSource | None = None, agents: AgentRunner | None = None
    ) -> SkillOptimizer:
        """Return an optimizer of skills.

        Args:
            tools: Where a comparison makes reads for real; None: the record answers them.
            agents: The model, for prompts and for questions that the record does not hold.
        """
        from skillsmith.library.optimizer import SkillOptimizer  # noqa: PLC0415  (built on first use)

        return SkillOptimizer(self.db, self.skills, self.versions, tools=tools, agents=agents)

    @cached_property
    def trust(self) -> TrustLadder:
        """Moves versions between proven and trusted, by rule."""
        from skillsmith.library.evidence.trust_ladder import TrustLadder  # noqa: PLC0415  (built on first use)

        return TrustLadder(self.db, self.skills)

    @cached_property
    def analytics(self) -> SkillAnalytics:
        """Figures of the library and of single skills."""
        from skillsmith.library.analytics import SkillAnalytics  # noqa: PLC0415  (built on first use)

        return SkillAnalytics(self.db)

    @cached_property
    def archive(self) -> RunArchive:
        """Moves old runs to a second file, and back."""
        from skillsmith.archive import RunArchive  # noqa: PLC0415  (built on first use)

        return RunArchive(self.db)

    @cached_property
    def archived(self) -> ArchivedRuns:
        """Which runs are in a second file."""
        from skillsmith.archived import ArchivedRuns  # noqa: PLC0415  (built on first use)

        return ArchivedRuns(self.db)

    @cached_property
    def embedder(self) -> Embedder | None:
        """The embedding model, or None when none is installed."""
        if self._embedder is not _INSTALLED:
            return self._embedder  # type: ignore[return-value]  # checked by open_workspace's signature
        from skillsmith.library.embedding.embedders import open_embedder  # noqa: PLC0415  (built on first use)

        return open_embedder()

    @cached_property
    def vectors(self) -> VectorIndex:
        """The vectors of the skills."""
        from skillsmith.library.vectors import VectorIndex  # noqa: PLC0415  (built on first use)

        return VectorIndex(self.db, self.embedder)

    @cached_property
    def matcher(self) -> SkillMatcher:
        """Finds the skill for a task, or says that none fits."""
        from skillsmith.library.matcher import SkillMatcher  # noqa: PLC0415  (built on first use)

        return SkillMatcher(self.db, self.skills, self.vectors)

    @cached_property
    def extractor(self) -> SkillExtractor:
        """Makes skills from runs."""
        from skillsmith.library.extractor import SkillExtractor  # noqa: PLC0415  (built on first use)

        return SkillExtractor(self.db)

    def agents(self, settings: ModelSettings, *, budget: Budget | None = None) -> AgentRunner:
        """Return what runs agents, for agent nodes, for mending and for teams.

        Args:
            settings: The model; see ``library.agents.model_settings.read_settings``.
            budget: What all of it may cost.

        Raises:
            ExecutionError: A package that asking a model needs is not installed.
        """
        from skillsmith.capture.prices import price_table  # noqa: PLC0415  (only to ask a model)
        from skillsmith.library.agents.ag2_runner import Ag2Runner  # noqa: PLC0415  (built on first use)

        table = price_table(None)

        def price(model: str, tokens_in: int, tokens_out: int) -> float | None:
            return table.cost(model, tokens_in=tokens_in, tokens_out=tokens_out)

        return Ag2Runner(settings, price=price, budget=budget)

    def executor(
        self,
        *,
        tools: ToolSource | None = None,
        work_dir: Path | None = None,
        agents: AgentRunner | None = None,
    ) -> SkillExecutor:
        """Return an executor of skills.

        Args:
            tools: Where ``tool`` nodes find their tools.
            work_dir: Folder the skill's code works in; None: a new one for each execution.
            agents: Runs ``agent`` nodes, and mends nodes that fail.
        """
        from skillsmith.capture.redact import redact_event  # noqa: PLC0415  (only to execute)
        from skillsmith.library.executor import SkillExecutor  # noqa: PLC0415  (built on first use)

        return SkillExecutor(self.db, tools=tools, work_dir=work_dir, agents=agents, redact=redact_event)

    def close(self) -> None:
        """End the listeners that were subscribed here, and close the file."""
        if "events" in self.__dict__:
            self.events.close()
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_workspace(
    path: str | Path | None = None,
    *,
    readonly: bool = False,
    create: bool = True,
    _embedder: Embedder | object | None = _INSTALLED,
) -> Workspace:
    """Open a skillsmith file, making it when it is not there.

    Args:
        path: The file, or ``:memory:``; None: see ``default_path``.
        readonly: Open without the right to write.
        create: Whether a missing file is made.
        _embedder: Takes the place of the installed embedding model, for tests.

    Raises:
        NotFoundError: The file is not there and may not be made.
        StorageError: The file cannot be opened.
    """
    chosen = Path(default_path() if path is None else path)
    if str(chosen) != ":memory:" and (readonly or not create) and not chosen.exists():
        raise NotFoundError(
            f"there is no database at {chosen}",
            hint="`skillsmith ingest PATH` makes one; --db or SKILLSMITH_DB names another",
        )
    return Workspace(Database(chosen, readonly=readonly), embedder=_embedder)
