"""What is said of a clip whose frames are not what one would guess, and that the command it names mends it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from datamodules.readers import ImageFrames, VideoFrames
from tests.datamodules.readers.test_cut import write_cut
from tests.datamodules.readers.test_shown import exact, in_colour
from tests.fake_data import draw_frame, write_gif, write_images, write_variable_rate, write_video

with_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command line is not installed")

INTERLACED = {
    "run.mpg": "-c:v mpeg2video -flags +ildct+ilme",
    "run.ts": "-c:v libx264 -flags +ildct+ilme",
    "run.mp4": "-c:v libx264 -flags +ildct+ilme",
    "run.mkv": "-vf setfield=tff -c:v ffv1 -flags +ildct",
    "run.avi": "-c:v mpeg4 -flags +ildct+ilme",
    "run.dv": "-s 720x576 -pix_fmt yuv420p -c:v dvvideo",
    "run.mov": "-vf setfield=tff -c:v mjpeg",  # frames do not say it, the container does
}


def said(path: Path) -> dict[str, str]:
    """What is said of a clip, by kind."""
    frames = VideoFrames(path) if path.is_file() else ImageFrames(path)
    return {remark.kind: remark.what for remark in frames.remarks()}


def ffmpeg(path: Path, options: str, rate: int = 25, frames: int = 12) -> Path:
    """A video of FFmpeg's own test picture."""
    source = f"testsrc2=size=128x96:rate={rate}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", str(frames), *options.split()]
    subprocess.run([*command, str(path)], check=True)
    return path


def mended(what: str, folder: Path) -> Path:
    """The video that the command in a remark makes."""
    found = re.search(r"ffmpeg .*NEW\.mkv", what)
    assert found is not None
    subprocess.run(found[0].replace("ffmpeg", "ffmpeg -v error", 1), shell=True, check=True, cwd=folder)
    return folder / "NEW.mkv"


