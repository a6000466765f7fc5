"""An OpenAI-compatible server on 127.0.0.1 that answers as a script says, so that tests speak real HTTP.

``POST …/chat/completions`` as JSON and as server-sent events, with reasoning (as ``reasoning_content`` or
``reasoning``), tool calls, usage, HTTP errors and delays. Every request is kept, in order of arrival.

    with Server([tools(("add", {"a": 2, "b": 3})), text("5", reasoning="easy")]) as server:
        OpenAIConfig(model="scripted", base_url=server.url, api_key="none")
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says to one request.

    Args:
        content: Its text.
        calls: Tool calls: (id, name, arguments as the model writes them).
        reasoning: What it thought before.
        reasoning_field: Where servers put that: ``reasoning_content`` or ``reasoning``.
        usage: Prompt and completion tokens; None: the server does not say.
        finish: Why it stopped.
        model: The name it answers under; left out, the one that was asked for.
        delay: Seconds until the first byte.
    """

    content: str | None = None
    calls: tuple[tuple[str, str, str], ...] = ()
    reasoning: str | None = None
    reasoning_field: str = "reasoning_content"
    usage: tuple[int, int] | None = (11, 7)
    finish: str = "stop"
    model: str | None = None
    delay: float = 0.0

    def after(self, seconds: float) -> Answer:
        """Return the same answer, given later."""
        return replace(self, delay=seconds)

    def message(self) -> JsonObject:
        """Return it as a chat message."""
        said: JsonObject = {"role": "assistant", "content": self.content}
        if self.reasoning is not None:
            said[self.reasoning_field] = self.reasoning
        if self.calls:
            said["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for call_id, name, arguments in self.calls
            ]
        return said

    def deltas(self) -> Iterator[JsonObject]:
        """Yield it piece by piece: reasoning, text, then calls whose arguments come in two pieces."""
        for piece in _pieces(self.reasoning):
            yield {self.reasoning_field: piece}
        for piece in _pieces(self.content):
            yield {"content": piece}
        for index, (call_id, name, arguments) in enumerate(self.calls):
            half = len(arguments) // 2
            head = {"name": name, "arguments": arguments[:half]}
            yield {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": head}]}
            yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An HTTP error; delay in seconds."""

    status: int
    message: str = "scripted error"
    delay: float = 0.0


Reply = Answer | Refusal
Script = Callable[[JsonObject, int], "Reply | int"]


def text(content: str, reasoning: str | None = None, **more: Any) -> Answer:
    """Answer with text; more: fields of ``Answer``."""
    return Answer(content=content, reasoning=reasoning, **more)


def tools(*calls: tuple[str, JsonObject | str], **more: Any) -> Answer:
    """Ask for tool calls.

    Args:
        calls: (name, arguments); a string is sent as it is, so that it may be malformed.
        more: Fields of ``Answer``.
    """
    numbered = tuple(
        (f"call_{number}_{name}", name, given if isinstance(given, str) else json.dumps(given))
        for number, (name, given) in enumerate(calls)
    )
    return Answer(calls=numbered, finish="tool_calls", **{"usage": (13, 9), **more})


def refuse(status: int, message: str = "scripted error") -> Refusal:
    """Answer with an HTTP error."""
    return Refusal(status=status, message=message)


def text_in(message: JsonObject) -> str:
    """Return a message's text, also where it is sent in parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def last_role(body: JsonObject) -> str:
    """Return the role of a request's last message: scripts often branch on it."""
    return str(body["messages"][-1]["role"])


def system_of(body: JsonObject) -> str:
    """Return the system messages of a request as one text."""
    return "\n".join(text_in(m) for m in body["messages"] if m["role"] in ("system", "developer"))


@dataclass
class Server:
    """The server; a context manager.

    Args:
        script: What to answer: a function of (request body, its number from 1), or answers in order, of
            which the last one repeats. An int is an HTTP status.
        delay: Seconds before every answer, for a model's latency.
    """

    script: Script | Sequence[Reply | int]
    delay: float = 0.0
    requests: list[JsonObject] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._broken: list[Exception] = []
        handler = type("Handler", (_Handler,), {"scripted": self})
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._httpd.daemon_threads = True
        self._thread = threading.Thread(
            target=self._httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.url = f"http://127.0.0.1:{self._httpd.server_port}/v1"

    def reply(self, body: JsonObject) -> tuple[Reply, int]:
        """Keep a request; return the answer to it and its number."""
        with self._lock:
            self.requests.append(body)
            number = len(self.requests)
        if callable(self.script):
            try:
                said = self.script(body, number)
            except Exception as error:  # noqa: BLE001  (raised where the server ends: a mistake of the test)
                self._broken.append(error)
                said = Refusal(status=500, message=f"the script failed: {error!r}")
        else:
            said = self.script[min(number, len(self.script)) - 1]
        return Refusal(status=said) if isinstance(said, int) else said, number

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()
        if self._broken and error is None:
            raise self._broken[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scripted: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class names it)
        pass

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply, number = self.scripted.reply(body)
        time.sleep(self.scripted.delay + reply.delay)
        try:
            self._answer(body, reply, number)
        except (BrokenPipeError, ConnectionResetError):  # the client was cancelled meanwhile
            self.close_connection = True

    def _answer(self, body: JsonObject, reply: Reply, number: int) -> None:
        if isinstance(reply, Refusal):
            error = {"message": reply.message, "type": "server_error", "code": "scripted"}
            self._send(reply.status, {"error": error})
        elif body.get("stream"):
            lines = [*map(json.dumps, _chunks(body, reply, number)), "[DONE]"]
            self._write(200, "text/event-stream", "".join(f"data: {line}\n\n" for line in lines))
        else:
            self._send(200, _completion(body, reply, number))

    def _send(self, status: int, document: JsonObject) -> None:
        self._write(status, "application/json", json.dumps(document))

    def _write(self, status: int, kind: str, sent: str) -> None:
        data = sent.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _completion(body: JsonObject, reply: Answer, number: int) -> JsonObject:
    choice = {"index": 0, "message": reply.message(), "finish_reason": reply.finish}
    return {
        **_head(body, reply, number, kind="chat.completion"),
        "choices": [choice],
        **({"usage": _usage(reply.usage)} if reply.usage else {}),
    }


def _chunks(body: JsonObject, reply: Answer, number: int) -> Iterator[JsonObject]:
    head = _head(body, reply, number, kind="chat.completion.chunk")
    for delta in reply.deltas():
        said = {"role": "assistant", **delta}
        yield {**head, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]}
    if reply.usage:
        yield {**head, "choices": [], "usage": _usage(reply.usage)}


def _head(body: JsonObject, reply: Answer, number: int, *, kind: str) -> JsonObject:
    model = reply.model or body["model"]
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 1, "model": model}


def _usage(usage: tuple[int, int]) -> JsonObject:
    prompt, completion = usage
    return {
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
    }  # fmt: skip


def _pieces(said: str | None) -> list[str]:
    """Split before each word, so that the pieces together are the text."""
    words = (said or "").split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)] if said else []
