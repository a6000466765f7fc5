"""What of a skill is embedded: a profile, each earlier task, its steps and the head of its body.

One more vector stands for the skill as a whole, the mean of profile and earlier tasks: searching it alone
finds the skill whichever of its texts the task is close to, so a library is searched with one vector a skill.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillsmith.events import load_json
from skillsmith.ids import digest_of
from skillsmith.library.matching.wording import spoken, without_places

WHOLE = "whole"
MAX_TEXT = 2000
"""Characters of one text; what models read of it is about half."""
PART = 900
"""Characters of a part of a longer text, about what models read."""
BODY_PARTS = 4
TASK_PARTS = 6

_BREAKS = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnText:
    """One text of a skill that gets a vector.

    Args:
        field: profile, example, node or body.
    """

    field: str
    text: str

    @property
    def digest(self) -> str:
        """Identity of the text."""
        return digest_of(self.text.encode("utf-8", "replace"))


def own_texts(version: Mapping[str, Any]) -> list[OwnText]:
    """Return the texts of a skill version, each once.

    Args:
        version: name, description, task_pattern, examples, body and dag_template as they are stored.
    """
    found = [OwnText(field=field, text=text[:MAX_TEXT].strip()) for field, text in _texts(version)]
    return list(dict.fromkeys(text for text in found if text.text))


def _texts(version: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    examples, body = load_json(version["examples"]), version["body"].strip()
    about = version["description"].strip()
    if not about and not examples:
        about = without_places(version["task_pattern"]).strip() or body[:PART]
    yield "profile", f"{spoken(version['name'])}. {about}"
    for example in examples:
        yield "example", example
    yield "node", "; ".join(_steps(load_json(version["dag_template"])))
    for part in parts_of(body, limit=BODY_PARTS):
        yield "body", part


def _steps(nodes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for node in nodes:
        title = node.get("title") or spoken(node.get("tool") or "")
        if title:
            yield title


def parts_of(text: str, *, limit: int) -> list[str]:
    """Return the beginning of a text in parts of whole sentences or paragraphs, of the size that models read.

    Args:
        text: Any text.
        limit: At most so many parts.
    """
    parts, part = list[str](), ""
    for piece in _BREAKS.split(text[: 2 * limit * PART]):
        if part and len(part) + len(piece) >= PART:
            parts.append(part)
            part = ""
        part = f"{part} {piece}".strip()
    return [*parts, part][:limit] if part else parts[:limit]


def mean_vector(vectors: Sequence[bytes]) -> bytes:
    """Return the unit vector in the middle of unit vectors, all as little-endian float32."""
    numbers = [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in vectors]
    total = [math.fsum(column) for column in zip(*numbers, strict=True)]
    length = math.sqrt(math.fsum(number * number for number in total)) or 1.0
    return struct.pack(f"<{len(total)}f", *(number / length for number in total))
