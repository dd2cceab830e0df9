"""Several series in one table, gaps in time, and columns known in advance."""

import json
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.dataset import from_frame
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.windows.levels import at_level


def days(count, start=date(2024, 1, 1), step=1):
    return [str(start + timedelta(step * i)) for i in range(count)]


def dataset(frame, history=4, horizon=2, missing="mean", scale="none", **windows):
    windows = {"history": history, "horizon": horizon, **windows}
    return from_frame(frame, settings=DataSettings(target="v", windows=windows, missing=missing, scale=scale))


def panel(lengths=(30, 30, 30), names="ABC"):
    """Return series that rise by 1, at levels of 0, 1000, 2000..."""
    rows = [(name, day, 1000.0 * i + k) for i, (name, n) in enumerate(zip(names, lengths, strict=True))
            for k, day in enumerate(days(n))]  # fmt: skip
    return pl.DataFrame(rows, schema=["item", "day", "v"], orient="row")


def joined(data, part="train"):
    """Return history and target of each window, end to end."""
    columns = getattr(data, part)
    return np.concatenate([columns["x"][..., data.preprocessing.inputs.table.features.index("v")], columns["y"]], 1)


@pytest.mark.parametrize("order", ["series after series", "moment after moment", "shuffled"])
def test_no_window_crosses_from_one_series_to_another(order):
    frame = panel()
    frame = frame.sort("day") if order == "moment after moment" else frame
    frame = frame.sample(fraction=1.0, shuffle=True, seed=0) if order == "shuffled" else frame
    data = dataset(frame, time="day", series="item")
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(np.diff(joined(data, part), axis=1), 1)
    assert any("3 series separated by item" in note and "75 windows" in note for note in data.notes)
    is_reported = any("was not" in note or "is not in order of time" in note for note in data.notes)
    assert is_reported == (order == "shuffled")


def test_each_series_is_split_by_its_own_time():
    data = dataset(panel((60, 30, 20)), time="day", series="item")
    for part, windows in (("train", (42, 21, 14)), ("valid", (9, 4, 3)), ("test", (9, 5, 3))):
        item = getattr(data, part)["x"][:, 0, :3].argmax(1)
        lead = 4 if part == "train" else 0
        np.testing.assert_allclose(np.bincount(item), np.array(windows) - lead - 1, atol=1)


def test_each_series_is_scaled_by_its_own_level_and_scaled_back_to_it():
    frame = panel().with_columns(v=pl.when(pl.col("item") == "B").then(pl.col("v") * 1000).otherwise(pl.col("v")))
    data = dataset(frame, time="day", series="item", scale=None)
    assert abs(joined(data)).max() < 2.5  # also for B, with its millions
    restored = at_level(data.preprocessing.target.scaling.undo(data.train["y"]), data.train)
    expected = set(frame["v"].to_list())
    assert all(min(abs(value - each) for each in expected) < 1e-3 * abs(value) + 1e-3 for value in restored.ravel())
    plain = from_frame(frame, settings=DataSettings(
        target="v", windows={"history": 4, "time": "day", "series": "item"}, scale_target="none"))  # fmt: skip
    assert "series_level" not in plain.train


def test_each_series_is_forecast_at_its_end_and_unknown_series_are_scaled_by_their_own_rows():
    data = dataset(panel(), time="day", series="item", scale=None)
    new = panel((12, 12, 3), "CZQ")
    report = Report()
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert again == data.preprocessing
    rows = again.rows_of(new)
    columns = again.transform(rows, with_target=False, report=report)
    labels = {label.name: label.to_list() for label in again.inputs.labels(rows)}
    assert labels["item"][-2:] == ["C", "Z"]
    assert labels["after_day"][-2:] == ["2024-01-12"] * 2
    np.testing.assert_allclose(columns["series_level"][-2:, 0], [2010, 1005.5])  # its training part's; these rows'
    sentences = " ".join(report.sentences())
    assert "not in the training data, so scaled by their own rows: Z" in sentences
    assert "1 series shorter than the 4 rows that a window needs: Q" in sentences
    with pytest.raises(DataError, match="no column 'item'"):
        again.transform(new.drop("item"), with_target=False)


