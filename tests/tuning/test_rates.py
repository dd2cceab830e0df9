"""The rate that a sweep chooses, compared with the best rates of linear networks, which NumPy computes."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.document import Document
from retrograd.data.dataset import from_arrays
from retrograd.training.config.config import config_of
from retrograd.tuning.rate import RANGE, RATES, USUAL, rounds, sweep

EPOCHS, ROWS, FEATURES = 120, 96, 4
NEAR = 1.1  # times the lowest loss of all rates: the region of the best rates
FINE = 400  # rates that define it; the sweep tries every twelfth
MOMENTUM, BETAS, EPS = 0.9, (0.9, 0.999), 1e-8
KINDS = {"sgd": {"sgd": {}}, "momentum": {"sgd": {"momentum": MOMENTUM}}, "adam": {"adam": {}}}


def columns(seed):
    """Return rows whose features differ in scale, so that the best rates of the seeds are decades apart."""
    rng = np.random.default_rng(seed)
    scale = 10 ** rng.uniform(-0.5, 1.0) * 10 ** rng.uniform(-0.6, 0.6, FEATURES)
    x = (rng.normal(size=(2 * ROWS, FEATURES)) * scale).astype(np.float32)
    y = x / scale @ rng.normal(size=FEATURES) + 0.1 * rng.normal(size=2 * ROWS)
    return x, y.astype(np.float32)


def lowest(kind, rates, x, y):
    """Return the lowest loss on the second half of the rows while weights learn on the first, for each rate."""
    ones = np.ones((len(x), 1))
    x = np.hstack([x.astype(np.float64), ones])
    train, valid = (x[:ROWS], y[:ROWS]), (x[ROWS:], y[ROWS:])
    w = np.zeros((len(rates), x.shape[1]))
    first, second, least = np.zeros_like(w), np.zeros_like(w), np.full(len(rates), np.inf)
    with np.errstate(all="ignore"):
        for step in range(1, EPOCHS + 1):
            slope = 2 / ROWS * (w @ train[0].T - train[1]) @ train[0]
            if kind == "adam":
                first = BETAS[0] * first + (1 - BETAS[0]) * slope
                second = BETAS[1] * second + (1 - BETAS[1]) * slope**2
                move = first / (1 - BETAS[0] ** step) / (np.sqrt(second / (1 - BETAS[1] ** step)) + EPS)
            else:
                move = first = (MOMENTUM if kind == "momentum" else 0.0) * first + slope
            w = w - rates[:, None] * move
            least = np.fmin(least, ((w @ valid[0].T - valid[1]) ** 2).mean(1))
    return least


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(7))
def test_the_chosen_rate_is_among_the_best_ones(kind, seed):
    x, y = columns(seed)
    dataset = from_arrays(
        x[:ROWS], y[:ROWS], valid=(x[ROWS:], y[ROWS:]), settings=rg.DataSettings(scale="none", scale_target="none")
    )
    config = config_of(Document({
        "network": [{"dense": {"units": 1, "weight": "zeros"}}],
        "optimizer": KINDS[kind],
        "loss": "mean_squared_error",
        "training": {"epochs": EPOCHS, "batch_size": ROWS},
    }))  # fmt: skip
    chosen = sweep(config, dataset)
    low, high = RANGE.get(chosen.optimizer, USUAL)
    rates = np.geomspace(low, high, FINE)
    losses = lowest(kind, rates, x, y)
    best = rates[losses <= NEAR * losses.min()]
    step = (high / low) ** (1 / (RATES - 1))  # the region may lie between two of the rates that are tried
    assert best.min() / step <= chosen.best <= best.max() * step, (chosen.best, best)
    assert lowest(kind, np.array([chosen.best]), x, y)[0] == pytest.approx(min(t.loss for t in chosen.tried), rel=1e-3)
    assert (losses <= NEAR * losses.min()).mean() < 0.6  # not every rate is a good one


def test_a_sweep_costs_less_than_five_runs_of_24_epochs_or_more():
    for epochs in range(24, 400):
        assert sum(many * length for many, length in rounds(epochs, RATES)) < 5 * epochs
    assert rounds(1, RATES) == [(RATES, 1)]
    assert rounds(4, RATES) == [(RATES, 1), (2, 4)]
