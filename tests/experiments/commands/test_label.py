"""``label``: images and videos in, frames and their masks out, whole or not at all; what is left out is listed."""

from __future__ import annotations

import csv
import json
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import pytest
from faster_coco_eval import COCO

from backdrop.batches import MOST
from backdrop.found import Engine, Found, Pixels
from backdrop.outputs import is_output
from callbacks.pictures.png import save_png
from experiments.cli import main
from experiments.labels.names import Names
from tests import fake_data
from tests.experiments.labels.masks import picture

SIZE = (48, 64)


def white(image: Pixels) -> list[Found]:
    """The white part of a frame; how sure the model is stands in its blue."""
    mask = (image[..., 0] > 128).astype(np.float32)
    return [Found(mask, (0, 0, 1, 1), 0.5, float(image[0, -1, 2]) / 255)]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that needs no training."""
    use(monkeypatch, lambda images: [white(image) for image in images])


def use(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr("backdrop.loading.load_engine", lambda *_: engine)


def draw(left: int | None, blue: int = 250) -> Pixels:
    """A white square at a place, or none."""
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    image[..., 2] = blue
    if left is not None:
        image[16:32, left : left + 16, :2] = 255
    return image


def write_folder(folder: Path, images: Sequence[Pixels]) -> Path:
    for number, image in enumerate(images):
        save_png(folder / f"{number:03d}.png", image)
    return folder


def write_video(path: Path, images: Sequence[Pixels]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"crf": "0"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv444p"
        for image in images:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path


def label(*words: str | Path) -> int:
    return main(["label", "run", *map(str, words)])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_frames_of_several_inputs_are_kept_apart(tmp_path: Path) -> None:
    first = write_video(tmp_path / "a" / "run.mp4", [draw(4 * n) for n in range(7)])
    second = write_video(tmp_path / "b" / "run.mp4", [draw(2 * n) for n in range(4)])
    folder, alone = write_folder(tmp_path / "shots", [draw(30)] * 4), write_folder(tmp_path / "c", [draw(8)])
    out = tmp_path / "out"
    assert label(first, second, folder, alone / "000.png", "--every", "3", "--output", out) == 0
    rows = table(out / "labels.csv")
    pictures = ["a-run_000000", "a-run_000003", "a-run_000006", "b-run_000000", "b-run_000003"]
    pictures += ["shots_000", "shots_003", "000"]
    assert [row["picture"] for row in rows] == [f"{name}.jpg" for name in pictures]
    assert [row["frame"] for row in rows] == ["0", "3", "6", "0", "3", "0", "3", "0"]
    assert [row["time"] for row in rows[:3]] == ["0.000", "0.300", "0.600"] and not rows[-1]["time"]
    assert [row["input"] for row in rows[2:5]] == [str(first), str(second), str(second)]
    data = COCO(out / "coco" / "annotations" / "instances_train.json")
    for row, image in zip(rows, data.imgs.values(), strict=True):
        (found,) = data.loadAnns(data.getAnnIds(imgIds=[image["id"]]))
        mask = data.annToMask(found) > 0
        assert image["file_name"] == row["picture"] and mask.sum() == int(row["area"]) == 256
        assert np.array_equal(mask, picture(out / "coco" / "images" / row["picture"])[..., 0] > 128)


def test_a_folder_of_videos_means_each_of_them(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_video(tmp_path / "in" / f"{name}.mp4", [draw(20)])
    assert label(tmp_path / "in", "--output", tmp_path / "out") == 0
    assert [row["picture"] for row in table(tmp_path / "out/labels.csv")] == ["a_000000.jpg", "b_000000.jpg"]


def test_empty_and_doubtful_masks_are_left_out_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "in", [draw(20), draw(None), draw(20, blue=100), draw(30), draw(20, blue=110)])
    out = tmp_path / "out"
    assert label(folder, "--output", out, "--format", "voc") == 0
    assert [row["frame"] for row in table(out / "labels.csv")] == ["0", "3"]
    rows = table(out / "left_out.csv")
    assert [row["frame"] for row in rows] == ["1", "2", "4"]
    assert [row["reason"] for row in rows] == ["empty mask", "score below 0.5", "score below 0.5"]
    assert float(rows[1]["score"]) == pytest.approx(100 / 255, abs=1e-3)
    assert len(list(out.rglob("*.jpg"))) == 2
    shown = capsys.readouterr().out
    assert "2 frames, 2 masks" in shown and "2 masks (score below 0.5)" in shown and "1 mask (empty mask)" in shown


def test_the_least_score_is_the_users(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", [draw(20, blue=100), draw(20, blue=200)])
    assert label(folder, "--output", tmp_path / "low", "--min-score", "0.3") == 0
    assert label(folder, "--output", tmp_path / "high", "--min-score", "0.7") == 0
    assert [len(table(tmp_path / name / "labels.csv")) for name in ("low", "high")] == [2, 1]


def test_without_a_score_only_empty_masks_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda images: [[Found(white(image)[0].mask, (0, 0, 1, 1), 0.5)] for image in images])
    folder = write_folder(tmp_path / "in", [draw(20, blue=10), draw(None)])
    assert label(folder, "--output", tmp_path / "out") == 0
    assert [row["score"] for row in table(tmp_path / "out/labels.csv")] == [""]
    assert label(folder, "--output", tmp_path / "no", "--min-score", "0.7") == 1
    assert "never calibrated" in capsys.readouterr().err and not (tmp_path / "no").exists()


def test_a_broken_file_among_many_is_skipped_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_video(tmp_path / "good.mp4", [draw(20)] * 3)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    assert label(tmp_path / "bad.mp4", good, "--output", tmp_path / "out") == 2
    assert len(table(tmp_path / "out/labels.csv")) == 3
    assert [row["input"] for row in table(tmp_path / "out/left_out.csv")] == [str(tmp_path / "bad.mp4")]
    shown = capsys.readouterr().err
    assert shown.count("is skipped") == 1 and str(tmp_path / "bad.mp4") in shown
    assert label(good, tmp_path / "missing.mp4", "--output", tmp_path / "more") == 1
    assert "Nothing at" in capsys.readouterr().err and not (tmp_path / "more").exists()


def test_a_broken_image_of_a_folder_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "in", [draw(20)] * 3)
    (folder / "001.png").write_bytes((folder / "001.png").read_bytes()[:60])
    assert label(folder, "--output", tmp_path / "out") == 2
    assert [row["frame"] for row in table(tmp_path / "out/labels.csv")] == ["0", "2"]
    assert [row["frame"] for row in table(tmp_path / "out/left_out.csv")] == ["1"]
    assert "left_out.csv" in capsys.readouterr().err


@pytest.mark.parametrize("left", [[draw(None)], []])
def test_where_nothing_is_left_there_is_no_folder(
    tmp_path: Path, left: list[Pixels], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    write_folder(tmp_path / "in", left)
    assert label(tmp_path / "in", "--output", tmp_path / "deep" / "out") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    error = capsys.readouterr().err
    assert ("all 1 are left out (1 of empty mask)" if left else "holds no image") in error


def test_all_formats_share_one_copy_of_a_frame(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", [draw(20)])
    names = "coco,coco-polygons,yolo-seg,label-studio,cvat,voc"
    assert label(folder, "--output", tmp_path / "out", "--format", names, "--name", "black cat") == 0
    pictures = list((tmp_path / "out").rglob("*.jpg"))
    assert len(pictures) == 6 and all(path.samefile(pictures[0]) for path in pictures)
    data = json.loads((tmp_path / "out/coco/annotations/instances_train.json").read_text())
    assert data["categories"][0]["name"] == "black cat"


def test_frames_are_copied_where_the_disk_has_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    folder = write_folder(tmp_path / "in", [draw(20)])
    assert label(folder, "--output", tmp_path / "out", "--format", "coco,voc") == 0
    first, second = (tmp_path / "out").rglob("*.jpg")
    assert not first.samefile(second) and first.read_bytes() == second.read_bytes()


def test_png_frames_are_exact(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(200, 256, (*SIZE, 3), dtype=np.uint8)
    folder = write_folder(tmp_path / "in", [image])
    assert label(folder, "--output", tmp_path / "out", "--png") == 0
    assert np.array_equal(picture(tmp_path / "out/coco/images/in_000.png"), image)


def test_frames_are_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone held upright writes a landscape video and a flag."""
    video = fake_data.write_video(tmp_path / "phone.mp4", frames=2, size=SIZE, portrait=True)
    everywhere = [Found(np.ones((64, 48), np.float32), (0, 0, 1, 1), 0.5)]
    use(monkeypatch, lambda images: [everywhere for _ in images])
    assert label(video, "--output", tmp_path / "out", "--format", "voc") == 0
    assert picture(next((tmp_path / "out").rglob("*.jpg"))).shape == (64, 48, 3)
    assert picture(next((tmp_path / "out").rglob("*.png"))).shape == (64, 48, 3)


