"""`prune`: a trained network without its least important channels, and trained further."""

from __future__ import annotations

import dataclasses
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from retrograd.base.errors import ModelFileError, UsageError
from retrograd.base.memory import memory_told
from retrograd.data.dataset import Dataset
from retrograd.native.library import kernels
from retrograd.network.layer import Spec
from retrograd.network.network import Variables
from retrograd.present.numbers import alone
from retrograd.record.layout import CONFIG, START
from retrograd.record.run import RunFolder
from retrograd.ship.pruning import rules as rules
from retrograd.ship.pruning.coupling import Coupling, couple
from retrograd.ship.pruning.importance import by_magnitude, by_taylor
from retrograd.ship.pruning.statistics import measure_again
from retrograd.ship.pruning.surgery import Cut, Left, cut, is_exact, masked
from retrograd.training.adapted import without_adaptation
from retrograd.training.ending import trained
from retrograd.training.interrupts import interruptible
from retrograd.training.loop.loop import Watcher
from retrograd.training.loop.stop import falls
from retrograd.training.prepare import PARTS, Prepared, prepare
from retrograd.training.resume import stored_config, stored_data
from retrograd.training.run import Run, begin, train_into, train_prepared, writer
from retrograd.training.use.predict import Model, load_file, locate
from retrograd.training.warm_start import WarmStart, with_start

By = Literal["taylor", "magnitude"]
Watch = Callable[[str, int], AbstractContextManager[Watcher]]
ROWS = 64  # on which the pruned network is compared with the masked one
ALLOWED = 1e-4  # relative to the largest number or 1, because float32 sums have fewer terms, in another order
SUFFIX = "_pruned"


class PruningError(ModelFileError):
    """The pruned network lost more than is allowed."""


@dataclass(frozen=True)
class Line:
    """A network in the comparison: its scores, its number of weights, and their size in bytes."""

    name: str
    scores: Mapping[str, float]
    weights: int
    bytes: int


@dataclass(frozen=True)
class Pruned:
    """The result of pruning: the new run, unless it was not kept, and the networks that it is compared with.

    `lines` are the network before, pruned, pruned and retrained, and the same small network trained from scratch.
    `metric` is measured on `rows` rows of a `part`; `drop` is how much it fell, or for a loss how much it rose,
    relatively. `difference` is how far the pruned network is from the original one with zeros for the removed channels;
    None if a norm over channels now has fewer of them, which changes its values.
    """

    run: Run | None
    lines: tuple[Line, ...]
    left: tuple[Left, ...]
    metric: str
    part: str
    rows: int
    drop: float
    difference: float | None


def prune(run: Run | Model | str | Path, keep: float = 0.5, *, by: By = "taylor", epochs: int | None = None,
          max_drop: float | None = None, dataset: Dataset | None = None, runs: str | Path = "runs") -> Run:  # fmt: skip
    """Remove units, channels and heads of a trained network, train the rest further, and return the new run.

    `keep` is the share of each layer's channels to keep; the least important ones are removed, judged `by` the `taylor`
    expansion of the loss or the `magnitude` of weights. `epochs` defaults to those of the run. `max_drop`: how much of
    the score may be lost, 0.005 for half a percent. The new run is stored in `runs`, where the name of a run is looked
    up too. For a run trained on arrays, pass its Run, which has the data, or a `dataset`.

    Raises:  PruningError if more is lost than `max_drop` (then no run is kept); ConfigError if nothing can be removed;
             UsageError for invalid shares, an ensemble, or a run whose data are not there
    """
    pruned = prune_run(run, keep, by=by, epochs=epochs, max_drop=max_drop, dataset=dataset, runs=runs, scratch=False)
    if pruned.run is None:
        raise refusal(pruned, max_drop or 0.0)
    return pruned.run


def refusal(pruned: Pruned, max_drop: float) -> PruningError:
    """Return the error for a network that lost more than is allowed."""
    before, _, after = (alone(line.scores.get(pruned.metric)) for line in pruned.lines[:3])
    message = f"{pruned.part} {pruned.metric} went from {before} to {after}; at most {100 * max_drop:g} % may be lost"
    return PruningError(message, where="prune", cure="no run was kept; keep more, or train for more epochs")


