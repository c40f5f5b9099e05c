"""The folder of labels: made whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backdrop.errors import RunError
from backdrop.files import absent, remove_empty
from backdrop.locks import sole
from backdrop.outputs import LABELS, is_labels
from experiments.labels.formats import FORMATS

LEFT_OUT = "left_out.csv"


@contextmanager
def whole_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder that gets its name once everything is in it.

    Args:
        output: The name; what is there already is looked at before anything is written.
        overwrite: Replace labels that are there.

    Yields:
        An empty folder beside it; gone in the end, also after an error, when what was there is as it was. A process
        that is killed leaves one or the other labels whole, under this name or for the next call under another.

    Raises:
        RunError: If something else is there, or labels and not ``overwrite``, or another process makes them.
    """
    output = output.resolve()
    before = absent(output.parent)
    part, former = (output.with_name(f".{output.name}.{word}") for word in ("part", "former"))
    try:
        with sole(output.with_name(f".{output.name}.labelling")) as alone:
            if not alone:
                raise RunError(f"Another process makes labels in {output}: wait for its end, or choose another folder.")
            _put_back(former, output)  # of a process that was killed
            _require_free(output, overwrite)
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            try:
                yield part
                if output.exists():
                    os.replace(output, former)
                os.replace(part, output)
            finally:
                _put_back(former, output)
                shutil.rmtree(part, ignore_errors=True)
    finally:
        remove_empty(before)


def _put_back(former: Path, output: Path) -> None:
    """Give former labels their name again, unless others have it: then they are replaced, and go."""
    if former.is_dir() and not output.exists():
        os.replace(former, output)
    shutil.rmtree(former, ignore_errors=True)


def _require_free(output: Path, overwrite: bool) -> None:
    """Refuse a place where something is that must stay.

    Raises:
        RunError: Naming what it is.
    """
    if not output.exists():
        return
    inside = sorted(os.listdir(output)) if output.is_dir() else [""]
    if not inside:
        return
    strange = [name for name in inside if name not in (*FORMATS, LABELS, LEFT_OUT)]
    if strange or not is_labels(output):
        raise RunError(f"{output / (strange or inside)[0]} is there and is no label of ours: choose another folder.")
    if not overwrite:
        raise RunError(f"{output} holds labels, perhaps mended by hand: choose another folder, or give --overwrite.")
