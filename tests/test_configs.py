"""Every shipped config, found by globbing, trains two steps of its stage on tiny data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.cli import LightningArgumentParser
from torchvision import models

from experiments.cli import main
from experiments.runs.composition import CONFIGS
from experiments.runs.folder import StageFolder, flat

STAGES = ("inpaint", "segment")
DATA = sorted(path.stem for path in (CONFIGS / "data").glob("*.yaml"))
BACKGROUNDS = sorted(path.stem for path in (CONFIGS / "background").glob("*.yaml"))
ABLATIONS = sorted(str(path.relative_to(CONFIGS)) for path in (CONFIGS / "ablations").rglob("*.yaml"))
ABLATIONS += ["profiles/small/prior_l2_weighted.yaml"]
PROFILES = sorted(path.name for path in (CONFIGS / "profiles").iterdir() if path.is_dir())
BENCHMARKS = ("cdnet", "fbms", "segtrack", "sbi")  # read alike: of these only the small profile is tried each time
COMPOSITIONS = [
    pytest.param(data, profile, marks=[pytest.mark.slow] if data in BENCHMARKS and profile == "paper" else [])
    for data in DATA
    for profile in PROFILES
]


def test_every_config_belongs_to_a_composition() -> None:
    composed = {CONFIGS / f"{name}.yaml" for name in ("base", "debug", "gpu_proof", "encoder", *STAGES)}
    composed |= {CONFIGS / "data" / f"{name}.yaml" for name in DATA}
    composed |= {CONFIGS / "profiles" / name / f"{stage}.yaml" for name in PROFILES for stage in (*STAGES, "encoder")}
    composed |= {CONFIGS / "background" / f"{name}.yaml" for name in BACKGROUNDS}
    composed |= {CONFIGS / "objectives" / "paper.yaml"}
    composed |= {CONFIGS / "profiles" / "small" / f"{name}.yaml" for name in ("plates", "cues", "cues_inpaint")}
    composed |= {CONFIGS / name for name in ABLATIONS}
    assert set(CONFIGS.rglob("*.yaml")) == composed
    assert {"demo", "davis", "videos", "h36m", "ski", "handheld"} <= set(DATA)
    assert set(BENCHMARKS) <= set(DATA)
    assert {"small", "paper"} <= set(PROFILES)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_config_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_paper_profile_is_the_method() -> None:
    """Sizes, box decoding, sampling and schedule of the paper (docs/method.md)."""
    inpaint, segment = (yaml.safe_load((CONFIGS / "profiles/paper" / f"{stage}.yaml").read_text()) for stage in STAGES)
    assert inpaint["model"]["init_args"]["channels"] == [8, 16, 32, 64, 128, 256]
    assert (inpaint["trainer"]["max_steps"], segment["trainer"]["max_steps"]) == (200_000, 100_000)
    model = segment["model"]["init_args"]
    assert (model["learning_rate"], model["decoder_learning_rate"]) == (1e-3, 1e-4)
    assert model["estimator"] == {"class_path": "Importance", "init_args": {"samples": 1}}
    segmenter = model["segmenter"]["init_args"]
    assert (segmenter["code_size"], segmenter["tiled_size"]) == (600, 128)
    assert inpaint["data"]["init_args"] == segment["data"]["init_args"] == {"scale": 1.0, "batch_size": 16}


def test_the_papers_objectives_undo_all_that_the_small_profile_adds(tmp_path: Path) -> None:
    """What is left differs from the module's defaults, which are the paper's, in size only."""
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(pl.LightningModule, "model")
    for part in ("run", "data", "trainer"):
        parser.add_argument(f"--{part}", type=dict[str, Any], default={})
    names = ("segment.yaml", "profiles/small/segment.yaml", "objectives/paper.yaml")
    settings, defaults = (
        dict(flat(yaml.safe_load(parser.dump(parser.parse_args(arguments), skip_none=False))["model"]["init_args"]))
        for arguments in ([f"--config={CONFIGS / name}" for name in names], ["--model=SegmentationModule"])
    )
    sizes = {"detector.width"}
    sizes |= {f"segmenter.init_args.{name}" for name in ("backbone", "width", "stride", "crop_size")}
    weights = {"detector.weights", "segmenter.init_args.weights"}
    assert settings.keys() == defaults.keys()
    assert {name for name, value in settings.items() if value != defaults[name]} == sizes | weights


def test_the_papers_objectives_train_two_steps(tmp_path: Path, fit_arguments: Callable[..., list[str]]) -> None:
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    more = ["--config", "objectives/paper.yaml", "--model.init_args.reconstruction.perceptual_net=null"]
    assert main(fit_arguments(tmp_path, "segment", *more)) == 0


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights where torchvision and a self-supervised training would put theirs; a working directory."""
    state = models.resnet18(weights=None).state_dict()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "hub" / "checkpoints" / Path(models.ResNet18_Weights.IMAGENET1K_V1.url).name)
    torch.save({"state_dict": {f"module.encoder_q.{k}": v for k, v in state.items()}}, tmp_path / "self_supervised.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("config", ABLATIONS)
def test_an_ablation_trains_two_steps_after_the_profile(
    config: str, weights: Path, trained: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    inpainter = f"--model.init_args.inpainter_ckpt={trained}/inpaint/checkpoints/last.ckpt"
    assert main(fit_arguments(weights / "run", "segment", inpainter, "--config", config)) == 0
    folder = StageFolder(weights / "run" / "segment")
    progress = folder.progress()
    assert progress is not None and progress.step == 2
    told = dict(flat(yaml.safe_load((CONFIGS / config).read_text())["model"]["init_args"]))
    saved = dict(flat(folder.config()["model"]["init_args"]))
    for name, value in told.items():
        assert str(saved[name]).endswith(value) if name.endswith("class_path") else saved[name] == value
    assert main(["evaluate", str(weights / "run")]) == 0
    made = json.loads((weights / "run" / "results.json").read_text())["made_by"]
    assert made["setting"] == Path(config).stem  # its name in tables, whoever trains it


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_an_ablation_trains_two_steps_over_plates(
    background: str, tmp_path: Path, trained: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    more = [f"--model.init_args.inpainter_ckpt={trained}/inpaint/checkpoints/last.ckpt"]
    more += [f"--background={background}", "--ablation=background_only", "--model.init_args.box_fit.warmup=0.4"]
    assert main(fit_arguments(tmp_path, "segment", *more)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("config", [name for name in ABLATIONS if "weights" not in name and "small" not in name])
def test_an_ablation_trains_two_steps_after_the_papers_profile(
    config: str, tmp_path: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    assert main(fit_arguments(tmp_path, "inpaint", profile="paper")) == 0
    assert main(fit_arguments(tmp_path, "segment", "--config", config, profile="paper")) == 0


@pytest.mark.parametrize(("data", "profile"), COMPOSITIONS)
def test_a_composition_trains_two_steps_of_both_stages(
    data: str, profile: str, tmp_path: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    for stage in STAGES:
        assert main(fit_arguments(tmp_path, stage, data=data, profile=profile)) == 0
        folder = StageFolder(tmp_path / stage)
        progress = folder.progress()
        assert progress is not None and progress.step == 2
        assert (folder.checkpoints / "best.ckpt").is_file()
        saved = folder.config()
        assert saved["run"]["stage"] == stage and saved["run"]["data"] == data and saved["run"]["profile"] == profile
        columns = (folder.path / "csv" / "metrics.csv").read_text().splitlines()[0].split(",")
        assert {"step", "val/loss"} <= set(columns)
    weights = torch.load(tmp_path / "segment/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in weights.values() if value.is_floating_point())


@pytest.mark.parametrize("layout", ["davis-2017", "h36m-labels", "ski-crops"])
def test_the_other_layout_trains_two_steps_of_both_stages(
    layout: str, tmp_path: Path, fit_arguments: Callable[..., list[str]]
) -> None:
    for stage in STAGES:
        assert main(fit_arguments(tmp_path, stage, data=layout.split("-")[0], layout=layout)) == 0
        progress = StageFolder(tmp_path / stage).progress()
        assert progress is not None and progress.step == 2


def test_without_validation_both_stages_go_on(tmp_path: Path, fit_arguments: Callable[..., list[str]]) -> None:
    for stage in STAGES:
        for steps in (2, 3):
            more = ("--data.init_args.val_share=0", f"--trainer.max_steps={steps}")
            assert main(fit_arguments(tmp_path, stage, *more)) == 0
            progress = StageFolder(tmp_path / stage).progress()
            assert progress is not None and progress.step == steps
        kept = sorted(path.name for path in StageFolder(tmp_path / stage).checkpoints.iterdir())
        assert kept == ["former.ckpt", "last.ckpt"]


def test_debugging_is_one_config_more(tmp_path: Path) -> None:
    """The command of the README as a user types it: no other option is needed for a run of seconds."""
    names = ["--stage=inpaint", "--data=demo", "--profile=small", "--config=debug.yaml"]
    small = [f"--data.init_args.{split}_clips=1" for split in ("train", "val", "test")]
    arguments = ["fit", *names, *small, "--data.init_args.frames_per_clip=4"]
    assert main([*arguments, f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu"]) == 0
    progress = StageFolder(tmp_path).progress()
    assert progress is not None and progress.step == 2
    settings = StageFolder(tmp_path).config()["data"]["init_args"]
    assert (settings["image_size"], settings["batch_size"]) == ([64, 64], 2)


def test_bf16_trains_on_the_cpu(tmp_path: Path, fit_arguments: Callable[..., list[str]]) -> None:
    for stage in STAGES:
        assert main(fit_arguments(tmp_path, stage, "--trainer.precision=bf16-mixed")) == 0


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_stage_2_trains_two_steps_on_what_the_data_make(
    background: str, tmp_path: Path, fit_arguments: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fit_arguments(tmp_path, "inpaint")) == 0
    assert main([*fit_arguments(tmp_path, "segment"), f"--background={background}"]) == 0
    saved = StageFolder(tmp_path / "segment").config()
    scene, data = saved["model"]["init_args"]["scene"]["class_path"], saved["data"]["init_args"]
    if background == "cues":
        assert (scene, data["targets"], data["plates"]) == ("lightning_modules.Targets", True, None)
    else:
        assert scene == "lightning_modules.scene.Evidence"  # of plates.yaml
        assert data["plates"] == background
    without = [*fit_arguments(tmp_path / "other", "segment"), "--model.init_args.scene", "Plates"]
    without += ["--model.init_args.inpainter_ckpt", str(tmp_path / "inpaint" / "checkpoints" / "last.ckpt")]
    assert main(without) == 1
    said = capsys.readouterr().err
    assert "needs background plates, which the data do not bring: add --background static or temporal." in said
