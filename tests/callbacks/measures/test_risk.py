"""Risk against coverage, on frames that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.measures.risk import COVERAGES, risk_curve, risks


def test_the_risk_is_that_of_the_frames_with_the_highest_scores() -> None:
    curve = risk_curve(np.array([0.2, 0.9, 0.5]), np.array([0.1, 1.0, 0.7]))
    assert curve.tolist() == pytest.approx([0.0, 0.3 / 2, (0.3 + 0.9) / 3])


def test_frames_with_the_same_score_share_their_risk_whatever_their_order() -> None:
    j = np.array([1.0, 0.0, 0.5, 0.5])
    assert risk_curve(np.ones(4), j).tolist() == pytest.approx([0.5] * 4)
    assert risk_curve(np.ones(4), j[::-1]).tolist() == pytest.approx([0.5] * 4)


def test_frames_without_a_score_or_without_a_mask_are_left_out() -> None:
    found = risks(np.array([0.9, 0.8, np.nan, 0.1]), np.array([0.75, np.nan, 0.0, 0.25]))
    assert found["aurc"] == pytest.approx((0.25 + 0.5) / 2)
    assert list(found["risk_coverage"]) == [f"{share:.1f}" for share in COVERAGES]
    assert found["risk_coverage"]["1.0"] == pytest.approx(0.5) and found["risk_coverage"]["0.1"] == pytest.approx(0.25)
    assert risks(np.full(2, np.nan), np.ones(2)) == {}
