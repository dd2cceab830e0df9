"""Metrics equal scikit-learn's, though it is not imported."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import load_digits

from retrograd.data.builtin.builtin import read_builtin
from retrograd.data.settings import DataSettings
from retrograd.training.use.metrics import recall_and_f1, regression_metrics, roc_auc

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_roc_auc_equals_scikit_learns_also_with_ties(seed):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(4, 200))
    truth, score = np.arange(rows) % 3 == 0, rng.integers(0, rng.integers(2, 50), rows) / 7
    assert roc_auc(truth, score) == pytest.approx(metrics.roc_auc_score(truth, score), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_recall_and_f1_equal_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 9))
    truth, predicted = rng.integers(0, classes, (2, int(rng.integers(1, 100))))
    present = np.unique(truth)
    recall, f1 = recall_and_f1(truth, predicted, present)
    expected = metrics.precision_recall_fscore_support(truth, predicted, labels=present, zero_division=0)
    assert recall == pytest.approx(expected[1])
    assert f1 == pytest.approx(expected[2])


def test_errors_of_several_targets_equal_scikit_learns():
    truth, predicted = np.random.default_rng(0).normal(size=(2, 50, 3))
    scores = regression_metrics(truth, predicted, full=True)
    assert scores["r2"] == pytest.approx(metrics.r2_score(truth, predicted))
    assert scores["mean_absolute_error"] == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert scores["root_mean_squared_error"] == pytest.approx(metrics.root_mean_squared_error(truth, predicted))


def test_the_digits_are_those_that_scikit_learn_loads():
    bunch = load_digits()
    table = read_builtin(DataSettings("digits"))[0].frame
    assert table.columns[:-1] == list(bunch.feature_names)
    assert np.array_equal(table[:, :-1].to_numpy(), bunch.data)
    assert table[:, -1].to_list() == bunch.target.tolist()


def test_training_imports_neither_scikit_learn_nor_scipy(tmp_path):
    code = (
        "import sys, retrograd as rg;"
        f"rg.train('examples/xor.yaml', root={str(tmp_path)!r});"
        "print([name for name in ('sklearn', 'scipy') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
