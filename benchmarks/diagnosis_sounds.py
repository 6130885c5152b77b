"""Clean sounds of many kinds for benchmarks/diagnosis.py, made on the spot: `clip(seed)` gives another one every time.

They are written without Volna's own signal functions where these would hide what others do: naive squares and saws,
notes without fades, single-sample metronomes, words with digital silence between them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.signal

from volna.synthesis import render, signals, styles

Sound = tuple[str, np.ndarray, int]  # what it is, float32 (n_channels, n), Hz
RATES = (16000, 22050, 44100, 44100, 44100, 48000)
NOTES_HZ = 440.0 * 2.0 ** (np.arange(-33, 27) / 12)


def clip(seed: int, kind: str | None = None) -> Sound:
    """A clean clip: 2.5 to 12 s, one or two channels, peak between -24 and 0 dBFS, mostly in 16 bits."""
    rng = np.random.default_rng([seed, 77])
    name = kind or list(KINDS)[seed % len(KINDS)]
    rate = int(rng.choice(RATES))
    duration_s = float(rng.uniform(2.5, 12.0))
    samples = np.atleast_2d(KINDS[name](rng, duration_s, rate)).astype(np.float64)
    if len(samples) == 1 and rng.random() < 0.4:
        samples = np.vstack([samples, samples * rng.uniform(0.4, 1.0)])
    if rng.random() < 0.3:
        samples = fades(samples, rate, rng.uniform(0.05, 1.0))
    if rng.random() < 0.15:
        samples = np.pad(samples, ((0, 0), (int(rng.uniform(0, 1) * rate), int(rng.uniform(0, 1) * rate))))
    peak = 10 ** (rng.choice([0.0, -0.1, -1.0, -3.0, -6.0, -12.0, -20.0, -24.0]) / 20)
    samples = samples / max(np.abs(samples).max(), 1e-9) * peak
    if rng.random() < 0.8:
        samples = np.clip(np.rint(samples * 32768), -32768, 32767) / 32768
    return name, samples.astype(np.float32), rate


def fades(samples: np.ndarray, rate: int, fade_s: float) -> np.ndarray:
    n = min(int(fade_s * rate), samples.shape[-1] // 2)
    ramp = np.linspace(0, 1, n)
    out = samples.copy()
    out[..., :n] *= ramp
    out[..., samples.shape[-1] - n :] *= ramp[::-1]
    return out


def time_of(duration_s: float, rate: int) -> np.ndarray:
    return np.arange(int(duration_s * rate)) / rate


def sine(rng, d, rate):
    f = float(rng.choice([50, 60, 100, 120, 220, 440, 1000, 3000, rng.uniform(30, 0.4 * rate)]))
    return np.sin(2 * np.pi * f * time_of(d, rate) + rng.choice([0, rng.uniform(0, 6)]))


def square(rng, d, rate):
    f = rng.choice([50.0, 100.0, 220.0, 440.0, rng.uniform(40, 2000)])
    return scipy.signal.square(2 * np.pi * f * time_of(d, rate), duty=rng.choice([0.5, 0.5, 0.25, 0.125]))


def saw(rng, d, rate):
    f = rng.choice([50.0, 110.0, 440.0, rng.uniform(40, 2000)])
    return scipy.signal.sawtooth(2 * np.pi * f * time_of(d, rate), width=rng.choice([1.0, 1.0, 0.5, 0.0]))


def own_tone(rng, d, rate):
    shape = str(rng.choice(signals.SHAPES))
    return signals.synthesise(
        "tone",
        frequencies_hz=list(rng.choice(NOTES_HZ, rng.integers(1, 4))),
        shape=shape,
        duration_s=d,
        sample_rate=rate,
    )


def many_tones(rng, d, rate):
    t, n = time_of(d, rate), rng.integers(2, 6)
    frequencies = rng.choice([NOTES_HZ[rng.integers(60, size=n)], rng.uniform(60, 0.3 * rate, n)])
    strengths = [np.ones(n), 1 / np.arange(1, n + 1), rng.uniform(0.3, 1, n)][rng.integers(3)]
    return sum(a * np.sin(2 * np.pi * f * t) for f, a in zip(frequencies, strengths, strict=True))


def harmonic(rng, d, rate):
    f = rng.choice([50, 55, 60, 100, 110, 120, 150, 200, rng.uniform(50, 400)])
    k = np.arange(1, min(rng.integers(3, 60), int(0.45 * rate / f)) + 1)
    t = time_of(d, rate)
    return sum(np.sin(2 * np.pi * f * h * t) / h ** rng.choice([1.0, 1.5]) for h in k)


def chirp(rng, d, rate):
    top = rng.uniform(0.05, 0.5) * rate
    return scipy.signal.chirp(
        time_of(d, rate), rng.choice([0.1, 20, 100, top]), d, rng.choice([top, 50.0]),
        method=str(rng.choice(["linear", "logarithmic", "quadratic"])),
    )  # fmt: skip


def noise(rng, d, rate):
    colour = str(rng.choice(list(signals.COLOURS)))
    return signals.noise(colour, d, rate, int(rng.integers(1 << 30)))


def stereo_noise(rng, d, rate):
    return np.vstack([noise(rng, d, rate), noise(rng, d, rate)])


def brown(rng, d, rate):
    x = np.cumsum(rng.standard_normal(int(d * rate)))
    return x - x.mean()


def moving_noise(rng, d, rate):
    """Noise with an envelope: bursts, swells, a sea."""
    x, t = noise(rng, d, rate), time_of(d, rate)[: int(d * rate)]
    x = x[: len(t)]
    how = rng.integers(3)
    if how == 0:
        return x * (0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 6) * t)) ** 2
    if how == 1:
        return x * np.exp(-((t % rng.uniform(0.2, 1.0)) * rng.uniform(5, 30)))
    return fades(x, rate, d / 2)


def filtered_noise(rng, d, rate):
    low, high = sorted(rng.uniform(100, 0.45 * rate, 2))
    sos = scipy.signal.butter(rng.integers(2, 5), [low, high * 1.05], "band", fs=rate, output="sos")
    return scipy.signal.sosfilt(sos, rng.standard_normal(int(d * rate)))


def metronome(rng, d, rate):
    """Clicks of one sample, of tone bursts with or without fades, of noise; over silence."""
    x, step = np.zeros(int(d * rate)), 60 / rng.uniform(40, 300)
    t = time_of(rng.choice([0.005, 0.01, 0.03, 0.1]), rate)
    burst = [
        np.ones(1),
        np.ones(max(1, int(0.001 * rate))),
        np.sin(2 * np.pi * rng.choice([800, 1000, 2000]) * t),
        np.sin(2 * np.pi * 1000 * t) * np.exp(-t * 60),
        rng.standard_normal(len(t)) * np.exp(-t * 200),
        np.sin(2 * np.pi * 1500 * t) * np.hanning(len(t)),
    ][rng.integers(6)]
    for k, at in enumerate(np.arange(rng.choice([0.0, 0.1]), d, step)):
        n = int(at * rate)
        gain = 1.0 if k % 4 == 0 else rng.choice([0.6, 1.0])
        x[n : n + len(burst)] += gain * burst[: len(x) - n]
    return x


def own_clicks(rng, d, rate):
    return signals.synthesise(
        "clicks", bpm=rng.uniform(40, 240), accent=int(rng.choice([0, 4])), duration_s=d, sample_rate=rate
    )


def chord(rng, d, rate):
    name = str(rng.choice(list("CDEFGAB"))) + str(rng.choice(list(signals.CHORDS)))
    return signals.synthesise(
        "chord", notes=name, shape=str(rng.choice(signals.SHAPES)), duration_s=d, sample_rate=rate
    )


def own_vowel(rng, d, rate):
    f0 = rng.choice([100.0, 120.0, rng.uniform(80, 300)])
    return signals.synthesise("vowel", name=str(rng.choice(list("aeiou"))), f0_hz=f0, duration_s=d, sample_rate=rate)


def voice(rng, seconds, rate, f0, name):
    """Pulses with jitter and a gliding pitch through formants: a vowel as people model it by filters."""
    n = int(seconds * rate)
    glide = f0 * np.linspace(1.0, rng.uniform(0.8, 1.2), n) * (1 + 0.01 * np.sin(np.arange(n) * 2 * np.pi * 5 / rate))
    phase = np.cumsum(glide / rate)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    x = scipy.signal.lfilter([1], [1, -0.95], pulses)
    for centre, width in zip(signals.FORMANTS_HZ[name], (60, 90, 150), strict=True):
        r = np.exp(-np.pi * width / rate)
        x = scipy.signal.lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * centre / rate), r * r], x)
    return x / (np.abs(x).max() + 1e-9)


def vowel(rng, d, rate):
    return voice(rng, d, rate, rng.uniform(80, 260), str(rng.choice(list("aeiou"))))


def speech(rng, d, rate):
    """Syllables of vowels and hisses in words, with digital silence between the words."""
    parts, total = [], 0.0
    f0 = rng.uniform(85, 240)
    while total < d:
        for _ in range(rng.integers(1, 4)):
            if rng.random() < 0.6:
                s = rng.uniform(0.03, 0.12)
                x = rng.standard_normal(int(s * rate))
                low = rng.uniform(0.15, 0.25) * rate
                sos = scipy.signal.butter(3, [low, min(0.45 * rate, 2.2 * low)], "band", fs=rate, output="sos")
                parts.append(0.3 * scipy.signal.sosfilt(sos, x) * np.hanning(len(x)))
                total += s
            s = rng.uniform(0.08, 0.3)
            x = voice(rng, s, rate, f0 * rng.uniform(0.85, 1.2), str(rng.choice(list("aeiou"))))
            parts.append(fades(x, rate, rng.choice([0.01, 0.03])))
            total += s
        s = rng.uniform(0.05, 0.9)
        parts.append(np.zeros(int(s * rate)))
        total += s
    return np.concatenate(parts)[: int(d * rate)]


def melody(rng, d, rate, fade_s=None):
    """Notes one after another with rests; with fades of some milliseconds, or decaying, or without any."""
    x, at = np.zeros(int(d * rate)), 0.0
    fade_s = rng.choice([0.0, 0.005, 0.01, 0.05]) if fade_s is None else fade_s
    decay = rng.choice([0.0, 3.0, 8.0])
    step = rng.choice([0.15, 0.25, 0.5])
    shape = rng.integers(3)
    while at < d:
        f, s = rng.choice(NOTES_HZ[12:48]), step * rng.choice([1, 1, 2])
        t = time_of(s * rng.choice([1.0, 0.8, 0.6]), rate)
        phase = 2 * np.pi * f * t
        note = [np.sin, scipy.signal.sawtooth, lambda p: sum(np.sin(k * p) / k**1.5 for k in range(1, 6))][shape](phase)
        note = fades(note, rate, fade_s) * np.exp(-decay * t)
        n = int(at * rate)
        x[n : n + len(note)] += note[: len(x) - n]
        at += s
    return x


def simple_mix(rng, d, rate):
    """What one writes in twenty lines: a pad held or by bars, a bass, a tune, a kick, a hat of noise."""
    t = time_of(d, rate)
    bpm = rng.choice([90, 100, 120, 128, 140, rng.uniform(80, 150)])
    beat = 60 / bpm
    root = rng.choice([110.0, 130.81, 146.83, 98.0, 164.81])
    x = np.zeros(len(t))
    bars = 1 if rng.random() < 0.2 else int(np.ceil(d / (4 * beat)))
    for bar in range(bars):
        s = d if bars == 1 else 4 * beat
        u = time_of(s, rate)
        up = 0 if bars == 1 else int(rng.choice([0, 5, 7, -4, 3]))
        pad = sum(np.sin(2 * np.pi * root * 2 * 2 ** ((up + k) / 12) * u) for k in (0, 4, 7)) / 3
        low = np.sin(2 * np.pi * root / 2 * 2 ** (up / 12) * u)
        n = int(bar * s * rate)
        part = fades(pad * rng.uniform(0.2, 0.5) + low * rng.uniform(0.1, 0.5), rate, 0.02)
        x[n : n + len(part)] += part[: len(x) - n]
    x += rng.uniform(0, 0.5) * melody(rng, d, rate, 0.01)[: len(x)]
    kick_t = time_of(0.25, rate)
    kick = np.sin(2 * np.pi * (50 * kick_t + 4 * (1 - np.exp(-30 * kick_t)))) * np.exp(-12 * kick_t)
    hat_t = time_of(0.06, rate)
    for k in range(int(d / beat * 2)):
        n = int(k * beat / 2 * rate)
        hat = rng.standard_normal(len(hat_t)) * np.exp(-60 * hat_t) * 0.2
        x[n : n + len(hat)] += hat[: len(x) - n]
        if k % 2 == 0:
            x[n : n + len(kick)] += 0.8 * kick[: len(x) - n]
    return x


def music(rng, d, rate):
    """The demo's styles but hip-hop, which has the crackle of a record on purpose."""
    style = str(rng.choice([name for name in styles() if name != "hip-hop"]))
    return render(style, rng, duration_s=d, sample_rate=rate)


