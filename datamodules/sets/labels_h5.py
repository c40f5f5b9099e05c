"""The flat ``labels.h5`` of the EPFL data sets: one row per image, row i of every data set belongs together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backdrop.errors import one_line
from datamodules.clips.findings import Findings
from datamodules.readers import ImageFrames, readable

FILE = "labels.h5"
_PLACE = ("seq", "cam", "frame", "subj")


@dataclass(frozen=True)
class LabelledClip:
    """The images of one sequence and camera.

    Attributes:
        name: Part, sequence and camera, such as "train_seq_000_cam_00".
        sequence: Name of the recording that it shares with the other cameras, such as "seq_000".
        source: The images.
        subject: Number of the person.
        rows: Original frame number -> row in ``labels.h5``.
    """

    name: str
    sequence: str
    source: ImageFrames
    subject: int
    rows: dict[int, int]


def labels_folders(root: Path) -> dict[str, Path]:
    """Folders below a root that hold a ``labels.h5``, as "train" and "test".

    Args:
        root: The folder that holds ``train`` and ``test``, or folders whose names end so (``h36m-train``).

    Returns:
        "train" and "test" -> folder, as far as they are there.
    """
    if not root.is_dir():
        return {}
    folders = [path for path in sorted(root.iterdir()) if (path / FILE).is_file()]
    return {part: path for part in ("train", "test") for path in folders if path.name.lower().endswith(part)}


def both_folders(root: Path) -> tuple[Path, Path]:
    """The folders of the training and the test images.

    Args:
        root: See :func:`labels_folders`.

    Returns:
        (train, test).

    Raises:
        FileNotFoundError: If one of the two is missing.
    """
    found = labels_folders(root)
    missing = [part for part in ("train", "test") if part not in found]
    if missing:
        raise FileNotFoundError(
            f"No folder named ...{missing[0]} with a {FILE} in {root}: put the training and the test part side by side."
        )
    return found["train"], found["test"]


def read_labels(folder: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[np.float64]]:
    """Read some data sets of ``labels.h5``.

    Args:
        folder: The folder that holds it.
        names: Data sets that are needed.
        optional: Data sets that are read where they are there.

    Returns:
        Name -> values, (N, ...), one row per image.

    Raises:
        ValueError: If the file cannot be read, or a data set is missing or of another length.
    """
    import h5py  # here, so that other data sets can be read without it

    path = folder / FILE
    try:
        with h5py.File(path) as file:
            missing = [name for name in names if name not in file]
            there = [name for name in (*names, *optional) if name in file]
            found = {name: np.asarray(file[name], dtype=np.float64) for name in there if not missing}
    except Exception as error:  # what h5py raises depends on what the file holds
        raise ValueError(f"Cannot read {path} ({one_line(error)}): fetch the file again.") from error
    if missing:
        raise ValueError(f"{path} has no data set '{missing[0]}': fetch the file again.")
    rows = len(found[names[0]]) if found[names[0]].ndim else 0
    for name, values in found.items():
        if not values.ndim or len(values) != rows:
            raise ValueError(f"Data set '{name}' of {path} has {len(np.atleast_1d(values))} rows, '{names[0]}' {rows}.")
    return found


def labelled_clips(
    findings: Findings, folder: Path, key: str, optional: Sequence[str] = ()
) -> tuple[list[LabelledClip], dict[str, NDArray[np.float64]]]:
    """Group the images that ``labels.h5`` lists by sequence and camera.

    Args:
        findings: For rows without an image.
        folder: The folder that holds ``labels.h5`` and ``seq_…/cam_…/{key}_{frame:06d}.(jpg|png)``.
        key: Beginning of the images' names.
        optional: Further data sets to read where they are there.

    Returns:
        The clips in order, and all data sets that were read.

    Raises:
        ValueError: If ``labels.h5`` cannot be read; see :func:`read_labels`.
    """
    labels = read_labels(folder, _PLACE, optional)
    columns = [labels[name].reshape(len(labels[name]), -1)[:, :1] for name in _PLACE]
    for name, column in zip(_PLACE, columns, strict=True):
        if column.shape[1] != 1 or not ((column >= 0) & (column < 1e6) & (column == np.floor(column))).all():
            raise ValueError(f"'{name}' of {folder / FILE} has other values than numbers from 0: fetch the file again.")
    seq, cam, frame, subject = (column[:, 0].astype(np.int64) for column in columns)
    clips = []
    for place in np.unique(np.stack([seq, cam], axis=1), axis=0):
        members = np.flatnonzero((seq == place[0]) & (cam == place[1]))
        images = folder / f"seq_{place[0]:03d}" / f"cam_{place[1]:02d}"
        name = f"{folder.name}_{images.parent.name}_{images.name}"
        rows = dict(zip(frame[members].tolist(), members.tolist(), strict=True))
        found = _images(images, key, rows)
        for missing in sorted(rows.keys() - found.keys()) if found else ():
            findings.notice(name, missing, f"no image {images}/{key}_{missing:06d}.jpg or .png: left out")
        source = findings.open_source(name, partial(_open, images, [found[n] for n in sorted(found)]))
        if source is not None:
            rows = {number: rows[number] for number in found}
            clips.append(LabelledClip(name, images.parent.name, source, int(subject[members[0]]), rows))
    return clips, labels


def _open(folder: Path, names: list[str]) -> ImageFrames:
    return readable(ImageFrames(folder, names))


def _images(folder: Path, key: str, frames: dict[int, int]) -> dict[int, str]:
    """File names of the images of some frames by number."""
    if not folder.is_dir():
        return {}
    names = set(os.listdir(folder))
    candidates = {number: [f"{key}_{number:06d}{end}" for end in (".jpg", ".png", ".jpeg")] for number in frames}
    return {number: name for number, listed in candidates.items() for name in listed if name in names}
