"""The documents: every link leads somewhere, every line number is right, and the README stays short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.relink import LINK, LostSymbolError, documents, line_of, relinked

INLINE = re.compile(r"!?\[[^\]]*\]\((?!https?:|mailto:)(?P<target>[^)\s]*)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def broken(page: Path) -> Iterator[str]:
    """Links of a page that lead nowhere: a missing file, or a heading that the page does not have."""
    for found in INLINE.finditer(FENCE.sub("", page.read_text())):
        name, _, anchor = found["target"].partition("#")
        target = page.parent / name if name else page
        if not target.is_file() and not (target.is_dir() and target.suffix == ""):
            yield found["target"]
        elif anchor and target.suffix == ".md" and anchor not in headings(target.read_text()):
            yield found["target"]


def headings(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub and MkDocs make them."""
    titles = re.findall(r"^#+ +(.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_every_link_leads_somewhere(root: Path) -> None:
    found = {page.relative_to(root).as_posix(): list(broken(page)) for page in documents(root)}
    assert not {name: links for name, links in found.items() if links}


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A: `x`\n[here](#a-x) [there](no.md) ![p](p.png) [gone](#gone)\n```\n[code](not)\n```\n")
    assert list(broken(page)) == ["no.md", "p.png", "#gone"]


def test_every_line_number_is_that_of_its_symbol(root: Path) -> None:
    pages = documents(root)
    wrong = [page.name for page in pages if relinked(page.read_text(), page, root) != page.read_text()]
    assert not wrong, "run python -m tests.docs.relink"


def test_every_link_to_a_line_names_its_symbol(root: Path) -> None:
    for page in documents(root):
        assert "#L" not in LINK.sub("", page.read_text()), f"{page.name}: write `symbol` [file.py:1](../file.py#L1)"


def test_every_page_is_reached_from_the_index(root: Path) -> None:
    seen, todo = set(), [root / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            linked = (page.parent / found["target"].partition("#")[0] for found in INLINE.finditer(page.read_text()))
            todo += [path.resolve() for path in linked if path.suffix == ".md"]
    assert {page for page in documents(root) if "api" not in page.parts} <= seen


def test_every_page_that_the_code_cites_exists(root: Path) -> None:
    files = [root / "Makefile", *root.glob("*.toml"), *(root / "docs").glob(".*.py")]
    for room in ("backdrop", "lightning_modules", "datamodules", "callbacks", "experiments", "tests"):
        files += [file for file in (root / room).rglob("*") if file.suffix in (".py", ".yaml", ".html")]
    cited = {(file, page) for file in files for page in re.findall(r"\bdocs/[\w/]+\.md\b", file.read_text())}
    assert cited
    missing = sorted(f"{file.relative_to(root)}: {page}" for file, page in cited if not (root / page).is_file())
    assert not missing


def test_the_readme_is_short_and_lines_are_readable(root: Path) -> None:
    assert len((root / "README.md").read_text().splitlines()) <= 150
    for page in documents(root):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            assert len(line) <= 140 or line.startswith("|") or "](" in line, f"{page.name}:{number} is too long"


SOURCE = '''"""Module."""
SIZE = 3


class Part:
    side: int = 2

    @property
    def area(self):
        return self.side**2
'''


def test_lines_follow_their_symbols(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    (tmp_path / "part.py").write_text(SOURCE)
    (tmp_path / "part.yaml").write_text("# comment\nmodel:\n  init_args:\n    side: 2\n")
    text = "`SIZE` [part.py](../part.py), `Part.area` [part.py:1](../part.py#L1), `model.init_args.side` [part.yaml](x)"
    expected = (
        "`SIZE` [part.py:2](../part.py#L2), `Part.area` [part.py:9](../part.py#L9), "
        "`model.init_args.side` [part.yaml:4](../part.yaml#L4)"
    )
    assert relinked(text, page, tmp_path) == expected
    assert relinked(expected, page, tmp_path) == expected


@pytest.mark.parametrize(("name", "symbol"), [("part.py", "Part.volume"), ("gone.py", "SIZE"), ("part.yaml", "side")])
def test_a_lost_symbol_is_named(tmp_path: Path, name: str, symbol: str) -> None:
    (tmp_path / "part.py").write_text(SOURCE)
    (tmp_path / "part.yaml").write_text("model:\n  side: 2\n")
    with pytest.raises(LostSymbolError, match=symbol.split(".")[-1]):
        line_of(tmp_path / name, symbol)
