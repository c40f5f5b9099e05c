"""Features, their discriminant and the rounds of the fusion, on scenes with a known answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision import models

from datamodules.cues import features
from datamodules.cues.camera import near_border
from datamodules.cues.discriminant import discriminate
from datamodules.cues.features import AUTO, Backbone, chosen, known, weights_file
from datamodules.cues.fusion import Fused, Fusion, Seen, overlap
from datamodules.cues.patches import ClipFilters, grid_size
from datamodules.cues.principal import learnt
from datamodules.plates.windows import chunks


def truth(shift: int = 0) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[12:28, 20 + shift : 40 + shift] = True
    return mask


def test_discriminant_is_that_of_gaussian_classes() -> None:
    rng = np.random.default_rng(0)
    subject, mean = truth().astype(np.float32), np.array([1.0, -0.5, 0.0])
    frames = [(rng.normal(size=(40, 60, 3)) + subject[..., None] * mean).astype(np.float32) for _ in range(4)]
    found = discriminate(frames, [subject] * 4)
    share = subject.mean()
    assert found.prior == pytest.approx(np.log(share / (1 - share)), abs=0.02)
    expected = frames[0] @ mean - mean @ mean / 2  # the true log-odds at equal classes
    assert np.corrcoef(found.log_odds[0].ravel(), expected.ravel())[0, 1] > 0.99
    assert np.abs(found.log_odds[0] - expected).mean() < 0.2


def test_what_also_lies_at_the_border_is_the_scene() -> None:
    """A wake reaches the border: it is in the labels as well as the subject, and the discriminant leaves it out."""
    rng = np.random.default_rng(0)
    wake = np.zeros((40, 60), bool)
    wake[4:36, 44:] = True
    looks = rng.normal(size=(40, 60, 8)) * 0.3
    looks[truth(), :4] += 1
    looks[wake, 4:] += 1
    labels = np.where(truth() | wake, np.float32(0.7), np.float32(0.05))
    found = discriminate([looks.astype(np.float32)], [labels])
    inside = ~near_border((40, 60))
    odds = found.log_odds[0] + found.prior
    assert odds[truth()].mean() > 0.5 > 0 > odds[wake & inside].mean()
    assert overlap((odds > 0) & inside, truth()) > overlap((labels > 0.5) & inside, truth()) + 0.05


class Looks:
    """A stand-in for a network: the features are the colour of the frame, and noise that tells nothing."""

    def features(self, images: list[np.ndarray]) -> list[np.ndarray]:
        rng = np.random.default_rng(1)
        return [np.concatenate([one / 64, rng.normal(size=one.shape)], axis=2).astype(np.float32) for one in images]


def seen(shift: int, motion: np.ndarray) -> Seen:
    rng = np.random.default_rng(shift)
    image = rng.integers(40, 80, (40, 60, 3)).astype(np.uint8)
    image[truth(shift)] += np.uint8([120, 0, 60])
    return Seen(image, cv2.cvtColor(image, cv2.COLOR_RGB2LAB), motion, motion, None)


def test_fusion_mends_motion_that_sees_a_part_only() -> None:
    frames = []
    for shift in range(6):
        motion = np.full((40, 60), -1.5, np.float32)
        motion[truth(shift)] = 1.5
        motion[:, : 30 + shift] = -1.5  # half of the subject does not move
        frames.append(seen(shift, motion))
    found = Fusion().fuse(frames, Looks())  # type: ignore[arg-type]
    assert list(found[0].steps) == ["motion", "confirmed motion", "colours", "round 1", "round 2"]
    for shift, one in enumerate(found):
        assert overlap(one.steps["motion"], truth(shift)) < 0.6
        assert overlap(one.mask, truth(shift)) > 0.95
        assert one.mask is one.steps["round 2"]
    assert list(Fusion().fuse(frames, None)[0].steps) == ["motion", "confirmed motion", "colours", "cut"]


@pytest.mark.parametrize("sure_is_better", [False, True])
def test_the_way_that_the_cues_trust_more_is_taken(sure_is_better: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    motion, sure = (np.where(truth(shift), np.float32(1.5), np.float32(-1.5)) for shift in (0, 4))

    def learn(_fusion: Fusion, frames: list[Seen], _features: object, way: list[np.ndarray]) -> list[Fused]:
        trust = 0.7 if (way[0] is sure) == sure_is_better else 0.2
        return [Fused(one > 0, trust, {"round 1": one > 0}) for one in way]

    monkeypatch.setattr(Fusion, "_learn", learn)
    frames = [seen(0, motion)._replace(confirmed=sure)] * 3
    (found, *_) = Fusion().fuse(frames, Looks())  # type: ignore[arg-type]
    assert found.trust == 0.7 and (found.mask == truth(4 if sure_is_better else 0)).all()
    assert (found.mask == found.steps["round 1"]).all() and "confirmed motion" in found.steps


def test_motion_loses_weight_where_the_border_moves_and_looks_like_the_scene() -> None:
    motion = np.where(truth(), np.float32(1.5), np.float32(-1.5))
    motion[:, 55:] = 1.5  # a piece of the scene at the border
    frames = [seen(0, motion) for _ in range(4)]
    looks = Looks().features([frame.image for frame in frames])
    border = near_border((40, 60))
    share = (motion > 0)[border].mean()
    weight, labels = Fusion()._begin(looks, [motion] * 4)
    assert weight == pytest.approx(1 - 4 * share, abs=0.01) and 0 < weight < 1
    middle, moves = 0.3 * np.exp(-(2 / 15**2)), 1 / (1 + np.exp(1.5))
    assert labels[0][20, 30] == pytest.approx(weight * (1 - moves) + (1 - weight) * middle, abs=0.01)
    assert labels[0][0, 0] == pytest.approx(weight * moves, abs=0.02)
    assert Fusion(doubt=0)._begin(looks, [motion] * 4)[0] == 1
    assert Fusion()._begin(looks, [np.where(truth(), motion, np.float32(-1.5))] * 4)[0] == 1


def test_a_still_clip_has_no_subject_whatever_its_features_say() -> None:
    still = np.full((40, 60), -2, np.float32)
    found = Fusion().fuse([seen(0, still)] * 3, Looks())  # type: ignore[arg-type]
    assert not any(one.mask.any() or one.trust for one in found)


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"prior": 2.0}, {"doubt": -1.0}, {"colour": -0.1}])
def test_constants_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} of Fusion"):
        Fusion(**wrong)  # type: ignore[arg-type]


def test_features_that_leave_nothing_are_not_asked() -> None:
    """Features that are the same everywhere, and a subject that is small: the prior alone would talk it away."""

    class Same:
        def features(self, images: list[np.ndarray]) -> list[np.ndarray]:
            return [np.ones((40, 60, 2), np.float32) * np.float32([1, 0]) for _ in images]

    small = np.zeros((40, 60), bool)
    small[18:22, 28:32] = True
    motion = np.where(small, np.float32(2), np.float32(-2))
    image = np.where(small[..., None], np.uint8(250), np.uint8(60)).repeat(3, axis=2)
    frames = [Seen(image, cv2.cvtColor(image, cv2.COLOR_RGB2LAB), motion, motion, None)] * 3
    (first, *_) = Fusion(colour=0, prior=1).fuse(frames, Same())  # type: ignore[arg-type]
    assert not first.steps["round 2"].any()
    assert list(first.steps)[-1] == "without features" and overlap(first.mask, small) > 0.9
    assert first.mask is first.steps["without features"]


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    features._network.cache_clear()
    yield tmp_path
    features._network.cache_clear()


def test_auto_is_the_usual_network_where_its_weights_are(no_weights: Path) -> None:
    assert chosen(AUTO) is None and chosen("none") is None and chosen("footage") == ClipFilters()
    assert str(weights_file("vgg16")) in features.sentence(AUTO)
    assert chosen("resnet18") == Backbone("resnet18")
    weights_file("vgg16").parent.mkdir(parents=True)
    weights_file("vgg16").touch()
    assert chosen(AUTO) == Backbone("vgg16")
    assert features.sentence(AUTO) == "Targets: features of vgg16, trained on ImageNet."
    assert features.sentence("none") == "Targets: no features."
    with pytest.raises(ValueError, match="no backbone clip: choose auto, none, footage or one of resnet101"):
        chosen("clip")
    assert {"vgg11", "vgg16", "resnet18", "resnet50"} <= set(known())


@pytest.mark.parametrize("size", [(16, 400), (400, 16), (1, 1), (90, 50)])
def test_frames_of_any_shape_have_features(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    blank = np.zeros((*size, 3), np.uint8)
    for images in ([image], [blank, blank]):
        found = ClipFilters().features(images)
        assert found[0].shape[:2] == grid_size(image) and max(found[0].shape[:2]) <= 240
        assert np.isfinite(found[0]).all()
        nothing = [np.zeros(one.shape[:2], np.float32) for one in found]
        assert np.isfinite(discriminate(found, nothing).log_odds[0]).all()


@pytest.mark.parametrize("name", ["vgg11", "resnet18"])
def test_features_of_a_network_by_name(name: str, no_weights: Path) -> None:
    torch.manual_seed(0)
    weights_file(name).parent.mkdir(parents=True)
    state = models.get_model(name, weights=None).state_dict()
    torch.save({key: value for key, value in state.items() if "classifier" not in key}, weights_file(name))
    rng = np.random.default_rng(0)
    images = [cv2.GaussianBlur(rng.integers(0, 256, (60, 80, 3)).astype(np.uint8), (0, 0), 3) for _ in range(2)]
    drawn = torch.get_rng_state()
    found = Backbone(name).features(images)
    assert torch.equal(torch.get_rng_state(), drawn)  # a cold store and a warm one train alike
    assert [one.shape for one in found] == [(60, 80, 3 * 64 + 3)] * 2
    first = found[0][..., :64]
    assert np.isfinite(first).all()
    assert first[..., 0].var() == pytest.approx(1, abs=0.5) and first[..., 0].var() > 4 * first[..., 40].var()


def test_a_file_that_holds_no_such_weights_is_named(no_weights: Path) -> None:
    weights_file("vgg11").parent.mkdir(parents=True)
    torch.save({"other": torch.zeros(1)}, weights_file("vgg11"))
    with pytest.raises(OSError, match="holds no weights of vgg11"):
        Backbone("vgg11").features([np.zeros((32, 32, 3), np.uint8)])


def test_principal_components_are_those_of_the_covariance() -> None:
    vectors = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0, 2.0, 0.5])
    basis = learnt(vectors, 2)
    found = (vectors - basis.mean) @ basis.factors
    assert found[:, 0].var() == pytest.approx(1, abs=0.01) and found[:, 1].var() == pytest.approx(4 / 9, abs=0.1)
    assert abs(float(basis.factors[0, 0])) == pytest.approx(1 / 3, abs=0.02)


def test_filters_of_the_clip_tell_textures_apart_that_have_the_same_colours() -> None:
    y, x = np.mgrid[:120, :160]
    stripes = np.where(x < 80, np.sin(y * 0.8), np.sin(x * 0.8)) * 50 + 128
    image = np.repeat(stripes[..., None], 3, axis=2).astype(np.uint8)
    frames = ClipFilters().features([image] * 2)
    assert frames[0].shape == (60, 80, 24 * 2 + 64 + 3)
    side = np.repeat((np.arange(80) < 40)[None], 60, axis=0)
    judged = discriminate([frames[0]], [np.where(side, np.float32(0.9), np.float32(0.1))])
    inside = ~near_border((60, 80))
    assert (((judged.log_odds[0] > np.median(judged.log_odds[0][inside])) == side)[inside]).mean() > 0.9


def test_pieces_of_a_stream_share_items_and_each_belongs_to_one() -> None:
    for count, length, shared in ((0, 4, 2), (3, 4, 2), (4, 4, 2), (11, 4, 2), (23, 8, 4)):
        pieces = list(chunks(range(count), length, shared))
        assert [item for piece, own in pieces for item in piece[own]] == list(range(count))
        assert all(len(piece) <= length for piece, _ in pieces)
        assert len(pieces) == (0 if count == 0 else 1) or count > length


def test_a_download_that_was_cut_off_is_called_damaged(no_weights: Path) -> None:
    weights_file("vgg11").parent.mkdir(parents=True)
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, weights_file("vgg11"))
    weights_file("vgg11").write_bytes(weights_file("vgg11").read_bytes()[:1000])
    with pytest.raises(OSError, match=r"is damaged .* delete it, and it is fetched again"):
        Backbone("vgg11").features([np.zeros((32, 32, 3), np.uint8)])
