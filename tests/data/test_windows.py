"""Windows over a table in order of time: histories, futures, and no row in two parts."""

import json

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.dataset import from_frame
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.data.windows.settings import WindowSettings

ROWS = 40
FRAME = pl.DataFrame({"t": np.arange(ROWS), "a": np.arange(ROWS) * 2.0, "b": np.arange(ROWS) ** 2.0})


def dataset(frame=FRAME, windows=None, **settings):
    windows = {"history": 3, "horizon": 2, "time": "t", **(windows or {})}
    return from_frame(frame, settings=DataSettings(windows=windows, **{"target": "a", "scale": "none", **settings}))


def test_a_window_is_the_history_and_the_rows_after_it():
    data = dataset(split={"method": "none"})
    assert data.train["x"].shape == (ROWS - 4, 3, 2)
    np.testing.assert_array_equal(data.train["x"][5, :, 0], [10, 12, 14])
    np.testing.assert_array_equal(data.train["y"][5], [16, 18])
    assert data.preprocessing.target.names == ("a+1", "a+2")
    assert data.sizes["targets"] == 2


def test_rows_are_sorted_by_time_whatever_their_order():
    shuffled = FRAME[np.random.default_rng(0).permutation(ROWS)]
    np.testing.assert_array_equal(dataset(shuffled).train["x"], dataset().train["x"])


def test_targets_are_in_one_part_only_and_histories_reach_back_before_it():
    data = dataset()
    parts = [data.train, data.valid, data.test]
    first, last = [part["y"].min() for part in parts], [part["y"].max() for part in parts]
    assert last[0] < first[1]
    assert last[1] < first[2]
    assert all(part["x"][..., 0].max(axis=1).tolist() == (part["y"][:, 0] - 2).tolist() for part in parts)
    assert [last[0] + 2, last[1] + 2] == first[1:]  # where parts meet, only the windows across the border are lost


def test_windows_are_one_stride_apart_and_the_last_one_is_always_included():
    data = dataset(windows={"stride": 4}, split={"method": "none"})
    np.testing.assert_array_equal(np.diff(data.train["x"][:, 0, 0]), 8)
    assert data.train["y"][-1, -1] == 2 * (ROWS - 1)
    ends = data.preprocessing.transform(FRAME, with_target=False)["x"][:, -1, 0]
    assert ends[-1] == 2 * (ROWS - 1)  # nothing after it is known


def test_features_choose_the_inputs_and_categories_may_be_embedded():
    frame = FRAME.with_columns(pl.Series("kind", ["x", "y"] * (ROWS // 2)))
    data = dataset(frame, features=("b", "kind"), categories="embed", split={"method": "none"})
    assert data.train["x"].shape[-1] == 1
    assert data.train["kind"].shape == (ROWS - 4, 3)
    assert data.sizes["kind"] == 3


def test_a_series_is_scaled_by_training_rows_alike_at_each_step():
    data = dataset(scale="standard")
    scaling = data.preprocessing.target.scaling
    assert scaling.offset[0] == scaling.offset[1]
    end = len(data.train["x"]) + 4
    np.testing.assert_allclose(scaling.offset[0], FRAME["a"][:end].mean())
    restored = scaling.undo(data.train["y"])
    np.testing.assert_allclose(restored[0], [6, 8], rtol=1e-6)


def test_preprocessing_of_windows_survives_json():
    data = dataset(scale="standard")
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert again == data.preprocessing


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME[:4], "4 rows are fewer than the 5 that a window needs"),
        (FRAME.with_columns(t=pl.Series([0, 0, *range(2, ROWS)])), "row 2, column 't': the same time"),
        (FRAME.with_columns(t=pl.Series([None, *range(1, ROWS)])), "row 1, column 't': expected a number or a date"),
        (FRAME.with_columns(a=pl.Series([None, *map(float, range(1, ROWS))])), "expected a finite number, found nothing"),
        (FRAME.with_columns(a=pl.lit("x")), "the target 'a' does not contain numbers"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_a_series_is_refused(frame, message):
    with pytest.raises(DataError, match=message):
        dataset(frame)


def test_a_split_that_would_cut_through_windows_is_refused():
    with pytest.raises(ConfigError, match="split by their own time"):
        dataset(split={"method": "random"})


def test_a_file_to_predict_from_may_lack_the_target_if_it_is_not_a_feature():
    data = dataset(features=("b",), split={"method": "none"})
    columns = data.preprocessing.transform(FRAME.select("t", "b")[-3:], with_target=False)
    assert columns["x"].shape == (1, 3, 1)


@pytest.mark.parametrize("settings", [{"history": 10**9}, {"history": 3, "horizon": 10**9}])
def test_windows_longer_than_the_table_are_refused_before_anything_is_allocated(settings):
    with pytest.raises(DataError, match="rows are fewer than the 100000000"):
        from_frame(FRAME, settings=DataSettings(windows=WindowSettings(**settings), target="a"))


def test_the_time_format_in_the_settings_is_stored_for_prediction():
    months = [f"{2001 + i}-{i + 2:02d}" for i in range(10)]  # each could be a season
    frame = pl.DataFrame({"month": months, "y": [float(i) for i in range(10)]})
    settings = DataSettings(windows=WindowSettings(history=2, time="month"), kinds={"month": "%Y-%m"}, split=SplitSettings(method="none"))  # fmt: skip
    data = from_frame(frame, "y", settings=settings)
    assert data.train["x"].shape == (8, 2, 1)
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert again.transform(frame[::-1][:2], with_target=False)["x"].shape == (1, 2, 1)
    assert again.rows_of(frame[::-1][:2]).frame["month"].to_list() == months[-2:]
