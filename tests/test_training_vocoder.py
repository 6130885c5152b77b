import numpy as np
import pytest
import torch
from test_inversion import CONFIG, N, vowel

from volna.errors import InputError
from volna.features.phase import phase_steps
from volna.features.sound_distance import multi_resolution_stft
from volna.features.sounding import sounding_mel
from volna.features.spectrum import stft
from volna.models import vocoder_file
from volna.models.vocoder import Heard, Vocoder
from volna.models.vocoder_file import TrainedVocoder
from volna.training.clips import Clips
from volna.training.fit import FitConfig, run_through
from volna.training.sound_losses import (
    log_mel_of,
    mel_loss,
    multi_resolution_stft_loss,
    spectrum_losses,
    spectrum_of,
    true_steps,
)
from volna.training.spectrum_judge import SpectrumJudge, judge_losses, judging_loss
from volna.training.vocoder import VocoderTraining, train_task, train_vocoder

SMALL = {"n_frames": 16, "batch_size": 4, "dim": 32, "depth": 2}


def batch(*sounds):
    return torch.from_numpy(np.stack(sounds))


@pytest.fixture(scope="module")
def clips():
    return Clips(tuple(vowel(1.0, f0, seed=int(f0)) for f0 in (110.0, 150.0, 200.0)), (vowel(1.0, 130.0),), 8_000)


def settings(steps=20, **changes):
    fit = FitConfig(max_steps=steps, time_budget_s=None, val_every=10, lr=3e-3, ema=0.9)
    return VocoderTraining(**{**SMALL, **changes}, fit=fit)


def test_the_spectrum_is_that_of_the_features():
    sound = vowel()[:N]
    own = spectrum_of(batch(sound), 512, 128)[0].numpy()
    assert np.abs(own - stft(sound, 512, 128)).max() < 1e-3
    mel = log_mel_of(torch.from_numpy(np.abs(own))[None], CONFIG)[0].numpy()
    assert np.abs(mel - sounding_mel(sound, CONFIG)).max() < 1e-3


def test_steps_are_those_of_the_features():
    spectrum = stft(vowel()[:N], 512, 128)
    time_step, bin_step = phase_steps(spectrum, 128)
    own_time, own_bin = (x[0].numpy() for x in true_steps(torch.from_numpy(spectrum.copy())[None], 128))
    loud = np.abs(spectrum) > 1e-2
    both = loud[:, 1:] & loud[:, :-1]
    assert np.abs((own_time[0] + 1j * own_time[1] - time_step[:, 1:])[both]).max() < 1e-3
    both = loud[1:] & loud[:-1]
    assert np.abs((own_bin[0] + 1j * own_bin[1] - bin_step[:-1])[both]).max() < 1e-3


def test_losses_of_samples_follow_the_scores():
    sound = vowel()[:N]
    noisy = sound + 0.02 * np.random.default_rng(0).standard_normal(N).astype(np.float32)
    worse = sound + 0.1 * np.random.default_rng(0).standard_normal(N).astype(np.float32)
    for loss in (multi_resolution_stft_loss, lambda a, b: mel_loss(a, b, CONFIG)):
        values = [float(loss(batch(x), batch(sound))) for x in (sound, noisy, worse)]
        assert values[0] < 1e-5 < values[1] < values[2]
    own = float(multi_resolution_stft_loss(batch(noisy), batch(sound)))
    assert own == pytest.approx(multi_resolution_stft(noisy, sound), rel=0.2)


def test_the_true_spectrum_has_no_loss_and_a_wrong_one_has():
    spectrum = torch.from_numpy(stft(vowel()[:N], 512, 128).copy())[None]
    time_step, bin_step = true_steps(spectrum, 128)
    pad = torch.nn.functional.pad
    true = Heard(spectrum.abs().clamp(min=1e-12).log(), pad(time_step, (1, 0)), pad(bin_step, (0, 0, 0, 1)))
    losses = spectrum_losses(true, spectrum, 128)
    assert set(losses) == {"magnitude", "convergence", "time_step", "bin_step"}
    assert max(float(value) for value in losses.values()) < 1e-3
    wrong = Heard(true.log_magnitude + 0.5, -true.time_step, -true.bin_step)
    worse = spectrum_losses(wrong, spectrum, 128)
    assert float(worse["magnitude"]) > 0.3
    assert float(worse["convergence"]) == pytest.approx(np.exp(0.5) - 1, abs=0.01)
    assert float(worse["time_step"]) == pytest.approx(4.0, abs=0.01)
    assert float(worse["bin_step"]) == pytest.approx(4.0, abs=0.01)


