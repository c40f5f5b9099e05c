"""``export``: a run as one file that says the same as the run, and a card that says what it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import backdrop
from backdrop.found import Engine, Found
from backdrop.onnx_engine import OnnxEngine
from experiments.cli import main
from experiments.export import writing
from experiments.export.card import card, is_card
from experiments.export.comparison import Differences
from experiments.export.description import Description
from experiments.export.files import ProgramEngine
from experiments.prediction.predictor import load_predictor
from experiments.runs.folder import StageFolder
from experiments.runs.inference import read_checkpoint
from tests import fake_data


@pytest.fixture(scope="module")
def checkpoint(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "cat.ckpt"
    said = ["--name", "cat", "--licence", "cc-by-4.0", "--data-licence", "mine"]
    assert main(["export", str(trained), "-o", str(file), *said, "--frames", "3"]) == 0
    return file


def images(*sizes: tuple[int, int]) -> list[np.ndarray]:
    return [fake_data.draw_frame(number, number, size)[0] for number, size in enumerate(sizes)]


def require_equal(found: list[list[Found]], expected: list[list[Found]], atol: float) -> None:
    for (one,), (other,) in zip(found, expected, strict=True):
        assert one.mask.shape == other.mask.shape and one.mask.dtype == np.float32
        assert np.allclose(one.mask, other.mask, atol=atol)
        assert np.allclose(one.box, other.box, atol=100 * atol)
        assert one.confidence == pytest.approx(other.confidence, abs=atol)
        assert (one.score is None) == (other.score is None)


def test_a_checkpoint_predicts_without_its_run(checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    moved = shutil.copy(checkpoint, tmp_path / "model.ckpt")
    frames = images((48, 64), (30, 50))
    require_equal(load_predictor(Path(moved))(frames), load_predictor(trained)(frames), 0)
    assert backdrop.load(moved)(frames[0]).mask.shape == (48, 64)


@pytest.mark.parametrize("choice", ["last", "best"])
@pytest.mark.parametrize("file", ["cat.ckpt", "last.ckpt", "cat.pt", "cat.onnx"])
def test_a_choice_of_checkpoints_is_refused_for_a_single_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, choice: str
) -> None:
    """It had no effect, which nothing said."""
    fake_data.write_images(tmp_path / "in", frames=1)
    model = tmp_path / file
    model.write_bytes(b"of no matter")
    assert main(["predict", str(model), str(tmp_path / "in"), "--checkpoint", choice]) == 1
    assert f"{model} is a single model, and no run folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a/b", "a\\b", " ", "a\nb"])
def test_a_name_that_would_be_a_path_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["export", str(tmp_path), "--name", name]) == 2
    assert "expected what the subject is called, such as cat" in capsys.readouterr().err


def test_a_checkpoint_holds_neither_optimiser_nor_inpainter_nor_a_path(checkpoint: Path, trained: Path) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    whole = torch.load(trained / "segment" / "checkpoints" / "last.ckpt", weights_only=True)
    assert "optimizer_states" in whole and not any("optim" in name for name in saved)
    kept = {name for name in whole["state_dict"] if not name.startswith("inpainter.")}
    assert set(saved["state_dict"]) == kept
    assert str(trained.parent).encode() not in checkpoint.read_bytes()
    model, _ = read_checkpoint(checkpoint)  # type: ignore[misc]
    assert getattr(model, "inpainter", None) is None
    assert read_checkpoint(trained / "segment" / "checkpoints" / "last.ckpt") is None


def test_the_card_says_what_somebody_must_know(checkpoint: Path, trained: Path) -> None:
    text = checkpoint.with_suffix(".md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "cc-by-4.0"
    for words in ("# Backdrop: cat", "footage of the training: mine", 'backdrop.load("cat.ckpt")', "## When it fails"):
        assert words in body
    assert "data set: davis" in body and "| run | tiny |" in body
    assert str(trained.parent) not in text and str(Path.home()) not in body


def test_a_card_replaces_a_card_and_nothing_else(
    checkpoint: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_card(checkpoint.with_suffix(".md"))
    for text in ("# My notes\n", "---\ntitle: x\n---\n- backdrop\n"):
        (tmp_path / "cat.md").write_text(text)
        assert main(["export", str(trained), "-o", str(tmp_path / "cat.ckpt")]) == 2
        assert "cat.md is there and is no model card" in capsys.readouterr().err
        assert (tmp_path / "cat.md").read_text() == text and not (tmp_path / "cat.ckpt").exists()


@pytest.mark.parametrize(("steps", "measured"), [(2, True), (7, False)])
def test_the_figures_of_another_checkpoint_are_not_in_the_card(tmp_path: Path, steps: int, measured: bool) -> None:
    results = {"j_mean": 0.5, "masks": 9, "made_by": {"settings": {"steps": steps, "threshold": 0.5}}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    described = Description("cat", "run", (48, 64), 0.5, ("mask",), steps=2)
    compared = Differences(frames=1, mask=0, box=0, usual=0, confidence=0, score=None), "frames"
    text = card(StageFolder(tmp_path / "segment"), tmp_path, tmp_path / "cat.ckpt", described, compared)
    assert ("| J (mean intersection over union) | 0.500 |" in text) is measured
    assert ("another checkpoint was measured (steps 7)" in text) is not measured


def test_a_file_that_differs_is_not_left(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write_another(_graph: object, _description: object, path: Path, *_: object) -> Engine:
        path.write_text("another model")
        return lambda frames: [[Found(np.ones(one.shape[:2], dtype=np.float32), (0, 0, 1, 1), 0.5)] for one in frames]

    monkeypatch.setattr(writing, "_write", write_another)
    (tmp_path / "cat.onnx").write_text("the former one")
    assert main(["export", str(trained), "-o", str(tmp_path / "cat.onnx"), "--frames", "2"]) == 1
    assert "differs from the run's in mask" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["cat.onnx"]
    assert (tmp_path / "cat.onnx").read_text() == "the former one"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "cat.txt"], "ends in none of .onnx, .pt2"),
        (["-o", "cat.onnx", "--threshold", "1.5"], "threshold is 1.5"),
        (["-o", "cat.onnx", "--frames", "0"], "frames is 0"),
    ],
)
def test_wrong_arguments_are_refused(
    trained: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(trained), *words]) == 2
    assert said in capsys.readouterr().err


SIZES = [(48, 64), (30, 50), (200, 120), (7, 9), (96, 128)]


@pytest.fixture(scope="module")
def onnx_file(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    file = tmp_path_factory.mktemp("exported") / "cat.onnx"
    assert main(["export", str(trained), "-o", str(file), "--name", "cat", "--frames", "3"]) == 0
    return file


@pytest.mark.slow
def test_an_onnx_file_says_the_same_at_any_size(onnx_file: Path, trained: Path) -> None:
    engine, frames = OnnxEngine(onnx_file), images(*SIZES)
    require_equal(engine(frames), load_predictor(trained)(frames), 2e-2)
    assert engine.metadata["name"] == "cat" and engine.metadata["run"] == "tiny"


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_onnx_file_takes_batches(onnx_file: Path, count: int) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    batch = np.stack(images(*[(60, 80)] * count))
    mask, box, confidence, *_ = session.run(None, {"image": batch})
    assert mask.shape == (count, 60, 80) and box.shape == (count, 4) and confidence.shape == (count,)
    for number, (alone,) in enumerate(OnnxEngine(onnx_file)(list(batch))):
        assert np.allclose(mask[number], alone.mask, atol=1e-4) and np.allclose(box[number], alone.box, atol=1e-2)


@pytest.mark.slow
def test_a_program_says_the_same_at_any_size(trained: Path, tmp_path: Path) -> None:
    assert main(["export", str(trained), "-o", str(tmp_path / "cat.pt2"), "--frames", "3"]) == 0
    frames = images(*SIZES)
    require_equal(ProgramEngine(tmp_path / "cat.pt2")(frames), load_predictor(trained)(frames), 2e-2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.md", "cat.pt2"]


@pytest.mark.slow
def test_an_exported_file_needs_numpy_onnxruntime_and_av_alone(onnx_file: Path, root: Path, tmp_path: Path) -> None:
    python = tmp_path / "alone" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    got = subprocess.run([*install, "numpy", "onnxruntime", "av"], capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"no packages can be installed here: {got.stderr.strip().splitlines()[-1][:200]}")
    shutil.copytree(root / "backdrop", tmp_path / "source" / "backdrop")
    for room in ("lightning_modules", "datamodules", "callbacks", "experiments"):
        shutil.copytree(root / room, tmp_path / "source" / room)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path / "source")
    subprocess.run([*install, "--no-deps", tmp_path / "source"], check=True)
    fake_data.write_video(tmp_path / "new.mp4", frames=5, size=(48, 64), rate=12)
    program = (
        f"import backdrop, sys; model = backdrop.load({str(onnx_file)!r})\n"
        f"found = list(model.video({str(tmp_path / 'new.mp4')!r}))\n"
        "assert len(found) == 5 and found[0].mask.shape == (48, 64), found\n"
        "assert not {'torch', 'cv2', 'PIL'} & set(sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    alone = subprocess.run([python, "-c", program], **run)  # type: ignore[call-overload]
    assert alone.returncode == 0, alone.stderr
    command = [python.with_name("backdrop"), "predict", onnx_file, "new.mp4", "--output", "out", "--save", "mask"]
    predicted = subprocess.run(command, **run)  # type: ignore[call-overload]
    assert predicted.returncode == 0, predicted.stderr
    assert len(list((tmp_path / "out").rglob("*.png"))) == 5
