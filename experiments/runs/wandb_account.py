"""Is there a W&B account on this machine, and does its server answer?"""

from __future__ import annotations

import netrc
import os
import ssl
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import urlopen

from backdrop.errors import RunError

SECONDS = 5
"""How long the server may take to answer before a training begins."""

FORMER_SERVER = "https://api.wandb.ai"
"""W&B's server up to wandb 0.30; later versions go on to take its entries in ``netrc``."""

_MODES = {mode: mode for mode in ("online", "offline", "disabled")} | {"dryrun": "offline"}
_MODES |= {"shared": "online", "run": "online"}


def wandb_mode() -> str:
    """How W&B is used: ``online``, ``offline`` or ``disabled``.

    ``WANDB_MODE`` decides where it is set; else an account (``WANDB_API_KEY`` or a ``netrc`` entry) means online.

    Raises:
        RunError: If ``WANDB_MODE`` is none of W&B's.
    """
    named = os.environ.get("WANDB_MODE", "")
    if named and named.lower() not in _MODES:
        raise RunError(f"WANDB_MODE is '{named}', expected online, offline or disabled.")
    if named:
        return _MODES[named.lower()]
    return "online" if has_account() else "offline"


def has_account() -> bool:
    """Whether a W&B key is configured on this machine."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    named = os.environ.get("NETRC")
    for file in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            entries = netrc.netrc(str(file))
        except (OSError, ValueError, netrc.NetrcParseError):  # ValueError: it is no text
            continue
        if any(entries.authenticators(urlparse(server).netloc) for server in (wandb_server(), FORMER_SERVER)):
            return True
    return False


def wandb_server() -> str:
    """The address of the W&B server: ``WANDB_BASE_URL``, or the one that the installed wandb has as its own."""
    if named := os.environ.get("WANDB_BASE_URL"):
        return named
    import wandb

    return str(wandb.Settings().base_url)


def unreachable() -> str | None:
    """Ask the W&B server for a sign of life, through a proxy where one is set.

    Returns:
        Why it gives none within :data:`SECONDS`; None where it answers.
    """
    try:
        urlopen(wandb_server(), timeout=SECONDS).close()
    except HTTPError:  # an answer
        return None
    except URLError as error:
        if isinstance(error.reason, ssl.SSLError):  # an answer too: W&B may trust a certificate that Python does not
            return None
        return str(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return str(error) or type(error).__name__
    return None
