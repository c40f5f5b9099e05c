"""The files of golden values: how they are written and compared."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def read(name: str) -> dict[str, Any]:
    """The golden values of one kind."""
    values: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return values


def write(name: str, values: Mapping[str, Any], overwrite: bool) -> None:
    """Write golden values: an entry of each group on a line, with the commit that computed them.

    Raises:
        FileExistsError: If there are some and they are not to be replaced.
    """
    path = FOLDER / f"{name}.json"
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: add --overwrite if the values are meant to change.")
    groups = {"commit": _commit(), **values}
    text = ",\n".join(f"{json.dumps(key)}: {_group(group)}" for key, group in groups.items())
    path.write_text(f"{{\n{text}\n}}\n")


def _group(values: object) -> str:
    if not isinstance(values, dict):
        return json.dumps(values)
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()) + "\n}"


def _commit() -> str:
    """The commit of the code in the working directory, marked where files of it have changed."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--short", "-uno"], capture_output=True, text=True, check=True).stdout
    return head + ("-dirty" if changed.strip() else "")


def differences(golden: object, found: object, path: str = "") -> Iterator[str]:
    """One line for each value that differs."""
    if isinstance(golden, dict) and isinstance(found, dict):
        for key in golden | found:
            if key not in found:
                yield f"{path}{key}: missing, was {golden[key]}"
            elif key not in golden:
                yield f"{path}{key}: new, {found[key]}"
            else:
                yield from differences(golden[key], found[key], f"{path}{key}: ")
    elif isinstance(golden, list) and isinstance(found, list):
        yield from (f"{path}missing: {value}" for value in golden if value not in found)
        yield from (f"{path}new: {value}" for value in found if value not in golden)
        if sorted(map(str, golden)) == sorted(map(str, found)) and golden != found:
            yield f"{path}another order: {found}, was {golden}"
    elif golden != found:
        yield f"{path}{_readable(found)}, was {_readable(golden)}"


def _readable(value: object) -> str:
    """Hexadecimal floats also as decimal ones."""
    if isinstance(value, str) and "0x1." in value:
        return f"{value} ({' '.join(f'{float.fromhex(part):.9g}' for part in value.split())})"
    return str(value)
