"""Recorded training programs (written for Keras) as retrograd's configurations and data sets."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.schema import parse
from retrograd.data.dataset import Dataset, from_arrays
from retrograd.data.settings import DataSettings
from retrograd.training.config.config import RunConfig

INITIAL = {
    "glorot_uniform": "glorot_uniform", "he_uniform": "he_uniform", "he_normal": "he_normal",
    "lecun_normal": "lecun_normal", "zeros": "zeros", "ones": "ones",
}  # fmt: skip
LOSSES: dict[str, Any] = {
    "cce": {"cross_entropy": {"from_logits": False}},
    "bce": {"binary_cross_entropy": {"from_logits": False}},
    "cce_logits": "cross_entropy",
    "bce_logits": "binary_cross_entropy",
    "cce_clip_raw_logits": {"cross_entropy": {"from_logits": False, "normalize": False}},
    "cce_logits_double_softmax": "cross_entropy",
    "sum_naive_ce": {"cross_entropy": {"from_logits": False, "reduction": "sum"}},
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "sse": {"mean_squared_error": {"reduction": "sum"}},
    "half_sse_over_n": {"mean_squared_error": {"scale": 0.5}},
}
SOFTMAX_BEHIND = ("cce_logits_double_softmax", "sum_naive_ce")
HELD_OUT = 0.2  # of the training rows, for the doctor's own use


class Recorded(NamedTuple):
    """One record: what was measured, the configuration, and its arrays after the program's own odd preprocessing."""

    record: dict[str, Any]
    config: RunConfig
    settings: dict[str, Any]
    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray

    @property
    def contrast(self) -> str:
        """How clearly the fix was better when it was measured."""
        return str(self.record["measured"].get("contrast"))

    def dataset(self, settings: dict[str, Any] | None = None) -> Dataset:
        """Return the data as the program had it: its training rows, its held-out rows as validation part."""
        settings = {**self.settings, **(settings or {})}
        if self._classes_missing:
            split = settings.get("split") or self.split
            x, y = np.concatenate([self.x, self.held_x]), np.concatenate([self.y, self.held_y])
            return from_arrays(x, y, settings=parse(DataSettings, {**settings, "split": split}))
        settings.pop("split", None)
        return from_arrays(self.x, self.y, valid=(self.held_x, self.held_y), settings=parse(DataSettings, settings))

    @property
    def split(self) -> dict[str, Any]:
        """How the program divides its rows, where its held-out rows are not a part of their own."""
        if not self._classes_missing:
            return {"method": "auto"}
        return {"method": "time", "valid": len(self.held_x) / (len(self.x) + len(self.held_x)), "test": 0.0}

    def seen(self, settings: dict[str, Any] | None = None) -> Dataset:
        """Return the data without the held-out rows: a validation part is cut from the training rows instead."""
        if self._classes_missing or len(self.x) < 40:
            return self.dataset(settings)
        settings = {**self.settings, **(settings or {}), "split": {"valid": HELD_OUT, "test": 0.0, "seed": 1}}
        return from_arrays(self.x, self.y, settings=parse(DataSettings, settings))

    @property
    def _classes_missing(self) -> bool:
        classes = self.settings["task"] != "regression"
        return classes and not set(np.unique(self.held_y)) <= set(np.unique(self.y))


class InexpressibleError(Exception):
    """A record has no data, is a loop of its own, or holds what no configuration expresses."""


def read(path: Path, arrays: Any, seed: int = 0) -> Recorded:
    """Return a record as a program.

    Raises:  InexpressibleError
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    code = record["data"]["code"] or record["data"]["surrogate_code"]
    if path.name.startswith("loop_"):
        raise InexpressibleError("a training loop of its own")
    if code is None:
        raise InexpressibleError("no data")
    if record["loss"] not in LOSSES or record["optimizer"].get("flip_sign"):
        raise InexpressibleError(f"no setting for the loss {record['loss']} or the sign of its step")
    x, y, held_x, held_y = arrays(code, seed)
    shape = tuple(record["input_shape"])
    x, held_x = x.reshape(-1, *shape), held_x.reshape(-1, *shape)
    if record["shuffle"] == "features_only":
        x = x[np.random.default_rng(seed).permutation(len(x))]
    settings = _data_settings(record, y)
    x, held_x = _prescaled(record["preprocessing"], x, held_x)
    if settings["task"] != "regression":
        y, held_y = _classes(y, held_y)
        settings["task"] = "binary" if settings["task"] == "binary" and max(y.max(), held_y.max()) < 2 else "multiclass"
    read_run = Recorded(record, _config(record, len(x)), settings, x, y, held_x, held_y)
    return read_run._replace(
        config=dataclasses.replace(read_run.config, data=parse(DataSettings, {"split": read_run.split}))
    )


def _classes(y: np.ndarray, held_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return class numbers from 0 on: the place of the 1 in a row, or the place of the label among all labels.

    Raises:  InexpressibleError for rows with several labels, or none
    """
    if y.shape[1] > 1:
        every = np.concatenate([y, held_y])
        if not (np.isin(every, (0, 1)).all() and (every.sum(1) == 1).all()):
            raise InexpressibleError(f"rows of {y.shape[1]} labels of which several or none may hold")
        return y.argmax(1), held_y.argmax(1)
    labels = np.unique(np.concatenate([y.reshape(-1), held_y.reshape(-1)]))
    if np.isin(labels, (0, 1)).all():
        return y.astype(int).reshape(-1), held_y.astype(int).reshape(-1)
    return np.searchsorted(labels, y.reshape(-1)), np.searchsorted(labels, held_y.reshape(-1))


