"""Changed code as a change of its template."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.library.execution.template_change import changed_template
from skillsmith.library.templates import fill
from skillsmith.models import Slot, Template


def template(text: str, *names: str, encoding: str = "python") -> Template:
    """Return a template with these places."""
    return Template(text=text, slots=tuple(Slot(variable=name, encoding=encoding) for name in names))


LOAD = template("import csv\nrows = open({path}).read()\nprint(rows[:{count}])\n", "path", "count")
VALUES = {"path": "a b.csv", "count": 12}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (  # another line changed: the places stay
            "import json\nrows = open('a b.csv').read()\nprint(rows[:12])\n",
            "import json\nrows = open({path}).read()\nprint(rows[:{count}])\n",
        ),
        (  # the line of a place changed: its value is found again
            "import csv\nwith open('a b.csv') as file:\n    rows = file.read()\nprint(rows[:12])\n",
            "import csv\nwith open({path}) as file:\n    rows = file.read()\nprint(rows[:{count}])\n",
        ),
        (  # a value that was replaced is no place any more
            "import csv\nrows = open('other.csv').read()\nprint(rows[:12])\n",
            "import csv\nrows = open('other.csv').read()\nprint(rows[:{count}])\n",
        ),
        (  # a number inside another number is not the value
            "import csv\nrows = open('a b.csv').read()\nprint(rows[:125])\n",
            "import csv\nrows = open({path}).read()\nprint(rows[:125])\n",
        ),
    ],
)
def test_places_stay_where_their_values_are(code: str, text: str) -> None:
    """What is the same value at the same place stays a place; what was written anew is fixed."""
    changed = changed_template(LOAD, VALUES, code)
    assert changed is not None
    assert changed.text == text
    assert fill(changed, VALUES) == code


def test_a_name_that_stands_in_the_code_is_no_place() -> None:
    """Code that would make a place ambiguous has no template to be sure of."""
    one = template("print({name})\nx = 1\n", "name")
    assert changed_template(one, {"name": "Ann"}, "print('Ann')\nx = f'{name}'\n") is None


@given(
    st.lists(
        st.sampled_from(["import csv", "rows = open('a b.csv').read()", "print(rows[:12])", "x = 12", ""])
    )
)
def test_a_changed_template_gives_the_changed_code(lines: list[str]) -> None:
    """Whatever was changed: with the same values the template is the code, or there is none."""
    code = "\n".join(lines)
    changed = changed_template(LOAD, VALUES, code)
    assert changed is None or fill(changed, VALUES) == code


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_may_take_the_place_of_a_prompt(before: str, after: str) -> None:
    """Foreign text never raises."""
    values: dict[str, Any] = {"who": "Ann"}
    one = template(f"{before.replace('{', '')}{{who}}!", "who", encoding="text")
    changed = changed_template(one, values, after)
    assert changed is None or fill(changed, values) == after
