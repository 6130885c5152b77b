from dataclasses import asdict

import numpy as np
import pytest
import torch
from test_inversion import CONFIG, N, vowel

from volna.errors import InputError, ModelError
from volna.features.inversion import magnitude_from_mel
from volna.features.sounding import FLOOR, sounding_config, sounding_mel
from volna.models import vocoder_file
from volna.models.vocoder import Backbone, Vocoder, VocoderConfig, inverse_stft
from volna.models.vocoder_file import TrainedVocoder
from volna.models.vocoder_use import spectrum_of_piece, vocoded
from volna.models.weights_file import format_of, write_tensors


def small(seed=0, **sizes):
    torch.manual_seed(seed)
    sizes = {"dim": 16, "depth": 2} | sizes
    return Vocoder(VocoderConfig(asdict(CONFIG), **sizes)).eval()


@pytest.fixture
def trained():
    return TrainedVocoder(small().requires_grad_(False), {"steps": 3})


def test_shapes():
    model = small()
    heard = model.heard(torch.zeros(2, 64, 9))
    assert heard.log_magnitude.shape == (2, 257, 9)
    assert heard.time_step.shape == heard.bin_step.shape == (2, 2, 257, 9)
    assert model(torch.zeros(2, 64, 9)).shape == (2, 8 * 128)


def test_magnitudes_start_from_non_negative_least_squares():
    log_mel = sounding_mel(vowel()[:N], CONFIG)
    start = small()._start(torch.from_numpy(log_mel.copy())[None])[0].exp().numpy()
    wanted = magnitude_from_mel(log_mel, CONFIG, n_steps=8)
    loud = wanted > 0.01 * wanted.max()
    loud[[0, -1]] = False
    assert np.abs(np.log(start[loud] / wanted[loud])).max() < 0.05


@pytest.mark.parametrize("gain", [0.01, 3.0])
def test_the_start_goes_with_the_level(gain):
    log_mel = torch.from_numpy(sounding_mel(vowel()[:N], CONFIG).copy())[None]
    model = small()
    assert torch.allclose(model._start(log_mel + np.log(gain)), model._start(log_mel) + np.log(gain), atol=1e-3)


def test_other_inputs_than_a_mel_start_from_nothing():
    model = small(n_inputs=5)
    assert not model.config.from_mel
    assert model(torch.zeros(1, 5, 4)).shape == (1, 384)


def test_no_frame_hears_beyond_the_context():
    model = small(kernel=3)
    context = model.config.context
    log_mel = torch.randn(1, 64, 4 * context)
    other = log_mel.clone()
    other[..., 2 * context :] += 1.0
    with torch.no_grad():
        differs = (model.heard(log_mel).log_magnitude - model.heard(other).log_magnitude).abs().amax(dim=1)[0] > 0
    assert not differs[:context].any()
    assert differs[context : 2 * context].any()


def test_the_backbone_alone():
    assert Backbone(3, 8, 1)(torch.zeros(2, 3, 5)).shape == (2, 5, 8)


def test_the_inverse_is_that_of_numpy():
    from volna.features.inversion import istft
    from volna.features.spectrum import stft

    spectrum = stft(vowel()[:N], 512, 128)
    phases = torch.from_numpy(np.exp(1j * np.angle(spectrum)).astype(np.complex64))[None]
    made = inverse_stft(torch.from_numpy(np.log(np.abs(spectrum) + 1e-9))[None], phases, 128)[0].numpy()
    assert np.abs(made - istft(spectrum, 128)).max() < 1e-4


def test_losses_of_the_samples_reach_the_magnitudes():
    model = small()
    model(torch.randn(1, 64, 6)).square().sum().backward()
    assert model.head.out.weight.grad[:257].abs().sum() > 0


@pytest.mark.parametrize("sizes", [{"dim": 0}, {"depth": 0}, {"kernel": 4}, {"n_inputs": -1}])
def test_sizes_that_make_no_sense_are_refused(sizes):
    with pytest.raises(ModelError, match="expected"):
        VocoderConfig(asdict(CONFIG), **sizes)


def test_a_file_gives_the_vocoder_back(trained, tmp_path):
    data = vocoder_file.to_bytes(trained)
    assert data == vocoder_file.to_bytes(trained)
    assert format_of(data) == vocoder_file.FORMAT
    (tmp_path / "a.vocoder").write_bytes(data)
    again = vocoder_file.load(tmp_path / "a.vocoder")
    assert again.summary == {"steps": 3}
    assert again.mel_config == CONFIG
    assert again.sample_rate == 8_000
    log_mel = sounding_mel(vowel()[:N], CONFIG)
    assert np.array_equal(vocoded(again, log_mel), vocoded(trained, log_mel))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "not a vocoder"),
        (lambda data: b"RIFF" + bytes(100), "not a vocoder"),
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: data.replace(b'\\"dim\\": 16', b'\\"dim\\": 18'), "damaged"),
        (lambda data: data.replace(b'\\"dim\\": 16', b'\\"dim\\": -1'), "damaged"),
        (lambda data: data.replace(b'\\"depth\\"', b'\\"deept\\"'), "does not know"),
        (lambda data: data.replace(b'\\"format_version\\": 1', b'\\"format_version\\": 9'), "newer"),
        (lambda data: write_tensors("volna-denoiser", 1, {}, {"a": torch.zeros(1)}), "it is a denoiser"),
    ],
)
def test_files_that_are_no_vocoders_say_so(trained, change, words):
    with pytest.raises(ModelError, match=words):
        vocoder_file.from_bytes(change(vocoder_file.to_bytes(trained)), source="x")


def test_weights_that_are_not_finite_are_refused(trained):
    trained.model.head.out.bias[0] = torch.nan
    with pytest.raises(ModelError, match="finite"):
        vocoder_file.from_bytes(vocoder_file.to_bytes(trained))


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ModelError, match="cannot read"):
        vocoder_file.load(tmp_path / "none.vocoder")


def test_pieces_hear_what_the_whole_hears(trained):
    log_mel = sounding_mel(vowel(), CONFIG)
    context = trained.model.config.context
    whole = spectrum_of_piece(trained, log_mel, 0, log_mel.shape[1])
    parts = []
    for a in range(0, log_mel.shape[1], 20):
        left, length = min(a, context), min(20, log_mel.shape[1] - a)
        before = parts[-1][:, -1] if parts else None
        parts.append(spectrum_of_piece(trained, log_mel[:, a - left : a + length + context], left, length, before))
    pieces = np.concatenate(parts, axis=1)
    assert np.allclose(np.abs(pieces), np.abs(whole), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("n_frames", [1, 2, 63, 700])
def test_samples_for_every_frame(trained, n_frames):
    log_mel = np.full((64, n_frames), -3.0, np.float32)
    made = vocoded(trained, log_mel, n_iterations=2)
    assert made.dtype == np.float32
    assert len(made) == (n_frames - 1) * 128
    assert len(vocoded(trained, log_mel, n_iterations=1, n_samples=n_frames * 128 - 5)) == n_frames * 128 - 5


def test_the_same_mel_gives_the_same_sound(trained):
    log_mel = sounding_mel(vowel()[:N], CONFIG)
    assert np.array_equal(vocoded(trained, log_mel), vocoded(trained, log_mel))


def test_silence_stays_silent_even_untrained(trained):
    assert np.abs(vocoded(trained, np.full((64, 40), FLOOR))).max() < 1e-3


def test_a_mel_of_another_rate_is_refused(trained):
    with pytest.raises(InputError, match="64"):
        vocoded(trained, np.zeros((sounding_config(16_000).n_mels, 5)))
