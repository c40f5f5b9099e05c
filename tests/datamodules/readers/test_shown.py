"""Frames of videos are what players show: turned and mirrored, of the right stream, in the right colours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from datamodules.readers import VideoFrames, open_frames, video_rate
from tests.fake_data import draw_frame

_ONE = 1 << 16  # 16.16 fixed point, as the matrix is stored
_MATRICES = [(x, 0, 0, y) for x in (1, -1) for y in (1, -1)] + [(0, x, y, 0) for x in (1, -1) for y in (1, -1)]


def write(path: Path, frames: list[NDArray[np.uint8]], matrix: tuple[int, int, int, int] | None = None) -> Path:
    """A lossless H.264 video of RGB frames, with the top left of a display matrix."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264rgb", rate=10, options={"qp": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb24"
        if matrix is not None:
            a, b, c, d = (value * _ONE for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def by_the_standard(image: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Put each pixel at (x, y) where ISO/IEC 14496-12, 8.3.2 has it: at (a x + c y, b x + d y), moved into view."""
    a, b, c, d = matrix
    height, width = image.shape[:2]
    places = {(a * x + c * y, b * x + d * y): image[y, x] for y in range(height) for x in range(width)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    shown = np.zeros((width, height, 3) if b else (height, width, 3), np.uint8)
    for (x, y), colour in places.items():
        shown[y - top, x - left] = colour
    return shown


@pytest.mark.parametrize("matrix", _MATRICES)
def test_a_display_matrix_turns_and_mirrors(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    """The eight ways that keep pixels whole; where each pixel goes is counted out from the standard."""
    image = draw_frame(0, 0)[0]
    video = VideoFrames(write(tmp_path / "run.mp4", [image], matrix))
    shown = by_the_standard(image, matrix)
    assert np.array_equal(next(video.frames())[1], shown)
    height, width = shown.shape[:2]
    assert video.original_size() == (height, width)
    half = next(video.frames((height // 2, width // 2)))[1]
    means = shown.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - means).max() <= 2


@pytest.mark.parametrize("turn", range(1, 9))
def test_motion_jpeg_of_photographs_is_upright(tmp_path: Path, turn: int) -> None:
    """A time-lapse whose photographs were copied into a video: PyAV 18.1.0 has no name for their EXIF block.

    See findings/pyav_side_data_of_photographs.sh. The right value is Pillow's. FFmpeg 8.1 follows the orientation that
    stands in a frame, 5.1 (Debian 12) does not.
    """
    exif = Image.Exif()
    exif[0x10F], exif[0x112] = "Camera", turn
    Image.fromarray(draw_frame(0, 0)[0]).save(tmp_path / "photograph.jpg", exif=exif, subsampling=0, quality=95)
    with av.open(str(tmp_path / "lapse.mov"), "w") as file, av.open(str(tmp_path / "photograph.jpg")) as photograph:
        stream = file.add_stream_from_template(photograph.streams.video[0])
        packet = next(photograph.demux(video=0))
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        file.mux(packet)
    video = VideoFrames(tmp_path / "lapse.mov")
    shown = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "photograph.jpg")))
    image = next(video.frames())[1]
    assert video.original_size() == shown.shape[:2] and image.shape == shown.shape
    assert np.abs(image.astype(int) - shown).max() <= 3  # roundings from YCbCr


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command line is not installed")
@pytest.mark.parametrize("matrix", _MATRICES)
def test_frames_are_those_of_the_ffmpeg_command_line(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    """`ffmpeg -i run.mp4` turns and mirrors by itself (5.1 and 9.0.2 were tried)."""
    path = write(tmp_path / "run.mp4", [draw_frame(0, 0)[0]], matrix)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = subprocess.run(command, check=True, capture_output=True).stdout
    assert next(VideoFrames(path).frames())[1].tobytes() == shown


def in_colour(
    path: Path, matrix: str, full: bool, size: tuple[int, int] = (48, 64)
) -> tuple[Path, list[NDArray[np.float64]]]:
    """A lossless video of one frame of random luma and chroma (4:2:0), and its planes, by the tags that it has.

    Of the matrix "unsaid" there is no tag.
    """
    rng = np.random.default_rng(0)
    luma = rng.integers(90, 170, size)
    planes = [luma, *(rng.integers(108, 149, (size[0] // 2, size[1] // 2)) for _ in range(2))]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = {"bt709": 1, "unsaid": 2, "bt601": 6, "bt2020": 9}[matrix]
        stream.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame(size[1], size[0], "yuv420p")
        frame.colorspace = stream.codec_context.colorspace
        frame.color_range = 2 if full else 1
        for plane, values in zip(frame.planes, planes, strict=True):
            padded = np.zeros((plane.height, plane.line_size), np.uint8)
            padded[:, : values.shape[1]] = values
            plane.update(padded.tobytes())
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path, [values.astype(np.float64) for values in planes]


def exact(planes: list[NDArray[np.float64]], matrix: str, full: bool, divisor: int) -> NDArray[np.float64]:
    """RGB of the means over squares of ``divisor`` pixels, as ITU-R BT.601, BT.709 and BT.2020 define it."""
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[matrix]
    height, width = (length // divisor for length in planes[0].shape)
    y, u, v = (
        plane.reshape(height, -1, width, plane.shape[1] // width).mean(axis=(1, 3))
        if plane.shape[0] >= height
        else plane.repeat(2, 0).repeat(2, 1)
        for plane in planes
    )
    y = y if full else (y - 16) * 255 / 219
    u, v = ((plane - 128) * (1 if full else 255 / 224) for plane in (u, v))
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], axis=-1)


@pytest.mark.parametrize("divisor", [1, 2, 4])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
def test_scaled_frames_have_the_colours_of_exact_arithmetic(
    tmp_path: Path, matrix: str, full: bool, divisor: int
) -> None:
    """PyAV 18.1.0 with libswscale 9.5 made them 1.5 to 2 levels too dark in one step to packed RGB."""
    path, planes = in_colour(tmp_path / "run.mkv", matrix, full)
    right = exact(planes, matrix, full, divisor)
    assert right.min() > 1 and right.max() < 254  # nothing is clipped
    height, width = right.shape[:2]
    error = next(VideoFrames(path).frames((height, width)))[1] - right
    assert abs(error.mean()) < 0.1 and np.abs(error.mean(axis=(0, 1))).max() < 0.15 and np.abs(error).max() < 1.1


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mpg"])
def test_white_and_black_stay_white_and_black(tmp_path: Path, suffix: str) -> None:
    board = np.zeros((96, 128, 3), np.uint8)
    board[:, 64:] = 255
    with av.open(str(tmp_path / f"run.{suffix}"), "w") as file:
        stream = file.add_stream("mpeg1video" if suffix == "mpg" else "mpeg4", rate=25)
        stream.height, stream.width = board.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(board, format="rgb24")))
        file.mux(stream.encode())
    for _, image in open_frames(tmp_path / f"run.{suffix}").frames((24, 32)):
        assert image[:, :14].max() <= 1 and image[:, 18:].min() >= 254


def test_a_cover_a_thumbnail_and_a_proxy_are_not_the_clip(tmp_path: Path) -> None:
    """The streams come first in the file, as some cameras and editors write them."""
    for name, few in (("thumbnail.mov", True), ("proxy.mov", False)):
        with av.open(str(tmp_path / name), "w") as file:
            small = file.add_stream("mjpeg" if few else "libx264", rate=10)
            large = file.add_stream("libx264", rate=10)
            small.height, small.width, large.height, large.width = 24, 32, 48, 64
            small.pix_fmt, large.pix_fmt = "yuvj420p" if few else "yuv420p", "yuv420p"
            for stream in (small, large):
                for number in range(1 if few and stream is small else 12):
                    image = draw_frame(0, number, (stream.height, stream.width))[0]
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                file.mux(stream.encode())
        video = VideoFrames(tmp_path / name)
        assert len(video) == 12 and video.original_size() == (48, 64) and video_rate(tmp_path / name) == 10
        assert len(list(video.frames())) == len(video.times()) == 12


def test_a_sound_file_with_a_cover_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mkv"), "w") as file:
        file.add_attachment("cover.jpg", "image/jpeg", _jpeg(tmp_path / "cover.jpg"))
        sound = file.add_stream("aac", rate=8000)
        for number in range(8):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
            part.sample_rate, part.pts = 8000, number * 1000
            file.mux(sound.encode(part))
        file.mux(sound.encode())
    with pytest.raises(ValueError, match=r"No video stream in .*song\.mkv: is it a sound file"):
        VideoFrames(tmp_path / "song.mkv")


def _jpeg(path: Path) -> bytes:
    from PIL import Image

    Image.fromarray(draw_frame(0, 0)[0]).save(path)
    return path.read_bytes()
