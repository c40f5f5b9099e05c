"""Links of the documents into the code: ``python -m tests.docs.relink`` writes the line of each symbol anew.

A link is written as `` `symbol` [folder/file.py:12](../folder/file.py#L12) ``. The symbol decides: a dotted name of a
class, function, method, field or constant of a Python file, or a dotted key of a YAML file. A new link needs no
number: `` `symbol` [folder/file.py](../folder/file.py) `` is completed.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import yaml

LINK = re.compile(r"`(?P<symbol>[^`\n]+)`\s+\[(?P<path>[\w./-]+\.(?:py|yaml))(?::\d+)?\]\((?P<target>[^)\s]+)\)")


class LostSymbolError(Exception):
    """A document names a symbol that its file does not define."""


def documents(root: Path) -> list[Path]:
    """README.md and every page below docs."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def relinked(text: str, page: Path, root: Path) -> str:
    """The text of a page with the lines of all symbols as they are now.

    Raises:
        LostSymbolError: If a file or a symbol in it does not exist.
    """

    def link(found: re.Match[str]) -> str:
        symbol, path = found["symbol"], found["path"]
        line = line_of(root / path, symbol)
        target = Path(os.path.relpath(root / path, page.parent)).as_posix()
        return f"`{symbol}` [{path}:{line}]({target}#L{line})"

    return LINK.sub(link, text)


def line_of(file: Path, symbol: str) -> int:
    """The line on which a file defines a symbol, from 1.

    Raises:
        LostSymbolError: If there is no such file or symbol.
    """
    if not file.is_file():
        raise LostSymbolError(f"{file} does not exist, but `{symbol}` is said to be there")
    lines = (_yaml_lines if file.suffix == ".yaml" else _python_lines)(file)
    if symbol not in lines:
        raise LostSymbolError(f"{file} defines no `{symbol}`")
    return lines[symbol]


@cache
def _python_lines(file: Path) -> dict[str, int]:
    return dict(reversed(list(_defined(ast.parse(file.read_text()).body, ""))))  # the first definition counts


def _defined(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
    for node in body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield prefix + node.name, node.lineno
                if isinstance(node, ast.ClassDef):
                    yield from _defined(node.body, f"{prefix}{node.name}.")
            case ast.Assign(targets=targets):
                yield from ((prefix + target.id, node.lineno) for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name, node.lineno


@cache
def _yaml_lines(file: Path) -> dict[str, int]:
    return dict(_keys(yaml.compose(file.read_text()), ""))


def _keys(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        yield prefix + key.value, key.start_mark.line + 1
        yield from _keys(value, f"{prefix}{key.value}.")


def main(root: Path) -> int:
    """Write the lines of all links anew and name the pages that changed."""
    for page in documents(root):
        old = page.read_text()
        try:
            new = relinked(old, page, root)
        except LostSymbolError as error:
            print(f"{page}: {error}", file=sys.stderr)
            return 1
        if new != old:
            page.write_text(new)
            print(f"{page.relative_to(root)}: lines written anew")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2]))
