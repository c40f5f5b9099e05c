"""What is noticed while the clips of a data set are listed: for a list of problems, or for the user at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from datamodules.clips.problems import Problem
from datamodules.readers import FrameSource
from datamodules.readers.remarks import Remark

Source = TypeVar("Source", bound=FrameSource)


class Findings:
    """Collects what is left out and what else is wrong; nothing is said twice.

    Args:
        tell: What is done with a sentence for the user; None logs it.

    Attributes:
        left_out: Clips that cannot be listed, by name.
        noticed: Other problems, each once, in order.
        said: What was said already.
        no_validation: Why there may be nothing to validate on; None while there is no reason.
    """

    def __init__(self, tell: Callable[[str], object] | None = None) -> None:
        self._tell = logging.getLogger("datamodules").info if tell is None else tell
        self.left_out: dict[str, Problem] = {}
        self.noticed: dict[Problem, None] = {}
        self.said: set[str] = set()
        self._remarked: set[str] = set()
        self.no_validation: str | None = None

    def say(self, message: str) -> None:
        """Tell the user something, once.

        Args:
            message: One sentence.
        """
        if message not in self.said:
            self.said.add(message)
            self._tell(message)

    def leave_out(self, clip: str, reason: str) -> None:
        """Note that a clip is not listed.

        Args:
            clip: Name of the clip.
            reason: Why not, and what to do about it.
        """
        self.left_out[clip] = Problem(clip, None, reason)

    def notice(self, clip: str, frame_number: int | None, reason: str) -> None:
        """Note a problem.

        Args:
            clip: Name of the clip.
            frame_number: Original frame number; None if it concerns the whole clip.
            reason: What is wrong, and what was done about it.
        """
        self.noticed[Problem(clip, frame_number, reason)] = None

    def remark(self, clip: str, remarks: Iterable[Remark]) -> None:
        """Note what is not as one would guess about the frames of a clip; of each kind the user is told of the first.

        Args:
            clip: Name of the clip.
            remarks: What there is to say.
        """
        for remark in remarks:
            self.notice(clip, None, remark.what)
            if remark.kind not in self._remarked:
                self._remarked.add(remark.kind)
                self.say(f"Clip '{clip}': {remark.what}.")

    def open_source(self, clip: str, opener: Callable[[], Source]) -> Source | None:
        """Open the frames of a clip, or note that they cannot be read.

        Args:
            clip: Name of the clip.
            opener: Opens them, and raises ValueError or FileNotFoundError where they cannot be read.

        Returns:
            The frames; None where the clip is to be left out.
        """
        try:
            return opener()
        except (FileNotFoundError, ValueError) as error:
            self.leave_out(clip, str(error))
            return None
