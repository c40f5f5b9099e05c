"""The clips of one data module in the frame store: opened where they are there, decoded where they are not."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event

from backdrop.locks import Use
from backdrop.progress import progress
from datamodules.clips.clip import Clip, refuse_strays
from datamodules.clips.problems import Problem
from datamodules.store.codecs import CODECS, Codec
from datamodules.store.entry import StoredClip, open_entry
from datamodules.store.store import FrameStore, entry_name

_DECODERS = 2


class StoredClips:
    """Entries of a frame store by the clip that they belong to, held as long as the data module lives.

    Args:
        store: The store.
        size: Working size (height, width) in pixels.
        min_frames: Clips of which fewer frames can be read are not usable; of clips that keep their annotated frames
            only, one is enough.
        task: What the progress bar says while clips are decoded.
    """

    def __init__(
        self, store: FrameStore, size: tuple[int, int], min_frames: int, task: str = "Storing frames (once)"
    ) -> None:
        self.store = store
        self.size = size
        self.min_frames = min_frames
        self.task = task
        self._entries: dict[Hashable, StoredClip] = {}
        self._short: dict[Hashable, Problem] = {}
        self._use: Use | None = None

    def __getitem__(self, clip: Clip) -> StoredClip:
        """The entry of a clip that was opened."""
        return self._entries[clip.kept]

    def usable(self, clips: Sequence[Clip]) -> list[Clip]:
        """Those of some opened clips of which enough can be read."""
        return [clip for clip in clips if len(self[clip]) >= self._least(clip)]

    def problems(self) -> list[Problem]:
        """Frames and clips that are left out, each once."""
        found = [problem for entry in self._entries.values() for problem in entry.problems]
        return list(dict.fromkeys([*found, *self._short.values()]))

    def open(self, clips: Sequence[Clip], codec: Codec) -> bool:
        """Open the entries of clips; decode what is missing, a few clips at a time, with a progress bar.

        Args:
            clips: The clips.
            codec: How frames are kept.

        Returns:
            Whether anything had to be decoded.

        Raises:
            OSError: If the disk of the frames fails.
            StoreError: If the store is full or must not be written.
            ValueError: If an annotation belongs to no frame.
        """
        clips = list({clip.kept: clip for clip in clips if clip.kept not in self._entries}.values())  # each once
        if not clips:
            return False
        names = {clip.kept: entry_name(clip, self.size, codec) for clip in clips}
        self._hold(names.values())  # before looking: what is found, or written later, must not make room for others
        try:
            found: dict[Hashable, StoredClip | None] = {
                clip.kept: self.store.find(clip.name, names[clip.kept]) for clip in clips
            }
            missing = [clip for clip in clips if found[clip.kept] is None]
            if missing:
                needed = {entry.folder.name for entry in self._entries.values()} | set(names.values())
                self.store.open()
                self._hold(names.values())  # again: the folder may not have been there
                self.store.make_room(sum(map(self.bytes, missing)) if codec == "raw" else 0, needed)
                found.update(self._decode(missing, codec, needed))
        except BaseException:
            self._hold()
            raise
        self._entries.update({kept: entry for kept, entry in found.items() if entry is not None})
        for clip in clips:
            self._look_at(clip)
        return bool(missing)

    def only_codec(self, clips: Sequence[Clip]) -> Codec | None:
        """The codec in which the store holds all of some clips; None where it is none, or either."""

        def is_there(clip: Clip, codec: Codec) -> bool:
            return open_entry(clip.name, self.store.folder / entry_name(clip, self.size, codec)) is not None

        whole = [codec for codec in CODECS if all(is_there(clip, codec) for clip in clips)]
        return whole[0] if len(whole) == 1 else None

    def bytes(self, clip: Clip) -> int:
        """What the frames of a clip take as they are."""
        return len(clip) * self.size[0] * self.size[1] * 3

    def raw_fits(self, clips: Sequence[Clip]) -> bool:
        """Whether the frames of clips have room on the disk as they are, beside all that is there."""
        free = self.store.free()
        if sum(map(self.bytes, clips)) <= free:
            return True
        names = ((clip, entry_name(clip, self.size, "raw")) for clip in clips)
        return sum(self.bytes(clip) for clip, name in names if not (self.store.folder / name).is_dir()) <= free

    def _decode(self, clips: Sequence[Clip], codec: Codec, needed: set[str]) -> dict[Hashable, StoredClip]:
        stop = Event()
        with (
            progress(sum(map(len, clips)) or None, self.task) as tick,
            ThreadPoolExecutor(_DECODERS) as pool,
        ):

            def check() -> None:
                if stop.is_set():
                    raise InterruptedError

            tasks = [pool.submit(self.store.write, clip, self.size, codec, needed, tick, check) for clip in clips]
            try:
                done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)
            for task in done:
                task.result()  # raises what went wrong first
            return {clip.kept: task.result() for clip, task in zip(clips, tasks, strict=True)}

    def _hold(self, names: Iterable[str] = ()) -> None:
        """Keep the entries that are open, and those of some names, from making room for others from now on."""
        held = {entry.folder.name for entry in self._entries.values()}
        before, self._use = self._use, self.store.use(held.union(names))
        if before is not None:
            before.close()

    def _look_at(self, clip: Clip) -> None:
        """Refuse annotations of frames that are not there, and note a clip that is too short."""
        entry = self[clip]
        left_out = {problem.frame for problem in entry.problems}
        if None in left_out:  # not one frame could be read: that is known, and the annotations have nothing to do
            return
        refuse_strays(clip, entry.indices, left_out)
        if len(entry) < self._least(clip):
            self._short[clip.kept] = Problem(clip.name, None, too_short(len(entry), self._least(clip)))

    def _least(self, clip: Clip) -> int:
        return 1 if clip.annotated_only else self.min_frames


def too_short(count: int, least: int) -> str:
    """Why a clip of so many frames is left out where so many are the least."""
    return f"Only {count} of at least {least} frames can be read: add frames, or lower min_frames."
