"""A progress bar for slow preparation."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int | None, description: str) -> Iterator[Callable[[], None]]:
    """Show a bar on the error output while the block runs; it vanishes afterwards.

    Where that is no terminal, or rich is not installed, one line says what is being done instead.

    Args:
        total: Expected number of steps; None if unknown.
        description: What is being done.

    Yields:
        A function that counts one step; threads may share it.
    """
    if not (sys.stderr.isatty() and importlib.util.find_spec("rich")):
        print(f"{description}: {'?' if total is None else total}", file=sys.stderr, flush=True)
        yield lambda: None
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)
