"""A path becomes samples: open, choose windows, read their packets by seeking, decode, check.

::

    with open_audio("song.mp3") as file:
        coded = file.read_segment("spread")     # three windows of 10 s, their packets only
        coded.audio_hash                        # the same when the file is moved or re-tagged
        windows = file.decode(coded, 16000)     # one float32 mono array a window

Conventions: times are in seconds from the start of the track; samples are float32 mono ``(n_samples,)``, in [-1, 1] but
for the overshoot of lossy codecs. Damaged audio is checked, never trusted: what decodes short, not at all, to something
that is not a number or far beyond full scale raises ``AudioError`` and says what was expected and what came.
"""

from __future__ import annotations

import math
from types import TracebackType

from volna.audio.coded import CodedWindow, CodedWindows, audio_hash
from volna.audio.frames import decode_packets
from volna.audio.reader import Reader
from volna.audio.signal import Samples
from volna.audio.source import StrPath, explained, fail
from volna.errors import InputError

__all__ = ["SEGMENTS", "AudioFile", "decode", "open_audio", "windows_of"]

SEGMENTS = ("spread", "start", "middle", "end")
SPREAD_S = 10.0  # each of the three windows
SEGMENT_S = 30.0  # the single window; and the length under which the whole file is taken
CENTRES = (0.25, 0.5, 0.75)

MISSING_SHARE = 0.1  # of a window: more than this lost is damage
SLACK_S = 0.1  # decoders drop up to this much at the ends of a file
LEAST_SHARE = 0.5  # of the declared duration: a file that holds less is broken off, not wrongly labelled
LOUDEST = 8.0  # times full scale: lossy codecs overshoot by less than 2, garbage by thousands


def windows_of(duration_s: float, segment: str = "spread") -> list[tuple[float, float]]:
    """Where to listen to a track: a list of ``(start_s, duration_s)``.

    ``spread`` gives three windows of 10 s centred at 25, 50 and 75 % of the track; ``start``, ``middle`` and ``end``
    give one of 30 s. A track shorter than 30 s gives one window, the whole of it.

    Raises
    ------
    InputError
        For another segment, or a duration that is not a number above zero.

    Examples
    --------
    >>> windows_of(240.0)
    [(55.0, 10.0), (115.0, 10.0), (175.0, 10.0)]
    >>> windows_of(240.0, "end")
    [(210.0, 30.0)]
    >>> windows_of(12.5)
    [(0.0, 12.5)]
    """
    if segment not in SEGMENTS:
        raise InputError(f"expected a segment out of {', '.join(SEGMENTS)}, got {segment!r}")
    if not (duration_s > 0 and math.isfinite(duration_s)):
        raise InputError(f"expected a duration above 0 s, got {duration_s}")
    if duration_s < SEGMENT_S:
        return [(0.0, float(duration_s))]
    if segment == "spread":
        return [(duration_s * centre - SPREAD_S / 2, SPREAD_S) for centre in CENTRES]
    share = {"start": 0.0, "middle": 0.5, "end": 1.0}[segment]
    return [((duration_s - SEGMENT_S) * share, SEGMENT_S)]


