"""Telephone numbers: the same digits with other marks are the same number, written as the tool had it."""

from __future__ import annotations

import re

LOCAL_DIGITS = 10
"""Digits of a number without the code of its country."""

PHONE = re.compile(r"\+?[\d(](?:[\s().-]{0,2}\d){9,14}")


def like_phone(text: str, default: object) -> str:
    """Write a telephone number as another one is written; what is none, or has too few digits, stays.

    A country's code that only the other number has is taken over.

    Args:
        text: As people wrote it.
        default: As the tool had one.
    """
    shape = default.strip() if isinstance(default, str) else ""
    if not PHONE.fullmatch(shape) or not PHONE.fullmatch(text.strip()):
        return text
    digits, wanted = _digits(text), _digits(shape)
    if shape.startswith("+") and len(digits) == LOCAL_DIGITS < len(wanted):
        digits = wanted[:-LOCAL_DIGITS] + digits
    if len(digits) != len(wanted):
        return text
    following = iter(digits)
    return "".join(next(following) if mark.isdigit() else mark for mark in shape)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
