"""What three training steps of every composition compute on tiny frames, to the last digit."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from tests.golden import compose
from tests.golden.files import digest

PACKAGES = ("torch", "torchvision", "kornia", "lpips")
STEPS, LENGTH = 3, 20  # of as many the length of the training is: boxes warm up for a tenth of it
Values = dict[str, Any]


def settings() -> list[str]:
    """Names of all compositions: stage 1 as ``inpaint/PROFILE``, stage 2 as ``PROFILE/BACKGROUND/ABLATION``."""
    names = [f"inpaint/{profile}" for profile in compose.PROFILES]
    for profile in compose.PROFILES:
        for background in compose.BACKGROUNDS:
            names += [f"{profile}/{background}/{ablation}" for ablation in compose.ablations(profile)]
    names += [f"bf16-mixed:{profile}/inpainting/none" for profile in compose.PROFILES]
    return names


def measure(setting: str, folder: Path) -> Values:
    """Build, train and validate one composition; stage-1 checkpoints are kept in a folder."""
    precision, _, setting = setting.rpartition(":")
    with one_thread(), compose.random_perceptual_features():
        if setting.startswith("inpaint/"):
            torch.manual_seed(0)
            return _trained(compose.model("inpaint", setting.split("/")[1]), "inpainting", precision)
        profile, background, ablation = setting.split("/", 2)
        inpainter = _inpainter(profile, folder)
        torch.manual_seed(0)
        module = compose.model("segment", profile, background, ablation, inpainter)
        return _trained(module, background, precision, several=ablation == "none")


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, whose sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


def batch(number: int, plates: bool) -> dict[str, Any]:
    """Two frames of 48x64: a bright rectangle in front of a smooth scene, which the plates show, but for a strip."""
    generator = torch.Generator().manual_seed(100 + number)
    coarse = torch.rand(2, 3, 6, 8, generator=generator)
    scene = functional.interpolate(coarse, (48, 64), mode="bilinear").clamp(0, 1)
    scene = (scene + 0.1 * torch.rand(2, 3, 48, 64, generator=generator)).clamp(0, 1)
    subject = torch.zeros(2, 1, 48, 64)
    for frame in range(2):
        top, left = (int(torch.randint(4, 24, (), generator=generator)) for _ in range(2))
        subject[frame, :, top : top + 20, left : left + 16] = 1
    colour = torch.rand(2, 3, 1, 1, generator=generator)
    made = {"image": torch.lerp(scene, colour, subject), "clip": ["a", "b"], "index": torch.tensor([number, 7])}
    if plates:
        covered = torch.ones(2, 1, 48, 64, dtype=torch.bool)
        covered[..., :6] = False
        doubt = torch.rand(2, 1, 48, 64, generator=generator)
        noisy = (scene + 0.05 * torch.rand(2, 3, 48, 64, generator=generator)).clamp(0, 1)
        made |= {"plate": noisy, "covered": covered, "evidence": (0.8 * subject + 0.2 * doubt) * covered}
    return made


def _inpainter(profile: str, folder: Path) -> str:
    """A stage-1 checkpoint of three steps, made once in a folder."""
    path = folder / f"{profile}.ckpt"
    if not path.exists():
        torch.manual_seed(0)
        _fit(compose.model("inpaint", profile), "inpainting", "").save_checkpoint(path, weights_only=True)
    return str(path)


class _Recorder(pl.Callback):
    """Ends the training after some steps, and keeps what was logged and returned."""

    def __init__(self) -> None:
        self.logged: dict[str, list[str]] = {}
        self.validated: dict[str, str] = {}
        self.tested: dict[str, str] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        self._keep(trainer, "train/")
        trainer.should_stop = trainer.global_step >= STEPS

    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: dict[str, Tensor], *_: object
    ) -> None:
        self.validated = self._described(outputs)

    def on_test_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: dict[str, Tensor], *_: object
    ) -> None:
        self.tested = self._described(outputs)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._keep(trainer, "val/")

    @staticmethod
    def _described(outputs: dict[str, Tensor]) -> dict[str, str]:
        """Few numbers as they are, of many their check sum."""
        values = {name: outputs[name] for name in sorted(outputs)}
        return {n: _hexes(v.flatten()) if v.numel() <= 16 else digest([v]) for n, v in values.items()}

    def _keep(self, trainer: pl.Trainer, prefix: str) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith(prefix):
                self.logged.setdefault(name, []).append(_hex(value))


def _trained(module: pl.LightningModule, background: str, precision: str, several: bool = False) -> Values:
    """The numbers of one module."""
    initial = digest(list(module.state_dict().values()))
    trainer = _fit(module, background, precision)
    recorder = trainer.callbacks[0]
    assert isinstance(recorder, _Recorder)
    drawn = hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()[:16]
    final = digest(list(module.state_dict().values()))
    trainer.validate(module, _loader([9], background), verbose=False)
    if several:
        module.subjects = 2
        trainer.test(module, _loader([9], background), verbose=False)
    return {
        "keys": list(module.state_dict()),
        "initial": initial,
        "logged": {name: " ".join(values) for name, values in recorder.logged.items()},
        "final": final,
        "drawn": drawn,
        "validated": recorder.validated,
        "tested": recorder.tested,
    }


def _fit(module: pl.LightningModule, background: str, precision: str) -> pl.Trainer:
    """Train some steps of a training of fixed length, by the module's own optimiser and schedule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="cpu", precision=precision or "32-true", max_steps=LENGTH, max_epochs=-1, logger=False,
            callbacks=[_Recorder()], enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, _loader(range(STEPS), background))
    return trainer


def _loader(numbers: Sequence[int], background: str) -> DataLoader[dict[str, Any]]:
    """Batches in order; the loader draws from a generator of its own."""
    batches: Any = [batch(number, background != "inpainting") for number in numbers]
    return DataLoader(batches, batch_size=None, generator=torch.Generator())


def _hex(value: Tensor) -> str:
    return float(value).hex()


def _hexes(values: Tensor) -> str:
    return " ".join(map(_hex, values))
