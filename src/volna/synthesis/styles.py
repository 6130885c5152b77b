"""The styles: each function plays a song in one style, dry and at any level; `master` makes a recording of it.

The styles share instruments, tempi, keys, rooms and loudness on purpose. What tells them apart is how these are put
together, as in music.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from volna.synthesis.instruments import (
    bell,
    crackle,
    envelope,
    held,
    hertz,
    kick,
    noise_hit,
    pluck,
    spectrum,
    tone_hit,
)
from volna.synthesis.song import BEATS_A_BAR, STEPS_A_BAR, Song

__all__ = ["STYLES", "master"]

Samples = npt.NDArray[np.float32]

LOWEST_HZ = 15.0
FFT_STEP = 4096  # lengths with small factors transform fast


# Parts that several styles play


def pad(song: Song, *, shape: str, brightness: float, octave: int = 0, attack: float = 0.4, size: int = 3) -> Samples:
    """Chords held for a bar, each note as two tones slightly out of tune."""
    mix = song.mix()
    n = song.samples_of(BEATS_A_BAR * 1.15)
    shape_of_note = envelope(n, song.sample_rate, attack * BEATS_A_BAR * song.beat_s, 0.3 * BEATS_A_BAR * song.beat_s)
    amplitudes = spectrum(shape, brightness)
    for bar in range(song.n_bars):
        for midi in song.chord(bar, size, octave):
            for detune in (0.998, 1.003):
                wave = held(hertz(midi) * detune, n, song.sample_rate, amplitudes, phase=song.rng.uniform())
                mix.add(song.at(BEATS_A_BAR * bar), wave * shape_of_note, 0.5 / size)
    return mix.samples


def bass(song: Song, pattern: str, *, voice: str = "string", octave: int = -1) -> Samples:
    """The root of each bar's chord by a pattern of 16 steps: as a string, a synthesiser or a round sub-bass."""
    mix = song.mix()
    warmth = song.habits.warmth
    for bar in range(song.n_bars):
        frequency = hertz(song.chord(bar, 1, octave)[0])
        n = song.samples_of(0.9 if voice == "sub" else 0.5)
        if voice == "string":
            note = pluck(frequency, n, song.sample_rate, brightness=0.9 - 0.6 * warmth, damping=2.5)
        else:
            shape = "soft" if voice == "sub" else "saw"
            note = held(frequency, n, song.sample_rate, spectrum(shape, 0.7 - 0.5 * warmth))
        note = note * envelope(n, song.sample_rate, 0.004, 0.05)
        for step, mark in enumerate(pattern):
            if mark != ".":
                mix.add(song.at(BEATS_A_BAR * bar + step / 4), note, 0.9 if mark == "x" else 0.6)
    return mix.samples


def lead(song: Song, voice: int, *, per_beat: int = 2, octave: int = 1, density: float | None = None) -> Samples:
    """A tune on one of six instruments, which every style may use."""
    mix = song.mix()
    rate, brightness = song.sample_rate, song.habits.brightness
    for beat, beats, midi in song.tune(per_beat, octave, density):
        n = song.samples_of(1.6 * beats)
        frequency = hertz(midi)
        if voice == 0:
            wave = pluck(frequency, n, rate, brightness=0.4 + 0.5 * brightness, damping=1.5)
        elif voice == 1:
            wave = bell(frequency, n, rate, ratio=3.5, index=1 + 2 * brightness, decay=3)
        elif voice == 2:
            wave = bell(frequency, n, rate, ratio=1.0, index=1 + brightness, decay=2)
        else:
            shape = ("reed", "saw", "triangle")[voice - 3]
            wave = held(frequency, n, rate, spectrum(shape, 0.3 + 0.5 * brightness), vibrato=0.006)
            wave = wave * envelope(n, rate, 0.03, 0.1)
        mix.add(song.at(beat), wave * envelope(n, rate, 0.002, 0.03), song.rng.uniform(0.7, 1.0))
    return mix.samples


