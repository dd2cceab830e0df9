"""A configuration, a run, a layer and a file of layers are checked; a wrong gradient is refused before training."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import GradientError
from retrograd.data.dataset import from_arrays
from retrograd.network.layer import layers
from tests.checking.faults import FactorOfTwo

SMALL = {"name": "small", "data": "xor", "network": [{"dense": {"units": 3, "activation": "tanh"}}, {"dense": 1}],
         "optimizer": {"adam": 0.1}, "penalties": [{"l2": 0.1}],
         "training": {"epochs": 2, "batch_size": 4, "check": True}}  # fmt: skip
OWN = '''
from dataclasses import dataclass
import retrograd as rg

@rg.layers.register("cube", examples=rg.examples(({}, [(3, 2)])))
@dataclass(frozen=True)
class Cube(rg.Activation):
    """Cube."""

    def forward(self, params, state, ctx, x):
        return rg.Forward(x**3, x)

    def backward(self, params, tape, dy):
        return rg.Backward((FACTOR * tape * tape * dy,))
'''


@pytest.fixture
def user_layers(tmp_path):
    """A file with a layer; forgotten afterwards."""

    def write(factor):
        (tmp_path / "own.py").write_text(OWN.replace("FACTOR", str(factor)))
        return tmp_path / "own.py"

    yield write
    if "cube" in layers:
        layers.forget("cube")


def test_a_configuration_and_its_run_are_exact_with_their_penalties(tmp_path):
    run = rg.train(SMALL, folder=tmp_path / "run")
    assert any("gradients checked" in line for line in (run.folder / "events.jsonl").read_text().splitlines())
    report = rg.check(run.folder)
    assert report.verdict == "exact"
    assert report.to_json()["checks"][0]["error"] <= 1e-7


def test_training_refuses_a_wrong_gradient_and_leaves_no_run(tmp_path):
    config = rg.RunConfig(network=(rg.Dense(3), FactorOfTwo(1)), training=rg.TrainingSettings(2, 4, check=True))
    x = np.random.default_rng(0).normal(size=(8, 2))
    dataset = from_arrays(x, x[:, :1])
    with pytest.raises(GradientError, match=r"dense_2 .*it is 2 times what it should be"):
        rg.train(config, dataset=dataset, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("factor", "verdict"), [(3, "exact"), (2, "wrong")])
def test_a_file_of_user_layers_is_checked_by_its_examples(user_layers, factor, verdict):
    path = user_layers(factor)
    assert rg.check(path).verdict == verdict
    assert rg.check(path).verdict == verdict  # it can be loaded again


def test_a_layer_is_checked_by_name_or_with_specified_inputs():
    assert rg.check("tanh").verdict == "exact"
    assert rg.check(FactorOfTwo(2), (3, 2)).verdict == "wrong"
