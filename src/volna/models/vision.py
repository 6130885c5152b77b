"""Transfer from vision: a network that learnt to name photographs looks at the picture of a sound.

ResNet-50 (He et al. 2016) and EfficientNet (Tan and Le 2019) are built by `transformers`, where it is installed; VGG-16
(Simonyan and Zisserman 2015) is a plain list of layers whose weights have torchvision's names. Weights come from a
file of the user's or from the user's own cache; nothing is downloaded. The layers that named photographs are left out.

A window of a conditioned picture is clipped at three spreads, resized to the size that the network knows, repeated in
three channels and normalised as its photographs were.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from volna.errors import ModelError, VolnaError
from volna.models.classifier import PictureClassifier

__all__ = ["VISION", "VisionClassifier", "VisionConfig", "read_weights", "vision_on"]

SPREADS = 3.0  # of the conditioned picture: black and white
IMAGE_SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's photographs, red, green, blue

RESNET_SIZES = (
    "num_channels", "embedding_size", "hidden_sizes", "depths", "layer_type", "hidden_act", "downsample_in_first_stage",
    "downsample_in_bottleneck",
)  # fmt: skip
EFFICIENTNET_SIZES = (
    "num_channels", "image_size", "width_coefficient", "depth_coefficient", "depth_divisor", "kernel_sizes",
    "in_channels", "out_channels", "depthwise_padding", "strides", "num_block_repeats", "expand_ratios",
    "squeeze_expansion_ratio", "hidden_act", "hidden_dim", "pooling_type", "batch_norm_eps", "batch_norm_momentum",
    "drop_connect_rate",
)  # fmt: skip
EFFICIENTNET_B0 = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": IMAGE_SIZE}
VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0 halves the picture


@dataclass(frozen=True)
class VisionConfig:
    """``architecture``, a key of ``VISION``; ``body``, its sizes, as its own configuration names them."""

    architecture: str = "resnet50"
    body: Mapping[str, Any] = field(default_factory=dict)
    n_classes: int = 2
    image_size: int = IMAGE_SIZE
    dropout: float = 0.2


class VisionClassifier(PictureClassifier):
    """The maps of a vision network, their mean, and one linear layer on the standardised means.

    Examples
    --------
    >>> config = VisionConfig("vgg16", {"layers": (4, 0, 8)}, n_classes=3, image_size=32)
    >>> VisionClassifier(config).eval()(torch.zeros(2, 64, 50)).shape
    torch.Size([2, 3])
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        make, _ = VISION[_known(config.architecture)]
        self.body = make(config.body)
        self.dropout = nn.Dropout(config.dropout)
        n_features = _n_features(config)
        self.head = nn.Sequential(nn.BatchNorm1d(n_features, affine=False), nn.Linear(n_features, config.n_classes))

    def images(self, mel: Tensor) -> Tensor:
        """Windows as photographs: ``(B, n_mels, T) -> (B, 3, size, size)``, high frequencies at the top."""
        grey = (mel.flip(1)[:, None] / (2 * SPREADS) + 0.5).clamp(0.0, 1.0)
        size = (self.config.image_size, self.config.image_size)
        grey = F.interpolate(grey, size, mode="bilinear", align_corners=False)
        mean, std = (torch.tensor(values, device=mel.device)[:, None, None] for values in (MEAN, STD))
        return (grey - mean) / std

    def maps(self, mel: Tensor) -> Tensor:
        """The last layer's maps: ``(B, n_mels, T) -> (B, C, F', T')``, low frequencies first, as everywhere."""
        seen = self.body(self.images(mel))
        return (seen if isinstance(seen, Tensor) else seen.last_hidden_state).flip(2)

    def pooled(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3))


def vision_on(architecture: str, n_classes: int, weights: str | None = None) -> VisionClassifier:
    """An untrained head on a vision network with its weights.

    Parameters
    ----------
    architecture
        A key of ``VISION``: ``"resnet50"``, ``"efficientnet"`` or ``"vgg16"``.
    weights
        A file: ``.safetensors``, or ``.pth`` / ``.bin`` (read without running code). A ``config.json`` beside it, as
        `transformers` writes it, gives the sizes; without one they are the usual ones. None looks into the caches of
        `huggingface_hub` and `torch.hub`.

    Raises
    ------
    ModelError
        There are no weights, or they are another network's.
    VolnaError
        `transformers` is needed and not installed.
    """
    _known(architecture)
    file = Path(weights).expanduser() if weights else _cached(architecture)
    tensors = read_weights(file)
    body = _vgg_layout(tensors, file) if architecture == "vgg16" else _sizes_beside(file, architecture)
    try:
        model = VisionClassifier(VisionConfig(architecture, body, n_classes))
    except (TypeError, ValueError, KeyError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"{file.parent / 'config.json'}: no sizes of {architecture}: {error}") from error
    _fill(model.body, tensors, architecture, file)
    return model


