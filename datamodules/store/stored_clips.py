"""The clips of one data module in the frame store: opened where they are there, decoded where they are not."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event

from backdrop.errors import GO_ON
from backdrop.locks import Use
from backdrop.progress import progress
from datamodules.clips.clip import Clip, refuse_strays
from datamodules.clips.planes import Frames, Producer
from datamodules.clips.problems import Problem, too_short
from datamodules.store.codecs import CODECS, Codec
from datamodules.store.entry import StoredClip, entry_name, open_entry
from datamodules.store.store import FrameStore


class StoredClips:
    """Entries of a frame store, all of one producer, by the clip that they belong to, held as long as this lives.

    Args:
        store: The store.
        size: Working size (height, width) in pixels.
        min_frames: Clips of which fewer frames can be read are not usable; of clips that keep their annotated frames
            only, one is enough.
        producer: Makes the planes; by default the frames themselves.
    """

    def __init__(
        self, store: FrameStore, size: tuple[int, int], min_frames: int = 1, producer: Producer | None = None
    ) -> None:
        self.store = store
        self.size = size
        self.min_frames = min_frames
        self.producer = producer or Frames()
        self._entries: dict[Hashable, StoredClip] = {}
        self._short: dict[Hashable, Problem] = {}
        self._use: Use | None = None
        self._waited = False

    def __getitem__(self, clip: Clip) -> StoredClip:
        """The entry of a clip that was opened."""
        return self._entries[self._key(clip)]

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
            KeyboardInterrupt: If it was interrupted; clips that are complete are kept.
            StoreError: If the store is full or must not be written.
            ValueError: If an annotation belongs to no frame.
        """
        wanted = {self._key(clip): clip for clip in clips if self._key(clip) not in self._entries}  # each once
        if not wanted:
            return False
        names = {key: self._name(clip, codec) for key, clip in wanted.items()}
        self._hold(names.values())  # before looking: what is found, or written later, must not make room for others
        try:
            found = {key: self.store.find(self.producer.kept(clip).name, names[key]) for key, clip in wanted.items()}
            missing = {key: clip for key, clip in wanted.items() if found[key] is None}
            if missing:
                needed = {entry.folder.name for entry in self._entries.values()} | set(names.values())
                self.store.open()
                self._hold(names.values())  # again: the folder may not have been there
                self.store.make_room(sum(map(self.bytes, missing.values())) if codec == "raw" else 0, needed)
                found |= self._decode(missing, codec, needed)
        except BaseException:
            self._hold()
            raise
        self._entries.update({key: entry for key, entry in found.items() if entry is not None})
        for clip in wanted.values():
            self._check(clip)
        return bool(missing)

    def only_codec(self, clips: Sequence[Clip]) -> Codec | None:
        """The codec in which the store holds all of some clips; None where it is none, or either."""

        def is_there(clip: Clip, codec: Codec) -> bool:
            return open_entry(clip.name, self.store.folder / self._name(clip, codec)) is not None

        whole = [codec for codec in CODECS if all(is_there(clip, codec) for clip in clips)]
        return whole[0] if len(whole) == 1 else None

    def bytes(self, clip: Clip) -> int:
        """What the planes of a clip take as they are."""
        return len(self.producer.kept(clip)) * sum(math.prod(plane.shape(self.size)) for plane in self.producer.planes)

    def raw_fits(self, clips: Sequence[Clip]) -> bool:
        """Whether the planes of clips have room on the disk as they are, beside all that is there."""
        free = self.store.free()
        if sum(map(self.bytes, clips)) <= free:
            return True
        missing = (clip for clip in clips if not (self.store.folder / self._name(clip, "raw")).is_dir())
        return sum(map(self.bytes, missing)) <= free

    def _key(self, clip: Clip) -> Hashable:
        """Clips of which the producer makes the same entry have the same."""
        return self.producer.kept(clip).kept

    def _name(self, clip: Clip, codec: Codec) -> str:
        return entry_name(clip, self.size, codec, self.producer)

    def _decode(self, clips: Mapping[Hashable, Clip], codec: Codec, needed: set[str]) -> dict[Hashable, StoredClip]:
        stop = Event()
        expected = sum(len(self.producer.kept(clip)) for clip in clips.values())
        with progress(expected or None, self.producer.task) as tick, ThreadPoolExecutor(self.producer.at_once) as pool:

            def check() -> None:
                if stop.is_set():
                    raise InterruptedError

            def write(clip: Clip) -> StoredClip:
                return self.store.write(clip, self.size, codec, self.producer, needed, tick, check, self._say_waiting)

            tasks = [pool.submit(write, clip) for clip in clips.values()]
            try:
                done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            except KeyboardInterrupt as interruption:
                raise type(interruption)(GO_ON) from None
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)
            for task in done:
                task.result()  # raises what went wrong first
            return {key: task.result() for key, task in zip(clips, tasks, strict=True)}

    def _say_waiting(self, name: str) -> None:
        """Say once that another process makes what is wanted."""
        if not self._waited:
            self._waited = True
            where = f"clip '{name}' in {self.store.folder}"
            what = f"Another process is making {where}: what it makes first is waited for, not made twice."
            print(what, file=sys.stderr, flush=True)

    def _hold(self, names: Iterable[str] = ()) -> None:
        """Keep the entries that are open, and those of some names, from making room for others from now on."""
        held = {entry.folder.name for entry in self._entries.values()}
        before, self._use = self._use, self.store.use(held.union(names))
        if before is not None:
            before.close()

    def _check(self, clip: Clip) -> None:
        """Refuse annotations of frames that are not there, and note a clip that is too short."""
        entry, clip = self[clip], self.producer.kept(clip)
        left_out = {problem.frame for problem in entry.problems}
        if None in left_out:  # not one frame could be read: that is known, and the annotations have nothing to do
            return
        refuse_strays(clip, entry.frame_numbers, left_out)
        if len(entry) < self._least(clip):
            self._short[clip.kept] = Problem(clip.name, None, too_short(len(entry), self._least(clip)))

    def _least(self, clip: Clip) -> int:
        return 1 if clip.annotated_only else self.min_frames
