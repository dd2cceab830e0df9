"""Configurations: all mistakes are reported at once, with their lines; the stored form is complete and readable."""

import json
import math
from pathlib import Path

import pytest

import retrograd as rg
from retrograd.base.document import Document, parse_document, write_document
from retrograd.base.errors import ConfigError, RetrogradError, UsageError
from retrograd.base.schema import parse
from retrograd.training.config.config import RunConfig, changed, config_of, plain_config, schema, with_rate
from retrograd.training.prepare import prepare

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


def test_every_mistake_is_reported_at_once_with_its_line():
    with pytest.raises(ConfigError) as caught:
        config_of(parse_document(SICK, "house.yaml"))
    message = str(caught.value)
    for line, words in [
        (4, "unknown layer kind 'dens'; did you mean 'dense'?"),
        (5, "expected a positive integer, or classes, targets, features, found '3x'"),
        (5, "unknown layer 'rleu'; did you mean 'relu'?"),
        (7, "expected names of nodes or columns, or a mapping such as {query: x, mask: seen}, found 5"),
        (8, "found 0"),
        (9, "unknown loss 'mean_square_error'; did you mean 'mean_squared_error'?"),
        (11, "unknown key; did you mean 'learning_rate'?"),
        (12, "training.epochs: expected a positive integer, found true"),
        (12, "training.batch_size: expected a positive integer, or all, found 0.5"),
        (12, "training.seed: expected an integer from 0 to 4294967295, found -1"),
    ]:
        assert any(
            f"house.yaml:{line}: " in line_of_message and words in line_of_message
            for line_of_message in message.splitlines()
        ), (line, words, message)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_stored_configuration_reads_back_as_itself(path):
    config = rg.read_config(path)
    stored = parse_document(write_document(plain_config(config)))
    assert config_of(stored) == config


def test_the_stored_configuration_contains_everything_decided_by_defaults_and_data():
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
    ("text", "change", "expected"),
    [
        ("data: digits", "data.scale=none", {"data": {"builtin": "digits", "scale": "none"}}),
        ("data: {path: a.csv, split: none}", "data.split.seed=3", {"data": {"path": "a.csv", "split": {"method": "none", "seed": 3}}}),
        ("optimizer: adam", "optimizer.adam.beta1=0.8", {"optimizer": {"adam": {"beta1": 0.8}}}),
        ("optimizer: {adam: 0.1}", "optimizer.adam.beta1=0.8", {"optimizer": {"adam": {"learning_rate": 0.1, "beta1": 0.8}}}),
        ("optimizer: adam", "optimizer.sgd.momentum=0.9", {"optimizer": {"sgd": {"momentum": 0.9}}}),
        ("network: [dense: 8]", "network.0.dense.activation=relu", {"network": [{"dense": {"units": 8, "activation": "relu"}}]}),
        ("network: [dropout]", "network.0.dropout.rate=0.1", {"network": [{"dropout": {"rate": 0.1}}]}),
        ("network: [relu]", "network.0.name=bend", {"network": [{"relu": None, "name": "bend"}]}),
        ("training: {early_stopping: 5}", "training.early_stopping.min_change=0.1",
         {"training": {"early_stopping": {"patience": 5, "min_change": 0.1}}}),
    ],
)  # fmt: skip
def test_a_setting_in_short_form_survives_a_change_of_another_setting(text, change, expected):
    values = changed(parse_document(text).values, change)
    assert values == expected
    parse(RunConfig, {"network": [{"dense": 1}], **values})


