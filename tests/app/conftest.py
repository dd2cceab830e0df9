"""Compiled programs are kept in a folder of these tests, as the command line keeps them in the user's."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from retrograd.app.cli.surroundings import settle


@pytest.fixture(scope="package", autouse=True)
def compiled_once(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        settle()
        yield
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()
