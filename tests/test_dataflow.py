from __future__ import annotations

import cProfile
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.dataflow import Flow, trace
from skillsmith.library.program.bindings import normalise_result, resolve, sources
from skillsmith.library.program.effects import effect_of
from skillsmith.library.trace.calls import Call, Said
from skillsmith.library.trace.naming import VariableSet
from skillsmith.models import Constant, FromInput, FromNode, ObjectOf, Text, Where

PROFILE = {
    "payment_methods": {
        "card_11111": {"id": "card_11111", "last_four": "7334"},
        "card_22222": {"id": "card_22222", "last_four": "5018"},
    },
    "reservations": ["M20IZO", "NQNU5R"],
}


def calls(*steps: tuple[str, dict[str, Any], Any]) -> list[Call]:
    """Make calls at 10, 20, …, each answered five later; an Exception is an error."""
    return [
        Call(
            seq=10 * number, name=name, arguments=arguments, effect=effect_of(name),
            result_seq=10 * number + 5, result=None if isinstance(result, Exception) else result,
            error=str(result) if isinstance(result, Exception) else None,
        )
        for number, (name, arguments, result) in enumerate(steps, 1)
    ]  # fmt: skip


def flow_of(words: str, *steps: tuple[str, dict[str, Any], Any]) -> Flow:
    """Trace calls made after a person said the words."""
    return trace(calls(*steps), [Said(1, "user", words)], variables=VariableSet.empty())


def reasons(flow: Flow) -> dict[str, tuple[str, str]]:
    """Return decision and rule by subject."""
    return {reason.subject: (reason.decision, reason.rule) for reason in flow.reasons}


def test_what_a_person_said_becomes_an_input() -> None:
    """A value from the user's words is an input, named as the tool's parameter, typed, explained."""
    flow = flow_of("Cancel NQNU5R please", ("cancel_reservation", {"reservation_id": "NQNU5R"}, "ok"))
    assert flow.kept[0].arguments == {"reservation_id": FromInput("reservation_id")}
    variable = flow.variables.all({"reservation_id"})[0]
    assert (variable.type, variable.default, variable.required) == ("id", "NQNU5R", True)
    assert reasons(flow)["n1.reservation_id"] == ("input", "user-words")


def test_what_an_earlier_result_held_becomes_a_flow() -> None:
    """A value that nobody said but a result held is read from there, and the read is kept for it."""
    flow = flow_of(
        "I am ivan_muller_7015, cancel my second trip",
        ("get_user_details", {"user_id": "ivan_muller_7015"}, PROFILE),
        ("cancel_reservation", {"reservation_id": "NQNU5R"}, "ok"),
    )
    assert flow.kept[1].arguments["reservation_id"] == FromNode("n1", ("reservations", 1))


def test_a_record_is_selected_by_what_the_user_said() -> None:
    """Where a field of the record was said, the path selects by it instead of by key or position."""
    flow = flow_of(
        "I am ivan_muller_7015; pay with the card ending in 7334",
        ("get_user_details", {"user_id": "ivan_muller_7015"}, PROFILE),
        ("pay", {"payment_id": "card_11111"}, "ok"),
    )
    binding = flow.kept[1].arguments["payment_id"]
    assert binding == FromNode("n1", ("payment_methods", Where("last_four", FromInput("last_four")), "id"))
    other = {"user_id": "ivan_muller_7015", "last_four": "5018"}
    assert resolve(binding, other, {"n1": PROFILE}) == "card_22222"


def test_failed_attempts_and_unused_reads_are_left_out_with_reasons() -> None:
    """Failed attempts and reads that nothing uses are not part of the skill; each omission says why."""
    flow = flow_of(
        "cancel NQNU5R",
        ("get_weather", {"city": "Paris"}, {"sky": "grey"}),
        ("cancel_reservation", {"reservation_id": "nqnu5r"}, ValueError("no such reservation")),
        ("cancel_reservation", {"reservation_id": "NQNU5R"}, "ok"),
    )
    assert [bound.call.seq for bound in flow.kept] == [30]
    assert reasons(flow)["call 10 get_weather"] == ("left_out", "result-unused")
    assert reasons(flow)["call 20 cancel_reservation"] == ("left_out", "failed-and-replaced")


