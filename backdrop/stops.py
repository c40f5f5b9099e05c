"""Places at which long work may end: the work asks there, and whoever began it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_check: ContextVar[Callable[[], object] | None] = ContextVar("check", default=None)


def may_stop() -> None:
    """Let whoever began the work in this thread end it here, by what their check raises; else nothing happens."""
    if (check := _check.get()) is not None:
        check()


@contextmanager
def stopped_by(check: Callable[[], object]) -> Iterator[None]:
    """Have a check called wherever the work of the block asks, in this thread.

    Args:
        check: What it raises ends the work.
    """
    before = _check.set(check)
    try:
        yield
    finally:
        _check.reset(before)
