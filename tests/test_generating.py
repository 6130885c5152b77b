"""A tiny generator, trained once: its file, new sounds, variations, attributes, morphs, errors and commands."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from volna.audio.decode import decode
from volna.audio.encode import encode
from volna.cli import generate_commands
from volna.errors import AudioError, InputError, ModelError
from volna.features.sounding import sounding_config, sounding_mel
from volna.models import generator_file
from volna.models.generator import Generator, GeneratorConfig
from volna.models.generator_use import decoded, encoded
from volna.tasks.generation.prior import nearest_distance
from volna.tasks.generation.sounds import SILENCE, as_picture
from volna.training.fit import FitConfig, run_through
from volna.training.generator import GeneratorTraining, Pictures, cut_out, train_generator
from volna.workflows.making.generating import generate, morph
from volna.workflows.making.generating_jobs import train_task
from volna.workflows.making.generating_maker import heard_for, load_maker
from volna.workflows.making.generating_training import generate_train

RATE = 8000
TINY = {"latent": 12, "dim": 24, "depth": 1, "batch_size": 8, "n_frames": 32}


def note(hz: float, duration_s: float, brightness: float, amplitude: float = 0.4) -> np.ndarray:
    seconds = np.arange(round(duration_s * RATE)) / RATE
    overtones = sum(brightness**k * np.sin(2 * np.pi * hz * (k + 1) * seconds) for k in range(8))
    envelope = np.minimum(seconds / 0.02, 1) * np.exp(-3 * seconds / duration_s)
    return (amplitude * overtones / 4 * envelope + 1e-4).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two dozen notes: of one pitch, brightness, length and loudness each."""
    place, rng = tmp_path_factory.mktemp("notes"), np.random.default_rng(0)
    for k in range(24):
        sound = note(rng.uniform(200, 260), rng.uniform(0.3, 0.6), rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.6))
        encode(place / f"note-{k:02d}.wav", sound, RATE)
    return place


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    target = tmp_path_factory.mktemp("model") / "notes.generator"
    return generate_train(folder, target, train_time_s=60, max_steps=80, jobs=1, settings=TINY)


@pytest.fixture(scope="module")
def model(trained):
    return trained.output


# --- the network


