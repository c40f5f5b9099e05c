"""Videos that were cut without encoding them anew have the frames and the times that FFmpeg decodes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from datamodules.readers import Keep, VideoFrames
from tests.fake_data import draw_frame, write_gif, write_video


def write_cut(path: Path, first: int, shift: bool, suffix: str = "mp4") -> Path:
    """A copy of the packets from the key frame at or after position ``first``, of 48 frames with open groups of 12.

    Where ``shift``, the copy is shown from 0.25 s on: an MP4 gets an edit list, and decoders need what is before.
    """
    whole = path.with_name(f"whole.{suffix}")
    with av.open(str(whole), "w") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.options = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3"}
        for number in range(48):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(draw_frame(0, number)[0], format="rgb24")))
        file.mux(stream.encode())
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        original = source.streams.video[0]
        copy = target.add_stream_from_template(original)
        begun, early = False, 0
        for position, packet in enumerate(source.demux(original)):
            begun |= packet.is_keyframe and position >= first
            if not begun or packet.dts is None or packet.pts is None:
                continue
            if not early and shift and original.time_base is not None:
                early = packet.pts + int(0.25 / original.time_base)
            packet.pts, packet.dts = packet.pts - early, packet.dts - early
            packet.stream = copy
            target.mux(packet)
    return path


def decoded(path: Path) -> list[float]:
    """Times of the frames that FFmpeg (8.0, in PyAV 18.1) decodes, from the first one."""
    with av.open(str(path)) as file:
        times = [frame.time for frame in file.decode(video=0)]
    return [time - times[0] for time in times]


@pytest.mark.parametrize(("first", "shift", "suffix"), [(0, True, "mp4"), (0, True, "mov"), (12, True, "mp4")])
def test_the_length_of_a_clip_with_an_edit_list_is_what_is_shown(
    tmp_path: Path, first: int, shift: bool, suffix: str
) -> None:
    path = write_cut(tmp_path / f"run.{suffix}", first, shift, suffix)
    video, times = VideoFrames(path), decoded(path)
    with av.open(str(path)) as file:
        assert len(times) < file.streams.video[0].frames
    assert len(video) == len(times) == len(list(video.frames(broken=lambda *what: pytest.fail(str(what)))))
    assert video.times() == pytest.approx(np.array(times), abs=0.002)


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_the_times_of_an_open_cut_are_those_of_decoded_frames(tmp_path: Path, suffix: str) -> None:
    path = write_cut(tmp_path / f"run.{suffix}", 12, False, "ts")
    video, times = VideoFrames(path), decoded(path)
    with av.open(str(path)) as file:
        assert len(times) < sum(packet.size > 0 for packet in file.demux(video=0))
    assert len(video) == len(times) == len(list(video.frames()))
    assert video.times() == pytest.approx(np.array(times), abs=0.002)


@pytest.mark.parametrize("suffix", ["gif", "ts", "mkv", "webm"])
def test_a_video_that_lacks_its_end_is_not_whole(tmp_path: Path, suffix: str) -> None:
    """Cut at any of 19 places: GIF ends in a trailer, MPEG-TS in packets of 188 bytes, Matroska states its size."""
    video = tmp_path / f"run.{suffix}"
    if suffix == "gif":
        write_gif(video, durations=(100,) * 20)
    else:
        write_video(video, frames=20, codec="libvpx-vp9" if suffix == "webm" else "libx264", rate=25)
    content = video.read_bytes()
    lost: list[tuple[int, str]] = []
    assert len(list(VideoFrames(video).frames(broken=lambda *what: lost.append(what)))) == 20 and not lost
    for share in np.linspace(0.4, 0.97, 19):
        length = int(len(content) * share)
        video.write_bytes(content[: length + (length % 188 == 0)])
        lost.clear()
        try:
            list(VideoFrames(video).frames(broken=lambda *what: lost.append(what)))
        except ValueError:
            continue
        assert lost and str(video) in lost[-1][1]


@pytest.mark.parametrize("suffix", ["gif", "ts", "mkv", "avi"])
@pytest.mark.parametrize("keep", [lambda position, _: position % 50 == 0, lambda _, number: 2 <= number < 4])
def test_a_cut_is_said_whichever_frames_are_kept(tmp_path: Path, suffix: str, keep: Keep) -> None:
    """As with a stride, or the first part of a clip: none of the frames that are lost would be kept."""
    video = tmp_path / f"run.{suffix}"
    if suffix == "gif":
        write_gif(video, durations=(100,) * 20)
    else:
        write_video(video, frames=20, codec="mpeg4" if suffix == "avi" else "libx264", rate=25)
    content, lost = video.read_bytes(), list[tuple[int, str]]()
    whole = [number for number, _ in VideoFrames(video).frames(keep=keep, broken=lambda *what: lost.append(what))]
    assert whole in ([0], [2, 3]) and not lost
    length = int(len(content) * 0.8) // 188 * 188 + 100
    video.write_bytes(content[: content.rindex(b"00dc", 0, content.index(b"idx1")) if suffix == "avi" else length])
    found = [number for number, _ in VideoFrames(video).frames(keep=keep, broken=lambda *what: lost.append(what))]
    assert found == whole and [reason for _, reason in lost if reason.startswith(f"{video} is cut off: ")]


def test_damage_is_said_whichever_frames_are_kept(tmp_path: Path) -> None:
    """A byte near the end is another one, of a part with a check sum (CRC-32, which FFmpeg 8.0 writes)."""
    video = write_video(tmp_path / "run.mkv", frames=20, rate=25)
    content, lost = bytearray(video.read_bytes()), list[tuple[int, str]]()
    content[content.rindex(b"\x1c\x53\xbb\x6b") + 20] ^= 255  # in the table of key frames (RFC 9559, Cues)
    video.write_bytes(content)
    found = list(VideoFrames(video).frames(keep=lambda position, _: position == 0, broken=lambda *w: lost.append(w)))
    assert len(found) == 1 and [reason for _, reason in lost if " is damaged at byte " in reason]
