"""One training step with every number: forward pass, loss, deltas, gradients, update, and the loss after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import UsageError, did_you_mean
from retrograd.base.programs import Program
from retrograd.data.dataset import Dataset
from retrograd.network.network import Network, take
from retrograd.network.precision import computing_in, in_precision
from retrograd.network.written import as_written, given_params
from retrograd.present.exact import Figures
from retrograd.tracing.condition import first_step
from retrograd.tracing.document import Writer
from retrograd.tracing.forms.drawing import drawing
from retrograd.tracing.forms.latex import as_latex
from retrograd.tracing.forms.markdown import as_markdown
from retrograd.tracing.forms.page import as_html
from retrograd.tracing.forms.pictures import as_png, as_svg
from retrograd.tracing.forms.plain_values import as_json
from retrograd.tracing.forms.text import as_text
from retrograd.tracing.look import Looker, step_numbers, step_with_delta
from retrograd.tracing.numbers import StepNumbers, numbers
from retrograd.tracing.remarks import remarks
from retrograd.tracing.replay import (
    Reached,
    Replay,
    Replayed,
    cast_to,
    first_state,
    reach,
    replay,
    stored_in,
    verdict_on,
)
from retrograd.tracing.source import (
    Batch,
    Source,
    check_step,
    in_words,
    one_row,
    open_source,
)
from retrograd.update.optimizer import Optimizer
from retrograd.update.step import Stepper, TrainState

Dtype = Literal["float64", "float32"]


@dataclass(frozen=True)
class Trace:
    """One step, ready to be read: as text, Markdown, LaTeX, JSON, a page or a figure; `numbers` holds the arrays."""

    numbers: StepNumbers
    remarks: tuple[str, ...]
    node: str | None = None
    replay: Replay | None = None

    def text(self, decimals: int = 4) -> str:
        """Return the trace as text for 80 columns."""
        writer = self._writer(decimals)
        return as_text(self.title, self.facts(writer.f), list(writer.sections()), self.remarks, writer.f)

    def markdown(self, decimals: int = 4) -> str:
        """Return the trace as Markdown."""
        writer = self._writer(decimals)
        return as_markdown(self.title, self.facts(writer.f), list(writer.sections()), self.remarks, writer.f)

    def json(self) -> str:
        """Return the trace as JSON, every number in full precision."""
        replay = None if self.replay is None else self.replay.plain()
        return as_json(self.numbers, self.remarks, replay, self.node) + "\n"

    def html(self, decimals: int = 4) -> str:
        """Return the trace as one page that needs no server."""
        writer = self._writer(decimals)
        sections = list(writer.sections())
        return as_html(self.title, self.facts(writer.f), writer, sections, self.remarks, self.text(decimals))

    def latex(self, decimals: int = 4) -> str:
        """Return the trace as a LaTeX document: every equation, and the same with its numbers."""
        writer = self._writer(decimals)
        return as_latex(self.title, self.facts(writer.f), list(writer.sections()), self.remarks, writer.f)

    def svg(self, decimals: int = 4) -> str:
        """Return the step as a figure: the network with outputs, deltas, gradients and new weights."""
        return as_svg(drawing(self.numbers, self.figures(decimals), self.title))

    def png(self, decimals: int = 4) -> bytes:
        """Return the same figure as a PNG file."""
        return as_png(drawing(self.numbers, self.figures(decimals), self.title))

    def _writer(self, decimals: int) -> Writer:
        return Writer(self.numbers, self.figures(decimals), self.node)

    @property
    def title(self) -> str:
        """What is traced, in one line."""
        step = self.numbers
        return f"trace of {step.name}: step {step.step} of {step.steps}, {step.rows}, {step.dtype}"

    def facts(self, f: Figures) -> list[str]:
        """Return the sentences below the title."""
        step = self.numbers
        count = sum(parameter.before.size for parameter in step.parameters)
        losses = ", ".join(objective.loss.kind for objective in step.objectives)
        optimizer = f"{step.optimizer.registered_name}, learning rate {f.number(step.learning_rate)}"  # type: ignore[attr-defined]
        return [f"{len(step.nodes)} nodes, {count:,} parameters; {losses}; {optimizer}", *self._found()]

    def figures(self, decimals: int) -> Figures:
        """Return how numbers of this trace are written."""
        return Figures(decimals, float(np.finfo(self.numbers.dtype).eps))

    def _found(self) -> list[str]:
        return self.replay.sentences() if self.replay else []

    def __str__(self) -> str:
        return self.text()


def trace(
    source: Any,
    *,
    step: int = 1,
    sample: int | None = None,
    batch: Mapping[str, Any] | None = None,
    node: str | None = None,
    dtype: Dtype = "float64",
    delta: Sequence[float] | float | None = None,
    break_when: str | None = None,
    dataset: Dataset | None = None,
    changes: Sequence[str] = (),
) -> Trace:
    """Return one step of a configuration (object, mapping, YAML file) or of a run (object, folder) with every number.

    The weights are those before `step`, counted from 1: the run is trained again up to there, in float32, as it was,
    with what its guard did; a configuration is trained without a guard.
    The rows are that step's own, one row of the training part (`sample`, from 0), or `batch`, columns of the caller's.
    In float64 the step is then computed from the same weights and rows; in float32, with the step's own rows, it is
    the run's compiled program that computes it, and the weights after it can be compared with the run's.

    node: open one node in full. delta: values with which the backward pass begins at the network's output, in place
    of the losses' derivative. break_when: a condition such as `grad_norm>10`; the first step that fulfils it is taken.

        print(rg.trace("examples/xor.yaml", sample=3))
    """
    refuse_foreign(source, "trace")
    if dtype not in ("float64", "float32"):
        raise UsageError(f"expected float64 or float32, found {dtype!r}", where="dtype")
    if sample is not None and batch is not None:
        raise UsageError("sample and batch are both given", cure="give one of them")
    found = open_source(source, dataset, changes, batch)
    path = None if node is None else node_path(found.prepared.network, node)
    if break_when is not None:
        step = first_step(found, break_when)
    check_step(found, step)
    wanted = Wanted(step, sample, batch, dtype, delta)
    reached, replayed = _reach(found, wanted)
    state, rows = (replayed.before, reached.batch) if reached and replayed else first_state(found.prepared)
    rows = _rows(found, wanted, rows)
    if reached and replayed and replayed.looked:
        with computing_in(found.prepared.config.training.precision):
            shown = numbers(reached.stepper, state, rows, replayed.looked, None, **_facts(found, wanted, rows))
    else:
        shown = _look(found, wanted, state, rows, reached.stepper.optimizer if reached else None)
    verdict = verdict_on(step, found, reached, replayed) if reached and replayed and found.is_run else None
    return Trace(shown, remarks(shown, Figures(4, float(np.finfo(dtype).eps))), path, verdict)


class Wanted(NamedTuple):
    """Which step, which rows, and how."""

    step: int
    sample: int | None
    batch: Mapping[str, Any] | None
    dtype: Dtype
    delta: Sequence[float] | float | None

    @property
    def is_the_runs(self) -> bool:
        """Whether the step can be one of the run's own, bit for bit, if that computes in this precision."""
        return self.sample is None and self.batch is None and self.delta is None


