"""What the core asks of embedders, tools and agents, so that each can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from skillsmith.errors import ExecutionError
from skillsmith.models.runs import Event, Json

if TYPE_CHECKING:
    from threading import Event as Signal


@runtime_checkable
class Embedder(Protocol):
    """Turns text into unit vectors.

    ``model`` is its identity including its form (``…/all-MiniLM-L6-v2#int8``); vectors of different
    identities are never mixed. ``embed`` returns little-endian float32 bytes, ``4 * dimension`` a text.
    """

    @property
    def model(self) -> str: ...  # noqa: D102

    @property
    def dimension(self) -> int: ...  # noqa: D102

    def embed(self, texts: Sequence[str]) -> list[bytes]: ...  # noqa: D102


@runtime_checkable
class ToolSource(Protocol):
    """Offers tools by name to the executor."""

    def names(self) -> Iterable[str]: ...  # noqa: D102

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool by keyword; raise what it raises."""
        ...


@runtime_checkable
class DescribedTools(Protocol):
    """A tool source that can say what its tools take, for models that are to call them."""

    def schema(self, name: str) -> Mapping[str, Json]:
        """Return the JSON Schema of the tool's arguments; its ``description`` says what the tool does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTask:
    """One piece of work for one agent.

    Args:
        prompt: What is to be done.
        agent: The agent's name, as the events will say it.
        role: Who the agent is, its system prompt; empty: a plain one made of its name.
        knowledge: What a skill knows that helps here; in the prompt for this turn only.
        tools: Where its tools are.
        tool_names: Which of them it gets; None: all.
        output_schema: JSON Schema that its answer has to fit; None: any text.
        timeout_seconds: Wall clock limit of the whole task.
        max_turns: How many model calls it may need; None: the runner's own limit.
        cancelled: Once set, the task ends at once with an ``AgentError``.
        on_event: Hears each event as it happens, on whatever thread; the reply has all of them, too.
    """

    prompt: str
    agent: str = "agent"
    role: str = ""
    knowledge: str = ""
    tools: ToolSource | None = None
    tool_names: tuple[str, ...] | None = None
    output_schema: Json = None
    timeout_seconds: float | None = None
    max_turns: int | None = None
    cancelled: Signal | None = None
    on_event: Callable[[Event], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReply:
    """What an agent answered, and what it took.

    Args:
        text: The answer as the agent gave it.
        value: The answer as JSON that fits the task's ``output_schema``; None when it had none.
        events: What the agent did, in order: llm_call, message, tool_call, tool_result, error. The task's
            prompt is not among them.
        model_calls: Requests that a model answered.
        cost_usd: None when the price of a model it used is not known.
    """

    text: str = ""
    value: Json = None
    events: tuple[Event, ...] = ()
    model_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = 0.0
    duration_seconds: float = 0.0


class AgentError(ExecutionError):
    """An agent did not do its task.

    Args:
        reply: What it had done until then: its events, model calls, tokens and cost count all the same.
    """

    code = "agent"

    def __init__(self, message: str, *, hint: str = "", reply: AgentReply | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reply = reply or AgentReply()


class BudgetError(AgentError):
    """A limit on cost, model calls or time was reached; nothing was asked of the model beyond it."""

    code = "budget"


@runtime_checkable
class AgentRunner(Protocol):
    """Runs one agent on one task, for ``agent`` nodes and for mending failed nodes.

    Nodes run side by side: ``run`` is called from several threads at once.
    """

    def run(self, task: AgentTask) -> AgentReply:
        """Have an agent do a task and return its answer.

        Raises:
            BudgetError: A limit was reached.
            AgentError: The model cannot be reached, refuses, or its answer cannot be used.
        """
        ...
