"""Write golden values: ``python -m tests.golden.make training data run surface``, or some of them; see --help.

The values are those of the code in the working directory; the file says of which commit. Those of commit 41bc105 are
made again in a checkout of commit 3703ca3, which is that code with these tests::

    git worktree add ../old 3703ca3
    cd ../old
    python -m tests.golden.make training data run surface --overwrite
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.golden import data, files, run, surface, training


def make_training() -> dict[str, Any]:
    """Of every composition, by name; the names of its weights once for all that have the same."""
    keys: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for setting in training.settings():
            found = training.measure(setting, Path(folder))
            names = found.pop("keys")
            label = next((label for label, known in keys.items() if known == names), f"names {len(keys) + 1}")
            keys[label] = names
            values[setting] = found | {"keys": label}
            print(setting, flush=True)
    return {"fingerprint": files.fingerprint(training.PACKAGES), "keys": keys, "settings": values}


def make_data() -> dict[str, Any]:
    """Of every data module, by name."""
    values = {}
    for setting in data.SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            values[setting] = data.measure(setting, Path(folder))
    return {"fingerprint": files.fingerprint(data.PACKAGES), "settings": values}


def make_run() -> dict[str, Any]:
    """Of a run against each background."""
    values = {}
    for background in run.BACKGROUNDS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["BACKDROP_CACHE"] = f"{folder}/cache"
            values[background] = run.measure(background, Path(folder) / "run")
    return {"fingerprint": files.fingerprint(run.PACKAGES), "runs": values}


KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "training": make_training,
    "data": make_data,
    "run": make_run,
    "surface": surface.measure,
}


def main() -> None:
    """Write the files that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make", description="Write golden values.")
    parser.add_argument("kinds", nargs="+", choices=list(KINDS))
    parser.add_argument("--overwrite", action="store_true", help="replace the values that are there")
    options = parser.parse_args()
    os.environ |= {"JSONARGPARSE_DEPRECATION_WARNINGS": "off", "WANDB_MODE": "disabled"}
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for kind in options.kinds:
        if (files.FOLDER / f"{kind}.json").exists() and not options.overwrite:
            sys.exit(f"{files.FOLDER / kind}.json exists: add --overwrite if the values are meant to change.")
        files.write(kind, KINDS[kind](), options.overwrite)


if __name__ == "__main__":
    main()