def test_a_call_that_only_hands_over_is_left_out() -> None:
    """Which agent goes on is the run's business: such a call is no part of the skill."""
    handed, cancelled = calls(
        ("send_to_clerk", {"reservation_id": "NQNU5R"}, {"target": "clerk"}),
        ("cancel_reservation", {"reservation_id": "NQNU5R"}, "ok"),
    )
    spoken = [Said(1, "user", "cancel NQNU5R")]
    flow = trace([replace(handed, routes=True), cancelled], spoken, variables=VariableSet.empty())
    assert [bound.call.name for bound in flow.kept] == ["cancel_reservation"]
    assert reasons(flow)[handed.label] == ("left_out", "hand-over")


def test_a_successful_write_is_never_dropped() -> None:
    """Every change that succeeded is kept, also one whose arguments nothing explains."""
    flow = flow_of("do it", ("frobnicate", {"x": "zzzz-zzzz"}, ""), ("cancel_order", {"order": "W77"}, None))
    assert len(flow.kept) == 2
    assert reasons(flow)["n1.x"] == ("constant", "no-source")


def test_short_values_need_a_second_witness() -> None:
    """A short value binds to a result only under its own name, otherwise it stays constant and says so."""
    flow = flow_of(
        "go",
        ("get_order", {"order": "W7700"}, {"items": 1, "insurance": "no"}),
        ("book_order", {"count": 1, "insurance": "no"}, "ok"),
    )
    arguments = flow.kept[-1].arguments
    assert arguments["insurance"] == FromNode("n1", ("insurance",))
    assert arguments["count"] == Constant(1)
    assert reasons(flow)["n2.count"] == ("constant", "short-or-common")


def test_figures_inside_an_expression_flow_from_results() -> None:
    """An expression put together from earlier figures is rebuilt from them."""
    flow = flow_of(
        "what does it cost",
        (
            "search_flight",
            {"origin": "JFK"},
            [{"number": "HAT1", "price": 282}, {"number": "HAT2", "price": 443}],
        ),
        ("calculate", {"expression": "(282 + 443) * 2"}, 1450.0),
    )
    expression = flow.kept[1].arguments["expression"]
    assert isinstance(expression, Text)
    other = [{"number": "HAT1", "price": 100}, {"number": "HAT2", "price": 200}]
    assert resolve(expression, {}, {"n1": other}) == "(100 + 200) * 2"


def test_numbers_keep_their_json_type() -> None:
    """A figure read from text or a float arrives as the integer that the call had."""
    flow = flow_of("go", ("calculate", {"expression": "1+1"}, 1247.0), ("pay", {"amount": 1247}, "ok"))
    assert resolve(flow.kept[1].arguments["amount"], {}, {"n1": 1247.0}) == 1247
    assert flow.kept[1].arguments["amount"] == FromNode("n1", (), "integer")


def test_text_results_are_read_between_anchors() -> None:
    """A value in a sentence is found again by the words around it."""
    flow = flow_of(
        "go",
        ("create_ticket", {"title": "x"}, "Created ticket TCK-8841, thanks."),
        ("close", {"id": "TCK-8841"}, ""),
    )
    binding = flow.kept[1].arguments["id"]
    assert resolve(binding, {}, {"n1": "Created ticket TCK-9999, thanks."}) == "TCK-9999"


