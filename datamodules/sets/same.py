"""Clips that are one recording under several names."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.clips.findings import Findings
from datamodules.readers import content_sample, list_images


@dataclass
class Recordings:
    """Which clips of a data set are the recording of another one; their files are compared once for all splits.

    Attributes:
        same: Name of a clip -> name of the one whose recording it is.
    """

    same: dict[str, str] = field(default_factory=dict)
    _compared: dict[str, Path] = field(default_factory=dict)

    def compare(self, paths: Mapping[str, Path], annotated: Callable[[str], bool]) -> None:
        """Compare clips, unless it has been done.

        Args:
            paths: Clip name -> video file or folder of images, in order.
            annotated: Whether a clip has masks or boxes: of clips that are one recording, the first such one stays.
        """
        if paths != self._compared:
            self._compared, self.same = dict(paths), same_recordings(paths, annotated)

    def once(self, findings: Findings, annotated: Callable[[str], bool], listed: bool) -> dict[str, Path]:
        """Say which of the clips that were compared are the recording of another one, and leave these out.

        Args:
            findings: What it is said to.
            annotated: As for :meth:`compare`.
            listed: Whether somebody has listed the splits, so that all stay.

        Returns:
            The clips that stay.
        """
        for name, first in self.same.items():
            out = ": left out with its masks and boxes" if annotated(name) else ": left out"
            what = f"the same recording as clip '{first}'{'' if listed else out}"
            findings.notice(name, None, f"it is {what}")
            findings.say(f"Clip '{name}' is {what}.")
        return {name: path for name, path in self._compared.items() if listed or name not in self.same}


def same_recordings(clips: Mapping[str, Path], annotated: Callable[[str], bool] = lambda _: False) -> dict[str, str]:
    """Find clips whose files hold the same as those of another clip: links to it of either kind, and copies.

    Files are read only where another clip has as many of the same lengths. A recording that was encoded anew, or of
    which some images were left out, is another one.

    Args:
        clips: Clip name -> video file or folder of images.
        annotated: Whether a clip goes before those that are not.

    Returns:
        Name of the clip -> name of the first one in ``clips`` that is the same recording, annotated ones before
        the others.
    """
    files = {name: held for name, path in clips.items() if (held := _files(path))}
    alike = [group for one in _groups(files, _lengths) for group in _groups({n: files[n] for n in one}, _samples)]
    found: dict[str, str] = {}
    for group in alike:
        firsts: list[str] = []
        for name in sorted(group, key=lambda name: not annotated(name)):
            first = next((first for first in firsts if _equal(files[first], files[name])), name)
            if first == name:
                firsts.append(name)
            else:
                found[name] = first
    return found


def _files(path: Path) -> list[Path]:
    """The files of a clip that are there, in order; none where one of them is empty, which reading it says."""
    files = [file for file in (list_images(path) if path.is_dir() else [path]) if file.exists()]
    return files if all(file.stat().st_size for file in files) else []


def _groups(files: Mapping[str, list[Path]], key: Callable[[list[Path]], Hashable]) -> list[list[str]]:
    """Names of the clips that have the same of something, where two or more do."""
    groups: dict[Hashable, list[str]] = {}
    for name, found in files.items():
        groups.setdefault(key(found), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _lengths(files: list[Path]) -> Hashable:
    return tuple(file.stat().st_size for file in files)


def _samples(files: list[Path]) -> Hashable:
    """Some content of the first file, the one in the middle and the last: few clips of other content share it."""
    return tuple(content_sample(files[at]) for at in (0, len(files) // 2, -1))


def _equal(files: Iterable[Path], others: Iterable[Path]) -> bool:
    """Whether files hold the same, byte by byte."""
    pairs = zip(files, others, strict=True)
    return all(file.samefile(other) or filecmp.cmp(file, other, shallow=False) for file, other in pairs)
