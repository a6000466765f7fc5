"""The page at /docs, from files that are installed: it works without the internet."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from starlette.responses import RedirectResponse

router = APIRouter(include_in_schema=False)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>skillsmith API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/begin.js"></script>
</body>
</html>
"""
_BEGIN: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
});
"""
_TYPES: Final = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_POLICY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "max-age=3600",
}


@router.get("/")
async def begin() -> Response:
    """Lead to the page."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def page() -> Response:
    """Return the page."""
    return Response(_PAGE, media_type="text/html", headers=_POLICY)


@router.get("/docs/begin.js")
async def script() -> Response:
    """Return what starts the page."""
    return Response(_BEGIN, media_type="text/javascript", headers=_POLICY)


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """Return one of the page's two files."""
    if name not in _TYPES:
        return Response(status_code=404)
    return Response(_content(name), media_type=_TYPES[name], headers=_POLICY)


@cache
def _content(name: str) -> bytes:
    """Read a file of the package that carries them, without importing it."""
    found = find_spec("fastapi_offline")
    folders = found.submodule_search_locations if found else None
    assert folders, "the extra `server` brings fastapi-offline"
    return (Path(folders[0]) / "static" / name).read_bytes()
