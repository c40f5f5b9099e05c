"""A result in a folder is replaced by another one as a whole, whenever the process is killed.

The right values are the files of the two results; the process is killed in place of each change of the file system.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from backdrop.errors import RunError
from backdrop.files import NotWritten
from backdrop.folders import replacing
from tests.faults.commands import changes_below

NAMES = ("a", "b", "c", "table")
FORMER = {"a/1": "former", "a/2": "former", "c": "former", "table": "former"}
LATTER = {"a/1": "new", "b/1": "new", "b/2": "new", "table": "new"}
MINE = {"mine/a": "mine", "notes": "mine"}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def found(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def replace(folder: Path, new: dict[str, str]) -> None:
    with replacing(folder, NAMES, lambda: None) as part:
        write(part, new)


def stopped(folder: Path, moment: int) -> bool:
    """Whether a process that replaces the result was killed in place of its so-many-th change."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            if changes_below(str(folder), event, arguments):
                count += 1
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            replace(folder, LATTER)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def look(folder: Path) -> None:
    """The next call, which writes nothing itself."""
    with pytest.raises(RunError, match="not now"), replacing(folder, NAMES, refuse):
        pytest.fail("not refused")


def refuse() -> None:
    raise RunError("not now")


@pytest.mark.parametrize("former", [FORMER, {}])
def test_a_kill_at_any_moment_leaves_the_former_or_the_new_result(
    former: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    moment, seen = 1, list[str]()
    while True:
        folder = tmp_path / str(moment)
        write(folder, former | MINE)
        if not stopped(folder, moment):
            break
        between = folder / ".new", folder / ".placed"
        unfinished = any(path.exists() for path in between)
        look(folder)
        said = capfd.readouterr().err
        assert said == (
            f"warning: A process that was killed had completed what it wrote into {folder}: it is in place now.\n"
            if unfinished else ""
        )  # fmt: skip
        now = {name: text for name, text in found(folder).items() if not name.startswith(".part/")}
        assert now in (former | MINE, LATTER | MINE)
        seen.append("new" if now == LATTER | MINE else "former")
        assert unfinished <= (seen[-1] == "new")
        replace(folder, FORMER)
        assert found(folder) == FORMER | MINE and not [path for path in folder.iterdir() if path.name.startswith(".")]
        moment += 1
    assert found(folder) == LATTER | MINE
    assert seen == sorted(seen) and len(set(seen)) == 2  # the former one first, then the new one


@pytest.mark.slow
def test_a_kill_while_a_killed_ones_result_is_placed_loses_nothing(tmp_path: Path) -> None:
    """Every third second moment, after every first one that leaves something to place."""
    tried = 0
    for first in itertools.count(1):
        for second in itertools.count(1 + first % 3, 3):
            folder = tmp_path / f"{first}-{second}"
            write(folder, FORMER)
            if not stopped(folder, first):
                assert tried > 20
                return
            if not any((folder / name).exists() for name in (".new", ".placed")):
                break
            again = stopped(folder, second)
            look(folder)
            assert {name: text for name, text in found(folder).items() if not name.startswith(".part/")} == LATTER
            tried += 1
            if not again:
                break


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunError, match="is no folder"):
        replace(tmp_path / "out", LATTER)


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="is no folder"):
        replace(tmp_path / "out", LATTER)


@pytest.mark.parametrize("name", [".new/keep", ".placed/keep", ".part/keep", ".new", ".placed", ".part", ".writing"])
def test_what_lies_under_our_names_and_is_not_ours_stays_and_so_does_all_else(name: str, tmp_path: Path) -> None:
    """A user's own files, or the result of another command that was killed while it was placed."""
    mine = MINE | {name: "mine", "a/by_hand": "mine"}
    write(tmp_path, mine)
    with pytest.raises(RunError, match=rf"{name.split('/')[0]} is not of this command"):
        replace(tmp_path, LATTER)
    assert found(tmp_path) == mine


def test_a_folder_that_was_made_in_vain_goes_again(tmp_path: Path) -> None:
    look(tmp_path / "deep" / "out")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_that_does_not_say_so_is_named(tmp_path: Path) -> None:
    """As write(2) raises it in Python: without a name."""
    write(tmp_path, FORMER)
    with pytest.raises(NotWritten, match=f"No space left on device: '{tmp_path}'"):
        with replacing(tmp_path, NAMES, lambda: None):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert found(tmp_path) == FORMER


def test_what_another_command_had_completed_is_named_and_kept(tmp_path: Path) -> None:
    """Of a killed process whose results have other names."""
    write(tmp_path / ".new", LATTER)
    with pytest.raises(RunError, match=rf"{tmp_path}/.new is not of this command"):
        with replacing(tmp_path, ("other", "boxes"), lambda: None):
            pytest.fail("not refused")
    assert found(tmp_path / ".new") == LATTER
    look(tmp_path)  # by a command of that kind
    assert found(tmp_path) == LATTER
