"""Training in memory: a model without a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retrograd.base.memory import memory_told
from retrograd.native.library import kernels
from retrograd.network.network import Variables
from retrograd.training.ending import trained
from retrograd.training.loop.loop import Fitted, Loop, Moment, Watcher
from retrograd.training.loop.saved import Saved
from retrograd.training.prepare import Prepared
from retrograd.training.use.predict import Model


def trained_in_memory(
    prepared: Prepared,
    first: Variables | None = None,
    watchers: Sequence[Watcher] = (),
    asked_to_stop: Callable[[], str | None] = lambda: None,
    save: Callable[[Callable[[], Saved], Moment], None] | None = None,
    saved: Saved | None = None,
) -> Fitted:
    """Train without writing anything, and return the outcome; `first` are initial weights, if given.

    `save` is offered the state when training ends or is stopped, and between dispatches; training continues from
    `saved`.

    Raises:  KeyboardInterrupt immediately when interrupted
    """
    config, dataset = prepared.config, prepared.dataset
    with kernels(config.training.native_kernels), memory_told():
        evaluator, part = prepared.evaluator(), prepared.measured_part
        measures = part == "valid" or config.training.goal is not None or config.training.early_stopping is not None
        return Loop(
            prepared.stepper(),
            config.training,
            dataset.train,
            score=lambda variables: {part: evaluator.scores(variables, getattr(dataset, part))} if measures else {},
            held_out=dataset.valid is not None,
            valid_rows=dataset.rows.get("valid", 0),
            watchers=watchers,
            asked_to_stop=asked_to_stop,
            save=save,
        ).run(first or prepared.first(), saved)


def model_of(prepared: Prepared, outcome: Fitted, members: int = 1) -> Model:
    """Return the trained model, of one member or several.

    Raises:  NonFiniteError if training met NaN or infinity
    """
    if outcome.error is not None:
        raise outcome.error
    return trained(prepared, outcome.variables, outcome.best.metrics if outcome.best else {}, members)
