from __future__ import annotations

import json
import math

import numpy as np
import pytest

from retrograd.base.errors import UsageError
from retrograd.record import strict_json
from retrograd.record.strict_json import parse_json, write_json


@pytest.mark.parametrize(
    "value", [{}, {"a": [1, 2.5, None, True, "é\n\udc80"]}, 0.1 + 0.2, 5e-324, {"deep": [[[{"x": []}]]]}]
)
def test_what_is_written_is_read_back_to_the_last_bit(value):
    assert parse_json(write_json(value)) == value


def test_values_without_a_json_form_become_the_nearest_plain_one():
    given = {
        "t": (1, 2),
        "n": np.float32(0.5),
        "i": np.int64(3),
        "bad": [math.nan, math.inf, -math.inf, np.float64("nan")],
    }
    assert json.loads(write_json(given)) == {"t": [1, 2], "n": 0.5, "i": 3, "bad": ["nan", "inf", "-inf", "nan"]}


def endless():
    value: list = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [{1: "a"}, {"a": object()}, {"a": np.zeros(3)}, {"a": {1, 2}}, endless()])
def test_what_could_not_be_read_back_is_refused(value):
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        write_json(value)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ("NaN", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("1e400", "too large"),
        ("9" * 5000, "number too long"),
        ("[" * 65 + "]" * 65, "nested too deep"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ("{", "line 1 column 2"),
        ("", "line 1 column 1"),
    ],
)
def test_json_that_breaks_a_rule_is_refused(text, rule):
    with pytest.raises(ValueError, match=rule):
        parse_json(text)


def test_a_text_of_too_many_values_is_refused_before_it_takes_memory():
    with pytest.raises(ValueError, match="more than 1,048,576 values"):
        parse_json("[" + "{}," * strict_json.MAX_VALUES + "{}]")


def test_duplicates_are_found_in_linear_time():
    pairs = ",".join(f'"{i}":0' for i in range(100_000))
    with pytest.raises(ValueError, match="duplicate key '99999'"):
        parse_json(f'{{{pairs},"99999":0}}')
