import polars as pl
import pytest

from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.data.table import Table
from retrograd.data.tables.inspect import group_notes

VISITS = [f"P{i // 3}" for i in range(60)]


def notes(name, cells, **split):
    return group_notes(Table(pl.DataFrame({name: cells})), (), DataSettings(split=SplitSettings(**split)))


@pytest.mark.parametrize("name", ["patient_id", "PatientID", "subject", "User ID", "customer"])
def test_repeated_groups_are_reported_with_the_split_that_keeps_them_together(name):
    (note,) = notes(name, VISITS)
    assert f"split: {{method: group, column: {name}}}" in note
    assert "20 values in 60 rows" in note


def test_other_columns_and_other_splits_are_silent():
    assert not notes("colour", VISITS)
    assert not notes("patient_id", [f"P{i}" for i in range(60)])  # one row each
    assert not notes("group", ["a", "b"] * 30)  # a category
    assert not notes("patient_id", VISITS, method="group", column="patient_id")
    assert not notes("patient_id", VISITS, method="time")
