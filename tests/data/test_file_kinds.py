"""Files other than delimited text: JSON, ARFF, Feather, spreadsheets, databases, archives, and parts of one table."""

import bz2
import gzip
import json
import lzma
import sqlite3
import sys
import zipfile
from contextlib import closing

import polars as pl
import pytest

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.dataset import load
from retrograd.data.read.reader import READERS, reads
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file, read_source
from retrograd.data.table import Table
from retrograd.training.config.config import is_configuration

RECORDS = [{"x": 1, "city": "Rome"}, {"x": 2.5, "city": None}]
ROWS = [("1", "Rome"), ("2.5", None)]


@pytest.fixture
def write(tmp_path):
    def to(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to


def read(path, **settings):
    return read_file(path, DataSettings(**settings))


@pytest.mark.parametrize(
    "document",
    [
        RECORDS,
        {"data": RECORDS},
        {"schema": {"fields": [{"name": "x"}]}, "data": RECORDS},
        {"status": "ok", "count": 2, "results": RECORDS},
        {"response": {"items": RECORDS, "next": None}},
        {"x": [1, 2.5], "city": ["Rome", None]},
        {"x": {"0": 1, "1": 2.5}, "city": {"0": "Rome", "1": None}},
        {"0": RECORDS[0], "1": RECORDS[1]},
        {"columns": ["x", "city"], "index": [0, 1], "data": [[1, "Rome"], [2.5, None]]},
        [["x", "city"], [1, "Rome"], [2.5, None]],
    ],
    ids=["records", "data", "pandas table", "answer", "nested", "columns", "labelled", "index", "split", "rows"],
)
def test_json_documents_that_contain_a_table(write, document):
    path = write("d.json", json.dumps(document, indent=2))
    table = read(path)
    assert table.names == ("x", "city")
    assert table.frame.rows() == ROWS
    assert not is_configuration(path)


def test_json_lines_in_a_file_named_json(write):
    path = write("d.json", "\n".join(map(json.dumps, RECORDS)))
    assert read(path).frame.rows() == ROWS
    assert not is_configuration(path)


@pytest.mark.parametrize(
    "document", [{"data": "xor"}, {"data": {"path": "d.csv"}, "network": [{"dense": 2}]}, {"network": []}, {}, []]
)
def test_a_configuration_in_json_is_not_read_as_a_table(write, document):
    assert is_configuration(write("c.json", json.dumps(document)))


def test_objects_in_json_become_columns_and_lists_of_texts_one_cell(write):
    table = read(write("d.json", json.dumps([{"a": {"b": {"c": 1}}, "tags": ["red", "green"]}] * 2)))
    assert table.names == ("a.b.c", "tags")
    assert table.frame.row(0) == ("1", "red|green")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[{"x": 1}, {"x": ]', r"d\.json:1: line 1, column 18"),
        ('{"a": [{"x": 1}], "b": [{"x": 2}]}', "several tables \\('a', 'b'\\)"),
        ("[1, 2, 3]", "contains no table"),
        ('[{"x": [1, 2]}]', "row 1, key 'x': a cell cannot be a list"),
        ('[{"x": 1, "x": 2}]', "duplicate key 'x'"),
    ],
)
def test_mistakes_in_a_json_document_are_reported(write, text, match):
    with pytest.raises(DataError, match=match):
        read(write("d.json", text))


def test_arff_names_its_columns(write):
    head = "% about\n@RELATION iris\n@ATTRIBUTE 'sepal length' NUMERIC\n@attribute class {a,'b c'}\n\n@DATA\n"
    table = read(write("d.arff", head + "5.1,a\n% remark\n?,'b c'\n"))
    assert table.names == ("sepal length", "class")
    assert table.frame.rows() == [("5.1", "a"), (None, "b c")]
    assert table.place(1)[1] == "line 9"
    with pytest.raises(DataError, match="sparse"):
        read(write("d.arff", head + "{0 5.1, 1 a}\n"))
    with pytest.raises(DataError, match="no line @data"):
        read(write("d.arff", "@relation x\n@attribute a numeric\n"))


