"""SegmentationModule: every cell of the routing table from ``.grad``, the frozen inpainter, inference."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_modules import InpaintingModule, SegmentationModule
from lightning_modules.estimators import Estimator, Exact, Importance, LeaveOneOut
from lightning_modules.geometry import cell_centres
from lightning_modules.handover import HandoverError, read_inpainter
from lightning_modules.networks import DetectorSettings
from lightning_modules.objectives import Background, BoxFit, Draw, Foreground, MaskPrior, ReachPrior
from lightning_modules.scene import Evidence, Inpainting, Plates, Scene
from tests.tiny import DETECTOR, PIXELS, SEGMENTATION, WINDOW

SMALL = SEGMENTATION | {"inpainter_channels": (4, 8)}


def module(**arguments: object) -> SegmentationModule:
    torch.manual_seed(0)
    made = SegmentationModule(**(SMALL | arguments))  # type: ignore[arg-type]
    made.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    return made


def images() -> Tensor:
    return torch.rand(3, 3, 36, 48, generator=torch.Generator().manual_seed(1))


def drawn(net: SegmentationModule, scene: Scene | None = None, **batch: Tensor) -> Draw:
    """What a training step draws, over a scene that may be another than the module's."""
    return net.draw((scene or net.scene).view({"image": images(), **batch}, net.inpainter, True))  # type: ignore[typeddict-item]


def terms_of(net: SegmentationModule, scene: Scene | None = None, **batch: Tensor) -> dict[str, Tensor]:
    return net.losses(drawn(net, scene, **batch))


def gradients(term: str, **arguments: object) -> dict[str, bool]:
    """Which variables of Sec. 3.2 a term's backward pass reaches."""
    net = module(**arguments)
    kept: dict[str, Tensor] = {}

    def keep(_: nn.Module, __: object, proposals: object) -> None:
        for name in ("probability", "box"):
            kept[name] = getattr(proposals, name)
            if kept[name].requires_grad:  # the only box has probability 1
                kept[name].retain_grad()

    net.detector.register_forward_hook(keep)
    terms_of(net)[term].backward()

    def reached(tensors: list[Tensor]) -> bool:
        return any(t.grad is not None and bool(t.grad.abs().sum() > 0) for t in tensors)

    return {
        "p": reached([kept["probability"]]),
        "b": reached([kept["box"]]),
        "S": reached(list(net.segmenter.synthesis.parameters())),
        "I": reached(list(net.inpainter.parameters())),
    }


BOXES = Background(reaches_boxes=True)
MODES: dict[str, dict[str, Any]] = {
    "separate": {},
    "joint": {"foreground": Foreground(reaches_p=True), "background": BOXES},
    "background_only": {"foreground": None, "background": BOXES},
    "direct": {"detector": DetectorSettings(**DETECTOR, direct=True), "background": BOXES},
    "p alone": {"foreground": Foreground(reaches_p=True)},
}
ROUTES = [
    ("separate", "foreground", {"p": False, "b": True, "S": True, "I": False}),
    ("separate", "background", {"p": True, "b": False, "S": False, "I": False}),
    ("joint", "foreground", {"p": True, "b": True, "S": True, "I": False}),
    ("joint", "background", {"p": True, "b": True, "S": False, "I": False}),
    ("background_only", "background", {"p": True, "b": True, "S": False, "I": False}),
    ("direct", "foreground", {"p": False, "b": True, "S": True, "I": False}),
    ("direct", "background", {"p": False, "b": True, "S": False, "I": False}),
    ("p alone", "foreground", {"p": True, "b": True, "S": True, "I": False}),
    ("p alone", "background", {"p": True, "b": False, "S": False, "I": False}),
]


@pytest.mark.parametrize(("mode", "term", "expected"), ROUTES)
@pytest.mark.parametrize("estimator", [None, LeaveOneOut(3, 0.01)], ids=["reused draws", "own draws"])
@pytest.mark.parametrize("segmenter", ["code", "window"])
def test_who_learns_from_which(
    mode: str, term: str, expected: dict[str, bool], estimator: Estimator | None, segmenter: str
) -> None:
    arguments = dict(MODES[mode])
    arguments["background"] = replace(arguments.get("background", Background()), estimator=estimator)
    arguments |= {"segmenter": WINDOW} if segmenter == "window" else {}
    assert gradients(term, **arguments) == expected


