"""Models as files: `train_folder` makes one of any sounds, `model_show` reads one, `export_model` makes ONNX of one."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volna.errors import InputError, ModelError
from volna.features.recipe import ANALYSIS, FEATURES_VERSION
from volna.plots import training as training_plots
from volna.plots.figure import can_draw
from volna.pool import Pool, Task, default_jobs
from volna.workflows import learning
from volna.workflows.common import Progress, library_path, open_library, silent
from volna.workflows.files import check_free, new_file
from volna.workflows.folder_sounds import FolderSounds, hear_folder

__all__ = [
    "DEVICES",
    "ExportReport",
    "ModelReport",
    "describe",
    "export_model",
    "model_show",
    "read_model",
    "train_folder",
]

DEVICES = ("auto", "cpu", "cuda")
N_PICTURES, PICTURE_FRAMES = 3, 128  # sounds in the picture of reconstructions, and how much of each: about 3 s
ONNX_FILES = ("encoder.onnx", "decoder.onnx", "model.json")


@dataclass
class ModelReport:
    """What a model is, what it was trained on, and how well it reconstructs beside two that learn nothing or little."""

    id: str
    file: str
    n_bytes: int
    architecture: str
    config: dict[str, Any]
    n_parameters: int
    stride: int
    dim: int
    input: str
    mel_config: dict[str, Any]
    normalisation: dict[str, Any]
    summary: dict[str, Any]
    version: str

    @property
    def losses(self) -> dict[str, float | None]:
        """Reconstruction loss on what the training held out: of the model, of PCA, of the mean spectrum."""
        keys = {"model": "val_loss", "pca": "val_loss_pca", "mean_spectrum": "val_loss_mean_spectrum"}
        return {name: self.summary.get(key) for name, key in keys.items()}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"losses": self.losses}


@dataclass
class ExportReport:
    """What an export wrote, and how far onnxruntime and torch are apart, as a share of the largest value."""

    files: list[str]
    opset: int
    checked: bool
    largest_difference: float | None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def model_show(file: str | Path | None = None, *, library: str | Path | None = None) -> ModelReport:
    """What a model file says of itself; without one, the active model of the library.

    Raises
    ------
    ModelError
        The file is missing, damaged, no Volna model or of a newer Volna, or the library has no model.

    Examples
    --------
    >>> model_show("model.safetensors").architecture  # doctest: +SKIP
    'conv'
    """
    if file is not None:
        checkpoint, source = read_model(file), str(file)
    else:
        source = str(library_path(library))
        with open_library(library) as catalogue:
            active = catalogue.active_model()
            if active is None:
                raise ModelError(f"{source}: has no model yet; volna train makes one")
            checkpoint = catalogue.model_bytes(active.id)
    return ModelReport(file=source, n_bytes=len(checkpoint), **describe(checkpoint, source))


def export_model(file: str | Path, folder: str | Path, *, force: bool = False) -> ExportReport:
    """Write a model's encoder and decoder as ONNX, with a description of their input, into a folder.

    Parameters
    ----------
    file : str or Path
        A checkpoint file.
    folder : str or Path
        Made when missing; gets ``encoder.onnx``, ``decoder.onnx`` and ``model.json``.
    force : bool
        Replace such files.

    Raises
    ------
    ModelError
        The model cannot be read or exported, or ``onnx`` and ``onnxscript`` are not installed.
    InputError
        The files exist, or the folder cannot be made.

    Examples
    --------
    >>> export_model("model.safetensors", "onnx").checked  # doctest: +SKIP
    True
    """
    target = Path(folder).expanduser()
    checkpoint = read_model(file)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made: {error.strerror or error}") from error
    for name in ONNX_FILES:
        check_free(target / name, force=force)
    with Pool(1) as pool:
        (outcome,) = pool.run([Task("volna.models.export:export_onnx", (checkpoint, str(target)))])
    if outcome.reason is not None:
        raise ModelError(outcome.reason)
    report = ExportReport([str(target / name) for name in ONNX_FILES], **outcome.result)
    if not report.checked:
        report.notes.append("not checked against torch: that needs onnxruntime (pip install 'volna[onnx]')")
    return report


def read_model(file: str | Path) -> bytes:
    """The bytes of a checkpoint file."""
    try:
        return Path(file).expanduser().read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model {os.fspath(file)}: {error.strerror or error}") from error


def describe(checkpoint: bytes, source: str) -> dict[str, Any]:
    """What a checkpoint says of itself, read in a child process: this one never loads torch."""
    with Pool(1) as pool:
        (outcome,) = pool.run([Task("volna.workflows.jobs:describe_model", (checkpoint, source))])
    if outcome.reason is not None:
        raise ModelError(outcome.reason)
    about: dict[str, Any] = outcome.result
    return about


def train_folder(
    folder: str | Path,
    output: str | Path = "model.safetensors",
    *,
    model: str = "conv",
    input: str | None = None,
    latent: int | None = None,
    loss: str = "mse",
    optimizer: str = "adamw",
    preset: str = "small",
    train_time_s: float = 300.0,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train an autoencoder on the sounds under a folder and write it as one file; no library is read or changed.

    Parameters
    ----------
    folder : str or Path
        Any sounds, few or short: what is under 3 s is repeated, nothing is dropped for its length.
    output : str or Path
        The checkpoint. Beside it: ``<output>.work``, the log-mels and the state from which `resume` goes on, and, where
        matplotlib is installed, ``<output>.curve.png`` and ``<output>.reconstruction.png``.
    model : str
        An architecture, a key of `volna.models.MODELS`.
    input : {"log-mel", "linear", "mfcc", "wave"}, optional
        What the model hears, see `volna.features.inputs`; by default the log-mel, and samples for the model "wave".
    latent : int, optional
        Numbers per latent; 64 by default, 16 in the preset "tiny".
    loss : {"mse", "mae", "bce", "spectral_convergence"}
        Of the reconstruction.
    optimizer : {"adamw", "adam", "sgd", "rmsprop"}
        With the learning rate of adamw.
    preset : {"small", "tiny", "gpu"}
        Size and length: the default; a quick try; a larger model for more steps, for a machine with much more to give.
    train_time_s : float
        Seconds of training at most.
    resume : bool
        Go on from the state of an earlier training of the same settings and sounds; otherwise it is discarded.
    seed : int
        Of the initial weights, the batches and what is held out.
    device : {"auto", "cpu", "cuda"}
        Where it trains: "auto" is a GPU where torch finds one, else the processor.
    force : bool
        Replace an output that exists; `resume` does so too.
    jobs : int, optional
        Processes for hearing and threads for training; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    dict
        What the training loop reports, and ``output``, ``id``, ``found = n_tracks + copies + failed + left_out``,
        ``short``, ``pictures``, ``failures``, ``notes``.

    Raises
    ------
    InputError
        A setting does not exist, the folder holds no audio, or the output exists.
    ModelError
        No sound could be heard, or the training ended without a model.

    Examples
    --------
    >>> train_folder("sounds", "model.safetensors", preset="tiny")["n_tracks"]  # doctest: +SKIP
    400
    """
    started_s = time.monotonic()
    target, progress, n_jobs = Path(output).expanduser(), progress or silent, jobs or default_jobs()
    if device not in DEVICES:
        raise InputError(f"expected device to be one of {', '.join(DEVICES)}, got {device!r}")
    heard = input or ("wave" if model == "wave" else "log-mel")
    check_free(target, force=force or resume)
    work = target.with_name(target.name + ".work")
    cache = work / (FEATURES_VERSION if heard == "log-mel" else f"{FEATURES_VERSION}-{heard}")
    with Pool(1, n_threads=n_jobs) as pool, contextlib.ExitStack() as held:  # one child for all that needs torch
        config = learning.training_config(
            pool, model=model, input=heard, latent=latent, loss=loss, optimizer=optimizer, preset=preset
        )
        if not held.enter_context(learning.training_lock(cache)):
            raise ModelError(f"{cache.parent}: another run is training there; wait for it to end")
        sounds = hear_folder(folder, cache, heard, seed, n_jobs, progress)
        if not resume:
            for state in cache.glob("*.state"):
                state.unlink()
        config |= {"time_budget_s": train_time_s, "seed": seed, "n_threads": n_jobs, "device": device}
        go_on = "--resume goes on from its last state"
        result = learning.train_on_cache(
            pool, cache, config, sounds.groups, rows=sounds.rows(), resume=resume,
            log_folder=work / "tensorboard", go_on=go_on, progress=progress,
        )  # fmt: skip
        checkpoint, summary = result["checkpoint"], result["summary"]
        with new_file(target, force=True) as file:
            file.write(checkpoint)
        notes = ["nothing to resume: no earlier training of these settings and sounds is kept beside the output"]
        notes = notes if resume and not summary["resumed"] and result["history"] else []
        notes += too_short(summary)
        pictures = _draw(pool, result, target, cache, sounds, notes)
    return summary | {
        "output": str(target),
        "id": hashlib.sha256(checkpoint).hexdigest()[:16],
        **sounds.sum(),
        "pictures": pictures,
        "work_folder": str(work),
        "seconds": round(time.monotonic() - started_s, 1),
        "failures": sounds.failures,
        "notes": notes,
    }


