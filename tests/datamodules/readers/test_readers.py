from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ExifTags, Image

from datamodules.readers import (
    ImageFrames,
    VideoFrames,
    natural_key,
    open_frames,
    read_image,
    read_mask,
    resize,
    resize_mask,
    resize_objects,
    video_rate,
)
from datamodules.readers.names import frame_number
from tests.fake_data import SIZE, draw_frame, write_images, write_variable_rate, write_video


def test_natural_order_and_original_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"cam3_frame_{number}.png")
    frames = list(ImageFrames(tmp_path).frames())
    assert [index for index, _ in frames] == [1, 2, 10]
    assert [int(image[0, 0, 0]) for _, image in frames] == [1, 2, 10]
    assert sorted(["b10", "b9", "a"], key=natural_key) == ["a", "b9", "b10"]
    assert sorted(["²b", "2b", "²", "x/1", "1c"], key=natural_key) == ["x/1", "1c", "2b", "²", "²b"]
    assert frame_number("run2_000012") == 12 and frame_number("cover") is None


def test_frames_without_clear_numbers_are_counted(tmp_path: Path) -> None:
    for name in ("cover", "frame_1", "other_1"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    assert ImageFrames(tmp_path).indices == [0, 1, 2]


def test_scaled_objects_share_the_pixels_of_their_mask() -> None:
    objects = np.zeros((4, 8), dtype=np.uint8)
    objects[:, :3], objects[:, 3:5] = 7, 2  # the second output pixel is half of each
    objects[:2, 6:] = 7
    joined = resize_mask(objects > 0, (2, 4))
    scaled = resize_objects(objects, joined)
    assert scaled.tolist() == [[7, 2, 2, 7], [7, 2, 2, 0]]
    assert np.array_equal(scaled > 0, joined)
    assert not resize_objects(np.zeros((4, 8), dtype=np.uint8), np.zeros((2, 4), dtype=bool)).any()


def test_long_folders_take_little_memory(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"{number:06d}.jpg").touch()
    tracemalloc.start()
    try:
        source = ImageFrames(tmp_path)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(source) == 2000 and held < 2000 * 200  # bytes; a path object alone is more


def test_only_wanted_frames_are_read(tmp_path: Path) -> None:
    write_images(tmp_path / "run", frames=5)
    video = write_video(tmp_path / "run.mp4", frames=5)
    (tmp_path / "run" / "00001.jpg").write_bytes(b"broken")
    for source in (ImageFrames(tmp_path / "run"), VideoFrames(video)):
        assert [index for index, _ in source.frames(keep=lambda at, _: at % 2 == 0)] == [0, 2, 4]


def test_area_averaging() -> None:
    board = np.tile(np.array([[0, 200], [200, 0]], np.uint8), (4, 4))
    assert (resize(board, (4, 4)) == 100).all()
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    mask[2, 2] = True
    assert resize_mask(mask, (2, 2)).tolist() == [[True, False], [False, False]]


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "phone.jpg", exif=exif)
    assert read_image(tmp_path / "phone.jpg").shape == (8, 4, 3)
    assert ImageFrames(tmp_path).original_size() == (8, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16", "jpeg"])
def test_any_non_zero_mask_value_is_the_subject(tmp_path: Path, mode: str) -> None:
    truth = draw_frame(0, 0)[1]
    path = tmp_path / "mask.png"
    values = truth.astype(np.uint8)
    if mode == "L":
        Image.fromarray(values).save(path)
    elif mode in ("RGB", "RGBA"):
        Image.fromarray(np.dstack([values * 0, values * 128, values * 0])).convert(mode).save(path)
    elif mode == "P":
        picture = Image.fromarray(values).convert("P")
        picture.putpalette([0, 0, 0, 0, 0, 0, 9, 9, 9])  # index 1 is painted black as well
        picture.putdata((values * 1).ravel().tolist())
        picture.save(path)
    elif mode == "1":
        Image.fromarray(values * 255).convert("1").save(path)
    elif mode == "I;16":
        Image.fromarray(values.astype(np.uint16) * 500).save(path)
    else:
        path = tmp_path / "mask.jpg"
        Image.fromarray(values * 255).save(path, quality=80)
    mask = read_mask(path)
    assert mask.dtype == bool
    assert (mask != truth).mean() < (0.01 if mode == "jpeg" else 1e-9)


def test_video_frames_come_in_order_and_upright(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "plain.mp4", frames=5, rate=12)
    turned = write_video(tmp_path / "turned.mp4", frames=5, portrait=True)
    assert len(VideoFrames(plain)) == 5 and video_rate(plain) == pytest.approx(12)
    upright = list(VideoFrames(plain).frames())
    assert [index for index, _ in upright] == list(range(5))
    for index, image in upright:
        assert np.abs(image.astype(int) - draw_frame(0, index)[0]).mean() < 20
    rotated = [image for _, image in VideoFrames(turned).frames()]
    assert VideoFrames(turned).original_size() == SIZE[::-1]
    still = [image for _, image in VideoFrames(write_video(tmp_path / "still.mp4", frames=5)).frames()]
    for image, other in zip(still, rotated, strict=True):
        assert np.array_equal(np.rot90(image, -1), other)  # clockwise
    assert next(VideoFrames(turned).frames((32, 24)))[1].shape == (32, 24, 3)


def test_open_frames_takes_folders_and_videos(tmp_path: Path) -> None:
    write_images(tmp_path / "run")
    assert isinstance(open_frames(tmp_path / "run"), ImageFrames)
    assert isinstance(open_frames(write_video(tmp_path / "run.mp4")), VideoFrames)
    with pytest.raises(FileNotFoundError, match="Nothing at"):
        open_frames(tmp_path / "none")


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (read_image, read_mask, VideoFrames, ImageFrames, video_rate):
        with pytest.raises(FileNotFoundError, match="none"):
            read(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="No image in"):
        ImageFrames(tmp_path)


def test_corrupt_images_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "run", frames=3)
    whole = (tmp_path / "run" / "00001.jpg").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no image"):
        (tmp_path / "run" / "00001.jpg").write_bytes(content)
        with pytest.raises(ValueError, match=r"00001\.jpg.*replace"):
            list(ImageFrames(tmp_path / "run").frames())
        with pytest.raises(ValueError, match="Cannot read the mask"):
            read_mask(tmp_path / "run" / "00001.jpg")


