"""ResNet trunks from torchvision, by name, thinned and cut at a chosen stride."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

_STAGES_FOR_STRIDE = {8: 2, 16: 3, 32: 4}
_BASIC_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ResNetTrunk(nn.Module):
    """The convolutional part of a torchvision ResNet, ImageNet normalisation included.

    Args:
        name: ``resnet18``, ``resnet34``, ``resnet50`` …: any ResNet of torchvision.
        width: Channels relative to the original; only 1.0 can take pre-trained weights.
        stride: Total stride of the output, 8, 16 or 32; later stages are left out.
        weights: A torchvision weight name such as ``IMAGENET1K_V1``, a path to a local state dict, or ``None``.

    Raises:
        ValueError: If the name, the stride or the combination of width and weights is not possible.
        RuntimeError: If the weights cannot be loaded (the message says where they were sought).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str = "resnet18", width: float = 1.0, stride: int = 32, weights: str | None = None
    ) -> None:
        super().__init__()
        if name not in models.list_models(include="resnet*"):
            raise ValueError(f"backbone={name!r} is not a ResNet of torchvision; take resnet18, resnet34 or resnet50.")
        if stride not in _STAGES_FOR_STRIDE:
            raise ValueError(f"stride={stride}: a ResNet can be cut at stride 8, 16 or 32.")
        if weights is not None and width != 1.0:
            raise ValueError(
                f"weights={weights!r} need width 1.0, not {width}; set weights to null to train from scratch."
            )
        stages = _thin_trunk(name, width) if width != 1.0 else _full_trunk(name, weights)
        self.layers = nn.Sequential(*stages[: 1 + _STAGES_FOR_STRIDE[stride]])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        with torch.no_grad():
            self.eval()
            self.pyramid_channels = [level.shape[1] for level in self.pyramid(torch.zeros(1, 3, 64, 64))]
            self.train()
        self.channels = self.pyramid_channels[-1]

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, channels, H / stride, W / stride)."""
        return self.pyramid(image)[-1]

    def pyramid(self, image: Tensor) -> list[Tensor]:
        """The maps at strides 2, 4, 8 … of an image; (B, 3, H, W) in [0, 1]."""
        features = (image - self.mean) / self.std
        levels = []
        for stage in self.layers:
            features = stage(features)
            levels.append(features)
        return levels


def _thin_trunk(name: str, width: float) -> list[nn.Module]:
    """Stem and four stages of a basic-block ResNet with ``width`` times the channels (at least 16 in the stem)."""
    if name not in _BASIC_BLOCKS:
        raise ValueError(f"width={width} is offered for {' and '.join(_BASIC_BLOCKS)}, not for {name}; use width 1.0.")
    # fewer than 16 crash oneDNN's backward pass on two threads at some batch sizes (torch 2.14.1, channels last)
    planes = max(16, round(64 * width))
    stem = nn.Sequential(
        nn.Conv2d(3, planes, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(planes), nn.ReLU(inplace=True)
    )
    stages: list[nn.Module] = [stem]
    inputs = planes
    for i, depth in enumerate(_BASIC_BLOCKS[name]):
        outputs, stride = planes * 2**i, 1 if i == 0 else 2
        shortcut = None
        if stride != 1:
            shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        blocks = [BasicBlock(inputs, outputs, stride, shortcut)]
        blocks += [BasicBlock(outputs, outputs) for _ in range(depth - 1)]
        pool = [nn.MaxPool2d(3, stride=2, padding=1)] if i == 0 else []
        stages.append(nn.Sequential(*pool, *blocks))
        inputs = outputs
    for module in nn.ModuleList(stages).modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return stages


def _full_trunk(name: str, weights: str | None) -> list[nn.Module]:
    """Stem and four stages of torchvision's network, filled from ``weights`` if they are given."""
    resnet = models.get_model(name, weights=None)
    if weights is not None:
        _load_weights(resnet, name, weights)
    stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu)
    return [stem, nn.Sequential(resnet.maxpool, resnet.layer1), resnet.layer2, resnet.layer3, resnet.layer4]


def _load_weights(resnet: nn.Module, name: str, weights: str) -> None:
    """Fill a full-width ResNet from torchvision's weights of that name or from a local file."""
    if Path(weights).suffix in (".pt", ".pth", ".ckpt"):
        if not Path(weights).is_file():
            raise RuntimeError(
                f"backbone weights {weights} do not exist; give an existing file, a torchvision name or null."
            )
        state = torch.load(weights, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        result = resnet.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")}, strict=False)
        missing = [k for k in result.missing_keys if not k.startswith("fc.")]
        if missing or result.unexpected_keys:
            raise RuntimeError(
                f"backbone weights {weights} do not fit {name}: {len(missing)} missing, "
                f"{len(result.unexpected_keys)} unexpected keys; give a plain torchvision {name} state dict."
            )
        return
    try:
        resnet.load_state_dict(models.get_model(name, weights=weights).state_dict())
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"weights={weights!r} is not known for {name}; use IMAGENET1K_V1, a file path or null."
        ) from error
    except OSError as error:
        raise RuntimeError(
            f"weights {weights} of {name} are not in {torch.hub.get_dir()}/checkpoints and cannot be fetched "
            f"({error}); set TORCH_HOME to a folder that holds them, or set the weights to null to train from scratch."
        ) from error
