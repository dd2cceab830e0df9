"""The whole run as one configuration: data, network, loss, optimizer, training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from retrograd.base.annotations import Custom, Registered, Words, show
from retrograd.base.document import Document, is_document, read_document
from retrograd.base.errors import ConfigError, Problem
from retrograd.base.json_schema import json_schema, registry_definition, registry_schema, settings_choices
from retrograd.base.places import placed
from retrograd.base.schema import (
    Settings,
    dump,
    fields,
    parse,
    parse_registered,
)
from retrograd.data.cells.vocabulary import NO_TARGET, PADDING
from retrograd.data.read.json_files import holds_rows
from retrograd.data.settings import DataSettings
from retrograd.distributed.settings import Distributed
from retrograd.network.adapt import adapt
from retrograd.network.blocks import blocks
from retrograd.network.entries import Entries, entry_definition
from retrograd.network.initializers import initializers
from retrograd.network.layer import Activation, layers
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.network import Network
from retrograd.propagation.objective import Objective
from retrograd.training.config.changes import with_change
from retrograd.training.config.search import Search, parse_search, search_schema
from retrograd.training.config.settings import DETECTION_LOSSES, LossOn, TrainingSettings
from retrograd.training.config.weights import AdaptSettings, WeightsSettings
from retrograd.update.adam import Adam
from retrograd.update.optimizer import Optimizer, optimizers
from retrograd.update.penalties import Penalty, penalties
from retrograd.update.schedule import schedules

DEFAULT_LOSS = {
    "regression": "mean_squared_error",
    "unsupervised": "mean_squared_error",
    "binary": "binary_cross_entropy",
    "multiclass": "cross_entropy",
    "multilabel": "binary_cross_entropy",
    "segmentation": "cross_entropy",
    "next_token": "cross_entropy",
    "masked_token": "cross_entropy",
    "answer": "cross_entropy",
    "transcription": "ctc",
}


def is_configuration(path: Path) -> bool:
    """Return whether a file is a configuration: YAML, or JSON that is not a table."""
    sections = {field.name for field in dataclasses.fields(RunConfig)}
    return is_document(path) and not holds_rows(path, sections.__contains__)


def default_loss(task: str, data: DataSettings | None = None) -> Loss:
    """Return the default loss of a task; for tokens, it ignores positions without a target.

    Raises:  ConfigError for detection, which needs separate losses for objects, boxes and classes
    """
    if task not in DEFAULT_LOSS:
        raise ConfigError(f"{task} has no default loss", where="loss", cure=DETECTION_LOSSES)
    chosen: Callable[..., Loss] = losses[DEFAULT_LOSS[task]]
    ignored = NO_TARGET if task == "masked_token" or (data and data.text and data.text.special) else PADDING
    return chosen(ignored=ignored) if task in ("next_token", "masked_token", "answer") else chosen()


def _parse_losses(value: Any, path: str) -> tuple[tuple[str, LossOn], ...]:
    if isinstance(value, tuple):  # already parsed
        return value
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"expected a mapping {{node: {{loss: ..., target: ...}}}}, found {show(value)}", where=path)
    return tuple((str(node), parse(LossOn, item, f"{path}.{node}")) for node, item in value.items())


def _losses_schema() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"anyOf": settings_choices(LossOn)}}


def _parse_penalties(value: Any, path: str) -> tuple[Penalty, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(parse_registered(penalties, item, f"{path}.{i}") for i, item in enumerate(items))


Losses = Annotated[
    tuple[tuple[str, LossOn], ...],
    Custom(
        _parse_losses,
        lambda value, filled: {node: dump(loss, filled=filled) for node, loss in value},
        _losses_schema,
        "a mapping of nodes to losses",
    ),
]
Penalties = Annotated[
    tuple[Penalty, ...],
    Custom(
        _parse_penalties,
        lambda value, filled: [{penalties.name_of(type(p)): dump(p, filled=filled)} for p in value],
        lambda: {"anyOf": [{"type": "array", "items": registry_schema(penalties)}, registry_schema(penalties)]},
        "a list of penalties",
    ),
]

Searched = Annotated[
    Search | None,
    Custom(
        parse_search,
        lambda value, filled: None if value is None else value.plain(),
        search_schema,
        "a mapping of settings to the values to try",
    ),
]


@dataclass(frozen=True)
class RunConfig(Settings):
    """Everything that a run needs; the file stored with a run holds every field."""

    data: Annotated[DataSettings | None, Words("where the rows come from and how they become numbers")] = None
    network: Annotated[
        Entries, Words("the layers, in order; each reads the previous one unless `inputs` names another")
    ] = ()
    loss: Annotated[
        Loss | None,
        Registered(losses),
        Words(
            "one number for how wrong the output is; the backward pass starts from it",
            why="set by the task: mean_squared_error for quantities, binary_cross_entropy or cross_entropy for classes",
        ),
    ] = None  # default: by the task
    losses: Annotated[
        Losses, Words("instead of `loss`: one loss for each of several outputs, by node name")
    ] = ()  # instead of `loss`, for several outputs
    optimizer: Annotated[
        Optimizer,
        Registered(optimizers),
        Words("how gradients become parameter updates", why="adam needs the least tuning"),
    ] = Adam()  # noqa: RUF009  # frozen, so it can be shared
    penalties: Annotated[
        Penalties, Words("penalties on the size of the parameters, added to the loss", why="none: the loss alone")
    ] = ()
    freeze: Annotated[
        tuple[str, ...],
        Words("parameters that are not trained, e.g. [hidden/bias] or ['*/bias']", why="none: all are trained"),
    ] = ()
    weights: Annotated[
        WeightsSettings | None, Words("pretrained weights of another program to start from", why="none: random ones")
    ] = None
    adapt: Annotated[
        AdaptSettings | None,
        Words("low-rank update of some layers' weights, trained instead", why="none: the weights are trained"),
    ] = None
    training: Annotated[TrainingSettings, Words("training length, batches, and when to stop")] = TrainingSettings()  # noqa: RUF009  # frozen, so it can be shared
    search: Annotated[
        Searched,
        Words(
            "what `retrograd tune` tries: settings by their --set paths, plus method, metric, seeds, trials, seed",
            why="none: `retrograd tune` searches the learning rate only",
        ),
    ] = None
    distributed: Annotated[
        Distributed | None,
        Words(
            "training in several processes and on several devices",
            why="none: one process on one device, unless `retrograd launch` starts several",
        ),
    ] = None
    name: Annotated[str, Words("name of the run, used in its folder's name")] = "run"

    def rules(self) -> Iterator[Problem]:
        """A network must be given, and one kind of loss."""
        if not self.network:
            yield Problem("network", "missing", "expected a list of layers, such as [{dense: 8}, tanh, {dense: 1}]")
        if self.losses and self.loss is not None:
            yield Problem("losses", "given together with `loss`", "keep one of them")
        if self.weights is not None and self.training.start is not None:
            yield Problem("weights", "given together with `training.start`", "keep one of them")

    def build(self, sizes: Mapping[str, int], task: str, columns: Sequence[str]) -> tuple[Network, list[Objective]]:
        """Return the network with its widths filled in from the data, and its objectives."""
        try:
            network = Network(*self.network).fill(sizes)
            if self.adapt is not None:
                settings = self.adapt
                network = adapt(network, settings.layers, rank=settings.rank, alpha=settings.alpha)
        except ConfigError as error:
            raise ConfigError(error.problems) from None
        return network, list(self._objectives(network, task, columns))

    def _objectives(self, network: Network, task: str, columns: Sequence[str]) -> Iterator[Objective]:
        weight = "sample_weight" if "sample_weight" in columns else None
        target = "y" if task != "unsupervised" or "y" in columns else "x"
        single = () if self.losses else ((network.output, LossOn(self.loss or default_loss(task, self.data), target)),)
        for node, loss_on in self.losses or single:
            targets = (loss_on.target,) if isinstance(loss_on.target, str) else loss_on.target
            for target_name in targets:
                if target_name not in columns and network.resolve(target_name).partition(".")[0] not in network.by_name:
                    raise ConfigError(f"the data has no column '{target_name}'", where=f"losses.{node}.target",
                                      cure=f"have: {', '.join(columns)}")  # fmt: skip
            name = "loss" if not self.losses else f"loss/{node}"
            output = network.resolve(node)
            if output.partition(".")[0] not in network.by_name:
                raise ConfigError(f"the network has no node '{node}'", where=f"losses.{node}",
                                  cure=f"nodes: {', '.join(network.by_name)}")  # fmt: skip
            yield Objective.on(
                network, loss_on.loss, node, targets, sample_weight=weight, name=name, weight=loss_on.weight
            )

    def filled(self, network: Network, task: str) -> RunConfig:
        """Return the configuration with the values set by the data and the defaults written out."""
        loss = None if self.losses else self.loss or default_loss(task, self.data)
        return dataclasses.replace(self, network=network.filled_entries(), loss=loss)


def read_config(path: str | Path, changes: Sequence[str] = ()) -> RunConfig:
    """Return the configuration in a YAML file, with changes such as `training.epochs=5` applied.

    Raises:  ConfigError naming file, line, what was found and what is expected, for all mistakes at once.
    """
    return config_in(Path(path).parent, document_with(changes, read_document(Path(path))))


def config_in(folder: Path, document: Document) -> RunConfig:
    """Return the configuration in a document; its relative paths are resolved against `folder`."""
    config = config_of(document)
    if folder == Path():
        return config
    config = with_weights(config, lambda path: str(folder / path))
    start = config.training.start
    if start is not None and (folder / start).exists():  # else a run's name, or relative to the working directory
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, start=str(folder / start)))
    return config if config.data is None else dataclasses.replace(config, data=at_folder(config.data, folder))


def at_folder(data: DataSettings, folder: Path) -> DataSettings:
    """Return the settings with their relative file paths joined to `folder`."""
    return with_paths(data, lambda path: str(folder / path))


def with_paths(data: DataSettings, change: Callable[[str], str]) -> DataSettings:
    """Return the settings with `change` applied to each file path."""
    names = ["path", "valid_path", "test_path", "cache"]
    names += ["target"] if Path(data.path or "").suffix == ".npy" else []  # then the target is a file of its own
    moved: dict[str, Any] = {name: change(path) for name in names if isinstance(path := getattr(data, name), str)}
    if data.text is not None and data.text.tokenizer is not None:
        moved["text"] = dataclasses.replace(data.text, tokenizer=change(data.text.tokenizer))
    return dataclasses.replace(data, **moved)


def with_weights(config: RunConfig, change: Callable[[str], str]) -> RunConfig:
    """Return the configuration with `change` applied to the path of its pretrained weights."""
    if config.weights is None:
        return config
    return dataclasses.replace(config, weights=dataclasses.replace(config.weights, path=change(config.weights.path)))


def portable(config: RunConfig) -> RunConfig:
    """Return the configuration with absolute paths to data and weights, so that the stored copy can be run again."""
    config = with_weights(config, lambda path: str(Path.cwd() / path))
    if config.data is None:
        return config
    return dataclasses.replace(config, data=at_folder(config.data, Path.cwd()))


def config_of(document: Document, changes: Sequence[str] = ()) -> RunConfig:
    """Return the configuration in a document, with changes applied."""
    document = document_with(changes, document)
    try:
        return parse(RunConfig, document.values)
    except ConfigError as error:
        raise document.located(placed(error, RunConfig, document.values)) from None


def document_with(changes: Sequence[str], document: Document) -> Document:
    """Return the document with changes such as `training.epochs=5` applied."""
    values = document.values
    for change in changes:
        values = changed(values, change)
    paths = tuple(change.partition("=")[0] for change in changes)
    return dataclasses.replace(document, values=values, changed=(*document.changed, *paths))


def with_rate(config: RunConfig, rate: float | None) -> RunConfig:
    """Return the configuration with another learning rate; in a schedule, its first field (initial or peak) is set."""
    if rate is None:
        return config
    current: Any = config.optimizer.learning_rate
    learning_rate: Any = rate
    if isinstance(current, Settings):
        first: dict[str, Any] = {fields(type(current))[0].name: rate}
        learning_rate = dataclasses.replace(current, **first)
    return dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, learning_rate=learning_rate))


def plain_config(config: RunConfig) -> dict[str, Any]:
    """Return every setting that has a value, as plain types for YAML or JSON."""
    return {key: value for key, value in _without_none(dump(config)).items() if value not in ([], {})}


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def changed(values: Mapping[str, Any], change: str) -> dict[str, Any]:
    """Return the configuration's mapping with one `path.to.key=value` set; list entries count from 0."""
    return with_change(values, change, RunConfig)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration, from the annotations that also validate it."""
    registries = (layers, blocks, losses, optimizers, schedules, penalties, initializers)
    definitions = {registry.kind.replace(" ", "_"): registry_definition(registry) for registry in registries}
    definitions["activation"] = registry_definition(layers, Activation)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A retrograd configuration",
        **json_schema(RunConfig),
        "$defs": {"entry": entry_definition(), **definitions},
    }