@pytest.mark.parametrize("name", ["d.feather", "d.arrow"])
def test_feather_keeps_its_types(tmp_path, name):
    frame = pl.DataFrame({"x": [1, 2], "ok": [True, None]})
    frame.write_ipc(tmp_path / name)
    assert read(tmp_path / name).frame.equals(frame)
    pl.DataFrame({"x": [0] * 2000}).write_ipc(tmp_path / name, compression="zstd")
    with pytest.raises(DataError, match="take 16,000 bytes, more than the limit"):
        read(tmp_path / name, max_bytes=8000)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_are_read_according_to_their_contents(write, suffix, pack):
    assert read(write(f"d.tsv{suffix}", pack(b"x\ty\n1\t2\n"))).names == ("x", "y")
    assert read(write(f"d.json{suffix}", pack(b'[{"x": 1}]'))).names == ("x",)
    with pytest.raises(DataError, match="damaged"):
        read(write(f"d.csv{suffix}", b"no archive"))
    with pytest.raises(DataError, match="max-bytes"):
        read(write(f"d.csv{suffix}", pack(b"x\n" + b"1\n" * 5000)), max_bytes=5000)


def test_a_zip_of_one_file_is_that_file(tmp_path):
    path = tmp_path / "wine.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/wine.data", "1,2.5\n2,3.5\n")
        archive.writestr("__MACOSX/data/._wine.data", "x")
    assert read(path).frame.rows() == [("1", "2.5"), ("2", "3.5")]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("wine.names", "about")
    with pytest.raises(DataError, match=r"contains 2 files: data/wine\.data, wine\.names; expected one"):
        read(path)


def test_a_zip_packed_by_an_unknown_method_is_not_called_damaged(tmp_path):
    path = tmp_path / "wine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("wine.csv", "a,b\n1,2\n")
    packed = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # in the file and in the directory
        packed[packed.index(signature) + place] = 97
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"cannot be unpacked: .*; unpack it first"):
        read(path)