def kit(song: Song, patterns: dict[str, str], *, soft: float = 0.0) -> Samples:
    """Drums, each by its pattern (see `Song.drum`); `soft` in [0, 1] dulls them."""
    mix, rng, rate = song.mix(), song.rng, song.sample_rate
    top = 9000 - 5000 * soft
    low = 45 + 25 * song.habits.warmth
    strokes: dict[str, Callable[[], Samples]] = {
        "kick": lambda: kick(rate, low_hz=low, punch=0.8 - 0.6 * soft, length_s=0.22 + 0.2 * song.habits.warmth),
        "snare": lambda: noise_hit(rng, rate, low_hz=900, high_hz=top, length_s=0.18) * 0.8,
        "hat": lambda: noise_hit(rng, rate, low_hz=5000 - 2000 * soft, high_hz=top + 1500, length_s=0.06) * 0.45,
        "ride": lambda: noise_hit(rng, rate, low_hz=3500, high_hz=top, length_s=0.35) * 0.35,
        "shaker": lambda: noise_hit(rng, rate, low_hz=3000, high_hz=top, length_s=0.09, attack_s=0.03) * 0.4,
        "brush": lambda: noise_hit(rng, rate, low_hz=1200, high_hz=6000, length_s=0.3, attack_s=0.08) * 0.45,
        "clap": lambda: noise_hit(rng, rate, low_hz=1200, high_hz=5000, length_s=0.14, attack_s=0.01) * 0.7,
        "tom": lambda: tone_hit(rate, frequency_hz=1.6 * low, length_s=0.4),
        "timpani": lambda: tone_hit(rate, frequency_hz=hertz(song.root - 12), length_s=0.9),
    }
    for name, pattern in patterns.items():
        song.drum(mix, strokes[name](), pattern)
    return mix.samples


def light_percussion(song: Song) -> Samples:
    """What a style without drums plays when the artist likes a beat: nothing, a shaker, or soft drums."""
    beat = song.habits.beat
    if beat < 0.35:
        return song.mix().samples
    if beat < 0.65:
        return 0.5 * kit(song, {"shaker": "x.o.", "tom": "x......."}, soft=0.5)
    return 0.6 * kit(song, {"kick": "x.......x.......", "shaker": "o.x.", "clap": "....o..."}, soft=0.7)


# The styles


