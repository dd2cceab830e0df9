"""From a folder through training and back: adapters are learned, merged, and written under the same names."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.base.document import parse_document
from retrograd.base.errors import ConfigError, ModelFileError, UsageError
from retrograd.data.dataset import from_arrays
from retrograd.interop.hub.exporting import export_folder
from retrograd.interop.hub.importing import import_folder
from retrograd.record.hub.tensors import Tensors
from retrograd.training.adapted import without_adaptation

MODELS = Path(__file__).parent / "models"
BERT = {
    "network": parse_document(import_folder(MODELS / "bert").text).values["network"],
    "weights": {"path": str(MODELS / "bert")},
}


def dataset(count=24):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 11, (count, 6)).astype(np.int32)
    mask = np.arange(6) < rng.integers(2, 7, (count, 1))
    columns = {"x": x, "mask": mask, "segments": np.zeros_like(x)}
    return from_arrays(columns, x[:, 0] % 3, settings=rg.DataSettings(keep_integers=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = {
        **BERT,
        "adapt": {"layers": "*/attention", "rank": 2, "train": ["classifier/*"]},
        "optimizer": {"adam": 0.05},
        "training": {"epochs": 2, "batch_size": 24},
    }
    return rg.train(config, dataset=dataset(), folder=tmp_path_factory.mktemp("hub") / "run")


def test_adapters_and_what_is_named_learn_and_the_rest_stays(run):
    stored, trained = Tensors(MODELS / "bert"), run.model.variables.params
    embedding = stored.read("bert.embeddings.word_embeddings.weight", lambda whole: {0: whole}, {0: "float32"})[0]
    assert (np.asarray(trained["tokens"]["weight"]) == embedding).all()
    assert np.abs(trained["blocks/1/attention"]["query_weight_up"]).max() > 0
    config = run.model.config
    assert "blocks/1/attention/query_weight" in config.freeze
    assert not any("_up" in path or "classifier" in path for path in config.freeze)


def test_the_merged_model_computes_what_the_adapted_one_does(run):
    columns = dict(run.dataset.train)
    plain = without_adaptation(run.model)
    assert "query_weight_up" not in plain.variables.params["blocks/1/attention"]
    adapted = run.model.evaluator.outputs(run.model.variables, columns)
    np.testing.assert_allclose(plain.evaluator.outputs(plain.variables, columns), adapted, atol=1e-6)


def test_the_folder_written_back_has_the_same_tensors_and_is_read_again(run, tmp_path):
    written = export_folder(run, tmp_path / "back")
    before, after = Tensors(MODELS / "bert"), Tensors(tmp_path / "back")
    assert {name: (t.shape, t.dtype) for name, t in before.items()} == {
        name: (t.shape, t.dtype) for name, t in after.items()
    }
    assert written.new == ()
    told, again = (json.loads((place / "config.json").read_text()) for place in (MODELS / "bert", tmp_path / "back"))
    assert told == again
    model = without_adaptation(run.model)
    query = after.read("bert.encoder.layer.0.attention.self.query.weight", lambda whole: {0: whole.T}, {0: "float32"})
    np.testing.assert_array_equal(query[0], model.variables.params["blocks/1/attention"]["query_weight"])
    with pytest.raises(UsageError, match="already exists"):
        export_folder(run, tmp_path / "back")


def test_what_does_not_fit_is_refused_before_a_run_begins(tmp_path):
    network = [dict(entry) for entry in BERT["network"]]
    network[-1] = {"dense": 3, "name": "mine"}
    with pytest.raises(ModelFileError) as caught:
        rg.train({**BERT, "network": network}, dataset=dataset(), root=tmp_path / "runs")
    told = str(caught.value)
    assert "weights: mine/weight: a bert folder has no tensor for it" in told
    assert "`missing: init`" in told
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ConfigError, match="given together with"):
        rg.train({**BERT, "training": {"start": "last"}}, dataset=dataset())


TOKENIZER = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        (
            "config.json",
            {"hidden_act": ["gelu"]},
            r"config\.json: hidden_act: expected one of gelu, .*found \['gelu'\]",
        ),
        ("config.json", {"architectures": 3}, r"config\.json: architectures: expected a list of names, found 3"),
        ("tokenizer_config.json", {"pad_token": 5}, "pad_token of its tokenizer: expected a token as text.*found 5"),
    ],
)
def test_values_of_another_kind_are_damage(tmp_path, file, values, words):
    shutil.copytree(MODELS / "bert", tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    stored = json.loads((tmp_path / file).read_text()) if (tmp_path / file).exists() else {}
    (tmp_path / file).write_text(json.dumps({**stored, **values}))
    with pytest.raises(ModelFileError, match=words):
        import_folder(tmp_path)


def test_a_configuration_is_written_and_explained(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(MODELS / "gpt2"), "-o", "net.yaml"]) == 0
    assert "no tokenizer.json" in capsys.readouterr().err
    assert main(["import", str(MODELS / "gpt2"), "-o", "net.yaml"]) == 2
    assert "already exists" in capsys.readouterr().err
    text = Path("net.yaml").read_text()
    assert "transformer_encoder" in text
    assert max(map(len, text.splitlines())) <= 100


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "very", "not", "story", "plot"]


@pytest.mark.parametrize(("classes", "head"), [(2, "new_classifier"), (3, "classifier"), (4, "new_classifier")])
def test_the_head_of_the_model_is_kept_where_it_has_the_classes_of_the_data(tmp_path, monkeypatch, classes, head):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(MODELS / "bert", "bert")
    model = {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(WORDS)}, "unk_token": "[UNK]"}
    whole = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    Path("bert/tokenizer.json").write_text(json.dumps(whole))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    Path("bert/tokenizer_config.json").write_text(json.dumps(names))
    rows = [f"very {WORDS[4 + i % classes]} film,class {i % classes}" for i in range(60)]
    Path("texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    imported = import_folder("bert", data="texts.csv", target="label")
    assert ("the model's head has 3 classes" in " ".join(imported.notes)) == (head != "classifier")
    Path("net.yaml").write_text(imported.text)
    run = rg.train(rg.read_config("net.yaml", ["training.epochs=1"]))
    assert run.model.variables.params[head]["weight"].shape == (8, 1 if classes == 2 else classes)
    drawn = "initialised at random: new_classifier" in (run.folder / "events.jsonl").read_text()
    assert drawn == (head != "classifier")