def test_a_zip_bomb_stops_at_the_limit(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d.csv", b"1\n" * 1_000_000)
    with pytest.raises(DataError, match="too large when decompressed"):
        read(path, max_bytes=100_000)


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table sales (day date, price real, kind text)")
        database.executemany(
            "insert into sales values (?, ?, ?)", [("2024-01-01", 1.5, "a"), ("2024-01-02", None, "b")]
        )
    return path


def test_an_sqlite_database_gives_its_only_table_or_a_query(shop):
    table = read(shop)
    assert table.frame.rows() == [("2024-01-01", "1.5", "a"), ("2024-01-02", None, "b")]
    assert "`query:`" in table.notes[0]
    assert read(shop, query="select kind, price * 2 as twice from sales where price > 0").frame.rows() == [("a", "3.0")]


@pytest.mark.parametrize(
    "query",
    [
        "select no from sales",
        "drop table sales",
        "attach 'other.db' as o",
        "select 1; select 2",
        "pragma user_version = 1",
        "",
    ],
)
def test_a_query_only_selects(shop, query):
    before = shop.read_bytes()
    with pytest.raises(ConfigError, match=r"data\.query"):
        read(shop, query=query)
    assert shop.read_bytes() == before
    assert not (shop.parent / "other.db").exists()


def test_several_tables_and_files_that_are_not_databases_are_reported(shop, write):
    with closing(sqlite3.connect(shop)) as database, database:
        database.execute("create table zebra (x)")
    with pytest.raises(DataError, match=r"2 tables: sales, zebra; write `data: \{path: FILE, query:"):
        read(shop)
    with pytest.raises(DataError, match="cannot be read as an SQLite database"):
        read(write("x.db", "no database at all, but text"))


def test_a_spreadsheet_without_its_reader_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(
        DataError, match=r"needs the package fastexcel; install it with `pip install 'retrograd\[excel\]'`"
    ):
        read(write("d.xlsx", b"PK"))


def test_a_sheet_is_read_below_its_title(tmp_path):
    pytest.importorskip("fastexcel")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    book = xlsxwriter.Workbook(tmp_path / "d.xlsx")
    book.add_worksheet("Empty")
    sheet = book.add_worksheet("Data")
    for i, row in enumerate(
        [["Report"], [], ["v", "name", "w"], *([i / 2, "ab"[i % 2], i] for i in range(6)), ["Total", None, 15]]
    ):
        for j, cell in enumerate(row):
            sheet.write(i + 1, j + 2, cell)
    book.add_worksheet("More").write(0, 0, 1)
    book.close()
    table = read(tmp_path / "d.xlsx")
    assert table.names == ("v", "name", "w")
    assert table.frame.row(1) == ("0.5", "b", "1")
    assert len(table) == 6
    assert "sheet 'Data' is read, not Empty, More" in table.notes[0]
    with pytest.raises(ConfigError, match="no sheet 'x'; have: Empty, Data, More"):
        read(tmp_path / "d.xlsx", sheet="x")


def test_a_folder_and_a_pattern_are_one_table(write, tmp_path):
    write("parts/a.csv", "x,y\n1,a\n2,b\n")
    write("parts/b.csv", "y,x\nc,3\n")
    write("parts/notes.txt", "not a table")
    for path in (tmp_path / "parts", tmp_path / "parts/*.csv"):
        table = read(path)
        assert table.frame.rows() == [("1", "a"), ("2", "b"), ("3", "c")]
        assert table.place(2) == (f"{tmp_path}/parts/b.csv:2", "line 2")
        assert table.take([2]).place(0)[0].endswith("b.csv:2")
        assert "3 rows of 2 files: a.csv, b.csv" in table.notes[0]


def test_parts_with_other_columns_are_reported_by_their_names(write, tmp_path):
    write("parts/a.csv", "x,y\n1,a\n")
    write("parts/b.csv", "x,z\n1,a\n")
    with pytest.raises(DataError, match=r"b\.csv: lacks column 'y' and has column 'z', unlike .*a\.csv"):
        read(tmp_path / "parts/*.csv")
    with pytest.raises(DataError, match="no file matches the pattern"):
        read(tmp_path / "parts/*.tsv")


def test_the_digest_of_parts_changes_with_any_of_them(write, tmp_path):
    write("parts/a.csv", "x,y\n1,2\n")
    write("parts/b.csv", "x,y\n3,4\n")
    settings = DataSettings(path="parts/*.csv")
    first = read_source(settings, tmp_path)
    write("parts/b.csv", "x,y\n3,5\n")
    assert read_source(settings, tmp_path).digest != first.digest
    assert first.name == "parts"
    assert read_source(DataSettings(path="parts"), tmp_path).name == "parts"


def test_a_faulty_cell_is_reported_by_the_part_that_contains_it(write, tmp_path):
    write("parts/a.csv", "x,y\n" + "1,2\n3,4\n" * 15)
    write("parts/b.csv", "x,y\n3,4\noops,4\n")
    with pytest.raises(DataError, match=r"b\.csv:3: line 3, column 'x'"):
        load(DataSettings(path=str(tmp_path / "parts")))


def test_a_format_is_one_function_that_is_registered(tmp_path, monkeypatch):
    monkeypatch.setattr("retrograd.data.read.reader.READERS", {**READERS})

    @reads(".pairs")
    def read_pairs(path, settings):
        pairs = [line.split("=") for line in path.read_text().split()]
        return Table(pl.DataFrame({"x": [a for a, _ in pairs], "y": [b for _, b in pairs]}), str(path))

    for name in ("a.pairs", "b.pairs"):
        (tmp_path / name).write_text("".join(f"{i}={3 * i}\n" for i in range(10)))
    assert read_file(tmp_path / "a.pairs", DataSettings()).names == ("x", "y")
    assert len(read_file(tmp_path, DataSettings())) == 20
