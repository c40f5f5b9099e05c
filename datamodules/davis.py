"""DAVIS-2016 (and 2017, objects joined): short clips of one moving subject, every frame with a mask."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from datamodules.base import FramesDataModule, Split
from datamodules.clips import Clip
from datamodules.readers import ImageFrames, natural_key, read_mask


class DavisDataModule(FramesDataModule):
    """DAVIS-2016 as distributed by davischallenge.org; DAVIS-2017 loads as well, its objects joined to one.

    ::

        ROOT/JPEGImages/480p/blackswan/00000.jpg
        ROOT/Annotations/480p/blackswan/00000.png      0 = background, anything else = subject
        ROOT/ImageSets/480p/train.txt  val.txt         (2017: ImageSets/2016 or ImageSets/2017)

    Without ``clips`` the official lists split the data: training clips train, validation clips serve for both
    validation and testing. Where there is no list, all clips serve for all three. With ``clips`` these clips serve
    for all three: the model sees the test frames (never their masks) in training, which must be stated beside any
    figure (transductive; usual for label-free methods on DAVIS).

    Args:
        root: The folder that holds JPEGImages.
        clips: Names of the clips to train and test on; None follows the official lists.
        resolution: Subfolder of JPEGImages and Annotations.
        image_size: Evaluation size (height, width) in pixels.
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
        FileNotFoundError: If the folder is not there or is not the root of DAVIS; the message says which is.
        ValueError: If a named clip does not exist; the message lists those that do.
    """

    def __init__(
        self,
        root: str,
        clips: list[str] | None = None,
        resolution: str = "480p",
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
        self.root = Path(root).expanduser()
        self.clips = clips
        self.resolution = resolution

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet.

        Raises:
            FileNotFoundError: If the folders are not as expected.
            ValueError: If a named clip does not exist.
        """
        folder = self._frames_folder()
        available = sorted((path.name for path in folder.iterdir() if path.is_dir()), key=natural_key)
        if not available:
            raise FileNotFoundError(f"No clip in {folder}: expected one folder of images for each clip.")
        if self.clips is not None:
            names, source = self.clips, "the argument clips"
        else:
            listed = self._official(split)
            names, source = (available, "") if listed is None else listed
            if listed is None:
                self.say(f"No split lists in {self.root / 'ImageSets'}: all clips train and test.")
        unknown = [name for name in names if name not in available]
        if unknown:
            raise ValueError(f"Clip '{unknown[0]}' of {source} is not in {folder}; available: {', '.join(available)}.")
        clips = (self._clip(folder / name) for name in names)
        return [clip for clip in clips if clip is not None]

    def _clip(self, folder: Path) -> Clip | None:
        source = self.open_source(folder.name, partial(ImageFrames, folder))
        if source is None:
            return None
        annotations = self.root / "Annotations" / self.resolution / folder.name
        paths = {
            index: annotations / f"{path.stem}.png" for index, path in zip(source.indices, source.paths, strict=True)
        }
        masks = {index: partial(read_mask, path) for index, path in paths.items() if path.is_file()}
        return Clip(folder.name, source, masks)

    def _frames_folder(self) -> Path:
        """The folder of all clips; if it is not there, say what to give as root."""
        images = self.root / "JPEGImages"
        if (images / self.resolution).is_dir():
            return images / self.resolution
        if not self.root.is_dir():
            raise FileNotFoundError(f"No folder at {self.root}: give the DAVIS folder that holds JPEGImages as root.")
        if images.is_dir():
            found = ", ".join(sorted(path.name for path in images.iterdir() if path.is_dir())) or "nothing"
            raise FileNotFoundError(f"No {self.resolution} in {images}: set resolution to one of {found}.")
        for parent in self.root.parents:
            if (parent / "JPEGImages").is_dir():
                raise FileNotFoundError(f"{self.root} is too deep in the DAVIS tree: give {parent} as root.")
        for child in sorted(path for path in self.root.iterdir() if path.is_dir()):
            if (child / "JPEGImages").is_dir():
                raise FileNotFoundError(f"No JPEGImages in {self.root}: give {child} as root.")
        raise FileNotFoundError(f"No JPEGImages in {self.root}: give the DAVIS folder that holds it as root.")

    def _official(self, split: Split) -> tuple[list[str], str] | None:
        """Clip names of the official list for a split, and the list's path; None without lists."""
        name = "train.txt" if split == "train" else "val.txt"
        for subset in (self.resolution, "2016", "2017"):
            path = self.root / "ImageSets" / subset / name
            if path.is_file():
                lines = [line.split() for line in path.read_text().splitlines()]
                return list(dict.fromkeys(_clip_name(line[0]) for line in lines if line)), str(path)
        return None


def _clip_name(entry: str) -> str:
    """Clip of a list entry: ``/JPEGImages/480p/blackswan/00000.jpg`` and ``blackswan`` both give ``blackswan``."""
    parts = entry.strip("/").split("/")
    return parts[-2] if len(parts) > 1 else parts[0]
