"""Which clips are trained on, validated and tested: as a data set lists them, cut in time where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Literal

from backdrop.program import fit_option
from datamodules.clips.clip import Clip
from datamodules.clips.findings import Findings
from datamodules.clips.parts import hold_out

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Part = Literal["held_out", "trained"]


class Splits:
    """The clips of all splits, each listed once.

    Args:
        split_clips: Lists the clips of one split.
        findings: For clips that are left out, and for what must be said of the splits.
        held_out: Share of the frames, at its end, that is kept for testing of every clip that is both trained on and
            evaluated; 0 cuts none.
        evaluated_part: Which part of these clips is tested on.
        val_share: Share of the frames before that validates.

    Attributes:
        kept: Names of the clips of each split, where a training has them already: the splits are these, whatever is
            listed now.
    """

    def __init__(
        self,
        split_clips: Callable[[Split], list[Clip]],
        findings: Findings,
        held_out: float = 0.0,
        evaluated_part: Part = "held_out",
        val_share: float = 0.1,
    ) -> None:
        self._split_clips = split_clips
        self._findings = findings
        self.held_out = held_out
        self.evaluated_part = evaluated_part
        self.val_share = val_share
        self._whole: dict[Split, list[Clip]] = {}
        self._lists: dict[Split, list[Clip]] = {}
        self.kept: Mapping[Split, Sequence[str]] = {}
        self._now: dict[Split, list[Clip]] = {}  # as the data set lists them, where a training has them otherwise

    def listed(self, splits: Sequence[Split] = ()) -> dict[Split, list[Clip]]:
        """The clips of all splits, whichever are asked for, so that each stage has the same use for a clip.

        Args:
            splits: Those that must be listed; one of the others that cannot be is left out.

        Raises:
            OSError: If one of these cannot be listed.
            ValueError: If one of these cannot be listed.
        """
        for split in SPLITS:
            if split not in self._lists:
                try:
                    self._lists[split] = self._cut(split)
                except (OSError, ValueError):
                    if split in splits:
                        raise
        if splits:
            self._announce_shared()
        return self._lists

    def names(self) -> dict[Split, list[str]]:
        """Names of the clips of all splits that can be listed, before any is cut in time; see :attr:`kept`."""
        self.listed()
        return {split: [clip.name for clip in clips] for split, clips in self._whole.items()}

    def used(self, splits: Sequence[Split]) -> dict[Split, list[Clip]]:
        """The clips of all splits without what a split does not use, so that it is not read either.

        Training clips come without annotation unless they are evaluated too; in an evaluation split that has any
        annotation, clips without are gone and the others keep their annotated frames only, unless the clip is read as a
        whole for training.

        Args:
            splits: See :meth:`listed`.
        """
        clips = self.listed(splits)
        evaluated = {clip.name for split, members in clips.items() if split != "train" for clip in members}
        used = dict(clips)
        if "train" in clips:
            used["train"] = [c if c.name in evaluated else replace(c, masks={}, boxes={}) for c in clips["train"]]
        whole = {clip.kept for clip in used.get("train", [])}
        for split, members in clips.items():
            annotated = [clip for clip in members if clip.annotated]
            if split != "train" and annotated:
                used[split] = [clip if clip.kept in whole else replace(clip, annotated_only=True) for clip in annotated]
        return used

    @property
    def transductive(self) -> bool | None:
        """Whether clips are tested on that were trained on, without their masks; None if a split cannot be listed."""
        lists = self.listed()
        known = "train" in lists and "test" in lists
        return bool(_shared_names(lists["train"], lists["test"])) if known else None

    def _announce_shared(self) -> None:
        """Say which clips are in two splits: the user has put them there."""
        train, val, test = (self._lists.get(split, []) for split in SPLITS)
        if shared := _shared_names(train, [*val, *test]):
            first = f"clip '{shared[0]}'" + (f" and {len(shared) - 1} more are" if len(shared) > 1 else " is")
            option = None if self.held_out else fit_option("--data.init_args.held_out 0.2")
            cut = f", or keep the end of each clip for the test: {option}" if option else "."
            self._findings.say(
                f"Transductive: {first} trained on, without masks, and tested on: say so beside any figure{cut}"
            )
        elif shared := _shared_names(val, test):
            self._findings.say(f"Clip '{shared[0]}' both validates and tests, as the splits were chosen.")

    def _cut(self, split: Split) -> list[Clip]:
        """The clips of one split; those that are both trained on and evaluated are cut in time if so asked."""
        clips = self._uncut(split)
        if not self.held_out:
            return clips
        train, val, test = ({clip.recording for clip in self._uncut(other)} for other in SPLITS)
        parts = []
        for clip in clips:
            if clip.recording not in train & (val | test):
                parts.append(clip)
                continue
            val_share = self.val_share if clip.recording in val & test else 0.0
            try:
                first, middle, last = hold_out(clip, self.held_out, val_share)
            except ValueError as error:
                self._findings.leave_out(clip.name, str(error))
                continue
            tested = first if self.evaluated_part == "trained" else last
            validated = middle if clip.recording in test else last
            part = {"train": first, "val": validated, "test": tested}[split]
            parts += [part] if part is not None else []
        if split == "val" and clips and not parts:
            self._findings.no_validation = f"too few frames, or val_share 0: {self.val_share:g}"
        return parts

    def _uncut(self, split: Split) -> list[Clip]:
        """The clips of one split as the data set lists them, asked for once."""
        if split not in self._whole:
            self._whole[split] = self._of_training(split) if self.kept else self._split_clips(split)
        return self._whole[split]

    def _of_training(self, split: Split) -> list[Clip]:
        """The clips that a training had in a split, wherever they are listed now."""
        now: dict[str, Clip] = {}
        for other in (split, *(one for one in SPLITS if one != split)):
            with suppress(OSError, ValueError) if other != split else nullcontext():
                if other not in self._now:
                    self._now[other] = self._split_clips(other)
                now = {clip.name: clip for clip in self._now[other]} | now
        known = {name for names in self.kept.values() for name in names}
        if new := [name for name in now if name not in known]:
            more = f" and {len(new) - 1} more" if len(new) > 1 else ""
            self._findings.say(f"Clip '{new[0]}'{more} came after the training: left out, as a run keeps its splits.")
        for name in self.kept[split]:
            if name not in now:
                self._findings.notice(name, None, "it was there when the run was trained, and is not now: left out")
        return [now[name] for name in self.kept[split] if name in now]


def _shared_names(clips: Sequence[Clip], others: Sequence[Clip]) -> list[str]:
    """Names of the clips whose recordings are in both lists, in the order of the first."""
    recordings = {clip.recording for clip in others}
    return [clip.name for clip in clips if clip.recording in recordings]
