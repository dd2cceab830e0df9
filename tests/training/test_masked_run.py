"""A masked language model: tokens are hidden anew in every step, metrics use fixed ones; resuming; completing texts."""

import json

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.base.errors import ConfigError, DataError, UsageError
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.training.run import as_config, prepare

CONFIG = {
    "data": {"builtin": "tales", "samples": 40, "text": {"masked": 0.15, "length": 12}},
    "network": [{"embedding": {"units": 4, "vocabulary": "tokens"}}, {"dense": "classes"}],
    "training": {"epochs": 4, "batch_size": 8, "checkpoint": {"seconds": 0}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return rg.train(CONFIG, root=tmp_path_factory.mktemp("masked"))


def test_every_step_hides_other_tokens_of_the_same_text():
    prepared = prepare(as_config(CONFIG))
    hiding = prepared.stepper().mixing
    batch = {name: column[:8] for name, column in prepared.dataset.train.items()}
    steps = [hiding(batch, jax.random.key(i), prepared.network, prepared.objectives) for i in (0, 0, 1)]
    np.testing.assert_array_equal(steps[0]["x"], steps[1]["x"])
    assert (np.asarray(steps[0]["y"]) != np.asarray(steps[2]["y"])).any()
    for step in (batch, *steps):
        ids = hiding.masking.shown(np.asarray(step["x"]), np.asarray(step["y"]))
        np.testing.assert_array_equal(ids, hiding.masking.shown(batch["x"], batch["y"]))


def test_a_resumed_run_ends_with_the_same_bits(run, tmp_path):
    short = {**CONFIG, "training": {**CONFIG["training"], "epochs": 2}}
    first = rg.train(short, root=tmp_path)
    assert rg.resume(first.folder, epochs=4).history[-1].weights == run.history[-1].weights
    assert prepare(as_config(CONFIG)).objectives[0].loss == CrossEntropy(ignored=-1)


def test_the_metrics_are_those_of_the_hidden_tokens(run):
    data = prepare(as_config(CONFIG)).dataset.test
    logits = run.model.evaluator.outputs(run.model.variables, data)
    hidden = data["y"] != -1
    assert run.scores["test"]["accuracy"] == pytest.approx(np.mean(logits.argmax(-1)[hidden] == data["y"][hidden]))


def test_texts_are_completed_on_the_command_line(run, tmp_path, capsys):
    (tmp_path / "gaps.txt").write_text("the sly [MASK] found a [MASK] in the barn.\n")
    assert main(["predict", str(run.folder), str(tmp_path / "gaps.txt")]) == 0
    header, line, *_ = capsys.readouterr().out.splitlines()
    assert header == "prediction,probability"
    assert line.startswith('"the sly ')
    assert main(["predict", str(run.folder), str(tmp_path / "gaps.txt"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert len(row["probability"]) == 2
    assert main(["generate", str(run.folder), "the [MASK]"]) == 2
    assert "retrograd predict" in capsys.readouterr().err


def test_each_text_is_completed_with_known_tokens_and_its_own_probabilities(run):
    decoded = run.model.decode(["a [MASK] b [MASK] " + "the " * 12 + "[MASK]", "[MASK] fox"])
    assert [len(shares) for shares in decoded.fillings] == [3, 1]
    assert all(0 < share <= 1 for shares in decoded.fillings for share in shares)
    words = decoded.labels[0].split()
    vocabulary = run.model.preprocessing.inputs.vocabulary
    assert {words[1], words[3], words[-1]} <= set(vocabulary.tokens)
    assert decoded.labels[1].endswith(" fox")
    with pytest.raises(DataError, match=r"no text has a \[MASK\]"):
        run.model.predict(["the fox"])
    with pytest.raises(UsageError, match="fills in masked tokens"):
        rg.generate(run.model, "the fox")


@pytest.mark.parametrize("change", [{"mixup": 0.2}, {"ensemble": 2}])
def test_settings_that_mix_or_average_answers_are_refused(change):
    with pytest.raises(ConfigError):
        prepare(as_config({**CONFIG, "training": {**CONFIG["training"], **change}}))
