"""The probe over the frames of several processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from callbacks import NeighbourProbe
from callbacks.measures.neighbours import neighbour_scores

FEATURES = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.1, 0.9], [0.0, 1.0], [0.5, 0.5]])
CLIPS, NUMBERS = ["a", "a", "a", "b", "b"], [0, 1, 5, 0, 9]


def batch(places: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    found = {"clip": [CLIPS[place] for place in places], "index": torch.tensor([NUMBERS[place] for place in places])}
    return {"features": FEATURES[places]}, found


def logged(probe: NeighbourProbe) -> dict[str, float]:
    found: dict[str, float] = {}
    module: Any = SimpleNamespace(log_dict=lambda values, **_: found.update(values))
    trainer: Any = SimpleNamespace(sanity_checking=False)
    probe.on_validation_epoch_end(trainer, module)
    return found


def seen(places: list[int]) -> NeighbourProbe:
    probe, none = NeighbourProbe(), SimpleNamespace()
    probe.on_validation_epoch_start(none, none)  # type: ignore[arg-type]
    probe.on_validation_batch_end(none, none, *batch(places), 0)  # type: ignore[arg-type]
    return probe


def test_frames_of_all_processes_are_looked_at_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process has one clip alone; the second has a frame of it again, which fills it up."""
    expected = {f"val/{name}": value for name, value in neighbour_scores(FEATURES, CLIPS, NUMBERS).items()}
    assert "val/same_clip" in expected and logged(seen([0, 1, 2, 3, 4])) == pytest.approx(expected)
    first, second = seen([0, 1, 2]), seen([3, 4, 0])

    def gather(parts: list[Any], own: Any) -> None:  # noqa: ANN401
        parts[:] = [own, second._frames]

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    assert logged(first) == pytest.approx(expected)


def test_without_frames_nothing_is_measured() -> None:
    assert logged(NeighbourProbe()) == {}
    assert logged(seen([0])) == {} and not np.isnan(list(logged(seen([0, 3])).values())).any()
