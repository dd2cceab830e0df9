"""Any mistake in a file or a configuration is reported as a user error, never as an internal one."""

import warnings
from random import Random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from retrograd.base.document import Document, parse_document, write_document
from retrograd.base.schema import parse
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings
from retrograd.record.model import load_model
from retrograd.record.run import RunFolder
from retrograd.training.config.config import config_of, schema
from retrograd.training.prepare import prepare
from tests.fuzz.generators import TIMES, configuration, damaged, mutated, refused, table

SCHEMA = schema()
VALID = jsonschema.Draft202012Validator(SCHEMA)
SEEDS = st.integers(0, 2**32)


def fuzzed(examples):
    """Return the decorators of a test with this number of examples, the same ones in every run unless `make fuzz` asks for more."""

    def decorate(test):
        chosen = settings(max_examples=examples * TIMES, deadline=None, derandomize=TIMES == 1, database=None)
        return chosen(given(seed=SEEDS)(test))

    return decorate


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    values = {"data": "xor", "network": [{"dense": 2}, "tanh", {"dense": 1}], "training": {"epochs": 2}}
    return rg.train(values, folder=tmp_path_factory.mktemp("fuzz") / "run").folder


@fuzzed(60)
def test_a_mutated_configuration_is_read_or_refused_with_a_place(seed):
    random = Random(seed)
    values = configuration(random, SCHEMA)
    for _ in range(random.randint(1, 2)):
        values = mutated(random, values)
    if isinstance(values, dict):
        error = refused(lambda: config_of(Document(values)))
        assert error is None or all(problem.where for problem in error.problems)


@fuzzed(8)
def test_a_configuration_prepares_or_is_refused_with_a_place(seed):
    error = refused(lambda: prepare(config_of(Document(configuration(Random(seed), SCHEMA)))))
    assert error is None or all(problem.where for problem in error.problems)


@fuzzed(60)
def test_what_the_parser_reads_the_schema_allows(seed):
    random = Random(seed)
    values = configuration(random, SCHEMA)
    values = mutated(random, values) if seed % 2 else values
    if isinstance(values, dict) and refused(lambda: config_of(Document(values))) is None:
        VALID.validate(values)


@fuzzed(60)
def test_what_the_schema_allows_has_keys_and_types_that_the_parser_reads(seed):
    values = configuration(Random(seed), SCHEMA)
    VALID.validate(values)
    error = refused(lambda: config_of(Document(values)))
    for problem in error.problems if error else ():  # only how values fit one another may be refused
        assert "unknown" not in problem.message, problem
        assert not problem.message.startswith("missing"), problem


@fuzzed(60)
def test_damaged_yaml_is_read_or_refused(seed):
    random = Random(seed)
    text = write_document(configuration(random, SCHEMA)).encode()
    refused(lambda: parse_document(damaged(random, text).decode(errors="replace"), "f.yaml"))


@fuzzed(40)
def test_a_damaged_event_log_is_read_or_refused(seed, run, tmp_path_factory):
    random, folder = Random(seed), tmp_path_factory.mktemp("run")
    lines = (run / "events.jsonl").read_bytes()
    (folder / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    (folder / "events.jsonl").write_bytes(damaged(random, lines))
    refused(lambda: RunFolder.open(folder).summary())


@fuzzed(40)
def test_a_damaged_model_file_is_read_or_refused(seed, run, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    path.write_bytes(damaged(Random(seed), (run / "model.safetensors").read_bytes()))
    assert (
        refused(lambda: load_model(path)) is not None or path.read_bytes() == (run / "model.safetensors").read_bytes()
    )


@fuzzed(25)
def test_a_small_table_is_read_or_refused(seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_bytes(table(Random(seed)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RetrogradWarning)
        refused(lambda: load(parse(DataSettings, {"path": str(path)}, "data")))
