"""The documentation site is built without a warning, and its pages fetch nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="make docs installs mkdocs"),
]


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", ".mkdocs.yml", "-d", str(folder)],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_links_to_lines_lead_to_their_lines(site: Path) -> None:
    page = site / "method.html"
    links = re.findall(r'href="(source/[^"#]+)#([^"]+)"', page.read_text())
    assert len(links) > 40
    for name, anchor in links:
        assert f'id="{anchor}"' in (site / name).read_text()


def test_equations_are_drawn_and_the_api_has_every_package(site: Path, root: Path) -> None:
    method = (site / "method.html").read_text()
    assert "<math" in method and "arithmatex" not in method
    index = (site / "api" / "index.html").read_text()
    assert all(f"{package.parent.name}.html" in index for package in root.glob("*/__init__.py"))
    assert "sampling_distribution" in "".join(page.read_text() for page in (site / "api").glob("lightning_modules*"))


def test_no_page_fetches_anything(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//[^"]*"', page.read_text())
        fetched += re.findall(r'<link[^>]* rel="(?:stylesheet|preconnect)"[^>]* href="(?:https?:)?//', page.read_text())
        assert not fetched, page.name
