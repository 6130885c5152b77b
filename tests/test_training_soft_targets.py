"""Soft targets of the contrast: what tracks share may be recognised, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_training_loop import N_MELS, TINY, filled, folder  # noqa: F401 - fixtures

from volna.models.checkpoint import from_bytes
from volna.training.config import TrainConfig
from volna.training.dataset import MelCache, batches, scan_tracks, tracks_of_step
from volna.training.loop import train
from volna.training.losses import info_nce
from volna.training.step import _wanted

CPU = torch.device("cpu")


def test_hard_targets_are_the_limit_of_soft_ones():
    torch.manual_seed(0)
    first, second = torch.randn(2, 8, 5)
    torch.testing.assert_close(info_nce(first, second, 0.2, torch.eye(8)), info_nce(first, second, 0.2))


def test_soft_targets_forgive_taking_a_track_for_one_like_it():
    first = torch.eye(4)
    second = first[[1, 0, 2, 3]]  # the first two are taken for one another
    wanted = torch.eye(4)
    wanted[:2, :2] = 0.5
    assert info_nce(first, second, 0.1, wanted) < info_nce(first, second, 0.1)


def test_targets_follow_the_cosines_of_the_rows():
    rows = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    wanted = _wanted(rows, TrainConfig(softness=0.25), CPU)
    assert wanted is not None
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(3))
    assert wanted[0].argsort(descending=True).tolist() == [0, 1, 2]
    torch.testing.assert_close(torch.log(wanted[0, 0] / wanted[0, 1]), torch.tensor(0.2 / 0.25))
    assert _wanted(rows, TrainConfig(softness=0.0), CPU) is None
    assert _wanted(None, TrainConfig(), CPU) is None


def test_the_tracks_of_a_step_are_those_of_its_batch(folder):  # noqa: F811
    cache = MelCache(folder)
    tracks, _ = scan_tracks(cache)
    draws = batches(cache, tracks, batch_size=4, n_frames=16, seed=3)
    one_by_one = batches(cache, tracks, batch_size=4, n_frames=16, seed=3, first_step=7)
    for _ in range(7):
        next(draws)
    np.testing.assert_array_equal(next(draws), next(one_by_one))
    epoch = np.concatenate([tracks_of_step(len(tracks), 4, 3, step) for step in range(len(tracks) // 4)])
    assert len(set(epoch.tolist())) == len(epoch)


@pytest.mark.parametrize("given", ["all", "some", "none"])
def test_rows_soften_the_training_where_every_track_has_one(folder, given):  # noqa: F811
    keys = MelCache(folder).keys()
    rows = {key: np.eye(len(keys), dtype=np.float32)[0] for key in keys[: {"all": None, "some": 3, "none": 0}[given]]}
    config = TrainConfig(**{**vars(TINY), "max_steps": 3, "time_budget_s": None})
    plain = from_bytes(train(folder, config, mel_config={"n_mels": N_MELS}).checkpoint)
    soft = from_bytes(train(folder, config, mel_config={"n_mels": N_MELS}, rows=rows).checkpoint)
    same = all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), soft.model.parameters(), strict=True))
    assert same == (given != "all")
