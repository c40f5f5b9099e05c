"""One word for one thing (docs/glossary.md): other words for the same thing are in no file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

INSTEAD = {
    r"(?<!in)painters?\b|_painter": "inpainter",
    r"\brepaint": "inpaint",
    r"\bframe[_ ]ind(ex|ices)\b": "frame number",
    r"\bclip[_ ]numbers?\b": "clip index",
    r"\bback-?plates?\b": "plate",
}
"""Pattern of what is not used -> the word of the glossary."""

ROOMS = ("backdrop", "lightning_modules", "datamodules", "callbacks", "experiments")
FOLDERS = (*ROOMS, "tests", "docs", "findings", ".ci")
SUFFIXES = {".py", ".yaml", ".md", ".html", ".js", ".css", ".sh", ".toml", ""}


def found(text: str) -> list[str]:
    """What a text calls by another word than the glossary's."""
    return [f"{hit[0]}: say {word}" for pattern, word in INSTEAD.items() for hit in re.finditer(pattern, text, re.I)]


def test_every_thing_has_one_word(root: Path) -> None:
    files = [root / "README.md", root / "Makefile", *(path for name in FOLDERS for path in (root / name).rglob("*"))]
    texts = {
        path.relative_to(root): path.read_text()
        for path in files
        if path.is_file() and path.suffix in SUFFIXES and path != Path(__file__).resolve()
    }
    assert len(texts) > 200
    assert not {str(path): words for path, text in texts.items() if (words := found(text))}


def test_the_glossary_explains_each_word(root: Path) -> None:
    glossary = (root / "docs" / "glossary.md").read_text()
    missing = {word for word in INSTEAD.values() if not re.search(rf"^\| {word}\b", glossary, re.MULTILINE)}
    assert missing == {"inpaint"}  # what the inpainter does


@pytest.mark.parametrize("text", ["the painter", "painters/seed0", "it repaints", "clip_number", "a frame index"])
def test_another_word_is_seen(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize("text", ["the inpainter", "inpainters/seed0", "Inpainter", "clip_index", "a painted frame"])
def test_the_words_of_the_glossary_pass(text: str) -> None:
    assert not found(text)
