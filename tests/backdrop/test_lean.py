"""An exported model is loaded and applied by onnxruntime, av and numpy alone.

The engine is a stand-in, so that the test needs no exported file: a fixed disc for each frame.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from datamodules.readers.av_image import read_image as read_by_av
from datamodules.readers.images import read_image
from tests.fake_data import draw_frame, write_images, write_video

START = """
import sys, types
from tests.backdrop.lean import MISSING, block
block()
import numpy as np
from backdrop.found import Found

class OnnxEngine:
    def __init__(self, path):
        self.path = path
    def __call__(self, images):
        found = []
        for image in images:
            height, width = image.shape[:2]
            y, x = np.mgrid[:height, :width]
            mask = ((y - height / 2) ** 2 + (x - width / 2) ** 2 < (height / 4) ** 2).astype(np.float32)
            box = (width / 2 - height / 4, height / 4, width / 2 + height / 4, 3 * height / 4)
            found.append([Found(mask, box, 0.5, 0.9)])
        return found

sys.modules["backdrop.onnx_engine"] = types.SimpleNamespace(OnnxEngine=OnnxEngine)
"""
END = """
loaded = [name for name in MISSING.split() if name in sys.modules]
assert not loaded, loaded
"""


def run(root: Path, code: str, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", START + code + END, *words]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_needs_no_other_library(root: Path, tmp_path: Path) -> None:
    write_images(tmp_path, frames=1, size=(48, 64))
    video = write_video(tmp_path / "in.mp4", frames=5, size=(48, 64))
    code = """
import backdrop
model = backdrop.load("cat.onnx")
result = model(sys.argv[1])
assert result.mask.shape == (48, 64) and result.found and len(result.polygons()) == 1
assert result.rgba().shape == (48, 64, 4) and result.overlay().shape == (48, 64, 3)
print([r.number for r in model.video(sys.argv[2], stride=2)])
try:
    result.plot()
except backdrop.RunError as error:
    print(error)
"""
    said = run(root, code, str(tmp_path / "00000.jpg"), str(video)).splitlines()
    assert said[0] == "[0, 2, 4]"
    assert said[1] == "Pillow makes the picture: pip install pillow, or take the array, .overlay()."


def test_predict_needs_no_other_library(root: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "in", frames=2, size=(48, 64))
    video = write_video(tmp_path / "in.mp4", frames=5, size=(48, 64))
    code = """
from experiments.cli import main
words = ["--save", "overlay,mask,soft,cutout,cutout-video,plate", "--track", "--smooth", "3"]
assert main(["predict", *sys.argv[1:], *words]) == 0
"""
    run(root, code, str(tmp_path / "cat.onnx"), str(tmp_path / "in"), str(video), "--output", str(tmp_path / "out"))
    for name, count in (("in", 2), ("in.mp4", 5)):
        with (tmp_path / "out" / name / "boxes.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == count and {row["track"] for row in rows} == {"1"} and rows[0]["score"] == "0.9000"
        assert len(list((tmp_path / "out" / name / "cutouts").iterdir())) == count
    cutout = np.asarray(Image.open(tmp_path / "out" / "in" / "cutouts" / "00000.png"))
    assert cutout.shape == (48, 64, 4) and cutout[24, 32, 3] == 255 and (cutout[0, 0] == 0).all()
    with av.open(str(tmp_path / "out" / "in.mp4" / "overlay.mp4")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 5
    plate = np.asarray(Image.open(tmp_path / "out" / "in.mp4" / "plate.png"))
    assert plate[24, 32, 3] == 0 and plate[0, 0, 3] == 255


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_av_turns_images_as_pillow_does(tmp_path: Path, suffix: str, turn: int) -> None:
    """AVIF: PyAV 18.1.0 has no name for the EXIF block, see findings/pyav_side_data_of_photographs.sh."""
    exif = Image.Exif()
    exif[0x112] = turn
    whole = {"quality": 100, "subsampling": "4:4:4"}
    more = {"jpg": {"subsampling": 0, "quality": 95}, "webp": {"lossless": True}, "avif": whole}.get(suffix, {})
    path = tmp_path / f"in.{suffix}"
    Image.fromarray(draw_frame(0, 0)[0]).save(path, exif=exif, **more)
    off = np.abs(read_by_av(path).astype(int) - read_image(path))
    assert off.max() <= (2 if suffix in ("jpg", "avif") else 0) and off.mean() < 0.5  # two roundings from YCbCr


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16"])
def test_av_reads_kinds_of_pixels_as_pillow_does(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(draw_frame(0, 0)[0]).convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    (deep if mode == "I;16" else Image.fromarray(draw_frame(0, 0)[0]).convert(mode)).save(tmp_path / "in.png")
    assert (read_by_av(tmp_path / "in.png") == read_image(tmp_path / "in.png")).all()


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_av_takes_the_upper_bits_of_deep_grey(tmp_path: Path, bits: int) -> None:
    """Lossless FFV1 by PyAV 18.1 has the numbers of an AVIF of such depth; what is right is arithmetic."""
    values = np.linspace(0, 2**bits - 1, 16).astype("<u2")
    with av.open(str(tmp_path / "in.mkv"), "w") as file:
        stream = file.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 8, f"gray{bits}le"
        frame = av.VideoFrame(16, 8, stream.pix_fmt)
        rows = np.zeros((8, frame.planes[0].line_size // 2), "<u2")
        rows[:, :16] = values
        frame.planes[0].update(rows.tobytes())
        file.mux([*stream.encode(frame), *stream.encode()])
    assert (read_by_av(tmp_path / "in.mkv") == (values >> (bits - 8))[None, :, None]).all()


@pytest.mark.parametrize("content", [None, b"no image", b""])
def test_av_names_what_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "in.jpg").write_bytes(content)
    with pytest.raises((FileNotFoundError, ValueError), match=r"in\.jpg"):
        read_by_av(tmp_path / "in.jpg")


def test_av_refuses_a_cut_image(tmp_path: Path) -> None:
    for suffix in ("jpg", "png"):
        path = tmp_path / f"in.{suffix}"
        Image.fromarray(draw_frame(0, 0)[0]).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ValueError, match="replace or delete"):
            read_by_av(path)
