"""What belongs to another framework is refused, with the call that takes it."""

import json

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import retrograd as rg
from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import UsageError

VERBS = ("diagnose", "explain", "trace", "check", "repair")


def foreign(module: str, base: str) -> type:
    """A class of a user's own, whose base looks like one of a framework that need not be installed."""
    return type("Mine", (type(base, (), {"__module__": module}),), {"__module__": "__main__"})


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("module", "base", "words", "door"),
    [
        ("torch.nn.modules.module", "Module", "PyTorch module", "retrograd.torch"),
        ("torch.optim.optimizer", "Optimizer", "PyTorch optimizer", "retrograd.torch"),
        ("torch.autograd.function", "Function", "PyTorch function", "retrograd.torch"),
        ("keras.src.layers.layer", "Layer", "Keras model", "docs/coming-from.md"),
        ("tensorflow.python.trackable", "Module", "Keras model", "docs/coming-from.md"),
        ("flax.linen.module", "Module", "JAX module", "rg.check_gradient"),
    ],
)
def test_a_module_of_another_framework_is_led_to_its_door(verb, module, base, words, door):
    kind = foreign(module, base)
    for value in (kind, kind()):
        with pytest.raises(UsageError, match=words) as caught:
            getattr(rg, verb)(value)
        assert door in str(caught.value)
        assert "Mine" in str(caught.value)


@pytest.mark.parametrize("verb", VERBS)
def test_an_estimator_of_scikit_learn_is_led_to_fit(verb):
    for value in (LogisticRegression(), make_pipeline(LogisticRegression())):
        with pytest.raises(UsageError, match=r"scikit-learn estimator.*rg\.fit"):
            getattr(rg, verb)(value)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("text", "door"),
    [
        ("import torch\n", "retrograd.torch"),
        ("import os\nfrom torch import nn\n", "retrograd.torch"),
        ("import lightning as L\n", "retrograd.torch"),
        ("try:\n    import torch\nexcept ImportError:\n    pass\n", "retrograd.torch"),
        ("from tensorflow import keras\n", "docs/coming-from.md"),
        ("from sklearn.svm import SVC\n", "rg.fit"),
        ("import numpy as np\nw = np.ones(3)\n", "rg.check_gradient"),
    ],
)
def test_a_script_and_a_notebook_are_led_to_the_door_of_what_they_import(tmp_path, verb, text, door):
    script, notebook = tmp_path / "train.py", tmp_path / "train.ipynb"
    script.write_text(text)
    notebook.write_text(json.dumps({"cells": [{"source": text.splitlines(keepends=True)}]}))
    for path in (script, str(notebook)):
        with pytest.raises(UsageError) as caught:
            getattr(rg, verb)(path)
        assert door in str(caught.value)


def test_the_way_into_a_pytorch_loop_is_shown_in_four_lines(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import torch\n")
    with pytest.raises(UsageError) as caught:
        rg.diagnose(script)
    lines = [line.strip() for line in str(caught.value).splitlines()]
    at = lines.index("from retrograd.torch import watch")
    assert lines[at + 1].startswith("with watch(model, optimizer)")
    assert lines[at + 3] == "chart.report()"


@pytest.mark.parametrize("value", [3, {"data": "xor"}, "xor", "runs/last", "no such.py", None])
def test_anything_else_passes(value):
    refuse_foreign(value, "diagnose")


def test_a_file_of_layers_is_checked_as_before(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import numpy\nimport retrograd as rg\n@rg.layers.register('mine')\nclass Mine: pass\n")
    refuse_foreign(path, "check")
