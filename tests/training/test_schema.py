"""The JSON Schema accepts what the parser accepts and refuses mistakes, according to an independent validator."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from retrograd.base.document import parse_document
from retrograd.base.errors import ConfigError
from retrograd.training.config.config import config_of, schema

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
FORMS = """\
name: forms
data: {builtin: iris, split: {method: random, seed: 3}, scale: {divide: 2}}
network:
  - flatten
  - relu: {}
  - tanh:
  - dense: 8
    name: first
    inputs: [x]
  - {dense: {units: 8, activation: {leaky_relu: 0.2}, weight: he_normal, bias: false}, frozen: true}
  - dense: {units: 8, weight: {normal: 0.1}}
    share: {bias: first/bias}
  - residual: [{dense: {units: 8, activation: relu}}, batch_norm]
  - residual: {layers: [{dense: 8}], shortcut: [{dense: 8}]}
  - branches: {paths: [[{dense: 4}], [{dense: 4}]], merge: add}
  - branches: [{dense: 4}, [relu, {dense: 4}]]
  - repeat: {times: 2, layers: [{dense: 4}]}
  - {dense: classes, inputs: repeat_1, recompute: true}
losses: {dense_5: cross_entropy}
optimizer: {adam: {learning_rate: {cosine: {initial: 0.1, warmup: 5}}, clip_global_norm: 1}}
penalties: [{l2: 0.001}, {l1: {strength: 0.1, parameters: ["dense_1/weight"]}}]
training: {batch_size: all, early_stopping: 5, goal: {metric: accuracy, value: 0.9}}
"""


@pytest.fixture(scope="module")
def validator():
    plain = json.loads(json.dumps(schema()))
    Draft202012Validator.check_schema(plain)
    return Draft202012Validator(plain)


@pytest.mark.parametrize("text", [*(path.read_text() for path in EXAMPLES), FORMS, "network: [{dense: 1}]"])
def test_what_the_parser_accepts_the_schema_accepts(validator, text):
    document = parse_document(text)
    config_of(document)
    validator.validate(document.values)


@pytest.mark.parametrize(
    "slip",
    [
        "network: [{dense: {unit: 3}}]",
        "network: [{dens: 3}]",
        "network: [relo]",
        "network: [{dense: 3, nam: a}]",
        "network: [{dense: 3, relu: {}}]",
        "network: [{dense: {units: 3, activation: dropout}}]",
        "network: [{dense: {units: 3, weight: he_norml}}]",
        "network: [{residual: [{dense: {units: 3, activation: rleu}}]}]",
        "network: [{branches: {paths: [[{dense: 0}]]}}]",
        "network: [{branches: {paths: 3}}]",
        "network: [{flatten: 3}]",
        "network: [{dense: 3, frozen: 1}]",
        "optimizer: {adam: {lr: 0.1}}",
        "optimizer: {adam: 0.1, sgd: 0.1}",
        "optimizer: {adam: {learning_rate: {cosin: 0.1}}}",
        "training: {epoch: 3}",
        "training: {goal: accuracy}",
        "training: {early_stopping: true}",
        "data: {path: a.csv, taget: y}",
        "data: {path: a.csv, split: {methd: time}}",
        "loss: mse",
        "losses: {dense_1: {los: hinge}}",
        "penalties: [{l3: 1}]",
    ],
)
def test_what_the_parser_refuses_the_schema_refuses(validator, slip):
    values = {"network": [{"dense": 1}], **parse_document(slip).values}
    assert not validator.is_valid(values)
    with pytest.raises(ConfigError):
        config_of(parse_document(json.dumps(values)))
