"""Lightning's own commands: ``fit``, ``validate`` and ``test``."""

from __future__ import annotations

from experiments.signatures import Words


def fit(words: Words) -> None:
    """Train one stage.

    Args:
        words: As Lightning's command line takes them.
    """
    _run("fit", words)


def validate(words: Words) -> None:
    """Run the validation loop once, with the options of fit.

    Args:
        words: See :func:`fit`.
    """
    _run("validate", words)


def test(words: Words) -> None:
    """Run the test loop once, with the options of fit.

    Args:
        words: See :func:`fit`.
    """
    _run("test", words)


def _run(name: str, words: Words) -> None:
    from experiments.runs.lightning_cli import run_lightning

    run_lightning([name, *words])
