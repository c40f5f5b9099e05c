"""Cross-validation over groups of clips, on scores whose answer is known."""

import pytest

from experiments.results.cross_validation import groups_of, leave_group_out

CLIPS = [f"clip{number}" for number in range(6)]


def test_groups_are_dealt_in_turn() -> None:
    assert groups_of(CLIPS, 2) == [["clip0", "clip2", "clip4"], ["clip1", "clip3", "clip5"]]
    assert sorted(clip for group in groups_of(CLIPS, 4) for clip in group) == CLIPS
    for count in (1, 7):
        with pytest.raises(ValueError, match="from 2 to the number of clips, 6"):
            groups_of(CLIPS, count)


def test_a_setting_that_is_good_on_its_own_clips_only_is_found_out() -> None:
    """`narrow` is best on average by one group alone: the other groups choose `steady` for it, and it loses there."""
    steady = dict.fromkeys(CLIPS, 0.6)
    narrow = {clip: 1.0 if clip in ("clip0", "clip2", "clip4") else 0.3 for clip in CLIPS}
    found = leave_group_out({"steady": steady, "narrow": narrow}, 2)
    assert (found.best, found.tuned) == ("narrow", pytest.approx(0.65))
    assert found.chosen == ("steady", "narrow")
    assert found.means == (pytest.approx(0.6), pytest.approx(0.3))
    assert found.left_out == pytest.approx(0.45)
    assert found.spread == pytest.approx(0.45 / 3 / 2**0.5 * 2, abs=0.01)


def test_one_setting_loses_nothing() -> None:
    scores = {"only": {clip: 0.1 * number for number, clip in enumerate(CLIPS)}}
    found = leave_group_out(scores, 3)
    assert found.left_out == pytest.approx(found.tuned) == pytest.approx(0.25)


def test_settings_must_be_of_the_same_clips() -> None:
    with pytest.raises(ValueError, match="all of the same clips"):
        leave_group_out({"a": {"x": 1.0, "y": 1.0}, "b": {"x": 1.0}}, 2)
    with pytest.raises(ValueError, match="at least one setting"):
        leave_group_out({}, 2)
