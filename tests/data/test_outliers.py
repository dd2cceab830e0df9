"""Cells far from all others: detected at any scale and shift, not reported in merely skewed columns."""

import numpy as np
import polars as pl
import pytest

from retrograd.data.dataset import from_arrays, from_frame
from retrograd.data.settings import DataSettings
from retrograd.data.tables.inspect import inspect_columns
from retrograd.data.tables.outliers import outliers
from retrograd.data.tables.scaling import fit_scaling

ROWS = 400
USUAL = {
    "normal": lambda rng: rng.normal(size=ROWS),
    "incomes": lambda rng: rng.lognormal(10, 1.5, ROWS),
    "counts": lambda rng: rng.poisson(0.5, ROWS).astype(float),
    "visits": lambda rng: rng.negative_binomial(0.5, 0.05, ROWS).astype(float),
    "waiting times": lambda rng: rng.exponential(size=ROWS),
    "returns": lambda rng: rng.standard_t(3, ROWS),
    "a rare flag": lambda rng: (rng.random(ROWS) < 0.01).astype(float),
    "ratings": lambda rng: rng.integers(1, 6, ROWS).astype(float),
    "ages": lambda rng: rng.integers(18, 100, ROWS).astype(float),
    "mostly zero": lambda rng: (rng.random(ROWS) < 0.3) * rng.lognormal(7, 1, ROWS),
}


@pytest.mark.parametrize("name", USUAL)
def test_skewed_or_coarse_values_are_not_outliers(name):
    results = [outliers(USUAL[name](np.random.default_rng(seed))) for seed in range(20)]
    assert results.count(None) >= 19  # heavy tails may show a gap once in a while


@pytest.mark.parametrize("name", ["normal", "incomes", "waiting times", "ages", "ratings"])
@pytest.mark.parametrize(("cells", "count"), [([3e9], 1), ([3e9, -3e9], 2), ([1e12] * 4, 4)])
def test_extreme_cells_are_found_in_any_column(name, cells, count):
    values = np.concatenate([USUAL[name](np.random.default_rng(0)), cells])
    result = outliers(values)
    assert result.cells == count
    assert abs(result.farthest) == max(map(abs, cells))
    assert (result.low, result.high) == (values[:ROWS].min(), values[:ROWS].max())
    moved = outliers(7.0 - 1e-3 * values)
    assert moved.cells == count


@pytest.mark.parametrize(("code", "cells"), [(-999.0, 12), (-999.0, 100), (9999.0, 40), (-9999.0, 3)])
def test_a_number_that_means_missing_is_recognised_by_its_nines(code, cells):
    values = np.concatenate([np.random.default_rng(1).normal(50, 40, ROWS), np.full(cells, code)])
    result = outliers(values)
    assert (result.cells, result.farthest, result.is_code) == (cells, code, True)
    assert "code for a missing value" in result.words()


def test_extreme_cells_far_from_one_another_are_found():
    usual = np.random.default_rng(5).uniform(0, 3, ROWS)
    result = outliers(np.concatenate([usual, [103.0, 200.0, 290.0, 380.0]]))
    assert (result.cells, result.farthest) == (4, 380.0)


