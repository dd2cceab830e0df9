"""Choosing a configuration for a data set automatically, with a reason for each choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.document import parse_document, write_document
from retrograd.base.errors import ConfigError
from retrograd.base.schema import dump
from retrograd.base.sentence import setting
from retrograd.data.cells.vocabulary import NO_TARGET, PADDING
from retrograd.data.dataset import Dataset
from retrograd.data.settings import DataSettings
from retrograd.data.texts.inputs import TOKENS
from retrograd.data.windows.inputs import KNOWN
from retrograd.present.text import WIDTH
from retrograd.training.config.config import RunConfig, changed, config_of

HIDDEN = ((200, (16,)), (2_000, (64, 32)), (50_000, (128, 64)))  # (fewer rows than, widths)
BATCH_SIZE = ((5_000, 32), (50_000, 64))
SMALL = 200  # rows; with fewer, a higher rate makes up for the small number of updates
SMOOTH = "glorot_uniform"  # scored higher than relu's default, larger weights on 25 of 32 tables, equal on 2
UPDATES, FEWEST_EPOCHS, MOST_EPOCHS = 6_000, 30, 1_000
LAST_UNITS = {
    "binary": 1,
    "multiclass": "classes",
    "multilabel": "classes",
    "regression": "targets",
    "unsupervised": "features",
}
TOKEN_TASKS = ("next_token", "masked_token")
LAST_WORDS = (
    "no activation at the output: the loss acts on it directly",
    "no activation: a quantity is unbounded; weights near 0 start from its mean",
)
OWN_NETWORK = "write a configuration, beginning with " + setting("data") + "; the examples folder has one for each task"
LOSS_WORDS: dict[str, tuple[Any, str]] = {
    "regression": ("mean_squared_error", "the target is a quantity, standardised"),
    "binary": ("binary_cross_entropy", "two classes, one logit"),
    "multiclass": ("cross_entropy", "one logit per class"),
    "multilabel": ("binary_cross_entropy", "one logit per label, present or absent"),
    "unsupervised": ("mean_squared_error", "no target: the network learns to reconstruct its input"),
    "segmentation": ("cross_entropy", "one logit per class at each pixel"),
    "next_token": ({"cross_entropy": {"ignored": PADDING}}, "one logit for each possible next token"),
    "masked_token": ({"cross_entropy": {"ignored": NO_TARGET}}, "one logit for each possible masked token"),
}


class Choice(NamedTuple):
    """One chosen setting, by its path in the configuration, and the reason."""

    path: str
    why: str


class Design(NamedTuple):
    """A configuration, its YAML text with the reasons as comments, and the reasons."""

    config: RunConfig
    text: str
    choices: tuple[Choice, ...]


def updates_in_words(epochs: int, updates: int) -> str:
    """Return the number of updates, or the bound on the epochs that decided instead."""
    if epochs == MOST_EPOCHS:
        return f"{updates:,} updates; more than {MOST_EPOCHS:,} epochs are rarely useful"
    if epochs == FEWEST_EPOCHS:
        return f"{updates:,} updates; fewer than {FEWEST_EPOCHS} epochs are rarely enough"
    return f"about {UPDATES:,} updates, unless training stops early"


def design(
    dataset: Dataset, settings: DataSettings, changes: Sequence[str] = (), learning_rate: float | None = None
) -> Design:
    """Return a network, loss, optimizer and training that suit the data set's size and task, with changes applied."""
    rows = dataset.rows["train"]
    batch = next((b for limit, b in BATCH_SIZE if rows < limit), 256)
    network, why = layers_for(dataset)
    loss, loss_why = LOSS_WORDS[dataset.task]
    held_out = dataset.valid is not None
    updates = -(-rows // batch)  # per epoch
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, -(-UPDATES // updates)))
    rate = learning_rate or (0.003 if rows < SMALL else 0.001)
    suits = "" if learning_rate else f"; {rate:g} suits {rows:,} rows"
    training: dict[str, Any] = {"epochs": epochs, "batch_size": batch}
    choices = [
        Choice("network.0", why),
        Choice(f"network.{len(network) - 1}", LAST_WORDS[dataset.task == "regression"]),
        Choice("loss", f"{dataset.task}: {loss_why}"),
        Choice("optimizer", "adam needs the least tuning" + suits),
        Choice("training.epochs", updates_in_words(epochs, epochs * updates)),
        Choice("training.batch_size", f"{updates:,} update{'s' * (updates != 1)} per epoch"),
    ]
    if held_out:
        training["early_stopping"] = {"patience": max(10, epochs // 10)}
        choices.append(Choice("training.early_stopping", "the weights with the best validation loss are kept"))
    plain = {
        "name": dataset.name,
        "data": dump(settings, filled=False),
        "network": network,
        "loss": loss,
        "optimizer": {"adam": rate},
        "training": training,
    }
    for change in changes:
        plain = changed(plain, change)
        choices = [choice for choice in choices if not concerns(change.partition("=")[0], choice.path)]
    text = commented(write_document(plain), choices)
    return Design(config_of(parse_document(text)), text, tuple(choices))


def layers_for(dataset: Dataset) -> tuple[list[Any], str]:
    """Return layers that suit the shape of the data, and the reason.

    Raises:  ConfigError for a task whose network cannot be chosen automatically
    """
    rows, x, task = dataset.rows["train"], dataset.train.get("x"), dataset.task
    is_flat = x is None or (x.ndim == 2 and x.dtype.kind == "f")
    if x is None or (is_flat and not is_plain(dataset.train)):
        if task == "unsupervised":
            message = "no network is chosen automatically for texts without a target"
            raise ConfigError(message, where="network", cure=OWN_NETWORK)
        hidden = hidden_layers(rows)
        return [*joined_inputs(dataset.train, dataset.sizes), *hidden, last_layer(task)], joined_words(dataset.train)
    if task in ("detection", "answer", "transcription") or (task == "unsupervised" and x.ndim > 2):
        message = f"no network is chosen automatically for {task} on such data"
        raise ConfigError(message, where="network", cure=OWN_NETWORK)
    last = last_layer(task)
    if x.ndim == 4:
        why = "convolutions detect shapes anywhere in the image; pooling widens their view"
        return image_layers(x.shape[1:3], task, last), why
    if x.dtype.kind == "i" and "mask" in dataset.train:
        embedding = {"embedding": {"units": 32, "vocabulary": TOKENS}}
        gru: dict[str, Any] = {"units": 64, "output": "sequence" if task in TOKEN_TASKS else "last"}
        words = "a vector for each token, read in order"
        if task == "masked_token":
            gru, words = {**gru, "bidirectional": True}, f"{words} in both directions"
        return [embedding, {"gru": gru, "inputs": ["embedding_1", "mask"]}, last], words
    if x.ndim == 3 and KNOWN in dataset.train:
        joined = [{"flatten": {}, "inputs": KNOWN}, {"concat": {}, "inputs": ["gru_1", "flatten_1"]}]
        why = "a recurrent layer reads the history in order; known values of the horizon are appended"
        return [{"gru": {"units": 32}}, *joined, {"dense": {"units": 32, "activation": "relu"}}, last], why
    if x.ndim == 3 and "mask" in dataset.train:
        return [{"gru": 32, "inputs": ["x", "mask"]}, last], "a recurrent layer reads the frames in order"
    if x.ndim == 3:
        return [{"gru": 32}, last], "a recurrent layer reads the history in order"
    hidden = hidden_layers(rows)
    count = "one hidden layer" if len(hidden) == 1 else f"{len(hidden)} hidden layers"
    return [*hidden, last], f"{count} for {rows:,} training rows; {SMOOTH} starts from a smooth function"


def hidden_layers(rows: int) -> list[Any]:
    """Return dense layers whose number and width suit the number of training rows."""
    widths = next((w for limit, w in HIDDEN if rows < limit), (256, 128))
    return [{"dense": {"units": width, "activation": "relu", "weight": SMOOTH}} for width in widths]


def last_layer(task: str) -> dict[str, Any]:
    """Return the output layer for a task; for a quantity, it initially predicts the mean."""
    units = LAST_UNITS.get(task, "classes")
    return {"dense": {"units": units, "weight": {"normal": 0.01}} if task == "regression" else units}


def image_layers(size: tuple[int, ...], task: str, last: dict[str, Any]) -> list[Any]:
    """Return convolutions, each twice as wide as the last, with pooling in between down to about 4 pixels."""

    def conv(filters: int) -> dict[str, Any]:
        return {"conv2d": {"filters": filters, "kernel": 3, "activation": "relu"}}

    if task == "segmentation":
        return [conv(16), conv(32), conv(32), {"conv2d": {"filters": "classes", "kernel": 1}}]
    stages: list[Any] = [conv(16)]
    for stage in range(1, 4):
        if min(size) // 2**stage < 4:
            break
        stages += [{"max_pool": 2}, conv(16 * 2**stage)]
    return [*stages, "global_average_pool", last]


def concerns(path: str, other: str) -> bool:
    """Return whether two paths of a configuration are equal or one contains the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def commented(text: str, choices: list[Choice]) -> str:
    """Return YAML with each reason as a comment on the line of its setting, or above it."""
    lines, at = text.splitlines(), parse_document(text).lines
    for path, why in choices:
        line = lines[at[path] - 1]
        indent = line[: len(line) - len(line.lstrip())]
        beside = f"{line}  # {why}"
        lines[at[path] - 1] = beside if len(beside) <= WIDTH else f"{indent}# {why}\n{line}"
    return "\n".join(lines) + "\n"


# --------------------------------------------------------- rows of more than numbers: texts, embedded categories

TEXT_UNITS = 32  # embedding size of a token
MOST_CATEGORY_UNITS = 50  # largest embedding size of a category; half the number of categories (fastai's early rule)
NEAR_ZERO = {"normal": 0.05}  # a mean over many tokens starts near 0, as the standardised numbers beside it do


def is_plain(columns: Mapping[str, np.ndarray]) -> bool:
    """Return whether the numbers `x` are a network's only input."""
    return not identifier_columns(columns)


def identifier_columns(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Return the batch columns other than `x` that hold identifiers."""
    return [name for name, column in columns.items() if name not in ("x", "y") and np.dtype(column.dtype).kind == "i"]


def joined_inputs(columns: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> list[Any]:
    """Return layers that turn numbers, texts (each a mean of token vectors) and categories into one row of features."""
    network: list[Any] = []
    parts = ["x"] if "x" in columns else []
    for i, name in enumerate(identifier_columns(columns), 1):
        is_text = f"{name}_mask" in columns
        units = TEXT_UNITS if is_text else min(MOST_CATEGORY_UNITS, (sizes[name] + 1) // 2)
        vectors = {"units": units, "vocabulary": name, "weight": NEAR_ZERO}
        network.append({"embedding": vectors, "name": f"vectors_{i}", "inputs": name})
        if is_text:
            network.append({"global_average_pool": {}, "name": f"mean_{i}", "inputs": [f"vectors_{i}", f"{name}_mask"]})
        parts.append(f"mean_{i}" if is_text else f"vectors_{i}")
    return [*network, {"concat": {}, "inputs": parts}] if len(parts) > 1 else network


def joined_words(columns: Mapping[str, np.ndarray]) -> str:
    """Describe what `joined_inputs` chose, and why."""
    names = identifier_columns(columns)
    texts = [name for name in names if f"{name}_mask" in columns]
    parts = [f"{', '.join(texts)}: the mean of the token vectors, which learns from few rows"] if texts else []
    others = [name for name in names if name not in texts]
    return "; ".join([*parts, *([f"{', '.join(others)}: a vector for each category"] if others else [])])
