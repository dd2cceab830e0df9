"""Files as they are published: separated by spaces, with titles, comments, totals and empty columns."""

import pytest

from retrograd.base.errors import DataError
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, name="d.data", **settings):
        path = tmp_path / name
        path.write_text(content)
        return read_file(path, DataSettings(**settings))

    return write_and_read


def lines(form, count=12):
    """Return this number of lines of a pattern, where {i} counts and {f} is a fraction."""
    return "".join(form.format(i=i, f=f"{i / 7:.3f}", w="ab"[i % 2]) + "\n" for i in range(1, count + 1))


@pytest.mark.parametrize(
    ("form", "first"),
    [
        (" {f}   {i}\t {f}  0.5 ", ["0.143", "1", "0.143", "0.5"]),
        ('18.0   8   {f}      ?   3504.  70\t"ford  {w} x"', ["18.0", "8", "0.143", None, "3504.", "70", "ford  b x"]),
        ("ID{i}_ECOLI  0.49  {f}   cp", ["ID1_ECOLI", "0.49", "0.143", "cp"]),
        ("A11 {i} A34 1169 {w} ", ["A11", "1", "A34", "1169", "b"]),
        ("{f}\t{i}\t7", ["0.143", "1", "7"]),
    ],
)
def test_runs_of_blanks_and_tabs_separate_cells(read, form, first):
    table = read(lines(form))
    assert table.names[0] == "column_1"
    assert list(table.frame.row(0)) == first
    assert len(table) == 12


def test_occasional_double_tabs_are_blanks(read):
    table = read("".join(f"15.26\t{i}\t{chr(9) if i % 4 == 0 else ''}0.871\n" for i in range(40)))
    assert table.frame.width == 3


def test_empty_cells_between_tabs_are_missing(read):
    table = read("a\tb\tc\n" + "1\t\t3\n" * 5)
    assert table.frame.row(0) == ("1", None, "3")


def test_texts_with_blanks_are_not_split_at_them(read):
    assert read("name,age\n" + lines("John Smith,{i}")).frame.row(0) == ("John Smith", "1")
    assert read("when,v\n" + lines("2020-01-01 10:00,{f}")).frame.row(0) == ("2020-01-01 10:00", "0.143")
    assert read("text\n" + lines("two words {w}")).names == ("text",)


@pytest.mark.parametrize(
    "content",
    [
        lines("{f},{i},Iris-setosa"),
        "".join(f"{a},{b},{c}\n" for a, b, c in zip("pepepppeee", "xbxbxbxbxb", "sfsfssffsf", strict=True)),
        lines("3{i}, State-gov, <=50K"),
        lines("no-recurrence-events,30-39,{w}"),
        lines("$1,2{i},abc"),
    ],
    ids=["numbers", "words that recur", "numbers beside words", "ages", "money"],
)
def test_a_first_line_of_values_is_not_a_header(read, content):
    table = read(content)
    assert table.names[0] == "column_1"
    assert len(table) == content.count("\n")


@pytest.mark.parametrize("head", ["country,1990,1991,1992", ",0,1,2", "a,b,c,d", "1stFloor,2ndFloor,3SsnPorch,y"])
def test_names_and_consecutive_numbers_are_a_header(read, head):
    table = read(f"{head}\n" + lines("L{i},5{i}.1,6{i}.2,7{i}.3"))
    assert len(table) == 12
    assert table.names[1:] == tuple(head.split(",")[1:])


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("# x y\n", ("x", "y")),
        ("% made by hand\n% x\ty\n", ("x", "y")),
        ("# a remark about nothing in particular\nx y\n", ("x", "y")),
        ("// remark\n\n", ("column_1", "column_2")),
    ],
)
def test_comments_are_not_rows_and_may_name_the_columns(read, head, names):
    table = read(head + lines("{f} {i}"))
    assert table.names == names
    assert len(table) == 12
    assert "are comments" in table.notes[-1]
    assert table.place(0)[1] == f"line {head.count(chr(10)) + 1}"


def test_a_comment_between_rows_is_not_a_row(read):
    table = read("a,b\n1,2\n# sensor restarted\n" + lines("{i},{f}"))
    assert len(table) == 13
    assert table.lines[1] == 4


