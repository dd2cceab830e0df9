from collections import Counter

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import ConfigError, DataError, DataTypeError, RetrogradWarning
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.dataset import from_frame, load
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings

ALL = SplitSettings(method="none")


@pytest.fixture
def load_csv(tmp_path):
    def write_and_load(content, split=ALL, **settings):
        (tmp_path / "d.csv").write_text(content, encoding="utf-8")
        return load(DataSettings(path="d.csv", split=split, **settings), tmp_path)

    return write_and_load


def csv(rows, header="x,y"):
    return header + "\n" + "".join(f"{row}\n" for row in rows)


# ------------------------------------------------------------------------------------------------------ cells and gaps


def test_cells_of_another_kind_are_reported_by_line_and_column_and_counted(load_csv):
    cells = ["abc", "NaN", "inf", "1e400", "u", "v", "w", *["1.5"] * 200]
    with pytest.raises(DataError) as caught:
        load_csv(csv(f"{cell},{i % 2}" for i, cell in enumerate(cells)))
    lines = str(caught.value).splitlines()
    assert "d.csv:2: line 2, column 'x': expected a finite number, found 'abc'" in lines[0]
    assert "line 4, column 'x': expected a finite number, found 'inf'" in lines[1]
    assert len(lines) == 6
    assert "and 1 more such cells" in lines[5]
    assert "invalid: missing" in lines[5]
    assert "kinds: {x: category}" in lines[5]


def test_invalid_cells_can_be_missing_or_their_rows_dropped(load_csv):
    content = csv([*(f"{i},{i % 2}" for i in range(30)), "abc,1"])
    filled = load_csv(content, invalid="missing")
    assert filled.rows == {"train": 31}
    assert "column 'x': 1 missing value filled" in filled.notes
    assert load_csv(content, invalid="missing", missing="drop").rows == {"train": 30}


def test_missing_values_are_filled_flagged_and_counted(load_csv):
    data = load_csv(csv(["1,0", ",1", "NaN,0", "3,1"]))
    assert data.train["x"].tolist() == [[-1, 0], [0, 1], [0, 1], [1, 0]]
    assert "column 'x': 2 missing values filled" in data.notes


def test_missing_error_names_the_lines(load_csv):
    with pytest.raises(DataError, match=r"line 3, column 'x': expected a value, found nothing.*`missing: mean`"):
        load_csv(csv(["1,0", ",1"]), missing="error")


def test_missing_drop_reports_how_many_rows_were_dropped(load_csv):
    data = load_csv(csv(["1,0", ",1", "3,", "4,1"]), missing="drop")
    assert data.rows == {"train": 2}
    assert "1 of 4 rows are skipped: they have no value in the target y" in data.notes
    assert "1 of 3 rows are skipped: they lack values" in data.notes


def test_the_words_for_missing_values_can_be_set(load_csv):
    data = load_csv(csv(["1,none", "2,some"]), missing_values=("", "-"))
    assert data.classes == ("none", "some")


def test_only_rows_without_a_label_are_left_out(load_csv):
    data = load_csv(csv(["1,a", ",a", "3,", "4,b", "5,b"]))
    assert sum(data.rows.values()) == 4
    assert "1 of 5 rows are skipped: they have no value in the target y" in data.notes
    with pytest.raises(DataError, match="the target 'y' is empty"):
        load_csv(csv(["1,", "2,"]))


# -------------------------------------------------------------------------------------------------------------- columns


def test_a_target_that_does_not_exist_lists_the_columns(load_csv):
    with pytest.raises(DataError, match="no column 'label'; have: x, y"):
        load_csv(csv(["1,0"]), target="label")


@pytest.mark.parametrize(
    "role", [{"features": ("z",)}, {"exclude": ("z",)}, {"weight": "z"}, {"kinds": {"z": "number"}}]
)
def test_any_named_column_must_exist(load_csv, role):
    with pytest.raises(DataError, match="no column 'z'"):
        load_csv(csv(["1,0", "2,1"]), **role)


def test_features_and_exclude_choose_the_inputs(load_csv):
    content = csv(["1,2,3,0", "4,5,6,1"], "a,b,c,y")
    assert load_csv(content).features == ("a", "b", "c")
    assert load_csv(content, exclude=("b",)).features == ("a", "c")
    assert load_csv(content, features=("c", "a")).features == ("c", "a")


def test_the_assumed_target_has_a_usual_name_or_is_the_last_column_and_is_reported(load_csv):
    assert "of label (assumed to be the target" in load_csv(csv(["0,1", "1,2"], "label,x")).notes[0]
    assert "of b (assumed to be the target" in load_csv(csv(["0,1", "1,2"], "a,b")).notes[0]


