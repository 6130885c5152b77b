"""Whole files as they are: every channel, at the file's own rate, in blocks, so that hours need the memory of seconds.

::

    with open_channels("talk.wav") as sound:
        for block in sound.blocks(10.0):       # float32 (n_channels, n_samples), 10 s each, the last one shorter
            print(sound.sample_rate, block.shape)

`decode` is for analyses that want one channel at a rate of their own; this is for those that judge or change the sound
itself. What is read is checked in the same way: nothing decodable, samples that are no numbers or that lie far beyond
full scale raise ``AudioError``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from volna.audio.frames import LOWEST_HZ, Run, decode_packet
from volna.audio.odd24 import as_integers
from volna.audio.reader import Reader
from volna.audio.signal import Samples, peak, resample, to_mono
from volna.audio.source import StrPath, explained, fail
from volna.errors import InputError

__all__ = ["LOUDEST", "ChannelStream", "Sound", "open_channels", "read_channels"]

LOUDEST = 8.0  # times full scale: lossy codecs overshoot by less than 2, garbage by thousands
PACKETS_AT_ONCE = 64
MOST_DAMAGED = 0.1  # share of packets that fail: more, and what is left is not the recording
SLACK_S = 0.1  # decoders drop up to this much at the ends of a file
LEAST_SHARE = 0.5  # of the declared duration: a file that holds less is broken off


class Sound(NamedTuple):
    """``samples`` float32 ``(n_channels, n_samples)`` in [-1, 1], and their rate in Hz."""

    samples: Samples
    sample_rate: int


class ChannelStream:
    """An open file read from its start to its end. Made by `open_channels`; a context manager.

    Attributes
    ----------
    path : the path as given.
    sample_rate : Hz, of the first decoded frame; a later change of rate is resampled to it.
    n_channels : of the first decoded frame; frames with other channels are mixed to mono and repeated.
    duration_s : what the container declares, or what was measured.
    n_damaged : packets that could not be decoded so far.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = path
        self.n_damaged = self._n_packets = 0
        with explained(path):
            self._reader = Reader(path)
            try:
                self.duration_s: float = self._reader.duration_s
                self._runs = self._decoded()
                first = next(self._runs, None)
                if first is None:
                    fail(path, f"none of its {self._n_packets} packets holds sound")
                self.sample_rate, self.n_channels = first.kind[0], first.kind[1]
                self._runs = itertools.chain([first], self._runs)
            except BaseException:
                self._reader.close()
                raise

    def blocks(self, block_s: float = 10.0) -> Iterator[Samples]:
        """The rest of the file in float32 ``(n_channels, n_samples)`` of `block_s` seconds each, the last one shorter.

        Raises
        ------
        AudioError
            Too much of the file is damaged, it ends long before it should, or its samples make no sense.
        """
        length = max(1, round(block_s * self.sample_rate))
        waiting: list[Samples] = []
        n_waiting = n_given = 0
        with explained(self.path):
            for run in self._runs:
                waiting.append(self._as_first(run))
                n_waiting += waiting[-1].shape[1]
                while n_waiting >= length:
                    joined = np.concatenate(waiting, axis=1)
                    waiting, n_waiting = [joined[:, length:]], n_waiting - length
                    n_given += length
                    yield joined[:, :length]
            rest = np.concatenate(waiting, axis=1) if waiting else np.zeros((self.n_channels, 0), np.float32)
            rest = rest[:, : max(0, self._n_declared() - n_given)]
            self._check_end((n_given + rest.shape[1]) / self.sample_rate)
        if rest.shape[1]:
            yield rest

    def _n_declared(self) -> int:
        """Samples that the file declares, where it can be trusted: beyond lies the encoder's padding."""
        reader = self._reader
        trusted = reader.measured or reader.format in ("mp3", "mov,mp4,m4a,3gp,3g2,mj2", "ogg")
        return math.ceil(self.duration_s * self.sample_rate) if trusted else 1 << 62

    def _check_end(self, got_s: float) -> None:
        if self.n_damaged > MOST_DAMAGED * self._n_packets + 2:
            fail(self.path, f"{self.n_damaged} of its {self._n_packets} packets are damaged")
        if got_s < min(LEAST_SHARE * self.duration_s, self.duration_s - SLACK_S):
            fail(self.path, f"expected {self.duration_s:.1f} s of audio, got {got_s:.1f} s: truncated or damaged")

    def _decoded(self) -> Iterator[Run]:
        """Every frame as a run of its own, in order."""
        context = self._reader.context
        packets = self._reader.packets()
        context.flush_buffers()
        usable: Sequence[av.Packet[Any] | None]
        while usable := list(itertools.islice(packets, PACKETS_AT_ONCE)):
            context, usable = as_integers(context, usable)
            for packet in usable:
                self._n_packets += 1
                context, runs = self._runs_of(context, packet)
                yield from runs
        yield from self._runs_of(context, None)[1]

    def _runs_of(
        self, context: AudioCodecContext, packet: av.Packet[Any] | None
    ) -> tuple[AudioCodecContext, list[Run]]:
        try:
            context, frames = decode_packet(context, packet)
        except av.error.EOFError:
            return context, []
        except av.error.FFmpegError:
            self.n_damaged += packet is not None
            return context, []
        runs = []
        for frame in frames:
            if frame.sample_rate < LOWEST_HZ:
                raise ValueError(f"a sample rate of {frame.sample_rate} Hz")
            runs.append(Run.like(frame, frame.samples))
            runs[-1].add(frame)
        return context, runs

    def _as_first(self, run: Run) -> Samples:
        samples = run.channels(0, run.n)
        loudest = peak(samples)
        if not loudest <= LOUDEST:
            beyond = f"samples {loudest:.0f} times beyond full scale"
            what = beyond if np.isfinite(loudest) else "samples that are no numbers"
            fail(self.path, f"expected samples between -1 and 1, got {what}: the file is damaged or wrongly labelled")
        if len(samples) != self.n_channels:
            samples = np.repeat(to_mono(samples)[None], self.n_channels, axis=0)
        return resample(samples, run.kind[0], self.sample_rate)

    def close(self) -> None:
        """Close the file; twice is harmless."""
        self._reader.close()

    def __enter__(self) -> ChannelStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_channels(path: StrPath) -> ChannelStream:
    """Open an audio file of any format that libav reads, to be read in blocks with all its channels.

    Raises
    ------
    AudioError
        When the file is missing, a folder, unreadable, empty, no audio, or in a format without a decoder.

    Examples
    --------
    >>> with open_channels("talk.wav") as sound:  # doctest: +SKIP
    ...     loudest = max(abs(block).max() for block in sound.blocks())
    """
    return ChannelStream(path)


