"""Family: shell pipelines: errors by service, two tables joined, the largest entries of a list."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from _suite.model import Family, Source, Task, Turn, other_value, printed, text_is

ERRORS_FIRST = """\
grep ERROR syslog.txt | awk '{print $3}' | uniq -c | sort -rn | head -n 4
"""

ERRORS = """\
set -eu
grep -w ERROR syslog.txt | awk '{print $3}' | LC_ALL=C sort | uniq -c \\
  | LC_ALL=C sort -k1,1nr -k2,2 | head -n 4 | awk '{print $2 "," $1}' > errors.csv
wc -l < errors.csv
"""

JOIN = """\
set -eu
LC_ALL=C sort -t, -k1,1 users.csv > users.sorted
LC_ALL=C sort -t, -k2,2 payments.csv > payments.sorted
LC_ALL=C join -t, -1 1 -2 2 -o 1.2,2.3 users.sorted payments.sorted > joined.tmp
awk -F, '{sum[$1] += $2} END {for (name in sum) printf "%s,%d\\n", name, sum[name]}' joined.tmp \\
  | LC_ALL=C sort > totals.csv
rm users.sorted payments.sorted joined.tmp
cat totals.csv
"""

SERVICES = "auth cart search mail stock".split()
LEVELS = "INFO INFO INFO WARN ERROR DEBUG".split()
NAMES = "ada bo cem dora eli finn gül hana".split()


def entries(seed: int, count: int) -> list[tuple[str, str]]:
    """Return level and service of log lines."""
    draw = random.Random(seed)
    weights = [draw.random() + 0.1 for _ in SERVICES]
    return [(draw.choice(LEVELS), draw.choices(SERVICES, weights)[0]) for _ in range(count)]


def as_log(found: Sequence[tuple[str, str]]) -> str:
    """Write log lines; the texts hold the word as part of others."""
    return "".join(
        f"12:{number // 60 % 60:02}:{number % 60:02} {level} {service} step {number} NOERRORS\n"
        for number, (level, service) in enumerate(found)
    )


def errors_by_service(found: Sequence[tuple[str, str]], level: str, most: int) -> list[str]:
    """Return the lines of the table."""
    counts = Counter(service for one, service in found if one == level)
    order = sorted(counts, key=lambda service: (-counts[service], service))
    return [f"{service},{counts[service]}" for service in order[:most]]


def payments(seed: int, people: int, count: int) -> tuple[list[tuple[str, str]], list[tuple[int, str, int]]]:
    """Return users (id, name) and payments (number, user, amount)."""
    draw = random.Random(seed)
    users = [(f"u{100 + number}", f"{NAMES[number % 8]}{number}") for number in range(people)]
    paid = [(number, draw.choice(users)[0], draw.randint(1, 500)) for number in range(count)]
    return users, paid


def totals(users: Sequence[tuple[str, str]], paid: Sequence[tuple[int, str, int]]) -> list[str]:
    """Return the lines of the totals, in the order of bytes."""
    names, sums = dict(users), defaultdict[str, int](int)
    for _, user, amount in paid:
        sums[names[user]] += amount
    return sorted((f"{name},{amount}" for name, amount in sums.items()), key=lambda line: line.encode())


def _lines(rows: Sequence[Sequence[object]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


_USERS, _PAID = payments(42, 12, 60)

ERRORS_BY_SERVICE = Source(
    name="errors_by_service",
    task=(
        "From syslog.txt count the ERROR lines by service with shell tools and put the top 4 services into"
        " errors.csv"
    ),
    files={"syslog.txt": as_log(entries(41, 600))},
    checks=(text_is("errors.csv", errors_by_service(entries(41, 600), "ERROR", 4)),),
    turns=(
        Turn(agent="operator", text="A first look.", code=ERRORS_FIRST, language="bash"),
        Turn(agent="operator", text="uniq needs sorted lines, and NOERRORS is no error; now into the file.",
             code=ERRORS, language="bash", reasoning="The same service came several times."),
        Turn(agent="reviewer", text="errors.csv has four lines, the largest first. Approved."),
    ),
)  # fmt: skip

TOTALS = Source(
    name="payments_per_user",
    task="Join users.csv with payments.csv in the shell and write what each user paid in all to totals.csv",
    files={"users.csv": _lines(_USERS), "payments.csv": _lines(_PAID)},
    checks=(text_is("totals.csv", totals(_USERS, _PAID)),),
    turns=(
        Turn(agent="operator", text="sort, join and awk do that.", code=JOIN, language="bash"),
        Turn(agent="reviewer", text="totals.csv has one line per user. Approved."),
    ),
)  # fmt: skip


def _errors(
    words: str, name: str, target: str, *, seed: int, count: int, level: str = "ERROR", most: int = 4
) -> Task:
    found = entries(seed, count)
    changes = (("errors.csv", target), ("ERROR", level), (4, most))
    planted = tuple(other_value(was, now) for was, now in changes if was != now)
    return Task(
        words=words, skill=ERRORS_BY_SERVICE.name, files={name: as_log(found)}, planted=planted,
        checks=(text_is(target, errors_by_service(found, level, most)),),
    )  # fmt: skip


def _totals(words: str, users: str, paid: str, target: str, *, seed: int, people: int, count: int) -> Task:
    who, what = payments(seed, people, count)
    lines = totals(who, what)
    return Task(
        words=words, skill=TOTALS.name, files={users: _lines(who), paid: _lines(what)},
        planted=(other_value("totals.csv", target),) if target != "totals.csv" else (),
        checks=(text_is(target, lines), printed(lines[0], lines[-1])),
    )  # fmt: skip


FAMILY = Family(
    name="shell pipelines",
    sources=(ERRORS_BY_SERVICE, TOTALS),
    tasks=(
        _errors("Count the ERROR lines of app_tuesday.txt by service in the shell, top 4 services into"
                " tuesday.csv please.", "app_tuesday.txt", "tuesday.csv", seed=51, count=30000),
        _errors("From kernel.txt count the WARN lines by service with shell tools and put the top 4 services"
                " into warnings.csv", "kernel.txt", "warnings.csv", level="WARN", seed=52, count=9000),
        _errors("Which services have most ERROR lines in gateway.txt? Put the top 2 services into"
                " gateway.csv, using the shell.", "gateway.txt", "gateway.csv", most=2, seed=53, count=5000),
        _totals("Join members.csv with fees.csv in the shell and write what each user paid in all to"
                " fees_total.csv",
                "members.csv", "fees.csv", "fees_total.csv", seed=54, people=40, count=4000),
        _totals("What did each user in clients.csv pay in all? Join it with invoices.csv in the shell;"
                " the result goes to totals.csv.",
                "clients.csv", "invoices.csv", "totals.csv", seed=55, people=25, count=900),
    ),
)  # fmt: skip
