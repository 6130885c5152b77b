"""The picture of `denoise --plot`: the file that came in above the file that was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from volna.audio.channels import open_channels
from volna.audio.signal import Samples, to_mono
from volna.features.over_time import Settings, make_spectrogram
from volna.plots import denoising as plots
from volna.workflows.files import new_file
from volna.workflows.listening.pieces import channel_blocks

__all__ = ["draw_before_after"]

N_FFT_S = 0.046
N_MELS = 128
SHORT_S = 60.0
FAINTEST_DB = 120.0  # below full scale


def draw_before_after(source: str | Path, output: str | Path, picture: Path, how: str, *, force: bool = False) -> None:
    """Draw both files, mixed to mono, over the frequencies that both have."""
    with open_channels(source) as one, open_channels(output) as other:
        rates = one.sample_rate, other.sample_rate
    sounds = [_bands(path, min(rates)) for path in (source, output)]
    with new_file(picture, force=force) as file:
        plots.draw_before_after(
            sounds[0][0], sounds[1][0], file, frequencies_hz=sounds[0][1], duration_s=sounds[0][2],
            title=Path(source).name, names=("before", f"after: {how}"),
        )  # fmt: skip


def _bands(path: str | Path, lowest_rate: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Mel bands in dB, their middles, and the duration."""
    with open_channels(path) as sound:
        n_fft = 2 ** max(4, round(np.log2(N_FFT_S * sound.sample_rate)))
        hop = n_fft // 4 if sound.duration_s < SHORT_S else None  # columns of a longer sound are means of frames
        settings = Settings(
            "mel", n_fft=n_fft, hop_length=hop, n_mels=N_MELS, fmin_hz=0.0, fmax_hz=lowest_rate / 2, ref=1.0,
            top_db=FAINTEST_DB,
        )  # fmt: skip
        n = [0]

        def mono() -> Iterator[Samples]:
            for block in channel_blocks(sound):
                n[0] += block.shape[1]
                yield to_mono(block)

        made = make_spectrogram(mono(), sound.sample_rate, settings)
        assert made.frequencies_hz is not None
        return made.values, made.frequencies_hz, n[0] / sound.sample_rate
