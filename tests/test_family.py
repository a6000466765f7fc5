from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from family_runs import ORDERS, Made, cancel, look, refund, reship, traced

from skillsmith.errors import ExtractionError
from skillsmith.library.families.fitting import fit
from skillsmith.library.families.generalises import reconstructs_all
from skillsmith.library.families.merging import family_skill
from skillsmith.library.program.bindings import show
from skillsmith.library.program.document import from_document, to_document
from skillsmith.library.program.validation import validate_skill
from skillsmith.library.trace.align import TracedRun
from skillsmith.models import Skill


def made(*runs: TracedRun, failed: tuple[TracedRun, ...] = ()) -> Skill:
    """Return the family's skill, after making sure that it is sound and does what all runs did."""
    skill = family_skill(runs, failed)
    assert [one for one in validate_skill(skill) if "name" not in one] == []
    proof = reconstructs_all(skill, runs)
    assert proof.passed, proof.failures
    return skill


def bound(skill: Skill, tool: str) -> dict[str, str]:
    """Return how people see the arguments of a tool's node."""
    node = next(node for node in skill.nodes if node.tool == tool)
    return {name: show(binding) for name, binding in node.arguments.items()}


def test_what_differs_becomes_an_input_and_what_flows_stays_a_flow() -> None:
    """Ids said by people are one required input; what a look gives in every run is read from it."""
    skill = made(
        traced("Cancel W7701 and refund 12.25", [look("W7701"), cancel("W7701"), refund("W7701", 12.25)]),
        traced("Cancel W7702 and refund 44.75", [look("W7702"), cancel("W7702"), refund("W7702", 44.75)]),
    )
    assert [node.tool for node in skill.nodes] == ["get_order", "cancel_order", "send_refund"]
    assert bound(skill, "cancel_order") == {"order_id": "{order_id}"}
    assert bound(skill, "send_refund") == {"customer_id": "n1 → customer.id", "amount": "{amount}"}
    assert [(one.name, one.type, one.required) for one in skill.variables] == [
        ("order_id", "id", True), ("amount", "number", True),
    ]  # fmt: skip
    assert skill.nodes[0].id in skill.nodes[1].after, "a look before a change stays before it"
    assert skill.task_pattern == "Cancel {order_id} and refund {amount}"


def test_one_or_three_becomes_a_loop_over_an_input_list() -> None:
    """What one run did for one order and another for three is one node with a list."""
    skill = made(
        traced("Cancel W7701", [cancel("W7701")]),
        traced("Cancel W7701, W7702 and W7703", [cancel(order) for order in ORDERS]),
    )
    (node,) = skill.nodes
    assert node.for_each is not None
    assert (show(node.for_each), bound(skill, "cancel_order")) == ("{order_ids}", {"order_id": "item"})
    assert [(one.name, one.type) for one in skill.variables] == [("order_ids", "list")]
    reason = next(one for one in skill.why if one.rule == "repeated-step")
    assert "1 to 3 times a run in 2 of 2 runs" in reason.detail


def test_a_loop_goes_over_a_list_in_an_earlier_result() -> None:
    """When every run did it for all items of a list that it had looked up, nothing need be given."""

    def stop_all(customer: str, orders: list[str]) -> list[Made]:
        listed = ("list_orders", {"customer_id": customer}, {"orders": [{"id": one} for one in orders]})
        return [listed, *(cancel(one) for one in orders)]

    skill = made(
        traced("Cancel all orders of c_881", stop_all("c_881", ["W7701"])),
        traced("Cancel all orders of c_882", stop_all("c_882", ["W7702", "W7703"])),
    )
    assert [(node.tool, node.for_each and show(node.for_each)) for node in skill.nodes] == [
        ("list_orders", None), ("cancel_order", "n1 → orders"),
    ]  # fmt: skip
    assert bound(skill, "cancel_order") == {"order_id": "item → id"}


