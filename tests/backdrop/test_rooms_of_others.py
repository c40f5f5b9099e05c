"""A user's project with packages named as Backdrop's: one sentence that names the way out, and no import of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backdrop.rooms import HOME, require_rooms


def test_our_own_rooms_are_taken() -> None:
    require_rooms("it cannot run")


@pytest.mark.parametrize("room", ["callbacks", "experiments", "datamodules"])
def test_a_package_of_the_same_name_is_named(room: str, tmp_path: Path) -> None:
    """As where a template's project is installed, or on PYTHONPATH."""
    (tmp_path / room).mkdir()
    (tmp_path / room / "__init__.py").write_text("print('theirs was imported')\n")
    path = os.pathsep.join([str(tmp_path), str(HOME)])
    done = subprocess.run(
        [sys.executable, "-P", "-m", "backdrop", "evaluate", "runs/x"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    taken = f"Python finds {tmp_path / room} under the name {room}, a package of Backdrop"
    said = f"error: this command cannot run: {taken}"
    assert done.stderr.startswith(f"{said}: load the exported model in Python") and done.stderr.count("\n") == 1


def test_a_folder_that_is_no_package_is_no_clash(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    path = os.pathsep.join([str(tmp_path), str(HOME)])
    command = [sys.executable, "-P", "-m", "backdrop", "--help"]
    environment = {**os.environ, "PYTHONPATH": path}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