def test_corrupt_videos_are_named(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "run.mp4", frames=30).read_bytes()
    for content in (whole[: len(whole) // 3], b"", b"no video at all"):
        (tmp_path / "run.mp4").write_bytes(content)
        with pytest.raises(ValueError, match=r"run\.mp4"):
            list(VideoFrames(tmp_path / "run.mp4").frames())


def lost_frames(video: Path) -> tuple[list[int], list[tuple[int, str]]]:
    """Numbers of the frames that are read, and what is told of the others."""
    lost: list[tuple[int, str]] = []
    read = [number for number, _ in VideoFrames(video).frames(broken=lambda *what: lost.append(what))]
    return read, lost


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("webm", "libvpx-vp9"), ("webm", "libvpx")])
def test_a_variable_rate_is_no_loss(tmp_path: Path, suffix: str, codec: str) -> None:
    shown = [*range(0, 1980, 33), *range(1980, 11980, 500)]  # 60 frames at 30 per second, 20 at 2
    video = write_variable_rate(tmp_path / f"run.{suffix}", shown, codec)
    assert len(VideoFrames(video)) == 80
    assert VideoFrames(video).times() == pytest.approx(np.array(shown) / 1000, abs=0.002)
    assert lost_frames(video) == (list(range(80)), [])


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("webm", "libvpx-vp9")])
@pytest.mark.parametrize("part", [0.97, 0.7])
def test_frames_that_a_matroska_file_lacks_are_told(tmp_path: Path, suffix: str, codec: str, part: float) -> None:
    video = write_video(tmp_path / f"run.{suffix}", frames=200, codec=codec, rate=30)
    assert lost_frames(video) == (list(range(200)), [])
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * part)])
    read, lost = lost_frames(video)
    assert read == list(range(len(VideoFrames(video)))) and 2 < len(lost) < 100
    assert [number for number, _ in lost] == list(range(len(read), 200))
    assert "states that it lasts 6.67 s" in lost[0][1]
    # the holes that lost frames leave between the last ones are not filled
    assert len(VideoFrames(video).times()) == 200 and VideoFrames(video).times()[-1] == pytest.approx(199 / 30, abs=0.2)


