"""SegmentationModule: every cell of the routing table from ``.grad``, the frozen inpainter, inference."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from backdrop.contracts import StepOutput
from lightning_modules import InpaintingModule, SegmentationModule
from lightning_modules.background import Scene
from lightning_modules.geometry import box_area
from lightning_modules.handover import HandoverError, read_inpainter
from tests.tiny import SEGMENTATION

SMALL = SEGMENTATION | {"inpainter_channels": (4, 8), "code_size": 20, "tiled_size": 8}


def module(**arguments: object) -> SegmentationModule:
    torch.manual_seed(0)
    made = SegmentationModule(**(SMALL | arguments))  # type: ignore[arg-type]
    made.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    return made


def images() -> Tensor:
    return torch.rand(3, 3, 36, 48, generator=torch.Generator().manual_seed(1))


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
    terms, _ = net.objectives(images())
    terms[term].backward()

    def reached(tensors: list[Tensor]) -> bool:
        return any(t.grad is not None and bool(t.grad.abs().sum() > 0) for t in tensors)

    return {
        "p": reached([kept["probability"]]),
        "b": reached([kept["box"]]),
        "S": reached(list(net.segmenter.synthesis.parameters())),
        "I": reached(list(net.inpainter.parameters())),
    }


ROUTES = [
    ("separate", "foreground", {"p": False, "b": True, "S": True, "I": False}),
    ("separate", "background", {"p": True, "b": False, "S": False, "I": False}),
    ("joint", "foreground", {"p": True, "b": True, "S": True, "I": False}),
    ("joint", "background", {"p": True, "b": True, "S": False, "I": False}),
    ("background_only", "background", {"p": True, "b": True, "S": False, "I": False}),
    ("direct_regression", "foreground", {"p": False, "b": True, "S": True, "I": False}),
    ("direct_regression", "background", {"p": False, "b": True, "S": False, "I": False}),
]


@pytest.mark.parametrize(("mode", "term", "expected"), ROUTES)
@pytest.mark.parametrize(
    "estimators",
    [
        {},
        {"background_estimator": "leave_one_out", "background_samples": 3},
        {"skips": True, "focal": False},  # as in the small profile
    ],
)
def test_who_learns_from_which(mode: str, term: str, expected: dict[str, bool], estimators: dict[str, object]) -> None:
    assert gradients(term, mode=mode, **estimators) == expected


def test_one_backward_pass_gives_the_sum_of_both_objectives() -> None:
    def run(choose: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
        net = module()
        torch.manual_seed(5)
        terms, _ = net.objectives(images())
        choose(terms).backward()
        grad = net.detector.head.weight.grad
        assert grad is not None
        return grad

    both = run(lambda t: t["foreground"] + t["background"])
    torch.testing.assert_close(both, run(lambda t: t["foreground"]) + run(lambda t: t["background"]))


def test_the_exact_estimator_of_o_equals_the_mean_of_many_draws() -> None:
    net = module().eval()
    with torch.no_grad():
        net.hparams["estimator"] = "exact"
        exact = net.objectives(images())[0]
        net.hparams["estimator"] = "importance"
        net.hparams["samples"] = 400
        drawn = net.objectives(images())[0]
    for name in ("foreground", "background"):
        torch.testing.assert_close(drawn[name], exact[name], rtol=0.05, atol=0)


def test_the_terms_beyond_the_paper_reach_what_they_should() -> None:
    reached = gradients("box_fit", box_fit_weight=1.0, skips=True, focal=False)
    assert reached == {"p": False, "b": True, "S": False, "I": False}
    terms, _ = module().objectives(images())
    assert set(terms) == {"foreground", "background", "prior_mask", "prior_box", "prior_confidence"}


def test_the_mask_prior_over_the_frame_weighs_the_window_by_its_area() -> None:
    values = {}
    for over in ("window", "frame"):
        net = module(mask_prior="l1", mask_prior_weight=1.0, mask_prior_over=over, s_min=0.49999, s_max=0.50001)
        torch.manual_seed(2)
        values[over] = net.objectives(images())[0]["prior_mask"]
    torch.testing.assert_close(values["frame"], values["window"] / 4, rtol=1e-3, atol=0)


def test_the_box_of_the_mask_is_given_in_use_and_lies_inside_the_detectors() -> None:
    net = module(skips=True, focal=False).eval()
    with torch.no_grad():
        window = net.detector(images()).best()[0]
        plain = net(images())["box"]
        net.hparams["box_from_mask"] = True
        net.segmenter.synthesis.forward = lambda seen, other: (
            seen,
            (torch.arange(32) < 16).float().expand(len(seen), 1, 32, 32),
        )
        tight = net(images())["box"]
    torch.testing.assert_close(plain, window)
    torch.testing.assert_close(tight[:, 2], window[:, 2] / 2)
    torch.testing.assert_close(tight[:, 0], window[:, 0] - window[:, 2] / 2)


def test_both_objectives_look_at_the_plate_where_it_is_known() -> None:
    net = module(background="temporal")
    frames = images()
    covered = torch.ones_like(frames[:, :1], dtype=torch.bool)
    everywhere, nowhere = Scene(frames, covered), Scene(frames, ~covered)
    terms, output = net.objectives(frames, everywhere)  # a plate that shows the frame itself: nothing is the subject
    assert terms["background"] == 0 and torch.equal(output["background"], frames)
    torch.manual_seed(3)
    unknown = net.objectives(frames, nowhere)[0]["background"]
    torch.manual_seed(3)
    torch.testing.assert_close(unknown, net.objectives(frames)[0]["background"])
    assert unknown < 0


def test_by_evidence_the_background_error_is_that_of_the_evidence() -> None:
    image = images()
    evidence = torch.zeros_like(image[:, :1])
    evidence[..., 12:24, 16:32] = 0.75
    batch = {"image": image, "plate": image, "covered": evidence < 1, "evidence": evidence}
    box = torch.tensor([[0.0, 0.0, 0.9, 0.9]]).expand(3, 4)
    net = module(background="temporal", evidence=True, skips=True, focal=False)
    torch.testing.assert_close(net.background_density(batch, box) * 0.81, evidence.mean(dim=(1, 2, 3)))
    assert module(background="temporal").background_density(batch, box).abs().max() == 0  # the plate is perfect


def test_a_mask_that_covers_all_evidence_leaves_no_foreground_error() -> None:
    net = module(background="temporal", evidence=True, skips=True, focal=False, pixel_weight=2.0)
    image = images()
    evidence = torch.zeros_like(image[:, :1])
    evidence[..., 12:24, 16:32] = 0.75
    scene = Scene(image, evidence > 0, evidence)
    box = torch.tensor([[0.0, 0.0, 0.9, 0.9]]).expand(3, 4)
    nothing, all_of_it, half = (
        net._foreground_error(image, mask, image, box, scene)
        for mask in (torch.zeros_like(evidence), (evidence > 0).float(), (evidence > 0) * 0.5)
    )
    torch.testing.assert_close(nothing, 2 * evidence.mean(dim=(1, 2, 3)))
    assert all_of_it.abs().max() == 0
    torch.testing.assert_close(half, nothing / 4)


@pytest.mark.parametrize("arguments", [{"skips": True, "focal": False}, {"background": "temporal"}])
def test_evidence_needs_plates_and_the_window_as_foreground(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="evidence needs"):
        module(evidence=True, **arguments)


def test_boxes_follow_the_evidence_and_not_the_mask_where_that_is_asked_for() -> None:
    image = images()
    evidence = torch.zeros_like(image[:, :1])
    evidence[..., 12:24, 16:32] = 0.75
    scene = Scene(image, evidence < 1, evidence)

    def pull(reach: float, mask: float) -> Tensor:
        arguments = {"background": "temporal", "evidence": True, "skips": True, "focal": False, "box_fit_weight": 1.0}
        net = module(**arguments, box_fit_reach=reach)
        whole = net.segmenter.forward
        net.segmenter.forward = lambda *given: (*whole(*given)[:2], torch.full((len(given[1]), 1, 8, 8), mask))  # type: ignore[method-assign]
        torch.manual_seed(0)
        return net.objectives(image, scene)[0]["box_fit"].detach()

    assert pull(0.0, mask=0.0) == 0 and pull(0.0, mask=1.0) > 0
    assert pull(2.0, mask=0.0) == pull(2.0, mask=1.0) > 0
    with pytest.raises(ValueError, match="box_fit_reach must be 0 or at least 1"):
        module(box_fit_reach=1.5, box_fit_weight=1.0)
    with pytest.raises(ValueError, match="box_fit_reach must be 0 or at least 1"):
        pull(0.5, mask=0.0)


@pytest.mark.parametrize("arguments", [{"box_warmup": 0.5}, {"box_warmup": 1.5, "box_fit_weight": 1.0}])
def test_an_impossible_warm_up_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="box_warmup must"):
        module(**arguments)


def test_while_it_is_warm_boxes_are_pulled_to_the_prior_size_and_not_to_their_masks() -> None:
    net = module(skips=True, focal=False, box_fit_weight=2.0, box_prior_size=0.4)

    def pull(warm: bool) -> Tensor:
        torch.manual_seed(3)
        return net.objectives(images(), warm=warm)[0]["box_fit"]

    torch.manual_seed(3)
    boxes = net.objectives(images())[1]["box"]
    torch.testing.assert_close(pull(True), 2 * (boxes[:, 2:] - 0.4).square().sum(dim=1).mean())
    assert not torch.isclose(pull(True), pull(False))


def test_it_is_warm_for_the_share_that_is_asked_for() -> None:
    net = module(skips=True, focal=False, box_fit_weight=2.0, box_warmup=0.25)
    seen: list[bool] = []
    objectives = net.objectives

    def watched(image: Tensor, scene: Scene | None, warm: bool) -> tuple[dict[str, Tensor], StepOutput]:
        seen.append(warm)
        return objectives(image, scene, warm)

    net.objectives = watched  # type: ignore[method-assign, assignment]
    frames = [{"image": image} for image in images().repeat(3, 1, 1, 1)[:8]]
    loader: DataLoader[dict[str, Tensor]] = DataLoader(frames, batch_size=1)  # type: ignore[arg-type]
    net.inpainter_ready.fill_(True)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_steps=8, accelerator="cpu", **quiet)  # type: ignore[arg-type]
    trainer.fit(net, loader)
    assert seen == [True] * 2 + [False] * 6


def test_background_only_has_no_foreground_term() -> None:
    net = module(mode="background_only")
    terms, output = net.objectives(images())
    assert "foreground" not in terms and "mask" not in output
    assert not any(p.requires_grad for p in net.segmenter.parameters())  # unused parameters stop a DDP run
    terms_logged: dict[str, Tensor] = {}
    net.log_dict = lambda values, **kwargs: terms_logged.update(values)  # type: ignore[method-assign]
    net.eval().validation_step({"image": images(), "clip": ["a"] * 3, "index": torch.arange(3)}, 0)
    assert "val/loss_background" in terms_logged and "val/loss_foreground" not in terms_logged


@pytest.mark.parametrize("estimators", [{}, {"background_estimator": "leave_one_out", "background_samples": 2}])
def test_one_box_learns_from_both_objectives_and_has_nothing_to_choose(estimators: dict[str, object]) -> None:
    net = module(mode="direct_regression", **estimators)
    terms, output = net.objectives(images())
    assert terms["background"].requires_grad and not terms["prior_confidence"].requires_grad
    assert output["probability"].shape == (3, 1, 1) and torch.equal(output["confidence"], torch.ones(3))
    torch.stack(list(terms.values())).sum().backward()
    trained = [*net.detector.parameters(), *net.segmenter.parameters()]
    assert all(p.grad is not None for p in trained)  # DDP refuses unused ones
    assert net.eval()(images())["mask"].shape == (3, 1, 36, 48)


def density_gradient(error: Tensor, box: Tensor) -> Tensor:
    """Gradient of the error per area in a box where boxes learn from G; the painter errs by ``error`` everywhere."""
    net = module(mode="joint", hole_growth=1.0)
    spread = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
    image = torch.zeros(len(box), 3, *error.shape[-2:])
    net.inpainter.forward = lambda image, hole: error.sqrt() * spread * hole  # type: ignore[method-assign]
    box = box.clone().requires_grad_()
    density = net._free_background_error(image, box, None) / box_area(box)
    (gradient,) = torch.autograd.grad(density.sum(), box)
    return gradient


def test_where_boxes_learn_from_g_the_error_counts_and_not_the_size() -> None:
    box = torch.tensor([[0.03, -0.02, 0.41, 0.33], [0.0, 0.1, 0.7, 0.5]])
    torch.testing.assert_close(density_gradient(torch.ones(1, 1, 48, 64), box), torch.zeros(2, 4), atol=1e-4, rtol=0)
    spot = torch.zeros(1, 1, 48, 64)
    spot[..., 12:36, 16:48] = 1  # the middle half of each axis
    assert density_gradient(spot, torch.tensor([[0.0, 0.0, 0.3, 0.3]])).abs().max() < 1e-4  # all inside: no better box
    wide = density_gradient(spot, torch.tensor([[0.1, 0.0, 0.7, 0.7]]))[0]
    torch.testing.assert_close(wide[2:], torch.full((2,), -0.25 / 0.7**3), atol=0.02, rtol=0)
    off = density_gradient(spot, torch.tensor([[0.4, 0.0, 0.3, 0.3]]))[0]
    assert off[0] < -1 and off[1].abs() < 1e-4  # toward the spot


def test_the_window_as_foreground_and_the_bump_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        module(skips=True, focal=True)


def test_the_inpainter_stays_frozen_in_training_mode() -> None:
    net = module().train()
    before = {k: v.clone() for k, v in net.inpainter.state_dict().items()}
    terms, _ = net.objectives(images())
    torch.stack(list(terms.values())).sum().backward()
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
    with pytest.raises(HandoverError, match="make train-inpaint"):
        module().on_fit_start()


def stage_1(path: Path) -> str:
    net = InpaintingModule(channels=(4, 8), perceptual_net=None)
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
    with pytest.raises(HandoverError, match=r"does not exist; train stage 1 first \(make train-inpaint\)"):
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
