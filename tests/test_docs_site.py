"""Tests of the user guide as a whole: it builds without a warning, its links hold, and it is complete."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from cli_process import ROOT

DOCS = ROOT / "docs"
QUIET = "NO_MKDOCS_2_WARNING"
"""Keeps the theme's notice about MkDocs 2, which is no warning about the guide, out of the output."""
VARIABLE = re.compile(r"\bSKILLSMITH_[A-Z_]+[A-Z]\b")
NOT_FOR_USERS = {"SKILLSMITH_COMPLETE"}
"""Set by shells for completion."""


class Page(HTMLParser):
    """What a built page refers to, and which places in it can be referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in one element."""
        values = dict(attrs)
        if place := values.get("id"):
            self.places.add(place)
        if tag == "a" and (link := values.get("href")):
            self.links.append(link)
        if source := values.get("src") or (values.get("href") if tag == "link" else None):
            self.loaded.append(source)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the guide and return its folder."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, QUIET: "1"}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Return the built pages by their path."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_internal_link_leads_somewhere(pages: dict[Path, Page], site: Path) -> None:
    """A link within the guide leads to a page or file that is there, and to a place in it that is there."""
    for path, page in pages.items():
        if path.name == "404.html":  # its links begin at the root of a server
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path not in {"", "."} else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(site)}: {link}"
            if parts.fragment and target in pages:
                places = pages[target].places
                assert unquote(parts.fragment) in places, f"{path.relative_to(site)}: {link}"


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page], site: Path) -> None:
    """The guide needs no network: no font, script or picture comes from another place."""
    for path, page in pages.items():
        for source in page.loaded:
            assert not urlsplit(source).netloc, f"{path.relative_to(site)} loads {source}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_page_is_built(pages: dict[Path, Page], site: Path) -> None:
    """Each page in docs/ is part of the guide."""
    built = {path.relative_to(site).as_posix() for path in pages}
    for page in DOCS.glob("*.md"):
        assert f"{page.stem}.html" in built


def test_command_reference_is_up_to_date() -> None:
    """The reference says what the commands say."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "make_cli.py"), "--check"], cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"run `python docs/make_cli.py`\n{done.stderr}"


def test_every_setting_is_documented() -> None:
    """Each environment variable that the source names stands on the page about configuration."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "skillsmith").rglob("*.py")):
        for name in set(VARIABLE.findall(path.read_text(encoding="utf-8"))) - NOT_FOR_USERS:
            assert name in text, f"{path.relative_to(ROOT)} reads {name}"


def test_every_benchmark_is_documented() -> None:
    """Each benchmark stands on the page about benchmarks."""
    text = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "bench").glob("[!_]*.py")):
        assert f"`bench/{path.name}`" in text, path.name
