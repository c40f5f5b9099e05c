"""Ski-PTZ: giant slalom, one skier, six cameras that pan, tilt and zoom; full frames or public crops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backdrop.ranges import require
from datamodules.clips.clip import Box, Clip
from datamodules.clips.splits import Split
from datamodules.readers import ImageFrames, list_images, read_mask, readable
from datamodules.sets.data_set import DataSet
from datamodules.sets.labels_h5 import FILE, LabelledClip, both_folders, labelled_clips, labels_folders
from datamodules.sets.roots import wrong_root
from datamodules.sets.ski.cameras import FRAME_SIZE, body_joints, in_view, joint_boxes, project, read_dlt, read_markers

TRIALS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((103, 124, 202, 221, 302, 412), (115, 110, 214, 207, 309, 405)),
    3: ((111, 114, 208, 217, 304, 406), (119, 102, 224, 205, 315, 401)),
}
"""Trials of a study, both runs, by subject."""

SUBJECTS: dict[Split, tuple[int, ...]] = {"train": (0, 1, 2, 3), "val": (4,), "test": (5,)}
_CAMERAS = range(1, 7)
_MASK_LEVEL = 200  # masks are JPEG


@dataclass(eq=False)
class Ski(DataSet):
    """Ski-PTZ: the full frames, which the authors give on request, or the public release of crops (Ski-PosePTZ).

    ::

        ROOT/Videos_Small/trial_103_cam1/frame_000001.jpg            640x360; or Videos, 1280x720
        ROOT/Segmentation_masks/trial_302_cam1/frame_000021.jpg      1280x720, value > 200 = skier; sparse
        ROOT/Data/DLT_Parameters/PP_Trial_103_CAM1.DLT
        ROOT/Data/3D_Position_Data/Trial_103_AllMarker_Raumkoor.mat.csv

        ROOT/train/labels.h5    ROOT/train/seq_000/cam_00/image_000000.png     256x256, centred on the skier
        ROOT/test/labels.h5     ROOT/test/...

    Subjects 0 to 3 train, 4 validates, 5 tests (crops: ``train`` without and with subject 4, and ``test``; without any
    of subject 4, a share of the sequences validates, all cameras of each, see ``val_share``). Boxes are
    the tight rectangle of the 17 projected joints (body only), enlarged by 60 % and clipped to the frame; those of the
    crops are a proxy, made in the same way of their 2D joints. Cameras, markers and masks may be absent.

    Not checked on the real files: row r of a .DLT and of a .csv file belongs to frame r + 1; the cameras are
    calibrated for metres, 1280x720 pixels and markers turned by -0.1932 rad about z; the order of the markers. Masks go
    by their file names; the set-up line says how many there are, as figures in the literature refer to several sets.

    Attributes are the arguments of :class:`datamodules.ski.SkiDataModule`, and those of every data set.
    """

    studies: tuple[int, ...] = (1,)
    whole_skier: bool = True

    def __post_init__(self) -> None:
        """Check the attributes."""
        super().__post_init__()
        some = bool(self.studies) and set(self.studies) <= set(TRIALS)
        require(self, some, "studies", tuple(self.studies), f"some of {', '.join(map(str, TRIALS))}")

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet: one per trial, or sequence, and camera.

        Raises:
            FileNotFoundError: If the root is not one; the message says which folder to give.
            ValueError: If a file of annotations cannot be read.
        """
        if labels_folders(self.root):
            self.findings.say(f"{self.root} is Ski-PosePTZ, the release of crops ({FILE}).")
            return self._crops(split)
        frames = _frames_folder(self.root)
        if frames is None:
            raise wrong_root(self.root, _is_root, f"Videos_Small, or train/{FILE},")
        self.findings.say(f"{self.root} is Ski-PTZ in full frames ({frames.name}).")
        trials = [run[subject] for study in self.studies for run in TRIALS[study] for subject in SUBJECTS[split]]
        folders = [(trial, camera, frames / f"trial_{trial}_cam{camera}") for trial in trials for camera in _CAMERAS]
        missing = sorted({trial for trial, _, folder in folders if not folder.is_dir()})
        if missing:
            some = ", ".join(map(str, missing))
            self.findings.say(f"Not all cameras of trial {some} in {frames}: {split} goes without.")
        clips = (self._clip(trial, camera, folder) for trial, camera, folder in folders if folder.is_dir())
        found = [clip for clip in clips if clip is not None]
        # an empty choice: whole_skier, and the camera never sees the whole of it
        return [clip for clip in found if clip.chosen != frozenset()] if split == "train" else found

    def identity(self) -> str:
        """Both studies may share a root and a store."""
        return f"{super().identity()} {sorted(set(self.studies))}"

    def _clip(self, trial: int, camera: int, folder: Path) -> Clip | None:
        """Frames of one trial and camera, with their masks and boxes."""
        source = self.findings.open_source(folder.name, lambda: readable(ImageFrames(folder)))
        if source is None:
            return None
        size = source.original_size()
        joints = self._joints(trial, camera)
        boxes: dict[int, Box] = {}
        if joints is not None:
            scaled = joint_boxes(joints * np.array([size[1] / FRAME_SIZE[1], size[0] / FRAME_SIZE[0]]), size)
            seen = in_view(joints)
            rows = {number: number - 1 for number in source.indices if 0 < number <= len(joints) and seen[number - 1]}
            boxes = {number: _box(scaled[row]) for number, row in rows.items()}
            if not boxes:
                reason = "by its .DLT file it never shows the whole skier: no boxes, no training"
                self.findings.notice(folder.name, None, reason)
        masks = self.root / "Segmentation_masks" / folder.name
        files = list_images(masks) if masks.is_dir() else []
        numbers = dict(zip(source.stems(), source.indices, strict=True))
        for stray in [file for file in files if file.stem not in numbers]:
            self.findings.notice(folder.name, None, f"{stray} belongs to no frame: left out")
        found = {numbers[file.stem]: partial(_read_mask, file, size) for file in files if file.stem in numbers}
        chosen = frozenset(boxes) if joints is not None and self.whole_skier else None
        return Clip(folder.name, source, found, boxes=boxes, chosen=chosen)

    def _joints(self, trial: int, camera: int) -> NDArray[np.float64] | None:
        """Projected joints by frame from 1, (N, 17, 2), in pixels of the full frame; None without the files."""
        cameras = self.root / "Data" / "DLT_Parameters" / f"PP_Trial_{trial}_CAM{camera}.DLT"
        markers = self.root / "Data" / "3D_Position_Data" / f"Trial_{trial}_AllMarker_Raumkoor.mat.csv"
        for file in (cameras, markers):
            if not file.is_file():
                self.findings.say(f"No {file}: trial {trial} has no boxes from there.")
                return None
        parameters, points = read_dlt(cameras), read_markers(markers)
        frames = min(len(parameters), len(points))
        return project(parameters[:frames], body_joints(points[:frames]))

    def _crops(self, split: Split) -> list[Clip]:
        """Clips of the public release."""
        train, test = both_folders(self.root)
        found, labels = labelled_clips(self.findings, test if split == "test" else train, "image", ("2D",))
        if split != "test":
            validated = {clip.sequence for clip in found if clip.subject in SUBJECTS["val"]}
            if not validated:
                self.findings.say(f"No subject {SUBJECTS['val'][0]} in {train}: training sequences validate instead.")
                validated = set(self.validation_part(clip.sequence for clip in found))
            found = [clip for clip in found if (clip.sequence in validated) == (split == "val")]
        return [self._crop_clip(clip, labels.get("2D")) for clip in found]

    def _crop_clip(self, clip: LabelledClip, joints: NDArray[np.float64] | None) -> Clip:
        if joints is None:
            return Clip(clip.name, clip.source)
        size = clip.source.original_size()
        rows = list(clip.rows.values())
        pixels = joints[rows].reshape(len(rows), -1, 2) * np.array([size[1], size[0]])
        boxes = joint_boxes(pixels, size)
        known = [bool(np.isfinite(box).all() and (box[2:] > box[:2]).all()) for box in boxes]
        return Clip(
            clip.name,
            clip.source,
            boxes={n: _box(box) for n, box, good in zip(clip.rows, boxes, known, strict=True) if good},
        )


def _box(values: NDArray[np.float64]) -> Box:
    x0, y0, x1, y1 = (float(value) for value in values)
    return x0, y0, x1, y1


def _read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """One mask at the size of its frame, bool (H, W): halved by nearest neighbour where it is twice as large."""
    mask = read_mask(path, _MASK_LEVEL)
    return mask[::2, ::2] if mask.shape == (2 * size[0], 2 * size[1]) else mask


def _frames_folder(root: Path) -> Path | None:
    """The folder of the frames, small ones first, whatever its capitals."""
    if not root.is_dir():
        return None
    found = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    return next((found[name] for name in ("videos_small", "videos") if name in found), None)


def _is_root(folder: Path) -> bool:
    return _frames_folder(folder) is not None or bool(labels_folders(folder))
