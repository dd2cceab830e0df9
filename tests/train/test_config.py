"""Configurations: all mistakes at once, with their lines; what is stored can be read back and is complete."""

import json
from pathlib import Path

import pytest

import retrograd as rg
from retrograd.base.document import parse_document, write_document
from retrograd.base.errors import ConfigError, UsageError
from retrograd.train.config import RunConfig, changed, config_of, plain_config, schema, with_rate

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))

SICK = """\
name: house
data: {path: house.csv, target: price}
network:
  - dens: 3
  - dense: {units: 3x, activation: rleu}
  - dense: 1
    inputs: 5
  - residual: [{dense: 0}]
loss: mean_square_error
optimizer:
  adam: {learning_rte: 0.1, beta1: 1.5}
training: {epochs: true, batch_size: 0.5, seed: -1}
"""


def test_every_mistake_is_told_at_once_with_its_line():
    with pytest.raises(ConfigError) as caught:
        config_of(parse_document(SICK, "house.yaml"))
    told = str(caught.value)
    for line, words in [
        (4, "unknown layer kind 'dens'; did you mean 'dense'?"),
        (5, "expected a positive integer, or classes, targets, features, found '3x'"),
        (5, "unknown layer 'rleu'; did you mean 'relu'?"),
        (7, "expected names of nodes or columns, found 5"),
        (8, "found 0"),
        (9, "unknown loss 'mean_square_error'; did you mean 'mean_squared_error'?"),
        (11, "unknown key; did you mean 'learning_rate'?"),
        (12, "training.epochs: expected a positive integer, found true"),
        (12, "training.batch_size: expected a positive integer, or all, found 0.5"),
        (12, "training.seed: expected an integer from 0 to 4294967295, found -1"),
    ]:
        assert any(f"house.yaml:{line}: " in each and words in each for each in told.splitlines()), (line, words, told)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_stored_configuration_reads_back_as_itself(path):
    config = rg.read_config(path)
    stored = parse_document(write_document(plain_config(config)))
    assert config_of(stored) == config


def test_the_stored_configuration_holds_what_defaults_and_data_decided():
    config = config_of(
        parse_document("data: iris\nnetwork: [{dense: {units: 5, activation: relu}}, {dense: classes}]\n")
    )
    network, _ = config.build({"classes": 3}, "multiclass", ("x", "y"))
    plain = plain_config(config.filled(network, "multiclass"))
    assert plain["network"][0]["dense"]["weight"] == "he_normal"
    assert plain["network"][1]["dense"] == {"units": 3, "weight": "glorot_uniform", "bias": "zeros"}
    assert plain["loss"]["cross_entropy"]["from_logits"] is True
    assert plain["optimizer"]["adam"]["learning_rate"] == 0.001
    assert plain["training"]["batch_size"] == 32


def test_settings_can_be_changed_by_path():
    values = {"training": {"epochs": 5}, "network": [{"dense": 1}, "relu"]}
    assert changed(values, "training.epochs=7")["training"] == {"epochs": 7}
    assert changed(values, "training.goal={metric: loss, value: 0.1}")["training"]["goal"]["value"] == 0.1
    assert changed(values, "network.0.dense=4")["network"][0] == {"dense": 4}
    assert changed(values, "optimizer.sgd.learning_rate=0.1")["optimizer"] == {"sgd": {"learning_rate": 0.1}}
    assert values == {"training": {"epochs": 5}, "network": [{"dense": 1}, "relu"]}
    for wrong in ("epochs", "=3", "network.5=relu"):
        with pytest.raises(UsageError, match="--set"):
            changed(values, wrong)


@pytest.mark.parametrize(
    ("optimizer", "field"),
    [
        ("{sgd: 0.5}", None),
        ("{sgd: {learning_rate: {cosine: 0.5}}}", "initial"),
        ("{adam: {learning_rate: {one_cycle: 0.5}}}", "peak"),
    ],
)
def test_a_learning_rate_on_the_command_line_goes_where_the_schedule_has_it(optimizer, field):
    config = with_rate(config_of(parse_document(f"network: [dense: 1]\noptimizer: {optimizer}")), 0.25)
    rate = config.optimizer.learning_rate
    assert (rate if field is None else getattr(rate, field)) == 0.25


def test_several_outputs_have_losses_of_their_own():
    text = """
network:
  - dense: {units: 4, activation: tanh}
    name: trunk
  - dense: 1
    name: price
  - dense: 2
    name: kind
    inputs: trunk
losses:
  price: {loss: huber, target: y, weight: 0.5}
  kind: {loss: cross_entropy, target: z}
"""
    config = config_of(parse_document(text))
    network, objectives = config.build({}, "regression", ("x", "y", "z"))
    assert [(o.name, o.inputs, o.weight) for o in objectives] == [
        ("loss/price", ("price", "y"), 0.5),
        ("loss/kind", ("kind", "z"), 1.0),
    ]
    assert network.by_name["kind"].inputs == ("trunk/tanh",)
    with pytest.raises(ConfigError, match="no column 'z'"):
        config.build({}, "regression", ("x", "y"))
    assert config_of(parse_document(write_document(plain_config(config)))) == config


def test_a_configuration_needs_a_network_and_one_kind_of_loss():
    with pytest.raises(ConfigError, match="network: missing"):
        config_of(parse_document("data: xor\n"))
    with pytest.raises(ConfigError, match="given beside `loss`"):
        RunConfig(network=[rg.Dense(1)], loss="huber", losses={"dense_1": {"loss": "huber"}})


def test_the_schema_names_everything_that_can_be_configured():
    written = schema()
    text = json.dumps(written)
    for registry in ("layer", "block", "loss", "optimizer", "schedule", "penalty", "initializer"):
        assert registry in written["$defs"]
    for name in ("leaky_relu", "residual", "huber", "nadam", "one_cycle", "l1", "orthogonal", "early_stopping"):
        assert f'"{name}"' in text
    assert set(written["properties"]) >= {"data", "network", "loss", "losses", "optimizer", "training", "name"}
    references = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert references <= set(written["$defs"])
