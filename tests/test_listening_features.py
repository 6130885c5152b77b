"""`features`: the values are librosa's, whatever the pieces; tables, events, folders, odd sounds; the command."""

from __future__ import annotations

import csv
import importlib.util
import json
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.encode import encode
from volna.cli.features_commands import features as command
from volna.errors import InputError
from volna.features import beats
from volna.features.named import FrameSettings, frame_names
from volna.workflows.listening import measuring
from volna.workflows.listening.features import features

RATE = 22_050


@pytest.fixture(autouse=True)
def verb(monkeypatch):
    monkeypatch.setitem(workflows._PLACES, "features", "listening.features")


def song(duration_s: float = 5.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Plucked notes every half second over a little noise, float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * rate)) / rate
    notes = np.array([220.0, 261.6, 329.6, 392.0])[(t / 0.5).astype(int) % 4]
    phase = 2 * np.pi * np.cumsum(notes) / rate
    x = 0.2 * sum(np.sin(k * phase) / k for k in range(1, 6)) * np.exp(-4 * (t % 0.5))
    return (x + 0.002 * rng.standard_normal(len(t))).astype(np.float32)


@pytest.fixture
def sound(tmp_path):
    """A function that writes samples as float WAV, so that nothing is lost, and gives the path."""

    def write(samples: np.ndarray, rate: int = RATE, name: str = "sound.wav") -> Path:
        return encode(tmp_path / name, samples, rate, codec="pcm_f32le")

    return write


def frames_of(path: Path, **options) -> dict[str, np.ndarray]:
    return features([path], per_frame=True, **options).files[0].frames


# Against librosa, at its own defaults


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    x = song()
    path = encode(tmp_path_factory.mktemp("librosa") / "song.wav", x, RATE, codec="pcm_f32le")
    return x, features([path], per_frame=True).files[0]


def stacked(frames: dict[str, np.ndarray], start: str, end: str = "") -> np.ndarray:
    return np.stack([row for name, row in frames.items() if name.startswith(start) and name.endswith(end)])


LIBROSA = {
    "centroid_hz": (lambda y: librosa.feature.spectral_centroid(y=y, sr=RATE), 1e-3),
    "bandwidth_hz": (lambda y: librosa.feature.spectral_bandwidth(y=y, sr=RATE), 1e-3),
    "rolloff_hz": (lambda y: librosa.feature.spectral_rolloff(y=y, sr=RATE), 1e-3),
    "flatness": (lambda y: librosa.feature.spectral_flatness(y=y), 1e-3),
    "zero_crossing_rate": (librosa.feature.zero_crossing_rate, 1e-5),
    "rms": (lambda y: librosa.feature.rms(y=y), 1e-5),
    "contrast_": (lambda y: librosa.feature.spectral_contrast(y=y, sr=RATE), 2e-3),
    "chroma_": (lambda y: librosa.feature.chroma_stft(y=y, sr=RATE, tuning=0.0), 1e-3),
    "tonnetz_": (
        lambda y: librosa.feature.tonnetz(chroma=librosa.feature.chroma_stft(y=y, sr=RATE, tuning=0.0)), 1e-3
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIBROSA)
def test_frames_are_librosas(both, name: str) -> None:
    x, file = both
    reference, relative = LIBROSA[name]
    ours = stacked(file.frames, name)
    expected = np.atleast_2d(reference(x))
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=relative, atol=relative * float(np.abs(expected).mean()))


def test_mfcc_are_librosas_to_a_tenth_of_a_db(both) -> None:
    x, file = both
    ours = np.stack([file.frames[f"mfcc_{k}"] for k in range(1, 21)])
    np.testing.assert_allclose(ours, librosa.feature.mfcc(y=x, sr=RATE), atol=0.1)


def test_deltas_are_librosas_but_at_the_ends(both) -> None:
    _, file = both
    ours = np.stack([file.frames[f"mfcc_{k}"] for k in range(1, 21)])
    once = librosa.feature.delta(ours)
    twice = librosa.feature.delta(once)
    np.testing.assert_allclose(stacked(file.frames, "mfcc_", "_delta")[:, 4:-4], once[:, 4:-4], atol=1e-3)
    np.testing.assert_allclose(stacked(file.frames, "mfcc_", "_delta2")[:, 8:-8], twice[:, 8:-8], atol=1e-3)


def test_mfcc_with_pre_emphasis_are_librosas(sound) -> None:
    x = song(2.0)
    frames = frames_of(sound(x), pre_emphasis=0.97)
    expected = librosa.feature.mfcc(y=librosa.effects.preemphasis(x, coef=0.97, zi=[0.0]), sr=RATE)
    np.testing.assert_allclose(np.stack([frames[f"mfcc_{k}"] for k in range(1, 21)]), expected, atol=0.1)
    np.testing.assert_array_equal(frames["centroid_hz"], frames_of(sound(x, name="again.wav"))["centroid_hz"])