def ambient(song: Song) -> Samples:
    """Slow pads with few bells over a drone."""
    h = song.habits
    shape = ("soft", "saw", "triangle")[h.voice % 3]
    chords = pad(song, shape=shape, brightness=0.2 + 0.5 * h.brightness, size=4 + h.voice % 2)
    drone = held(hertz(song.root - 12), song.n, song.sample_rate, spectrum("soft", h.warmth), vibrato=0.002)
    per_beat = 1 if h.density < 0.6 else 2
    tune = lead(song, (1, 2, 5)[h.voice // 2], per_beat=per_beat, density=0.8 * h.density - 0.2)
    return 1.2 * chords + 0.15 * drone + (0.2 + 0.4 * h.warmth) * tune + 0.6 * light_percussion(song)


def dance(song: Song) -> Samples:
    """Four on the floor: a bass between the beats, short chords, and a pad that ducks under the kick."""
    h, rng = song.habits, song.rng
    drums = kit(song, {"kick": "X...", "hat": "..x." if h.density < 0.6 else "o.xo", "clap": "....x..."})
    low = bass(song, rng.choice(["..x...x...x...x.", "..xx..xx..xx..xx", "..x..x....x..xx."]), voice="saw")
    phase = (np.arange(song.n) / song.sample_rate / song.beat_s) % 1
    ducked = pad(song, shape="saw", brightness=0.3 + 0.6 * h.brightness, attack=0.02) * np.minimum(2 * phase, 1)
    tune = lead(song, h.voice, per_beat=4, density=0.3 + 0.6 * h.density)
    parts = (0.4 + 0.6 * h.beat) * drums + 0.5 * low + (0.4 + 0.6 * h.warmth) * ducked + 0.3 * tune
    return parts.astype(np.float32)


def folk(song: Song) -> Samples:
    """An acoustic guitar, picked: the thumb on the bass, fingers on the chord, now and then a tune above."""
    h, mix = song.habits, song.mix()
    order = song.rng.permutation([0, 2, 1, 3, 2, 1, 3, 2])
    n = song.samples_of(2.0)
    for bar in range(song.n_bars):
        notes = [song.chord(bar, 1, -1)[0], *song.chord(bar, 3), song.chord(bar, 1, 1)[0]]
        strings = [
            pluck(hertz(m), n, song.sample_rate, brightness=0.3 + 0.6 * h.brightness, damping=1.2) for m in notes
        ]
        for eighth, finger in enumerate(order):
            start = BEATS_A_BAR * bar + eighth / 2
            if eighth % 4 == 0:
                mix.add(song.at(start), strings[0], 0.9)
            if song.rng.uniform() < 0.6 + 0.4 * h.density:
                mix.add(song.at(start), strings[1 + finger], song.rng.uniform(0.5, 0.8))
    tune = lead(song, (0, 5, 3)[h.voice % 3], density=h.density - 0.3)
    return mix.samples + 0.5 * (h.voice % 2) * tune + 0.8 * light_percussion(song)


def orchestral(song: Song) -> Samples:
    """Strings that swell over two bars, brass at their height, plucked strings and timpani below."""
    h = song.habits
    t = np.arange(song.n) / song.sample_rate / (2 * BEATS_A_BAR * song.beat_s)
    swell = (0.35 + 0.65 * np.sin(np.pi * (t % 1)) ** 2).astype(np.float32)
    strings = pad(song, shape="saw", brightness=0.35 + 0.4 * h.brightness, attack=0.15, size=4)
    if h.density > 0.6:  # bowed short, in eighths
        strings *= (np.arange(song.n) / song.sample_rate / song.beat_s * 2 % 1 < 0.6).astype(np.float32) + 0.2
    brass = pad(song, shape="reed", brightness=0.5 + 0.4 * h.brightness, octave=-1, attack=0.1) * swell**3
    plucked = bass(song, song.rng.choice(["x...x...x...x...", "x.o.x.o.x.o.x.o."]), octave=0)
    tune = lead(song, (3, 4, 5)[h.voice % 3], per_beat=1, density=h.density)
    timpani = kit(song, {"timpani": "X.......?...?.?."}, soft=0.5)
    return 1.1 * strings * swell + h.warmth * brass + 0.3 * plucked + 0.35 * tune + 0.7 * h.beat * timpani


def rock(song: Song) -> Samples:
    """Distorted fifths in eighths, bass with them, drums with a backbeat, sometimes a solo."""
    h, mix = song.habits, song.mix()
    n = song.samples_of(0.55)
    pattern = song.rng.choice(["x.x.x.x.x.x.x.x.", "x..x..x.x..x..x.", "x...x.x.x...x.x.", "xxx.xxx.x.x.x.x."])
    for bar in range(song.n_bars):
        root = song.chord(bar, 1, -1)[0]
        strings = [pluck(hertz(root + up), n, song.sample_rate, brightness=1.0, damping=0.8) for up in (0, 7, 12)]
        chord = np.sum(strings, axis=0) * envelope(n, song.sample_rate, 0.003, 0.04)
        for step, mark in enumerate(pattern):
            if mark == "x":
                mix.add(song.at(BEATS_A_BAR * bar + step / 4), chord, 0.5)
    guitar = np.tanh((3 + 9 * h.density) * mix.samples)
    drums = kit(song, {"kick": "X.....x.X.x.....", "snare": "....X.......X..?", "hat": "x.o."}, soft=0.6 * h.warmth)
    solo = np.tanh(4 * lead(song, (4, 0, 3)[h.voice % 3], per_beat=2))
    return 0.45 * guitar + (0.3 + 0.7 * h.beat) * drums + 0.5 * bass(song, pattern) + 0.25 * (h.voice % 2) * solo


def chiptune(song: Song) -> Samples:
    """Three channels of an old console: arpeggios, a tune in pulses, a triangle bass, and noise for drums."""
    h, mix = song.habits, song.mix()
    amplitudes = spectrum(("pulse", "square")[h.voice % 2], 0.6 + 0.4 * h.brightness)
    n = song.samples_of(0.25)
    short = envelope(n, song.sample_rate, 0.002, 0.02)
    for bar in range(song.n_bars):
        notes = song.chord(bar, 4, 1)
        waves = [held(hertz(midi), n, song.sample_rate, amplitudes) * short for midi in notes]
        for step in range(STEPS_A_BAR):
            mix.add(song.at(BEATS_A_BAR * bar + step / 4), waves[(0, 1, 2, 3, 2, 1)[step % 6]], 0.5)
    tune = lead(song, 5, density=0.4 + 0.5 * h.density)
    tune = (0.3 * np.sign(tune) if h.voice < 3 else np.round(7 * tune) / 7).astype(np.float32)  # a pulse, or four bits
    drums = kit(song, {"kick": "x...", "snare": "....x...", "hat": "..o."}, soft=0.2) * (0.2 + 0.6 * h.beat)
    return (0.6 * mix.samples + (0.4 + 0.6 * h.warmth) * tune + 0.5 * bass(song, "x.x.x.x.x.x.x.x.") + drums).astype(
        np.float32
    )


def jazz(song: Song) -> Samples:
    """A trio: a bass that walks, a piano that answers, a ride cymbal and brushes, all of it swung."""
    h, rate = song.habits, song.sample_rate
    song.habits = replace(h, swing=0.33)  # triplets
    walk, piano = song.mix(), song.mix()
    n, n_chord = song.samples_of(1.0), song.samples_of(1.5)
    for bar in range(song.n_bars):
        seventh = song.chord(bar, 4, -1)
        for beat, midi in enumerate([seventh[0], *song.rng.permutation(seventh[1:])]):
            walk.add(song.at(BEATS_A_BAR * bar + beat), pluck(hertz(midi), n, rate, brightness=0.3, damping=3), 0.8)
        for start in song.rng.choice([0, 0.5, 1.5, 2, 2.5, 3.5], size=1 + round(2 * h.density), replace=False):
            for midi in song.chord(bar, 5)[1:]:
                piano.add(song.at(BEATS_A_BAR * bar + start), _piano(song, midi, n_chord), 0.25)
    drums = kit(song, {"ride": "x...x.o.", "brush": "....x...", "kick": "o......?"}, soft=0.5)
    tune = lead(song, (2, 3, 0)[h.voice % 3], density=0.3 + 0.6 * h.density)
    return 0.7 * walk.samples + piano.samples + (0.3 + 0.5 * h.beat) * drums + 0.4 * tune


def hiphop(song: Song) -> Samples:
    """A dusty loop of keys, heavy drums behind the beat, a round bass, the crackle of a record."""
    h = song.habits
    keys = song.mix()
    n = song.samples_of(3.0)
    for bar in range(song.n_bars):
        for midi in song.chord(bar % 2, 4):
            keys.add(song.at(BEATS_A_BAR * bar), _piano(song, midi, n), 0.35)
            keys.add(song.at(BEATS_A_BAR * bar + 2.5), _piano(song, midi, n), 0.25)
    kicks = song.rng.choice(["X.....x...X.....", "X..x......x.....", "X.......x.X...?."])
    drums = kit(song, {"kick": kicks, "snare": "....X.......X...", "hat": "x.x." if h.density < 0.5 else "xox."})
    low = bass(song, kicks.replace("X", "x").replace("?", "."), voice="sub")
    dust = crackle(song.rng, song.n, song.sample_rate) * 0.1
    return (
        0.8 * keys.samples
        + (0.3 + 0.7 * h.beat) * drums
        + 0.7 * low
        + dust
        + 0.25 * (h.voice % 2) * lead(song, h.voice)
    )


def _piano(song: Song, midi: int, n: int) -> Samples:
    """A note of an electric piano or of a piano, as the artist likes."""
    voice, rate = song.habits.voice, song.sample_rate
    if voice % 3 == 0:
        return bell(hertz(midi), n, rate, ratio=1.0, index=1.5, decay=2) * envelope(n, rate, 0.002, 0.05)
    return pluck(hertz(midi), n, rate, brightness=0.5, damping=1.8, position=0.13 + 0.1 * (voice % 2))


STYLES: dict[str, Callable[[Song], Samples]] = {
    "ambient": ambient,
    "dance": dance,
    "folk": folk,
    "orchestral": orchestral,
    "rock": rock,
    "chiptune": chiptune,
    "jazz": jazz,
    "hip-hop": hiphop,
}


def master(samples: Samples, song: Song) -> Samples:
    """A recording of dry `samples`: the artist's room and tone, a little noise, the artist's level, no clipping."""
    n, rng, habits = song.n, song.rng, song.habits
    size = FFT_STEP * int(np.ceil((n + _tail(n)) / FFT_STEP))
    recorded = np.fft.rfft(samples, size) * np.fft.rfft(_room(song), size) * _tone(song, size)
    recorded[: int(np.ceil(LOWEST_HZ * size / song.sample_rate))] = 0  # a microphone hears no constant offset
    wet = np.fft.irfft(recorded, size)[:n]
    wet /= np.sqrt(np.mean(wet**2)) + 1e-9
    wet += 10 ** (rng.uniform(-55, -35) / 20) * rng.standard_normal(n)
    level = 10 ** ((habits.level_db + rng.uniform(-3, 3)) / 20)
    return np.tanh(level * wet).astype(np.float32)


def _tail(n: int) -> int:
    """Samples that a room rings on, in a clip of `n`."""
    return int(0.3 * n) + 1


def _room(song: Song) -> Samples:
    """The answer of a room to a click: the click, and noise that fades within 0.2 to 1.7 s."""
    room, n = song.habits.room, _tail(song.n)
    fade = np.exp(-5 * np.arange(n) / song.sample_rate / (0.2 + 1.5 * room))
    impulse = song.rng.standard_normal(n) * fade
    impulse *= 0.5 * room / (np.sqrt(np.sum(impulse**2)) + 1e-9)
    impulse[0] += 1
    return impulse.astype(np.float32)


def _tone(song: Song, size: int) -> Samples:
    """Gain by frequency: a tilt between -5 and +2 dB an octave, and the upper limit of some microphone or tape."""
    frequencies = np.fft.rfftfreq(size, 1 / song.sample_rate)
    brightness = np.clip(song.habits.brightness + song.rng.uniform(-0.3, 0.3), 0, 1)
    tilt = (1 + frequencies / 300) ** (1.2 * brightness - 0.9)
    top_hz = song.rng.uniform(3500, 0.45 * song.sample_rate)
    return (tilt / (1 + (frequencies / top_hz) ** 8)).astype(np.float32)
