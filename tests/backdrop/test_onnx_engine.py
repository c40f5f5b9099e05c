"""An exported model answers with onnxruntime and numpy alone, and other files are refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backdrop.errors import RunError
from backdrop.onnx_engine import FORMAT, OnnxEngine, _usual_threads
from backdrop.seal import BLANK, seal

onnx = pytest.importorskip("onnx", reason="onnx is an extra: pip install -e '.[export]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is an extra: pip install -e '.[export]'")

RED = """
<ir_version: 10, opset_import: ["" : 20]>
red (uint8[B, H, W, 3] image) => (float[B, H, W] mask, float[B, 4] box, float[B] confidence, float[B] score)
<int64[1] zero = {0}, int64[1] last = {-1}, float[4] corners = {1, 2, 3, 4}, float white = {255},
 int64[1] axis = {1}, int64[2] pixels = {1, 2}, int64[1] four = {4}>
{
    pixel = Cast<to = 1>(image)
    share = Div(pixel, white)
    mask = Gather<axis = 3>(share, first)
    confidence = ReduceMax<keepdims = 0>(mask, pixels)
    score = ReduceMean<keepdims = 0>(mask, pixels)
    count = Shape<end = 1>(image)
    shape = Concat<axis = 0>(count, four)
    box = Expand(corners, shape)
}
"""
"""A model that takes what is red for the subject."""


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("models") / "red.onnx", {"format": FORMAT, "name": "red"})


def write(path: Path, metadata: dict[str, str]) -> Path:
    model = onnx.parser.parse_model(RED)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0), "first"))
    onnx.helper.set_model_props(model, {**metadata, "check": BLANK})
    onnx.save(model, path)
    seal(path)
    return path


def image(height: int, width: int, red: int) -> np.ndarray:
    return np.full((height, width, 3), (red, 7, 9), dtype=np.uint8)


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_of_several_sizes_keep_their_order_and_size(red: Path, threads: int) -> None:
    sizes = [(4, 6), (3, 2), (4, 6), (9, 9), (5, 1)]
    engine = OnnxEngine(red, threads)
    found = engine([image(*size, 51 * number) for number, size in enumerate(sizes)])
    for number, (size, (subject,)) in enumerate(zip(sizes, found, strict=True)):
        assert subject.mask.shape == size and np.allclose(subject.mask, number / 5)
        assert subject.box == (1, 2, 3, 4) and subject.confidence == pytest.approx(number / 5)
        assert subject.score == pytest.approx(number / 5) and subject.found == (number > 2)
    assert engine.metadata["name"] == "red" and engine([]) == []


def test_a_view_of_another_array_is_read_right(red: Path) -> None:
    blue_first = np.zeros((4, 6, 3), dtype=np.uint8)
    blue_first[::2, :, 2] = 255
    ((subject,),) = OnnxEngine(red)([blue_first[..., ::-1]])
    assert np.array_equal(subject.mask[:, 0], [1, 0, 1, 0])


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    foreign, newer = write(tmp_path / "foreign.onnx", {}), write(tmp_path / "newer.onnx", {"format": "backdrop-9"})
    said = {tmp_path / "text.onnx": "cannot be read", foreign: "no model of Backdrop", newer: "format backdrop-9"}
    for path, words in said.items():
        with pytest.raises(ValueError, match=words) as refused:
            OnnxEngine(path)
        assert str(path) in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(FileNotFoundError, match=r"nothing\.onnx"):
        OnnxEngine(tmp_path / "nothing.onnx")
    with pytest.raises(ValueError, match="threads is 0"):
        OnnxEngine(foreign, 0)


def test_without_onnxruntime_it_says_what_to_install(red: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RunError, match="pip install onnxruntime"):
        OnnxEngine(red)


@pytest.mark.parametrize(("said", "expected"), [("3", 3), ("2,4", 2), ("0", None), ("many", None)])
def test_threads_are_those_that_others_take(monkeypatch: pytest.MonkeyPatch, said: str, expected: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert _usual_threads() == expected or (expected is None and _usual_threads() >= 1)


def test_torch_is_not_imported(red: Path, root: Path) -> None:
    program = (
        "from tests.backdrop.lean import block; block()\n"
        "import numpy, backdrop\n"
        f"result = backdrop.load({str(red)!r})(numpy.full((4, 6, 3), 255, numpy.uint8))\n"
        "assert result.found and result.score == 1 and result.box == (1, 2, 3, 4), result\n"
        "assert result.mask.shape == (4, 6)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_file_of_which_one_bit_differs_is_refused_wherever_it_is(red: Path, tmp_path: Path) -> None:
    """The right value is the file before; onnxruntime 1.32 takes some of these files, and answers something else."""
    whole, damaged = red.read_bytes(), tmp_path / "damaged.onnx"
    for at in range(len(whole)):
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(ValueError, match=r"damaged\.onnx") as refused:
            OnnxEngine(damaged)
        assert "\n" not in str(refused.value)


def test_the_check_sum_is_that_of_the_file_with_noughts_in_its_place(red: Path) -> None:
    """The right value is that of sha256sum (GNU coreutils)."""
    whole = red.read_bytes()
    written = re.search(rb"sha256:([0-9a-f]{64})", whole)
    assert written is not None
    blank = whole.replace(written[1], b"0" * 64)
    said = subprocess.run(["sha256sum"], input=blank, capture_output=True, check=True).stdout
    assert said.split()[0] == written[1]
