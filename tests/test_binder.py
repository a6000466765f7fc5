"""What a task's words bind: by name, pattern, surroundings, type; and when they bind nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.matching.binder import bind_task, explain_binding
from skillsmith.models import FileUse, FromInput, Node, Skill, Template, Variable

TODAY = date(2024, 5, 15)


def var(name: str, kind: Any, default: Any = None, **more: Any) -> Variable:
    """Return an input."""
    return Variable(name=name, type=kind, default=default, **more)


def skill(*variables: Variable, pattern: str = "", writes: str = "", reads: str = "") -> Skill:
    """Return a skill of these inputs that reads and writes the files some of them name."""
    node = Node(
        id="n1", kind="code", template=Template(text="pass"),
        reads=tuple(FileUse(path=FromInput(name)) for name in reads.split()),
        writes=tuple(FileUse(path=FromInput(name)) for name in writes.split()),
    )  # fmt: skip
    return Skill(name="s", variables=variables, task_pattern=pattern, nodes=(node,))


def bind(task: str, made: Skill, folder: Path = Path("/nonexistent")) -> dict[str, Any]:
    """Return what a task binds on a fixed day."""
    return bind_task(task, made, today=TODAY, folder=folder)


def test_a_task_that_is_the_pattern_binds_every_place() -> None:
    """Other values in the same words are found whole, whatever their type."""
    made = skill(
        var("path", "path", "a.csv"), var("column", "string", "region"), var("top", "integer", 5),
        pattern="Summarise {path} by {column} and keep the best {top}.",
    )  # fmt: skip
    got = explain_binding("summarise  sales q2.csv by product line and keep the best 12", made, today=TODAY)
    assert got["path"].value == "sales q2.csv"
    assert (got["column"].value, got["top"].value) == ("product line", 12)
    assert {one.rule for one in got.values()} == {"pattern"}


def test_a_place_that_can_be_read_two_ways_is_left_open() -> None:
    """When the text between places occurs twice, neither reading is taken."""
    made = skill(var("a", "string", "x"), var("b", "string", "y"), pattern="Post {a} in {b}")
    assert bind("Post news in brief in general", made) == {}


@pytest.mark.parametrize(
    ("task", "kind", "default", "name", "expected"),
    [
        ("Please cancel reservation XEHM4B for me", "id", "4WQ150", "reservation_id", "XEHM4B"),
        ("I am mei_lee_3920 and want to fly", "id", "ivan_muller_7015", "user_id", "mei_lee_3920"),
        ("Return #W7602708, thanks.", "id", "#W6067464", "order_id", "#W7602708"),
        ("Close INV-10.", "id", "INV-9", "invoice", "INV-10"),
        ("fly on May 22", "date", "2024-05-20", "day", "2024-05-22"),
        ("fly on the 3rd of June", "date", "2024-05-20", "day", "2024-06-03"),
        ("fly on 22 May 2023", "date", "2024-05-20", "day", "2023-05-22"),
        ("fly tomorrow", "date", "2024-05-20", "day", "2024-05-16"),
        ("fly on 31.12.2024", "date", "2024-05-20", "day", "2024-12-31"),
        ("I have 3 bags", "integer", 1, "total_baggages", 3),
        ("I have three checked bags", "integer", 1, "total_baggages", 3),
        ("give me the top 1,500 rows", "integer", 10, "row_limit", 1500),
        ("a budget of $99.50", "number", 10.0, "budget", 99.5),
        ("write to bob@example.org please", "email", "a@b.c", "email", "bob@example.org"),
        ("fetch https://x.org/a?b=1.", "url", "https://a.b", "url", "https://x.org/a?b=1"),
        ("plot data/run2.csv now", "path", "run1.csv", "path", "data/run2.csv"),
        ('plot "my data.csv" now', "path", "run1.csv", "path", "my data.csv"),
        ("set top_n=7", "integer", 5, "top_n", 7),
        ("top n: 7", "integer", 5, "top_n", 7),
        ("book it without insurance", "boolean", True, "insurance", False),
        ("book it with an insurance", "boolean", False, "include_insurance", True),
        ("exchange 1656367028, 4107812777 and 5565631513", "list", ["1615379700"], "item_ids",
         ["1656367028", "4107812777", "5565631513"]),
    ],
)  # fmt: skip
def test_values_are_found_by_type(task: str, kind: str, default: Any, name: str, expected: Any) -> None:
    """Without a pattern, a value of the right kind and likeness is found wherever it stands."""
    assert bind(task, skill(var(name, kind, default))) == {name: expected}


@pytest.mark.parametrize(
    ("task", "kind", "default", "name"),
    [
        ("What is the weather?", "id", "4WQ150", "reservation_id"),
        ("PLEASE cancel", "id", "4WQ150", "reservation_id"),
        ("I paid with gift_card_3892", "id", "ivan_muller_70150", "user_id"),
        ("compare XEHM4B with 4WQ150", "id", "NO6JO3", "reservation_id"),
        ("fly on 04/05/2024", "date", "2024-05-20", "day"),
        ("fly on May 22 or May 23", "date", "2024-05-20", "day"),
        ("the report of 2024", "integer", 10, "row_limit"),
        ("room 12 and seat 14", "integer", 10, "bags"),
        ("see https://x.org/data.csv", "path", "run1.csv", "path"),
        ("version 1.2.3 e.g. now", "path", "run1.csv", "path"),
        ('say "hello"', "string", "x", "greeting"),
        ("from general news", "string", "x", "topic"),
    ],
)
def test_no_evidence_and_equal_evidence_bind_nothing(task: str, kind: str, default: Any, name: str) -> None:
    """Nothing of the kind, or two candidates of equal standing: the input stays open."""
    assert bind(task, skill(var(name, kind, default))) == {}


def test_the_words_around_tell_like_values_apart() -> None:
    """Two values of one kind go where the words around them say, in whatever order they come."""
    made = skill(
        var("origin", "string", "JFK"), var("destination", "string", "SEA"), var("day", "date", "2024-05-20"),
        pattern="I want to fly from {origin} to {destination} on {day}.",
    )  # fmt: skip
    got = bind("On May 21 we shall fly from New York to Chicago on May 22.", made)
    assert got["day"] == "2024-05-22"
    made = skill(
        var("source", "id", "acc_anna_01"), var("target", "id", "acc_ben_02"),
        pattern="Move 5 from {source} to {target}",
    )  # fmt: skip
    got = bind("To acc_zoe_09, please, from acc_tom_04!", made)
    assert got == {"source": "acc_tom_04", "target": "acc_zoe_09"}


def test_like_statements_bind_in_their_order() -> None:
    """The same statement twice binds two like inputs in the order of the pattern."""
    made = skill(
        var("order_id", "id", "#W1000001"), var("order_id_2", "id", "#W1000002"),
        pattern="Cancel order {order_id}. Cancel order {order_id_2}.",
    )  # fmt: skip
    got = bind("Hello! Cancel order #W2000001. Cancel order #W2000002. Thanks", made)
    assert got == {"order_id": "#W2000001", "order_id_2": "#W2000002"}


def test_text_is_taken_from_between_the_words_around_it() -> None:
    """Free text binds where both sides agree with the pattern, up to the sentence's end."""
    made = skill(
        var("order_id", "id", "#W1"), var("reason", "string", "no longer needed"),
        pattern="You are calm. Cancel order {order_id} because {reason}.",
    )  # fmt: skip
    got = bind("You are in a hurry. Cancel order #W2 because ordered by mistake. Be polite.", made)
    assert got == {"order_id": "#W2", "reason": "ordered by mistake"}


