"""The kernels' tests need kernels; where none can be built they are skipped with the reason."""

import os

import pytest

from retrograd.native.library import loaded

CASES = int(os.environ.get("RETROGRAD_NATIVE_CASES", "50"))  # random shapes and options for each kernel


@pytest.fixture(scope="session")
def variant():
    if not loaded().variant:
        pytest.skip(str(loaded()))
    return loaded().variant


def pytest_generate_tests(metafunc):
    """Cut the cases in portions, so that a failure names few of them and workers share them."""
    if "cases" in metafunc.fixturenames:
        portions = max(2, CASES // 25)
        parts = [range(i, CASES, portions) for i in range(portions)]
        marked = [pytest.param(part, id=f"from{part.start}", marks=pytest.mark.random_shapes) for part in parts]
        metafunc.parametrize("cases", marked)
