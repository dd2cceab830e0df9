"""An array of numbers is scaled at once, to the same bits as a table's columns; any other array is read as a table."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retrograd.base.errors import DataError
from retrograd.data.dataset import from_frame
from retrograd.data.settings import DataSettings
from retrograd.data.table import from_any_frame

RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.normal(size=60), 1e6 + 1e-3 * RNG.normal(size=60), RNG.integers(0, 9, 60), np.arange(60.0)])


def preprocessing(**given):
    frame = pl.DataFrame({f"c{i}": ROWS[:, i] for i in range(4)} | {"y": RNG.normal(size=60)})
    return from_frame(frame, "y", settings=DataSettings(**given)).preprocessing


def by_table(prep, x):
    """Return an array read as the columns of a table."""
    names = [column.name for column in prep.inputs.columns]
    frame = pl.DataFrame({name: x[:, i] for i, name in enumerate(names)})
    return prep.transform(from_any_frame(frame), with_target=False)["x"]


@pytest.mark.parametrize("scale", ["standard", "minmax", "robust", "none", {"divide": 7.0}])
@settings(max_examples=25, deadline=None)
@given(
    x=arrays(np.float64, (3, 4), elements=st.floats(-1e9, 1e9)), dtype=st.sampled_from(["f8", "f4", "f2", "i4", "u1"])
)
def test_the_bits_equal_those_of_a_table(scale, x, dtype):
    prep = preprocessing(scale=scale)
    with np.errstate(all="ignore"):
        x = np.nan_to_num(x.astype(dtype), posinf=1, neginf=1)
    at_once = prep.inputs.encode_array(x)
    assert at_once is not None
    assert at_once.dtype == np.float32
    assert np.array_equal(at_once.view(np.uint32), by_table(prep, x).view(np.uint32))


@pytest.mark.parametrize("x", [
    np.array([[1.0, np.nan, 2, 3]]), np.ones((2, 3)), np.ones(4), np.ones((1, 4), bool), np.array([["1"] * 4]),
    np.array([[1, 2, 3, 4]], object), np.ones((0, 4)), [[1.0] * 4], np.full((1, 4), 1e300),
])  # fmt: skip
def test_any_other_array_is_read_as_a_table(x):
    assert preprocessing().inputs.encode_array(x) is None


def test_words_dates_and_logarithms_are_not_scaled_at_once():
    assert preprocessing(kinds={"c2": "category"}).inputs.encode_array(ROWS) is None
    logged = preprocessing(scale="log")
    assert (logged.inputs.encode_array(ROWS) is None) == any(any(c.scaling.floor) for c in logged.inputs.columns)


def test_each_mismatch_has_its_error():
    prep = preprocessing()
    for x in (np.full((1, 4), 1e300), np.ones((2, 5))):
        with pytest.raises(DataError):
            prep.transform(x, with_target=False)