class AudioFile:
    """An open audio file. Made by ``open_audio``; a context manager.

    Attributes
    ----------
    path : the path as given.
    container, codec : libav's short names, as ``"mp3"``, ``"flac"``.
    sample_rate : Hz; n_channels : as the container declares them (the frames may differ).
    duration_s : above 0; measured where the container does not say, corrected by ``read_segment`` and ``decode`` where
        it turns out to be wrong.
    metadata : tags of the container and of the stream, keys in lower case, values as they stand in the file.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = path
        with explained(path):
            self._reader = Reader(path)
            try:
                stream = self._reader.stream
                self.container: str = self._reader.container.format.name
                self.codec: str = stream.codec_context.codec.canonical_name
                self.sample_rate: int = stream.sample_rate or 0
                self.n_channels: int = stream.codec_context.channels or 0
                self.metadata = _tags(self._reader.container.metadata, stream.metadata)
                self.duration_s: float = self._reader.duration_s
            except BaseException:
                self._reader.close()
                raise

    def read(self, windows: list[tuple[float, float]]) -> CodedWindows:
        """Read the packets of some windows, ``(start_s, duration_s)`` each, by seeking.

        A window that begins at 0 and reaches the end is the whole file.

        Raises
        ------
        AudioError
            When the file cannot be read.
        """
        with explained(self.path):
            coded = [self._read_window(start_s, duration_s) for start_s, duration_s in windows]
            reader = self._reader
            name = audio_hash(self.codec, self.duration_s, coded, reader.time_base, reader.hash_zero, reader.audio_end)
            return CodedWindows(tuple(coded), name)

    def read_segment(self, segment: str = "spread") -> CodedWindows:
        """Read ``windows_of(duration_s, segment)``, and again with the true duration where the declared one is wrong.

        A file that holds half of what it declares, or more, is taken for what it holds, and ``duration_s`` is
        corrected. One that holds less is broken off; decoding its windows raises.
        """
        coded = self.read(windows_of(self.duration_s, segment))
        if self._reader.duration_s != self.duration_s:  # reading showed that it is another
            self.duration_s = self._reader.duration_s
            coded = self.read(windows_of(self.duration_s, segment))
        if not any(window.longer or window.missing_s > _tolerated(window.duration_s) for window in coded.windows):
            return coded
        with explained(self.path):
            measured = self._reader.measure_end()
        if measured < self.duration_s * LEAST_SHARE:
            return coded
        self.duration_s = measured
        return self.read(windows_of(measured, segment))

    def decode(self, coded: CodedWindows, sample_rate: int) -> list[Samples]:
        """Decode windows to float32 mono at ``sample_rate`` Hz, one array each.

        Channels are mixed by their mean; resampling is soxr HQ, once a window.

        Raises
        ------
        AudioError
            When a window comes back more than a tenth short, or holds samples that are not finite or are beyond eight
            times full scale.
        """
        if sample_rate <= 0:
            raise InputError(f"expected a sample rate above 0 Hz, got {sample_rate}")
        with explained(self.path):
            return [self._decode_window(window, sample_rate) for window in coded.windows]

    def _read_window(self, start_s: float, duration_s: float) -> CodedWindow:
        if not (start_s >= 0 and 0 < duration_s < math.inf):
            raise InputError(f"expected a window that starts at 0 s or later and lasts, got {(start_s, duration_s)}")
        whole = start_s == 0 and duration_s >= self.duration_s - SLACK_S
        return self._reader.read(CodedWindow(start_s, duration_s, whole))

    def _decode_window(self, window: CodedWindow, sample_rate: int) -> Samples:
        if not window.packets:
            fail(self.path, f"expected audio at {_clock(window.start_s)}, found none{self._where_it_ends(window)}")
        reader = self._reader
        out = decode_packets(
            reader.context, window.packets, reader.time_base, reader.origin, window.duration_s + 2 * reader.preroll_s
        )
        span = (-math.inf, math.inf) if window.whole else (window.start_s, window.duration_s)
        samples, got_s, loudest = out.samples(*span, sample_rate)
        if got_s <= 0:
            fail(self.path, f"none of its {len(window.packets)} packets holds sound{_because(out.failure)}")
        expected_s = min(window.duration_s, self.duration_s) if window.whole else window.duration_s
        # The end of a whole file may be broken off, and its measured length is only as good as its packets' timestamps.
        lenient = window.whole and (out.n_trailing > 0 or reader.measured)
        least_s = min(expected_s - _tolerated(expected_s), expected_s * LEAST_SHARE if lenient else math.inf)
        if got_s < least_s or out.n_holes > MISSING_SHARE * len(window.packets) + 2:
            n_failed = out.n_holes + out.n_trailing
            fail(
                self.path,
                f"expected {expected_s:.1f} s of audio at {_clock(window.start_s)}, got {got_s:.1f} s"
                f" ({n_failed} of {len(window.packets)} packets damaged){_because(out.failure)}"
                f"{self._where_it_ends(window)}",
            )
        if not loudest <= LOUDEST:
            what = (
                f"samples {loudest:.0f} times beyond full scale"
                if math.isfinite(loudest)
                else "samples that are no numbers"
            )
            fail(self.path, f"expected samples between -1 and 1, got {what}: the file is damaged or wrongly labelled")
        if not window.whole:
            return samples
        if abs(got_s - self.duration_s) > SLACK_S:
            self.duration_s = got_s
        return samples[: math.ceil(self.duration_s * sample_rate)]  # without the encoder's padding at the end

    def _where_it_ends(self, window: CodedWindow) -> str:
        if not window.missing_s:
            return ""
        return f"; the file declares {_clock(self.duration_s)} but its audio ends early: truncated or damaged"

    def close(self) -> None:
        """Close the file; twice is harmless."""
        self._reader.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_audio(path: StrPath) -> AudioFile:
    """Open an audio file of any format that libav reads; its first audio stream is taken, pictures are ignored.

    Raises
    ------
    AudioError
        When the file is missing, a folder, unreadable, empty, no audio, or in a format without a decoder.
    """
    return AudioFile(path)


def decode(path: StrPath, *, sample_rate: int, start_s: float = 0.0, duration_s: float | None = None) -> Samples:
    """Decode a file, or a span of it, to float32 mono samples at ``sample_rate`` Hz.

    Parameters
    ----------
    start_s, duration_s
        The span, in seconds; to the end of the file when ``duration_s`` is None. A span that reaches beyond the end is
        cut there.

    Raises
    ------
    AudioError
        When the file cannot be decoded, or the span begins after its end.
    """
    with open_audio(path) as file:
        left_s = file.duration_s - start_s
        if left_s <= 0:
            fail(path, f"expected a span inside the file, got one from {start_s:.1f} s of {file.duration_s:.1f} s")
        coded = file.read([(start_s, left_s if duration_s is None else min(duration_s, left_s))])
        return file.decode(coded, sample_rate)[0]


def _tolerated(duration_s: float) -> float:
    return max(SLACK_S, MISSING_SHARE * duration_s)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _because(failure: str) -> str:
    return f" (libav: {failure})" if failure else ""


def _tags(*tables: dict[str, str]) -> dict[str, str]:
    """Tags of the container, then those of the stream that it does not have."""
    tags: dict[str, str] = {}
    for table in tables:
        for key, value in table.items():
            tags.setdefault(_text(key).lower(), _text(value))
    return tags


def _text(value: str) -> str:
    """Bytes that were not UTF-8 come as surrogates: read them as Windows-1252, what old taggers wrote."""
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return value.replace("\x00", "").strip()
