"""The learning-rate schedule."""

import pytest
import torch

from lightning_modules.schedule import scheduled


def rates(steps: int, length: int, state: dict[str, object] | None = None) -> tuple[list[float], dict[str, object]]:
    """The rate of each step of a schedule of some length, perhaps resumed; and its state at the end."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = scheduled(optimizer, "cosine", length)["lr_scheduler"]["scheduler"]
    if state is not None:
        schedule.load_state_dict(state)
    found = []
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found, schedule.state_dict()


def test_cosine_falls_to_zero_and_stays() -> None:
    found, _ = rates(12, 10)
    assert found[4] == pytest.approx(0.5) and found[9:] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_a_prolonged_training_follows_the_new_length() -> None:
    _, state = rates(10, 10)
    found, _ = rates(10, 20, state)
    assert found == pytest.approx(rates(20, 20)[0][10:])
    assert found == sorted(found, reverse=True)


def test_an_endless_run_has_no_cosine() -> None:
    with pytest.raises(ValueError, match="needs an end"):
        rates(1, float("inf"))  # type: ignore[arg-type]
