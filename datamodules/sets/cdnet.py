"""CDnet-2014: still and moving cameras in eleven categories, with shadows and unknown pixels in the masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.clips.clip import Mask
from datamodules.readers import ImageFrames, list_images, natural_key
from datamodules.readers.codes import MOVING, OUTSIDE, SHADOW, STATIC, UNKNOWN, decode, read_values
from datamodules.readers.names import frame_number
from datamodules.sets.benchmark import Benchmark
from datamodules.sets.roots import wrong_root


@dataclass(eq=False)
class Cdnet(Benchmark):
    """CDnet-2014 as distributed by changedetection.net; CDnet-2012 has the same layout.

    ::

        ROOT/baseline/highway/input/in000001.jpg              clip "baseline/highway"
        ROOT/baseline/highway/groundtruth/gt000001.png        0 static, 50 shadow, 85 outside, 170 unknown, 255 moving
        ROOT/baseline/highway/ROI.bmp                         black where no score looks
        ROOT/baseline/highway/temporalROI.txt                 "470 1700": first and last frame that is scored

    As in the benchmark's own tool, what moves is the subject, static pixels and shadows are the background, and pixels
    that are unknown, outside or black in ROI.bmp are in no score, nor are frames beyond temporalROI.txt. Unlike there,
    figures are means over frames, then over clips, not of pixels that are counted over a whole clip.

    The benchmark has no split; see :class:`datamodules.sets.benchmark.Benchmark`. The layout is that of the benchmark's
    tool and of its description; it was not checked on the real files.

    Attributes are the arguments of :class:`datamodules.cdnet.CdnetDataModule`, and those of every data set.
    """

    below: ClassVar[str] = "*/*/input"
    """Where the folders of images are, below the root."""
    moving: ClassVar[tuple[int, ...]] = (MOVING,)
    """Codes of the subject."""
    signs: ClassVar[frozenset[str]] = frozenset(
        {"badWeather", "baseline", "cameraJitter", "dynamicBackground", "intermittentObjectMotion", "lowFramerate"}
        | {"nightVideos", "PTZ", "shadow", "thermal", "turbulence"}
    )
    """Folders by which a root is known, where another one was given."""

    def folders(self) -> Mapping[str, Path]:
        """The folder ``input`` of each clip; see :meth:`Benchmark.folders`."""
        found = {path.parent.relative_to(self.root).as_posix(): path for path in self.root.glob(self.below)}
        if not found:
            tree = self.below.replace("*/*/", "CATEGORY/CLIP/").replace("*/", "CLIP/")
            raise wrong_root(self.root, lambda path: any((path / name).is_dir() for name in self.signs), tree)
        names = sorted(found, key=lambda name: [natural_key(part) for part in name.split("/")])
        return {name: found[name] for name in names}

    def masks(self, name: str, source: ImageFrames) -> Mapping[int, Callable[[], Mask]]:
        """What reads the mask of each frame that is scored; see :meth:`Benchmark.masks`."""
        folder = self.root / name
        if not (folder / "groundtruth").is_dir():
            self.findings.notice(name, None, f"{folder} has no folder groundtruth: its frames are in no score")
        truth = _Truth(folder, self.moving, partial(self.notice, name))
        files = self.by_number(name, source, truth.files())
        first, last = truth.scored()
        scored = {frame: file for frame, file in files.items() if first <= (frame_number(file.stem) or 0) <= last}
        if files and not scored:
            self.notice(name, f"temporalROI.txt scores frames {first} to {last} only, and none of these has one")
        return {frame: partial(truth.read, file) for frame, file in scored.items()}


class _Truth:
    """The annotation of one clip.

    Args:
        folder: Holds ``groundtruth``, ``ROI.bmp`` and ``temporalROI.txt``, none of which need be there.
        moving: Codes of the subject.
        notice: Called with what is not plain, in words.
    """

    def __init__(self, folder: Path, moving: tuple[int, ...], notice: Callable[[str], None]) -> None:
        self.folder, self.moving, self.notice = folder, moving, notice

    def files(self) -> list[Path]:
        """The masks."""
        folder = self.folder / "groundtruth"
        return list_images(folder) if folder.is_dir() else []

    def scored(self) -> tuple[float, float]:
        """Numbers of the first and the last frame that is scored; all of them where no file says it."""
        file = self.folder / "temporalROI.txt"
        if not file.is_file():
            return 0, np.inf
        words = file.read_text(encoding="utf-8-sig", errors="replace").split()
        if len(words) != 2 or not all(word.isdecimal() and len(word) < 10 for word in words):
            raise ValueError(f"{file} does not hold two frame numbers, such as 470 1700: fetch it again.")
        return int(words[0]), int(words[1])

    def read(self, path: Path) -> NDArray[np.bool_]:
        """One mask, a masked array of bool (H, W)."""
        mask = decode(read_values(path), self.moving, (STATIC, SHADOW), (OUTSIDE, UNKNOWN), self.notice)
        if self._outside is None:
            return mask
        if mask.shape != self._outside.shape:
            self.notice(f"{self.folder / 'ROI.bmp'} is not used, as its size is another one")
            return mask
        return np.ma.masked_where(self._outside, mask)

    @cached_property
    def _outside(self) -> NDArray[np.bool_] | None:
        """Where no score looks, bool (H, W); None where no file says it."""
        file = self.folder / "ROI.bmp"
        return np.asarray(read_values(file) == 0) if file.is_file() else None
