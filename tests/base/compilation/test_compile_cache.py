"""Where compiled programs are stored, and that storing them is optional."""

import os

import jax
import pytest

import retrograd as rg
from retrograd.base.compilation.compile_cache import LOOKED, _prune, clear, kept


@pytest.fixture(autouse=True)
def unchanged():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs",
             "jax_persistent_cache_min_entry_size_bytes")  # fmt: skip
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_users_cache_folder_is_respected(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert rg.keep_compiled() == tmp_path / "retrograd" / "compiled"
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "retrograd" / "compiled")


def test_a_folder_that_cannot_be_made_changes_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    before = jax.config.jax_compilation_cache_dir
    assert rg.keep_compiled(tmp_path / "file" / "inside") is None
    assert jax.config.jax_compilation_cache_dir == before


def test_the_oldest_programs_go_when_there_are_too_many(tmp_path):
    for age in range(5):
        file = tmp_path / f"program-{age}-cache"
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 - age, 1e9 - age))
    (tmp_path / "notes.txt").write_text("not a program")
    _prune(tmp_path, most=250)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        LOOKED, "notes.txt", "program-0-cache", "program-1-cache",
    ]  # fmt: skip
    _prune(tmp_path, most=0)  # looked at a moment ago
    assert kept(tmp_path).programs == 2


def test_what_is_cleared_is_counted_and_nothing_else_goes(tmp_path):
    (tmp_path / "a-cache").write_bytes(bytes(10))
    (tmp_path / "notes.txt").write_text("not a program")
    assert clear(tmp_path) == (tmp_path, 1, 10)
    assert kept(tmp_path) == (tmp_path, 0, 0)
    assert (tmp_path / "notes.txt").exists()
    assert kept(tmp_path / "nowhere").programs == 0
