"""Training in portions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax

from retrograd.base.errors import NonFiniteError
from retrograd.base.memory import memory_told
from retrograd.data.batches import epoch_order
from retrograd.native.library import kernels
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in, in_precision, taken_out
from retrograd.training.ending import trained
from retrograd.training.loop.guarded import all_finite, copied
from retrograd.training.prepare import Prepared
from retrograd.training.use.predict import Model


class Stream:
    """Training on rows that arrive in portions; the moments of the optimizer are kept between them."""

    def __init__(self, prepared: Prepared, first: Variables | None = None) -> None:
        self.prepared, self.precision = prepared, prepared.config.training.precision
        self.stepper = prepared.stepper()
        self.mixes_batch = any(node.layer.mixes_batch for node in prepared.network)
        with computing_in(self.precision):
            variables = in_precision(first or prepared.first(), self.precision)
            self.train = self.stepper.start(variables, jax.random.key(prepared.config.training.seed))

    def epoch(self, columns: Mapping[str, Any], seed: int) -> float:
        """Train on each row once; return the mean loss.

        Raises:  NonFiniteError if the loss or a weight is not finite; the previous weights are kept
        """
        settings = self.prepared.config.training
        rows, shuffle = len(columns["y"]), settings.shuffle
        order = epoch_order(rows, settings.batch_rows(rows), seed, 0, shuffle=shuffle, join_single=self.mixes_batch)
        batches = [*order.full, *([] if order.rest is None else [order.rest])]
        total = 0.0
        with kernels(settings.native_kernels), memory_told(), computing_in(self.precision):
            previous, train = copied(self.train), self.train
            for indices in batches:
                batch = in_precision({name: column[indices] for name, column in columns.items()}, self.precision)
                train, outcome = self.stepper.single(train, batch)
                total += float(outcome.loss) * len(indices)
            is_finite = math.isfinite(total) and all_finite(train.params)
            self.train = train if is_finite else previous
        if not is_finite:
            raise NonFiniteError("the loss or a weight is not finite; the previous weights are kept",
                                 cure="lower the learning rate, or check for extreme values")  # fmt: skip
        return total / rows

    def model(self) -> Model:
        """Return the current model."""
        with computing_in(self.precision):
            variables = taken_out(Variables(*copied((self.train.params, self.train.state))), self.precision)
        return trained(self.prepared, variables, {})
