"""Write golden values: ``python -m tests.golden.make training [--overwrite]``.

The values are those of the code in the working directory, whose commit they are written with. Those of commit 41bc105
were made with the first version of these files in a checkout of that commit::

    git worktree add ../old 41bc105 && git worktree add ../net COMMIT_THAT_ADDED_tests/golden
    cd ../old && PYTHONPATH=../net python -m tests.golden.make training
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

from tests.golden import files, training


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
    return {"fingerprint": training.fingerprint(), "keys": keys, "settings": values}


KINDS: dict[str, Callable[[], dict[str, Any]]] = {"training": make_training}


def main() -> None:
    """Write the files that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make", description="Write golden values.")
    parser.add_argument("kinds", nargs="+", choices=list(KINDS))
    parser.add_argument("--overwrite", action="store_true", help="replace the values that are there")
    options = parser.parse_args()
    os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for kind in options.kinds:
        if (files.FOLDER / f"{kind}.json").exists() and not options.overwrite:
            sys.exit(f"{files.FOLDER / kind}.json exists: add --overwrite if the values are meant to change.")
        files.write(kind, KINDS[kind](), options.overwrite)


if __name__ == "__main__":
    main()
