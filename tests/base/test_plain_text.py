import io
import sys

import pytest

from retrograd.base.errors import DataError, RetrogradWarning
from retrograd.base.plain_text import bare, plain, plain_streams, short_powers


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b]0;title\x07", r"a\x1b[31mred\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),  # the same as ESC [ in one character
        ("over\rwritten", r"over\x0dwritten"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\x7f\x08", r"\x7f\x08"),
    ],
)
def test_what_would_steer_a_terminal_is_written_out(text, shown):
    assert plain(text) == shown


def test_other_text_stays_as_it_is():
    text = "a\tb\n城市 naïve ×2 🙂"
    assert plain(text) == text


def test_all_that_goes_out_is_plain(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with plain_streams():
        print("\x1b[2J")
        print("\x1b[2J", file=sys.stderr)
        sys.stdout.writelines(["\x07"])
        bare(sys.stderr).write("\x1b[0m")  # a progress bar's own
    assert out.getvalue() == "\\x1b[2J\n\\x07"
    assert err.getvalue() == "\\x1b[2J\n\x1b[0m"
    assert sys.stdout is out


def test_errors_and_warnings_are_plain_without_a_command_line():
    assert str(DataError("no column '\x1b[2J'", where="d.csv")) == r"d.csv: no column '\x1b[2J'"
    assert str(RetrogradWarning("\x1b[2J")) == r"\x1b[2J"


def test_powers_of_ten_are_short_and_names_are_left_alone():
    assert short_powers("from 1.7e-05 to 3e+06 in a1e05.csv, -2e-10") == "from 1.7e-5 to 3e6 in a1e05.csv, -2e-10"
