"""Human3.6M: one person in a studio, four still cameras; boxes for every frame."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backdrop.documents import read_json
from backdrop.files import write_text
from backdrop.ranges import at_least
from datamodules.clips.clip import Box, Clip
from datamodules.clips.splits import Split
from datamodules.readers import ImageFrames, file_identity, natural_key, readable
from datamodules.sets.data_set import DataSet
from datamodules.sets.h36m.masks import MaskFile, find_mask_file
from datamodules.sets.labels_h5 import FILE, both_folders, labelled_clips, labels_folders
from datamodules.sets.roots import wrong_root

TRAINED, TESTED = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")
"""Subjects of the protocol's two parts."""

_BOX, _CAMERA = "bounding_box_cam", "intrinsic"
_BOXES_FORMAT = 1  # raise it with every change of what is found in a mask
_PIXELS_FROM = 3.0  # no person is so small in pixels, nor so large in camera coordinates


@dataclass(eq=False)
class H36m(DataSet):
    """Human3.6M, as the usual unpacking tools leave it, or in the preprocessed layout of the EPFL code.

    ::

        ROOT/S1/Phoning-1/imageSequence/54138969/img_000001.jpg        frames, numbered from 1
        ROOT/S1/MySegmentsMat/ground_truth_bb/Phoning 1.54138969.mat   one box mask per frame of the video
        ROOT/S1/MySegmentsMat/ground_truth_bs/Phoning 1.54138969.mat   silhouettes

        ROOT/h36m-train/labels.h5                                      or any names that end in train and test
        ROOT/h36m-train/seq_000/cam_00/img_000000.jpg
        ROOT/h36m-test/...

    Subjects S9 and S11 test, S1, S5, S6, S7 and S8 train (the preprocessed layout comes split), but for a share of
    their takes, or sequences, that validates, all cameras of each (``val_share``). Boxes and silhouettes are read for
    evaluation only, and may be absent. Finding a box takes unpacking its mask; the boxes of a take are therefore kept,
    once they are found, in the folder ``found_boxes``; None keeps them nowhere.

    Not checked on the real files: that frame n of a folder is mask n of its file; that a box mask's ones are tight;
    that ``bounding_box_cam`` is left, top, width, height, in pixels of the frame or else, where no side reaches
    3, in the camera's normalised coordinates, which need the data set ``intrinsic``. Which mask file belongs to a
    take is told by its length, see :func:`datamodules.sets.h36m.masks.find_mask_file`.

    The other attributes are the arguments of :class:`datamodules.h36m.H36mDataModule`, and those of every data set.
    """

    every_nth: int = 5
    silhouettes: bool = False
    found_boxes: Path | None = None

    def __post_init__(self) -> None:
        """Check the attributes."""
        super().__post_init__()
        at_least(1, self, every_nth=self.every_nth)

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet: one per subject, take and camera.

        Raises:
            FileNotFoundError: If the root is not one; the message says which folder to give.
            ValueError: If a file of annotations cannot be read.
        """
        if labels_folders(self.root):
            self.findings.say(f"{self.root} is Human3.6M in the preprocessed layout ({FILE}).")
            return self._labelled(split)
        if not _is_original(self.root):
            raise wrong_root(self.root, _is_root, f"S1/<action>/imageSequence, or ...-train/{FILE},")
        self.findings.say(f"{self.root} is Human3.6M in the unpacked original layout.")
        subjects = TESTED if split == "test" else TRAINED
        missing = [subject for subject in subjects if not (self.root / subject).is_dir()]
        if missing:
            part = "test" if split == "test" else "training"
            self.findings.say(f"No {', '.join(missing)} in {self.root}: the {part} part goes without.")
        found = (sorted((self.root / name).glob("*/imageSequence/*"), key=_take_key) for name in subjects)
        folders = [folder for of_subject in found for folder in of_subject if folder.is_dir()]
        if split != "test":
            takes = [folder.relative_to(self.root).parts[:2] for folder in folders]
            validated = self.validation_part("/".join(take) for take in takes)
            split_of = ["val" if "/".join(take) in validated else "train" for take in takes]
            folders = [folder for folder, its in zip(folders, split_of, strict=True) if its == split]
        clips = (self._clip(folder, annotated=split != "train") for folder in folders)
        return [clip for clip in clips if clip is not None]

    def _clip(self, folder: Path, annotated: bool) -> Clip | None:
        """Frames of one camera, with the boxes and silhouettes of the kept ones."""
        subject, take, camera = folder.parents[2].name, folder.parents[1].name, folder.name
        name = f"{subject}_{take}_{camera}".replace(" ", "-")
        every = self.findings.open_source(name, partial(ImageFrames, folder))
        if every is None:
            return None
        kept = [file for file, n in zip(every.names, every.indices, strict=True) if (n - 1) % self.every_nth == 0]
        source = self.findings.open_source(name, lambda: readable(ImageFrames(folder, kept))) if kept else None
        if source is None or not annotated:
            return Clip(name, source) if source is not None else None
        size = source.original_size()
        boxes = self._mask_file(name, subject, "ground_truth_bb", folder, every.indices)
        masks = self._mask_file(name, subject, "ground_truth_bs", folder, every.indices) if self.silhouettes else None
        found = {n: partial(masks.mask, n - 1) for n in source.indices if 0 < n <= masks.frames} if masks else {}
        readers = _take_boxes(boxes, source.indices, size, self.found_boxes) if boxes else {}
        return Clip(name, source, found, boxes=readers)

    def _mask_file(self, name: str, subject: str, kind: str, frames: Path, numbers: list[int]) -> MaskFile | None:
        """The mask file of one kind that belongs to a camera's folder of frames."""
        folder = self.root / subject / "MySegmentsMat" / kind
        if not folder.is_dir():
            self.findings.say(f"No {folder}: {subject} is evaluated without.")
            return None
        found = find_mask_file(folder, frames.parents[1].name, frames.name, numbers)
        if found is None:
            reason = f"no file of its action and length ({numbers[-1]} frames) in {folder}: not used"
            self.findings.notice(name, None, reason)
        return found

    def _labelled(self, split: Split) -> list[Clip]:
        """Clips of the preprocessed layout."""
        folder, annotated = both_folders(self.root)[split == "test"], split != "train"
        found, labels = labelled_clips(self.findings, folder, "img", (_BOX, _CAMERA) if annotated else ())
        if split != "test":
            validated = self.validation_part(clip.sequence for clip in found)
            found = [clip for clip in found if (clip.sequence in validated) == (split == "val")]
        given = _frame_boxes(labels.get(_BOX), labels.get(_CAMERA))
        if annotated and given is None:
            needed = f"in camera coordinates it needs {_CAMERA}"
            self.findings.say(f"No usable {_BOX} in {folder / FILE} ({needed}): no boxes.")
        return [
            Clip(c.name, c.source, boxes={n: given[row] for n, row in c.rows.items()} if given is not None else {})
            for c in found
        ]


