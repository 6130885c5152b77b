"""`codec evaluate`: bits on the disk against what is lost, beside Opus, MP3 and the same mel without the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.pool import Task
from volna.workflows.common import Progress
from volna.workflows.each_file import each_file
from volna.workflows.files import check_free, new_file
from volna.workflows.making.codec_measuring import GRIFFIN_LIM, MP3, OPUS, VOLNA
from volna.workflows.making.compressing import read_codec
from volna.workflows.results import Failure

__all__ = ["KBPS", "CodecEvaluation", "CodecRow", "codec_evaluate"]

KBPS = (0.75, 1.5, 3.0, 6.0)
OPUS_KBPS = (6.0, 8.0, 12.0)
MP3_KBPS = (8.0, 16.0, 24.0)
TIMEOUT_S = 600.0
FIXED = ("codec", "rate_kbps", "n_bytes", "duration_s", "encode_s", "decode_s")


@dataclass(frozen=True)
class CodecRow:
    """A codec at a rate, over all files: ``kbps`` on the disk, means of the scores, speeds in times real time.

    ``scores``: ``si_sdr_db`` (the higher, the nearer), ``stft`` and ``mel_db`` (the lower, the nearer), see
    `volna.features.sound_distance`, and those of a further scorer.
    """

    codec: str
    rate_kbps: float
    kbps: float
    scores: dict[str, float]
    encode_times_real_time: float
    decode_times_real_time: float


@dataclass
class CodecEvaluation:
    """The answer to `codec evaluate`."""

    model: str
    model_id: str
    sample_rate: int
    n_files: int
    duration_s: float
    rows: list[CodecRow]
    failures: list[Failure] = field(default_factory=list)
    output: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def codec_evaluate(
    paths: Sequence[str | Path],
    *,
    model: str | Path | None = None,
    kbps: Sequence[float] = KBPS,
    output: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    scorer: str = "",
    progress: Progress | None = None,
) -> CodecEvaluation:
    """Measure a codec on files that it was not trained on.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively; of each the middle 30 s, mixed to one channel, are measured.
    model : str or Path, optional
        A codec file; by default the one that comes with Volna.
    kbps : sequence of float
        Rates asked for.
    output : str or Path, optional
        Where a picture of rate against distance goes, a PNG.
    force : bool
        Replace a picture that exists.
    jobs : int, optional
        Processes; all cores by default.
    scorer : str
        ``"module:function"`` of further scores, see `volna.workflows.making.codec_measuring.measure_file`.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Raises
    ------
    InputError
        No path, no rate, or the picture exists.
    ModelError
        The model cannot be read.

    Examples
    --------
    >>> codec_evaluate(["talks"], kbps=[1.5]).rows[0].scores["mel_db"]  # doctest: +SKIP
    3.1
    """
    picture = Path(output).expanduser() if output is not None else None
    _check(kbps, picture, force)
    trained = read_codec(model)
    chosen = tuple(sorted(set(kbps)))
    rates = {VOLNA: chosen, GRIFFIN_LIM: chosen, OPUS: OPUS_KBPS, MP3: MP3_KBPS}
    setup = Task("volna.workflows.making.codec_measuring:use_codec", (None if model is None else str(model),))
    results, failures = each_file(
        paths, "volna.workflows.making.codec_measuring:measure_file", (rates, scorer), stage="Measuring", jobs=jobs,
        timeout_s=TIMEOUT_S, setup=setup, progress=progress,
    )  # fmt: skip
    evaluation = CodecEvaluation(
        trained.name,
        trained.id,
        trained.sample_rate,
        len(results),
        round(sum(rows[0]["duration_s"] for rows in results.values()), 1),
        _rows(rates, list(results.values())),
        failures,
    )
    if picture is not None and results:
        from volna.plots.codec import draw_rates

        with new_file(picture, force=force) as file:
            draw_rates([vars(row) for row in evaluation.rows], file, title=_title(evaluation))
        evaluation.output = str(picture)
    return evaluation


def _check(kbps: Sequence[float], picture: Path | None, force: bool) -> None:
    if not kbps or not all(0 < rate < math.inf for rate in kbps):
        raise InputError(f"expected rates above 0 kbit/s, got {list(kbps)}")
    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise InputError(f"{picture}: expected a name that ends in .png")
        check_free(picture, force=force)


def _title(evaluation: CodecEvaluation) -> str:
    return f"{evaluation.n_files} sounds, {evaluation.duration_s:.0f} s, at {evaluation.sample_rate} Hz"


def _rows(rates: Mapping[str, Sequence[float]], files: list[list[dict[str, Any]]]) -> list[CodecRow]:
    if not files:
        return []
    rows = []
    for number in range(sum(map(len, rates.values()))):
        same = [of_file[number] for of_file in files]
        total_s = sum(row["duration_s"] for row in same)
        names = [name for name in same[0] if name not in FIXED]
        rows.append(
            CodecRow(
                same[0]["codec"],
                same[0]["rate_kbps"],
                round(8e-3 * sum(row["n_bytes"] for row in same) / total_s, 3),
                {name: _mean([row[name] for row in same]) for name in names},
                round(total_s / max(sum(row["encode_s"] for row in same), 1e-9), 1),
                round(total_s / max(sum(row["decode_s"] for row in same), 1e-9), 1),
            )
        )
    return rows


def _mean(values: list[float]) -> float:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return round(float(np.mean(known)), 4) if known else math.nan
