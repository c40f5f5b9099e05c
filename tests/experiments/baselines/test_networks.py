"""The baselines with networks: random weights for shapes, networks that answer by the book, and missing weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights
from torchvision.transforms.functional import normalize, to_tensor

from backdrop.errors import RunError
from experiments.baselines.cam import Cam
from experiments.baselines.detectors import CATEGORIES, CocoDetector, Detector, MaskRcnn
from experiments.baselines.weights import torchvision_network
from lightning_modules.networks.backbone import IMAGENET_MEAN, IMAGENET_STD, ResNetTrunk
from tests.moving_square import SIZE, moving_square


class Answer(nn.Module):
    """A detector that sees what it is told, and says what it was shown."""

    def __init__(self, found: dict[str, Tensor]) -> None:
        super().__init__()
        self.found = found
        self.parameter = nn.Parameter(torch.zeros(()))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        assert images[0].shape == (3, *SIZE) and images[0].max() <= 1
        (self.shown,) = images
        return [self.found]


def answer(boxes: list[list[float]], labels: list[str], scores: list[float]) -> Answer:
    masks = torch.zeros(len(boxes), 1, *SIZE)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[0, int(top) : int(bottom), int(left) : int(right)] = 0.9
    numbers = torch.tensor([CATEGORIES.index(label) for label in labels])
    shown = {"boxes": torch.tensor(boxes).view(-1, 4), "labels": numbers, "scores": torch.tensor(scores)}
    return Answer({**shown, "masks": masks})


TWO = ([[0.0, 0, 32, 24], [64, 48, 128, 96]], ["person", "dog"], [0.6, 0.9])


@pytest.mark.parametrize("kind", [MaskRcnn, CocoDetector])
def test_the_surest_detection_counts(kind: type[Any]) -> None:
    detector: Detector = kind(weights=None)
    detector.network = answer(*TWO)
    frames = moving_square(frames=1)[0]
    (found,) = detector.predict(frames, [0])
    torch.testing.assert_close(detector.network.shown, to_tensor(frames[0]))  # the order of colours too
    assert found.box == pytest.approx((0.5, 0.5, 0.5, 0.5)) and found.confidence == pytest.approx(0.9)
    truth = np.zeros(SIZE, dtype=bool)
    truth[48:, 64:] = True
    assert ((found.mask >= 0.5) == truth).all()


def test_a_category_may_be_asked_for() -> None:
    detector = CocoDetector(weights=None, category="person")
    detector.network = answer(*TWO)
    (found,) = detector.predict(moving_square(frames=1)[0], [0])
    assert found.box == pytest.approx((-0.75, -0.75, 0.25, 0.25)) and found.confidence == pytest.approx(0.6)
    detector.category = "cat"
    (nothing,) = detector.predict(moving_square(frames=1)[0], [0])
    assert nothing.confidence == 0 and not nothing.mask.any()


def test_a_frame_without_detections_is_empty() -> None:
    detector = MaskRcnn(weights=None)
    detector.network = answer([], [], [])
    (nothing,) = detector.predict(moving_square(frames=1)[0], [0])
    assert nothing.box == (0, 0, 0, 0) and nothing.confidence == 0 and nothing.mask.shape == SIZE


@pytest.mark.parametrize("kind", [MaskRcnn, CocoDetector])
def test_random_weights_run(kind: type[Any]) -> None:
    torch.manual_seed(0)
    detector: Any = kind(weights=None)
    detector.network.transform.min_size = (64,)
    detector.network.roi_heads.score_thresh = 0.0  # random scores are small
    (found,) = detector.predict(moving_square(frames=3)[0], [1])
    assert found.mask.shape == SIZE and found.mask.dtype == np.float32 and 0 < found.confidence < 1
    assert 0 <= found.mask.min() and found.mask.max() <= 1
    cx, cy, sx, sy = found.box
    assert abs(cx) + sx <= 1.001 and abs(cy) + sy <= 1.001


def test_a_class_activation_map_is_that_of_the_paper(tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = torchvision.models.resnet50().eval()
    nn.init.normal_(classifier.fc.weight)  # so that maps count for and against a class
    torch.save(classifier.state_dict(), tmp_path / "resnet50.pth")
    baseline = Cam(weights=str(tmp_path / "resnet50.pth"), side=64)
    frames, _ = moving_square(frames=1)
    (found,) = baseline.predict(frames, [0])

    maps: list[Tensor] = []
    classifier.layer4.register_forward_hook(lambda *arguments: maps.append(arguments[2]))
    image = F.interpolate(to_tensor(frames[0])[None], (64, 85), mode="bilinear", antialias=True)
    with torch.no_grad():
        best = int(classifier(normalize(image, list(IMAGENET_MEAN), list(IMAGENET_STD)))[0].argmax())
        activation = sum(w * m for w, m in zip(classifier.fc.weight[best], maps[0][0], strict=True))
    assert isinstance(activation, Tensor)
    whole = F.interpolate(activation[None, None], SIZE, mode="bilinear")[0, 0].clamp(min=0)
    share = (whole / whole.max()).numpy()
    assert share.min() < 0.8  # the map is not flat
    np.testing.assert_allclose(found.mask, share / (share + 0.2), atol=1e-4)


@pytest.mark.parametrize("kind", [MaskRcnn, CocoDetector, Cam])
def test_missing_weights_are_named(kind: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(RunError, match=rf"not in {tmp_path}/hub/checkpoints and cannot be fetched .*set TORCH_HOME"):
        kind()


def test_weights_that_do_not_exist_or_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no weights IMAGENET9 of resnet18: choose IMAGENET1K_V1, a file or null"):
        torchvision_network("resnet18", "IMAGENET9")
    with pytest.raises(RunError, match=r"none.pth do not exist"):
        torchvision_network("resnet18", str(tmp_path / "none.pth"))
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "page.pth").write_text("<html>")
    (tmp_path / "empty.pth").touch()
    for name in ("page", "empty", "folder"):
        with pytest.raises(RunError, match=rf"{name}.pth (cannot be read as tensors|do not exist)"):
            torchvision_network("resnet18", str(tmp_path / f"{name}.pth"))
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(RunError, match=r"list.pth is no state dict"):
        torchvision_network("resnet18", str(tmp_path / "list.pth"))
    network = torchvision_network("resnet18", None)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "whole.pth")
    again = torchvision_network("resnet18", str(tmp_path / "whole.pth"))
    torch.testing.assert_close(again.state_dict(), network.state_dict())
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(RunError, match=r"other.pth is no state dict"):
        torchvision_network("resnet18", str(tmp_path / "other.pth"))


def test_damaged_weights_in_the_cache_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / Path(ResNet18_Weights.IMAGENET1K_V1.url).name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half of it")
    with pytest.raises(RunError, match=rf"in {file.parent} cannot be loaded .*delete it, and it is fetched anew"):
        torchvision_network("resnet18", "IMAGENET1K_V1")
    with pytest.raises(RuntimeError, match="cannot be loaded"):
        ResNetTrunk("resnet18", weights="IMAGENET1K_V1")


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(RunError, match="COCO has no category 'skier'"):
        CocoDetector(weights=None, category="skier")