def _data_settings(record: dict[str, Any], y: np.ndarray) -> dict[str, Any]:
    task = "regression" if record["task"] == "regression" else "multiclass" if y.shape[1] > 1 else "binary"
    scales = {"none": "none", "minmax": "minmax"}
    x_scale = record["preprocessing"].get("x", "none")
    scale: Any = scales.get(x_scale, "none")
    if x_scale.startswith("divide:"):
        scale = {"divide": float(x_scale.partition(":")[2])}
    settings = {"task": task, "scale": scale}
    if task == "regression":
        settings["scale_target"] = scales.get(record["preprocessing"].get("y", "none"), "none")
    return settings


def _prescaled(preprocessing: dict[str, str], x: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply what no setting expresses: scaling twice, by one range for all, or of the training rows alone."""
    how = preprocessing.get("x", "none")
    if how.startswith("minmax_global"):
        low, wide = x.min(), x.max() - x.min()
        for _ in range(2 if how.endswith("twice") else 1):
            x, held = (x - low) / wide, (held - low) / wide
            low = 0.0
    if how == "minmax_twice":
        low, wide = x.min(0), x.max(0) - x.min(0)
        wide = np.where(wide > 0, wide, 1)
        x, held = (x - low) / wide / wide, (held - low) / wide / wide
    if "x_train_only" in preprocessing:
        x = x / float(preprocessing["x_train_only"].partition(":")[2])
    return x, held


def _config(record: dict[str, Any], rows: int) -> RunConfig:
    batch = rows if record["batch_size"] == "full" else int(record["batch_size"])
    epochs, updates = int(record["epochs"]), -(-rows // batch)
    if record.get("max_updates"):
        epochs = max(1, min(epochs, int(record["max_updates"]) // updates))
    network = [_entry(layer) for layer in record["layers"]]
    if record["loss"] in SOFTMAX_BEHIND:
        network.append("softmax")
    plain: dict[str, Any] = {
        "name": record["id"],
        "network": network,
        "loss": LOSSES[record["loss"]],
        "optimizer": _optimizer(record),
        "training": {"epochs": epochs, "batch_size": "all" if record["batch_size"] == "full" else batch,
                     "shuffle": bool(record["shuffle"])},
    }  # fmt: skip
    if record.get("l2"):
        plain["penalties"] = [{"l2": 2 * float(record["l2"])}]  # Keras' penalty has no half
    return parse(RunConfig, plain)


def _optimizer(record: dict[str, Any]) -> dict[str, Any]:
    name, settings = record["optimizer"]["name"], {"learning_rate": float(record["learning_rate"])}
    if name == "sgd" and record.get("momentum"):
        settings |= {"momentum": float(record["momentum"]), "nesterov": bool(record["optimizer"].get("nesterov"))}
    return {name: settings}


def _entry(layer: dict[str, Any]) -> Any:
    kind = layer["type"]
    if kind == "flatten":
        return "flatten"
    if kind == "dropout":
        return {"dropout": float(layer["rate"])}
    if kind == "maxpool2d":
        return {"max_pool": layer["pool"]}
    size = {"units": layer["units"]} if kind == "dense" else {
        "filters": layer["filters"], "kernel": layer["kernel"], "padding": layer.get("padding", "valid")
    }  # fmt: skip
    settings = {**size, "weight": _initial(layer.get("init") or "glorot_uniform")}
    if layer.get("bias_init"):
        settings["bias"] = _initial(layer["bias_init"])
    if layer.get("use_bias") is False:
        settings["bias"] = False
    if layer.get("activation") not in (None, "linear"):
        settings["activation"] = layer["activation"]
    return {kind: settings}


def _initial(name: str) -> Any:
    kind, _, value = name.partition(":")
    if kind in INITIAL:
        return INITIAL[kind]
    number = float(value or 0.05)
    if kind == "const":
        return {"constant": number}
    field = {"normal": "std_deviation", "truncnormal": "std_deviation", "uniform": "limit"}[kind]
    return {{"truncnormal": "truncated_normal"}.get(kind, kind): {field: number}}


def maker(folder: Path) -> Any:
    """Return the function that runs a record's generating code, from the folder's own script."""
    spec = importlib.util.spec_from_file_location("make_data", folder / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.arrays
