"""What is random in a training follows from the seed, the epoch, the batch or frame, and the process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from datamodules.order import TrainingOrder
from datamodules.transforms import FrameAugmentation
from tests.layouts import factory

FRAMES = range(23)


def epochs(order: TrainingOrder, count: int = 2) -> list[list[int]]:
    """Positions in the next passes."""
    return [[sample.position for sample in order] for _ in range(count)]


def test_an_epoch_has_every_frame_once_and_no_two_are_alike() -> None:
    first, second = epochs(TrainingOrder(FRAMES, 5))
    assert sorted(first) == sorted(second) == list(FRAMES) and first != second != list(FRAMES)
    assert epochs(TrainingOrder(FRAMES, 5)) == [first, second] != epochs(TrainingOrder(FRAMES, 6))


@pytest.mark.parametrize("done", [0, 1, 8, 22, 23])
def test_a_resumed_epoch_begins_where_it_was_left(done: int) -> None:
    straight, resumed = TrainingOrder(FRAMES, 5), TrainingOrder(FRAMES, 5)
    samples = [sample for _ in range(3) for sample in straight]
    resumed.begin(1, done)
    assert len(resumed) == len(FRAMES)  # batches of the epoch are counted, not those that are left
    assert [*resumed, *(resumed if done < 23 else ())] == samples[23 + done :]


def test_processes_share_the_frames_and_draw_differently() -> None:
    orders = [TrainingOrder(FRAMES, 5, process, 3) for process in range(3)]
    shares = [list(order) for order in orders]
    assert [len(share) for share in shares] == [8, 8, 8]  # 23 frames and one once more
    assert {sample.position for share in shares for sample in share} == set(FRAMES)
    seeds = [sample.seed for share in shares for sample in share]
    assert len(set(seeds)) == 24
    assert list(TrainingOrder(FRAMES, 5, 1, 3)) == shares[1]


def test_a_frame_changes_by_its_seed_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    torch.manual_seed(1)
    one = FrameAugmentation()(3, image=image)["image"]
    torch.manual_seed(2)
    same, *others = (FrameAugmentation()(seed, image=image)["image"] for seed in (3, 4, 5, 6, 7))
    assert np.array_equal(one, same) and any(not np.array_equal(one, other) for other in others)


def test_each_process_and_batch_draws_its_own(tmp_path: Any) -> None:  # noqa: ANN401
    """Holes, cells, zooms and colours come from these states; nothing that was drawn before has a part in them."""

    def drawn(process: int, epoch: int, batch: int) -> tuple[float, float]:
        torch.manual_seed(3)
        module = factory("demo", tmp_path)()
        module.trainer = cast(Any, SimpleNamespace(
            training=True, validating=False, sanity_checking=False, testing=False, global_rank=process,
            current_epoch=epoch, fit_loop=SimpleNamespace(batch_idx=batch - 1),
        ))  # fmt: skip
        torch.rand(process + 3 * batch)
        module.on_before_batch_transfer(cast(Any, {}), 0)
        return float(torch.rand(())), float(np.random.rand())

    places = [(process, epoch, batch) for process in range(2) for epoch in range(2) for batch in range(3)]
    values = [drawn(*place) for place in places]
    assert len({first for first, _ in values}) == len({second for _, second in values}) == len(places)
    assert [drawn(*place) for place in places[:4]] == values[:4]