def test_onset_strength_and_onsets_are_librosas(both) -> None:
    x, file = both
    expected = librosa.onset.onset_strength(y=x, sr=RATE, center=False)
    np.testing.assert_allclose(file.frames["onset_strength_db"], expected[: file.n_frames], atol=0.01)
    theirs = librosa.onset.onset_detect(y=x, sr=RATE, units="time")
    np.testing.assert_allclose(file.onsets_s, theirs, atol=1e-6)


def test_f0_follows_the_notes(both) -> None:
    _, file = both
    for k, hz in enumerate((220.0, 261.6, 329.6, 392.0)):
        inside = (file.times_s > 0.5 * k + 0.12) & (file.times_s < 0.5 * k + 0.38)
        assert np.nanmedian(file.frames["f0_hz"][inside]) == pytest.approx(hz, rel=0.005)


def test_loudness_is_that_of_the_meter(both) -> None:
    x, file = both
    pyloudnorm = pytest.importorskip("pyloudnorm")
    assert file.integrated_lufs == pytest.approx(pyloudnorm.Meter(RATE).integrated_loudness(x.astype(float)), abs=0.1)
    assert abs(np.nanmax(file.frames["loudness_lufs"]) - file.integrated_lufs) < 3


# Over the file


def test_values_are_means_spreads_and_medians(both) -> None:
    _, file = both
    row = file.frames["centroid_hz"].astype(float)
    assert file.values["centroid_hz_mean"] == pytest.approx(row.mean())
    assert file.values["centroid_hz_std"] == pytest.approx(row.std())
    assert file.values["centroid_hz_median"] == pytest.approx(np.median(row))
    f0 = file.frames["f0_hz"]
    assert file.values["f0_hz_mean"] == pytest.approx(float(np.nanmean(f0)), rel=1e-5)
    voiced_f1 = file.frames["f1_hz"][np.isfinite(f0)]
    assert file.values["f1_hz_median"] == pytest.approx(float(np.nanmedian(voiced_f1)))
    assert "mfcc_1_delta_std" in file.values
    assert "mfcc_1_delta_mean" not in file.values


def test_every_descriptor_asked_for_is_there(both) -> None:
    _, file = both
    for word in ("mfcc_20", "mfcc_20_delta", "mfcc_20_delta2", "centroid_hz", "bandwidth_hz", "rolloff_hz", "flatness",
                 "flux", "contrast_7_db", "chroma_b", "tonnetz_major_y", "zero_crossing_rate", "rms", "loudness_lufs",
                 "f0_hz", "f3_hz", "wavelet_d1_db", "onset_strength_db"):  # fmt: skip
        assert np.isfinite(file.frames[word]).any(), word
    assert set(frame_names(FrameSettings())) <= set(file.frames)
    assert all(row.shape == (file.n_frames,) and row.dtype == np.float32 for row in file.frames.values())


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_beats_and_tempo_of_a_pulse_at_any_rate(sound, rate: int) -> None:
    true = np.arange(0.5, 11.9, 0.5)
    x = 1e-3 * np.random.default_rng(0).standard_normal(12 * rate)
    for start in np.round(true * rate).astype(int):
        t = np.arange(round(0.03 * rate)) / rate
        x[start : start + len(t)] += 0.5 * np.sin(2 * np.pi * 1000 * t) * np.exp(-100 * t)
    file = features([sound(x, rate)]).files[0]
    assert file.tempo_bpm == pytest.approx(120, rel=0.02)
    assert beats.f_measure(file.beats_s, true) > 0.95
    assert beats.f_measure(file.onsets_s[file.onsets_s > 0.15], true, 0.05) > 0.9


# In pieces


def test_pieces_give_what_the_whole_gives(sound, monkeypatch) -> None:
    path = sound(song(9.0))
    whole = features([path], per_frame=True).files[0]
    monkeypatch.setattr(measuring, "PIECE_S", 2.0)
    pieces = features([path], per_frame=True).files[0]
    assert pieces.n_frames == whole.n_frames
    for name, row in whole.frames.items():
        same = np.isclose(pieces.frames[name], row, rtol=2e-3, atol=2e-3, equal_nan=True)
        # The path of pYIN may choose otherwise where nothing is certain, resampled samples of formants differ a little.
        least = 0.93 if name.startswith(("f0", "f1", "f2", "f3")) else 1.0
        assert same.mean() >= least, name
    np.testing.assert_array_equal(pieces.onsets_s, whole.onsets_s)
    np.testing.assert_array_equal(pieces.beats_s, whole.beats_s)


