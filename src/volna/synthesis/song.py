"""A song: its tempo, key and chords, and the buffer that its notes are added to.

Times are in beats; four beats are a bar. Pitches are MIDI numbers. What makes one artist differ from another is in
`Habits`, whose ranges are the same for every style, so that tempo, key, level, brightness and room tell artists apart
and not styles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Habits", "Mix", "Song", "habits_of", "write_song"]

Samples = npt.NDArray[np.float32]

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 0, 4), (1, 4, 0, 0), (0, 6, 5, 6), (0, 2, 3, 4))
BEATS_A_BAR = 4
STEPS_A_BAR = 16  # of a drum pattern


@dataclass(frozen=True)
class Habits:
    """What an artist does in every song; numbers without a unit are in [0, 1]."""

    tempo_bpm: float = 108.0
    scale: str = "minor"
    brightness: float = 0.5
    room: float = 0.3
    beat: float = 0.5  # how much percussion, in styles that can do without
    density: float = 0.5  # how many notes
    swing: float = 0.0
    voice: int = 0  # which of a style's instruments plays the tune
    warmth: float = 0.5  # how soft the amplifiers clip, how round the bass is
    level_db: float = -20.0


def habits_of(rng: np.random.Generator) -> Habits:
    """The habits of a new artist."""
    return Habits(
        tempo_bpm=float(rng.uniform(76, 140)),
        scale=str(rng.choice(list(SCALES))),
        brightness=float(rng.uniform()),
        room=float(rng.uniform(0.05, 0.8)),
        beat=float(rng.uniform()),
        density=float(rng.uniform()),
        swing=float(rng.choice([0.0, 0.0, 0.12, 0.2])),
        voice=int(rng.integers(6)),
        warmth=float(rng.uniform()),
        level_db=float(rng.uniform(-27, -15)),
    )


@dataclass
class Mix:
    """The samples of a song under work."""

    n: int
    sample_rate: int
    samples: Samples = field(init=False)

    def __post_init__(self) -> None:
        self.samples = np.zeros(self.n, dtype=np.float32)

    def add(self, start_s: float, wave: Samples, gain: float = 1.0) -> None:
        """Add `wave` from `start_s` on; what would run over the end is cut."""
        start = int(start_s * self.sample_rate)
        if 0 <= start < self.n:
            part = wave[: self.n - start]
            self.samples[start : start + len(part)] += np.float32(gain) * part


@dataclass
class Song:
    """One song: what the style functions of `volna.synthesis.styles` play from."""

    rng: np.random.Generator
    habits: Habits
    sample_rate: int
    n: int
    tempo_bpm: float
    root: int  # MIDI note of the key, 48..59
    scale: tuple[int, ...]
    progression: tuple[int, ...]  # a degree of the scale for each bar

    @property
    def beat_s(self) -> float:
        return 60.0 / self.tempo_bpm

    @property
    def n_bars(self) -> int:
        return int(np.ceil(self.n / self.sample_rate / (BEATS_A_BAR * self.beat_s)))

    def mix(self) -> Mix:
        return Mix(self.n, self.sample_rate)

    def at(self, beat: float) -> float:
        """The time of a beat in seconds; with swing, the first half of every beat is longer than the second."""
        whole, place = divmod(beat, 1)
        middle = 0.5 + self.habits.swing / 2
        place = place * 2 * middle if place < 0.5 else middle + (place - 0.5) * 2 * (1 - middle)
        return (whole + place) * self.beat_s

    def samples_of(self, beats: float) -> int:
        return max(1, int(beats * self.beat_s * self.sample_rate))

    def pitch(self, degree: int, octave: int = 0) -> int:
        """The MIDI note of a degree of the scale; degrees run on over octaves."""
        return self.root + 12 * (octave + degree // len(self.scale)) + self.scale[degree % len(self.scale)]

    def chord(self, bar: int, size: int = 3, octave: int = 0) -> list[int]:
        """The chord of a bar in thirds: 3 notes a triad, 4 a seventh, 5 a ninth."""
        first = self.progression[bar % len(self.progression)]
        return [self.pitch(first + 2 * k, octave) for k in range(size)]

    def tune(self, per_beat: int = 2, octave: int = 1, density: float | None = None) -> list[tuple[float, float, int]]:
        """A tune as (beat, beats, pitch): a walk on the scale that returns to the chord on the first beat of a bar."""
        density = self.habits.density if density is None else density
        chance = 0.25 + 0.6 * density
        notes: list[tuple[float, float, int]] = []
        degree = 0
        for step in range(self.n_bars * BEATS_A_BAR * per_beat):
            bar, place = divmod(step, BEATS_A_BAR * per_beat)
            if place == 0:
                degree = self.progression[bar % len(self.progression)] + int(self.rng.choice([0, 2, 4]))
            elif self.rng.uniform() > chance:
                continue
            else:
                degree = int(np.clip(degree + self.rng.choice([-2, -1, -1, 1, 1, 2]), -3, 11))
            notes.append((step / per_beat, 1 / per_beat, self.pitch(degree, octave)))
        return notes

    def drum(self, mix: Mix, stroke: Samples, pattern: str, gain: float = 1.0) -> None:
        """Play `stroke` by a pattern of 16 steps a bar: ``X`` loud, ``x`` normal, ``o`` soft, ``?`` now and then."""
        loudness = {"X": 1.0, "x": 0.8, "o": 0.4, "?": 0.5}
        for bar in range(self.n_bars):
            for step, mark in enumerate(pattern * (STEPS_A_BAR // len(pattern))):
                if mark == "." or (mark == "?" and self.rng.uniform() > 0.4):
                    continue
                human = self.rng.uniform(0.85, 1.0)
                mix.add(self.at(BEATS_A_BAR * bar + step / 4), stroke, gain * loudness[mark] * human)


def write_song(rng: np.random.Generator, habits: Habits, duration_s: float, sample_rate: int) -> Song:
    """A new song of an artist: the key is free, the tempo near the artist's own, the scale mostly the artist's."""
    scale = habits.scale if rng.uniform() < 0.7 else str(rng.choice(list(SCALES)))
    return Song(
        rng=rng,
        habits=habits,
        sample_rate=sample_rate,
        n=int(duration_s * sample_rate),
        tempo_bpm=float(np.clip(habits.tempo_bpm * rng.uniform(0.9, 1.1), 70, 150)),
        root=int(rng.integers(48, 60)),
        scale=SCALES[scale],
        progression=PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
    )