def test_what_is_looked_up_for_each_item_is_a_loop_before_the_loop() -> None:
    """A change that needs what was looked up for its item reads the item's look."""

    def refunds(*orders: str) -> list[Made]:
        steps: list[Made] = []
        for order in orders:
            steps += [look(order)]
        for order in orders:
            price = ORDERS[order]["lines"][0]["price"]
            arguments = {"customer_id": ORDERS[order]["customer"]["id"], "price": price}
            steps += [("refund_first", arguments, "ok")]
        return steps

    skill = made(
        traced("Refund the first line of W7701", refunds("W7701")),
        traced("Refund the first lines of W7702 and W7703", refunds("W7702", "W7703")),
    )
    assert [(node.tool, node.for_each and show(node.for_each)) for node in skill.nodes] == [
        ("get_order", "{order_ids}"), ("refund_first", "n1 → whole result"),
    ]  # fmt: skip
    assert bound(skill, "refund_first") == {
        "customer_id": "item → customer.id", "price": "item → lines[0].price",
    }  # fmt: skip


def test_a_list_made_of_an_earlier_list_is_made_item_by_item() -> None:
    """Lists of other lengths are one binding when each item comes from the item at its place."""
    skill = made(
        traced("Ship W7701 again", [look("W7701"), reship("W7701")]),
        traced("Ship W7702 again", [look("W7702"), reship("W7702")]),
    )
    assert bound(skill, "ship_lines")["lines"] == (
        "[{sku: item → sku, count: item → count} for each item of n1 → lines]"
    )
    left = traced("Ship W7703 again", [look("W7703"), reship("W7703")])
    assert fit(skill, left).problem is None


def test_what_only_some_runs_did_waits_until_it_is_given() -> None:
    """Nothing is done unasked that a run went without: the input has no default."""
    skill = made(
        traced("Cancel W7701", [look("W7701"), cancel("W7701")]),
        traced("Cancel W7702 and refund 44.75", [look("W7702"), cancel("W7702"), refund("W7702", 44.75)]),
    )
    node = next(node for node in skill.nodes if node.tool == "send_refund")
    assert node.condition == "amount != None"
    amount = next(one for one in skill.variables if one.name == "amount")
    assert (amount.required, amount.default) == (False, None)
    reason = next(one for one in skill.why if one.rule == "when-given")
    assert "in 1 of 2 runs" in reason.detail
    assert skill.context_requirements["source_tasks"] == 0
    assert next(node for node in skill.nodes if node.tool == "get_order").condition == node.condition


def test_without_an_input_of_its_own_a_step_gets_a_switch() -> None:
    """The switch is off unless somebody turns it on."""
    skill = made(
        traced("Cancel W7701", [cancel("W7701")]),
        traced("Cancel W7702", [cancel("W7702"), ("notify_team", {}, "ok")]),
    )
    node = next(node for node in skill.nodes if node.tool == "notify_team")
    switch = next(one for one in skill.variables if one.type == "boolean")
    assert (node.condition, switch.default, switch.required) == (switch.name, False, False)


def _checked(order: str, *, express: bool, fee: bool) -> TracedRun:
    seen = ("get_parcel", {"order_id": order}, {"order_id": order, "express": express, "weight": 3})
    steps: list[Made] = [seen, ("stop_parcel", {"order_id": order, "express": express}, "ok")]
    if fee:
        steps.append(("charge_fee", {"order_id": order, "fee": "standard"}, "ok"))
    return traced(f"Stop the parcel of {order}", steps)


def test_a_condition_is_found_when_runs_of_several_tasks_support_it() -> None:
    """A field that tells the runs apart decides, and the reason says in how many."""
    skill = made(
        _checked("W7701", express=True, fee=True), _checked("W7702", express=False, fee=False),
        _checked("W7703", express=True, fee=True), _checked("W7704", express=False, fee=False),
    )  # fmt: skip
    node = next(node for node in skill.nodes if node.tool == "charge_fee")
    assert node.condition == "n1.express == True"
    reason = next(one for one in skill.why if one.rule == "condition-found")
    assert "in 2 of 4 runs" in reason.detail


def _paid(order: str, state: str, *, outcome: Any = "success") -> TracedRun:
    seen = (
        "get_payment",
        {"order_id": order},
        {"order_id": order, "state": state, "method": {"id": f"m_{order}"}},
    )
    return traced(
        f"Release the payment of {order}", outcome=outcome,
        made=[seen, ("release_payment", {"method_id": f"m_{order}"}, "ok")],
    )  # fmt: skip


