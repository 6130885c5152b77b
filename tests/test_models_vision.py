"""Vision networks on pictures of sounds: real loading code, tried with small weights that the tests make."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from volna.errors import InputError, ModelError, VolnaError
from volna.models import vision
from volna.models.classifier_file import TrainedClassifier, from_bytes, to_bytes
from volna.models.classifier_use import class_activation, first_filters, predict_probabilities
from volna.models.layers import Normalisation
from volna.models.vision import VisionClassifier, VisionConfig, read_weights, vision_on

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs transformers, the extra `vision`"
)
RESNET = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic", "num_channels": 3}
EFFICIENTNET = {
    "image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 1.0, "hidden_dim": 320, "depth_divisor": 4,
    "kernel_sizes": [3, 3], "in_channels": [32, 16], "out_channels": [16, 24], "strides": [1, 2],
    "num_block_repeats": [1, 1], "expand_ratios": [1, 4], "depthwise_padding": [],
}  # fmt: skip


def vgg_weights(*, batch_norm: bool = False, seed: int = 0) -> dict[str, torch.Tensor]:
    """A small VGG as torchvision names it: two convolutions, a halving, one more, a halving; and the old last layer."""
    torch.manual_seed(seed)
    body = vision._vgg({"layers": (4, 5, 0, 6, 0), "batch_norm": batch_norm})
    return {f"features.{name}": tensor for name, tensor in body.state_dict().items()} | {
        "classifier.0.weight": torch.zeros(3, 6)
    }


def transformers_weights(folder: Path, architecture: str, *, prefix: str = "") -> Path:
    """What `transformers` writes: ``config.json`` and ``model.safetensors``."""
    import transformers

    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    if architecture == "resnet50":
        sizes, model = RESNET, transformers.ResNetModel(transformers.ResNetConfig(**RESNET))
    else:
        sizes, model = EFFICIENTNET, transformers.EfficientNetModel(transformers.EfficientNetConfig(**EFFICIENTNET))
    (folder / "config.json").write_text(json.dumps({"model_type": "x", "id2label": {"0": "cat"}, **sizes}))
    weights = {f"{prefix}{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights | {"classifier.1.weight": torch.zeros(2, 2)}, folder / "model.safetensors")
    return folder / "model.safetensors"


def the_file(tmp_path: Path, architecture: str) -> Path:
    if architecture == "vgg16":
        save_file(vgg_weights(), tmp_path / "vgg.safetensors")
        return tmp_path / "vgg.safetensors"
    return transformers_weights(tmp_path / architecture, architecture)


every = pytest.mark.parametrize(
    "architecture", ["vgg16", *(pytest.param(name, marks=needs_transformers) for name in ("resnet50", "efficientnet"))]
)


@every
def test_the_body_has_the_weights_of_the_file(tmp_path: Path, architecture: str) -> None:
    file = the_file(tmp_path, architecture)
    model = vision_on(architecture, 3, str(file))
    given = {name.removeprefix("features."): tensor for name, tensor in read_weights(file).items()}
    own = model.body.state_dict()
    assert all(torch.equal(own[name], given[name]) for name in own)
    maps = model.eval().maps(torch.randn(2, 64, 30))
    assert maps.shape[1] == model.head[1].in_features
    assert model(torch.randn(2, 64, 30)).shape == (2, 3)


@every
def test_the_file_of_a_classifier_needs_no_file_of_weights(tmp_path: Path, architecture: str) -> None:
    model = vision_on(architecture, 2, str(the_file(tmp_path, architecture))).eval()
    normalisation = Normalisation(80.0, (0.0,) * 64, 10.0)
    data = to_bytes(TrainedClassifier(model, architecture, normalisation, 40))
    after = from_bytes(data)
    mel = torch.randn(2, 64, 40)
    torch.testing.assert_close(after.model(mel), model(mel), atol=1e-5, rtol=1e-4)
    picture = np.random.default_rng(0).normal(-60, 10, (64, 50)).astype(np.float32)
    assert predict_probabilities(data, [picture]).shape == (1, 2)
    assert class_activation(data, picture, 1).shape == picture.shape
    assert first_filters(data).ndim == 3


@needs_transformers
def test_weights_of_a_whole_classifier_of_photographs_serve_as_well(tmp_path: Path) -> None:
    bare = vision_on("resnet50", 2, str(transformers_weights(tmp_path / "bare", "resnet50")))
    whole = vision_on("resnet50", 2, str(transformers_weights(tmp_path / "whole", "resnet50", prefix="resnet.")))
    assert all(torch.equal(a, b) for a, b in zip(bare.body.parameters(), whole.body.parameters(), strict=True))


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("ending", ["pth", "bin", "safetensors"])
def test_vgg_is_read_in_every_form(tmp_path: Path, ending: str, batch_norm: bool) -> None:
    weights = vgg_weights(batch_norm=batch_norm)
    file = tmp_path / f"vgg.{ending}"
    if ending == "safetensors":
        save_file(weights, file)
    else:
        torch.save({"state_dict": weights} if ending == "bin" else weights, file)
    model = vision_on("vgg16", 2, str(file))
    assert dict(model.config.body) == {"layers": [4, 5, 0, 6, 0], "batch_norm": batch_norm}
    assert torch.equal(model.body[0].weight, weights["features.0.weight"])


def test_the_usual_vgg_has_torchvisions_numbers() -> None:
    with torch.device("meta"):
        body = vision._vgg({})
    kernels = [int(name.split(".")[0]) for name, tensor in body.state_dict().items() if tensor.ndim == 4]
    assert kernels == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # as in torchvision's vgg16
    assert sum(p.numel() for p in body.parameters()) == 14_714_688  # Simonyan and Zisserman's, without the last three


@needs_transformers
def test_the_usual_sizes_are_those_of_the_papers() -> None:
    with torch.device("meta"):
        counts = {
            name: sum(p.numel() for p in VisionClassifier(VisionConfig(name)).body.parameters())
            for name in ("resnet50", "efficientnet")
        }
    assert counts == {"resnet50": 23_508_032, "efficientnet": 4_007_548}


def test_windows_become_photographs() -> None:
    model = VisionClassifier(VisionConfig("vgg16", {"layers": (4, 0)}, image_size=48))
    mel = torch.full((2, 64, 20), -9.0)
    mel[:, :8] = 9.0  # the lowest bands
    images = model.images(mel)
    assert images.shape == (2, 3, 48, 48)
    mean, std = torch.tensor(vision.MEAN), torch.tensor(vision.STD)
    torch.testing.assert_close(images[0, :, 0, 0], (0 - mean) / std)  # black at the top
    torch.testing.assert_close(images[0, :, -1, 0], (1 - mean) / std)  # white at the bottom


# What is refused


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = vgg_weights()
    for name, changed, message in (
        ("shape", weights | {"features.2.weight": torch.zeros(5, 9, 3, 3)}, r"expected 2\.weight of vgg16 with the sh"),
        ("missing", {k: v for k, v in weights.items() if k != "features.2.bias"}, r"2\.bias is missing"),
        ("other", {"layer1.0.conv1.weight": torch.zeros(4, 3, 3, 3)}, r"expected weights of vgg16, as 'features\.0"),
        ("nan", weights | {"features.0.bias": torch.full((4,), float("nan"))}, "not finite"),
    ):
        save_file(changed, tmp_path / f"{name}.safetensors")
        with pytest.raises(ModelError, match=message):
            vision_on("vgg16", 2, str(tmp_path / f"{name}.safetensors"))


@needs_transformers
def test_sizes_that_do_not_fit_the_weights_are_refused(tmp_path: Path) -> None:
    file = transformers_weights(tmp_path, "resnet50")
    (tmp_path / "config.json").write_text(json.dumps(RESNET | {"hidden_sizes": [4, 16]}))
    with pytest.raises(ModelError, match=r"of resnet50 with the shape .* got"):
        vision_on("resnet50", 2, str(file))
    (tmp_path / "config.json").write_text("[1, 2")
    with pytest.raises(ModelError, match="expected the sizes of resnet50 as JSON"):
        vision_on("resnet50", 2, str(file))


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trap was sprung"),))


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ModelError, match="expected weights"):
        vision_on("vgg16", 2, str(tmp_path / "trap.pth"))
    assert not (tmp_path / "trap was sprung").exists()


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04K\x05."])
def test_a_file_that_is_none_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    file = tmp_path / f"file.{ending}"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="expected"):
        read_weights(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read the weights .*none\.pth"):
        vision_on("vgg16", 2, str(tmp_path / "none.pth"))


def test_nothing_is_downloaded_and_the_cache_is_looked_into(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelError, match="nothing is downloaded: give a file of weights"):
        vision_on("vgg16", 2)
    (tmp_path / "checkpoints").mkdir()
    torch.save(vgg_weights(), tmp_path / "checkpoints" / "vgg16-397923af.pth")
    assert vision_on("vgg16", 2).config.body["layers"] == [4, 5, 0, 6, 0]


@needs_transformers
def test_the_cache_of_transformers_is_looked_into(tmp_path: Path, monkeypatch) -> None:
    import huggingface_hub

    file = transformers_weights(tmp_path / "snapshot", "resnet50")
    asked = []
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, kind: asked.append(name) or str(file))
    assert vision_on("resnet50", 2).head[1].in_features == 8
    assert asked == ["microsoft/resnet-50"]
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, kind: None)
    with pytest.raises(ModelError, match=r"no weights in the cache of huggingface_hub \(google/efficientnet-b0\)"):
        vision_on("efficientnet", 2)


@pytest.mark.parametrize("architecture", ["resnet50", "efficientnet"])
def test_without_transformers_it_is_said_what_to_install(tmp_path: Path, monkeypatch, architecture: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transformers" else found(name))
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    for weights in (str(tmp_path / "x.safetensors"), None):
        with pytest.raises(VolnaError, match=r"needs transformers: pip install 'volna\[vision\]'"):
            vision_on(architecture, 2, weights)


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(ModelError, match="resnet50, efficientnet, vgg16, got 'alexnet'"):
        vision_on("alexnet", 2)
    with pytest.raises(ModelError, match="alexnet"):
        VisionClassifier(VisionConfig("alexnet"))


def test_a_frozen_network_learns_a_new_head_and_keeps_its_body(tmp_path: Path) -> None:
    from volna.training.classifier import fit_classifier

    save_file(vgg_weights(), tmp_path / "vgg.safetensors")
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    sounds = [rng.normal(-60, 2, (64, 32)).astype(np.float32) for _ in labels]
    for sound, label in zip(sounds, labels, strict=True):  # tones, or clicks
        (sound.T if label else sound)[4::8] += 40
    options = {"kind": "vgg16", "n_classes": 2, "weights": str(tmp_path / "vgg.safetensors")}
    data = fit_classifier(sounds, labels, np.arange(12) // 2, **options)
    assert (predict_probabilities(data, sounds).argmax(axis=1) == labels).all()
    body = from_bytes(data).model.body.state_dict()
    assert all(
        torch.equal(body[name.removeprefix("features.")], t) for name, t in vgg_weights().items() if "fea" in name
    )
    with pytest.raises(InputError, match="label and a group for every picture"):
        fit_classifier(sounds, labels[:-1], np.arange(12), **options)
