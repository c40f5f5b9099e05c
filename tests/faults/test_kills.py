"""Every command that writes, killed at moments drawn from a seed: called again, it ends as if nothing had been.

A moment is a change of the file system that the command is about to make: the kill comes in its place. The right
outputs are those of the command that was not killed.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shlex
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
import yaml
from PIL import Image

from backdrop.onnx_engine import OnnxEngine
from experiments.labels.formats import FORMATS
from experiments.trials.sweep import find_sweep
from tests import fake_data
from tests.faults.commands import KILLED, call

pytestmark = pytest.mark.slow
SEED, KILLS, LONG = 16, 6, 3
"""Kills of each command, and of each that trains several models or writes a graph."""
UPON: dict[str, tuple[str, ...]] = {"calibrate": ("fit, plates",), "train": (), "sweep": (), "sweep, each": ()}
"""What a command builds upon, where that is not all that stands before it."""
_NOT_COMPARED = {"date", "id", "commits", "seconds_per_frame", "processor_seconds_per_frame", "processor s a frame"}


class Workshop:
    """A folder in which the commands follow each other, each beginning where the one before has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.before = folder / "work", folder / "before"
        data, run = fake_data.write_davis(self.folder / "davis"), self.folder / "run"
        fake_data.write_images(self.folder / "footage")
        source = ["--data=davis", "--profile=small", "--config=debug.yaml", f"--data.init_args.root={data}"]
        fit = [*source, "--trainer.accelerator=cpu", "--model.init_args.reconstruction.perceptual_net=null"]
        fit += ["--trainer.max_steps=4"]
        small = [f"--model.init_args.{name}.weights=null" for name in ("detector", "segmenter.init_args")]
        small += ["--model.init_args.segmenter.init_args.crop_size=[64, 64]"]
        small += [f"--model.init_args.inpainter_ckpt={run}/inpaint/checkpoints/last.ckpt"]
        video, footage = fake_data.write_video(self.folder / "run.mp4"), self.folder / "footage"
        tiny = ["--config=debug.yaml", "--trainer.max_steps=4", "--trainer.accelerator=cpu"]
        drawn = [*tiny, "--data.init_args.frames_per_clip=12", "--data.init_args.train_clips=2"]
        drawn += [f"--trainer.default_root_dir={self.folder}/drawn/segment"]
        sweep = ["--data=davis", "--profile=small", f"--inpaint-options={shlex.join(tiny)}"]
        pixels = ["--data.init_args.image_size=[64, 64]", "--data.init_args.batch_size=2"]
        label = ["label", str(run), str(video), f"--output={run}/labels", "--threshold=0.1"]
        both = [*tiny, f"--data.init_args.root={data}"]
        self.commands = {
            "prepare": ["prepare", *source],
            "inspect": ["inspect", *source, f"--output={run}"],
            "fit, stage 1": ["fit", "--stage=inpaint", *fit, f"--trainer.default_root_dir={run}/inpaint"],
            "fit, stage 2": ["fit", "--stage=segment", *fit, *small, f"--trainer.default_root_dir={run}/segment"],
            "evaluate": ["evaluate", str(run)],
            "baselines": ["baselines", str(run), "--method", "mog2", *source],
            "predict, images": ["predict", str(run), str(footage)],
            "predict, video": ["predict", str(run), str(video)],
            "targets": ["targets", str(self.folder / "targets"), *source],
            "table": ["table", str(run), f"--output={run}/table.md"],
            "report": ["report", str(run)],
            "predict, several": ["predict", str(run), str(footage), str(video), f"--output={self.folder}/found"],
            "label": [*label, f"--format={','.join(FORMATS)}"],
            "label, anew": [*label, "--every=2", "--overwrite"],
            "export": ["export", str(run), f"--output={self.folder}/subject.onnx", "--frames=1"],
            "fit, plates": ["fit", "--stage=segment", "--data=demo", "--profile=small", "--background=static", *drawn],
            "calibrate": ["calibrate", f"{self.folder}/drawn"],
            "train": [
                "train", str(footage), str(video), f"--run={self.folder}/trained", "--background=inpainting",
                "--device=cpu", "--steps=4", "--", *pixels, *tiny,
            ],
            "sweep": ["sweep", str(_sweep(self.folder)), *sweep, f"--run={self.folder}/sweep", "--", *both],
            "sweep, each": [
                "sweep", "each", *sweep, "--background=static", f"--run={self.folder}/each", "--continue", "--", *both,
            ],
        }
        self.done: list[str] = []

    def call(self, name: str, moment: int = 0) -> int:
        """How many changes a command has made, or that it was killed; else only labels that are there may end it."""
        found = call(self.commands[name], self.folder, moment, BACKDROP_CACHE=str(self.folder / "store"))
        there = name == "label" and found.code == 1 and "give --overwrite" in found.error  # complete before the kill
        assert found.code in (0, KILLED) or there, found.said[-3000:]
        return KILLED if found.code == KILLED else found.changes

    def unkilled(self, name: str) -> tuple[int, dict[str, Any]]:
        """Changes and outputs of a command that lives; afterwards all is as before it."""
        for earlier in UPON.get(name, tuple(self.commands)[: tuple(self.commands).index(name)]):
            if earlier not in self.done:
                self.call(earlier)
                self.done.append(earlier)
        shutil.rmtree(self.before, ignore_errors=True)
        shutil.copytree(self.folder, self.before)
        changes, outputs = self.call(name), contents(self.folder)
        self.restore()
        return changes, outputs

    def restore(self) -> None:
        """Make all as it was before the command."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.before, self.folder)


def _sweep(folder: Path) -> Path:
    """The file of a sweep over two settings, which have their inpainter in common."""
    ablations = [f"ablations/fig3/{name}.yaml" for name in ("direct", "ours")]
    fig3, path = yaml.safe_load(find_sweep("fig3").read_text()), folder / "two.yaml"
    path.write_text(yaml.safe_dump({**fig3, "parameters": {"config": {"values": ablations}}}))
    return path


def contents(folder: Path) -> dict[str, Any]:
    """All files below a folder, with what they hold, but for times and names that are drawn."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)): path for path in paths if path.name != ".lock"}
    # the store removes the uses of dead processes when it is used next
    return {name: _content(path) for name, path in names.items() if not path.name.startswith(".use-")}