def test_failed_runs_give_a_check_and_no_step() -> None:
    """What held in all successes of three tasks and in no failure of three is checked before the change."""
    good = [_paid(f"W770{number}", "settled") for number in range(3)]
    bad = tuple(_paid(f"W880{number}", "pending", outcome="failure") for number in range(3))
    skill = made(*good, failed=bad)
    assert [(node.kind, node.tool) for node in skill.nodes] == [
        ("tool", "get_payment"), ("check", None), ("tool", "release_payment"),
    ]  # fmt: skip
    check = skill.nodes[1]
    assert check.template is not None
    assert check.template.text == "n1.state == 'settled'"
    assert check.id in skill.nodes[2].after
    assert [node.kind for node in made(*good, failed=bad[:2]).nodes] == ["tool", "tool"], "two are too few"
    assert "the check" in (fit(skill, bad[0]).problem or "")


def test_a_place_in_a_list_is_no_rule_when_one_task_shows_it() -> None:
    """Two runs of one task say the third card; other tasks may mean another."""
    cards = {"cards": [{"id": f"card_{number}", "kind": "visa"} for number in range(4)]}
    steps: list[Made] = [
        ("get_cards", {"owner": "ann_rose_17"}, cards),
        ("block_card", {"card_id": "card_2"}, "ok"),
    ]
    same = traced("Block a card of ann_rose_17", steps)
    assert bound(made(same, same), "block_card") == {"card_id": "{card_id}"}


def test_a_word_of_the_person_picks_the_record_in_every_run() -> None:
    """Records at other places are picked by the field that people named."""

    def block(owner: str, last_four: str, place: int) -> TracedRun:
        cards = [{"id": f"{owner}_{number}", "last_four": f"{number}{number}17"} for number in range(1, 5)]
        cards[place]["last_four"] = last_four
        steps: list[Made] = [
            ("get_cards", {"owner": owner}, {"cards": cards}),
            ("block_card", {"card_id": f"{owner}_{place + 1}"}, "ok"),
        ]
        return traced(f"Block the card of {owner} ending in {last_four}", steps)

    skill = made(block("ann_rose", "9921", 1), block("ben_hill", "8812", 3))
    assert bound(skill, "block_card") == {"card_id": "n1 → cards[last_four={last_four}].id"}


def test_a_change_in_a_loop_is_not_made_again_for_what_reads_it() -> None:
    """What one run read from a change that another made twice is given; the change stays one node."""
    told = ("tell_customer", {"reference": "cancelled-W7701-once"}, "ok")
    made_once = ("cancel_order", {"order_id": "W7701"}, {"reference": "cancelled-W7701-once"})
    skill = made(
        traced("Cancel W7701", [made_once, told]),
        traced("Cancel W7702 and W7703", [cancel("W7702"), cancel("W7703")]),
    )
    assert [node.tool for node in skill.nodes] == ["cancel_order", "tell_customer"]
    assert bound(skill, "tell_customer") == {"reference": "{reference}"}


def test_runs_with_nothing_in_common_are_refused() -> None:
    """Two different jobs are no family; nor are runs that only look, and at other things."""
    with pytest.raises(ExtractionError, match="no step in common"):
        family_skill(
            [traced("Cancel W7701", [cancel("W7701")]), traced("Refund 5.25", [refund("W7702", 5.25)])]
        )
    shared, other = look("W7701"), ("get_weather", {"city": "Bonn"}, {"sky": "grey"})
    with pytest.raises(ExtractionError, match=r"no look is common|no step in common"):
        family_skill([traced("Show W7701", [shared]), traced("The sky over Bonn", [other])])


def test_runs_that_only_look_share_what_all_look_at() -> None:
    """A look that only some made is left out, and the reason counts them."""
    rates = ("get_rates", {"currency": "EUR"}, {"EUR": 1.5})
    skill = made(traced("Show W7701", [look("W7701")]), traced("Show W7702 in EUR", [look("W7702"), rates]))
    assert [node.tool for node in skill.nodes] == ["get_order"]
    assert "only in 1 of 2 runs" in next(one for one in skill.why if one.rule == "not-in-all-runs").detail


def test_a_familys_skill_survives_its_document() -> None:
    """With loops and conditions."""
    skill = made(
        traced("Cancel W7701", [cancel("W7701")]),
        traced(
            "Cancel W7702, W7703, refund 44.75",
            [cancel("W7702"), cancel("W7703"), refund("W7702", 44.75)],
        ),
    )
    named = replace(skill, name="cancel")
    assert from_document(to_document(named)).nodes == skill.nodes
