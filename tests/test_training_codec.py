"""Training of a codec: it learns, the same every time; rates rise with their names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from codec_models import TINY, clips, made_sound

from volna.errors import InputError
from volna.models.codec_file import as_stored, levels_of
from volna.training.clips import Clips
from volna.training.codec import CodecTraining, latents_of, train_codec
from volna.training.fit import FitConfig, run_through
from volna.workflows.making import codec_jobs


def trained(steps: int, **changes: object):
    fit = FitConfig(max_steps=steps, time_budget_s=None, val_every=10, ema=0.9, lr=3e-3)
    return run_through(train_codec(clips(), replace(TINY, fit=fit, **changes)))


def test_it_learns_and_names_its_losses() -> None:
    fitted = trained(40)
    first, last = fitted.history[0], fitted.history[-1]
    assert last["val_loss"] < first["val_loss"]
    assert {"mel", "rate", "magnitude", "time_step", "bin_step"} <= set(last)


def test_equal_seeds_give_equal_codecs() -> None:
    states = [trained(3).model.state_dict() for _ in range(2)]
    assert all(bool((states[0][name] == states[1][name]).all()) for name in states[0])


def test_the_loss_of_the_sound_leaves_the_latents_alone() -> None:
    with_rate, without = trained(3), trained(3, rate_weight=0.0)
    name = "to_latent.weight"
    assert not bool((with_rate.model.state_dict()[name] == without.model.state_dict()[name]).all())


@pytest.mark.parametrize("changes", [{"n_frames": 15}, {"n_frames": 4}, {"batch_size": 0}, {"step_range": (2.0, 1.0)}])
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        trained(1, **changes)


def test_rates_are_near_those_asked_for_and_rise() -> None:
    model = as_stored(trained(2).model)
    settings = codec_jobs.settings_of(model, clips(), (0.3, 0.6, 1.2))
    rates = np.array([setting.bit_rate for setting in settings])
    assert np.all(np.abs(rates / np.array([300, 600, 1200]) - 1) < 0.15)
    assert [setting.step for setting in settings] == sorted((s.step for s in settings), reverse=True)
    for setting in settings:
        assert setting.frequencies.shape[0] == len(levels_of(model, setting.step))


def test_rates_beyond_the_finest_step_are_not_promised() -> None:
    model = as_stored(trained(2).model)
    settings = codec_jobs.settings_of(model, clips(), (1.0, 500.0, 1000.0))
    assert len(settings) == 2


def test_latents_come_from_every_sound_even_a_short_one() -> None:
    model = trained(1).model
    short = Clips((made_sound(0), made_sound(1)[:300]), (made_sound(2)[:1],), 8000)
    shapes = [latent.shape for latent in latents_of(model, short)]
    assert shapes == [(47, 24), (1, 24), (1, 24)]


def test_the_defaults_are_whole_patches() -> None:
    settings = CodecTraining()
    assert settings.n_frames % settings.stride == 0