def too_short(summary: Mapping[str, Any]) -> list[str]:
    """A remark where the time was over before anything was learnt."""
    steps, batch = summary["steps"], summary["config"]["batch_size"]
    if summary["stopped"] != "time" or steps * batch >= summary["n_training"]:
        return []
    return [f"the time was over after {steps} steps, before every sound was heard once: give it more (--time-budget)"]


def _draw(
    pool: Pool, result: Mapping[str, Any], target: Path, cache_folder: Path, sounds: FolderSounds, notes: list[str]
) -> list[str]:
    """The pictures beside the checkpoint; their paths."""
    if not can_draw():
        notes.append("no pictures: they need matplotlib (pip install 'volna[plots]')")
        return []
    summary, drawn = result["summary"], []
    if result["history"]:
        drawn.append(target.with_name(target.name + ".curve.png"))
        baselines = {"PCA": summary["val_loss_pca"], "mean spectrum": summary["val_loss_mean_spectrum"]}
        finite = {name: value for name, value in baselines.items() if math.isfinite(value)}
        loss = summary["config"]["loss"]
        title = f"{target.name}: {summary['n_training']} sounds trained on, {summary['n_validation']} held out"
        with new_file(drawn[-1], force=True) as file:
            training_plots.draw_training_curve(result["history"], file, loss=loss, baselines=finite, title=title)
    arguments = (result["checkpoint"], str(cache_folder), sounds.groups, N_PICTURES, PICTURE_FRAMES)
    (outcome,) = pool.run([Task("volna.workflows.jobs:reconstruct_held_out", arguments)])
    if outcome.reason is not None or not outcome.result:
        notes.append(f"no picture of reconstructions: {outcome.reason or 'nothing was held out'}")
        return [str(path) for path in drawn]
    drawn.append(target.with_name(target.name + ".reconstruction.png"))
    unseen = summary["n_training"] + summary["n_validation"] == summary["n_tracks"]
    seen = "sounds it was not trained on" if unseen else "what it was trained on, for want of other sounds"
    heard = summary["config"]["input"]
    pairs = [training_plots.Reconstruction(Path(sounds.paths[key]).name, *mels) for key, *mels in outcome.result]
    with new_file(drawn[-1], force=True) as file:
        training_plots.draw_reconstructions(pairs, file, ANALYSIS, f"{target.name}: {seen}", heard=heard)
    return [str(path) for path in drawn]
