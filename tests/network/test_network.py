"""The graph: names, first values, shapes, initializers, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, DataTypeError, ShapeError
from retrograd.network.blocks import Branches, Repeat, Residual
from retrograd.network.initializers import GlorotUniform, HeNormal, LecunNormal, Zeros
from retrograd.network.layers import (
    SELU,
    Add,
    Concat,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    ReLU,
    Reshape,
    Tanh,
)
from retrograd.network.network import Network
from retrograd.network.scope import Entry, named

KEY = jax.random.key(0)
X = jax.ShapeDtypeStruct((5, 4), jnp.float32)


def names(*entries):
    return [node.name for node in Network(*entries).nodes]


# ---------------------------------------------------------------------------------------------------------------- names


def test_names_count_kinds_from_one_and_an_activation_is_nested_in_its_layer():
    assert names(Dense(3, "relu"), Tanh(), Dense(2)) == ["dense_1", "dense_1/relu", "tanh_1", "dense_2"]


def test_nodes_of_a_block_have_paths_below_its_name_and_counts_of_their_own():
    block = Residual([Dense(4), Repeat(2, [Dense(4)])])
    assert names(Dense(4), named(block, "block")) == [
        "dense_1",
        "block/dense_1",
        "block/repeat_1/1/dense_1",
        "block/repeat_1/2/dense_1",
        "block/add",
    ]


def test_names_are_looked_up_from_the_inside_out():
    network = Network(
        named(Dense(4, "tanh"), "outer"),
        named(Residual([named(Dense(4), "inner"), named(Add(), "sum", inputs=["inner", "outer"])]), "block"),
    )
    by_name = {node.name: node for node in network.nodes}
    assert by_name["block/sum"].inputs == ("block/inner", "outer/tanh")
    assert network.output == "block/add"
    assert network.resolve("outer") == "outer/tanh"
    assert network.columns == ("x",)


@pytest.mark.parametrize("name", ["a.b", "a/b", "a b", ""])
def test_a_name_that_could_be_read_as_a_path_is_refused(name):
    with pytest.raises(ConfigError, match="contains a dot, slash or space"):
        Network(named(Tanh(), name))


def test_two_entries_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="block/a: two entries are called 'a'; rename one"):
        Network(named(Residual([named(Tanh(), "a"), named(Tanh(), "a")]), "block"))


def test_a_network_needs_a_layer():
    with pytest.raises(ConfigError, match="at least one layer"):
        Network()


# --------------------------------------------------------------------------------------------------------- first values


def test_inserting_a_layer_leaves_the_first_values_of_the_others_alone():
    before = Network(named(Dense(4), "a"), named(Dense(3), "b")).init(KEY, {"x": X}).params
    after = (
        Network(named(Dense(4), "a"), Tanh(), named(Dense(4), "new"), named(Dense(3), "b")).init(KEY, {"x": X}).params
    )
    for name in ("a", "b"):
        np.testing.assert_array_equal(before[name]["weight"], after[name]["weight"])


def test_nodes_of_one_shape_get_different_first_values_and_another_seed_gives_others():
    params = Network(named(Dense(4), "a"), named(Dense(4), "b")).init(KEY, {"x": X}).params
    other = Network(named(Dense(4), "a"), named(Dense(4), "b")).init(jax.random.key(1), {"x": X}).params
    assert not (params["a"]["weight"] == params["b"]["weight"]).any()
    assert not (params["a"]["weight"] == other["a"]["weight"]).any()


def test_first_values_are_the_same_bits_under_float64():
    network = Network(Dense(4, "relu"), Dense(3))
    short = network.init(KEY, {"x": X}).params
    with jax.enable_x64(True):
        long = jax.device_get(network.init(KEY, {"x": jax.ShapeDtypeStruct((5, 4), jnp.float64)}).params)
    for name, own in short.items():
        assert own["weight"].dtype == long[name]["weight"].dtype == np.float32
        np.testing.assert_array_equal(own["weight"], long[name]["weight"])


@pytest.mark.parametrize(
    ("behind", "chosen"),
    [
        ([ReLU()], HeNormal()),
        ([Dropout(), Flatten(), ReLU()], HeNormal()),
        ([Identity(), SELU()], LecunNormal()),
        ([Reshape([2, 2]), Identity()], GlorotUniform()),
        ([Tanh(), ReLU()], GlorotUniform()),
        ([Dense(4), ReLU()], GlorotUniform()),
        ([Residual([ReLU()])], HeNormal()),
        ([], GlorotUniform()),
    ],
    ids=str,
)
def test_an_open_weight_is_drawn_for_the_activation_after_it(behind, chosen):
    assert Network(Dense(4), *behind).nodes[0].layer.weight == chosen


def test_a_given_initialiser_stays_and_the_chosen_ones_can_be_written_out():
    network = Network(Dense(4, "relu", weight="zeros"), Dense(3, "relu"))
    assert [entry.layer.weight for entry in network.filled_entries()] == [Zeros(), HeNormal()]


# --------------------------------------------------------------------------------------------------------------- shapes


def test_shapes_follow_from_forward_alone():
    network = Network(
        Embedding(3, vocabulary=7),
        named(Branches([[Dense(2)], [Dense(5, "relu")]]), "both"),
        Flatten(),
        Reshape([4, -1]),
        named(Dense(6, bias=False), "y"),
    )
    specs = network.specs({"x": jax.ShapeDtypeStruct((2, 4), jnp.int32)})
    assert {name: spec.shape for name, spec in specs.items()} == {
        "embedding_1": (2, 4, 3),
        "both/1/dense_1": (2, 4, 2),
        "both/2/dense_1": (2, 4, 5),
        "both/2/dense_1/relu": (2, 4, 5),
        "both/concat": (2, 4, 7),
        "flatten_1": (2, 28),
        "reshape_1": (2, 4, 7),
        "y": (2, 4, 6),
    }
    assert {spec.dtype for spec in specs.values()} == {np.dtype("float32")}


def test_symbolic_widths_are_filled_however_deep():
    network = Network(Residual([Dense("classes")], [Dense("classes", bias=False)]), Dense("targets"))
    specs = network.fill({"classes": 7, "targets": 2}).specs({"x": X})
    assert specs["residual_1/add"].shape == (5, 7)
    assert specs["dense_1"].shape == (5, 2)


def test_an_unfilled_width_is_named():
    with pytest.raises(ShapeError, match=r"dense_1 \(dense\): units: .*'classes'"):
        Network(Dense("classes")).init(KEY, {"x": X})


def test_every_layer_takes_an_empty_batch():
    network = Network(Dense(3, "gelu"), Residual([Dense(3), Dropout()]), Reshape([3, 1]), Flatten())
    assert network.specs({"x": jax.ShapeDtypeStruct((0, 4), jnp.float32)})["flatten_1"].shape == (0, 3)


# -------------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([named(Tanh(), "hidden"), named(Add(), "sum", inputs=["hiden", "x"])], r"sum \(add\): inputs: no earlier node or column is called 'hiden'; did you mean 'hidden'"),
        ([named(Add(), "sum", inputs=["x", "later"]), named(Tanh(), "later")], r"sum \(add\): inputs: no earlier node or column is called 'later'"),
        ([named(Residual([Dense(4)]), "block"), named(Tanh(), "y", inputs="blok")], "did you mean 'block'"),
        ([named(Tanh(), "x")], "x: is both a node and a column of the data; rename the node"),
        ([Dense(4), Entry(Dense(4), share=(("weight", "dense_7/weight"),))], r"dense_2 \(dense\): share.weight: there is no earlier parameter 'dense_7/weight'.*did you mean 'dense_"),
        ([Dense(4), Entry(Dense(4), share=(("weight", "dense_1/wait"),))], r"dense_2 \(dense\): share.weight: there is no earlier parameter 'dense_1/wait'"),
    ],
)  # fmt: skip
def test_a_reference_to_nothing_is_named_with_what_is_near(entries, words):
    with pytest.raises(ConfigError, match=words):
        Network(*entries).init(KEY, {"x": X})


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([named(Dense(3), "a"), named(Add(), "sum", inputs=["a", "x"])], r"^sum \(add\): expected inputs of equal shape, got \(5, 3\) and \(5, 4\).*shortcut"),
        ([named(Dense(3), "a"), named(Concat(0), "join", inputs=["a", "x"])], r"^join \(concat\): cannot join"),
        ([Residual([Dense(3)])], r"^residual_1/add \(add\): expected inputs of equal shape"),
        ([Dense(3, weight=[[1.0, 2.0]])], r"^dense_1 \(dense\): weight: the given values have shape \(1, 2\), but the parameter has \(4, 3\)"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_name_the_node(entries, words):
    with pytest.raises(ShapeError, match=words):
        Network(*entries).init(KEY, {"x": X})


def test_identifiers_are_not_multiplied_by_weights():
    with pytest.raises(
        DataTypeError, match=r"dense_1 \(dense\): input: expected real numbers, got int32; put an embedding"
    ):
        Network(Dense(3)).init(KEY, {"x": jax.ShapeDtypeStruct((5, 4), jnp.int32)})


def test_freezing_a_block_freezes_its_nodes():
    network = Network(named(Residual([Dense(4, "relu")]), "block", frozen=True), Dense(2))
    assert [node.frozen for node in network.nodes] == [True, True, True, False]
