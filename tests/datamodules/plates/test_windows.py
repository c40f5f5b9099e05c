"""Windows over a stream: each item with its neighbours, and no more than those in memory."""

from collections.abc import Iterator

import pytest

from datamodules.plates.windows import windows


@pytest.mark.parametrize("count", [0, 1, 3, 10])
@pytest.mark.parametrize("reach", [0, 1, 4, 20])
def test_each_item_comes_with_those_within_reach(count: int, reach: int) -> None:
    found = list(windows(range(count), reach))
    assert [window[at] for window, at in found] == list(range(count))
    for item, (window, _) in enumerate(found):
        assert window == list(range(max(0, item - reach), min(count, item + reach + 1)))


def test_the_stream_is_read_as_far_ahead_as_the_window_goes() -> None:
    read: list[int] = []

    def stream() -> Iterator[int]:
        for item in range(20):
            read.append(item)
            yield item

    found = windows(stream(), 3)
    next(found)
    assert read == [0, 1, 2, 3]
    next(found)
    assert read == [0, 1, 2, 3, 4]
