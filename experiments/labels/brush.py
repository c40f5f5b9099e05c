"""The run lengths of Label Studio's brush, the format of thi.ng/rle-pack.

The library label-studio-sdk writes the same bytes, which a test checks; it cannot be installed beside OpenCV 5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORD = 8
_SIZES = (3, 4, 8, 16)  # bits of a run's length, of which each run names one
_CHANNELS = 4  # a pixel is red, green, blue and opacity, which are alike


def brush_runs(mask: NDArray[np.bool_]) -> list[int]:
    """A mask as Label Studio's brush.

    Args:
        mask: Bool, (H, W), not empty.

    Returns:
        Bytes: the number of values, the sizes of words and lengths, and then the runs, padded to whole bytes.
    """
    flat = mask.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
    lengths = np.diff(ends, prepend=-1) * _CHANNELS
    header = f"{flat.size * _CHANNELS:032b}{_WORD - 1:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    pairs = zip(lengths.tolist(), flat[ends].tolist(), strict=True)
    bits = header + "".join(_run(length, 255 * value) for length, value in pairs)
    bits += "0" * (8 - len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _run(length: int, value: int) -> str:
    """The bits of one run: that it is one, which size its length has, the length less one, and the value."""
    longest = 1 << _SIZES[-1]
    whole, rest = divmod(length - 1, longest)
    index = 3 if whole else next(index for index, size in enumerate(_SIZES) if rest < 1 << size)
    runs = [f"111{longest - 1:016b}"] * whole + [f"1{index:02b}{rest:0{_SIZES[index]}b}"]
    return "".join(f"{run}{value:0{_WORD}b}" for run in runs)
