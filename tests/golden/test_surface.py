"""The names that users and saved configs rely on are those of surface.json; a change is made there, knowingly.

``python -m tests.golden.make surface --overwrite`` writes the file anew; what it changes is for the reader of the diff.
Names of the fields of results.json are in run.json.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import files, surface


def test_the_public_names_are_those_that_are_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    golden, found = files.read("surface"), surface.measure()
    files.require_equal(golden, found, "If this is meant: python -m tests.golden.make surface --overwrite")
