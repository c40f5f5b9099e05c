"""The frame store: every clip decoded once, at the working size, into a folder of its own on disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from backdrop.files import FULL, to_disk, write_text
from backdrop.locks import Use, flock, hold, sole
from backdrop.stops import may_stop, stopped_by
from datamodules.clips.clip import Clip
from datamodules.clips.planes import Frames, Plane, Producer
from datamodules.store.codecs import Codec
from datamodules.store.entry import ENTRY, FRAMES, EntryWriter, StoredClip, entry_name, open_entry

_PART, _MAKING, _USE, _LOCK = ".part-", ".making-", ".use-", ".lock"
_LOOK_AGAIN = 0.5  # seconds after which a process looks whether the one that it waits for has ended
_CHECK_EVERY = 64 * 2**20
_SPARE = 64 * 2**20
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


class StoreError(RuntimeError):
    """The store cannot be written; the message is one sentence that says where and what to do."""


@dataclass(frozen=True)
class FrameStore:
    """A folder of clips whose frames can be read in any order.

    ::

        FOLDER/run1-0123456789abcdef/    one clip with one setting, see datamodules/store/entry.py
               .part-…/                  being written; left by a killed process, it is removed by the next
               .making-…                 locked by the process that makes the entry of that name; others wait for it
               .use-…                    names what a living process reads, which is therefore not removed
               .lock                     held for moments
               problems-….csv, boxes-….json   lists beside the entries, see :meth:`write_text`; small, and not counted

    An entry is written under another name and appears by one renaming: it is there as a whole or not at all. Its name
    ends in a key made of everything that its bytes depend on, so that a changed source is another entry. The entries
    that were not used for longest make room for new ones.

    Locks are advisory (``flock``). On a file system without them no process can tell what another one reads or writes:
    no entry is removed to make room then, nor what killed processes have left; and two that make one entry at once both
    make it, of which one is kept.

    Attributes:
        folder: Where the entries are.
        limit: Most bytes that they may take together; None means as far as the disk goes.
    """

    folder: Path
    limit: int | None = None

    def find(self, clip: str, entry: str) -> StoredClip | None:
        """Open an entry and mark it as used now.

        Args:
            clip: Name of the clip.
            entry: Name of its entry, see :func:`entry_name`.

        Returns:
            The entry; None where there is no whole one.
        """
        found = open_entry(clip, self.folder / entry)
        if found is not None:
            with suppress(OSError):  # somebody else's store may be read-only
                os.utime(found.folder / ENTRY)
        return found

    def write(
        self,
        clip: Clip,
        size: tuple[int, int],
        codec: Codec,
        producer: Producer | None = None,
        needed: Collection[str] = (),
        tick: Callable[[], object] = lambda: None,
        check: Callable[[], object] = lambda: None,
        waits: Callable[[str], object] = lambda _: None,
    ) -> StoredClip:
        """Make planes of a clip's frames, one frame at a time, and keep them as an entry.

        Where another process makes the same entry, its end is waited for, and its entry taken.

        Broken frames are left out and listed in the entry; so is a clip of which nothing can be read. Nothing keeps the
        entry from making room for others as soon as it is there: take its use (:meth:`use`) before it is written.

        Args:
            clip: The clip.
            size: Working size (height, width) in pixels.
            codec: How planes are kept.
            producer: Makes the planes; by default the frames themselves.
            needed: Names of entries that must not make room for it.
            tick: Called after every frame that is kept.
            check: Called before every frame, kept or not, between the steps of long work on frames, and while another
                process is waited for; what it raises ends the writing.
            waits: Called with the entry's clip where another process is waited for, once.

        Returns:
            The entry.

        Raises:
            OSError: If the source's disk fails.
            StoreError: If the store is full or must not be written, or if the source changes meanwhile.
        """
        producer = producer or Frames()
        name, kept = entry_name(clip, size, codec, producer), producer.kept(clip)
        with stopped_by(check), self._alone(name, lambda: waits(kept.name)):
            found = open_entry(kept.name, self.folder / name)  # of another process, since it was looked for
            if found is None:
                return self._make(clip, size, codec, producer, needed, tick)
            for _ in range(len(found)):
                tick()
            return found

    def _make(
        self,
        clip: Clip,
        size: tuple[int, int],
        codec: Codec,
        producer: Producer,
        needed: Collection[str],
        tick: Callable[[], object],
    ) -> StoredClip:
        """Make an entry, whoever else does; see :meth:`write`."""
        name, kept = entry_name(clip, size, codec, producer), producer.kept(clip)
        problems: list[tuple[int | None, str]] = []

        def keep(position: int, frame_number: int) -> bool:
            may_stop()
            return kept.keeps(position, frame_number)

        with self._part(kept.name) as part, self._writer(part, producer.planes, codec, kept.name) as writer:
            checked = 0
            try:
                made = producer.make(clip.source, size, keep, lambda *what: problems.append(what))
                for frame_number, pixels in made:
                    with self.writing(kept.name):
                        writer.add(frame_number, pixels)
                        if writer.bytes - checked >= _CHECK_EVERY:
                            writer.flush()
                            self.make_room(0, needed)
                            checked = writer.bytes
                    tick()
            except ValueError as error:
                if writer.bytes:
                    raise
                problems = [(None, str(error))]  # not one frame can be read
            if entry_name(clip, size, codec, producer) != name:
                raise StoreError(f"Clip '{kept.name}' changed while it was read: start again when it is complete.")
            with self.writing(kept.name):
                writer.flush()
                self.make_room(0, needed)
                source = next(iter(clip.source.identity()), "")
                writer.finish({"clip": kept.name, "source": source, "size": list(size), "problems": problems})
                self._publish(part, name)
        found = open_entry(kept.name, self.folder / name)
        if found is None:
            raise StoreError(f"{self.folder / name} vanished while it was used: do not delete from a store in use.")
        return found

    def make_room(self, extra: int, needed: Collection[str] = ()) -> None:
        """Remove the entries that were not used for longest until so many bytes more have room.

        Args:
            extra: Bytes to come.
            needed: Names of entries that must stay.

        Raises:
            StoreError: If they do not have room even then.
        """
        with self._locked() as locked:
            entries, written = self._entries()
            over = 0 if self.limit is None else sum(size for _, _, size in entries) + written + extra - self.limit
            short = extra + _SPARE - _free(self.folder)
            stay = {*needed, *self._used()}
            unused = [(folder, size) for _, folder, size in sorted(entries) if folder.name not in stay]
            if locked and max(over, short) <= sum(size for _, size in unused):  # else nothing is removed in vain
                for folder, size in unused:
                    if max(over, short) > 0 and self._remove(folder):
                        over, short = over - size, short - size
        if over > 0 and self.limit is not None:
            raise StoreError(
                f"The frames need {gigabytes(over)} more than the {gigabytes(self.limit)} that store_limit_gb "
                f"allows in {self.folder}: raise it, lower scale or image_size, or set store_codec to jpeg."
            )
        if short > 0:
            raise StoreError(
                f"The frames need {gigabytes(short)} more than is free in {self.folder}: free some, set store_dir "
                "to a larger disk, lower scale or image_size, or set store_codec to jpeg."
            )

    def free(self) -> int:
        """Bytes that may still be written on the disk of the folder, which need not be there yet."""
        folder = self.folder.absolute()
        return _free(next(path for path in (folder, *folder.parents) if os.path.exists(path))) - _SPARE

    def open(self) -> None:
        """Make the folder where it is missing and remove what killed processes have left.

        Raises:
            StoreError: If the folder cannot be made or written.
        """
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                for part in self.folder.glob(f"{_PART}*"):
                    # its writer may end meanwhile, and take it away
                    with suppress(FileNotFoundError), flock(part / _LOCK, wait=False) as free:
                        if free:
                            shutil.rmtree(part, ignore_errors=True)

    def use(self, names: Collection[str]) -> Use:
        """Keep entries from being removed as long as the process lives, or until the result is closed.

        Entries that are not there yet are kept as well, from their first moment. Take the use first and look for the
        entry then: one that is found is sure to stay.

        Args:
            names: Names of the entries.

        Returns:
            What holds them.
        """
        path = self.folder / f"{_USE}{uuid4().hex}"
        try:
            with self._locked():
                self._used()
                self._forget_killed()
                handle = hold(path)
                os.write(handle, json.dumps(sorted(names)).encode())
        except OSError:  # a store that cannot be written loses no entry either
            return Use(None, path)
        return Use(handle, path)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file beside the entries, as a whole or not at all; an equal one is left alone.

        Args:
            name: Its name.
            text: Its content.

        Raises:
            StoreError: If the store is full or must not be written.
        """
        path = self.folder / name
        with self.writing(), self._locked():
            if path.exists() and path.read_text(encoding="utf-8", errors="surrogateescape") == text:
                return
            write_text(path, text)

    @contextmanager
    def _alone(self, entry: str, waits: Callable[[], object]) -> Iterator[None]:
        """Keep other processes from making an entry; those that do so already are waited for."""
        waited = False
        while True:
            with sole(self.folder / f"{_MAKING}{entry}") as free:
                if free:
                    yield
                    return
            if not waited:
                waits()
            waited = True
            may_stop()
            time.sleep(_LOOK_AGAIN)

    @contextmanager
    def _part(self, clip: str) -> Iterator[Path]:
        """A folder to write into, locked while this process lives and removed at the end."""
        part = self.folder / f"{_PART}{uuid4().hex}"
        with self.writing(clip), self._locked():
            part.mkdir()
            lock = hold(part / _LOCK)
        try:
            yield part
        finally:
            os.close(lock)
            shutil.rmtree(part, ignore_errors=True)

    @contextmanager
    def _writer(self, part: Path, planes: Sequence[Plane], codec: Codec, clip: str) -> Iterator[EntryWriter]:
        with self.writing(clip):
            writer = EntryWriter(part, planes, codec)
        try:
            yield writer
        finally:
            writer.close()

    def _publish(self, part: Path, name: str) -> None:
        """Let a finished entry appear; where another process was faster, its entry stays: the bytes are the same."""
        folder = self.folder / name
        with self._locked():
            if folder.exists():
                if open_entry("", folder) is not None:
                    return
                self._remove(folder)  # somebody has deleted or cut a part of it
            (part / _LOCK).unlink()
            os.replace(part, folder)
            to_disk(self.folder)

    def _remove(self, folder: Path) -> bool:
        """Remove an entry, which loses its name first: a killed process leaves no half of it. False if it may not."""
        trash = self.folder / f"{_PART}{uuid4().hex}"
        try:
            os.replace(folder, trash)
        except OSError:
            return False
        shutil.rmtree(trash, ignore_errors=True)
        return True

    def _entries(self) -> tuple[list[tuple[float, Path, int]], int]:
        """(last use, folder, bytes) of every entry, and the bytes that are being written."""
        entries, written = [], 0
        for folder in self.folder.iterdir():
            with suppress(FileNotFoundError, NotADirectoryError):
                if folder.name.startswith(_PART):
                    written += (folder / FRAMES).stat().st_size
                elif not folder.name.startswith("."):
                    entries.append(((folder / ENTRY).stat().st_mtime, folder, (folder / FRAMES).stat().st_size))
        return entries, written

    def _used(self) -> set[str]:
        """Names of the entries that living processes read; what dead ones have left is removed."""
        names: set[str] = set()
        for use in self.folder.glob(f"{_USE}*"):
            with suppress(OSError, ValueError), flock(use, wait=False) as free:
                if free:
                    use.unlink()
                else:
                    names |= set(json.loads(use.read_text()))
        return names

    def _forget_killed(self) -> None:
        """Remove the marks of entries that killed processes made; nothing of this process may be made meanwhile."""
        for mark in self.folder.glob(f"{_MAKING}*"):
            with sole(mark):
                pass

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Keep other processes and threads from making, removing or renaming meanwhile; False if there are no locks."""
        with flock(self.folder / _LOCK, wait=True) as locked:
            yield locked

    @contextmanager
    def writing(self, clip: str | None = None) -> Iterator[None]:
        """Turn what a disk has against being written into one sentence."""
        what = f" while clip '{clip}' was stored" if clip is not None else ""
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise StoreError(
                    f"No space left in {self.folder}{what} ({error.strerror}): free some, set store_dir to a larger "
                    "disk, lower scale or image_size, or set store_codec to jpeg."
                ) from error
            if error.errno in (*_FORBIDDEN, errno.ENOTDIR, errno.EEXIST):
                raise StoreError(
                    f"Cannot write into {self.folder}{what} ({error.strerror}): set store_dir or BACKDROP_CACHE to a "
                    "folder that you may write."
                ) from error
            raise StoreError(f"Cannot write into {self.folder}{what} ({error}): check that disk.") from error


def default_folder() -> Path:
    """Where entries are kept if nothing else is said: $BACKDROP_CACHE or ~/.cache/backdrop."""
    return Path(os.environ.get("BACKDROP_CACHE") or "~/.cache/backdrop").expanduser()


def _free(folder: Path) -> int:
    """Free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free


def gigabytes(size: int) -> str:
    """Bytes as text, such as "3.2 GB" or "12.0 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 5e7 else f"{size / 1e6:.1f} MB"
