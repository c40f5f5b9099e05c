"""Stage 2: detect, crop, segment and recompose over the frozen inpainter (Sec. 3, Fig. 2)."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import pytorch_lightning as pl
import torch
from torch import Tensor

from backdrop.contracts import Batch, StepOutput
from backdrop.settings import Beginning, Place
from lightning_modules.background import BackgroundName, Scene, nearest_plate
from lightning_modules.geometry import (
    box_area,
    box_coverage,
    box_mask,
    grow,
    tighten,
)
from lightning_modules.handover import HandoverError, read_inpainter
from lightning_modules.losses import (
    MaskPrior,
    ReconstructionLoss,
    background_objective,
    box_fit,
    box_prior,
    confidence_prior,
    evidence_target,
    foreground_objective,
    mask_prior,
    mask_target,
    pixel_distance,
    squared_error,
)
from lightning_modules.networks import Detector, Inpainter, Proposals, Segmenter, Synthesis
from lightning_modules.sampling import EstimatorName, sample_cells
from lightning_modules.schedule import ScheduleName, scheduled
from lightning_modules.subjects import find_subjects

Mode = Literal["separate", "joint", "background_only", "direct_regression"]


class SegmentationModule(pl.LightningModule):
    """Detector and segmenter trained by background prediction; inference takes one image.

    A checkpoint of this module is complete: the inpainter's weights and size are in it, not the path they came from.

    Attributes:
        subjects: Most subjects that testing and prediction report; 1, unless it is set after loading. It has no part
            in training.

    Args:
        inpainter_ckpt: Stage-1 checkpoint; needed to train, not to load a trained model.
        inpainter_channels: Size of the U-Net; read from the checkpoint when that is given.
        detector_backbone: torchvision ResNet of ``D``.
        detector_width: Channels of ``D`` relative to the original.
        detector_weights: Name of torchvision weights, path to a state dict, or ``None``.
        detector_size: ``D`` resizes the frame to this (height, width); 128x128 gives an 8x8 grid.
        synthesis_backbone: torchvision ResNet of the encoder of ``S``.
        synthesis_width: Channels of that encoder relative to the original.
        synthesis_weights: As ``detector_weights``.
        synthesis_stride: Total stride of that encoder, 8, 16 or 32.
        crop_size: (height, width) in pixels of what ``S`` sees and returns.
        decoder_channels: Channels of the decoder's stages.
        code_size: Length of the fully connected code.
        tiled_size: Length of the tiled code.
        skips: ``S`` decodes the mask over its encoder's maps and takes the window as foreground (beyond the paper).
        s_min: Smallest box, a fraction of the frame.
        s_max: Largest box, a fraction of the frame.
        max_offset: Largest offset of a box from its cell's centre, in cells.
        hole_growth: The hole is the box times this (paper: 1.1 in the text, 1.2 in the appendix).
        focal: Apply the focal bump to the crop and to the mask.
        recolour: While training, ``S`` sees the window in random colours (beyond the paper); see :class:`Segmenter`.
        background: What predicts it: ``inpainting`` (paper), or the data module's plates of the clip, ``static`` or
            ``temporal``, with ``I`` where a plate shows nothing (beyond the paper).
        plate_tolerance: By how many pixels a plate may be registered wrong without counting as the subject;
            evidence has a tolerance of its own.
        evidence: Against plates, take the evidence that the data module finds for the error of the background, in both
            objectives; the perceptual term is then left out.
        mode: ``separate`` (paper), ``joint`` (Fig. 3b), ``background_only`` (Fig. 3c) or ``direct_regression`` (Fig.
            3d): one box, no grid and no ``p``. In all but the first, boxes learn from G too.
        estimator: Estimator of O: ``importance``, ``uniform``, ``exact``, ``leave_one_out`` or ``gumbel``.
        samples: Draws per frame for O.
        background_estimator: Estimator of G; ``None`` reuses the draws of O, as the paper does.
        background_samples: Draws per frame for G.
        epsilon: Floor of the sampling distribution, Eq. (5).
        temperature: Of the estimator ``gumbel`` (A.7).
        background_weight: Weight of G.
        pixel_weight: Weight of the pixel term of L.
        perceptual_weight: Weight of the perceptual term of L.
        perceptual_net: ``alex``, ``vgg``, ``squeeze``, or ``None`` for pixels alone.
        box_prior_weight: Weight of the box prior.
        box_prior_size: Its target, one number or (width, height).
        box_fit_weight: Weight of the pull of each box toward its own mask's extent (beyond the paper).
        box_fit_margin: That extent is grown by this first.
        box_fit_trim: Share of the mask that may lie beyond each side of the extent.
        box_fit_reach: Against evidence, the pull is toward its extent in the box grown by this, instead of that of the
            mask; 0 leaves it to the mask.
        box_warmup: Share of the training in which that pull is toward ``box_prior_size`` instead, so that masks are
            learnt in windows that hold the whole subject before boxes shrink onto them.
        box_from_mask: Outside training, give the tight box of the mask instead of the detector's, which leaves ``S`` a
            margin (beyond the paper).
        confidence_prior_weight: Weight of the confidence prior.
        mask_prior: ``none``, ``l1``, ``l2`` or ``v``.
        mask_prior_weight: Weight of the mask prior.
        mask_prior_level: lambda of the ``v`` prior.
        mask_prior_over: Mean mask value m over the ``window`` (paper) or over the ``frame``; the latter costs a mask
            pixel the same in a large and in a small box, as the reconstruction loss pays it.
        learning_rate: Adam's, for ``D`` and the encoder of ``S``.
        decoder_learning_rate: Adam's, for the decoder of ``S``.
        lr_schedule: ``constant`` (paper) or ``cosine``.

    Raises:
        HandoverError: If the inpainter's checkpoint is missing, unreadable, or of another size.
        ValueError: If ``skips`` goes with ``focal``, ``recolour`` without ``skips``, ``evidence`` without
            ``skips`` or without plates, or ``box_fit_reach`` without ``evidence``; if that or
            ``box_warmup`` is out of range.
    """

    inpainter_ready: Tensor

    def __init__(
        self,
        inpainter_ckpt: Place[str | None] = None,
        inpainter_channels: Sequence[int] | None = None,
        detector_backbone: str = "resnet18",
        detector_width: float = 1.0,
        detector_weights: Beginning[str | None] = "IMAGENET1K_V1",
        detector_size: Sequence[int] = (128, 128),
        synthesis_backbone: str = "resnet50",
        synthesis_width: float = 1.0,
        synthesis_weights: Beginning[str | None] = "IMAGENET1K_V1",
        synthesis_stride: int = 32,
        crop_size: Sequence[int] = (128, 128),
        decoder_channels: Sequence[int] = (256, 128, 64, 32),
        code_size: int = 600,
        tiled_size: int = 128,
        skips: bool = False,
        s_min: float = 0.2,
        s_max: float = 0.8,
        max_offset: float = 1.5,
        hole_growth: float = 1.2,
        focal: bool = True,
        recolour: bool = False,
        background: BackgroundName = "inpainting",
        plate_tolerance: int = 1,
        evidence: bool = False,
        mode: Mode = "separate",
        estimator: EstimatorName = "importance",
        samples: int = 1,
        background_estimator: EstimatorName | None = None,
        background_samples: int = 1,
        epsilon: float = 0.001,
        temperature: float = 0.1,
        background_weight: float = 1.0,
        pixel_weight: float = 1.0,
        perceptual_weight: float = 2.0,
        perceptual_net: Beginning[str | None] = "alex",
        box_prior_weight: float = 1.0,
        box_prior_size: float | Sequence[float] = 0.4,
        box_fit_weight: float = 0.0,
        box_fit_margin: float = 1.15,
        box_fit_trim: float = 0.01,
        box_fit_reach: float = 0.0,
        box_warmup: float = 0.0,
        box_from_mask: bool = False,
        confidence_prior_weight: float = 0.1,
        mask_prior: MaskPrior = "v",
        mask_prior_weight: float = 0.1,
        mask_prior_level: float = 0.005,
        mask_prior_over: Literal["window", "frame"] = "window",
        learning_rate: float = 1e-3,
        decoder_learning_rate: float = 1e-4,
        lr_schedule: ScheduleName = "constant",
    ) -> None:
        super().__init__()
        self.subjects = 1
        if evidence and (background == "inpainting" or not skips):
            raise ValueError("evidence needs background temporal or static, and skips.")
        if box_fit_reach != 0 and (box_fit_reach < 1 or not evidence or box_fit_weight == 0):
            raise ValueError("box_fit_reach must be 0 or at least 1, and 0 without evidence or box_fit_weight.")
        if not 0 <= box_warmup <= 1 or (box_warmup > 0 and box_fit_weight == 0):
            raise ValueError("box_warmup must be in [0, 1], and 0 without box_fit_weight.")
        weights = None
        if inpainter_ckpt is not None:
            found, weights = read_inpainter(inpainter_ckpt)
            if inpainter_channels is not None and list(inpainter_channels) != found:
                raise HandoverError(
                    f"{inpainter_ckpt} holds an inpainter of {found} channels, but inpainter_channels is "
                    f"{list(inpainter_channels)}; leave inpainter_channels out, or train stage 1 again."
                )
            inpainter_channels = found
        inpainter_channels = list(inpainter_channels or (8, 16, 32, 64, 128, 256))
        self.save_hyperparameters(ignore=["inpainter_ckpt"])
        self.hparams["inpainter_channels"] = inpainter_channels  # what was read, so that a checkpoint is complete
        self.inpainter = Inpainter(inpainter_channels)
        if weights is not None:
            self.inpainter.load_state_dict(weights)
        self.inpainter.requires_grad_(False).eval()
        self.register_buffer("inpainter_ready", torch.tensor(inpainter_ckpt is not None))

        window = (crop_size[0], crop_size[1])
        frame = (detector_size[0], detector_size[1])
        self.detector = Detector(
            detector_backbone, detector_width, detector_weights, frame, s_min, s_max, max_offset,
            direct=mode == "direct_regression",
        )  # fmt: skip
        synthesis = Synthesis(
            window, synthesis_backbone, synthesis_width, synthesis_weights, synthesis_stride, code_size, tiled_size,
            decoder_channels, skips,
        )  # fmt: skip
        self.segmenter = Segmenter(synthesis, window, focal, recolour)
        self.segmenter.requires_grad_(mode != "background_only")  # else unused, which DDP refuses
        self.reconstruction = ReconstructionLoss(pixel_weight, perceptual_weight, perceptual_net)
        for network in (self.inpainter, self.detector, self.segmenter):
            network.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> Self:
        """Everything but the inpainter, whose batch-norm statistics must not drift."""
        super().train(mode)
        self.inpainter.eval()
        return self

    def forward(self, image: Tensor) -> StepOutput:
        """Find and segment the subject.

        Args:
            image: (B, 3, H, W) in [0, 1].

        Returns:
            ``mask``, ``box``, ``confidence`` and ``probability`` of :class:`StepOutput`; where several subjects are
            sought also ``subject_mask``, ``subject_box`` and ``subject_confidence``.
        """
        image = image.contiguous(memory_format=torch.channels_last)
        proposals = self.detector(image)
        box, confidence = proposals.best()
        mask, _, window_mask = self.segmenter(image, box)
        output = self._described(proposals, self._reported(box, window_mask), confidence)
        output["mask"] = mask
        return output | self._several(image, proposals)

    def on_fit_start(self) -> None:
        """Refuse to train over a random inpainter.

        Raises:
            HandoverError: If no stage-1 checkpoint was ever given.
        """
        if not self.inpainter_ready:
            raise HandoverError(
                "stage 2 needs a trained inpainter: run make train-inpaint, then pass its last.ckpt as inpainter_ckpt."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """O, G and the priors on drawn proposals, in one forward and backward pass."""
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        warm = self.hparams["box_warmup"] > 0 and self._progress() < self.hparams["box_warmup"]
        terms, output = self.objectives(image, self._scene(batch, image), warm)
        return self._finish(terms, output, len(image), "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """O and G at the most probable box; no label enters."""
        return self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """As in validation."""
        return self._evaluate(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """See :meth:`forward`."""
        output: StepOutput = self(batch["image"])
        return output

    def objectives(
        self, image: Tensor, scene: Scene | None = None, warm: bool = False
    ) -> tuple[dict[str, Tensor], StepOutput]:
        """All weighted terms of the training loss, with the gradient routing of Sec. 3.2.

        Args:
            image: (B, 3, H, W) in [0, 1].
            scene: What is known of the scene behind; None leaves it to the inpainter.
            warm: Whether this is the beginning of the training, see ``box_warmup``.

        Returns:
            The terms by name, scalars, and the (detached) step output for the first draw.
        """
        h = self.hparams
        joint = h["mode"] == "joint"
        proposals = self.detector(image)
        live = proposals.live
        settings = {"epsilon": h["epsilon"], "temperature": h["temperature"]}
        drawn = sample_cells(proposals.probability, live, h["estimator"], h["samples"], **settings)
        box = proposals.at(drawn.cell)  # (B, K, 4)
        draws = box.shape[1]
        repeated, flat = image.repeat_interleave(draws, 0), box.flatten(0, 1)  # (B * K, ...)
        behind = None if scene is None else scene.repeated(draws)
        background = self._predict_background(repeated, flat, behind)
        terms = {}
        mask = composite = None
        if h["mode"] != "background_only":
            mask, foreground, window_mask = self.segmenter(repeated, flat)
            composite = torch.lerp(background, foreground, mask)  # F, Eq. (1)
            loss = self._foreground_error(composite, mask, repeated, flat, behind).view(-1, draws)
            terms["foreground"] = foreground_objective(drawn, loss, joint).mean()
            mean_mask = window_mask.mean(dim=(1, 2, 3))
            if h["mask_prior_over"] == "frame":
                mean_mask = mean_mask * box_area(flat).detach()
            prior = mask_prior(mean_mask, h["mask_prior"], h["mask_prior_level"])
            terms["prior_mask"] = h["mask_prior_weight"] * prior.mean()
            if h["box_fit_weight"] > 0:
                if warm:
                    size = flat.new_tensor(h["box_prior_size"]).expand(len(flat), 2)
                    target, found = torch.cat([flat[:, :2], size], 1), flat.new_ones(len(flat), dtype=torch.bool)
                else:
                    extent = (h["box_fit_margin"], h["box_fit_trim"], (h["s_min"], h["s_max"]))
                    if h["box_fit_reach"] > 0 and behind is not None and behind.evidence is not None:
                        target, found = evidence_target(flat, behind.evidence, h["box_fit_reach"], *extent)
                    else:
                        target, found = mask_target(flat, window_mask, *extent)
                terms["box_fit"] = h["box_fit_weight"] * box_fit(flat, target, found)

        free = h["mode"] != "separate"
        error_in = self._free_background_error if free else self._background_error
        if h["background_estimator"] is None:
            seen, area = drawn, box_area(box)
            error = error_in(repeated, flat, behind, background).view(-1, draws)
        else:
            name, count = h["background_estimator"], h["background_samples"]
            seen = sample_cells(proposals.probability, live, name, count, **settings)
            area_box = proposals.at(seen.cell)
            error = torch.stack([error_in(image, b, scene) for b in area_box.unbind(1)], dim=1)
            area = box_area(area_box)
        terms["background"] = h["background_weight"] * background_objective(seen, error, area, free).mean()
        terms["prior_box"] = h["box_prior_weight"] * box_prior(flat, h["box_prior_size"])
        drawn_probability = proposals.probability.gather(1, drawn.cell)
        terms["prior_confidence"] = h["confidence_prior_weight"] * confidence_prior(drawn_probability)

        output = self._described(proposals, box[:, 0], drawn_probability[:, 0])
        output["background"] = background.detach()[::draws]
        if mask is not None and composite is not None:
            output["mask"] = mask.detach()[::draws]
            output["composite"] = composite.detach()[::draws]
        return terms, output

    @torch.no_grad()
    def background_density(self, batch: Batch, box: Tensor) -> Tensor:
        """What G estimates (6): how badly the background is predicted in a box, per area.

        Args:
            batch: Frames, with plates if the background comes from there.
            box: (B, 4).

        Returns:
            (B,).
        """
        image = batch["image"]
        return self._background_error(image, box, self._scene(batch, image)) / box_area(box)

    def _evaluate(self, batch: Batch, stage: Literal["val", "test"]) -> StepOutput:
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        proposals = self.detector(image)
        box, confidence = proposals.best()
        mask, foreground, window_mask = self.segmenter(image, box)
        scene = self._scene(batch, image)
        background = self._predict_background(image, box, scene)
        composite = torch.lerp(background, foreground, mask)
        density = self._background_error(image, box, scene, background) / box_area(box)
        terms = {"background": -self.hparams["background_weight"] * density.mean()}
        if self.hparams["mode"] != "background_only":
            terms["foreground"] = self._foreground_error(composite, mask, image, box, scene).mean()
        output = self._described(proposals, self._reported(box, window_mask), confidence)
        output |= {"mask": mask, "composite": composite, "background": background}
        if stage == "test":
            output |= self._several(image, proposals)
        return self._finish(terms, output, len(image), stage)

    def _several(self, image: Tensor, proposals: Proposals) -> StepOutput:
        """All subjects, where more than one is sought; they take the place of the one."""
        if self.subjects == 1:
            return {}
        return find_subjects(image, proposals, self.segmenter, self.subjects, self.hparams["box_from_mask"])

    def _progress(self) -> float:
        """Share of the training that is done."""
        return self.global_step / float(self.trainer.estimated_stepping_batches)

    def _scene(self, batch: Batch, image: Tensor) -> Scene | None:
        """What the batch's plates tell of the scene, if the background comes from plates and the batch brings them."""
        kind = self.hparams["background"]
        if kind == "inpainting" or ("plate" not in batch and not self.training):
            return None
        if "plate" not in batch:
            raise ValueError(
                f"background={kind} needs plates, and the data brings none: set data.init_args.plates to {kind}."
            )
        if self.hparams["evidence"]:
            return Scene(batch["plate"], batch["covered"], batch["evidence"])
        return Scene(nearest_plate(batch["plate"], image, self.hparams["plate_tolerance"]), batch["covered"])

    def _hole(self, image: Tensor, box: Tensor) -> Tensor:
        """The grown box, (B, 1, H, W) in [0, 1]."""
        return box_mask(grow(box, self.hparams["hole_growth"]), (image.shape[-2], image.shape[-1]))

    @torch.no_grad()
    def _predict_background(
        self, image: Tensor, box: Tensor, scene: Scene | None, hole: Tensor | None = None
    ) -> Tensor:
        """``B``: the frame with the scene behind it in the grown box; a constant for both objectives."""
        hole = self._hole(image, box) if hole is None else hole
        if scene is not None and scene.evidence is not None:  # no objective depends on it
            return scene.laid_into(image, hole)
        painted: Tensor = self.inpainter(image, hole)
        return painted if scene is None else scene.laid_into(painted, hole)

    @torch.no_grad()
    def _background_error(
        self, image: Tensor, box: Tensor, scene: Scene | None, background: Tensor | None = None
    ) -> Tensor:
        """The pixel loss of Eq. (6), or the evidence in the hole, mean over the frame, (B,); predicts if not given."""
        if scene is not None and scene.evidence is not None:
            return (self._hole(image, box) * scene.evidence).mean(dim=(1, 2, 3))
        return pixel_distance(self._predict_background(image, box, scene) if background is None else background, image)

    def _free_background_error(
        self, image: Tensor, box: Tensor, scene: Scene | None, background: Tensor | None = None
    ) -> Tensor:
        """The same with a gradient in the box, by the error that its edges sweep over; what is given is not looked at.

        Every pixel that the grown box covers in part is painted, so that the error on both sides of an edge is known.
        """
        share = box_coverage(grow(box, self.hparams["hole_growth"]), (image.shape[-2], image.shape[-1]))
        if scene is not None and scene.evidence is not None:
            return (share * scene.evidence).mean(dim=(1, 2, 3))
        hole = (share.detach() > 0).to(image.dtype)
        return (share * squared_error(self._predict_background(image, box, scene, hole), image)).mean(dim=(1, 2, 3))

    def _foreground_error(
        self, composite: Tensor, mask: Tensor, image: Tensor, box: Tensor, scene: Scene | None
    ) -> Tensor:
        """L of Eq. (2), (B,); with evidence, what of it the mask leaves unexplained.

        With the window as foreground the composite's squared error is ``(1 - mask)^2`` times that of the background,
        which the evidence takes the place of.
        """
        if scene is None or scene.evidence is None:
            loss: Tensor = self.reconstruction(composite, image)
            return loss
        left = (1 - mask.float()).square() * self._hole(image, box).detach() * scene.evidence
        unexplained: Tensor = self.hparams["pixel_weight"] * left.mean(dim=(1, 2, 3))
        return unexplained

    def _reported(self, box: Tensor, window_mask: Tensor) -> Tensor:
        """The box that inference gives, (B, 4)."""
        return tighten(box, window_mask)[0] if self.hparams["box_from_mask"] else box

    @staticmethod
    def _described(proposals: Proposals, box: Tensor, confidence: Tensor) -> StepOutput:
        probability = proposals.probability.detach().unflatten(1, proposals.grid)
        return {"box": box.detach(), "confidence": confidence.detach(), "probability": probability}

    def _finish(
        self, terms: dict[str, Tensor], output: StepOutput, count: int, stage: Literal["train", "val", "test"]
    ) -> StepOutput:
        loss = torch.stack(list(terms.values())).sum()
        logged = {f"{stage}/loss": loss} | {f"{stage}/loss_{name}": value for name, value in terms.items()}
        logged[f"{stage}/confidence"] = output["confidence"].mean()
        logged[f"{stage}/box_width"], logged[f"{stage}/box_height"] = output["box"][:, 2:].mean(dim=0)
        if "mask" in output:
            logged[f"{stage}/mask_mean"] = output["mask"].mean()
        self.log_dict(logged, batch_size=count, sync_dist=stage != "train")
        return output | {"loss": loss}

    def configure_optimizers(self) -> Any:  # noqa: ANN401  Lightning's union
        """Adam: 1e-3 for ``D`` and the encoder of ``S``, 1e-4 for its decoder (paper)."""
        fast = [*self.detector.parameters(), *self.segmenter.synthesis.encoder_parameters()]
        slow = self.segmenter.synthesis.decoder_parameters()
        groups = [
            {"params": fast, "lr": self.hparams["learning_rate"], "name": "detector_encoder"},
            {"params": slow, "lr": self.hparams["decoder_learning_rate"], "name": "decoder"},
        ]
        return scheduled(torch.optim.Adam(groups), self.hparams["lr_schedule"], self.trainer.estimated_stepping_batches)
