"""One training step with every number: forward pass, loss, deltas, gradients, update, and the loss after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.compilation.programs import Program
from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import UsageError, did_you_mean
from retrograd.data.dataset import Dataset
from retrograd.network.decimals import as_written, given_params
from retrograd.network.network import Network, take
from retrograd.network.precision import computing_in, in_precision
from retrograd.present.exact import Figures
from retrograd.tracing.condition import first_step
from retrograd.tracing.document import Writer
from retrograd.tracing.edits import NO_EDITS, edited
from retrograd.tracing.forms.drawing import as_png, as_svg, drawing
from retrograd.tracing.forms.form import Form, Markdown, Text
from retrograd.tracing.forms.latex import Latex
from retrograd.tracing.forms.page import as_html
from retrograd.tracing.forms.plain_values import as_json
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
from retrograd.update.hiding import hiding_of
from retrograd.update.optimizer import Optimizer
from retrograd.update.step import TrainState

Dtype = Literal["float64", "float32"]


@dataclass(frozen=True)
class Trace:
    """One step, readable as text, Markdown, LaTeX, JSON, a page or a figure; `numbers` holds the arrays."""

    numbers: StepNumbers
    remarks: tuple[str, ...]
    node: str | None = None
    replay: Replay | None = None

    def text(self, decimals: int = 4) -> str:
        """Return the trace as text for 80 columns."""
        return self._written(Text, decimals)

    def markdown(self, decimals: int = 4) -> str:
        """Return the trace as Markdown."""
        return self._written(Markdown, decimals)

    def json(self) -> str:
        """Return the trace as JSON, every number in full precision."""
        replay = None if self.replay is None else self.replay.plain()
        return as_json(self.numbers, self.remarks, replay, self.node) + "\n"

    def html(self, decimals: int = 4) -> str:
        """Return the trace as a self-contained page."""
        writer = self._writer(decimals)
        sections = list(writer.sections())
        return as_html(self.title, self.facts(writer.f), writer, sections, self.remarks, self.text(decimals))

    def latex(self, decimals: int = 4) -> str:
        """Return the trace as a LaTeX document: every equation, followed by its numbers."""
        return self._written(Latex, decimals)

    def svg(self, decimals: int = 4) -> str:
        """Return the step as a figure: the network with outputs, deltas, gradients and new weights."""
        return as_svg(drawing(self.numbers, self.figures(decimals), self.title))

    def png(self, decimals: int = 4) -> bytes:
        """Return the same figure as a PNG file."""
        return as_png(drawing(self.numbers, self.figures(decimals), self.title))

    def _written(self, form: type[Form], decimals: int) -> str:
        writer = self._writer(decimals)
        return form(writer.f).write(self.title, self.facts(writer.f), list(writer.sections()), self.remarks)

    def _writer(self, decimals: int) -> Writer:
        return Writer(self.numbers, self.figures(decimals), self.node)

    @property
    def title(self) -> str:
        """The subject of the trace in one line."""
        step = self.numbers
        return f"trace of {step.name}: step {step.step} of {step.steps}, {step.rows}, {step.dtype}"

    def facts(self, f: Figures) -> list[str]:
        """Return the sentences below the title."""
        step = self.numbers
        count = sum(parameter.before.size for parameter in step.parameters)
        losses = ", ".join(objective.loss.kind for objective in step.objectives)
        optimizer = f"{step.optimizer.registered_name}, learning rate {f.number(step.learning_rate)}"  # type: ignore[attr-defined]
        return [f"{len(step.nodes)} nodes, {count:,} parameters; {losses}; {optimizer}", *self._comparison()]

    def figures(self, decimals: int) -> Figures:
        """Return the number format of this trace."""
        return Figures(decimals, float(np.finfo(self.numbers.dtype).eps))

    def _comparison(self) -> list[str]:
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

    The weights are those before `step`, counted from 1: the run is retrained up to it in float32,
    with its guard's interventions; a configuration is trained without a guard.
    The rows are that step's own, one row of the training part (`sample`, from 0), or `batch`, columns of the caller's.
    In float64 the step is then computed from the same weights and rows; in float32, with the step's own rows,
    the run's compiled program computes it, and the weights after it can be compared with the run's.

    node: show one node in full. delta: values from which the backward pass starts at the network's output, instead
    of the losses' derivative. break_when: a condition such as `grad_norm>10`; the first step that meets it is traced.

        print(rg.trace("examples/xor.yaml", sample=3))
    """
    refuse_foreign(source, "trace")
    request = Request(step, sample, batch, node, dtype, delta, break_when)
    return traced(open_source(source, dataset, changes, batch), request)


class Request(NamedTuple):
    """The step of a source to trace, its rows, and options; the fields are those of `trace`."""

    step: int = 1
    sample: int | None = None
    batch: Mapping[str, Any] | None = None
    node: str | None = None
    dtype: Dtype = "float64"
    delta: Sequence[float] | float | None = None
    break_when: str | None = None

    def checked(self, source: Source) -> Request:
        """Return the request with its step and the full path of its node.

        Raises:  UsageError for contradictions and for what does not exist
        """
        if self.dtype not in ("float64", "float32"):
            raise UsageError(f"expected float64 or float32, found {self.dtype!r}", where="dtype")
        if self.sample is not None and self.batch is not None:
            raise UsageError("sample and batch exclude each other", cure="give one of them")
        path = None if self.node is None else node_path(source.prepared.network, self.node)
        step = self.step if self.break_when is None else first_step(source, self.break_when)
        check_step(source, step)
        return self._replace(step=step, node=path)

    @property
    def is_the_runs(self) -> bool:
        """Whether the step can equal the run's bit for bit, if the run computes in this precision."""
        return self.sample is None and self.batch is None and self.delta is None


