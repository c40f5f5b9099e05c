"""The networks: run, refuse, shapes, values, gradients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import resnet18, resnet34

from lightning_modules.geometry import live_cells
from lightning_modules.networks import Detector, DetectorSettings, Inpainter
from lightning_modules.networks.backbone import ResNetTrunk
from lightning_modules.networks.synthesis import CodeSynthesis, Synthesis
from tests.tiny import CODE, WINDOW


def small_synthesis(skips: bool = False) -> Synthesis:
    return (WINDOW if skips else CODE).build().synthesis


def detector(**changed: object) -> Detector:
    return Detector(DetectorSettings(**({"width": 0.125, "weights": None} | changed)))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(32, 48), (37, 50)])
def test_the_inpainter_keeps_the_frame_and_its_visible_part(size: tuple[int, int]) -> None:
    image, hole = torch.rand(2, 3, *size), torch.zeros(2, 1, *size)
    hole[..., 5:20, 8:30] = 1
    composite = Inpainter((4, 8, 8))(image, hole)
    assert composite.shape == image.shape
    torch.testing.assert_close(composite * (1 - hole), image * (1 - hole))
    assert not torch.allclose(composite * hole, image * hole)


def test_what_lies_in_the_hole_never_reaches_the_inpainter() -> None:
    network = Inpainter((4, 8)).eval()
    hole = torch.zeros(1, 1, 16, 16)
    hole[..., 4:12, 4:12] = 1
    image = torch.rand(1, 3, 16, 16)
    other = image * (1 - hole) + torch.rand(1, 3, 16, 16) * hole
    assert torch.equal(network.predict(image, hole), network.predict(other, hole))


def test_the_inpainter_refuses_sizes_that_disagree_and_one_stage() -> None:
    with pytest.raises(ValueError, match="expected"):
        Inpainter((4, 8))(torch.rand(1, 3, 16, 16), torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match="two stages"):
        Inpainter((4,))


def test_the_paper_profile_of_the_inpainter_has_six_stages() -> None:
    assert Inpainter().stride == 32


def test_the_detector_gives_an_8x8_grid_with_a_masked_ring_and_starts_uniform() -> None:
    proposals = detector()(torch.rand(2, 3, 96, 128))
    assert proposals.grid == (8, 8)
    assert proposals.box.shape == (2, 64, 4)
    torch.testing.assert_close(proposals.probability.sum(1), torch.ones(2))
    ring = ~live_cells((8, 8))
    assert proposals.probability[:, ring].abs().max() == 0
    assert proposals.probability[:, ~ring].min() > 0.5 / 36
    assert proposals.probability.max() < 2 / 36


def test_chosen_cells_give_their_own_boxes() -> None:
    proposals = detector()(torch.rand(2, 3, 64, 64))
    cell = torch.tensor([[9, 10], [20, 9]])
    assert torch.equal(proposals.at(cell)[1, 0], proposals.box[1, 20])
    box, confidence = proposals.best()
    row = proposals.probability[0].argmax()
    assert torch.equal(box[0], proposals.box[0, row]) and confidence[0] == proposals.probability[0, row]


def test_boxes_stay_in_float32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        proposals = detector()(torch.rand(1, 3, 64, 64))
    assert proposals.box.dtype == proposals.probability.dtype == torch.float32


def test_probabilities_and_boxes_have_gradients_down_to_the_first_layer() -> None:
    for choose in (lambda p: p.probability[:, 27].sum(), lambda p: p.box[:, 27].sum()):
        net = detector()
        choose(net(torch.rand(2, 3, 64, 64))).backward()
        first = next(net.parameters())
        assert first.grad is not None and first.grad.abs().sum() > 0


@pytest.mark.parametrize("skips", [False, True])
def test_synthesis_returns_a_foreground_and_a_mask_of_the_crop(skips: bool) -> None:
    foreground, mask = small_synthesis(skips)(torch.rand(2, 3, 32, 32))
    assert foreground.shape == (2, 3, 32, 32) and mask.shape == (2, 1, 32, 32)
    for output in (foreground, mask):
        assert 0 <= output.min() and output.max() <= 1


@pytest.mark.parametrize("skips", [False, True])
def test_synthesis_divides_all_its_parameters_between_encoder_and_decoder(skips: bool) -> None:
    network = small_synthesis(skips)
    parts = [*network.encoder_parameters(), *network.decoder_parameters()]
    assert {id(p) for p in parts} == {id(p) for p in network.parameters()}
    assert len(parts) == len(list(network.parameters()))


@pytest.mark.parametrize("skips", [False, True])
def test_synthesis_has_gradients_everywhere(skips: bool) -> None:
    network = small_synthesis(skips)
    foreground, mask = network(torch.rand(2, 3, 32, 32))
    (foreground.mean() + mask.mean()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_without_skips_everything_passes_through_the_code() -> None:
    network = small_synthesis().eval()
    assert isinstance(network, CodeSynthesis)
    for layer in (network.decoder.code, network.decoder.tiled):
        layer.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
    for first, second in zip(network(torch.rand(1, 3, 32, 32)), network(torch.rand(1, 3, 32, 32)), strict=True):
        assert torch.equal(first, second)


def test_with_skips_the_foreground_is_the_window_itself() -> None:
    window = torch.rand(2, 3, 32, 32)
    foreground, mask = small_synthesis(skips=True)(window)
    assert torch.equal(foreground, window) and mask.std() > 0


def test_the_reach_of_a_box_is_an_argument() -> None:
    def reach(cells: float) -> float:
        net = detector(size=(64, 64), max_offset=cells)
        with torch.no_grad():
            assert net.head.bias is not None
            net.head.bias[:2] = 10.0
            box = net(torch.rand(1, 3, 64, 64)).box
        return float(box[0, 0, 0])  # the first of 4 x 4 cells has its centre at -0.75

    assert reach(1.0) == pytest.approx(-0.25, abs=1e-3)
    assert reach(2.0) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"s_min": 0.9}, r"\(s_min, s_max\) of DetectorSettings is \(0.9, 0.8\), expected 0 < s_min < s_max <= 1"),
        ({"s_max": 0.05}, r"is \(0.2, 0.05\), expected 0 < s_min < s_max <= 1"),
        ({"s_min": 0.0}, "expected 0 < s_min < s_max <= 1"),
        ({"s_max": 1.1}, "expected 0 < s_min < s_max <= 1"),
        ({"max_offset": -1.0}, "max_offset of DetectorSettings is -1.0, expected at least 0"),
        ({"size": (128, 32)}, r"size of DetectorSettings is \(128, 32\), expected at least 33 pixels each way"),
        ({"size": (0, 32), "direct": True}, r"size of DetectorSettings is \(0, 32\), expected above 0"),
        ({"width": -1.0}, "must be above 0"),
    ],
)
def test_a_detector_that_cannot_be_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detector(**changed)


@pytest.mark.parametrize("size", [(128, 128), (64, 80), (49, 33)])
def test_the_settings_know_how_many_cells_are_live(size: tuple[int, int]) -> None:
    assert detector(size=size)(torch.rand(1, 3, 64, 64)).live.sum() == DetectorSettings(size=size).live_cells
    assert DetectorSettings(direct=True).live_cells == 1


@pytest.mark.parametrize(("stride", "channels"), [(8, 128), (16, 256), (32, 512)])
def test_the_trunk_is_cut_at_its_stride(stride: int, channels: int) -> None:
    trunk = ResNetTrunk("resnet18", 1.0, stride)
    assert trunk.channels == channels
    assert trunk(torch.rand(1, 3, 64, 64)).shape == (1, channels, 64 // stride, 64 // stride)


def test_the_full_trunk_equals_torchvision_on_normalised_images(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = resnet18(weights=None).eval()
    torch.save(reference.state_dict(), tmp_path / "net.pth")
    trunk = ResNetTrunk("resnet18", 1.0, 32, str(tmp_path / "net.pth")).eval()
    image = torch.rand(1, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = reference.fc(reference.avgpool(trunk(image)).flatten(1))
    torch.testing.assert_close(expected, reference((image - mean) / std))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "vgg16"}, "not a ResNet"),
        ({"stride": 4}, "stride=4"),
        ({"width": 0.5, "weights": "IMAGENET1K_V1"}, "need width 1.0"),
        ({"name": "resnet50", "width": 0.5}, "resnet50"),
        ({"weights": "NO_SUCH"}, "NO_SUCH"),
    ],
)
def test_the_trunk_refuses_what_it_cannot_do(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResNetTrunk(**arguments)  # type: ignore[arg-type]


HEAD = {"fc.0.weight": torch.zeros(4, 4), "projector.weight": torch.zeros(4, 4), "queue": torch.zeros(2)}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state | HEAD, "epoch": 3},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in (state | HEAD).items()}},
        lambda state: {
            "state_dict": {f"module.encoder_q.{key}": value for key, value in (state | HEAD).items()}
            | {f"module.encoder_k.{key}": torch.zeros_like(value) for key, value in state.items()}
        },
        lambda state: {"student": {}, "teacher": {f"backbone.{key}": value for key, value in state.items()}},
        lambda state: {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
    ],
    ids=["plain", "checkpoint", "parallel", "moco", "dino", "old"],
)
def test_weights_of_self_supervised_trainings_load(
    wrap: Callable[[dict[str, torch.Tensor]], object], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    state = {key: value for key, value in resnet18(weights=None).state_dict().items() if not key.startswith("fc.")}
    state["bn1.running_mean"] = torch.rand(64)
    torch.save(wrap(state), tmp_path / "net.pth.tar")
    trunk = ResNetTrunk("resnet18", 1.0, 16, str(tmp_path / "net.pth.tar"))
    assert torch.equal(trunk.layers[0][0].weight, state["conv1.weight"])  # type: ignore[index, arg-type]
    assert torch.equal(trunk.layers[0][1].running_mean, state["bn1.running_mean"])  # type: ignore[index, arg-type]
    assert torch.equal(trunk.layers[3][0].conv1.weight, state["layer3.0.conv1.weight"])  # type: ignore[index, union-attr, arg-type]


def test_weight_files_that_are_missing_or_of_another_net_are_refused(tmp_path: Path) -> None:
    def refused(saved: object, message: str) -> None:
        torch.save(saved, tmp_path / "net.pth")
        with pytest.raises(RuntimeError, match=message):
            ResNetTrunk("resnet18", weights=str(tmp_path / "net.pth"))

    with pytest.raises(RuntimeError, match="do not exist"):
        ResNetTrunk("resnet18", weights=str(tmp_path / "none.pth"))
    state = resnet18(weights=None).state_dict()
    refused({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "hold no network with torchvision's names")
    less = {key: value for key, value in state.items() if "layer4" not in key}
    refused(less, r"do not fit resnet18: \d\d missing, 0 unexpected")
    refused(resnet34(weights=None).state_dict(), r"do not fit resnet18: 0 missing, \d+ unexpected")  # else half of it
    refused(state | {"conv1.weight": torch.zeros(64, 3, 3, 3)}, "1 of another shape")
    refused({f"{name}.{key}": value for key, value in state.items() for name in "ab"}, r"hold 2 networks \(a\., b\.\)")
    refused({"state_dict": state, "args": Path("x")}, "cannot be read as tensors alone")
    (tmp_path / "net.pth").write_bytes(b"not weights")
    with pytest.raises(RuntimeError, match="cannot be read as tensors alone"):
        ResNetTrunk("resnet18", weights=str(tmp_path / "net.pth"))


def test_direct_regression_gives_one_box_that_reaches_all_of_the_frame() -> None:
    net = detector(size=(64, 64), direct=True)
    proposals = net(torch.rand(2, 3, 48, 64))
    assert proposals.grid == (1, 1) and proposals.box.shape == (2, 1, 4) and proposals.live.all()
    assert torch.equal(proposals.probability, torch.ones(2, 1))
    assert len(net.head.weight) == 4  # no logit, which would be an unused parameter
    for shift, centre in ((-9.0, -1.0), (9.0, 1.0)):
        with torch.no_grad():
            net.head.get_parameter("bias")[:2] = shift
        torch.testing.assert_close(net(torch.rand(1, 3, 64, 64)).box[0, 0, :2], torch.full((2,), centre))
