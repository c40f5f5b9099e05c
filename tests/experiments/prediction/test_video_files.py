"""The overlay of a video is in step with it: times, sound, pixel shape, the way up, colours."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from datamodules.readers import VideoFrames
from experiments.prediction.video_files import CUTOUT, video_like
from tests.fake_data import SIZE, draw_frame, write_gif, write_variable_rate, write_video

with_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command line is not installed")

SOUNDS = {
    "run.mp4": ("libx264", "aac", "aac"),
    "run.mov": ("mpeg4", "alac", "alac"),
    "run.mkv": ("libx264", "libmp3lame", "mp3"),
    "run.ts": ("libx264", "aac", "aac"),
    "run.webm": ("libvpx", "libopus", "opus"),
    "run.avi": ("mpeg4", "pcm_s16le", "aac"),  # the last three are encoded anew
    "run.mpg": ("mpeg2video", "mp2", "aac"),
    "vorbis.webm": ("libvpx", "libvorbis", "aac"),
}


def overlaid(path: Path) -> Path:
    """The overlay of a video in which nothing is drawn."""
    video = VideoFrames(path)
    with video_like(path.with_name("overlay.mp4"), video) as write:
        for frame in video.timed_frames():
            write(frame.image, frame)
    return path.with_name("overlay.mp4")


def times(path: Path) -> list[float]:
    """When the frames that FFmpeg decodes are shown, from the begin of the file."""
    with av.open(str(path)) as file:
        begin = (file.start_time or 0) / av.time_base
        return [frame.time - begin for frame in file.decode(video=0)]


def length(path: Path) -> float:
    with av.open(str(path)) as file:
        return float((file.duration or 0) / av.time_base)


def probe(path: Path, kind: str = "v") -> dict[str, str]:
    """What FFmpeg's own ffprobe says of the first stream of a kind."""
    command = ["ffprobe", "-v", "error", "-select_streams", f"{kind}:0", "-show_streams", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"][0]
    return {key: str(value) for key, value in found.items()}


@pytest.mark.parametrize("stated", [30, 1000])
def test_the_overlay_of_a_variable_rate_keeps_every_time(tmp_path: Path, stated: int) -> None:
    """WebM by PyAV 18.1, with times as screen recorders write them; reported of other tools, which take one rate."""
    rng, shown = random.Random(1), [0]
    for _ in range(59):
        shown.append(shown[-1] + rng.choice([33, 34, 16, 50, 1, 120]))
    write_variable_rate(tmp_path / "run.webm", shown, "libvpx", stated)
    found = times(overlaid(tmp_path / "run.webm"))
    assert found == pytest.approx([milliseconds / 1000 for milliseconds in shown], abs=0.0006)
    assert length(tmp_path / "overlay.mp4") == pytest.approx(length(tmp_path / "run.webm"), abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov"])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
def test_one_rate_stays_one_rate(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    path = write_video(tmp_path / f"run.{suffix}", frames=20, rate=rate)  # type: ignore[arg-type]
    found = times(overlaid(path))
    assert found == pytest.approx([float(number / rate) for number in range(20)], abs=0.0006)
    with av.open(str(tmp_path / "overlay.mp4")) as file:
        assert float(file.streams.video[0].average_rate or 0) == pytest.approx(float(rate), abs=0.1)


def test_the_last_frame_is_shown_as_long_as_in_the_video(tmp_path: Path) -> None:
    """A GIF says how long each is shown."""
    overlay = overlaid(write_gif(tmp_path / "run.gif", durations=(100, 100, 300, 900)))
    assert times(overlay) == pytest.approx([0, 0.1, 0.2, 0.5], abs=0.001)
    assert length(overlay) == pytest.approx(1.4, abs=0.001)


@with_ffmpeg
@pytest.mark.parametrize(("sound", "kept"), [("libopus", "aac"), ("flac", "aac"), ("libmp3lame", "mp3")])
def test_a_cut_out_video_has_sound_that_a_mov_can_hold(tmp_path: Path, sound: str, kept: str) -> None:
    video, cutout = VideoFrames(write_event(tmp_path / "run.mkv", "libx264", sound)), tmp_path / "cutout.mov"
    with video_like(cutout, video, CUTOUT) as write:
        for frame in video.timed_frames():
            write(np.dstack([frame.image, frame.image[..., :1]]), frame)
    assert probe(cutout)["codec_name"] == "prores" and probe(cutout, "a")["codec_name"] == kept


def test_no_frame_of_a_long_pause_is_lost(tmp_path: Path) -> None:
    """Out of order, frames would be decoded within 0.2 s, and an mp4 would end then (FFmpeg 8.0 in PyAV 18.1)."""
    overlay = overlaid(write_variable_rate(tmp_path / "run.mkv", [0, 40, 80, 1000, 1040]))
    assert times(overlay) == pytest.approx([0, 0.04, 0.08, 1, 1.04], abs=0.001)
    assert length(overlay) >= 1.04


def write_event(path: Path, codec: str, sound: str) -> Path:
    """Two seconds, black and silent until 1 s, then white with a tone."""
    picture = "nullsrc=size=64x48:rate=25:duration=2,geq=lum='if(gte(T,1),235,16)':cb=128:cr=128,format=yuv420p"
    tone = "aevalsrc='if(gte(t,1),sin(2*PI*880*t),0)':sample_rate=44100:duration=2"
    sources = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone]
    options = ["-c:v", codec, "-g", "12", "-c:a", sound]
    subprocess.run(["ffmpeg", "-v", "error", *sources, *options, str(path)], check=True)
    return path


def lead(path: Path) -> float:
    """How many seconds the tone begins before the picture is white, as FFmpeg plays both."""
    filters = ["-af", "aresample=48000:async=1:first_pts=0", "-ac", "1", "-f", "f32le", "-"]
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vn", *filters]
    tone = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)
    with av.open(str(path)) as file:
        begin = (file.start_time or 0) / av.time_base
        white = next(f.time - begin for f in file.decode(video=0) if f.to_ndarray(format="gray").mean() > 128)
    return white - np.flatnonzero(np.abs(tone) > 0.4)[0] / 48000


@with_ffmpeg
@pytest.mark.parametrize("name", SOUNDS)
def test_the_sound_is_kept_in_step(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A tone and a flash at once, made and measured by FFmpeg 5.1."""
    codec, sound, kept = SOUNDS[name]
    path = write_event(tmp_path / name, codec, sound)
    overlay = overlaid(path)
    assert probe(overlay, "a")["codec_name"] == kept and not capsys.readouterr().err
    assert lead(overlay) == pytest.approx(lead(path), abs=0.008)
    assert times(overlay) == pytest.approx(times(path), abs=0.002)


@with_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "begin"), [("mp4", 0.2), ("mp4", 0.52), ("mp4", 0.7), ("mov", 0.52), ("mkv", 0.52), ("ts", 0.52)]
)
def test_a_cut_video_keeps_in_step_with_its_sound(tmp_path: Path, suffix: str, begin: float) -> None:
    """Cut by FFmpeg 5.1 without encoding; MP4 has an edit list then."""
    whole = write_event(tmp_path / f"whole.{suffix}", "libx264", "aac")
    path = tmp_path / f"run.{suffix}"
    command = ["ffmpeg", "-v", "error", "-ss", str(begin), "-i", str(whole), "-c", "copy", str(path)]
    subprocess.run(command, check=True)
    overlay = overlaid(path)
    assert lead(overlay) == pytest.approx(lead(path), abs=0.008)
    assert len(times(overlay)) == len(times(path)) and length(overlay) == pytest.approx(length(path), abs=0.06)


def test_sound_that_cannot_be_read_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A codec of which FFmpeg knows nothing."""
    path = tmp_path / "run.mkv"
    with av.open(str(path), "w") as file:
        stream, sound = file.add_stream("libx264", rate=10), file.add_stream("flac", rate=8000)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        sound.codec_context.format, sound.codec_context.layout = "s16", "mono"
        for number in range(10):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(draw_frame(0, number)[0], format="rgb24")))
            part = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            part.sample_rate, part.pts = 8000, number * 800
            file.mux(sound.encode(part))
        file.mux([*stream.encode(), *sound.encode()])
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_FLAX"))
    assert len(times(overlaid(path))) == 10
    assert f"without sound of {path}" in capsys.readouterr().err


