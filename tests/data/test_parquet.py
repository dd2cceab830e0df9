import polars as pl
import pytest

from retrograd.base.errors import DataError
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file


def test_columns_keep_their_types(tmp_path):
    frame = pl.DataFrame({"x": [1, 2], "y": ["a", "b"]})
    frame.write_parquet(tmp_path / "d.parquet")
    assert read_file(tmp_path / "d.parquet", DataSettings()).frame.equals(frame)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 200 + b"PAR1", b"x,y\n1,2\n"])
def test_a_damaged_file_is_reported(tmp_path, content):
    (tmp_path / "d.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"d\.parquet: cannot be read as Parquet"):
        read_file(tmp_path / "d.parquet", DataSettings())


def test_a_file_that_announces_more_than_the_limit_is_refused(tmp_path):
    pl.DataFrame({"x": [0] * 1_000_000}).write_parquet(tmp_path / "d.parquet")
    with pytest.raises(DataError, match="--max-bytes"):
        read_file(tmp_path / "d.parquet", DataSettings(max_bytes=1_000_000))


def test_nested_columns_are_refused(tmp_path):
    pl.DataFrame({"x": [[1], [2]]}).write_parquet(tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"column 'x' contains List.*exclude: \[x\]"):
        read_file(tmp_path / "d.parquet", DataSettings())
