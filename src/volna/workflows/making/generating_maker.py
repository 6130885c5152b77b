"""What `generate`, `morph` and the training of a generator share: from a file to its point, from a point to samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from volna.audio.signal import peak
from volna.errors import AudioError, ModelError
from volna.features.frames import Floats
from volna.features.sounding import sounding_mel
from volna.tasks.generation.sounds import SILENCE, as_log_mel, as_picture, cut
from volna.tasks.generation.texture import grain, with_gains
from volna.tasks.generation.wholes import Described, Space

if TYPE_CHECKING:
    from volna.models.generator_file import TrainedGenerator
    from volna.models.vocoder_file import TrainedVocoder

__all__ = ["Maker", "heard_for", "load_maker"]

LOUDEST = 0.98  # of full scale: what would be louder is turned down, not clipped
FADE_S = 0.003  # at both ends, against clicks


@dataclass
class Maker:
    """A generator with its parts unpacked; ``vocoder`` None for Griffin-Lim held to the mel."""

    trained: TrainedGenerator
    space: Space
    points: NDArray
    vocoder: TrainedVocoder | None = None

    @property
    def sample_rate(self) -> int:
        return self.trained.sample_rate

    @property
    def stride(self) -> int:
        return self.trained.model.stride

    def described(self, log_mel: Floats) -> Described:
        """The latents, length and level of a sound."""
        from volna.models.generator_use import encoded

        picture, level = as_picture(log_mel)
        return Described(encoded(self.trained.model, picture, SILENCE), log_mel.shape[1], level)

    def picture(self, sound: Described, rng: np.random.Generator) -> Floats:
        """The picture of latents, with the grain and contrast that decoding loses."""
        from volna.models.generator_use import decoded

        arrays = self.trained.arrays
        mean, spread = decoded(self.trained.model, sound.latent, sound.n_frames, SILENCE)
        noise = grain(sound.n_frames, self.trained.mel_config, rng) * spread * arrays["spread_scale"][:, None]
        return with_gains(mean + arrays["grain"][0] * noise, arrays["gains"])

    def samples(self, log_mel: Floats, seed: int) -> Floats:
        """A log-mel made audible, never beyond full scale."""
        if self.vocoder is None:
            from volna.features.refinement import sound_of_mel

            sound = sound_of_mel(log_mel, self.trained.mel_config, seed=seed)
        else:
            from volna.models.vocoder_use import vocoded

            sound = vocoded(self.vocoder, log_mel)
        sound = sound * np.float32(min(1.0, LOUDEST / max(peak(sound), 1e-9)))
        n = min(round(FADE_S * self.sample_rate), len(sound) // 2)
        edge = np.linspace(0, 1, n, dtype=np.float32)
        sound[:n] *= edge
        sound[len(sound) - n :] *= edge[::-1]
        return np.asarray(sound, np.float32)

    def made(self, sound: Described, seed: int) -> tuple[Floats, Floats]:
        """The log-mel and the samples of a described sound."""
        level = sound.level + float(self.trained.arrays["louder"][0])
        log_mel = as_log_mel(self.picture(sound, np.random.default_rng([seed, 31])), level)
        return log_mel, self.samples(log_mel, seed)


def load_maker(model: str | Path, vocoder: str | Path | None = None) -> Maker:
    """Read a generator, and a vocoder for it.

    Raises
    ------
    ModelError
        One of them cannot be read, or they do not describe sound alike.
    """
    from volna.models import generator_file

    maker = maker_of(generator_file.load(Path(model).expanduser()))
    if vocoder is not None:
        from volna.models import vocoder_file

        maker.vocoder = vocoder_file.load(Path(vocoder).expanduser())
        wanted, given = maker.trained.mel_config, maker.vocoder.mel_config
        if wanted != given:
            raise ModelError(
                f"{vocoder}: this vocoder makes sound of {given.n_mels} bands at {given.sample_rate} Hz, the generator "
                f"needs {wanted.n_mels} at {wanted.sample_rate} Hz; train one on the same sounds: volna vocode train"
            )
    return maker


def maker_of(trained: TrainedGenerator) -> Maker:
    """The maker of a generator in memory."""
    prefix = "space."
    parts = {name.removeprefix(prefix): x for name, x in trained.arrays.items() if name.startswith(prefix)}
    return Maker(trained, Space.from_arrays(parts), trained.arrays["points"])


def heard_for(maker: Maker, path: str | Path) -> Described:
    """The first sound of a file as the generator describes it.

    Raises
    ------
    AudioError
        It cannot be decoded, or is silent.
    """
    from volna.audio.decode import open_audio

    longest_s = float(maker.trained.summary["longest_s"])
    with open_audio(path) as file:
        coded = file.read([(0.0, min(file.duration_s, 60.0))])
        samples = file.decode(coded, maker.sample_rate)[0]
    sounds = cut(samples, maker.sample_rate, longest_s)
    if not sounds:
        raise AudioError(f"{path}: expected a sound of 0.05 s or more, found silence")
    return maker.described(sounding_mel(sounds[0], maker.trained.mel_config))
