"""The features of machines and the detector on them: what is promised of gain, time, length, and of telling faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volna.errors import InputError
from volna.features.machine import (
    FLOOR_DB,
    MACHINE,
    PULSES,
    SHAPE,
    STACK,
    WINDOW_NAMES,
    MachineSound,
    hear_machine,
    joined,
    stacked_frames,
)
from volna.synthesis.machine_faults import FAULTS, FaultRange, add_fault, make_fault
from volna.tasks import saved
from volna.tasks.anomaly import detector
from volna.tasks.anomaly.fusion import SCORERS

RATE = MACHINE.sample_rate
WHERE = FaultRange((20.0, 25.0), (2_000.0, 3_000.0))


def hum(seed: int, duration_s: float = 2.0) -> np.ndarray:
    """A machine at work: a hum with overtones over coloured noise, never twice the same."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration_s * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * 50 * seconds + rng.uniform(0, 6)) / k for k in range(1, 6))
    noise = np.convolve(rng.standard_normal(len(seconds)), np.ones(4) / 4, "same")
    return (0.05 * tone + rng.uniform(0.08, 0.1) * noise).astype(np.float32)


def faulty(seed: int, kind: str, snr_db: float = 0.0) -> np.ndarray:
    clean = hum(seed)
    return add_fault(clean, make_fault(kind, len(clean), RATE, np.random.default_rng(seed), WHERE), snr_db)


# Features


def test_windows_are_named_and_finite_and_a_gain_changes_nothing() -> None:
    heard = hear_machine(hum(0))
    assert heard.windows.shape == (3, len(WINDOW_NAMES))
    assert len(set(WINDOW_NAMES)) == len(WINDOW_NAMES)
    assert WINDOW_NAMES[SHAPE][0] == "scatter_0"
    assert WINDOW_NAMES[PULSES][0] == "line_0"
    assert heard.start_s.tolist() == [0.0, 0.5, 1.0]
    louder = hear_machine(7.0 * hum(0))
    assert louder.windows == pytest.approx(heard.windows, abs=0.02)
    assert louder.mel == pytest.approx(heard.mel, abs=0.01)


@pytest.mark.parametrize(("kind", "name"), [("clicks", "regular"), ("whistle", "line"), ("knock", "crest")])
def test_a_fault_raises_what_it_should(kind: str, name: str) -> None:
    columns = [k for k, column in enumerate(WINDOW_NAMES) if column.startswith(f"{name}_")]
    clean, bad = hear_machine(hum(0)).windows.mean(axis=0), hear_machine(faulty(0, kind)).windows.mean(axis=0)
    assert (bad - clean)[columns].max() > {"regular": 6.0, "line": 5.0, "crest": 3.0}[name]  # dB


