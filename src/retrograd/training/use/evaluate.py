"""Loss, outputs and metrics of a network on rows of data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from retrograd.base.compilation.programs import Program
from retrograd.data.images.boxes import Boxes
from retrograd.data.mapped_columns import Released, release
from retrograd.data.prefetch import ahead, is_streamed
from retrograd.data.preprocessing import Preprocessing
from retrograd.distributed.team import ALONE, Team
from retrograd.network.in_use import in_use
from retrograd.network.layer import Context, Spec
from retrograd.network.losses.loss import Loss
from retrograd.network.network import Network, Variables, take
from retrograd.network.precision import Precision, computing_in, in_precision
from retrograd.propagation.backprop import forward
from retrograd.propagation.objective import Objective, evaluate_losses, total
from retrograd.training.use.link import link_of
from retrograd.training.use.members import combined
from retrograd.training.use.tallies import Tally, tally_of
from retrograd.update.step import counts

ROWS_AT_ONCE = 4096  # in one forward pass over a whole part
BYTES_AT_ONCE = 256 * 1024**2  # for the outputs of all nodes: fewer rows at once if their outputs are large


class Measured(NamedTuple):
    """The results of one portion of rows: losses by objective, the divisors of their means, and the main output."""

    columns: Mapping[str, np.ndarray]
    losses: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray]
    output: np.ndarray


class Evaluator:
    """Evaluates a network on columns of rows in inference mode, a bounded number of rows at a time.

    Computes in float64 if that is the precision, else in float32: weights trained in bfloat16 are float32. The weights
    of several members are stacked, and the main output represents their average answer.
    """

    def __init__(
        self,
        network: Network,
        objectives: Sequence[Objective],
        preprocessing: Preprocessing | None,
        precision: Precision = "float32",
        members: int = 1,
        team: Team = ALONE,
    ) -> None:
        self.team = team
        self.network, self.objectives, self.preprocessing = network, tuple(objectives), preprocessing
        self.precision: Precision = precision
        self.members = members
        averaged = self.objectives[0].loss if members > 1 else None
        self._measure = Program(_losses, network, self.objectives, averaged, self.main_output)
        predictions = [objective.inputs[0] for objective in self.objectives]
        self.in_use = in_use(network, [self.main_output, *predictions])
        self._forward = Program(_output, self.in_use, averaged, self.main_output)
        self._apart = Program(_apart, self.in_use, self.main_output)
        self._sizes: dict[Any, int] = {}  # rows at once, by the columns' shapes

    def outputs(self, variables: Variables, columns: Mapping[str, Any]) -> np.ndarray:
        """Return the main output for every row."""
        return np.concatenate(list(self.each_output(variables, columns)))

    def each_output(self, variables: Variables, columns: Mapping[str, Any]) -> Iterator[np.ndarray]:
        """Yield the main output, one portion of rows at a time."""
        return (output[:rows] for output, rows in self._portions(self._forward, variables, columns))

    def outputs_apart(self, variables: Variables, columns: Mapping[str, Any]) -> np.ndarray:
        """Return the main output of each member for every row [members, rows, ...]."""
        portions = self._portions(self._apart, variables, columns)
        return np.concatenate([apart[:, :rows] for apart, rows in portions], 1)

    def loss(self, variables: Variables, columns: Mapping[str, Any]) -> tuple[float, np.ndarray]:
        """Return the loss over all rows (each portion weighted by its count) and the main output."""
        outputs: list[np.ndarray] = []
        loss = self._sum(self._measured(variables, columns), lambda measured: outputs.append(measured.output))
        return loss, np.concatenate(outputs)

    def scores(self, variables: Variables, columns: Mapping[str, Any], *, full: bool = False) -> dict[str, float]:
        """Return loss and metrics: the quick ones, or with `full` all metrics of the task."""
        loss, tally = self.tallied(variables, columns)
        return {"loss": loss, **(tally.scores(full) if tally is not None else {})}

    def tallied(self, variables: Variables, columns: Mapping[str, Any]) -> tuple[float, Tally | None]:
        """Return the loss, and the tally of the rows."""
        tallies: list[Tally | None] = []

        def see(measured: Measured) -> None:
            if not tallies:
                tallies.append(self.tally(measured.output.shape))
            if tallies[0] is not None:
                tallies[0].add(measured.output, measured.columns)

        loss = self._sum(self._measured(variables, columns), see)
        return loss, tallies[0]

    def metric_names(self, shape: Sequence[int]) -> tuple[str, ...]:
        """Return the names of the metrics measured after an epoch for outputs of this shape."""
        tally = self.tally(shape)
        return ("loss",) if tally is None else ("loss", *tally.names)

    def chunks(self, columns: Mapping[str, Any], *, even: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the rows in portions, of powers of two if `even`; images are decoded one portion ahead."""
        rows, size = len(next(iter(columns.values()))), self._rows_at_once(columns)
        size = 1 << size.bit_length() - 1 if even else size
        if rows <= size:
            yield {name: column[:] for name, column in columns.items()}
            return
        starts = range(0, max(rows, 1), size)

        def chunk(i: int) -> dict[str, Any]:
            return {name: column[i : i + size] for name, column in columns.items()}

        released = Released(columns)
        for portion in ahead(chunk, starts) if is_streamed(columns) else map(chunk, starts):
            yield portion
            released.read(size)
        release(columns)

    @property
    def main(self) -> Objective:
        """The objective on the network's output, else the first one."""
        on_output = [objective for objective in self.objectives if objective.inputs[0] == self.network.output]
        return (on_output or list(self.objectives))[0]

    @property
    def main_output(self) -> str:
        """The output that predictions are read from."""
        has_boxes = self.preprocessing is not None and isinstance(self.preprocessing.target, Boxes)
        return self.network.output if has_boxes else self.main.inputs[0]

    def _rows_at_once(self, columns: Mapping[str, Any]) -> int:
        row = {name: Spec((1, *column.shape[1:]), column.dtype) for name, column in columns.items()}
        key = tuple((name, spec.shape) for name, spec in row.items())
        if key not in self._sizes:
            leaves = jax.tree.leaves(self.in_use.specs(row))
            bytes_a_row = self.members * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
            self._sizes[key] = max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // max(1, bytes_a_row)))
        return self._sizes[key]

    def tally(self, shape: Sequence[int]) -> Tally | None:
        """Return the tally for outputs of this shape, if they predict the target."""
        target = self.preprocessing.target if self.preprocessing else None
        return tally_of(target, self.main.inputs[1:2], tuple(shape), link_of(self.main.loss))

    def _portions(
        self, program: Program, variables: Variables, columns: Mapping[str, Any]
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Yield a program's output for each portion of rows, and the number of its rows that count.

        At most 13 programs are compiled for any number of rows: a portion is padded to a power of two with copies of
        its last row.
        """
        needed = {name: columns[name] for name in self.in_use.columns}
        for chunk in self.chunks(needed, even=True):
            rows = len(next(iter(chunk.values())))
            padded = {name: filled_up(column) for name, column in chunk.items()}
            with computing_in(self.precision):
                output = np.asarray(program(*variables, in_precision(padded, self.precision)))
            yield output, rows

    def _measured(self, variables: Variables, columns: Mapping[str, Any]) -> Iterator[Measured]:
        for chunk in self.chunks(columns):
            with computing_in(self.precision):
                rows = self.team.measured(in_precision(chunk, self.precision))
                measured = self.team.fetched(self._measure(*variables, rows))
            yield Measured(chunk, *measured)

    def _sum(self, portions: Iterator[Measured], see: Any) -> float:
        """Return the total loss of all portions, passing each to `see`."""
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        for portion in portions:
            for name, value in portion.losses.items():
                weight = float(portion.counts.get(name, 1.0))
                sums[name] = sums.get(name, 0.0) + float(value) * weight
                counts[name] = counts.get(name, 0.0) + weight if name in portion.counts else 1.0
            see(portion)
        means = {name: np.float64(value / counts[name] if counts[name] else 0.0) for name, value in sums.items()}
        return float(total(self.objectives, means))  # type: ignore[arg-type]


def _outputs(
    network: Network, averaged: Loss | None, output: str, params: Any, state: Any, columns: Mapping[str, Array]
) -> Mapping[str, Any]:
    """Return the outputs of all nodes; for members averaged under a loss, only the main output and the columns."""
    if averaged is None:
        return forward(network, params, state, Context(), columns).outputs
    return {**columns, output: combined(_apart(network, output, params, state, columns), averaged)}


def _losses(
    network: Network,
    objectives: Sequence[Objective],
    averaged: Loss | None,
    output: str,
    params: Any,
    state: Any,
    columns: Mapping[str, Array],
) -> Any:
    outputs = _outputs(network, averaged, output, params, state, columns)
    losses, _ = evaluate_losses(objectives, outputs, Context())
    return losses, counts(objectives, outputs), take(outputs, output)


def _output(
    network: Network, averaged: Loss | None, output: str, params: Any, state: Any, columns: Mapping[str, Array]
) -> Any:
    return take(_outputs(network, averaged, output, params, state, columns), output)


def _apart(network: Network, output: str, params: Any, state: Any, columns: Mapping[str, Array]) -> Any:
    return jax.vmap(lambda params, state: _output(network, None, output, params, state, columns))(params, state)


def filled_up(column: np.ndarray) -> np.ndarray:
    """Return a column with its last row repeated until the number of rows is a power of two."""
    rows = len(column)
    missing = (1 << (rows - 1).bit_length()) - rows if rows else 0
    return np.concatenate([column, np.repeat(column[-1:], missing, 0)]) if missing else column
