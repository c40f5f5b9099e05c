"""Images and videos that are damaged, or of kinds that good guesses get wrong, are read right or refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules.readers import ImageFrames, VideoFrames, list_images, read_image, read_mask
from tests.fake_data import draw_frame, write_images, write_video

RAMP = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(16, 0)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_grey_of_16_bits_is_read_as_opencv_reads_it(tmp_path: Path, suffix: str) -> None:
    """OpenCV 5.0 makes 8 bits of it, the upper ones; Pillow 13.0 alone cuts all above 255 off."""
    path = tmp_path / f"ramp.{suffix}"
    cv2.imwrite(str(path), RAMP)
    by_opencv = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert by_opencv is not None and np.array_equal(read_image(path), by_opencv)
    assert np.array_equal(read_image(path)[0, :, 0], RAMP[0] >> 8)


def test_colours_of_16_bits_keep_their_upper_ones(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "ramp.png"), np.dstack([RAMP, RAMP[:, ::-1], RAMP // 2]))
    right = np.dstack([RAMP // 2, RAMP[:, ::-1], RAMP]) >> 8
    assert np.array_equal(read_image(tmp_path / "ramp.png"), right)


@pytest.mark.parametrize("values", [np.linspace(0, 1, 256, dtype=np.float32), np.arange(256, dtype=np.int32)])
def test_numbers_of_32_bits_are_refused(tmp_path: Path, values: np.ndarray) -> None:  # type: ignore[type-arg]
    Image.fromarray(values[None].repeat(4, 0)).save(tmp_path / "depth.tif")
    with pytest.raises(ValueError, match=r"depth\.tif \(it has numbers of 32 bits, .*save it with 8 or 16 bits"):
        read_image(tmp_path / "depth.tif")


@pytest.mark.parametrize("suffix", ["tif", "webp", "png"])
def test_a_file_of_several_pages_is_no_frame(tmp_path: Path, suffix: str) -> None:
    pages = [Image.new("RGB", (64, 48), (value, value, value)) for value in (0, 100, 200)]
    pages[0].save(tmp_path / f"stack.{suffix}", save_all=True, append_images=pages[1:])
    for read in (read_image, read_mask):
        with pytest.raises(ValueError, match=rf"stack\.{suffix} \(it holds 3 pages, each of which must be a file"):
            read(tmp_path / f"stack.{suffix}")


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_png_with_a_wrong_check_sum_is_refused(tmp_path: Path, read: object) -> None:
    """One bit of the compressed pixels differs, or the end is zero; the CRC of PNG (ISO/IEC 15948, 5.3) says so."""
    path = tmp_path / "mask.png"
    Image.fromarray(draw_frame(0, 0)[1].astype(np.uint8) * 255).save(path)
    whole = path.read_bytes()
    start = whole.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", whole[start - 8 : start - 4])
    assert zlib.crc32(whole[start - 4 : start + length]) == struct.unpack(">I", whole[start + length :][:4])[0]
    assert callable(read) and read(path) is not None
    for place in range(start, start + length):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"mask\.png .*replace or delete"):
            read(path)
    path.write_bytes(whole[: -len(whole) // 5] + bytes(len(whole) // 5))
    with pytest.raises(ValueError, match=r"mask\.png .*replace or delete"):
        read(path)


def test_time_stamps_as_names_sort_in_time(tmp_path: Path) -> None:
    stamps = ["0.1", "0.2", "0.25", "0.3", "1.0", "1.05", "10.5"]
    for folder, names in (
        ("time", [f"t_{stamp}" for stamp in stamps]),
        ("takes", ["1.8", "1.9", "1.10", "2.1"]),
        ("counted", ["shot2.0001", "shot2.0002", "shot2.0010"]),
        ("plain", ["a2", "a10"]),
    ):
        for name in names:
            write_images(tmp_path / folder, frames=1, pattern=name + ".jpg")
        assert [path.stem for path in list_images(tmp_path / folder)] == names


def test_links_that_lead_nowhere_are_listed(tmp_path: Path) -> None:
    write_images(tmp_path / "run", frames=3)
    (tmp_path / "run" / "00003.jpg").symlink_to(tmp_path / "not fetched")
    lost: list[tuple[int, str]] = []
    assert [n for n, _ in ImageFrames(tmp_path / "run").frames(broken=lambda *what: lost.append(what))] == [0, 1, 2]
    assert [n for n, _ in lost] == [3] and "a link that leads nowhere: fetch what it points to" in lost[0][1]


def test_damage_that_ffmpeg_calls_forbidden_is_no_failing_disk(tmp_path: Path) -> None:
    """FFmpeg 8.0 (PyAV 18.1) gives EPERM, EIO and others for damaged WebM; one such file must not end all."""
    video = write_video(tmp_path / "run.webm", frames=12, codec="libvpx-vp9")
    whole, forbidden = video.read_bytes(), 0
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged, start, length = bytearray(whole), int(rng.integers(len(whole))), int(rng.integers(1, 60))
        part = damaged[start : start + length]
        damaged[start : start + length] = rng.integers(0, 256, len(part)).astype(np.uint8).tobytes()
        video.write_bytes(damaged)
        try:
            with av.open(str(video), metadata_errors="replace") as file:
                for packet in file.demux(video=0):
                    packet.decode()
        except OSError:
            forbidden += 1
        except (ValueError, IndexError, av.error.FFmpegError):
            pass
        try:
            frames = VideoFrames(video)
            list(frames.frames(broken=lambda *_: None))
            assert len(frames) >= 0
        except ValueError as error:
            assert "run.webm" in str(error)
    assert forbidden > 0
