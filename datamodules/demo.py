"""DemoDataModule: a drawn figure in front of a drawn scene; needs no files and knows every mask exactly."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.base import FramesDataModule, Split
from datamodules.clips import Clip
from datamodules.demo_camera import PRESETS, Preset
from datamodules.demo_render import VERSION, DemoClip, render
from datamodules.progress import progress
from datamodules.readers import Keep, Pixels, resize

_RENDERERS = 2
_START = "fork" if sys.platform == "linux" else "spawn"  # a fork starts at once; elsewhere OpenCV forbids it


class DemoDataModule(FramesDataModule):
    """One drawn person at a time in front of one drawn street scene, filmed like footage.

    One seed is one large scene, the same in all clips (the paper's setting: one subject at a time in front of the
    same scene); every clip has a figure of its own, so training, validation and test share none. Seated and standing
    bystanders belong to the scene. Masks are exact and do not include the shadow.

    Clips are rendered once, in two processes, and kept in ``cache_dir`` as one file each (JPEG frames and packed
    masks); the file's name depends on everything that the picture depends on.

    Args:
        preset: Camera: "static" stands still, "ptz" pans and zooms to keep the subject near the centre, "handheld"
            drifts, rolls and shakes while the subject roams over the frame.
        seed: Scene and figures; another image_size makes another scene of the same seed.
        train_clips: Clips to train on.
        val_clips: Clips to validate on.
        test_clips: Clips to test on.
        frames_per_clip: Frames in each clip, a tenth of a second apart.
        image_size: Frame and evaluation size (height, width) in pixels.
        cache_dir: Where rendered clips are kept; None means $BACKDROP_CACHE or ~/.cache/backdrop.
        scale: Working size over evaluation size.
        batch_size: Frames in a batch.
        num_workers: Loader processes.
        augment: Whether training frames are augmented at all.
        device_augment: Whether the augmentation includes the zoom and shift that run on the device.

    Raises:
        ValueError: If the preset is unknown or there are no frames.
    """

    def __init__(
        self,
        preset: Preset = "handheld",
        seed: int = 0,
        train_clips: int = 24,
        val_clips: int = 4,
        test_clips: int = 6,
        frames_per_clip: int = 48,
        image_size: tuple[int, int] = (384, 512),
        cache_dir: str | None = None,
        scale: float = 1.0,
        batch_size: int = 16,
        num_workers: int = 2,
        augment: bool = True,
        device_augment: bool = True,
    ) -> None:
        super().__init__(image_size, scale, batch_size, num_workers, augment, device_augment)
        if preset not in PRESETS:
            raise ValueError(f"There is no camera preset '{preset}': choose one of {', '.join(PRESETS)}.")
        if frames_per_clip < 1:
            raise ValueError(f"frames_per_clip must be at least 1, got {frames_per_clip}.")
        self.preset = preset
        self.seed = seed
        self.clip_counts: dict[Split, int] = {"train": train_clips, "val": val_clips, "test": test_clips}
        self.frames_per_clip = frames_per_clip
        default = os.environ.get("BACKDROP_CACHE") or "~/.cache/backdrop"
        self.cache_dir = Path(cache_dir or default).expanduser()

    def prepare_data(self) -> None:
        """Render all clips that are not in the cache yet, on one process per machine."""
        self._render([clip for split in self.clip_counts for clip in self._demo_clips(split)])

    def split_clips(self, split: Split) -> list[Clip]:
        """The clips of one split, rendered if need be.

        Args:
            split: "train", "val" or "test".

        Returns:
            Its clips, not read yet.
        """
        demo_clips = self._demo_clips(split)
        self._render(demo_clips)
        clips = []
        for demo in demo_clips:
            path = self.cache_dir / cache_name(demo)
            masks = {frame: partial(_cached_mask, path, demo, frame) for frame in range(demo.frames)}
            clips.append(Clip(demo.name, _CachedFrames(path, demo), masks))
        return clips

    def _demo_clips(self, split: Split) -> list[DemoClip]:
        return [
            DemoClip(self.preset, self.seed, split, number, self.frames_per_clip, self.image_size)
            for number in range(self.clip_counts[split])
        ]

    def _render(self, clips: list[DemoClip]) -> None:
        missing = [clip for clip in clips if not (self.cache_dir / cache_name(clip)).is_file()]
        if not missing:
            return
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        work = partial(_render_to, self.cache_dir)
        with progress(len(missing), "Drawing demo clips (once)") as tick:
            if len(missing) == 1:
                work(missing[0])
                tick()
                return
            with ProcessPoolExecutor(_RENDERERS, mp_context=get_context(_START)) as pool:
                for _ in pool.map(work, missing):
                    tick()


def cache_name(clip: DemoClip) -> str:
    """File name of a rendered clip; it depends on everything that the pictures depend on."""
    key = repr((VERSION, sorted(asdict(clip).items())))
    return f"demo_{clip.name}_{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def _render_to(folder: Path, clip: DemoClip) -> None:
    """Render a clip into the cache; the file appears whole or not at all."""
    files, masks = render(clip)
    ends = np.cumsum([len(file) for file in files])
    packed = np.packbits(masks.reshape(len(masks), -1), axis=1)
    handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, jpeg=np.concatenate(files), ends=ends, masks=packed)
        os.replace(name, folder / cache_name(clip))
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class _CachedFrames:
    """The frames of one rendered clip; see :class:`datamodules.readers.FrameSource`."""

    def __init__(self, path: Path, clip: DemoClip) -> None:
        self.path = path
        self.clip = clip

    def __len__(self) -> int:
        return self.clip.frames

    def frames(self, size: tuple[int, int] | None = None, keep: Keep | None = None) -> Iterator[tuple[int, Pixels]]:
        """Yield (frame number, RGB uint8 (H, W, 3)) in order; see :meth:`FrameSource.frames`."""
        with np.load(self.path) as stored:
            data, ends = stored["jpeg"], stored["ends"]
        for frame, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            if keep is not None and not keep(frame, frame):
                continue
            image = cv2.cvtColor(cv2.imdecode(data[start:end], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            pixels = np.asarray(image, dtype=np.uint8)
            yield frame, pixels if size is None else resize(pixels, size)

    def original_size(self) -> tuple[int, int]:
        """(height, width) of the frames in pixels."""
        return self.clip.image_size


def _cached_mask(path: Path, clip: DemoClip, frame: int) -> NDArray[np.bool_]:
    """Exact mask of one frame, bool (H, W)."""
    with np.load(path) as stored:
        packed = stored["masks"][frame]
    height, width = clip.image_size
    return np.unpackbits(packed, count=height * width).reshape(height, width).astype(bool)