def test_one_backward_pass_gives_the_sum_of_both_objectives() -> None:
    def run(choose: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
        net = module()
        torch.manual_seed(5)
        choose(terms_of(net)).backward()
        grad = net.detector.head.weight.grad
        assert grad is not None
        return grad

    both = run(lambda t: t["foreground"] + t["background"])
    torch.testing.assert_close(both, run(lambda t: t["foreground"]) + run(lambda t: t["background"]))


def test_the_exact_estimator_of_o_equals_the_mean_of_many_draws() -> None:
    net = module().eval()
    with torch.no_grad():
        net.estimator = Exact()
        exact = terms_of(net)
        net.estimator = Importance(400, 0.01)
        many = terms_of(net)
    for name in ("foreground", "background"):
        torch.testing.assert_close(many[name], exact[name], rtol=0.05, atol=0)


def test_the_terms_beyond_the_paper_reach_what_they_should() -> None:
    reached = gradients("box_fit", box_fit=BoxFit(1.0), segmenter=WINDOW)
    assert reached == {"p": False, "b": True, "S": False, "I": False}
    assert gradients("prior_reach", reach_prior=ReachPrior()) == {"p": True, "b": False, "S": False, "I": False}
    assert list(terms_of(module())) == ["foreground", "prior_mask", "background", "prior_box", "prior_confidence"]
    off = dict.fromkeys(("mask_prior", "box_prior", "confidence_prior"))
    assert list(terms_of(module(**off))) == ["foreground", "background"]


def test_the_reach_prior_is_paid_in_the_unit_of_g() -> None:
    net = module(reach_prior=ReachPrior(0.25), scene=Plates())
    frames = images()
    covered = torch.ones_like(frames[:, :1], dtype=torch.bool)
    with torch.no_grad():
        draw = drawn(net, plate=1 - frames, covered=covered)
        value = net.losses(draw)["prior_reach"]
    density = net.background.density(draw.repeated, draw.flat)  # one draw of each frame
    height, width = draw.proposals.grid
    assert (height, width) == (4, 4)
    expected = 0.0
    for frame in range(3):
        for cell in (5, 6, 9, 10):
            x, y = ((cell % 4) + 0.5) / 2 - 1, ((cell // 4) + 0.5) / 2 - 1
            cx, cy = draw.proposals.box[frame, cell, :2].tolist()
            distance = (2 * (cx - x)) ** 2 + (2 * (cy - y)) ** 2  # a cell is half a unit wide
            expected += float(density[frame] * draw.proposals.probability[frame, cell]) * distance / 3
    assert float(value) == pytest.approx(0.25 * expected, rel=1e-4)
    assert net.losses(drawn(net, plate=frames, covered=covered))["prior_reach"] == 0  # nothing is to be seen for G


def test_the_mask_prior_over_the_frame_weighs_the_window_by_its_area() -> None:
    values = {}
    half = DetectorSettings(**(DETECTOR | {"s_min": 0.49999, "s_max": 0.50001}))
    for over in ("window", "frame"):
        net = module(mask_prior=MaskPrior(1.0, "l1", over=over), detector=half)  # type: ignore[arg-type]
        torch.manual_seed(2)
        values[over] = terms_of(net)["prior_mask"]
    torch.testing.assert_close(values["frame"], values["window"] / 4, rtol=1e-3, atol=0)


def test_the_box_of_the_mask_is_given_in_use_and_lies_inside_the_detectors() -> None:
    net = module(segmenter=WINDOW).eval()
    with torch.no_grad():
        window = net.detector(images()).best()[0]
        plain = net(images())["box"]
        net.box_from_mask = True
        net.segmenter.synthesis.forward = lambda seen, other: (  # type: ignore[method-assign]
            seen,
            (torch.arange(32) < 16).float().expand(len(seen), 1, 32, 32),
        )
        tight = net(images())["box"]
    torch.testing.assert_close(plain, window)
    torch.testing.assert_close(tight[:, 2], window[:, 2] / 2)
    torch.testing.assert_close(tight[:, 0], window[:, 0] - window[:, 2] / 2)


def test_both_objectives_look_at_the_plate_where_it_is_known() -> None:
    net = module(scene=Plates())
    frames = images()
    covered = torch.ones_like(frames[:, :1], dtype=torch.bool)
    draw = drawn(net, plate=frames, covered=covered)  # a plate that shows the frame itself: nothing is the subject
    assert net.losses(draw)["background"] == 0 and torch.equal(draw.output()["background"], frames)
    torch.manual_seed(3)
    unknown = terms_of(net, plate=frames, covered=~covered)["background"]
    torch.manual_seed(3)
    torch.testing.assert_close(unknown, terms_of(net, Inpainting())["background"])
    assert unknown < 0


def test_a_scene_that_compares_no_composite_has_none_in_training() -> None:
    known = {"plate": images(), "covered": torch.ones(3, 1, 36, 48), "evidence": torch.rand(3, 1, 36, 48)}
    outputs = drawn(module(scene=Evidence(), segmenter=WINDOW), **known).output()
    assert "mask" in outputs and "composite" not in outputs
    net = module(scene=Evidence(), segmenter=WINDOW).eval()
    batch = {"image": images(), "clip": ["a"] * 3, "index": torch.arange(3), **known}
    assert "composite" in net.validation_step(batch, 0)  # type: ignore[arg-type]


def test_against_evidence_the_box_fit_looks_at_it() -> None:
    evidence = torch.zeros(3, 1, 36, 48)
    evidence[..., 12:24, 16:32] = 0.75
    known = {"plate": images(), "covered": evidence < 1, "evidence": evidence}

    def pull(reach: float, mask: float) -> Tensor:
        net = module(scene=Evidence(reach=reach), segmenter=WINDOW, box_fit=BoxFit(1.0))
        whole = net.segmenter.forward

        def fixed(image: Tensor, box: Tensor, mask_only: bool) -> tuple[Tensor, Tensor | None, Tensor]:
            return *whole(image, box, mask_only)[:2], torch.full((len(box), 1, 8, 8), mask)

        net.segmenter.forward = fixed  # type: ignore[method-assign]
        torch.manual_seed(0)
        return terms_of(net, **known)["box_fit"].detach()

    assert pull(0.0, mask=0.0) == 0 and pull(0.0, mask=1.0) > 0
    assert pull(2.0, mask=0.0) == pull(2.0, mask=1.0) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scene": Evidence()}, "the scene Evidence does not go with the segmenter CodeSegmenter"),
        ({"estimator": Importance(epsilon=0.5)}, "epsilon of Importance is 0.5, expected 0 to 1/4"),
        ({"background": Background(LeaveOneOut(2, 0.5))}, "epsilon of LeaveOneOut is 0.5, expected 0 to 1/4"),
        ({"learning_rate": 0.0}, "learning_rate of SegmentationModule is 0.0, expected above 0."),
        ({"decoder_learning_rate": -1.0}, "decoder_learning_rate of SegmentationModule is -1.0, expected above 0."),
        ({"lr_schedule": "linear"}, "lr_schedule of SegmentationModule is linear, expected constant or cosine."),
        ({"inpainter_channels": (4, 0)}, "channels of Inpainter is .*, expected above 0."),
    ],
)
def test_settings_that_do_not_go_together_or_are_out_of_range_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module(**arguments)


def test_while_it_is_warm_boxes_are_pulled_to_a_size_of_their_own_and_not_to_their_masks() -> None:
    net = module(segmenter=WINDOW, box_fit=BoxFit(2.0, warmup=0.5))

    def pull(progress: float) -> Tensor:
        net._progress = lambda: progress  # type: ignore[method-assign]
        torch.manual_seed(3)
        return terms_of(net)["box_fit"]

    net._progress = lambda: 1.0  # type: ignore[method-assign]
    torch.manual_seed(3)
    boxes = drawn(net).output()["box"]
    torch.testing.assert_close(pull(0.4), 2 * (boxes[:, 2:] - 0.4).square().sum(dim=1).mean())
    assert not torch.isclose(pull(0.4), pull(0.5))


def test_it_is_warm_for_the_share_that_is_asked_for() -> None:
    net = module(segmenter=WINDOW, box_fit=BoxFit(2.0, warmup=0.25))
    seen: list[float] = []
    losses = net.losses

    def watched(draw: Draw) -> dict[str, Tensor]:
        seen.append(draw.progress())
        return losses(draw)

    net.losses = watched  # type: ignore[method-assign]
    frames = [{"image": image} for image in images().repeat(3, 1, 1, 1)[:8]]
    loader: DataLoader[dict[str, Tensor]] = DataLoader(frames, batch_size=1)  # type: ignore[arg-type]
    net.inpainter_ready.fill_(True)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_steps=8, accelerator="cpu", **quiet)  # type: ignore[arg-type]
    trainer.fit(net, loader)
    assert seen == [step / 8 for step in range(8)]


