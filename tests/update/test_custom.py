"""User-defined optimizers and schedules: the guide runs as printed, and mistakes are reported with their line."""

import re
import shlex
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.app.cli.main import main
from retrograd.base.errors import ConfigError
from retrograd.base.schema import parse_registered
from retrograd.network.own_layers import files_of, load_layers
from retrograd.training.check import check
from retrograd.update.optimizers import optimizers
from retrograd.update.schedules import schedules

GUIDE = (Path(__file__).parents[2] / "docs" / "add-an-optimizer.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.M | re.S)
(SOURCE,), (CONFIG,), (COMMANDS,) = ([code for name, code in BLOCKS if name == kind] for kind in ("python", "yaml", ""))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file; what it registers is gone after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("retrograd.network.own_layers._files", {})
    for registry in (optimizers, schedules):
        for name in ("_entries", "_names"):
            monkeypatch.setattr(registry, name, dict(getattr(registry, name)))

    def write(text):
        (tmp_path / "signs.py").write_text(text)
        return tmp_path / "signs.py"

    return write


def test_the_guide_to_an_optimizer_of_ones_own_runs_as_printed(file, tmp_path, capsys):
    file(SOURCE)
    (tmp_path / "signs.yaml").write_text(CONFIG)
    for command in COMMANDS.splitlines():
        assert main(shlex.split(command)[1:]) == 0, command
    out = capsys.readouterr().out
    assert "m = beta m + (1 - beta) g; d = sign(m)" in out
    (run,) = (tmp_path / "runs").iterdir()
    assert "signs.py, sha256 " in (run / "events.jsonl").read_text()


def test_it_takes_the_steps_that_its_formula_says(file):
    own = load_layers(file(SOURCE))
    assert own.names == ("signs", "square_root")
    assert files_of({"square_root"}) == {"signs.py": own.digest}
    settings = {"signs": {"learning_rate": {"square_root": 0.5}, "beta": 0.5}}
    chain = parse_registered(optimizers, settings).build(None)
    params, grads = {"n": {"w": jnp.zeros(2)}}, ([4.0, -1.0], [-1.0, -1.0], [-2.0, 0.5])
    state, p = chain.init(params), np.zeros(2)
    averages = ([2, -0.5], [0.5, -0.75], [-0.75, -0.125])
    for t, (g, m) in enumerate(zip(grads, averages, strict=True)):
        updates, state = chain.update({"n": {"w": jnp.asarray(g)}}, state, params)
        np.testing.assert_allclose(updates["n"]["w"], -0.5 / np.sqrt(1 + t) * np.sign(m), rtol=1e-6)
        p += np.asarray(updates["n"]["w"])
    assert jax.tree.leaves(state)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("optax.ema(", "optax.emma(", r"optimizer\.signs: signs\.py:20: AttributeError: .*emma"),
        ("return optax.chain(average, ", "return (average, ", r"must return an optax transformation, found tuple"),
        ("jax.tree.map(jnp.sign, m)", "jnp.sign(m)", r"optimizer\.signs: signs\.py:21: .*Error"),
        ("jnp.sign, m)", "jnp.sum, m)", r"the updates of direction\(\) changed: expected float32\[2\]"),
        ("jnp.sqrt(1.0 + step)", "jnp.sqroot(step)", r"optimizer\.signs: signs\.py:34: AttributeError"),
        ("def direction", "def directions", r"has no `direction\(self\)`"),
    ],
)
def test_a_mistake_is_reported_with_its_place(file, before, after, words):
    assert before in SOURCE
    own = load_layers(file(SOURCE.replace(before, after)).relative_to(Path.cwd()))
    with pytest.raises(ConfigError, match=words):
        parse_registered(optimizers, {own.names[0]: {"learning_rate": {own.names[1]: 0.1}}}).build(10)


def test_check_of_the_file_builds_its_optimizers(file):
    assert check(file(SOURCE)).checks == ()
    with pytest.raises(ConfigError, match="keep structure, shapes and dtypes"):
        check(file(SOURCE.replace("jnp.sign, m)", "jnp.sum, m)")))


def test_an_unknown_optimizer_says_how_ones_own_is_named():
    with pytest.raises(ConfigError, match=r"load your own with --layers FILE\.py; "):
        parse_registered(optimizers, "zzz")
