"""Tiny data sets in their real layouts and file formats: a bright striped subject that moves over a textured wall."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = (48, 64)


def draw_frame(clip: int, frame: int, size: tuple[int, int] = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """One frame, RGB uint8 (H, W, 3), and its mask, bool (H, W): a subject of about half the frame's height."""
    height, width = size
    bricks = np.random.default_rng(7).integers(60, 180, (-(-height // 6), -(-width // 8), 3)).astype(np.uint8)
    wall = bricks.repeat(6, axis=0).repeat(8, axis=1)[:height, :width]
    wall = np.roll(wall, 2 * frame, axis=1)
    mask = np.zeros(size, dtype=bool)
    x = int((0.15 + 0.4 * ((frame * 0.11 + clip * 0.23) % 1)) * width)
    mask[height // 4 : 3 * height // 4, x : x + width // 4] = True
    colour = np.random.default_rng(100 + clip).integers(0, 256, 3)
    subject = np.where((np.arange(height) // 6 % 2)[:, None, None], colour, 255 - colour).astype(np.uint8)
    return np.where(mask[..., None], np.broadcast_to(subject, wall.shape), wall), mask


def write_images(
    folder: Path,
    clip: int = 0,
    frames: int = 6,
    size: tuple[int, int] = SIZE,
    first: int = 0,
    pattern: str = "{:05d}.jpg",
) -> None:
    """A folder of frames."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        Image.fromarray(draw_frame(clip, frame, size)[0]).save(folder / pattern.format(first + frame), quality=95)


def write_masks(
    folder: Path,
    clip: int = 0,
    frames: Sequence[int] = range(6),
    size: tuple[int, int] = SIZE,
    first: int = 0,
    pattern: str = "{:05d}.png",
) -> None:
    """Masks of some frames, 8-bit grey, 0 and 255."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        mask = draw_frame(clip, frame, size)[1]
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / pattern.format(first + frame))


def write_davis(
    root: Path,
    train: Sequence[str] = ("bear", "boat"),
    val: Sequence[str] = ("camel",),
    frames: int = 6,
    size: tuple[int, int] = SIZE,
    lists: bool = True,
) -> Path:
    """DAVIS-2016: JPEGImages, Annotations and ImageSets at 480p."""
    for number, name in enumerate([*train, *val]):
        write_images(root / "JPEGImages" / "480p" / name, number, frames, size)
        write_masks(root / "Annotations" / "480p" / name, number, range(frames), size)
    if lists:
        folder = root / "ImageSets" / "480p"
        folder.mkdir(parents=True)
        for file, names in (("train", train), ("val", val)):
            lines = [
                f"/JPEGImages/480p/{name}/{frame:05d}.jpg /Annotations/480p/{name}/{frame:05d}.png"
                for name in names
                for frame in range(frames)
            ]
            (folder / f"{file}.txt").write_text("\n".join(lines) + "\n")
    return root


def write_video(
    path: Path,
    clip: int = 0,
    frames: int = 6,
    size: tuple[int, int] = SIZE,
    rate: int = 10,
    portrait: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """An H.264 file; ``portrait`` sets the flag that asks players for a quarter turn clockwise, as phones do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as file:
        stream = file.add_stream("libx264", rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for frame in range(frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(draw_frame(clip, frame, size)[0], format="rgb24")))
        file.mux(stream.encode())
    if portrait:
        data = bytearray(path.read_bytes())
        matrix = data.index(b"tkhd") + 44  # after version, flags, times, number, duration, layer, volume
        data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, size[0] << 16, 0, 1 << 30)
        path.write_bytes(data)
    return path


def write_videos(
    root: Path, clips: int = 3, frames: int = 6, size: tuple[int, int] = SIZE, masks: bool = True, splits: bool = True
) -> Path:
    """The generic layout: clips/run1.mp4 (and one clip as images), sparse masks/, splits.json."""
    for number in range(clips):
        name = f"run{number + 1}"
        if number == 1:
            write_images(root / "clips" / name, number, frames, size, first=1, pattern="{:06d}.jpg")
        else:
            write_video(root / "clips" / f"{name}.mp4", number, frames, size)
        if masks and number > 0:
            write_masks(
                root / "masks" / name, number, range(0, frames, 2), size, first=number % 2, pattern="{:06d}.png"
            )
    if splits:
        names = [f"run{number + 1}" for number in range(clips)]
        content = {"train": names[: max(1, clips - 2)], "val": names[-2:-1] or names, "test": names[-1:]}
        (root / "splits.json").write_text(json.dumps(content))
    return root
