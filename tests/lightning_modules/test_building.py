"""Settings as plain values: saved and built again; merged by later config files; wrong ones refused without a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from pytorch_lightning.cli import LightningArgumentParser

from lightning_modules import InpaintingModule, SegmentationModule
from lightning_modules.building import build, try_out, without_files
from lightning_modules.estimators import Exact, Gumbel, Importance, LeaveOneOut
from lightning_modules.objectives import Background, BoxFit, Foreground, MaskPrior
from lightning_modules.scene import Evidence, Inpainting
from tests.tiny import PIXELS, SEGMENTATION, WINDOW

ANOTHER: dict[str, Any] = {
    "segmenter": WINDOW,
    "scene": Evidence(1.3, reach=2.0),
    "estimator": Exact(),
    "foreground": Foreground(reaches_p=True),
    "background": Background(LeaveOneOut(3, 0.02), reaches_boxes=True),
    "mask_prior": None,
    "box_fit": BoxFit(2.0, warmup=0.25),
    "box_from_mask": True,
    "learning_rate": 0.5,
}


def settings_of(module: SegmentationModule) -> list[object]:
    """What a module was built of."""
    return [module.detector.settings, module.scene, module.estimator, module.terms, module.box_from_mask, module.rates]


@pytest.mark.parametrize("changed", [{}, ANOTHER, {"estimator": Gumbel(2)}], ids=["paper", "others", "gumbel"])
def test_a_module_is_built_again_of_its_plain_settings(changed: dict[str, Any], tmp_path: Path) -> None:
    module = SegmentationModule(inpainter_channels=(4, 8), **(SEGMENTATION | changed))
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(dict(module.hparams)))  # refuses all that is not plain
    again = build(SegmentationModule, yaml.safe_load((tmp_path / "settings.yaml").read_text()))
    assert settings_of(again) == settings_of(module) and again.hparams == module.hparams
    assert again.state_dict().keys() == module.state_dict().keys()
    assert module.hparams["inpainter_channels"] == [4, 8] and "inpainter_ckpt" not in module.hparams
    assert module.hparams["scene"]["class_path"].startswith("lightning_modules.scene.")


def test_stage_1_is_built_again_of_its_plain_settings() -> None:
    module = InpaintingModule((4, 8), (0.2, 0.4), reconstruction=PIXELS)
    assert module.hparams["hole_side"] == [0.2, 0.4] and module.hparams["reconstruction"]["perceptual_net"] is None
    again = build(InpaintingModule, module.hparams)
    assert again.hparams == module.hparams and again.hole_side == (0.2, 0.4)


def parse(folder: Path, *files: str, options: tuple[str, ...] = ()) -> Namespace:
    """What config files, and options after them, make of the model; each file is the text of its ``init_args``."""
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(pl.LightningModule, "model", required=True)
    arguments = []
    for number, text in enumerate(files):
        config = {"model": {"class_path": "lightning_modules.SegmentationModule", "init_args": yaml.safe_load(text)}}
        (folder / f"{number}.yaml").write_text(yaml.safe_dump(config))
        arguments.append(f"--config={folder / f'{number}.yaml'}")
    return parser.parse_args([*arguments, *(f"--model.init_args.{option}" for option in options)]).model.init_args


def test_a_later_config_that_changes_one_nested_value_keeps_the_rest(tmp_path: Path) -> None:
    first = """
        detector: {width: 0.5, s_min: 0.1, weights: null}
        segmenter: {class_path: CodeSegmenter, init_args: {crop_size: [64, 64], focal: false}}
        scene: {class_path: Inpainting, init_args: {growth: 1.3}}
        background: {estimator: {class_path: LeaveOneOut, init_args: {samples: 3, epsilon: 0.002}}, reaches_boxes: true}
        mask_prior: {kind: l2, over: frame}
        box_fit: {weight: 3.0}
    """
    second = """
        detector: {s_max: 0.6}
        segmenter: {init_args: {stride: 16}}
        background: {estimator: {init_args: {epsilon: 0.003}}}
        mask_prior: {weight: 2.0}
        box_fit: {trim: 0.02}
    """
    found = parse(tmp_path, first, second, options=("mask_prior.level=0.25", "detector.max_offset=2"))
    detector = found.detector
    assert (detector.width, detector.s_min, detector.s_max, detector.weights) == (0.5, 0.1, 0.6, None)
    assert detector.max_offset == 2 and detector.backbone == "resnet18"
    segmenter = found.segmenter.init_args
    assert (segmenter.crop_size, segmenter.focal, segmenter.stride) == ((64, 64), False, 16)
    assert found.scene.init_args.growth == 1.3 and found.background.reaches_boxes
    assert vars(found.background.estimator.init_args) == {"samples": 3, "epsilon": 0.003}
    assert vars(found.mask_prior) == {"weight": 2.0, "kind": "l2", "level": 0.25, "over": "frame"}
    assert (found.box_fit.weight, found.box_fit.trim, found.box_fit.margin) == (3.0, 0.02, 1.15)


def test_another_class_keeps_the_arguments_that_both_have(tmp_path: Path) -> None:
    first = """
        segmenter: {class_path: CodeSegmenter, init_args: {crop_size: [64, 64], code_size: 50}}
        scene: {class_path: Inpainting, init_args: {growth: 1.3}}
        estimator: {class_path: Importance, init_args: {samples: 4, epsilon: 0.002}}
        background: {estimator: {class_path: LeaveOneOut, init_args: {samples: 3}}}
    """
    second = """
        segmenter: {class_path: WindowSegmenter, init_args: {recolour: true}}
        scene: {class_path: Evidence, init_args: {reach: 1.5}}
        estimator: {class_path: Gumbel}
        background: {estimator: {class_path: Uniform}}
    """
    found = parse(tmp_path, first, second)
    assert found.segmenter.init_args.crop_size == (64, 64) and found.segmenter.init_args.recolour
    assert "code_size" not in found.segmenter.init_args
    assert vars(found.scene.init_args) == {"growth": 1.3, "reach": 1.5}
    assert vars(found.estimator.init_args) == {"samples": 4, "temperature": 0.1}
    assert vars(found.background.estimator.init_args) == {"samples": 3}
    back = parse(tmp_path, first, second, "scene: {class_path: Plates}\nbackground: {estimator: null}")
    assert vars(back.scene.init_args) == {"growth": 1.3} and back.background.estimator is None


@pytest.mark.parametrize(
    "name", ["mask_prior", "box_fit", "box_prior", "confidence_prior", "reach_prior", "foreground"]
)
def test_null_switches_a_term_off(name: str, tmp_path: Path) -> None:
    on = f"{name}: {{reaches_p: true}}" if name == "foreground" else f"{name}: {{weight: 2.0}}"
    for found in (parse(tmp_path, on, f"{name}: null"), parse(tmp_path, on, options=(f"{name}=null",))):
        assert found[name] is None and found.scene is not None
    assert parse(tmp_path, f"{name}: null", on)[name] is not None


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    found = parse(tmp_path, "{}")
    assert found.segmenter.class_path.endswith("CodeSegmenter") and found.segmenter.init_args.backbone == "resnet50"
    assert found.scene.class_path.endswith("Inpainting") and found.scene.init_args.growth == Inpainting().growth == 1.2
    assert vars(found.estimator.init_args) == {"samples": 1, "epsilon": Importance().epsilon}
    assert vars(found.mask_prior) == vars(MaskPrior())


WRONG = {
    "detector: {s_min: 0.9}": "(s_min, s_max) of DetectorSettings is (0.9, 0.8), expected 0 < s_min < s_max <= 1",
    "detector: {s_max: 0.05}": "(s_min, s_max) of DetectorSettings is (0.2, 0.05), expected 0 < s_min < s_max <= 1",
    "detector: {size: [0, 128]}": "size of DetectorSettings is (0, 128), expected above 0.",
    "scene: {init_args: {growth: -1}}": "growth of Inpainting is -1.0, expected at least 1.",
    "estimator: {init_args: {epsilon: 0.5}}": "epsilon of Importance is 0.5, expected 0 to 1/36",
    "estimator: {class_path: Gumbel, init_args: {temperature: -1}}": "temperature of Gumbel is -1.0, expected above 0.",
    "estimator: {class_path: LeaveOneOut, init_args: {samples: 1}}": "samples of LeaveOneOut is 1, expected at least 2",
    "background: {estimator: {class_path: Uniform, init_args: {samples: 0}}}": "samples of Uniform is 0, expected at l",
    "mask_prior: {weight: -1}": "weight of MaskPrior is -1.0, expected at least 0.",
    "box_fit: {warmup: 2}": "warmup of BoxFit is 2.0, expected 0 to 1.",
    "reconstruction: {pixel_weight: -1}": "pixel_weight of Reconstruction is -1.0, expected at least 0.",
    "learning_rate: 0": "learning_rate of SegmentationModule is 0.0, expected above 0.",
    "segmenter: {init_args: {crop_size: [100, 100]}}": "crop_size of CodeSegmenter is (100, 100), expected a multiple",
    "scene: {class_path: Evidence}": "the scene Evidence does not go with the segmenter CodeSegmenter",
    "inpainter_channels: [8]": "channels of Inpainter is [8], expected at least two stages.",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_values_are_refused_before_anything_is_read(wrong: str, tmp_path: Path) -> None:
    settings = parse(tmp_path, wrong, options=("inpainter_ckpt=nowhere.ckpt",)).as_dict()
    with pytest.raises(ValueError) as error:
        try_out(SegmentationModule, settings)
    assert WRONG[wrong] in str(error.value)


def test_a_kind_of_prior_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="kind"):
        parse(tmp_path, "mask_prior: {kind: w}")


def test_trying_settings_out_reads_no_file_and_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a file was read"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: pytest.fail("weights were fetched"))
    before = torch.get_rng_state()
    try_out(SegmentationModule, parse(tmp_path, "{}", options=("inpainter_ckpt=nowhere.ckpt",)).as_dict())
    try_out(InpaintingModule, {"channels": [8, 16]})
    assert torch.equal(torch.get_rng_state(), before)


def test_what_begins_a_training_can_be_left_out(tmp_path: Path) -> None:
    settings = parse(tmp_path, "{}", options=("inpainter_ckpt=nowhere.ckpt",)).as_dict()
    left = without_files(SegmentationModule, settings)
    assert left["inpainter_ckpt"] is left["detector"]["weights"] is left["segmenter"]["init_args"]["weights"] is None
    assert left["reconstruction"] == {"pixel_weight": 1.0, "perceptual_weight": 2.0, "perceptual_net": None}
    assert left["mask_prior"] == settings["mask_prior"] and settings["detector"]["weights"] == "IMAGENET1K_V1"
