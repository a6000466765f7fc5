"""Where adapters write what agents do: no method raises into, waits for or changes the host's run.

A turn (one agent doing one thing) belongs to a step of a run. Its ``Turn`` travels with the adapter's own
object of that turn, never in a thread's or task's context alone: frameworks start threads that would lose it.
What a host may still change is turned to text at once; nothing else is looked at on its thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skillsmith.capture.shapes import error_of, execution_of, text_of, values_of
from skillsmith.capture.turns import (
    Turn,
    TurnTape,
    Undo,
    Work,
    current_turn,
    quiet,
)
from skillsmith.events import dump_json, load_json
from skillsmith.ids import new_id
from skillsmith.models import CodeUse, Json, ToolUse

__all__ = ["Tape", "Turn", "Undo", "Work", "current_turn"]


class Tape(TurnTape):
    """Write what agents do as events of a run; arguments as for ``TurnTape``."""

    def message(
        self,
        turn: Turn | None,
        *,
        sender: str | None,
        recipient: str | None,
        role: str,
        content: Any,
        reasoning: str | None = None,
        tool_calls: Sequence[ToolUse] = (),
        data: Mapping[str, Json] | None = None,
    ) -> None:
        """Record a message, then the tool calls it asks for.

        Args:
            turn: During which.
            sender: Who says it.
            recipient: To whom.
            role: system, user, assistant or tool.
            content: A text, or parts, or anything that becomes JSON.
            reasoning: What the sender thought before.
            tool_calls: In order, with their ids.
            data: What else is known, as JSON that will not change.
        """
        if not self.on:
            return
        try:
            self._event(
                turn, "message", role=role, agent=sender, recipient=recipient,
                content=content if type(content) is str else text_of(content),
                reasoning=reasoning or None, data=data,
            )  # fmt: skip
            if tool_calls:
                self._announce(turn, sender, tool_calls)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note("message", error)

    def _announce(self, turn: Turn | None, sender: str | None, tool_calls: Sequence[ToolUse]) -> None:
        announced = self._work_of(turn).announced
        for use in tool_calls:
            if use.call_id is not None:
                announced[use.call_id] = announced.get(use.call_id, 0) + 1
            self._event(turn, "tool_call", agent=sender, tool=use)

    def llm_call(  # noqa: PLR0913  (what a model call has)
        self,
        turn: Turn | None,
        *,
        agent: str | None,
        model: str | None,
        tokens_in: int | None,
        tokens_out: int | None,
        duration_seconds: float | None,
        provider: str | None = None,
        finish_reason: str | None = None,
        cached: bool = False,
        tokens_cached: int | None = None,
        prompt_messages: int | None = None,
        system: str | Sequence[str] | None = None,
        cost_usd: float | None = None,
        data: Mapping[str, Json] | None = None,
    ) -> None:
        """Record one call of a model; before it the system message, when that agent has a new one.

        Args:
            turn: During which.
            agent: On whose behalf.
            model: As the provider names it.
            tokens_in: Of the prompt.
            tokens_out: Of the completion.
            duration_seconds: How long it took.
            provider: Who runs the model.
            finish_reason: Why the model stopped.
            cached: Answered from a cache of the framework, for nothing.
            tokens_cached: Of the prompt tokens, those read from the provider's cache.
            prompt_messages: How many messages the prompt had; the prompt itself is in the run already.
            system: The system message, or its parts.
            cost_usd: What it cost; left out, the price table says so, or nobody knows.
            data: What else is known, as JSON that will not change.
        """
        if not self.on:
            return
        try:
            if system:
                self._system(turn, agent, system)
            if cached:
                cost_usd = 0.0
            elif cost_usd is None and self._prices is not None:
                cost_usd = self._prices.cost(
                    model, tokens_in=tokens_in, tokens_out=tokens_out, tokens_cached=tokens_cached,
                    provider=provider,
                )  # fmt: skip
            facts: dict[str, Json] = {"model": model}
            for name, value in (
                ("provider", provider), ("finish_reason", finish_reason), ("cached", cached or None),
                ("tokens_cached", tokens_cached), ("prompt_messages", prompt_messages),
            ):  # fmt: skip
                if value is not None:
                    facts[name] = value  # noqa: PERF403  (a comprehension is one call more)
            if data:
                facts.update(data)
            self._event(
                turn, "llm_call", agent=agent, data=facts, tokens_in=tokens_in, tokens_out=tokens_out,
                duration_seconds=duration_seconds, cost_usd=cost_usd,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note("llm_call", error)

    def tool_result(  # noqa: PLR0913  (what a tool's result has)
        self,
        turn: Turn | None,
        *,
        agent: str | None,
        name: str,
        call_id: str | None,
        arguments: Any = None,
        result: Any = None,
        error: BaseException | str | None = None,
        duration_seconds: float | None = None,
        routing: str | None = None,
    ) -> None:
        """Record what a tool returned; the call before it, when no message has asked for it.

        Args:
            turn: During which.
            agent: Who called it.
            name: The tool.
            call_id: Joins it with its call; left out, a new one.
            arguments: As the model wrote them, or as a dictionary.
            result: What it returned.
            error: What went wrong.
            duration_seconds: How long it took.
            routing: When all it returned is who goes on, or that the work is done: which kind of that.
        """
        if not self.on:
            return
        try:
            call_id = call_id or new_id()
            self._called(turn, agent, name, call_id, arguments)
            done = ToolUse(
                name=name, call_id=call_id, result=result if type(result) is str else text_of(result),
                error=None if error is None else error_of(error),
            )  # fmt: skip
            self._event(
                turn, "tool_result", role="tool", agent=agent, tool=done, duration_seconds=duration_seconds,
                data={"routing": routing} if routing else None,
            )  # fmt: skip
        except Exception as failure:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note("tool_result", failure)

    def _called(self, turn: Turn | None, agent: str | None, name: str, call_id: str, arguments: Any) -> None:
        """Note that a call has its result; record the call when no message has."""
        announced = self._work_of(turn).announced
        left = announced.get(call_id)
        if left is None:
            use = ToolUse(name=name, call_id=call_id, arguments=text_of(arguments))
            self._event(turn, "tool_call", agent=agent, tool=use)
        elif left > 1:
            announced[call_id] = left - 1
        else:
            del announced[call_id]

    @quiet
    def code(
        self,
        turn: Turn | None,
        *,
        agent: str | None,
        code: str,
        language: str | None,
        exit_code: int | None,
        output: Any,
        duration_seconds: float | None = None,
        call_id: str | None = None,
    ) -> None:
        """Record a code block and what running it gave: ``code_block`` and ``code_result`` at once."""
        call_id = call_id or new_id()
        self.code_block(turn, agent=agent, code=code, language=language, call_id=call_id)
        self.code_result(
            turn, agent=agent, language=language, exit_code=exit_code, output=output, call_id=call_id,
            duration_seconds=duration_seconds,
        )  # fmt: skip

    @quiet
    def code_block(
        self, turn: Turn | None, *, agent: str | None, code: str, language: str | None, call_id: str
    ) -> None:
        """Record a code block that is going to be run.

        Args:
            turn: During which.
            agent: Who runs it.
            code: The block.
            language: "python", "sh", …
            call_id: Joins it with its result.
        """
        block = CodeUse(language=language or "python", text=text_of(code), call_id=call_id)
        self._event(turn, "code", agent=agent, code=block)

    @quiet
    def code_result(
        self,
        turn: Turn | None,
        *,
        agent: str | None,
        language: str | None,
        exit_code: int | None,
        output: Any,
        call_id: str,
        duration_seconds: float | None = None,
    ) -> None:
        """Record what running a code block gave.

        Args:
            turn: During which.
            agent: Who ran it.
            language: "python", "sh", …
            exit_code: Of the process, when there was one.
            output: What it printed.
            call_id: Joins it with its block.
            duration_seconds: How long it ran.
        """
        text = output if isinstance(output, str) else execution_of(output)[1]
        ran = CodeUse(language=language or "python", call_id=call_id, exit_code=exit_code, output=text)
        self._event(turn, "code_result", agent=agent, code=ran, duration_seconds=duration_seconds)

    @quiet
    def transition(
        self,
        turn: Turn | None,
        *,
        source: str | None,
        target: str | None,
        reason: Any,
        data: Mapping[str, Json] | None = None,
    ) -> None:
        """Record that one agent hands over to another, and why."""
        self._event(
            turn, "transition", agent=source, recipient=target, content=text_of(reason) or None, data=data
        )

    @quiet
    def context(self, turn: Turn | None, *, agent: str | None, values: Any, shared: bool = True) -> None:
        """Record the context variables when they differ from the last ones recorded.

        Args:
            turn: During which.
            agent: Who sees them.
            values: A mapping, or an object that holds one.
            shared: Whether all agents see the same ones; else each agent's are compared with its own.
        """
        last, owner = self._work_of(turn).contexts, "" if shared else agent or ""
        if not values and owner not in last:
            return
        plain = values if type(values) is dict else values_of(values)
        frozen = dump_json(plain)
        if frozen != last.get(owner):
            last[owner] = frozen
            self._event(turn, "context", agent=agent, data={"values": load_json(frozen)})

    @quiet
    def human(
        self,
        turn: Turn | None,
        *,
        agent: str | None,
        prompt: Any,
        reply: Any,
        duration_seconds: float | None = None,
    ) -> None:
        """Record a question to a person and the answer, which None means that there was none."""
        if prompt is not None:
            self._event(
                turn, "message", role="assistant", agent=agent, recipient="user", content=text_of(prompt),
                data={"human_input": "question"},
            )  # fmt: skip
        if reply is not None:
            self._event(
                turn, "message", role="user", agent="user", recipient=agent, content=text_of(reply),
                data={"human_input": "answer"}, duration_seconds=duration_seconds,
            )  # fmt: skip

    @quiet
    def before_files(self, turn: Turn | None = None) -> None:
        """Look at the work folder before something runs: what has changed until now is not its doing."""
        work = self._work_of(turn)
        if work.files is not None:
            work.files(None, self._step_of(turn, work))

    @quiet
    def after_files(self, agent: str | None, turn: Turn | None = None) -> None:
        """Look at the work folder after something ran: what is new or changed is this agent's work."""
        work = self._work_of(turn)
        if work.files is not None:
            work.files(agent or (turn.agent if turn else None), self._step_of(turn, work))

    def _system(self, turn: Turn | None, agent: str | None, system: str | Sequence[str]) -> None:
        systems = self._work_of(turn).systems
        if systems.get(agent or "") == system:
            return
        kept = system if isinstance(system, str) else list(system)
        systems[agent or ""] = kept
        text = kept if isinstance(kept, str) else "\n\n".join(map(str, kept))
        self._event(turn, "message", role="system", agent=agent, recipient=agent, content=text)

    def _step_of(self, turn: Turn | None, work: Work) -> int:
        return turn.step if turn is not None else work.steps.current()
