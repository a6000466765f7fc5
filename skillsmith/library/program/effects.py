"""Whether a tool may change something outside, judged by its name.

A wrong "read" could drop a change that mattered, a wrong "write" only keeps a call too many: so whatever is
not plainly a read counts as a write.
"""

from __future__ import annotations

import re

from skillsmith.models import Effect

_READ_VERBS = frozenset(
    "analyse analyze calc calculate cat compare compute count describe detect diff estimate evaluate "
    "examine explain explore fetch find get glob grep head inspect is list locate look lookup ls measure "
    "peek ping predict preview query read recall reflect retrieve scan search show stat status summarise "
    "summarize tail think thought view weigh whois".split()
)
_WRITE_WORDS = frozenset(
    "accept activate add alter append apply approve archive assign attach ban block book buy cancel "
    "change charge clear close commit confirm copy create deactivate delete deny deploy disable drop "
    "edit enable exchange execute forward import insert install invite issue lock mark merge migrate "
    "modify move notify open order patch pay post provision publish purchase push put refund register "
    "reject release remove rename replace reply reserve reset resolve restart restore return revoke run "
    "sale save schedule send set sign start stop store submit subscribe swap sync transfer trigger "
    "unlock unsubscribe update upload upsert withdraw write".split()
)
_READ_PAIRS = frozenset(
    "check status;check availability;check balance;check weather;check price;check eligibility;"
    "validate input;validate address;verify identity;open file;open url;open page;load file;load data;"
    "load csv;load dataset;has permission;list order;list orders;get order;get orders;search order;"
    "search orders;find order;find orders;show order;show orders;read file;get status;query database;"
    "get post;get posts;list posts;read post;read posts;get run;list runs;get set".split(";")
)


_CHECKED = frozenset("availability balance eligibility health price status version weather".split())


def name_words(name: str) -> list[str]:
    """Split an identifier into lower-case words: ``getUserDetails`` → get, user, details."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.findall(r"[A-Za-z]+|\d+", spaced)]


_SQL_CHANGE = re.compile(
    r"\s*(?:alter|create|delete|drop|grant|insert|merge|replace|truncate|update)\b", re.IGNORECASE
)


def effect_of_call(tool: str, arguments: object) -> Effect:
    """Return what one call may do: a query tool that is given a changing SQL statement writes."""
    values = arguments.values() if isinstance(arguments, dict) else ()
    if any(isinstance(value, str) and _SQL_CHANGE.match(value) for value in values) and (
        {"sql", "query", "database", "db"} & set(name_words(tool))
    ):
        return "write"
    return effect_of(tool)


def effect_of(tool: str) -> Effect:
    """Return "read" for tools that plainly only look, else "write"."""
    last = tool.rsplit("__", 1)[-1].rsplit(".", 1)[-1]  # MCP's server__tool, Python's module.tool
    words = name_words(last)
    if " ".join(words[:2]) in _READ_PAIRS and not _WRITE_WORDS & set(words[2:]):
        return "read"
    if words[:1] in (["check"], ["verify"], ["validate"]) and words[-1] in _CHECKED:
        return "read"
    if not words or _WRITE_WORDS & set(words):
        return "write"
    # noun first: user_search, web_fetch, file-read
    return "read" if words[0] in _READ_VERBS or words[-1] in _READ_VERBS else "write"
