"""Mistakes in settings, as jsonargparse tells them, become one sentence that names the setting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jsonargparse import ArgumentError

from backdrop.errors import settings_error
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