@with_ffmpeg
@pytest.mark.parametrize("turn", [0, 90, 180])
def test_pixels_keep_their_shape_and_the_way_up(tmp_path: Path, turn: int) -> None:
    """ffprobe's display aspect ratio; a quarter turn changes the sides, as the overlay's frames are upright."""
    path = tmp_path / "run.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        if turn:
            stream.set_display_rotation(turn)
        for number in range(4):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(draw_frame(0, number)[0], format="rgb24")))
        file.mux(stream.encode())
    assert probe(path)["display_aspect_ratio"] == "16:9"
    overlay = overlaid(path)
    assert probe(overlay)["display_aspect_ratio"] == ("9:16" if turn == 90 else "16:9")
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.uint8)
    first = next(VideoFrames(overlay).frames())[1]
    assert first.shape[:2] == ((64, 48) if turn == 90 else (48, 64))
    shown = shown.reshape(first.shape).astype(int)
    off, *others = (np.abs(first[::y, ::x] - shown).mean() for y in (1, -1) for x in (1, -1))
    assert 2 * off < min(others)


@with_ffmpeg
@pytest.mark.parametrize("size", [(48, 64), (64, 1280), (33, 45)])
def test_the_overlay_says_its_colours_and_has_those_that_were_written(tmp_path: Path, size: tuple[int, int]) -> None:
    """Flat fields of saturated colours, back in RGB by FFmpeg's own command line."""
    path = write_video(tmp_path / "run.mkv", frames=2, size=(48, 64))
    colours = np.array([(200, 40, 40), (40, 200, 40), (40, 40, 200)], np.uint8)
    image = colours.repeat(-(-size[1] // 3), axis=0)[None, : size[1]].repeat(size[0], axis=0)
    video = VideoFrames(path)
    with video_like(tmp_path / "overlay.mp4", video) as write:
        for frame in video.timed_frames():
            write(image, frame)
    found = probe(tmp_path / "overlay.mp4")
    keys = ("color_space", "color_primaries", "color_transfer", "color_range", "width", "height")
    assert [found[key] for key in keys] == ["bt709", "bt709", "bt709", "tv", str(size[1]), str(size[0])]
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "overlay.mp4"), "-frames:v", "1", "-f", "rawvideo"]
    flags = ["-pix_fmt", "rgb24", "-sws_flags", "accurate_rnd+full_chroma_int", "-"]
    shown = np.frombuffer(subprocess.run([*command, *flags], check=True, capture_output=True).stdout, np.uint8)
    shown = shown.reshape(image.shape)
    for at, colour in zip((size[1] // 6, size[1] // 2, size[1] * 5 // 6), colours, strict=True):
        assert np.abs(shown[size[0] // 2, at].astype(int) - colour).max() <= 3


def test_a_failed_video_leaves_nothing(tmp_path: Path) -> None:
    video = VideoFrames(write_video(tmp_path / "run.mp4", frames=2))
    with pytest.raises(RuntimeError), video_like(tmp_path / "half.mp4", video) as write:
        for frame in video.timed_frames():
            write(frame.image, frame)
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["run.mp4"]
