from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Barrier, Thread

import cv2
import numpy as np
import pytest
from PIL import Image

from backdrop.errors import Terminated
from datamodules import VideosDataModule
from datamodules.clips.clip import Clip
from datamodules.clips.planes import Frames, Plane
from datamodules.clips.problems import Problem, read_table, summary, table
from datamodules.dataset import FrameDataset
from datamodules.plates.kinds import PlateKind, plate_producer
from datamodules.readers import Broken, FrameSource, ImageFrames, Keep, Pixels, VideoFrames, open_frames, resize
from datamodules.store.codecs import Codec
from datamodules.store.entry import ENTRY, FRAMES, INDEX, EntryWriter, StoredClip, _OpenFiles, entry_name
from datamodules.store.store import FrameStore, StoreError
from datamodules.store.stored_clips import StoredClips
from tests.fake_data import SIZE, draw_frame, write_images, write_video

pytestmark = pytest.mark.filterwarnings("ignore:Only .* training frames")
ROOT = Path(__file__).resolve().parents[3]
FRAME = SIZE[0] * SIZE[1] * 3


class Drawn:
    """Frames from memory, as many as wanted."""

    def __init__(self, count: int, name: str = "", hook: Callable[[int], object] = lambda _: None) -> None:
        self.count, self.name, self.hook = count, name, hook

    def __len__(self) -> int:
        return self.count

    def frames(
        self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        for number in range(self.count):
            self.hook(number)
            if keep is None or keep(number, number):
                yield number, np.full((*(size or SIZE), 3), number % 251, np.uint8)

    def identity(self) -> Iterator[str]:
        yield f"{self.name} {self.count}"

    def original_size(self) -> tuple[int, int]:
        return SIZE


def drawn(name: str, count: int = 4, hook: Callable[[int], object] = lambda _: None) -> Clip:
    return Clip(name, Drawn(count, name, hook), {})


def ready(store: FrameStore, clip: Clip, codec: Codec = "raw", size: tuple[int, int] = SIZE) -> StoredClip:
    store.open()
    return store.write(clip, size, codec)


def entries(folder: Path) -> list[str]:
    """Everything in a store that is no lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith((".lock", ".use-")))


def content(folder: Path) -> dict[str, bytes]:
    """Every file of every entry."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def videos(root: Path, store: Path, **changes: object) -> VideosDataModule:
    arguments = {"image_size": SIZE, "num_workers": 0, "augment": False, "store_dir": str(store), **changes}
    return VideosDataModule(str(root), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["images", "video"])
def test_any_frame_is_the_source_s(tmp_path: Path, kind: str) -> None:
    if kind == "images":
        write_images(tmp_path / "run", frames=7, first=5)
    source = open_frames(tmp_path / "run" if kind == "images" else write_video(tmp_path / "run.mp4", frames=7))
    small = (24, 32)
    truth = dict(source.frames(small))
    clip = ready(FrameStore(tmp_path / "store"), Clip("run", source, {}), size=small)
    assert clip.frame_numbers.tolist() == list(truth) and clip.size == small
    for position in (6, 0, 3, 3):
        assert np.array_equal(clip.read([position])[0], truth[int(clip.frame_numbers[position])])
    assert np.array_equal(clip.read([5, 1]), [list(truth.values())[5], list(truth.values())[1]])


def test_jpeg_is_nearly_the_source(tmp_path: Path) -> None:
    frame = resize(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8), (96, 128))

    class One(Drawn):
        def frames(self, *_: object) -> Iterator[tuple[int, Pixels]]:  # type: ignore[override]
            yield 3, frame

    clip = ready(FrameStore(tmp_path), Clip("run", One(1), {}), "jpeg", (96, 128))
    assert np.abs(clip.read([0])[0].astype(int) - frame).mean() < 2  # also: red is not blue
    assert (clip.folder / FRAMES).stat().st_size < frame.nbytes / 4


class Planes(Frames):
    """Makes a picture, a mask and numbers of every frame."""

    planes = (Plane("picture", colour=True), Plane("mask", exact=True), Plane("numbers"))

    def make(
        self, source: FrameSource, size: tuple[int, int], keep: Keep | None = None, broken: Broken | None = None
    ) -> Iterator[tuple[int, dict[str, Pixels]]]:
        smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8), (0, 0), 4)
        for frame_number, _ in source.frames(size, keep, broken):
            numbers = np.roll(smooth, frame_number, axis=1)
            mask = (numbers > 128) * np.uint8(255)
            yield frame_number, {"mask": mask, "numbers": numbers, "picture": np.stack([numbers, mask, numbers], 2)}


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_an_entry_holds_named_planes(tmp_path: Path, codec: Codec) -> None:
    size = (41, 67)  # a number of pixels that eight does not divide
    store, clip = FrameStore(tmp_path), drawn("run")
    store.open()
    stored = store.write(clip, size, codec, Planes())
    names = [plane.name for plane in Planes.planes]
    assert [plane.name for plane in stored.planes] == names and len(stored) == 4
    for frame_number, planes in Planes().make(clip.source, size):
        found = {name: stored.read([frame_number], name)[0] for name in names}
        assert np.array_equal(found["mask"], planes["mask"])  # whatever the codec
        for name in names:
            assert found[name].shape == planes[name].shape
            assert np.abs(found[name].astype(int) - planes[name]).mean() < (1 if codec == "raw" else 12), name
            assert np.array_equal(found[name], planes[name]) or codec == "jpeg"
    others = {entry_name(clip, size, codec), entry_name(clip, size, codec, Planes())}
    assert len(others) == 2 and stored.folder.name in others


