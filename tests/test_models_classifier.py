"""Classifiers of pictures: shapes, gradients, the contract of all kinds, their file, and what they saw."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from volna.errors import InputError, ModelError
from volna.models import checkpoint as autoencoders
from volna.models.backbone import BackboneClassifier, BackboneConfig, backbone_on, mel_config_of
from volna.models.classifier import CnnClassifier, CnnConfig
from volna.models.classifier_file import TrainedClassifier, build_classifier, from_bytes, to_bytes
from volna.models.classifier_use import (
    class_activation,
    cut_windows,
    first_filters,
    placed,
    predict_probabilities,
    window_starts,
)
from volna.models.layers import Normalisation

N_MELS = 20
SMALL = {
    "cnn": {"n_mels": N_MELS, "n_classes": 3, "channels": [4, 6, 8], "time": [2, 2, 1]},
    "crnn": {"n_mels": N_MELS, "n_classes": 3, "channels": [4, 6], "time": [2, 2], "hidden": 8},
    "backbone": {
        "architecture": "conv",
        "body": {"n_mels": N_MELS, "latent": 8, "channels": [4, 4, 4, 4]},
        "n_classes": 3,
    },
    "masked": {
        "architecture": "masked",
        "body": {"n_mels": N_MELS, "latent": 8, "width": 16, "depth": 1},
        "n_classes": 3,
    },
    "dense": {"architecture": "dense", "body": {"n_mels": N_MELS, "latent": 8}, "n_classes": 3},
    "vgg16": {"architecture": "vgg16", "body": {"layers": [4, 0, 6, 0]}, "n_classes": 3, "image_size": 32},
}
KINDS = {"masked": "backbone", "dense": "backbone"}


def make(name: str, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_classifier(KINDS.get(name, name), SMALL[name]).eval()


def trained(name: str = "cnn", **changes) -> TrainedClassifier:
    normalisation = Normalisation(80.0, (0.5,) * N_MELS, 10.0)
    return TrainedClassifier(make(name), KINDS.get(name, name), normalisation, 24, **{"temperature": 1.5, **changes})


def pictures(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(-60, 8, (N_MELS, n)).astype(np.float32) for n in lengths]


# The contract of every kind


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("n_frames", [1, 2, 7, 33])
def test_any_length_gives_a_score_a_class(name: str, n_frames: int) -> None:
    model = make(name)
    mel = torch.randn(2, N_MELS, n_frames)
    maps = model.maps(mel)
    assert maps.ndim == 4
    assert len(model.pooled(maps)) == 2
    assert model(mel).shape == (2, 3)
    assert torch.equal(model(mel), model.read(maps))


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_every_weight_that_classifies(name: str) -> None:
    model = make(name).train()
    model(torch.randn(4, N_MELS, 40)).logsumexp(1).sum().backward()
    without = {part for part, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    if name in ("cnn", "crnn", "vgg16"):
        assert without == set()
    else:  # what only the decoder needs
        assert not [part for part in without if part.startswith("head")]
        assert without < {part for part, _ in model.named_parameters() if part.startswith("body.")}


@pytest.mark.parametrize("name", SMALL)
def test_one_picture_is_judged_alone_as_in_a_batch(name: str) -> None:
    model = make(name)
    mel = torch.randn(3, N_MELS, 40)
    torch.testing.assert_close(model(mel)[1:2], model(mel[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_the_file_brings_back_the_same_classifier(name: str) -> None:
    before = trained(name, summary={"note": "x"})
    data = to_bytes(before)
    after = from_bytes(data)
    assert (after.kind, after.n_frames, after.temperature, after.summary) == (before.kind, 24, 1.5, {"note": "x"})
    assert after.normalisation == before.normalisation
    assert asdict(after.model.config).keys() == asdict(before.model.config).keys()
    mel = torch.randn(2, N_MELS, 24)
    torch.testing.assert_close(before.model(mel), after.model(mel), atol=1e-6, rtol=1e-5)
    assert to_bytes(after) == data
    assert not any(p.requires_grad for p in after.model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_what_was_seen_has_the_size_of_the_picture(name: str) -> None:
    data = to_bytes(trained(name))
    for picture in pictures(1, 24, 61):
        seen = class_activation(data, picture, 1)
        assert seen.shape == picture.shape
        assert seen.dtype == np.float32
        assert 0 <= seen.min() <= seen.max() <= 1


# Networks


def test_the_place_of_a_band_matters() -> None:
    model = make("cnn")
    mel = torch.zeros(1, N_MELS, 20)
    low, high = mel.clone(), mel.clone()
    low[:, 6] = high[:, 12] = 3.0  # the same line elsewhere, far from the edges and a whole number of strides apart
    assert not torch.allclose(model(low), model(high), atol=1e-4)


def test_where_in_time_an_event_falls_is_nothing_to_the_convolutional_network_and_something_to_the_recurrent() -> None:
    mel = torch.zeros(2, N_MELS, 128)
    mel[0, 4:9, 32:36] = mel[1, 4:9, 80:84] = 3.0  # a whole number of strides apart
    early, late = make("cnn")(mel)
    torch.testing.assert_close(early, late, atol=1e-5, rtol=1e-5)
    early, late = make("crnn")(mel)
    assert (early - late).abs().max() > 1e-4


def test_a_backbone_carries_the_autoencoders_weights_and_its_picture() -> None:
    model = autoencoders.build("conv", SMALL["backbone"]["body"]).eval()
    mel_config = {"sample_rate": 12_000, "n_mels": N_MELS, "fmax_hz": 4_000.0}
    normalisation = Normalisation(55.0, (), 9.0)
    data = autoencoders.to_bytes(autoencoders.Checkpoint(model, "conv", mel_config, normalisation))
    classifier, read = backbone_on(data, 4)
    assert read.normalisation == normalisation
    assert mel_config_of(data).sample_rate == 12_000
    mel = torch.randn(2, N_MELS, 33)
    maps = classifier.eval().maps(mel)
    assert torch.equal(maps.flatten(1, 2), model.features(mel))
    assert classifier(mel).shape == (2, 4)
    with pytest.raises(ModelError, match="the backbone is not a Volna autoencoder"):
        backbone_on(b"nothing of the kind", 4)


def test_a_transformers_maps_put_each_word_in_its_place() -> None:
    model = make("masked")
    mel = torch.randn(1, N_MELS, 48)
    maps = model.maps(mel)
    assert maps.shape == (1, 16, 3, 3)  # width, rows of words, columns
    column = model.body.features(mel)[0, :, 1]  # the rows of a column beside each other
    assert torch.equal(maps[0, :, 2, 1], column[32:48])


def test_the_head_of_a_frozen_body_sees_standardised_features() -> None:
    model = BackboneClassifier(BackboneConfig(**SMALL["backbone"])).train()
    features = 5 + 3 * torch.randn(64, model.pooled(model.maps(torch.zeros(1, N_MELS, 16))).shape[1])
    seen = model.head[0](features)
    assert seen.mean().abs() < 1e-4
    assert abs(float(seen.std()) - 1) < 0.05


# Windows


@pytest.mark.parametrize("n_total", [1, 9, 10, 11, 30, 31, 97, 10_000])
def test_windows_cover_a_picture_and_do_not_leave_it(n_total: int) -> None:
    starts = window_starts(n_total, 10)
    if n_total <= 10:
        assert len(starts) == 1
        assert -starts[0] in ((10 - n_total) // 2, -(-(10 - n_total) // 2))
    else:
        assert (starts[0], starts[-1]) == (0, n_total - 10)
        assert starts == sorted(set(starts))
        if n_total < 200:
            assert max(np.diff(starts)) <= 6


def test_a_short_picture_stands_among_its_own_faintest_level() -> None:
    mel = np.array([[3.0, 4.0], [1.0, 2.0]], np.float32)
    window = placed(mel, 5, -2)
    assert window.tolist() == [[1, 1, 3, 4, 1], [1, 1, 1, 2, 1]]
    assert cut_windows(mel, 2).tolist() == [mel.tolist()]


def test_probabilities_are_the_tempered_mean_over_windows() -> None:
    model = trained()
    short, long = pictures(10, 70)
    probabilities = predict_probabilities(to_bytes(model), [short, long])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    from volna.models.layers import condition

    windows = torch.from_numpy(cut_windows(condition([long], model.normalisation)[0], 24))
    expected = torch.softmax(model.model(windows).mean(0) / 1.5, 0)
    np.testing.assert_allclose(probabilities[1], expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(predict_probabilities(to_bytes(model), [long])[0], probabilities[1], atol=1e-6)
    assert predict_probabilities(to_bytes(model), []).shape == (0, 3)


def test_loudness_changes_nothing() -> None:
    data = to_bytes(trained())
    (picture,) = pictures(40)
    np.testing.assert_allclose(
        predict_probabilities(data, [picture]), predict_probabilities(data, [picture - 17]), atol=1e-4
    )


# What the network saw


def test_the_class_activation_lies_where_a_known_network_looks() -> None:
    model = CnnClassifier(CnnConfig(N_MELS, 2, (2, 2), (1, 1))).eval()
    with torch.no_grad():  # a mean of the neighbourhood, twice; class 0 counts what it finds, class 1 what is missing
        for layer in model.layers:
            layer[0].weight.zero_()
            layer[0].weight[0, 0] = 1.0
        model.head.weight.zero_()
        model.head.weight[0, :5], model.head.weight[1, :5] = 1.0, -1.0  # five parts of the spectrum of the first map
    data = to_bytes(TrainedClassifier(model, "cnn", Normalisation(80.0, (0.0,) * N_MELS, 10.0), 32))
    picture = np.full((N_MELS, 48), -70, np.float32)
    picture[14:16, 30:36] = 0
    seen = class_activation(data, picture, 0)
    band, frame = np.unravel_index(seen.argmax(), seen.shape)
    assert 12 <= band <= 17
    assert 28 <= frame <= 37
    assert seen.max() == 1
    assert seen[:8].max() < 0.2
    assert class_activation(data, picture, 1).max() == 0


def test_the_first_filters_are_those_over_the_picture() -> None:
    model = trained()
    assert np.array_equal(first_filters(to_bytes(model)), model.model.layers[0][0].weight[:, 0].detach().numpy())
    vision = trained("vgg16")
    kernels = vision.model.body[0].weight.detach().numpy()
    assert np.allclose(first_filters(to_bytes(vision)), kernels.sum(axis=1)[:, ::-1])
    assert first_filters(to_bytes(trained("masked"))).shape == (16, 8, 16)
    with pytest.raises(InputError, match="no set of filters"):
        first_filters(to_bytes(trained("dense")))


@pytest.mark.parametrize("class_index", [-1, 3])
def test_there_is_no_such_class(class_index: int) -> None:
    with pytest.raises(InputError, match="class from 0 to 2"):
        class_activation(to_bytes(trained()), pictures(30)[0], class_index)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((N_MELS + 1, 4)), np.zeros(N_MELS), np.zeros((N_MELS, 0)), np.full((N_MELS, 3), np.nan)],
    ids=["bands", "dimensions", "empty", "nan"],
)
def test_pictures_that_do_not_fit_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(InputError, match="number 0"):
        predict_probabilities(to_bytes(trained()), [picture])


# The file


def header_of(data: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(data: bytes, **changes) -> bytes:
    table, tensors = header_of(data)
    about = json.loads(table["__metadata__"]["volna"]) | changes
    table["__metadata__"]["volna"] = json.dumps(about)
    written = json.dumps(table).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + tensors


def test_the_file_runs_no_code_and_cannot_ask_for_memory() -> None:
    data = to_bytes(trained())
    table, _ = header_of(data)
    assert set(table["__metadata__"]) == {"volna"}
    huge = SMALL["cnn"] | {"channels": [40_000, 40_000, 40_000]}
    with pytest.raises(ModelError, match="damaged"):
        from_bytes(with_header(data, config=huge))


def test_damaged_bytes_are_refused_wherever_the_damage_is() -> None:
    data = to_bytes(trained())
    for broken in (
        b"",
        b"x",
        data[:7],
        data[: len(data) // 2],
        data[:-1],
        b"\xff" * 8 + data[8:],
        data[:9] + data[10:],
    ):
        with pytest.raises(ModelError):
            from_bytes(broken)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, int.from_bytes(data[:8], "little"), 40):  # somewhere in the header
        broken = bytearray(data)
        broken[place] ^= 0x15
        try:
            from_bytes(bytes(broken))
        except ModelError:
            continue


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "oracle"}, "expected one of the classifiers"),
        ({"format_version": 99}, "newer Volna"),
        ({"format": "volna-model"}, "not a classifier of pictures"),
        ({"config": {"n_mels": N_MELS, "colour": 3}}, "no setting colour"),
        ({"temperature": 0}, "make no sense"),
        ({"n_frames": 0}, "make no sense"),
        ({"normalisation": {"loud": 1}}, "damaged"),
        ({"config": {"n_mels": N_MELS, "n_classes": 4, "channels": [4, 6, 8], "time": [2, 2, 1]}}, "damaged"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        from_bytes(with_header(to_bytes(trained()), **changes))


def test_weights_that_are_not_finite_are_refused() -> None:
    model = trained()
    model.model.head.weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"not finite in head\.weight"):
        from_bytes(to_bytes(model))
