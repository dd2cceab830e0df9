import json
import math
from datetime import date

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import DataError, LabelError, ModelFileError, RetrogradWarning, ShapeError
from retrograd.data.dataset import from_arrays, from_frame, load
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings

ALL = SplitSettings(method="none")
FRAME = pl.DataFrame(
    {
        "大小": [1.0, 2.0, None, 5.0],
        "colour": ["red", "green", "red", None],
        "ok": [True, False, True, True],
        "day": [date(2020, 1, 1), date(2021, 6, 1), date(2022, 1, 1), date(2023, 1, 1)],
        "price": [10.0, 20.0, 30.0, 42.5],
    }
)


def fitted(frame=FRAME, target="price", **settings):
    return from_frame(frame, target, settings=DataSettings(split=ALL, **settings)).preprocessing


def features(preprocessing, frame, report=None):
    batch = preprocessing.transform(frame, with_target=False, report=report)
    return dict(zip(preprocessing.features, batch["x"].T.tolist(), strict=True))


def test_each_kind_becomes_its_features():
    columns = features(fitted(), FRAME)
    assert list(columns) == [
        *("大小", "大小_missing", "colour=green", "colour=red", "colour_missing", "ok"),
        *("day", "day_year_sin", "day_year_cos", "day_week_sin", "day_week_cos"),
    ]
    assert columns["大小_missing"] == [0, 0, 1, 0]
    assert columns["colour=red"] == [1, 0, 1, 0]
    assert columns["colour=green"] == [0, 1, 0, 0]
    assert columns["colour_missing"] == [0, 0, 0, 1]
    assert columns["ok"] == [1, 0, 1, 1]


def test_a_missing_number_becomes_the_mean_so_it_is_0_when_standardised():
    assert features(fitted(), FRAME)["大小"][2] == pytest.approx(0)
    assert features(fitted(missing="median", scale="none"), FRAME)["大小"] == [1, 2, 2, 5]


def test_standardised_numbers_follow_the_formula():
    column = features(fitted(), FRAME)["大小"]
    mean, deviation = 8 / 3, math.sqrt(((1 - 8 / 3) ** 2 + (2 - 8 / 3) ** 2 + (5 - 8 / 3) ** 2) / 3)
    assert column[0] == pytest.approx((1 - mean) / deviation)


def test_minmax_none_and_divide():
    assert features(fitted(scale="minmax"), FRAME)["大小"][:2] == [0, 0.25]
    assert features(fitted(scale="none"), FRAME)["大小"][:2] == [1, 2]
    assert features(fitted(scale={"divide": 4}), FRAME)["大小"][:2] == [0.25, 0.5]


def test_dates_are_days_and_cycles():
    columns = features(fitted(scale="none"), FRAME)
    assert columns["day"][0] == 18262  # days from 1970-01-01 to 2020-01-01
    assert columns["day_week_sin"][0] == pytest.approx(math.sin(2 * math.pi * 18262 / 7), abs=1e-6)


def test_times_of_day_become_a_cycle_as_well():
    frame = pl.DataFrame({"t": ["2020-01-01 06:00", "2020-01-01 18:00"], "y": [1.5, 2.5]})
    columns = features(fitted(frame, "y"), frame)
    assert columns["t_day_sin"] == pytest.approx([1, -1])


def test_an_embedded_category_is_a_batch_column_of_its_own():
    preprocessing = fitted(categories="embed")
    batch = preprocessing.transform(FRAME, with_target=True)
    assert batch["colour"].tolist() == [2, 1, 2, 0]
    assert batch["colour"].dtype == np.int32
    assert "colour=red" not in preprocessing.features
    assert preprocessing.inputs.embedded == {"colour": 3}


def test_unseen_words_and_missing_values_are_handled_and_counted():
    report = Report()
    frame = FRAME.with_columns(pl.Series("colour", ["blue", "red", None, "blue"]))
    columns = features(fitted(), frame, report)
    assert columns["colour=red"] == [0, 1, 0, 0]
    assert columns["colour=green"] == [0, 0, 0, 0]
    assert report.unseen == {"colour": 2}
    assert report.missing == {"大小": 1, "colour": 1}
    assert "column 'colour': 2 cells unseen in training, such as 'blue'" in report.sentences()
    assert "column '大小': 1 missing value filled" in report.sentences()


