"""``inspect``: the table, the problems and the contact sheet."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from datamodules import DavisDataModule
from datamodules.dataset import FrameDataset
from datamodules.readers import ImageFrames
from datamodules.sets.davis import Davis
from experiments.cli import main
from experiments.commands.inspect import MOST_CLIPS, MOST_PROBLEMS, problem_lines
from tests import fake_data
from tests.datamodules.readers.test_cut import write_cut
from tests.fake_data import SIZE

SMALL = ["--data.init_args.image_size=[48, 64]", "--data.init_args.num_workers=0"]


def rows(shown: str) -> list[list[str]]:
    """Cells of the printed table."""
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in shown.splitlines() if line[:1] in "│┃"]


def test_the_table_counts_frames_masks_and_boxes(
    data_root: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data_root("ski")
    arguments = ["--config=data/ski.yaml", f"--data.init_args.root={root}", f"--output={tmp_path}", *SMALL]
    assert main(["inspect", *arguments]) == 0
    shown = capsys.readouterr().out
    assert rows(shown)[1:] == [
        ["train", "2 clips", "7", "", "0", "0", "0"],
        ["", "trial_103_cam1", "4", "640x360", "0", "0", "0"],
        ["", "trial_103_cam2", "3", "640x360", "0", "0", "0"],
        ["val", "2 clips", "7", "", "2", "7", "0"],
        ["", "trial_302_cam1", "4", "640x360", "1", "4", "0"],
        ["", "trial_302_cam2", "3", "640x360", "1", "3", "0"],
        ["test", "2 clips", "7", "", "2", "7", "0"],
        ["", "trial_405_cam1", "4", "640x360", "1", "4", "0"],
        ["", "trial_405_cam2", "3", "640x360", "1", "3", "0"],
    ]
    assert "problems: none" in shown and f"pictures: {tmp_path}/inspect_ski.png" in shown
    assert np.asarray(Image.open(tmp_path / "inspect_ski.png")).shape == (6 * 192, 6 * 256, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["inspect_ski.png"]


def test_the_composition_of_a_training_is_understood(
    fit_arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", *fit_arguments(tmp_path, "segment")[1:]]) == 0
    assert "camel" in capsys.readouterr().out
    assert (tmp_path / "runs" / "davis" / "inspect_davis.png").is_file()
    assert not (tmp_path / "segment").exists()


def test_problems_are_listed_and_long_lists_are_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    for number in range(MOST_CLIPS + 4):
        fake_data.write_images(root / "clips" / f"run{number:02d}", number, frames=1)
    for number in range(MOST_PROBLEMS + 3):
        fake_data.write_masks(root / "masks" / f"walk{number:02d}", frames=[0])
    arguments = ["--config=data/videos.yaml", f"--data.init_args.root={root}", f"--output={tmp_path}", *SMALL]
    with pytest.warns(UserWarning, match="Only 19 training frames: .* 300; 5 more are for validation and test only"):
        assert main(["inspect", *arguments, "--data.init_args.val_fraction=0.2"]) == 0
    shown = capsys.readouterr().out
    assert f"pictures: {tmp_path}/inspect_videos.png (6 of 24 clips)" in shown
    assert "walk00: " in shown and "walk19: " in shown and "walk20" not in shown and "... and 3 more" in shown


def test_what_is_skipped_is_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fake_data.write_davis(tmp_path / "DAVIS")
    (root / "JPEGImages" / "480p" / "bear" / "00002.jpg").write_bytes(b"nothing")
    shutil.rmtree(root / "JPEGImages" / "480p" / "boat")
    (root / "JPEGImages" / "480p" / "boat").mkdir()
    store = tmp_path / "store"
    arguments = ["--config=data/davis.yaml", f"--data.init_args.root={root}", f"--data.init_args.store_dir={store}"]
    with pytest.warns(UserWarning, match="skipped"):
        assert main(["inspect", *arguments, f"--output={tmp_path}", *SMALL]) == 0
    shown = capsys.readouterr().out
    (problems,) = store.glob("problems-davis-*.csv")
    assert ["train", "1 clip", "5", "", "0", "0", "1"] in rows(shown)
    assert ["val", "0 clips", "0", "", "0", "0", "0"] in rows(shown)
    assert f"problems: 1 frame skipped in 1 clip, 1 clip skipped: see {problems}" in shown
    assert "\nbear, frame 2: Cannot read the image" in shown and "\nboat: No image in" in shown


def test_clips_beyond_the_first_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    names = [f"run{number:02d}" for number in range(MOST_CLIPS + 3)]
    for name in names:
        fake_data.write_images(root / "JPEGImages" / "480p" / name, frames=1)
    arguments = ["--config=data/davis.yaml", f"--data.init_args.root={root}", f"--output={tmp_path}", *SMALL]
    arguments += [f"--data.init_args.clips=[{','.join(names)}]"]
    listed: list[str] = []
    sized: list[str] = []
    real_list, real_size = Davis.split_clips, ImageFrames.original_size
    monkeypatch.setattr(Davis, "split_clips", lambda s, split: listed.append(split) or real_list(s, split))
    monkeypatch.setattr(ImageFrames, "original_size", lambda s: sized.append(s.folder.name) or real_size(s))
    assert main(["inspect", *arguments]) == 0
    assert sorted(listed) == ["test", "train", "val"]  # once each
    assert set(sized) == set(names[:MOST_CLIPS])
    found = rows(capsys.readouterr().out)
    assert ["", "... and 3 more", "", "", "", "", ""] in found and not any("run20" in row for row in found)


def test_frames_lost_together_share_a_line(davis: Path) -> None:
    module = DavisDataModule(str(davis))
    for frame in (3, 4, 6):
        module.findings.notice("run1", frame, "it ends before")
    for clip, frame, reason in (("run1", 9, "damaged"), ("run2", 9, "damaged"), ("run2", None, "short")):
        module.findings.notice(clip, frame, reason)
    assert problem_lines(module) == [
        "run1, frames 3 to 6 (3): it ends before",
        "run1, frame 9: damaged",
        "run2, frame 9: damaged",
        "run2: short",
    ]


def write_tagged(path: Path, size: tuple[int, int] = SIZE, **settings: object) -> None:
    """A video with settings of its encoder: tags, fields, the shape of its pixels."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(fake_data.draw_frame(0, number, size)[0], format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def write_all_that_is_said(root: Path) -> dict[str, str]:
    """A folder with one of each kind of thing to be said; name in the list of problems -> words of its line."""
    clips, masks, boxes = (root / name for name in ("clips", "masks", "boxes"))
    fake_data.write_video(clips / "plain.mp4", rate=25)
    write_tagged(clips / "interlaced.mp4", options={"x264-params": "tff=1"})
    write_tagged(clips / "hdr.mkv", color_trc=16, colorspace=9)
    write_tagged(clips / "untagged.mp4", size=(48, 1280))
    write_tagged(clips / "oblong.mp4", sample_aspect_ratio=Fraction(4, 3))
    fake_data.write_variable_rate(clips / "variable.mp4", [0, 40, 80, 500, 540, 580])
    write_cut(clips / "cut.mp4", 0, True)
    (clips / "whole.mp4").rename(clips / "whole_of_cut.mp4")
    (clips / "same.mp4").symlink_to(clips / "plain.mp4")
    fake_data.write_images(clips / "mixed", frames=4)
    fake_data.write_images(clips / "mixed", frames=2, size=(24, 32), first=4)
    (clips / "photo.heic").write_bytes(b"content")
    fake_data.write_images(masks / "mixed", frames=1)  # JPEG has soft edges
    fake_data.write_masks(masks, frames=[0])
    boxes.mkdir()
    (boxes / "plain.json").write_text("{}")
    return {
        "interlaced": "is interlaced",
        "hdr": r"HDR \(PQ\)",
        "untagged": "does not say its colour matrix",
        "oblong": "64x48 are shown as 85x48",
        "variable": "variable rate, 40 to 420 ms",
        "cut": r"of its 48 frames are not shown",
        "same": "same recording as clip 'plain'",
        "mixed": "several sizes: 4 of 64x48, 2 of 32x24",
        ".heic": "left out for the suffix .heic",
        "00000.png": "is not used: masks lie in a folder",
        "plain.json": "is not used: boxes are a table",
    }