def prune_run(run: Run | Model | str | Path, keep: float, *, by: By = "taylor", epochs: int | None = None,
              max_drop: float | None = None, dataset: Dataset | None = None, runs: str | Path = "runs",
              scratch: bool = True, watch: Watch | None = None) -> Pruned:  # fmt: skip
    """Prune a run like `prune`, and return all results; `scratch`: include the comparison with training from scratch.

    `watch` returns a watcher, given what is trained and for how many epochs.
    """
    check(keep, by, epochs, max_drop)
    model, whole = prepared_of(run, dataset, runs)
    coupling, part = coupled_channels(whole, model.variables), measured_part(whole.dataset)
    smaller = cut(
        whole.network, coupling, model.variables, importance(whole, model, coupling, by), keep, one_row(whole)
    )
    config = dataclasses.replace(whole.config, network=smaller.network.entries, name=pruned_name(whole.config.name))
    fresh = prepare(config, whole.dataset, None)
    difference = compared(whole, fresh, model, coupling, smaller) if is_exact(coupling, smaller.gone) else None
    first, columns = measure_again(fresh, smaller.variables), getattr(whole.dataset, part)
    lines = [line("before", whole, model.variables, columns), line("pruned", fresh, first, columns)]
    note = f"pruned by {by}, keep {keep:g}: " + ", ".join(
        f"{each.node} {each.setting} {each.before} -> {each.after}"
        for each in smaller.left
        if each.before != each.after
    )
    retrained = retrain(fresh, first, epochs, Path(runs), note, watch or unwatched)
    lines.append(line("pruned, retrained", fresh, retrained.model.variables, columns))
    metric = main_metric(lines[0].scores)
    drop = lost(metric, lines[0].scores, lines[-1].scores)
    if scratch:
        lines.append(line("from scratch", fresh, from_scratch(fresh, watch or unwatched), columns))
    kept: Run | None = retrained
    if max_drop is not None and not drop <= max_drop:
        shutil.rmtree(retrained.folder)
        kept = None
    return Pruned(kept, tuple(lines), smaller.left, metric, part, whole.dataset.rows[part], drop, difference)


def check(keep: float, by: str, epochs: int | None, max_drop: float | None) -> None:
    """Raise UsageError for invalid arguments."""
    if not 0 < keep < 1:
        raise UsageError(f"expected a share between 0 and 1, found {keep:g}", where="keep", cure="0.5, or 50%, is half")
    if by not in ("taylor", "magnitude"):
        raise UsageError(f"expected taylor or magnitude, found '{by}'", where="by")
    if epochs is not None and epochs < 1:
        raise UsageError(f"expected at least 1, found {epochs}", where="epochs")
    if max_drop is not None and not (math.isfinite(max_drop) and max_drop >= 0):
        raise UsageError(f"expected a share, 0 or more, found {max_drop:g}", where="max_drop", cure="0.005, or 0.5%")


def prepared_of(run: Run | Model | str | Path, dataset: Dataset | None, runs: str | Path) -> tuple[Model, Prepared]:
    """Return a model and the run that it comes from, with its data."""
    if isinstance(run, Run):
        model, dataset = run.model, dataset or run.dataset
    elif isinstance(run, Model):
        model = run
    else:
        path = locate(run, runs)
        model = load_file(path)
        if (path.parent / CONFIG).exists():  # its paths lead to the data from anywhere
            data = stored_config(RunFolder(path.parent)).data
            model = dataclasses.replace(model, config=dataclasses.replace(model.config, data=data))
    if model.members > 1:
        raise UsageError("an ensemble cannot be pruned", where=model.config.name, cure="train a single network")
    if dataset is None:
        stored_data(model.config, model.config.name, "in Python: rg.prune(run), or rg.prune(..., dataset=...)")
    model = without_adaptation(model)
    return model, prepare(with_start(model.config, None), dataset, None)


def coupled_channels(prepared: Prepared, variables: Variables) -> Coupling:
    """Return which channels of a prepared run's network can only be removed together."""
    return couple(prepared.network, prepared.objectives, variables, one_row(prepared))


