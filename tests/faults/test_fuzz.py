"""Thousands of damaged files, drawn from a seed: each is read as before, refused by name, or listed; none is lost.

The right values are those of the whole file. Where they differ and nothing is said, the file is *silently wrong*; only
where its format carries no check at all, as in the digits of a CSV file, no reader could know (*cannot be told*).
Pillow 13.0, PyAV 18.1 (FFmpeg 8.1), h5py 3.16, torch 2.14 and PyYAML 6.0 do the decoding.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import backdrop
from backdrop.errors import RunError, one_line
from backdrop.onnx_engine import FORMAT
from datamodules import DavisDataModule, FramesDataModule, H36mDataModule, SkiDataModule, VideosDataModule
from experiments.cli import main
from experiments.reporting.runs import find_runs
from experiments.results.combined import combine
from experiments.results.comparison import build
from experiments.results.entries import read_entries
from experiments.results.writers import markdown
from experiments.runs import folder as run_folder
from experiments.runs.folder import StageFolder
from experiments.runs.restore import load_data, load_model, segment_folder
from tests import fake_data
from tests.faults.mutations import BINARY, TEXT, Mutation

pytestmark = pytest.mark.slow
SEED = 16
LONGEST = 60  # seconds without a word from the reader: it hangs
REFUSALS = (ValueError, OSError, RunError)
"""What a user sees as one sentence; see :func:`backdrop.errors.print_error`."""


@dataclass(frozen=True)
class Reading:
    """What the product makes of a file: a check sum of all values, and what it says of it."""

    values: str
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        write: Writes whole data into an empty folder, and returns the file to damage.
        read: Reads them in the product's own way.
        mutations: What may happen to it.
        unchecked: Why nobody could know that a value is wrong; None where the format carries a check.
        names: Words of which a sentence about the file has one, beside its name.
        files: How many to damage.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], Reading]
    mutations: Sequence[Mutation] = BINARY
    unchecked: str | None = None
    names: tuple[str, ...] = ()
    files: int = 70


def digest(*parts: Any) -> str:  # noqa: ANN401
    """A check sum of nested values."""
    return hashlib.sha256(repr([_plain(part) for part in parts]).encode(errors="surrogateescape")).hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, zlib.crc32(np.ascontiguousarray(value).tobytes())
    if isinstance(value, dict):
        return sorted((str(key), _plain(item)) for key, item in value.items())
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def data(kind: type[FramesDataModule], **settings: Any) -> Callable[[Path], Reading]:  # noqa: ANN401
    """Read the test split of a data set as an evaluation does: through the store, with masks and boxes."""

    def read(root: Path) -> Reading:
        store = root.parent / "store"
        shutil.rmtree(store, ignore_errors=True)
        size: Any = {"image_size": fake_data.SIZE, "num_workers": 0, "store_dir": str(store), **settings}
        module = kind(root=str(root), **size)
        module.setup("test")
        dataset = module.dataset("test")
        problems = (f"{problem.clip}: {problem.reason}" for problem in module.problems())
        return Reading(digest(*(dict(dataset[at]) for at in range(len(dataset)))), (*problems, *module.findings.said))

    return read


def image(suffix: str, mode: str = "RGB", **options: Any) -> Callable[[Path], Path]:  # noqa: ANN401
    """Three images of a kind as a clip, of which the second is damaged."""

    def write(root: Path) -> Path:
        folder = root / "clips" / "run"
        folder.mkdir(parents=True)
        for frame in range(3):
            Image.fromarray(fake_data.draw_frame(0, frame)[0]).convert(mode).save(
                folder / f"{frame:05d}.{suffix}", **options
            )
        return folder / f"00001.{suffix}"

    return write


def mask(suffix: str, mode: str = "L", **options: Any) -> Callable[[Path], Path]:  # noqa: ANN401
    """Three images with masks of a kind, of which the second is damaged."""

    def write(root: Path) -> Path:
        image("jpg")(root)
        folder = root / "masks" / "run"
        folder.mkdir(parents=True)
        for frame in range(3):
            values = fake_data.draw_frame(0, frame)[1].astype(np.uint8) * 255
            picture = Image.fromarray(values).convert(mode)
            if mode == "RGBA":
                picture.putalpha(Image.fromarray(values))
            picture.save(folder / f"{frame:05d}.{suffix}", **options)
        return folder / f"00001.{suffix}"

    return write


def video(name: str, codec: str = "libx264") -> Callable[[Path], Path]:
    """A video as the only clip."""
    return lambda root: fake_data.write_video(root / "clips" / name, frames=12, codec=codec)


def matte(root: Path) -> Path:
    """A matte video of a clip."""
    image("jpg")(root)
    return fake_data.write_video(root / "masks" / "run.mp4", frames=3)


def recordings(root: Path) -> Path:
    """Three clips as a user has them."""
    return fake_data.write_videos(root)


def boxes(root: Path) -> Path:
    """A table of boxes."""
    image("jpg")(root)
    fake_data.write_boxes(root / "boxes" / "run.csv", frames=range(3))
    return root / "boxes" / "run.csv"


def within(write: Callable[[Path], Path], file: str) -> Callable[[Path], Path]:
    """A file of a data set by its name there, as ``glob`` takes it."""

    def damaged(root: Path) -> Path:
        write(root)
        return sorted(root.glob(file))[0]

    return damaged


RUN: dict[str, Path] = {}
"""The folder of a run that is trained and evaluated, once it is there."""


def run(file: str) -> Callable[[Path], Path]:
    """A file of a trained and evaluated run."""

    def write(root: Path) -> Path:
        shutil.copytree(RUN["folder"], root)
        return root / file

    return write


def combined(root: Path) -> Reading:
    """Read the measures of a run's frames as a sweep over clips does."""
    return Reading(digest(combine({"camel": root}, "").numbers))


