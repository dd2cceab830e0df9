"""Settings of the whole suite, made before JAX is loaded.

Most of its time is compilation of small programs, which the flags make three times as fast; they change how XLA
generates code, and what it computes in the last bits only. One program is known whose gradients come out wrong with
optimisation level 0 and without fusion emitters (right with either, and as users run it): its test asks for level 1.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMPILE_QUICKLY = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_llvm_force_inline_before_split=false",
)

KEEP_ALL = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *COMPILE_QUICKLY]).strip()

APART = (  # modules of long tests that share no program: they are spread; each other module runs in one process, which
    # makes its fixtures and compiles its programs once
    "test_layers", "test_losses", "test_examples", "test_bad_inputs", "test_diagnose", "test_gradcheck", "test_cli",
    "test_check_cli", "test_recurrent_oracles", "test_run", "test_step", "test_torch_values",
)  # fmt: skip


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_kept_programs() -> Iterator[None]:
    """Leave no program to the next test: a command line that ran in this process keeps them in files."""
    yield
    if files := sys.modules.get("retrograd.base.compilation.program_files"):
        files._stores.clear()


@pytest.fixture(params=["kernels", "formulas"])
def either_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test with native kernels, where there are some, and again with the formulas that they replace.

    The choice is made when a function is traced: the test must compile its own.
    """
    from retrograd.native.library import kernels

    with kernels(request.param == "kernels"):
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a module together, where the suite is spread over processes by groups."""
    for item in items:
        if item.path.stem not in APART:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    if config.getoption("--formulas"):
        chosen = _callers(config)
        items[:] = [item for item in items if _place(item.location) in chosen]


# ------------------------------------------------------------- once more, with the formulas in place of native kernels

CALLED = ("native kernels", "called")  # a property of the tests that called one
CALLERS = "native/callers"  # where pytest's cache keeps which tests these are


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the second run."""
    parser.addoption("--formulas", action="store_true", help="run, without native kernels, the tests that called one")


def pytest_configure(config: pytest.Config) -> None:
    """Keep what is compiled; switch kernels off for the second run; note in the first one who calls them.

    Each process of the suite has a cache of its own, where the command line finds it too: JAX writes its files in
    place, and a process that reads a file while another writes it warns.
    """
    cache = tempfile.mkdtemp(prefix="retrograd-tests-")
    config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))
    os.environ |= {"XDG_CACHE_HOME": cache, "JAX_COMPILATION_CACHE_DIR": f"{cache}/retrograd/compiled", **KEEP_ALL}
    if config.getoption("--formulas"):
        os.environ["RETROGRAD_KERNELS"] = "off"
    else:
        config.pluginmanager.register(CallersNoted(config))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """For the second run, do not even import the files whose tests called no kernel."""
    if not config.getoption("--formulas") or collection_path.suffix != ".py":
        return None
    files = {place.partition("::")[0] for place in _callers(config)}
    return collection_path.relative_to(config.rootpath).as_posix() not in files or None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where no kernels could be built there is nothing to run a second time; where they are, nothing is a failure."""
    if session.config.getoption("--formulas") and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        from retrograd.native.build import LIBRARY

        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED if LIBRARY.exists() else pytest.ExitCode.OK


def _callers(config: pytest.Config) -> list[str]:
    cache = getattr(config, "cache", None)  # absent with `-p no:cacheprovider`
    return cache.get(CALLERS, []) if cache else []


def _place(location: tuple[str, int | None, str]) -> str:
    """Return file and name of a test; its nodeid may end with a group of processes."""
    return f"{Path(location[0]).as_posix()}::{location[2]}"


class CallersNoted:
    """Keeps in pytest's cache which tests call a native kernel, those of the kernels themselves apart."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.callers, self.called = config, set[str](), False

    def pytest_sessionstart(self) -> None:
        """Look at each call when it is traced."""
        from retrograd.native.call import Kernel  # only now: the settings above come first

        call = Kernel.__call__

        def noted(*args: Any, **attributes: Any) -> Any:
            self.called = True
            return call(*args, **attributes)

        Kernel.__call__ = noted  # type: ignore[method-assign]

    def pytest_runtest_logstart(self) -> None:
        """Begin anew with each test."""
        self.called = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> None:
        """Tell the process that collects the reports."""
        of_kernels = "variant" in getattr(item, "fixturenames", ())
        if self.called and not of_kernels and CALLED not in item.user_properties:
            item.user_properties.append(CALLED)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what the processes tell."""
        if CALLED in map(tuple, report.user_properties):
            self.callers.add(_place(report.location))

    def pytest_sessionfinish(self) -> None:
        """Write it down, once."""
        if hasattr(self.config, "cache") and not hasattr(self.config, "workerinput"):
            self.config.cache.set(CALLERS, sorted(self.callers))
