"""`denoise` on files: what is written, what is kept, what is refused; and its commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from volna.audio.channels import read_channels
from volna.audio.encode import encode
from volna.cli.denoise_commands import denoise as command
from volna.errors import AudioError, InputError, ModelError
from volna.features.sound_distance import si_sdr_db
from volna.synthesis import faults
from volna.synthesis.noises import noise_like
from volna.synthesis.voice import speech_like
from volna.workflows.making import denoiser_learning, restoring
from volna.workflows.making.denoiser_learning import DenoiserReport, denoise_train
from volna.workflows.making.denoising import Denoised, denoise, denoise_samples

RATE = 8000


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return 0.5 * speech_like(4.0, RATE, seed=1, pauses=0.3)


@pytest.fixture
def noisy(tmp_path: Path, voice: np.ndarray) -> Path:
    return encode(tmp_path / "noisy.wav", faults.noise(voice, 0.0, seed=2), RATE, tags={"title": "Talk"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A denoiser of two steps: enough to be a file."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "clean").mkdir()
    (folder / "noise").mkdir()
    for k in range(3):
        encode(folder / "clean" / f"{k}.wav", speech_like(3.0, RATE, seed=k), RATE)
        encode(folder / "noise" / f"{k}.wav", noise_like("car", 2.0, RATE, seed=k), RATE)
    report = denoise_train(
        folder / "clean", folder / "noise", folder / "d.safetensors", train_time_s=60, max_steps=2, jobs=1
    )
    assert report.steps == 2
    assert (report.n_clean, report.n_noises, report.sample_rate, report.top_hz) == (3, 3, RATE, 4000)
    return folder / "d.safetensors"


def samples_of(path: str | Path) -> np.ndarray:
    return read_channels(path).samples


def test_without_a_model_the_wiener_filter_brings_speech_nearer(tmp_path: Path, noisy: Path, voice) -> None:
    done = denoise(noisy, tmp_path / "out.wav")
    made = samples_of(done.output)
    assert done.method == "wiener"
    assert any("no model" in note for note in done.notes)
    assert made.shape == (1, len(voice))
    assert si_sdr_db(made[0], voice) > si_sdr_db(samples_of(noisy)[0], voice) + 3
    assert done.removed_db is not None
    assert done.level_after_db < done.level_before_db


@pytest.mark.parametrize("method", ["wiener", "wavelet"])
@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_every_format_is_written(tmp_path: Path, noisy: Path, method: str, ending: str) -> None:
    done = denoise(noisy, tmp_path / f"out.{ending}", method=method)
    assert samples_of(done.output).any()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_stereo_rate_length_and_tags_stay(tmp_path: Path, voice: np.ndarray) -> None:
    from volna.workflows.listening.info import info_of

    both = np.stack([voice, 0.3 * voice[::-1]])
    source = encode(tmp_path / "a.flac", faults.noise(both, 10.0), 11_025, tags={"artist": "A"})
    about = info_of(denoise(source, tmp_path / "b.flac").output)
    assert (about.n_channels, about.sample_rate, about.tags["artist"]) == (2, 11_025, "A")
    assert samples_of(tmp_path / "b.flac").shape == both.shape


def test_a_deep_wav_file_stays_as_deep(tmp_path: Path, voice: np.ndarray) -> None:
    from volna.workflows.listening.info import info_of

    source = encode(tmp_path / "a.wav", voice, RATE, codec="pcm_s24le")
    assert info_of(denoise(source, tmp_path / "b.wav").output).bit_depth == 24


def test_the_network_does_it_where_there_is_a_model(tmp_path: Path, noisy: Path, model: Path) -> None:
    done = denoise(noisy, tmp_path / "out.wav", model=model)
    assert done.method == "neural"
    assert done.model
    assert samples_of(done.output).shape == samples_of(noisy).shape


def test_above_what_the_model_hears_the_wiener_filter_stands(tmp_path: Path, model: Path) -> None:
    hiss = 0.1 * np.random.default_rng(0).standard_normal((2, 44_100)).astype(np.float32)
    done = denoise(encode(tmp_path / "a.wav", hiss, 44_100), tmp_path / "b.wav", model=model)
    treble = np.abs(np.fft.rfft(samples_of(done.output)[0]))[10_000:20_000]
    assert treble.std() < 0.5 * np.abs(np.fft.rfft(hiss[0]))[10_000:20_000].std()
    assert any("above that, by Wiener filter" in note for note in done.notes)


def test_cut_peaks_and_gaps_are_put_back(tmp_path: Path, voice: np.ndarray) -> None:
    rail = float(np.abs(voice).max() / 3)
    cut = np.clip(voice, -rail, rail)
    source = encode(tmp_path / "cut.wav", cut, RATE)
    done = denoise(source, tmp_path / "whole.wav", method="none", declip=True)
    assert done.n_declipped
    assert si_sdr_db(samples_of(done.output)[0], voice) > si_sdr_db(cut, voice) + 5

    holes = faults.dropouts(voice, RATE, 0.01, 6, seed=4)
    done = denoise(encode(tmp_path / "holes.wav", holes, RATE), tmp_path / "full.wav", method="none", fill=True)
    assert done.n_filled
    assert si_sdr_db(samples_of(done.output)[0], voice) > si_sdr_db(holes, voice) + 2


def test_undamaged_sound_is_not_touched_by_restoring(tmp_path: Path, voice: np.ndarray) -> None:
    source = encode(tmp_path / "a.wav", voice, RATE)
    done = denoise(source, tmp_path / "b.wav", method="none", declip=True, fill=True)
    np.testing.assert_array_equal(samples_of(done.output), samples_of(source))
    assert (done.n_declipped, done.n_filled) == (0, 0)
    assert len(done.notes) == 2


def test_pieces_make_no_difference_to_restoring(monkeypatch: pytest.MonkeyPatch, voice: np.ndarray) -> None:
    rail = float(np.abs(voice).max() / 3)
    cut = np.clip(voice, -rail, rail)[None]

    def restored(piece_s: float) -> np.ndarray:
        monkeypatch.setattr(restoring, "PIECE_S", piece_s)
        return np.concatenate(list(restoring.declipped([cut], RATE, [rail], restoring.Repairs())), axis=1)

    np.testing.assert_allclose(restored(0.512), restored(100.0), atol=0.02)


def test_what_would_be_clipped_is_turned_down_and_said(tmp_path: Path, voice: np.ndarray) -> None:
    loud = np.clip(voice / np.abs(voice).max() * 3, -1, 1)
    done = denoise(encode(tmp_path / "a.wav", loud, RATE), tmp_path / "b.wav", method="none", declip=True)
    made = samples_of(done.output)
    assert done.peak_dbfs > 0
    assert done.turned_down_db == pytest.approx(done.peak_dbfs, abs=0.01)
    assert 0.99 < np.abs(made).max() < 1
    assert any("turned down" in note for note in done.notes)


def test_strength_nought_writes_the_same_sound(tmp_path: Path, noisy: Path) -> None:
    done = denoise(noisy, tmp_path / "b.wav", strength=0)
    np.testing.assert_array_equal(samples_of(done.output), samples_of(noisy))
    assert done.removed_db is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "neural"}, "needs a model"),
        ({"method": "magic"}, "expected one of"),
        ({"strength": 2.0}, "0 to 1"),
        ({"method": "none"}, "nothing to do"),
        ({"model": "x", "method": "wiener"}, "uses no model"),
        ({"plot": "a.jpg"}, r"\.png"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, noisy: Path, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        denoise(noisy, tmp_path / "out.wav", **options)
    assert not (tmp_path / "out.wav").exists()


def test_bad_files_are_refused_and_leave_nothing_behind(tmp_path: Path, noisy: Path) -> None:
    silent = encode(tmp_path / "silent.wav", np.zeros(4000, np.float32), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    before = sorted(tmp_path.iterdir())
    for source, words in ((silent, "silent"), (tmp_path / "text.wav", "text.wav"), (tmp_path / "empty.wav", "empty")):
        with pytest.raises(AudioError, match=words):
            denoise(source, tmp_path / "out.wav")
    with pytest.raises(AudioError):
        denoise(tmp_path / "missing.wav", tmp_path / "out.wav")
    with pytest.raises(InputError, match="ends in one of"):
        denoise(noisy, tmp_path / "out.xyz")
    with pytest.raises(ModelError, match="not a denoiser"):
        denoise(noisy, tmp_path / "out.wav", model=noisy)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_exists_is_replaced_only_when_told(tmp_path: Path, noisy: Path) -> None:
    target = tmp_path / "out.wav"
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match="--force"):
        denoise(noisy, target)
    assert target.read_bytes() == b"mine"
    assert denoise(noisy, target, force=True).n_samples


def test_one_sample_is_a_sound(tmp_path: Path) -> None:
    done = denoise(encode(tmp_path / "one.wav", np.array([0.5], np.float32), RATE), tmp_path / "out.wav")
    assert done.n_samples == 1


def test_samples_in_memory_keep_their_shape(voice: np.ndarray) -> None:
    assert denoise_samples(voice, RATE).shape == voice.shape
    assert denoise_samples(np.stack([voice, voice]), RATE, method="wavelet").shape == (2, len(voice))
    with pytest.raises(InputError, match="finite"):
        denoise_samples(np.array([np.nan]), RATE)


def test_the_picture_is_drawn(tmp_path: Path, noisy: Path) -> None:
    done = denoise(noisy, tmp_path / "out.wav", plot=tmp_path / "p.png")
    assert done.plot == str(tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


# --- training


def test_too_little_clean_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    encode(tmp_path / "clean" / "a.wav", speech_like(1.0, RATE), RATE)
    with pytest.raises(InputError, match="5 s of clean sound"):
        denoise_train(tmp_path / "clean", output=tmp_path / "d.safetensors", jobs=1)
    with pytest.raises(InputError, match="found none"):
        denoise_train(tmp_path / "nothing", output=tmp_path / "d.safetensors")
    with pytest.raises(InputError, match="time budget"):
        denoise_train(tmp_path / "clean", output=tmp_path / "d.safetensors", train_time_s=0)


def test_the_rate_of_the_training_is_that_of_the_sounds(tmp_path: Path) -> None:
    for rate, expected in ((8000, 8000), (11_025, 8000), (16_000, 16_000), (44_100, 16_000)):
        path = encode(tmp_path / f"{rate}.wav", np.zeros(rate // 10, np.float32), rate)
        assert denoiser_learning._rate([str(path)]) == expected


def test_a_training_is_taken_up_again(model: Path) -> None:
    folder = model.parent
    again = denoise_train(folder / "clean", folder / "noise", model, train_time_s=60, max_steps=3, resume=True, jobs=1)
    assert again.resumed
    assert again.steps == 3
    with pytest.raises(InputError, match="--force"):
        denoise_train(folder / "clean", output=model)


# --- commands


@pytest.fixture
def registered() -> CliRunner:
    return CliRunner()


def test_the_command_tells_what_it_did(registered: CliRunner, tmp_path: Path, noisy: Path) -> None:
    result = registered.invoke(command, [str(noisy), str(tmp_path / "o.wav"), "--with", "wiener", "--fill", "--declip"])
    assert result.exit_code == 0, result.output
    assert "taken out" in result.stdout
    assert "times real time" in result.stdout
    assert "no model" in result.stderr


def test_the_json_of_the_command_has_every_key(registered: CliRunner, tmp_path: Path, noisy: Path) -> None:
    result = registered.invoke(command, [str(noisy), str(tmp_path / "o.wav"), "--json"])
    assert set(json.loads(result.stdout)) == set(Denoised.__dataclass_fields__)


def test_the_training_command_prints_its_report(
    registered: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {}

    def train(clean, **options):
        given.update(options, clean=clean)
        numbers = {"n_clean": 3, "clean_s": 90.0, "n_noises": None, "noise_s": None, "sample_rate": RATE, "steps": 7}
        text = {"output": "d.safetensors", "id": "0" * 16, "work_folder": "w", "clean": "c", "noise": "synthetic"}
        losses = {"val_loss": 1.0, "gain_db": 6.5, "wiener_gain_db": 4.0}
        return DenoiserReport(
            **text, **numbers, **losses, top_hz=4000.0, n_parameters=9, seconds=65.0, stopped="time", resumed=False
        )

    monkeypatch.setattr(denoiser_learning, "denoise_train", train)
    options = ["train", "--clean", "a", "--clean", "b", "--noise", "n", "-o", "d.safetensors", "--time-budget", "90s"]
    result = registered.invoke(command, options)
    assert result.exit_code == 0, result.output
    assert "+6.5 dB SI-SDR; Wiener filter +4.0 dB" in result.stdout
    assert (given["clean"], given["noise"], given["train_time_s"]) == (["a", "b"], "n", 90.0)
    assert json.loads(registered.invoke(command, [*options, "--json"]).stdout)["steps"] == 7


@pytest.mark.parametrize("method", ["wiener", "wavelet", "neural"])
def test_an_hour_needs_the_memory_of_seconds(method: str, model: Path) -> None:
    """What waits inside, neither given back nor still to come, stays below some seconds of sound."""
    from volna.models import denoiser_file
    from volna.workflows.making import denoising

    rate, n_in, n_out, most = 4000, 0, 0, 0
    trained = denoiser_file.load(model) if method == "neural" else None
    rng = np.random.default_rng(0)

    def blocks():
        nonlocal n_in
        for _ in range(60):
            n_in += rate
            yield rng.standard_normal((1, rate)).astype(np.float32)

    asked = denoising._asked(None, method, 1.0, False, False, trained=trained)
    for block in denoising._without_noise(blocks(), rate, asked):
        n_out += block.shape[1]
        most = max(most, n_in - n_out)
    assert n_out == 60 * rate
    assert most < 15 * rate