def node_path(network: Network, given: str) -> str:
    """Return the node that a path means: a node's, one of its parameters', or an entry's name."""
    for path in (given, given.rpartition("/")[0], network.resolve(given)):
        if path in network.by_name:
            return path
    raise UsageError(f"the network has no node '{given}'", where="node", cure=did_you_mean(given, network.by_name))


def _reach(found: Source, wanted: Wanted) -> tuple[Reached | None, Replayed | None]:
    """Train up to the step, where that is needed: not for the first step of a configuration in other numbers."""
    prepared = found.prepared
    own = wanted.is_the_runs and wanted.dtype == stored_in(prepared)
    if wanted.step == 1 and not found.is_run and not (own and wanted.dtype == "float32"):
        return None, None
    reached = reach(found, wanted.step)
    return reached, replay(prepared, reached, Looker(reached.stepper, prepared.steps) if own else None)


def _rows(found: Source, wanted: Wanted, own: Batch) -> Batch:
    rows: Mapping[str, Any] = own
    if wanted.sample is not None:
        rows = one_row(found.prepared.dataset, wanted.sample)
    if wanted.batch is not None:
        columns = found.prepared.dataset.train
        rows = {name: np.asarray(wanted.batch[name]) for name in columns if name in wanted.batch}
        missing = [name for name in columns if name not in wanted.batch]
        if missing:
            raise UsageError(f"there is no column '{missing[0]}'", where="batch", cure=f"give {', '.join(columns)}")
    if wanted.dtype == "float64" and stored_in(found.prepared) == "float32":
        return {name: as_written(column) for name, column in rows.items()}
    if wanted.dtype == "float64":
        return {name: np.asarray(column) for name, column in in_precision(dict(rows), "float64").items()}
    return {name: _single(np.asarray(column)) for name, column in rows.items()}


