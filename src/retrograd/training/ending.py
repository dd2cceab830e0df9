"""The end of training: the model is saved before anything else, then scored, and the end is recorded."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.allocator import returning
from retrograd.base.errors import ResourceError, RetrogradError, RetrogradWarning
from retrograd.base.memory import memory_error
from retrograd.data.mapped_columns import is_mapped
from retrograd.network.network import Variables
from retrograd.network.own_layers import files_of
from retrograd.present.numbers import number
from retrograd.record.attention import Attention, write_attention
from retrograd.record.events import Metrics, Note, Stopped
from retrograd.record.judged import Judged, write_judged
from retrograd.record.layout import ATTENTION, PLANE, PREDICTIONS, START
from retrograd.record.plane import write_plane
from retrograd.record.rescue import writers_elsewhere
from retrograd.record.run import REPORT, RunFolder
from retrograd.record.tree import digest
from retrograd.record.writer import RunWriter
from retrograd.report.report import write_report
from retrograd.training.config.config import RunConfig, plain_config
from retrograd.training.loop.loop import Fitted
from retrograd.training.plane import PlaneSampler
from retrograd.training.prepare import PARTS, Prepared
from retrograd.training.use.attention import attention_of
from retrograd.training.use.evaluate import Evaluator
from retrograd.training.use.judge import judge
from retrograd.training.use.predict import Model
from retrograd.training.warm_start import WarmStart


class End(NamedTuple):
    """The final folder of a run, its model, its scores, and the error to raise once all is recorded."""

    folder: Path
    model: Model
    scores: Mapping[str, Mapping[str, float]]
    error: Exception | None


def end(
    place: RunWriter,
    prepared: Prepared,
    evaluator: Evaluator,
    fitted: Fitted,
    sampler: PlaneSampler | None = None,
) -> End:
    """Save the model, score it, record the end and write the report.

    Scoring all parts takes more memory than a training step. An error there is returned, and the scores are then
    those of the last evaluation.

    Raises:  ResourceError if the model can be written neither to the run folder nor anywhere else
    """
    measured = fitted.best.metrics if fitted.best else {}
    model = trained(prepared, fitted.variables, measured, evaluator.members, fitted.averaged)
    place, moved = saved(model, place, prepared.start)
    error: Exception | None = moved
    scores: Metrics = measured
    try:
        scores, judged = final_scores(prepared, evaluator, fitted.variables)
        model = trained(prepared, fitted.variables, scores, evaluator.members, fitted.averaged)
        if fitted.averaged is not None:
            words = scores_beside(prepared, evaluator, fitted.averaged)
            place.keep(Note(words))
            model = replace(model, facts={**model.facts, "averaged": words})
        save(model, place)
        keep(PREDICTIONS, judged, write_judged, place)
        keep(ATTENTION, lambda: looked_at(prepared, evaluator, fitted.variables), write_attention, place)
        if sampler is not None:
            keep(PLANE, lambda: sampler.plane(fitted), write_plane, place)
    except Exception as failure:
        error = error or unscored(failure, place.path)
    for note in not_finite(scores):
        place.keep(Note(f"warning: {note}"))
        warnings.warn(note, RetrogradWarning, stacklevel=2)
    place.finish(stopped(fitted, scores, model.facts["weights"]))
    tell(place)
    return End(place.path, model, scores, error)


def saved(model: Model, place: RunWriter, start: WarmStart | None) -> tuple[RunWriter, ResourceError | None]:
    """Save a model in its run folder, or else the whole run elsewhere, with the weights that it started from.

    Return where it was saved, and the error that reports the move.
    """
    try:
        save(model, place)
        return place, None
    except RetrogradError as refused:
        for copy in writers_elsewhere(place):
            try:
                if start:
                    start.model.save(copy.path / START)
                save(model, copy)
            except RetrogradError:
                copy.discard()
                continue
            if place.replaces:
                place.discard()
            reason = "; ".join(problem.message for problem in refused.problems)
            cure = f"the run was saved in {copy.path} instead"
            return copy, ResourceError(reason, where=str(place.path), cure=cure)
        raise


def save(model: Model, place: RunWriter) -> None:
    """Write the model of a run into its folder; only then is a run that it replaces deleted.

    Raises:  ResourceError if the folder was deleted or moved, or the disk refuses the write
    """
    if not place.is_there:
        raise ResourceError("the run folder was deleted or moved during training", where=str(place.path))
    model.save(place.model_path)
    place.saved()


def final_scores(
    prepared: Prepared, evaluator: Evaluator, variables: Variables
) -> tuple[Metrics, Callable[[], Judged | None]]:
    """Return all metrics of all parts, and a function judging the answers on the part furthest from training."""
    dataset = prepared.dataset
    scores: Metrics = {}
    part, tally = "", None
    for part in (name for name in PARTS if getattr(dataset, name) is not None):
        tally = None  # before the next part is answered: it keeps numbers of every row
        loss, tally = evaluator.tallied(variables, getattr(dataset, part))
        with returning() if is_mapped(getattr(dataset, part)) else nullcontext():  # of rows that may be millions
            scores[part] = {"loss": loss, **(tally.scores(full=True) if tally is not None else {})}
    return scores, lambda: judge(part, tally, dataset)


def looked_at(prepared: Prepared, evaluator: Evaluator, variables: Variables) -> Attention | None:
    """Return the attention weights for the first row of the part furthest from training."""
    part = [name for name in PARTS if getattr(prepared.dataset, name) is not None][-1]
    rows = getattr(prepared.dataset, part)
    if evaluator.members > 1 or not len(next(iter(rows.values()))):
        return None
    return attention_of(prepared.network, variables, part, rows, evaluator.precision)


def keep(name: str, make: Callable[[], Any], write: Callable[[Path, Any], None], place: RunFolder) -> None:
    """Write a file for the report, if there is content for it; a failure only warns, to save the run."""
    try:
        content = make()
        if content is not None:
            write(place.path, content)
    except Exception as error:
        warnings.warn(f"{place.path / name} was not written: {error}", RetrogradWarning, stacklevel=2)


def unscored(failure: Exception, folder: Path) -> Exception:
    """Return the error to raise if the final scores could not be measured or stored."""
    error = memory_error(failure) or failure
    if not isinstance(error, RetrogradError):
        return error
    reason = "; ".join(problem.message for problem in error.problems)
    return type(error)(f"the final scores are missing: {reason}", cure=f"the model is saved in {folder}")


def not_finite(scores: Metrics) -> Iterator[str]:
    """Yield a sentence for each part whose loss is not finite; on its own rows, training would have noticed."""
    for part, metrics in scores.items():
        loss = metrics.get("loss", 0.0)
        if not math.isfinite(loss):
            yield (
                f"the {part} loss is {loss}: for some of its rows the network's output is not finite, or too large "
                "for the loss; look for extreme values in these rows"
            )


def scores_beside(prepared: Prepared, evaluator: Evaluator, averaged: Variables) -> str:
    """Describe the scores of the averaged weights on the part furthest from training."""
    part = [name for name in PARTS if getattr(prepared.dataset, name) is not None][-1]
    scores = evaluator.scores(averaged, getattr(prepared.dataset, part), full=True)
    figures = ", ".join(f"{name} {number(value, 4)}" for name, value in scores.items())
    return f"averaged weights ({prepared.config.training.average}): {part} {figures}"


def trained(
    prepared: Prepared, variables: Variables, metrics: Metrics, members: int = 1, averaged: Variables | None = None
) -> Model:
    """Return the trained model: the weights, everything needed to use them, and the metrics.

    The weights of several members are stacked.
    """
    config, dataset = prepared.config, prepared.dataset
    columns = {name: [list(np.shape(column)[1:]), str(column.dtype)] for name, column in dataset.train.items()}
    facts: dict[str, Any] = {"task": dataset.task, "columns": columns, "metrics": metrics}
    facts |= {"weights": digest(variables.params)} | ({"layers": files} if (files := own_files(config)) else {})
    facts |= {"members": members} if members > 1 else {}
    return Model(config, prepared.network, prepared.objectives, variables, dataset.preprocessing, facts, averaged)


def tell(place: RunFolder) -> None:
    """Write the report of a finished run; a failure only warns, to save the run."""
    try:
        write_report(place)
    except Exception as error:
        warnings.warn(f"{place.path / REPORT} was not written: {error}", RetrogradWarning, stacklevel=2)


def own_files(config: RunConfig) -> dict[str, str]:
    """Return the name and digest of each file of user-defined layers that a configuration uses."""

    def words(plain: Any) -> Iterator[str]:
        if isinstance(plain, str):
            yield plain
        for inner in [*plain, *plain.values()] if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
            yield from words(inner)

    return files_of(set(words(plain_config(config))))


def stopped(fitted: Fitted, metrics: Metrics, weights: str) -> Stopped:
    """Return the event that ends a run."""
    last = fitted.history[-1] if fitted.history else None
    step, epoch, seconds = (last.step, last.epoch, last.seconds) if last else (0, 0, 0.0)
    best = fitted.best.epoch if fitted.best else None
    return Stopped(fitted.stop.reason, step, epoch, best, seconds, weights, metrics, fitted.stop.sentence)
