"""Networks as C files: compiled strictly, and compared with the run."""

import shutil

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.network.layer import Spec
from retrograd.ship.c.compare import outputs_of
from retrograd.ship.c.forms import FORMULAS
from retrograd.ship.c.network import write

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")

PICTURE = (
    [rg.Conv2D(4, 3, stride=2, padding=[[1, 0], 2], activation=rg.ReLU()), rg.BatchNorm(), rg.MaxPool(2, padding="same"),
     rg.Conv2D(4, 2, groups=2, dilation=2, activation=rg.GELU()), rg.AveragePool(3, stride=2, padding=1, ceil=True),
     rg.Flatten(), rg.Dense(5, "elu"), rg.Dense(3), rg.Softmax()],
    (9, 8, 2),
)  # fmt: skip
SEQUENCE = (
    [rg.Conv1D(3, padding="causal", activation=rg.SiLU()), rg.AveragePool(2, count_padding=False), rg.PReLU(),
     rg.Residual(rg.Conv1D(3), rg.Tanh()), rg.MaxPool(3, 1), rg.GlobalMaxPool(), rg.Dense(2, "mish")],
    (12, 2),
)  # fmt: skip


@pytest.mark.parametrize(("layers", "shape"), [PICTURE, SEQUENCE], ids=["picture", "sequence"])
def test_a_strictly_compiled_file_computes_what_the_network_computes(layers, shape):
    network = rg.Network(*layers)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    variables = network.init(jax.random.key(0), {"x": x})
    rng = np.random.default_rng(1)
    state = jax.tree.map(lambda s: np.asarray(s) + rng.uniform(0.1, 0.9, s.shape).astype(np.float32), variables.state)
    expected = rg.forward(network, variables.params, state, rg.Context(), {"x": x}).outputs[network.output]
    source = write(network, rg.Variables(variables.params, state), Spec((1, *shape), np.dtype(np.float32)), "t")
    computed = outputs_of(source, x, np.prod(expected.shape[1:]))
    np.testing.assert_allclose(computed, np.asarray(expected).reshape(len(x), -1), atol=1e-5)  # float32 sums


def test_every_activation_is_available():
    network = rg.Network(*(rg.named(kind(), f"a{i}", inputs=["x"]) for i, kind in enumerate(FORMULAS)),
                         rg.named(rg.Concat(), "all", inputs=[f"a{i}" for i in range(len(FORMULAS))]))  # fmt: skip
    x = np.linspace(-8, 8, 33, dtype=np.float32)[None]
    expected = rg.forward(network, {}, {}, rg.Context(), {"x": x}).outputs[network.output]
    source = write(network, rg.Variables({}, {}), Spec(x.shape, x.dtype), "t")
    scale = np.maximum(1, np.abs(expected))
    error = np.abs(outputs_of(source, x, expected.shape[1]) - expected) / scale
    assert error.max() < 1e-5  # float32, also for exp(8)


SETTINGS = [rg.ReLU(threshold=0.5), rg.Softplus(beta=3), rg.HardSigmoid(slope=0.3), rg.ELU(alpha=1e-5), rg.ELU(alpha=1e5),
            rg.CELU(alpha=0.4), rg.SELU(alpha=0.7, scale=1.5), rg.LeakyReLU(slope=0.2)]  # fmt: skip


def test_settings_of_activations_are_written_and_layers_whose_names_collide_in_c_stay_apart():
    x = np.linspace(-4, 4, 6, dtype=np.float32)[None]
    network = rg.Network(*(rg.named(kind, f"a{i}", inputs=["x"]) for i, kind in enumerate(SETTINGS)),
                         rg.named(rg.Dense(6), "a-b", inputs=["x"]), rg.named(rg.Dense(6), "a_b", inputs=["x"]),
                         rg.named(rg.Concat(), "all", inputs=[*(f"a{i}" for i in range(len(SETTINGS))), "a-b", "a_b"]),
                         rg.named(rg.Dense(2), "aside", inputs=["x"]))  # fmt: skip
    variables = network.init(jax.random.key(0), {"x": x})
    expected = rg.forward(network, *variables, rg.Context(), {"x": x}).outputs["all"]
    source = write(network, variables, Spec(x.shape, x.dtype), "t", output="all")
    assert f"#define NET_OUTPUTS {expected.shape[1]}" in source
    computed, scale = outputs_of(source, x, expected.shape[1]), np.maximum(1, np.abs(expected))
    assert (np.abs(computed - expected) / scale).max() < 1e-5  # float32


def test_non_finite_weights_are_named():
    network = rg.Network(rg.named(rg.Dense(2), "last"))
    variables = rg.Variables({"last": {"weight": np.full((3, 2), np.nan, np.float32)}}, {})
    with pytest.raises(rg.ConfigError, match="last: weight contains numbers that are not finite"):
        write(network, variables, Spec((1, 3), np.dtype(np.float32)), "t")


def test_a_run_becomes_a_file_and_anything_unsupported_in_c_is_named(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    trained = rg.fit(x, y, network=[rg.Dense(3, "tanh"), rg.Dense("classes")], epochs=1, root=tmp_path, progress=False)
    exported = rg.export(trained, tmp_path / "net.c")
    assert exported.difference < 1e-5
    assert "#define NET_INPUTS 6" in (tmp_path / "net.c").read_text()
    network = rg.Network(rg.Reshape((6, 1)), rg.LSTM(2))
    variables = network.init(jax.random.key(0), {"x": x})
    with pytest.raises(rg.ConfigError, match="lstm_1: lstm cannot be written in C"):
        write(network, variables, Spec((1, 6), x.dtype), "t")