def test_without_any_feature_there_is_nothing_to_learn_from(load_csv):
    with pytest.raises(DataError, match="no feature columns"):
        load_csv(csv(["0", "1"], "y"))


def test_chinese_names_and_labels_are_accepted(load_csv):
    data = load_csv(csv(["北京,是", "上海,否"], "城市,标签"), target="标签")
    assert data.classes == ("否", "是")
    assert data.features == ("城市=上海", "城市=北京")


def test_weights_are_a_batch_column_and_not_a_feature(load_csv):
    data = load_csv(csv(["1,0,2", "2,1,0.5"], "x,y,w"), target="y", weight="w")
    assert data.train["sample_weight"].tolist() == [2, 0.5]
    assert data.features == ("x",)
    with pytest.raises(DataError, match="negative weight -1"):
        load_csv(csv(["1,0,-1", "2,1,0.5"], "x,y,w"), target="y", weight="w")


def test_an_embedded_column_may_not_take_the_name_of_a_batch_column(load_csv):
    with pytest.raises(DataError, match="'x' has the same name as another batch column"):
        load_csv(csv(["a,0", "b,1"]), categories="embed")


def test_embedded_columns_alone_leave_no_x(load_csv):
    data = load_csv(csv(["a,0", "b,1"], "city,y"), categories="embed")
    assert set(data.train) == {"city", "y"}
    assert data.sizes == {"city": 3, "classes": 1}


# ----------------------------------------------------------------------------------------------------------------- task


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["0", "1"] * 5, "binary", (0, 1)),
        (["yes", "no"] * 5, "binary", ("no", "yes")),
        (["a", "b", "c"] * 5, "multiclass", ("a", "b", "c")),
        (["10", "9", "8"] * 5, "multiclass", (8, 9, 10)),
        ([str(2**60), str(2**60 + 1)] * 5, "binary", (2**60, 2**60 + 1)),
        (["01", "1.0", "2"] * 5, "binary", (1, 2)),
        ([str(i) for i in range(30)], "regression", None),
        (["1", "2", "3"], "regression", None),
        (["0.5", "1.5"] * 5, "regression", None),
    ],
)
def test_the_task_follows_the_target(load_csv, cells, task, classes):
    data = load_csv(csv(f"{i * i},{cell}" for i, cell in enumerate(cells)))
    assert data.task == task
    assert data.classes == classes


def test_a_chosen_task_takes_precedence(load_csv):
    rows = [f"{i * i},{i % 2}" for i in range(10)]
    assert load_csv(csv(rows), task="regression").sizes["targets"] == 1
    assert load_csv(csv(rows), task="multiclass").sizes["classes"] == 2
    with pytest.raises(DataError, match="3 classes, not two"):
        load_csv(csv(["1,a", "2,b", "3,c"]), task="binary")
    with pytest.raises(DataError, match="regression needs target columns of numbers"):
        load_csv(csv(["1,a", "2,b", "3,c"]), task="regression")
    with pytest.raises(DataTypeError, match="fractions"):
        load_csv(csv(["1,0.5", "2,1.5"]), task="binary")


def test_one_class_is_too_few(load_csv):
    with pytest.raises(DataError, match="column 'y' needs at least 2 classes"):
        load_csv(csv(["1,a", "2,a"]))


def test_an_empty_target_is_refused(load_csv):
    with pytest.raises(DataError, match=r"the target 'y' is empty.*`target:`"):
        load_csv(csv(["1,", "2,"]))


def test_a_file_without_a_header_is_reported(load_csv):
    assert any("has no header" in note for note in load_csv("1,0\n2,1\n").notes)


def test_several_targets_are_regression(load_csv):
    data = load_csv(csv(["1,2,3", "4,5,9"], "x,u,v"), target=("u", "v"))
    assert data.train["y"].tolist() == [[-1, -1], [1, 1]]
    assert data.sizes == {"features": 1, "targets": 2}


def test_unsupervised_tables_use_every_column(load_csv):
    data = load_csv(csv(["1,2", "3,5"]), task="unsupervised")
    assert data.features == ("x", "y")
    assert set(data.train) == {"x"}


# ---------------------------------------------------------------------------------------------------------------- parts


def test_everything_is_fitted_on_the_training_part_alone(load_csv):
    rows = [f"{i % 7},{'ab'[i % 2]},{i / 2}" for i in range(80)] + ["1000000,rare,5000"] * 20
    data = load_csv(csv(rows, "x,w,y"), split=SplitSettings(method="time"))
    assert data.rows == {"train": 70, "valid": 15, "test": 15}
    columns = data.preprocessing.inputs.columns
    x = np.array([i % 7 for i in range(70)])
    assert columns[0].scaling.offset[0] == pytest.approx(x.mean())
    assert columns[0].scaling.scale[0] == pytest.approx(x.std())
    assert columns[1].words == ("a", "b")
    assert data.preprocessing.target.scaling.offset[0] == pytest.approx(np.arange(70).mean() / 2)


