"""Blocks read by polars yield the cells, lines and errors of the careful reader, whatever they contain."""

import gzip
import random

import numpy as np
import pytest

from retrograd.base.errors import DataError
from retrograd.data.read.delimited import plain_rows
from retrograd.data.read.layout import Layout
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file

CELLS = ["1", "2.5", "", " ", "a", " b ", '"c"', '"d,e"', '"f ""g"""', '"h\ni"', '""', "é", "-3e4", '"\n\n"']
ODD = ['5" j', ' "k"', '"l"m', '"n', '"o" ']


def cells_and_lines(path, **settings):
    try:
        table = read_file(path, DataSettings(header=True, comment="", skip_lines=0, separator=",", **settings))
    except DataError as error:
        return str(error)
    return table.frame.rows(), table.lines.tolist(), [note.replace("(' ", "('") for note in table.notes]


def text(rng, odd, blank):
    rows = ["x,y,z"]
    for _ in range(rng.randint(1, 60)):
        width = 3 if rng.random() > odd / 4 else rng.choice((2, 4))
        rows.append(",".join(rng.choice(ODD if rng.random() < odd else CELLS) for _ in range(width)))
        rows += [""] * (rng.random() < blank)
    return rng.choice(("\n", "\r\n")).join(rows) + rng.choice(("", "\n"))


@pytest.mark.parametrize("odd", [0.0, 0.02])
@pytest.mark.parametrize("blank", [0.0, 0.1])
def test_blocks_are_read_as_the_careful_reader_reads(tmp_path, monkeypatch, odd, blank):
    monkeypatch.setattr("retrograd.data.read.delimited.PEEK_LINES", 3)
    monkeypatch.setattr("retrograd.data.read.delimited.MOST_BYTES", 80)
    monkeypatch.setattr("retrograd.data.read.delimited.FEWEST_BYTES", 20)
    monkeypatch.setattr("retrograd.data.read.text.BLOCK", 50)
    path = tmp_path / "d.csv"
    for seed in range(60):
        path.write_bytes(text(random.Random(seed), odd, blank).encode())
        quick = cells_and_lines(path, invalid="missing" if seed % 2 else "error")
        with monkeypatch.context() as patch:
            patch.setattr(Layout, "is_plain", False)
            careful = cells_and_lines(path, invalid="missing" if seed % 2 else "error")
        assert quick == careful, path.read_bytes()


def test_most_rows_go_through_blocks(tmp_path, monkeypatch):
    seen = []

    def counted(*arguments):
        block = plain_rows(*arguments)
        seen.append(0 if block is None else len(block.rows.lines))
        return block

    monkeypatch.setattr("retrograd.data.read.delimited.plain_rows", counted)
    monkeypatch.setattr("retrograd.data.read.delimited.MOST_BYTES", 4000)
    path = tmp_path / "d.csv.gz"
    path.write_bytes(gzip.compress(b"x,y\n" + b"".join(b'%d,"%d"\n' % (i, i) for i in range(5000))))
    table = read_file(path, DataSettings())
    assert table.frame["x"].to_list() == table.frame["y"].to_list() == [str(i) for i in range(5000)]
    assert np.array_equal(table.lines, np.arange(2, 5002))
    assert sum(seen) > 4700


def test_a_separator_at_the_end_of_each_line_makes_no_column(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "1,2,\n" * 1000)
    table = read_file(path, DataSettings())
    assert table.names == ("x", "y")
    assert len(table) == 1000


def test_a_ragged_line_in_a_block_is_reported_by_its_number(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "1,2\n" * 500 + "1\n1,2,3\n" + "1,2\n" * 500)
    with pytest.raises(DataError, match=r"(?s)line 502 has 1 cells, the header has 2.*line 503 has 3 cells"):
        read_file(path, DataSettings())
