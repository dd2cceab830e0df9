"""Lines below a table that are not rows: totals, sources, export dates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.sentence import data_setting
from retrograd.data.read.header import is_missing, is_number
from retrograd.data.read.rows import RowChunk, RowFrame

MOST = 10  # maximum number of lines below a table that are examined
FEWEST_ROWS = 3  # in tables with fewer rows, none is dropped unless configured
TOTALS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme", "totale", "totaal", "итого",
          "合计", "总计", "總計", "合計")  # fmt: skip


class Footer:
    """Holds back the last records of a stream, and drops those that are not rows."""

    def __init__(self, width: int, chosen: int | None) -> None:
        self.width, self.chosen = width, chosen
        self.left_out: list[tuple[int, list[str]]] = []  # line and cells

    def rows(self, chunks: Iterator[RowChunk | RowFrame]) -> Iterator[RowChunk | RowFrame]:
        """Yield only the records that are rows."""
        most = MOST if self.chosen is None else self.chosen
        tail = RowChunk(np.empty(0, np.int64), [])
        passed = 0
        for chunk in chunks:
            if isinstance(chunk, RowFrame):
                cut = max(0, len(chunk.lines) - most)
                if cut:
                    yield tail
                    yield chunk.part(0, cut)
                    passed += len(tail.rows) + cut
                    tail = RowChunk(np.empty(0, np.int64), [])
                chunk = chunk.part(cut, len(chunk.lines)).listed()
            joined = RowChunk(np.concatenate([tail.lines, chunk.lines]), [*tail.rows, *chunk.rows])
            cut = max(0, len(joined.rows) - most)
            if cut:
                yield RowChunk(joined.lines[:cut], joined.rows[:cut])
            passed += cut
            tail = RowChunk(joined.lines[cut:], joined.rows[cut:])
        keep = self._rows_in(tail, passed) if self.chosen is None else len(tail.rows) - min(most, len(tail.rows))
        self.left_out = [(int(line), row) for line, row in zip(tail.lines[keep:], tail.rows[keep:], strict=True)]
        if keep:
            yield RowChunk(tail.lines[:keep], tail.rows[:keep])

    def _rows_in(self, tail: RowChunk, passed: int) -> int:
        """Return how many records at the start of the tail are rows."""
        keep = len(tail.rows)
        while passed + keep > FEWEST_ROWS:
            above = tail.rows[: keep - 1]
            is_apart = bool(above) and (
                not any(map(str.strip, above[-1])) or tail.lines[keep - 1] > tail.lines[keep - 2] + 1
            )
            if not self._is_footer(tail.rows[keep - 1], above, is_apart):
                break
            keep -= 1
        return keep

    def _is_footer(self, row: list[str], above: list[list[str]], is_apart: bool) -> bool:
        """Return whether a record is not a row; `is_apart` means that there is a blank line above it."""
        filled = [i for i, cell in enumerate(row) if cell.strip()]
        if not filled:
            return True
        if is_number(row[filled[0]]):
            return False
        if len(row) != self.width:
            return len(filled) <= self.width / 2 and not any(is_number(row[i]) for i in filled)
        column = [other[filled[0]] for other in above if len(other) == self.width]
        if row[filled[0]].strip(" :").casefold() in TOTALS:
            return bool(column) and row[filled[0]] not in column
        values = [cell for cell in column if not is_missing(cell)]
        is_other = is_apart or (bool(values) and all(map(is_number, values)))
        return self.width > 2 and filled == [0] and is_other

    def notes(self) -> list[str]:
        """Return a sentence about the dropped lines, if any."""
        remarks = [(line, row) for line, row in self.left_out if any(map(str.strip, row))]
        if not remarks:
            return []
        line, row = remarks[0]
        shown = " ".join(cell for cell in row if cell.strip())[:40]
        what = f"line {line} ('{shown}') is" if len(remarks) == 1 else f"the lines from {line} ('{shown}') are"
        return [f"{what} skipped as below the table (" + data_setting("skip_footer", "0") + " keeps everything)"]
