"""FBMS-59: clips of moving animals, people and cars, every twentieth frame or so with a mask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.clips.clip import Mask
from datamodules.clips.splits import Split
from datamodules.readers import ImageFrames, natural_key
from datamodules.readers.codes import decode, read_values
from datamodules.sets.benchmark import Benchmark
from datamodules.sets.fbms_definition import Definition, read_definition
from datamodules.sets.roots import wrong_root

_PARTS = ("Trainingset", "Testset")
_BACKGROUND = {"marple2": [0, 2, 4], "marple7": [0, 2], "marple10": [0, 2], "marple13": [0, 2]}
"""Regions of the background in the clips in which it has several; read in public code, not checked on the files."""


@dataclass(eq=False)
class Fbms(Benchmark):
    """FBMS-59 as distributed by the University of Freiburg (Ochs et al. 2014).

    ::

        ROOT/Trainingset/bear01/bear01_0001.jpg                      or ROOT/FBMS_Trainingset/Trainingset/...
        ROOT/Trainingset/bear01/GroundTruth/bear01_0001_gt.ppm       a colour for each region; or cars1_01.pgm, a grey
        ROOT/Trainingset/bear01/GroundTruth/bear01Def.dat            which value is which region, and of which frame
        ROOT/Testset/camel01/...

    Half of the clips have a white background, the others a black one: the definition file says which value is region
    0, the background. All other regions together are the subject, and a value that the file does not list is in no
    score. In four clips further regions are background too (``background_regions``); it is said for each.

    The clips of Testset test, those of Trainingset train, but for a share that validates (``val_share``). With
    ``clips``, or where only one of the two folders is there, see :class:`datamodules.sets.benchmark.Benchmark`. The
    layout is that of public code which reads it; it was not checked on the real files.

    Attributes are the arguments of :class:`datamodules.fbms.FbmsDataModule`, and those of every data set.
    """

    background_regions: Mapping[str, list[int]] = field(default_factory=lambda: dict(_BACKGROUND))

    def folders(self) -> Mapping[str, Path]:
        """The folder of each clip; see :meth:`Benchmark.folders`."""
        parts = _parts(self.root)
        if not parts:
            raise wrong_root(self.root, lambda path: bool(_parts(path)), " or ".join(_PARTS))
        found: dict[str, Path] = {}
        for part in parts.values():
            for path in sorted(part.iterdir(), key=natural_key):
                if path.is_dir() and path.name in found:
                    raise ValueError(f"{found[path.name]} and {path} would both be clip '{path.name}': keep one.")
                found |= {path.name: path} if path.is_dir() else {}
        return found

    def official(self, names: Iterable[str], split: Split) -> list[str] | None:
        """The clips of the two parts; None where there is but one."""
        parts = _parts(self.root)
        if len(parts) < len(_PARTS):
            return None
        training, test = ([name for name in names if (parts[part] / name).is_dir()] for part in _PARTS)
        if split == "test":
            return test
        validated = self.validation_part(map(self._recording, training))
        return [name for name in training if (self._recording(name) in validated) == (split == "val")]

    def masks(self, name: str, source: ImageFrames) -> Mapping[int, Callable[[], Mask]]:
        """What reads the mask of each annotated frame; see :meth:`Benchmark.masks`."""
        folder = source.folder / "GroundTruth"
        files = sorted(folder.glob("*.dat"))
        if len(files) > 1:
            raise ValueError(f"{files[0]} and {files[1]} are both definition files of clip '{name}': keep one.")
        if not files:
            if folder.is_dir():
                self.findings.notice(name, None, f"{folder} has no definition file (.dat): not evaluated")
            return {}
        definition = read_definition(files[0])
        background, subject = self._regions(name, definition)
        read = partial(_read, background=background, subject=subject, notice=partial(self.notice, name))
        return {number: partial(read, path) for number, path in self._labelled(name, source, definition).items()}

    def _regions(self, name: str, definition: Definition) -> tuple[list[int], list[int]]:
        """Values of the background and of the subject."""
        regions = self.background_regions.get(name, [0])
        if len(regions) > 1:
            listed = ", ".join(map(str, regions))
            self.notice(name, f"regions {listed} are taken as background, see the argument background_regions")
        values = dict(enumerate(definition.values))
        background = [value for region, value in values.items() if region in regions]
        if not background:
            known = f"regions 0 to {len(values) - 1}"
            raise ValueError(f"Clip '{name}' has {known}, and background_regions names none of them.")
        return background, [value for value in values.values() if value not in background]

    def _labelled(self, name: str, source: ImageFrames, definition: Definition) -> dict[int, Path]:
        """The mask of each annotated frame: of the same name, or else at the place that the definition file tells.

        Raises:
            ValueError: If a frame has two.
        """
        stems = dict(zip(source.stems(), source.indices, strict=True))
        found: dict[int, Path] = {}
        for frame in definition.frames:
            number = stems.get(frame.image, stems.get(frame.mask.stem.removesuffix("_gt")))
            if number is None and frame.position < len(source) == definition.count:
                number = source.indices[frame.position]
                self.notice(name, "images have other names than the definition file has, so it goes by their places")
            if number is None:
                self.findings.notice(name, None, f"{frame.mask} is the mask of no frame: not used")
            elif not frame.mask.is_file():
                self.findings.notice(name, number, f"{frame.mask} is not there: not scored")
            elif number in found:
                raise ValueError(f"{found[number]} and {frame.mask} are both masks of frame {number}: keep one.")
            else:
                found[number] = frame.mask
        return found


def _read(
    path: Path, background: list[int], subject: list[int], notice: Callable[[str], object]
) -> NDArray[np.bool_]:
    """One mask, a masked array of bool (H, W)."""
    return decode(read_values(path, colours=True), subject, background, notice=notice)


def _parts(root: Path) -> dict[str, Path]:
    """The folders of the two parts, those that are there."""
    places = {part: (root / part, root / f"FBMS_{part}" / part) for part in _PARTS}
    found = {part: next(filter(Path.is_dir, paths), None) for part, paths in places.items()}
    return {part: path for part, path in found.items() if path is not None}
