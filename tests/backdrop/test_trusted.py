"""A saved run names no module of its own choice: importing one runs its code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from backdrop.errors import RunError
from backdrop.settings import import_class
from experiments.cli import main
from experiments.runs.folder import StageFolder, load_checkpoint


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the module ``somebodys`` makes when it is imported, as Python itself says."""
    made = tmp_path / "imported"
    (tmp_path / "somebodys.py").write_text(
        f"from pathlib import Path\nfrom lightning_modules.scene import Scene\n"
        f"Path({str(made)!r}).touch()\n\n\nclass Grey(Scene):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return made


def stage(run: Path, class_path: str) -> StageFolder:
    """A trained stage 2 whose config and checkpoint name a scene."""
    folder = StageFolder(run / "segment")
    folder.checkpoints.mkdir(parents=True)
    settings = {"scene": {"class_path": class_path}}
    model = {"class_path": "lightning_modules.SegmentationModule", "init_args": settings}
    data = {"class_path": "datamodules.DemoDataModule", "init_args": {}}
    folder.config_file.write_text(yaml.safe_dump({"model": model, "data": data, "run": {"stage": "segment"}}))
    torch.save({"state_dict": {}, "global_step": 1, "hyper_parameters": settings}, folder.last)
    return folder


@pytest.mark.parametrize("command", [["evaluate"], ["predict"], ["table"], ["report"]])
def test_no_command_imports_what_a_run_names(
    command: list[str], imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stage(tmp_path / "runs" / "a", "somebodys.Grey")
    of_one = command[0] in ("evaluate", "predict")
    words = [str(folder.path.parent if of_one else folder.path.parent.parent)]
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    words += [str(tmp_path / "a.png")] if command[0] == "predict" else []
    code = main([*command, *words])
    said = capsys.readouterr()
    assert not imported.exists()
    assert code in (0, 1)
    if of_one:
        assert code == 1
        assert "somebodys.Grey" in said.err and "BACKDROP_TRUST=somebodys" in said.err


def test_a_checkpoint_names_no_module_either(imported: Path, tmp_path: Path) -> None:
    folder = stage(tmp_path / "a", "somebodys.Grey")
    with pytest.raises(RunError, match=r"last\.ckpt names the class somebodys\.Grey, .* BACKDROP_TRUST=somebodys"):
        load_checkpoint(folder.last)
    assert not imported.exists()


def test_a_package_that_the_user_names_is_trusted(
    imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDROP_TRUST", "others, somebodys")
    folder = stage(tmp_path / "a", "somebodys.Grey")
    assert folder.config()["model"]["init_args"]["scene"]["class_path"] == "somebodys.Grey"
    assert import_class("somebodys.Grey") is not None
    assert imported.exists()


def test_backdrops_own_classes_need_no_trust(tmp_path: Path) -> None:
    folder = stage(tmp_path / "a", "lightning_modules.scene.Inpainting")
    folder.config()
    load_checkpoint(folder.last)


@pytest.mark.parametrize("path", ["no.such.Thing", "this.Thing"])
def test_other_modules_are_not_imported(path: str) -> None:
    assert import_class(path) is None