def _take_boxes(
    file: MaskFile, numbers: Sequence[int], size: tuple[int, int], found: Path | None
) -> dict[int, Callable[[], Box | None]]:
    """Readers of the boxes of a take's frames, by number from 1; the first that is called reads those of all."""
    boxed = [n for n in numbers if 0 < n <= file.frames]
    read = cache(partial(_kept_boxes, found, file, [n - 1 for n in boxed], size))

    def box(position: int) -> Box | None:
        return read()[position]

    return {n: partial(box, n - 1) for n in boxed}


def _kept_boxes(
    folder: Path | None, file: MaskFile, positions: Sequence[int], size: tuple[int, int]
) -> dict[int, Box | None]:
    """Boxes of some masks of a file by position: those that the folder holds, else found and put there."""
    if folder is None:
        return file.boxes(positions, size)
    place = file.path.parts[-4:]  # subjects have files of one name
    found_in = json.dumps([_BOXES_FORMAT, place, file_identity(file.path), positions, size])
    kept_as = folder / f"boxes-{hashlib.sha256(found_in.encode()).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):  # not there, or damaged
        kept = read_json(kept_as)
        return {position: _four(kept[str(position)]) for position in positions}
    boxes = file.boxes(positions, size)
    with suppress(OSError):  # another user's folder may be read-only
        write_text(kept_as, json.dumps(boxes))
    return boxes


def _four(box: Sequence[float] | None) -> Box | None:
    if box is None:
        return None
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1


def _frame_boxes(boxes: NDArray[np.float64] | None, camera: NDArray[np.float64] | None) -> list[Box] | None:
    """Boxes in pixels of the full frame.

    Args:
        boxes: ``bounding_box_cam``: left, top, width, height, (N, 4), or None.
        camera: ``intrinsic``, (N, 3, 3) or (N, 9), or None.

    Returns:
        (x0, y0, x1, y1) per row; None if there are no boxes, or no camera to make pixels of them.
    """
    if boxes is None:
        return None
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    if len(boxes) and boxes[:, 2:].max() < _PIXELS_FROM:
        if camera is None:
            return None
        k = camera.reshape(-1, 3, 3)
        corners = corners * k[:, [0, 1, 0, 1], [0, 1, 0, 1]] + k[:, [0, 1, 0, 1], 2]
    return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in corners]


def _take_key(folder: Path) -> tuple[list[int | str], str]:
    """Sort key of a camera's folder: its take in natural order, then the camera."""
    return natural_key(folder.parents[1]), folder.name


def _is_original(folder: Path) -> bool:
    subjects = (folder / subject for subject in (*TRAINED, *TESTED))
    return any(next(subject.glob("*/imageSequence"), None) is not None for subject in subjects)


def _is_root(folder: Path) -> bool:
    return _is_original(folder) or bool(labels_folders(folder))
