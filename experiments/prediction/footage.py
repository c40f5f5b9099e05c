"""The footage that a model is applied to: images, folders of images, videos, and folders of these."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from backdrop.errors import RunError, warn
from backdrop.outputs import is_output
from datamodules.clips.problems import counted
from datamodules.readers import Broken, Keep, is_image, missing, open_frames
from datamodules.readers.names import image_names
from datamodules.readers.videos import TimedFrame, VideoFrames
from datamodules.sets.clip_folders import clips_below
from experiments.prediction.folder import PARTS

if TYPE_CHECKING:
    from datamodules.readers import ImageFrames

MOST_NAMED = 10


@dataclass(frozen=True)
class Footage:
    """One video, or images of one folder.

    Attributes:
        name: What its results are called.
        path: The video, the image or the folder.
        images: Names of the images in the folder; None takes all of it.
    """

    name: str
    path: Path
    images: tuple[str, ...] | None = None

    def open(self) -> ImageFrames | VideoFrames:
        """Open it.

        Raises:
            RunError: If there is nothing, or nothing readable.
        """
        if self.images is None:
            return open_input(self.path)
        return open_input(self.path if self.path.is_dir() else self.path.parent, self.images)


def open_input(path: Path, images: Sequence[str] | None = None) -> ImageFrames | VideoFrames:
    """Open an image, a folder of images or a video.

    Args:
        path: The input.
        images: Names of the images in a folder; None takes all of it.

    Returns:
        Its frames.

    Raises:
        RunError: If there is nothing, or nothing readable.
    """
    from datamodules.readers.images import ImageFrames

    try:
        if path.is_file() and is_image(path):
            return ImageFrames(path.parent, [path.name])
        return open_frames(path) if images is None else ImageFrames(path, images)
    except (OSError, ValueError) as error:  # not there, no permission, a broken disk, no footage
        raise RunError(f"Cannot read the input: {error}") from error


def find_footage(inputs: Sequence[Path]) -> list[Footage]:
    """List what there is to predict; nothing is opened.

    A folder stands for its images, as one clip, and for the videos and folders of images in it, however deep, as in a
    training. What Backdrop itself wrote is no footage. Images that are given one by one are one clip for each folder
    that they lie in.

    Args:
        inputs: Images, folders and videos.

    Returns:
        Each once, in the order of the inputs, with names that differ: of two of one name, that of its folder comes
        before.

    Raises:
        RunError: If an input is not there, or a folder holds nothing.
    """
    found: dict[Path, list[str] | None] = {}
    for path in inputs:
        if path.is_file() and is_image(path):
            names = found.setdefault(path.absolute().parent, [])
            if names is not None and path.name not in names:
                names.append(path.name)
            continue
        for clip, chosen in _inside(path):
            found[clip.absolute()] = chosen
    clips = [_footage(path, names) for path, names in found.items()]
    return [Footage(name, clip.path, clip.images) for name, clip in zip(_apart(clips), clips, strict=True)]


def _inside(path: Path) -> Iterator[tuple[Path, list[str] | None]]:
    """The clips that an input stands for, and which images of a folder; None takes all."""
    if not path.exists():
        raise RunError(f"Cannot read the input: {missing('Nothing', path)}")
    if not path.is_dir():
        yield path, None
        return
    own = frozenset(PARTS if is_output(path) else ())  # of a prediction into this folder
    images = image_names(path)
    kept = [name for name in images if name not in own]
    clips = [clip for clip in clips_below(path) if clip.relative_to(path).parts[0] not in own]
    if not kept and not clips:
        raise RunError(f"Cannot read the input: {path} holds no image and no video.")
    if kept:
        yield path, None if len(kept) == len(images) else kept
    yield from ((clip, None) for clip in clips)


def _footage(path: Path, names: Sequence[str] | None) -> Footage:
    if names is None:
        return Footage(os.path.basename(os.path.abspath(path)), path)  # a link's own name, and that of `..`
    if len(names) == 1:
        return Footage(names[0], path / names[0], (names[0],))
    return Footage(path.name, path, tuple(names))


def _apart(clips: Sequence[Footage]) -> list[str]:
    """Names that differ, of each."""
    count = Counter(clip.name for clip in clips)
    longer = [f"{clip.path.parent.name}-{clip.name}" if count[clip.name] > 1 else clip.name for clip in clips]
    names, own = dict[str, None](), {*longer}
    for name in longer:
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        free = (one for one in numbered if one not in names and one not in own)
        names[next(free) if name in names else name] = None
    return list(names)


def say_remarks(frames: ImageFrames | VideoFrames) -> None:
    """Warn of what is not as one would guess about the frames of the input."""
    for remark in frames.remarks():
        if remark.of_each:
            warn(f"{remark.what}.")


def timed(
    frames: ImageFrames | VideoFrames, broken: Broken | None, keep: Keep | None = None
) -> Iterator[TimedFrame]:
    """Read the frames of the input; images have no time.

    Args:
        frames: The input.
        broken: Told of every frame that cannot be read; None raises.
        keep: Which frames, by position and number; None takes all.
    """
    if isinstance(frames, VideoFrames):
        return frames.timed_frames(broken, keep)
    return (TimedFrame(number, image, None, Fraction(0)) for number, image in frames.frames(keep=keep, broken=broken))


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
