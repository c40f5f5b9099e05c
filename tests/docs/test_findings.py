"""The findings: each script is listed, can be parsed, and pins what it installs. None is run: they fetch packages."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[2] / "findings").glob("*.sh"))


def test_every_finding_is_listed(root: Path) -> None:
    listed = re.findall(r"^\| \[(\w+\.sh)\]\(\1\)", (root / "findings" / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == [script.name for script in SCRIPTS] != []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_finding_has_its_form(script: Path) -> None:
    text = script.read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    for part in ("# Behaviour:", "# Expected:", "# Output seen", "set -euo pipefail", "mktemp -d", "trap "):
        assert part in text, f"{script.name} lacks {part}"
    installed = [words.split() for words in re.findall(r"pip\" install --quiet --disable-pip-version-check (.+)", text)]
    assert installed and all("==" in word for words in installed for word in words)
