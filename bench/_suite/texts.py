"""Family: text: what an access log says, how often words occur, letters from a template."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from _suite.formats import as_csv
from _suite.model import Check, Done, Family, Planted, Source, Task, Turn, other_value, printed, text_is

LOG_FIRST = """\
from collections import Counter

clients = Counter()
with open("access_monday.log") as source:
    for line in source:
        clients[line.split()[0]] += 1
print(clients.most_common(5))
"""

LOG = """\
import re
from collections import Counter

TOP = 5
LINE = re.compile(r'(?P<client>\\S+) \\S+ \\S+ \\[[^\\]]+\\] "[^"]*" (?P<status>\\d{3}) \\d+')
clients, errors = Counter(), 0
with open("access_monday.log") as source:
    for line in source:
        found = LINE.match(line)
        if not found:
            continue
        clients[found["client"]] += 1
        errors += int(found["status"]) >= 500
ranked = sorted(clients.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
with open("report_monday.txt", "w") as target:
    for client, count in ranked:
        target.write(f"{client} {count}\\n")
    target.write(f"server errors: {errors}\\n")
print(f"{sum(clients.values())} requests, {errors} server errors")
"""

WORDS = """\
import re
from collections import Counter

MIN_LENGTH = 4
MOST = 10
with open("speech.txt", encoding="utf-8") as source:
    words = re.findall(r"[a-z]+", source.read().lower())
counts = Counter(word for word in words if len(word) >= MIN_LENGTH)
ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]
with open("counts.csv", "w") as target:
    target.write("word,count\\n")
    for word, count in ranked:
        target.write(f"{word},{count}\\n")
print(f"{len(counts)} different words")
"""

LETTERS_FIRST = """\
import csv

template = open("invitation.txt", encoding="utf-8").read()
with open("guests.csv", newline="", encoding="utf-8") as source:
    for guest in csv.DictReader(source):
        print(template.format(**guest))
"""

LETTERS = """\
import csv
from pathlib import Path
from string import Template

template = Template(Path("invitation.txt").read_text(encoding="utf-8"))
Path("letters").mkdir(exist_ok=True)
count = 0
with open("guests.csv", newline="", encoding="utf-8") as source:
    for guest in csv.DictReader(source):
        text = template.substitute(guest)
        Path("letters", guest["name"].lower().replace(" ", "_") + ".txt").write_text(text, encoding="utf-8")
        count += 1
print(f"{count} letters")
"""

SYLLABLES = "ka lo mi ru se ta vo ne pi du fa go".split()


def requests(seed: int, count: int) -> list[tuple[str, int] | None]:
    """Return the requests of a log, client and status; None stands for a broken line."""
    draw = random.Random(seed)
    clients = [f"10.0.{draw.randint(0, 9)}.{draw.randint(1, 99)}" for _ in range(30)]
    weights = [1 / (place + 1) for place in range(len(clients))]
    kinds = [200] * 14 + [301, 404, 404, 500, 502, 503]
    return [
        None if draw.random() < 0.01 else (draw.choices(clients, weights)[0], draw.choice(kinds))
        for _ in range(count)
    ]


def log_of(found: Sequence[tuple[str, int] | None]) -> str:
    """Write a log in the common format."""
    lines = []
    for number, one in enumerate(found):
        stamp = f"[02/Mar/2026:{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02} +0000]"
        line = (
            f'{one[0]} - - {stamp} "GET /page/{number % 17} HTTP/1.1" {one[1]} 512' if one else "-- MARK --"
        )
        lines.append(line)
    return "\n".join(lines) + "\n"


def log_report(found: Sequence[tuple[str, int] | None], top: int) -> list[str]:
    """Return what the report has to say."""
    clients = Counter(one[0] for one in found if one)
    order = sorted(clients, key=lambda client: (-clients[client], client))
    errors = sum(one[1] // 100 == 5 for one in found if one)
    return [*(f"{client} {clients[client]}" for client in order[:top]), f"server errors: {errors}"]


def prose(seed: int, count: int) -> str:
    """Return text made of syllables, with sentences and lines."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(60)]
    text = [draw.choice(words) + draw.choice(["", "", "", "", ",", ".", "\n"]) for _ in range(count)]
    return " ".join(word.capitalize() if draw.random() < 0.1 else word for word in text)


def word_table(text: str, shortest: int, most: int) -> list[str]:
    """Return the lines of the table of words."""
    counts: dict[str, int] = {}
    for word in re.split(r"[^a-zA-Z]+", text):
        if len(word) >= shortest:
            counts[word.lower()] = counts.get(word.lower(), 0) + 1
    order = sorted(counts, key=lambda word: (-counts[word], word))[:most]
    return ["word,count", *(f"{word},{counts[word]}" for word in order)]


def people(seed: int, count: int) -> list[dict[str, str]]:
    """Return people with a name, a city and a date."""
    draw = random.Random(seed)
    return [
        {
            "name": f"{draw.choice('Ada Bo Cem Dora Eli'.split())}"
                    f" {draw.choice('Lund Roth Vik'.split())}{number}",
            "city": draw.choice("Oslo Graz Lyon".split()),
            "date": f"2026-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}",
        }
        for number in range(count)
    ]  # fmt: skip


INVITATION = "Dear $name,\n\nyou are invited to ${city} on $date.\nIt costs $$5 {at most}.\n"
REMINDER = "Hello $name!\nPlease remember: $date, in $city.\n"


