"""Handheld190k: five sequences of one person each, filmed by hand-held cameras."""

from __future__ import annotations

from pathlib import Path

from datamodules.clips.splits import Split
from datamodules.sets.videos import Videos

_SEQUENCES = 5


class Handheld(Videos):
    """Handheld190k in the generic layout of :class:`datamodules.sets.videos.Videos`.

    Its own layout is not public. Unpack it so that each of the five sequences is a folder of ``clips``, or one clip:

    ::

        ROOT/clips/seq1/cam1.mp4            or ROOT/clips/seq1/cam1/000001.jpg ..., or ROOT/clips/seq1.mp4
        ROOT/masks/seq4/cam1/000001.png     sparse (the paper: 112 in validation, 240 in test)
        ROOT/splits.json                    optional: {"train": ["seq1", "seq2", "seq3"], "val": [...], "test": [...]}

    Without ``splits.json`` the first three sequences, in natural order, train, the fourth validates and the last
    tests. Which of the real ones the paper takes for what is not known: say so beside any figure.
    """

    def _candidates(self, paths: dict[str, Path]) -> list[str]:
        """All: a recording that cannot be read must not make another sequence the third."""
        return list(paths)

    def _recording(self, name: str) -> str:
        """The sequence: its cameras see the same scene at the same time."""
        return super()._recording(name).split("/")[0]

    def _proposed(self, names: list[str]) -> dict[Split, list[str]]:
        sequences = list(dict.fromkeys(map(self._recording, names)))
        if len(sequences) != _SEQUENCES:
            raise ValueError(
                f"{self.root} holds {len(sequences)} sequences ({', '.join(sequences)}), not {_SEQUENCES}: put each "
                "in a folder of its own below clips, or list the splits in splits.json."
            )
        parts: dict[Split, list[str]] = {"train": sequences[:3], "val": sequences[3:4], "test": sequences[4:]}
        return {split: self._expand(part, names, split) for split, part in parts.items()}