def test_silence_gives_finite_losses():
    spectrum = torch.zeros(1, 257, 5, dtype=torch.complex64)
    heard = Heard(torch.zeros(1, 257, 5, requires_grad=True), torch.zeros(1, 2, 257, 5), torch.zeros(1, 2, 257, 5))
    losses = spectrum_losses(heard, spectrum, 128)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(heard.log_magnitude.grad).all()


def test_a_training_lowers_the_loss_on_what_it_does_not_hear(clips):
    untrained = run_through(train_vocoder(clips, settings(1)))
    fitted = run_through(train_vocoder(clips, settings(60)))
    assert fitted.history[-1]["val_loss"] < 0.95 * untrained.history[-1]["val_loss"]
    assert {"magnitude", "time_step", "bin_step"} <= set(fitted.history[-1])


def test_the_same_seed_gives_the_same_vocoder(clips):
    first, second = (run_through(train_vocoder(clips, settings(4))).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_is_taken_up_where_it_was(clips, tmp_path):
    run_through(train_vocoder(clips, settings(5), state_file=tmp_path / "s", fingerprint="a"))
    again = run_through(train_vocoder(clips, settings(10), state_file=tmp_path / "s", fingerprint="a"))
    assert again.summary["resumed"]
    assert [entry["step"] for entry in again.history] == [5, 10]
    other = run_through(train_vocoder(clips, settings(6), state_file=tmp_path / "s", fingerprint="b"))
    assert not other.summary["resumed"]


def test_inputs_are_centred_on_the_sounds(clips):
    model = run_through(train_vocoder(clips, settings(1))).model
    assert isinstance(model, Vocoder)
    mels = np.concatenate([sounding_mel(sound, CONFIG) for sound in clips.sounds], axis=1)
    assert np.abs(model.centre.numpy() - mels.mean(axis=1)).mean() < 1.0  # gains move it by half of that
    assert (model.spread > 0.3).all()


def test_an_adversarial_training_leaves_no_judge_in_the_file(clips):
    fitted = run_through(train_vocoder(clips, settings(10, adversarial=True)))
    assert "judge" in fitted.history[-1]
    assert "discriminator" in fitted.history[-1]
    again = vocoder_file.from_bytes(vocoder_file.to_bytes(TrainedVocoder(fitted.model)))
    assert not any("discriminator" in name for name in again.model.state_dict())


def test_a_judge_learns_to_tell_made_from_true():
    torch.manual_seed(0)
    judge = SpectrumJudge(8)
    spectrum = torch.from_numpy(stft(vowel()[:N], 512, 128).copy())[None]
    made = spectrum.abs().clamp(min=1e-4).log().mean(dim=1, keepdim=True).expand(-1, 257, -1)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3)
    losses = []
    for _ in range(30):
        loss = judging_loss(judge, made, spectrum)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    with torch.no_grad():
        told = judge_losses(judge, made, spectrum)
        own = judge_losses(judge, spectrum.abs().clamp(min=1e-4).log(), spectrum)
    assert float(told["matching"]) > 10 * float(own["matching"])
    assert float(told["judge"]) > float(own["judge"])


@pytest.mark.parametrize("change", [{"n_frames": 0}, {"batch_size": 0}, {"dim": 0}, {"depth": 0}])
def test_settings_that_make_no_sense_are_refused(clips, change):
    with pytest.raises(InputError, match="at least 1"):
        run_through(train_vocoder(clips, settings(1, **change)))


def test_no_sound_no_training():
    with pytest.raises(InputError, match="none"):
        run_through(train_vocoder(Clips((), (), 8_000), settings(1)))


def run_through_task(task):
    """What a task says on its way, and what it returns."""
    said = []
    while True:
        try:
            said.append(next(task))
        except StopIteration as stop:
            return said, stop.value


def test_the_task_of_a_child(tmp_path):
    for k in range(3):
        np.save(tmp_path / f"{k}.npy", vowel(0.5, 100.0 + 30 * k))
    task = train_task(
        {
            "folder": str(tmp_path),
            "names": [f"{k}.npy" for k in range(3)],
            "sample_rate": 8_000,
            "training": SMALL,
            "fit": {"max_steps": 3, "time_budget_s": None},
            "state_file": str(tmp_path / "state"),
            "fingerprint": "x",
            "n_threads": 1,
        }
    )
    said, result = run_through_task(task)
    assert said[0][0] == "progress"
    assert result["summary"]["steps"] == 3
    assert (result["summary"]["n_training"], result["summary"]["n_held_out"]) == (2, 1)
    assert vocoder_file.from_bytes(result["file"]).summary["sample_rate"] == 8_000
