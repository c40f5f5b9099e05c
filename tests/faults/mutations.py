"""Damage to files, drawn from a seed: what disks, cables, interrupted copies and careless editors do to them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]

_HEADER = 64  # bytes in which sizes and lengths stand
_VALUES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_WORDS = (b"-1", b"0", b"1e999", b"nan", b"99999999999999999999", b"", b"null", b"2.5", b"true", b'"x"', b"[]", b"\xff")


def _span(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    """Where a span of at most a quarter of the file begins and ends; often short."""
    most = max(1, len(content) // 4)
    length = int(min(most, 2 ** rng.uniform(0, np.log2(most + 1))))
    start = int(rng.integers(len(content) - length + 1))
    return start, start + length


def flipped_bit(content: bytes, rng: np.random.Generator) -> bytes:
    """One bit is another one."""
    at = int(rng.integers(len(content)))
    return content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :]


def other_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """One to eight neighbouring bytes are random."""
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 9))
    return (content[:at] + rng.bytes(length) + content[at + length :])[: len(content)]


def cut_tail(content: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing, by a byte or by nearly all."""
    return content[: len(content) - int(2 ** rng.uniform(0, np.log2(len(content))))]


def zeroed_span(content: bytes, rng: np.random.Generator) -> bytes:
    """A part is zero, as after a lost page."""
    start, end = _span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def zeroed_tail(content: bytes, rng: np.random.Generator) -> bytes:
    """The end is zero, as where a copy was interrupted after the room was taken."""
    left = len(content) - int(2 ** rng.uniform(0, np.log2(len(content))))
    return content[:left] + bytes(len(content) - left)


def swapped_parts(content: bytes, rng: np.random.Generator) -> bytes:
    """Two parts that follow each other are in the other order."""
    start, end = _span(content, rng)
    middle = (start + end) // 2
    return content[:start] + content[middle:end] + content[start:middle] + content[end:]


def doubled_part(content: bytes, rng: np.random.Generator) -> bytes:
    """A part comes twice."""
    start, end = _span(content, rng)
    return content[:end] + content[start:end] + content[end:]


def lost_part(content: bytes, rng: np.random.Generator) -> bytes:
    """A part within is missing."""
    start, end = _span(content, rng)
    return content[:start] + content[end:]


def other_header(content: bytes, rng: np.random.Generator) -> bytes:
    """A number near the beginning is an extreme one, of one, two or four bytes in either order."""
    size = int(rng.choice([1, 2, 4]))
    at = int(rng.integers(min(_HEADER, len(content))))
    value = int(rng.choice(_VALUES)) & (1 << 8 * size) - 1
    return content[:at] + value.to_bytes(size, str(rng.choice(["big", "little"]))) + content[at + size :]  # type: ignore[arg-type]


def other_word(content: bytes, rng: np.random.Generator) -> bytes:
    """A number or a word of a text is one that nobody expects there."""
    words = list(re.finditer(rb"[\w.+-]+", content))
    word = words[int(rng.integers(len(words)))]
    return content[: word.start()] + _WORDS[int(rng.integers(len(_WORDS)))] + content[word.end() :]


def deep(content: bytes, rng: np.random.Generator) -> bytes:
    """Brackets open far deeper than anybody nests them."""
    at = int(rng.integers(len(content)))
    return content[:at] + bytes(rng.choice([b"[", b"{", b'{"a":'])) * 20_000 + content[at:]


ANY: tuple[Mutation, ...] = (
    flipped_bit, other_bytes, cut_tail, zeroed_span, zeroed_tail, swapped_parts, doubled_part, lost_part,
)  # fmt: skip
BINARY = (*ANY, other_header)
TEXT = (*ANY, other_word, other_word, deep)
