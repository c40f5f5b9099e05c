"""``predict``: overlays, masks and boxes of footage without labels."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import av
import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional

from backdrop.boxes import to_corners
from backdrop.files import write_text
from callbacks.mask_images import subject_colour
from callbacks.png import save_png
from datamodules.clips.problems import counted
from datamodules.readers import (
    ImageFrames,
    VideoFrames,
    is_image,
    is_video,
    natural_key,
    open_frames,
    resize,
    video_rate,
)
from experiments.errors import RunError, warn
from experiments.runs.folder import absent, remove_empty
from experiments.runs.restore import load_data, load_model, segment_folder

Pixels = NDArray[np.uint8]
EDGE = (255, 255, 255)
BATCH = 16
HEADER = ["frame", "x0", "y0", "x1", "y1", "confidence", "file"]
MOST_NAMED = 10
PARTS = ("overlays", "overlay.mp4", "masks", "subjects", "boxes.csv")


@dataclass(frozen=True)
class Found:
    """What the model says of one subject of a frame.

    Attributes:
        mask: Soft mask at the frame's own size, (H, W), in [0, 1].
        box: (x0, y0, x1, y1) in pixels of the frame, on pixel edges, clipped to the frame.
        confidence: Probability of the box's cell or, of several subjects, the share of the cells that agree on it, in
            [0, 1].
    """

    mask: NDArray[np.float32]
    box: tuple[float, float, float, float]
    confidence: float


def open_input(path: Path) -> ImageFrames | VideoFrames:
    """Open an image, a folder of images or a video.

    Args:
        path: The input.

    Returns:
        Its frames.

    Raises:
        RunError: If there is nothing, or nothing readable.
    """
    try:
        if path.is_file() and is_image(path):
            return ImageFrames(path.parent, [path.name])
        return open_frames(path)
    except (FileNotFoundError, ValueError) as error:
        videos = sorted(filter(is_video, path.iterdir()), key=natural_key) if path.is_dir() else []
        if videos:
            raise RunError(f"{path} holds videos: give one of them, such as {videos[0]}.") from error
        raise RunError(f"Cannot read the input: {error}") from error


class Predictor:
    """A trained model together with the size it works at.

    Args:
        model: The segmentation model.
        working_size: (height, width) in pixels of the images that it was trained on.
        device: Where to compute.
    """

    def __init__(self, model: pl.LightningModule, working_size: tuple[int, int], device: torch.device) -> None:
        self.model, self.working_size, self.device = model.to(device).eval(), working_size, device

    @torch.inference_mode()
    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        """Find the subjects in a few frames.

        Args:
            images: RGB, (H, W, 3) each, of any size.

        Returns:
            The subjects of each frame, the surest first, one at least.
        """
        small = np.stack([resize(image, self.working_size) for image in images])
        batch = torch.from_numpy(small).to(self.device).permute(0, 3, 1, 2).float() / 255  # (B, 3, h, w)
        output: dict[str, Any] = self.model.predict_step({"image": batch}, 0)
        if "subject_mask" in output:
            masks, boxes, confidences = (output[f"subject_{name}"] for name in ("mask", "box", "confidence"))
        else:
            masks, boxes, confidences = output["mask"], output["box"][:, None], output["confidence"][:, None]
        return [
            [
                _at_full_size(masks[i, n, None], boxes[i, n], float(confidences[i, n]), image.shape[:2])
                for n in confidences[i].nonzero().flatten().tolist()
            ]
            for i, image in enumerate(images)
        ]


def union(found: Sequence[Found]) -> NDArray[np.float32]:
    """The soft mask of all subjects of a frame, (H, W), in [0, 1]."""
    joined: NDArray[np.float32] = np.max([subject.mask for subject in found], axis=0)
    return joined


def _at_full_size(mask: Tensor, box: Tensor, confidence: float, size: tuple[int, ...]) -> Found:
    """Scale a mask (1, h, w) and a box (4,) to a frame of ``size`` (H, W)."""
    height, width = size
    large = functional.interpolate(mask[None].float(), (height, width), mode="bilinear", align_corners=False)
    x0, y0, x1, y1 = to_corners(box[None], (height, width))[0].tolist()
    return Found(large[0, 0].clamp(0, 1).cpu().numpy(), (x0, y0, x1, y1), confidence)


def draw(image: Pixels, found: Sequence[Found], threshold: float) -> Pixels:
    """Tint the subjects, each in a colour of its own, and draw their outlines and boxes.

    Args:
        image: RGB, (H, W, 3).
        found: The subjects of this frame.
        threshold: Mask values from here on count as subject.

    Returns:
        The overlay, same size.
    """
    painted: Any = image
    thickness = max(1, round(min(image.shape[:2]) / 240))
    for number, subject in reversed(list(enumerate(found))):  # the surest on top
        colour = subject_colour(number)
        inside = (subject.mask >= threshold).astype(np.uint8)
        strength = (0.5 * subject.mask * inside)[..., None]
        tint = np.asarray(colour, dtype=np.float32)
        painted = (painted * (1 - strength) + tint * strength).round().astype(np.uint8)
        outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(painted, outlines, -1, EDGE, thickness)
        x0, y0, x1, y1 = (round(value) for value in subject.box)
        cv2.rectangle(painted, (x0, y0), (x1 - 1, y1 - 1), colour, thickness)
    return np.asarray(painted, dtype=np.uint8)


class VideoWriter(AbstractContextManager["VideoWriter"]):
    """Write frames as an H.264 mp4 of the same size; the file appears under its name when it is complete.

    Args:
        path: The mp4 file.
        rate: Frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.part = path, path.with_name(f".{path.name}.part")
        self._rate = Fraction(rate).limit_denominator(1001)
        self._file = av.open(str(self.part), "w", format="mp4")
        self._stream: Any = None

    def write(self, image: Pixels) -> None:
        """Add one frame, RGB, (H, W, 3)."""
        height, width = image.shape[:2]
        if self._stream is None:
            options = {"crf": "18", "preset": "veryfast"}
            self._stream = self._file.add_stream("libx264", rate=self._rate, options=options)
            self._stream.width, self._stream.height = width, height
            # 4:2:0, which every player shows, cannot hold an odd number of pixels
            self._stream.pix_fmt = "yuv420p" if width % 2 == 0 and height % 2 == 0 else "yuv444p"
        for packet in self._stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")):
            self._file.mux(packet)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name; after an error, remove it."""
        try:
            if kind is None and self._stream is not None:
                for packet in self._stream.encode():
                    self._file.mux(packet)
        finally:
            self._file.close()
        if kind is None:
            os.replace(self.part, self.path)
        else:
            self.part.unlink(missing_ok=True)


def batches(frames: Iterator[tuple[int, Pixels]], size: int) -> Iterator[tuple[list[int], list[Pixels]]]:
    """Group frames, so that the model sees several at once and a long video never fills the memory."""
    numbers: list[int] = []
    images: list[Pixels] = []
    for number, image in frames:
        numbers.append(number)
        images.append(image)
        if len(images) == size:
            yield numbers, images
            numbers, images = [], []
    if images:
        yield numbers, images


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A folder for a new prediction, which replaces the former one in ``output`` once it is complete.

    Args:
        output: The folder that the user asked for; what else lies in it stays.

    Yields:
        An empty folder inside ``output``; gone in the end, also after an error, when ``output`` is as it was.

    Raises:
        RunError: If ``output`` holds files under the names of a prediction's that are none.
    """
    table = output / "boxes.csv"
    former = table.is_file() and table.read_text(errors="replace").startswith(",".join(HEADER[:-1]))
    taken = [name for name in PARTS if (output / name).exists()]
    if taken and not former:
        raise RunError(f"{output / taken[0]} is there already and was made by no prediction: choose another OUTPUT.")
    part, before = output / ".part", absent(output)
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir(parents=True)
    try:
        yield part
        for name in taken:  # boxes.csv, by which a prediction is known, goes last and comes first
            old = output / name
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in sorted(part.iterdir()):
            os.replace(new, output / new.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        remove_empty(before)


def apply(
    run: Path,
    source: Path,
    output: Path,
    threshold: float = 0.5,
    checkpoint: Literal["last", "best"] = "last",
    soft: bool = False,
    subjects: int = 1,
) -> int:
    """Apply a trained run to an image, a folder of images or a video.

    Args:
        run: The run folder.
        source: The input.
        output: Folder for ``overlays/`` (or ``overlay.mp4``), ``masks/`` and ``boxes.csv``, and for more than one
            subject ``subjects/``; a former prediction in it is replaced.
        threshold: Mask values from here on count as subject, in (0, 1).
        checkpoint: ``last`` or ``best``.
        soft: Write masks as grey values (0 to 255) instead of 0 and 255.
        subjects: Most subjects to find in a frame.

    Returns:
        Number of frames; those that cannot be read are left out, and a warning says which.

    Raises:
        RunError: If the run or the input cannot be read.
        ValueError: If no frame of the input can be read.
    """
    if not 0 < threshold < 1:
        raise RunError(f"The threshold is {threshold}, expected a number between 0 and 1.")
    folder = segment_folder(run)
    frames = open_input(source)
    size: tuple[int, int] = load_data(folder.config()).working_size  # type: ignore[attr-defined]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    predictor = Predictor(load_model(folder, checkpoint, subjects), size, device)
    rate = None if isinstance(frames, ImageFrames) else video_rate(source)
    left_out: dict[int, str] = {}
    with replacing(output) as part:
        count = _write(predictor, frames, rate, part, threshold, soft, left_out, subjects > 1)
    if left_out:
        warn(left_out_line(frames, count, left_out))
    return count


def left_out_line(frames: ImageFrames | VideoFrames, count: int, left_out: Mapping[int, str]) -> str:
    """What could not be predicted, in one sentence.

    Args:
        frames: The input.
        count: Frames that were predicted.
        left_out: Why the others were not, by frame number, not empty.

    Returns:
        How many of how many images, and their names; of a video, the first and last number and the first reason.
    """
    numbers = sorted(left_out)
    if isinstance(frames, VideoFrames):
        which = f"frame {numbers[0]}" if len(numbers) == 1 else f"between {numbers[0]} and {numbers[-1]}"
        what = f"{len(numbers)} of {counted(count + len(numbers), 'frame')} of {frames.path.name} missing or broken"
        return f"{what} ({which}): {left_out[numbers[0]]}"
    names = _file_names(frames)
    named = ", ".join(names[number] for number in numbers[:MOST_NAMED])
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    what = f"{len(numbers)} of {counted(len(frames), 'image')} cannot be read and left out"
    return f"{what}: {named}{more}; replace or delete them."


def _file_names(frames: ImageFrames) -> dict[int, str]:
    """File name of every image by frame number."""
    return dict(zip(frames.indices, frames.names, strict=True))


def _output_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names of the results by frame number: those of the images, with the suffix where two differ by it alone."""
    stems = Counter(Path(name).stem for name in names.values())
    return {number: Path(name).stem if stems[Path(name).stem] == 1 else name for number, name in names.items()}


def _write(
    predictor: Predictor,
    frames: ImageFrames | VideoFrames,
    rate: float | None,
    output: Path,
    threshold: float,
    soft: bool,
    left_out: dict[int, str],
    several: bool,
) -> int:
    """Predict every frame and write what is found; ``rate`` is a video's frames per second.

    For ``several`` subjects there is a line in the table and a mask in ``subjects/`` for each.

    Frames that cannot be read are entered in ``left_out``; the only frame there is raises instead, with its own reason.
    """
    names = _file_names(frames) if isinstance(frames, ImageFrames) else {}
    stems = _output_names(names)
    video = None if rate is None else VideoWriter(output / "overlay.mp4", rate)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow([*HEADER, "subject"] if several else HEADER)

    def save_mask(mask: NDArray[np.float32], name: str) -> None:
        values = mask if soft else (mask >= threshold).astype(np.float32)
        save_png(output / name, (values * 255).round().astype(np.uint8))

    count = 0
    columns = (TextColumn("Predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    broken = left_out.__setitem__ if len(frames) > 1 else None
    with progress as bar, video or nullcontext():
        task = bar.add_task("", total=len(frames) or None)
        for numbers, images in batches(frames.frames(broken=broken), BATCH):
            for number, image, found in zip(numbers, images, predictor(images), strict=True):
                file = names[number] if isinstance(frames, ImageFrames) else frames.path.name
                stem = stems.get(number, f"{number:06d}")
                overlay = draw(image, found, threshold)
                if video is None:
                    save_png(output / "overlays" / f"{stem}.png", overlay)
                else:
                    video.write(overlay)
                save_mask(union(found), f"masks/{stem}.png")
                for place, subject in enumerate(found, start=1):
                    corners = (f"{value:.1f}" for value in subject.box)
                    row = [number, *corners, f"{subject.confidence:.4f}", file]
                    rows.writerow([*row, place] if several else row)
                    if several:
                        save_mask(subject.mask, f"subjects/{stem}_{place}.png")
                count += 1
            bar.advance(task, len(images))
    write_text(output / "boxes.csv", table.getvalue())
    return count


def predict(
    run: Path,
    input: Path,
    output: Path | None = None,
    threshold: float = 0.5,
    checkpoint: Literal["last", "best"] = "last",
    subjects: int = 1,
    soft: bool = False,
) -> None:
    """Write overlays, masks and boxes of an image, a folder of images or a video.

    Args:
        run: Run folder, such as runs/demo.
        input: An image, a folder of images or a video.
        output: Folder for the overlays, masks and boxes (RUN/predictions/NAME OF INPUT).
        threshold: Mask values from here on count as subject.
        checkpoint: The last one, or the best: that of the smallest val/loss.
        subjects: Most subjects to find in a frame; the paper's is 1.
        soft: Masks as grey values instead of 0 and 255.
    """
    folder = output or run / "predictions" / input.resolve().name
    count = apply(run, input, folder, threshold, checkpoint, soft, subjects)
    print(counted(count, "frame"))
    print(f"overlays: {next(folder / name for name in PARTS[:2] if (folder / name).exists())}")
    print(f"masks: {folder / 'masks'}")
    if subjects > 1:
        print(f"masks of each subject: {folder / 'subjects'}")
    print(f"boxes: {folder / 'boxes.csv'}")