def test_a_run_that_only_looked_keeps_its_reads() -> None:
    """When nothing was changed, the reads are the skill, each question once, empty thoughts left out."""
    flow = flow_of(
        "status of W7700?",
        ("think", {"thought": "hm"}, ""),
        ("get_order", {"order": "W7700"}, {"status": "sent"}),
        ("get_order", {"order": "W7700"}, {"status": "sent"}),
    )
    assert [bound.call.seq for bound in flow.kept] == [30]


json_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-10**6, 10**6), st.text(max_size=12),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)  # fmt: skip
json_values = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["get_a", "update_b", "search_c", "send_d"]),
            st.dictionaries(st.sampled_from(["id", "name", "count", "items"]), json_values, max_size=3),
            json_values,
        ),
        max_size=6,
    ),
    st.text(max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_every_kept_call_is_regenerated_exactly(steps: list[Any], words: str) -> None:
    """Whatever the run: inputs' defaults and recorded results give back the recorded arguments exactly."""
    flow = flow_of(words, *steps)
    results = {flow.names[f"call{bound.call.seq}"]: bound.call.result for bound in flow.kept}
    defaults = flow.variables.defaults()
    for bound in flow.kept:
        got = {name: resolve(binding, defaults, results) for name, binding in bound.arguments.items()}
        assert orjson.dumps(got) == orjson.dumps(bound.call.arguments)
    kept = {bound.call.seq for bound in flow.kept}
    assert all(call.seq in kept for call in calls(*steps) if call.effect == "write")


def test_flows_only_read_what_was_known() -> None:
    """A result that came back after the call cannot be its source."""
    early = Call(seq=1, name="get_x", arguments={}, effect="read", result_seq=9, result={"id": "LATE-4711"})
    late = Call(seq=2, name="send", arguments={"id": "LATE-4711"}, effect="write", result_seq=10, result="ok")
    flow = trace([early, late], [], variables=VariableSet.empty())
    assert not list(sources(ObjectOf(tuple(flow.kept[0].arguments.items()))))


def test_texts_carry_what_other_calls_were_given_of_the_words() -> None:
    """A text put together follows a phrase and a number that people said, and an id from a result."""
    flow = flow_of(
        'Open a case "Lamp 3 flickers" and order 40 bulbs',
        ("open_case", {"title": "Lamp 3 flickers"}, {"case": 507}),
        ("create_order", {"bulbs": 40}, {"order": "PO-1"}),
        ("close_case", {"case": 507}, {"case": 507}),
        ("send_note", {"text": "Case 507: Lamp 3 flickers, 40 bulbs in PO-1"}, "ok"),
    )
    assert flow.kept[3].arguments["text"] == Text((
        "Case ", FromNode("n1", ("case",), None), ": ", FromInput("title"), ", ", FromInput("bulbs"),
        " bulbs in ", FromNode("n2", ("order",), None),
    ))  # fmt: skip


def test_numbers_in_texts_stay_where_the_call_itself_would_not_follow() -> None:
    """A number of another thing, or one that a call has as a constant, is not lifted from a text."""
    flow = flow_of("Order 40 bulbs", ("send_note", {"text": "Room 40 is dark"}, "ok"))
    assert flow.kept[0].arguments["text"] == Constant("Room 40 is dark")
    flow = flow_of(
        "Order 40 bulbs",
        ("create_order", {"quantity": 40}, "done"),
        ("send_note", {"text": "Now 40 bulbs"}, "ok"),
    )
    assert flow.kept[1].arguments["text"] == Constant("Now 40 bulbs")


CONTACT = {"id": "C10477", "city": "Oslo", "iata": "OSL", "tags": ["new"]}


@pytest.mark.parametrize(
    "result",
    [
        json.dumps({"status": "ok", "data": json.dumps(CONTACT)}),
        json.dumps({"content": [{"type": "text", "text": json.dumps(CONTACT)}]}),
        "Found it:\n```json\n" + json.dumps(CONTACT) + "\n```",
        repr(CONTACT),
        "id: C10477\ncity: Oslo\niata: OSL",
        "| id | iata |\n|---|---|\n| C10477 | OSL |",
        "id,iata\nC10477,OSL",
        "The contact id is C10477; the iata is OSL.",
        "<id>C10477</id><iata>OSL</iata>",
    ],
)
def test_results_are_read_in_whatever_form_they_come(result: str) -> None:
    """An id, and a short code under the argument's name, flow from JSON in text, tables, lines, sentences."""
    flow = flow_of(
        "Write to my contact",
        ("get_contact", {}, normalise_result(result)),
        ("send_mail", {"contact_id": "C10477", "iata": "OSL"}, "sent"),
    )
    bound = flow.kept[-1].arguments
    assert all(isinstance(one, FromNode) for one in bound.values()), bound
    again = normalise_result(result.replace("C10477", "C20588").replace("OSL", "LIM"))
    assert [resolve(one, {}, {"n1": again}) for one in bound.values()] == ["C20588", "LIM"]


def test_a_row_of_a_table_is_selected_by_what_the_user_said() -> None:
    """A table's rows are records: the one that the user names is found by that name."""
    table = "| name | ticket |\n|---|---|\n| Ann Lee | T-4711 |\n| Bo Ray | T-4712 |"
    flow = flow_of(
        "Close the ticket of Bo Ray",
        ("list_tickets", {}, table),
        ("close_ticket", {"ticket": "T-4712"}, "ok"),
    )
    (path,) = [one.path for one in sources(flow.kept[1].arguments["ticket"]) if isinstance(one, FromNode)]
    assert path == (Where("name", FromInput("name")), "ticket")


def test_amounts_flow_out_of_formatted_text() -> None:
    """A number that a result writes with currency and thousands is read as the number that was passed on."""
    flow = flow_of(
        "Pay my bill", ("get_bill", {}, {"due": "$1,377.00"}), ("pay_bill", {"amount": 1377}, "paid")
    )
    assert flow.kept[1].arguments["amount"] == FromNode("n1", ("due",), "integer")


def test_names_are_the_same_however_they_are_written() -> None:
    """A short value flows from a field whose name differs only in style."""
    flow = flow_of(
        "Go on",
        ("get_trip", {}, {"fromAirport": "OSL", "toAirport": "LIM", "stops": ["OSL", "LIM"]}),
        ("book_trip", {"from_airport": "OSL", "to_airport": "LIM"}, "ok"),
    )
    assert flow.kept[1].arguments == {
        "from_airport": FromNode("n1", ("fromAirport",), None),
        "to_airport": FromNode("n1", ("toAirport",), None),
    }


def test_a_long_number_does_not_stand_in_words_by_chance() -> None:
    """An account's number that a person said is their words, though a result has it under that name."""
    flow = flow_of(
        "It is about 48151623, cancel it",
        ("get_order", {"order_id": 48151623}, {"order_id": 48151623, "open": True}),
        ("cancel_order", {"order_id": 48151623}, "ok"),
    )
    assert flow.kept[0].arguments == {"order_id": FromInput("order_id")}


@pytest.mark.parametrize("form", ["json", "text"])
def test_tracing_a_long_run_is_not_quadratic(form: str) -> None:
    """Four times the calls take about four times the work, counted in function calls."""

    def work(count: int) -> int:
        steps = []
        for number in range(count):
            made: Any = {"id": f"item_{number:05}", "state": "open", "rank": number % 3}
            made = made if form == "json" else f"Made a new item: item_{number:05}, open"
            given = {"item": f"item_{number - 1:05}", "rank": number % 3, "note": f"note {number} here"}
            steps.append((("make_item", "get_item")[number % 2], given, made))
        made_calls, profile = calls(*steps), cProfile.Profile()
        profile.enable()
        trace(made_calls, [Said(1, "user", "Make them all")], variables=VariableSet.empty())
        profile.disable()
        return sum(entry.callcount for entry in profile.getstats())

    work(10)
    assert work(600) < 6 * work(150)