def test_every_nth_frame_and_the_annotated_ones_are_kept(tmp_path: Path) -> None:
    write_images(tmp_path / "run", frames=10)
    clip = Clip("run", ImageFrames(tmp_path / "run"), {4: lambda: draw_frame(0, 4)[1]}, every_nth=3)
    assert ready(FrameStore(tmp_path / "store"), clip).frame_numbers.tolist() == [0, 3, 4, 6, 9]


def test_the_name_changes_with_all_that_the_bytes_depend_on(tmp_path: Path) -> None:
    write_images(tmp_path / "run", frames=3)
    file = tmp_path / "run" / "00001.jpg"

    def name(clip_name: str = "run", size: tuple[int, int] = SIZE, codec: Codec = "raw", nth: int = 1) -> str:
        return entry_name(Clip(clip_name, open_frames(tmp_path / "run"), {}, nth), size, codec)

    first = name()
    assert first == name() and re.fullmatch(r"run-[0-9a-f]{16}", first)
    names = [first, name("other"), name(size=(24, 32)), name(codec="jpeg"), name(nth=2)]
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))  # touched, same size
    names.append(name())
    moment = file.stat().st_mtime_ns
    file.write_bytes(file.read_bytes() + b"\0")  # another size, same time
    os.utime(file, ns=(moment, moment))
    names.append(name())
    write_images(tmp_path / "run", frames=4)
    names.append(name())
    assert len(set(names)) == len(names)
    masks = {1: lambda: draw_frame(0, 1)[1]}
    sparse = [Clip("run", open_frames(tmp_path / "run"), m, 2) for m in ({}, masks)]
    assert len({entry_name(clip, SIZE, "raw") for clip in sparse}) == 2  # frame 1 is kept for its mask
    source = open_frames(tmp_path / "run")
    ways = [Clip("run", source, masks), Clip("run", source, masks, annotated_only=True)]  # to train on, to evaluate
    ways += [Clip("run", source, masks, chosen=frozenset(chosen)) for chosen in ((0,), (0, 2))]  # by fps or times
    assert len({entry_name(clip, SIZE, "raw") for clip in ways}) == len(ways)
    assert entry_name(ways[0], SIZE, "raw") == name()  # a mask more changes nothing where all frames are kept
    assert "/" not in entry_name(Clip("a/b c", Drawn(1), {}), SIZE, "raw")


def test_a_changed_video_is_decoded_again(tmp_path: Path) -> None:
    video = write_video(tmp_path / "run.mp4", clip=0)
    videos(video, tmp_path / "store").setup("fit")
    write_video(video, clip=1)
    os.utime(video, ns=(1, 1))
    module = videos(video, tmp_path / "store")
    module.setup("fit")
    assert np.abs(module.dataset("train").clips[0].read([2])[0].astype(int) - draw_frame(1, 2)[0]).mean() < 20


def test_a_copy_of_the_source_is_not_decoded_again(tmp_path: Path) -> None:
    write_images(tmp_path / "here" / "monday" / "run")
    write_video(tmp_path / "here" / "walk.mp4")
    store = tmp_path / "store"
    videos(tmp_path / "here", store).prepare()
    before = entries(store)
    shutil.copytree(tmp_path / "here", tmp_path / "there")  # keeps the times
    shutil.copytree(store, tmp_path / "copy")
    shutil.rmtree(tmp_path / "here")
    for folder in (store, tmp_path / "copy"):
        videos(tmp_path / "there", folder).prepare()
        assert entries(folder) == before and len(before) == 2
    for file in (tmp_path / "there" / "walk.mp4", tmp_path / "there" / "monday" / "run" / "00003.jpg"):
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    videos(tmp_path / "there", store).prepare()
    assert len(entries(store)) == 4


def test_a_source_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    clip = drawn("run", hook=lambda number: setattr(clip.source, "name", f"changed {number}"))
    with pytest.raises(StoreError, match="Clip 'run' changed while it was read"):
        ready(FrameStore(tmp_path), clip)
    assert entries(tmp_path) == []


