"""What the page shows of an image or a clip; nothing here knows of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backdrop.batches import batches
from backdrop.errors import one_line
from backdrop.found import Pixels
from backdrop.model import Model
from backdrop.result import Result
from datamodules.readers import is_image, read_image
from datamodules.readers.videos import VideoFrames
from experiments.prediction.video_files import video_like
from experiments.serving.limits import Limits


@dataclass(frozen=True)
class Answer:
    """What the page shows.

    Attributes:
        words: What was found, or why nothing was looked for.
        overlay: The frame with mask and box, RGB, (H, W, 3).
        mask: The soft mask, (H, W), 0 to 255.
        cutout: The subject, RGBA, (H, W, 4).
        clip: The overlay of a clip.
    """

    words: str
    overlay: Pixels | None = None
    mask: Pixels | None = None
    cutout: Pixels | None = None
    clip: Path | None = None


def answer(model: Model, limits: Limits, path: Path, uploads: Path) -> Answer:
    """Find the subject of a file that was uploaded.

    Args:
        model: The model.
        limits: What is refused.
        path: The file.
        uploads: The folder of all uploads; no other file is read, and results are written beside the file.

    Returns:
        Pictures and words; words only, where the file is refused or cannot be read.
    """
    if not path.resolve().is_relative_to(uploads.resolve()):
        return Answer("Refused: this file was not uploaded.")
    try:
        if (refusal := limits.refusal(path)) is not None:
            return Answer(f"Refused: {refusal}")
        return _of_image(model, path) if is_image(path) else _of_clip(model, path)
    except (ValueError, OSError) as error:
        return Answer(f"{path.name} cannot be read: {one_line(error)}".replace(f"{path}", path.name))


def _of_image(model: Model, path: Path) -> Answer:
    """What is found in an image."""
    result = model(read_image(path))
    return Answer(in_words(result), result.overlay(), result.alpha, result.rgba())


def _of_clip(model: Model, path: Path) -> Answer:
    """What is found in a clip: its overlay, and the pictures of the surest frame."""
    video, overlay = VideoFrames(path), path.with_name(f"{path.stem}_overlay.mp4")
    best: Result | None = None
    broken, results = dict[int, str](), list[tuple[bool, float | None]]()
    with video_like(overlay, video) as write:
        for batch in batches(video.timed_frames(broken.setdefault)):
            for frame, result in zip(batch, model([frame.image for frame in batch]), strict=True):
                write(result.overlay(), frame)
                results.append((result.found, result.score))
                best = result if best is None or _sureness(result) > _sureness(best) else best
    if best is None:
        raise ValueError("it has no frame")
    words = _of_frames(results, len(broken)) + f" The pictures are of the surest frame. {in_words(best)}"
    return Answer(words, best.overlay(), best.alpha, best.rgba(), overlay)


def _sureness(result: Result) -> float:
    """The score; where there is none, the confidence."""
    return result.confidence if result.score is None else result.score


def _of_frames(results: Sequence[tuple[bool, float | None]], broken: int) -> str:
    """In how many frames a subject is found."""
    found, scores = sum(one for one, _ in results), sorted(score for _, score in results if score is not None)
    words = f"A subject in {found} of {len(results)} frames"
    if scores:
        words += f", scores from {scores[0]:.2f} to {scores[-1]:.2f}, median {scores[len(scores) // 2]:.2f}"
    return words + (f"; {broken} frames cannot be read." if broken else ".")


def in_words(result: Result) -> str:
    """What is found in a frame, in words.

    Args:
        result: Of the model.
    """
    score = "no score" if result.score is None else f"score {result.score:.2f}"
    if result.box is None:
        return f"No subject found ({score})."
    x0, y0, x1, y1 = (round(value) for value in result.box)
    return f"A subject ({score}), box from ({x0}, {y0}) to ({x1}, {y1}), {result.binary.mean():.1%} of the frame."
