"""Windows: where they lie, and that what is decoded there is what a whole decode has there."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import time

import av
import numpy as np
import pytest
from test_audio_sounds import NO_XING, RATE, VBR, apev2, id3v1, id3v2, make, music, without_id3v2

from volna.audio import AudioFile, decode, encode, open_audio, windows_of
from volna.errors import AudioError, InputError

# name -> how it is encoded; and how far a window may be from the same span of a whole decode. Lossless after the seek,
# but for dither (MP2), for decoders that take longer than the preroll to forget (Opus), and noise substitution (AAC).
FORMATS = {
    "cbr.mp3": ({}, 0.0),
    "low.mp3": ({"bit_rate": 16000}, 0.0),
    "cd.mp3": ({"rate": 44100}, 0.0),
    "bare.mp3": ({"container_options": NO_XING}, 0.0),
    "vbr.mp3": ({"options": VBR}, 0.0),
    "bare_vbr.mp3": ({"options": VBR, "container_options": NO_XING}, 0.0),
    "a.mp2": ({}, 1e-4),
    "a.flac": ({}, 0.0),
    "a.oga": ({}, 0.0),
    "vorbis.ogg": ({"codec": "vorbis"}, 0.0),
    "a.opus": ({}, 1e-3),
    "aac.m4a": ({"options": {"aac_pns": "0"}}, 0.0),
    "alac.m4a": ({"codec": "alac"}, 0.0),
    "a.aac": ({"options": {"aac_pns": "0"}}, 0.0),
    "a.wav": ({}, 0.0),
    "float.wav": ({"codec": "pcm_f32le"}, 0.0),
    "a.aiff": ({}, 0.0),
    "a.wv": ({}, 0.0),
    "a.tta": ({}, 0.0),
}


@pytest.mark.parametrize(
    ("segment", "want"),
    [
        ("spread", [(20.0, 10.0), (45.0, 10.0), (70.0, 10.0)]),
        ("start", [(0.0, 30.0)]),
        ("middle", [(35.0, 30.0)]),
        ("end", [(70.0, 30.0)]),
    ],
)
def test_windows_of_a_track(segment, want):
    assert windows_of(100.0, segment) == want


@pytest.mark.parametrize("segment", ["spread", "start", "middle", "end"])
def test_a_short_track_is_taken_whole(segment):
    assert windows_of(29.99, segment) == [(0.0, 29.99)]
    assert windows_of(0.01, segment) == [(0.0, 0.01)]


@pytest.mark.parametrize("duration_s", [30.0, 30.1, 41.7, 36000.0])
def test_windows_lie_inside_the_track(duration_s):
    for segment in ("spread", "start", "middle", "end"):
        for start_s, length_s in windows_of(duration_s, segment):
            assert 0 <= start_s < start_s + length_s <= duration_s + 1e-9


@pytest.mark.parametrize(("duration_s", "segment"), [(0.0, "spread"), (-1.0, "end"), (np.nan, "end"), (99.0, "all")])
def test_windows_refuse_nonsense(duration_s, segment):
    with pytest.raises(InputError, match="expected"):
        windows_of(duration_s, segment)


@pytest.mark.parametrize("name", FORMATS)
def test_a_window_equals_its_span_of_the_whole(tmp_path, name):
    how, tolerance = FORMATS[name]
    path = make(tmp_path, name, 33.3, **how)
    rate = 48000 if name.endswith("opus") else how.get("rate", RATE)
    whole = decode(path, sample_rate=rate)
    assert abs(len(whole) / rate - 33.3) < 0.1
    for start_s, length_s in ((0.0, 5.0), (0.1, 1.0), (7.1234, 10.0), (18.5, 10.0), (30.3, 2.9)):
        part = decode(path, sample_rate=rate, start_s=start_s, duration_s=length_s)
        assert len(part) == round(length_s * rate)
        begin = round(start_s * rate)
        np.testing.assert_allclose(part, whole[begin : begin + len(part)], rtol=0, atol=tolerance)


def test_a_window_of_wma_is_where_it_should_be(tmp_path):
    # ASF counts milliseconds, and libav's decoder drops its first two frames: 0.1 s, but no more.
    path = make(tmp_path, "a.wma", 33.3)
    whole = decode(path, sample_rate=RATE)
    part = decode(path, sample_rate=RATE, start_s=18.5, duration_s=5.0)
    around = whole[round(18.3 * RATE) : round(20.0 * RATE)]
    shift = np.argmax(np.correlate(around, part[: RATE // 2], "valid")) / RATE - 0.2
    assert abs(shift) < 0.1


@pytest.mark.parametrize("name", ["cbr.mp3", "vbr.mp3", "aac.m4a", "a.flac", "a.opus", "a.wav"])
def test_what_was_encoded_is_decoded_in_time(tmp_path, name):
    path = make(tmp_path, name, 8.0, **FORMATS[name][0])
    part = decode(path, sample_rate=RATE, start_s=3.0, duration_s=2.0)
    want = music(8.0).mean(axis=0)[3 * RATE : 5 * RATE]
    spread = np.correlate(want, part[500:-500], "valid")
    assert abs(int(np.argmax(spread)) - 500) <= 1, "the encoder's delay is taken out"
    assert np.corrcoef(part, want)[0, 1] > 0.97


def test_one_array_a_window_at_the_rate_asked(tmp_path):
    path = make(tmp_path, "a.mp3", 41.0)
    with open_audio(path) as file:
        assert isinstance(file, AudioFile)
        coded = file.read_segment("spread")
        windows = file.decode(coded, 16000)
        assert [w.dtype for w in windows] == [np.float32] * 3
        assert [w.shape for w in windows] == [(160000,)] * 3
        assert [w.shape for w in file.decode(coded, 22050)] == [(220500,)] * 3, "decoding twice is no matter"
        assert coded.n_bytes < path.stat().st_size
        for segment in ("start", "middle", "end"):
            (window,) = file.decode(file.read_segment(segment), 8000)
            assert window.shape == (240000,)


def test_windows_in_any_order_and_overlapping(tmp_path):
    path = make(tmp_path, "a.ogg", 20.0, codec="vorbis")
    whole = decode(path, sample_rate=RATE)
    with open_audio(path) as file:
        windows = file.decode(file.read([(12.0, 3.0), (2.0, 3.0), (3.0, 3.0)]), RATE)
    for start_s, window in zip((12, 2, 3), windows, strict=True):
        np.testing.assert_array_equal(window, whole[start_s * RATE : (start_s + 3) * RATE])


def test_facts_about_the_file(tmp_path):
    path = make(tmp_path, "a.flac", 5.0, tags={"Title": "Name", "ARTIST": "Someone", "date": "1999"})
    with open_audio(path) as file:
        assert (file.container, file.codec, file.sample_rate, file.n_channels) == ("flac", "flac", RATE, 2)
        assert file.duration_s == pytest.approx(5.0, abs=1e-6)
        assert file.metadata.items() >= {"title": "Name", "artist": "Someone", "date": "1999"}.items()
        assert file.path == path


def test_tags_of_the_stream_and_those_that_are_not_utf_8(tmp_path):
    ogg = make(tmp_path, "a.opus", 1.0, tags={"TITLE": "Тень"})
    with open_audio(ogg) as file:
        assert file.metadata["title"] == "Тень"
    mp3 = make(tmp_path, "a.mp3", 1.0, container_options=NO_XING)
    mp3.write_bytes(mp3.read_bytes() + b"TAG" + "Füße".encode("cp1252").ljust(125, b"\0"))
    with open_audio(mp3) as file:
        assert file.metadata["title"] == "Füße"


def test_a_cover_is_not_the_audio(tmp_path):
    path = make(tmp_path, "a.mp3", 2.0)
    path.write_bytes(id3v2() + without_id3v2(path.read_bytes()))
    with open_audio(path) as file:
        assert file.codec == "mp3"
        assert file.metadata["title"] == "Another title"
        assert file.decode(file.read_segment(), 8000)[0].shape == (16000,)


@pytest.mark.parametrize("name", ["bare.mp3", "bare_vbr.mp3", "a.aac", "a.ac3", "a.mp2"])
@pytest.mark.parametrize("tagged", [False, True])
def test_bare_streams_are_measured(tmp_path, name, tagged):
    path = make(tmp_path, name, 33.3, **FORMATS.get(name, ({}, 0))[0])
    if tagged:
        path.write_bytes(id3v2() + path.read_bytes() + apev2() + id3v1())
    with open_audio(path) as file:
        assert file.duration_s == pytest.approx(33.3, abs=0.1)


def test_opposite_channels_are_heard(tmp_path):
    x = music(2.0, n_channels=1)[0]
    path = encode(tmp_path / "x.wav", np.stack([x, -x]), RATE)
    np.testing.assert_allclose(decode(path, sample_rate=RATE), x, atol=2**-14)


def test_a_stream_may_change_its_rate_and_channels(tmp_path):
    parts = []
    for i, (rate, n_channels) in enumerate(((44100, 2), (22050, 1), (48000, 2))):
        piece = make(tmp_path, f"{i}.aac", 2.0, n_channels=n_channels)
        piece = encode(piece, music(2.0, rate, n_channels), rate)
        parts.append(piece.read_bytes())
    path = tmp_path / "all.aac"
    path.write_bytes(b"".join(parts))
    y = decode(path, sample_rate=16000)
    assert len(y) / 16000 == pytest.approx(6.1, abs=0.2)
    for second in (1, 3, 5):
        assert 0.05 < np.std(y[second * 16000 - 8000 : second * 16000]) < 0.5


@pytest.mark.parametrize(
    ("values", "bits", "want"),
    [
        ([-96, 23052, 8388607, -8360672], 0, [-96 / 2**23, 23052 / 2**23, 1.0, -8360672 / 2**23]),  # low end
        ([-96, 23052, 8388607, -8360672], 8, [-96 / 2**23, 23052 / 2**23, 1.0, -8360672 / 2**23]),  # high end
    ],
)
def test_24_bits_in_four_bytes(tmp_path, values, bits, want):
    for top in (0xFFFFFFFF, 0x00FFFFFF):  # with or without the sign in the fourth byte
        data = b"".join(
            struct.pack("<I", (v << bits) & 0xFFFFFFFF & (top if bits == 0 else 0xFFFFFFFF)) for v in values
        )
        data *= 500
        head = struct.pack("<IHHIIHH", 16, 1, 1, 16000, 64000, 4, 24)
        path = tmp_path / "x.wav"
        path.write_bytes(
            b"RIFF"
            + struct.pack("<I", 36 + len(data))
            + b"WAVEfmt "
            + head
            + b"data"
            + struct.pack("<I", len(data))
            + data
        )
        np.testing.assert_allclose(decode(path, sample_rate=16000)[:4], want, atol=1e-6)


def test_spans_that_reach_beyond_the_end_are_cut_and_others_refused(tmp_path):
    path = make(tmp_path, "a.wav", 2.0)
    assert decode(path, sample_rate=8000, start_s=1.5, duration_s=10.0).shape == (4000,)
    with pytest.raises(AudioError, match=r"a\.wav: expected a span inside"):
        decode(path, sample_rate=8000, start_s=2.5)
    with pytest.raises(InputError, match="rate"):
        decode(path, sample_rate=0)
    with open_audio(path) as file, pytest.raises(InputError, match="window"):
        file.read([(-1.0, 2.0)])


@pytest.mark.parametrize(
    "name",
    [
        "with space.flac",
        "snow ☃ и.flac",
        "new\nline.flac",
        "%03d.flac",
        "concat:a|b.flac",
        "a:b.flac",
        "-i.flac",
        "'q'.flac",
    ],
)
def test_a_name_is_only_a_name(tmp_path, name):
    path = make(tmp_path, "plain.flac", 0.5).rename(tmp_path / name)
    assert len(decode(path, sample_rate=8000)) == 4000
    assert len(decode(str(path), sample_rate=8000)) == 4000


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are not UTF-8")
def test_a_name_that_is_not_utf_8(tmp_path):
    plain = make(tmp_path, "plain.flac", 0.5)
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\xff.flac")
    os.rename(plain, name)
    assert len(decode(name, sample_rate=8000)) == 4000


def test_nothing_is_printed(tmp_path, capfd):
    path = make(tmp_path, "a.mp3", 3.0)
    data = bytearray(path.read_bytes())
    data[5000:9000] = bytes(4000)
    path.write_bytes(data)
    with contextlib.suppress(AudioError):
        decode(path, sample_rate=16000)
    assert capfd.readouterr() == ("", "")


def test_no_thread_is_started_and_the_file_is_closed(tmp_path):
    path = make(tmp_path, "a.flac", 3.0)
    file = open_audio(path)
    file.decode(file.read_segment(), 16000)
    assert file._reader.context.thread_count == 1
    file.close()
    file.close()
    assert file._reader._file.closed


def test_a_playlist_cannot_open_other_files(tmp_path, capfd):
    make(tmp_path, "a.aac", 1.0)
    (tmp_path / "x.mp3").write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.aac\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "y.mp3").write_text("ffconcat version 1.0\nfile a.aac\n")
    (tmp_path / "x.m3u8").write_text((tmp_path / "x.mp3").read_text())
    began = time.monotonic()
    for name in ("x.mp3", "y.mp3", "x.m3u8"):
        with pytest.raises(AudioError, match=name):
            open_audio(tmp_path / name)
    assert time.monotonic() - began < 5
    assert capfd.readouterr() == ("", "")


def test_the_library_is_new_enough():
    assert int(av.__version__.split(".")[0]) >= 14
