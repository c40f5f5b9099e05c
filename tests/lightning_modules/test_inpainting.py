"""InpaintingModule: loss by hand, determinism of validation, learning."""

import pytest
import torch

from lightning_modules import InpaintingModule
from lightning_modules.losses import squared_error
from lightning_modules.schedule import scheduled
from tests.tiny import PIXELS


def module(channels: tuple[int, ...] = (4, 8), **arguments: object) -> InpaintingModule:
    torch.manual_seed(0)
    made = InpaintingModule(channels, reconstruction=PIXELS, **arguments)  # type: ignore[arg-type]
    made.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    return made


def batch() -> dict[str, object]:
    generator = torch.Generator().manual_seed(3)
    return {"image": torch.rand(2, 3, 24, 32, generator=generator), "clip": ["a", "a"], "index": torch.arange(2)}


def test_the_loss_is_the_error_in_the_hole_over_its_area_plus_a_little_of_the_rest() -> None:
    net = module(visible_weight=0.5).eval()
    out = net.validation_step(batch(), 0)  # type: ignore[arg-type]
    image, hole = batch()["image"], out["hole"]
    assert isinstance(image, torch.Tensor)
    error = squared_error(net.inpainter.predict(image, hole), image)
    inside = torch.stack([e[h > 0].mean() for e, h in zip(error, hole, strict=True)]).mean()
    expected = inside + 0.5 * (error * (1 - hole)).mean()
    torch.testing.assert_close(out["loss"], expected)


def test_validation_hides_the_same_holes_every_time_and_training_does_not() -> None:
    net = module().eval()
    first, second = (net.validation_step(batch(), 1)["hole"] for _ in range(2))  # type: ignore[arg-type]
    assert torch.equal(first, second)
    first, second = (net.training_step(batch(), 1)["hole"] for _ in range(2))  # type: ignore[arg-type]
    assert not torch.equal(first, second)


def test_it_learns_to_inpaint() -> None:
    net = module((8, 16, 32))
    image = torch.linspace(0, 1, 32).expand(8, 3, 24, 32).contiguous()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for step in range(80):
        optimizer.zero_grad()
        loss = net.training_step({"image": image, "clip": ["a"] * 8, "index": torch.arange(8)}, step)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.2 * sum(losses[:5])


@pytest.mark.parametrize("side", [(0.0, 0.5), (0.6, 0.5), (0.5, 1.5)])
def test_impossible_holes_are_refused(side: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"hole_side of InpaintingModule is .*, expected 0 < smallest <= largest <= 1"):
        module(hole_side=side)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate of InpaintingModule is 0.0, expected above 0."),
        ({"lr_schedule": "linear"}, "lr_schedule of InpaintingModule is linear, expected constant or cosine."),
        ({"visible_weight": -0.1}, "visible_weight of InpaintingModule is -0.1, expected at least 0."),
    ],
)
def test_what_is_out_of_range_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        module(**arguments)


def test_a_cosine_needs_an_end() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    with pytest.raises(ValueError, match="max_steps"):
        scheduled(optimizer, "cosine", float("inf"))