@pytest.mark.parametrize("n_samples", [1, 100, RATE - 1, RATE, RATE + 1, 3 * RATE])
def test_any_length_is_heard(n_samples: int) -> None:
    heard = hear_machine(np.random.default_rng(0).standard_normal(n_samples))
    assert np.isfinite(heard.windows).all()
    assert heard.mel.shape[1] >= STACK
    assert len(heard.windows) == len(heard.start_s) == max(1, 1 + (n_samples - RATE) // (RATE // 2))


@pytest.mark.parametrize("samples", [np.zeros(5), [], [np.nan, 1.0], np.ones((2, 3))])
def test_what_is_no_sound_is_refused(samples: Any) -> None:
    with pytest.raises(InputError):
        hear_machine(samples)


def test_pieces_join_without_a_gap_and_silence_is_kept_in_time() -> None:
    noise = np.random.default_rng(0).standard_normal(65 * RATE).astype(np.float32)
    piece = [hear_machine(noise[: round(32.5 * RATE)]), hear_machine(noise[32 * RATE :])]
    long, whole = joined(piece), hear_machine(noise)
    assert long is not None
    assert long.mel.shape == whole.mel.shape
    assert long.start_s == pytest.approx(whole.start_s)
    assert long.windows[10] == pytest.approx(whole.windows[10], abs=0.3)
    with_silence = joined([None, piece[1]])
    assert with_silence is not None
    assert with_silence.start_s[0] == 32.0
    assert (with_silence.mel[:, :1000] == FLOOR_DB).all()
    assert joined([None, None]) is None


def test_stacked_frames_lie_one_after_another() -> None:
    mel = np.random.default_rng(0).standard_normal((3, 7)).astype(np.float32)
    rows = stacked_frames(mel, 2)
    assert rows.shape == (6, 6)
    assert rows[4] == pytest.approx(np.concatenate([mel[:, 4], mel[:, 5]]))


# Detector


@pytest.fixture(scope="module")
def fitted() -> dict[str, np.ndarray]:
    """A detector of ten hums, calibrated on six others; its autoencoder gives back the mean (no torch, no training)."""
    sounds = [hear_machine(hum(seed)) for seed in range(10)]
    scaling = detector.fit_scaling(sounds)
    size = STACK * MACHINE.n_mels
    layers = [(np.zeros((4, size)), np.zeros(4)), (np.zeros((size, 4)), np.zeros(size))]
    arrays = detector.fit_scorers(scaling, sounds, layers)
    held_out = [detector.raw_scores(arrays, hear_machine(hum(seed))) for seed in range(100, 106)]
    return arrays | detector.calibrate(held_out)


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_are_told_from_hums_never_heard(fitted: dict[str, np.ndarray], kind: str) -> None:
    normal = [detector.judge(fitted, hear_machine(hum(seed))) for seed in range(200, 206)]
    bad = [detector.judge(fitted, hear_machine(faulty(seed, kind))) for seed in range(200, 206)]
    assert min(one.score for one in bad) > max(one.score for one in normal)
    assert all(one.abnormal for one in bad)
    assert np.mean([one.abnormal for one in normal]) <= 0.5
    assert tuple(bad[0].by_scorer) == SCORERS
    assert bad[0].by_scorer["mahalanobis"] > 3.0


def test_the_time_line_shows_when(fitted: dict[str, np.ndarray]) -> None:
    clean = hum(300, 40.0)
    late = clean.copy()
    late[25 * RATE : 27 * RATE] = add_fault(
        clean[25 * RATE : 27 * RATE], make_fault("clicks", 2 * RATE, RATE, np.random.default_rng(0), WHERE), 5.0
    )
    judged = detector.judge(fitted, hear_machine(late))
    assert 24.5 <= judged.start_s[judged.timeline.argmax()] <= 26.5
    assert judged.score > detector.judge(fitted, hear_machine(clean)).score + 1.0  # two seconds of forty are enough


def test_a_picture_of_errors_has_the_shape_of_the_spectrogram(fitted: dict[str, np.ndarray]) -> None:
    heard = hear_machine(faulty(1, "whistle"))
    picture = detector.error_picture(fitted, heard)
    assert picture.shape == heard.mel.shape
    assert picture.mean() > detector.error_picture(fitted, hear_machine(hum(1))).mean()


def test_a_saved_detector_says_the_same(fitted: dict[str, np.ndarray], tmp_path: Path) -> None:
    with open(tmp_path / "model", "wb") as file:
        saved.write(file, "anomaly", fitted, {})
    again = saved.load(tmp_path / "model", "anomaly")
    heard = hear_machine(faulty(1, "rub"))
    assert detector.judge(again, heard).score == detector.judge(fitted, heard).score
    assert (tmp_path / "model").stat().st_size < 3_000_000


def test_blocks_are_means_over_ten_seconds_and_reach_the_end() -> None:
    rows = np.arange(60.0)[:, None]
    blocks = detector._means(rows, 19)
    assert blocks[0, 0] == pytest.approx(9.0)
    assert blocks[-1, 0] == pytest.approx(50.0)
    assert detector._means(rows[:5], 19).tolist() == [[2.0]]
    assert detector._means(rows, 1) is rows


def test_one_sound_is_too_few() -> None:
    with pytest.raises(InputError, match="at least two normal sounds"):
        detector.fit_scaling([hear_machine(hum(0))])


def test_constant_features_do_no_harm(fitted: dict[str, np.ndarray]) -> None:
    one = hear_machine(hum(0))
    same = [MachineSound(one.mel, one.windows, one.start_s)] * 3
    scaling = detector.fit_scaling(same)
    size = STACK * MACHINE.n_mels
    arrays = detector.fit_scorers(scaling, same, [(np.zeros((size, size)), np.zeros(size))])
    raw = detector.raw_scores(arrays, one)
    assert np.isfinite(raw.blocks).all()
    assert np.isfinite(raw.windows).all()
