"""A gradient check as text with 80 columns, and as JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from retrograd.checking.result import Entry, GradientCheck, TensorCheck
from retrograd.checking.slopes import EXACT, LIMITS, Verdict
from retrograd.present.numbers import number
from retrograd.present.text import WIDTH, wrapped

COLUMNS = 45  # width of the columns between the path of a tensor and its verdict
WORDS: tuple[Verdict, ...] = (*(word for _, word in LIMITS), "wrong")
SHOWN_KINKS = 3


@dataclass(frozen=True)
class CheckReport:
    """The checks of one configuration, run, layer or file; `broken` lists broken clauses of the layer contract.

    `print(report)` shows the same text as the command line.
    """

    checks: tuple[GradientCheck, ...]
    broken: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict in a word; a layer that breaks its contract is wrong."""
        worst = max(self.checks, key=lambda check: WORDS.index(check.verdict), default=None)
        return "wrong" if self.broken or worst is None else worst.verdict

    def __str__(self) -> str:
        return "\n".join(lines_of(self))

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; an infinite error means a gradient of the wrong shape."""
        checks = [
            {
                **dataclasses.asdict(check),
                "verdict": check.verdict,
                "error": check.error,
                "tensors": [_tensor_json(tensor) for tensor in check.tensors],
                "faults": [fault._asdict() for fault in check.faults],
                "whole": check.whole._asdict() if check.whole else None,
            }
            for check in self.checks
        ]
        return {"verdict": self.verdict, "checks": checks, "broken": list(self.broken)}


def _tensor_json(tensor: TensorCheck) -> dict[str, Any]:
    kinks = [kink._asdict() for kink in tensor.kinks]
    worst = tensor.worst._asdict() if tensor.worst else None
    return {**dataclasses.asdict(tensor), "verdict": tensor.verdict, "worst": worst, "kinks": kinks}


def lines_of(report: CheckReport) -> Iterator[str]:
    """Yield the lines of a report."""
    for check in report.checks:
        yield from _check_lines(check)
        yield ""
    if report.broken:
        yield "broken clauses of the layer contract:"
        for clause in report.broken:
            yield from wrapped(clause, "  ")
        yield ""
    yield from _verdict_lines(report)


def _check_lines(check: GradientCheck) -> Iterator[str]:
    rows = f"{check.rows} row{'' if check.rows == 1 else 's'}"
    counted = f"{rows}, {check.parameters:,} parameters, float64, {check.seconds:.1f} s"
    yield from wrapped(f"{check.name}: {counted}")
    if check.tensors:
        verdict = max(len(tensor.verdict) for tensor in check.tensors)
        width = min(WIDTH - COLUMNS - verdict, max(len(tensor.path) for tensor in check.tensors))
        yield f"{'':{width}}  {'entries':>13}  {'vs differences':>14}  {'vs jax.vjp':>10}  verdict"
        for tensor in check.tensors:
            yield from _tensor_lines(tensor, width)
    if check.whole:
        yield from wrapped(f"all tensors, along a random direction: {_pair(check.whole)}")
    for fault in check.faults:
        yield from wrapped(f"WRONG  {fault}")
    for note in check.notes:
        yield from wrapped(f"note: {note}")


def _tensor_lines(tensor: TensorCheck, width: int) -> Iterator[str]:
    path = tensor.path if len(tensor.path) <= width else "..." + tensor.path[3 - width :]
    size = math.prod(tensor.shape)
    checked = f"all {size:,}" if tensor.tried == size else f"{tensor.tried} of {_short(size)}"
    error = "-" if tensor.surrogate else _error(max(tensor.error, tensor.along))
    yield f"{path:{width}}  {checked:>13}  {error:>14}  {_error(tensor.vjp):>10}  {tensor.verdict}"
    if tensor.surrogate:
        yield from wrapped(f"no differences: {tensor.surrogate}", "    ")
    elif tensor.worst and tensor.worst.error > EXACT:
        yield from wrapped(f"worst {_pair(tensor.worst)}", "    ")
    for kink in tensor.kinks[:SHOWN_KINKS]:
        nodes = ", ".join(f"{node} ({count})" for node, count in kink.nodes)
        yield from wrapped(f"kink at {list(kink.at)}: {nodes} has a corner within the interval; derivative from "
                            f"the left {number(kink.left, 6)}, from the right {number(kink.right, 6)}, "
                            f"backward {number(kink.backward, 6)}",
                            "    ")  # fmt: skip
    if len(tensor.kinks) > SHOWN_KINKS:
        yield f"    and {len(tensor.kinks) - SHOWN_KINKS} more entries on a corner"


def _verdict_lines(report: CheckReport) -> Iterator[str]:
    largest = max((check.error for check in report.checks), default=0.0)
    wrong = dict.fromkeys(f"{fault.path} ({fault.kind})" for check in report.checks for fault in check.faults)
    named = f"; wrong: {', '.join(wrong)}" if wrong else ""
    kinks = sum(len(tensor.kinks) for check in report.checks for tensor in check.tensors)
    corners = f"; {kinks} entries on a corner are not counted" if kinks else ""
    yield from wrapped(f"verdict: {report.verdict}, largest relative error {_error(largest)}{named}{corners}")


def _pair(entry: Entry) -> str:
    index = f"{list(entry.at)}: " if entry.at else ""
    values = f"backward {number(entry.backward, 6)}, difference {number(entry.difference, 6)}"
    return f"{index}{values}, error {_error(entry.error)}"


def _error(value: float) -> str:
    return "0" if value == 0 else number(value, 2)


def _short(count: int) -> str:
    return f"{count:,}" if count < 1_000_000 else f"{count / 1e6:.1f} M"
