"""How every answer leaves: JSON that nobody on the way may keep."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from skillsmith.events import dump_json
from skillsmith.models import Json


def json_answer(
    document: Json | bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response.

    Args:
        document: The value, or the JSON of it.
        status: The HTTP status.
        headers: Further ones.
    """
    content = document if isinstance(document, bytes) else dump_json(document).encode()
    return Response(
        content, status_code=status, media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )  # fmt: skip