def test_cells_that_begin_with_a_mark_are_cells(read):
    assert len(read("tag,n\n" + lines("#{w},{i}"))) == 12
    assert read("#,name,v\n" + lines("{i},x{i},{f}")).names == ("#", "name", "v")
    assert len(read("colour,n\n#fff,1\n" + lines("red,{i}"))) == 13


@pytest.mark.parametrize(
    "head",
    [
        "Sales report 2023\n\n",
        "Sales report 2023,,\nMade by me,,\n,,\n",
        '"Data Source","World Development Indicators",\n\n"Last Updated","2023"\n\n',
    ],
)
def test_titles_above_the_header_are_skipped_and_reported(read, head):
    if head.startswith('"'):
        table = read(head + "region,amount,day,a,b,c\n" + lines("{w},{f},1,2,3,4"))
    else:
        table = read(head + "region,amount,day\n" + lines("{w},{f},1"))
    assert table.names[:3] == ("region", "amount", "day")
    assert len(table) == 12
    assert "`skip_lines: 0`" in table.notes[0]


def test_the_settings_say_what_is_skipped(read):
    table = read("x\na,b\n1,2\n3,4\n5,6\n", skip_lines=2, header=False, skip_footer=1)
    assert table.frame.rows() == [("1", "2"), ("3", "4")]
    assert read("a,b\n#1,2\n3,4\n3,4\n", comment="").frame["a"][0] == "#1"
    assert read("a,b\n;1,2\n3,4\n", comment=";").frame.rows() == [("3", "4")]


def test_the_line_that_names_the_separator_for_excel_is_obeyed(read):
    assert read("sep=;\na;b\n1,5;2\n2,5;3\n").frame.rows() == [("1,5", "2"), ("2,5", "3")]


@pytest.mark.parametrize("foot", ["Total,1234.00,\n", ",,\nSource: ministry,,\n", "(12 rows)\n", ",,\n"])
def test_lines_after_the_rows_are_left_out(read, foot):
    assert len(read("region,amount,day\n" + lines("{w},{f},1") + foot)) == 12


def test_a_total_that_is_a_category_is_a_row(read):
    assert len(read("sex,n\n" + "Male,1\nFemale,2\nTotal,3\n" * 4)) == 12
    assert len(read("sex,n\nMale,1\nFemale,2\nTotal,3\n" + lines("Male,{i}") + "Total,9\n", skip_footer=0)) == 16


@pytest.mark.parametrize("head", ["a,b,c,\n", "a,b,c\n", ""])
def test_a_separator_at_the_end_of_the_lines_makes_no_column(read, head):
    assert read(head + lines("{i},{f},5,")).frame.width == 3


def test_row_names_as_r_writes_them_are_a_column(read):
    table = read('"x" "y"\n' + lines('"{i}" {f} "{w}"'))
    assert table.names == ("row", "x", "y")
    assert len(table) == 12


def test_rows_that_are_all_wider_than_the_header_are_still_reported(read):
    with pytest.raises(DataError, match="line 2 has 3 cells, the header has 2"):
        read("x,y\n" + "1,2,3\n" * 5)


def test_tables_as_databases_print_them(read):
    table = read(" id | v \n----+------\n" + lines("  {i} | {f}") + "(12 rows)\n")
    assert table.names == ("id", "v")
    assert table.frame.row(0) == ("1", "0.143")


def test_skipped_lines_are_listed_in_the_notes_of_the_data(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("My report\n\nx,y\n" + lines("{f},{i}"))
    assert any("My report" in note for note in load(DataSettings(path=str(path))).notes)


def test_units_names_of_months_and_decimal_commas_in_cells_do_not_hide_the_separator(read):
    rows = "".join(f"1,{i}kg;{i}GB;3000{i},55\n" for i in range(9))
    assert read(f"Weight;Ram;Price\n{rows}").names == ("Weight", "Ram", "Price")
    rows = "".join(f"{i} kg,0.1{i}\n" for i in range(30))
    assert read(f"weight,y\n{rows}").names == ("weight", "y")
    rows = "".join(f'{i},"January {i}, 2018",3.{i}\n' for i in range(1, 29))
    assert read(f"n,day,y\n{rows}").names == ("n", "day", "y")
