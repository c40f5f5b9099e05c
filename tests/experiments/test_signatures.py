"""A command's signature is its command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from jsonargparse import ArgumentError

from backdrop.errors import UsageError
from experiments.signatures import Command, Operands, Rest, Settings, Typed, Words, call, parser_of


def recorded(*words: str, function: Command | None = None) -> dict[str, Any]:
    """What a command is called with."""
    seen: dict[str, Any] = {}

    def command(
        run: Path,
        names: list[str],
        size: tuple[int, int] = (3, 4),
        kind: Literal["a", "b"] = "a",
        dry_run: bool = False,
        only: list[Literal["x", "y"]] = ["x"],  # noqa: B006
        set_: int | None = None,
    ) -> None:
        """Do it, 100% well.

        Args:
            run: Where.
            names: What.
            size: How large, 50% or more.
            kind: How.
            dry_run: Whether at all.
            only: Which.
            set_: A word of Python.
        """
        seen.update(locals())

    assert call("do", function or command, words) == 0
    return seen


def test_parameters_without_default_are_positional_and_the_others_options() -> None:
    found = recorded("a/b", "one", "two")
    assert found["run"] == Path("a/b") and found["names"] == ["one", "two"]
    assert tuple(found["size"]) == (3, 4) and (found["kind"], found["dry_run"], found["set_"]) == ("a", False, None)


@pytest.mark.parametrize(
    ("words", "files", "loud"),
    [
        ([], [], False),
        (["a", "b"], ["a", "b"], False),
        (["--loud", "a"], ["a"], True),
        (["a", "--loud"], ["a"], True),
    ],
)
def test_operands_may_be_missing(words: list[str], files: list[str], loud: bool) -> None:
    def command(files: Operands[Path] = [], loud: bool = False) -> None:  # noqa: B006
        """Do it.

        Args:
            files: Which, if any.
            loud: How.
        """
        assert (list(map(str, files)), loud) == (expected, is_loud)

    expected, is_loud = files, loud
    assert call("do", command, words) == 0


def test_an_output_has_a_short_name() -> None:
    def command(output: Path | None = None) -> None:
        """Do it.

        Args:
            output: Where.
        """
        assert output == Path("x")

    assert [call("do", command, words) for words in (["-o", "x"], ["--output=x"])] == [0, 0]


def test_lists_and_pairs_take_words_and_a_bool_is_a_switch() -> None:
    found = recorded("r", "n", "--size", "5", "6", "--only", "x", "y", "--dry-run", "--kind=b", "--set", "7")
    assert (list(found["size"]), found["only"], found["dry_run"]) == ([5, 6], ["x", "y"], True)
    assert (found["kind"], found["set_"]) == ("b", 7)
    assert recorded("r", "n", "--dry_run")["dry_run"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "required: run, names"),
        (["r", "n", "--loud"], "unrecognized arguments: --loud"),
        (["r", "n", "--kind", "c"], "Got value: c"),
        (["r", "n", "--only", "z"], "Got value: z"),
        (["r", "n", "--dry"], "unrecognized"),  # no abbreviations
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], expected: str) -> None:
    with pytest.raises(ArgumentError, match=expected):
        recorded(*words)


def passing(settings: Settings, rest: Rest, command: Typed, seed: int = 0) -> int:
    """Pass words on.

    Args:
        settings: All other options.
        rest: What follows --.
        command: As typed.
        seed: One of its own.
    """
    seen.append((list(settings), list(rest), command, seed))
    return 3


seen: list[tuple[list[str], list[str], str, int]] = []


def test_what_is_no_option_is_handed_on() -> None:
    words = ["--model.a=1", "--seed", "5", "--config=b c.yaml", "--", "--trainer.max_steps", "7", "--"]
    assert call("pass", passing, words) == 3
    settings, rest, command, seed = seen.pop()
    assert (settings, rest, seed) == (["--model.a=1", "--config=b c.yaml"], ["--trainer.max_steps", "7", "--"], 5)
    assert command.startswith("backdrop pass --model.a=1") and "'--config=b c.yaml'" in command
    with pytest.raises(UsageError, match=r"--model\.a is no setting of a pass: write it as --name=value, or after --"):
        call("pass", passing, ["--model.a", "1"])


def test_words_may_be_handed_on_as_they_are() -> None:
    found: list[str] = []

    def whole(words: Words) -> None:
        found.extend(words)

    assert call("all", whole, ["--help", "--", "-x"]) == 0
    assert found == ["--help", "--", "-x"]


def test_the_docstring_is_the_help() -> None:
    shown = parser_of("pass", passing).format_help()
    assert "Pass words on." in shown and "One of its own." in shown
    assert "All other options." in shown and "What follows --." in shown
    assert "usage: backdrop pass" in shown
