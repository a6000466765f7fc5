"""One turn of an AG2 agent, written to the tape: what it was asked, what the model said, what its tools did.

A turn is watched from its middleware; one that has none (a subtask that AG2 builds itself) from its stream.
Both tell a ``Scribe``, which knows what of it has been written already.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from skillsmith.capture.ag2_values import (
    block_of,
    call_of,
    parts_of,
    parts_text,
    ran,
    routing_of,
    spent_of,
)
from skillsmith.capture.harmless import Failures
from skillsmith.capture.tape import Tape, Turn
from skillsmith.capture.turns import quiet
from skillsmith.models import Json

USER = "user"


@dataclass(slots=True, eq=False)
class Scribe:
    """Writes one turn.

    Args:
        tape: Where.
        turn: Which.
        asker: Who asked the agent, and so gets its replies.
        code_tools: Names of its tools that run code.
        room: The channel of a network, where the turn is part of one.
    """

    tape: Tape
    turn: Turn
    asker: str | None = USER
    code_tools: frozenset[str] = frozenset()
    room: Any = None
    heard: list[str] = field(default_factory=list)
    asked: dict[str, float] = field(default_factory=dict)
    said: Any = None
    requested: bool = False
    _blocks: dict[str, str] = field(default_factory=dict)

    @property
    def on(self) -> bool:
        """Whether the capture goes on."""
        return self.tape.on

    @property
    def failures(self) -> Failures:
        """Where what fails is counted."""
        return self.tape.failures

    @quiet
    def request(self, event: Any) -> None:
        """Write what the agent is asked; what a channel has delivered is written there already."""
        first, self.requested = not self.requested, True
        content = parts_text(event.parts)
        if self.room is not None and first and self.room.delivered(content):
            return
        data = None if first else {"enqueued": True}
        self.tape.message(
            self.turn, sender=self.asker if first else USER, recipient=self.turn.agent, role="user",
            content=content, data=data,
        )  # fmt: skip

    def response(self, response: Any, *, seconds: float | None, prompt: Any, messages: int | None) -> None:
        """Write a model call and what the model said.

        Args:
            response: AG2's ``ModelResponse``.
            seconds: How long it took.
            prompt: The system prompt's parts.
            messages: How many events were sent.
        """
        if not self.tape.on:
            return
        try:
            held = vars(response)  # AG2 answers each of its own look-ups with a call
            provider = held.get("provider")
            tokens_in, tokens_out, tokens_cached = spent_of(held.get("usage"), provider)
            self.tape.llm_call(
                self.turn, agent=self.turn.agent, model=held.get("model"), tokens_in=tokens_in,
                tokens_out=tokens_out, tokens_cached=tokens_cached, duration_seconds=seconds,
                provider=provider, finish_reason=held.get("finish_reason"), prompt_messages=messages,
                system=prompt,
            )  # fmt: skip
            self._reply(response)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note("response", error)

    @quiet
    def reply(self, response: Any) -> None:
        """Write what the agent says, once: by its model, or by a tool whose result is final."""
        if response is not self.said:
            self._reply(response)

    def _reply(self, response: Any) -> None:
        self.said, held = response, vars(response)
        message, asked, files = held.get("message"), held.get("tool_calls"), held.get("files")
        content = None if message is None else message.content
        data: dict[str, Json] | None = {"files": len(files)} if files else None
        calls = asked.calls if asked else ()
        if held.get("response_force"):
            data = {**(data or {}), "final_tool": True}
            calls = ()
        blocks = {call.id: block for call in calls if (block := self._block(call))} if calls else {}
        self.tape.message(
            self.turn, sender=self.turn.agent, recipient=self.asker, role="assistant", content=content,
            reasoning=self._reasoning() if self.heard else None, data=data,
            tool_calls=[call_of(call) for call in calls if call.id not in blocks] if calls else (),
        )  # fmt: skip
        for call_id, (code, language) in blocks.items():
            self._blocks[call_id] = language
            self.tape.code_block(
                self.turn, agent=self.turn.agent, code=code, language=language, call_id=call_id
            )
        if self.room is not None and content:
            self.room.heard(self.turn.agent, content)

    @quiet
    def failed(self, error: BaseException, *, seconds: float, model: str | None, prompt: Any) -> None:
        """Write a model call that failed."""
        self.heard.clear()
        self.tape.llm_call(
            self.turn, agent=self.turn.agent, model=model, tokens_in=None, tokens_out=None,
            duration_seconds=seconds, finish_reason="error", system=prompt,
        )  # fmt: skip
        self.tape.error(self.turn, agent=self.turn.agent, error=error, where="model")

    def tool_begins(self) -> float:
        """Look at the folder, and return the time."""
        self.tape.before_files(self.turn)
        return time.perf_counter()

    @quiet
    def tool_ends(
        self, call: Any, event: Any, *, started: float | None, error: BaseException | None = None
    ) -> None:
        """Write what a tool did, then the files it made.

        Args:
            call: AG2's ``ToolCallEvent``.
            event: What came of it: a result or error event, or None where an exception went on.
            started: When, or None where nobody saw that.
            error: The exception.
        """
        seconds = None if started is None else time.perf_counter() - started
        error = error or getattr(event, "error", None)
        call_id, parts = call.id, parts_of(event)
        text = None if parts is None else parts_text(parts)
        language = self._blocks.pop(call_id, None)
        if language is not None:
            failed = error is not None or event is None
            exit_code, output = ran(text, failed=failed)
            shown = output if output is not None or error is None else f"{type(error).__name__}: {error}"
            self.tape.code_result(
                self.turn, agent=self.turn.agent, language=language, exit_code=exit_code, output=shown,
                call_id=call_id, duration_seconds=seconds or 0.0,
            )  # fmt: skip
        else:
            self.tape.tool_result(
                self.turn, agent=self.turn.agent, name=call.name, call_id=call_id, arguments=call.arguments,
                result=text, error=error, duration_seconds=seconds, routing=routing_of(parts or ()),
            )  # fmt: skip
        self.tape.after_files(self.turn.agent, self.turn)

    @quiet
    def question(self, event: Any) -> None:
        """Write a question to a person; one that is passed on to another stream only once."""
        if event.id not in self.asked:
            self.asked[event.id] = time.perf_counter()
            self.tape.human(self.turn, agent=self.turn.agent, prompt=event.content, reply=None)

    @quiet
    def answer(self, event: Any) -> None:
        """Write the person's answer."""
        started = self.asked.pop(event.parent_id, None)
        if started is not None:
            self.tape.human(
                self.turn, agent=self.turn.agent, prompt=None, reply=event.content,
                duration_seconds=time.perf_counter() - started,
            )  # fmt: skip

    def _reasoning(self) -> str | None:
        text = "".join(self.heard)
        self.heard.clear()
        return text.strip() or None

    def _block(self, call: Any) -> tuple[str, str] | None:
        return block_of(call.arguments) if call.name in self.code_tools else None