def test_enums_bind_by_their_longest_value() -> None:
    """A "basic economy" seat is not "economy"; two different values bind nothing."""
    cabin = skill(var("cabin", "enum", "business", enum=("basic_economy", "economy", "business")))
    assert bind("a basic economy seat", cabin) == {"cabin": "basic_economy"}
    assert bind("an Economy seat", cabin) == {"cabin": "economy"}
    assert bind("economy or business?", cabin) == {}


def test_files_go_to_reader_and_writer(tmp_path: Path) -> None:
    """Of two files, the one that exists is read and the one written "to" is written."""
    (tmp_path / "q2.csv").write_text("x")
    made = skill(var("source", "path", "a.csv"), var("out", "path", "b.csv"), reads="source", writes="out")
    for task in ("Clean q2.csv and save it to clean.csv", "Into clean.csv goes the cleaned q2.csv"):
        assert bind(task, made, tmp_path) == {"source": "q2.csv", "out": "clean.csv"}


def test_a_wanted_format_changes_format_and_ending() -> None:
    """Asking "as PDF" sets the format input and the ending of the output file, in their own spelling."""
    made = skill(var("out", "path", "plot.png"), var("output_format", "string", "png"), writes="out")
    got = explain_binding("Plot the spectrum as PDF", made)
    assert {name: one.value for name, one in got.items()} == {"out": "plot.pdf", "output_format": "pdf"}
    assert {one.rule for one in got.values()} == {"format"}
    assert bind("Plot the spectrum as PNG", made) == {}
    assert bind("Plot it as CSV", made) == {}
    assert bind("Plot it to spectrum.svg", made)["out"] == "spectrum.svg"


