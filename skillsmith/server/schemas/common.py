"""What all shapes share: bases, errors, pages and the forms of names and ids."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Item = TypeVar("Item")

REFERENCE_PATTERN = r"^[a-z0-9][a-z0-9_\-]{0,63}(@[1-9][0-9]{0,8})?$"
NAME_PATTERN = r"^[a-z0-9][a-z0-9_\-]{0,63}$"
ID_PATTERN = r"^[0-9a-f][0-9a-f\-]{7,35}$"
STEP_PATTERN = r"^(step_)?[1-9][0-9]{0,8}$"

RunId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN, description="A run's id, or a unique beginning of it.",
        examples=["019ab3c4-5d6e-7f80-9123-456789abcdef"],
    ),
]  # fmt: skip
SkillId = Annotated[
    str,
    Path(
        pattern=REFERENCE_PATTERN, description="`NAME` (its current version), `NAME@VERSION`, or its id.",
        examples=["refund_booking"],
    ),
]  # fmt: skip
SkillName = Annotated[
    str, Path(pattern=NAME_PATTERN, description="A skill's name.", examples=["refund_booking"])
]
StepId = Annotated[
    str,
    Path(pattern=STEP_PATTERN, description="A step's number, also as `step_5`.", examples=["1", "step_5"]),
]
ExecutionId = Annotated[
    str, Path(pattern=ID_PATTERN, description="An execution's id, or a unique beginning of it.")
]
JobId = Annotated[str, Path(pattern=ID_PATTERN, description="A job's id.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Items on a page.")]
Cursor = Annotated[
    str | None,
    Query(min_length=1, max_length=300, description="`next` of the page before; without: the first."),
]
SequenceCursor = Annotated[
    int | None, Query(ge=0, le=2**53, description="`next` of the page before; without: the first.")
]


def _whole(value: Any) -> Any:
    """Return 5 for 5.0: JSON knows one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]


class Answer(BaseModel):
    """What comes back; more keys may be added, these stay."""

    model_config = ConfigDict(extra="allow")


class Request(BaseModel):
    """What is sent; an unknown key is an error, as it is most likely a misspelt one."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """What is wrong and what to do."""

    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["there is no skill 'refund_bookings'"])
    hint: str = Field(default="", examples=["did you mean refund_booking?"])


class ErrorAnswer(BaseModel):
    """How every error looks."""

    error: Problem


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next` given as `after` brings the following one."""

    items: list[Item]
    next: str | int | None = Field(description="Where the next page begins; null: this was the last.")


class Deleted(Answer):
    """What was deleted."""

    success: bool
    deleted: list[str] = Field(examples=[["refund_booking@1", "refund_booking@2"]])


JsonObject = dict[str, Any]