def _single(column: np.ndarray) -> np.ndarray:
    return column.astype(np.float32) if column.dtype.kind == "f" else column


def _look(
    found: Source, wanted: Wanted, state: TrainState, rows: Batch, optimizer: Optimizer | None = None
) -> StepNumbers:
    """Compute one step on its own, in the precision that is wanted."""
    prepared = found.prepared
    with jax.enable_x64(wanted.dtype == "float64"):
        if wanted.dtype == "float64" and wanted.step == 1:
            state = state._replace(params=given_params(prepared.network, state.params))
        state = cast_to(state, wanted.dtype)
        columns = {name: jnp.asarray(column) for name, column in rows.items()}
        given = _given(prepared.network, wanted.delta, columns)
        config = prepared.config
        chosen = optimizer or config.optimizer
        stepper = Stepper(
            prepared.network, prepared.objectives, chosen, config.penalties, prepared.steps, freeze=config.freeze
        )
        plain = Program(step_numbers, stepper)(state, columns)
        made = plain if given is None else Program(step_with_delta, stepper, given[0])(state, columns, given[1])
        return numbers(
            stepper, state, rows, made, plain.look if given else None, **_facts(found, wanted, rows) | {"given": given}
        )


def _given(network: Network, delta: Any, columns: Mapping[str, Any]) -> tuple[str, np.ndarray] | None:
    """Return a delta in the shape of the network's output: one number for all, one a unit, or one an element."""
    if delta is None:
        return None
    shape = take(network.specs(columns, train=True), network.output).shape
    values = np.asarray(delta, np.float64).reshape(-1)
    if not np.isfinite(values).all():
        raise UsageError("expected finite numbers", where="delta")
    size = int(np.prod(shape))
    if values.size not in (1, shape[-1], size):
        raise UsageError(f"{values.size} numbers for the output {list(shape)}", where="delta",
                         cure=f"give 1, {shape[-1]} or {size}")  # fmt: skip
    return network.output, np.broadcast_to(values.reshape(shape) if values.size == size else values, shape)


def _facts(found: Source, wanted: Wanted, rows: Batch) -> dict[str, Any]:
    """Return what the numbers are of."""
    which = in_words(rows)
    if wanted.sample is not None:
        which = f"training row {wanted.sample}"
    elif wanted.batch is not None:
        which += " given"
    return {
        "name": found.label,
        "step": wanted.step,
        "steps": found.last,
        "rows": which,
        "dtype": wanted.dtype,
        "given": None,
    }