def test_a_series_without_a_single_window_is_left_out_and_named():
    data = dataset(panel((30, 30, 5)), time="day", series="item")
    assert any("shorter than the 6 rows that a window needs: C" in note for note in data.notes)
    with pytest.raises(DataError, match="none of 3 series has the 6 rows that a window needs"):
        dataset(panel((5, 5, 5)), time="day", series="item")


@pytest.mark.parametrize("windows", [{}, {"time": "day"}])
def test_unnamed_series_are_recognised_where_moments_repeat(windows):
    data = dataset(panel(), **windows)
    np.testing.assert_array_equal(np.diff(joined(data), axis=1), 1)
    assert any("`windows: {series: item}`" in note for note in data.notes)
    assert data.preprocessing.inputs.time == "day"


def test_two_columns_name_a_series_together():
    rows = [(day, s, i, 100.0 * s + 10 * i + k) for k, day in enumerate(days(30)) for s in (1, 2) for i in (1, 2, 3)]
    frame = pl.DataFrame(rows, schema=["day", "store", "item", "v"], orient="row")
    for windows in ({}, {"time": "day", "series": ["store", "item"]}):
        data = dataset(frame, **windows)
        assert data.preprocessing.inputs.series == ("store", "item")
        np.testing.assert_array_equal(np.diff(joined(data), axis=1), 1)
    with pytest.raises(DataError, match=r"same time .* of series '1' .*`windows: {series: \[store, item\]}`"):
        dataset(frame, time="day", series="store")


