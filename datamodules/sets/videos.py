"""The user's own recordings, as video files or folders of images."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backdrop.ranges import at_least, require
from datamodules.clips.clip import Clip, Mask
from datamodules.clips.parts import frame_numbers
from datamodules.clips.problems import counted, too_short
from datamodules.clips.sampling import at_rate, within
from datamodules.clips.splits import SPLITS, Split
from datamodules.readers import (
    ImageFrames,
    is_image,
    is_video,
    list_images,
    natural_key,
    numbers_in_names,
    open_frames,
    read_mask,
    readable,
)
from datamodules.readers.masks import MIDDLE
from datamodules.sets.data_set import ClipDataSet
from datamodules.sets.mattes import MatteVideo, matte_videos
from datamodules.sets.recordings import (
    BOX_COLUMNS,
    empty_folders,
    find_clips,
    left_for_their_suffix,
    level_hint,
    own_outputs,
    read_boxes_csv,
)
from datamodules.sets.shapes import stretched
from datamodules.sets.splits_file import listed_splits

if TYPE_CHECKING:
    from datamodules.readers import VideoFrames


@dataclass(eq=False)
class Videos(ClipDataSet):
    """The user's own recordings; everything but the frames is optional.

    ``root`` may be a video file; a folder of images (one clip); a folder of videos and folders of images, as deep as
    you like; or a folder with the parts below. Names sort in natural order, orientation flags are honoured.

    ::

        ROOT/clips/run1.mp4                 or ROOT/clips/run1/000001.jpg ...; .mov, .avi, .mkv, .webm, .gif, ...
        ROOT/clips/monday/run2.mp4          clip "monday/run2"; so also masks/monday/run2/ and boxes/monday/run2.csv
        ROOT/masks/run1/000001.png          evaluation only; non-zero = subject; no file = frame not annotated
        ROOT/masks/run1.mp4                 or a matte video of the same frames
        ROOT/boxes/run1.csv                 evaluation only; frame,x0,y0,x1,y1 in pixels of the original frame
        ROOT/splits.json                    {"train": ["run1"], "val": ["run2"], "test": ["monday"]}: clips or folders

    A mask belongs to the image with the same name. Else the names of the masks of a clip may differ in one number only,
    and that is the frame's; frames of a video are counted from 0, whatever its rate. Where a mask has values besides
    two, as soft edges and lossy compression have, those above 127 are the subject. What Backdrop itself wrote below
    ROOT is no clip. The folders ``masks`` and ``boxes`` may also lie beside the videos or clip folders
    themselves.

    Without ``splits.json`` clips that cannot be opened, or are shorter than ``min_frames`` by their header, are left
    out first. A share of the others, annotated ones first, is for validation and test, the rest trains. Where there are
    three or more, every other one of them validates and the rest, the first of all among them, tests; of two clips one
    trains, the other tests and none validates. With ``val_fraction`` 0 all clips serve for all three. A single clip
    serves for all three: the model then sees its test frames (never the masks) in training, which must be stated
    beside any figure (transductive); ``held_out`` of the data module cuts it in time.

    Where ``splits.json`` lists one of "val" and "test" only, its clips test, and a share of the training clips
    validates (``val_share``). Where it lists "train" only, or a clip twice, its word holds, and is repeated to you.

    Attributes are the arguments of :class:`datamodules.videos.VideosDataModule`, and those of every data set.
    """

    every_nth: int = 1
    fps: float | None = None
    time_ranges: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    val_fraction: float = 0.2
    image_size: tuple[int, int] | None = None
    min_frames: int = 1
    _sources: dict[str, ImageFrames | VideoFrames | None] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Check the attributes."""
        super().__post_init__()
        at_least(1, self, every_nth=self.every_nth, min_frames=self.min_frames)
        require(self, 0 <= self.val_fraction < 1, "val_fraction", self.val_fraction, "a share in [0, 1)")
        require(self, self.fps is None or self.fps > 0, "fps", self.fps, "above 0")
        require(self, self.fps is None or self.every_nth == 1, "every_nth", self.every_nth, "1 where fps is given")
        for name, ranges in self.time_ranges.items():
            for start, end in ranges:
                if not 0 <= start < end:
                    raise ValueError(f"The time range of clip '{name}' is {start:g} to {end:g} s: it must go forward.")

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet.

        Raises:
            FileNotFoundError: If there is nothing to read; the message says what was expected.
            ValueError: If ``splits.json`` is wrong, a clip's name is not unique or a mask belongs to no frame.
        """
        paths = find_clips(self.root)
        unknown = [name for name in self.time_ranges if name not in paths]
        if unknown:
            raise ValueError(f"time_ranges names clip '{unknown[0]}', but there are only {', '.join(paths)}.")
        self._notice_strays(paths)
        paths = self._once(paths)
        clips = (self._clip(name, paths[name]) for name in self._split_names(paths)[split])
        return [clip for clip in clips if clip is not None]

    def available_clips(self) -> list[str]:
        """Names of all clips that are there, whatever is chosen, in natural order.

        Raises:
            FileNotFoundError: If there is none.
        """
        return list(find_clips(self.root))

    def identity(self) -> str:
        """Models of single clips may share a root."""
        return f"{super().identity()} {self.clips}" if self.clips is not None else super().identity()

    def _once(self, paths: dict[str, Path]) -> dict[str, Path]:
        """The clips without those that are the recording of another one, unless the splits are listed by hand.

        Of those that are one recording an annotated one stays.
        """
        self.recordings.compare(paths, self._is_annotated)
        listed = self.clips is not None or (self.root / "splits.json").is_file()
        return self.recordings.once(self.findings, self._is_annotated, listed)

    def _notice_strays(self, clips: dict[str, Path]) -> None:
        """Notice annotations that belong to no clip, folders without one, and a root at the wrong level."""
        for folder in empty_folders(self.root):
            self.findings.notice(folder.name, None, f"{folder} holds no image and no video: fill or delete it")
        if hint := level_hint(self.root, clips):
            self.findings.notice(next(iter(clips)), None, hint)
            self.findings.say(f"{hint}.")
        for suffix, files in left_for_their_suffix(self.root).items():
            reason = f"{counted(len(files), 'file')} left out for the suffix {suffix}, such as {files[0]}"
            self.findings.notice(suffix, None, f"{reason}: convert what is a video or an image (.mp4, .png)")
            self.findings.say(f"{reason}.")
        for folder in own_outputs(self.root):
            self.findings.notice(folder.name, None, f"{folder} was written by Backdrop: nothing in it is a clip")
        masks, boxes = self.root / "masks", self.root / "boxes"
        for path in _unused(masks, lambda path: is_video(path) or (path.parent != masks and is_image(path))):
            what = "masks lie in a folder named after their clip, or are a video of its name"
            self.findings.notice(path.name, None, f"{path} is not used: {what}")
            self.findings.say(f"{path} is not used: {what}.")
        for path in _unused(boxes, lambda path: path.suffix == ".csv"):
            what = f"boxes are a table, CLIP.csv with the columns {', '.join(BOX_COLUMNS)}"
            self.findings.notice(path.name, None, f"{path} is not used: {what}")
            self.findings.say(f"{path} is not used: {what}.")
        found = {path.relative_to(masks).as_posix(): path for path in masks.rglob("*") if path.is_dir()}
        parents = {parent.as_posix() for name in clips for parent in Path(name).parents}
        found = {name: path for name, path in found.items() if name not in parents}
        found |= self._mattes
        found |= {path.relative_to(boxes).with_suffix("").as_posix(): path for path in boxes.rglob("*.csv")}
        for name, path in sorted(found.items()):
            if name not in clips:
                self.findings.notice(name, None, f"{path} belongs to no clip: name it after one")
                self.findings.say(f"{path} belongs to no clip: name it after one of {', '.join(clips)}.")

    def _clip(self, name: str, path: Path) -> Clip | None:
        source = self._source(name, path)
        if source is None:
            return None
        self._announce_stretch(name, source.shown_size())
        masks = self._masks(name, source)
        table = self.root / "boxes" / f"{name}.csv"
        boxes = read_boxes_csv(table) if table.is_file() else {}
        clip = Clip(name, source, masks, self.every_nth, boxes, same_as=self.recordings.same.get(name))
        return self._timed(clip) if self.fps is not None or name in self.time_ranges else clip

    def _announce_stretch(self, name: str, size: tuple[int, int]) -> None:
        """Say that the frames of a clip are seen in another shape than those that are wanted of them."""
        wanted = self.image_size or size
        if stretched(size, wanted):
            shape = f"have the shape {size[1]}x{size[0]} and will be stretched to {wanted[1]}x{wanted[0]}"
            self.findings.notice(name, None, f"its frames {shape}: set image_size to their shape")
            self.findings.say(f"Frames of clip '{name}' {shape}: set image_size to their shape.")

    def _source(self, name: str, path: Path) -> ImageFrames | VideoFrames | None:
        """The frames of a clip, opened once; None where they cannot be read."""
        if name not in self._sources:
            source = self._sources[name] = self.findings.open_source(name, lambda: readable(open_frames(path)))
            self.findings.remark(name, source.remarks() if source is not None else ())
        return self._sources[name]

    def _timed(self, clip: Clip) -> Clip:
        """Choose the frames of a clip by their time."""
        from datamodules.readers import VideoFrames  # here, so that folders of images can be read without PyAV

        if not isinstance(clip.source, VideoFrames):
            raise ValueError(
                f"Clip '{clip.name}' is a folder of images and has no time stamps: sample it by every_nth instead of "
                "fps and time_ranges."
            )
        times = clip.source.times()
        ranges = self.time_ranges.get(clip.name, [(0.0, np.inf)])
        inside = within(times, ranges)
        if not len(inside):
            raise ValueError(f"No frame of clip '{clip.name}' is in its time_ranges: it lasts {times[-1]:.1f} s.")
        chosen = inside[at_rate(times[inside], self.fps)] if self.fps is not None else inside[:: self.every_nth]
        numbers = set(inside.tolist())
        outside = set(range(len(times))) - numbers
        return replace(
            clip,
            masks={frame: mask for frame, mask in clip.masks.items() if frame not in outside},
            every_nth=1,
            boxes={frame: box for frame, box in clip.boxes.items() if frame not in outside},
            chosen=frozenset(chosen.tolist()),
        )

    @cached_property
    def _mattes(self) -> dict[str, Path]:
        """The matte videos by clip."""
        return matte_videos(self.root / "masks")

    def _masks(self, name: str, source: ImageFrames | VideoFrames) -> dict[int, Callable[[], Mask]]:
        """What reads the mask of each annotated frame: files, or the frames of a matte video."""
        mattes = self._mattes.get(name)
        if mattes is None:
            notice = partial(self._notice_masks, name)
            files = self._mask_files(name, source)
            return {index: partial(read_mask, file, notice=notice) for index, file in files.items()}
        if (self.root / "masks" / name).is_dir():
            raise ValueError(f"{mattes} and {mattes.with_suffix('')} are both masks of clip '{name}': keep one.")
        matte = MatteVideo(mattes)
        if len(matte) != len(source):
            raise ValueError(
                f"The matte video {mattes} has {len(matte)} frames, clip '{name}' has {len(source)}: make it of the "
                "same frames, or give masks as images."
            )
        self.findings.say(f"{mattes} is read as masks of clip '{name}': values above {MIDDLE} are the subject.")
        return dict(zip(frame_numbers(source), map(matte.reader, range(len(matte))), strict=True))

    def _notice_masks(self, name: str, what: str) -> None:
        """Say once what is not plain about the masks of a clip."""
        self.findings.notice(name, None, f"masks: {what}")
        self.findings.say(f"Masks of clip '{name}': {what}.")

    def _mask_files(self, name: str, source: ImageFrames | VideoFrames) -> dict[int, Path]:
        """Mask files of a clip by original frame number."""
        folder = self.root / "masks" / name
        files = list_images(folder) if folder.is_dir() else []
        stems = dict(zip(source.stems(), source.indices, strict=True)) if isinstance(source, ImageFrames) else {}
        others = [file for file in files if file.stem not in stems]
        try:
            numbers = numbers_in_names([file.stem.removeprefix(Path(name).name) for file in others]) if others else []
        except ValueError as error:
            raise ValueError(
                f"The masks in {folder} do not tell their frames ({error}): name each after its frame, or with the "
                "frame's number alone, one file for a frame."
            ) from None
        found = {stems[file.stem]: file for file in files if file.stem in stems}
        for file, number in zip(others, numbers, strict=True):
            if stems and number not in stems.values():
                raise ValueError(f"The mask {file} belongs to no frame of clip '{name}': name it after its frame.")
            if number in found:
                raise ValueError(f"{found[number]} and {file} are both masks of frame {number}: keep one.")
            found[number] = file
        if not stems and len(found) > 1 and min(found) == 1:
            reason = (
                f"the masks in {folder} begin with number 1, and frames of a video are counted from 0: if FFmpeg "
                "extracted the frames they were drawn on, which counts from 1, lower every number by one"
            )
            self.findings.notice(name, None, reason)
            self.findings.say(f"Clip '{name}': {reason}.")
        return found

    def _split_names(self, paths: dict[str, Path]) -> dict[Split, list[str]]:
        """Clip names of every split."""
        if self.clips is not None:
            names = self._expand(self.clips, list(paths), "the argument clips")
            return {split: names for split in SPLITS}
        file = self.root / "splits.json"
        if file.is_file():
            return self._listed_splits(file, paths)
        names = self._candidates(paths)
        if len(names) == 1:
            only = "Only one clip is" if len(paths) == 1 else f"Only one of {len(paths)} clips can be used"
            self.findings.say(f"{only} in {self.root}: it serves for training, validation and test.")
            return {split: names for split in SPLITS}
        return self._proposed(names) if self.val_fraction else {split: names for split in SPLITS}

    def _candidates(self, paths: dict[str, Path]) -> list[str]:
        """Names of the clips among which the split is made: those that can be opened and are long enough.

        How many frames are left of a clip that is sampled by time is not looked at here.
        """
        names = []
        for name, path in paths.items():
            source = self._source(name, path)
            shortage = None if source is None else self._shortage(name, source)
            if shortage is not None:
                self.findings.leave_out(name, shortage)
            elif source is not None:
                names.append(name)
        return names

    def _shortage(self, name: str, source: ImageFrames | VideoFrames) -> str | None:
        """Why a clip has too few frames, as far as is known before they are read; None where it has enough."""
        least = self.min_frames
        if least == 1:  # and the first frame has been read
            return None
        most = len(source) if self._is_annotated(name) else -(-len(source) // self.every_nth)
        return too_short(most, least) if most < least else None

    def _proposed(self, names: list[str]) -> dict[Split, list[str]]:
        """Clip names of every split where the user has listed none."""
        annotated = [name for name in names if self._is_annotated(name)]
        order = annotated + [name for name in names if name not in annotated]
        least = 2 if len(names) > 2 else 1
        evaluated = order[: min(max(least, round(self.val_fraction * len(names))), len(names) - 1)]
        test, val = set(evaluated[::2]), set(evaluated[1::2])  # an annotated clip, if there is one, is tested on
        if not val:
            self.findings.no_validation = "two clips, one to train on and one to test on"
        return {
            "train": [name for name in names if name not in evaluated],
            "val": [name for name in names if name in val],
            "test": [name for name in names if name in test],
        }

    def _is_annotated(self, name: str) -> bool:
        masks, boxes = self.root / "masks", self.root / "boxes"
        return name in self._mattes or (masks / name).is_dir() or (boxes / f"{name}.csv").is_file()

    def _listed_splits(self, file: Path, paths: dict[str, Path]) -> dict[Split, list[str]]:
        """Read and check ``splits.json``."""
        names = list(paths)
        given = listed_splits(file).items()
        listed = {split: self._expand(members, names, f"split {split} in {file}") for split, members in given}
        train, val, test = (listed.get(split, []) for split in SPLITS)
        evaluated = test or val
        if (val and test) or not evaluated or set(evaluated) & set(train):  # all of it was chosen
            return {"train": train, "val": val or evaluated or train, "test": evaluated or train}
        if not test:
            self.findings.say(f"{file} lists no test clips: those of val are tested on, and training clips validate.")
        sources = {name: self._source(name, paths[name]) for name in train}
        usable = [name for name, source in sources.items() if source and self._shortage(name, source) is None]
        drawn = self.validation_part(map(self._recording, usable))
        return {
            "train": [name for name in train if self._recording(name) not in drawn],
            "val": [name for name in train if self._recording(name) in drawn],
            "test": evaluated,
        }

    def _expand(self, entries: Sequence[object], names: list[str], where: str) -> list[str]:
        """Clip names of a list of clips and folders of clips."""
        found: list[str] = []
        for entry in entries:
            members = [name for name in names if f"{_plain(name)}/".startswith(f"{_plain(str(entry))}/")]
            if not members:
                raise ValueError(f"Clip '{entry}' of {where} does not exist; available: {', '.join(names)}.")
            found += [name for name in members if name not in found]
        return found


def _plain(name: str) -> str:
    """A name in Unicode's composed form: two that look alike are alike."""
    return unicodedata.normalize("NFC", name)


def _unused(folder: Path, used: Callable[[Path], bool]) -> list[Path]:
    """Files below a folder of annotations that are not used; at most ten, hidden ones left out."""
    files = (Path(above, name) for above, _, names in os.walk(folder) for name in names if not name.startswith("."))
    return sorted(islice((path for path in files if not used(path)), 10), key=natural_key)