def test_what_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "in", [draw(20)])
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    assert label(folder, "--output", mine, "--overwrite") == 1
    assert "notes.txt" in capsys.readouterr().err and everything(mine) == ["notes.txt"]
    out = tmp_path / "out"
    assert label(folder, "--output", out, "--format", "voc") == 0
    before = everything(out)
    assert label(folder, "--output", out) == 1
    assert "--overwrite" in capsys.readouterr().err and everything(out) == before
    (out / "notes.txt").write_text("mine")
    assert label(folder, "--output", out, "--overwrite") == 1
    assert "notes.txt" in capsys.readouterr().err
    (out / "notes.txt").unlink()
    assert label(folder, "--output", out, "--overwrite") == 0
    assert not (out / "voc").exists() and (out / "coco").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "mine", "out"]


def test_an_interruption_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", [draw(20)] * (MOST + 1))
    out = tmp_path / "out"
    assert label(folder, "--output", out) == 0
    before = everything(out)
    calls = list[int]()

    def stops(images: Sequence[Pixels]) -> list[list[Found]]:
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return [white(image) for image in images]

    use(monkeypatch, stops)
    assert label(folder, "--output", out, "--overwrite") == 130
    assert calls == [MOST, 1] and everything(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_labels_that_are_replaced_are_never_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The right value is the folder before; the kills at each moment are in tests/backdrop/test_folders.py."""
    folder, out = write_folder(tmp_path / "in", [draw(20)]), tmp_path / "out"
    assert label(folder, "--output", out) == 0
    before = everything(out)

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", fails)
        assert label(folder, "--output", out, "--overwrite", "--format", "voc") == 1
    assert everything(out) == before
    (out / ".new").mkdir()  # as a process that is killed once the new ones are complete leaves them
    for path in [*out.iterdir()]:
        if path.name != ".new":
            path.rename(out / ".new" / path.name)
    capsys.readouterr()
    assert label(folder, "--output", out) == 1  # the labels have their names again, and stay
    assert "it is in place now" in capsys.readouterr().err
    assert everything(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_frames_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the video: those of a few batches are there at once."""
    seen, most = list[weakref.ref[Pixels]](), list[int]()

    def watch(images: Sequence[Pixels]) -> list[list[Found]]:
        seen.extend(weakref.ref(image) for image in images)
        most.append(sum(reference() is not None for reference in seen))
        return [white(image) for image in images]

    use(monkeypatch, watch)
    video = write_video(tmp_path / "long.mp4", [draw(20)] * 9 * MOST)
    names = "coco,coco-polygons,yolo-seg,label-studio,cvat,voc"
    assert label(video, "--output", tmp_path / "out", "--format", names) == 0
    assert len(most) == 9 and max(most) <= 5 * MOST


class Exported:
    """An exported model, whose masks are at .4 and whose threshold is another one."""

    def __init__(self) -> None:
        self.metadata = {"threshold": "0.3"}

    def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
        return [[Found(np.full(image.shape[:2], 0.4, np.float32), (0, 0, 1, 1), 0.5)] for image in images]


def test_an_exported_model_labels_by_its_own_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Exported())
    folder = write_folder(tmp_path / "in", [draw(20)])
    assert label(folder, "--output", tmp_path / "out") == 0
    assert label(folder, "--output", tmp_path / "more", "--threshold", "0.5") == 1


