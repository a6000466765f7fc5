from __future__ import annotations

import pytest

from skillsmith.library.program.effects import effect_of, name_words


@pytest.mark.parametrize(
    "tool",
    ["get_user_details", "list_all_airports", "calculate", "think", "search_direct_flight", "Read", "Grep",
     "web_fetch", "mcp__files__read_file", "readFile", "find"],
)  # fmt: skip
def test_plain_reads_are_reads(tool: str) -> None:
    """A tool whose name plainly says that it only looks counts as a read."""
    assert effect_of(tool) == "read"


@pytest.mark.parametrize(
    "tool",
    ["cancel_reservation", "book_reservation", "send_certificate", "Write", "Edit", "Bash",
     "open_ticket", "resolve_incident", "check_in_passenger", "get_or_create_customer", "find_and_replace",
     "read_and_clear", "filter_delete", "load_truck", "list_item_for_sale", "select_seat", "preview_and_send",
     "process_thoughts", "mcp__bank__transfer", "update_search_index", "", "42", "frobnicate"],
)  # fmt: skip
def test_everything_else_is_a_write(tool: str) -> None:
    """What is not plainly a read counts as a change, so that it is never dropped."""
    assert effect_of(tool) == "write"


def test_names_are_split_into_words() -> None:
    """Snake case, camel case and kebab case give the same words."""
    assert name_words("getUserDetails") == name_words("get_user_details") == name_words("get-user-details")
