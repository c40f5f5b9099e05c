"""The encoder's own training: it runs with each method, its file goes into S, and it goes on as if nothing had been."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from backdrop.errors import RunError
from experiments.cli import main
from experiments.runs import composition
from lightning_modules import EncoderModule
from lightning_modules.networks import siamese
from tests.conftest import DEMO_COUNTS

pytest.importorskip("lightly", reason="lightly is not installed")
TINY = {"crop_size": [32, 32], "features": 8, "bank": 16}


def arguments(run: Path, *more: str) -> list[str]:
    counts = [f"--data.init_args.{name}={value}" for name, value in (DEMO_COUNTS | {"val_clips": 2}).items()]
    settings = [f"--model.init_args.{name}={json.dumps(value)}" for name, value in TINY.items()]
    named = ["fit", "--stage=encoder", "--data=demo", "--profile=small", "--config=debug.yaml", *counts, *settings]
    more = ("--trainer.limit_val_batches=4", "--trainer.accelerator=cpu", *more)
    return [*named, f"--trainer.default_root_dir={run / 'encoder'}", *more]


def weights(path: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.load(path, weights_only=True)
    return found


def test_the_file_of_a_training_becomes_the_encoder_of_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path)) == 0
    written = tmp_path / "encoder" / "checkpoints" / "self_supervised.pth"
    said = capsys.readouterr()
    assert f"encoder: weights of S in {written}" in said.out
    assert "warning: The bank of 16 features is not smaller than the data, 4 frames: " in said.err
    header, row = (tmp_path / "encoder" / "csv" / "metrics.csv").read_text().splitlines()[:2]
    logged = dict(zip(header.split(","), row.split(","), strict=True))
    assert float(logged["val/same_clip_chance"]) == pytest.approx(3 / 7)  # two clips of four frames
    assert all(logged[f"val/{name}"] for name in ("loss", "same_clip_untrained", "time_gap", "time_gap_untrained"))

    monkeypatch.chdir(tmp_path)
    Path("self_supervised.pth").symlink_to(written)
    words = ["--stage=segment", "--data=demo", "--profile=small", "--ablation=weights_self_supervised"]
    parser = composition.parser(["model"])
    model: Any = parser.instantiate(parser.parse_args(composition.compose(words))).model
    layers = next(module.layers for module in model.segmenter.modules() if hasattr(module, "pyramid_channels"))
    known = weights(written)
    assert torch.equal(layers[0][0].weight, known["conv1.weight"])  # the stem, and the last stage that S keeps
    assert torch.equal(layers[3][1].conv2.weight, known["layer3.1.conv2.weight"])
    assert not any(name.startswith("fc") for name in known)

    before = written.read_bytes()
    assert main(arguments(tmp_path, "--trainer.fast_dev_run=1")) == 0
    assert written.read_bytes() == before  # a trial of one step is no training

    written.unlink()  # as where it was stopped just before
    last = written.with_name("last.ckpt")
    assert main(arguments(tmp_path)) == 0
    assert f"self_supervised.pth was not written: stage 2 takes {last} in its place." in capsys.readouterr().out
    words += [f"--model.init_args.segmenter.init_args.weights={last}"]
    model = parser.instantiate(parser.parse_args(composition.compose(words))).model
    layers = next(module.layers for module in model.segmenter.modules() if hasattr(module, "pyramid_channels"))
    assert torch.equal(layers[0][0].weight, known["conv1.weight"])


def unlogged(**settings: Any) -> EncoderModule:  # noqa: ANN401
    module = EncoderModule(**{"crop_size": (32, 32), "features": 4, "bank": 8, **settings})
    module.log = lambda *_, **__: None  # type: ignore[method-assign,misc]
    return module


def batch(frames: int = 2) -> Any:  # noqa: ANN401
    return {"image": torch.rand(frames, 3, 40, 56), "clip": ["a"] * frames, "index": torch.arange(frames)}


@pytest.mark.parametrize("method", ["npid", "moco", "simsiam"])
def test_each_method_teaches_the_whole_encoder(method: str) -> None:
    module = unlogged(method=method)
    loss = module.training_step(batch(), 0)["loss"]
    loss.backward()
    for name, value in module.named_parameters():
        assert (value.grad is None) if "momentum" in name else value.grad is not None and value.grad.any(), name
    assert module.eval()(torch.rand(3, 3, 40, 56)).shape == (3, 512)


def test_the_slow_copy_of_moco_follows_in_training_only() -> None:
    module = unlogged(method="moco", momentum=0.9)
    quick, slow = module.backbone.conv1.weight, module.objective.momentum_backbone.conv1.weight  # type: ignore[union-attr]
    before = slow.clone()
    assert torch.equal(quick, before)
    with torch.no_grad():
        quick += 1.0
    module.training_step(batch(), 0)
    torch.testing.assert_close(slow, 0.9 * before + 0.1 * quick)
    after = slow.clone()
    with torch.no_grad():
        module.eval().validation_step(batch(), 0)
    assert torch.equal(slow, after)


def test_the_bank_is_filled_in_training_only_and_kept_in_the_checkpoint() -> None:
    module = unlogged()
    bank = module.objective.bank  # type: ignore[operator]
    before = bank()["bank"].clone()
    with torch.no_grad():
        module.eval().validation_step(batch(), 0)
    assert torch.equal(bank()["bank"], before)
    module.train().training_step(batch(), 0)
    filled = (bank()["bank"] != before).any(dim=1)
    assert filled.tolist() == [True, True, *[False] * 6] and int(bank()["bank_ptr"]) == 2
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    other = unlogged()
    other.on_load_checkpoint(checkpoint)
    assert all(torch.equal(value, bank()[name]) for name, value in other.objective.bank().items())  # type: ignore[operator]


@pytest.mark.parametrize(("bank", "frames", "said"), [(8, 8, True), (8, 9, False)])
def test_a_bank_that_is_not_smaller_than_the_data_is_said(
    bank: int, frames: int, said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    module = unlogged(bank=bank)
    module.trainer = SimpleNamespace(train_dataloader=DataLoader(range(frames)))  # type: ignore[assignment,arg-type]
    module.on_train_start()
    wanted = f"warning: The bank of {bank} features is not smaller than the data, {frames} frames"
    assert capsys.readouterr().err.startswith(wanted) == said


@pytest.mark.slow
def test_a_resumed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    longer = ("--trainer.max_steps=4", "--trainer.val_check_interval=2", "--model.init_args.lr_schedule=constant")
    assert main(arguments(tmp_path / "whole", *longer)) == 0
    assert main(arguments(tmp_path / "parts", "--model.init_args.lr_schedule=constant")) == 0
    assert main(arguments(tmp_path / "parts", *longer)) == 0
    name = Path("encoder") / "checkpoints" / "self_supervised.pth"
    whole, parts = (weights(tmp_path / run / name) for run in ("whole", "parts"))
    assert all(torch.equal(value, parts[key]) for key, value in whole.items())
    logs = [(tmp_path / run / "encoder" / "csv" / "metrics.csv").read_text().splitlines() for run in ("whole", "parts")]
    assert logs[0][0] == logs[1][0] and "val/same_clip_untrained" in logs[0][0]
    assert logs[0][-1] == logs[1][-1]  # with the probe, and what the untrained network had


def test_without_lightly_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing: Callable[[str], None] = lambda name: None  # noqa: E731
    monkeypatch.setattr(siamese, "find_spec", missing)
    with pytest.raises(RunError, match=r"with the library lightly, which is not installed: pip install lightly\.$"):
        EncoderModule()
    assert main(arguments(tmp_path)) == 1
    assert "The encoder is trained with the library lightly" in capsys.readouterr().err
    assert not (tmp_path / "encoder").exists()
