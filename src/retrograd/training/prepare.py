"""A run before it starts: data loaded, network built, and everything checked that needs no computation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from retrograd.base.document import read_document
from retrograd.base.errors import ConfigError, Problem, RetrogradError
from retrograd.base.memory import available_bytes, check_device, out_of_memory
from retrograd.base.sentence import sentence, setting
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, load
from retrograd.distributed.settings import Distributed
from retrograd.distributed.team import ALONE, Team
from retrograd.network.layer import Spec
from retrograd.network.network import Network, Variables, take
from retrograd.network.precision import computing_in, in_precision
from retrograd.propagation.objective import Objective
from retrograd.training.adapted import adapter_places, with_adapters, with_frozen_base, without_adapters
from retrograd.training.config.config import RunConfig, config_in, document_with, with_rate
from retrograd.training.config.output_check import mistakes
from retrograd.training.loop.stop import check_goal
from retrograd.training.pretrained import Pretrained, pretrained
from retrograd.training.use.evaluate import Evaluator
from retrograd.training.use.ranges import check_identifiers, check_targets
from retrograd.training.warm_start import WarmStart, warm_start, with_start
from retrograd.update.hiding import hiding_of
from retrograd.update.optimizer import optimizers
from retrograd.update.selection import select
from retrograd.update.step import Stepper, TrainState

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Prepared:
    """A run before its first step: everything that can be checked without computation has been checked."""

    config: RunConfig
    dataset: Dataset
    network: Network
    objectives: tuple[Objective, ...]
    start: WarmStart | None = None
    team: Team = ALONE
    pretrained: Pretrained | None = None
    form: TrainState | None = None  # specs of the training state

    def first(self, seed: int | None = None) -> Variables:
        """Return the initial weights: those of another run or program, or drawn from a seed."""
        if self.start is not None:
            return self.start.variables
        specs = {name: Spec(np.shape(column), column.dtype) for name, column in self.dataset.train.items()}
        key = jax.random.key(self.config.training.seed if seed is None else seed)
        if self.pretrained is not None:
            return self.pretrained.variables(self.network, key, specs)
        return self.network.init(key, specs)

    @property
    def batch_size(self) -> int:
        """The number of rows in a full minibatch."""
        return self.config.training.batch_rows(self.dataset.rows["train"])

    @property
    def measured_part(self) -> str:
        """The part of the data that is evaluated after each epoch."""
        return "train" if self.dataset.valid is None else "valid"

    @property
    def steps(self) -> int:
        """The maximum number of steps of the run."""
        return self.config.training.steps(self.dataset.rows["train"])

    @property
    def cuts(self) -> bool:
        """Whether some parameters or moments are cut among the devices; the same in all processes."""
        return self.team.layout is not None and self.team.layout.cuts(self.form)

    def warnings(self) -> tuple[str, ...]:
        """Return what looks wrong with the output, the initial weights or the cuts, and what to do about it."""
        outputs = self.network.specs({name: column[:2] for name, column in self.dataset.train.items()})
        classes = None if self.dataset.classes is None else len(self.dataset.classes)
        output_mistakes = mistakes(self.network, self.objectives, outputs, classes)
        output = (
            f"{self.network.line(m.node)}: {m.message}; {m.cure}" for m in output_mistakes if m.severity != "note"
        )
        idle = self.team.layout.idle(self.form.params) if self.team.layout and self.form else ()
        return (*output, *(self.start.warnings if self.start else ()), *idle)

    def stepper(self) -> Stepper:
        """Return the training step that the configuration describes."""
        config, training = self.config, self.config.training
        watched = training.convergence is not None and training.convergence.gradient_norm is not None
        epoch = self.steps // training.epochs
        return Stepper(
            self.network,
            self.objectives,
            config.optimizer.timed(epoch),
            config.penalties,
            self.steps,
            watched,
            training.precision,
            config.freeze,
            training.mixing or hiding_of(self.dataset.preprocessing),
            self.team.layout,
            training.average.rule(epoch) if training.average else None,
        )

    def evaluator(self, members: int = 1, team: Team = ALONE) -> Evaluator:
        """Return the evaluator of weights between epochs, or of several members' weights together."""
        precision = self.config.training.precision
        return Evaluator(self.network, self.objectives, self.dataset.preprocessing, precision, members, team)