def with_names_back(found: dict[str, Any]) -> dict[str, Any]:
    """A complete result counts as there before it has its name: the next call gives it that, and says so."""
    return {name.replace("/.new/", "/").replace("/.placed/", "/"): value for name, value in found.items()} | found


def _content(path: Path) -> Any:  # noqa: ANN401
    if path.suffix == ".ckpt":
        found = torch.load(path, weights_only=True)
        return {name: _plain(found[name]) for name in ("state_dict", "global_step", "optimizer_states")}
    if path.suffix in (".json", ".yaml"):
        return _plain(yaml.safe_load(path.read_text()))
    if path.suffix == ".html":
        return len(path.read_text().splitlines())
    return zlib.crc32(path.read_bytes())


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, torch.Tensor):
        return zlib.crc32(value.numpy().tobytes())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if key not in _NOT_COMPARED}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def half_written(folder: Path) -> list[str]:
    """Files with a final name that are not whole."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            try:
                _require_whole(path)
            except Exception as error:
                found.append(f"{path}: {type(error).__name__} {error}")
    return found


def _require_whole(path: Path) -> None:
    if path.suffix == ".png":
        with Image.open(path) as image:
            image.verify()
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.name == "config_fit.yaml":
        assert yaml.safe_load(path.read_text())["weights_only"] is None  # its last line
    elif path.suffix == ".yaml" and path.name != "hparams.yaml":  # Lightning's, which nothing reads
        assert isinstance(yaml.safe_load(path.read_text()), dict)
    elif path.suffix in (".ckpt", ".pt"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    elif path.suffix == ".csv":
        with path.open(newline="") as file:
            assert len({len(row) for row in csv.reader(file)}) == 1
    elif path.suffix == ".xml":
        ElementTree.parse(path)
    elif path.suffix == ".onnx":
        OnnxEngine(path)
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>")
    elif path.suffix == ".md":
        assert path.read_text().endswith("\n")


@pytest.fixture(scope="module")
def workshop(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    os.environ["PYTHONPATH"] = str(root)  # the process that is copied is not pytest's
    return Workshop(tmp_path_factory.mktemp("kills"))


NAMES = (
    "prepare", "inspect", "fit, stage 1", "fit, stage 2", "evaluate", "baselines", "predict, images", "predict, video",
    "targets", "table", "report", "predict, several", "label", "label, anew", "export", "calibrate", "train", "sweep",
    "sweep, each",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_is_killed_again_and_again_ends_as_one_that_is_not(
    name: str, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, right = workshop.unkilled(name)
    before = contents(workshop.folder)
    kept = [file for file in before if before[file] == right.get(file)]  # with which this command has no business
    most = LONG if name in ("export", "train", "sweep", "sweep, each") else KILLS
    rng, kills, moments = random.Random(f"{SEED} {name}"), 0, [0] * most
    while kills < most:
        moments[kills] = rng.randint(1, changes)
        if workshop.call(name, moments[kills]) == KILLED:
            kills += 1
            assert half_written(workshop.folder) == []
            now = with_names_back(contents(workshop.folder))
            assert [file for file in kept if now.get(file) != before[file]] == [], "an earlier result is lost"
            continue
        require_equal(contents(workshop.folder), right)  # less was left to do than is done at once
        workshop.restore()
    workshop.call(name)
    require_equal(contents(workshop.folder), right)
    workshop.done.append(name)
    with capsys.disabled():
        print(f"\n{name}: {most} kills, in place of the changes {', '.join(map(str, moments))} of {changes}")


def require_equal(found: dict[str, Any], right: dict[str, Any]) -> None:
    """The same files, and nothing else in them."""
    assert sorted(found.keys() ^ right.keys()) == []
    assert [file for file in right if found[file] != right[file]] == []
