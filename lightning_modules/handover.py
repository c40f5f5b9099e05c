"""The hand-over from stage 1 to stage 2: an inpainter from a checkpoint of :class:`InpaintingModule`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from backdrop.documents import require_whole_archive
from lightning_modules.inpainting import PAPER, InpaintingModule
from lightning_modules.losses import Reconstruction
from lightning_modules.networks import Inpainter


class HandoverError(RuntimeError):
    """The inpainter's checkpoint is missing, unreadable or of another kind."""


def frozen_inpainter(path: str | None, channels: Sequence[int] | None) -> Inpainter:
    """The inpainter of stage 2: of a stage-1 checkpoint, or random where a trained model is to be loaded into it.

    Args:
        path: The checkpoint; None where there is none.
        channels: Size of the U-Net; None takes that of the checkpoint, or the paper's.

    Raises:
        HandoverError: If the checkpoint is missing, unreadable, or of another size.
    """
    if path is None:
        return Inpainter(PAPER if channels is None else channels).requires_grad_(False).eval()
    found, weights = read_inpainter(path)
    if channels is not None and list(channels) != found:
        raise HandoverError(
            f"{path} holds an inpainter of {found} channels, but inpainter_channels is {list(channels)}; leave "
            "inpainter_channels out, or train stage 1 again."
        )
    inpainter = Inpainter(found)
    inpainter.load_state_dict(weights)
    return inpainter.requires_grad_(False).eval()


def require_trained(ready: Tensor) -> None:
    """Refuse to train stage 2 over a random inpainter.

    Args:
        ready: Whether a stage-1 checkpoint was ever given.

    Raises:
        HandoverError: If none was.
    """
    if not ready:
        raise HandoverError(
            "stage 2 needs a trained inpainter: train stage 1, then pass its last.ckpt as inpainter_ckpt."
        )


def read_inpainter(path: str) -> tuple[list[int], dict[str, Tensor]]:
    """Read an inpainter's size and weights from a stage-1 checkpoint.

    Args:
        path: A checkpoint that stage 1 wrote.

    Returns:
        The U-Net's channels, and the state dict of :class:`~lightning_modules.networks.Inpainter`.

    Raises:
        HandoverError: If the file is missing, cannot be read or is no stage-1 checkpoint.
    """
    if not Path(path).is_file():
        raise HandoverError(f"inpainter checkpoint {path} does not exist; train stage 1 first.")
    try:
        require_whole_archive(Path(path))
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on what the file holds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HandoverError(f"inpainter checkpoint {path} cannot be read ({reason}); train stage 1 again.") from error
    whole = checkpoint if isinstance(checkpoint, dict) else {}
    try:
        channels = list(whole["hyper_parameters"]["channels"])
        module = InpaintingModule(channels, reconstruction=Reconstruction(perceptual_net=None))
        module.load_state_dict(whole["state_dict"], strict=True)  # all its weights, or none
        return channels, module.inpainter.state_dict()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise HandoverError(
            f"{path} is not a checkpoint of InpaintingModule; give the last.ckpt that stage 1 wrote."
        ) from error