def test_labels_are_not_taken_for_footage(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", [draw(20)])
    assert label(folder, "--output", tmp_path / "out") == 0
    assert is_output(tmp_path / "out") and not is_output(folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "coco,yolo"], "yolo is no label format: choose of coco"),
        (["--format", ","], "No label format"),
        (["--every", "0"], "--every is 0"),
        (["--name", "a:b"], "The name is 'a:b'"),
        (["--name", " "], "The name is"),
        (["--name", "#cat"], "The name is '#cat'"),
        (["--name", "background"], "not 'background'"),
        (["--threshold", "1"], "The threshold is 1.0"),
        (["--min-score", "1.5"], "The least score is 1.5"),
        (["--min-score", "0.5", "--subjects", "2"], "There is no score where several subjects are sought"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_read(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path / "missing", "--output", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err


def test_names_are_plain_and_differ_on_every_file_system() -> None:
    names = Names()
    given = [names.new(name) for name in ("a b.c", "a_b_c", "A_B_C", "é", "caf\udce9", "", "../x")]
    assert given == ["a_b_c", "a_b_c-2", "A_B_C-3", "é", "caf_", "_", "___x"]


def test_a_long_name_keeps_its_end_and_is_one_that_file_systems_take() -> None:
    """255 bytes are the most on ext4, APFS and NTFS."""
    names = Names()
    given = [names.new(name) for name in ("f" * 251 + "_000120", "é" * 125 + "_000120", "é" * 125 + "_000120")]
    assert all(name.split("-")[0].endswith("_000120") for name in given) and len(set(given)) == 3
    assert max(len(name.encode()) for name in given) < 240


def test_the_threshold_is_that_of_an_exported_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Exported:
        metadata: ClassVar = {"threshold": "0.3"}

        def __call__(self, images: Sequence[Pixels]) -> list[list[Found]]:
            return [[Found(np.array([[0.2, 0.4, 0.6]], np.float32), (0, 0, 3, 1), 0.5, 0.9)] for _ in images]

    use(monkeypatch, Exported())
    folder = write_folder(tmp_path / "in", [np.zeros((1, 3, 3), np.uint8)])
    assert label(folder, "--output", tmp_path / "a") == label(folder, "--output", tmp_path / "b", "--threshold=.5") == 0
    assert [table(tmp_path / name / "labels.csv")[0]["area"] for name in "ab"] == ["2", "1"]


def test_spaces_around_the_name_are_left_out(tmp_path: Path) -> None:
    """Datumaro, by which CVAT reads it, strips them from labelmap.txt, and would not find the label of the boxes."""
    folder = write_folder(tmp_path / "in", [draw(8)])
    assert label(folder, "--output", tmp_path / "out", "--name", " cat ", "--format", "voc") == 0
    assert "\ncat:" in (tmp_path / "out/voc/VOCdevkit/VOC2012/labelmap.txt").read_text()


def test_a_trained_run_labels(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    fake_data.write_images(tmp_path / "in", frames=3)
    words = ["label", str(trained), str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--threshold", "0.01"]
    assert main(words) == 0
    assert len(table(tmp_path / "out/labels.csv")) == 3
