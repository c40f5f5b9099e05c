"""Reading ahead and writing behind, in threads: PyAV, OpenCV and torch let others compute while they do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
_WAIT = 0.1  # seconds, after which a thread looks whether it is still wanted


def ahead(items: Iterable[T], depth: int = 1) -> Iterator[T]:
    """Take items in another thread, a few before they are wanted.

    Args:
        items: What gives them; its errors are raised here, in their turn.
        depth: Most items that wait, beside the one that is being made.

    Yields:
        The items in order.
    """
    waiting: Queue[tuple[T | None, BaseException | None]] = Queue(depth)
    over = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> None:
        while not over.is_set():
            try:
                waiting.put(entry, timeout=_WAIT)
                return
            except Full:
                continue

    def take() -> None:
        try:
            for item in items:
                put((item, None))
                if over.is_set():
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error = waiting.get(timeout=_WAIT)  # without one, no signal is heard meanwhile
            except Empty:
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # one of the two is there
    finally:
        over.set()
        thread.join()


@contextmanager
def behind(most: int) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Let another thread do what may be done later, in order.

    Args:
        most: Most calls that wait; the next one waits for the oldest.

    Yields:
        A function that hands over a call. An error of one is raised by a later one, or at the end.
    """
    pending = deque[Future[object]]()
    with ThreadPoolExecutor(1) as executor:

        def submit(call: Callable[[], object]) -> None:
            while len(pending) >= most or (pending and pending[0].done()):
                pending.popleft().result()
            pending.append(executor.submit(call))

        try:
            yield submit
            while pending:
                pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
