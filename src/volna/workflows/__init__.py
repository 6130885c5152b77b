"""The verbs, one short function each; the Python API, the command line and whatever else talks to people share them.

A verb is imported when it is first used, so that a search does not load what only indexing needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "index": "indexing",
    "train": "learning",
    "similar": "searching",
    "wave": "playing",
    "journey": "playing",
    "save_playlist": "playing",
    "evaluate": "evaluating",
    "status": "keeping",
    "failures": "keeping",
    "forget": "keeping",
    "demo": "demonstrating",
    "log_mel": "hearing",
    "describe": "hearing",
    "embed": "embedding_files",
    "train_folder": "models",
    "model_show": "models",
    "export_model": "models",
    "info": "listening.info",
    "convert": "listening.convert",
    "level": "listening.level",
    "features": "listening.features",
    "spectrogram": "listening.spectrogram",
    "spectrograms": "listening.spectrograms",
    "spectrum": "listening.spectrum",
    "wavelet": "listening.wavelet",
    "check": "listening.check",
    "synth": "listening.synth",
    "words_train": "words",
    "words_predict": "words",
    "words_evaluate": "words_evaluating",
    "anomaly_train": "anomaly",
    "anomaly_predict": "anomaly_judging",
    "anomaly_evaluate": "anomaly_measuring",
    "classify_train": "classify",
    "classify_predict": "classify_answers",
    "classify_evaluate": "classify_measuring",
    "classify_see": "classify_seeing",
    "vocode": "making.vocoding",
    "vocode_train": "making.vocoder_learning",
    "denoise": "making.denoising",
    "denoise_train": "making.denoiser_learning",
    "encode": "making.compressing",
    "decode": "making.decompressing",
    "codec_train": "making.codec_training",
    "codec_evaluate": "making.codec_evaluating",
    "generate": "making.generating",
    "generate_train": "making.generating_training",
    "morph": "making.generating",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'volna.workflows' has no attribute {name!r}")
    return getattr(import_module(f"volna.workflows.{_PLACES[name]}"), name)
