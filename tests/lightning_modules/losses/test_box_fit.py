"""Boxes are pulled toward the extent of their masks."""

import torch

from lightning_modules.losses import box_fit, evidence_target, mask_target


def test_the_target_is_the_grown_extent_in_the_frame() -> None:
    mask = torch.zeros(2, 1, 20, 20)
    mask[0, 0, 5:15, 10:20] = 1  # the right half, in the middle half of the height
    mask[1, 0, 3, 3] = 1  # a speck
    box = torch.tensor([[0.2, 0.0, 0.4, 0.8], [0.0, 0.0, 0.5, 0.5]])
    target, found = mask_target(box, mask, margin=1.1, trim=0.0, size_range=(0.1, 0.8))
    assert found.tolist() == [True, False]
    torch.testing.assert_close(target[0], torch.tensor([0.4, 0.0, 0.22, 0.44]))


def test_sizes_stay_in_range_and_trimming_leaves_an_outgrowth_out() -> None:
    mask = torch.zeros(1, 1, 40, 40)
    mask[0, 0, 10:30, 10:30] = 1
    mask[0, 0, 0:10, 20] = 1  # 10 pixels of 410 above
    box = torch.tensor([[0.0, 0.0, 0.8, 0.8]])
    tight = mask_target(box, mask, 1.0, 0.03, (0.1, 0.8))[0]
    torch.testing.assert_close(tight, torch.tensor([[0.0, 0.0, 0.4, 0.4]]))
    assert mask_target(box, mask, 1.0, 0.0, (0.1, 0.8))[0][0, 3] > 0.55
    assert mask_target(box, mask, 1.0, 0.03, (0.1, 0.3))[0][0, 2:].tolist() == torch.tensor([0.3, 0.3]).tolist()


def test_the_box_fit_counts_only_boxes_with_a_mask_and_moves_only_the_box() -> None:
    box = torch.tensor([[0.0, 0.0, 0.4, 0.4], [0.0, 0.0, 0.9, 0.9]], requires_grad=True)
    target = torch.tensor([[0.1, 0.0, 0.4, 0.6], [0.0, 0.0, 0.1, 0.1]], requires_grad=True)
    value = box_fit(box, target, torch.tensor([True, False]))
    torch.testing.assert_close(value, torch.tensor(0.05))
    value.backward()
    assert target.grad is None and box.grad is not None
    torch.testing.assert_close(box.grad, torch.tensor([[-0.2, 0, 0, -0.4], [0, 0, 0, 0]]))
    assert box_fit(box, target, torch.tensor([False, False])) == 0


def test_by_evidence_a_box_grows_over_what_lies_beside_it() -> None:
    evidence = torch.zeros(2, 1, 100, 100)
    evidence[0, 0, 30:60, 40:60] = 0.9
    evidence[0, 0, 18:30, 58:60] = 0.9  # a thin limb
    box = torch.tensor([[0.0, -0.1, 0.3, 0.3]]).expand(2, 4).clone().requires_grad_()
    target, found = evidence_target(box, evidence, reach=2.0, margin=1.0, trim=0.0, size_range=(0.1, 0.8))
    assert found.tolist() == [True, False] and not target.requires_grad
    torch.testing.assert_close(target[0], torch.tensor([0.0, -0.22, 0.2, 0.42]), atol=0.03, rtol=0)
    by_the_mask = evidence_target(box, evidence, reach=1.0, margin=1.0, trim=0.0, size_range=(0.1, 0.8))[0][0]
    assert by_the_mask[3] < 0.32  # sees no more than the box
