"""Settings of the whole suite, made before JAX is loaded.

Most of its time is compilation of small programs, which the flags make a third to a half faster; they change how XLA
generates code, and what it computes in the last bits only.
"""

import os
from collections.abc import Iterator

import pytest

COMPILE_QUICKLY = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
)

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *COMPILE_QUICKLY]).strip()

SHARING = (  # modules whose tests share programs that take seconds to compile: each runs in one process
    "test_symptoms", "test_repair", "test_trace_lines", "test_trace_replay", "test_trace_forms", "test_trace_by_hand",
    "test_explain", "test_generate", "test_special_data",
)  # fmt: skip


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is compiled, as the command line does in the user's cache: for tests with many equal programs."""
    import jax  # only now: the settings above come first
    from jax.experimental.compilation_cache import compilation_cache

    from retrograd.app.cli.surroundings import settle

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        settle()
        yield
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()


@pytest.fixture(params=["kernels", "formulas"])
def either_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test with native kernels, where there are some, and again with the formulas that they stand in for.

    The choice is made when a function is traced: the test must compile its own.
    """
    from retrograd.native.library import kernels

    with kernels(request.param == "kernels"):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of such a module together, where the suite is spread over processes by groups."""
    for item in items:
        if item.path.stem in SHARING:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
