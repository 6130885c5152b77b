"""The denoiser: sizes, gains, its file, and its use on sound that comes in blocks."""

import json

import numpy as np
import pytest
import torch

from volna.errors import ModelError
from volna.features.denoise_frames import frame_length, through_spectra
from volna.models import denoiser_file
from volna.models.denoiser import LEAST_GAIN, Denoiser, DenoiserConfig, band_matrix
from volna.models.denoiser_file import TrainedDenoiser, from_bytes, load, to_bytes

SMALL = DenoiserConfig(n_bins=129, channels=(4, 6, 8), width=16, hidden=12)


def untrained(config: DenoiserConfig = SMALL, seed: int = 0) -> TrainedDenoiser:
    torch.manual_seed(seed)
    model = Denoiser(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return TrainedDenoiser(model.eval(), {"steps": 3})


def denoised(trained: TrainedDenoiser, sound: np.ndarray, rate: int, block: int = 10**9, strength: float = 1.0):
    blocks = [sound[:, k : k + block] for k in range(0, sound.shape[1], block)]
    way = through_spectra(blocks, frame_length(rate), lambda s: denoiser_file.without_noise(trained, s, strength))
    return np.concatenate(list(way), axis=1)


def hiss(n: int, n_channels: int = 1, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((n_channels, n))).astype(np.float32)


def test_the_network_has_fewer_than_half_a_million_parameters() -> None:
    assert sum(p.numel() for p in Denoiser(DenoiserConfig()).parameters()) < 500_000


@pytest.mark.parametrize("n_frames", [1, 2, 7, 50])
def test_gains_lie_between_their_floor_and_one(n_frames: int) -> None:
    power, wiener = torch.rand(2, n_frames, 129) ** 4, torch.rand(2, n_frames, 129)
    gains = untrained().model(power, wiener).detach()
    assert gains.shape == power.shape
    assert float(gains.min()) >= LEAST_GAIN
    assert float(gains.max()) <= 1


def test_level_does_not_matter() -> None:
    power, wiener = torch.rand(1, 20, 129), torch.rand(1, 20, 129)
    model = untrained().model
    torch.testing.assert_close(model(1e-6 * power, wiener), model(power, wiener), atol=1e-4, rtol=1e-4)


def test_before_it_has_learnt_the_gains_are_nearly_those_of_wiener() -> None:
    torch.manual_seed(0)
    wiener = 0.1 + 0.8 * torch.rand(1, 40, 129)
    gains = Denoiser(SMALL).eval()(torch.rand(1, 40, 129), wiener).detach()
    assert float((gains - wiener).abs().mean()) < 0.1


@pytest.mark.parametrize("n_bins", [65, 129, 257])
def test_bands_are_means_of_bins_and_cover_all_of_them(n_bins: int) -> None:
    matrix = band_matrix(n_bins, 64)
    sums = matrix.sum(dim=1)
    assert len(matrix) % 8 == 0
    assert bool(((sums - 1).abs() < 1e-5).logical_or(sums == 0).all())
    assert bool((matrix.sum(dim=0) > 0).all())


@pytest.mark.parametrize("settings", [{"channels": (4, 4)}, {"n_bins": 4}, {"hidden": 0}, {"width": 10**6}])
def test_sizes_that_make_no_sense_are_refused(settings: dict) -> None:
    with pytest.raises(ModelError, match="expected"):
        DenoiserConfig(**settings)


def test_the_file_brings_the_very_same_gains_back(tmp_path) -> None:
    trained = untrained()
    data = to_bytes(trained)
    (tmp_path / "d.safetensors").write_bytes(data)
    again = load(tmp_path / "d.safetensors")
    assert again.id == trained.id
    assert again.summary == {"steps": 3}
    assert again.top_hz == 4000
    assert to_bytes(again) == data
    power = torch.rand(1, 9, 129)
    torch.testing.assert_close(again.model(power, power), trained.model(power, power), atol=0, rtol=0)


def test_files_that_are_none_are_refused_in_words(tmp_path) -> None:
    data = to_bytes(untrained())
    with pytest.raises(ModelError, match="not a denoiser"):
        from_bytes(b"RIFF....WAVE", source="a.wav")
    with pytest.raises(ModelError, match="damaged"):
        from_bytes(data[: len(data) // 2], source="half")
    with pytest.raises(ModelError, match="cannot read the denoiser"):
        load(tmp_path / "missing")


def test_a_file_cannot_ask_for_more_than_its_weights(tmp_path) -> None:
    data = to_bytes(untrained())
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    header = json.loads(table["__metadata__"]["volna"])
    header["config"]["hidden"] = 4000
    table["__metadata__"]["volna"] = json.dumps(header)
    text = json.dumps(table).encode()
    with pytest.raises(ModelError, match="damaged"):
        from_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize(("rate", "n"), [(8000, 1), (8000, 700), (4000, 3000), (16_000, 40_000), (44_100, 50_000)])
def test_any_rate_and_length_comes_back_as_long_and_finite(rate: int, n: int) -> None:
    sound = hiss(n, 2)
    made = denoised(untrained(), sound, rate, block=9973)
    assert made.shape == sound.shape
    assert np.isfinite(made).all()


def test_seams_between_stretches_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, sound = untrained(), hiss(8000 * 12)
    whole = denoised(trained, sound, 8000)
    monkeypatch.setattr(denoiser_file, "AT_ONCE", 128)
    parts = denoised(trained, sound, 8000, block=5000)
    assert np.abs(parts - whole).max() < 0.1 * np.abs(whole).max()  # of a hiss that is nearly gone


def test_a_channel_is_denoised_as_if_it_were_alone() -> None:
    sound, other = hiss(16_000), hiss(16_000, seed=1) ** 2
    made = denoised(untrained(), np.concatenate([sound, other, 0 * sound]), 8000)
    np.testing.assert_allclose(made[:1], denoised(untrained(), sound, 8000), atol=1e-5)
    np.testing.assert_allclose(made[1:2], denoised(untrained(), other, 8000), atol=1e-5)
    assert not made[2].any()


def test_strength_goes_from_nothing_to_all() -> None:
    trained, sound = untrained(), hiss(20_000)
    np.testing.assert_allclose(denoised(trained, sound, 8000, strength=0.0), sound, atol=1e-5)
    half = 0.5 * (sound + denoised(trained, sound, 8000))
    np.testing.assert_allclose(denoised(trained, sound, 8000, strength=0.5), half, atol=1e-5)


def test_clean_sound_is_left_alone() -> None:
    t = np.arange(5 * 8000) / 8000
    tone = np.sin(2 * np.pi * 440 * t) * np.clip(np.sin(2 * np.pi * 0.7 * t), 1e-3, 1)
    sound = (0.3 * tone).astype(np.float32)[None]
    np.testing.assert_allclose(denoised(untrained(), sound, 8000), sound, atol=1e-4)
