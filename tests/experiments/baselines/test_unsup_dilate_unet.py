"""Unsup-DilateU-Net: what is chosen of a teacher's masks, what a student makes of it, what an interruption costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch

from backdrop.errors import RunError
from datamodules.clips.planes import Plane
from datamodules.dataset import FrameDataset
from datamodules.readers import Pixels
from datamodules.store.entry import StoredClip
from experiments.baselines import METHODS, student
from experiments.baselines.clip_frames import ClipFrames
from experiments.baselines.dilate_unet import DilateUNet
from experiments.baselines.lesson import Lesson
from experiments.baselines.student import Course
from experiments.baselines.taught import Taught, merit, teach
from experiments.baselines.unsup_dilate_unet import UnsupDilateUNet
from tests.moving_square import SIZE, jaccard, moving_square

WANTED = (4, 11, 12, 19)


class Kept:
    """A stored clip in memory."""

    def __init__(self, name: str, images: Sequence[Pixels]) -> None:
        self.name, self.images = name, np.stack(images)
        self.frame_numbers = np.arange(len(images))

    def __len__(self) -> int:
        return len(self.images)

    def read(self, positions: Sequence[int]) -> Pixels:
        return self.images[list(positions)]


class Frames:
    """A data set of one such clip, with targets or without."""

    def __init__(self, targets: bool = False, empty: bool = False) -> None:
        images, self.masks = moving_square()
        self.clips = [Kept("square", [np.zeros_like(one) for one in images] if empty else images)]
        names = ["image", *(["target", "trust"] if targets else [])]
        self.planes = [Plane(name) for name in names]

    def read(self, clip_index: int, position: int) -> dict[str, Pixels]:
        mask = self.masks[position].astype(np.uint8) * 255
        return {"target": mask, "trust": np.full(SIZE, 10 * position, np.uint8)}


def lesson(folder: Path, **options: bool) -> Lesson:
    return Lesson(cast(FrameDataset, Frames(**options)), folder, 0)


def clips(count: int = 1) -> list[ClipFrames]:
    kept = [Kept(f"square{number}", moving_square()[0]) for number in range(count)]
    return [ClipFrames(cast(StoredClip, clip), clip.frame_numbers) for clip in kept]


def test_the_merit_of_a_mask_is_its_mean_where_it_is_not_zero() -> None:
    mask = np.zeros((4, 4), dtype=np.float32)
    assert merit(mask) == 0
    mask[0, 0], mask[1, 1], mask[2, 2] = 0.6, 0.8, 0.01  # the last counts as zero
    assert merit(mask) == pytest.approx(0.7)


def test_the_best_share_of_a_clip_is_chosen_and_never_an_empty_mask() -> None:
    taught = Taught(np.array([3, 5, 7, 9]), np.arange(4, dtype=np.uint8)[:, None, None], np.array([0.2, 0, 0.9, 0.5]))
    half = taught.best(0.5)
    assert half.positions.tolist() == [7, 9] and half.masks.ravel().tolist() == [2, 3]
    assert taught.best(1.0).positions.tolist() == [3, 7, 9]
    assert taught.best(0.01).positions.tolist() == [7]
    assert len(Taught(taught.positions, taught.masks, np.zeros(4, dtype=np.float32)).best(1.0).positions) == 0


def test_a_clip_that_was_taught_is_not_asked_for_again(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def teacher(number: int, frames: ClipFrames, positions: Sequence[int]) -> Iterator[tuple[Pixels, float]]:
        for position in positions:
            if (number, position) == (1, 12):
                if asked.count((1, 0)) == 1:
                    raise KeyboardInterrupt
            asked.append((number, position))
            yield np.full(SIZE, position, np.uint8), position / 100

    def ask() -> list[Taught]:
        return teach(teacher, clips(2), 3, (48, 64), tmp_path, "test")

    with pytest.raises(KeyboardInterrupt):
        ask()
    first, second = ask()
    assert asked == [(0, 0), (0, 12), (0, 23), (1, 0), (1, 0), (1, 12), (1, 23)]
    assert first.masks.shape == (3, 48, 64) and first.merits.tolist() == pytest.approx([0, 0.12, 0.23])
    assert second.positions.tolist() == [0, 12, 23] and second.masks[:, 0, 0].tolist() == [0, 12, 23]


def test_an_interrupted_student_goes_on_as_if_nothing_had_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = np.stack(moving_square()[1])[:, ::4, ::4].astype(np.uint8) * 255
    taught = [Taught(np.arange(24), masks, np.ones(24, dtype=np.float32))]
    frames, steps = clips(), 0
    monkeypatch.setattr(student, "_EVERY", 2)

    def trained(name: str) -> dict[str, Any]:
        network = student.train(Course(4, 1, 1e-3, 4), frames, taught, 7, tmp_path / name, "test")
        return {key: value.clone() for key, value in network.state_dict().items()}

    class Interrupted(ClipFrames):
        def __getitem__(self, position: Any) -> Any:  # noqa: ANN401
            nonlocal steps
            steps += 1
            if steps == 4:
                raise KeyboardInterrupt
            return super().__getitem__(position)

    whole = trained("whole.pt")
    frames = [Interrupted(frames[0].clip, frames[0].clip.frame_numbers)]
    with pytest.raises(KeyboardInterrupt):
        trained("parts.pt")
    torch.rand(5)  # what others draw between does not matter
    parts = trained("parts.pt")
    assert steps == 6  # three were done, of which two are kept
    for name, value in parts.items():
        assert torch.equal(value, whole[name]), name


def test_the_middle_of_the_network_looks_farther_with_more_rates() -> None:
    def reach(rates: Sequence[int]) -> int:
        torch.manual_seed(0)
        network = DilateUNet(width=4, rates=rates).eval()
        image = torch.rand(1, 3, 16, 256, requires_grad=True)
        network(image)[0, 0, 8, 128].backward()
        assert image.grad is not None
        return int((image.grad.abs().sum(dim=(0, 1, 2)) > 0).sum())

    near, far = reach((1,)), reach((1, 2, 4, 8))
    assert far - near >= 2 * (8 - 1) * 8 - 8  # seven cells more on each side, of eight pixels each


TEACHERS = [pytest.param("targets", 1), pytest.param("videopca", 2, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("teacher", "generations"), TEACHERS)
def test_a_student_finds_the_square_in_single_frames(
    teacher: Literal["targets", "videopca"], generations: int, tmp_path: Path
) -> None:
    images, masks = moving_square()
    small: dict[str, Any] = {"height": 48, "width": 8, "steps": 60, "batch_size": 4, "learning_rate": 5e-3}
    baseline = UnsupDilateUNet(teacher=teacher, generations=generations, **small)
    baseline.learn(lesson(tmp_path, targets=True))
    assert len(list(tmp_path.glob("student*.pt"))) == generations
    found = [next(baseline.predict([images[position]], [0])) for position in WANTED]
    assert np.mean([jaccard(one.mask, masks[place]) for one, place in zip(found, WANTED, strict=True)]) > 0.6
    assert all(one.mask.shape == SIZE and one.mask.dtype == np.float32 and 0 < one.confidence <= 1 for one in found)
    if teacher == "targets":  # those of most trust
        with np.load(tmp_path / "teacher1" / "00000.npz") as kept:
            assert kept["merits"].tolist() == pytest.approx([10 * place / 255 for place in range(24)])


def test_a_teacher_that_finds_nothing_or_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="generation 1 found nothing in any clip"):
        UnsupDilateUNet(steps=1).learn(lesson(tmp_path, empty=True))
    with pytest.raises(RunError, match=r"do not bring: give --data.init_args.targets true"):
        UnsupDilateUNet(teacher="targets").learn(lesson(tmp_path))


@pytest.mark.parametrize(
    ("name", "value"), [("generations", 0), ("most", 0), ("steps", 0), ("width", 0), ("height", 8), ("keep", 0.0)]
)
def test_settings_that_mean_nothing_are_refused(name: str, value: float) -> None:
    kind: Callable[..., Any] = METHODS["unsup_dilate_unet"]
    with pytest.raises(RunError, match=f"{name} is {value}: give "):
        kind(**{name: value})
