"""Whether a tool may change something outside, judged by its name.

A wrong "read" could drop a change that mattered, a wrong "write" only keeps a call too many: so whatever is
not plainly a read counts as a write.
"""

from __future__ import annotations

import re

from skillsmith.models import Effect

_READ_VERBS = frozenset(
    "analyse analyze calc calculate cat check compare compute count describe detect diff estimate "
    "evaluate examine explain explore fetch filter find get glob grep head has inspect is list load "
    "locate look lookup ls measure open parse peek ping predict preview query read recall reflect "
    "resolve retrieve scan search select show stat status summarise summarize tail test think thought "
    "translate validate verify view weigh whois".split()
)
_WRITE_VERBS = frozenset(
    "add append apply approve assign attach book buy cancel change charge clear close commit confirm copy "
    "create delete deploy disable drop edit enable exchange execute insert install issue merge modify move "
    "order patch pay post publish purchase push put refund register release remove rename replace reply "
    "reserve reset return revoke run save schedule send set sign start stop store submit subscribe sync "
    "transfer trigger unsubscribe update upload write".split()
)


def name_words(name: str) -> list[str]:
    """Split an identifier into lower-case words: ``getUserDetails`` → get, user, details."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.findall(r"[A-Za-z]+|\d+", spaced)]


def effect_of(tool: str) -> Effect:
    """Return "read" for tools that plainly only look, else "write"."""
    last = tool.rsplit("__", 1)[-1].rsplit(".", 1)[-1]  # MCP's server__tool, Python's module.tool
    words = name_words(last)
    if not words or _WRITE_VERBS & set(words[:1]):
        return "write"
    if words[0] in _READ_VERBS:
        return "read"
    # noun first: user_search, web_fetch, file-read
    if words[-1] in _READ_VERBS and not _WRITE_VERBS & set(words):
        return "read"
    return "write"
