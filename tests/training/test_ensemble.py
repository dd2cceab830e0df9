"""Ensembles: the averaged runs of several seeds, in one file."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.app.cli.main import main

PLAIN = {
    "name": "three",
    "data": {"builtin": "iris"},
    "network": [{"dense": "classes"}],
    "training": {"epochs": 3, "batch_size": 32, "seed": 5},
}


def trained(root, **training):
    return rg.train({**PLAIN, "training": PLAIN["training"] | training}, root=root)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("together"), ensemble=3)


ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 2.7, 4.5, 1.5], [6.5, 3.0, 5.8, 2.2]])


def test_probabilities_are_the_mean_of_those_of_the_seeds(together, tmp_path):
    alone = [trained(tmp_path, seed=5 + i).predict_proba(ROWS) for i in range(3)]
    np.testing.assert_allclose(together.predict_proba(ROWS), np.mean(alone, 0), atol=1e-6)  # float32
    best = np.mean(alone, 0).argmax(1)
    spread = np.std(alone, 0)[np.arange(3), best]
    np.testing.assert_allclose(together.model.spread(ROWS), spread, atol=1e-6)


def test_one_file_contains_all_members(together):
    again = rg.load(together.folder)
    assert again.members == 3
    np.testing.assert_array_equal(again.predict_proba(ROWS), together.predict_proba(ROWS))
    assert together.scores["test"] == pytest.approx(again.facts["metrics"]["test"])


def test_predict_shows_the_spread(together, tmp_path, capsys):
    rows = tmp_path / "rows.csv"
    names = ",".join(together.model.preprocessing.features)
    rows.write_text(f"{names}\n5.1,3.5,1.4,0.2\n", encoding="utf-8")
    assert main(["predict", str(together.folder), str(rows)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.endswith(",spread")
    assert float(line.rpartition(",")[2]) == pytest.approx(together.model.spread(ROWS[:1])[0], rel=1e-5)


def test_quantities_of_members_are_averaged(tmp_path):
    x = np.linspace(-1, 1, 40)[:, None]
    settings = {"network": [{"dense": 1}], "epochs": 3, "root": tmp_path, "progress": False}
    both = rg.fit(x, x[:, 0] ** 2, ensemble=2, seed=1, **settings)
    alone = [rg.fit(x, x[:, 0] ** 2, seed=seed, **settings).predict(x) for seed in (1, 2)]
    np.testing.assert_allclose(both.predict(x), np.mean(alone, 0), atol=1e-6)
    np.testing.assert_allclose(both.model.spread(x), np.std(alone, 0), atol=1e-6)


def test_two_classes_are_averaged_as_probabilities(tmp_path):
    x = np.linspace(-1, 1, 40)[:, None]
    settings = {"network": [{"dense": 1}], "epochs": 3, "root": tmp_path, "progress": False}
    both = rg.fit(x, (x[:, 0] > 0).astype(int), ensemble=2, seed=1, **settings)
    alone = [rg.fit(x, (x[:, 0] > 0).astype(int), seed=seed, **settings).predict_proba(x) for seed in (1, 2)]
    np.testing.assert_allclose(both.predict_proba(x), np.mean(alone, 0), atol=1e-6)


def test_one_network_has_no_spread_and_some_tasks_no_average(together, tmp_path):
    with pytest.raises(rg.UsageError, match="one network has no spread"):
        rg.load(trained(tmp_path, epochs=1).folder).spread(ROWS)
    split = {"losses": {"a": {"loss": "cross_entropy"}, "b": {"loss": "cross_entropy"}}}
    network = [{"dense": "classes", "name": "a"}, {"dense": "classes", "name": "b", "inputs": "x"}]
    with pytest.raises(rg.ConfigError, match="a single output with one loss"):
        rg.train({**PLAIN, **split, "network": network, "training": {"ensemble": 2}}, root=tmp_path)


def test_rates_of_members_are_averaged_not_their_logarithms(tmp_path):
    x = np.linspace(-1, 1, 40)[:, None]
    counts = np.random.default_rng(0).poisson(np.exp(1 + x[:, 0])).astype(float)
    settings = {"loss": "poisson_nll", "network": [{"dense": 1}], "epochs": 3, "root": tmp_path, "progress": False}
    both = rg.fit(x, counts, data=rg.DataSettings(task="regression"), ensemble=2, seed=1, **settings)
    alone = [
        rg.fit(x, counts, data=rg.DataSettings(task="regression"), seed=seed, **settings).predict(x) for seed in (1, 2)
    ]
    assert np.min(alone) > 0
    np.testing.assert_allclose(both.predict(x), np.mean(alone, 0), rtol=1e-5)
