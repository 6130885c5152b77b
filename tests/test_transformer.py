"""`TrackVectors` in the manner of scikit-learn, and its rows as a library would have them."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import SAMPLE_RATE, sound
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from synthetic_library import DIM, tiny_model

import volna
from volna.audio.encode import encode
from volna.errors import AudioError, InputError
from volna.features.recipe import DESCRIPTOR_NAMES
from volna.library.store import Catalogue
from volna.transformer import TrackVectors
from volna.workflows.common import keep_model, open_current_index

WIDTHS = {"descriptors": len(DESCRIPTOR_NAMES), "autoencoder": DIM, "both": len(DESCRIPTOR_NAMES) + DIM}


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """Eight sounds, half of them brightened, and the file of an untrained model."""
    folder = tmp_path_factory.mktemp("heard")
    paths = [folder / f"{k}.wav" for k in range(8)]
    for k, path in enumerate(paths):
        samples = sound(k, 3.1)
        encode(path, np.diff(samples, prepend=0) if k % 2 else samples, SAMPLE_RATE)
    model = folder / "tiny.safetensors"
    model.write_bytes(tiny_model())
    return paths, model


@pytest.mark.parametrize("by", WIDTHS)
def test_rows_have_length_one_a_name_for_every_column_and_are_the_same_again(heard, by):
    paths, model = heard
    vectors = TrackVectors(model, by=by)
    rows = vectors.fit_transform(paths)
    assert (rows.dtype, rows.shape) == (np.float32, (8, WIDTHS[by]))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors.transform(paths[:2]), rows[:2], atol=1e-6)
    assert len(vectors.get_feature_names_out()) == len(set(vectors.get_feature_names_out())) == WIDTHS[by]
    assert vectors.n_features_out_ == WIDTHS[by]


def test_rows_are_those_of_a_library_of_the_same_sounds(heard, library):
    paths, model = heard
    with Catalogue.open(library, create=True) as catalogue:
        keep_model(catalogue, "tiny", model.read_bytes(), trained_on=8, dim=DIM)
        catalogue.activate_model("tiny")
    volna.index(paths, library=library, jobs=1, train_time_s=0)
    with Catalogue.open(library) as catalogue:
        ids = [catalogue.find(str(path))[0].id for path in paths]
        index = open_current_index(catalogue)
        for by in WIDTHS:
            np.testing.assert_allclose(TrackVectors(model, by=by).fit_transform(paths), index.rows(by, ids), atol=1e-5)


def test_the_space_follows_the_model(heard):
    paths, model = heard
    assert TrackVectors().fit(paths[:2]).n_features_out_ == WIDTHS["descriptors"]
    assert TrackVectors(model).fit(paths[:2]).n_features_out_ == WIDTHS["both"]


def test_it_fits_into_a_pipeline(heard):
    paths, _ = heard
    labels = np.arange(8) % 2
    pipeline = make_pipeline(TrackVectors(), LogisticRegression())
    assert pipeline.fit(paths[:6], labels[:6]).score(paths[6:], labels[6:]) == 1.0


def test_settings_stay_as_given_and_are_cloned(heard):
    _, model = heard
    vectors = TrackVectors(model, by="both", segment="start")
    assert vectors.get_params() == {"model": model, "by": "both", "segment": "start"}
    assert clone(vectors).get_params() == vectors.get_params()
    assert vectors.set_params(by="descriptors").by == "descriptors"


def test_one_sound_is_enough(heard):
    rows = TrackVectors().fit_transform(heard[0][:1])
    assert np.isfinite(rows).all()
    assert np.linalg.norm(rows) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_done_is_said(heard, tmp_path):
    paths, _ = heard
    with pytest.raises(NotFittedError):
        TrackVectors().transform(paths)
    with pytest.raises(NotFittedError):
        TrackVectors().get_feature_names_out()
    with pytest.raises(InputError, match="needs a model"):
        TrackVectors(by="both").fit(paths)
    with pytest.raises(InputError, match="expected descriptors"):
        TrackVectors(by="magic").fit(paths)
    for nothing in ([], "song.mp3"):
        with pytest.raises(InputError, match="list of at least one path"):
            TrackVectors().fit(nothing)
    (tmp_path / "text.mp3").write_text("no sound")
    with pytest.raises(AudioError, match="text"):
        TrackVectors().fit([*paths[:1], tmp_path / "text.mp3"])
