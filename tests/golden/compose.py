"""How a model is made of config files: of the golden tests, only this file knows them and the names of arguments."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePath

import lpips
import pytest
import pytorch_lightning as pl
import torch

from experiments.cli import COMMANDS
from experiments.runs import composition
from experiments.runs.composition import CONFIGS
from experiments.runs.settings import RunSettings  # noqa: F401  (for surface.py)

PROFILES = sorted(path.parent.name for path in CONFIGS.glob("profiles/*/segment.yaml"))
BACKGROUNDS = ["inpainting", "static", "temporal"]
_OF_THE_SMALL_PROFILE = ["profiles/small/prior_l2_weighted.yaml", "objectives/paper.yaml"]
SIZES = {
    "inpaint": {"small": {}, "paper": {"channels": "[8,16,32,64]"}},
    "segment": {
        "small": {},
        "paper": {
            "detector.width": "0.25",
            "segmenter.init_args.backbone": "resnet18",
            "segmenter.init_args.width": "0.25",
            "segmenter.init_args.crop_size": "[64,64]",
            "segmenter.init_args.code_size": "60",
            "segmenter.init_args.tiled_size": "16",
        },
    },
}
"""Between profile and ablation: the paper's networks are too large for a test."""
NO_WEIGHTS = {"detector.weights": "null", "segmenter.init_args.weights": "null"}
"""After the ablation: nothing is fetched."""


VARIATIONS = {
    "exact": {"estimator": "Exact", "background.estimator": "Exact"},
    "draws": {"estimator": "LeaveOneOut", "estimator.init_args.samples": "3", "background.estimator": "null"},
    "level": {"mask_prior.kind": "v", "mask_prior.level": "0.5"},
    "sizes": {
        "detector.s_min": "0.1",
        "detector.s_max": "0.5",
        "detector.max_offset": "2.0",
        "scene.init_args.growth": "1.3",
        "estimator.init_args.epsilon": "0.02",
        "background.estimator.init_args.epsilon": "0.02",
    },
}
"""What no shipped file sets, or not so that three steps show it: each is like an ablation of the small profile."""


SWEEPS = CONFIGS.parent / "sweeps"


def commands() -> list[str]:
    """Names of all commands of the command line."""
    return list(COMMANDS)


def ablations(profile: str) -> dict[str, list[str]]:
    """Every ablation of a profile by its name: the arguments that follow the profile's."""
    files = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob("ablations/*/*.yaml"))
    shipped = {"none": []} | {PurePath(file).stem: [f"--config={file}"] for file in files}
    if profile == "small":
        shipped |= {file: [f"--config={file}"] for file in _OF_THE_SMALL_PROFILE}
        shipped |= {name: _options(values) for name, values in VARIATIONS.items()}
    return {name.removesuffix(".yaml"): arguments for name, arguments in shipped.items()}


def model(
    stage: str, profile: str, background: str = "inpainting", ablation: str = "none", inpainter: str | None = None
) -> pl.LightningModule:
    """Build the module of a stage as `make` composes it, at a size that a test can train."""
    named = [f"--stage={stage}", "--data=demo", f"--profile={profile}", f"--background={background}"]
    arguments = [*named, *_options(SIZES[stage][profile]), *ablations(profile)[ablation]]
    if stage == "segment":
        arguments += _options(NO_WEIGHTS)
    if inpainter is not None:
        arguments += _options({"inpainter_ckpt": inpainter})
    parser = composition.parser(["model"])
    made: pl.LightningModule = parser.instantiate(parser.parse_args(composition.compose(arguments))).model
    return made


def commands_of_a_run(run: Path, background: str) -> list[list[str]]:
    """Arguments of the commands that make a run of few steps on little footage, as `make demo` has them."""
    counts = {"train_clips": 1, "val_clips": 1, "test_clips": 1, "frames_per_clip": 6}
    commands = []
    for stage in ("inpaint", "segment"):
        named = [f"--stage={stage}", "--data=demo", "--profile=small", f"--background={background}"]
        command = ["fit", *named, "--config=debug.yaml"]
        command += [f"--data.init_args.{name}={value}" for name, value in counts.items()]
        command += ["--trainer.accelerator=cpu", f"--trainer.default_root_dir={run / stage}"]
        command += ["--trainer.max_steps=3", "--trainer.val_check_interval=3", "--trainer.log_every_n_steps=1"]
        commands += [command]
    commands[1] += _options({"inpainter_ckpt": f"{run}/inpaint/checkpoints/last.ckpt"})
    return [*commands, ["evaluate", str(run)]]


def _options(values: dict[str, str]) -> list[str]:
    return [f"--model.init_args.{name}={value}" for name, value in values.items()]


@contextmanager
def random_perceptual_features() -> Iterator[None]:
    """Let LPIPS have features of its own random draws, the same ones every time, so that nothing is fetched."""

    def build(net: str, **_: object) -> torch.nn.Module:
        torch.rand(1)  # as the true features would: what is built after it has other weights than what is built before
        return copy.deepcopy(_perceptual_network(net))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lpips, "LPIPS", build)
        yield


_LPIPS = lpips.LPIPS


@cache
def _perceptual_network(net: str) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made: torch.nn.Module = _LPIPS(net=net, pnet_rand=True, verbose=False)
    return made
