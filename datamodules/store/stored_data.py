"""All that one data module keeps in the store: the frames of its clips, and more planes of them, in one codec."""

from __future__ import annotations

from collections.abc import Sequence

from datamodules.clips.clip import Clip
from datamodules.clips.planes import Producer
from datamodules.clips.problems import counted
from datamodules.store.codecs import Codec
from datamodules.store.entry import StoredClip
from datamodules.store.memory import machine_memory
from datamodules.store.store import FrameStore, gigabytes
from datamodules.store.stored_clips import StoredClips

_MEMORY_SHARE = 0.5


class StoredData:
    """The stored clips of one data module.

    Args:
        store: The store.
        size: Working size (height, width) in pixels.
        min_frames: Clips of which fewer frames can be read are left out.
        codec: How planes are kept; None decides it when clips are first opened: as the store holds them already, else
            ``raw`` where all fits half of this machine's memory, the store's limit and the disk, else ``jpeg``.
        producers: What makes more planes.
    """

    def __init__(
        self,
        store: FrameStore,
        size: tuple[int, int],
        min_frames: int,
        codec: Codec | None,
        producers: Sequence[Producer],
    ) -> None:
        self.store = store
        self.frames = StoredClips(store, size, min_frames)
        self._more = [StoredClips(store, size, producer=producer) for producer in producers]
        self._codec = codec

    def __getitem__(self, clip: Clip) -> StoredClip:
        """The frames of a clip that was opened."""
        return self.frames[clip]

    def open(self, clips: Sequence[Clip], others: Sequence[Clip] = ()) -> bool:
        """Open the frames of clips; decode those that are not in the store.

        Args:
            clips: The clips.
            others: Clips that will be opened later; the codec is decided for them too, so that every stage decides
                alike.

        Returns:
            Whether anything had to be decoded.

        Raises:
            OSError: If the disk of the frames fails.
            StoreError: If the store is full or must not be written.
            ValueError: If an annotation belongs to no frame.
        """
        clips = list({clip.kept: clip for clip in clips}.values())
        if self._codec is None:
            self._codec = self.frames.only_codec(clips)
        if self._codec is None:
            self._codec = "raw" if self._raw_fits(list({clip.kept: clip for clip in others}.values())) else "jpeg"
        return self.frames.open(clips, self._codec)

    def more_planes(self, clips: Sequence[Clip]) -> list[list[StoredClip]]:
        """More planes of clips that are open, by producer; made where they are not in the store."""
        for stored in self._more:
            stored.open(clips, self._codec or "raw")
        return [[stored[clip] for clip in clips] for stored in self._more]

    def described(self, clips: Sequence[Clip]) -> str:
        """Some open clips in one line: how many, how large, and where they are."""
        entries = list({clip.kept: self[clip] for clip in clips}.values())
        names = len({entry.name for entry in entries})  # frames to train on and to evaluate may be two entries
        frames, size = sum(len(entry) for entry in entries), sum(int(entry.offsets[-1]) for entry in entries)
        codecs = "/".join(sorted({entry.codec for entry in entries}))
        counts = f"{counted(names, 'clip')}, {counted(frames, 'frame')}"
        return f"{counts}, {gigabytes(size)} ({codecs}) in {self.store.folder}"

    def _raw_fits(self, clips: Sequence[Clip]) -> bool:
        total = sum(stored.bytes(clip) for stored in (self.frames, *self._more) for clip in clips)
        fits = total <= _MEMORY_SHARE * machine_memory() and total <= (self.store.limit or total)
        return fits and self.frames.raw_fits(clips)
