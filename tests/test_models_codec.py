"""The codec's model: quantisation, its file, and that pieces give what the whole gives."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_models import SAMPLE_RATE, clips, codec, codec_bytes, made_sound

from volna.errors import ModelError
from volna.features.sounding import sounding_config, sounding_mel
from volna.models import codec_file, codec_use
from volna.models.codec import Codec, CodecConfig, half_levels
from volna.models.pca import PcaConfig, fit_pca
from volna.models.vocoder import Vocoder, VocoderConfig
from volna.models.vocoder_file import TrainedVocoder
from volna.models.vocoder_file import to_bytes as vocoder_bytes

VOCODER = VocoderConfig(asdict(sounding_config(SAMPLE_RATE)), dim=8, depth=1)


def fresh(n_dims: int = 24) -> tuple[Codec, np.ndarray]:
    """A codec whose networks are as they begin, and a log-mel."""
    torch.manual_seed(0)
    model = Codec(CodecConfig(asdict(VOCODER), n_dims=n_dims, width=8)).eval()
    mels = [sounding_mel(made_sound(seed), sounding_config(SAMPLE_RATE)) for seed in range(4)]
    model.linear.load_state_dict(fit_pca(mels, PcaConfig(64, n_dims, 4)).state_dict())
    return model, mels[0][:, :184]


def test_levels_follow_the_spread_and_small_numbers_have_one() -> None:
    half = half_levels(torch.tensor([10.0, 1.0, 0.39, 1e6]), torch.tensor([1.0, 2.0]))
    assert half.tolist() == [[40, 4, 0, 511], [20, 2, 0, 511]]


def test_rounding_is_at_most_half_a_step_inside_the_bounds_and_lets_gradients_pass() -> None:
    model, _ = fresh()
    step = torch.tensor([0.5, 2.0])
    bound = half_levels(model.spread, step)[:, :, None] * step[:, None, None]
    latent = (torch.rand(2, 24, 9) * 2 - 1) * bound
    latent.requires_grad_(True)
    rounded = model.quantised(latent, step)
    assert bool(((rounded - latent).abs() <= step[:, None, None] / 2 + 1e-4).all())
    assert np.allclose((rounded / step[:, None, None]).detach().numpy() % 1.0 % 1.0, 0, atol=1e-3)
    rounded.sum().backward()
    kept = (bound > 0).expand_as(latent)
    assert bool((latent.grad[kept] == 1).all())


def test_symbols_are_whole_in_their_alphabets_and_give_the_mel_back() -> None:
    model, mel = fresh(n_dims=64)
    given = torch.from_numpy(mel.copy())[None]
    errors = []
    with torch.no_grad():
        for step in (0.5, 2.0, 8.0):
            symbols = model.symbols_of(given, step)
            n_levels = codec_file.levels_of(model, step)
            assert symbols.dtype == torch.int32
            assert symbols.shape == (1, 64, 46)
            assert int(symbols.min()) >= 0
            assert bool((symbols[0].amax(1).numpy() < n_levels).all())
            errors.append(float((model.mel_of(symbols, step) - given).abs().mean()))
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 0.5


def test_before_training_it_is_the_linear_autoencoder() -> None:
    model, mel = fresh()
    given = torch.from_numpy(mel.copy())[None]
    with torch.no_grad():
        difference = (model.latent_of(given) - model.linear.encode(given)).abs().max()
    assert float(difference) < 0.05


def test_its_file_gives_the_same_codec_with_the_same_bytes() -> None:
    data = codec_bytes()
    again = codec_file.from_bytes(data)
    assert codec_file.to_bytes(again) == data
    assert again.id == codec_file.id_of(data) == codec().id
    assert len(again.id) == 16
    rates = [setting.bit_rate for setting in again.settings]
    assert rates == sorted(rates)
    sound = made_sound(9)
    for setting in range(len(rates)):
        assert np.array_equal(
            codec_use.symbols_of(again, sound, setting), codec_use.symbols_of(codec(), sound, setting)
        )


def test_the_file_holds_weights_as_two_bytes_each() -> None:
    n_weights = sum(tensor.numel() for tensor in codec().model.state_dict().values())
    tables = sum(2 * int((s.frequencies > 0).sum()) + s.contexts.size for s in codec().settings)
    assert len(codec_bytes()) < 2 * n_weights + tables + 10_000


def test_another_kind_of_model_and_a_damaged_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"x is not a codec: it is a vocoder"):
        codec_file.from_bytes(vocoder_bytes(TrainedVocoder(Vocoder(VOCODER))), source="x")
    with pytest.raises(ModelError, match="is not a codec"):
        codec_file.from_bytes(b"RIFF" + bytes(100), source="x")
    data = bytearray(codec_bytes())
    with pytest.raises(ModelError):
        codec_file.from_bytes(bytes(data[:-50]), source="x")
    with pytest.raises(ModelError, match="cannot read"):
        codec_file.load(tmp_path / "missing.codec")


def test_a_codec_without_rates_or_with_unknown_settings_is_refused() -> None:
    without = codec_file.to_bytes(replace(codec(), settings=()))
    with pytest.raises(ModelError, match="knows no rate"):
        codec_file.from_bytes(without)
    with pytest.raises(ModelError, match="at least 1"):
        CodecConfig(asdict(VOCODER), stride=0)


def test_a_piece_of_sound_gives_the_symbols_of_the_whole() -> None:
    trained, sound = codec(), made_sound(3, 4.0)
    patch = trained.model.config.stride * trained.mel_config.hop_length
    context = codec_use.encoding_context(trained)
    whole = codec_use.symbols_of(trained, sound, 1)
    begin, length = 20, 10
    piece = sound[(begin - context) * patch : (begin + length + context) * patch]
    part = codec_use.symbols_of(trained, piece, 1)[:, context : context + length]
    assert np.mean(part != whole[:, begin : begin + length]) < 0.002  # a number at the edge of its level may tip


def test_pieces_of_latents_give_the_frames_of_the_whole() -> None:
    trained, sound = codec(), made_sound(3, 4.0)
    symbols = codec_use.symbols_of(trained, sound, 1)
    n, context = symbols.shape[1], codec_use.decoding_context(trained)
    whole = codec_use.SpectrumMaker(trained, 1).piece(symbols, 0, n)
    maker, parts = codec_use.SpectrumMaker(trained, 1), []
    for begin in range(0, n, 25):
        left, length = min(begin, context), min(25, n - begin)
        parts.append(maker.piece(symbols[:, begin - left : begin + length + context], left, length))
    pieces = np.concatenate(parts, axis=1)
    assert pieces.shape == whole.shape
    n_bins = 1 + trained.mel_config.n_fft // 2
    assert np.abs(pieces[2 * n_bins :] - whole[2 * n_bins :]).max() < 1e-3
    power = [x[:n_bins] ** 2 + x[n_bins : 2 * n_bins] ** 2 for x in (pieces, whole)]
    assert np.abs(np.sqrt(power[0]) - np.sqrt(power[1])).max() < 1e-2 * np.sqrt(power[1]).max()


def test_silence_has_symbols_of_its_own() -> None:
    trained = codec()
    one = codec_use.silence(trained, 0)
    assert one.shape == (trained.model.config.n_dims, 1)
    assert codec_use.mel_of(trained, np.repeat(one, 12, 1), 0)[:, 20:28].mean() < -7


def test_clips_of_the_tests_are_heard_at_their_rate() -> None:
    assert clips().sample_rate == codec().sample_rate == SAMPLE_RATE