def test_all_that_is_not_as_one_would_guess_is_said_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each thing is made by hand, in a folder of one data set; it stands in the list and in the table of problems."""
    root, store = tmp_path / "data", tmp_path / "store"
    expected = write_all_that_is_said(root)
    options = [f"--data.init_args.root={root}", f"--data.init_args.store_dir={store}", f"--output={tmp_path}", *SMALL]
    with pytest.warns(UserWarning, match="other problems"):
        assert main(["inspect", "--config=data/videos.yaml", *options]) == 0
    shown = capsys.readouterr()
    (problems,) = store.glob("problems-videos-*.csv")
    for name, words in expected.items():
        assert re.search(rf"^{re.escape(name)}: .*{words}", shown.out, re.MULTILINE), name
        assert re.search(rf"^{re.escape(name)},,\"?.*{words}", problems.read_text(), re.MULTILINE), name
    assert "mixed: masks: there are values besides two" in shown.out
    assert "\nplain: " not in shown.out and "\nwhole_of_cut: " not in shown.out
    for words in ("is interlaced", "is HDR", "colour matrix", "are shown as", "variable rate", "not shown", "sizes:"):
        assert shown.err.count(words) == 1


@pytest.mark.parametrize(
    ("option", "code", "message"),
    [
        ("--data.init_args.root=/nowhere/at/all", 1, "No folder at /nowhere/at/all"),
        ("--data.init_args.batch_sise=3", 2, "'batch_sise' is not accepted"),
        ("--outputt=x", 2, "outputt"),
    ],
)
def test_mistakes_are_one_sentence(
    data_root: Callable[[str], Path], option: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["inspect", "--config=data/davis.yaml", f"--data.init_args.root={data_root('davis')}", option]
    assert main(arguments) == code
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("error: ") and message in line]


def test_what_the_data_module_says_is_heard(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--data.init_args.root={davis}", "--data.init_args.clips=[camel]", *SMALL, f"--output={tmp_path}"]
    for _ in range(2):  # in one process too
        assert main(["inspect", "--config=data/davis.yaml", *options]) == 0
        said = capsys.readouterr().err
        assert said.count("Transductive: clip 'camel' is trained on") == 1 and "To test on: 1 clip, 6 frames" in said


def test_plates_and_their_evidence_are_drawn_below_their_frames(
    davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: FrameDataset, clip_index: int, position: int) -> dict[str, np.ndarray]:
        picture, covered = np.full((*SIZE, 3), (40 * position, 0, 200), np.uint8), np.zeros(SIZE, np.uint8)
        covered[:, : SIZE[1] // 2] = 255
        return {"image": picture, "plate": picture, "covered": covered, "evidence": covered}

    options = [f"--data.init_args.root={davis}", "--data.init_args.clips=[camel]", *SMALL]
    assert main(["inspect", "--config=data/davis.yaml", *options, f"--output={tmp_path / 'without'}"]) == 0
    monkeypatch.setattr(FrameDataset, "read", read)
    configs = ["--config=data/davis.yaml", "--config=background/temporal.yaml"]
    assert main(["inspect", *configs, *options, f"--output={tmp_path}"]) == 0
    sheet = np.asarray(Image.open(tmp_path / "inspect_davis.png"))
    assert sheet.shape == (3 * 192, 6 * 256, 3)
    assert len(np.unique(sheet[192:208, :60].reshape(-1, 3), axis=0)) > 2  # the name of the plane
    assert np.array_equal(sheet[:192], np.asarray(Image.open(tmp_path / "without" / "inspect_davis.png")))
    for position in range(6):  # all six frames of the clip are on the sheet
        cell, found = (part[24:] for part in np.split(sheet[192:, 256 * position : 256 * (position + 1)], 2))  # names
        assert (cell[:, :124] == (40 * position, 0, 200)).all() and (cell[:, 132:] == 0).all()
        assert (found[:, :124] == 255).all() and (found[:, 132:] == 0).all()