def test_rare_words_count_as_unseen():
    frame = pl.DataFrame({"x": ["a", "a", "b", "b", "c"], "y": [1.5, 2, 3, 4, 5]})
    assert fitted(frame, "y", max_categories=2).features == ("x=a", "x=b")


def test_the_order_of_the_columns_does_not_matter():
    preprocessing = fitted()
    reordered = FRAME.select("price", "day", "ok", "colour", "大小")
    first, second = (preprocessing.transform(frame, with_target=True) for frame in (FRAME, reordered))
    assert np.array_equal(first["x"], second["x"])


def test_missing_and_extra_columns_are_reported_but_the_target_may_be_absent():
    preprocessing = fitted()
    with pytest.raises(DataError, match="missing column 'ok'; have: "):
        preprocessing.transform(FRAME.drop("ok"), with_target=False)
    report = Report()
    wider = preprocessing.transform(FRAME.with_columns(new=1), with_target=False, report=report)
    assert report.sentences()[0] == "column 'new' ignored: training did not have it"
    assert np.array_equal(wider["x"], preprocessing.transform(FRAME, with_target=False)["x"])
    with pytest.raises(DataError, match="missing column 'price'"):
        preprocessing.transform(FRAME.drop("price"), with_target=True)
    assert preprocessing.transform(FRAME.drop("price"), with_target=False)["x"].shape == (4, 11)


def test_a_single_row_is_transformed_as_among_others():
    preprocessing = fitted()
    whole = preprocessing.transform(FRAME, with_target=False)["x"]
    rows = [preprocessing.transform(FRAME[i : i + 1], with_target=False)["x"] for i in range(4)]
    assert np.array_equal(np.vstack(rows), whole)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_file_of_any_format_gives_the_same_numbers_as_the_frame(tmp_path, suffix):
    frame = FRAME.with_columns(pl.Series("price", ["a", "b", "b", "a"]))
    path = tmp_path / f"d.{suffix}"
    write = {
        "csv": frame.write_csv,
        "tsv": lambda path: frame.write_csv(path, separator="\t"),
        "jsonl": lambda path: frame.with_columns(pl.col("day").cast(pl.String)).write_ndjson(path),
        "parquet": frame.write_parquet,
    }
    write[suffix](path)
    expected = from_frame(frame, "price", settings=DataSettings(split=ALL))
    data = load(DataSettings(path=str(path), target="price", split=ALL))
    assert data.classes == expected.classes
    assert data.features == expected.features
    assert np.array_equal(data.train["x"], expected.train["x"])
    assert np.array_equal(data.train["y"], expected.train["y"])


def test_a_round_trip_through_json_gives_the_same_bits():
    for categories in ("one_hot", "embed"):
        first = fitted(categories=categories)
        text = json.dumps(first.to_json(), allow_nan=False)
        second = Preprocessing.from_json(json.loads(text))
        assert second == first
        for name, column in first.transform(FRAME, with_target=True).items():
            assert np.array_equal(column, second.transform(FRAME, with_target=True)[name])


@pytest.mark.parametrize("y", [None, ["a", "b"], [True, False], [3, 2**60], [0.5, 0.7], [[1, 2], [3, 4.5]]])
def test_arrays_and_labels_of_any_type_survive_json(y):
    preprocessing = from_arrays([[1.5], [2.5]], y, settings=DataSettings(split=ALL, scale="standard")).preprocessing
    again = Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json())))
    assert again == preprocessing
    assert [type(label) for label in again.classes or ()] == [type(label) for label in preprocessing.classes or ()]


