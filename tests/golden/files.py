"""The files of golden values: how they are written and compared."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

FOLDER = Path(__file__).parent


def read(name: str) -> dict[str, Any]:
    """The golden values of one kind."""
    values: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return values


def write(name: str, values: Mapping[str, Any], overwrite: bool) -> None:
    """Write golden values, an entry of each group on a line; numbers with the commit that computed them.

    Raises:
        FileExistsError: If there are some and they are not to be replaced.
    """
    path = FOLDER / f"{name}.json"
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: add --overwrite if the values are meant to change.")
    groups = {"commit": _commit(), **values} if "fingerprint" in values else values
    text = ",\n".join(f"{json.dumps(key)}: {_group(group)}" for key, group in groups.items())
    path.write_text(f"{{\n{text}\n}}\n")


def fingerprint(packages: Sequence[str]) -> dict[str, str]:
    """What the last digits depend on: exactly equal numbers are expected where this is equal."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    return {name: version(name) for name in packages} | {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
        "processor": next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), ""),
        "instructions": " ".join(sorted(flag for flag in flags if flag.startswith(("avx", "fma", "amx")))),
    }


def exact(golden: Mapping[str, Any], packages: Sequence[str]) -> bool:
    """Whether golden values are to be met to the last digit here; else a warning says that they are only approached."""
    here = fingerprint(packages)
    if golden["fingerprint"] == here:
        return True
    other = "; ".join(differences(golden["fingerprint"], here))
    warnings.warn(
        f"golden values are compared to a tolerance: they are of other software or processor ({other})", stacklevel=2
    )
    return False


def digest(tensors: Sequence[Tensor]) -> str:
    """Check sum of the values of tensors, in order."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(repr((str(tensor.dtype), tuple(tensor.shape))).encode())
        sha.update(tensor.detach().contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]


def _group(values: object) -> str:
    if not isinstance(values, dict):
        return json.dumps(values)
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()) + "\n}"


def _commit() -> str:
    """The commit of the code in the working directory, marked where files of it, but for tests, have changed."""
    changed = _git("status", "--short", "--untracked-files=no", "--", ":!tests")
    return _git("rev-parse", "HEAD") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def require_equal(golden: object, found: object, advice: str = "") -> None:
    """Fail with a line for each value that differs."""
    if found != golden:
        pytest.fail("\n".join([*differences(golden, found), advice]), pytrace=False)


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
