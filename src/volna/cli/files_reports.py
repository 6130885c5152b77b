"""What `info`, `convert` and `level` print for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from volna.cli.output import duration_text, table, wrap

__all__ = ["convert_report", "info_report", "level_report"]

WIDEST_TAG = 60
MOST_IN_FULL = 10  # files


# --- info


def info_report(report: Any) -> Iterator[str]:
    """A block for every file, the header of WAV files as a table; of many files one line each."""
    if len(report.files) > MOST_IN_FULL:
        yield from _info_table(report.files)
        return
    for number, file in enumerate(report.files):
        if number:
            yield ""
        yield from table([(file.path,)], paths=[0])
        yield from (f"  {line}" for line in table(list(_about(file))))
        if file.wav is not None:
            yield ""
            yield from _header(file.wav)


def _info_table(files: list[Any]) -> list[str]:
    rows = [
        (
            file.codec or "-",
            f"{file.sample_rate or '-'}",
            f"{file.n_channels or '-'}",
            f"{file.bit_depth or '-'}",
            "-" if file.duration_s is None else f"{file.duration_s:.2f}",
            "-" if file.mean_bit_rate_bps is None else f"{file.mean_bit_rate_bps / 1000:.0f}",
            _verdict(file),
            file.path,
        )
        for file in files
    ]
    head = ("codec", "Hz", "channels", "bits", "seconds", "kbit/s", "header", "file")
    return table(rows, head=head, right=[1, 2, 3, 4, 5], paths=[7])


def _verdict(file: Any) -> str:
    if file.wav is None:
        return ""
    return _count(len(file.wav.contradictions), "contradiction") if file.wav.contradictions else "agrees"


def _about(file: Any) -> Iterator[tuple[str, str]]:
    if file.error:
        yield "sound", f"none: {file.error}"
    else:
        yield "container", _named(file.container, file.container_name)
        yield "codec", _named(file.codec, file.codec_name) + {True: ", lossy", False: ", lossless"}.get(file.lossy, "")
        yield "rate", f"{file.sample_rate} Hz"
        yield "channels", f"{file.n_channels}{_layout(file)}"
        yield "bit depth", _depth(file)
        yield "duration", f"{duration_text(file.duration_s)} ({file.duration_s:.3f} s)"
        yield "bit rate", _bit_rate(file)
    yield "size", f"{file.size_bytes} bytes"
    for key, value in file.tags.items():
        shown = value if len(value) <= WIDEST_TAG else value[:WIDEST_TAG] + "…"
        yield f"tag {key}", shown


def _named(short: str, name: str) -> str:
    return short if short == name else f"{short}: {name}"


def _depth(file: Any) -> str:
    if file.bit_depth:
        return _count(file.bit_depth, "bit")
    return "none, as the codec is lossy" if file.lossy else "not known"


def _layout(file: Any) -> str:
    return f", {file.layout}" if file.layout and "channels" not in file.layout else ""


def _bit_rate(file: Any) -> str:
    mean = f"{file.mean_bit_rate_bps / 1000:.1f} kbit/s"
    if file.bit_rate_bps is None:
        return f"{mean}, the whole file"
    return f"{file.bit_rate_bps / 1000:.1f} kbit/s; the whole file {mean}"


def _header(header: Any) -> Iterator[str]:
    rows = [
        (str(field.offset), str(field.size), field.chunk, field.name, str(field.value), field.meaning)
        for field in header.fields
    ]
    head = ("offset", "bytes", "chunk", "field", "value", "meaning")
    yield from (f"  {line}" for line in table(rows, head=head, right=[0, 1]))
    yield ""
    if not header.contradictions:
        yield "  The header agrees with itself and with the file's length."
        return
    yield "  What contradicts itself:"
    for text in header.contradictions:
        first, *more = wrap(text)
        yield f"  - {first}"
        yield from (f"    {line}" for line in more)


# --- convert


def convert_report(done: Any) -> Iterator[str]:
    """What was written, then what it cost."""
    yield f"wrote {done.output}"
    yield from (f"  {line}" for line in table(list(_converted(done))))


def _converted(done: Any) -> Iterator[tuple[str, str]]:
    kept = f", {done.file_bits} bits" if done.file_bits else ", lossy" if done.lossy else ""
    yield "format", f"{done.codec}{kept}, {done.file_rate} Hz, {_count(done.n_channels, 'channel')}"
    yield "length", f"{done.n_samples} samples, {duration_text(done.duration_s)}"
    if done.to_rate != done.from_rate:
        how = "anti-alias filter" if done.filtered else "no filter"
        yield "rate", f"{done.from_rate} Hz -> {done.to_rate} Hz, {how}"
    if done.folded_db is not None:
        what = "removed by the filter" if done.filtered else "folded down: aliasing"
        yield f"above {done.to_rate / 2:g} Hz", f"{_db(done.folded_db)} of the sound's power, {what}"
    yield "level", f"peak {_db(done.peak_dbfs, 'dBFS')}, RMS {_db(done.rms_dbfs, 'dBFS')}"
    if done.bits is None:
        return
    yield "quantised to", f"{_count(done.bits, 'bit')}{', TPDF dither' if done.dither else ''}"
    yield "SNR measured", _snr(done.snr_db)
    less = " - 4.77" if done.dither else ""
    theory = f"{done.full_scale_snr_db:.2f} dB for a full-scale sine (6.02 x {done.bits} + 1.76{less})"
    yield "SNR in theory", theory
    yield "", f"{_db(done.expected_snr_db, places=2)} for a sound of this level"
    yield "clipped", _count(done.n_clipped, "sample")


def _snr(value: float) -> str:
    if math.isnan(value):
        return "not defined: silence"
    return "infinite: nothing changed" if value == math.inf else _db(value, places=2)


# --- level


def level_report(report: Any) -> Iterator[str]:
    """One file in full; several as a table, one line each."""
    if len(report.files) == 1:
        yield from _level_in_full(report.files[0])
    elif report.files:
        yield from _level_table(report.files)


def _level_table(files: list[Any]) -> list[str]:
    head = ("peak dBFS", "RMS dBFS", "crest dB", "LUFS", "range LU", "peak dBTP", "largest DC")
    heard = any(file.intensity for file in files)
    rows = []
    for file in files:
        dc = max((channel.dc_offset for channel in file.channels), key=abs)
        numbers = (
            *(file.peak_dbfs, file.rms_dbfs, file.crest_db, file.integrated_lufs, file.loudness_range_lu),
            file.true_peak_dbtp,
        )
        cells = [*(_number(value) for value in numbers), f"{dc:+.5f}"]
        rows.append([*cells, *([_number(file.intensity.intensity_level_db)] if heard else []), file.path])
    last = len(rows[0]) - 1
    return table(rows, head=(*head, *(["L_I dB"] if heard else []), "file"), right=range(last), paths=[last])


def _level_in_full(file: Any) -> Iterator[str]:
    yield from table([(file.path,)], paths=[0])
    yield f"  {file.sample_rate} Hz, {_count(file.n_channels, 'channel')}, {duration_text(file.duration_s)}"
    yield ""
    yield from (f"  {line}" for line in table(list(_levels(file))))
    if len(file.channels) > 1:
        yield ""
        yield from (f"  {line}" for line in _channels(file.channels))
    if file.intensity:
        yield ""
        yield from (f"  {line}" for line in table(list(_in_the_air(file.intensity))))
    if file.notes:
        yield ""
    for text in file.notes:
        yield from (f"  {line}" for line in wrap(text))


def _levels(file: Any) -> Iterator[tuple[str, str]]:
    loudest = max(file.channels, key=lambda channel: channel.peak_dbfs)
    at = f", at {loudest.peak_at_s:.3f} s" if math.isfinite(file.peak_dbfs) else ""
    yield "peak", _db(file.peak_dbfs, "dBFS", 2) + at
    yield "true peak", _db(file.true_peak_dbtp, "dBTP", 2)
    yield "RMS", _db(file.rms_dbfs, "dBFS", 2)
    yield "crest factor", _db(file.crest_db, places=2)
    yield "loudness, integrated", _db(file.integrated_lufs, "LUFS")
    yield "loudness range", _db(file.loudness_range_lu, "LU")
    yield "loudest 0.4 s", _db(file.momentary_max_lufs, "LUFS")
    yield "loudest 3 s", _db(file.short_term_max_lufs, "LUFS")
    if len(file.channels) == 1:
        yield "DC offset", f"{file.channels[0].dc_offset:+.6f} of full scale"


def _channels(channels: list[Any]) -> list[str]:
    rows = [
        (
            str(number),
            *(_number(value, 2) for value in (one.peak_dbfs, one.true_peak_dbtp, one.rms_dbfs, one.crest_db)),
            f"{one.dc_offset:+.6f}",
        )
        for number, one in enumerate(channels, 1)
    ]
    head = ("channel", "peak dBFS", "peak dBTP", "RMS dBFS", "crest dB", "DC offset")
    return table(rows, head=head, right=range(6))


def _in_the_air(heard: Any) -> Iterator[tuple[str, str]]:
    yield "full scale", f"{heard.full_scale_pa:g} Pa"
    yield "pressure", f"{heard.rms_pa:.4g} Pa RMS; a sine of that has an amplitude of {heard.amplitude_pa:.4g} Pa"
    yield "intensity", f"{heard.intensity_w_m2:.4g} W/m2 = p_rms^2 / (rho c) = p^2 / (2 rho c), p the amplitude"
    yield "intensity level", _db(heard.intensity_level_db, "dB re 1e-12 W/m2", 2)
    yield "sound pressure level", _db(heard.sound_pressure_level_db, "dB re 20 uPa", 2)


# --- numbers


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _number(value: float, places: int = 1) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.{places}f}" if math.isfinite(value) else "-inf"


def _db(value: float, unit: str = "dB", places: int = 1) -> str:
    if math.isnan(value):
        return "not defined"
    return f"{value:.{places}f} {unit}" if math.isfinite(value) else f"-inf {unit} (silence)"
