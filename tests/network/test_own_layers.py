"""A file with user-defined layers runs when it is named, and its mistakes are reported with their line."""

import dataclasses

import jax
import pytest

import retrograd as rg
from retrograd.base.errors import ConfigError, UsageError
from retrograd.network.layer import layers
from retrograd.network.own_layers import check_loaded, files_of, load_layers

TWICE = """\
from __future__ import annotations
from dataclasses import dataclass
import retrograd as rg

@rg.layers.register("own_twice")
@dataclass(frozen=True)
class Twice(rg.Activation):
    by: float = 2.0

    def forward(self, params, state, ctx, x):
        return rg.Forward(self.by * x)

    def backward(self, params, tape, dy):
        return rg.Backward((self.by * dy,))
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file of layers; what it registers is gone after the test."""
    monkeypatch.setattr("retrograd.network.own_layers._files", {})
    entries, names = dict(layers._entries), dict(layers._names)

    def write(text, name="own.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    yield write
    layers._entries, layers._names = entries, names


def test_a_file_makes_its_layers_known(file):
    own = load_layers(file(TWICE))
    assert own.names == ("own_twice",)
    rg.check_layer(layers["own_twice"](3.0), (5, 4))
    assert files_of({"own_twice", "dense"}) == {"own.py": own.digest}
    assert files_of({"dense"}) == {}
    assert not list(own.path.parent.glob("__pycache__"))
    assert load_layers(file(TWICE + "\n")).digest != own.digest  # edited and loaded again


def test_a_model_needs_the_very_file(file):
    with pytest.raises(UsageError, match=r"m: it uses layers from own.py, but .* never runs code.*--layers own.py"):
        check_loaded({"own.py": "0" * 64}, "m")
    own = load_layers(file(TWICE))
    check_loaded({"own.py": own.digest}, "m")
    with pytest.raises(
        UsageError, match=r"m: it was trained with another version of own.py \(sha256 000000000000..., now "
    ):
        check_loaded({"own.py": "0" * 64}, "m")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("x = 1", UsageError, r"own.py: registers no layer; write @rg.layers.register"),
        ("import retrograd\nx = (", ConfigError, r"own.py:2: not valid Python: '\(' was never closed"),
        ("a\0", ConfigError, r"own.py: .*null bytes"),
        ("\nimport nothing_here", ConfigError, r"own.py:2: ModuleNotFoundError: No module named 'nothing_here'"),
        ("raise SystemExit(3)", ConfigError, r"own.py:1: SystemExit: 3"),
        (TWICE.replace("own_twice", "dense"), ConfigError, r"own.py:5: the layer 'dense' is registered twice"),
    ],
)
def test_a_mistake_in_a_file_is_reported_with_its_line(file, text, error, words):
    with pytest.raises(error, match=words):
        load_layers(file(text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"no\.py: not found"):
        load_layers(tmp_path / "no.py")
    with pytest.raises(UsageError, match="not a regular file"):
        load_layers(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("self.by * x", "self.bye * x", r"own_twice_1 \(own_twice\): .*own.py:11: AttributeError: .*'bye'"),
        ("rg.Forward(self.by * x)", "self.by * x", r"own_twice_1 \(own_twice\): returned .*, expected Forward\(...\)"),
        (
            "(self.by * dy,)",
            "(dy, dy)",
            r"own_twice_1 .*backward: returned 2 deltas, expected one for each of 1 inputs",
        ),
        ("def forward", "def forwards", r"own_twice_1 .*Twice has no `forward\(self, params, state, ctx, x\)`"),
    ],
)
def test_a_failure_inside_a_layer_is_reported_with_its_place(file, before, after, words):
    load_layers(file(TWICE.replace(before, after)))
    network = rg.Network(layers["own_twice"](), rg.Dense(1))
    batch = {"x": jax.ShapeDtypeStruct((3, 2), "float32"), "y": jax.ShapeDtypeStruct((3, 1), "float32")}

    def step(key, batch):
        params, state = network.init(key, batch)
        objectives = [rg.Objective.on(network, rg.MeanSquaredError())]
        return rg.backprop(network, objectives, params, state, rg.Context(True), batch).grads

    with pytest.raises(rg.RetrogradError, match=words):
        jax.eval_shape(step, jax.random.key(0), batch)


def test_a_class_without_a_required_method_is_refused_by_name():
    @dataclasses.dataclass(frozen=True)
    class Empty(rg.Loss):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has no `terms\(self, y, t\)`, which returns"):
        Empty().terms(None, None)
    with pytest.raises(NotImplementedError, match=r"Empty has no `slopes\(self, kept\)`"):
        Empty().slopes(None)
