"""`wavelet`: energies, the picture, denoising in pieces and its figures; the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.channels import read_channels
from volna.audio.encode import encode
from volna.cli.features_commands import wavelet as command
from volna.errors import AudioError, InputError
from volna.features import wavelet as dwt
from volna.plots.wavelet import BandCurve, draw_wavelet
from volna.workflows.listening import wavelet_passes as passes
from volna.workflows.listening.wavelet import wavelet

RATE = 16_000


@pytest.fixture(autouse=True)
def verb(monkeypatch):
    monkeypatch.setitem(workflows._PLACES, "wavelet", "listening.wavelet")


@pytest.fixture
def sound(tmp_path):
    """A function that writes samples as float WAV, so that nothing is lost, and gives the path."""

    def write(samples: np.ndarray, rate: int = RATE, name: str = "sound.wav") -> Path:
        return encode(tmp_path / name, samples, rate, codec="pcm_f32le")

    return write


def plucks(duration_s: float = 4.0, n_channels: int = 1) -> np.ndarray:
    t = np.arange(round(duration_s * RATE))
    since = t % 4_000 / RATE
    one = 0.5 * np.sin(2 * np.pi * 300 * since) * np.exp(-40 * since)
    return np.stack([one * (1 + channel) / n_channels for channel in range(n_channels)]).astype(np.float32)


def noise(like: np.ndarray, sigma: float) -> np.ndarray:
    return (sigma * np.random.default_rng(0).standard_normal(like.shape)).astype(np.float32)


def test_bands_and_energies(sound) -> None:
    t = np.arange(2 * RATE) / RATE
    x = (0.5 * np.sin(2 * np.pi * 3_000 * t)).astype(np.float32)
    found = wavelet(sound(x), wavelet="db12", level=4)
    assert [band.name for band in found.bands] == ["d1", "d2", "d3", "d4", "a4"]
    assert (found.bands[0].low_hz, found.bands[0].high_hz) == (4_000, 8_000)
    assert found.bands[1].share > 0.95
    assert found.bands[1].level_db == pytest.approx(-9.03, abs=0.2)
    assert sum(band.share for band in found.bands) == pytest.approx(1)
    assert sum(band.energy for band in found.bands) == pytest.approx(float(np.sum(x.astype(float) ** 2)), rel=0.01)


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_coefficients_rebuild_the_sound(sound, n_channels: int) -> None:
    x = plucks(1.3, n_channels)
    found = wavelet(sound(x), wavelet="sym8", level=3)
    assert found.n_channels == n_channels
    back = dwt.reconstruct(found.coefficients[::-1], x.shape[1], "sym8")
    assert np.abs(back - x).max() < 1e-6


def test_pieces_give_what_the_whole_gives(sound, tmp_path, monkeypatch) -> None:
    x = plucks(7.3, 2) + noise(plucks(7.3, 2), 0.02)
    path = sound(x)
    whole = wavelet(path, denoise="soft")
    monkeypatch.setattr(passes, "PIECE_S", 0.9)
    pieces = wavelet(path, tmp_path / "out.wav", denoise="soft", plot=tmp_path / "bands.png")
    for ours, theirs in zip(pieces.coefficients, whole.coefficients, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert pieces.denoising.sigma == pytest.approx(whole.denoising.sigma, rel=0.03)
    limits = whole.denoising.thresholds
    monkeypatch.setattr(dwt, "thresholds", lambda *_: limits)
    again = wavelet(path, denoise="soft")
    np.testing.assert_allclose(again.cleaned, whole.cleaned, atol=1e-6)
    assert pieces.denoising.snr_after_db == pytest.approx(whole.denoising.snr_after_db, abs=0.3)


def test_the_coefficients_of_hours_are_not_kept(sound, monkeypatch) -> None:
    monkeypatch.setattr(passes, "KEEP_S", 1.0)
    found = wavelet(sound(plucks(2.0)))
    assert found.coefficients == []
    assert any("not kept" in remark for remark in found.notes)


@pytest.mark.parametrize("threshold", ["universal", "bayes"])
@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_denoising_gains_and_says_how_much(sound, tmp_path, kind: str, threshold: str) -> None:
    clean = plucks(4.0, 2)
    noisy = clean + noise(clean, 0.03)
    found = wavelet(
        sound(noisy), tmp_path / "out.flac", wavelet="sym8", level=6, denoise=kind, threshold=threshold,
        reference=sound(clean, name="clean.wav"),
    )  # fmt: skip
    done = found.denoising
    assert done.sigma == pytest.approx([0.03, 0.03], rel=0.05)
    written = read_channels(tmp_path / "out.flac").samples
    assert written.shape == clean.shape

    def snr_db(x: np.ndarray) -> float:
        return 10 * np.log10(np.sum(clean**2) / np.sum((x - clean) ** 2))

    assert done.measured_before_db == pytest.approx(snr_db(noisy), abs=0.05)
    assert done.measured_after_db == pytest.approx(snr_db(written), abs=0.1)
    assert done.measured_after_db > done.measured_before_db + 3
    assert done.snr_before_db == pytest.approx(done.measured_before_db, abs=0.5)
    assert done.snr_after_db == pytest.approx(done.measured_after_db, abs=1.0 if kind == "soft" else 4.0)
    assert found.cleaned is None


def test_the_level_is_kept(sound) -> None:
    x = plucks() + noise(plucks(), 0.002)
    cleaned = wavelet(sound(x), denoise="hard").cleaned
    assert np.abs(cleaned).max() == pytest.approx(np.abs(x).max(), rel=0.02)
    assert cleaned.dtype == np.float32


def test_coloured_noise_is_measured_in_every_band(sound) -> None:
    clean = plucks(6.0)
    rumble = np.cumsum(noise(clean, 0.004), axis=1)
    rumble = rumble - np.convolve(rumble[0], np.ones(400) / 400, mode="same")
    path, truth = sound(clean + rumble), sound(clean, name="clean.wav")
    options = {"denoise": "soft", "threshold": "bayes", "level": 7, "reference": truth}
    white, coloured = (wavelet(path, noise=kind, **options).denoising for kind in ("white", "coloured"))
    assert coloured.measured_after_db > white.measured_after_db + 0.5


def test_silence_and_a_single_sample(sound, tmp_path) -> None:
    for n in (1, 5, 100, 8_000):
        found = wavelet(sound(np.zeros(n, np.float32)), denoise="soft", plot=tmp_path / "bands.png", force=True)
        assert not found.cleaned.any()
        assert found.cleaned.shape == (1, n)
        json.dumps(found.as_dict(), allow_nan=False)
    one = wavelet(sound(np.array([0.5], np.float32)))
    assert (one.level, len(one.bands), one.bands[0].share) == (0, 1, 1.0)
    assert any("too short" in remark for remark in one.notes)


def test_a_span(sound) -> None:
    x = plucks(4.0)
    found = wavelet(sound(x), start_s=1.0, duration_s=2.0, denoise="hard", noise="white")
    assert (found.start_s, found.duration_s) == (1.0, 2.0)
    assert found.cleaned.shape == (1, 2 * RATE)


def test_another_recording_is_no_reference(sound) -> None:
    other = sound(plucks(1.0, 2), name="stereo.wav")
    with pytest.raises(AudioError, match="clean recording of 1 channels"):
        wavelet(sound(plucks(1.0)), denoise="soft", reference=other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wavelet": "db99"}, "discrete wavelet"),
        ({"level": 99}, "level"),
        ({"denoise": "firm"}, "soft, hard"),
        ({"threshold": "sure"}, "universal, bayes"),
        ({"noise": "pink"}, "white, coloured"),
        ({"reference": "x.wav"}, "go with denoising"),
        ({"output": "x.wav"}, "go with denoising"),
        ({"output": "x.xyz", "denoise": "soft"}, "ends in one of"),
        ({"plot": "x.jpg"}, "png"),
        ({"start_s": float("nan")}, "span"),
    ],
)
def test_options_that_make_no_sense_are_refused(sound, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        wavelet(sound(plucks(0.2)), **options)


def test_nothing_is_replaced_unasked(sound, tmp_path) -> None:
    path = sound(plucks(0.5))
    (tmp_path / "out.wav").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        wavelet(path, tmp_path / "out.wav", denoise="soft")
    wavelet(path, tmp_path / "out.wav", denoise="soft", force=True)
    assert read_channels(tmp_path / "out.wav").samples.shape == (1, RATE // 2)


def test_the_picture(sound, tmp_path) -> None:
    wavelet(sound(plucks()), denoise="soft", plot=tmp_path / "bands.png", start_s=0.5)
    assert (tmp_path / "bands.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_shows_where_a_click_is(sound, tmp_path, monkeypatch) -> None:
    x = np.zeros(10 * RATE, np.float32)
    x[4 * RATE] = 1.0
    drawn: list[BandCurve] = []
    monkeypatch.setattr("volna.workflows.listening.wavelet.draw_wavelet", lambda bands, *_, **__: drawn.extend(bands))
    wavelet(sound(x), plot=tmp_path / "bands.png")
    for band in drawn:
        assert band.times_s[np.argmax(np.abs(band.highest - band.lowest))] == pytest.approx(4.0, abs=0.02)
        assert len(band.times_s) <= 1_300


def test_bands_of_one_column_are_drawn(tmp_path) -> None:
    one = np.zeros(1)
    draw_wavelet([BandCurve("a0", 0, 8_000, one, one, one)], tmp_path / "one.png", title="$odd_ name")
    assert (tmp_path / "one.png").stat().st_size > 1_000


def run(*words: object):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


def test_the_command(sound, tmp_path) -> None:
    x = plucks() + noise(plucks(), 0.02)
    options = ("--denoise", "soft", "--threshold", "bayes", "--level", 4, "--plot", tmp_path / "bands.png")
    clean = sound(plucks(), name="clean.wav")
    done = run(sound(x), *options, "-o", tmp_path / "out.wav", "--reference", clean)
    assert done.exit_code == 0
    for word in ("d1", "a4", "4000 - 8000", "noise sigma", "SNR, estimated", "SNR, measured", "out.wav", "bands.png"):
        assert word in done.stdout
    assert (tmp_path / "out.wav").exists()


def test_json_is_as_dict(sound) -> None:
    path = sound(plucks(1.0))
    printed = json.loads(run(path, "--json").stdout)
    assert printed == json.loads(json.dumps(wavelet(path).as_dict()))
    assert "coefficients" not in printed


def test_an_output_needs_denoising(sound) -> None:
    done = run(sound(plucks(0.2)), "-o", "out.wav")
    assert done.exit_code == 2
    assert "--denoise" in done.stderr
