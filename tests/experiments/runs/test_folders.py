"""What a stage folder holds, and when two configs would learn the same."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from backdrop.errors import RunError
from backdrop.files import sha256, write_text
from backdrop.settings import argument_defaults
from datamodules import VideosDataModule
from experiments.cli import main
from experiments.runs.folder import Progress, StageFolder, differences, load_checkpoint
from experiments.runs.restore import load_model
from experiments.runs.settings import RunSettings
from lightning_modules import SegmentationModule


def config(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A config; ``model__lr=2`` changes one entry."""
    made: dict[str, Any] = {
        "seed_everything": 0,
        "model": {
            "class_path": "lightning_modules.SegmentationModule",
            "init_args": {"lr": 1, "sizes": [1, 2], "inpainter_ckpt": "a.ckpt"},
        },
        "data": {
            "class_path": "datamodules.VideosDataModule",
            "init_args": {"root": "data", "num_workers": 2, "store_dir": None},
        },
        "trainer": {"max_steps": 10, "precision": "32-true", "devices": 1, "default_root_dir": "x"},
        "run": {"stage": "segment", "id": "1", "inpainter_sha256": "abc"},
    }
    for path, value in changes.items():
        place = made
        *parents, last = path.split("__")
        for name in parents:
            place = place[name]
        place[last] = value
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer__max_steps": 99},
        {"trainer__max_epochs": 3},
        {"trainer__devices": 2},
        {"trainer__default_root_dir": "y"},
        {"model__init_args__inpainter_ckpt": "b.ckpt"},
        {"data__init_args__num_workers": 0},
        {"data__init_args__store_dir": "/store"},
        {"data__init_args__root": "./data"},
        {"run__id": "2"},
    ],
)
def test_lengths_and_places_may_differ(changes: dict[str, Any]) -> None:
    assert differences(config(), config(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model__init_args__lr": 2}, "model.init_args.lr: 1 -> 2"),
        ({"model__init_args__sizes": [1, 3]}, "model.init_args.sizes: [1, 2] -> [1, 3]"),
        ({"seed_everything": 1}, "seed_everything: 0 -> 1"),
        ({"trainer__precision": "bf16-mixed"}, "trainer.precision: 32-true -> bf16-mixed"),
        ({"run__inpainter_sha256": "abd"}, "run.inpainter_sha256: another inpainter"),
        ({"data__init_args__new": 1}, "data.init_args.new: None -> 1"),
    ],
)
def test_settings_that_change_the_result_are_named(changes: dict[str, Any], expected: str) -> None:
    assert differences(config(), config(**changes)) == [expected]


def test_another_model_is_another_run() -> None:
    found = differences(config(), config(model__class_path="mine.Module"))
    assert found[0] == "model.class_path: lightning_modules.SegmentationModule -> mine.Module"


def test_another_data_folder_is_another_run() -> None:
    (found,) = differences(config(), config(data__init_args__root="elsewhere"))
    assert found.startswith("data.init_args.root: ")


@pytest.mark.parametrize(
    ("progress", "limits", "reached"),
    [
        (Progress(10, 0), {"max_steps": 10, "max_epochs": None}, True),
        (Progress(9, 0), {"max_steps": 10, "max_epochs": None}, False),
        (Progress(9, 3), {"max_steps": -1, "max_epochs": 3}, True),
        (Progress(9, 2), {"max_steps": -1, "max_epochs": 3}, False),
        (Progress(9, 2), {}, False),
    ],
)
def test_reached(progress: Progress, limits: dict[str, Any], reached: bool) -> None:
    assert progress.reached(limits) is reached


def test_a_missing_checkpoint_is_no_progress(tmp_path: Path) -> None:
    assert StageFolder(tmp_path).progress() is None


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"half a checkpoint")
    with pytest.raises(RunError, match=r"last\.ckpt cannot be read as a checkpoint"):
        load_checkpoint(path)
    torch.save({"weights": 1}, path)
    with pytest.raises(RunError, match="is no Lightning checkpoint"):
        load_checkpoint(path)