def report(root: Path) -> Reading:
    """Read a run as the report does."""
    (found,) = find_runs(root)
    return Reading(digest(found.stages, found.results, found.frames), tuple(found.problems))


def table(root: Path) -> Reading:
    """Read a run as the table does."""
    entries = read_entries([root])
    return Reading(digest([entry.results for entry in entries], markdown(build(entries, True))))


def settings(root: Path) -> Reading:
    """Read the saved config of a run as an evaluation does."""
    run_folder._warn_once.cache_clear()
    with redirect_stderr(StringIO()) as said:
        folder = segment_folder(root)
    module: Any = load_data(folder.config())
    used = {name: part for name, part in folder.config().items() if name not in ("ckpt_path", "weights_only")}
    return Reading(digest(used, module.image_size, module.data_set.root), tuple(said.getvalue().splitlines()))


def model(root: Path) -> Reading:
    """Load a model as a prediction does."""
    return Reading(digest(dict(load_model(segment_folder(root)).state_dict())))


def exported(root: Path) -> Path:
    """An exported model, small and made by hand."""
    from tests.backdrop.test_onnx_engine import write  # where onnx is not installed, it skips

    root.mkdir()
    return write(root / "red.onnx", {"format": FORMAT, "name": "red"})


def loaded(root: Path) -> Reading:
    """Load an exported model and ask it, as a program of a user does."""
    found = backdrop.load(root / "red.onnx")(fake_data.draw_frame(0, 0)[0])
    return Reading(digest(found.mask, found.box, found.score, found.name))


def beside(root: Path) -> Reading:
    """Read the small files beside a training."""
    folder = StageFolder(root / "segment")
    return Reading(digest(folder.clips(), folder.trust()))


