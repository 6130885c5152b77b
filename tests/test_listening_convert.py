"""`convert`: what is written is what was asked for, and what it cost is measured."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.channels import read_channels
from volna.audio.encode import encode, encode_blocks
from volna.audio.quantise import full_scale_snr_db, quantise, take_nearest
from volna.cli import files_commands
from volna.errors import AudioError, InputError
from volna.workflows.listening.convert import convert
from volna.workflows.listening.info import info_of

RATE = 16_000


def tone(hz: float = 1000.0, amplitude: float = 0.9, duration_s: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(RATE * duration_s)) / RATE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    sound = np.stack([tone(997), 0.3 * tone(3001)]) + 1e-4 * rng.standard_normal((2, RATE))
    return encode(tmp_path / "in.wav", sound, RATE, codec="pcm_f32le", tags={"title": "A tone", "artist": "Nobody"})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(workflows._PLACES, "convert", "listening.convert")
    return lambda *words: CliRunner().invoke(files_commands.convert, [*map(str, words)], standalone_mode=False)


@pytest.mark.parametrize("bits", [1, 3, 8, 9, 16, 20, 24])
@pytest.mark.parametrize("dither", [False, True])
def test_the_file_holds_the_quantised_samples_exactly(tmp_path, source, bits: int, dither: bool) -> None:
    before = read_channels(source).samples
    done = convert(source, tmp_path / "out.wav", bits=bits, dither=dither, seed=5)
    after = read_channels(tmp_path / "out.wav").samples
    expected = quantise(before, bits, dither=dither, rng=np.random.default_rng(5))
    assert np.array_equal(after, expected.astype(np.float32))
    assert done.file_bits == min(size for size in (8, 16, 24, 32) if size >= bits)
    measured = 10 * np.log10(np.sum(before.astype(np.float64) ** 2) / np.sum((after - before.astype(np.float64)) ** 2))
    assert done.snr_db == pytest.approx(measured, abs=0.01)
    assert done.full_scale_snr_db == full_scale_snr_db(bits, dither=dither)
    if 8 <= bits < 24:  # at 24 the half steps of float32 itself show
        assert done.snr_db == pytest.approx(done.expected_snr_db, abs=0.3)


def test_a_full_scale_sine_comes_near_6_02_n(tmp_path: Path) -> None:
    path = encode(tmp_path / "in.wav", tone(997, 1 - 2**-7), RATE, codec="pcm_f32le")
    assert convert(path, tmp_path / "8.wav", bits=8).snr_db == pytest.approx(49.93, abs=0.3)
    assert convert(path, tmp_path / "8d.wav", bits=8, dither=True).snr_db == pytest.approx(49.93 - 4.77, abs=0.3)


def test_a_lower_rate_is_filtered_unless_asked_otherwise(tmp_path: Path) -> None:
    path = encode(tmp_path / "in.wav", tone(5000), RATE, codec="pcm_f32le")
    filtered = convert(path, tmp_path / "a.wav", rate=8000)
    aliased = convert(path, tmp_path / "b.wav", rate=8000, no_filter=True)
    assert (filtered.filtered, aliased.filtered) == (True, False)
    assert filtered.folded_db == aliased.folded_db == pytest.approx(0.0, abs=0.01)  # all of it lies above 4 kHz
    assert filtered.rms_dbfs < -50
    assert aliased.rms_dbfs == pytest.approx(-3.9, abs=0.1)
    spectrum = np.abs(np.fft.rfft(read_channels(tmp_path / "b.wav").samples[0]))
    assert int(np.argmax(spectrum)) == 3000  # 8000 - 5000, one bin a Hz
    below = encode(tmp_path / "c.wav", tone(1000), RATE, codec="pcm_f32le")
    assert convert(below, tmp_path / "d.wav", rate=8000).folded_db < -80
    assert convert(below, tmp_path / "e.wav", rate=44_100).folded_db is None


@pytest.mark.parametrize("rate", [500, 7919, 8000, 44_100])
def test_any_ratio_of_rates_keeps_the_duration(tmp_path, source, rate: int) -> None:
    for no_filter in (False, True):
        done = convert(source, tmp_path / "out.wav", rate=rate, no_filter=no_filter, force=True)
        written = read_channels(tmp_path / "out.wav")
        assert written.sample_rate == done.to_rate == done.file_rate == rate
        assert written.samples.shape == (2, done.n_samples)
        assert done.n_samples == pytest.approx(rate, abs=2)
        assert done.duration_s == pytest.approx(1.0, abs=0.005)
        if no_filter:
            taken = take_nearest(read_channels(source).samples, RATE, rate)[0]
            assert np.array_equal(written.samples, taken.astype(np.float32))


def test_a_span_and_mono(tmp_path, source) -> None:
    whole = read_channels(source).samples
    done = convert(source, tmp_path / "out.wav", mono=True, start_s=0.25, duration_s=0.5)
    part = read_channels(tmp_path / "out.wav")
    assert (done.n_channels, done.n_samples) == (1, RATE // 2)
    assert np.allclose(part.samples[0], whole[:, RATE // 4 : 3 * RATE // 4].mean(axis=0), atol=1e-6)
    assert convert(source, tmp_path / "b.wav", start_s=0.9, duration_s=5.0).duration_s == pytest.approx(0.1)
    with pytest.raises(AudioError, match="span inside the file"):
        convert(source, tmp_path / "c.wav", start_s=2.0)
    assert not (tmp_path / "c.wav").exists()


@pytest.mark.parametrize("ending", [".flac", ".aiff", ".wv", ".mp3", ".opus", ".m4a", ".w64"])
def test_other_formats_and_the_tags_come_along(tmp_path, source, ending: str) -> None:
    done = convert(source, tmp_path / f"out{ending}", bits=6)
    found = info_of(done.output)
    assert found.sample_rate == done.file_rate == (48_000 if ending == ".opus" else RATE)
    if ending != ".w64":
        assert found.tags["title"] == "A tone"
    if done.lossy:
        assert done.file_bits is None
        assert any("adds errors of its own" in note for note in done.notes)
    else:
        assert np.array_equal(read_channels(done.output).samples * 32, np.rint(read_channels(done.output).samples * 32))
    assert done.snr_db == pytest.approx(done.expected_snr_db, abs=1.0)


def test_the_depth_of_the_source_is_kept_without_bits(tmp_path: Path) -> None:
    for codec, kept in (("pcm_u8", "pcm_s16le"), ("pcm_s24le", "pcm_s24le"), ("pcm_f32le", "pcm_f32le")):
        path = encode(tmp_path / f"{codec}.wav", tone(), RATE, codec=codec)
        done = convert(path, tmp_path / "out.wav", force=True)
        assert (done.codec, done.snr_db, done.bits) == (kept, None, None)
        assert np.array_equal(read_channels(path).samples, read_channels(tmp_path / "out.wav").samples)


def test_remarks_say_what_figures_cannot(tmp_path, source) -> None:
    def notes(**options) -> str:
        return " ".join(convert(source, tmp_path / "out.wav", force=True, **options).notes)

    assert "samples of 8 bits" in notes(bits=5)
    assert "--dither" in notes(bits=5)
    assert "--dither" not in notes(bits=5, dither=True)
    assert "25 bits at most" in notes(bits=32)
    coarse = encode(tmp_path / "coarse.wav", tone(), RATE, codec="pcm_u8")
    again = convert(coarse, tmp_path / "again.wav", bits=12)
    assert again.snr_db == math.inf
    assert "changed nothing" in " ".join(again.notes)
    assert again.as_dict()["snr_db"] is None
    mp3 = encode(tmp_path / "in.mp3", tone(), RATE)
    assert any("source is lossy" in note for note in convert(mp3, tmp_path / "mp3.wav", bits=8).notes)
    silent = convert(encode(tmp_path / "silent.wav", np.zeros(RATE), RATE), tmp_path / "s.wav", bits=8)
    assert math.isnan(silent.snr_db)
    assert any("silence" in note for note in silent.notes)
    loud = encode(tmp_path / "loud.wav", tone(amplitude=1.5), RATE, codec="pcm_f32le")
    assert convert(loud, tmp_path / "l.wav", bits=8).n_clipped > 1000


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("out.xyz", {}, "ends in one of"),
        ("out.flac", {"bits": 20}, "written with 16 bits"),
        ("out.wav", {"bits": 33}, "1 to 32 bits"),
        ("out.wav", {"dither": True}, "--bits"),
        ("out.wav", {"no_filter": True}, "--rate"),
        ("out.wav", {"rate": 3}, "rate between"),
        ("out.wav", {"start_s": -1.0}, "span"),
        ("out.wav", {"duration_s": 0.0}, "span"),
        ("none/out.wav", {}, "folder that exists"),
        ("in.wav", {}, "--force"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_work(tmp_path, source, name: str, options, words: str) -> None:
    before = source.read_bytes()
    with pytest.raises(InputError, match=words):
        convert(source, tmp_path / name, **options)
    assert source.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in.wav"]


def test_bad_sources_are_an_error_and_leave_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF\x10\0\0\0WAVEjunk")
    one = encode(tmp_path / "one.wav", np.ones(1) / 2, 44_100)
    for path, words, options in (
        (tmp_path / "none.wav", "no such file", {}),
        (broken, "broken.wav: ", {}),
        (one, "too short", {"rate": 500}),
    ):
        with pytest.raises(AudioError, match=words):
            convert(path, tmp_path / "out.wav", **options)
    assert not (tmp_path / "out.wav").exists()
    assert convert(one, tmp_path / "out.wav", bits=4, dither=True).n_samples == 1


def test_long_files_take_the_memory_of_short_ones(tmp_path: Path) -> None:
    block = (0.1 * np.random.default_rng(0).standard_normal((2, 10 * 8000))).astype(np.float32)
    peaks = []
    for n_blocks in (3, 30):
        encode_blocks(tmp_path / "long.wav", (block for _ in range(n_blocks)), 8000)
        tracemalloc.start()
        convert(tmp_path / "long.wav", tmp_path / "out.wav", bits=8, dither=True, rate=6000, force=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_the_text_and_the_json(tmp_path, source, run) -> None:
    done = run(source, tmp_path / "out.wav", "--rate", 8000, "--bits", 8, "--dither", "--no-filter", "--start", "0.1s")
    assert done.exit_code == 0, done.output
    for words in ("SNR measured", "6.02 x 8 + 1.76 - 4.77", "no filter", "above 4000 Hz", "pcm_u8", "TPDF"):
        assert words in done.stdout
    again = run(source, tmp_path / "out.wav", "--bits", 8)
    assert isinstance(again.exception, InputError)
    assert "--force" in str(again.exception)
    printed = run(source, tmp_path / "out.wav", "--bits", 8, "--force", "--json")
    assert json.loads(printed.stdout)["snr_db"] == pytest.approx(45, abs=5)
    assert set(json.loads(printed.stdout)) == set(convert(source, tmp_path / "x.wav").as_dict())