def read_weights(file: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors by name, from a ``.safetensors`` file or one that `torch.save` wrote; no code in it is run.

    Raises
    ------
    ModelError
        The file cannot be read, or holds no weights.
    """
    path = Path(file)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            return dict(load(path.read_bytes()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles of another age: what cannot be read says so below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"cannot read the weights {path}: {error.strerror or error}") from error
    except (SafetensorError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path}: expected weights in safetensors or as torch.save writes them: {reason}") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ModelError(f"{path}: expected a dictionary of weights by name, got {type(found).__name__}")
    return found


def _known(architecture: str) -> str:
    if architecture not in VISION:
        raise ModelError(f"expected one of the vision networks {', '.join(VISION)}, got {architecture!r}")
    return architecture


def _transformers(architecture: str) -> Any:
    if importlib.util.find_spec("transformers") is None:
        raise VolnaError(f"{architecture} needs transformers: pip install 'volna[vision]' (vgg16 does without)")
    import transformers

    return transformers


def _resnet(sizes: Mapping[str, Any]) -> nn.Module:
    library = _transformers("resnet50")
    model: nn.Module = library.ResNetModel(library.ResNetConfig(**sizes))
    return model


def _efficientnet(sizes: Mapping[str, Any]) -> nn.Module:
    library = _transformers("efficientnet")
    model: nn.Module = library.EfficientNetModel(library.EfficientNetConfig(**{**EFFICIENTNET_B0, **sizes}))
    return model


def _vgg(sizes: Mapping[str, Any]) -> nn.Module:
    """The convolutions of VGG, numbered as torchvision numbers them: ``0`` in ``layers`` halves the picture."""
    layers: list[nn.Module] = []
    n_in = 3
    for n_out in sizes.get("layers", VGG16):
        if n_out == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(n_in, n_out, 3, padding=1))
        layers += [nn.BatchNorm2d(n_out)] if sizes.get("batch_norm") else []
        layers.append(nn.ReLU())
        n_in = n_out
    return nn.Sequential(*layers)


# What makes a body from its sizes, and the name of its weights in the cache of huggingface_hub.
VISION: dict[str, tuple[Callable[[Mapping[str, Any]], nn.Module], str]] = {
    "resnet50": (_resnet, "microsoft/resnet-50"),
    "efficientnet": (_efficientnet, "google/efficientnet-b0"),
    "vgg16": (_vgg, ""),
}


def _n_features(config: VisionConfig) -> int:
    """Number of maps that the body gives, from its sizes."""
    if config.architecture == "resnet50":
        return int(config.body.get("hidden_sizes", (2048,))[-1])
    if config.architecture == "efficientnet":
        return int({**EFFICIENTNET_B0, **config.body}["hidden_dim"])
    return int([n for n in config.body.get("layers", VGG16) if n][-1])


def _cached(architecture: str) -> Path:
    """The weights in the user's cache, of `huggingface_hub` or, for VGG, of `torch.hub`."""
    _, name = VISION[architecture]
    if name:
        _transformers(architecture)
        from huggingface_hub import try_to_load_from_cache

        for file in ("model.safetensors", "pytorch_model.bin"):
            found = try_to_load_from_cache(name, file)
            if isinstance(found, str):
                return Path(found)
        where = f"the cache of huggingface_hub ({name})"
    else:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        if files := sorted(folder.glob("vgg16*.pth")):
            return files[0]
        where = os.fspath(folder)
    raise ModelError(f"{architecture}: no weights in {where}, and nothing is downloaded: give a file of weights")


def _sizes_beside(file: Path, architecture: str) -> dict[str, Any]:
    beside = file.parent / "config.json"
    if not beside.is_file():
        return {}
    names = RESNET_SIZES if architecture == "resnet50" else EFFICIENTNET_SIZES
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
        return {name: found[name] for name in names if name in found}
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{beside}: expected the sizes of {architecture} as JSON: {error}") from error


def _vgg_layout(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """The layers of a VGG from the numbers in the names of its weights: where one is passed over, something else was.

    A convolution and its ReLU take two numbers, its batch norm one more, and halving the picture one more.
    """
    kernels = {int(name.split(".")[1]): t for name, t in tensors.items() if _is_kernel(name, t)}
    if not kernels:
        raise ModelError(f"{file}: expected weights of vgg16, as 'features.0.weight', got {_some(tensors)}")
    batch_norm = f"features.{min(kernels) + 1}.weight" in tensors
    step = 3 if batch_norm else 2
    layers: list[int] = []
    places = sorted(kernels)
    for place, following in zip(places, [*places[1:], places[-1] + step + 1], strict=True):
        layers += [int(kernels[place].shape[0])] + ([0] if following - place > step else [])
    return {"layers": layers, "batch_norm": batch_norm}


def _is_kernel(name: str, tensor: Tensor) -> bool:
    words = name.split(".")
    return len(words) == 3 and words[0] == "features" and words[1].isdigit() and tensor.ndim == 4


def _fill(body: nn.Module, tensors: Mapping[str, Tensor], architecture: str, file: Path) -> None:
    """Put the weights into the body; a name that is missing, or of another shape, is another network's."""
    prefixes = ("module.", "model.", "resnet.", "efficientnet.", "features.")
    given = {}
    for name, tensor in tensors.items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        given[name] = tensor
    expected = body.state_dict()
    for name, own in expected.items():
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, own)
        if name not in given:
            raise ModelError(f"{file}: expected weights of {architecture}, got {_some(tensors)}: {name} is missing")
        if given[name].shape != own.shape:
            shapes = f"{tuple(own.shape)}, got {tuple(given[name].shape)}"
            raise ModelError(f"{file}: expected {name} of {architecture} with the shape {shapes}")
        if not bool(torch.isfinite(given[name]).all()):
            raise ModelError(f"{file}: {name} holds values that are not finite")
    body.load_state_dict({name: given[name].to(own.dtype) for name, own in expected.items()})


def _some(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(repr(name) for name in list(tensors)[:2]) or "nothing"
