"""ResNet trunks from torchvision, by name, thinned and cut at a chosen stride."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

from backdrop.documents import require_whole_archive

_STAGES_FOR_STRIDE = {8: 2, 16: 3, 32: 4}
_FILES = (".pt", ".pth", ".ckpt", ".tar", ".bin")
_ENTRIES = ("state_dict", "model_state_dict", "model", "teacher")
_SLOW_COPIES = ("encoder_k", "momentum", "target", "teacher", "ema")
_TRUNK = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
_BASIC_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ResNetTrunk(nn.Module):
    """The convolutional part of a torchvision ResNet, ImageNet normalisation included.

    Args:
        name: ``resnet18``, ``resnet34``, ``resnet50`` …: any ResNet of torchvision.
        width: Channels relative to the original; only 1.0 can take pre-trained weights.
        stride: Total stride of the output, 8, 16 or 32; later stages are left out.
        weights: A torchvision weight name such as ``IMAGENET1K_V1``, a path to a local file, or ``None``. The file
            holds a state dict with torchvision's names, alone or in a checkpoint, also under a prefix and beside heads,
            as self-supervised trainings save it.

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
        require_trunk(name, width, stride, weights)
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


def require_trunk(name: str, width: float, stride: int, weights: str | None) -> None:
    """Refuse a trunk that cannot be built.

    Args:
        name: See :class:`ResNetTrunk`, as for all.
        width: Channels relative to the original.
        stride: Total stride of the output.
        weights: What it starts from; no file is looked at.

    Raises:
        ValueError: If the name, the stride or the combination of width and weights is not possible.
    """
    if name not in models.list_models(include="resnet*"):
        raise ValueError(f"backbone={name!r} is not a ResNet of torchvision; take resnet18, resnet34 or resnet50.")
    if stride not in _STAGES_FOR_STRIDE:
        raise ValueError(f"stride={stride}: a ResNet can be cut at stride 8, 16 or 32.")
    if weights is not None and width != 1.0:
        raise ValueError(f"weights={weights!r} need width 1.0, not {width}; set weights to null to train from scratch.")
    if not width > 0:
        raise ValueError(f"width={width}: the channels relative to the original must be above 0.")
    if width != 1.0 and name not in _BASIC_BLOCKS:
        raise ValueError(f"width={width} is offered for {' and '.join(_BASIC_BLOCKS)}, not for {name}; use width 1.0.")


def _thin_trunk(name: str, width: float) -> list[nn.Module]:
    """Stem and four stages of a basic-block ResNet with ``width`` times the channels (at least 16 in the stem)."""
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
    if names_a_file(weights):
        _load_file(resnet, name, weights)
        return
    resnet.load_state_dict(published_network(name, weights).state_dict())


def names_a_file(weights: str) -> bool:
    """Whether weights are the path of a file, not the name of weights that torchvision publishes."""
    return Path(weights).suffix in _FILES or Path(weights).is_file()


def published_network(name: str, weights: str, **options: Any) -> nn.Module:  # noqa: ANN401
    """A network of torchvision with weights that torchvision publishes.

    Args:
        name: Its name in torchvision.
        weights: Name of the weights, which are sought in ``$TORCH_HOME`` (``hub/checkpoints``) and else fetched.
        **options: Options of torchvision's builder.

    Raises:
        RuntimeError: If they can neither be found nor fetched, or their file is damaged.
        ValueError: If there are no such weights.
    """
    folder = f"{torch.hub.get_dir()}/checkpoints"
    try:
        network: nn.Module = models.get_model(name, weights=weights, **options)
    except (KeyError, ValueError) as error:
        known = ", ".join(member.name for member in models.get_model_weights(name))
        raise ValueError(f"There are no weights {weights} of {name}: choose {known}, a file or null.") from error
    except OSError as error:
        raise RuntimeError(
            f"The weights {weights} of {name} are not in {folder} and cannot be fetched ({error}): set TORCH_HOME to a "
            "folder that holds them, give the path of a file, or null for random ones."
        ) from error
    except Exception as error:  # what torch raises depends on what the file holds
        raise RuntimeError(
            f"The weights {weights} of {name} in {folder} cannot be loaded ({type(error).__name__}): where their file "
            "is damaged, delete it, and it is fetched anew."
        ) from error
    return network


def read_tensors(weights: str) -> Any:  # noqa: ANN401  whatever a training has saved
    """Read a file of weights without running any code from it.

    Args:
        weights: Its path.

    Raises:
        RuntimeError: If it does not exist, or holds something else than tensors and names.
    """
    if not Path(weights).is_file():
        raise RuntimeError(f"The weights {weights} do not exist: give an existing file, a torchvision name or null.")
    try:
        if zipfile.is_zipfile(weights):  # not as torch wrote before 1.6
            require_whole_archive(Path(weights))
        return torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on what the file holds
        raise RuntimeError(
            f"The weights {weights} cannot be read as tensors alone ({type(error).__name__}): save the network's "
            "state_dict() with torch.save and give that file."
        ) from error


def _load_file(resnet: nn.Module, name: str, weights: str) -> None:
    """Fill a ResNet from a file: torchvision's own names, or those under which self-supervised training keeps it."""
    saved = read_tensors(weights)
    state = _trunk_state(saved, name, weights)
    wanted = {key: value for key, value in resnet.state_dict().items() if not key.startswith("fc.")}
    # files of before torch 0.4.1 do not count the batches, and nothing needs the count
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    other = [key for key, value in wanted.items() if key in state and state[key].shape != value.shape]
    if missing or unexpected or other:
        raise RuntimeError(
            f"backbone weights {weights} do not fit {name}: {len(missing)} missing, {len(unexpected)} unexpected keys, "
            f"{len(other)} of another shape; give a state dict of torchvision's {name}."
        )
    resnet.load_state_dict(state, strict=False)


def _trunk_state(saved: object, name: str, weights: str) -> dict[str, Tensor]:
    """The trunk's tensors under torchvision's names, without heads, from whatever a training has saved around them.

    MoCo keeps ``module.encoder_q.…`` and a slow copy of it, others ``backbone.…``, ``encoder.…`` or ``module.…``,
    often in an entry of a checkpoint.
    """
    while isinstance(saved, dict) and (inner := next((key for key in _ENTRIES if key in saved), None)):
        saved = saved[inner]
    state = {key: value for key, value in saved.items() if isinstance(value, Tensor)} if isinstance(saved, dict) else {}
    stems = [key.removesuffix("conv1.weight") for key in state if key.endswith("conv1.weight")]
    prefixes = [stem for stem in stems if f"{stem}layer1.0.conv1.weight" in state]
    quick = [prefix for prefix in prefixes if not any(word in prefix for word in _SLOW_COPIES)] or prefixes
    if len(quick) != 1:
        found = f"{len(quick)} networks ({', '.join(quick)})" if quick else "no network"
        raise RuntimeError(
            f"backbone weights {weights} hold {found} with torchvision's names (conv1.weight, layer1.0.conv1.weight "
            f"…), expected one; give a state dict of torchvision's {name}."
        )
    trunk = {key.removeprefix(quick[0]): value for key, value in state.items() if key.startswith(quick[0])}
    return {key: value for key, value in trunk.items() if key.split(".")[0] in _TRUNK}
