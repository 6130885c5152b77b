"""A network behind `classify`: trained, asked, measured and looked into on a few sounds made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from volna.audio.encode import encode
from volna.errors import InputError, ModelError
from volna.workflows.classify import classify_train
from volna.workflows.classify_answers import classify_predict
from volna.workflows.classify_model import classifier_from
from volna.workflows.classify_seeing import classify_see

RATE = 8000


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "sounds"
    for label, hz in (("low", 300.0), ("high", 2500.0)):
        (folder / label).mkdir(parents=True)
        for k in range(6):
            rng = np.random.default_rng(k)
            t = np.arange(round(rng.uniform(0.3, 0.5) * RATE)) / RATE
            samples = 0.2 * np.sin(2 * np.pi * hz * rng.uniform(0.9, 1.1) * t) + 0.02 * rng.standard_normal(len(t))
            encode(folder / label / f"{k}.wav", samples.astype(np.float32), RATE)
    return folder


@pytest.fixture(scope="module")
def trained(sounds: Path, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("model") / "net.model"
    summary = classify_train(sounds, file, kind="cnn", train_time_s=3.0, group_from=r"(\d)\.wav", jobs=1)
    assert (summary.chosen, summary.held_out, summary.n_groups) == (["cnn"], None, 6)
    return file


def test_a_network_travels_in_the_file_and_answers(sounds: Path, trained: Path) -> None:
    model = classifier_from(trained.read_bytes())
    assert (model.kind, model.picture_rate, model.vectors, model.want) == ("cnn", RATE, None, ("picture",))
    said = classify_predict([sounds], trained, jobs=1)
    assert len(said.results) == 12
    assert all(sum(each.probabilities) == pytest.approx(1.0) for each in said.results)


def test_what_a_network_saw_is_drawn(sounds: Path, trained: Path, tmp_path) -> None:
    out = tmp_path / "seen.png"
    seen = classify_see(sounds / "low" / "0.wav", trained, out, label="high", filters=tmp_path / "filters.png")
    assert seen.label == "high"
    assert 0.0 <= seen.probability <= 1.0
    assert all(file.read_bytes()[:4] == b"\x89PNG" for file in (out, tmp_path / "filters.png"))
    with pytest.raises(InputError, match="exists already"):
        classify_see(sounds / "low" / "0.wav", trained, out)
    with pytest.raises(InputError, match="expected one of high, low, got 'blue'"):
        classify_see(sounds / "low" / "0.wav", trained, tmp_path / "x.png", label="blue")


def test_vectors_have_no_picture_to_look_into(sounds: Path, tmp_path) -> None:
    file = tmp_path / "v.model"
    classify_train(sounds, file, kind="logistic", by="patch", jobs=1)
    with pytest.raises(ModelError, match="looks at no pictures"):
        classify_see(sounds / "low" / "0.wav", file, tmp_path / "x.png")
