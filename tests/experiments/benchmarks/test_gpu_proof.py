"""``gpu-proof``: its logic with stand-ins for the trainings; and all of it on the CPU, at a tiny size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image

from experiments.benchmarks import gpu_plan, gpu_proof
from experiments.benchmarks.gpu_plan import REST, STEPS, Part, Trained, beginnings, plan, training_seconds
from experiments.benchmarks.gpu_proof import Proof
from experiments.cli import main
from experiments.runs.lightning_cli import understand
from experiments.runs.stages import fit_arguments

NEEDED = "torch torchvision pytorch-lightning torchmetrics kornia lpips jsonargparse[signatures] opencv-python-headless"
ALEX, VGG = "alexnet-owt-7be5be79.pth", "vgg16-397923af.pth"
Done = list[tuple[str, str]]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    """Stand-ins for training and evaluation, which write down what they are asked to do."""
    asked: Done = []

    def train(_proof: Proof, part: Part, stage: str, *_: object) -> Trained:
        asked.append((part.data, stage))
        return Trained(23, 20, 400.0, 2e9, 0.008, 3 * 2**30, 0.25, "a GPU", 1e14)

    def evaluate(folder: Path, _command: str) -> SimpleNamespace:
        asked.append((folder.name, "evaluate"))
        (folder / "segment" / "images").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "segment" / "images" / "test_sheet.png")
        return SimpleNamespace(numbers={"j_mean": 0.5, "hit_rate": None, "f_measure": 0.6})

    monkeypatch.setattr(Proof, "_train", train)
    monkeypatch.setattr(gpu_proof, "evaluate", evaluate)
    return asked


def whole(*data: str) -> Done:
    return [(name, step) for name in data for step in STEPS]


def test_without_a_gpu_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["gpu-proof", "--run", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: gpu-proof needs a CUDA GPU") and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [["--clips", "bear"], ["--budget-s", "0"]])
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu-proof", "--tiny", *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_the_budget_is_shared_and_kept() -> None:
    """Where everything else takes its part of the time, the last step ends with the budget."""
    for parts in (1, 2):
        todo, left, unit = list(STEPS) * parts, 600.0, 600.0 / (12.5 * parts)
        spent = {step: 0.0 for step in STEPS}
        while todo:
            seconds = 0 if todo[0] == "evaluate" else training_seconds(left, todo)
            spent[todo[0]] += seconds
            left -= seconds + REST[todo.pop(0)] * unit
        assert 0 <= left < 5  # whole seconds
        assert spent["segment"] == pytest.approx(2 * spent["inpaint"], rel=0.03)
        assert sum(spent.values()) == pytest.approx(600 * 9 / 12.5, abs=5)
    assert training_seconds(0.1, ["segment", "evaluate"]) == 1


def test_what_is_not_there_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    options, remarks = beginnings("paper")
    none = "--model.init_args.reconstruction.perceptual_net=null"
    scratch = [f"--model.init_args.{name}.weights=null" for name in ("detector", "segmenter.init_args")]
    assert options == {"inpaint": [none], "segment": [none, *scratch]}
    assert [word in remark for word, remark in zip(("none", "from scratch", "from scratch"), remarks, strict=True)]
    for file, net in ((VGG, "vgg"), (ALEX, "alex"), ("resnet18-f37072fd.pth", "alex")):  # the paper's own comes first
        (tmp_path / "checkpoints" / file).touch()
        options, remarks = beginnings("paper")
        assert options["inpaint"] == [none.replace("null", net)] and net in remarks[0]
    assert options["segment"][1:] == scratch[1:]
    assert "resnet18, with weights" in remarks[1] and "resnet50, from scratch" in remarks[2]
    assert beginnings("small") == ({"inpaint": [], "segment": []}, [])


def test_an_unknown_clip_is_refused_before_anything_is_trained(
    davis: Path, done: Done, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gpu-proof", "--tiny", "--run", str(tmp_path), "--root", str(davis), "--clips", "bear", "cat"]
    assert main(words) == 1
    assert "Clip 'cat' is not in" in capsys.readouterr().err and not done


def test_both_stages_are_the_papers(davis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command lines of the full size are understood; of DAVIS one clip is taken."""
    monkeypatch.setattr(gpu_plan.importlib.util, "find_spec", lambda _: None)
    parts, remarks = plan("paper", davis, [], tiny=False)
    assert [part.data for part in parts] == ["demo", "davis"] and parts[1].clips == ["bear"]
    assert any("albumentations is not installed" in remark for remark in remarks)
    for part in parts:
        for stage, options in part.options.items():
            assert {"--trainer.precision=bf16-mixed", "--data.init_args.frame_augment=false"} <= {*options}
            understand([*fit_arguments(stage, Path("run"), part.data, "paper", "inpainting", 0), *options])  # type: ignore[arg-type]


