"""What the data modules yield for tiny data, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from tests.fake_data import write_davis
from tests.golden.files import digest
from tests.layouts import factory, on_disk

PACKAGES = ("torch", "kornia", "numpy", "opencv-python-headless", "av", "pillow", "albumentations", "scipy")
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    **{layout: (layout, {}) for layout in ("demo", "demo-2", "davis", "davis-2017", "videos", "handheld")},
    **{layout: (layout, {}) for layout in ("h36m", "h36m-labels", "ski", "ski-crops")},
    **{f"{layout}, {kind}": (layout, {"plates": kind})
       for layout in ("demo", "davis", "videos", "h36m") for kind in ("static", "temporal")},
    **{f"long, {kind}": ("long", {"plates": "temporal", "plate_evidence": kind})
       for kind in ("measured", "agreed", "one_subject", "appearance")},
    **{f"demo, {preset}": ("demo", {"preset": preset}) for preset in ("static", "ptz")},
    "demo, jpeg": ("demo", {"store_codec": "jpeg", "plates": "temporal"}),
    "demo, half size": ("demo", {"scale": 0.5, "plates": "temporal"}),
    "demo, as it is": ("demo", {"augment": False, "plates": "static"}),
    "long, held out": (
        "long", {"clips": ["bear", "camel"], "held_out": 0.25, "val_share": 0.25, "plates": "temporal"}
    ),
}  # fmt: skip
"""By name: the layout, and the arguments of its data module; ``long`` is DAVIS with clips of more than a few frames."""


def measure(setting: str, folder: Path) -> dict[str, dict[str, str]]:
    """The batches of an epoch of training and validation, and of a test, by split and name.

    Of each batch the check sum of its values and their mean; of clips and frame numbers the values themselves.
    """
    layout, changes = SETTINGS[setting]
    changes = {"store_dir": str(folder / "store"), **changes}
    if layout == "long":
        module = on_disk("davis", write_davis(folder / "davis", ("bear",), ("camel",), frames=24), **changes)
    else:
        module = factory(layout, folder)(**changes)
    with torch.random.fork_rng(devices=[]):
        pl.seed_everything(3, verbose=False)
        recorder = _Recorder()
        trainer = pl.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(recorder, datamodule=module)
        trainer.test(recorder, datamodule=module, verbose=False)
    return {split: {name: "; ".join(texts) for name, texts in kept.items()} for split, kept in recorder.kept.items()}


class _Recorder(pl.LightningModule):
    """Describes the batches that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.kept: dict[str, dict[str, list[str]]] = {}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        self._keep("train", batch)
        return self.weight.sum()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self._keep("val", batch)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self._keep("test", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def _keep(self, split: str, batch: dict[str, Any]) -> None:
        kept = self.kept.setdefault(split, {})
        for name, value in sorted(batch.items()):
            kept.setdefault(name, []).append(_described(name, value))


def _described(name: str, value: Any) -> str:  # noqa: ANN401  of a batch: strings or a tensor
    if name == "clip":
        return " ".join(value)
    if name == "index":
        return " ".join(str(int(number)) for number in value)
    known = value.double()[~value.isnan()]
    mean = float(known.mean()) if len(known) else 0.0
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)} {digest([value])} {mean:.6g}"
