"""The command ``backdrop``, and ``python -m backdrop``."""

from __future__ import annotations

import os
import sys

from backdrop import processor
from backdrop.errors import RunError, print_error
from backdrop.rooms import require_rooms


def run() -> int:
    """Run the command line; Ctrl-C during the imports, which take seconds, ends it quietly too.

    Returns:
        Exit code, see :func:`experiments.cli.main`.
    """
    try:
        processor.settle("".join(sys.argv[1:2]))
        require_rooms("this command cannot run")
        from experiments.cli import main

        code = main()
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who reads the output has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except RunError as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
