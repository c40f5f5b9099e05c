"""Unsup-DilateU-Net: a network learns to see in single frames what an unsupervised teacher finds in whole clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import cv2
import numpy as np
import torch

from backdrop.errors import RunError
from datamodules.cues.targets import TARGET, TRUST
from datamodules.readers import Pixels, resize
from experiments.baselines.clip_frames import ClipFrames
from experiments.baselines.dilate_unet import DilateUNet
from experiments.baselines.lesson import Lesson
from experiments.baselines.method import Baseline, Frames, Prediction, Soft, from_mask, require
from experiments.baselines.student import Course, train
from experiments.baselines.taught import Taught, Teacher, merit, teach
from experiments.baselines.videopca import VideoPca


class UnsupDilateUNet(Baseline):
    """Croitoru, Bogolin and Leordeanu 2019, "Unsupervised Learning of Foreground Object Segmentation": its scheme.

    A teacher segments the unlabelled frames of the training part, clip by clip. The masks that an unsupervised measure
    likes best are chosen: it is the mean of a mask's values where it is not zero. A U-Net with dilated convolutions at
    its bottleneck learns from them to segment single frames. It is the teacher of the next generation, whose student
    begins anew.

    Of the publication only the abstract and the introduction were at hand, and what this project's paper says of it
    (Sec. 4.2). Known to differ: one student in place of several of different structure; the measure above in place of
    a selection network, which was trained on ImageNet VID and YouTube Objects; no frames but those of the data set.
    Chosen here, as we could not read them: sizes and rates of the network, the loss (binary cross-entropy against the
    soft mask), the share that is chosen (of each clip, as the measure does not compare clips), mirrored frames as the
    only augmentation, and the length of the training.

    Args:
        teacher: ``videopca``, as published; or ``targets``, those that Backdrop's own stage 2 learns from, which the
            data module must bring (``--data.init_args.targets true``). Their measure is their trust.
        generations: How many students there are, one after the other.
        keep: Share of the frames of each clip whose masks are chosen, in (0, 1].
        most: Of how many frames of a clip, spread evenly over it, the teacher is asked at most.
        height: Height in pixels at which the student sees frames.
        width: Channels of its first level.
        steps: Length of the training of each student.
        batch_size: Frames in a step.
        learning_rate: Of Adam at the first step; it falls to nothing along half a cosine.

    Raises:
        RunError: If a setting is out of range.
    """

    whole_clips = False
    learns = True

    def __init__(
        self,
        teacher: Literal["videopca", "targets"] = "videopca",
        generations: int = 2,
        keep: float = 0.5,
        most: int = 200,
        height: int = 96,
        width: int = 16,
        steps: int = 400,
        batch_size: int = 8,
        learning_rate: float = 1e-3,
    ) -> None:
        require(1, generations=generations, most=most, width=width, steps=steps, batch_size=batch_size)
        require(32, height=height)
        if not 0 < keep <= 1:
            raise RunError(f"keep is {keep}: give a share in (0, 1].")
        if not learning_rate > 0:
            raise RunError(f"learning_rate is {learning_rate}: give more than 0.")
        self.teacher = teacher
        self.generations = generations
        self.keep = keep
        self.most = most
        self.height = height
        self.course = Course(steps, batch_size, learning_rate, width)

    def learn(self, lesson: Lesson) -> None:
        """See :meth:`Baseline.learn`.

        Raises:
            RunError: If the data module does not bring the teacher's masks, or not one mask was found.
        """
        clips = lesson.clips()
        teacher = _videopca if self.teacher == "videopca" else _targets(lesson)
        for generation in range(1, self.generations + 1):
            named = f"generation {generation}"
            taught = self._taught(teacher, clips, lesson, generation)
            chosen = [one.best(self.keep) for one in taught]
            count = sum(len(one.positions) for one in chosen)
            if not count:
                raise RunError(f"the teacher of {named} found nothing in any clip: there is nothing to learn from.")
            print(f"{named}: {count} of {sum(len(one.positions) for one in taught)} masks chosen", flush=True)
            path, seed = lesson.folder / f"student{generation}.pt", lesson.seed * 1000 + generation
            student = train(self.course, clips, chosen, seed, path, f"Training the student of {named}")
            self.network = student
            teacher = partial(_student, student, self.height)

    def _taught(
        self, teacher: Teacher, clips: Sequence[ClipFrames], lesson: Lesson, generation: int
    ) -> list[Taught]:
        """The masks of a generation's teacher."""
        size = _small(clips[0][0], self.height)
        folder, words = lesson.folder / f"teacher{generation}", f"Masks of the teacher of generation {generation}"
        return teach(teacher, clips, self.most, size, folder, words)

    def predict(self, frames: Frames, wanted: Sequence[int]) -> Iterator[Prediction]:
        """See :meth:`Baseline.predict`."""
        assert isinstance(self.network, DilateUNet), "it has learnt before"
        for position in wanted:
            frame = frames[position]
            soft = _soft(self.network, frame, self.height)
            yield from_mask(cv2.resize(soft, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _small(frame: Pixels, height: int) -> tuple[int, int]:
    """The size at which a student sees a frame: multiples of its stride, 8."""
    height = min(height, frame.shape[0])
    rounded = (height, height * frame.shape[1] / frame.shape[0])
    return max(8, round(rounded[0] / 8) * 8), max(8, round(rounded[1] / 8) * 8)


@torch.inference_mode()
def _soft(student: DilateUNet, frame: Pixels, height: int) -> Soft:
    """What a student says of a frame, at its own size."""
    device = next(student.parameters()).device
    image = torch.from_numpy(resize(frame, _small(frame, height))).to(device).permute(2, 0, 1)[None].float().div(255)
    return np.asarray(student(image)[0, 0].sigmoid().cpu().numpy(), dtype=np.float32)


def _bytes(mask: Soft) -> Pixels:
    """A soft mask as it is kept."""
    return np.asarray((mask * 255).round(), dtype=np.uint8)


def _student(
    student: DilateUNet, height: int, number: int, frames: ClipFrames, positions: Sequence[int]
) -> Iterator[tuple[Pixels, float]]:
    """The student of a generation as the teacher of the next."""
    for position in positions:
        mask = _soft(student, frames[position], height)
        yield _bytes(mask), merit(mask)


def _videopca(number: int, frames: ClipFrames, positions: Sequence[int]) -> Iterator[tuple[Pixels, float]]:
    """VideoPCA as the teacher."""
    for one in VideoPca().predict(frames, positions):
        yield _bytes(one.mask), merit(one.mask)


def _targets(lesson: Lesson) -> Teacher:
    """Backdrop's own training targets as the teacher.

    Raises:
        RunError: If the data module does not bring them.
    """
    if TARGET.name not in {plane.name for plane in lesson.dataset.planes}:
        raise RunError("teacher is targets, which these data do not bring: give --data.init_args.targets true.")

    def teacher(number: int, frames: ClipFrames, positions: Sequence[int]) -> Iterator[tuple[Pixels, float]]:
        for position in positions:
            planes = lesson.dataset.read(number, position)
            mask = planes[TARGET.name]
            yield mask, float(planes[TRUST.name].mean()) / 255 if mask.any() else 0.0

    return teacher
