"""The measures of a result: their names in ``results.json``, and what tables call them."""

from __future__ import annotations

MEASURES = {
    "j_mean": "J",
    "f_measure": "F",
    "precision": "P",
    "recall": "R",
    "boundary_f": "boundary F",
    "hit_rate": "hit rate",
}
"""Measures at a threshold and their headings: ``j_mean`` is at the fixed one, ``best_j_mean`` at the best."""

OFFICIAL = {
    "j_recall": "J recall",
    "j_decay": "J decay",
    "boundary_recall": "boundary F recall",
    "boundary_decay": "boundary F decay",
}
"""Further figures of the protocol of DAVIS, see :mod:`experiments.results.official`."""

RANKING = {"peak_in_box": "peak in box", "average_precision": "AP", "aurc": "AURC"}
"""Measures of the detector's probabilities and of the score: they know no threshold."""
SECONDS = {"seconds_per_frame": "s/frame", "processor_seconds_per_frame": "CPU s/frame"}
HEADINGS = {**MEASURES, **OFFICIAL, **RANKING, **SECONDS}
"""Every column that a table of results may have, in order."""

SUBJECT_MEASURES = {
    "subject_j": "J of each",
    "subject_recall": "recall",
    "average_precision": "AP",
    "count_accuracy": "count right",
    "subjects_found": "found",
    "subjects_there": "there",
}
"""Measures of several subjects, under ``subjects``."""