def probe(path: Path) -> dict[str, str]:
    """What FFmpeg's own ffprobe says of the first video stream."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_streams", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"][0]
    return {key: str(value) for key, value in found.items()}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "webm", "mpg", "gif"])
def test_nothing_is_said_of_a_plain_video(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    if suffix == "gif":
        write_gif(path)
    else:
        codec = {"webm": "libvpx-vp9", "mpg": "mpeg2video"}.get(suffix, "libx264")
        write_video(path, frames=40, codec=codec, rate=25)
    assert said(path) == {}


@with_ffmpeg
@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_video_is_said_and_the_command_deinterlaces_it(tmp_path: Path, name: str) -> None:
    """FFmpeg 5.1 encodes fields where it is told to; what its bwdif filter makes is progressive, frame by frame."""
    (tmp_path / "it's").mkdir()
    path = ffmpeg(tmp_path / "it's" / name, INTERLACED[name])
    what = said(path)["interlaced"]
    assert str(path) in what
    new = mended(what, tmp_path)
    assert "interlaced" not in said(new) and probe(new)["field_order"] == "progressive"
    assert len(list(VideoFrames(new).frames())) == len(list(VideoFrames(path).frames()))


@with_ffmpeg
@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "mov"])
def test_hdr_is_said_and_the_command_maps_it(tmp_path: Path, transfer: str, name: str, suffix: str) -> None:
    """Tags as FFmpeg 5.1 writes them; after its zscale and tonemap filters they are those of SDR."""
    tags = f"-color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -pix_fmt yuv420p10le"
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    path = ffmpeg(tmp_path / f"run.{suffix}", f"-c:v {codec} {tags}", frames=3)
    assert probe(path)["color_transfer"] == transfer
    found = said(path)
    assert list(found) == ["HDR"] and f"({name})" in found["HDR"]
    filters = subprocess.run(["ffmpeg", "-v", "error", "-filters"], capture_output=True, check=True, text=True).stdout
    if "zscale" in filters:
        assert said(mended(found["HDR"], tmp_path)) == {}


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((16, 1280), "bt709"), ((16, 1278), "bt601"), ((578, 16), "bt709"), ((576, 16), "bt601")],
)
def test_hd_that_does_not_say_its_matrix_is_what_players_show(
    tmp_path: Path, size: tuple[int, int], matrix: str
) -> None:
    """BT.709 above 576 rows or from 1280 columns on, as mpv 0.38 and libplacebo 7 take it; FFmpeg's scaler does not."""
    path, planes = in_colour(tmp_path / "run.mkv", "unsaid", False, size)
    error = next(VideoFrames(path).frames())[1] - exact(planes, matrix, False, 1)
    assert abs(error.mean()) < 0.1 and np.abs(error).max() < 1.1
    half = next(VideoFrames(path).frames((size[0] // 2, size[1] // 2)))[1] - exact(planes, matrix, False, 2)
    assert abs(half.mean()) < 0.1 and np.abs(half).max() < 1.1
    found = said(path)
    assert ("untagged HD" in found) == (matrix == "bt709") == ("BT.709" in list(VideoFrames(path).identity()))


@with_ffmpeg
@pytest.mark.parametrize("codec", ["libx264 -qp 0", "mpeg4 -q:v 1"])
def test_the_command_tags_hd_as_sd(tmp_path: Path, codec: str) -> None:
    path = ffmpeg(tmp_path / "run.mp4", f"-vf scale=1280:96,setsar=1 -pix_fmt yuv420p -c:v {codec}", frames=2)
    found = said(path)
    assert list(found) == ["untagged HD"]
    new = mended(found["untagged HD"], tmp_path)
    assert probe(new)["color_space"] == "smpte170m" and said(new) == {}
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo"]
    flags = ["-pix_fmt", "rgb24", "-sws_flags", "neighbor+accurate_rnd+full_chroma_int", "-"]
    shown = subprocess.run([*command, *flags], check=True, capture_output=True).stdout  # BT.601, as FFmpeg 5.1 takes it
    frames = [next(VideoFrames(video).frames())[1] for video in (new, path)]
    tagged, unsaid = (np.abs(frame.astype(int).ravel() - np.frombuffer(shown, np.uint8)).mean() for frame in frames)
    assert tagged < 1.5 < 6 < unsaid


@with_ffmpeg
def test_motion_jpeg_is_bt601_at_any_size(tmp_path: Path) -> None:
    """As JFIF (ITU-T T.871) has it; FFmpeg says so of its frames."""
    path = ffmpeg(tmp_path / "run.avi", "-vf scale=1280:720,setsar=1 -pix_fmt yuvj420p -c:v mjpeg", frames=2)
    assert said(path) == {}


@with_ffmpeg
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mpg", "webm"])
def test_the_shape_of_oblong_pixels_counts(tmp_path: Path, suffix: str) -> None:
    """ffprobe's display aspect ratio, 16:9, at the height of the frames."""
    codec = {"avi": "mpeg4", "mpg": "mpeg2video", "webm": "libvpx"}.get(suffix, "libx264")
    path = ffmpeg(tmp_path / f"run.{suffix}", f"-s 144x108 -vf setsar=4/3 -c:v {codec}")
    assert probe(path)["display_aspect_ratio"] == "16:9"
    video = VideoFrames(path)
    assert video.original_size() == (108, 144) and video.shown_size() == (108, 192)
    assert "144x108 are shown as 192x108" in said(path)["non-square pixels"]


def test_oblong_pixels_are_turned_with_their_frame(tmp_path: Path) -> None:
    """A quarter turn makes wide pixels high: 64x48 of 2:1 is seen 128 wide, and 128 high once it is turned."""
    path = tmp_path / "run.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        stream.set_display_rotation(90)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(draw_frame(0, 0)[0], format="rgb24")))
        file.mux(stream.encode())
    video = VideoFrames(path)
    assert video.original_size() == (64, 48) and video.pixel_aspect == Fraction(1, 2)
    assert video.shown_size()[1] / video.shown_size()[0] == pytest.approx(48 / 128)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_variable_rate_is_said_but_not_the_rounding_of_times(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_variable_rate(tmp_path / f"run.{suffix}", [0, 33, 67, 100, 220, 253, 287])
    remark = said(path)["variable rate"]
    assert "33 to 120 ms" in remark and "--data" not in remark
    monkeypatch.setattr(sys, "argv", ["backdrop", "train"])
    assert "`-- --data.init_args.fps 10` takes ten of a second" in said(path)["variable rate"]
    write_variable_rate(path, [round(number * 1000 / 30) for number in range(60)])
    assert said(path) == {}


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_rate_that_varies_from_a_late_frame_on_is_said(tmp_path: Path, suffix: str) -> None:
    """Containers without a table of all frames."""
    late = [33 * number for number in range(330)]
    path = write_variable_rate(tmp_path / f"run.{suffix}", [*late, *(late[-1] + 120 * number for number in (1, 2, 3))])
    assert "33 to 120 ms" in said(path)["variable rate"]
    assert said(write_variable_rate(path, late)) == {}


@with_ffmpeg
def test_the_frames_that_an_avi_drops_are_not_counted(tmp_path: Path) -> None:
    """FFmpeg 5.1 writes an AVI of one rate with gaps where frames are missing: 50 in its header, 45 that are shown."""
    options = "-vf select='not(between(n,10,14))' -fps_mode passthrough -c:v mpeg4"
    path = ffmpeg(tmp_path / "run.avi", options, frames=45)
    assert probe(path)["nb_frames"] == "50"
    video, lost = VideoFrames(path), list[object]()
    assert len(video) == len(list(video.frames(broken=lambda *what: lost.append(what)))) == 45 and not lost
    assert video.times()[[9, 10, 44]] == pytest.approx([9 / 25, 15 / 25, 49 / 25])
    assert "40 to 240 ms" in said(path)["variable rate"]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    list(VideoFrames(path).frames(broken=lambda *what: lost.append(what)))
    assert lost


@with_ffmpeg
def test_the_command_makes_an_image_of_each_frame_of_a_variable_rate(tmp_path: Path) -> None:
    """FFmpeg 5.1, which else makes images at one rate: 9 of these 7 frames, or more."""
    path = write_variable_rate(tmp_path / "run.mp4", [0, 33, 67, 100, 220, 253, 287])
    found = re.search(r"ffmpeg .*", said(path)["variable rate"])
    assert found is not None
    subprocess.run(found[0], shell=True, check=True, cwd=tmp_path, capture_output=True)
    assert sorted(file.name for file in tmp_path.glob("*.png")) == [f"{number:06d}.png" for number in range(7)]


@pytest.mark.parametrize(("suffix", "hidden"), [("mp4", "of its 48 frames"), ("ts", "some of its"), ("mkv", "some of")])
def test_a_cut_without_encoding_is_said(tmp_path: Path, suffix: str, hidden: str) -> None:
    edit_list = suffix == "mp4"
    path = write_cut(tmp_path / f"run.{suffix}", 0 if edit_list else 12, edit_list, "mp4" if edit_list else "ts")
    found = said(path)
    assert list(found) == ["cut"] and hidden in found["cut"]


@with_ffmpeg
def test_a_cut_of_even_rate_is_none_of_a_variable_rate(tmp_path: Path) -> None:
    """FFmpeg 5.1 cuts H.264 with frames out of order: its edit list hides some that are decoded after shown ones."""
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    ffmpeg(whole, "-c:v libx264 -bf 3 -x264-params b-adapt=0", frames=60)
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "0.4", "-i", whole, "-c", "copy", cut], check=True)
    with av.open(str(cut)) as file:
        hidden = [entry.is_discard for entry in file.streams.video[0].index_entries]
    assert hidden[: sum(hidden)] != [True] * sum(hidden)  # so that one that is shown lies between them
    assert list(said(cut)) == ["cut"]


def test_images_of_several_sizes_are_said(tmp_path: Path) -> None:
    write_images(tmp_path / "a", frames=4)
    assert said(tmp_path / "a") == {}
    write_images(tmp_path / "a", frames=2, size=(24, 32), first=4)
    turned = Image.fromarray(draw_frame(0, 0, (64, 48))[0])
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "a" / "00006.jpg", exif=exif)  # upright it has the size of the first ones
    (tmp_path / "a" / "00007.jpg").write_bytes(b"no image")
    what = said(tmp_path / "a")["mixed sizes"]
    assert "5 of 64x48, 2 of 32x24, such as 00004.jpg" in what


@with_ffmpeg
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_images_of_oblong_pixels_are_said(tmp_path: Path, suffix: str) -> None:
    """FFmpeg 5.1 writes the shape of the pixels into the images that it extracts."""
    (tmp_path / "a").mkdir()
    ffmpeg(tmp_path / "a" / f"%06d.{suffix}", "-vf setsar=64/45", frames=2)
    assert "64:45" in said(tmp_path / "a")["non-square pixels"]
    (tmp_path / "b").mkdir()
    ffmpeg(tmp_path / "b" / f"%06d.{suffix}", "-vf setsar=1", frames=2)
    assert said(tmp_path / "b") == {}