def test_a_variable_rate_that_is_cut_loses_frames_of_its_end(tmp_path: Path) -> None:
    shown = [*range(0, 1980, 33), *range(1980, 51980, 500)]
    video = write_variable_rate(tmp_path / "run.mkv", shown)
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.9)])
    read, lost = lost_frames(video)
    assert len(lost) > 2 and len(read) + len(lost) == pytest.approx(160, abs=1)


def test_longer_sound_is_no_loss_of_frames(tmp_path: Path) -> None:
    from av.audio.frame import AudioFrame

    with av.open(str(tmp_path / "run.mkv"), "w") as file:
        stream, sound = file.add_stream("libx264", rate=10), file.add_stream("aac", rate=8000)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(10):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(draw_frame(0, number)[0], format="rgb24")))
        file.mux(stream.encode())
        for number in range(32):  # 4 seconds
            part = AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
            part.sample_rate, part.pts = 8000, number * 1000
            file.mux(sound.encode(part))
        file.mux(sound.encode())
    with av.open(str(tmp_path / "run.mkv")) as file:
        assert file.duration is not None and file.duration > 3e6
    assert lost_frames(tmp_path / "run.mkv") == (list(range(10)), [])


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_a_failing_disk_is_no_broken_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    video = write_video(tmp_path / "run.mp4")

    def fail(path: str, **_: object) -> None:
        av.error.err_check(-number, path)

    monkeypatch.setattr("datamodules.readers.video_file.av.open", fail)
    with pytest.raises(OSError, match=r"run\.mp4 \(.*check the disk") as caught:
        VideoFrames(video)
    assert caught.value.errno == number and os.strerror(number) in str(caught.value)


def test_too_little_memory_is_no_broken_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "run.mp4")

    def fail(path: str, **_: object) -> None:
        av.error.err_check(-errno.ENOMEM, path)

    monkeypatch.setattr("datamodules.readers.video_file.av.open", fail)
    with pytest.raises(OSError, match=r"run\.mp4 \(Cannot allocate memory"):
        VideoFrames(video)


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("wmv", "wmv2")])
def test_a_video_cut_in_its_header_is_no_failing_disk(tmp_path: Path, suffix: str, codec: str) -> None:
    """FFmpeg calls some of these an input or output error, or a forbidden operation."""
    video = write_video(tmp_path / f"run.{suffix}", codec=codec)
    whole = video.read_bytes()
    for length in range(0, 300, 5):
        video.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"run\.{suffix}"):
            list(VideoFrames(video).frames())


def test_numbers_that_do_not_ascend_are_no_frame_numbers(tmp_path: Path) -> None:
    for name in ("a_1", "a_2", "b_10", "c_5"):
        write_images(tmp_path, frames=1, pattern=name + ".jpg")
    assert ImageFrames(tmp_path).indices == [0, 1, 2, 3]


def test_other_pixels_are_another_source_whatever_their_times(tmp_path: Path) -> None:
    """Uncompressed images have one length, and archives give all files one time; a tag is changed in place."""
    seen = set()
    for colour in ((200, 0, 0), (0, 0, 200)):
        Image.new("RGB", (64, 48), colour).save(tmp_path / "0.bmp")
        os.utime(tmp_path / "0.bmp", (315532800, 315532800))
        seen.add(tuple(ImageFrames(tmp_path).identity()))
    assert len(seen) == 2
    Image.new("RGB", (640, 480)).save(tmp_path / "0.bmp")
    content = bytearray((tmp_path / "0.bmp").read_bytes())
    for band in range(7):  # of an eighth of the rows, wherever it is
        changed = content.copy()
        changed[54 + band * 1920 * 60 : 54 + (band + 1) * 1920 * 60] = b"\xff" * 1920 * 60
        (tmp_path / "0.bmp").write_bytes(changed)
        os.utime(tmp_path / "0.bmp", (315532800, 315532800))
        seen.add(tuple(ImageFrames(tmp_path).identity()))
    assert len(seen) == 9
    (tmp_path / "0.bmp").unlink()
    seen.clear()
    for turn in (1, 6):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = turn
        Image.new("RGB", (64, 48)).save(tmp_path / "0.jpg", exif=exif)
        os.utime(tmp_path / "0.jpg", (315532800, 315532800))
        seen.add(tuple(ImageFrames(tmp_path).identity()))
    assert len(seen) == 2