def test_background_only_has_no_foreground_term() -> None:
    net = module(foreground=None, background=BOXES, box_fit=BoxFit())
    draw = drawn(net)
    assert list(net.losses(draw)) == ["background", "prior_box", "prior_confidence"]
    assert not {"mask", "composite"} & draw.output().keys()
    assert not any(p.requires_grad for p in net.segmenter.parameters())  # unused parameters stop a DDP run
    terms_logged: dict[str, Tensor] = {}
    net.log_dict = lambda values, **kwargs: terms_logged.update(values)  # type: ignore[method-assign]
    net.eval().validation_step({"image": images(), "clip": ["a"] * 3, "index": torch.arange(3)}, 0)
    assert "val/loss_background" in terms_logged and "val/loss_foreground" not in terms_logged


@pytest.mark.parametrize("estimator", [None, LeaveOneOut(2, 0.01)])
def test_one_box_learns_from_both_objectives_and_has_nothing_to_choose(estimator: Estimator | None) -> None:
    net = module(**MODES["direct"] | {"background": Background(estimator, reaches_boxes=True)})
    draw = drawn(net)
    terms, output = net.losses(draw), draw.output()
    assert terms["background"].requires_grad and not terms["prior_confidence"].requires_grad
    assert output["probability"].shape == (3, 1, 1) and torch.equal(output["confidence"], torch.ones(3))
    torch.stack(list(terms.values())).sum().backward()
    trained = [*net.detector.parameters(), *net.segmenter.parameters()]
    assert all(p.grad is not None for p in trained)  # DDP refuses unused ones
    assert net.eval()(images())["mask"].shape == (3, 1, 36, 48)


