"""What made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import cv2
import PIL
import pytest

from experiments.runs import provenance


def repository(folder: Path) -> Path:
    """A repository of one commit, whose file ``a.py`` stands in for the module."""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    (folder / "room" / "floor").mkdir(parents=True)
    (folder / "room" / "floor" / "a.py").write_text("1\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    return folder / "room" / "floor" / "a.py"


def test_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = repository(tmp_path)
    monkeypatch.setattr(provenance, "__file__", str(file))
    found = provenance.commit()
    assert len(found["commit"]) == 40 and found["dirty"] is False
    file.write_text("2\n")
    assert provenance.commit() == {"commit": found["commit"], "dirty": True}
    before = provenance.trained_by(["earlier"])
    assert before == ["earlier", f"{found['commit']}-dirty"]
    assert provenance.trained_by(before) == before


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "room" / "floor" / "a.py"))
    assert provenance.commit() == {"commit": None, "dirty": None}
    assert provenance.trained_by(["earlier"]) == ["earlier"]


def test_the_versions_of_all_that_touches_pixels_are_recorded() -> None:
    """As the libraries themselves say: OpenCV, PyAV with the FFmpeg in it, Pillow."""
    found = provenance.versions()
    assert {"torch", "pytorch-lightning", "kornia"} <= found.keys()
    opencv = next(version for name, version in found.items() if name.startswith("opencv"))
    assert opencv.startswith(cv2.__version__) and found["pillow"] == PIL.__version__
    assert found["av"] == av.__version__
    assert found["libavcodec"] == ".".join(map(str, av.library_versions["libavcodec"]))
