"""The Python of the documents runs."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests import fake_data


def blocks(page: Path) -> str:
    """The Python of a page, in its order."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))


def test_the_background_of_contributing_fills_a_hole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine: Any = types.ModuleType("mine")
    monkeypatch.setitem(sys.modules, "mine", mine)
    exec(blocks(root / "docs" / "contributing.md"), mine.__dict__)
    image, hole = torch.rand(2, 3, 4, 6), torch.zeros(2, 1, 4, 6)
    hole[..., :3] = 1
    filled = mine.Grey().fill(SimpleNamespace(image=image), hole)
    assert (filled[..., :3] == 0.5).all() and torch.equal(filled[..., 3:], image[..., 3:])


def test_a_data_set_is_read_without_lightning_and_torch(root: Path, davis: Path) -> None:
    code = blocks(root / "docs" / "data.md").replace("/data/DAVIS", str(davis))
    code += "\nimport sys\nassert not {'torch', 'pytorch_lightning'} & set(sys.modules)\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines and all(re.fullmatch(r"\S+ \d+ frames \d+ masks", line) for line in lines)


def test_the_python_of_the_page_runs(
    root: Path, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_data.write_images(tmp_path, frames=1, pattern="frame.jpg")
    fake_data.write_video(tmp_path / "new.mp4", frames=5)
    monkeypatch.chdir(tmp_path)
    exec(blocks(root / "docs" / "python.md").replace("runs/cats", str(trained)), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-3:]] == ["0", "2", "4"]
    assert (tmp_path / "overlay.png").is_file() and (tmp_path / "cat.png").is_file()