def test_the_network_gives_back_the_shape_that_it_took():
    network = Generator(GeneratorConfig(n_mels=16, latent=4, dim=8, depth=1)).eval()
    for n in (1, 4, 37):
        mel = torch.randn(2, 16, n)
        out = network(mel)
        assert out["mel"].shape == out["log_spread"].shape == mel.shape
        assert out["latent"].shape == (2, 4, -(-n // 4))


def test_it_starts_as_principal_components():
    rng = torch.Generator().manual_seed(0)
    basis = torch.randn(3, 16 * 4, generator=rng)
    patches = (torch.randn(500, 3, generator=rng) @ basis).reshape(-1, 16, 4)
    network = Generator(GeneratorConfig(n_mels=16, latent=3, dim=8, depth=1)).eval()
    network.start_from(patches)
    mel = patches[:8].permute(1, 0, 2).reshape(1, 16, 32)
    error = (network(mel)["mel"] - mel).square().mean() / mel.var()
    assert error < 0.05


def test_the_kl_has_its_free_bits_and_the_spread_no_say_in_the_decoder():
    network = Generator(GeneratorConfig(n_mels=16, latent=4, dim=8, depth=1, free_bits=1.0))
    out = network(torch.zeros(1, 16, 8))
    assert out["kl"].item() >= 4 * np.log(2) / (16 * 4) - 1e-6
    out["log_spread"].sum().backward()
    assert network.patch_out.weight.grad is None
    assert network.spread_out.weight.grad is not None


def test_training_learns_one_picture_by_heart():
    rng = np.random.default_rng(0)
    picture = np.outer(np.sin(np.arange(16)), np.cos(np.arange(40) / 3)).astype(np.float32)
    tiny = TINY | {"kl_weight": 0.0, "batch_size": 2}
    settings = GeneratorTraining(**tiny, fit=FitConfig(max_steps=120, time_budget_s=None, lr=3e-3))
    fitted = run_through(train_generator(Pictures([[picture]], [], SILENCE), settings))
    back, _ = decoded(fitted.model, encoded(fitted.model, picture, SILENCE), 40, SILENCE)
    assert np.abs(back - picture).mean() < 0.15 * np.abs(picture).mean()
    assert cut_out(picture, 64, SILENCE, rng).min() == pytest.approx(SILENCE)
    with pytest.raises(InputError):
        run_through(train_generator(Pictures([], [], SILENCE), settings))


# --- the file


def test_a_generator_survives_its_file(model, tmp_path):
    loaded = generator_file.load(model)
    data = generator_file.to_bytes(loaded)
    again = generator_file.from_bytes(data)
    assert generator_file.to_bytes(again) == data
    assert again.mel_config == sounding_config(RATE)
    mel = torch.randn(1, 64, 20)
    torch.testing.assert_close(again.model(mel)["mel"], loaded.model(mel)["mel"])


@pytest.mark.parametrize("spoil", ["truncated", "nan", "shape", "other", "missing part"])
def test_a_damaged_or_other_file_is_refused_in_words(model, spoil, tmp_path):
    loaded = generator_file.load(model)
    if spoil == "truncated":
        data = generator_file.to_bytes(loaded)[:-100]
    elif spoil == "other":
        data = b"RIFF" + bytes(200)
    else:
        arrays = dict(loaded.arrays)
        if spoil == "nan":
            arrays["points"] = arrays["points"] * np.nan
        elif spoil == "shape":
            arrays["points"] = arrays["points"][:, 1:]
        else:
            del arrays["gains"]
        data = generator_file.to_bytes(replace(loaded, arrays=arrays))
    file = tmp_path / "bad.generator"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=r"bad\.generator"):
        generate(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_kind_of_model_is_named(tmp_path):
    from volna.models.weights_file import write_tensors

    file = tmp_path / "v.model"
    file.write_bytes(write_tensors("volna-vocoder", 1, {}, {"w": torch.zeros(1)}))
    with pytest.raises(ModelError, match="a vocoder"):
        generate(file, tmp_path / "out")
    with pytest.raises(ModelError, match="cannot read"):
        generate(tmp_path / "none", tmp_path / "out")


# --- training


def test_training_says_what_it_learnt(trained):
    assert (trained.found, trained.used, trained.failed, trained.sounds) == (24, 24, 0, 24)
    assert trained.sample_rate == RATE
    assert 0.3 <= trained.longest_s <= 0.6
    assert trained.attributes["longer"] > 0.5
    assert trained.attributes["louder"] > 0.5
    assert trained.history[-1]["val_loss"] < trained.history[0]["val_loss"] * 1.05
    json.dumps(trained.as_dict())


def test_a_folder_without_sounds_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no audio files"):
        generate_train(tmp_path / "empty", tmp_path / "m")
    encode(tmp_path / "empty" / "silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "empty" / "broken.wav").write_bytes(b"RIFF....WAVE")
    with pytest.raises(ModelError, match="two sounds or more"):
        generate_train(tmp_path / "empty", tmp_path / "m", jobs=1)
    assert not (tmp_path / "m").exists()


def test_a_training_goes_on_from_its_state_and_replaces_nothing_unasked(trained, folder):
    with pytest.raises(InputError, match="--force"):
        generate_train(folder, trained.output)
    again = generate_train(folder, trained.output, train_time_s=60, max_steps=80, jobs=1, settings=TINY, resume=True)
    assert again.resumed
    assert again.steps == trained.steps
    assert again.val_loss == trained.val_loss


def test_settings_that_do_not_exist_are_refused(folder, tmp_path):
    task = {"folder": str(tmp_path), "kept": [], "settings": {"wings": 2}, "fit": {}}
    with pytest.raises(InputError, match="does not exist"):
        next(train_task(task))
    for wrong in ({"sample_rate": 11_025}, {"longest_s": 99.0}):
        with pytest.raises(InputError):
            generate_train(folder / "note-00.wav", tmp_path / "m", jobs=1, **wrong)


# --- new sounds


def test_new_sounds_sound_and_repeat_with_their_seed(model, tmp_path):
    first = generate(model, tmp_path / "a", n=4, seed=3)
    second = generate(model, tmp_path / "b", n=4, seed=3)
    other = generate(model, tmp_path / "c", n=4, seed=4)
    sounds = [[decode(s.path, sample_rate=RATE) for s in made.sounds] for made in (first, second, other)]
    for a, b in zip(*sounds[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(len(a) != len(c) or not np.array_equal(a, c) for a, c in zip(sounds[0], sounds[2], strict=True))
    for sound, made in zip(sounds[0], first.sounds, strict=True):
        assert 0.02 < np.abs(sound).max() < 0.99
        assert 0.2 < made.duration_s < 0.7
        assert made.attributes["noisier"] < np.log(0.5)  # tones, not white noise
    assert first.as_dict()["sounds"][0]["path"].endswith("generated-001.wav")
    json.dumps(first.as_dict())


def test_nothing_is_replaced_unasked_and_nothing_half_written(model, tmp_path):
    generate(model, tmp_path / "out", n=2)
    with pytest.raises(InputError, match="--force"):
        generate(model, tmp_path / "out", n=3)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["generated-001.wav", "generated-002.wav"]
    generate(model, tmp_path / "out", n=3, force=True)
    with pytest.raises(InputError, match="a file"):
        generate(model, model)
    with pytest.raises(InputError, match="does not"):
        generate(model, tmp_path / "no" / "where")


@pytest.mark.parametrize(
    "wrong",
    [{"n": 0}, {"temperature": -1.0}, {"wanted": {"rounder": 1.0}}, {"duration_s": 0.0}, {"duration_s": float("nan")}],
)
def test_numbers_that_make_no_sense_are_refused(model, wrong, tmp_path):
    with pytest.raises(InputError):
        generate(model, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_a_duration_can_be_asked_for(model, tmp_path):
    made = generate(model, tmp_path / "out", n=2, duration_s=1.5)
    assert [sound.duration_s for sound in made.sounds] == pytest.approx([1.5, 1.5], abs=0.03)


def test_temperature_0_gives_sounds_learnt(model):
    maker = load_maker(model)
    from volna.tasks.generation.prior import draw

    cold = draw(maker.points, 6, np.random.default_rng(0), temperature=0.0)
    apart = np.linalg.norm(cold[:, None] - maker.points[None], axis=2).min(axis=1)
    assert apart.max() < 1e-4


def test_a_sound_at_distance_0_comes_back_and_further_on_differs_more(model, folder, tmp_path):
    config, path = sounding_config(RATE), folder / "note-05.wav"
    real = as_picture(sounding_mel(decode(path, sample_rate=RATE), config))[0]

    def error(distance: float) -> float:
        made = generate(model, tmp_path / f"d{distance}", n=3, like=path, distance=distance)
        each = []
        for sound in made.sounds:
            mine = as_picture(sounding_mel(decode(sound.path, sample_rate=RATE), config))[0]
            n = min(mine.shape[1], real.shape[1])
            each.append(np.abs(mine[:, :n] - real[:, :n]).mean() + abs(mine.shape[1] - real.shape[1]) / real.shape[1])
        return float(np.mean(each))

    errors = [error(distance) for distance in (0.0, 2.0)]
    assert errors[0] < 0.5 < 1.2 * errors[1]
    assert errors[0] < errors[1]
    maker = load_maker(model)
    point = maker.space.vector(heard_for(maker, path))
    assert np.linalg.norm(point - maker.points, axis=1).min() < 0.5 * nearest_distance(maker.points)


@pytest.mark.parametrize("name", ["brighter", "louder", "longer"])
def test_what_is_asked_for_comes(model, name, tmp_path):
    means = []
    for amount in (-1.5, 0.0, 1.5):
        made = generate(model, tmp_path / f"{name}{amount}", n=6, seed=1, wanted={name: amount})
        means.append(np.mean([sound.attributes[name] for sound in made.sounds]))
    assert means == sorted(means)
    assert means[2] - means[0] > 0.1


def test_a_silent_or_missing_sound_is_refused(model, tmp_path):
    encode(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(AudioError, match="silence"):
        generate(model, tmp_path / "out", like=tmp_path / "silent.wav")
    with pytest.raises(AudioError):
        morph(tmp_path / "none.wav", tmp_path / "silent.wav", tmp_path / "out", model=model)
    assert not (tmp_path / "out").exists()


def test_a_vocoder_of_other_bands_is_refused(model, tmp_path):
    from dataclasses import asdict

    from volna.models import vocoder_file
    from volna.models.vocoder import Vocoder, VocoderConfig

    for rate in (8000, 16_000):
        vocoder = Vocoder(VocoderConfig(asdict(sounding_config(rate)), dim=16, depth=1)).eval()
        (tmp_path / f"{rate}.vocoder").write_bytes(vocoder_file.to_bytes(vocoder_file.TrainedVocoder(vocoder)))
    with pytest.raises(ModelError, match="bands"):
        generate(model, tmp_path / "out", vocoder=tmp_path / "16000.vocoder")
    made = generate(model, tmp_path / "out", n=1, vocoder=tmp_path / "8000.vocoder")
    assert made.vocoder is not None
    assert np.isfinite(decode(made.sounds[0].path, sample_rate=RATE)).all()


# --- morphs


@pytest.mark.parametrize("align", ["warp", "stretch"])
def test_a_morph_leads_from_one_sound_to_the_other(model, folder, tmp_path, align):
    ends = folder / "note-01.wav", folder / "note-02.wav"
    made = morph(*ends, tmp_path / align, model=model, n=5, align=align)
    assert [sound.share for sound in made.sounds] == [0, 0.25, 0.5, 0.75, 1]
    durations = np.array([sound.duration_s for sound in made.sounds])
    steps = np.diff(durations)
    assert (steps >= -0.02).all() or (steps <= 0.02).all()
    config = sounding_config(RATE)
    spectra = [as_picture(sounding_mel(decode(s.path, sample_rate=RATE), config))[0].mean(axis=1) for s in made.sounds]
    for real, near, far in ((ends[0], 0, -1), (ends[1], -1, 0)):
        mine = as_picture(sounding_mel(decode(real, sample_rate=RATE), config))[0].mean(axis=1)
        assert np.abs(spectra[near] - mine).mean() < np.abs(spectra[far] - mine).mean()


def test_a_morph_of_a_sound_with_itself_stays(model, folder, tmp_path):
    path = folder / "note-03.wav"
    made = morph(path, path, tmp_path / "m", model=model, n=3)
    assert len({sound.duration_s for sound in made.sounds}) == 1
    with pytest.raises(InputError, match="alignment"):
        morph(path, path, tmp_path / "n", model=model, align="glue")
    with pytest.raises(InputError, match="2 to"):
        morph(path, path, tmp_path / "n", model=model, n=1)


# --- pictures and commands


def run(*arguments: object) -> tuple[int, str, str]:
    command = {c.name: c for c in generate_commands.COMMANDS}[str(arguments[0])]
    result = CliRunner().invoke(command, [str(a) for a in arguments[1:]], standalone_mode=False)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_the_commands_print_what_was_made(model, folder, tmp_path):
    pytest.importorskip("matplotlib")
    sheet = tmp_path / "sheet.png"
    _, out, _ = run("generate", "--model", model, "-n", 2, "-o", tmp_path / "g", "--brighter", 0.5, "--sheet", sheet)
    assert "generated-002.wav" in out
    assert "2 sounds at 8000 Hz" in out
    assert sheet.read_bytes().startswith(b"\x89PNG")
    _, out, _ = run("generate", "--model", model, "-n", 1, "-o", tmp_path / "h", "--longer", 1, "--json")
    said = json.loads(out)
    assert said["wanted"] == {"longer": 1.0}
    assert len(said["sounds"]) == 1
    a, b = folder / "note-01.wav", folder / "note-02.wav"
    _, out, _ = run("morph", a, b, "--model", model, "-n", 3, "-o", tmp_path / "m", "--sheet", sheet, "--force")
    assert "morph-3.wav" in out
    assert "0.50" in out


def test_the_training_command_reports_few_sounds_and_failures(tmp_path, folder):
    few = tmp_path / "few"
    few.mkdir()
    for k in range(3):
        (few / f"{k}.wav").write_bytes((folder / f"note-{k:02d}.wav").read_bytes())
    encode(few / "silent.wav", np.zeros(RATE), RATE)
    _, out, err = run("generate", "train", few, "-o", tmp_path / "m", "--train-time", "0.5s", "--jobs", 1)
    assert "learnt 3 sounds of 3 files at 8000 Hz" in out
    assert "only 3 sounds" in err
    assert "silent.wav" in err
    assert len(generate(tmp_path / "m", tmp_path / "out", n=5).sounds) == 5


def test_every_option_has_help():
    commands = [*generate_commands.generate.commands.values(), generate_commands.morph]
    for command in commands:
        assert command.help
        assert command.short_help
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, parameter.name


def test_a_sheet_of_any_number_of_sounds_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from volna.errors import VolnaError
    from volna.plots.generation import draw_sheet

    mel = sounding_mel(note(220, 0.3, 0.5), sounding_config(RATE))
    for n in (1, 7, 9):
        draw_sheet([mel] * n, [f"sound {k} $x^" for k in range(n)], tmp_path / f"{n}.png", sounding_config(RATE))
        assert (tmp_path / f"{n}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(VolnaError, match="at least one"):
        draw_sheet([], [], tmp_path / "0.png", sounding_config(RATE))


def test_a_sheet_may_lie_in_the_folder_that_is_made(model, tmp_path):
    pytest.importorskip("matplotlib")
    generate(model, tmp_path / "new", n=1, sheet=tmp_path / "new" / "sheet.png")
    assert (tmp_path / "new" / "sheet.png").exists()
    with pytest.raises(InputError):
        generate(model, tmp_path / "other", n=1, sheet=tmp_path / "nowhere" / "sheet.png")
