"""Random graphs for tests, and a plain evaluation of them that `jax.grad` can take apart."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from retrograd.network.blocks import Branches, Repeat, Residual
from retrograd.network.layer import Context
from retrograd.network.layers import (
    GELU,
    Add,
    Concat,
    Dense,
    Flatten,
    Identity,
    Multiply,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from retrograd.network.losses import MeanSquaredError
from retrograd.network.network import Network, own_params, take
from retrograd.network.scope import Entry, named
from retrograd.propagation.objective import Objective

WIDTH = 3  # of every node inside, so that any graph fits together
SMOOTH = (Tanh(), Sigmoid(), Softplus(), SiLU(), GELU(), GELU(approximate=True), Softmax(), Identity(), Flatten())


def linear(units=WIDTH, activation=None, bias=True):
    """A dense layer whose first values, which `numbers` replaces, take no time to trace."""
    return Dense(units, activation, weight="zeros", bias=bias)


simple = st.sampled_from(SMOOTH)
dense = st.builds(linear, activation=st.none() | st.sampled_from([Tanh(), SiLU()]), bias=st.booleans())
shared = st.sampled_from(["owner/weight", "owner/weight.T"]).map(
    lambda path: Entry(linear(), share=(("weight", path),))
)


def chains(least, inner):
    """Short lists of entries."""
    return st.lists(inner, min_size=least, max_size=2).map(tuple)


def blocks(inner):
    """Blocks around what `inner` draws."""
    return st.one_of(
        st.builds(Residual, chains(1, inner), chains(0, dense)),
        st.builds(
            Branches,
            st.lists(chains(0, inner), min_size=2, max_size=2).map(tuple),
            st.sampled_from(["add", "multiply"]),
        ),
        st.builds(Branches, st.lists(chains(0, inner), min_size=2, max_size=2).map(tuple), st.just("concat")).map(
            lambda block: Repeat(1, (block, linear()))
        ),
        st.builds(Repeat, st.integers(1, 2), chains(1, inner)),
    )


entry = st.recursive(st.one_of(simple, dense, shared), blocks, max_leaves=5)
merge = st.sampled_from([Add(), Multiply(), Concat()])


@st.composite
def problems(draw):
    """A network of two columns with a joint in the middle, and one to three objectives on it."""
    network = Network(
        named(linear(), "owner"),
        *draw(chains(0, entry)),
        named(Tanh(), "middle"),
        *draw(chains(0, entry)),
        named(Sigmoid(), "late"),
        named(draw(merge), "joint", inputs=draw(st.permutations(["middle", "late", "z"]))),
        named(linear(), "narrow"),
        *draw(chains(0, entry)),
        named(linear(2), "out"),
    )
    aims = draw(st.lists(st.sampled_from(["out", "middle", "late", "owner"]), min_size=1, max_size=3))
    weights = [draw(st.sampled_from([0.5, 1.0, 2.0])) for _ in aims]
    loss = MeanSquaredError()
    objectives = [
        Objective(f"loss_{i}", loss, (aim, f"t{i}"), w) for i, (aim, w) in enumerate(zip(aims, weights, strict=True))
    ]
    return network, objectives, draw(st.integers(0, 2**16))


def numbers(network, objectives, seed, rows=2):
    """Return parameters (none of them zero) and a batch, for use under float64."""
    rng = np.random.default_rng(seed)
    batch = {name: jnp.asarray(rng.normal(size=(rows, WIDTH))) for name in ("x", "z")}
    shapes = jax.eval_shape(lambda key: network.init(key, batch).params, jax.random.key(0))  # compiles nothing
    params = jax.tree.map(lambda p: jnp.asarray(0.6 * rng.normal(size=p.shape)), shapes)
    for objective in objectives:
        width = 2 if objective.inputs[0] == "out" else WIDTH
        batch[objective.inputs[1]] = jnp.asarray(rng.normal(size=(rows, width)))
    return params, batch


def evaluate(network, objectives, params, batch, nudges):
    """Return the weighted sum of mean squared errors, each node's output moved by its nudge."""
    outputs = dict(batch)
    for node in network.nodes:
        inputs = [take(outputs, reference) for reference in node.inputs]
        y = node.layer.forward(own_params(params, node), {}, Context(), *inputs).y
        outputs[node.name] = y + nudges[node.name]
    errors = [outputs[o.inputs[0]] - outputs[o.inputs[1]] for o in objectives]
    return sum(o.weight * jnp.mean(e * e) for o, e in zip(objectives, errors, strict=True))