def alone(settings: Distributed | None) -> Team:
    """Return the team of a single process, ignoring the configuration."""
    return ALONE


def prepare(
    config: RunConfig, dataset: Dataset | None = None, runs: str | Path | None = "runs", team: Team = ALONE
) -> Prepared:
    """Return the run with its data loaded, its network built and its shapes checked.

    `runs` is the folder of the run that `training.start` names; None leaves its weights to `with_first_weights`.

    Raises:  ConfigError, DataError, ShapeError: anything that would make a step fail, before a run folder is created.
    """
    check_device()
    if dataset is None:
        if config.data is None:
            raise ConfigError(
                "missing",
                where="data",
                cure=sentence(
                    "name a built-in ({}) or a file ({})", setting("data", "xor"), setting("data.path", "...")
                ),
            )
        with reading_in(config.training.precision):
            dataset = load(config.data)
    config = with_frozen_weights(config)
    network, objectives = config.build(dataset.sizes, dataset.task, tuple(dataset.train))
    prepared = Prepared(config.filled(network, dataset.task), dataset, network, tuple(objectives), team=team)
    check_accumulation(prepared)
    check_ensemble(prepared)
    try:
        prepared = dataclasses.replace(prepared, form=check_shapes(prepared))
    except RetrogradError as error:
        raise at_entry(error, network) from error
    return prepared if runs is None else with_first_weights(prepared, runs)


def with_first_weights(prepared: Prepared, runs: str | Path = "runs") -> Prepared:
    """Return the run with the configured initial weights loaded and their path made absolute."""
    config, training, network = prepared.config, prepared.config.training, prepared.network
    if training.start is None and config.weights is None and config.adapt is None:
        return prepared
    batch = {name: Spec((1, *column.shape[1:]), column.dtype) for name, column in prepared.dataset.train.items()}
    with computing_in(training.precision):
        expected = jax.eval_shape(lambda key: network.init(key, batch), jax.random.key(0))
        expected = in_precision(expected, training.precision)
    added = adapter_places(network, expected.params)
    loaded = pretrained(config.weights, expected, added) if config.weights is not None else None
    config = with_frozen_base(config, network, expected.params, loaded.drawn if loaded else ())
    if training.start is None:
        return dataclasses.replace(prepared, config=config, pretrained=loaded)
    base = Variables(without_adapters(network, expected.params), expected.state)
    start = warm_start(training.start, base, prepared.dataset.preprocessing, runs)
    if added:
        start = start._replace(variables=with_adapters(network, start.variables, training.seed, batch))
    return dataclasses.replace(prepared, config=with_start(config, str(start.path)), start=start)


def with_frozen_weights(config: RunConfig) -> RunConfig:
    """Return the configuration with `weights.freeze` moved into `freeze`."""
    weights = config.weights
    if weights is None or not weights.freeze:
        return config
    freeze = (*config.freeze, *(pattern for pattern in weights.freeze if pattern not in config.freeze))
    return dataclasses.replace(config, freeze=freeze, weights=dataclasses.replace(weights, freeze=()))


def prepare_file(
    path: Path,
    changes: Sequence[str] = (),
    learning_rate: float | None = None,
    runs: str | Path | None = "runs",
    joins: Callable[[Distributed | None], Team] = alone,
) -> Prepared:
    """Return the run described by a YAML file (see `prepare`); errors name the file and line.

    `joins` connects it with other processes before anything is computed.
    """
    document = document_with(changes, read_document(path))
    config = with_rate(config_in(path.parent, document), learning_rate)
    try:
        team = joins(config.distributed)
        with reading_in(config.training.precision):
            dataset = None if config.data is None else load(config.data)
    except ConfigError as error:
        raise document.located(error) from error
    try:
        return prepare(config, dataset, runs, team)
    except RetrogradError as error:
        raise document.located(error) from error


def at_entry(error: RetrogradError, network: Network) -> RetrogradError:
    """Return the error with the configuration entry, e.g. `network.2`, before each node's path."""

    def moved(problem: Problem) -> Problem:
        index = network.entry_index(problem.where.partition(" (")[0])
        return problem if index is None else problem._replace(where=f"network.{index}: {problem.where}")

    return type(error)([moved(problem) for problem in error.problems])