def traced(source: Source, request: Request) -> Trace:
    """Return the requested step of a source."""
    return Desk(source, request).trace()


class Desk:
    """A step of a source, reached once and then computed any number of times with edited numbers."""

    def __init__(self, source: Source, request: Request) -> None:
        self.source, self.request = source, request.checked(source)
        self.reached, self.replayed = _reach(source, self.request)
        if self.reached and self.replayed:
            self.state, rows = self.replayed.before, self.reached.batch
        else:
            self.state, rows = first_state(source)
        self.rows = _rows(source, self.request, rows)

    def trace(self, edits: Mapping[str, float] = NO_EDITS) -> Trace:
        """Return the step; `edits` are numbers by their places: `hidden/weight[0,1]`, `x[0,2]`.

        Raises:  UsageError for a place that does not exist
        """
        source, request, reached, replayed = self.source, self.request, self.reached, self.replayed
        if not edits and reached and replayed and replayed.looked:
            with computing_in(source.prepared.config.training.precision):
                facts = _facts(source, request, self.rows)
                shown = numbers(reached.stepper, self.state, self.rows, replayed.looked, None, **facts)
        else:
            optimizer = reached.stepper.optimizer if reached else None
            shown = _look(source, request, self.state, self.rows, optimizer, edits)
        is_replay = reached and replayed and source.is_run and not edits
        verdict = verdict_on(request.step, source, reached, replayed) if is_replay else None  # type: ignore[arg-type]
        figures = Figures(4, float(np.finfo(request.dtype).eps))
        return Trace(shown, remarks(shown, figures), request.node, verdict)


def node_path(network: Network, name: str) -> str:
    """Return the path of the node named by a node, one of its parameters, or an entry."""
    for path in (name, name.rpartition("/")[0], network.resolve(name)):
        if path in network.by_name:
            return path
    raise UsageError(f"the network has no node '{name}'", where="node", cure=did_you_mean(name, network.by_name))


def _reach(source: Source, request: Request) -> tuple[Reached | None, Replayed | None]:
    """Train up to the step if needed: not for the first step of a configuration in another precision."""
    prepared = source.prepared
    as_run = request.is_the_runs and request.dtype == stored_in(prepared)
    if request.step == 1 and not source.is_run and not (as_run and request.dtype == "float32"):
        return None, None
    reached = reach(source, request.step)
    return reached, replay(prepared, reached, Looker(reached.stepper, prepared.steps) if as_run else None)


def _rows(source: Source, request: Request, run_rows: Batch) -> Batch:
    rows: Mapping[str, Any] = run_rows
    if request.sample is not None:
        rows = one_row(source.prepared.dataset, request.sample)
    if request.batch is not None:
        columns = source.prepared.dataset.train
        rows = {name: np.asarray(request.batch[name]) for name in columns if name in request.batch}
        missing = [name for name in columns if name not in request.batch]
        if missing:
            raise UsageError(f"there is no column '{missing[0]}'", where="batch", cure=f"give {', '.join(columns)}")
    if request.dtype == "float64" and stored_in(source.prepared) == "float32":
        return {name: as_written(column) for name, column in rows.items()}
    if request.dtype == "float64":
        return {name: np.asarray(column) for name, column in in_precision(dict(rows), "float64").items()}
    return {name: _single(np.asarray(column)) for name, column in rows.items()}


def _single(column: np.ndarray) -> np.ndarray:
    return column.astype(np.float32) if column.dtype.kind == "f" else column


def _look(
    source: Source, request: Request, state: TrainState, rows: Batch, optimizer: Optimizer | None = None,
    edits: Mapping[str, float] = NO_EDITS,
) -> StepNumbers:  # fmt: skip
    """Compute one step outside the run's program, in the requested precision."""
    prepared = source.prepared
    with jax.enable_x64(request.dtype == "float64"):
        if request.dtype == "float64" and request.step == 1:
            state = state._replace(params=given_params(prepared.network, state.params))
        state = cast_to(state, request.dtype)
        if edits:
            params, rows = edited(state.params, rows, edits)
            state = state._replace(params=params)
        outside = _outside(prepared.network, request.delta, rows)
        stepper = source.stepper if optimizer is None else source.stepper.with_optimizer(optimizer)
        columns: Mapping[str, Any] = rows
        mixing = prepared.config.training.mixing or hiding_of(prepared.dataset.preprocessing)
        if mixing is not None:  # the step uses the rows as it changes them
            key = jax.random.fold_in(state.key, state.step)
            columns = mixing(
                {name: jnp.asarray(column) for name, column in rows.items()}, key, prepared.network, prepared.objectives
            )
            rows = jax.device_get(columns)
        program = source.program if optimizer is None else Program(step_numbers, stepper)
        plain = program(state, columns)
        stepped = (
            plain if outside is None else Program(step_with_delta, stepper, outside[0])(state, columns, outside[1])
        )
        facts = _facts(source, request, rows) | {"outside": outside}
        return numbers(stepper, state, rows, stepped, plain.look if outside else None, **facts)


def _outside(network: Network, delta: Any, columns: Mapping[str, Any]) -> tuple[str, np.ndarray] | None:
    """Return a delta in the shape of the network's output, from one number, one per unit, or one per element."""
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


def _facts(source: Source, request: Request, rows: Batch) -> dict[str, Any]:
    """Return the descriptive fields of a step: name, number, rows, precision."""
    which = in_words(rows)
    if request.sample is not None:
        which = f"training row {request.sample}"
    elif request.batch is not None:
        which += " given"
    return {
        "name": source.label,
        "step": request.step,
        "steps": source.last,
        "rows": which,
        "dtype": request.dtype,
        "outside": None,
    }
