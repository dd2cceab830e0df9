"""Where compiled programs are kept, and that nobody is made to."""

import jax
import pytest

import retrograd as rg


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
