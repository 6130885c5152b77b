"""The cache of log-mels and the batches that training draws from it. numpy only: a worker fills it without torch.

One file a track, named by the hash of its audio, a safetensors file of its windows: ``window_000`` ... float16
``(n_frames, n_mels)`` in dB, time first, so that a few seconds of a window are one contiguous read. 3 000 tracks of
1 200 frames of 72 bands make 520 MB; nothing of it stays in memory, a batch reads the frames that it needs and no more.

Randomness has no state: the batch of step ``s`` depends on ``(seed, s)`` alone, so a resumed training sees the very
same batches without having saved a generator.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays

from volna.errors import InputError, ModelError

__all__ = [
    "MelCache",
    "Track",
    "batches",
    "draw_pairs",
    "scan_tracks",
    "split_tracks",
    "tile_frames",
    "tracks_of_step",
    "write_whole",
]

N_FRAMES = 128  # of a training window: 3.2 s at 40 frames a second
MAX_BYTES = 1_000_000_000
_SUFFIX = ".mel"
_UNREADABLE = (OSError, SafetensorError, ValueError, KeyError)


class MelCache:
    """Log-mels of tracks on disk, by the hash of their audio; bounded, and safe to fill from several processes.

    Parameters
    ----------
    folder
        Created when missing.
    max_bytes
        :attr:`full` is true, and :meth:`put` keeps nothing more, once the next track would pass it.

    Examples
    --------
    >>> import tempfile
    >>> cache = MelCache(tempfile.mkdtemp())
    >>> cache.put("00ff", [np.zeros((72, 400), dtype=np.float32)])
    True
    >>> cache.get("00ff")[0].shape, cache.keys()
    ((72, 400), ['00ff'])
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: float = MAX_BYTES) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self.folder.mkdir(parents=True, exist_ok=True)
        self._n_bytes: int | None = None
        self._largest = 0

    def path(self, key: str) -> Path:
        """Where the track lies, whether it does or not. ``key`` is letters, digits, ``-`` and ``_``."""
        if not key or not key.replace("-", "").replace("_", "").isalnum():
            raise InputError(f"expected a key of letters and digits, got {key!r}")
        return self.folder / f"{key}{_SUFFIX}"

    @property
    def n_bytes(self) -> int:
        """Bytes of the tracks; counted when first asked, so several processes may pass ``max_bytes`` by a little."""
        if self._n_bytes is None:
            with os.scandir(self.folder) as entries:
                self._n_bytes = sum(_size(Path(entry)) for entry in entries if entry.name.endswith(_SUFFIX))
        return self._n_bytes

    @property
    def full(self) -> bool:
        """Whether a track as large as the largest one put would no longer fit."""
        return self.n_bytes + self._largest > self.max_bytes

    def put(self, key: str, log_mels: Sequence[NDArray[Any]]) -> bool:
        """Keep the windows of a track, each ``(n_mels, n_frames)`` in dB; False where there is no room for them.

        Stored as float16: a step of 0.06 dB at -100 dB. Written beside and renamed, so a killed run leaves no half.
        """
        windows = [mel for mel in log_mels if mel.size]
        if not windows:
            raise InputError("expected at least one window with a frame in it")
        frames = {f"window_{i:03}": np.ascontiguousarray(mel.T, dtype=np.float16) for i, mel in enumerate(windows)}
        data = save_arrays(frames)
        target = self.path(key)
        self._largest = max(self._largest, len(data))
        grown = len(data) - _size(target)
        n_bytes = self.n_bytes  # before the file is there to be counted
        if n_bytes + grown > self.max_bytes:
            return False
        write_whole(target, data)
        self._n_bytes = n_bytes + grown
        return True

    def get(self, key: str) -> list[NDArray[np.float32]] | None:
        """The windows of a track, float32 ``(n_mels, n_frames)`` in dB, or None where it is missing or damaged."""
        try:
            with safe_open(self.path(key), framework="numpy") as file:
                return [file.get_tensor(name).T.astype(np.float32) for name in sorted(file.keys())]
        except _UNREADABLE:
            return None

    def read(self, key: str, window: int, start: int, n_frames: int) -> NDArray[np.float32]:
        """Some frames of one window, float32 ``(n_mels, n_frames)`` in dB; only they are read from the disk."""
        with safe_open(self.path(key), framework="numpy") as file:
            whole = file.get_slice(f"window_{window:03}")
            frames = whole[start : min(start + n_frames, whole.get_shape()[0])]
        return np.ascontiguousarray(frames.T, dtype=np.float32)

    def keys(self) -> list[str]:
        """Hashes of the tracks that lie here, sorted."""
        return sorted(path.stem for path in self.folder.glob(f"*{_SUFFIX}") if not path.name.startswith("."))

    def __contains__(self, key: str) -> bool:
        return self.path(key).is_file()

    def __len__(self) -> int:
        return len(self.keys())

    def clear(self) -> None:
        """Remove the tracks, what a killed run left, the state of the training; the folder too if that empties it."""
        for pattern in (f"*{_SUFFIX}", f".*{_SUFFIX}.*", "*.state", ".*.state.*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()
        self._n_bytes = 0


@dataclass(frozen=True)
class Track:
    """What is known of a cached track without its frames: lengths of its windows, and its floor and level in dB."""

    key: str
    n_mels: int
    n_frames: tuple[int, ...]
    floor_db: float
    level_db: float


def scan_tracks(cache: MelCache, *, n_mels: int | None = None, top_db: float = 80.0) -> tuple[list[Track], list[str]]:
    """Read every track once: the usable ones, and the keys of those that are damaged or have other bands.

    ``n_mels`` is that of the first readable track where it is not given.
    """
    tracks: list[Track] = []
    unusable: list[str] = []
    keys = cache.keys()
    for key in keys:
        windows = cache.get(key)
        if not windows or not all(mel.ndim == 2 and mel.size and np.isfinite(mel).all() for mel in windows):
            unusable.append(key)
            continue
        n_mels = n_mels or windows[0].shape[0]
        if any(mel.shape[0] != n_mels for mel in windows):
            unusable.append(key)
            continue
        floor = max(float(mel.max()) for mel in windows) - top_db
        cells = np.concatenate([np.maximum(mel, floor) for mel in windows], axis=1)
        lengths = tuple(mel.shape[1] for mel in windows)
        tracks.append(Track(key, n_mels, lengths, floor, float(cells.mean(dtype=np.float64))))
    return tracks, unusable


def split_tracks(
    tracks: Sequence[Track],
    *,
    groups: Mapping[str, str] | None = None,
    share: float = 0.1,
    most: int = 150,
    seed: int = 0,
) -> tuple[list[Track], list[Track]]:
    """Training and validation by whole tracks, and by whole groups where ``groups`` names the group of a key.

    A track without a group is a group of its own. At least one group validates; with a single group there is nothing to
    hold out, and it does both.

    Returns
    -------
    training, validation
        ``share`` of the tracks validate, at most about ``most`` of them, each list in the order given.
    """
    group_of = {track.key: (groups or {}).get(track.key) or f"track {track.key}" for track in tracks}
    order = sorted(set(group_of.values()), key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    if len(order) < 2:
        return list(tracks), list(tracks)
    wanted = min(max(1, round(share * len(tracks))), most)
    sizes = dict.fromkeys(order, 0)
    for name in group_of.values():
        sizes[name] += 1
    held: set[str] = set()
    taken = 0
    for name in order[:-1]:
        if taken < wanted and (taken == 0 or taken + sizes[name] <= 2 * wanted):
            held.add(name)
            taken += sizes[name]
    training = [track for track in tracks if group_of[track.key] not in held]
    return training, [track for track in tracks if group_of[track.key] in held]


def tile_frames(mel: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """Repeat a short log-mel until it has ``n_frames`` frames: ``(n_mels, T) -> (n_mels, n_frames)``."""
    if mel.shape[1] >= n_frames:
        return mel[:, :n_frames]
    return np.tile(mel, (1, -(-n_frames // mel.shape[1])))[:, :n_frames]


def draw_pairs(
    cache: MelCache, tracks: Sequence[Track], rng: np.random.Generator, *, n_frames: int = N_FRAMES, n_places: int = 2
) -> NDArray[np.float32]:
    """Windows from random places of each track, with the track's own floor and level already applied.

    Returns
    -------
    float32 ``(len(tracks), n_places, n_mels, n_frames)``, dB relative to the track's level. Places fall in different
    windows of the track where it has several. A track whose file went away or broke since the scan is replaced by
    another of the batch.

    Raises
    ------
    ModelError
        None of the tracks can be read.
    """
    drawn: list[NDArray[np.float32] | None] = [_draw(cache, track, rng, n_frames, n_places) for track in tracks]
    usable = [pair for pair in drawn if pair is not None]
    if not usable:
        raise ModelError(f"none of the cached log-mels in {cache.folder} can be read any more: index again")
    return np.stack([usable[i % len(usable)] if pair is None else pair for i, pair in enumerate(drawn)])


def batches(
    cache: MelCache,
    tracks: Sequence[Track],
    *,
    batch_size: int = 32,
    n_frames: int = N_FRAMES,
    seed: int = 0,
    first_step: int = 0,
) -> Iterator[NDArray[np.float32]]:
    """Endless batches of pairs ``(batch_size, 2, n_mels, n_frames)``; every track comes once before any comes again.

    The batch of step ``s`` is the same whether the iterator began at 0 or, with ``first_step``, at ``s``. Fewer tracks
    than ``batch_size`` make smaller batches.
    """
    if not tracks:
        raise ModelError("expected at least one track to train on, got none")
    step = first_step
    while True:
        chosen = [tracks[i] for i in tracks_of_step(len(tracks), batch_size, seed, step)]
        yield draw_pairs(cache, chosen, np.random.default_rng([seed, 2, step]), n_frames=n_frames)
        step += 1


def tracks_of_step(n_tracks: int, batch_size: int, seed: int, step: int) -> NDArray[np.int64]:
    """Which tracks the batch of a step holds, int64 ``(min(batch_size, n_tracks),)``."""
    size = min(batch_size, n_tracks)
    epoch, place = divmod(step, n_tracks // size)  # the few left over differ from one epoch to the next
    order = np.random.default_rng([seed, 1, epoch]).permutation(n_tracks)
    return order[place * size : (place + 1) * size]


def _draw(
    cache: MelCache, track: Track, rng: np.random.Generator, n_frames: int, n_places: int
) -> NDArray[np.float32] | None:
    chosen = rng.permutation(len(track.n_frames))
    starts = rng.random(n_places)
    places = []
    for i in range(n_places):
        window = int(chosen[i % len(chosen)])
        start = int(starts[i] * (max(track.n_frames[window] - n_frames, 0) + 1))
        try:
            mel = cache.read(track.key, window, start, n_frames)
        except _UNREADABLE:
            return None
        if mel.ndim != 2 or mel.shape[0] != track.n_mels or not mel.size:
            return None
        places.append(np.maximum(tile_frames(mel, n_frames), np.float32(track.floor_db)) - np.float32(track.level_db))
    return np.stack(places)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def write_whole(target: Path, data: bytes) -> None:
    """Write beside and rename: another process sees the old file or the new one, never half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
