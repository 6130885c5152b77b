"""Measuring: delays are taken out where waveforms are kept, every codec gets the same sound."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from codec_models import codec_file, made_sound

from volna.audio.encode import encode as write_sound
from volna.errors import InputError, VolnaError
from volna.workflows.making import codec_evaluating, codec_measuring
from volna.workflows.making.codec_evaluating import codec_evaluate


def scorer(made: np.ndarray, real: np.ndarray, sample_rate: int) -> dict[str, float]:
    """A further score, found by its name."""
    assert made.shape == real.shape
    return {"peak": float(np.abs(made).max()), "rate": sample_rate}


def test_a_delay_is_found_and_undone() -> None:
    sound = made_sound(0, 2.0)
    for delay in (0, 37, 700):
        late = np.concatenate([np.zeros(delay, np.float32), sound])
        assert np.array_equal(codec_measuring._aligned(late, sound, 8000)[: len(sound)], sound)
    early = sound[55:]
    assert np.array_equal(codec_measuring._aligned(early, sound, 8000)[55:], early)


def test_what_is_short_is_filled_and_nothing_is_an_error() -> None:
    sound = made_sound(0, 1.0)
    assert len(codec_measuring._as_long(sound[:-9], sound)) == len(sound)
    with pytest.raises(VolnaError, match="nothing back"):
        codec_measuring._as_long(sound[:0], sound)


def test_a_file_gives_a_row_for_every_codec_and_rate(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.wav", np.stack([made_sound(0, 40.0), made_sound(1, 40.0)]), 8000)
    codec_measuring.use_codec(str(codec_file(tmp_path)))
    rates = {codec_measuring.VOLNA: (0.5, 2.0), codec_measuring.MP3: (8.0,)}
    rows = codec_measuring.measure_file(str(path), rates, "test_workflows_codec_measuring:scorer")
    assert [(row["codec"], row["rate_kbps"]) for row in rows] == [("volna", 0.5), ("volna", 2.0), ("mp3", 8.0)]
    assert all(row["duration_s"] == codec_measuring.MEASURED_S and row["rate"] == 8000 for row in rows)
    assert rows[0]["n_bytes"] < rows[1]["n_bytes"] < rows[2]["n_bytes"]
    assert rows[1]["mel_db"] < rows[0]["mel_db"]
    assert rows[2]["si_sdr_db"] > 3


def test_rows_are_means_over_files_and_bits_over_all_their_seconds() -> None:
    def of_file(n_bytes: int, duration_s: float, mel_db: float) -> list[dict[str, object]]:
        return [{"codec": "volna", "rate_kbps": 1.0, "n_bytes": n_bytes, "duration_s": duration_s, "encode_s": 0.5,
                 "decode_s": 1.0, "mel_db": mel_db}]  # fmt: skip

    (row,) = codec_evaluating._rows({"volna": (1.0,)}, [of_file(125, 1.0, 2.0), of_file(375, 3.0, math.nan)])
    assert (row.kbps, row.scores, row.decode_times_real_time) == (1.0, {"mel_db": 2.0}, 2.0)
    assert codec_evaluating._rows({"volna": (1.0,)}, []) == []


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rates above 0"):
        codec_evaluate([tmp_path], kbps=[0.0])
    with pytest.raises(InputError, match=r"\.png"):
        codec_evaluate([tmp_path], output=tmp_path / "x.jpg")
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(InputError, match="--force"):
        codec_evaluate([tmp_path], output=tmp_path / "x.png")
