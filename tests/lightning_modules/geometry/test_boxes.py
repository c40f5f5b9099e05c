"""Boxes: decoding, the live cells, growing, clipping, rasterising."""

import pytest
import torch

from lightning_modules.geometry import (
    box_area,
    box_mask,
    cell_centres,
    decode_boxes,
    grow,
    inner_box,
    live_cells,
    mask_extent,
    require_boxes,
    tighten,
)


def test_cell_centres_run_row_by_row() -> None:
    expected = torch.tensor([[-0.5, -2 / 3], [0.5, -2 / 3], [-0.5, 0.0], [0.5, 0.0], [-0.5, 2 / 3], [0.5, 2 / 3]])
    torch.testing.assert_close(cell_centres((3, 2)), expected)


def test_live_cells_leave_36_of_64() -> None:
    live = live_cells((8, 8)).view(8, 8)
    assert live.sum() == 36
    assert not live[0].any() and not live[-1].any() and not live[:, 0].any() and not live[:, -1].any()


def test_live_cells_refuse_a_grid_that_is_all_ring() -> None:
    with pytest.raises(ValueError, match="at least 3x3"):
        live_cells((2, 8))


def test_zero_maps_decode_to_cell_centres_and_middle_size() -> None:
    box = decode_boxes(torch.zeros(1, 4, 8, 8), 0.2, 0.8)
    torch.testing.assert_close(box[0, :, :2], cell_centres((8, 8)))
    torch.testing.assert_close(box[0, :, 2:], torch.full((64, 2), 0.5))


def test_offsets_reach_one_and_a_half_cells_and_stay_in_the_frame() -> None:
    raw = torch.zeros(1, 4, 8, 8)
    raw[:, 0], raw[:, 2] = 50.0, -50.0
    box = decode_boxes(raw, 0.2, 0.8)[0].view(8, 8, 4)
    torch.testing.assert_close(box[3, 2, 0], torch.tensor((2 + 0.5) / 4 - 1 + 1.5 * 0.25))
    assert box[..., 0].max() == 1  # the last column would leave the frame: clamped
    torch.testing.assert_close(box[..., 2], torch.full((8, 8), 0.2))


def test_decoding_has_gradients_in_all_four_maps() -> None:
    raw = torch.zeros(1, 4, 5, 5, requires_grad=True)
    decode_boxes(raw)[0, 12].sum().backward()
    assert raw.grad is not None
    assert (raw.grad[0, :, 2, 2] != 0).all()
    assert raw.grad.count_nonzero() == 4


def test_wrong_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 5, 8, 8\)"):
        decode_boxes(torch.zeros(1, 5, 8, 8))


def test_area_and_growth() -> None:
    box = torch.tensor([[0.1, 0.2, 0.5, 0.25]])
    torch.testing.assert_close(box_area(box), torch.tensor([0.125]))
    torch.testing.assert_close(grow(box, 1.2), torch.tensor([[0.1, 0.2, 0.6, 0.3]]))


def test_box_mask_of_a_hand_drawn_case() -> None:
    mask = box_mask(torch.tensor([[0.5, -0.5, 0.5, 0.5]]), (4, 4))
    expected = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert torch.equal(mask[0, 0].int(), expected.int())


def test_require_boxes_tells_the_shape() -> None:
    with pytest.raises(ValueError, match=r"\(3, 5\)"):
        require_boxes(torch.zeros(3, 5))


def test_the_extent_of_a_mask_is_its_tight_box() -> None:
    mask = torch.zeros(3, 1, 8, 16)
    mask[0, 0, 2:4, 4:12] = 0.9
    mask[1] = 0.2  # nothing at the threshold
    mask[2, 0, 7, 15] = 1
    extent, found = mask_extent(mask)
    assert found.tolist() == [True, False, True]
    torch.testing.assert_close(extent[0], torch.tensor([0.0, -0.25, 0.5, 0.25]))
    torch.testing.assert_close(extent[1], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(extent[2], torch.tensor([1 - 1 / 16, 1 - 1 / 8, 1 / 16, 1 / 8]))


def test_the_extent_leaves_specks_out() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    mask[..., 0, 31] = 1  # one pixel of 257
    torch.testing.assert_close(mask_extent(mask)[0], torch.tensor([[0.0, 0.0, 0.5, 0.5]]))


def test_the_extent_undoes_box_mask() -> None:
    box = torch.tensor([[0.25, -0.125, 0.5, 0.375], [-0.5, 0.5, 0.25, 0.25]])
    torch.testing.assert_close(mask_extent(box_mask(box, (32, 64)))[0], box)


def test_an_inner_box_is_placed_by_its_window() -> None:
    box = inner_box(torch.tensor([[0.2, -0.2, 0.5, 0.4]]), torch.tensor([[0.5, -0.5, 0.5, 0.25]]))
    torch.testing.assert_close(box, torch.tensor([[0.45, -0.4, 0.25, 0.1]]))


def test_a_box_is_tightened_to_its_mask_and_kept_where_there_is_none() -> None:
    box = torch.tensor([[0.2, -0.1, 0.4, 0.8], [0.3, 0.3, 0.2, 0.2]])
    mask = torch.zeros(2, 1, 20, 20)
    mask[0, 0, 5:15, 10:20] = 1
    tight, found = tighten(box, mask)
    assert found.tolist() == [True, False]
    torch.testing.assert_close(tight, torch.tensor([[0.4, -0.1, 0.2, 0.4], [0.3, 0.3, 0.2, 0.2]]))
