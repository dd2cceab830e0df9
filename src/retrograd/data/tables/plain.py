"""Tables with plain numbers: text such as 1.394,03 €, 18% or ($2,338) is parsed before any other decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from retrograd.base.sentence import data_setting, sentence
from retrograd.data.cells.dialects import Found, example_notation, find_notations, notation_like
from retrograd.data.cells.notation import Notation, stands_for_none
from retrograd.data.decimal_points import ORDINARY, points_of
from retrograd.data.report import Report
from retrograd.data.scanned import columns_of_text
from retrograd.data.settings import DataSettings
from retrograd.data.table import CellFaults, Cells, Table
from retrograd.present.wording import some_of

MOST_SHOWN = 6  # columns that a note shows with their examples


@dataclass(frozen=True)
class PlainTables:
    """Tables by part with plain numbers, the notation that each text column had, and sentences about these."""

    parts: dict[str, Table]
    notations: dict[str, Notation]
    notes: tuple[str, ...]


def plain_tables(parts: Mapping[str, Table], settings: DataSettings) -> PlainTables:
    """Return the tables of all parts with plain numbers; notations are inferred from the part `train`.

    Raises:  DataError naming the cells in such a column that are not numbers, unless they count as missing
    """
    tables = {name: table.with_missing(settings.missing_values) for name, table in parts.items()}
    if settings.decimal != ",":
        tables = _ordinary(tables, settings)
    train = tables["train"]
    findings = _found(train, settings)
    notations = {name: finding.notation for name, finding in findings.items()}
    notes = (*_notes(train, findings), *_dashes(train, notations))
    tables = {name: to_plain(table, notations, settings.invalid) for name, table in tables.items()}
    if train.form is not None and any(finding.decimal == "," for finding in notations.values()):
        tables["train"] = replace(tables["train"], form=train.form._replace(decimal=","))
    return PlainTables(tables, notations, notes)


def _ordinary(tables: Mapping[str, Table], settings: DataSettings) -> dict[str, Table]:
    """Return the tables with numbers in the features that are ordinary numbers in every part."""
    untouched = columns_of_text(tables["train"].names, settings)
    done = {part: with_ordinary_numbers(table, [name for name in table.names if name not in untouched])
            for part, table in tables.items()}  # fmt: skip
    mixed = {name for table in done.values() for name, kind in table.frame.schema.items() if kind == pl.String}
    return {part: table.with_columns(map(tables[part].column, back))
            if (back := [name for name in table.names if name in mixed]) and len(done) > 1 else table
            for part, table in done.items()}  # fmt: skip


def to_plain(table: Table, notations: Mapping[str, Notation], invalid: str) -> Table:
    """Return a table with numbers in place of the text of these columns, if they exist."""
    faults = CellFaults(table)
    schema = table.frame.schema
    written = {name: notation for name, notation in notations.items() if schema.get(name) == pl.String}
    faulty: list[str] = []

    def parsed() -> Iterator[pl.Series]:
        for name, notation in written.items():
            cells = table.column(name)
            values = notation.read(cells).alias(name)
            bad = cells.is_not_null() & values.is_null() & ~stands_for_none(cells).fill_null(False)
            if invalid == "error" and bad.any():
                faults.add(name, bad.arg_true(), f"a finite number{f' in {notation.unit}' if notation.unit else ''}")
                faulty.append(name)
            yield values

    plain = table.with_columns(parsed()) if written else table
    faults.raise_any(
        sentence(
            "set {} to treat such cells as missing, or {} to keep the words",
            data_setting("invalid", "missing"),
            data_setting("kinds", f"{{{faulty[0] if faulty else ''}: category}}"),
        )
    )
    return plain


def to_plain_like(
    table: Table, names: Sequence[str], notations: Mapping[str, Notation], invalid: str, report: Report
) -> Table:
    """Return a further table with plain numbers in the named columns.

    Each is read by its own marks if its cells show them, else as in training.
    """
    plain = [name for name in names if notations.get(name, Notation()) == Notation()]
    table = with_ordinary_numbers(table, plain)
    schema = table.frame.schema
    texts = {name: table.column(name) for name in names if schema.get(name) == pl.String}
    notations_here = {}
    for name, cells in texts.items():
        known = notations.get(name, Notation())
        notation = notation_like(cells, known)
        if notation.decimal != known.decimal:
            report.rewritten[name] = (
                f"its decimal mark is '{notation.decimal}', but in training it was '{known.decimal}'"
            )
        if notation != Notation() or name in notations:
            notations_here[name] = notation
    return to_plain(table, notations_here, invalid)


def _found(table: Table, settings: DataSettings) -> dict[str, Found]:
    """Return the notations of the columns that may contain numbers; columns of other kinds are left alone."""
    kinds = {name: settings.kinds.get(name, "number") for name in table.names if name not in settings.exclude}
    schema = table.frame.schema
    texts = [n for n, kind in kinds.items() if schema[n] == pl.String and (kind == "number" or example_notation(kind))]
    chosen = {name: example_notation(kinds[name]) for name in texts}
    separator = None if table.form is None else table.form.separator
    findings = find_notations(
        Cells(texts, table.column), settings.decimal, settings.thousands, separator, certain=settings.kinds
    )
    shown = {name: notation for name, notation in chosen.items() if notation is not None}
    return findings | {name: Found(notation, kinds[name]) for name, notation in shown.items()}


def _notes(table: Table, findings: Mapping[str, Found]) -> list[str]:
    notes: list[str] = []
    usual = (Notation(), Notation(",")) if table.form is not None else (Notation(),)  # else reported elsewhere
    names = [name for name, finding in findings.items() if finding.notation not in usual and not finding.doubt]
    if names:
        shown = [f"{name} ('{findings[name].example}' is {_value(findings[name])})" for name in names]
        overridden = data_setting("kinds") + " overrides this"
        notes.append(f"numbers written as text: {some_of(shown, MOST_SHOWN)}; " + overridden)
    for name, finding in findings.items():
        if finding.doubt:
            notes.append(_doubt(name, finding))
    return notes


def _doubt(name: str, reading: Found) -> str:
    """Return how an ambiguous number was read, and the setting for the other reading."""
    mark = "comma" if "," in reading.example else "point"
    other: Literal[".", ","] = "," if reading.notation.decimal == "." else "."
    swapped = Notation(other, "." if other == "," else ",", reading.notation.unit)
    value = _value(Found(swapped, reading.example))
    reads = f"'{reading.example}' in '{name}' is read as {_value(reading)}: no cell shows what its {mark} means"
    return f"{reads}; " + data_setting("decimal", f"'{other}'") + f" reads {value}"


def _dashes(table: Table, notations: Mapping[str, Notation]) -> list[str]:
    cells = {name: _none_cells(table.column(name)) for name in notations}
    dashes = [f"{len(blanks)} '{blanks[0]}' in {name}" for name, blanks in cells.items() if len(blanks)]
    return [f"treated as missing: {some_of(dashes, MOST_SHOWN)}"] if dashes else []


def _none_cells(cells: pl.Series) -> pl.Series:
    return cells.filter(stands_for_none(cells).fill_null(False))


def _value(reading: Found) -> str:
    value = reading.notation.read(pl.Series([reading.example]))[0]
    return "not a number" if value is None else f"{value:.15g}"


def with_ordinary_numbers(table: Table, names: Iterable[str]) -> Table:
    """Return the table with numbers in place of text in those of the named columns whose cells are ordinary numbers.

    A column in which every point may separate thousands is left unchanged.
    """
    schema = table.frame.schema
    texts = [name for name in names if schema.get(name) == pl.String]
    if not texts:
        return table
    answers = table.each(texts, lambda column: column.str.contains(ORDINARY).all())
    fitting = [name for name, fits in zip(texts, answers, strict=True) if fits]
    ordinary = [name for name in fitting if points_of(table.column(name)).are_clear]
    return table.with_columns(table.column(name).cast(pl.Float64) for name in ordinary) if ordinary else table
