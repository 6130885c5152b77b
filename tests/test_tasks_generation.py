"""Points of whole sounds, the prior, alignment, grain, attributes, and the figures that judge."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from volna.errors import InputError
from volna.features.sounding import FLOOR, sounding_config, sounding_mel
from volna.tasks.generation import attributes, blending, judging, prior, sounds, stretching, texture, wholes

RATE = 8000
CONFIG = sounding_config(RATE)


def tone(hz: float = 440.0, duration_s: float = 0.5, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE)) / RATE)).astype(np.float32)


def some_sounds(n: int = 12, seed: int = 0) -> list[wholes.Described]:
    """Latents that differ in two ways alone, of different lengths."""
    rng = np.random.default_rng(seed)
    ways = rng.standard_normal((2, 6, 1))
    weights = rng.standard_normal((n, 2))
    return [
        wholes.Described(
            np.repeat(np.tensordot(w, ways, 1), 5 + k % 4, axis=1).astype(np.float32), 20 + 4 * (k % 4), -k / 5
        )
        for k, w in enumerate(weights)
    ]


# --- sounds


def test_a_folder_is_learnt_at_the_length_of_nine_in_ten():
    assert sounds.longest_of([0.5] * 19 + [60.0]) == 0.5
    assert sounds.longest_of([0.01]) == sounds.SHORTEST_S
    assert sounds.longest_of([300.0] * 3) == sounds.LONGEST_S
    with pytest.raises(InputError):
        sounds.longest_of([])


def test_silence_around_a_sound_is_cut_off():
    padded = np.concatenate([np.zeros(1000), tone(), np.zeros(3000)]).astype(np.float32)
    (cut,) = sounds.cut(padded, RATE, 2.0)
    assert abs(len(cut) - 4000) < 20


def test_a_longer_sound_loses_its_end_with_a_fade():
    (cut,) = sounds.cut(tone(duration_s=1.5), RATE, 1.0)
    assert len(cut) == RATE
    assert abs(cut[-1]) < 1e-3
    assert np.abs(cut[:4000]).max() > 0.49


def test_a_recording_becomes_pieces():
    pieces = sounds.cut(tone(duration_s=30.0), RATE, 1.0)
    assert len(pieces) == sounds.MOST_PIECES
    assert all(len(piece) <= RATE for piece in pieces)


@pytest.mark.parametrize("samples", [np.zeros(8000), tone(amplitude=1e-6), np.zeros(0), np.ones(1)])
def test_silence_and_clicks_give_no_sound(samples):
    assert sounds.cut(samples.astype(np.float32), RATE, 1.0) == []


def test_a_picture_keeps_the_shape_and_gives_the_level_back():
    log_mel = sounding_mel(tone(), CONFIG)
    picture, level = sounds.as_picture(log_mel)
    again = sounds.as_log_mel(picture, level)
    near = log_mel > level - sounds.RANGE + 0.1
    np.testing.assert_allclose(again[near], log_mel[near], atol=1e-4)
    assert again[~near].max() <= level - sounds.RANGE + 0.1
    assert sounds.as_picture(log_mel + 1)[1] == pytest.approx(level + 1, abs=1e-5)
    assert sounds.as_log_mel(np.full((4, 4), sounds.SILENCE, np.float32), FLOOR).min() >= FLOOR


# --- stretching


def test_stretching_keeps_ends_and_is_undone():
    x = np.cumsum(np.ones((2, 9)), axis=1)
    longer = stretching.stretched(x, 33)
    np.testing.assert_allclose(longer[:, [0, -1]], x[:, [0, -1]])
    np.testing.assert_allclose(stretching.stretched(longer, 9), x, atol=1e-6)
    assert stretching.stretched(np.ones((2, 1)), 5).shape == (2, 5)


def test_a_warping_path_finds_a_delay():
    bump = np.exp(-(((np.arange(40) - 15) / 3.0) ** 2))[None]
    late = np.exp(-(((np.arange(40) - 20) / 3.0) ** 2))[None]
    path = stretching.warping_path(bump, late, band=0.5)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [39, 39]
    assert (np.diff(path, axis=0) >= 0).all()
    assert (np.diff(path, axis=0).sum(axis=1) >= 1).all()
    assert abs(np.interp(15, path[:, 0], path[:, 1]) - 20) <= 1


def test_a_warping_path_is_no_dearer_than_the_diagonal_and_stays_in_its_band():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 30))
    path = stretching.warping_path(a, b, band=0.1)
    assert np.abs(path[:, 0] - path[:, 1]).max() <= 3
    apart = np.linalg.norm(a[:, path[:, 0]] - b[:, path[:, 1]], axis=0)
    steps = np.diff(path, axis=0).sum(axis=1)
    assert 2 * apart[0] + (apart[1:] * steps).sum() <= 2 * np.linalg.norm(a - b, axis=0).sum() + 1e-6


@pytest.mark.parametrize("lengths", [(1, 1), (1, 9), (2, 50), (50, 2)])
def test_a_path_exists_for_any_lengths(lengths):
    path = stretching.warping_path(np.ones((1, lengths[0])), np.zeros((1, lengths[1])))
    assert path[-1].tolist() == [lengths[0] - 1, lengths[1] - 1]
    first, second = stretching.between(path, 0.5)
    assert len(first) == len(second) == round(sum(n - 1 for n in lengths) / 2) + 1


def test_times_between_lead_from_one_sound_to_the_other():
    path = np.array([[0, 0], [1, 1], [1, 2], [2, 3], [3, 4]])
    first, _ = stretching.between(path, 0.0)
    np.testing.assert_allclose(first, [0, 1, 2, 3])
    _, second = stretching.between(path, 1.0)
    np.testing.assert_allclose(second, [0, 1, 2, 3, 4])


# --- slerp


def test_slerp_meets_its_ends_and_keeps_the_length():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 5, 7))
    np.testing.assert_allclose(blending.slerp(a, b, 0.0), a, atol=1e-5)
    np.testing.assert_allclose(blending.slerp(a, b, 1.0), b, atol=1e-5)
    unit = [x / np.linalg.norm(x, axis=0) for x in (a, b)]
    for share in (0.2, 0.5, 0.9):
        middle = blending.slerp(*unit, share)
        np.testing.assert_allclose(np.linalg.norm(middle, axis=0), 1, atol=1e-5)
        whole = np.arccos((unit[0] * unit[1]).sum(0))
        np.testing.assert_allclose(np.arccos(np.clip((unit[0] * middle).sum(0), -1, 1)), share * whole, atol=1e-3)


def test_slerp_of_equal_and_opposite_vectors_is_finite():
    a = np.ones((3, 2))
    np.testing.assert_allclose(blending.slerp(a, a, 0.3), a, atol=1e-6)
    assert np.isfinite(blending.slerp(a, -a, 0.5)).all()
    assert np.isfinite(blending.slerp(a, np.zeros((3, 2)), 0.5)).all()


# --- wholes


def test_a_sound_comes_back_from_its_point():
    described = some_sounds()
    space = wholes.fit_space(described)
    for sound in described:
        back = space.sound(space.vector(sound), 4)
        assert back.n_frames == sound.n_frames
        assert back.level == pytest.approx(sound.level, abs=1e-4)
        np.testing.assert_allclose(back.latent, sound.latent, atol=0.25)


def test_the_detail_of_a_sound_is_what_its_point_leaves_out():
    described = some_sounds()
    space = wholes.fit_space(described)
    rng = np.random.default_rng(1)
    other = wholes.Described(rng.standard_normal((6, 8)).astype(np.float32), 32, -1.0)
    back = space.sound(space.vector(other), 4, space.detail(other))
    np.testing.assert_allclose(back.latent, other.latent, atol=1e-4)


def test_nothing_is_made_outside_the_lengths_and_levels_learnt():
    space = wholes.fit_space(some_sounds())
    far = np.zeros(len(space.components) + 2)
    far[-2:] = 1000
    sound = space.sound(far, 4)
    assert sound.n_frames <= 33
    assert sound.level <= 1e-6


def test_a_space_survives_its_arrays():
    described = some_sounds()
    space = wholes.fit_space(described)
    again = wholes.Space.from_arrays({name: x.astype(np.float32) for name, x in space.arrays().items()})
    np.testing.assert_allclose(again.vector(described[3]), space.vector(described[3]), atol=1e-4)


# --- prior


@pytest.mark.parametrize("kind", prior.KINDS)
def test_drawn_points_have_the_mean_and_spread_of_the_sounds(kind):
    points = np.random.default_rng(0).standard_normal((200, 4)) * [1, 2, 0.8, 0.6] + [5, 0, 0, 0]
    drawn = prior.draw(points, 400, np.random.default_rng(1), kind=kind)
    np.testing.assert_allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.35)
    np.testing.assert_allclose(drawn.std(axis=0), points.std(axis=0), rtol=0.3)


def test_drawn_points_are_new_but_stay_on_the_ways_that_sounds_differ():
    rng = np.random.default_rng(0)
    flat = np.c_[rng.standard_normal((100, 2)), np.zeros((100, 2))]
    drawn = prior.draw(flat, 100, np.random.default_rng(1))
    assert np.abs(drawn[:, 2:]).max() < 1e-9
    assert judging.copying(drawn, flat, rng.standard_normal((100, 4)) * [1, 1, 0, 0]) > 0.2


def test_temperature_scales_the_distance_and_seeds_repeat():
    points = np.random.default_rng(0).standard_normal((50, 3))
    same = [prior.draw(points, 9, np.random.default_rng(4)) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    cold = prior.draw(points, 20, np.random.default_rng(4), temperature=0.0)
    assert judging._median_nearest(cold, points) == pytest.approx(0.0, abs=1e-6)
    far = [
        judging._median_nearest(prior.draw(points, 50, np.random.default_rng(4), temperature=t), points)
        for t in (0.2, 1, 3)
    ]
    assert far == sorted(far)


def test_a_prior_says_what_it_cannot_do():
    points = np.zeros((5, 2))
    for wrong in ({"temperature": -1.0}, {"kind": "flow"}, {"temperature": float("nan")}):
        with pytest.raises(InputError):
            prior.draw(points, 1, np.random.default_rng(0), **wrong)
    with pytest.raises(InputError, match="two sounds"):
        prior.draw(points[:1], 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="distance"):
        prior.vary(points, points[0], -0.5, np.random.default_rng(0))


def test_variations_lie_at_their_distance():
    points = np.random.default_rng(0).standard_normal((60, 5))
    unit = prior.nearest_distance(points)
    for distance in (0.0, 0.5, 2.0):
        moved = prior.vary(points, points[7], distance, np.random.default_rng(3))
        assert np.linalg.norm(moved - points[7]) == pytest.approx(distance * unit, abs=1e-5)


# --- texture


def test_grain_hangs_together_as_analysed_noise_does():
    noise = texture.grain(600, CONFIG, np.random.default_rng(0))
    np.testing.assert_allclose(noise.mean(axis=1), 0, atol=0.2)
    np.testing.assert_allclose(np.abs(noise).mean(axis=1), 1, atol=0.25)
    near = np.mean([np.corrcoef(band[1:], band[:-1])[0, 1] for band in noise])
    far = np.mean([np.corrcoef(band[8:], band[:-8])[0, 1] for band in noise])
    assert near > 0.4 > 0.1 > abs(far)  # four frames share samples


def test_gains_restore_the_power_that_smoothing_took():
    rng = np.random.default_rng(0)
    real = [rng.standard_normal((24, 60 + k)) + np.linspace(0, 3, 24)[:, None] for k in range(30)]
    kernel = np.ones(3) / 3
    smooth = [np.apply_along_axis(np.convolve, 1, x, kernel, mode="same") for x in real]
    gains = texture.gains_between(texture.plane_power(smooth), texture.plane_power(real))
    assert gains[3:, 8:].mean() > 1.5 > gains[3:, 0].mean()
    mended = texture.plane_power(texture.with_gains(x, gains) for x in smooth)
    target, before = texture.plane_power(real), texture.plane_power(smooth)
    quick = np.s_[3:, 4:]
    assert abs(np.log(mended[quick] / target[quick])).mean() < 0.6 * abs(np.log(before[quick] / target[quick])).mean()


def test_gains_leave_the_mean_and_short_pictures_alone():
    picture = np.random.default_rng(0).standard_normal((8, 5)) + 3
    mended = texture.with_gains(picture, np.full((8, texture.N_RATES), 2.0))
    assert mended.mean() == pytest.approx(picture.mean(), abs=1e-5)
    assert texture.plane_power([picture]).shape == (8, texture.N_RATES)
    assert np.isfinite(texture.plane_power([picture])).all()


def test_the_share_of_grain_is_what_is_missing():
    rng = np.random.default_rng(0)
    means = [np.cumsum(rng.standard_normal((16, 64)), axis=1) for _ in range(20)]
    noises = [rng.standard_normal((16, 64)) for _ in range(20)]
    real = texture.plane_power(m + 0.6 * n for m, n in zip(means, noises, strict=True))
    share = texture.grain_share(real, texture.plane_power(means), texture.plane_power(noises))
    assert share == pytest.approx(0.6, abs=0.05)
    assert texture.grain_share(texture.plane_power(means), real, texture.plane_power(noises)) == 0.0


# --- attributes


def test_attributes_say_what_is_heard():
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(4000)).astype(np.float32)
    low, high, loud, long = (
        attributes.measured(x, RATE) for x in (tone(220), tone(880), tone(220, amplitude=0.9), tone(220, 1.0))
    )
    assert high[0] > low[0] + 1
    assert loud[1] == pytest.approx(low[1] + 20 * np.log10(0.9 / 0.5), abs=0.1)
    assert long[2] == pytest.approx(low[2] + np.log(2), abs=1e-3)
    assert attributes.measured(noise, RATE)[3] > low[3] + 2
    assert high[4] - low[4] == pytest.approx(np.log(4), abs=0.02)
    assert np.isnan(attributes.measured(noise, RATE)[4])
    assert np.isnan(attributes.measured(tone()[:60], RATE)[4])  # too short for a pitch


def test_moving_towards_an_attribute_moves_it_as_much_and_takes_along_what_goes_with_it():
    rng = np.random.default_rng(0)
    first, third = rng.standard_normal((2, 400))
    points = np.c_[first, 0.9 * first + 0.1 * rng.standard_normal(400), third]
    values = np.c_[first * 7 + 100, third, *rng.standard_normal((3, 400))]
    slopes, fit = attributes.directions(points, values)
    assert fit[0] > 0.9
    assert abs(fit[2]) < 0.1
    move = attributes.towards(points, slopes, {"brighter": 1.0})
    assert slopes[0] @ move == pytest.approx(1.0, abs=1e-3)
    assert move[1] == pytest.approx(0.9 * move[0], abs=0.1)
    assert abs(move[2]) < 0.15
    both = attributes.towards(points, slopes, {"brighter": 1.0, "louder": -2.0})
    np.testing.assert_allclose(slopes[:2] @ both, [1.0, -2.0], atol=1e-2)
    assert not attributes.towards(points, slopes, {"brighter": 0.0}).any()


def test_an_attribute_that_was_not_learnt_cannot_be_asked_for():
    points = np.random.default_rng(0).standard_normal((20, 3))
    values = np.full((20, 5), np.nan)
    values[:, 0] = points[:, 0]
    slopes, fit = attributes.directions(points, values)
    assert np.isnan(fit[1:]).all()
    with pytest.raises(InputError, match="higher"):
        attributes.towards(points, slopes, {"higher": 1.0})
    with pytest.raises(InputError, match="expected attributes"):
        attributes.towards(points, slopes, {"rounder": 1.0})


# --- judging


def test_frechet_distance_agrees_with_the_matrix_square_root():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5)), rng.standard_normal((200, 5)) + 1
    c1, c2 = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(c1 @ c2).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
    assert judging.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert judging.frechet_distance(a, a) == pytest.approx(0.0, abs=1e-8)
    with pytest.raises(InputError):
        judging.frechet_distance(a, b[:, :3])


def test_copies_and_sameness_show():
    rng = np.random.default_rng(0)
    train, held, new = rng.standard_normal((3, 200, 4))
    assert judging.copying(train[:50] + 1e-4, train, held) < 0.01
    assert judging.copying(new, train, held) == pytest.approx(1.0, abs=0.25)
    assert judging.diversity(np.repeat(train[:1], 9, axis=0)) == 0.0


def test_axes_are_those_of_the_training_sounds():
    rng = np.random.default_rng(0)
    train = rng.standard_normal((100, 6)) * [1e-3, 1, 1e3, 1, 1, 1]
    axes = judging.fit_axes(train, 6)
    assert axes(train).std(axis=0).max() < 1.6  # every element counts alike, whatever its unit
    np.testing.assert_allclose(axes(train).mean(axis=0), 0, atol=1e-4)
