"""How far a reconstruction is from the frame: pixel L2 and a perceptual distance (Sec. 3.2, implementation details)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import lpips
import torch
from torch import Tensor, nn

from backdrop.ranges import at_least, one_of
from backdrop.settings import Beginning

PerceptualNet = Literal["alex", "vgg", "squeeze"]
_IMAGENET_STD = (0.229, 0.224, 0.225)


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared error per pixel, mean over channels, in units of ImageNet's standard deviation.

    The paper normalises its images by ImageNet's statistics; the weights of its priors are relative to that scale.

    Args:
        prediction: (B, 3, H, W) in [0, 1].
        target: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 1, H, W), float32.

    Raises:
        ValueError: If the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape.")
    std = prediction.new_tensor(_IMAGENET_STD, dtype=torch.float32).view(3, 1, 1)
    return ((prediction.float() - target.float()) / std).square().mean(dim=1, keepdim=True)


def pixel_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of :func:`squared_error` over the frame; (B, 3, H, W) twice -> (B,)."""
    return squared_error(prediction, target).mean(dim=(1, 2, 3))


class PerceptualDistance(nn.Module):
    """LPIPS on frozen ImageNet features: in eval mode, without gradients to its weights, not in checkpoints.

    The features come from ``$TORCH_HOME`` (``hub/checkpoints``) or are fetched by torchvision.

    Args:
        net: Whose features.
        random_trunk: Take random features instead; for tests without weights.

    Raises:
        RuntimeError: If the features can neither be found nor fetched.
    """

    def __init__(self, net: PerceptualNet = "alex", random_trunk: bool = False) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision: 'pretrained' is deprecated; the call is lpips' own
            try:
                network = lpips.LPIPS(net=net, pnet_rand=random_trunk, verbose=False)
            except OSError as error:
                raise RuntimeError(
                    f"ImageNet features of {net} are not in {torch.hub.get_dir()}/checkpoints and cannot be fetched "
                    f"({error}); set TORCH_HOME to a folder that holds them, or perceptual_net to null."
                ) from error
        self._lpips = network.eval().requires_grad_(False)
        nn.Module.register_load_state_dict_post_hook(self, _forget_lpips)  # untyped

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Distance per image; (B, 3, H, W) in [0, 1] twice -> (B,), float32."""
        distance: Tensor = self._lpips(prediction * 2 - 1, target * 2 - 1)
        return distance.float().flatten()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  torch's own signature is three overloads
        """Nothing: the weights are not ours to save."""
        destination = kwargs.get("destination")
        return {} if destination is None else destination

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: LPIPS has dropout."""
        return super().train(False)


def _forget_lpips(module: nn.Module, keys: Any) -> None:  # noqa: ANN401  torch's private _IncompatibleKeys
    """Loading a checkpoint must not miss what was never saved."""
    keys.missing_keys[:] = [key for key in keys.missing_keys if "_lpips." not in key]


@dataclass(frozen=True)
class Reconstruction:
    """What ``L`` is; the defaults are the paper's.

    Args:
        pixel_weight: Weight of :func:`pixel_distance`.
        perceptual_weight: Weight of :class:`PerceptualDistance`.
        perceptual_net: Its network: ``alex``, ``vgg``, ``squeeze``, or ``None`` for pixels alone.
    """

    pixel_weight: float = 1.0
    perceptual_weight: float = 2.0
    perceptual_net: Beginning[PerceptualNet | None] = "alex"

    def __post_init__(self) -> None:
        """Check the ranges."""
        at_least(0, self, pixel_weight=self.pixel_weight, perceptual_weight=self.perceptual_weight)
        one_of((*get_args(PerceptualNet), None), self, perceptual_net=self.perceptual_net)


class ReconstructionLoss(nn.Module):
    """``L = pixel_weight * pixel L2 + perceptual_weight * perceptual`` (Sec. 3.2, implementation details).

    Args:
        settings: Its weights.
    """

    def __init__(self, settings: Reconstruction) -> None:
        super().__init__()
        self.pixel_weight, self.perceptual_weight = settings.pixel_weight, settings.perceptual_weight
        net = settings.perceptual_net if settings.perceptual_weight > 0 else None
        self.perceptual = None if net is None else PerceptualDistance(net)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Distance per image; (B, 3, H, W) in [0, 1] twice -> (B,), float32."""
        terms = self.terms(prediction, target)
        return sum(terms.values(), start=prediction.new_zeros(len(prediction), dtype=torch.float32))

    def terms(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """The weighted terms by name, each (B,)."""
        terms = {"pixel": self.pixel_weight * pixel_distance(prediction, target)}
        if self.perceptual is not None:
            terms["perceptual"] = self.perceptual_weight * self.perceptual(prediction, target)
        return terms