def test_a_damaged_config_is_named(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    with pytest.raises(RunError, match="holds no trained stage"):
        folder.config()
    folder.config_file.write_text("")
    with pytest.raises(RunError, match="empty or damaged"):
        folder.config()
    folder.config_file.write_text("a: [")
    with pytest.raises(RunError, match="no valid YAML"):
        folder.config()


@pytest.mark.parametrize(
    "content",
    [
        '{"train": "bear", "val": [], "test": []}',
        '{"train": ["bear"], "val": [1], "test": []}',
        '{"train": ["bear"], "val": []}',
        '{"train": ["bear"], "val": [], "test": [], "all": []}',
        "[]",
    ],
)
def test_a_record_of_the_splits_that_holds_no_lists_of_names_is_refused(content: str, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.clips_file.write_text(content)
    with pytest.raises(RunError, match=r"clips\.json is damaged"):
        folder.clips()


@pytest.mark.parametrize(
    ("model", "unknown"),
    [
        ({"class_path": "lightning_modules.SegmentationModule", "init_args": {"s_min": 0.2}}, "model.s_min"),
        ({"class_path": "lightning_modules.Segmentation", "init_args": {}}, "lightning_modules.Segmentation"),
    ],
)
def test_a_run_of_another_version_is_refused(
    model: dict[str, Any], unknown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StageFolder(tmp_path / "segment")
    folder.checkpoints.mkdir(parents=True)
    folder.config_file.write_text(yaml.safe_dump({"model": model}))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    predict = ["predict", str(tmp_path), str(tmp_path / "a.png")]
    for command in (["evaluate", str(tmp_path)], predict, ["estimators", str(tmp_path)]):
        assert main(command) == 1
        reason = f"this one does not know {unknown}"
        expected = f"{folder.config_file} is of another version, or damaged ({reason}): train again"
        assert capsys.readouterr().err.startswith(f"error: {expected}")


def test_a_setting_that_a_run_does_not_say_takes_its_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StageFolder(tmp_path / "segment")
    parts = {"model": SegmentationModule, "data": VideosDataModule, "run": RunSettings}
    whole: dict[str, Any] = {part: argument_defaults(kind) for part, kind in parts.items()}
    whole["run"] |= {"stage": "segment"}
    whole["data"] |= {"root": "clips", "val_share": 0.3, "held_out": 0.2}
    del whole["data"]["val_share"], whole["run"]["tags"], whole["model"]["box_prior"]

    def saved() -> None:
        named = {part: f"{parts[part].__module__}.{parts[part].__name__}" for part in ("model", "data")}
        built = {part: {"class_path": path, "init_args": whole[part]} for part, path in named.items()}
        write_text(folder.config_file, yaml.safe_dump({**built, "run": whole["run"]}))

    saved()
    for _ in range(2):  # said once
        completed = folder.require_this_version()
    assert completed["data"]["init_args"]["val_share"] == 0.1 and completed["data"]["init_args"]["held_out"] == 0.2
    assert completed["model"]["init_args"]["box_prior"] == {"weight": 1.0, "size": 0.4}
    assert completed["run"]["tags"] == []
    (said,) = capsys.readouterr().err.splitlines()
    assert "takes its default" in said and str(folder.config_file) in said
    assert "data.val_share: 0.1" in said and "run.tags: []" in said and "model.box_prior: " in said
    del whole["data"]["root"]  # has no default
    saved()
    with pytest.raises(RunError, match=r"does not say data\.root"):
        folder.require_this_version()


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"backdrop")
    assert sha256(tmp_path / "file") == hashlib.sha256(b"backdrop").hexdigest()


def test_atomic_writing_leaves_no_part(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "file.txt", "one")
    write_text(tmp_path / "new" / "file.txt", "two")
    assert (tmp_path / "new" / "file.txt").read_text() == "two"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.txt"]
    (tmp_path / "new" / "taken").mkdir()
    with pytest.raises(OSError, match=r"taken"):
        write_text(tmp_path / "new" / "taken", "three")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["file.txt", "taken"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_steps": 300}, "step 120 of 300"),
        ({"max_steps": 120}, None),
        ({"max_steps": -1, "max_epochs": 5}, "epoch 3 of 5"),
        ({"max_steps": -1, "max_epochs": 3}, None),
        ({"max_steps": 300, "max_time": "00:01:00:00"}, None),
        ({"max_steps": -1, "max_epochs": None}, None),
    ],
)
def test_a_training_that_is_not_finished_is_known(limits: dict[str, Any], said: str | None, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.checkpoints.mkdir()
    torch.save({"state_dict": {}, "global_step": 120, "epoch": 3}, folder.last)
    folder.config_file.write_text(yaml.safe_dump({"trainer": limits}))
    assert folder.unfinished() == said


def test_a_model_of_an_unfinished_training_comes_with_a_warning(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StageFolder(Path(shutil.copytree(trained / "segment", tmp_path / "segment")))
    load_model(folder)
    assert capsys.readouterr().err == ""
    folder.config_file.write_text(folder.config_file.read_text().replace("max_steps: 2\n", "max_steps: 300\n"))
    load_model(folder)
    assert f"warning: the training in {folder.path} is not finished (step 2 of 300)" in capsys.readouterr().err
