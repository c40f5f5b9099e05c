"""VideosDataModule: the user's own recordings, as video files or folders of images."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Literal

from pytorch_lightning.utilities import rank_zero_warn

from datamodules.base import SPLITS, FramesDataModule, Split
from datamodules.checks import frame_warnings, subject_warnings
from datamodules.clips import Clip
from datamodules.readers import (
    ImageFrames,
    VideoFrames,
    frame_number,
    is_image,
    is_video,
    list_images,
    natural_key,
    open_frames,
    read_mask,
)

_RESERVED = frozenset({"masks", "boxes", "annotations", "__macosx"})
_STRETCH = 1.15


class VideosDataModule(FramesDataModule):
    """The user's own recordings; everything but the frames is optional.

    ``root`` may be a video file; a folder of videos; a folder of images (one clip); a folder of such folders (one
    clip each); or a folder with the parts below. Names sort in natural order, orientation flags are honoured.

    ::

        ROOT/clips/run1.mp4                 or ROOT/clips/run1/000001.jpg ...
        ROOT/masks/run1/000001.png          evaluation only; non-zero = subject; no file = frame not annotated
        ROOT/splits.json                    {"train": ["run1"], "val": ["run2"], "test": ["run3"]}

    A mask belongs to the image with the same name, or else the same number; frames of a video are counted from 0.
    The folder ``masks`` may also lie beside the videos or clip folders themselves.

    Without ``splits.json`` a share of the clips, annotated ones first, is held out for validation and test, the rest
    trains. A single clip serves for all three: the model then sees its test frames (never the masks) in training,
    which must be stated beside any figure. A "val" or "test" missing from ``splits.json`` takes the other's clips,
    or those of "train".

    Args:
        root: A video file or a folder, see above.
        every_nth: Keep every n-th frame of a clip and the annotated ones; original numbers are kept.
        val_fraction: Share of the clips held out where there is no ``splits.json``.
        image_size: Evaluation size (height, width) in pixels; frames of another shape are stretched to it.
        scale: Working size over evaluation size.
        batch_size: Frames in a batch.
        num_workers: Loader processes.
        augment: Whether training frames are augmented at all.
        device_augment: Whether the augmentation includes the zoom and shift that run on the device.
        store_dir: Folder of the frame store; None means $BACKDROP_CACHE or ~/.cache/backdrop.
        store_limit_gb: Most that the store may hold in GB; None means as far as the disk goes.
        store_codec: "raw", "jpeg", or "auto": raw where all frames fit half of the memory.
        min_frames: Clips of which fewer frames can be read are left out.

    Raises:
        ValueError: If ``every_nth`` or ``val_fraction`` is out of range.
    """

    def __init__(
        self,
        root: str,
        every_nth: int = 1,
        val_fraction: float = 0.2,
        image_size: tuple[int, int] = (360, 640),
        scale: float = 1.0,
        batch_size: int = 16,
        num_workers: int = 2,
        augment: bool = True,
        device_augment: bool = True,
        store_dir: str | None = None,
        store_limit_gb: float | None = None,
        store_codec: Literal["auto", "raw", "jpeg"] = "auto",
        min_frames: int = 1,
    ) -> None:
        super().__init__(
            image_size,
            scale,
            batch_size,
            num_workers,
            augment,
            device_augment,
            store_dir,
            store_limit_gb,
            store_codec,
            min_frames,
        )
        if every_nth < 1 or not 0 < val_fraction < 1:
            raise ValueError(
                f"every_nth must be at least 1 and val_fraction between 0 and 1, got {every_nth} and {val_fraction}."
            )
        self.root = Path(root).expanduser()
        self.every_nth = every_nth
        self.val_fraction = val_fraction

    def setup(self, stage: str | None = None) -> None:
        """Read the frames of a stage's splits and warn about data that will hardly train.

        Args:
            stage: "fit", "validate", "test", "predict" (nothing) or None (all).

        Raises:
            FileNotFoundError: If there is nothing to read.
            ValueError: If a file cannot be read or a split is wrong.
        """
        before = set(self._datasets)
        super().setup(stage)
        for split in SPLITS:
            if split in self._datasets and split not in before:
                dataset = self.dataset(split)
                for warning in frame_warnings(dataset) if split == "train" else subject_warnings(dataset):
                    rank_zero_warn(warning)

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
        folder = self.root / "masks"
        for stray in sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []:
            if stray not in paths:
                self.say(f"{folder / stray} belongs to no clip: name it after one of {', '.join(paths)}.")
        clips = (self._clip(name, paths[name]) for name in self._split_names(paths)[split])
        return [clip for clip in clips if clip is not None]

    def _clip(self, name: str, path: Path) -> Clip | None:
        source = self.open_source(name, partial(_readable, path))
        if source is None:
            return None
        height, width = source.original_size()
        stretch = (width / height) / (self.image_size[1] / self.image_size[0])
        if not 1 / _STRETCH < stretch < _STRETCH:
            self.say(
                f"Frames of clip '{name}' are {width}x{height} and will be stretched to {self.image_size[1]}x"
                f"{self.image_size[0]}: set image_size to their shape."
            )
        masks = {index: partial(read_mask, file) for index, file in self._mask_files(name, source).items()}
        return Clip(name, source, masks, self.every_nth)

    def _mask_files(self, name: str, source: ImageFrames | VideoFrames) -> dict[int, Path]:
        """Mask files of a clip by original frame number."""
        folder = self.root / "masks" / name
        if not folder.is_dir():
            return {}
        files: dict[int, Path] = {}
        stems = (
            {}
            if isinstance(source, VideoFrames)
            else dict(zip((path.stem for path in source.paths), source.indices, strict=True))
        )
        for file in list_images(folder):
            index = stems.get(file.stem, frame_number(file.stem))
            if index is None or (stems and index not in stems.values()):
                raise ValueError(f"The mask {file} belongs to no frame of clip '{name}': name it after its frame.")
            files[index] = file
        return files

    def _split_names(self, paths: dict[str, Path]) -> dict[Split, list[str]]:
        """Clip names of every split."""
        names = list(paths)
        file = self.root / "splits.json"
        if file.is_file():
            return self._listed_splits(file, names)
        if len(names) == 1:
            self.say(f"Only one clip in {self.root}: it serves for training, validation and test (transductive).")
            return {split: names for split in SPLITS}
        annotated = [name for name in names if (self.root / "masks" / name).is_dir()]
        order = annotated + [name for name in names if name not in annotated]
        count = min(max(1, round(self.val_fraction * len(names))), len(names) - 1)
        held = [name for name in names if name in order[:count]]
        return {"train": [name for name in names if name not in held], "val": held, "test": held}

    def _listed_splits(self, file: Path, names: list[str]) -> dict[Split, list[str]]:
        """Read and check ``splits.json``."""
        try:
            listed = json.loads(file.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{file} is not valid JSON ({error}).") from error
        if not isinstance(listed, dict) or not all(isinstance(value, list) for value in listed.values()):
            raise ValueError(f'{file} must look like {{"train": ["run1"], "val": ["run2"], "test": ["run3"]}}.')
        wrong = [key for key in listed if key not in SPLITS]
        if wrong:
            raise ValueError(f"{file} has a split '{wrong[0]}': only train, val and test exist.")
        for split, members in listed.items():
            for name in members:
                if name not in names:
                    raise ValueError(
                        f"Clip '{name}' of split {split} in {file} does not exist; available: {', '.join(names)}."
                    )
        train = listed.get("train", [])
        val = listed.get("val") or listed.get("test") or train
        splits: dict[Split, list[str]] = {"train": train, "val": val, "test": listed.get("test") or val}
        shared = sorted(set(train) & {*splits["val"], *splits["test"]}, key=natural_key)
        if shared:
            self.say(f"Clip '{shared[0]}' both trains and tests (transductive): say so beside any figure.")
        return splits


def find_clips(root: Path) -> dict[str, Path]:
    """Find the clips below a path of the user's.

    Args:
        root: A video file or a folder; see :class:`VideosDataModule`.

    Returns:
        Clip name -> video file or folder of images, in natural order.

    Raises:
        FileNotFoundError: If there is no clip; the message says where one was seen instead.
        ValueError: If two clips have the same name, or the file is no video.
    """
    if not root.exists():
        raise FileNotFoundError(f"Nothing at {root}: give a video file or a folder of videos or images as root.")
    if root.is_file():
        if not is_video(root):
            raise ValueError(f"{root} is no video file by its name: give a video or a folder as root.")
        return {root.stem: root}
    folder = root / "clips" if (root / "clips").is_dir() else root
    entries = sorted(folder.iterdir(), key=natural_key)
    paths = [path for path in entries if (path.is_file() and is_video(path)) or _is_clip_folder(path)]
    if not paths and list_images(folder):
        return {root.resolve().name: folder}
    clips: dict[str, Path] = {}
    for path in paths:
        name = path.stem if path.is_file() else path.name
        if name in clips:
            raise ValueError(f"{clips[name]} and {path} would both be clip '{name}': rename one of them.")
        clips[name] = path
    if not clips:
        raise FileNotFoundError(f"No video and no folder of images in {folder}{_hint(root)}.")
    return clips


def _readable(path: Path) -> ImageFrames | VideoFrames:
    """Open a clip of which at least one frame can be read."""
    source = open_frames(path)
    source.original_size()
    return source


def _is_clip_folder(path: Path) -> bool:
    return (
        path.is_dir()
        and path.name.lower() not in _RESERVED
        and not path.name.startswith(".")
        and bool(list_images(path))
    )


def _hint(root: Path) -> str:
    """Where clips lie deeper in the tree, as the end of a sentence."""
    for pattern in ("*/*", "*/*/*", "*/*/*/*"):
        for path in sorted(root.glob(pattern)):
            if _RESERVED & {part.lower() for part in path.relative_to(root).parts}:
                continue
            if path.is_file() and is_video(path):
                return f": give {path.parent} instead"
            if path.is_file() and is_image(path):
                return f": give {path.parent.parent} instead"
    return ": put videos (.mp4, .mov, ...) or folders of images (.jpg, .png, ...) there"