def test_binning_never_misses_what_sorting_finds(monkeypatch):
    def column(rng: np.random.Generator) -> np.ndarray:
        values = [*USUAL.values()][rng.integers(len(USUAL))](rng)[: rng.integers(20, ROWS)]
        wild = np.cumsum(rng.exponential(10.0 ** rng.uniform(-1, 3), rng.integers(0, 9))) + values.max()
        low = values.min() - 10.0 ** rng.uniform(-1, 3) - np.arange(rng.integers(0, 3))
        code = np.full(rng.integers(0, len(values) // 2), rng.choice([-999.0, 9999.0, -1.0, 99.0]))
        return np.concatenate([values, wild, low, code[: rng.choice([0, len(code)])]])

    columns = [column(np.random.default_rng(seed)) for seed in range(600)]
    looked_at = [outliers(values) for values in columns]
    monkeypatch.setattr("retrograd.data.tables.outliers._may_have_gap", lambda values: True)
    assert looked_at == [outliers(values) for values in columns]
    assert 100 < looked_at.count(None) < 500


def test_a_second_group_of_rows_is_not_an_outlier():
    assert outliers(np.concatenate([np.random.default_rng(2).normal(size=ROWS), np.full(60, 500.0)])) is None


def test_few_or_equal_values_are_not_judged():
    assert outliers(np.array([1.0, 2.0, 1e9])) is None
    assert outliers(np.full(50, 3.0)) is None


def test_a_table_with_extreme_cells_is_reported_with_the_setting_that_helps():
    rng = np.random.default_rng(3)
    size = np.concatenate([rng.normal(100, 20, 97), [99999.0] * 3])
    findings = inspect_columns({"size": pl.Series(size), "age": pl.Series(rng.integers(18, 90, 100))}, {})
    sentences = [str(each) for each in findings if each.name == "outliers"]
    assert len(sentences) == 1
    assert "column 'size': 3 cells are far from all others: 99999" in sentences[0]
    assert "missing_values" in sentences[0]


# ----------------------------------------------------------------------------------------------------- robust scaling


def test_robust_scaling_is_median_and_quartiles_and_a_normal_sample_gets_deviation_one():
    x = np.array([[1.0], [2.0], [3.0], [4.0], [1e9]])
    scaling = fit_scaling(x, "robust")
    assert scaling.offset == (3.0,)
    assert scaling.scale[0] == pytest.approx((4 - 2) / 1.3489795)
    sample = np.random.default_rng(0).normal(5, 3, (20_000, 1))
    assert fit_scaling(sample, "robust").scale[0] == pytest.approx(3, rel=0.03)


def test_a_column_that_is_mostly_one_number_is_scaled_by_its_deviation_and_a_constant_becomes_zero():
    x = np.stack([np.r_[np.zeros(9), 10.0], np.full(10, 7.0)], 1)
    scaling = fit_scaling(x, "robust")
    assert scaling.scale == (pytest.approx(3.0), 1.0)
    assert (scaling.apply(x)[:, 1] == 0).all()


def test_clipping_bounds_scaled_numbers_on_both_sides_and_leaves_the_rest():
    x = np.r_[np.linspace(-1, 1, 99), 99999.0][:, None]
    y = fit_scaling(x, "robust", clip=5.0).apply(x)
    assert y.max() == 5.0
    assert y[:99].tolist() == fit_scaling(x, "robust").apply(x)[:99].tolist()


def test_arrays_and_tables_are_scaled_and_clipped_alike_and_new_rows_with_them():
    rng = np.random.default_rng(4)
    x = rng.normal(20, 4, (120, 1)).astype(np.float32)
    x[7] = 99999.0
    y = rng.integers(0, 2, 120)
    settings = DataSettings(scale="robust", clip=5.0, task="binary")
    arrays, table = from_arrays(x, y, settings=settings), from_frame({"a": x[:, 0]}, y, settings=settings)
    for data in (arrays, table):
        assert max(float(np.abs(part["x"]).max()) for part in (data.train, data.valid, data.test)) <= 5.0
    fresh = np.array([[20.0], [-99999.0]], np.float32)
    assert arrays.preprocessing.transform(fresh, with_target=False)["x"][1, 0] == -5.0


def test_a_target_is_scaled_robustly_and_predictions_come_back_in_its_unit():
    y = np.r_[np.linspace(0, 10, 99), 1e6]
    x = np.arange(100.0)[:, None]
    data = from_arrays(x, y, settings=DataSettings(scale_target="robust", task="regression"))
    scaling = data.preprocessing.target.scaling
    assert 2 < scaling.scale[0] < 6
    assert scaling.undo(data.train["y"]).max() == pytest.approx(1e6) or 1e6 not in scaling.undo(data.train["y"])
