"""The whole run in figures: parameters, memory per step and available memory, and the measured time per epoch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from retrograd.base.memory import available_bytes
from retrograd.explanation.nodes import NodeFacts
from retrograd.native.library import kernels
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in
from retrograd.training.prepare import Prepared, nbytes
from retrograd.update.step import Stepper

MEASURED = 5  # dispatches, of which the median is reported


@dataclass(frozen=True)
class Totals:
    """Sums over the nodes, in bytes, multiply-adds and seconds. `step_bytes` is the peak memory of a step.

    `temporary_bytes` is what the compiled step allocates in addition to its arguments, as reported by the compiler.
    """

    parameters: int
    trained: int
    parameter_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    tape_bytes: int
    output_bytes: int
    temporary_bytes: int | None
    step_bytes: int
    available_bytes: int | None
    forward_work: int
    backward_work: int
    rows: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    seconds_per_step: float | None
    together: int

    @property
    def seconds_per_epoch(self) -> float | None:
        """The time for the steps of an epoch, without scoring the validation part."""
        return None if self.seconds_per_step is None else self.seconds_per_step * self.steps_per_epoch


def totals_of(
    prepared: Prepared, nodes: Sequence[NodeFacts], variables: Variables, outputs: Any, measure: bool = True
) -> Totals:
    """Compute the totals; a step is compiled and timed unless `measure` is false."""
    rows = prepared.dataset.rows["train"]
    seconds, temporary, together = _measured(prepared, variables) if measure else (None, None, 1)
    parameters, optimizer = nbytes(variables.params), sum(node.optimizer_bytes for node in nodes)
    tapes, output_bytes = sum(node.tape_bytes for node in nodes), nbytes(outputs)
    working = temporary if temporary is not None else tapes + 2 * output_bytes
    return Totals(
        parameters=sum(node.parameters for node in nodes),
        trained=sum(node.trained for node in nodes),
        parameter_bytes=parameters,
        gradient_bytes=parameters,
        optimizer_bytes=optimizer,
        tape_bytes=tapes,
        output_bytes=output_bytes,
        temporary_bytes=temporary,
        step_bytes=2 * parameters + optimizer + max(working, 0),
        available_bytes=available_bytes(),
        forward_work=sum(node.forward_work for node in nodes),
        backward_work=sum(node.backward_work for node in nodes),
        rows=rows,
        batch_size=prepared.batch_size,
        steps_per_epoch=-(-rows // prepared.batch_size),
        epochs=prepared.config.training.epochs,
        seconds_per_step=seconds,
        together=together,
    )


def _measured(prepared: Prepared, variables: Variables) -> tuple[float, int | None, int]:
    """Return the seconds per training step, the temporary bytes of the compiled step, and the steps per dispatch."""
    training = prepared.config.training
    columns: Mapping[str, Any] = prepared.dataset.train
    with computing_in(training.precision), kernels(training.native_kernels):
        stepper = prepared.stepper()
        batch = {name: column[: prepared.batch_size] for name, column in columns.items()}
        train = stepper.start(variables, jax.random.key(training.seed))
        together = stepper.steps_per_dispatch(train, batch)
        single = jax.jit(stepper.step, donate_argnums=0).lower(train, batch).compile()
        memory = single.memory_analysis()
        seconds = _timed(stepper, train, columns, batch, single, together)
    return seconds, getattr(memory, "temp_size_in_bytes", None), together


def _timed(
    stepper: Stepper, train: Any, columns: Mapping[str, Any], batch: Mapping[str, Any], single: Any, together: int
) -> float:
    rows = len(next(iter(batch.values())))
    order = np.resize(np.arange(rows, dtype=np.int32), (together, rows))
    device = {name: jax.device_put(column) for name, column in columns.items()}
    seconds = []
    for _ in range(MEASURED + 1):  # the first is a warm-up
        begin = time.perf_counter()
        train, _ = stepper.many(train, device, order) if together > 1 else single(train, batch)
        jax.block_until_ready(train.params)
        seconds.append((time.perf_counter() - begin) / together)
    return statistics.median(seconds[1:])