def stereo_music(rng, d, rate):
    """Three parts panned to different places, one of them a little late in one channel."""
    out = np.zeros((2, int(d * rate)))
    for _ in range(3):
        x = music(rng, d, rate)[: out.shape[1]]
        pan = rng.uniform(0.2, 0.8)
        out[0, : len(x)] += pan * x
        out[1, : len(x)] += (1 - pan) * np.roll(x, int(rng.choice([0, 0.0006 * rate])))
    return out


def plucks(rng, d, rate):
    """Karplus-Strong strings and FM bells."""
    from volna.synthesis.instruments import bell, pluck

    x = np.zeros(int(d * rate))
    for at in np.arange(0, d, rng.choice([0.2, 0.3, 0.5])):
        f = rng.choice(NOTES_HZ[15:45])
        n, length = int(at * rate), int(rng.uniform(0.3, 2) * rate)
        note = pluck(f, length, rate) if rng.random() < 0.6 else bell(f, length, rate)
        x[n : n + length] += fades(note, rate, 0.01)[: len(x) - n]
    return x


def drums(rng, d, rate):
    from volna.synthesis.instruments import kick, noise_hit, tone_hit

    x, step = np.zeros(int(d * rate)), rng.uniform(0.1, 0.25)
    strokes = [
        kick(rate), noise_hit(rng, rate, low_hz=900, high_hz=min(8000, 0.4 * rate), length_s=0.18),
        noise_hit(rng, rate, low_hz=3000, high_hz=0.45 * rate, length_s=0.05),
        tone_hit(rate, frequency_hz=120, length_s=0.4),
    ]  # fmt: skip
    for at in np.arange(0, d, step):
        stroke = strokes[rng.integers(4)] * rng.uniform(0.3, 1)
        n = int(at * rate)
        x[n : n + len(stroke)] += stroke[: len(x) - n]
    return x


def modulated(rng, d, rate):
    t = time_of(d, rate)
    f = rng.choice(NOTES_HZ[12:50])
    if rng.random() < 0.5:
        return np.sin(2 * np.pi * f * t) * (1 + 0.8 * np.sin(2 * np.pi * rng.uniform(1, 8) * t))
    return np.sin(2 * np.pi * f * t + rng.uniform(1, 10) * np.sin(2 * np.pi * rng.uniform(3, 200) * t))


KINDS: dict[str, Callable[..., np.ndarray]] = {
    "sine": sine, "square": square, "saw": saw, "own tone": own_tone, "many tones": many_tones, "harmonics": harmonic,
    "chirp": chirp, "noise": noise, "stereo noise": stereo_noise, "brown": brown, "moving noise": moving_noise,
    "filtered noise": filtered_noise, "metronome": metronome, "own clicks": own_clicks, "chord": chord,
    "own vowel": own_vowel, "vowel": vowel, "speech": speech, "melody": melody, "simple mix": simple_mix,
    "music": music, "stereo music": stereo_music, "plucks": plucks, "drums": drums, "modulated": modulated,
}  # fmt: skip