def are_written(folder: str, guests: Sequence[dict[str, str]], template: str) -> Check:
    """Check every letter; the places are filled here by plain replacement."""

    def check(done: Done) -> list[str]:
        problems: list[str] = []
        for guest in guests:
            text = template
            for name, value in guest.items():
                text = text.replace("${" + name + "}", value).replace("$" + name, value)
            path = f"{folder}/{guest['name'].lower().replace(' ', '_')}.txt"
            problems += text_is(path, text.replace("$$", "$").splitlines())(done)
        return problems

    return check


LOG_REPORT = Source(
    name="access_log_report",
    task=(
        "Analyse the web server log access_monday.log: list the 5 clients with the most requests and the"
        " number of server errors (status 500 and above) in report_monday.txt"
    ),
    files={"access_monday.log": log_of(requests(5, 400))},
    checks=(text_is("report_monday.txt", log_report(requests(5, 400), 5)),),
    turns=(
        Turn(agent="engineer", text="A first count of the clients.", code=LOG_FIRST),
        Turn(agent="engineer", text="Some lines are no requests; I parse them properly and write the report.",
             code=LOG, reasoning="'--' is among the clients: a MARK line."),
        Turn(agent="reviewer", text="The report has five clients and the number of errors. Approved."),
    ),
)  # fmt: skip

WORD_COUNT = Source(
    name="word_counts",
    task=(
        "Count the words in speech.txt, without words shorter than 4 letters, and put the 10 most frequent"
        " into counts.csv"
    ),
    files={"speech.txt": prose(6, 500)},
    checks=(text_is("counts.csv", word_table(prose(6, 500), 4, 10)),),
    turns=(
        Turn(agent="engineer", text="Lower case, letters only, then the ten most frequent.", code=WORDS),
        Turn(agent="reviewer", text="Ten lines under the header. Approved."),
    ),
)  # fmt: skip

MERGE = Source(
    name="letters_from_template",
    task="Write a letter to everybody in guests.csv with the template invitation.txt, one file each in"
         " letters/",
    files={"guests.csv": as_csv(people(7, 6)), "invitation.txt": INVITATION},
    checks=(printed("6 letters"), are_written("letters", people(7, 6), INVITATION)),
    turns=(
        Turn(agent="engineer", text="Let me fill the template in.", code=LETTERS_FIRST),
        Turn(agent="engineer", text="The template marks its places with dollar signs.", code=LETTERS,
             reasoning="KeyError: 'at most' – str.format is wrong for this template."),
        Turn(agent="reviewer", text="Six letters, all places filled. Approved."),
    ),
)  # fmt: skip


def _log(words: str, name: str, target: str, *, top: int, seed: int, count: int) -> Task:
    found = requests(seed, count)
    planted = [other_value("report_monday.txt", target)] + [other_value(5, top)] * (top != 5)
    return Task(
        words=words, skill=LOG_REPORT.name, files={name: log_of(found)}, planted=tuple(planted),
        checks=(text_is(target, log_report(found, top)),),
    )  # fmt: skip


def _count(words: str, name: str, target: str, *, shortest: int, most: int, seed: int, count: int) -> Task:
    text = prose(seed, count)
    changes = (("counts.csv", target), (4, shortest), (10, most))
    planted = tuple(other_value(was, now) for was, now in changes if was != now)
    return Task(
        words=words, skill=WORD_COUNT.name, files={name: text}, planted=planted,
        checks=(text_is(target, word_table(text, shortest, most)),),
    )  # fmt: skip


def _letters(words: str, name: str, template: str, text: str, folder: str, *, seed: int, count: int) -> Task:
    guests = people(seed, count)
    planted: tuple[Planted, ...] = (other_value("letters", folder),) if folder != "letters" else ()
    return Task(
        words=words, skill=MERGE.name, files={name: as_csv(guests), template: text}, planted=planted,
        checks=(printed(f"{count} letters"), are_written(folder, guests, text)),
    )  # fmt: skip


FAMILY = Family(
    name="text",
    sources=(LOG_REPORT, WORD_COUNT, MERGE),
    tasks=(
        _log("Please go through the web server log access_friday.log and list the 5 clients with most"
             " requests and how many server errors there were in report_friday.txt",
             "access_friday.log", "report_friday.txt", top=5, seed=31, count=20000),
        _log("Analyse access_night.log: I want the 12 clients with the most requests and the number of server"
             " errors, in night.txt", "access_night.log", "night.txt", top=12, seed=32, count=8000),
        _count("Count the words in sermon.txt, leaving out words shorter than 5 letters, and put the 20 most"
               " frequent into sermon.csv",
                "sermon.txt", "sermon.csv", shortest=5, most=20, seed=33, count=20000),
        _count("Which are the 10 most frequent words in novel.txt? Words shorter than 4 letters do not count."
               " Save them to novel_words.csv.",
               "novel.txt", "novel_words.csv", shortest=4, most=10, seed=34, count=60000),
        _letters("Write a letter to everybody in members.csv using the template reminder.txt",
                 "members.csv", "reminder.txt", REMINDER, "letters", seed=35, count=25),
        _letters("Please write letters to all people in team.csv with the template welcome.txt, one file"
                 " each.",
                 "team.csv", "welcome.txt", INVITATION, "letters", seed=36, count=60),
    ),
)  # fmt: skip
