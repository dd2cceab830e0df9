import gzip
import os
import subprocess
import sys
import tracemalloc

import pytest

from retrograd.base.errors import DataError
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, name="d.csv", **settings):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_file(path, DataSettings(**settings))

    return write_and_read


def test_cells_are_text_and_rows_know_their_lines(read):
    table = read('x,y\n1,"a\nb"\n\n2,c\n')
    assert table.frame.to_dict(as_series=False) == {"x": ["1", "2"], "y": ["a\nb", "c"]}
    assert table.lines.tolist() == [2, 5]


def test_byte_order_mark_crlf_and_trailing_blank_line_are_legal(read):
    table = read(b"\xef\xbb\xbfx,y\r\n1,2\r\n3,4\r\n\r\n")
    assert table.names == ("x", "y")
    assert table.frame.rows() == [("1", "2"), ("3", "4")]


def test_old_mac_line_ends_are_legal(read):
    assert read("x,y\r1,2\r3,4\r").frame.rows() == [("1", "2"), ("3", "4")]


def test_ragged_rows_are_reported_by_line_number_all_at_once(read):
    with pytest.raises(DataError, match=r"(?s)d\.csv:3: line 3 has 3 cells, the header has 2.*line 4 has 1 cells"):
        read("x,y\n1,2\n1,2,3\n1\n")


def test_many_ragged_rows_are_counted_after_the_fifth(read):
    with pytest.raises(DataError) as caught:
        read("x,y\n" + "1\n" * 100)
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert "and 95 more" in lines[-1]
    assert "separator:" in lines[-1]


@pytest.mark.parametrize("content", ["", "\n\n", "x,y\n", "x,y"])
def test_a_file_without_rows_is_refused(read, content):
    with pytest.raises(DataError, match=r"empty|no data rows"):
        read(content)


def test_a_nul_is_reported_by_line_number(read):
    with pytest.raises(DataError, match="NUL character on line 2"):
        read(b"x,y\n1,\x002\n")


def test_a_quote_that_is_never_closed_is_reported_by_the_line_where_it_opens(read):
    with pytest.raises(DataError, match="line 2: a quote opened here is never closed"):
        read('x,y\n1,"2\n3,4\n')


def test_a_long_quoted_field_is_reported_by_the_line_where_it_opens(read):
    with pytest.raises(DataError, match=r"line 2: a cell is too long.*quote"):
        read('x,y\n1,"2\n' + "3,4\n" * 100_000)


def test_a_field_of_8_mib_is_refused_without_keeping_it_in_memory(read, tmp_path):
    tracemalloc.start()
    with pytest.raises(DataError, match="line 2 is too long"):
        read(b"x,y\n1," + b"a" * 2**23 + b"\n")
    assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    tracemalloc.stop()


def test_text_after_a_closing_quote_is_reported(read):
    with pytest.raises(DataError, match="line 2: "):
        read('x,y\n"1"2,3\n')


def test_a_duplicate_column_is_refused(read):
    with pytest.raises(DataError, match="duplicate column 'x'"):
        read("x,y,x\n1,2,3\n")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_detected(read, mark):
    assert read(mark.join("xyz") + "\n" + mark.join("123") + "\n").names == ("x", "y", "z")


def test_a_chosen_separator_is_used(read):
    assert read("x:y\n1:2\n", separator=":").names == ("x", "y")


def test_a_tsv_may_contain_commas(read):
    assert read("x,1\ty\n1,x\t2\n", name="d.tsv").frame.rows() == [("1,x", "2")]


def test_a_file_of_numbers_has_no_header(read):
    assert read("1,2\n3,4\n").names == ("column_1", "column_2")


def test_a_first_line_of_mixed_cells_is_data_when_no_column_says_otherwise(read):
    assert len(read("39, State-gov\n50, Private\n")) == 2


def test_a_header_may_be_numbered_when_one_column_has_a_name(read):
    assert read("0,1,label\n3,4,5\n").names == ("0", "1", "label")


def test_the_header_setting_decides(read):
    assert read("1,2\n3,4\n", header=True).names == ("1", "2")
    assert read("a,b\nc,d\n", header=False).names == ("column_1", "column_2")


def test_a_column_without_a_name_gets_one(read):
    assert read(",x\n0,1\n").names == ("unnamed_1", "x")


def test_gzip_is_decompressed(read):
    assert read(gzip.compress(b"x,y\n1,2\n"), name="d.csv.gz").names == ("x", "y")


def test_a_gzip_bomb_stops_at_the_limit(read):
    bomb = gzip.compress(b"x\n" + b"1\n" * 2**21)
    with pytest.raises(DataError, match="--max-bytes"):
        read(bomb, name="d.csv.gz", max_bytes=2**20)


@pytest.mark.parametrize("damage", [b"no gzip at all", gzip.compress(b"x,y\n1,2\n" * 1000, mtime=0)[:-20]])
def test_damaged_gzip_is_reported(read, damage):
    with pytest.raises(DataError, match="damaged gzip"):
        read(damage, name="d.csv.gz")


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(read):
    with pytest.raises(DataError, match="--max-bytes"):
        read("x,y\n" + "1,2\n" * 100, max_bytes=50)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"no/such\.csv: not found"):
        read_file(tmp_path / "no/such.csv", DataSettings())


def test_a_url_is_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(DataError, match="not found"):
        read_file(tmp_path / "http://169.254.169.254/", DataSettings())


def test_anything_but_a_regular_file_is_refused_without_opening_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv"):
        with pytest.raises(DataError, match=r"not a regular file|folder contains no tables"):
            read_file(path, DataSettings())


def test_a_device_is_not_a_regular_file():
    code = "from pathlib import Path; from retrograd.data.source import *; read_file(Path('/dev/zero'), DataSettings())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "not a regular file" in done.stderr


def test_an_unknown_suffix_lists_the_known_ones(read):
    with pytest.raises(DataError, match=r"unknown kind of file '\.docx'; known: \.csv"):
        read("x", name="d.docx")


def test_many_chunks_make_one_table(read, monkeypatch):
    monkeypatch.setattr("retrograd.data.read.rows.CHUNK_CELLS", 10)
    table = read("x,y\n" + "".join(f"{i},{i}\n" for i in range(103)))
    assert table.frame["x"].to_list() == [str(i) for i in range(103)]
    assert table.lines.tolist() == list(range(2, 105))


@pytest.mark.parametrize("cells", [1, 3, 7, 1000])
def test_line_numbers_survive_quoted_newlines_blank_lines_and_chunks(read, monkeypatch, cells):
    monkeypatch.setattr("retrograd.data.read.rows.CHUNK_CELLS", cells)
    monkeypatch.setattr("retrograd.data.read.delimited.PEEK_LINES", 2)
    monkeypatch.setattr("retrograd.data.read.text.BLOCK", 5)
    table = read('x,y\r\n"a\r\nb",1\r\n\r\nc,2\r\n"d","3\n\n4"\ne,5')
    assert table.lines.tolist() == [2, 5, 6, 9]
    assert table.frame["y"].to_list() == ["1", "2", "3\n\n4", "5"]


def test_a_file_beyond_the_memory_limit_of_the_process_is_refused(read, monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda kind: (1, 1))
    with pytest.raises(DataError, match=r"too many for the memory limit of this process.*--max-bytes"):
        read("x,y\n1,2\n")
