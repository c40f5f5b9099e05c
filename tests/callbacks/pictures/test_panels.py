"""The panels of a frame: box, cells, masks, and what stands beneath."""

from __future__ import annotations

import torch

from backdrop.drawing import SUBJECT_COLOURS
from callbacks.pictures.panels import draw_detection, panels
from callbacks.pictures.sheet import sheet
from tests.callbacks.toy import drawn_frame


def test_detection_is_drawn_in_place() -> None:
    """The dot lies on its cell, the line starts there and ends at the box's centre, the box at its edges."""
    drawn = draw_detection(torch.zeros(3, 64, 128, dtype=torch.uint8), drawn_frame())
    blue, green = drawn[2] > 200, drawn[1] > 200
    assert drawn[:, 5, 6][2] > drawn[:, 5, 6][1]  # beside the centre of cell (0, 0): (8, 4)
    assert not blue[:, 20:].any()
    assert green[32, 96] and green[18, 52]  # the line's end, and half way
    assert green[16:48, 80].all() and green[16, 80:112].all()
    untouched = draw_detection(torch.zeros(3, 8, 8, dtype=torch.uint8), {"box": torch.full((4,), float("nan"))})
    assert not untouched.any()
    one_cell = {**drawn_frame(), "probability": torch.ones(1, 1)}
    regressed = draw_detection(torch.zeros(3, 64, 128, dtype=torch.uint8), one_cell)
    assert not (regressed[2] > 200).any() and regressed[1, 16:48, 80].min() > 200


def test_labels_can_be_read() -> None:
    """Every letter is as bright as on a black ground, whatever the frame, and no shadow lies over it."""
    frames = [drawn_frame(), {**drawn_frame(), "image": torch.ones(3, 64, 128)}, {**drawn_frame(), "clip": "bean"}]
    for frame in frames:
        del frame["box"]
    black, white, other = (panels(frame)["frame and box"][:, -13:, 4:40] for frame in frames)
    assert torch.equal(black, white) and (black == 0).sum() > (black > 150).sum() > 30
    assert not torch.equal(black, other)


def test_the_background_is_named_after_its_maker() -> None:
    """Plates are the background; without them it is inpainted."""
    frame = {**drawn_frame(), "background": torch.zeros(3, 64, 128)}
    assert "inpainted" in panels(frame) and "background" not in panels(frame)
    assert "background" in panels({**frame, "plate": True}) and "inpainted" not in panels({**frame, "plate": True})


def test_panels_follow_the_output() -> None:
    """Columns that the output lacks are left out; a row without truth leaves its place black."""
    frame = drawn_frame()
    assert list(panels(frame)) == ["frame and box", "composite", "soft mask", "overlay"]
    without = {key: value for key, value in frame.items() if key != "composite"}  # of a method that inpaints nothing
    assert list(panels(without)) == ["frame and box", "soft mask", "overlay"]
    both = sheet([frame, {**frame, "truth": torch.ones(1, 128, 256)}])
    assert both.shape == (3, 22 + 2 * 130 + 2, 5 * 258 + 2)
    assert not both[:, 30:140, -200:-100].any() and (both[:, 160:270, -200:-100] == 255).all()


def test_what_is_unknown_is_grey_in_the_true_mask() -> None:
    """The known half is white where the subject is; 0.5 of 255 is 128."""
    known = torch.zeros(1, 128, 256)
    known[..., :128] = 1
    drawn = panels({**drawn_frame(), "truth": known, "known": known})["true mask"]
    assert drawn[:, :, :120].unique().tolist() == [255] and drawn[:, :, 136:].unique().tolist() == [128]


def test_broken_numbers_are_drawn_too() -> None:
    """NaN in the outputs does not stop the picture: it is what one wants to look at."""
    frame = {key: value * float("nan") if torch.is_tensor(value) else value for key, value in drawn_frame().items()}
    assert sheet([frame]).dtype == torch.uint8


def test_every_subject_has_a_colour() -> None:
    """Boxes and masks of several subjects are told apart; empty slots are not drawn."""
    masks = torch.zeros(3, 24, 32)
    masks[0, :, :10], masks[1, :, 22:] = 1, 1
    frame = {
        "image": torch.full((3, 24, 32), 0.5), "clip": "bear", "index": 0, "mask": masks.amax(0, keepdim=True),
        "composite": torch.zeros(3, 24, 32), "box": torch.tensor([-0.7, 0.0, 0.3, 0.9]),
        "subject_mask": masks, "subject_confidence": torch.tensor([0.6, 0.4, 0.0]),
        "subject_box": torch.tensor([[-0.7, 0.0, 0.3, 0.9], [0.7, 0.0, 0.3, 0.9], [0.0, 0.0, 0.0, 0.0]]),
    }  # fmt: skip
    drawn = panels(frame)
    left, middle, right = (drawn["overlay"][:, 96, x].int() for x in (40, 128, 216))
    assert left[0] > left[2] and right[2] > right[0] and middle.tolist() == [128] * 3
    colours = {tuple(colour) for colour in drawn["frame and box"].flatten(1).T.tolist()}
    assert {SUBJECT_COLOURS[0], SUBJECT_COLOURS[1]} <= colours and SUBJECT_COLOURS[2] not in colours
