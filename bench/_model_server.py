"""A model on 127.0.0.1 that speaks OpenAI's interface and waits as long as its address says.

    python bench/_model_server.py

It prints its port and serves until its standard input ends. ``/MILLISECONDS/v1/chat/completions`` asks for a
tool first and answers once it has the tool's result. Nothing here is part of what is measured, so it does as
little as HTTP allows.
"""

from __future__ import annotations

import itertools
import json
import socketserver
import sys
import threading
import time
from typing import Any

from _script import ANSWER, ARGUMENTS, COMPLETION_TOKENS, PROMPT_TOKENS, REASONING

_numbers = itertools.count(1)


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    """Return the completion of a request."""
    number = next(_numbers)
    message: dict[str, Any] = {"role": "assistant", "reasoning_content": REASONING, "content": ANSWER}
    reason = "stop"
    if request["messages"][-1]["role"] != "tool":
        function = {"name": "look_up", "arguments": ARGUMENTS}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        message |= {"content": "I look it up.", "tool_calls": [call]}
        reason = "tool_calls"
    return {
        "id": f"chat-{number}", "object": "chat.completion", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
        "usage": {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS,
                  "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS},
    }  # fmt: skip


class Handler(socketserver.StreamRequestHandler):
    """Serve one connection, which stays open."""

    disable_nagle_algorithm = True
    wbufsize = -1

    def handle(self) -> None:
        """Answer request after request."""
        while line := self.rfile.readline():
            seconds = int(line.split()[1].split(b"/")[1]) / 1000
            length = 0
            while (header := self.rfile.readline().lower()) not in (b"\r\n", b""):
                if header.startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            body = json.dumps(reply_to(json.loads(self.rfile.read(length)))).encode()
            if seconds:
                time.sleep(seconds)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)
            self.wfile.flush()


class Server(socketserver.ThreadingTCPServer):
    """A thread a connection."""

    daemon_threads = True
    allow_reuse_address = True


def main() -> None:
    """Serve."""
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
