"""``python -m experiments …``: the same as ``backdrop …``."""

from __future__ import annotations

import sys

from backdrop.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