def test_a_span_is_timed_in_the_file(sound) -> None:
    path = sound(song(6.0))
    part = features([path], start_s=2.0, duration_s=3.0, per_frame=True).files[0]
    assert part.duration_s == pytest.approx(3.0)
    assert part.times_s[0] == 2.0
    assert 2.0 <= part.onsets_s.min() < part.onsets_s.max() <= 5.0
    alone = features([sound(song(6.0)[2 * RATE : 5 * RATE], name="part.wav")], per_frame=True).files[0]
    np.testing.assert_allclose(part.frames["centroid_hz"], alone.frames["centroid_hz"])


def test_another_rate(sound) -> None:
    path = sound(song(3.0, 44_100), 44_100)
    file = features([path], rate=22_050, per_frame=True).files[0]
    assert file.sample_rate == 22_050
    assert file.duration_s == pytest.approx(3.0, abs=0.001)
    own = features([sound(song(3.0), name="own.wav")]).files[0]
    assert file.values["rms_mean"] == pytest.approx(own.values["rms_mean"], rel=0.02)
    assert file.values["f0_hz_median"] == pytest.approx(own.values["f0_hz_median"], rel=0.02)


def test_channels_are_mixed_and_their_loudness_added(sound) -> None:
    x = song(2.0)
    one, two = features([sound(x)]).files[0], features([sound(np.stack([x, x]), name="two.wav")]).files[0]
    assert two.values["rms_mean"] == pytest.approx(one.values["rms_mean"], rel=1e-5)
    assert two.integrated_lufs - one.integrated_lufs == pytest.approx(3.01, abs=0.02)
    assert two.notes == ["2 channels, mixed by their mean"]


# Odd sounds


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("duration_s", [0.0, 0.02, 0.3])
def test_notes_and_a_single_sample(sound, rate: int, duration_s: float) -> None:
    x = song(max(duration_s, 1 / rate), rate)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = features([sound(x, rate)], per_frame=True).files[0]
    assert file.n_frames == 1 + len(x) // 512
    assert np.isnan(file.tempo_bpm)
    assert len(file.beats_s) == 0
    json.dumps(file.as_dict(), allow_nan=False)


def test_silence_has_values_and_no_events(sound) -> None:
    file = features([sound(np.zeros(RATE, np.float32))], per_frame=True).files[0]
    assert file.integrated_lufs == -np.inf
    assert (file.onsets_s.size, file.beats_s.size, file.voiced_share) == (0, 0, 0.0)
    assert file.values["rms_mean"] == 0
    assert np.isnan(file.values["f0_hz_mean"])
    assert file.as_dict()["values"]["f0_hz_mean"] is None


def test_low_rates_leave_out_what_they_cannot_hold(sound) -> None:
    low = features([sound(song(1.0, 8_000), 8_000)]).files[0]
    assert np.isfinite(low.values["contrast_6_db_mean"])
    assert np.isnan(low.values["contrast_7_db_mean"])
    lowest = features([sound(song(1.0, 1_000), 1_000, "low.wav")]).files[0]
    assert np.isnan(lowest.values["f0_hz_mean"])
    assert list(low.values) == list(lowest.values)  # the same columns at any rate