def test_the_inpainter_stays_frozen_in_training_mode() -> None:
    net = module().train()
    before = {k: v.clone() for k, v in net.inpainter.state_dict().items()}
    torch.stack(list(terms_of(net).values())).sum().backward()
    assert not any(m.training for m in net.inpainter.modules()) and net.detector.training
    assert all(torch.equal(v, before[k]) for k, v in net.inpainter.state_dict().items())


def test_inference_takes_images_alone() -> None:
    out = module().eval()(images())
    assert set(out) == {"mask", "box", "confidence", "probability"}
    assert out["mask"].shape == (3, 1, 36, 48) and out["probability"].shape == (3, 4, 4)
    assert 0 <= out["mask"].min() and out["mask"].max() <= 1


def test_validation_is_deterministic_and_complete() -> None:
    net = module().eval()
    batch = {"image": images(), "clip": ["a"] * 3, "index": torch.arange(3)}
    first, second = (net.validation_step(batch, 0) for _ in range(2))  # type: ignore[arg-type]
    assert torch.equal(first["loss"], second["loss"])
    assert {"mask", "box", "confidence", "probability", "composite", "background"} <= set(first)


def test_the_learning_rates_are_the_papers() -> None:
    net = module()
    net._trainer = type("Trainer", (), {"estimated_stepping_batches": 10})()  # type: ignore[assignment]
    rates = {group["name"]: group["lr"] for group in net.configure_optimizers().param_groups}
    assert rates == {"detector_encoder": 1e-3, "decoder": 1e-4}


def test_training_over_a_random_inpainter_is_refused() -> None:
    with pytest.raises(HandoverError, match="train stage 1, then pass"):
        module().on_fit_start()


def stage_1(path: Path) -> str:
    net = InpaintingModule(channels=(4, 8), reconstruction=PIXELS)
    settings = dict(net.hparams) | {"_instantiator": "pytorch_lightning.cli.instantiate_module"}  # the CLI adds it
    torch.save({"state_dict": net.state_dict(), "hyper_parameters": settings}, path)
    return str(path)