NO_CHECK = "the format has no check sum"
DIGITS = "a digit, or a letter of a name, that became another one is as good as the first"
FORMATS: dict[str, Format] = {
    "png": Format(image("png"), data(VideosDataModule), files=160),
    "png grey 16 bits": Format(image("png", "I;16"), data(VideosDataModule)),
    "jpeg": Format(image("jpg", quality=90), data(VideosDataModule), unchecked=NO_CHECK, files=100),
    "bmp": Format(image("bmp"), data(VideosDataModule), unchecked=NO_CHECK),
    "ppm": Format(image("ppm"), data(VideosDataModule), unchecked=NO_CHECK),
    "tga": Format(image("tga"), data(VideosDataModule), unchecked=NO_CHECK),
    "webp": Format(image("webp"), data(VideosDataModule), unchecked=NO_CHECK),
    "webp lossless": Format(image("webp", lossless=True), data(VideosDataModule), unchecked=NO_CHECK),
    "tiff": Format(image("tif"), data(VideosDataModule), unchecked=NO_CHECK),
    "tiff deflate": Format(image("tif", compression="tiff_adobe_deflate"), data(VideosDataModule), unchecked=NO_CHECK),
    "jpeg 2000": Format(image("jp2"), data(VideosDataModule), unchecked=NO_CHECK),
    "avif": Format(image("avif"), data(VideosDataModule), unchecked=NO_CHECK),
    "mask png": Format(mask("png"), data(VideosDataModule), files=160),
    "mask png palette": Format(mask("png", "P"), data(VideosDataModule)),
    "mask png alpha": Format(mask("png", "RGBA"), data(VideosDataModule)),
    "mask jpeg": Format(mask("jpg"), data(VideosDataModule), unchecked=NO_CHECK),
    "mask bmp": Format(mask("bmp"), data(VideosDataModule), unchecked=NO_CHECK),
    "mask webp": Format(mask("webp", "RGB"), data(VideosDataModule), unchecked=NO_CHECK),
    "mask tiff": Format(mask("tif"), data(VideosDataModule), unchecked=NO_CHECK),
    "mask davis": Format(
        within(fake_data.write_davis_2017, "Annotations/480p/dogs/00001.png"),
        data(DavisDataModule, year=2017, apart=True),
    ),
    "mp4": Format(video("run.mp4"), data(VideosDataModule), unchecked=NO_CHECK, files=120),
    "mov": Format(video("run.mov"), data(VideosDataModule), unchecked=NO_CHECK),
    "avi": Format(video("run.avi", "mpeg4"), data(VideosDataModule), unchecked=NO_CHECK),
    "mkv": Format(video("run.mkv"), data(VideosDataModule), files=120),
    "mkv ffv1": Format(video("run.mkv", "ffv1"), data(VideosDataModule)),
    "webm": Format(video("run.webm", "libvpx-vp9"), data(VideosDataModule), unchecked=NO_CHECK, files=120),
    "mpeg-ts": Format(video("run.ts"), data(VideosDataModule), unchecked=NO_CHECK),
    "gif": Format(
        lambda root: fake_data.write_gif(root / "clips" / "run.gif"), data(VideosDataModule), unchecked=NO_CHECK
    ),
    "matte video": Format(matte, data(VideosDataModule), unchecked=NO_CHECK),
    "boxes csv": Format(boxes, data(VideosDataModule), TEXT, DIGITS, ("'run'",), 160),
    "splits.json": Format(
        within(recordings, "splits.json"), data(VideosDataModule), TEXT, DIGITS, files=120
    ),
    "davis list": Format(
        within(fake_data.write_davis, "ImageSets/480p/val.txt"), data(DavisDataModule), TEXT, DIGITS
    ),
    "labels.h5 h36m": Format(
        within(fake_data.write_h36m_labels, "h36m-test/labels.h5"), data(H36mDataModule),
        unchecked=NO_CHECK, names=("clip 'h36m-test",), files=150,
    ),
    "labels.h5 ski": Format(
        within(fake_data.write_ski_crops, "test/labels.h5"), data(SkiDataModule),
        unchecked=NO_CHECK, names=("clip 'test_seq_",), files=150,
    ),
    "mat": Format(
        within(fake_data.write_h36m, "S9/MySegmentsMat/ground_truth_bb/Phoning 1.54138969.mat"),
        data(H36mDataModule, every_nth=1),
        unchecked=NO_CHECK,
        files=160,
    ),
    "results.json": Format(run("results.json"), table, TEXT, DIGITS, files=200),
    "metrics.csv": Format(run("segment/csv/metrics.csv"), report, TEXT, DIGITS, files=150),
    "frames.csv": Format(run("frames.csv"), report, TEXT, DIGITS, files=100),
    "config_fit.yaml": Format(run("segment/config_fit.yaml"), settings, TEXT, DIGITS, files=200),
    "clips.json": Format(run("segment/clips.json"), beside, TEXT, DIGITS, files=70),
    "trust.json": Format(run("segment/trust.json"), beside, TEXT, DIGITS, files=70),
    "checkpoint": Format(run("segment/checkpoints/last.ckpt"), model, files=80),
    "frames.pt": Format(run("frames.pt"), combined, files=60),
    "onnx": Format(exported, loaded, files=150),
}