def test_classes_are_stratified_by_default(load_csv):
    data = load_csv(csv(f"{i},{'rare' if i % 10 == 0 else 'common'}" for i in range(200)), split=SplitSettings())
    assert data.rows == {"train": 140, "valid": 30, "test": 30}
    for part, expected in ((data.train, 14), (data.valid, 3), (data.test, 3)):
        assert part["y"].sum() == expected


def test_a_class_with_a_single_row_is_reported(load_csv):
    with pytest.raises(DataError, match=r"d\.csv: class 'b' has only 1 row"):
        load_csv(csv([*(f"{i},a" for i in range(20)), "1,b"]), split=SplitSettings())


def test_regression_cannot_be_stratified(load_csv):
    with pytest.raises(DataError, match="a stratified split needs classes"):
        load_csv(csv(f"{i},{i / 3}" for i in range(20)), split=SplitSettings(method="stratified"))


def test_few_rows_are_all_trained_on_and_this_is_reported(load_csv):
    data = load_csv(csv(["0,0,0", "0,1,1", "1,0,1", "1,1,1"], "a,b,y"), split=SplitSettings())
    assert data.rows == {"train": 4}
    assert "training uses all 4 rows of d: no validation part" in data.notes


def test_a_split_by_group_does_not_leak_and_its_column_is_not_a_feature(load_csv):
    rows = [f"{i},g{i // 5},{i % 2}" for i in range(100)]
    data = load_csv(csv(rows, "x,g,y"), split=SplitSettings(method="group", column="g"), scale="none")
    assert data.features == ("x",)
    groups = [set(part["x"][:, 0] // 5) for part in (data.train, data.valid, data.test)]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert len(groups[1]) == len(groups[2]) == 3


@pytest.mark.parametrize("form", ["2020-01-{:02}", "{}"])
def test_a_split_by_time_follows_dates_and_numbers(load_csv, form):
    rows = [f"{i},{form.format(31 - i)},{i % 2}" for i in range(30)]
    data = load_csv(csv(rows, "x,t,y"), split=SplitSettings(method="time", column="t"), scale="none")
    assert data.train["x"].min() > data.valid["x"].max() > data.test["x"].max()


def test_a_split_by_time_needs_moments(load_csv):
    split = SplitSettings(method="time", column="t")
    with pytest.raises(DataError, match="neither numbers nor dates"):
        load_csv(csv([f"{i},{'ab'[i % 2]},{i % 3 % 2}" for i in range(30)], "x,t,y"), split=split)
    with pytest.raises(DataError, match="line 3, column 't': expected a value to split by"):
        load_csv(csv(["1,5,0", "2,,1", *["3,4,0"] * 20], "x,t,y"), split=split)


def test_a_part_with_its_own_file_is_not_split_off(load_csv, tmp_path):
    rows = [f"{i},{i % 2}" for i in range(100)]
    (tmp_path / "v.csv").write_text(csv(rows[:10]))
    both = load_csv(csv(rows), split=SplitSettings(), test_path="v.csv")
    assert both.rows == {"train": 85, "valid": 15, "test": 10}
    valid = load_csv(csv(rows), split=SplitSettings(), valid_path="v.csv")
    assert valid.rows == {"train": 100, "valid": 10}


def test_a_bad_cell_in_a_validation_file_names_that_file(load_csv, tmp_path):
    (tmp_path / "v.csv").write_text(csv(["1,0", "oops,1"]))
    with pytest.raises(DataError, match=r"v\.csv:3: line 3, column 'x': expected a finite number, found 'oops'"):
        load_csv(csv(f"{i},{i % 2}" for i in range(30)), valid_path="v.csv")


def test_the_same_seed_gives_the_same_parts(load_csv):
    content = csv(f"{i},{i % 2}" for i in range(100))
    first, again, other = (load_csv(content, split=SplitSettings(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.train["x"], again.train["x"])
    assert not np.array_equal(first.train["x"], other.train["x"])


# --------------------------------------------------------------------------------------------------------------- frames


def test_the_digest_follows_the_data(load_csv):
    first, again, other = (load_csv(csv([f"{i},0", "2,1"])) for i in (0, 0, 1))
    assert first.digest == again.digest != other.digest
    frame = pl.DataFrame({"x": [1.0, None], "y": ["a", "b"]})
    digests = {
        from_frame(f, "y").digest for f in (frame, frame.reverse(), frame.with_columns(x=pl.lit(0.5) + pl.col("x")))
    }
    assert len(digests) == 3


def test_a_lazy_frame_is_a_frame():
    assert from_frame(pl.LazyFrame({"x": [1.0, 2.0], "y": ["a", "b"]}), "y").classes == ("a", "b")


class PandasLike:
    """What of a pandas data frame is used: columns, iloc, to_numpy."""

    def __init__(self, columns):
        self.columns = list(columns)
        self._arrays = list(columns.values())
        self.iloc = self

    def __getitem__(self, place):
        self._array = self._arrays[place[1]]
        return self

    def to_numpy(self):
        return self._array


def test_a_pandas_frame_is_read_column_by_column():
    columns = {
        "x": np.array([1.0, np.nan, 3.0]),
        "word": np.array(["a", None, float("nan")], object),
        7: np.array([1, 2, 3]),
        "y": np.array([True, False, True]),
    }
    data = from_frame(PandasLike(columns), "y", settings=DataSettings(split=ALL, missing_values=()))
    assert data.classes == (False, True)
    assert data.features == ("x", "x_missing", "word=a", "word_missing", "7")


def test_a_real_pandas_frame_works():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "x": [1.5, None],
            "when": pandas.to_datetime(["2020-01-01", "2020-02-01"]),
            "c": pandas.Categorical(["a", "b"]),
            "n": pandas.array([1, None], dtype="Int64"),
            "y": ["u", "v"],
        }
    )
    data = from_frame(frame, "y", settings=DataSettings(split=ALL))
    assert data.classes == ("u", "v")
    assert {kind.kind for kind in data.preprocessing.inputs.columns} == {"number", "date", "category"}


def test_columns_of_mixed_types_are_refused():
    with pytest.raises(DataError, match="column 'x' contains values of several types"):
        from_frame(PandasLike({"x": np.array(["a", 1], object), "y": np.array([0, 1])}), "y")


def test_anything_but_a_frame_is_refused():
    with pytest.raises(DataError, match="expected a data frame, found list"):
        from_frame([1, 2], "y")


# -------------------------------------------------------------------------------------------------------------- settings


def test_settings_without_data_are_refused():
    with pytest.raises(ConfigError, match="name a built-in"):
        load(DataSettings())


def test_a_wrong_date_format_is_refused(load_csv):
    with pytest.raises(ConfigError, match="'%Q' is not a date format"):
        load_csv(csv(["1,0", "2,1"]), kinds={"x": "%Q"})


def test_a_kind_that_does_not_fit_names_the_cells(load_csv):
    with pytest.raises(DataError, match="line 2, column 'x': expected a date like 2024-12-31, found '1'"):
        load_csv(csv(["1,0", "2,1"]), kinds={"x": "%Y-%m-%d"})
    with pytest.raises(DataError, match="expected true or false, found '2'"):
        load_csv(csv(["1,0", "2,1"]), kinds={"x": "boolean"})
    with pytest.raises(DataError, match="expected a date"):
        load_csv(csv(["a,0", "b,1"]), kinds={"x": "date"})


def test_an_ambiguous_date_is_a_note(load_csv):
    data = load_csv(csv(["01/02/2020,0", "03/04/2020,1"]))
    assert any("could be %d/%m/%Y as well as %m/%d/%Y" in note for note in data.notes)


def test_a_guessed_encoding_reaches_the_user_once(tmp_path):
    (tmp_path / "d.csv").write_bytes(csv(["北京,1", "上海,0"], "城市,y").encode("gb18030"))
    with pytest.warns(RetrogradWarning, match="GB18030") as caught:
        load(DataSettings(path="d.csv"), tmp_path)
    assert len(caught) == 1


def test_each_column_of_a_table_is_parsed_once(monkeypatch):
    parsed = Counter()

    def parse(kind, series, read=ColumnKind.parse):
        parsed[series.name] += 1
        return read(kind, series)

    monkeypatch.setattr(ColumnKind, "parse", parse)
    days = [f"{1 + i % 28:02d}/{1 + i % 12:02d}/2020 10:{i % 60:02d}" for i in range(60)]
    frame = pl.DataFrame({"day": days, "word": ["a", "b", None] * 20, "n": [str(i / 7) for i in range(60)], "y": [0.5, 1.5] * 30})  # fmt: skip
    for missing in ("mean", "drop"):
        parsed.clear()
        from_frame(frame, "y", settings=DataSettings(missing=missing))
        assert parsed == {"day": 1, "word": 1, "n": 1}
