"""What is left out of the data of one data module: in a sentence, and as a list beside the entries of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.clips.clip import Clip
from datamodules.clips.findings import Findings
from datamodules.clips.problems import Problem, read_table, summary, table
from datamodules.clips.splits import SPLITS, Split
from datamodules.store.store import StoreError
from datamodules.store.stored_data import StoredData


class Report:
    """Frames and clips that are left out, and what else was noticed, as far as they were looked at.

    Args:
        owner: Name of the data module's class.
        data: What tells its data from other data of that class: several may share a store, and each has a list.
        findings: What was noticed while clips were listed.
        stored: The clips that were opened.
    """

    def __init__(self, owner: str, data: str, findings: Findings, stored: StoredData) -> None:
        self._owner = owner
        self._findings = findings
        self._stored = stored
        self._opened: set[str] = set()
        key = hashlib.sha256(data.encode(errors="surrogateescape")).hexdigest()[:8]
        self._name = f"problems-{owner.removesuffix('DataModule').lower()}-{key}.csv"

    @property
    def file(self) -> Path:
        """Where the list is."""
        return self._stored.store.folder / self._name

    def left_out(self) -> list[Problem]:
        """Frames and clips that are left out."""
        return [*self._findings.left_out.values(), *self._stored.frames.problems()]

    def problems(self) -> list[Problem]:
        """All that there is to list."""
        return [*self.left_out(), *self._findings.noticed]

    def skipped(self) -> str:
        """All of it in numbers, and where it is listed; empty where there is nothing."""
        found = summary(self.left_out(), len(self._findings.noticed))
        return f"{found}: see {self.file}" if found else ""

    def nothing_left(self, what: str) -> str:
        """Why some part of the data has no clip, as one sentence."""
        clips = [problem for problem in self.left_out() if problem.frame is None]
        if not clips:
            return f"The {what} of {self._owner} is empty: give it at least one clip."
        first = f"clip '{clips[0].clip}': {clips[0].reason}"
        return f"Nothing that can be read is left in the {what} of {self._owner} ({summary(clips)}); {first}"

    def update(self, opened: Sequence[Clip], lists: Mapping[Split, Sequence[Clip]], strict: bool) -> None:
        """Write the list; what an earlier process found in clips that this one has not opened stays on it.

        Args:
            opened: The clips that were opened now.
            lists: The clips of all splits that can be listed.
            strict: Whether the file must be written; in another user's store that may be impossible.

        Raises:
            StoreError: If it must, and cannot be written.
        """
        self._opened |= {clip.name for clip in opened}
        try:
            before = read_table(self.file.read_text(encoding="utf-8", errors="surrogateescape"))
        except OSError:
            if not self.problems():
                return
            before = []
        listed, known = {clip.name for members in lists.values() for clip in members}, len(lists) == len(SPLITS)
        before = [p for p in before if p.clip not in self._opened and (p.clip in listed or not known)]
        try:
            self._stored.store.write_text(self._name, table(list(dict.fromkeys([*before, *self.problems()]))))
        except StoreError:
            if strict:
                raise
