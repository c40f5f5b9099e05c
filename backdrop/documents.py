"""Reading small documents, JSON, YAML, tables and archives, whole or not at all: what is damaged says why.

Every error is a ValueError with the reason alone; whoever reads names the file, and what to do about it.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_DEEP = "it is nested deeper than any such file is"


def read_json(path: Path) -> Any:  # noqa: ANN401  any JSON value
    """Read a JSON file, in UTF-8 with or without a byte order mark.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged, or an object names a key twice.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError(_DEEP) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON whose keys are all different."""
    found = dict[str, Any]()
    for key, value in pairs:
        if key in found:
            raise ValueError(f"it names '{key}' twice: join the two")
        found[key] = value
    return found


def read_yaml(path: Path) -> Any:  # noqa: ANN401  any YAML value
    """Read a YAML file, in UTF-8.

    Args:
        path: The file.

    Returns:
        Its content, plain values only.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged, or a mapping names a key twice.
    """
    text = path.read_text(encoding="utf-8")
    try:
        return yaml.load(text, _UniqueKeys)
    except RecursionError:
        raise ValueError(_DEEP) from None
    except (yaml.YAMLError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(str(error)) from error


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML takes the last of two values of a key without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(problem=f"it names '{key}' twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_table(
    path: Path, errors: str = "strict", unfinished: bool = False
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read comma-separated values below a line of headings, in UTF-8 with or without a byte order mark.

    Args:
        path: The file.
        errors: What is done about bytes that are not UTF-8: ``strict`` or ``surrogateescape``.
        unfinished: Whether a last line without an end is being written, or was when its writer was killed; it is left
            out then, see :func:`ends_whole`.

    Returns:
        The headings, and of every row the number of its line and its cells by heading.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no text, two columns have one heading, or a row has other cells than the headings.
    """
    text = path.read_bytes().decode("utf-8-sig", errors)
    text = text[: text.rfind("\n") + 1] if unfinished else text
    if _NO_TEXT.search(text):
        raise ValueError("it holds bytes that are no text")
    lines = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        heads = next(lines, [])
        for head in filter(None, heads):
            if heads.count(head) > 1:
                raise ValueError(f"two of its columns are called {head}")
        rows = []
        for cells in filter(None, lines):
            if len(cells) != len(heads):
                raise ValueError(f"line {lines.line_num} has {len(cells)} cells, its first line {len(heads)}")
            rows.append((lines.line_num, dict(zip(heads, cells, strict=True))))
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num}: {error}") from error
    return heads, rows


def ends_whole(path: Path) -> bool:
    """Whether the last line of a text file has an end."""
    return path.read_bytes().endswith(b"\n")


def require_whole_archive(path: Path) -> None:
    """Read all of a ZIP archive, as torch's files are, and compare its check sums, which torch does not.

    Args:
        path: The file.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except Exception as error:  # what zipfile raises depends on what the file holds
        raise ValueError(type(error).__name__) from error
    if broken is not None:
        raise ValueError(f"the check sum of {broken} is wrong")
