"""DAVIS-2016 and DAVIS-2017: short clips, every frame with a mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backdrop.ranges import require
from datamodules.clips.clip import Clip, Mask
from datamodules.clips.splits import Split
from datamodules.readers import ImageFrames, natural_key, read_mask, read_objects
from datamodules.sets.data_set import ClipDataSet
from datamodules.sets.roots import wrong_root

_UNKNOWN = 255


@dataclass(eq=False)
class Davis(ClipDataSet):
    """DAVIS as distributed by davischallenge.org, both years.

    ::

        ROOT/JPEGImages/480p/blackswan/00000.jpg       2016: 480p, 1080p; 2017: 480p, Full-Resolution
        ROOT/Annotations/480p/blackswan/00000.png      0 = background; 2016: 255 = subject; 2017: number of the object
        ROOT/Annotations_unsupervised/480p/...         2017 only: all salient objects, 255 = unknown
        ROOT/ImageSets/480p/train.txt  val.txt         2016; 2017: ImageSets/2016 and ImageSets/2017

    Without ``clips`` the official lists split the data, where there are any: the clips of val.txt test, all of them;
    those of train.txt train, but for a share that validates (``val_share``). With ``clips``, or where there is no
    folder ImageSets, the same clips serve for all three: the model sees the test frames (never their masks) in
    training, which must be stated beside any figure (transductive; usual for label-free methods on DAVIS); ``held_out``
    of the data module cuts them in time. Two clips whose files hold the same are counted once where neither lists nor
    ``clips`` are; else it is said.

    Attributes are the arguments of :class:`datamodules.davis.DavisDataModule`, and those of every data set.
    """

    resolution: str = "480p"
    year: Literal[2016, 2017] | None = None
    object_id: int | None = None
    apart: bool = False
    unsupervised: bool = False

    def __post_init__(self) -> None:
        """Check the attributes."""
        super().__post_init__()
        require(self, self.year in (2016, 2017, None), "year", self.year, "2016, 2017 or null")
        known = self.object_id is None or self.object_id >= 1
        require(self, known, "object_id", self.object_id, "at least 1, as 0 is the background")
        if self.apart and self.object_id is not None:
            raise ValueError("object_id takes one object and apart keeps several: give one of the two.")

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet.

        Raises:
            FileNotFoundError: If the folders are not as expected, or a list is missing among others.
            ValueError: If a named clip does not exist.
        """
        folder, available = self._frames_folder(), self.available_clips()
        official = self._official(split) if self.clips is None else None
        named = available if self.clips is None else self.clips
        names, listed_in = official or (named, "the argument clips")
        unknown = [name for name in names if name not in available]
        if unknown:
            there = ", ".join(available)
            raise ValueError(f"Clip '{unknown[0]}' of {listed_in} is not in {folder}; available: {there}.")
        compared = available if self.clips is None else names
        self.recordings.compare({name: folder / name for name in compared}, self._is_annotated)
        listed = official is not None or self.clips is not None
        once = self.recordings.once(self.findings, self._is_annotated, listed)
        names = [name for name in names if name in once]
        sources = {name: self.findings.open_source(name, partial(ImageFrames, folder / name)) for name in names}
        found = {name: source for name, source in sources.items() if source is not None}
        if official is not None and split != "test":
            validated, wanted = self.validation_part(map(self._recording, found)), split == "val"
            found = {name: source for name, source in found.items() if (self._recording(name) in validated) == wanted}
        return [self._clip(name, source, annotated=split != "train") for name, source in found.items()]

    def available_clips(self) -> list[str]:
        """Names of all clips that are there, whatever the lists say, in natural order.

        Raises:
            FileNotFoundError: If the folders are not as expected, or there is no clip.
        """
        folder = self._frames_folder()
        names = sorted((path.name for path in folder.iterdir() if path.is_dir()), key=natural_key)
        if not names:
            raise FileNotFoundError(f"No clip in {folder}: expected one folder of images for each clip.")
        return names

    def identity(self) -> str:
        """Years, resolutions and choices of clips or masks may share a root."""
        meant = (self.year, self.resolution, self.clips, self.object_id, self.unsupervised)
        return f"{super().identity()} {meant}"

    def _clip(self, name: str, source: ImageFrames, annotated: bool) -> Clip:
        annotations = self._annotations_folder() / name
        stems = zip(source.indices, source.stems(), strict=True)
        paths = {index: annotations / f"{stem}.png" for index, stem in stems}
        paths = {index: path for index, path in paths.items() if path.is_file()}
        if annotated and self.object_id is not None and paths and not self._shows_object(paths):
            self.findings.notice(name, None, f"no object {self.object_id} in its masks: not evaluated")
            paths = {}
        masks = {index: self._reader(path) for index, path in paths.items()}
        return Clip(name, source, masks, same_as=self.recordings.same.get(name))

    def _is_annotated(self, name: str) -> bool:
        return (self._annotations_folder() / name).is_dir()

    def _reader(self, path: Path) -> Callable[[], Mask]:
        """The function that reads one mask."""
        if self.apart:
            return partial(_read_apart, path, _UNKNOWN if self.unsupervised else None)
        if self.object_id is None and not self.unsupervised:
            return partial(read_mask, path)
        return partial(_read_subject, path, self.object_id, _UNKNOWN if self.unsupervised else None)

    def _shows_object(self, paths: dict[int, Path]) -> bool:
        return any((read_objects(path) == self.object_id).any() for path in paths.values())

    def _annotations_folder(self) -> Path:
        if not self.unsupervised:
            return self.root / "Annotations" / self.resolution
        folder = self.root / "Annotations_unsupervised" / self.resolution
        if not folder.is_dir():
            raise FileNotFoundError(f"No {folder}: unpack the unsupervised masks of 2017, or switch unsupervised off.")
        return folder

    def _frames_folder(self) -> Path:
        """The folder of all clips; if it is not there, say what to give as root."""
        images = self.root / "JPEGImages"
        if (self.root / "GroundTruth").is_dir():
            raise FileNotFoundError(f"{self.root} looks like SegTrack v2: DATA=segtrack takes it.")
        if (images / self.resolution).is_dir():
            return images / self.resolution
        if images.is_dir():
            found = ", ".join(sorted(path.name for path in images.iterdir() if path.is_dir())) or "nothing"
            raise FileNotFoundError(f"No {self.resolution} in {images}: set resolution to one of {found}.")
        raise wrong_root(self.root, lambda path: (path / "JPEGImages").is_dir(), "JPEGImages")

    def _official(self, split: Split) -> tuple[list[str], Path] | None:
        """Clip names of the official list for a split, and the list's path; None without any list of any year."""
        name = "val.txt" if split == "test" else "train.txt"
        subsets = {2016: (self.resolution, "2016"), 2017: ("2017",), None: (self.resolution, "2016", "2017")}[self.year]
        for subset in subsets:
            path = self.root / "ImageSets" / subset / name
            if path.is_file():
                try:
                    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
                except UnicodeDecodeError as error:
                    raise ValueError(f"{path} is no text in UTF-8 ({error}): fetch the file again.") from error
                return list(dict.fromkeys(_clip_name(line[0]) for line in lines if line)), path
        if self.year is None and not (self.root / "ImageSets").is_dir():
            return None
        folders = " or ".join(str(self.root / "ImageSets" / subset) for subset in subsets)
        which = name if self.year is None else f"{name} of {self.year}"
        raise FileNotFoundError(
            f"No {which} in {folders}: fetch the lists, or name clips to train and test on (CLIPS, or "
            f"--data.init_args.clips): {', '.join(self.available_clips())}."
        )


def _read_subject(path: Path, object_id: int | None, unknown: int | None) -> NDArray[np.bool_]:
    """Mask of one object, or of all, bool (H, W); a masked array where a number says that nothing is known."""
    values = read_objects(path)
    subject = values > 0 if object_id is None else values == object_id
    return np.asarray(subject) if unknown is None else np.ma.masked_where(values == unknown, subject)


def _read_apart(path: Path, unknown: int | None) -> NDArray[np.uint8]:
    """Numbers of all objects, uint8 (H, W); a masked array where a number says that nothing is known."""
    values = read_objects(path).astype(np.uint8)
    return values if unknown is None else np.ma.masked_equal(values, unknown)


def _clip_name(entry: str) -> str:
    """Clip of a list entry: ``/JPEGImages/480p/blackswan/00000.jpg`` and ``blackswan`` both give ``blackswan``."""
    parts = entry.strip("/").split("/")
    return parts[-2] if len(parts) > 1 else parts[0]