def test_nothing_is_decoded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "run.mp4")
    module = videos(video, tmp_path / "store")
    assert re.fullmatch(r"1 clip, 6 frames, 0\.1 MB \(raw\) in .*store", module.prepare())
    before = content(tmp_path / "store")
    monkeypatch.setattr(FrameStore, "write", lambda *_, **__: pytest.fail("decoded again"))
    again = videos(video, tmp_path / "store")
    again.prepare_data()
    again.setup()
    assert content(tmp_path / "store") == before


KILLED = """
import os, signal, sys
from datamodules import VideosDataModule
from datamodules.store.entry import EntryWriter
from datamodules.store.store import FrameStore
add, finish, publish, count = EntryWriter.add, EntryWriter.finish, FrameStore._publish, 0
def die(): os.kill(os.getpid(), signal.SIGKILL)
def counted(*args):
    global count
    count += 1
    if count == 9: die()
    add(*args)
if sys.argv[3] == "frame": EntryWriter.add = counted
if sys.argv[3] == "index": EntryWriter.finish = lambda self, about: (finish(self, about), die())
if sys.argv[3] == "rename": FrameStore._publish = lambda *args: (publish(*args), die())
VideosDataModule(sys.argv[1], image_size=(48, 64), num_workers=0, store_dir=sys.argv[2]).prepare()
"""


