"""Mistakes in settings, as jsonargparse tells them, become one sentence that names the setting."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

import pytest
from jsonargparse import ArgumentError
from torch.utils.data import DataLoader, Dataset

from backdrop.errors import in_words, settings_error
from experiments.runs.lightning_cli import understand

GROUPS = "model.init_args"
WRONG = {
    "mask_prior.kind=w": f"{GROUPS}.mask_prior.kind is w, expected one of none, l1, l2, v",
    "mask_prior.lewel=1": f"{GROUPS}.mask_prior: lightning_modules.objectives.MaskPrior: Option 'lewel' is not accepted"
    ": did you mean level?",
    "detector.s_min=many": f"{GROUPS}.detector.s_min is many, expected a number",
    "detector.s_mni=0.1": "model: lightning_modules.SegmentationModule: unrecognized arguments: --detector.s_mni=0.1"
    ": did you mean detector.s_min?",
    "s_min=0.1": "model: lightning_modules.SegmentationModule: Option 's_min' is not accepted"
    ": did you mean detector.s_min?",
    "background.estimator.init_args.samples=x": f"{GROUPS}.background.estimator.init_args.samples is x, expected a "
    "whole number",
    "background.estimator.init_args.epsilom=1": f"{GROUPS}.background.estimator: lightning_modules.estimators"
    ".LeaveOneOut: Option 'epsilom' is not accepted: did you mean epsilon?",
    "segmenter.init_args.recolor=true": f"{GROUPS}.segmenter: lightning_modules.networks.WindowSegmenter: Option "
    "'recolor' is not accepted: did you mean recolour?",
    "scene=Plate": f"{GROUPS}.scene is Plate, expected the name of a class",
    "reconstruction.perceptual_net=resnet": f"{GROUPS}.reconstruction.perceptual_net is resnet, expected one of alex, "
    "vgg, squeeze or null",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_mistake_in_a_group_of_settings_is_one_sentence(
    wrong: str, tmp_path: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    with pytest.raises(ArgumentError) as error:
        understand(fit_arguments(tmp_path, "segment", f"--model.init_args.{wrong}"))
    assert settings_error(error.value) == WRONG[wrong]


class Asks(Dataset[int]):
    """Asks a process for something, as torch asks one of the loader for the memory of a batch."""

    def __init__(self, address: Path) -> None:
        self.address = address

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        connection.Client(str(self.address), "AF_UNIX")
        return 0


def test_a_process_of_the_loader_that_is_gone_when_it_is_asked_is_named(tmp_path: Path) -> None:
    """torch 2.14 then meets the end of its socket before it hears of the process: no text of its own."""
    with pytest.raises(FileNotFoundError) as error:
        list(DataLoader(Asks(tmp_path / "socket")))
    assert in_words(error.value).startswith("a process of the loader was killed ([Errno 2] No such file or directory)")
    with pytest.raises(FileNotFoundError) as other:
        (tmp_path / "frame.png").read_bytes()
    assert "was killed" not in in_words(other.value)
