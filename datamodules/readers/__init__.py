"""Readers for image folders, videos and masks: RGB frames in order, with their original numbers.

Everything that others use is imported from here; the files behind it hold one kind each, and are loaded when they are
asked for: videos need PyAV and numpy alone.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.readers.names import is_image, is_video, list_images, natural_key, numbers_in_names
from datamodules.readers.source import (
    Broken,
    FrameSource,
    Keep,
    Pixels,
    Source,
    content_sample,
    file_identity,
    missing,
    readable,
)

if TYPE_CHECKING:
    from datamodules.readers.images import ImageFrames, read_image, resize
    from datamodules.readers.masks import read_mask, read_objects, resize_known, resize_mask, resize_objects
    from datamodules.readers.video_file import video_rate
    from datamodules.readers.videos import TimedFrame, VideoFrames

__all__ = [
    "Broken",
    "FrameSource",
    "ImageFrames",
    "Keep",
    "Pixels",
    "Source",
    "TimedFrame",
    "VideoFrames",
    "content_sample",
    "file_identity",
    "is_image",
    "is_video",
    "list_images",
    "missing",
    "natural_key",
    "numbers_in_names",
    "open_frames",
    "read_image",
    "read_mask",
    "read_objects",
    "readable",
    "resize",
    "resize_known",
    "resize_mask",
    "resize_objects",
    "video_rate",
]

_HOMES = {
    "ImageFrames": "datamodules.readers.images",
    "read_image": "datamodules.readers.images",
    "resize": "datamodules.readers.images",
    "read_mask": "datamodules.readers.masks",
    "read_objects": "datamodules.readers.masks",
    "resize_known": "datamodules.readers.masks",
    "resize_mask": "datamodules.readers.masks",
    "resize_objects": "datamodules.readers.masks",
    "TimedFrame": "datamodules.readers.videos",
    "VideoFrames": "datamodules.readers.videos",
    "video_rate": "datamodules.readers.video_file",
}


def open_frames(path: Path | str) -> ImageFrames | VideoFrames:
    """Open a folder of images or a video file as one clip.

    Args:
        path: The folder or the file.

    Returns:
        Its frames.

    Raises:
        FileNotFoundError: If nothing is there, or the folder holds no image.
        ValueError: If it is a file but no readable video.
    """
    path = Path(path)
    if not path.exists():
        raise missing("Nothing", path)
    if path.is_dir():
        from datamodules.readers.images import ImageFrames

        return ImageFrames(path)
    from datamodules.readers.videos import VideoFrames

    return VideoFrames(path)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load what a file behind this one holds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'datamodules.readers' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
