"""Ctrl-C and SIGTERM in a training: heard between two optimiser steps, so that no checkpoint holds half of one."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
import threading
from types import FrameType

import pytorch_lightning as pl

from backdrop.errors import Terminated


class Interruption:
    """Remembers that the user or the system wants the training to end, until the training asks.

    A second Ctrl-C ends it at once; further SIGTERMs, which a whole group of processes may get twice, change nothing.

    Attributes:
        at_once: Whether it ends the training without being asked, as it may where no step is under way.
        agreed: Whether the training has asked, and all processes know.
    """

    def __init__(self) -> None:
        self.at_once = self.agreed = False
        self._kind: type[KeyboardInterrupt] | None = None
        self._before: dict[signal.Signals, object] = {}

    def listen(self) -> None:
        """Hear the signals from here on; only the main thread can."""
        atexit.unregister(_end_workers)
        atexit.register(_end_workers)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._hear)

    def close(self) -> None:
        """Leave the signals to those who heard them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}

    def ask(self, trainer: pl.Trainer) -> None:
        """End the training here if that is wanted; where there are several processes, all of them end.

        Raises:
            KeyboardInterrupt: If it is, :class:`backdrop.errors.Terminated` for a SIGTERM.
        """
        wanted = self._kind is not None
        if trainer.world_size > 1:
            wanted = trainer.strategy.reduce_boolean_decision(wanted, all=False)
        if wanted:
            self.agreed = True
            raise self._kind or Terminated

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        again, self._kind = self._kind, self._kind or (Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        if self.at_once or (again and number == signal.SIGINT):
            self.at_once = False
            raise self._kind


def _end_workers() -> None:
    """End loader workers that are left when Python ends.

    They are forked while the signals are heard, so SIGTERM, by which Python would end them, means nothing to them, and
    it would wait for them for ever.
    """
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
