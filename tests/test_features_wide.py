"""Full-band vectors: they tell what the recipe cannot hear, ignore the gain, and take a sound of any length."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from volna.errors import InputError
from volna.features import wide
from volna.features.wide import WIDE

RATE = WIDE.sample_rate


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def vectors(samples: np.ndarray) -> dict[str, np.ndarray]:
    log_mels = wide.wide_log_mels([samples])
    return {
        "log_mel": wide.wide_log_mel_statistics(log_mels),
        "mfcc": wide.wide_mfcc_statistics(log_mels),
        "spectrum": wide.wide_spectrum(log_mels),
        "patch": wide.patch(log_mels),
    }


@pytest.mark.parametrize("seconds", [0.1, 0.5, 4.0])
def test_sizes_do_not_depend_on_the_length(seconds: float) -> None:
    sizes = {name: values.shape for name, values in vectors(noise(seconds)).items()}
    assert sizes == {"log_mel": (128,), "mfcc": (60,), "spectrum": (498,), "patch": (640,)}
    assert all(np.isfinite(values).all() for values in vectors(noise(seconds)).values())


def test_the_log_mel_is_that_of_librosa() -> None:
    samples = noise(1.0)
    theirs = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=WIDE.n_fft, hop_length=WIDE.hop_length, n_mels=WIDE.n_mels,
        fmin=WIDE.fmin_hz, fmax=WIDE.fmax_hz, pad_mode="constant",
    )  # fmt: skip
    assert wide.wide_log_mels([samples])[0] == pytest.approx(librosa.power_to_db(theirs, amin=1e-12), abs=1e-3)


def test_the_mfcc_statistics_are_those_of_librosa() -> None:
    (mel,) = wide.wide_log_mels([noise(2.0)])
    cepstra = librosa.feature.mfcc(S=mel, n_mfcc=20)
    slopes = librosa.feature.delta(cepstra, width=9)
    wanted = np.concatenate([cepstra.mean(axis=1), cepstra.std(axis=1), slopes.std(axis=1)])
    assert wide.wide_mfcc_statistics([mel]) == pytest.approx(wanted, abs=0.02)


def test_tones_that_the_recipe_cannot_hear_are_told_apart() -> None:
    low, high = (wide.wide_log_mel_statistics(wide.wide_log_mels([tone(hz)]))[:64] for hz in (7000.0, 10_000.0))
    assert low.argmax() < high.argmax()


def test_the_gain_moves_no_shape() -> None:
    samples = noise(1.0)
    loud, soft = vectors(samples), vectors(0.25 * samples)
    assert soft["patch"] == pytest.approx(loud["patch"], abs=1e-2)
    assert soft["mfcc"][1:] == pytest.approx(loud["mfcc"][1:], abs=1e-2)  # all but the level
    assert soft["log_mel"][:64] - loud["log_mel"][:64] == pytest.approx(np.full(64, -12.04), abs=1e-2)


@pytest.mark.parametrize("hz", [1.0, 4.0, 16.0])
def test_movement_is_found_at_its_speed(hz: float) -> None:
    seconds = 6.0
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    samples = (noise(seconds) * swell).astype(np.float32)
    moving = wide.wide_spectrum(wide.wide_log_mels([samples]))[218:].reshape(-1, 7)[0]  # of the level
    still = wide.wide_spectrum(wide.wide_log_mels([noise(seconds)]))[218:].reshape(-1, 7)[0]
    octave = int(np.searchsorted(wide.SPEEDS_HZ, hz, side="right")) - 1
    assert (moving - still).argmax() == octave


def test_silence_around_a_word_is_cut_from_its_patch() -> None:
    word = np.concatenate([tone(500, 0.2), tone(3000, 0.2)])
    hush = np.zeros(round(0.5 * RATE), np.float32)
    alone, padded = (wide.patch(wide.wide_log_mels([x])) for x in (word, np.concatenate([hush, word, hush])))
    apart = np.abs(alone - wide.patch(wide.wide_log_mels([word[::-1].copy()]))).mean()
    assert np.abs(alone - padded).mean() < 0.25 * apart  # the frames at the ends see some of the silence


def test_time_runs_along_the_patch() -> None:
    word = np.concatenate([tone(300, 0.3), tone(6000, 0.3)])
    rows = wide.patch(wide.wide_log_mels([word])).reshape(wide.PATCH_BANDS, wide.PATCH_FRAMES)
    assert rows[:, 2].argmax() < rows[:, -3].argmax()


def test_windows_share_one_scale() -> None:
    loud, soft = wide.wide_log_mels([tone(1000), 1e-3 * tone(1000)])
    assert loud.max() - soft.max() == pytest.approx(60, abs=0.1)
    assert soft.min() >= loud.max() - wide.WIDE_TOP_DB - 1e-3


def test_nuisance_values_are_what_they_are_called() -> None:
    samples = np.concatenate([0.5 * np.ones(RATE), 0.001 * np.ones(RATE)]).astype(np.float32)
    values = dict(zip(wide.NUISANCE_NAMES, wide.nuisance([samples], RATE, 2.0).tolist(), strict=True))
    assert values["log_duration"] == pytest.approx(np.log(2.0))
    assert values["level_db"] == pytest.approx(-9.03, abs=0.01)
    assert values["noise_floor_db"] == pytest.approx(-60.0, abs=0.1)
    assert values["peak_db"] == pytest.approx(-6.02, abs=0.01)
    assert values["offset_db"] == pytest.approx(-12.02, abs=0.05)
    assert np.isfinite(wide.nuisance([np.zeros(100, np.float32)], RATE, 0.0)).all()


def test_no_windows_are_refused() -> None:
    with pytest.raises(InputError, match="at least one window"):
        wide.wide_log_mels([])
