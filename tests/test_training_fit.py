"""The plain loop: it learns, keeps the best, resumes to the same weights, survives what is not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from volna.errors import InputError, ModelError
from volna.training import fit as fit_module
from volna.training.fit import FitConfig, fit, run_through

QUICK = {"time_budget_s": None, "val_every": 10, "lr": 0.05, "ema": 0.5}


def line() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 1)


def draw(rng):
    x = torch.from_numpy(rng.standard_normal((16, 2)).astype("float32"))
    return x, (3 * x[:, :1] - x[:, 1:])


def loss_of(model, batch, done):
    return (model(batch[0]) - batch[1]).square().mean()


def weights(model) -> torch.Tensor:
    return torch.cat([p.flatten() for p in model.parameters()])


def test_it_learns_a_line():
    fitted = run_through(fit(line(), draw, loss_of, validate=None, config=FitConfig(max_steps=200, **QUICK)))
    assert torch.allclose(weights(fitted.model), torch.tensor([3.0, -1.0, 0.0]), atol=0.05)
    assert fitted.summary["stopped"] == "steps"
    assert fitted.history[-1]["train_loss"] < fitted.history[0]["train_loss"]


def test_the_best_average_is_kept_and_training_stops_where_nothing_improves():
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    seen = []

    def validate(model):
        seen.append(weights(model).clone())
        return next(losses)

    config = FitConfig(max_steps=1000, patience=3, **QUICK)
    fitted = run_through(fit(line(), draw, loss_of, validate=validate, config=config))
    assert fitted.summary["stopped"] == "early"
    assert fitted.summary["val_loss"] == 1.0
    assert torch.equal(weights(fitted.model), seen[1])


def test_a_killed_training_resumes_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(fit_module, "REPORT_EVERY_S", 0.0)
    config, saved = FitConfig(max_steps=30, **QUICK), {"state_file": tmp_path / "state", "fingerprint": "a"}
    whole = run_through(fit(line(), draw, loss_of, validate=None, config=config))
    steps = fit(line(), draw, loss_of, validate=None, config=config, **saved)
    assert next(event for event in steps if event["step"] == 13)["fraction"] < 1
    steps.close()  # as a kill would: nothing more is saved
    taken = []

    def counted(rng):
        taken.append(1)
        return draw(rng)

    again = run_through(fit(line(), counted, loss_of, validate=None, config=config, **saved))
    assert again.summary["resumed"]
    assert len(taken) == 30 - 13
    assert torch.equal(weights(again.model), weights(whole.model))


def test_the_state_of_other_settings_is_left_aside(tmp_path):
    config, state_file = FitConfig(max_steps=5, **QUICK), tmp_path / "state"
    run_through(fit(line(), draw, loss_of, validate=None, config=config, state_file=state_file, fingerprint="a"))
    other = run_through(
        fit(line(), draw, loss_of, validate=None, config=config, state_file=state_file, fingerprint="b")
    )
    assert not other.summary["resumed"]


def test_a_step_that_is_not_finite_is_undone():
    def sometimes(model, batch, done):
        loss = loss_of(model, batch, done)
        sometimes.calls += 1
        return loss * math.nan if sometimes.calls == 5 else loss

    sometimes.calls = 0
    fitted = run_through(fit(line(), draw, sometimes, validate=None, config=FitConfig(max_steps=20, **QUICK)))
    assert fitted.summary["n_undone"] == 1
    assert torch.isfinite(weights(fitted.model)).all()


def test_a_loss_that_is_never_finite_is_an_error():
    steps = fit(line(), draw, lambda m, b, d: loss_of(m, b, d) * math.nan, validate=None, config=FitConfig(**QUICK))
    with pytest.raises(ModelError, match="not finite"):
        run_through(steps)


def test_named_losses_are_added_and_told():
    def named(model, batch, done):
        return {"fit": loss_of(model, batch, done), "size": 0.0 * weights(model).square().sum()}

    fitted = run_through(fit(line(), draw, named, validate=None, config=FitConfig(max_steps=20, **QUICK)))
    assert fitted.history[-1]["size"] == 0.0
    assert fitted.history[-1]["fit"] == pytest.approx(fitted.history[-1]["train_loss"], rel=1e-4)


def test_a_discriminator_learns_by_its_own_loss_alone():
    class Judged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.discriminator = line(), nn.Linear(1, 1)

        def forward(self, x):
            return self.body(x)

    def judge(model, batch):
        return (model.discriminator(batch[1]) - 1).square().mean()

    def own(model, batch, done):
        return loss_of(model, batch, done) + 0 * model.discriminator(model(batch[0])).mean()

    torch.manual_seed(1)
    model = Judged()
    before = model.discriminator.weight.detach().clone()
    config = FitConfig(max_steps=50, **QUICK)
    fitted = run_through(fit(model, draw, own, validate=None, config=config, judge_loss_of=judge))
    assert not torch.equal(fitted.model.discriminator.weight, before)
    assert fitted.history[-1]["discriminator"] < 1.0


def test_the_time_ends_a_training():
    config = FitConfig(max_steps=10**9, time_budget_s=0.2, val_every=10**6)
    assert run_through(fit(line(), draw, loss_of, validate=None, config=config)).summary["stopped"] == "time"


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"max_steps": 0}, {"time_budget_s": 0.0}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(InputError, match="above 0"):
        run_through(fit(line(), draw, loss_of, validate=None, config=FitConfig(**wrong)))