def check_accumulation(prepared: Prepared) -> None:
    """Raise ConfigError if a batch has fewer rows than micro-batches."""
    optimizer, rows = prepared.config.optimizer, prepared.batch_size
    if optimizer.accumulate > rows:
        where = f"optimizer.{optimizers.name_of(type(optimizer))}.accumulate"
        message = f"{optimizer.accumulate} micro-batches cannot be cut from a batch of {rows} rows"
        raise ConfigError(message, where=where, cure=f"at most {rows}, or a larger training.batch_size")


def check_ensemble(prepared: Prepared) -> None:
    """Raise ConfigError if the answers of several networks cannot be averaged."""
    if prepared.config.training.ensemble == 1:
        return
    where, task = "training.ensemble", prepared.dataset.task
    if prepared.team is not ALONE:
        cure = "remove `ensemble` or `distributed`"
        raise ConfigError("an ensemble is trained by one process on one device", where=where, cure=cure)
    if len(prepared.objectives) > 1 or "." in prepared.objectives[0].inputs[0]:
        raise ConfigError("an ensemble needs a single output with one loss", where=where, cure="remove it")
    if task in ("detection", "next_token", "masked_token", "answer", "transcription"):
        raise ConfigError(f"the answers of {task} cannot be averaged", where=where, cure="remove it")


def check_trained(stepper: Stepper, params: Mapping[str, Any]) -> None:
    """Raise ConfigError if a step would change nothing."""
    if not params:
        raise ConfigError("no layer has parameters: there is nothing to train", where="network")
    if not stepper.trained(params):
        where = "freeze" if stepper.freeze else "network"
        cure = "remove `frozen` and `freeze` from the parameters to train"
        raise ConfigError("all parameters are frozen: there is nothing to train", where=where, cure=cure)


def check_shapes(prepared: Prepared) -> TrainState:
    """Trace one step without computing it, and return the specs of the state after it.

    An error names the layer or loss that does not fit. Then check what a compiled step could not report.
    """
    precision, rows = prepared.config.training.precision, prepared.batch_size
    specs = {name: Spec((rows, *column.shape[1:]), column.dtype) for name, column in prepared.dataset.train.items()}
    batch = in_precision(specs, precision)
    stepper = prepared.stepper()

    def first(key: jax.Array) -> Any:
        return stepper.start(in_precision(prepared.network.init(key, batch), precision), key)

    with computing_in(precision):
        outputs = prepared.network.specs(batch)
        state = jax.eval_shape(first, jax.random.key(0))
        after: TrainState = stepper.single.shapes(state, batch)[0]
    if prepared.config.freeze:
        select(after.params, prepared.config.freeze, "freeze")
    check_trained(stepper, after.params)
    stored = {node.name: outputs[node.name] for node in prepared.network if not node.recompute}
    check_room(after, stored)
    evaluator = prepared.evaluator()
    if prepared.config.training.goal:
        names = evaluator.metric_names(take(outputs, evaluator.main_output).shape)
        check_goal(prepared.config.training.goal, prepared.measured_part, names)
    for name in PARTS:
        columns = getattr(prepared.dataset, name) or {}
        check_identifiers(prepared.network, columns)
        for objective in prepared.objectives:
            check_targets(objective, take(outputs, objective.inputs[0]).shape[-1], columns)
    return after


def check_room(train: TrainState, outputs: Mapping[str, Any]) -> None:
    """Refuse a run whose minimum does not fit in memory: parameters, gradients, moments and one batch's outputs.

    `outputs` are the specs of each node's output.

    Raises:  ResourceError naming the largest item.
    """
    parts = {
        f"{node}/{name}": nbytes(leaf)
        for node, node_params in train.params.items()
        for name, leaf in node_params.items()
    }
    needed = 2 * sum(parts.values()) + nbytes(train.optimizer)  # as many gradients as parameters
    parts |= {f"the output of {node}": nbytes(spec) for node, spec in outputs.items()}
    needed += sum(parts[f"the output of {node}"] for node in outputs)
    available = available_bytes()
    if available is not None and needed > available:
        largest = max(parts, key=lambda name: parts[name])
        raise out_of_memory(needed, f"training (largest: {largest}, {parts[largest]:,})")


def nbytes(tree: Any) -> int:
    """Return the bytes of arrays or specs."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
