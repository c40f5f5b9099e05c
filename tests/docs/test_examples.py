"""The Python of the documents runs."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture
def mine(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401  a module of the reader's
    """What a reader of docs/contributing.md puts into mine.py."""
    text = (root / "docs" / "contributing.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    module = types.ModuleType("mine")
    monkeypatch.setitem(sys.modules, "mine", module)
    exec("\n".join(code), module.__dict__)
    return module


def test_the_background_of_contributing_fills_a_hole(mine: Any) -> None:  # noqa: ANN401
    image, hole = torch.rand(2, 3, 4, 6), torch.zeros(2, 1, 4, 6)
    hole[..., :3] = 1
    filled = mine.Grey().fill(SimpleNamespace(image=image), hole)
    assert (filled[..., :3] == 0.5).all() and torch.equal(filled[..., 3:], image[..., 3:])
