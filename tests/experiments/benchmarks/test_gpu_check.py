"""``gpu-check``: its plumbing on the CPU, at a tiny size; and on a GPU, where there is one."""

from __future__ import annotations

import math

import pytest
import torch

from experiments.benchmarks import gpu_check
from experiments.benchmarks.gpu_check import Outcome, check
from experiments.cli import main

TINY = {"steps": 2, "batch_size": 2, "warm_up": 1, "accelerator": "cpu", "backend": "eager"}


@pytest.mark.slow
def test_both_stages_train_plain_and_compiled() -> None:
    found = list(check("small", "demo", precisions=("32-true",), **TINY))  # type: ignore[arg-type]
    settings = [(o.stage, o.precision, o.compiled) for o in found]
    assert settings == [(stage, "32-true", compiled) for stage in ("inpaint", "segment") for compiled in (False, True)]
    for outcome in found:
        assert not outcome.failure and outcome.speed > 0 and math.isfinite(outcome.loss)
    plain, compiled = found[:2]
    assert compiled.loss == pytest.approx(plain.loss, rel=1e-3)


def test_a_setting_that_fails_is_reported_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no\ncompiler")

    monkeypatch.setattr(torch, "compile", refuse)
    found = list(check("small", "demo", precisions=("32-true",), **TINY))  # type: ignore[arg-type]
    assert [o.failure for o in found] == ["", "RuntimeError: no compiler"] * 2


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["gpu-check"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: gpu-check needs a CUDA GPU") and error.count("\n") == 1


def test_the_report_and_its_exit_code(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Outcome("inpaint", "32-true", False, 12.34, 0.5), Outcome("segment", "16-mixed", True, failure="E: why")]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(gpu_check, "check", lambda *_: found)
    assert main(["gpu-check"]) == 1
    shown = capsys.readouterr()
    first, second = shown.out.splitlines()[1:]
    assert first.split() == ["inpaint", "32-true", "plain", "12.3", "images/s", "loss", "0.5000"]
    assert second.split() == ["segment", "16-mixed", "compiled", "E:", "why"]
    assert "1 of 12 settings do not train" in shown.err
    found.pop()
    assert main(["gpu-check"]) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu() -> None:
    assert main(["gpu-check", "--profile", "small", "--steps", "5"]) == 0