def read_channels(path: StrPath, *, start_s: float = 0.0, duration_s: float | None = None) -> Sound:
    """All channels of a file, or of a span of it, at the file's own rate.

    The file is decoded from its start, so a span begins at its very sample, whatever the container.

    Parameters
    ----------
    start_s, duration_s
        The span, in seconds; to the end of the file when ``duration_s`` is None. A span that reaches beyond the end is
        cut there.

    Returns
    -------
    Sound
        float32 ``(n_channels, n_samples)`` and the rate in Hz.

    Raises
    ------
    AudioError
        When the file cannot be decoded, or the span begins after its end.
    InputError
        When the span makes no sense.

    Examples
    --------
    >>> samples, sample_rate = read_channels("talk.wav", start_s=1.5, duration_s=2.0)  # doctest: +SKIP
    """
    if not (start_s >= 0 and math.isfinite(start_s) and (duration_s is None or duration_s > 0)):
        raise InputError(f"expected a span that starts at 0 s or later and lasts, got {(start_s, duration_s)}")
    with open_channels(path) as sound:
        rate = sound.sample_rate
        begin = round(start_s * rate)
        end = (1 << 62) if duration_s is None else begin + max(1, round(duration_s * rate))
        parts, at = [], 0
        for block in sound.blocks():
            part = block[:, max(0, begin - at) : max(0, end - at)]
            at += block.shape[1]
            if part.shape[1]:
                parts.append(part.copy())
            if at >= end:
                break
    if not parts:
        fail(path, f"expected a span inside the file, got one from {start_s:.1f} s of {at / rate:.1f} s")
    return Sound(np.ascontiguousarray(np.concatenate(parts, axis=1)), rate)