def test_a_number_needs_a_witness_even_when_it_is_alone() -> None:
    """A lone number binds only where its name, unit or neighbours agree."""
    made = skill(var("top_n", "integer", 10), pattern="Show the top {top_n} products")
    assert bind("In 2024, list products", made) == {}
    assert bind("In 2024, give me the top 7 customers", made) == {"top_n": 7}


def test_evidence_is_told() -> None:
    """Each bound value says which words it came from and what speaks for it."""
    one = explain_binding("Cancel XEHM4B", skill(var("reservation_id", "id", "4WQ150")))["reservation_id"]
    assert "XEHM4B" in one.evidence
    assert "4WQ150" in one.evidence


def test_a_name_too_long_for_a_file_is_only_a_name() -> None:
    """What no file could be called, or no path can hold, is no error."""
    made = skill(var("path", "path", "a.csv"))
    assert bind(f'plot "{"x" * 5000}.csv" now', made) == {"path": "x" * 5000 + ".csv"}
    assert bind('plot "nul\0.csv" now', made)["path"].startswith("nul")


def test_braces_of_the_task_are_no_places() -> None:
    """Braces around anything but an input's name stand for themselves."""
    made = skill(var("order", "id", "#W1"), pattern="For {order}, use {'color': 'red'} and {size}")
    assert bind("For #W9, use {'color': 'blue'} and {size}", made) == {"order": "#W9"}


KINDS = {
    "string": "red", "integer": 3, "number": 2.5, "boolean": True, "date": "2024-05-20", "path": "a.csv",
    "url": "https://a.b", "email": "a@b.c", "id": "AB12CD", "list": ["A1", "B2"], "object": {},
}  # fmt: skip


WORDS = ["to", "from", "5", "May 22", "a.csv", "AB12CD", "x@y.z", '"q"', ".", "as PDF", "top"]
PATTERNS = ["", "from {a} to {b}", "{a}", "top {a}. as {b}", "{a}{b} and {a}", "x {c} {a} y {b}."]


@given(
    task=st.text(max_size=120) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
    pattern=st.sampled_from(PATTERNS),
    kinds=st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(KINDS))),
)
@settings(max_examples=250)
def test_any_task_binds_sound_values(task: str, pattern: str, kinds: tuple[str, str]) -> None:
    """Whatever the words, binding ends, and what it binds is of the input's type and the same each time."""
    made = skill(var("a", kinds[0], KINDS[kinds[0]]), var("b", kinds[1], KINDS[kinds[1]]), pattern=pattern)
    got = bind(task, made)
    assert got == bind(task, made)
    for name, kind in zip("ab", kinds, strict=True):
        if name in got:
            expected = {"integer": int, "number": (int, float), "boolean": bool, "list": list, "object": dict}
            assert isinstance(got[name], expected.get(kind, str))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("sort the tracks of Album A by the key tempo", {"key": "tempo"}),
        ("With the key tempo, please sort the tracks.", {"key": "tempo"}),
        ('sort by the key "beats per minute", newest first', {"key": "beats per minute"}),
        ("sort by the key of your choice", {}),
        ("sort by the key that fits", {}),
        ("sort by the key (tempo)", {}),
    ],
)
def test_the_words_on_one_side_suffice_where_the_value_ends_by_itself(
    task: str, expected: dict[str, str]
) -> None:
    """A value at the end of its sentence is found by the words before it, if it is as long as the default."""
    made = skill(var("key", "string", "title"), pattern="List all songs ordered by the key {key}.")
    assert bind(task, made) == expected


def test_what_is_quoted_binds_whole_and_takes_nothing_with_it() -> None:
    """A quoted place takes quoted text only, and no other text input takes a part of it or more than it."""
    made = skill(
        var("title", "string", "Old"), var("owner", "email", "a@b.org"), var("level", "string", "low"),
        pattern='Raise an alarm "{title}" of level {level}, owned by {owner}.',
    )  # fmt: skip
    got = bind('Raise an alarm "Pump of level two is hot" for eve@x.org of level high', made)
    assert got == {"title": "Pump of level two is hot", "owner": "eve@x.org", "level": "high"}
    got = bind('Raise a high level alarm "Leak", owned by eve@x.org', made)
    assert (got["title"], got.get("level")) == ("Leak", None)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("plot speed (x) against drag (y)", {"x": "speed", "y": "drag"}),
        ("plot wind speed (x) and drag (y)", {"x": "wind speed", "y": "drag"}),
        ("plot speed (km/h) (x) and drag (y)", {"x": "speed (km/h)", "y": "drag"}),
    ],
)
def test_brackets_of_the_pattern_stay_outside(task: str, expected: dict[str, str]) -> None:
    """A bracket without its other half is no part of a value; a whole pair is."""
    made = skill(var("x", "string", "mass"), var("y", "string", "lift"), pattern="plot {x} (x) and {y} (y)")
    assert bind(task, made) == expected


