"""A progress bar for slow preparation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress(total: int | None, description: str) -> Iterator[Callable[[], None]]:
    """Show a bar on the error output while the block runs; it vanishes afterwards.

    Where that is no terminal, one line says what is being done instead.

    Args:
        total: Expected number of steps; None if unknown.
        description: What is being done.

    Yields:
        A function that counts one step; threads may share it.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{description}: {'?' if total is None else total}")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)
