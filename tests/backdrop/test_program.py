"""How this program was called, and how it calls itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from backdrop import program


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/usr/bin/backdrop", "backdrop"),
        ("C:/Scripts/backdrop.exe", "backdrop"),
        ("/lib/backdrop/__main__.py", "backdrop"),
        ("/lib/experiments/__main__.py", "python -m experiments"),
        ("/home/me/label_my_cats.py", "backdrop"),
        ("", "backdrop"),
    ],
)
def test_it_is_known_by_its_file(path: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [path])
    assert program.called() == program.program() == expected


def test_make_says_so_and_knows_no_options_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(program.VARIABLE, "make")
    assert (program.called(), program.program()) == ("make", "python -m experiments")
    assert program.own_environment()[program.VARIABLE] == "make"
    monkeypatch.setenv(program.VARIABLE, "rm -rf")
    assert program.called() == "backdrop"


@pytest.mark.parametrize(
    ("called", "command", "expected"),
    [
        ("backdrop", "export", None),
        ("backdrop", "train", "-- --data.init_args.fps 10"),
        ("backdrop", "inspect", "--data.init_args.fps 10"),
        ("make", "fit", 'ARGS="--data.init_args.fps 10"'),
    ],
)
def test_an_option_of_fit_is_told_in_the_options_of_the_command_that_was_typed(
    called: str, command: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the process that the command starts, which runs ``fit``."""
    monkeypatch.setenv(program.VARIABLE, called)
    monkeypatch.setattr(sys, "argv", ["backdrop", command, "my_videos"])
    assert program.fit_option("--data.init_args.fps 10") == expected
    monkeypatch.setenv(program.COMMAND, program.own_environment()[program.COMMAND])
    monkeypatch.setattr(sys, "argv", ["experiments/__main__.py", "fit"])
    assert program.fit_option("--data.init_args.fps 10") == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("/bin/backdrop", "--x 1"), ("/lib/experiments/__main__.py", "--x 1"), ("mine.py", None)]
)
def test_the_words_of_a_script_are_no_command(path: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [path, "fit"])
    assert program.fit_option("--x 1") == expected


def test_a_process_of_its_own_looks_for_modules_where_this_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [os.getcwd(), *sys.path])
    assert program.own_command() == [sys.executable, "-m", "experiments"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/elsewhere"])
    assert program.own_command() == [sys.executable, "-P", "-m", "experiments"]
