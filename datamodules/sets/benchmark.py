"""What the public benchmarks have in common: a folder of images for each clip, and masks that are matched to them."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from datamodules.clips.clip import Clip, Mask
from datamodules.clips.problems import counted
from datamodules.clips.splits import Split
from datamodules.readers import ImageFrames
from datamodules.readers.names import frame_number
from datamodules.sets.data_set import ClipDataSet
from datamodules.sets.shapes import stretched


@dataclass(eq=False)
class Benchmark(ClipDataSet):
    """A public benchmark whose clips are folders of images.

    Where it has no split of its own, and where ``clips`` are named, the same clips serve for all three splits: the
    model sees the test frames (never their masks) in training, which must be stated beside any figure (transductive;
    usual for label-free methods on these benchmarks); ``held_out`` of the data module cuts them in time. Two clips
    whose files hold the same are counted once, unless the benchmark or ``clips`` lists the splits: then it is said.

    Attributes:
        image_size: (height, width) to which frames are scaled, so that those of another shape can be named; None does
            not look.
    """

    image_size: tuple[int, int] | None = None

    @abstractmethod
    def folders(self) -> Mapping[str, Path]:
        """The folder of images of each clip by its name, in natural order.

        Raises:
            FileNotFoundError: If the root is not one; the message says which folder to give.
        """

    @abstractmethod
    def masks(self, name: str, source: ImageFrames) -> Mapping[int, Callable[[], Mask]]:
        """What reads the mask of each annotated frame.

        Args:
            name: Name of the clip.
            source: Its frames.

        Returns:
            Original frame number -> function that reads the mask.

        Raises:
            ValueError: If what says which masks there are cannot be read.
        """

    def official(self, names: Iterable[str], split: Split) -> list[str] | None:
        """The clips of a split that the benchmark itself makes; None where it has none.

        Args:
            names: The clips whose frames can be read.
            split: "train", "val" or "test".
        """
        return None

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet.

        Raises:
            FileNotFoundError: If the folders are not as expected.
            ValueError: If a named clip does not exist, or what says which masks there are cannot be read.
        """
        folders = self.folders()
        if unknown := [name for name in self.clips or () if name not in folders]:
            raise ValueError(
                f"Clip '{unknown[0]}' of the argument clips is not in {self.root}; available: {', '.join(folders)}."
            )
        names = list(folders) if self.clips is None else self.clips
        opened = {name: self.findings.open_source(name, partial(ImageFrames, folders[name])) for name in names}
        sources = {name: source for name, source in opened.items() if source is not None}
        self._announce_stretch(sources)
        self.recordings.compare({name: folders[name] for name in sources}, partial(self._is_annotated, sources))
        official = self.official(sources, split) if self.clips is None else None
        listed = official is not None or self.clips is not None
        once = self.recordings.once(self.findings, partial(self._is_annotated, sources), listed)
        used = list(once) if official is None else official
        same = self.recordings.same
        return [Clip(name, sources[name], self.masks(name, sources[name]), same_as=same.get(name)) for name in used]

    def available_clips(self) -> list[str]:
        """Names of all clips that are there, whatever is chosen, in natural order.

        Raises:
            FileNotFoundError: If the folders are not as expected, or there is no clip.
        """
        return list(self.folders())

    def identity(self) -> str:
        """Models of single clips may share a root."""
        return f"{super().identity()} {self.clips}" if self.clips is not None else super().identity()

    def by_number(self, name: str, source: ImageFrames, files: Iterable[Path]) -> dict[int, Path]:
        """The mask file of each frame, where both have the frame's number last in their names.

        Files of no frame are noticed.

        Args:
            name: Name of the clip.
            source: Its frames.
            files: The mask files.

        Returns:
            Original frame number -> file.

        Raises:
            ValueError: If a frame has two files.
        """
        found: dict[int, Path] = {}
        for file in files:
            number = frame_number(file.stem)
            if number is None:
                self.findings.notice(name, None, f"{file} has no frame's number in its name: not used")
            elif number in found:
                raise ValueError(f"{found[number]} and {file} are both masks of frame {number}: keep one.")
            else:
                found[number] = file
        named: dict[int | None, int] = {}
        for frame, stem in zip(source.indices, source.stems(), strict=True):
            number = frame_number(stem)
            if number in found and number in named:
                raise ValueError(f"Two images in {source.folder} have the number {number}, as {stem} has: keep one.")
            named[number] = frame  # which is a place instead, where one of the images has no number
        self.name_strays(name, [file for number, file in found.items() if number not in named])
        return {named[number]: file for number, file in found.items() if number in named}

    def name_strays(self, name: str, files: Sequence[Path]) -> None:
        """List mask files that belong to no frame.

        Args:
            name: Name of the clip.
            files: These files; none says nothing.
        """
        if files:
            what = f"{counted(len(files), 'mask')} of no frame, such as {files[0]}: not used"
            self.findings.notice(name, None, what)

    def notice(self, name: str, what: str) -> None:
        """Say once what is not plain about the masks of a clip.

        Args:
            name: Name of the clip.
            what: In words.
        """
        self.findings.notice(name, None, f"masks: {what}")
        self.findings.say(f"Masks of clip '{name}': {what}.")

    def _is_annotated(self, sources: Mapping[str, ImageFrames], name: str) -> bool:
        return bool(self.masks(name, sources[name]))

    def _announce_stretch(self, sources: Mapping[str, ImageFrames]) -> None:
        """Say how many clips are of another shape than what their frames are scaled to."""
        if self.image_size is None:
            return
        sizes = {name: size for name, source in sources.items() if (size := _first_size(source)) is not None}
        others = {name: size for name, size in sizes.items() if stretched(size, self.image_size)}
        for name, (height, width) in others.items():
            wanted = f"{self.image_size[1]}x{self.image_size[0]}"
            self.findings.notice(name, None, f"its frames of {width}x{height} will be stretched to {wanted}")
        if others:
            (height, width), _ = Counter(others.values()).most_common(1)[0]
            self.findings.say(
                f"{counted(len(others), 'clip')} of {len(sizes)} will be stretched to {self.image_size[1]}x"
                f"{self.image_size[0]}, most often from {width}x{height}, such as '{next(iter(others))}': name clips "
                "of one shape in CLIPS, and set image_size to it, to change that."
            )


def _first_size(source: ImageFrames) -> tuple[int, int] | None:
    """(height, width) of the first image by its header; None where that cannot be read, which reading it says."""
    try:
        return source.frame_size(source.indices[0])
    except Exception:  # what Pillow raises depends on what the file holds
        return None
