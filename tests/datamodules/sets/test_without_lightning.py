"""A data set is read without Lightning, and without torch; the data modules' classes are loaded when asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import datamodules
from tests.fake_data import LAYOUTS

READ = """
import sys
from pathlib import Path
from datamodules.sets.{module} import {name}
data = {name}({arguments})
splits = {{split: data.split_clips(split) for split in ("train", "val", "test")}}
frames = {{split: sum(len(list(clip.source.frames((24, 32)))) for clip in clips) for split, clips in splits.items()}}
annotated = [read() for clip in splits["test"] for read in clip.masks.values()]
loaded = [name for name in ("pytorch_lightning", "lightning", "torch", "torchmetrics") if name in sys.modules]
print(frames["train"] > 0, frames["test"] > 0, loaded)
"""


NAMES = ("Davis", "Demo", "H36m", "Handheld", "Ski", "Videos")


@pytest.mark.parametrize("name", [*NAMES, "Cdnet", "Fbms", "Segtrack", "Sbi"])
def test_a_data_set_is_read_without_lightning(name: str, tmp_path: Path) -> None:
    module, arguments = name.lower(), f"Path({str(tmp_path / 'data')!r})"
    if module == "demo":
        arguments = "train_clips=1, frames_per_clip=2, image_size=(48, 64)"
    else:
        LAYOUTS[module](tmp_path / "data")
    script = READ.format(module=module, name=name, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.split("\n")[0] == "True True []", done.stderr


def test_the_classes_are_handed_on() -> None:
    for name in datamodules.__all__:
        assert getattr(datamodules, name).__name__ == name
    with pytest.raises(AttributeError, match="'datamodules' has no attribute 'CocoDataModule'"):
        datamodules.CocoDataModule  # noqa: B018
