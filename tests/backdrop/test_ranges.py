"""What is out of range is refused in one sentence that names the range."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backdrop.ranges import at_least, one_of, positive, within


class Thing:
    """Whose settings they are."""


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (lambda thing: positive(thing, size=(2, 0)), "size of Thing is (2, 0), expected above 0."),
        (lambda thing: at_least(1, thing, count=0), "count of Thing is 0, expected at least 1."),
        (lambda thing: at_least(0, thing, weight=float("nan")), "weight of Thing is nan, expected at least 0."),
        (lambda thing: within(0, 0.5, thing, trim=0.7), "trim of Thing is 0.7, expected 0 to 0.5."),
        (lambda thing: one_of(("a", "b", None), thing, net="c"), "net of Thing is c, expected a, b or null."),
    ],
)
def test_what_is_out_of_range_is_refused(check: Callable[[Thing], None], sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        check(Thing())
    assert str(error.value) == sentence


def test_the_ends_of_a_range_pass() -> None:
    positive(Thing(), size=(1, 2))
    at_least(1, Thing(), count=1)
    within(0, 1, Thing(), share=0, level=1)
    one_of(("a", None), Thing(), net=None)
