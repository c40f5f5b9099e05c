"""The footage that a run is applied to: an image, a folder of images or a video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice
from pathlib import Path

from backdrop.errors import RunError, warn
from datamodules.clips.problems import counted
from datamodules.readers import (
    Broken,
    ImageFrames,
    TimedFrame,
    VideoFrames,
    is_image,
    is_video,
    natural_key,
    open_frames,
)

MOST_NAMED = 10


def open_input(path: Path) -> ImageFrames | VideoFrames:
    """Open an image, a folder of images or a video.

    Args:
        path: The input.

    Returns:
        Its frames.

    Raises:
        RunError: If there is nothing, or nothing readable.
    """
    try:
        if path.is_file() and is_image(path):
            return ImageFrames(path.parent, [path.name])
        return open_frames(path)
    except (FileNotFoundError, ValueError) as error:
        videos = sorted(filter(is_video, path.iterdir()), key=natural_key) if path.is_dir() else []
        if videos:
            raise RunError(f"{path} holds videos: give one of them, such as {videos[0]}.") from error
        raise RunError(f"Cannot read the input: {error}") from error


def say_remarks(frames: ImageFrames | VideoFrames) -> None:
    """Warn of what is not as one would guess about the frames of the input."""
    for remark in frames.remarks():
        if remark.of_each:
            warn(f"{remark.what}.")


def timed(frames: ImageFrames | VideoFrames, broken: Broken | None) -> Iterator[TimedFrame]:
    """Read all frames of the input; images have no time.

    Args:
        frames: The input.
        broken: Told of every frame that cannot be read; None raises.
    """
    if isinstance(frames, VideoFrames):
        return frames.timed_frames(broken)
    return (TimedFrame(number, image, None, Fraction(0)) for number, image in frames.frames(broken=broken))


def batches(frames: Iterator[TimedFrame], size: int) -> Iterator[list[TimedFrame]]:
    """Group frames, so that the model sees several at once and a long video never fills the memory."""
    while batch := list(islice(frames, size)):
        yield batch


def left_out_line(frames: ImageFrames | VideoFrames, count: int, left_out: Mapping[int, str]) -> str:
    """What could not be predicted, in one sentence.

    Args:
        frames: The input.
        count: Frames that were predicted.
        left_out: Why the others were not, by frame number, not empty.

    Returns:
        How many of how many images, and their names; of a video, the first and last number and the first reason.
    """
    numbers = sorted(left_out)
    if isinstance(frames, VideoFrames):
        which = f"frame {numbers[0]}" if len(numbers) == 1 else f"between {numbers[0]} and {numbers[-1]}"
        what = f"{len(numbers)} of {counted(count + len(numbers), 'frame')} of {frames.path.name} missing or broken"
        return f"{what} ({which}): {left_out[numbers[0]]}"
    names = file_names(frames)
    named = ", ".join(names[number] for number in numbers[:MOST_NAMED])
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    what = f"{len(numbers)} of {counted(len(frames), 'image')} cannot be read and left out"
    return f"{what}: {named}{more}; replace or delete them."


def file_names(frames: ImageFrames) -> dict[int, str]:
    """File name of every image by frame number."""
    return dict(zip(frames.indices, frames.names, strict=True))


def output_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names of the results by frame number: those of the images, with the suffix where two differ by it alone."""
    stems = Counter(Path(name).stem for name in names.values())
    return {number: Path(name).stem if stems[Path(name).stem] == 1 else name for number, name in names.items()}