def test_the_inpainters_size_and_weights_come_from_its_checkpoint(tmp_path: Path) -> None:
    path = stage_1(tmp_path / "last.ckpt")
    channels, weights = read_inpainter(path)
    net = module(inpainter_channels=None, inpainter_ckpt=path)
    assert channels == [4, 8] == net.hparams["inpainter_channels"]
    assert all(torch.equal(value, weights[key]) for key, value in net.inpainter.state_dict().items())
    assert bool(net.inpainter_ready) and "inpainter_ckpt" not in net.hparams


def test_unusable_inpainter_checkpoints_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HandoverError, match="does not exist; train stage 1 first"):
        read_inpainter(str(tmp_path / "none.ckpt"))
    (tmp_path / "broken.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(HandoverError, match="cannot be read"):
        read_inpainter(str(tmp_path / "broken.ckpt"))
    torch.save({"state_dict": {"detector.x": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(HandoverError, match="not a checkpoint of InpaintingModule"):
        read_inpainter(str(tmp_path / "other.ckpt"))
    net = module()
    torch.save({"state_dict": net.state_dict(), "hyper_parameters": dict(net.hparams)}, tmp_path / "stage_2.ckpt")
    with pytest.raises(HandoverError, match="not a checkpoint of InpaintingModule"):
        read_inpainter(str(tmp_path / "stage_2.ckpt"))
    path = stage_1(tmp_path / "last.ckpt")
    foreign = torch.load(path, weights_only=True)
    foreign["state_dict"]["teacher.weight"] = torch.zeros(1)  # a module that merely calls a part of it "inpainter"
    torch.save(foreign, tmp_path / "foreign.ckpt")
    with pytest.raises(HandoverError, match="not a checkpoint of InpaintingModule"):
        read_inpainter(str(tmp_path / "foreign.ckpt"))
    with pytest.raises(HandoverError, match=r"\[4, 8\]"):
        module(inpainter_channels=(4, 8, 8), inpainter_ckpt=path)


def squares(count: int, generator: torch.Generator) -> tuple[dict[str, Any], Tensor]:
    """Frames with a red square in front of a grey scene, which the plate shows, and its true boxes."""
    box = torch.tensor([24 / 64, 20 / 48]).repeat(count, 2)
    image = 0.4 + 0.05 * torch.rand(count, 3, 48, 64, generator=generator)
    evidence = torch.zeros(count, 1, 48, 64)
    for frame in range(count):
        left, top = (int(torch.randint(8, most, (), generator=generator)) for most in (32, 20))
        there = (slice(top, top + 20), slice(left, left + 24))
        image[frame][:, *there] = torch.tensor([0.9, 0.2, 0.1])[:, None, None]
        evidence[frame][:, *there] = 1
        box[frame, :2] = torch.tensor([2 * (left + 12) / 64 - 1, 2 * (top + 10) / 48 - 1])
    covered = torch.ones_like(evidence, dtype=torch.bool)
    return {"image": image, "plate": torch.full_like(image, 0.42), "covered": covered, "evidence": evidence}, box


@pytest.mark.parametrize(("prior", "low", "high"), [(None, 0, 0.5), (ReachPrior(), 0.95, 1)], ids=["without", "with"])
def test_with_the_reach_prior_p_peaks_on_the_subject(prior: ReachPrior | None, low: float, high: float) -> None:
    """Where boxes reach three cells far the likeliest cell lies anywhere, unless that costs something."""
    net = module(
        detector=DetectorSettings(width=0.125, weights=None, size=(128, 128), max_offset=3.0),
        segmenter=WINDOW, scene=Evidence(growth=1.15, reach=1.5), background=Background(LeaveOneOut(2)),
        estimator=Importance(), mask_prior=MaskPrior(2.1, over="frame"), box_fit=BoxFit(3.0), box_prior=None,
        reach_prior=prior,
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(terms_of(net, **squares(4, generator)[0]).values())).sum().backward()
        optimizer.step()
    with torch.no_grad():
        batch, box = squares(64, generator)
        probability = net.eval()(batch["image"])["probability"]
    centre = cell_centres((8, 8))[probability.flatten(1).argmax(1)]
    share = float(((centre - box[:, :2]).abs() <= box[:, 2:]).all(1).float().mean())
    assert low <= share <= high
