"""Stage 2: detect, crop, segment and recompose over the frozen inpainter (Sec. 3, Fig. 2)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

import pytorch_lightning as pl
import torch
from torch import Tensor

from backdrop.contracts import Batch, StepOutput
from backdrop.settings import Place, Use
from lightning_modules import objectives
from lightning_modules.building import keep_settings
from lightning_modules.estimators import Estimator, Importance
from lightning_modules.handover import frozen_inpainter, require_trained
from lightning_modules.losses import Reconstruction, ReconstructionLoss
from lightning_modules.networks import CodeSegmenter, Detector, DetectorSettings, SegmenterSettings, compose
from lightning_modules.objectives import Draw, Segmented
from lightning_modules.scene import Inpainting, Scene, View
from lightning_modules.schedule import ScheduleName, require_learning, scheduled
from lightning_modules.score import Observed, Score, observed
from lightning_modules.subjects import best_subject, shape_of

Stage = Literal["train", "val", "test"]


class SegmentationModule(pl.LightningModule):
    """Detector and segmenter trained by background prediction; inference takes one image.

    The defaults are the paper's. A checkpoint is complete: the inpainter's weights and size are in it, not the path
    they came from.

    Attributes:
        subjects: Most subjects that testing and prediction report; 1, unless it is set after loading. It has no part
            in training.
        score: How sure it is of what it finds; None until it is calibrated, which a training is followed by.

    Args:
        inpainter_ckpt: Stage-1 checkpoint; needed to train where the scene asks the inpainter, not to load a trained
            model.
        inpainter_channels: Size of the U-Net ``I``; read from the checkpoint when that is given. There is no ``I``
            where neither is given and the scene does not ask it.
        detector: ``D``.
        segmenter: ``S``, with ``T`` and ``T^-1`` around it.
        scene: What predicts the background ``B``.
        estimator: Draws the cells of O.
        foreground: O; None trains no ``S`` (Fig. 3c).
        background: G.
        reconstruction: ``L``.
        mask_prior: Prior on the mask; this and the next five are off where they are None.
        box_fit: Pull of each box toward what is seen in it (beyond the paper).
        box_prior: Prior on the mean box.
        confidence_prior: Prior on ``p``.
        reach_prior: Prior on ``p`` by which cells near their boxes are likelier (beyond the paper).
        own_prior: A further prior, of a class of your own.
        box_from_mask: Outside training, give the tight box of the mask instead of the detector's, which leaves ``S`` a
            margin (beyond the paper).
        learning_rate: Adam's, for ``D`` and the encoder of ``S``.
        decoder_learning_rate: Adam's, for the decoder of ``S``.
        lr_schedule: ``constant`` (paper) or ``cosine``.

    Raises:
        HandoverError: If the inpainter's checkpoint is missing, unreadable, or of another size.
        ValueError: If settings are out of range or do not go together.
    """

    inpainter_ready: Tensor
    score: Score | None

    def __init__(
        self,
        inpainter_ckpt: Place[Annotated[str | None, Use.BEGIN]] = None,
        inpainter_channels: Sequence[int] | None = None,
        detector: DetectorSettings = DetectorSettings(),
        segmenter: SegmenterSettings = CodeSegmenter(),
        scene: Scene = Inpainting(),
        estimator: Estimator = Importance(),
        foreground: objectives.Foreground | None = objectives.Foreground(),
        background: objectives.Background = objectives.Background(),
        reconstruction: Reconstruction = Reconstruction(),
        mask_prior: objectives.MaskPrior | None = objectives.MaskPrior(),
        box_fit: objectives.BoxFit | None = None,
        box_prior: objectives.BoxPrior | None = objectives.BoxPrior(),
        confidence_prior: objectives.ConfidencePrior | None = objectives.ConfidencePrior(),
        reach_prior: objectives.ReachPrior | None = None,
        own_prior: objectives.Prior | None = None,
        box_from_mask: bool = False,
        learning_rate: float = 1e-3,
        decoder_learning_rate: float = 1e-4,
        lr_schedule: ScheduleName = "constant",
    ) -> None:
        super().__init__()
        require_learning(self, lr_schedule, learning_rate=learning_rate, decoder_learning_rate=decoder_learning_rate)
        scene.require_segmenter(segmenter)
        for one in (estimator, background.estimator or estimator):
            one.require_cells(detector.live_cells)
        with_inpainter = scene.asks_inpainter or inpainter_ckpt is not None or inpainter_channels is not None
        self.inpainter = frozen_inpainter(inpainter_ckpt, inpainter_channels) if with_inpainter else None
        self.register_buffer("inpainter_ready", torch.tensor(inpainter_ckpt is not None))
        self.save_hyperparameters(ignore=["inpainter_ckpt"])
        keep_settings(self, inpainter_channels=self.inpainter and self.inpainter.channels)

        self.detector = Detector(detector)
        self.segmenter = segmenter.build()
        self.segmenter.requires_grad_(foreground is not None)  # else unused, which DDP refuses
        self.reconstruction = ReconstructionLoss(reconstruction)
        for network in filter(None, (self.inpainter, self.detector, self.segmenter)):
            network.to(memory_format=torch.channels_last)
        self.scene, self.estimator, self.foreground, self.background = scene, estimator, foreground, background
        terms: dict[str, Callable[[Draw], Tensor | None] | None] = {
            "foreground": foreground, "prior_mask": mask_prior, "box_fit": box_fit, "background": background,
            "prior_box": box_prior, "prior_confidence": confidence_prior, "prior_reach": reach_prior,
            "prior_own": own_prior,
        }  # fmt: skip
        self.terms = {name: term for name, term in terms.items() if term is not None}  # summed in this order
        self.rates, self.lr_schedule = (learning_rate, decoder_learning_rate), lr_schedule
        self.subjects, self.box_from_mask = 1, box_from_mask
        self.register_module("score", None)

    def train(self, mode: bool = True) -> Self:
        """Everything but the inpainter, whose batch-norm statistics must not drift."""
        super().train(mode)
        if self.inpainter is not None:
            self.inpainter.eval()
        return self

    def forward(self, image: Tensor) -> StepOutput:
        """Find and segment the subject, or several; (B, 3, H, W) in [0, 1] -> what :class:`StepOutput` has of them."""
        image = image.contiguous(memory_format=torch.channels_last)
        proposals = self.detector(image)
        settings = (self.box_from_mask, self.subjects, self.score)
        return best_subject(image, proposals, self.segmenter, *settings, mask_only=True)[0]

    def observe(self, image: Tensor) -> tuple[Observed, Tensor]:
        """What the score looks at, and the mask (B, 1, H, W) that it judges; image (B, 3, H, W) in [0, 1]."""
        image = image.contiguous(memory_format=torch.channels_last)
        proposals = self.detector(image)
        box, _ = proposals.best()
        mask, _, window_mask = self.segmenter(image, box, mask_only=True)
        return observed(proposals, box, window_mask), mask

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make room for the score, where the checkpoint has one."""
        state = checkpoint["state_dict"]
        names = {name.removeprefix("score."): name for name in state if name.startswith("score.")}
        self.score = Score.shaped({own: state[name] for own, name in names.items()}) if names else None

    def on_fit_start(self) -> None:
        """Refuse to train over a random inpainter; forget the score, which is of other weights."""
        if self.inpainter is not None:
            require_trained(self.inpainter_ready)
        self.score = None

    def training_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """O, G and the priors on drawn proposals, in one forward and backward pass."""
        view = self._view(batch)
        assert view is not None, "a training knows its scene"
        draw = self.draw(view)
        return self._sum(self.losses(draw), draw.output(), "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """O and G at the most probable box; no label enters."""
        return self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """As in validation."""
        return self._evaluate(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """See :meth:`forward`."""
        return self.forward(batch["image"])

    def draw(self, view: View) -> Draw:
        """Draw cells for O (Eqs. 3 to 5), predict the scene in their boxes, and compose ``F`` (Eq. 1)."""
        proposals = self.detector(view.image)
        samples = self.estimator.draw(proposals.probability, proposals.live)
        box = proposals.at(samples.cell)  # (B, K, 4)
        repeated, flat = view.repeated(box.shape[1]), box.flatten(0, 1)  # (B * K, ...)
        background, segmented = view.scene.background(repeated, flat), None
        if self.foreground is not None:
            mask, foreground, window_mask = self.segmenter(repeated.image, flat, mask_only=not view.scene.compares)
            composite = None if foreground is None else compose(background, foreground, mask)
            segmented = Segmented(mask, window_mask, composite)
        return Draw(
            view, proposals, samples, box, flat, repeated, background, segmented,
            self.reconstruction, self.detector.settings.sizes, self._progress,
        )  # fmt: skip

    def losses(self, draw: Draw) -> dict[str, Tensor]:
        """O (Eq. 2), G (Eq. 6) and the priors (Eq. 7), weighted, with the gradient routing of Sec. 3.2."""
        return {name: value for name, term in self.terms.items() if (value := term(draw)) is not None}

    def _view(self, batch: Batch) -> View | None:
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        return self.scene.view({**batch, "image": image}, self.inpainter, self.training)

    def _progress(self) -> float:
        """Share of the training that is done."""
        return self.global_step / float(self.trainer.estimated_stepping_batches)

    def _evaluate(self, batch: Batch, stage: Stage) -> StepOutput:
        view, image = self._view(batch), batch["image"].contiguous(memory_format=torch.channels_last)
        proposals = self.detector(image)
        count = self.subjects if stage == "test" else 1
        composes = self.scene.asks_inpainter or "plate" in batch  # else the scene is grey, or the frame itself
        mask_only = view is None or not (composes or view.scene.compares)
        found = best_subject(image, proposals, self.segmenter, self.box_from_mask, count, self.score, mask_only)
        output, box, mask, foreground = found
        if view is None:
            self._log(shape_of(output), output, stage)
            return output
        background = view.scene.background(view, box)
        composite = None if foreground is None else compose(background, foreground, mask)
        terms = {"background": -self.background.density(view, box, background).mean()}
        if self.foreground is not None:
            terms["foreground"] = view.scene.loss(view, box, composite, mask, self.reconstruction).mean()
        if composes and composite is not None:
            output |= {"composite": composite, "background": background}
        return self._sum(terms, output, stage)

    def _sum(self, terms: dict[str, Tensor], output: StepOutput, stage: Stage) -> StepOutput:
        """Sum the terms, and log what there is."""
        loss = torch.stack(list(terms.values())).sum()
        logged = {"loss": loss} | {f"loss_{name}": value for name, value in terms.items()} | shape_of(output)
        self._log(logged, output, stage)
        return output | {"loss": loss}

    def _log(self, found: dict[str, Tensor], output: StepOutput, stage: Stage) -> None:
        logged = {f"{stage}/{name}": value for name, value in found.items()}
        self.log_dict(logged, batch_size=len(output["box"]), sync_dist=stage != "train")

    def configure_optimizers(self) -> Any:  # noqa: ANN401  Lightning's union
        """Adam: 1e-3 for ``D`` and the encoder of ``S``, 1e-4 for its decoder (paper)."""
        synthesis, (fast, slow) = self.segmenter.synthesis, self.rates
        encoders = [*self.detector.parameters(), *synthesis.encoder_parameters()]
        groups = [
            {"params": encoders, "lr": fast, "name": "detector_encoder"},
            {"params": synthesis.decoder_parameters(), "lr": slow, "name": "decoder"},
        ]
        return scheduled(torch.optim.Adam(groups), self.lr_schedule, self.trainer.estimated_stepping_batches)
