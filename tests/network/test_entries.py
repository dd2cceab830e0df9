"""Entries as a configuration writes them: read, written back, and every mistake named at once."""

import pytest

from retrograd.base.errors import ConfigError
from retrograd.network.blocks import Branches, Repeat, Residual
from retrograd.network.entries import dump_entries, parse_entries
from retrograd.network.layers import Dense, Flatten, LeakyReLU, ReLU, Tanh
from retrograd.network.scope import Entry

CONFIGURATIONS = [
    [{"dense": {"units": 2, "activation": "tanh"}}, {"dense": {"units": 1}}],
    ["relu", {"dropout": {"rate": 0.2}}, {"reshape": {"shape": [2, -1]}}],
    [{"dense": {"units": "classes", "weight": [[0.5, 0.9]], "bias": False}}],
    [{"residual": {"layers": [{"dense": {"units": 8}}, "relu"], "shortcut": [{"dense": {"units": 8}}]}}],
    [{"branches": {"paths": [[], [{"repeat": {"times": 2, "layers": ["tanh"]}}]], "merge": "add"}}],
    [
        {"tanh": {}, "name": "h", "inputs": ["a", "b.last"], "frozen": True},
        {"dense": {"units": 3}, "share": {"weight": "h/weight.T"}},
    ],
]


@pytest.mark.parametrize("plain", CONFIGURATIONS, ids=str)
def test_what_is_read_is_written_back(plain):
    entries = parse_entries(plain)
    assert dump_entries(entries, filled=False) == plain
    assert parse_entries(dump_entries(entries, filled=True)) == entries


def test_a_value_alone_fills_the_first_field():
    short = parse_entries(
        [{"dense": 64}, {"leaky_relu": 0.5}, {"residual": ["relu"]}, {"repeat": {"times": 2, "layers": "tanh"}}]
    )
    assert [entry.layer for entry in short] == [
        Dense(64),
        LeakyReLU(0.5),
        Residual((Entry(ReLU()),)),
        Repeat(2, (Entry(Tanh()),)),
    ]
    assert parse_entries("flatten") == (Entry(Flatten()),)


def test_python_objects_may_replace_names():
    assert Branches([[ReLU()], []]) == Branches([["relu"], []])
    assert Dense(3, Tanh()) == Dense(3, "tanh")


@pytest.mark.parametrize(
    ("plain", "problems"),
    [
        ([{"dens": 3}], ["network.0: unknown layer kind 'dens'; did you mean 'dense'?"]),
        ([{"dense": 3, "relu": {}}], ["network.0: names two layers, dense and relu; write each as a separate list entry"]),
        ([{"name": "a"}], ["network.0: names no layer; known: "]),
        ([3], ["network.0: expected a layer (its name, or {name: settings}), found 3"]),
        ([{"relu": {"slope": 1}}], ["network.0.relu.slope: unknown key"]),
        ([{"dense": {"units": "3x"}}], ["network.0.dense.units: expected a positive integer, or classes, targets, features, found '3x'"]),
        ([{"dense": {"units": 3, "activation": "dropout"}}], ["network.0.dense.activation: 'dropout' is not allowed here; choose one of "]),
        ([{"dense": {"unit": 3}}], ["network.0.dense.unit: unknown key; did you mean 'units'?", "network.0.dense.units: missing; expected a positive integer"]),
        ([{"dense": 0}, "relu", {"residual": [{"dropout": 1.0}]}], ["network.0.dense.units: expected a positive integer", "network.2.residual.layers.0.dropout.rate: expected a number in [0, 1), found 1.0"]),
        ([{"relu": {}, "nmae": "a", "inputs": 3, "frozen": "yes"}], ["network.0.nmae: unknown key; did you mean 'name'?", "network.0.inputs: expected names of nodes or columns, or a mapping such as {query: x, mask: seen}, found 3", "network.0.frozen: expected true or false, found 'yes'"]),
        ("network.yaml", ["network.0: unknown layer kind 'network.yaml'"]),
        (3, ["network: expected a list of layers, found 3"]),
    ],
    ids=str,
)  # fmt: skip
def test_every_mistake_is_named_with_its_place(plain, problems):
    with pytest.raises(ConfigError) as caught:
        parse_entries(plain)
    lines = str(caught.value).split("\n")
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(problem)
