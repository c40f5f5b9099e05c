"""Several subjects: one is as ever, more have boxes and masks of their own and make up the union."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_modules import SegmentationModule
from lightning_modules.building import build
from lightning_modules.geometry import box_mask
from lightning_modules.networks import Proposals
from lightning_modules.subjects import find_subjects
from tests.lightning_modules.test_segmentation import images, module

WHERE = [(-0.5, 0.0, 0.3, 0.5), (0.5, 0.0, 0.3, 0.5)]


class Blobs(nn.Module):
    """A segmenter that opens the middle of every window where the frame is bright."""

    def forward(self, image: Tensor, box: Tensor, mask_only: bool) -> tuple[Tensor, None, Tensor]:
        assert mask_only
        window = torch.zeros(len(box), 1, 8, 8)
        window[:, :, 2:6, 2:6] = image.amax(dim=(1, 2, 3)).view(-1, 1, 1, 1)
        inner = torch.cat([box[:, :2], box[:, 2:] / 2], dim=1)
        mask = box_mask(inner, (image.shape[2], image.shape[3])) * image.amax(dim=(1, 2, 3), keepdim=True)
        return mask, None, window


def proposals(*frames: tuple[int, ...]) -> Proposals:
    """Frames of a 4x4 grid in which each of the four live cells points to one of the two places."""
    probability, box = torch.zeros(len(frames), 16), torch.zeros(len(frames), 16, 4)
    for row, places in enumerate(frames):
        for cell, place in zip((5, 6, 9, 10), places, strict=True):
            probability[row, cell], box[row, cell] = 0.25, torch.tensor(WHERE[place])
    return Proposals(probability, box, (4, 4), probability[0] > 0, torch.zeros(len(box), 1, 4, 4))


def test_each_subject_has_a_mask_and_the_union_has_all() -> None:
    found = find_subjects(torch.ones(2, 3, 40, 40), proposals((0, 1, 1, 1), (0, 0, 0, 0)), Blobs(), 3, False)  # type: ignore[arg-type]
    assert found["subject_mask"].shape == (2, 3, 40, 40) and found["subject_box"].shape == (2, 3, 4)
    torch.testing.assert_close(found["subject_confidence"], torch.tensor([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0]]))
    torch.testing.assert_close(found["subject_box"][0, :2], torch.tensor([WHERE[1], WHERE[0]]))
    assert found["subject_mask"][0, 0, 20, 30] == 1 and found["subject_mask"][0, 1, 20, 10] == 1
    assert found["subject_mask"][0, 0, 20, 10] == 0 and not found["subject_mask"][:, 2].any()
    assert torch.equal(found["mask"][:, 0], found["subject_mask"].amax(1))
    assert torch.equal(found["box"], found["subject_box"][:, 0])


def test_the_number_is_a_limit_and_boxes_may_be_those_of_the_masks() -> None:
    found = find_subjects(torch.ones(1, 3, 40, 40), proposals((0, 1, 1, 1)), Blobs(), 1, True)  # type: ignore[arg-type]
    assert found["subject_mask"].shape == (1, 1, 40, 40)
    torch.testing.assert_close(found["box"], torch.tensor([[0.5, 0.0, 0.15, 0.25]]))


def test_windows_without_a_subject_are_left_out_but_the_surest() -> None:
    found = find_subjects(torch.zeros(1, 3, 40, 40), proposals((0, 1, 1, 1)), Blobs(), 3, True)  # type: ignore[arg-type]
    torch.testing.assert_close(found["subject_confidence"], torch.tensor([[0.75, 0.0, 0.0]]))


def test_one_subject_is_as_ever_and_more_are_found_in_test_and_prediction() -> None:
    net = module().eval()
    assert net.subjects == 1
    alone = net(images())
    assert alone.keys() == {"mask", "box", "confidence", "probability"}
    net.subjects = 3
    several = net(images())
    assert several["subject_mask"].shape == (3, 3, 36, 48)
    assert torch.equal(several["probability"], alone["probability"])
    assert (several["subject_confidence"][:, 0] > 0).all()
    batch = {"image": images(), "clip": ["a"] * 3, "index": torch.arange(3)}
    assert "subject_mask" in net.test_step(batch, 0)  # type: ignore[arg-type]
    assert "subject_mask" not in net.validation_step(batch, 0)  # type: ignore[arg-type]
    assert "subjects" not in build(SegmentationModule, net.hparams).hparams
