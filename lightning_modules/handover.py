"""The hand-over from stage 1 to stage 2: an inpainter from a checkpoint of :class:`InpaintingModule`."""

from pathlib import Path

import torch
from torch import Tensor

from lightning_modules.inpainting import InpaintingModule


class HandoverError(RuntimeError):
    """The inpainter's checkpoint is missing, unreadable or of another kind."""


def read_inpainter(path: str) -> tuple[list[int], dict[str, Tensor]]:
    """Read an inpainter's size and weights from a stage-1 checkpoint.

    Args:
        path: A checkpoint that ``make train-inpaint`` wrote.

    Returns:
        The U-Net's channels, and the state dict of :class:`~lightning_modules.networks.Inpainter`.

    Raises:
        HandoverError: If the file is missing, cannot be read or is no stage-1 checkpoint.
    """
    if not Path(path).is_file():
        raise HandoverError(
            f"inpainter checkpoint {path} does not exist; train stage 1 first (make train-inpaint)."
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on what the file holds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HandoverError(f"inpainter checkpoint {path} cannot be read ({reason}); train stage 1 again.") from error
    whole = checkpoint if isinstance(checkpoint, dict) else {}
    try:
        # Lightning's command line adds names of its own; the perceptual network is of no use here
        settings = {name: value for name, value in whole["hyper_parameters"].items() if not name.startswith("_")}
        module = InpaintingModule(**(settings | {"perceptual_net": None}))
        module.load_state_dict(whole["state_dict"], strict=True)
        return list(settings["channels"]), module.inpainter.state_dict()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # its own settings, and all its weights, or none
        raise HandoverError(
            f"{path} is not a checkpoint of InpaintingModule; give the last.ckpt that make train-inpaint wrote."
        ) from error