def test_items_in_blocks_are_series_even_without_time_unless_the_settings_say_one():
    frame = panel().drop("day")
    np.testing.assert_array_equal(np.diff(joined(dataset(frame)), axis=1), 1)
    assert dataset(frame, series=[]).preprocessing.inputs.series == ()
    one = pl.DataFrame({"year": [2000 + k // 12 for k in range(60)], "season": ["w", "s"] * 30, "v": np.arange(60.0)})
    assert dataset(one).preprocessing.inputs.series == ()


def test_items_that_take_turns_are_series_where_a_column_is_named_so():
    rows = [(1_700_000_000 + 60 * k, i, 100.0 * i + k) for k in range(30) for i in (1, 2)]
    frame = pl.DataFrame(rows, schema=["ts", "sensor_id", "v"], orient="row")
    for each in (frame, frame.drop("ts")):
        data = dataset(each)
        assert data.preprocessing.inputs.series == ("sensor_id",)
        np.testing.assert_array_equal(np.diff(joined(data), axis=1), 1)
        assert any("`windows: {series: sensor_id}`" in note for note in data.notes)


def test_a_file_with_the_newest_row_first_is_reversed_and_reported():
    data = dataset(pl.DataFrame({"day": days(40)[::-1], "v": np.arange(40.0)[::-1]}))
    np.testing.assert_array_equal(np.diff(joined(data), axis=1), 1)
    assert any("rows are sorted by it (`windows: {time: day}`)" in note for note in data.notes)


def test_the_same_moment_twice_is_reported_by_series():
    twice = pl.concat([panel(), panel()[40:41]])
    with pytest.raises(
        DataError, match=r"row 91, column 'day': the same time as another row of series 'B'; .*sum or av"
    ):
        dataset(twice, time="day", series="item")


HOURS = [datetime(2024, 1, 1) + timedelta(hours=k) for k in range(120)]
MONTHS = [f"{1990 + k // 12}-{k % 12 + 1:02}-01" for k in range(60)]
WORKDAYS = [day for day in days(84) if date.fromisoformat(day).weekday() < 5]


@pytest.mark.parametrize("moments", [HOURS, MONTHS, WORKDAYS, days(40, step=7), [3 * k for k in range(40)]])
def test_hours_months_weeks_and_working_days_are_regular_and_a_gap_in_them_is_reported_and_filled(moments):
    frame = pl.DataFrame({"t": moments, "v": np.arange(len(moments)) * 2.0})
    assert not any("irregular" in note for note in dataset(frame, time="t").notes)
    gap = frame[[*range(10), *range(12, len(moments))]]
    note = next(note for note in dataset(gap, time="t").notes if "irregular" in note)
    assert f"1 of {len(gap) - 1} steps" in note
    assert "before row 11; `missing: interpolate`" in note
    data = dataset(gap, time="t", missing="interpolate")
    np.testing.assert_allclose(np.diff(joined(data), axis=1), np.diff(frame["v"][:2])[0])
    assert len(data.train["x"]) == len(dataset(frame, time="t").train["x"])
    times = data.preprocessing.inputs.rows_of(gap).frame["t"]
    assert times.to_list() == [type(times[0])(moment) if isinstance(moment, int) else moment for moment in moments]


def test_missing_cells_are_interpolated_within_a_series_and_never_beyond_its_end():
    frame = panel((30, 30), "AB").with_columns(
        v=pl.when(pl.int_range(60).is_in([5, 6, 29, 31])).then(None).otherwise(pl.col("v"))
    )
    with pytest.raises(DataError, match=r"expected a finite number.*`missing: interpolate` to fill"):
        dataset(frame, time="day", series="item")
    data = dataset(frame, time="day", series="item", missing="interpolate")
    for part in ("train", "valid", "test"):
        np.testing.assert_allclose(np.diff(joined(data, part), axis=1), 1)
    assert joined(data, "test").max() == 1029
    assert any("1 row at the end without a target" in note for note in data.notes)
    with pytest.raises(ConfigError, match="only rows in time have neighbours"):
        from_frame(frame, settings=DataSettings(target="v", missing="interpolate"))


def test_columns_known_in_advance_are_inputs_and_predict_receives_their_future():
    frame = pl.DataFrame({"day": days(60), "price": np.arange(60.0), "season": ["low", "high"] * 30,
                          "v": np.arange(60.0) * 2})  # fmt: skip
    data = dataset(frame, time="day", known=["price", "season"])
    assert data.train["known"].shape[1:] == (2, 3)
    np.testing.assert_array_equal(data.train["known"][..., 0] * 2, data.train["y"])
    future = frame[-8:].with_columns(v=pl.when(pl.int_range(8) < 6).then(pl.col("v")))
    columns = data.preprocessing.transform(future, with_target=False)
    np.testing.assert_array_equal(columns["known"][-1, :, 0], [58, 59])
    np.testing.assert_array_equal(columns["x"][-1, :, 3], [108, 110, 112, 114])
    with pytest.raises(DataError, match="add the 2 rows to forecast, with price, season"):
        data.preprocessing.transform(frame[-4:], with_target=False)
    with pytest.raises(ConfigError, match="a target is not known in advance"):
        dataset(frame, time="day", known=["v"])


@pytest.mark.parametrize(
    ("frame", "is_hinted"),
    [
        (pl.DataFrame({"day": days(40), "v": np.arange(40) ** 2.0}), True),
        (pl.DataFrame({"day": days(40)[::-1], "v": np.arange(40) ** 2.0}), True),
        (panel().sample(fraction=1.0, shuffle=True, seed=0), True),
        (pl.DataFrame({"day": [days(9000)[k**3 % 8999] for k in range(80)], "v": np.arange(80) ** 2.0}), False),
        (pl.DataFrame({"day": [days(30)[k * 17 % 30] for k in range(80)], "v": np.arange(80) ** 2.0}), False),
        (pl.DataFrame({"day": [f"{k // 4:02}:{k % 4 * 15:02}" for k in range(80)], "v": np.arange(80) ** 2.0}), False),
    ],
)
def test_a_dated_table_points_to_windows_and_to_a_split_by_time(frame, is_hinted):
    notes = from_frame(frame, settings=DataSettings(target="v")).notes
    hints = [note for note in notes if "orders the rows in time" in note]
    assert bool(hints) == is_hinted
    if hints:
        assert "`split: {method: time, column: day}`" in hints[0]
        assert "`windows: {history: ..., time: day" in hints[0]
        chosen = DataSettings(target="v", split={"method": "random"})
        assert not any("orders the rows" in note for note in from_frame(frame, settings=chosen).notes)
