import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.json_schema import json_schema
from retrograd.base.schema import dump, parse
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings


def test_a_name_alone_is_a_built_in_data_set():
    assert parse(DataSettings, "xor") == DataSettings(builtin="xor")


def test_settings_survive_a_round_trip_through_their_plain_form():
    settings = DataSettings(
        path="a.csv",
        target=("u", "v"),
        scale={"divide": 2.5},
        kinds={"x": "%d/%m/%Y"},
        split=SplitSettings(method="group", column="g"),
    )
    assert parse(DataSettings, dump(settings)) == settings
    assert parse(DataSettings, dump(settings, filled=False)) == settings


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ("xorr", "unknown built-in data set 'xorr'; did you mean 'xor'"),
        ("house.csv", r"write data: \{path: house\.csv\}"),
        ({"builtin": "xor", "path": "a.csv"}, "keep one of builtin and path"),
        ({"scale": "standart"}, r"expected none, standard, robust, log, minmax or \{divide: n\}"),
        ({"scale": {"divide": 0}}, "expected none"),
        ({"kinds": {"x": "numbr"}}, "unknown kind 'numbr'; did you mean 'number'"),
        ({"target": "y", "features": ["x", "y"]}, "features: 'y' is already listed under target"),
        ({"weight": "w", "features": ["x", "w"]}, "weight: 'w' is already listed under features"),
        ({"target": ["y", "y"]}, "names a column twice"),
        ({"builtin": "xor", "valid_path": "v.csv"}, "requires `path`"),
        ({"builtin": "xor", "samples": 7}, "only circles, moons, spirals, sine, .* are generated"),
        ({"split": {"valid": 0.5, "test": 0.5}}, "leave some for training"),
        ({"split": {"valid": 1.5}}, r"expected a number in \[0, 1\)"),
        ({"split": "group"}, "set the column of the groups"),
        ({"split": {"column": "g"}}, "not used by the method 'auto'"),
        ({"separator": ""}, "a single character"),
        ({"max_bytes": 0}, "positive integer"),
        ({"pth": "a.csv"}, "did you mean 'path'"),
    ],
)
def test_an_impossible_setting_is_reported(plain, words):
    with pytest.raises(ConfigError, match=words):
        parse(DataSettings, plain)


def test_the_json_schema_lists_the_built_ins():
    assert "xor" in json_schema(DataSettings)["properties"]["builtin"]["enum"]