def test_the_report(tmp_path: Path, davis: Path, done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = ["gpu-proof", "--tiny", "--run", str(run)]
    assert main(words) == 0
    assert done == whole("demo")
    assert "Demo alone: ROOT" in capsys.readouterr().out
    assert main([*words, "--root", str(davis), "--clips", "boat", "camel"]) == 0  # goes on with what is missing
    assert done == whole("demo", "davis")
    text = (run / "gpu_proof.md").read_text()
    first, second, *_ = [line for line in text.splitlines() if line.startswith("| d")][1:]
    assert [cell.strip() for cell in first.strip("|").split("|")][1:] == [
        "inpaint", "23", "20", "400.0", "2", "0.8%", "3.0", "0.250", "", "",
    ]  # fmt: skip
    assert second.endswith("| 0.500 |  |") and "a GPU multiplies at 100 TFLOP/s" in text
    assert "boat, camel of davis: trained on and scored on the same frames" in text and "Demo alone" not in text
    for data in ("demo", "davis"):
        assert f"![{data}](images/gpu_proof_{data}.jpg)" in text and (run / f"images/gpu_proof_{data}.jpg").is_file()
    assert text in capsys.readouterr().out
    record = json.loads((run / "gpu_proof.json").read_text())
    assert record["parts"][1]["trained"]["segment"]["share_of_peak"] == 0.008
    assert record["parts"][0]["scores"] == {"j_mean": 0.5, "hit_rate": None} and record["profile"] == "small"


def test_an_interrupted_proof_goes_on(tmp_path: Path, done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    words, finished = ["gpu-proof", "--tiny", "--run", str(tmp_path)], Proof._train

    def interrupted(proof: Proof, part: Part, stage: str, *rest: object) -> Trained:
        if stage == "segment":
            raise KeyboardInterrupt
        return finished(proof, part, stage, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Proof, "_train", interrupted)
    assert main(words) == 130
    assert done == [("demo", "inpaint")]
    monkeypatch.setattr(Proof, "_train", finished)
    assert main(words) == 0
    assert done == whole("demo")
    assert main(words) == 0
    assert done == whole("demo")


def test_other_settings_need_another_folder(tmp_path: Path, done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gpu-proof", "--tiny", "--run", str(tmp_path)]
    assert main(words) == 0
    assert main([*words, "--seed", "1"]) == 1
    assert "was made with other settings" in capsys.readouterr().err
    (tmp_path / "gpu_proof.json").write_text("{}")
    assert main(words) == 1
    assert "is damaged" in capsys.readouterr().err
    assert done == whole("demo")


def test_a_part_that_fails_leaves_the_others(
    tmp_path: Path, davis: Path, done: Done, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, works = ["gpu-proof", "--tiny", "--run", str(tmp_path), "--root", str(davis)], Proof._train

    def fails(proof: Proof, part: Part, *rest: object) -> Trained:
        if part.data == "demo":
            raise RuntimeError("out of\nmemory")
        return works(proof, part, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Proof, "_train", fails)
    assert main(words) == 1
    assert done == whole("davis")
    assert "not complete (demo)" in capsys.readouterr().err
    assert "demo is not complete: inpaint: RuntimeError: out of memory" in (tmp_path / "gpu_proof.md").read_text()
    monkeypatch.setattr(Proof, "_train", works)
    assert main(words) == 0
    assert done == whole("davis", "demo")
    assert "not complete" not in (tmp_path / "gpu_proof.md").read_text()


def test_nothing_begins_after_the_time(tmp_path: Path, done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu-proof", "--tiny", "--run", str(tmp_path), "--budget-s", "1e-9"]) == 1
    assert not done and "the time was up" in capsys.readouterr().out


def test_stages_that_end_with_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it on the CPU: a second for each stage of the demo."""
    endless = [word.replace("max_steps=14", "max_steps=1000000") for word in gpu_plan.TINY]
    monkeypatch.setattr(gpu_plan, "TINY", endless)
    monkeypatch.setattr(gpu_proof, "training_seconds", lambda *_: 1)
    assert main(["gpu-proof", "--tiny", "--run", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "Demo alone" in shown.out and "before its end" not in shown.err
    (part,) = json.loads((tmp_path / "gpu_proof.json").read_text())["parts"]
    for stage in ("inpaint", "segment"):
        found = part["trained"][stage]
        assert 0 < found["steps"] < 5000 and found["peak"] > 0
        assert not (tmp_path / "demo" / stage / "csv").exists()
    assert 0 <= part["scores"]["j_mean"] <= 1
    assert (tmp_path / "demo" / "results.json").is_file() and (tmp_path / "images" / "gpu_proof_demo.jpg").is_file()


def closure(*names: str) -> dict[str, Requirement]:
    """Packages, and what they need, as they say themselves."""
    found: dict[str, Requirement] = {}
    waiting = [Requirement(name) for name in names]
    while waiting:
        one = waiting.pop()
        if f"{one}" in found:
            continue
        found[f"{one}"] = one
        for line in distribution(one.name).requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                waiting.append(needed)
    return found


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs Python as on a machine where nothing is installed but what the command needs."""
    site = tmp_path / "site"
    site.mkdir()
    for one in closure(*NEEDED.split()).values():
        found = distribution(one.name)
        for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(Path(str(found.locate_file(name))))
    assert not any((site / name).exists() for name in ("albumentations", "av", "h5py", "matplotlib", "rich", "wandb"))
    root = Path(__file__).resolve().parents[3]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        own = {"PYTHONPATH": f"{root}:{site}", "BACKDROP_CACHE": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""}
        own |= {"OMP_NUM_THREADS": "1"}  # networks so small gain nothing from more
        environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"} | own
        command = [sys.executable, "-S", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    yield run


def test_nothing_else_is_imported(bare: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "No module named 'wandb'" in bare("-c", "import wandb").stderr
    done = bare("-m", "experiments", "gpu-proof")
    assert "needs a CUDA GPU" in done.stderr and done.returncode == 1


@pytest.mark.slow
def test_a_bare_machine_is_enough(
    bare: Callable[..., subprocess.CompletedProcess[str]], davis: Path, tmp_path: Path
) -> None:
    words = ["--tiny", "--budget-s", "3600", "--run", str(tmp_path / "run"), "--root", str(davis)]
    done = bare("-m", "experiments", "gpu-proof", *words)
    assert done.returncode == 0, done.stderr
    assert "as albumentations is not installed" in done.stdout
    parts = json.loads((tmp_path / "run" / "gpu_proof.json").read_text())["parts"]
    assert [part["data"] for part in parts] == ["demo", "davis"]
    for part in parts:
        assert {stage: one["steps"] for stage, one in part["trained"].items()} == {"inpaint": 14, "segment": 14}
        assert all(one["share_of_peak"] > 0 for one in part["trained"].values())
        assert part["scores"]["j_mean"] is not None
