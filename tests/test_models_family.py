"""What each architecture is named for: a test that fails when that part makes no difference."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_models import LATENT, N_MELS, error, fitted, learnt, sounds, tiny

from volna.errors import ModelError
from volna.models.denoising import add_noise, hide_bands
from volna.models.masked import cut, join, time_places
from volna.models.variational import kl_to_standard_normal
from volna.training.state import own_parameters


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def mse(made: torch.Tensor, mels: torch.Tensor) -> float:
    return float((made - mels).square().mean())


# dense


def test_dense_cuts_time_into_patches_that_know_nothing_of_each_other():
    model, mels = learnt("dense"), sounds(2)
    other = mels.clone()
    other[..., :16] = 0
    changed = (model(mels)["mel"] != model(other)["mel"]).any(dim=0).any(dim=0)
    assert changed[:16].all()
    assert not changed[16:].any()


# recurrent: order and attention


def test_attention_makes_a_difference():
    """Told a spectrum only at the end, it must write it from the start: both networks run forward, so one must look."""
    torch.manual_seed(0)
    errors = {attention: _told_at_the_end(attention) for attention in (True, False)}
    assert errors[False] > 0.6  # nothing to know: about the mean
    assert errors[True] < 0.2


def _told_at_the_end(attention: bool) -> float:
    """Error of the first 16 frames, over their variance, after learning to write what is heard in the last 16."""
    model = tiny("recurrent", n_mels=4, hidden=24, attention=attention)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    error = torch.tensor(1.0)
    for _ in range(60):
        target = torch.randn(32, 4, 1).expand(-1, -1, 32)
        heard = target * (torch.arange(32) >= 16)
        optimizer.zero_grad()
        error = (model(heard)["mel"] - target).square()
        error.mean().backward()
        optimizer.step()
    return float(error[..., :16].detach().mean())


def test_attention_is_shares_of_the_latents():
    model, mels = tiny("recurrent"), sounds(2)
    weights = model.attention(model.encode(mels))
    assert weights.shape == (2, 64, 4)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 64))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("attention", [True, False])
def test_every_kind_of_recurrence_learns(cell, attention):
    mels = sounds(4, n_frames=32)
    model = fitted("recurrent", mels, 40, cell=cell, attention=attention)
    assert error(model, mels) < 0.5 * float(mels.var())


def test_the_reader_remembers_what_came_before_and_knows_nothing_of_what_comes():
    model, mels = learnt("recurrent"), sounds(2)
    other = mels.clone()
    other[..., 20:24] = 0
    changed = (model.encode(mels) != model.encode(other)).any(dim=0).any(dim=0)
    assert changed.tolist() == [False, True, True, True]


def test_recurrent_settings_that_make_no_sense():
    with pytest.raises(ModelError, match="expected one of the cells gru, lstm, got 'tape'"):
        tiny("recurrent", cell="tape")
    with pytest.raises(ModelError, match="without attention"):
        tiny("recurrent", attention=False).attention(torch.zeros(1, LATENT, 2))


# memory


def test_the_memory_makes_a_difference():
    model, mels = learnt("memory"), sounds(16)
    with torch.inference_mode():
        latent = model.encode(mels)
        weights = model.weights(latent)
        assert weights.shape == (16, 4, 6, 16)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(16, 4, 6))
        torch.testing.assert_close(model._write(model.read(weights)), model(mels)["mel"])
        other_answers = model._write(model.read(weights.roll(1, dims=-1)))  # to the same questions
        same_answer = model._write(model.read(torch.full_like(weights, 1 / 16)))  # to all questions
    assert mse(other_answers, mels) > 2 * error(model, mels)
    assert mse(same_answer, mels) > 2 * error(model, mels)


def test_different_sounds_read_different_slots_by_content_alone():
    model = learnt("memory")
    with torch.inference_mode():
        latent = model.encode(sounds(32))
        weights = model.weights(latent)
        assert len(weights.argmax(dim=-1).unique()) > 4
        torch.testing.assert_close(model.weights(3 * latent), weights)  # by direction: loud and soft ask alike
        own = model.slots.detach()[:, 3].reshape(1, -1, 1)
        assert (model.weights(own).argmax(dim=-1) == 3).all()  # a slot's own content finds it


def test_the_memory_needs_heads_that_divide_the_latent():
    with pytest.raises(ModelError, match="expected a latent that 5 heads divide, got 12"):
        tiny("memory", heads=5)


# variational


def test_kl_against_torch():
    mean, log_variance = torch.randn(5), torch.randn(5)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)


def test_the_kl_makes_a_difference():
    mels = sounds(8)
    nats = {}
    for weight in (0.0, 1.0):
        model = fitted("variational", mels, 40, weight=weight).eval()
        with torch.inference_mode():
            nats[weight] = float(kl_to_standard_normal(*model.posterior(mels)).sum(dim=1).mean())
    assert nats[1.0] < 0.3 * nats[0.0]


def test_free_bits_cost_nothing_and_pull_nothing():
    model = tiny("variational", free_bits=1.0).train()
    for parameter in (*model.fold.parameters(), *model.linear_in.parameters(), model.fold_variance.bias):
        torch.nn.init.zeros_(parameter)  # the posterior is the prior
    kl = model(sounds(4))["kl"]
    assert float(kl.detach()) == pytest.approx(LATENT * math.log(2) / (N_MELS * 16))
    kl.backward()
    assert float(model.fold_variance.bias.grad.abs().sum()) == 0


def test_it_draws_while_training_only():
    model, mels = tiny("variational").train(), sounds(4)
    model.fold_variance.bias.data.fill_(0.0)
    assert mse(model(mels)["mel"].detach(), model(mels)["mel"].detach()) > 1e-3
    model.eval()
    assert torch.equal(model(mels)["mel"], model(mels)["mel"])


def test_samples_are_spread_like_the_sounds_and_depend_on_the_seed():
    model = fitted("variational", sounds(32), 40, weight=0.3)
    drawn = model.sample(16, 50)
    assert drawn.shape == (16, N_MELS, 50)
    assert torch.equal(drawn, model.sample(16, 50))
    assert not torch.equal(drawn, model.sample(16, 50, seed=1))
    assert 0.2 < float(drawn.std()) / float(sounds(32).std()) < 3


def test_interpolation_goes_from_one_end_to_the_other():
    model, (first, second) = learnt("variational"), sounds(2)
    path = model.interpolate(first, second, 5)
    with torch.inference_mode():
        ends = model(torch.stack([first, second]))["mel"]
    torch.testing.assert_close(path[[0, -1]], ends, rtol=1e-3, atol=1e-4)
    away = (path - ends[0]).square().mean(dim=(1, 2))
    assert (away.diff() > 0).all()


# denoising


def test_noise_is_added_in_power():
    mel = torch.randn(2, 3, 4)
    assert (add_noise(mel, torch.tensor(-3.0)) >= mel).all()
    torch.testing.assert_close(add_noise(mel, torch.tensor(-90.0)), mel)
    torch.testing.assert_close(add_noise(mel, torch.tensor(90.0)), torch.full_like(mel, 90.0))


def test_hidden_bands_are_one_span_at_most_as_wide_as_asked():
    hidden = (hide_bands(torch.ones(200, 20, 3), 0.25) == 0).all(dim=2)
    assert set(hidden.sum(dim=1).tolist()) == set(range(6))
    assert int(hidden.int().diff(dim=1).abs().sum(dim=1).max()) <= 2


def test_corruption_makes_a_difference():
    mels = sounds(16, seed=1)
    plain, denoising = learnt("conv"), fitted("denoising", sounds(32), 100, noise=3.0)
    spoilt = denoising.corrupt(mels)
    with torch.inference_mode():
        assert mse(denoising(spoilt)["mel"], mels) < 0.8 * mse(plain(spoilt)["mel"], mels)


def test_without_corruption_it_is_conv():
    model, mels = tiny("denoising", noise=0.0, gain=0.0, bands=0.0).train(), sounds(2)
    assert torch.equal(model.corrupt(mels), mels)
    conv = tiny("conv").train()
    conv.load_state_dict(model.state_dict())
    assert torch.equal(model(mels)["mel"], conv(mels)["mel"])


# masked


def test_what_is_hidden_is_not_seen(monkeypatch):
    model, mels = tiny("masked").train(), sounds(2)
    monkeypatch.setattr(model, "draw_visible", lambda n, n_words: torch.arange(3, 6).expand(n, -1))
    other = mels.clone()
    other[:, :8, 16:32] = -5  # the first word of the second column is number 3: visible
    assert not torch.equal(model(mels)["mel"], model(other)["mel"])
    other = mels.clone()
    other[:, 8:, :16] = other[:, :, 32:] = -5
    assert torch.equal(model(mels)["mel"], model(other)["mel"])


def test_hiding_makes_a_difference(monkeypatch):
    mels, unseen = sounds(32), sounds(16, seed=1)
    errors = {}
    for share in (0.5, 0.0):
        model = fitted("masked", mels, 60, hidden=share)
        monkeypatch.setattr(model, "draw_visible", lambda n, n_words: torch.arange(0, n_words, 2).expand(n, -1))
        with torch.inference_mode():
            errors[share] = mse(model.decode(model._fold(model._columns(unseen, hide=True))), unseen)
    assert errors[0.5] < 0.7 * errors[0.0]


def test_as_many_words_are_left_as_asked():
    visible = tiny("masked", hidden=0.75).draw_visible(5, 40)
    assert visible.shape == (5, 10)
    assert all(len(row.unique()) == 10 for row in visible)
    assert tiny("masked", hidden=0.99).draw_visible(2, 3).shape == (2, 1)


def test_a_long_window_is_read_in_parts():
    model, mels = learnt("masked"), sounds(2, n_frames=128)  # twice the context
    with torch.inference_mode():
        parts = [model(part)["mel"] for part in mels.split(64, dim=2)]
        torch.testing.assert_close(model(mels)["mel"], torch.cat(parts, dim=2), rtol=1e-4, atol=1e-5)


def test_cut_and_join_undo_each_other():
    x = torch.randn(3, 2, 12)
    assert cut(x, 4).shape == (9, 2, 4)
    assert torch.equal(join(cut(x, 4), 3), x)
    assert torch.equal(cut(x, 12), x)
    assert torch.equal(join(cut(x[..., :10], 4), 3)[..., :10], x[..., :10])
    assert time_places(5, 7).shape == (5, 7)


# adversarial


def test_the_discriminator_makes_a_difference():
    """The mean of a texture is flat; whoever must please a judge of patches cannot leave it so."""
    roughness = {weight: _played(weight) for weight in (0.0, 0.1)}
    assert roughness[0.0] < 0.2
    assert roughness[0.1] > 5 * roughness[0.0]


def _played(weight: float) -> float:
    """How much neighbouring cells of the reconstruction of noise differ after a game of some steps."""
    torch.manual_seed(0)
    model = tiny("adversarial", latent=4).train()
    own = own_parameters(model)
    players = torch.optim.AdamW(own, lr=5e-3), torch.optim.AdamW(model.discriminator.parameters(), lr=5e-3)
    for _ in range(50):
        mels = torch.randn(8, N_MELS, 32)
        out = model(mels)
        players[0].zero_grad()
        ((out["mel"] - mels).square().mean() + weight * out["adversarial"]).backward()
        torch.nn.utils.clip_grad_norm_(own, 1.0)
        players[0].step()
        players[1].zero_grad()
        model.discriminator_loss(out["mel"].detach(), mels).backward()
        players[1].step()
    with torch.inference_mode():
        return float(model.eval()(torch.randn(8, N_MELS, 32))["mel"].diff(dim=1).square().mean())


def test_the_hinge_is_content_where_the_two_are_well_apart(monkeypatch):
    model = tiny("adversarial")
    monkeypatch.setattr(model, "judge", lambda mel: mel)
    real, made = torch.full((1, 2, 3), 2.0), torch.full((1, 2, 3), -2.0)
    assert float(model.discriminator_loss(made, real)) == 0.0
    assert float(model.discriminator_loss(real, made)) == 3.0
