from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from datamodules import HandheldDataModule
from datamodules.clips.splits import SPLITS
from tests.fake_data import SIZE, write_handheld

pytestmark = pytest.mark.filterwarnings("ignore:Only .* training frames")


def sequences(root: Path) -> list[set[str]]:
    module = HandheldDataModule(str(root), image_size=SIZE, num_workers=0)
    module.setup()
    return [{name.split("/")[0] for name in module.dataset(split).clip_names} for split in SPLITS]


def test_three_sequences_train_and_one_each_validates_and_tests(tmp_path: Path) -> None:
    assert sequences(write_handheld(tmp_path)) == [{"seq1", "seq2", "seq3"}, {"seq4"}, {"seq5"}]


def test_masks_are_sparse(tmp_path: Path) -> None:
    module = HandheldDataModule(str(write_handheld(tmp_path)), image_size=SIZE, num_workers=0)
    module.setup()
    assert len(module.dataset("train")) == 24 and len(module.dataset("test")) == 2


def test_a_list_of_splits_wins(tmp_path: Path) -> None:
    root = write_handheld(tmp_path)
    listed = {"train": ["seq5", "seq4", "seq3"], "val": ["seq2"], "test": ["seq1"]}
    (root / "splits.json").write_text(json.dumps(listed))
    assert sequences(root) == [set(members) for members in listed.values()]


def test_another_number_of_sequences_is_explained(tmp_path: Path) -> None:
    root = write_handheld(tmp_path)
    shutil.rmtree(root / "clips" / "seq3")
    with pytest.raises(ValueError, match=r"holds 4 sequences \(seq1, seq2, seq4, seq5\), not 5.*splits\.json"):
        sequences(root)


def test_a_sequence_that_cannot_be_read_moves_no_other(tmp_path: Path) -> None:
    root = write_handheld(tmp_path)
    for path in (root / "clips" / "seq2").rglob("*.jpg"):
        path.write_bytes(f"no image {path}".encode())
    with pytest.warns(UserWarning, match="2 clips skipped"):
        assert sequences(root) == [{"seq1", "seq3"}, {"seq4"}, {"seq5"}]


@pytest.mark.parametrize(("share", "drawn"), [(0.1, 1), (0.6, 2)])
def test_all_cameras_of_a_sequence_validate_together(tmp_path: Path, share: float, drawn: int) -> None:
    root = write_handheld(tmp_path)
    (root / "splits.json").write_text(json.dumps({"train": ["seq1", "seq2", "seq3"], "test": ["seq4", "seq5"]}))
    module = HandheldDataModule(str(root), val_share=share, image_size=SIZE, num_workers=0)
    module.setup()
    train, val, test = (module.dataset(split).clip_names for split in ("train", "val", "test"))  # type: ignore[arg-type]
    assert [len(names) for names in (train, val, test)] == [6 - 2 * drawn, 2 * drawn, 4]
    recordings = [{name.split("/")[0] for name in names} for names in (train, val, test)]
    assert len(set.union(*recordings)) == sum(map(len, recordings)) == 5