def judged(one: Format, name: str, at: int, root: Path, file: Path, whole: bytes, right: Reading) -> tuple[str, str]:
    """Damage a file, read it, and judge what became of it: an outcome, and why."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode()), at])
    mutation = one.mutations[at % len(one.mutations)]
    content = mutation(whole, rng)
    file.write_bytes(content)
    how = f"{name} {at} ({mutation.__name__})"
    known = (file.name, *one.names)
    try:
        found = one.read(root)
    except REFUSALS as error:
        said = one_line(error)
        if not any(word in said for word in known):
            return "refused without its name", f"{how}: {type(error).__name__}: {said}"
        return "handled", f"{how}: {said}"
    except Exception as error:
        return "lost", f"{how}: {type(error).__name__}: {one_line(error)}"
    if found.values == right.values:
        return "same", how
    new = [said for said in found.said if said not in right.said]
    if any(word in said for said in new for word in known):
        return "listed", f"{how}: {new}"
    return ("cannot be told" if one.unchecked else "silently wrong"), how


def work(one: Format, name: str, folder: Path, first: int, tell: Any) -> None:  # noqa: ANN401
    """Judge the files of a format from a number on, in a process of its own."""
    warnings.simplefilter("ignore")
    logging.getLogger("datamodules").setLevel(logging.CRITICAL)
    sys.stderr = open(os.devnull, "w")  # progress bars
    root = folder / "data"
    shutil.rmtree(root, ignore_errors=True)
    file = one.write(root)
    whole, right = file.read_bytes(), one.read(root)
    assert one.read(root) == right
    for at in range(first, one.files):
        tell.send(judged(one, name, at, root, file, whole, right))
    tell.send(None)


def outcomes(one: Format, name: str, folder: Path) -> Iterator[tuple[str, str]]:
    """What became of each file; a reader that hangs or crashes loses the file, and the next begins after it."""
    at, forks = 0, multiprocessing.get_context("fork")
    while at < one.files:
        hear, tell = forks.Pipe(duplex=False)
        process = forks.Process(target=work, args=(one, name, folder, at, tell))
        process.start()
        tell.close()
        try:
            while (found := hear.recv() if hear.poll(LONGEST) else ("hang", f"{name} {at}")) is not None:
                at += 1
                yield found
                if found[0] == "hang":
                    break
            else:
                at = one.files
        except EOFError:
            process.join()
            yield "crash", f"{name} {at}: exit code {process.exitcode}"
            at += 1
        finally:
            process.kill()
            process.join()


GOOD = ("same", "handled", "listed", "cannot be told")
COUNTS: dict[str, Counter[str]] = {}


@pytest.fixture(scope="module", autouse=True)
def evaluated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A run that is trained and evaluated, and has learnt from targets as far as its files say."""
    RUN["folder"] = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(trained, RUN["folder"])
    assert main(["evaluate", str(RUN["folder"])]) == 0
    (RUN["folder"] / "segment" / "trust.json").write_text('{"agree": 0.75, "features": "vgg16"}\n')


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_as_before_or_refused_or_listed(name: str, tmp_path: Path) -> None:
    found = list(outcomes(FORMATS[name], name, tmp_path))
    COUNTS[name] = Counter(outcome for outcome, _ in found)
    assert len(found) == FORMATS[name].files
    assert [what for outcome, what in found if outcome not in GOOD] == []


def test_the_counts_of_all_formats(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, and written into build/faults; all of them where the whole file was run."""
    if len(COUNTS) < len(FORMATS):
        pytest.skip("not all formats were run")
    total = sum(COUNTS.values(), Counter[str]())
    counts = {name: {one: count[one] for one in (*GOOD, "silently wrong", "lost")} for name, count in COUNTS.items()}
    counts["all"] = {one: total[one] for one in counts["png"]}
    folder = root / "build" / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fuzz.json").write_text(json.dumps({"seed": SEED, "counts": counts}, indent=1) + "\n")
    with capsys.disabled():
        print(f"\n{'':18}" + "".join(f"{one:>16}" for one in counts["all"]))
        for name, count in counts.items():
            print(f"{name:18}" + "".join(f"{number:16}" for number in count.values()))
    assert total.total() >= 3000
    assert total["silently wrong"] == total["lost"] == 0
