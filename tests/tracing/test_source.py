"""A configuration that is traced again is read again only if it or its data have changed."""

import os

import pytest

import retrograd as rg
from retrograd.tracing import source as sources

CONFIG = """
data: {path: t.csv, target: y, split: none}
network: [{dense: targets}]
optimizer: sgd
training: {epochs: 1, batch_size: 4, seed: %d}
"""


@pytest.fixture
def read(monkeypatch, tmp_path):
    """The folder, and how often a configuration has been read."""
    monkeypatch.chdir(tmp_path)
    sources._kept.clear()
    times = []
    original = sources.prepare_file
    monkeypatch.setattr(sources, "prepare_file", lambda *given: times.append(given) or original(*given))
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,4\n3,6\n4,8\n")
    (tmp_path / "c.yaml").write_text(CONFIG % 0)
    return times


def loss():
    return float(rg.trace("c.yaml").numbers.loss)


def test_again_it_is_as_it_was_read(read):
    assert loss() == loss()
    assert len(read) == 1


def test_what_has_changed_is_read_again(read, tmp_path):
    first = loss()
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,4\n3,6\n4,9\n")
    second = loss()
    (tmp_path / "c.yaml").write_text(CONFIG % 1)
    assert len({first, second, loss()}) == 3
    os.utime("t.csv", ns=(1, 1))
    loss()
    assert len(read) == 4


def test_changes_and_folders_are_kept_apart(read, tmp_path, monkeypatch):
    first = loss()
    assert float(rg.trace("c.yaml", changes=["training.seed=1"]).numbers.loss) != first
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "t.csv").write_text("x,y\n1,2\n2,4\n3,6\n4,9\n")
    (tmp_path / "d" / "c.yaml").write_text(CONFIG % 0)
    monkeypatch.chdir(tmp_path / "d")
    assert loss() != first
    assert len(read) == 3


def test_a_pattern_of_files_is_read_each_time(read, tmp_path):
    (tmp_path / "c.yaml").write_text((CONFIG % 0).replace("t.csv", "'t*.csv'"))
    assert loss() == loss()
    assert len(read) == 2
