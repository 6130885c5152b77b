"""What `volna codec train` does in a child: train, choose steps for the rates, count symbols, write the file."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volna.errors import InputError

if TYPE_CHECKING:
    from volna.models.codec import Codec
    from volna.models.codec_file import Setting
    from volna.training.clips import Clips
    from volna.training.fit import Fitted

__all__ = ["RATES_KBPS", "codec_of", "settings_of", "train_task"]

RATES_KBPS = (0.75, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0)
STEP_RANGE = (0.5, 8.0)  # where steps for the rates are looked for
N_TRIED = 6


def train_task(task: Mapping[str, Any]) -> Generator[tuple[str, dict[str, Any]], Any, dict[str, Any]]:
    """Train, as a task of `volna.pool`: yields ``("progress", event)``, returns ``codec`` (bytes), history, summary.

    ``task``: ``folder`` and ``names`` of the kept sounds, ``groups``, ``sample_rate``, ``settings`` of
    `volna.training.codec.CodecTraining`, ``fit`` of `volna.training.fit.FitConfig`, ``state_file``, ``fingerprint``.
    """
    from volna.training.clips import open_clips
    from volna.training.codec import CodecTraining, train_codec

    clips = open_clips(
        task["folder"], task["names"], task["sample_rate"], groups=task.get("groups"), seed=task["fit"].get("seed", 0)
    )
    try:
        settings = CodecTraining(**task["settings"])
        settings = replace(settings, fit=replace(settings.fit, **task["fit"]))
    except TypeError as error:
        raise InputError(f"a setting of the training does not exist: {error}") from error
    state_file = Path(task["state_file"]) if task.get("state_file") else None
    steps = train_codec(clips, settings, state_file=state_file, fingerprint=task.get("fingerprint", ""))
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            fitted = stop.value
            break
        yield "progress", event
    codec, summary = codec_of(fitted, clips)
    return {"codec": codec, "history": fitted.history, "summary": summary}


def codec_of(fitted: Fitted, clips: Clips) -> tuple[bytes, dict[str, Any]]:
    """The file of a trained codec, its rates and frequencies found on its own sounds, and the summary in it."""
    from volna.models.codec_file import TrainedCodec, as_stored, to_bytes

    model = as_stored(fitted.model)
    rates = settings_of(model, clips, RATES_KBPS)
    summary = fitted.summary | {"n_sounds": len(clips.sounds), "n_held": len(clips.held)}
    summary |= {"sound_s": round(clips.seconds, 1), "kbps": [rate.bit_rate / 1000 for rate in rates]}
    return to_bytes(TrainedCodec(model, rates, summary)), summary


def settings_of(model: Codec, clips: Clips, rates_kbps: Sequence[float]) -> list[Setting]:
    """Steps for some rates, between a few that are tried, and the frequencies of symbols at each, over all sounds."""
    from volna.training.codec import latents_of

    latents = latents_of(model, clips)
    mel = model.config.vocoder_config.mel_config
    seconds = sum(map(len, latents)) * model.config.stride / mel.frames_per_s
    grid = [_setting(model, latents, float(step), seconds) for step in np.geomspace(*STEP_RANGE, N_TRIED)]
    known = np.log([setting.bit_rate for setting in grid][::-1]), np.log([setting.step for setting in grid][::-1])
    found = [
        _setting(model, latents, float(np.exp(np.interp(np.log(1000 * rate), *known))), seconds) for rate in rates_kbps
    ]
    return [first for first, second in zip(found, [*found[1:], None], strict=True) if _differ(first, second)]


def _differ(first: Setting, second: Setting | None) -> bool:
    """Whether two rates are worth keeping both: at the end of the range of steps they may be one."""
    return second is None or second.bit_rate > 1.05 * first.bit_rate


def _setting(model: Codec, latents: Sequence[np.ndarray], step: float, seconds: float) -> Setting:
    from volna.models.codec_file import Setting, levels_of
    from volna.tasks.range_coding import bits_of, fit_tables

    n_levels = levels_of(model, step)
    half = n_levels // 2
    symbols = [(np.clip(np.rint(each / step), -half, half) + half).astype(np.int32) for each in latents]
    tables = fit_tables(symbols, n_levels)
    bit_rate = max(1, round(bits_of(symbols, tables) / seconds))
    return Setting(step, bit_rate, tables.frequencies, tables.contexts)
