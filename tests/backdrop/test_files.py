"""Files are written whole or not at all, whoever else writes, and where files cannot be locked.

The right values are the bytes that were written; locks are those of flock(2), which hold for an open file, so that one
process stands for two.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backdrop.files import whole_file, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.part").write_text("the longer half of something")
    with whole_file(tmp_path / "a.txt") as part:
        assert part.read_bytes() == b""
        part.write_text("whole")
    assert names(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "whole"


def test_two_at_a_time_do_not_write_into_one_another(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with whole_file(file) as first:
        first.write_text("first")
        with whole_file(file) as second:
            second.write_text("second")
        assert file.read_text() == "second" and first.read_text() == "first"
    assert file.read_text() == "first" and names(tmp_path) == ["a.txt"]


def test_what_another_process_begins_once_the_name_is_free_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the temporary name right after the file got its own."""
    file, replace = tmp_path / "a.txt", os.replace

    def renamed(source: Path, target: Path) -> None:
        replace(source, target)
        source.write_text("theirs")

    monkeypatch.setattr(os, "replace", renamed)
    write_text(file, "ours")
    assert file.read_text() == "ours" and (tmp_path / ".a.txt.part").read_text() == "theirs"


def refuse(number: int) -> Callable[..., Any]:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS without its lock manager."""
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))


def mandatory_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As SMB, whose locks keep all but the descriptor that has the lock from writing (flock(2))."""
    monkeypatch.setattr(Path, "write_bytes", refuse(errno.EACCES))


def of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary file that another user's process left."""
    made = os.open

    def opened(path: Any, *how: Any, **more: Any) -> int:  # noqa: ANN401
        if str(path).endswith(".a.txt.part"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return made(path, *how, **more)

    monkeypatch.setattr(os, "open", opened)


@pytest.mark.parametrize("disk", [no_locks, mandatory_locks, of_another_user])
def test_a_file_is_written_where_its_temporary_name_cannot_be_locked(
    disk: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch)
    write_text(tmp_path / "a.txt", "whole")
    assert names(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "whole"
