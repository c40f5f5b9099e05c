"""SegTrack v2: fourteen short clips, every frame with a mask for each object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.clips.clip import Mask
from datamodules.readers import ImageFrames, list_images, natural_key, read_mask
from datamodules.sets.benchmark import Benchmark
from datamodules.sets.roots import wrong_root


@dataclass(eq=False)
class Segtrack(Benchmark):
    """SegTrack v2 as distributed by its authors (Li et al. 2013).

    ::

        ROOT/JPEGImages/birdfall/birdfall2_00018.png           .png or .bmp
        ROOT/GroundTruth/birdfall/birdfall2_00018.png          one object; suffixes may differ from the frames'
        ROOT/GroundTruth/bmx/1/bmx_06668.png                   several objects, a folder for each
        ROOT/GroundTruth/bmx/2/bmx_06668.png

    All objects of a frame together are the subject, as is usual for methods without labels. In ``penguin`` six birds of
    a flock are annotated, the others are not: leave it out with ``clips`` where that matters. A frame that one of the
    objects has no mask for is not scored, and noticed.

    The benchmark has no split; see :class:`datamodules.sets.benchmark.Benchmark`. The layout is that of public code
    which reads it; it was not checked on the real files.

    Attributes are the arguments of :class:`datamodules.segtrack.SegtrackDataModule`, and those of every data set.
    """

    def folders(self) -> Mapping[str, Path]:
        """The folder of images of each clip; see :meth:`Benchmark.folders`."""
        images = self.root / "JPEGImages"
        if not _is_root(self.root):
            raise wrong_root(self.root, _is_root, "JPEGImages with a folder for each clip")
        return {path.name: path for path in sorted(images.iterdir(), key=natural_key) if path.is_dir()}

    def masks(self, name: str, source: ImageFrames) -> Mapping[int, Callable[[], Mask]]:
        """What reads the mask of all objects together; see :meth:`Benchmark.masks`."""
        folder = self.root / "GroundTruth" / name
        if not folder.is_dir():
            return {}
        inner = [path for path in sorted(folder.iterdir(), key=natural_key) if path.is_dir() and list_images(path)]
        objects = inner or [folder]
        if inner and (beside := list_images(folder)):
            self.notice(name, f"{beside[0]} lies beside the folders of the objects: not used")
        files = {path: _by_stem(path) for path in objects}
        stems = set(source.stems())
        self.name_strays(name, [file for at in files.values() for stem, file in at.items() if stem not in stems])
        read = partial(_joined, notice=partial(self.notice, name))
        found = {}
        for number, stem in zip(source.indices, source.stems(), strict=True):
            if without := [path for path in objects if stem not in files[path]]:
                self.findings.notice(name, number, f"{without[0]} has no mask of it: not scored")
            else:
                found[number] = partial(read, [files[path][stem] for path in objects])
        return found


def _by_stem(folder: Path) -> dict[str, Path]:
    """The masks of an object by their names without suffix.

    Raises:
        ValueError: If two differ in their suffix alone.
    """
    found: dict[str, Path] = {}
    for file in list_images(folder):
        if file.stem in found:
            raise ValueError(f"{found[file.stem]} and {file} are both masks of one frame: keep one.")
        found[file.stem] = file
    return found


def _joined(paths: Sequence[Path], notice: Callable[[str], object]) -> NDArray[np.bool_]:
    """The union of masks of equal size, bool (H, W)."""
    masks = [read_mask(path, notice=notice) for path in paths]
    for path, mask in zip(paths, masks, strict=True):
        if mask.shape != masks[0].shape:
            raise ValueError(f"The masks {paths[0]} and {path} differ in size: fetch them again.")
    return np.asarray(np.logical_or.reduce(masks), dtype=bool)


def _is_root(path: Path) -> bool:
    """Whether a folder holds frames in the form of SegTrack."""
    images = path / "JPEGImages"
    return images.is_dir() and any(child.is_dir() for child in images.iterdir())
