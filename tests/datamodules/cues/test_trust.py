"""How far targets are to be trusted, in a number and in words."""

import numpy as np
import pytest

from datamodules.cues.trust import Trust


def test_agreement_is_the_share_of_frames_by_clip_and_in_all() -> None:
    trust = Trust.of([("a", np.float32([0.5, 0.49, 0.9])), ("b", np.float32([0.1])), ("c", np.float32([]))], "vgg16")
    assert trust.frames == 4 and trust.agree == 0.5 and trust.features == "vgg16"
    assert trust.clips == {"a": pytest.approx(2 / 3, abs=1e-4), "b": 0.0}


@pytest.mark.parametrize(
    ("agree", "words"), [(1.0, "should be good"), (0.6, "should be good"), (0.5, "look at"), (0.2, "probably wrong")]
)
def test_the_sentence_says_what_the_number_means(agree: float, words: str) -> None:
    sentence = Trust(50, agree, {}, "none").sentence()
    assert words in sentence and f"{agree:.0%} of 50 training frames" in sentence