# Tables


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_table_and_its_events(make_music, tmp_path) -> None:
    paths = make_music(3)
    (tmp_path / "music" / "broken.wav").write_bytes(b"RIFF nonsense")
    found = features([tmp_path / "music"], tmp_path / "out.csv", jobs=2)
    rows = rows_of(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == sorted(str(path) for path in paths)
    assert [Path(failure.path).name for failure in found.failures] == ["broken.wav"]
    alone = features([paths[0]]).files[0]
    row = next(row for row in rows if row["path"] == str(paths[0]))
    assert float(row["centroid_hz_mean"]) == pytest.approx(alone.values["centroid_hz_mean"], rel=1e-6)
    assert int(row["n_onsets"]) == len(alone.onsets_s)
    events = [row for row in rows_of(tmp_path / "out.events.csv") if row["path"] == str(paths[0])]
    assert [float(row["time_s"]) for row in events if row["kind"] == "onset"] == pytest.approx(alone.onsets_s.tolist())
    assert [float(row["time_s"]) for row in events] == sorted(float(row["time_s"]) for row in events)
    assert found.events == str(tmp_path / "out.events.csv")


def test_a_row_a_frame(sound, tmp_path) -> None:
    path = sound(song(2.0))
    found = features([path], tmp_path / "frames.csv", per_frame=True)
    rows = rows_of(tmp_path / "frames.csv")
    file = features([path], per_frame=True).files[0]
    assert len(rows) == file.n_frames
    assert float(rows[10]["time_s"]) == pytest.approx(10 * 512 / RATE, abs=1e-6)
    assert np.float32(rows[10]["mfcc_3"]) == file.frames["mfcc_3"][10]
    assert {row["f0_hz"] for row in rows} & {""} or file.voiced_share == 1  # an empty cell where unvoiced
    assert found.files[0].frames == {}  # they are in the file


def test_json_holds_everything(sound, tmp_path) -> None:
    path = sound(song(2.0))
    features([path], tmp_path / "out.json", per_frame=True)
    whole = json.loads((tmp_path / "out.json").read_text())
    file = features([path], per_frame=True).files[0]
    assert whole["files"] == [file.as_dict()]
    assert set(whole["files"][0]["frames"]) == {"time_s", *file.frames}
    assert whole["settings"]["n_fft"] == 2048
    assert whole["failures"] == []


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_parquet_is_the_csv(make_music, tmp_path) -> None:
    from pyarrow import parquet

    paths = make_music(2)
    for ending in ("csv", "parquet"):
        features(paths, tmp_path / f"out.{ending}", per_frame=True, jobs=1)
    table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    rows = rows_of(tmp_path / "out.csv")
    assert list(table) == list(rows[0])
    assert table["path"] == [row["path"] for row in rows]
    np.testing.assert_array_equal(np.float32(table["rms"]), np.float32([row["rms"] for row in rows]))
    assert parquet.read_table(tmp_path / "out.events.parquet").column_names == ["path", "kind", "time_s"]


def test_parquet_without_pyarrow_says_what_to_install(sound, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs pyarrow"):
        features([sound(song(0.3))], tmp_path / "out.parquet")


def test_nothing_is_replaced_unasked(sound, tmp_path) -> None:
    path = sound(song(0.5))
    (tmp_path / "out.events.csv").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        features([path], tmp_path / "out.csv")
    features([path], tmp_path / "out.csv", force=True)
    assert (tmp_path / "out.events.csv").read_text() != "mine"


def test_where_nothing_can_be_measured_nothing_is_written(tmp_path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nonsense")
    found = features([tmp_path / "broken.wav", tmp_path / "missing.wav"], tmp_path / "out.csv")
    assert (found.files, len(found.failures), found.output) == ([], 2, None)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_fft": 15}, "n_fft"),
        ({"hop_length": 4096}, "hop"),
        ({"n_mfcc": 200}, "n_mfcc"),
        ({"pre_emphasis": 1.0}, "pre-emphasis"),
        ({"f0": "crepe"}, "pyin, yin"),
        ({"wavelet": "db99"}, "discrete wavelet"),
        ({"level": 0}, "level"),
        ({"rate": 0}, "rate"),
        ({"start_s": -1.0}, "span"),
        ({"duration_s": 0.0}, "span"),
        ({"output": "x.xlsx"}, ".csv, .parquet, .json"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_the_work(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        features(["nowhere.wav"], **options)


# The command


def run(*words: object):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


def test_the_command_prints_one_file(sound) -> None:
    done = run(sound(song(3.0)), "--f0", "yin")
    assert done.exit_code == 0
    for word in ("tempo", "onsets", "LUFS", "centroid_hz", "chroma_fs", "f3_hz", "mfcc_13"):
        assert word in done.output


def test_the_command_prints_a_line_a_file(make_music, tmp_path) -> None:
    make_music(2)
    done = run(tmp_path / "music", "--jobs", 1)
    assert done.exit_code == 0
    assert len([line for line in done.stdout.splitlines() if ".wav" in line]) == 2


def test_the_command_writes_a_table_and_says_so(sound, tmp_path) -> None:
    done = run(sound(song(1.0)), "-o", tmp_path / "t.csv", "--per-frame", "--pre-emphasis", "0.97", "--hop", 256)
    assert done.exit_code == 0
    assert len(rows_of(tmp_path / "t.csv")) == 1 + RATE // 256
    assert "t.events.csv" in done.stdout


def test_json_is_as_dict(sound) -> None:
    path = sound(song(0.5))
    printed = json.loads(run(path, "--json").stdout)
    found = features([path]).as_dict()
    assert printed.keys() == found.keys()
    assert printed["files"] == json.loads(json.dumps(found["files"]))
    assert printed["files"][0]["frames"] is None


def test_the_command_fails_where_nothing_can_be_measured(tmp_path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nonsense")
    done = CliRunner().invoke(command, [str(tmp_path / "broken.wav")], standalone_mode=False)
    assert done.return_value == 1
    assert "failed: " in done.stderr
