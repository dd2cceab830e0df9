"""`predict`: cells that cannot be read, standard input, and text that a spreadsheet or a terminal would obey."""

import io
import json
import sys

import polars as pl
import pytest

from retrograd.app.cli.main import main
from retrograd.app.cli.predictions import without_formulas

ROWS = "x,label\n" + "1,=1+2\n2,ab\x1b[2J\n" * 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    (folder / "d.csv").write_text(ROWS)
    config = "data: {path: d.csv, target: label}\nnetwork: [{dense: classes}]\ntraining: {epochs: 1}\n"
    (folder / "d.yaml").write_text(config)
    assert main(["train", str(folder / "d.yaml"), "--run", str(folder / "R"), "-q"]) == 0
    return folder / "R"


@pytest.fixture
def predict(run, tmp_path, monkeypatch, capsys):
    def on(text, *options, source="new.csv"):
        (tmp_path / "new.csv").write_text(text)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        code = main(["predict", str(run), source if source == "-" else str(tmp_path / source), *options])
        return code, *capsys.readouterr()

    return on


def test_unreadable_cells_and_lines_are_refused_or_missing_and_counted(predict):
    text = "x\n1\nabc\n1,2\n"
    code, _, err = predict(text)
    assert code == 2
    assert "line 4 has 2 cells" in err
    code, out, err = predict(text, "--invalid", "missing")
    assert code == 0
    assert len(out.splitlines()) == 4
    assert "column 'x': 1 unreadable cell treated as missing" in err
    assert "1 line has more or fewer cells" in err


def test_the_error_names_the_option(predict):
    assert "`--invalid missing`" in predict("x\nabc\n")[2]


@pytest.mark.parametrize(
    "text", ["x\n1\n2\n", '{"x": 1}\n{"x": 2}\n', '[{"x": 1}, {"x": 2}]', "label,x,more\n,1,5\n,2,6\n"]
)
def test_rows_come_from_standard_input_as_csv_or_json(predict, text):
    code, out, err = predict(text, "--json", source="-")
    assert code == 0, err
    assert len(json.loads(out)) == 2


def test_mistakes_in_standard_input_are_reported_under_its_name(predict):
    assert predict("x\nabc\n", source="-")[2].startswith("error: standard input.csv:2: ")
    assert "standard input: empty" in predict("", source="-")[2]


def test_no_text_is_a_formula_unless_asked_for():
    frame = pl.DataFrame({"t": ["=1+2", "+x", "-x", "@SUM(1)", "\t=1", "a=b", None, "'q"], "n": [-1.5] * 8})
    safe = without_formulas(frame)
    assert safe["t"].to_list() == ["'=1+2", "'+x", "'-x", "'@SUM(1)", "'\t=1", "a=b", None, "'q"]
    assert safe["n"].to_list() == [-1.5] * 8
    assert without_formulas(pl.DataFrame({"=a": [1]})).columns == ["'=a"]


def test_predictions_go_out_without_formulas_and_escapes(predict, tmp_path):
    assert {line.split(",")[0] for line in predict("x\n1\n2\n")[1].splitlines()[1:]} <= {"'=1+2", r"ab\x1b[2J"}
    code, _, _ = predict("x\n1\n2\n", "--formulas", "-o", str(tmp_path / "o.csv"))
    assert code == 0
    assert set(pl.read_csv(tmp_path / "o.csv")["prediction"]) <= {"=1+2", "ab\x1b[2J"}
