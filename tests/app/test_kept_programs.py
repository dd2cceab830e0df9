"""The second command of a network runs the programs of the first one, with the same bits."""

import jax
import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.base.compilation.cache import CACHE
from retrograd.base.compilation.program_files import SUFFIX
from retrograd.base.registry import forget_class
from retrograd.network.own_layers import _files
from retrograd.record.tree import digest

CONFIG = """\
name: both
data: {builtin: moons, samples: 90}
network: [{dense: {units: 4, activation: relu}}, batch_norm, {dropout: 0.25}, {dense: classes}]
optimizer: {adam: {learning_rate: 0.02, weight_decay: 0.01}}
training: {epochs: 4, batch_size: 16, early_stopping: {patience: 3}}
"""
OWN = """
import retrograd as rg

@rg.layers.register("doubled")
class Doubled(rg.ReLU):
    pass

forward = rg.Dense.forward
rg.Dense.forward = lambda self, params, state, ctx, x: forward(self, params, state, ctx, 2 * x)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a configuration, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "both.yaml").write_text(CONFIG)
    before = jax.config.jax_compilation_cache_dir
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)


def trained(place, name, *more):
    """Train as another process would; return the weights' digest, and the programs that JAX compiled."""
    CACHE.clear()
    jax.clear_caches()
    before = CACHE.compiled
    assert main(["train", "both.yaml", "--quiet", "--run", str(place / name), *more]) == 0
    return digest(rg.load(place / name).variables.params), CACHE.compiled - before


def kept(place):
    return sorted((place / "cache" / "retrograd" / "compiled").glob(f"*{SUFFIX}"))


def test_the_second_command_compiles_none_of_the_networks_programs(place):
    first, compiled = trained(place, "first")
    files = kept(place)
    assert len(files) > 5
    second, compiled_again = trained(place, "second")
    assert second == first
    assert compiled_again <= compiled - 5
    assert kept(place) == files
    other, compiled_for_others = trained(place, "third", "--set", "network.2.dropout=0.5", "--lr", "0.03")
    assert other != first
    assert compiled_for_others <= compiled_again + 1
    assert kept(place) == files


def test_a_file_that_changes_a_layer_has_programs_of_its_own(place, monkeypatch):
    first, _ = trained(place, "first")
    (place / "own.py").write_text(OWN)
    monkeypatch.setattr(rg.Dense, "forward", rg.Dense.forward)
    monkeypatch.setattr("retrograd.network.own_layers._files", dict(_files))
    try:
        assert trained(place, "second", "--layers", "own.py")[0] != first
    finally:
        forget_class(rg.layers["doubled"])
