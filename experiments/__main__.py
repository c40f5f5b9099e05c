"""``python -m experiments …``."""

from __future__ import annotations

import sys


def run() -> int:
    """Run the command line; Ctrl-C during the imports, which take seconds, ends it quietly too."""
    try:
        from experiments.cli import main

        return main()
    except KeyboardInterrupt:
        print("interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