@pytest.mark.parametrize(
    "moment", ["frame", pytest.param("index", marks=pytest.mark.slow), pytest.param("rename", marks=pytest.mark.slow)]
)
def test_a_kill_at_any_moment_changes_nothing_in_the_end(tmp_path: Path, moment: str) -> None:
    for number in range(3):
        write_video(tmp_path / "clips" / f"run{number}.mp4", number)
    calm, store = tmp_path / "calm", tmp_path / "store"
    videos(tmp_path / "clips", calm).prepare()
    killed = [sys.executable, "-c", KILLED, str(tmp_path / "clips"), str(store), moment]
    done = subprocess.run(killed, cwd=ROOT, capture_output=True, timeout=900, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    if moment != "rename":  # at which no other clip need be half written
        assert [name for name in entries(store) if name.startswith(".part-")]
    assert len([name for name in entries(store) if not name.startswith(".")]) < 3  # it was in the middle
    videos(tmp_path / "clips", store).prepare()
    assert content(store) == content(calm) and len(content(store)) == 9


def test_two_writers_of_one_entry_do_no_harm(tmp_path: Path) -> None:
    both = Barrier(2, timeout=900)
    found: list[StoredClip] = []
    store = FrameStore(tmp_path)
    store.open()

    def write() -> None:
        found.append(store.write(drawn("run", hook=lambda _: both.wait()), SIZE, "raw"))

    threads = [Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0].folder == found[1].folder and entries(tmp_path) == [found[0].folder.name]
    assert found[0].read([3]).max() == 3


OTHER = """
import sys
from pathlib import Path
from datamodules.store.store import FrameStore
from tests.datamodules.store.test_store import SIZE, drawn
def wait(number):
    if number == 2:
        print("half", flush=True)
        sys.stdin.readline()
FrameStore(Path(sys.argv[1])).write(drawn("run", hook=wait), SIZE, "raw")
"""


@contextmanager
def other_process(store: FrameStore) -> Iterator[subprocess.Popen[str]]:
    """A process that has made half of an entry, and makes the rest when a line is sent."""
    store.open()
    words = [sys.executable, "-c", OTHER, str(store.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "half\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("killed", [False, True])
def test_an_entry_that_another_process_makes_is_waited_for(
    killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say = StoredClips._say_waiting

    def go_on(clips: StoredClips, name: str) -> None:
        say(clips, name)
        if killed:
            process.kill()
        process.communicate("\n", timeout=900)

    store, made = FrameStore(tmp_path), list[int]()
    monkeypatch.setattr(StoredClips, "_say_waiting", go_on)
    clips = StoredClips(store, SIZE)
    with other_process(store) as process:
        assert clips.open([drawn("run", hook=made.append)], "raw")
    assert made == ([0, 1, 2, 3] if killed else [])
    said = f"Another process is making clip 'run' in {tmp_path}: what it makes first is waited for, not made twice.\n"
    assert capsys.readouterr().err.count(said) == 1
    assert [path.name for path in tmp_path.glob(".making-*")] == []
    assert clips[drawn("run")].read([3]).max() == 3


def test_waiting_for_another_process_can_be_interrupted(tmp_path: Path) -> None:
    def check() -> None:
        raise InterruptedError

    store = FrameStore(tmp_path)
    with other_process(store) as process:
        with pytest.raises(InterruptedError):
            store.write(drawn("run"), SIZE, "raw", check=check)
        process.communicate("\n", timeout=900)
    assert entries(tmp_path) == [entry_name(drawn("run"), SIZE, "raw")]


def test_the_mark_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    mark = tmp_path / ".making-run-0123456789abcdef"
    mark.touch()
    FrameStore(tmp_path).use([])
    assert not mark.exists()


def test_an_entry_is_made_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("backdrop.locks.fcntl.lockf", none)
    store = FrameStore(tmp_path)
    with other_process(store) as process:
        found = store.write(drawn("run"), SIZE, "raw")
        process.communicate("\n", timeout=900)
    assert process.returncode == 0 and entries(tmp_path) == [found.folder.name]


def test_the_next_writer_leaves_a_living_one_alone(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    ready(store, drawn("run", hook=lambda _: store.open()))  # looks for leftovers while the entry is half written
    assert len(entries(tmp_path)) == 1


def test_a_damaged_entry_is_made_anew(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    clip = drawn("run")
    folder = ready(store, clip).folder
    whole = content(tmp_path)
    for damage in (
        lambda: os.truncate(folder / FRAMES, FRAME),
        lambda: (folder / INDEX).write_bytes(b"PK"),
        lambda: (folder / ENTRY).write_text("{"),
        lambda: (folder / ENTRY).unlink(),
    ):
        damage()
        assert store.find("run", folder.name) is None
        assert len(ready(store, clip)) == 4
        assert content(tmp_path) == whole


def test_damage_while_reading_is_named(tmp_path: Path) -> None:
    clips = [ready(FrameStore(tmp_path), drawn(codec), codec) for codec in ("raw", "jpeg")]  # type: ignore[arg-type]
    for clip in clips:
        (clip.folder / FRAMES).write_bytes(b"")
        with pytest.raises(ValueError, match=rf"{clip.folder} are damaged: delete that folder"):
            clip.read([1])


def aged(store: FrameStore, *names: str) -> list[StoredClip]:
    """Entries, the first one unused for longest."""
    clips = [ready(store, drawn(name)) for name in names]
    for age, clip in enumerate(clips):
        os.utime(clip.folder / ENTRY, (1000.0 + age, 1000.0 + age))
    return clips


def left(store: FrameStore) -> list[str]:
    return [name.split("-")[0] for name in entries(store.folder) if not name.startswith(".")]


def test_entries_unused_for_longest_make_room(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, limit=12 * FRAME)
    a, b, _ = aged(store, "a", "b", "c")
    assert store.find("a", a.folder.name) is not None  # used just now
    ready(store, drawn("d"))
    assert left(store) == ["a", "c", "d"]
    store.make_room(4 * FRAME, needed=[entry_name(drawn("c"), SIZE, "raw")])
    assert left(store) == ["c", "d"] and not b.folder.exists()


def test_nothing_is_removed_in_vain(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, limit=12 * FRAME)
    clips = aged(store, "a", "b", "c")
    with pytest.raises(StoreError, match="store_limit_gb"):
        store.make_room(9 * FRAME, needed=[clips[0].folder.name])
    assert left(store) == ["a", "b", "c"]


def test_entries_in_use_stay(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, limit=12 * FRAME)
    clips = aged(store, "a", "b", "c")
    use = store.use([clips[0].folder.name])
    store.make_room(4 * FRAME)
    assert left(store) == ["a", "c"]
    use.close()
    store.make_room(8 * FRAME)
    assert left(store) == ["c"]


def test_a_dead_process_uses_nothing(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, limit=8 * FRAME)
    clips = aged(store, "a", "b")
    child = os.fork()
    if child == 0:
        store.use([clip.folder.name for clip in clips])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    store.make_room(4 * FRAME)
    assert left(store) == ["b"]
    assert not list(tmp_path.glob(".use-*"))


def test_a_data_module_keeps_what_it_reads(tmp_path: Path) -> None:
    video = write_video(tmp_path / "run.mp4")
    module = videos(video, tmp_path / "store", store_limit_gb=10 * FRAME / 1e9)
    module.setup("fit")
    with pytest.raises(StoreError, match="store_limit_gb"):
        ready(FrameStore(tmp_path / "store", 8 * FRAME), drawn("other"))
    assert module.dataset("train")[5]["image"].shape == (3, *SIZE)


def test_no_moment_passes_before_an_entry_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process wants all of the room whenever an entry was found, or has just appeared."""
    for number in range(3):
        write_video(tmp_path / "clips" / f"run{number}.mp4", number)
    store = tmp_path / "store"
    refused: list[str] = []

    def crowd() -> None:
        try:
            FrameStore(store, 6 * FRAME).make_room(6 * FRAME)
        except StoreError as error:
            refused.append(str(error))

    videos(tmp_path / "clips" / "run0.mp4", store).prepare()
    real_find, real_publish = FrameStore.find, FrameStore._publish

    def find(self: FrameStore, clip: str, entry: str) -> StoredClip | None:
        found = real_find(self, clip, entry)
        crowd()
        return found

    def publish(self: FrameStore, part: Path, name: str) -> None:
        real_publish(self, part, name)
        crowd()

    monkeypatch.setattr(FrameStore, "find", find)
    monkeypatch.setattr(FrameStore, "_publish", publish)
    module = videos(tmp_path / "clips", store, store_codec="raw")
    module.setup()
    assert len(refused) == 5  # three clips were looked for, of which two were written
    assert all(len(module.dataset(split)[0]["image"]) == 3 for split in ("train", "val", "test"))


def test_what_could_not_be_opened_is_not_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "run.mp4")
    videos(video, tmp_path / "store", store_codec="raw").prepare()
    write_video(tmp_path / "other.mp4", 1)
    monkeypatch.setattr(FrameStore, "_publish", lambda *_: pytest.fail("no disk"))
    module = videos(tmp_path, tmp_path / "store", store_codec="raw")
    with pytest.raises(pytest.fail.Exception, match="no disk"):
        module.prepare()
    FrameStore(tmp_path / "store", 6 * FRAME).make_room(6 * FRAME)  # the module is still there
    assert left(module.store) == []


def test_what_can_never_fit_is_refused_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "run.mp4")
    monkeypatch.setattr(FrameStore, "write", lambda *_, **__: pytest.fail("began to write"))
    small = videos(video, tmp_path / "store", store_codec="raw", store_limit_gb=5 * FRAME / 1e9)
    with pytest.raises(StoreError, match=r"need 0\.0 MB more than the 0\.0 MB that store_limit_gb allows"):
        small.prepare()
    monkeypatch.setattr("datamodules.store.store._free", lambda _: 64 * 2**20 + 5 * FRAME)
    with pytest.raises(StoreError, match=r"more than is free in .*store: free some"):
        videos(video, tmp_path / "store", store_codec="raw").prepare()
    assert entries(tmp_path / "store") == []


def test_jpeg_that_grows_over_the_bound_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="store_limit_gb"):
        ready(FrameStore(tmp_path, limit=100), drawn("run"), "jpeg")
    assert entries(tmp_path) == []


def test_auto_is_jpeg_where_raw_does_not_fit_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "run.mp4")
    spare = 64 * 2**20
    monkeypatch.setattr("datamodules.store.store._free", lambda _: spare + 5 * FRAME)
    assert "(jpeg)" in videos(video, tmp_path / "small" / "store").prepare()
    monkeypatch.setattr("datamodules.store.store._free", lambda _: spare + 6 * FRAME)
    assert "(raw)" in videos(video, tmp_path / "store").prepare()
    monkeypatch.setattr("datamodules.store.store._free", lambda _: spare)  # what is there needs no room
    assert "(raw)" in videos(video, tmp_path / "store").prepare()


def test_a_part_that_vanishes_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FrameStore(tmp_path)
    (tmp_path / ".part-left").mkdir()
    monkeypatch.setattr(Path, "glob", lambda folder, _: iter([folder / ".part-gone", folder / ".part-left"]))
    store.open()
    assert entries(tmp_path) == []


def test_nothing_is_removed_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("backdrop.locks.fcntl.flock", none)
    store = FrameStore(tmp_path, limit=8 * FRAME)
    aged(store, "a", "b")
    (tmp_path / ".part-other").mkdir()
    store.open()
    with pytest.raises(StoreError, match="store_limit_gb"):
        ready(store, drawn("c"))
    assert left(store) == ["a", "b"] and (tmp_path / ".part-other").is_dir()


def test_auto_is_raw_where_all_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "run.mp4")  # 6 frames, which serve for all splits

    def codec(stage: str, **changes: object) -> str:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        module = videos(video, tmp_path / "store", **changes)
        module.setup(stage)
        return next(iter(module._stored.frames._entries.values())).codec

    assert codec("fit") == "raw"
    assert codec("fit", store_limit_gb=5 * FRAME / 1e9) == "jpeg"
    monkeypatch.setattr("datamodules.store.stored_data.machine_memory", lambda: 12 * FRAME)
    assert codec("test") == "raw"
    monkeypatch.setattr("datamodules.store.stored_data.machine_memory", lambda: 12 * FRAME - 1)
    assert codec("fit") == codec("test") == "jpeg"
    assert codec("fit", store_codec="raw") == "raw"
    with pytest.raises(ValueError, match="expected auto, raw or jpeg"):
        videos(video, tmp_path, store_codec="png")


def test_auto_takes_what_another_machine_has_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        write_images(tmp_path / "clips" / f"run{number}", number)
    store, other = tmp_path / "store", tmp_path / "other"

    def prepare(folder: Path, memory: int, codec: str = "auto") -> str:
        monkeypatch.setattr("datamodules.store.stored_data.machine_memory", lambda: memory)
        return videos(tmp_path / "clips", folder, store_codec=codec).prepare()

    assert "(raw)" in prepare(store, 10**12) and "(raw)" in prepare(store, 1)
    assert "(jpeg)" in prepare(other, 1) and "(jpeg)" in prepare(other, 10**12)
    assert len(entries(store)) == len(entries(other)) == 2
    shutil.rmtree(next(other.glob("run1-*")))  # not all of them any more: this machine decides
    assert "(raw)" in prepare(other, 10**12)
    prepare(store, 1, "jpeg")  # both are there: so it does
    assert "(jpeg)" in prepare(store, 1) and "(raw)" in prepare(store, 10**12)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"No space left in .*store.*free some, set store_dir to a larger disk"),
        (errno.EDQUOT, r"No space left in .*store"),
        (errno.EROFS, r"Cannot write into .*store.*Read-only.*set store_dir or BACKDROP_CACHE"),
        (errno.EACCES, r"Cannot write into .*store.*denied.*set store_dir"),
        (errno.EIO, r"Cannot write into .*store.*check that disk"),
    ],
)
@pytest.mark.parametrize("place", ["add", "finish", "os.fsync", "os.replace", "os.open"])
def test_a_disk_that_refuses_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str, place: str
) -> None:
    video = write_video(tmp_path / "run.mp4")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if place.startswith("os."):
            patch.setattr(f"datamodules.store.{'entry' if place == 'os.fsync' else 'store'}.{place}", refuse)
        else:
            patch.setattr(EntryWriter, place, refuse)
        with pytest.raises(StoreError, match=message) as caught:
            videos(video, tmp_path / "store").prepare()
        assert "\n" not in str(caught.value)
    assert entries(tmp_path / "store") == []
    videos(video, tmp_path / "store").prepare()
    assert len(entries(tmp_path / "store")) == 1


@pytest.mark.slow
def test_a_full_disk_is_one_for_real(tmp_path: Path) -> None:
    """The kernel refuses the write, in the middle of a frame."""
    write_images(tmp_path / "run", frames=3)
    script = (
        "import resource, sys\n"
        "from datamodules import VideosDataModule\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "VideosDataModule(sys.argv[1], image_size=(48, 64), store_dir=sys.argv[2]).prepare()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "run"), str(tmp_path / "store")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 1 and "StoreError: No space left in" in done.stderr.splitlines()[-1]
    assert entries(tmp_path / "store") == []


def test_a_complete_store_may_be_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "run.mp4", frames=6)
    videos(video, tmp_path / "store").prepare()

    real = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, mode)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("os.open", read_only)
    for name in ("os.utime", "os.mkdir", "os.replace"):
        monkeypatch.setattr(name, refuse)
    module = videos(video, tmp_path / "store")
    module.prepare_data()
    module.setup()
    assert len(module.dataset("test")) == 6 and module.dataset("test")[3]["index"] == 3
    with pytest.raises(StoreError, match="Read-only"):
        videos(video, tmp_path / "store", scale=0.5).prepare()


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_broken_image_is_left_out_and_listed(tmp_path: Path, content: bytes | None) -> None:
    for number, name in enumerate("ab"):
        write_images(tmp_path / "clips" / name, number, frames=5)
    file = tmp_path / "clips" / "a" / "00000.jpg"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)
    module = videos(tmp_path / "clips", tmp_path / "store")
    assert "2 clips, 9 frames" in module.prepare()
    listed = next((tmp_path / "store").glob("problems-videos-*.csv"))
    assert module.prepare().endswith(f"; 1 frame skipped in 1 clip: see {listed}")
    again = videos(tmp_path / "clips", tmp_path / "store")  # nothing is decoded now, and still it is told
    with pytest.warns(UserWarning, match="1 frame skipped in 1 clip"):
        again.setup()
    assert [(p.clip, p.frame) for p in again.problems()] == [("a", 0)] and str(file) in again.problems()[0].reason
    lines = listed.read_text().splitlines()
    assert lines[0] == "clip,frame,reason" and lines[1].startswith("a,0,") and len(lines) == 2
    write_images(tmp_path / "clips" / "a", frames=5)  # mended
    os.utime(file, ns=(1, 1))
    mended = videos(tmp_path / "clips", tmp_path / "store")
    assert "skipped" not in mended.prepare() and mended.problems() == []
    assert listed.read_text() == "clip,frame,reason\n"


def test_every_root_keeps_its_list_of_problems(tmp_path: Path) -> None:
    for root in ("one", "two"):
        write_images(tmp_path / root / "run", frames=3)
        (tmp_path / root / "run" / "00001.jpg").write_bytes(b"nothing")
    lines = [videos(tmp_path / root, tmp_path / "store").prepare() for root in ("one", "two")]
    for root, line in zip(("one", "two"), lines, strict=True):
        listed = read_table(Path(line.split(": see ")[1]).read_text())
        assert [(p.clip, p.frame) for p in listed] == [("run", 1)] and str(tmp_path / root) in listed[0].reason


def test_a_stage_keeps_the_problems_of_the_others(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_images(tmp_path / "clips" / name, number, frames=3)
        (tmp_path / "clips" / name / "00001.jpg").write_bytes(b"nothing")
    (tmp_path / "clips" / "splits.json").write_text(json.dumps({"train": ["a"], "val": ["a"], "test": ["b"]}))

    def after(stage: str) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            videos(tmp_path / "clips", tmp_path / "store").setup(stage)
        (file,) = (tmp_path / "store").glob("problems-*.csv")
        return sorted(problem.clip for problem in read_table(file.read_text()))

    assert [after("fit"), after("test"), after("fit")] == [["a"], ["a", "b"], ["a", "b"]]
    write_images(tmp_path / "clips" / "a", frames=3)  # mended
    assert [after("test"), after("fit")] == [["a", "b"], ["b"]]
    (tmp_path / "clips" / "splits.json").write_text(json.dumps({"train": ["a"]}))  # nobody asks for b any more
    assert after("fit") == []


def test_a_clip_without_a_whole_frame_is_left_out_and_listed(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", "empty")):
        write_images(tmp_path / "clips" / name, number, frames=2)
    for file in (tmp_path / "clips" / "a").iterdir():
        file.write_bytes(b"nothing")
    write_video(tmp_path / "clips" / "c.mp4").write_bytes(b"nothing")
    (tmp_path / "clips" / "splits.json").write_text(json.dumps({"train": ["a", "b", "c", "empty"]}))
    module = videos(tmp_path / "clips", tmp_path / "store")
    assert "2 clips, 4 frames" in module.prepare() and "2 clips skipped" in module.prepare()
    assert [(p.clip, p.frame) for p in module.problems()] == [("a", None), ("c", None)]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_cut_video_keeps_its_beginning(tmp_path: Path, container: str) -> None:
    options = {"movflags": "faststart"} if container == "mp4" else {}
    video = write_video(tmp_path / f"run.{container}", frames=60, options=options)
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    module = videos(video, tmp_path / "store")
    module.prepare()
    with pytest.warns(UserWarning, match="frames skipped in 1 clip"):
        module.setup("fit")
    kept = module.dataset("train").clips[0].frame_numbers.tolist()
    lost = [problem.frame for problem in module.problems()]
    assert 5 < len(kept) < 55 and kept[:6] == list(range(6))
    assert sorted([*kept, *(frame for frame in lost if frame is not None)]) == list(range(60))
    assert len(kept) + len(lost) == 60 and "run" in module.problems()[-1].reason


def test_a_broken_packet_costs_its_frames_only(tmp_path: Path) -> None:
    import av

    video = write_video(tmp_path / "run.mp4", frames=30, options={"movflags": "faststart"})
    with av.open(str(video)) as file:
        packet = [(p.pos, p.size) for p in file.demux(video=0) if p.size][12]
    data = bytearray(video.read_bytes())
    data[packet[0] : packet[0] + packet[1]] = bytes(packet[1])
    video.write_bytes(data)
    problems: list[tuple[int, str]] = []
    numbers = [number for number, _ in VideoFrames(video).frames(broken=lambda *what: problems.append(what))]
    assert len(numbers) >= 25 and numbers[-1] == 29
    assert sorted([*numbers, *(number for number, _ in problems)]) == list(range(30))
    with pytest.raises(ValueError, match=r"run\.mp4"):
        list(VideoFrames(video).frames())


def test_masks_of_lost_frames_are_left_out_with_them(tmp_path: Path) -> None:
    write_images(tmp_path / "clips" / "run", frames=4)
    (tmp_path / "masks" / "run").mkdir(parents=True)
    for frame in range(4):
        Image.fromarray(draw_frame(0, frame)[1]).save(tmp_path / "masks" / "run" / f"{frame:05d}.png")
    (tmp_path / "clips" / "run" / "00002.jpg").write_bytes(b"nothing")
    module = videos(tmp_path, tmp_path / "store")
    with pytest.warns(UserWarning, match="1 frame skipped"):
        module.setup("test")
    assert module.dataset("test").masked_frames == 3
    assert np.array_equal(module.dataset("test")[2]["mask"][0].numpy(), draw_frame(0, 3)[1])


def test_a_clip_that_is_too_short_is_left_out_and_listed(tmp_path: Path) -> None:
    write_images(tmp_path / "clips" / "long", frames=6)
    write_images(tmp_path / "clips" / "short", frames=2)
    (tmp_path / "clips" / "splits.json").write_text(json.dumps({"train": ["long", "short"]}))
    module = videos(tmp_path / "clips", tmp_path / "store", min_frames=3)
    with pytest.warns(UserWarning, match="1 clip skipped"):
        module.setup("fit")
    assert module.dataset("train").clip_names == ["long"]
    reason = "Only 2 of at least 3 frames can be read: add frames, or lower min_frames."
    assert module.problems() == [Problem("short", None, reason)]
    with pytest.raises(ValueError, match=r"can be read is left in the train split.*Only 6 of at least 7 frames"):
        videos(tmp_path / "clips", tmp_path / "store", min_frames=7).setup("fit")


def test_a_failing_source_disk_is_no_broken_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "run", frames=3)
    real = Image.open

    def fail(path: Path) -> Image.Image:
        if Path(path).name == "00001.jpg":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match=r"00001\.jpg.*check the disk"):
        videos(tmp_path / "run", tmp_path / "store").prepare()
    assert entries(tmp_path / "store") == []


@pytest.mark.parametrize("kind", ["static", "temporal"])
def test_what_makes_plates_can_be_interrupted_before_every_frame(kind: PlateKind, tmp_path: Path) -> None:
    clip = Clip("run", VideoFrames(write_video(tmp_path / "run.mp4", frames=6)))
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise InterruptedError

    store = FrameStore(tmp_path / "store")
    store.open()
    with pytest.raises(InterruptedError):
        store.write(clip, SIZE, "raw", plate_producer(kind), check=check)
    assert entries(tmp_path / "store") == []


@pytest.mark.parametrize("chosen", [None, frozenset({7})])
def test_an_interruption_waits_for_no_clip_however_little_of_it_is_kept(
    chosen: frozenset[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    class Endless(Drawn):
        def frames(
            self, size: tuple[int, int] | None = None, keep: Keep | None = None, broken: Broken | None = None
        ) -> Iterator[tuple[int, Pixels]]:
            for number in count():
                time.sleep(0.001)
                if keep is None or keep(number, number):
                    yield number, np.zeros((*SIZE, 3), np.uint8)

    module = videos(write_video(tmp_path / "run.mp4"), tmp_path / "store")
    monkeypatch.setattr(module.data_set, "split_clips", lambda split: [Clip("endless", Endless(1), chosen=chosen)])
    monkeypatch.setattr("datamodules.store.stored_clips.wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        module.prepare()
    assert entries(tmp_path / "store") == []


def test_an_interruption_keeps_the_clips_that_are_complete_and_says_that_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(tasks: list[Future[StoredClip]], **_: object) -> None:
        tasks[0].result(timeout=900)
        raise Terminated

    clips = StoredClips(FrameStore(tmp_path), SIZE)
    monkeypatch.setattr("datamodules.store.stored_clips.wait", interrupt)
    with pytest.raises(Terminated, match=r"^: the same command goes on from here$"):
        clips.open([drawn("first"), drawn("second", 10**9)], "jpeg")
    assert entries(tmp_path) == [entry_name(drawn("first"), SIZE, "jpeg")]


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    """Writing and reading 3000 frames of 27 MB in all, as numpy's own account has it."""
    store, clip = FrameStore(tmp_path), drawn("run", 3000)
    tracemalloc.start()
    try:
        stored = ready(store, clip)
        dataset = FrameDataset([stored])
        for start in range(0, 3000, 10):
            dataset.__getitems__(range(start, start + 10))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (stored.folder / FRAMES).stat().st_size == 3000 * FRAME
    assert peak < 3000 * FRAME / 10


def test_only_so_many_files_are_open(tmp_path: Path) -> None:
    files = _OpenFiles(2)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode())
    first = files.get(paths[0])
    second = files.get(paths[1])
    assert files.get(paths[0]) == first
    files.get(paths[2])  # the second was unused for longest
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(second) if second != files.get(paths[2]) else os.close(-1)
    assert os.pread(files.get(paths[0]), 1, 0) == b"a" and os.pread(files.get(paths[1]), 1, 0) == b"b"


def test_problems_are_counted_and_quoted() -> None:
    problems = [Problem("a", 1, 'no "x", y'), Problem("a", 2, "z"), Problem("b", 0, "z"), Problem("c", None, "w")]
    assert summary(problems) == "3 frames skipped in 2 clips, 1 clip skipped"
    assert summary(problems[:1]) == "1 frame skipped in 1 clip" and summary([]) == ""
    assert table(problems).splitlines() == ["clip,frame,reason", 'a,1,"no ""x"", y"', "a,2,z", "b,0,z", "c,,w"]
    assert read_table(table(problems)) == problems and read_table("clip,frame,reason\nx,y,z\nw\n") == []


def test_a_folder_that_forbids_new_files_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:  # as in a folder that is immutable
        if flags & os.O_CREAT:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        return whole(path, flags, mode)

    store = FrameStore(tmp_path)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"Cannot write into .*Operation not permitted.*set store_dir"):
        store.open()
