"""The commands of a run of three steps log, save and score what they did at commit 41bc105.

run.json is made by tests/golden/make.py. Where the fingerprint in the file is not that of this machine, only the names
of the fields of results.json and the scores of the floors, which no training enters, are compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import files, run

GOLDEN = files.read("run")


@pytest.mark.parametrize("background", ["inpainting", pytest.param("temporal", marks=pytest.mark.slow)])
def test_a_run_computes_the_golden_values(background: str, tmp_path: Path) -> None:
    golden, found = GOLDEN["runs"][background], run.measure(background, tmp_path / "run")
    if files.exact(GOLDEN, run.PACKAGES):
        files.require_equal(golden, found)
        return
    files.require_equal(golden["fields"], found["fields"])
    for floor, scores in golden["scores"]["floors"].items():
        assert found["scores"]["floors"][floor] == pytest.approx(scores, rel=0.02, abs=0.005), floor
