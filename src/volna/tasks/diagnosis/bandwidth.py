"""Where the spectrum ends: sound that was band-limited, upsampled, or decoded from a lossy format.

Noise-like sound can tell best (breath, strings, cymbals, hiss): it fills the spectrum, and where that stops within half
an octave as if at a wall, in frame after frame at the same place, something took the rest away. The overtones of a tone
stop where they stop. Noise-like are stretches of the spectrum whose power is spread evenly over the bins.

Music of tones tells it too, when its notes change and yet frame after frame ends in the same place.

A lossy codec leaves holes as well: bands that it gave no bits, between others, for a moment.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from volna.tasks.diagnosis.finding import Finding, Floats, certainty

__all__ = ["Bandwidth"]

N_BANDS = 128
# Flatness (geometric by arithmetic mean) of the bins of a band: of Gaussian noise .56, of two channels of it .76, of
# overtones near 0, of a single smooth hill, as a short beep has, near 1.
NOISE_LIKE, SMOOTH = 0.2, 0.88
EDGE_BANDS, LEAST_NOISE_LIKE = 6, 4  # below the wall, and how many of them must be filled
LEAST_FRAMES, LEAST_SHARE = 5, 0.55  # frames with a wall; of those that could show one there
# Least fall at a wall, and within how many octaves; octaves of the frequency as filters see it that are warped by the
# bilinear transform, tan(pi f / rate), so that those of synthesisers are no walls near half the rate either.
WALLS = ((31.0, 0.45), (27.0, 0.25))
WALL_DB, WALL_OCTAVES = WALLS[0]
FLOOR_DB = 12.0  # most fall in the octave after: behind a wall lies the floor, down a slope it goes on
KNEE_DB = 9.0  # most fall within as much below the wall: a slope has no knee
HIGHEST = 0.8  # of half the rate: filters of converters end above
LOWEST_HZ = 3600.0
HILL_DB = 10.0  # highest band at the edge against their mean: more is the foot of a tone
FAINT_DB = -101.0  # power a bin, below which 16 bits have no room for a wall
# Frames that end at one band, at least and as a share of those with an end, and how many bins were the strongest there.
EDGE_DB, LEAST_EDGES, EDGE_SHARE, LEAST_KINDS = 25.0, 15, 0.6, 12
HOLE_DB, SAME_DB, SOLID_DB = 18.0, 4.0, -100.0
HOLE_BANDS, LEAST_CELLS = 8, 100
HOLES, HOLES_ALONE = 0.07, 0.09  # share of cells: beside a wall, and without one
LEAST_SAME = 0.5  # share of the cells below which the noise stays
LOSSY_HZ = 15_000.0


class Bandwidth:
    """Counts, band by band, the frames that end there as at a wall, and those that could; and the holes."""

    def __init__(self, sample_rate: int) -> None:
        self.half_hz = sample_rate / 2
        self.walls, self.able, self.falls = np.zeros(N_BANDS), np.zeros(N_BANDS), np.zeros(N_BANDS)
        self.edges, self.n_other_edges = np.zeros(N_BANDS), 0
        self.strongest: list[set[int]] = [set() for _ in range(N_BANDS)]
        self.holes, self.solid, self.could = np.zeros((3, N_BANDS))
        self.bands = bands = np.arange(N_BANDS)
        self.beyond = [_warped(bands + 1, octaves) for octaves in (WALLS[0][1], WALLS[1][1], 2 * WALLS[0][1])]
        self.knee = np.maximum((bands - EDGE_BANDS) * 2**-WALL_OCTAVES, 0).astype(int)
        self.eligible = (bands >= LOWEST_HZ / self.half_hz * N_BANDS) & (bands <= HIGHEST * N_BANDS)

    def add(self, power: Floats) -> None:
        """Power spectra ``(n_frames, n_bins)`` as `spectra` makes them."""
        width = (power.shape[1] - 1) // N_BANDS
        if not len(power) or width < 8:
            return
        cells = power[:, 1 : 1 + width * N_BANDS].reshape(len(power), N_BANDS, width) + np.float32(1e-18)
        level = 10 * np.log10(cells.mean(axis=2))
        flatness = 10 * np.log10(cells).mean(axis=2) - level
        noise_like = (flatness > 10 * np.log10(NOISE_LIKE)) & (flatness < 10 * np.log10(SMOOTH))
        self._find_walls(level, noise_like)
        self._find_edges(level, power[:, 1 : 1 + width * N_BANDS])
        self._count_holes(level, noise_like)

    def _find_walls(self, level: Floats, noise_like: np.ndarray) -> None:
        edge = _mean_of_last(level, EDGE_BANDS)
        filled = _mean_of_last(noise_like.astype(np.float32), EDGE_BANDS) * EDGE_BANDS > LEAST_NOISE_LIKE - 0.5
        highest_above = np.maximum.accumulate(level[:, ::-1], axis=1)[:, ::-1]
        fall, near_fall = (edge - highest_above[:, beyond] for beyond in self.beyond[:2])
        goes_on = highest_above[:, self.beyond[1]] - highest_above[:, self.beyond[2]] > FLOOR_DB
        highest = np.maximum.reduce([np.roll(level, k, axis=1) for k in range(EDGE_BANDS)])
        able = filled & (highest - edge < HILL_DB) & (edge > FAINT_DB) & self.eligible
        wall = able & (fall > WALL_DB) & (near_fall > WALLS[1][0]) & ~goes_on & (level[:, self.knee] - edge < KNEE_DB)
        self.able += able.sum(axis=0)
        self.walls += wall.sum(axis=0)
        self.falls += (fall * wall).sum(axis=0)

    def _find_edges(self, level: Floats, bins: Floats) -> None:
        """Where every frame ends, whatever it is made of, and which bins are the strongest there."""
        width = bins.shape[1] // N_BANDS
        highest_above = np.maximum.accumulate(level[:, ::-1], axis=1)[:, ::-1]
        above = highest_above[:, np.minimum(self.bands + 3, N_BANDS - 1)]
        ends = (level - above > EDGE_DB) & (level > FAINT_DB) & (above - highest_above[:, self.beyond[2]] < FLOOR_DB)
        there = np.flatnonzero(ends.any(axis=1))
        last = N_BANDS - 1 - ends[there, ::-1].argmax(axis=1)
        for frame, band in zip(there, last, strict=True):
            if self.eligible[band]:
                start = (band - EDGE_BANDS + 1) * width
                self.edges[band] += 1
                self.strongest[band].add(start + int(bins[frame, start : (band + 1) * width].argmax()))
            else:
                self.n_other_edges += 1

    def _edge(self) -> int | None:
        """The band at which most frames end, though they are made of ever other tones."""
        around = np.convolve(self.edges, np.ones(3), mode="same")
        band = int(around.argmax())
        kinds = set().union(*self.strongest[max(0, band - 1) : band + 2])
        often = around[band] >= max(LEAST_EDGES, EDGE_SHARE * (self.edges.sum() + self.n_other_edges))
        return band if often and len(kinds) >= LEAST_KINDS else None

    def _count_holes(self, level: Floats, noise_like: np.ndarray) -> None:
        """Cells that go or come by more than a codec leaves to chance, while the noise somewhat below them stays."""
        steady = _mean_of_last(level, EDGE_BANDS)
        filled = _mean_of_last(noise_like.astype(np.float32), EDGE_BANDS) * EDGE_BANDS > LEAST_NOISE_LIKE - 0.5
        steady, filled = np.roll(steady, EDGE_BANDS, axis=1), np.roll(filled, EDGE_BANDS, axis=1)
        filled[:, : 2 * EDGE_BANDS] = False
        before, after = level[:-2], level[2:]  # frames overlap by half: the next but one shares nothing with a frame
        could = filled[:-2] & filled[2:] & (np.maximum(steady[2:], steady[:-2]) > SOLID_DB) & self.eligible
        could &= np.maximum(before, after) > SOLID_DB
        same = could & (np.abs(steady[2:] - steady[:-2]) < SAME_DB)
        self.could += could.sum(axis=0)
        self.solid += same.sum(axis=0)
        self.holes += (same & (np.abs(after - before) > HOLE_DB)).sum(axis=0)

    def hole_share(self) -> float:
        """Share of holes in the sixteenth of the spectrum that has most of them; 0 where the sound itself is moving."""
        holes, solid = self.holes.reshape(-1, HOLE_BANDS).sum(axis=1), self.solid.reshape(-1, HOLE_BANDS).sum(axis=1)
        could = self.could.reshape(-1, HOLE_BANDS).sum(axis=1)
        return float((holes / np.maximum(solid, LEAST_CELLS) * (solid > LEAST_SAME * could)).max())

    def wall(self) -> tuple[float, float] | None:
        """Frequency in Hz of the wall, and by how many dB the spectrum falls there; None without one."""
        there = (self.walls >= LEAST_FRAMES) & (self.walls >= LEAST_SHARE * self.able)
        if not there.any():
            edge = self._edge()
            return None if edge is None else ((edge + 1) * self.half_hz / N_BANDS, WALL_DB)
        # Every band of a wall's upper edge sees it: the highest that most frames agree on is the wall itself.
        most = self.walls[there].max()
        band = int(np.flatnonzero(there & (self.walls >= 0.5 * most))[-1])
        return (band + 1) * self.half_hz / N_BANDS, float(self.falls[band] / self.walls[band])

    def measures(self) -> dict[str, Any]:
        wall = self.wall()
        return {"cut_off_hz": round(wall[0]) if wall else None, "holes": round(self.hole_share(), 4)}

    def findings(self, duration_s: float, lossy: bool) -> list[Finding]:
        """`lossy`: the file itself is coded with loss, and its codec may cut the treble off, but not below 15 kHz."""
        wall, span = self.wall(), ((0.0, round(duration_s, 4)),)
        holes = self.hole_share()
        if wall is None and holes > HOLES_ALONE and not lossy:
            text = "Bands of the treble come and go as a lossy codec at a low rate leaves them out."
            measure = round(100 * holes, 1)
            return [
                Finding(
                    "transcoded",
                    measure,
                    "% of cells",
                    certainty(float(np.log2(holes / HOLES_ALONE))),
                    text,
                    None,
                    span,
                )
            ]
        if wall is None or (lossy and wall[0] > LOSSY_HZ):
            return []
        cut_hz, fall = wall
        sure = certainty((fall - WALL_DB) / 6)
        if holes > HOLES and not lossy:
            text = f"Nothing above {cut_hz / 1000:.1f} kHz and holes below it: decoded from a lossy format."
            return [Finding("transcoded", round(cut_hz), "Hz", sure, text, None, span)]
        text = f"The spectrum ends at {cut_hz / 1000:.1f} kHz as at a wall ({fall:.0f} dB): band-limited or upsampled."
        return [Finding("band_limited", round(cut_hz), "Hz", sure, text, None, span)]


def _warped(bands: np.ndarray, octaves: float) -> np.ndarray:
    """The bands so many warped octaves higher, at most the third from the top."""
    there = np.arctan(np.tan(np.pi / 2 * np.minimum(bands / N_BANDS, 0.999)) * 2**octaves) * 2 / np.pi
    return np.minimum(np.ceil(there * N_BANDS).astype(int), N_BANDS - 3)


def _mean_of_last(values: Floats, n: int) -> Floats:
    """Mean of every value ``(n_rows, m)`` and the `n` - 1 before it in its row; the first ones are 0."""
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    out = np.zeros_like(values)
    out[:, n - 1 :] = (sums[:, n:] - sums[:, :-n]) / n
    return out