@pytest.mark.parametrize(
    ("optimizer", "field"),
    [
        ("{sgd: 0.5}", None),
        ("{sgd: {learning_rate: {cosine: 0.5}}}", "initial"),
        ("{adam: {learning_rate: {one_cycle: 0.5}}}", "peak"),
    ],
)
def test_a_learning_rate_on_the_command_line_replaces_the_one_in_the_schedule(optimizer, field):
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
    with pytest.raises(ConfigError, match="given together with `loss`"):
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs: 5", "epochs: unknown key; did you mean 'training.epochs'?"),
        ("batch_size: 5", "batch_size: unknown key; did you mean 'training.batch_size'?"),
        ("lr: 0.1", "lr: unknown key; did you mean 'optimizer.adam.learning_rate'?"),
        (
            "training: {lr: 0.1}\noptimizer: sgd",
            "training.lr: unknown key; did you mean 'optimizer.sgd.learning_rate'?",
        ),
        ("training: {optimizer: adam}", "training.optimizer: unknown key; did you mean 'optimizer' at the top level?"),
        ("training: {patience: 3}", "did you mean 'training.early_stopping.patience'?"),
        ("layers: [{dense: 1}]", "layers: unknown key; did you mean 'network'?"),
        ("optimizer: {adam: {lr: 0.1}}", "optimizer.adam.lr: unknown key; did you mean 'learning_rate'?"),
        ("optimizer: {adam: {warmup: 9}}", "did you mean 'optimizer.adam.learning_rate.constant.warmup'?"),
        ("optimizer: {adam: {learning_rate: {cosine: {initial: 0.1, warmup: 0.1}}}}", "expected a number of steps"),
        ("optimizer: {adam: 0.1, sgd: 0.1}", "keep one of adam and sgd"),
        ("optimizer: {name: adam, lr: 0.1}", "settings belong under the name: {adam: {learning_rate: 0.1}}"),
        ("training: {early_stopping: true}", "expected {patience: ...}, found true; {} uses the defaults"),
        (
            "training: {goal: accuracy}",
            "training.goal: expected {metric: text, value: a finite number}, found 'accuracy'",
        ),
        ("loss: categorical_crossentropy", "did you mean 'cross_entropy'?"),
        ("loss: bce", "did you mean 'binary_cross_entropy'?"),
        ("loss: mse", "did you mean 'mean_squared_error'?"),
        ("network: [{dense: {units: 1, activation: ReLU}}]", "did you mean 'relu'?"),
        ("network: [{dense: {units: 1, activation: linear}}]", "did you mean 'identity'?"),
        ("network: [{dense: {hidden: 1}}]", "network.0.dense.hidden: unknown key; did you mean 'units'?"),
        ("network: [LeakyReLU]", "did you mean 'leaky_relu'?"),
        ("network: [{Conv2D: 3}]", "did you mean 'conv2d'?"),
        ("network: [BatchNorm]", "did you mean 'batch_norm'?"),
        ("network: [BatchNormalization]", "did you mean 'batch_norm'?"),
        ("network: [zzz]", "load your own with --layers FILE.py"),
    ],
)
def test_names_from_other_frameworks_and_misplaced_keys_lead_to_the_right_ones(text, words):
    document = parse_document(text)
    with pytest.raises(ConfigError) as caught:
        config_of(Document({"network": [{"dense": 1}], **document.values}))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": {"adam": {"accumulate": 9}}}, r"optimizer.adam.accumulate: 9 micro-batches .* batch of 4 rows; at most 4"),
        ({"network": [{"dense": 1, "frozen": True}]}, r"network: all parameters are frozen"),
        ({"network": ["identity"], "losses": {"identity_1": {"loss": "mean_squared_error", "target": "x"}}}, r"network: no layer has parameters"),
        ({"network": [{"dense": 2, "name": "a"}, {"dense": 1, "share": {"weight": "a/wieght"}}]},
         r"share.weight: there is no earlier parameter 'a/wieght'; did you mean 'a/weight'\? \(have: a/weight, a/bias\)"),
        ({"network": [{"dense": 2, "name": "a"}, {"dense": 1, "share": {"wait": "a/weight"}}]},
         r"share.wait: the layer has no parameter 'wait'; did you mean 'weight'\?"),
        ({"network": [{"dense": 3, "name": "a"}, {"dense": 1, "inputs": "x", "share": {"weight": "a/weight"}}]},
         r"share.weight: 'a/weight' has the shape \(2, 3\), expected \(2, 1\)"),
        ({"network": [{"dense": 1, "share": {"weight": "b/weight"}}]}, r"no earlier node has any"),
        ({"network": [{"lstm": 3}]}, r"network.0: lstm_1 \(lstm\): .*got \(4, 2\)"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_work_is_refused_before_it_starts(change, words):
    plain = {"data": "xor", "network": [{"dense": 1}], **change}
    with pytest.raises(RetrogradError, match=words):
        prepare(config_of(Document(plain)))


def test_a_warmup_and_a_cosine_reach_their_peak_and_end_with_the_run(tmp_path):
    rate = {"cosine": {"initial": 0.1, "final": 0.001, "warmup": 4}}
    run = rg.train({"data": "xor", "network": [{"dense": 1}], "optimizer": {"sgd": {"learning_rate": rate}},
                    "training": {"epochs": 41, "batch_size": 4, "evaluate_every": 41}}, root=tmp_path)  # fmt: skip
    rates = [epoch.learning_rate for epoch in run.history]  # one step per epoch
    assert rates[4] == max(rates) == pytest.approx(0.1)
    assert rates[0] == pytest.approx(0.1 * 0.01)
    assert rates[:5] == sorted(rates[:5])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert len(rates) == 41
    assert rates[-1] == pytest.approx(0.001 + 0.099 * (1 + math.cos(math.pi * 36 / 37)) / 2)  # the last of 37 steps