def one_row(prepared: Prepared) -> dict[str, Spec]:
    """Return the specs of a batch of one row."""
    return {name: Spec((1, *column.shape[1:]), column.dtype) for name, column in prepared.dataset.train.items()}


def importance(prepared: Prepared, model: Model, coupling: Coupling, by: By) -> Mapping[int, float]:
    """Return the importance of each set of channels."""
    if by == "magnitude":
        return by_magnitude(coupling, model.variables)
    precision = prepared.config.training.precision
    return by_taylor(
        prepared.network, prepared.objectives, coupling, model.variables, prepared.dataset.train, precision
    )


def compared(whole: Prepared, small: Prepared, model: Model, coupling: Coupling, smaller: Cut) -> float:
    """Return how far the pruned network's output is from that of the original one with zeros for removed channels.

    Raises:  ModelFileError if they differ
    """
    columns = {name: column[:ROWS] for name, column in getattr(whole.dataset, measured_part(whole.dataset)).items()}
    wanted = whole.evaluator().outputs(masked(coupling, model.variables, smaller.gone), columns)
    got = small.evaluator().outputs(smaller.variables, columns)
    apart = float(np.abs(got - wanted).max() / max(1.0, float(np.abs(wanted).max())))
    if not apart <= ALLOWED:
        message = f"the pruned network differs from the original one with zeros for removed channels by {apart:.1e}"
        raise ModelFileError(
            message, where="prune", cure="if an activation of your own mixes channels, set by_element = False"
        )
    return apart


def retrain(fresh: Prepared, first: Variables, epochs: int | None, root: Path, note: str, watch: Watch
            ) -> Run:  # fmt: skip
    """Train a pruned network further from its cut weights, in a new run folder, which keeps these weights too."""
    training = fresh.config.training
    config = dataclasses.replace(fresh.config, training=dataclasses.replace(training, epochs=epochs or training.epochs))
    model = trained(fresh, first, {})
    with (kernels(training.native_kernels), memory_told(), interruptible() as interrupts,
          writer(config.name, root, None, False) as place,
          watch("the pruned network, trained further", config.training.epochs) as watcher):  # fmt: skip
        start = (place.path / START).absolute()
        prepared = dataclasses.replace(
            fresh, config=with_start(config, str(start)), start=WarmStart(start, model, first)
        )
        begin(place, prepared, False, (note,))
        run = train_into(place, prepared, (watcher,), interrupts.asked, False)
    interrupts.pass_on(run.folder)
    return run


def from_scratch(fresh: Prepared, watch: Watch) -> Variables:
    """Return the weights of the small network trained from random ones, with the settings of the original run."""
    epochs = fresh.config.training.epochs
    with tempfile.TemporaryDirectory() as folder, watch("the same network from scratch", epochs) as watcher:
        return train_prepared(fresh, root=folder, watchers=(watcher,)).model.variables


@contextmanager
def unwatched(what: str, epochs: int) -> Iterator[Watcher]:
    """Yield a watcher that does nothing."""
    yield lambda epoch: None


def line(name: str, prepared: Prepared, variables: Variables, columns: Mapping[str, Any]) -> Line:
    """Return a line of the comparison."""
    leaves = jax.tree.leaves(variables.params)
    scores = prepared.evaluator().scores(variables, columns)
    return Line(name, scores, sum(leaf.size for leaf in leaves), sum(leaf.nbytes for leaf in leaves))


def measured_part(dataset: Dataset) -> str:
    """Return the part that is most informative about new rows: test, else validation, else training."""
    return next(part for part in reversed(PARTS) if getattr(dataset, part) is not None)


def main_metric(scores: Mapping[str, float]) -> str:
    """Return the metric to judge: the task's own, else the loss."""
    return next((name for name in scores if name != "loss"), "loss")


def lost(metric: str, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return how much of a score is lost, relatively if lower is better."""
    old, new = before[metric], after.get(metric, math.nan)
    return (new - old) / max(abs(old), 1e-12) if falls(metric) else old - new


def pruned_name(name: str) -> str:
    """Return the name for the pruned version of a run."""
    return name if name.endswith(SUFFIX) else name + SUFFIX