def damaged(path, value):
    plain = json.loads(json.dumps(fitted().to_json()))
    place = plain
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return plain


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        "xor",
        {},
        damaged(["inputs", "kind"], "pickle"),
        damaged(["inputs", "columns", 0, "kind"], "os.system"),
        damaged(["inputs", "columns", 0, "scaling", "scale"], [0.0]),
        damaged(["inputs", "columns", 0, "scaling", "scale"], [1.0, 2.0]),
        damaged(["inputs", "columns", 0, "scaling", "offset"], [math.nan]),
        damaged(["inputs", "columns", 0, "fill"], math.inf),
        damaged(["inputs", "columns", 0, "fill"], "1"),
        damaged(["inputs", "columns", 0, "extra"], 1),
        damaged(["inputs", "columns", 1, "words"], []),
        damaged(["inputs", "columns", 1, "words"], ["a", "a"]),
        damaged(["inputs", "columns", 3, "form"], "%Q%"),
        damaged(["target", "names"], ["a", "b"]),
        damaged(["target"], {"kind": "labels", "name": "y", "classes": ["a"], "binary": True}),
        damaged(["target"], {"kind": "labels", "name": "y", "classes": ["a", 1], "binary": True}),
        damaged(["target"], {"kind": "labels", "name": "y", "classes": ["a", "b", "c"], "binary": True}),
    ],
)
def test_damaged_json_is_refused(plain):
    with pytest.raises(ModelFileError):
        Preprocessing.from_json(plain)


def test_a_newer_format_is_reported():
    with pytest.raises(ModelFileError, match="format 7, but this version only reads up to 1"):
        Preprocessing.from_json(damaged(["format"], 7))


def test_binary_logits_become_labels_and_probabilities():
    preprocessing = fitted(FRAME.with_columns(pl.Series("price", ["no", "yes", "no", "yes"])))
    decoded = preprocessing.decode(np.array([[0.0], [math.log(3)], [-1000.0]]))
    assert decoded.labels.tolist() == ["no", "yes", "no"]
    assert np.allclose(decoded.probabilities, [[0.5, 0.5], [0.25, 0.75], [1, 0]])
    assert preprocessing.decode(np.array([0.2, 0.8]), link="identity").labels.tolist() == ["no", "yes"]


def test_multiclass_logits_become_labels_and_probabilities():
    preprocessing = fitted(FRAME.with_columns(pl.Series("price", ["a", "b", "c", "a"])))
    decoded = preprocessing.decode(np.log([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]]) + 1000)
    assert decoded.labels.tolist() == ["b", "a"]
    assert np.allclose(decoded.probabilities, [[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])


def test_outputs_become_values_in_their_own_unit():
    preprocessing = fitted()
    y = preprocessing.transform(FRAME, with_target=True)["y"]
    assert y.mean() == pytest.approx(0, abs=1e-6)
    assert np.allclose(preprocessing.decode(y).values[:, 0], FRAME["price"], rtol=1e-6)


def test_outputs_of_the_wrong_width_are_refused():
    with pytest.raises(ShapeError, match=r"expected outputs \(rows, 1\), got \(4, 2, 2\)"):
        fitted().decode(np.zeros((4, 2, 2)))


def test_several_outputs_of_one_target_are_all_in_its_unit():
    y = fitted().transform(FRAME, with_target=True)["y"]
    values = fitted().decode(np.hstack([y, y])).values  # for example two quantiles
    assert np.allclose(values, FRAME["price"].to_numpy()[:, None], rtol=1e-6)


def test_an_unseen_label_is_reported_with_its_line_and_the_known_labels(tmp_path):
    (tmp_path / "train.csv").write_text("x,y\n1.5,a\n2.5,b\n")
    (tmp_path / "valid.csv").write_text("x,y\n1,a\n2,z\n")
    with pytest.raises(LabelError, match=r"valid\.csv:3: line 3, column 'y': unseen label 'z'; known: a, b"):
        load(DataSettings(path="train.csv", valid_path="valid.csv"), tmp_path)


def test_a_constant_column_is_a_warning_and_gives_no_nan():
    frame = pl.DataFrame({"x": [1.0, 2.0], "c": [0.1, 0.1], "w": ["a", "a"], "y": [0.5, 0.7]})
    for scale in ("standard", "minmax"):
        with pytest.warns(RetrogradWarning, match="constant in the training part.*: c, w; see `exclude:`"):
            data = from_frame(frame, "y", settings=DataSettings(split=ALL, scale=scale))
        assert np.isfinite(data.train["x"]).all()
        assert data.train["x"][:, 1].tolist() == [0, 0]


def test_a_constant_target_gives_no_nan():
    data = from_frame(pl.DataFrame({"x": [1.0, 2.0], "y": [0.1, 0.1]}), "y", settings=DataSettings(split=ALL))
    assert data.train["y"].tolist() == [[0], [0]]
