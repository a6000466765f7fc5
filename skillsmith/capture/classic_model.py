"""A Classic agent's model calls: what they cost and what the model thought, also where AG2 drops it.

``create`` of the agent's client is listened to. AG2 leaves reasoning out of streamed answers, and its newer
clients do not know every field that servers send it in; for these the OpenAI client below is listened to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from skillsmith.capture.classic_scopes import Chat, Scope, Speech, current_scope, record_reasoning, scope_of
from skillsmith.capture.classic_wire import KEY, Wire, live
from skillsmith.capture.harmless import harmless
from skillsmith.capture.shapes import field_of, text_of
from skillsmith.capture.turns import Turn

_REASONING = ("reasoning_content", "reasoning")
_NEWER = frozenset({"openai_v2", "responses_v2", "bedrock_v2"})
_overheard = threading.local()
"""Its ``parts``: what the client below thought in this thread since ``create`` began."""


@harmless
def tap_client(wire: Wire, client: Any) -> None:
    """Listen to an agent's client."""
    if client is not None and callable(getattr(client, "create", None)) and hasattr(client, "__dict__"):
        wire.shadow(client, "create", _create)


def _create(
    wire: Wire, client: Any, bare: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    call = _begin(wire, client, kwargs)
    try:
        response = bare(*args, **kwargs)
    except BaseException as error:
        if call is not None:
            call.failed(error)
        raise
    finally:
        heard, _overheard.parts = getattr(_overheard, "parts", None), None
    if call is not None:
        call.done(response, heard)
    return response


@harmless
def _begin(wire: Wire, client: Any, kwargs: Mapping[str, Any]) -> ModelCall:
    agent, scope = kwargs.get("agent"), current_scope.get()
    if scope is None or type(scope) is not Speech or scope.agent is not agent:
        found = live(agent) if KEY in getattr(agent, "__dict__", ()) else None
        if found is not None:
            wire = found[1]
        scope = scope_of(wire) or (found[0].speech() if found is not None else None)
    else:
        wire = scope.wire
    call = ModelCall(wire, client, agent=agent, kwargs=kwargs, scope=scope)
    if call.drops_reasoning:
        _overheard.parts = []
        _listen_below(wire, client)
    return call


class ModelCall:
    """One call of a model.

    Args:
        wire: The capture.
        client: The agent's client.
        agent: On whose behalf.
        kwargs: What ``create`` was given.
        scope: Where it happens.
    """

    __slots__ = (
        "agent", "client", "configs", "drops_reasoning", "failures", "kwargs", "name", "scope", "started",
        "turn", "usage", "wire",
    )  # fmt: skip

    def __init__(
        self, wire: Wire, client: Any, *, agent: Any, kwargs: Mapping[str, Any], scope: Scope | None
    ) -> None:
        self.wire = wire
        self.failures = wire.failures
        self.client = client
        self.kwargs = kwargs
        self.scope = scope
        self.agent = agent
        self.configs: Sequence[Mapping[str, Any]] = getattr(client, "_config_list", None) or ({},)
        self.name: str = getattr(agent, "name", None) or "model"
        turn = None if scope is None else scope.here()
        self.turn: Turn = turn or wire.tape.begin_turn(self.name)
        drops, caches = False, kwargs.get("cache") is not None
        for given in (kwargs, *self.configs):
            drops = drops or bool(given.get("stream")) or given.get("api_type") in _NEWER
            caches = caches or given.get("cache_seed") is not None
        self.drops_reasoning = drops
        self.usage = self._usage() if caches else None
        self.started = time.perf_counter()

    def _usage(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what AG2 has counted: it counts an answer from its cache only in the second."""
        actual = getattr(self.client, "actual_usage_summary", None)
        total = getattr(self.client, "total_usage_summary", None)
        return dict(actual or {}), dict(total or {})

    def _was_cached(self, before: tuple[dict[str, Any], dict[str, Any]]) -> bool:
        (actual, total), (actual_now, total_now) = before, self._usage()
        return _same(actual, actual_now) and not _same(total, total_now)

    @harmless
    def failed(self, error: BaseException) -> None:
        """Record that there was no answer."""
        model = self.kwargs.get("model") or self.configs[-1].get("model")
        data = {"error": type(error).__name__}
        self._record(
            model=model,
            tokens=(None, None),
            finish_reason="error",
            data=data,
            provider=self.configs[-1].get("api_type"),
        )
        self.wire.tape.error(self.turn, agent=self.name, error=error, where="model")

    @harmless
    def done(self, response: Any, heard: Sequence[str] | None) -> None:
        """Record the answer's figures, and keep what the model thought for the message it leads to.

        Args:
            response: The answer as AG2 returns it.
            heard: What the client below thought, where it was listened to.
        """
        cached = self.usage is not None and self._was_cached(self.usage)
        said: Mapping[str, Any] = getattr(response, "__dict__", {})
        choice, message = said, response
        if choices := said.get("choices"):
            choice = choices[0].__dict__
            message = choice.get("message")
        usage, config = said.get("usage"), self._config(response)
        self._record(
            model=said.get("model") or self.configs[0].get("model"),
            tokens=_tokens(usage) if usage is not None else (None, None),
            finish_reason=choice.get("finish_reason"),
            cached=cached,
            cost_usd=None if cached else self._cost(response, config),
            provider=said.get("provider") or config.get("api_type"),
        )
        if thought := _thought(message) or "".join(heard or ()):
            self._keep(thought)

    def _record(self, *, tokens: tuple[int | None, int | None], **facts: Any) -> None:
        messages = self.kwargs.get("messages") or ()
        first = messages[0] if messages else {}
        system = first.get("content") if first.get("role") == "system" else None
        if type(system) is not str:
            system = text_of(system)
        self.wire.tape.llm_call(
            self.turn, agent=self.name, tokens_in=tokens[0], tokens_out=tokens[1],
            duration_seconds=time.perf_counter() - self.started, prompt_messages=len(messages),
            system=system, **facts,
        )  # fmt: skip

    def _config(self, response: Any) -> Mapping[str, Any]:
        """Return the configuration that answered."""
        chosen = getattr(response, "config_id", None) if len(self.configs) > 1 else None
        return self.configs[chosen if isinstance(chosen, int) and chosen < len(self.configs) else 0]

    def _cost(self, response: Any, config: Mapping[str, Any]) -> float | None:
        """Return what AG2 says it cost, where its user named the price; else nobody has said."""
        price = self.kwargs.get("price", config.get("price"))
        cost = getattr(response, "cost", None) if price is not None else None
        return float(cost) if isinstance(cost, (int, float)) else None

    def _keep(self, thought: str) -> None:
        scope = self.scope
        if isinstance(scope, Chat):  # a summary is said by whoever the chat is part of
            scope = scope.outer
        if isinstance(scope, Speech) and scope.agent is self.agent and not scope.ended:
            scope.reasoning.append(thought)
        else:
            record_reasoning(self.turn, self.name, thought)


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    held = usage if isinstance(usage, dict) else usage.__dict__
    return held.get("prompt_tokens"), held.get("completion_tokens")


def _thought(message: Any) -> str | None:
    """Return what a model thought before an answer.

    To ask a pydantic object for an attribute that it lacks would cost as much as all the rest.
    """
    more = getattr(message, "__pydantic_extra__", None)
    held: Mapping[str, Any] = getattr(message, "__dict__", {})
    for name in _REASONING:
        thought = held.get(name) or (more.get(name) if more else None)
        if thought is None and name in type(message).__dict__:
            thought = getattr(message, name)
        if isinstance(thought, list):
            texts = (field_of(part, "reasoning", "summary", "text") for part in thought)
            thought = "\n".join(text for text in texts if text)
        if thought:
            return thought if type(thought) is str else text_of(thought)
    return None


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether nothing was counted: AG2 makes a model's entry anew each time it counts."""
    return before.keys() == now.keys() and all(
        now[name] is value for name, value in before.items() if isinstance(value, dict)
    )


@harmless
def _listen_below(wire: Wire, client: Any) -> None:
    for inner in getattr(client, "_clients", ()):
        below = getattr(inner, "_oai_client", None) or getattr(inner, "client", None)
        completions = getattr(getattr(below, "chat", None), "completions", None)
        if completions is not None:
            wire.shadow(completions, "create", _overhear)


def _overhear(
    wire: Wire, _owner: Any, bare: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    answer = bare(*args, **kwargs)
    if getattr(_overheard, "parts", None) is None:  # the host's own call
        return answer
    if kwargs.get("stream"):
        return _chunks(wire, answer)
    _note_parts(wire, field_of(answer, "choices"), "message")
    return answer


def _chunks(wire: Wire, stream: Any) -> Iterator[Any]:
    for chunk in stream:
        _note_parts(wire, field_of(chunk, "choices"), "delta")
        yield chunk


@harmless
def _note_parts(wire: Wire, choices: Any, part: str) -> None:  # noqa: ARG001  (counts its failures)
    for choice in choices or ():
        thought = field_of(field_of(choice, part), *_REASONING)
        if isinstance(thought, str):
            _overheard.parts.append(thought)
