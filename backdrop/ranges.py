"""Settings out of range, refused where an object is built, in one sentence that names the range."""

from __future__ import annotations

from collections.abc import Sequence

Value = float | Sequence[float]


def positive(owner: object, **values: Value) -> None:
    """Refuse values that are not above 0.

    Args:
        owner: The object whose settings they are.
        **values: Numbers, or sequences of them, by the name of the setting.

    Raises:
        ValueError: If one is 0 or less.
    """
    for name, value in values.items():
        require(owner, all(number > 0 for number in _numbers(value)), name, value, "above 0")


def at_least(least: float, owner: object, **values: Value) -> None:
    """Refuse values below a bound; see :func:`positive`."""
    for name, value in values.items():
        require(owner, all(number >= least for number in _numbers(value)), name, value, f"at least {least:g}")


def within(low: float, high: float, owner: object, **values: Value) -> None:
    """Refuse values outside of [low, high]; see :func:`positive`."""
    for name, value in values.items():
        holds = all(low <= number <= high for number in _numbers(value))
        require(owner, holds, name, value, f"{low:g} to {high:g}")


def one_of(choices: Sequence[str | None], owner: object, **values: str | None) -> None:
    """Refuse words that are none of the choices; see :func:`positive`."""
    for name, value in values.items():
        words = ["null" if choice is None else choice for choice in choices]
        require(owner, value in choices, name, value, f"{', '.join(words[:-1])} or {words[-1]}")


def require(owner: object, holds: bool, name: str, value: object, expected: str) -> None:
    """Refuse a value.

    Args:
        owner: The object whose setting it is.
        holds: Whether the value may stay.
        name: The setting.
        value: What was given.
        expected: The allowed range, in words.

    Raises:
        ValueError: If it may not; the message is one sentence.
    """
    if not holds:
        raise ValueError(f"{name} of {type(owner).__name__} is {value}, expected {expected}.")


def _numbers(value: Value) -> Sequence[float]:
    return value if isinstance(value, Sequence) else (value,)