def test_names_are_found_where_the_pattern_has_one() -> None:
    """A capitalised value is found by its look and one small word; an enumeration of names is a list."""
    made = skill(
        var("city", "string", "Turin"), var("staff", "list", ["Ann", "Bob"]),
        pattern="Book a hall in {city} from June for {staff}.",
    )  # fmt: skip
    got = bind("We need Eve, Mo and Jim's deputy Al; they meet in Sao Paulo on Friday", made)
    assert got["city"] == "Sao Paulo"
    assert bind("Book a hall for Eve, Mo and Al in Bonn", made) == {
        "city": "Bonn", "staff": ["Eve", "Mo", "Al"],
    }  # fmt: skip
    assert bind("Please ask Maria to book a hall", made) == {}
    assert bind("Book a hall in Bari from 2024-06-01 for Eve and Mo", made)["city"] == "Bari"


def test_capitals_are_found_by_their_look() -> None:
    """A word in capitals stands for one in capitals, and no plain word does."""
    made = skill(var("level", "string", "ERROR"), pattern="Count the {level} lines per host")
    assert bind("Count WARN lines of each host", made) == {"level": "WARN"}
    assert bind("Show the most lines of each host", made) == {}


def test_numbers_need_a_telling_witness() -> None:
    """What a number counts must be said where the pattern says it; a year is known by its look."""
    made = skill(
        var("days", "integer", 14), var("year", "integer", 2027), pattern="Plan for {days} days in {year}."
    )
    assert bind("Plan for 3 days in 2031", made) == {"days": 3, "year": 2031}
    assert bind("Plan for 3 weeks, starting 2031", made) == {"year": 2031}
    assert bind("Plan fifteen days", made) == {"days": 15}


def test_the_recorded_value_is_bound_where_the_task_says_it() -> None:
    """Beside words of the pattern the recorded value counts as said; elsewhere it is a chance."""
    made = skill(var("folder", "string", "letters"), pattern="Write to all, one file each in {folder}/")
    got = explain_binding("Write to all in letters", made, today=TODAY)
    assert (got["folder"].value, got["folder"].rule) == ("letters", "as-recorded")
    assert bind("Write letters to all", made) == {}


def test_a_skill_for_any_task_gets_the_whole_task() -> None:
    """A skill whose pattern is one input alone, as prose skills have it, takes the task as it is said."""
    task = Variable(name="task", type="string", required=True)
    skill = Skill(name="prose", task_pattern="{task}", variables=(task,))
    bound = explain_binding("write a limerick about Bonn", skill)
    assert bound["task"].value == "write a limerick about Bonn"


@pytest.mark.parametrize(
    ("pattern", "kind", "default", "task", "expected"),
    [
        ("取消订单{value}并退款", "id", "A1234", "帮我把订单B5678取消", "B5678"),
        ("注文{value}をキャンセルする", "id", "A1234", "先日の注文B5678をキャンセルしてください", "B5678"),
        ("ยกเลิกคำสั่งซื้อ {value}", "id", "A1234", "ช่วยยกเลิกคำสั่งซื้อB5678หน่อย", "B5678"),
        ("发送邮件给{value}", "email", "a@x.org", "把报告发给bob@y.org吧", "bob@y.org"),
        ("发送{value}封邮件", "integer", 3, "请给李四发送5封邮件", 5),
        ("打开{value}看看", "url", "https://a.org", "请打开https://b.org/x并保存", "https://b.org/x"),
        ("{value}开会", "date", "2024-05-01", "请在2025-06-02开会", "2025-06-02"),
        ("查询{value}的天气", "string", "北京", "今天想查询北京的天气", "北京"),
        ("查询{value}的天气", "string", "北京", "请查询成都的天气", None),
        ("{value} 날씨 알려줘", "string", "서울", "부산 날씨 알려줘요", "부산"),
    ],
)
def test_values_end_where_a_script_without_spaces_begins(
    pattern: str, kind: Any, default: Any, task: str, expected: Any
) -> None:
    """Ids, numbers and addresses stand out from such a run; of texts in it only the known one does."""
    variable = Variable(name="value", type=kind, default=default, required=True)
    bound = bind_task(task, Skill(name="s", task_pattern=pattern, variables=(variable,)))
    assert bound.get("value") == expected
