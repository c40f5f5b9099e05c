"""``predict``: an image, a folder of images and a video in; overlays, masks and boxes out."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from backdrop.drawing import draw
from backdrop.found import Found, union
from datamodules.readers import VideoFrames, resize
from datamodules.readers.source import disk_failed
from datamodules.readers.videos import TimedFrame
from experiments.cli import main
from experiments.prediction import apply
from experiments.prediction.footage import find_footage
from experiments.prediction.predictor import Predictor, _at_full_size
from tests import fake_data

HEADER = "frame,x0,y0,x1,y1,confidence,file,time,score,found,area,share".split(",")


@pytest.fixture(scope="module")
def alone(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which only the second stage is left, as one would hand it on."""
    run = tmp_path_factory.mktemp("alone")
    (run / "segment" / "checkpoints").mkdir(parents=True)
    shutil.copy(trained / "segment" / "config_fit.yaml", run / "segment")
    shutil.copy(trained / "segment" / "checkpoints" / "last.ckpt", run / "segment" / "checkpoints")
    return run


def boxes(output: Path) -> list[list[str]]:
    with (output / "boxes.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == HEADER
    return rows


def check_boxes(rows: list[list[str]], size: tuple[int, int]) -> None:
    for _, *corners, confidence in (row[:6] for row in rows):
        x0, y0, x1, y1 = map(float, corners)
        assert 0 <= x0 < x1 <= size[1] and 0 <= y0 < y1 <= size[0]
        assert 0 < float(confidence) <= 1


def test_a_folder_keeps_names_numbers_and_size(alone: Path, tmp_path: Path) -> None:
    fake_data.write_images(tmp_path / "in", frames=18, size=(50, 70), first=98, pattern="shot_{:d}.png")
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    names = [f"shot_{number}.png" for number in range(98, 116)]
    for folder in ("overlays", "masks"):
        assert {path.name for path in (tmp_path / "out" / folder).iterdir()} == set(names)
    assert Image.open(tmp_path / "out/overlays/shot_98.png").size == (70, 50)
    mask = np.asarray(Image.open(tmp_path / "out/masks/shot_100.png"))
    assert mask.shape == (50, 70) and set(np.unique(mask)) <= {0, 255}
    rows = boxes(tmp_path / "out")
    assert [int(row[0]) for row in rows] == list(range(98, 116))
    assert [row[6] for row in rows] == names
    check_boxes(rows, (50, 70))


def test_one_image(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_data.write_images(tmp_path / "in", frames=3)
    arguments = [str(alone), str(tmp_path / "in" / "00001.jpg"), "--output", str(tmp_path / "out")]
    assert main(["predict", *arguments, "--save", "overlay,soft"]) == 0
    assert [path.name for path in (tmp_path / "out" / "overlays").iterdir()] == ["00001.png"]
    assert [row[0] for row in boxes(tmp_path / "out")] == ["1"]
    shown = capsys.readouterr().out
    assert shown.startswith(f"00001.jpg: 1 frame; {tmp_path / 'out'} has overlays, soft, boxes.csv\n")
    assert len(np.unique(np.asarray(Image.open(tmp_path / "out" / "soft" / "00001.png")))) > 2


def test_images_that_differ_by_their_suffix_alone_have_results_of_their_own(alone: Path, tmp_path: Path) -> None:
    for pattern in ("a{:d}.jpg", "a{:d}.png", "b{:d}.png"):
        fake_data.write_images(tmp_path / "in", frames=1, pattern=pattern)
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    for folder in ("overlays", "masks"):
        found = {path.name for path in (tmp_path / "out" / folder).iterdir()}
        assert found == {"a0.jpg.png", "a0.png.png", "b0.png"}


def test_a_name_that_is_no_utf8_is_kept(alone: Path, tmp_path: Path) -> None:
    fake_data.write_images(tmp_path / "in", frames=2)
    os.rename(tmp_path / "in" / "00001.jpg", os.fsencode(tmp_path / "in") + b"/caf\xe9.jpg")
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert b"caf\xe9.jpg" in (tmp_path / "out" / "boxes.csv").read_bytes()


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_inputs_have_folders_of_their_own(alone: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        fake_data.write_images(tmp_path / name, frames=1, pattern=f"{name}_{{:d}}.png")
        assert main(["predict", str(alone), str(tmp_path / name)]) == 0
    for name in ("a", "b"):
        found = everything(alone / "predictions" / name)
        assert found == ["boxes.csv", f"masks/{name}_0.png", f"overlays/{name}_0.png"]


def test_a_former_prediction_is_replaced_as_a_whole(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_data.write_images(tmp_path / "in", frames=2)
    video = fake_data.write_video(tmp_path / "in.mp4", frames=1, size=(48, 64), rate=12)
    output = tmp_path / "out"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    for source in (tmp_path / "in", video, tmp_path / "in"):
        assert main(["predict", str(alone), str(source), "--output", str(output)]) == 0
        overlay = ["overlay.mp4"] if source == video else ["overlays/00000.png", "overlays/00001.png"]
        masks = ["masks/000000.png"] if source == video else ["masks/00000.png", "masks/00001.png"]
        assert everything(output) == sorted(["boxes.csv", *masks, "notes.txt", *overlay])
        assert f"{output} has {overlay[0].split('/')[0]}, masks, boxes.csv\n" in capsys.readouterr().out


def test_an_interruption_leaves_the_former_prediction(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_data.write_images(tmp_path / "in", frames=2)
    output = tmp_path / "out"
    arguments = ["predict", str(alone), str(tmp_path / "in"), "--output", str(output)]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(apply, "save_png", interrupt)
        assert main(arguments) == 130
        assert not output.exists()
        patch.undo()
        assert main(arguments) == 0
        before = everything(output)
        patch.setattr(apply, "save_png", interrupt)
        assert main(arguments) == 130
    assert everything(output) == before and not (output / ".part").exists()


def test_files_of_the_user_are_left_alone(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_data.write_images(tmp_path / "clip", frames=1)
    fake_data.write_masks(tmp_path / "masks", frames=[0])
    assert main(["predict", str(alone), str(tmp_path / "clip"), "--output", str(tmp_path)]) == 1
    assert f"{tmp_path / 'masks'} is there already" in capsys.readouterr().err
    assert everything(tmp_path) == ["clip/00000.jpg", "masks/00000.png"]


def test_broken_images_are_left_out_and_named(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_data.write_images(tmp_path / "in", frames=5)
    for number in (1, 3):
        (tmp_path / "in" / f"0000{number}.jpg").write_bytes(b"no image")
    output = tmp_path / "out"
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(output)]) == 2
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert "2 of 5 images cannot be read and left out: 00001.jpg, 00003.jpg; replace" in warning
    assert [(row[0], row[6]) for row in boxes(output)] == [("0", "00000.jpg"), ("2", "00002.jpg"), ("4", "00004.jpg")]
    for folder in ("overlays", "masks"):
        assert sorted(path.name for path in (output / folder).iterdir()) == ["00000.png", "00002.png", "00004.png"]
    for path in (tmp_path / "in").iterdir():
        path.write_bytes(b"no image")
    before = sorted(alone.rglob("*"))
    assert main(["predict", str(alone), str(tmp_path / "in")]) == 1
    assert f"No image in {tmp_path / 'in'} can be read" in capsys.readouterr().err
    assert sorted(alone.rglob("*")) == before  # no empty folder either


def test_a_truncated_video_says_what_is_missing(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = fake_data.write_video(tmp_path / "in.mp4", frames=60, options={"movflags": "faststart"})
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    assert main(["predict", str(alone), str(video), "--output", str(tmp_path / "out")]) == 2
    found = boxes(tmp_path / "out")
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert 1 < len(found) < 59 and {row[6] for row in found} == {"in.mp4"}
    assert f"warning: {60 - len(found)} of 60 frames of in.mp4 missing or broken (between " in warning


def test_a_folder_of_videos_gives_a_folder_for_each(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one name, that of their folder comes before; one that is given twice counts once."""
    for name in ("a/one.mp4", "a/two.mp4", "b/two.mp4"):
        fake_data.write_video(tmp_path / name, frames=2)
    inputs = [tmp_path / "a", tmp_path / "b" / "two.mp4", tmp_path / "a" / "one.mp4"]
    assert main(["predict", str(alone), *map(str, inputs), "--output", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-two.mp4", "b-two.mp4", "one.mp4"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["one.mp4", "a-two.mp4", "b-two.mp4"]


def test_a_broken_file_among_many_is_skipped_and_named(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "c.mp4"):
        fake_data.write_video(tmp_path / "in" / name, frames=2)
    (tmp_path / "in" / "b.mp4").write_bytes(b"no video")
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "c.mp4"]
    reason, last = capsys.readouterr().err.splitlines()[-2:]
    assert reason.startswith("error: Cannot read the input") and last == f"1 of 3 inputs skipped: {tmp_path}/in/b.mp4"


def test_a_full_disk_ends_the_command_and_blames_no_input(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is that of write(2); a real full disk is in tests/faults/test_faults.py."""
    for name in ("b", "c", "d"):
        fake_data.write_images(tmp_path / "in" / name, frames=1)
    fake_data.write_images(tmp_path / "in" / "a", frames=1)
    (tmp_path / "in" / "a" / "00000.jpg").write_bytes(b"no image")
    out, write = tmp_path / "out", Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.is_relative_to(out / "c"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(out)]) == 1
    assert [path.name for path in out.iterdir()] == ["b"] and everything(out / "b")[0] == "boxes.csv"
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == f"1 of 4 inputs skipped: {tmp_path}/in/a"
    full_disk = f"error: [Errno 28] No space left on device: '{out}/c/.part/"
    assert said[-1].startswith(full_disk) and sum(line.startswith(full_disk) for line in said) == 1


def test_a_disk_that_fails_in_the_middle_of_an_input_costs_that_input_alone(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though files of the prediction are open then: they are not blamed."""
    for name in ("a.mp4", "b.mp4"):
        fake_data.write_video(tmp_path / "in" / name, frames=2)
    read = apply.timed

    def failing(frames: Any, broken: Any) -> Iterator[TimedFrame]:  # noqa: ANN401
        first, *rest = read(frames, broken)
        yield first
        if frames.path.name == "a.mp4":
            raise disk_failed(frames.path, OSError(errno.EIO, "as the disk says it"))
        yield from rest

    monkeypatch.setattr(apply, "timed", failing)
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.mp4"]
    reason, last = capsys.readouterr().err.splitlines()[-2:]
    assert f"Cannot read {tmp_path}/in/a.mp4 (Input/output error)" in reason and "overlay" not in reason
    assert last == f"1 of 2 inputs skipped: {tmp_path}/in/a.mp4"


def test_images_given_one_by_one_are_one_clip(alone: Path, tmp_path: Path) -> None:
    fake_data.write_images(tmp_path / "in", frames=3)
    images = [str(tmp_path / "in" / f"0000{number}.jpg") for number in (0, 2)]
    assert main(["predict", str(alone), *images, "--output", str(tmp_path / "out")]) == 0
    assert [row[6] for row in boxes(tmp_path / "out")] == ["00000.jpg", "00002.jpg"]


def test_a_link_that_leads_nowhere_is_skipped_and_named(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").symlink_to(fake_data.write_video(tmp_path / "0e1f.mp4", frames=2))
    (tmp_path / "in" / "b.mp4").symlink_to(tmp_path / "not_fetched.mp4")
    (tmp_path / "in" / "c.mp4").symlink_to("c.mp4")
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "b.mp4, a link that leads nowhere" in error and "c.mp4, a link that leads nowhere" in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4"]


def test_a_prediction_into_its_own_input_is_no_footage(alone: Path, tmp_path: Path) -> None:
    fake_data.write_video(tmp_path / "in" / "a.mp4", frames=2)
    words = ["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "in")]
    for _ in range(2):
        assert main(words) == 0
        assert len(boxes(tmp_path / "in")) == 2


def test_the_plate_of_a_prediction_into_its_own_input_is_no_image(alone: Path, tmp_path: Path) -> None:
    fake_data.write_images(tmp_path / "in", frames=2)
    words = ["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "in"), "--save", "plate,cutout"]
    for _ in range(2):
        assert main(words) == 0
        assert [row[6] for row in boxes(tmp_path / "in")] == ["00000.jpg", "00001.jpg"]


def test_a_folder_stands_for_its_images_and_all_that_is_below_it(tmp_path: Path) -> None:
    """As in a training: whatever is beside it, however deep; masks and what Backdrop wrote are no footage."""
    fake_data.write_images(tmp_path, frames=1)
    for name in ("z.mp4", "monday/a.mp4", "monday/cam2/a.mp4", "out/a.mp4/overlay.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"of no matter")
    for name in ("monday/frames", "masks/a"):
        fake_data.write_images(tmp_path / name, frames=1)
    (tmp_path / "out" / "a.mp4" / "boxes.csv").write_text(",".join(HEADER))
    found = {clip.name: clip.path.relative_to(tmp_path).as_posix() for clip in find_footage([tmp_path])}
    assert found == {
        tmp_path.name: ".",
        "monday-a.mp4": "monday/a.mp4",
        "cam2-a.mp4": "monday/cam2/a.mp4",
        "frames": "monday/frames",
        "z.mp4": "z.mp4",
    }


def test_a_number_makes_no_name_that_another_clip_has(tmp_path: Path) -> None:
    for folder in ("a/p/x", "b/p/x", "p-x-2"):
        fake_data.write_images(tmp_path / folder, frames=1)
    found = {clip.path.relative_to(tmp_path).as_posix(): clip.name for clip in find_footage([tmp_path])}
    assert found == {"a/p/x": "p-x", "b/p/x": "p-x-3", "p-x-2": "p-x-2"}


@pytest.mark.parametrize("stage", ["inpaint", "encoder"])
def test_a_checkpoint_of_another_stage_is_refused(
    stage: str, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = fake_data.write_video(tmp_path / "in.mp4", frames=1)
    run = shutil.copytree(alone / "segment", tmp_path / "run" / stage)
    config = run / "config_fit.yaml"
    config.write_text(config.read_text().replace("stage: segment", f"stage: {stage}"))
    assert main(["predict", str(run / "checkpoints" / "last.ckpt"), str(video)]) == 1
    assert f"is of the stage {stage}, which finds no subject" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused(alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = fake_data.write_video(tmp_path / "in.mp4", frames=2)
    before = video.read_bytes()
    assert main(["predict", str(alone), str(video), "--output", str(video)]) == 1
    assert f"error: {video} is no folder: choose another" in capsys.readouterr().err
    assert video.read_bytes() == before and everything(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize(
    ("option", "expected"),
    [("--save=film", "nothing called film"), ("--smooth=4", "odd number"), ("--save=soft --refine", "no grey values")],
)
def test_a_wrong_option_is_refused_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, expected: str
) -> None:
    assert main(["predict", str(tmp_path / "no_run"), str(tmp_path), *option.split()]) == 2
    assert expected in capsys.readouterr().err


def test_frames_without_a_subject_are_empty_and_counted(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_data.write_images(tmp_path / "in", frames=3, size=(48, 64), pattern="{:d}.png")
    mask = np.ones((48, 64), np.float32)
    found = [[Found(mask, (8.0, 8.0, 16.0, 16.0), 0.7, score)] for score in (0.9, 0.49, 0.5)]
    monkeypatch.setattr(Predictor, "__call__", lambda self, images: found)
    output = tmp_path / "out"
    words = ["--save", "overlay,mask,cutout", "--track"]
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(output), *words]) == 0
    assert capsys.readouterr().out.startswith("in: 3 frames, 1 of them without a subject; ")
    with (output / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["found"] for row in rows] == ["1", "0", "1"] and [row["track"] for row in rows] == ["1", "", "1"]
    cells = [(row["x0"], row["area"], row["share"]) for row in rows[:2]]
    assert cells == [("8.0", "3072", "1.00000"), ("", "0", "0.00000")]
    assert not np.asarray(Image.open(output / "masks" / "1.png")).any()
    assert not np.asarray(Image.open(output / "cutouts" / "1.png")).any()
    frame = np.asarray(Image.open(tmp_path / "in" / "1.png").convert("RGB"))
    assert np.array_equal(np.asarray(Image.open(output / "overlays" / "1.png")), frame)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg reads the alpha back")
@pytest.mark.parametrize("width", [64, 63])
def test_a_cut_out_video_has_an_alpha_that_ffmpeg_reads(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    video = fake_data.write_video(tmp_path / "in.mkv", frames=3, size=(48, width), codec="ffv1")
    mask = np.zeros((48, width), np.float32)
    mask[:24, :32], mask[24:, 32:] = 1, 0.5
    monkeypatch.setattr(
        Predictor, "__call__", lambda self, images: [[Found(mask, (0.0, 0.0, 32.0, 24.0), 0.7)] for _ in images]
    )
    output = tmp_path / "out"
    assert main(["predict", str(alone), str(video), "--output", str(output), "--save", "cutout-video"]) == 0
    command = ["ffmpeg", "-v", "error", "-i", str(output / "cutout.mov"), "-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    read = subprocess.run(command, check=True, capture_output=True).stdout
    frames = np.frombuffer(read, np.uint8).reshape(-1, 48, width, 4)
    assert len(frames) == 3
    alpha = frames[..., 3].astype(int)
    assert np.abs(alpha - (mask * 255).round()).max() <= 2
    shown = next(VideoFrames(video).frames())[1].astype(int)
    assert np.abs(frames[0, :24, :32, :3] - shown[:24, :32]).mean() < 8


def test_the_plate_is_the_scene_behind_the_subject(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = np.random.default_rng(0).integers(0, 200, (48, 64, 3), dtype=np.uint8)
    masks = []
    (tmp_path / "in").mkdir()
    for number in range(8):
        mask, frame = np.zeros((48, 64), np.float32), scene.copy()
        mask[10:20, 6 * number : 6 * number + 10], mask[30:40, 20:30] = 1, 1  # one moves, one stays
        frame[mask > 0] = 255
        Image.fromarray(frame).save(tmp_path / "in" / f"{number}.png")
        masks.append(mask)
    found = [[Found(mask, (0.0, 0.0, 1.0, 1.0), 0.7)] for mask in masks]
    monkeypatch.setattr(Predictor, "__call__", lambda self, images: found)
    output = tmp_path / "out"
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(output), "--save", "plate"]) == 0
    plate = np.asarray(Image.open(output / "plate.png"))
    hidden = np.zeros((48, 64), bool)
    hidden[29:41, 19:31] = True  # grown by a pixel
    assert ((plate[..., 3] == 0) == hidden).all() and (plate[..., :3] == scene * ~hidden[..., None]).all()
    assert f"{hidden.mean():.1%} of plate.png is behind the subject" in capsys.readouterr().err


def test_a_table_of_an_earlier_version_is_replaced(alone: Path, tmp_path: Path) -> None:
    fake_data.write_images(tmp_path / "in", frames=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "boxes.csv").write_text("frame,x0,y0,x1,y1,confidence\n7,0,0,1,1,0.5\n")
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert [row[0] for row in boxes(tmp_path / "out")] == ["0"]


@pytest.mark.parametrize("size", [(48, 64), (48, 64)[::-1]])
def test_a_video_gives_a_video(alone: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    video = fake_data.write_video(tmp_path / "in.mp4", frames=20, size=size, rate=12)
    assert main(["predict", str(alone), str(video), "--output", str(tmp_path / "out")]) == 0
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as file:
        stream = file.streams.video[0]
        assert stream.average_rate == 12
        decoded = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
    assert len(decoded) == 20 and decoded[0].shape == (*size, 3)
    assert [row[0] for row in boxes(tmp_path / "out")] == [str(number) for number in range(20)]
    masks = sorted(path.name for path in (tmp_path / "out" / "masks").iterdir())
    assert masks == [f"{number:06d}.png" for number in range(20)]
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_video_keeps_its_times_its_shape_and_the_way_up(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The times and the shape of the pixels that PyAV 18.1 wrote; a quarter turn makes wide pixels high."""
    shown = [0, 40, 80, 500, 540, 2000]
    with av.open(str(tmp_path / "in.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"x264-params": "tff=1"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.sample_aspect_ratio = Fraction(1, 1000), Fraction(4, 3)
        stream.set_display_rotation(90)
        for number, milliseconds in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(fake_data.draw_frame(0, number)[0], format="rgb24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    assert main(["predict", str(alone), str(tmp_path / "in.mp4"), "--output", str(tmp_path / "out")]) == 0
    fields, pixels = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert "is interlaced" in fields and "its 48x64 are shown as 36x64" in pixels
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.height, stream.width, stream.sample_aspect_ratio) == (64, 48, Fraction(3, 4))
        assert [frame.time for frame in file.decode(stream)] == pytest.approx([time / 1000 for time in shown], abs=1e-3)
    assert Image.open(tmp_path / "out" / "masks" / "000000.png").size == (48, 64)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [("none.mp4", None, "Nothing at"), ("bad.mp4", b"no video", "bad.mp4"), ("bad.png", b"no image", "bad.png")],
)
def test_a_bad_input_is_named(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["predict", str(alone), str(tmp_path / name), "--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err.removeprefix(f"Predicting {name}: 1\n")
    assert error.startswith("error: ") and expected in error and error.count("\n") == 1


def test_a_threshold_out_of_range_is_refused(alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(alone), str(tmp_path), "--output", str(tmp_path / "o"), "--threshold", "1.5"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err


def test_boxes_are_in_pixels_of_the_frame() -> None:
    mask = torch.zeros(2, 2)
    mask[0, 0] = 1
    found = _at_full_size(mask, torch.tensor([0.5, -0.5, 0.25, 0.75]), 0.5, None, (100, 200))
    assert found.box == (125.0, 0.0, 175.0, 62.5)
    assert found.mask.shape == (100, 200)
    assert found.mask[10, 10] == 1 and found.mask[90, 190] == 0


def test_the_overlay_tints_the_subject_only() -> None:
    image = np.full((40, 40, 3), 100, dtype=np.uint8)
    mask = np.zeros((40, 40), dtype=np.float32)
    mask[10:20, 10:20] = 1
    painted = draw(image, [Found(mask, (5.0, 5.0, 35.0, 35.0), 0.5)], 0.5)
    assert painted[15, 15, 0] > 150 and painted[15, 15, 1] < 100
    assert (painted[30, 15] == 100).all() and (painted[2, 2] == 100).all()
    assert (painted[5, 20] == (255, 64, 64)).all()  # the box
    assert (image == 100).all()


def test_every_subject_has_a_colour_and_the_surest_is_on_top() -> None:
    image = np.full((40, 40, 3), 100, dtype=np.uint8)
    left, right = (np.zeros((40, 40), dtype=np.float32) for _ in range(2))
    left[:, :25], right[:, 15:] = 1, 1
    found = [Found(left, (0.0, 0.0, 25.0, 40.0), 0.6), Found(right, (15.0, 0.0, 40.0, 40.0), 0.4)]
    painted = draw(image, found, 0.5).astype(int)
    assert painted[20, 5, 0] > painted[20, 5, 2] and painted[20, 35, 2] > painted[20, 35, 0]
    assert painted[20, 20, 0] > painted[20, 20, 2]
    assert union(found).min() == 1


@pytest.mark.parametrize("several", [False, True])
def test_subjects_have_lines_and_masks_of_their_own(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    fake_data.write_images(tmp_path / "in", frames=2)
    corner = np.zeros((48, 64), dtype=np.float32)
    corner[:9, :9] = 1
    two = [Found(corner, (0.0, 0.0, 9.0, 9.0), 0.7), Found(corner[::-1], (0.0, 39.0, 9.0, 48.0), 0.25)]
    found = [two, two[:1]] if several else [two[:1], two[:1]]
    monkeypatch.setattr(Predictor, "__call__", lambda self, images: found)
    output = tmp_path / "out"
    more = ["--subjects", "2"] if several else []
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(output), *more]) == 0
    with (output / "boxes.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    if not several:
        assert header == HEADER and len(rows) == 2 and not (output / "subjects").exists()
        return
    assert header == [*HEADER, "subject"]
    lines = [(row[0], row[5], row[-1]) for row in rows]
    assert lines == [("0", "0.7000", "1"), ("0", "0.2500", "2"), ("1", "0.7000", "1")]
    names = ["00000_1.png", "00000_2.png", "00001_1.png"]
    assert sorted(path.name for path in (output / "subjects").iterdir()) == names
    first, second = (np.asarray(Image.open(output / "subjects" / name)) for name in names[:2])
    joined = np.asarray(Image.open(output / "masks" / "00000.png"))
    assert np.array_equal(joined, np.maximum(first, second)) and first[0, 0] == 255 and second[-1, 0] == 255
    assert main(["predict", str(alone), str(tmp_path / "in"), "--output", str(output)]) == 0
    assert not (output / "subjects").exists()  # a former prediction is replaced as a whole


def test_a_model_finds_several_subjects(alone: Path, tmp_path: Path) -> None:
    fake_data.write_images(tmp_path / "in", frames=3, size=(50, 70))
    arguments = ["predict", str(alone), str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--subjects", "3"]) == 0
    with (tmp_path / "out" / "boxes.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    assert {row[0] for row in rows} == {"0", "1", "2"} and {row[-1] for row in rows} <= {"1", "2", "3"}
    check_boxes([row[:-1] for row in rows], (50, 70))
    assert len(list((tmp_path / "out" / "subjects").iterdir())) == len(rows)


@pytest.mark.parametrize("number", ["0", "21"])
def test_a_number_of_subjects_out_of_range_is_refused(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    fake_data.write_images(tmp_path / "in", frames=1)
    assert main(["predict", str(alone), str(tmp_path / "in"), "--subjects", number]) == 1
    assert f"The number of subjects is {number}, expected 1 to 20." in capsys.readouterr().err


def test_refined_masks_are_of_the_frames_size_with_a_border_that_moved(tmp_path: Path) -> None:
    """A predictor whose coarse mask is a pixel off: cut again at full size it follows the disc of the picture."""
    y, x = np.mgrid[:96, :128]
    disc = (y - 48) ** 2 + (x - 64) ** 2 < 26**2
    image = np.where(disc[..., None], (220, 40, 40), (40, 120, 60)).astype(np.uint8)
    coarse = torch.from_numpy(resize((np.roll(disc, 3, axis=1) * 255).astype(np.uint8), (48, 64)))[None, None] / 255

    class Fixed(pl.LightningModule):
        def predict_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> dict[str, torch.Tensor]:
            return {"mask": coarse, "box": torch.tensor([[0.0, 0.0, 0.5, 0.5]]), "confidence": torch.ones(1)}

    def error(refine_at: float | None) -> int:
        ((found,),) = Predictor(Fixed(), (48, 64), torch.device("cpu"), refine_at)([image])
        assert found.mask.shape == (96, 128) and found.box == (32.0, 24.0, 96.0, 72.0)
        return int(((found.mask >= 0.5) != disc).sum())

    assert error(0.5) < error(None) / 5
