"""What `words train` keeps: the recognisers chosen, their calibration, and the file that holds them.

Arrays of the file: ``hmm/*`` (`volna.tasks.words.hmm.WordHmms`), ``dtw/templates`` float16 and ``dtw/labels`` int16,
``crnn/file`` uint8, the bytes of a picture classifier. The settings hold the words and the calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from volna.errors import ModelError
from volna.tasks.saved import Saved
from volna.tasks.words.choosing import DtwSettings, HmmSettings, hmm_says
from volna.tasks.words.decisions import Calibration, Said, said_by_dtw
from volna.tasks.words.dtw import as_templates, distances, word_distances
from volna.tasks.words.features import cepstra
from volna.tasks.words.hmm import WordHmms

__all__ = ["KIND", "RECOGNISERS", "WITH", "Templates", "WordModel"]

KIND = "words"
RECOGNISERS = ("hmm", "dtw", "crnn")
# What may be asked for: a recogniser, or several whose probabilities are multiplied.
WITH = {
    "hmm": ("hmm",), "dtw": ("dtw",), "crnn": ("crnn",), "hmm+dtw": ("hmm", "dtw"), "all": RECOGNISERS,
}  # fmt: skip


@dataclass(frozen=True)
class Templates:
    """``rows`` float32 ``(n, n_frames, D)`` of the words ``labels`` int64 ``(n,)``."""

    rows: np.ndarray
    labels: np.ndarray


@dataclass
class WordModel:
    """The words, in the order of all numbers, and the recognisers that there are."""

    words: tuple[str, ...]
    calibration: Calibration
    hmm: tuple[WordHmms, HmmSettings] | None = None
    dtw: tuple[Templates, DtwSettings] | None = None
    crnn: bytes | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the recognisers inside."""
        return tuple(name for name in RECOGNISERS if getattr(self, name) is not None)

    def says(self, log_mels: Sequence[np.ndarray]) -> dict[str, Said]:
        """What HMM and DTW say of words; the CRNN needs torch and is asked elsewhere."""
        said = {}
        if self.hmm is not None:
            said["hmm"] = hmm_says(self.hmm[0], log_mels, self.hmm[1])
        if self.dtw is not None:
            templates, settings = self.dtw
            heard = as_templates([cepstra(each, variance=True) for each in log_mels])
            apart = np.stack([distances(each, templates.rows) for each in heard])
            said["dtw"] = said_by_dtw(word_distances(apart, templates.labels, len(self.words), settings.n_nearest))
        return said

    def as_saved(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and settings for `volna.tasks.saved`."""
        arrays: dict[str, np.ndarray] = {}
        settings: dict[str, Any] = {"words": list(self.words), "calibration": asdict(self.calibration)}
        settings["about"] = self.about
        if self.hmm is not None:
            arrays |= {f"hmm/{name}": array for name, array in self.hmm[0].arrays().items()}
            settings["hmm"] = self.hmm[1].as_dict()
        if self.dtw is not None:
            templates, of_dtw = self.dtw
            arrays |= {"dtw/templates": templates.rows.astype(np.float16)}
            arrays |= {"dtw/labels": templates.labels.astype(np.int16)}
            settings["dtw"] = of_dtw.as_dict()
        if self.crnn is not None:
            arrays["crnn/file"] = np.frombuffer(self.crnn, np.uint8)
        return arrays, settings

    @classmethod
    def from_saved(cls, saved: Saved, name: str = "this model") -> WordModel:
        """The model that `as_saved` wrote down.

        Raises
        ------
        ModelError
            Something is missing.
        """
        try:
            return _rebuilt(saved)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{name}: is damaged ({type(error).__name__}: {error}); train it again") from error


def _rebuilt(saved: Saved) -> WordModel:
    settings: Mapping[str, Any] = saved.settings
    calibration = dict(settings["calibration"])
    calibration["evidence"] = {part: (float(c), float(s)) for part, (c, s) in calibration["evidence"].items()}
    model = WordModel(tuple(settings["words"]), Calibration(**calibration), about=dict(settings["about"]))
    if "hmm" in settings:
        arrays = {name.removeprefix("hmm/"): array for name, array in saved.items() if name.startswith("hmm/")}
        model.hmm = WordHmms.from_arrays(arrays), HmmSettings(**settings["hmm"])
    if "dtw" in settings:
        rows, labels = saved["dtw/templates"].astype(np.float32), saved["dtw/labels"].astype(np.int64)
        model.dtw = Templates(rows, labels), DtwSettings(**settings["dtw"])
    if "crnn/file" in saved:
        model.crnn = saved["crnn/file"].astype(np.uint8).tobytes()
    if set(model.parts) != set(model.calibration.sharpness):
        raise ValueError(f"it holds {', '.join(model.parts)} and knows of {', '.join(model.calibration.sharpness)}")
    return model
