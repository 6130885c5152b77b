"""One contract for every entry of MODELS: a new architecture is tested by being listed there."""

from __future__ import annotations

import pytest
import torch
from tiny_models import LATENT, N_MELS, error, fitted, learnt, losses, sounds, tiny

from volna.errors import ModelError
from volna.models import MODELS
from volna.models.checkpoint import Checkpoint, build, from_bytes, to_bytes
from volna.models.layers import Normalisation, pool
from volna.models.pca import fit_pca

every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@every_model
@pytest.mark.parametrize("n_frames", [1, 15, 16, 33, 128])
@pytest.mark.parametrize("n_mels", [1, 20, 72])
def test_shapes(name, n_mels, n_frames):
    model = tiny(name, n_mels).eval()
    mel = torch.randn(2, n_mels, n_frames)
    out = model(mel)
    assert out["mel"].shape == mel.shape
    assert out["latent"].shape == (2, LATENT, -(-n_frames // model.stride))
    assert torch.equal(out["latent"], model.encode(mel))
    assert model.features(mel).shape[::2] == (2, out["latent"].shape[2])
    assert model.decode(out["latent"]).shape == (2, n_mels, out["latent"].shape[2] * model.stride)
    assert pool(out["latent"]).shape == (2, 2 * LATENT)


@every_model
def test_the_default_is_small_and_has_a_stride_of_16_frames(name):
    model = build(name)
    assert model.stride == 16
    assert model.config.latent == 64
    assert sum(p.numel() for p in model.state_dict().values()) * 4 < 2_500_000


@every_model
def test_encode_is_deterministic_and_windows_do_not_mix_in_eval_mode(name):
    model, mels = learnt(name), sounds(5)
    with torch.inference_mode():
        together = model.encode(mels)
        assert torch.equal(together, model.encode(mels))
        alone = torch.cat([model.encode(mel[None]) for mel in mels])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@every_model
def test_gradient_reaches_every_parameter(name):
    model, mels = tiny(name).train(), sounds(4)
    parameters = dict(model.named_parameters())
    if not parameters:
        return  # closed form
    loss = losses(model, mels)
    if hasattr(model, "discriminator"):
        loss = loss + model.discriminator_loss(model(mels)["mel"].detach(), mels)
    if hasattr(model, "project"):
        loss = loss + model.project(model.encode(mels)).square().mean()
    loss.backward()
    silent = [key for key, p in parameters.items() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert silent == []


@every_model
def test_what_else_it_returns_are_losses_by_name(name):
    for model in (tiny(name).train(), tiny(name).eval()):
        for key, value in model(sounds(3)).items():
            assert key in ("mel", "latent") or (value.ndim == 0 and bool(torch.isfinite(value)))


@every_model
def test_overfits_one_batch(name):
    mels = sounds(4, n_frames=32)
    assert error(fitted(name, mels, 70), mels) < 0.1 * float(mels.var())


@every_model
def test_beats_the_mean_spectrum_on_sounds_it_has_not_seen(name):
    unseen = sounds(16, seed=1)
    mean_spectrum = sounds(32).mean(dim=(0, 2))[None, :, None]
    assert error(learnt(name), unseen) < 0.5 * float((unseen - mean_spectrum).square().mean())


@every_model
def test_a_shuffled_latent_reconstructs_worse(name):
    model, mels = learnt(name), sounds(32)
    with torch.inference_mode():
        latent = model.encode(mels)
        shuffled = model.decode(latent[torch.roll(torch.arange(32), 1)], mels.shape[2])
    assert float((shuffled - mels).square().mean()) > 2 * error(model, mels)


@every_model
def test_a_checkpoint_gives_the_same_model_back(name):
    model, mels = learnt(name), sounds(3, n_frames=50)
    checkpoint = Checkpoint(model, name, {"n_mels": N_MELS}, Normalisation(80.0, (1.5,) * N_MELS, 9.0))
    data = to_bytes(checkpoint)
    again = from_bytes(data)
    assert again.id == checkpoint.id
    assert to_bytes(again) == data
    assert again.config == model.config
    assert again.architecture == name
    assert again.normalisation == checkpoint.normalisation
    assert not again.model.training
    with torch.inference_mode():
        one, other = again.model(mels), model(mels)
    for part in ("mel", "latent"):  # a recurrence takes another kernel where no gradient can be asked for
        torch.testing.assert_close(one[part], other[part], rtol=0, atol=1e-5)


def test_the_convolutions_start_from_the_linear_autoencoder_and_add_to_it():
    mels, unseen = sounds(64), sounds(16, seed=1)
    model = tiny("conv")
    pca = fit_pca(mels.numpy(), build("pca", {"n_mels": N_MELS, "latent": 12}).config)
    model.start_from(pca)
    with torch.inference_mode():
        linear = model.linear_out(model.linear_in(unseen))
        spread = model.linear_in(mels).std(dim=(0, 2))[:4]
    assert float((linear - unseen).square().mean()) == pytest.approx(error(pca, unseen), rel=0.05, abs=1e-3)
    assert error(model.eval(), unseen) < 1.5 * error(pca, unseen) + 0.05
    torch.testing.assert_close(spread, torch.ones(4), rtol=0.1, atol=0.1)


def test_an_unknown_model_or_setting_is_an_error():
    with pytest.raises(ModelError, match=r"expected one of the models conv, pca, .*, got 'fog'"):
        build("fog")
    with pytest.raises(ModelError, match=r"no setting colour"):
        build("conv", {"colour": 3})
