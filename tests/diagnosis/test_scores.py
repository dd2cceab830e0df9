"""What a network is scored by: several labels by how they rank, quantities by the rows that are not wild."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from retrograd.base.schema import parse
from retrograd.data.dataset import from_arrays
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.diagnose import examine
from retrograd.diagnosis.judgement.levels import reference_levels
from retrograd.diagnosis.judgement.measure import measure
from retrograd.diagnosis.judgement.score import Scorer, loss_of, mean_area, score, worth
from retrograd.diagnosis.judgement.usual_rows import UsualRows
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import symptoms
from retrograd.training.config.config import RunConfig

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)).astype(np.float32)
LABELS = (X @ RNG.normal(size=(3, 4)) + RNG.normal(size=(300, 4)) > np.array([0.0, 0.5, 2.0, 3.0])).astype(int)


def test_several_labels_are_scored_by_the_area_of_each_and_its_mean():
    shares = LABELS + RNG.normal(size=LABELS.shape)
    truth = np.hstack([LABELS, np.ones((300, 1))])  # the last label, which every row has, says nothing
    outputs = np.hstack([shares, shares[:, :1]])
    expected = np.mean([roc_auc_score(LABELS[:, i], shares[:, i]) for i in range(4)])
    assert mean_area(outputs, truth) == pytest.approx(expected)
    assert score(outputs, truth, "multilabel", True) == pytest.approx(expected)
    assert score(100 * outputs - 7, truth, "multilabel", True) == pytest.approx(expected)  # where no share is near
    assert mean_area(np.zeros((300, 1)), LABELS[:, :1]) == 0.5


def test_references_of_several_labels_are_scored_alike():
    data = from_arrays(X, LABELS, settings=parse(DataSettings, {"task": "multilabel", "scale": "none"}, "data"))
    levels = reference_levels(data)
    assert levels.trivial == 0.5
    assert 0.75 < levels.held_out["linear"] < 1
    assert levels.chance < 0.05
    settings = {"network": [{"dense": 4}], "optimizer": {"adam": 0.1}, "training": {"epochs": 1}}
    program = Program(parse(RunConfig, settings), data)
    found = measure(program, [SimpleNamespace(score=0.6, train_score=0.6)])
    assert (found.name, found.trivial) == ("mean AUC", 0.5)
    assert found.lags(0.6, found.best)
    assert not found.lags(found.best - 0.04, found.best)


def wild(cells):
    """Quantities that a linear model predicts, some of them replaced by others that are far from all."""
    y = X @ np.array([[1.0], [2.0], [0.5]]) + 0.1 * RNG.normal(size=(300, 1))
    y[: len(cells), 0] = cells
    return y


@pytest.mark.parametrize("cells", [[1e5], [9e4, -8e4, 7e4], [1e9, 1e8], [-99999.0] * 4])
def test_wild_targets_are_not_what_a_network_is_judged_by(cells):
    y = wild(cells)
    settings = parse(DataSettings, {"task": "regression", "scale": "none", "split": "none"}, "data")
    data = from_arrays(X, y, settings=settings)
    kept = UsualRows(data).of(y)
    assert list(np.flatnonzero(~kept)) == list(range(len(cells)))
    assert reference_levels(data).held_out["linear"] > 0.98
    config = parse(RunConfig, {"network": [{"dense": 1}], "optimizer": {"adam": 0.1}, "training": {"epochs": 1}})
    program = Program(config, data)
    weights = program.start.variables
    weights.params["dense_1"].update(weight=np.array([[1.0], [2.0], [0.5]], np.float32), bias=np.zeros(1, np.float32))
    assert Scorer(program.prepared).score(weights, "train") > 0.98
    right = SimpleNamespace(score=0.99, train_score=0.99)
    assert measure(program, [right]).where == f"its own training rows ({len(cells)} with an extreme target excluded)"


@pytest.mark.parametrize("y", [np.exp(RNG.normal(size=(300, 1))), (RNG.random((300, 1)) < 0.01) * 1.0, wild([])])
def test_targets_that_are_skewed_or_rare_are_all_judged(y):
    assert UsualRows(SimpleNamespace(train={"y": y}, task="multilabel" if y.max() == 1 else "regression")).of(y).all()


def test_a_network_without_any_bias_is_given_one():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    settings = parse(DataSettings, {"task": "regression", "scale": "none", "split": "none"}, "data")
    data = from_arrays(corners, np.array([[1.0], [0.0], [0.0], [1.0]]), settings=settings)
    layers = [{"dense": {"units": 6, "activation": "tanh", "bias": False}}, {"dense": {"units": 1, "bias": False}}]
    config = parse(RunConfig, {"network": layers, "optimizer": {"adam": 0.05}, "training": {"epochs": 400}})
    program = Program(config, data)
    assert [each.path for each in symptoms["no_bias"]().find(program)] == ["network.0 (dense_1)"]
    changed = remedies["add_bias"]().change(config, program)
    assert not list(symptoms["no_bias"]().find(Program(changed, data)))
    assert remedies["add_bias"]().change(changed, program) is None
    found = examine(program, 2)
    assert (found.verdict.state, found.causes[0].name, found.causes[0].remedies[0]) == ("ill", "no_bias", "add_bias")


@pytest.mark.parametrize("loss", [0.0, 1e-9, 0.3, 1.0, 250.0, -0.4, -30.0])
def test_a_loss_is_distinguished_from_its_worth(loss):
    assert loss_of(worth(loss)) == pytest.approx(loss, abs=1e-12)
    assert loss_of(worth(float("nan"))) == float("inf")
