"""Use a model without retrograd, and let it learn on the device from feedback on its answers.

    collect -> cells, confidence and drift guard -> infer -> decide -> feedback -> adapt -> accept or roll back

`retrograd export RUN model.onnx --train-step head` wrote this file beside `model.onnx` (the model, never changed here),
`model.step.onnx` (its training step) and `model.rows.npz` (a few training rows with their targets). It is yours: keep
it with your program and change it as you like. It needs only onnxruntime, numpy and Python 3.10.

    edge = Edge("model.onnx")
    for decision in edge.see(rows):     # rows as the model expects them: {"age": [...], "city": [...]}, or an array
        act(decision.answer) if decision.act else ask_somebody(decision.why)
    attempt = edge.tell(rows, truth)    # labels, or values in their own unit; given enough, the model tries to learn
"""

from __future__ import annotations

import base64
import functools
import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

FINE, MISSING, UNSEEN, UNREADABLE = range(4)  # the codes in `cells`
VELOCITY, NEW = "/velocity", "/new"
BEYOND = 0.02  # share of the known rows that are outside their range
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """The settings of the loop; change any of them."""

    confident: float = 0.6  # minimum probability for acting on an answer
    worst_cell: int = MISSING  # answers for rows with a worse cell are not acted on
    window: int = 50  # rows in the moving average
    far: float = 6.0  # standard deviations at which the average counts as drift
    capacity: int = 400  # rows of feedback that are kept, including the held-out part
    held_out: int = 4  # every fourth row is used only for testing
    enough: int = 40  # rows of feedback between two attempts to learn
    epochs: int = 20
    batch: int = 32
    rehearsed: float = 0.3  # share of a batch that comes from the original training rows
    learning_rate: float = 0.02
    momentum: float = 0.9
    slack: float = 1.0  # standard errors by which a held-out part may appear to get worse


@dataclass(frozen=True)
class Decision:
    """What to do about one row: whether to act on the answer, and if not, why."""

    answer: Any
    confidence: float  # probability of the label; 1 for quantities
    act: bool
    why: str = ""


@dataclass(frozen=True)
class Attempt:
    """The result of an attempt to learn: the loss on each held-out part before and after it."""

    accepted: bool
    why: str
    losses: dict[str, tuple[float, float]]


class Model:
    """An exported model, its training step, and the weights learned here, if there are any."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.session = _session(self.path)
        self.facts = _facts(self.session)
        self.classes: list[Any] | None = self.facts["classes"]
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.weights_path = self.path.with_suffix(".weights.npz")
        self.weights: Arrays = self._stored() if self.weights_path.exists() else {}

    @functools.cached_property
    def step(self) -> Any:
        """The session of the training step, opened when it is first needed."""
        step = _session(self.path.with_suffix(".step.onnx"))
        if _facts(step)["checksum"] != self.facts["checksum"]:
            raise ValueError(f"{self.path} and its training step come from different exports: export both again")
        return step

    @functools.cached_property
    def names(self) -> dict[str, Any]:
        """The step's names for target, learning_rate, momentum and loss; the paths of its weights."""
        names: dict[str, Any] = _facts(self.step)["step"]
        return names

    @functools.cached_property
    def target(self) -> Any:
        """The step's input for the targets."""
        return next(each for each in self.step.get_inputs() if each.name == self.names["target"])

    def fed(self, rows: Any) -> Arrays:
        """Return rows as the model expects them, one array for each input."""
        inputs = self.session.get_inputs()
        if not isinstance(rows, Mapping):
            if len(inputs) > 1:
                raise ValueError(f"expected a mapping of {', '.join(i.name for i in inputs)}")
            rows = {inputs[0].name: rows}
        missing = [each.name for each in inputs if each.name not in rows]
        if missing:
            raise ValueError(f"the rows lack {', '.join(missing)}")
        return {each.name: np.asarray(rows[each.name], _dtype(each)) for each in inputs}

    def answers(self, fed: Arrays) -> Arrays:
        """Return the model's outputs by name, from the exported file or with the learned weights."""
        if not self.weights:
            return dict(zip(self.outputs, self.session.run(self.outputs, fed), strict=True))
        nothing = np.zeros((len(next(iter(fed.values()))), *self.target.shape[1:]), _dtype(self.target))
        return self._run(self.outputs, fed, nothing, self.weights)

    def losses(self, fed: Arrays, truth: np.ndarray, weights: Arrays) -> np.ndarray:
        """Return the loss of each row."""
        loss = self.names["loss"]
        return np.array([self._run([loss], _chosen(fed, [i]), truth[[i]], weights)[loss] for i in range(len(truth))])

    def train(self, fed: Arrays, truth: np.ndarray, weights: Arrays, rate: float, momentum: float) -> Arrays:
        """Return weights and velocities after one step."""
        moved = [path + suffix for path in self.names["weights"] for suffix in ("", VELOCITY)]
        rates = {self.names["learning_rate"]: rate, self.names["momentum"]: momentum}
        settings = {name: np.array(value, np.float32) for name, value in rates.items()}
        found = self._run([name + NEW for name in moved], fed, truth, weights | settings)
        return {name: found[name + NEW] for name in moved}

    def truth(self, labels: Any) -> np.ndarray:
        """Return labels as class numbers, or values unchanged, in the shape of the step's target."""
        if self.classes is not None and len(self.target.shape) == 1:
            numbers = {str(label): i for i, label in enumerate(self.classes)}
            unknown = sorted({str(label) for label in labels} - set(numbers))
            if unknown:
                raise ValueError(f"unknown labels {unknown}; the model knows {sorted(numbers)}")
            return np.array([numbers[str(label)] for label in labels], np.int64)
        return np.asarray(labels, _dtype(self.target)).reshape(-1, *self.target.shape[1:])

    def save(self) -> None:
        """Store the learned weights beside the model, atomically, so that no partial file is ever read."""
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".npz")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, checksum=np.array(str(self.facts["checksum"])), **self.weights)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.weights_path)

    def forget(self) -> None:
        """Go back to the model as it was exported."""
        self.weights = {}
        self.weights_path.unlink(missing_ok=True)

    def _stored(self) -> Arrays:
        with np.load(self.weights_path) as file:
            stored = {name: file[name] for name in file.files}
        if str(stored.pop("checksum")) != str(self.facts["checksum"]):
            raise ValueError(f"{self.weights_path} was learned with another model: delete it")
        return stored

    def _run(self, outputs: list[str], fed: Arrays, truth: np.ndarray, weights: Mapping[str, Any]) -> Arrays:
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True  # no backward pass just for an answer or a loss
        given = {**fed, self.names["target"]: truth, **weights}
        return dict(zip(outputs, self.step.run(outputs, given, options), strict=True))


class Guard:
    """Detects drift: how many of the recent rows are outside the range that the model knows.

    The ranges of each numeric input, of the share of cells that are not fine, and of the confidence extend from the 1 %
    to the 99 % quantile of the training rows or, without them, of the first rows seen.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.first: list[np.ndarray] = []
        self.range: tuple[np.ndarray, np.ndarray] | None = None
        self.outside = np.zeros(0)  # the moving average of the share of rows outside, for each sign
        self.seen = 0

    def learn(self, signs: np.ndarray) -> None:
        """Treat rows as known: those from training and, once the model has learned from it, feedback."""
        low, high = np.nanquantile(signs, (BEYOND / 2, 1 - BEYOND / 2), 0)
        self.range, self.outside, self.seen = (low, high), np.zeros(signs.shape[1]), 0

    def watch(self, signs: np.ndarray) -> None:
        """Add rows to the moving averages."""
        if self.range is None:
            self.first.extend(signs)
            if len(self.first) >= self.settings.window:
                self.learn(np.array(self.first))
            return
        low, high = self.range
        share = 2 / (self.settings.window + 1)
        for row in (signs < low) | (signs > high):  # a missing value is neither; `cells` reports it
            self.outside = (1 - share) * self.outside + share * row
        self.seen += len(signs)

    @property
    def drifting(self) -> bool:
        """Whether more rows are outside than chance explains."""
        deviation = (BEYOND * (1 - BEYOND) / (self.settings.window + 1)) ** 0.5  # of the average of independent rows
        limit = BEYOND + self.settings.far * deviation
        return self.seen >= self.settings.window and bool((self.outside > limit).any())


class Feedback:
    """The newest rows with their targets, up to a fixed number."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: Arrays = {}
        self.truth: np.ndarray = np.zeros(0)

    def __len__(self) -> int:
        return len(self.truth)

    def add(self, fed: Arrays, truth: np.ndarray) -> None:
        """Add rows, dropping the oldest ones."""
        if len(self.truth):
            fed = {name: np.concatenate([self.rows[name], array]) for name, array in fed.items()}
            truth = np.concatenate([self.truth, truth])
        self.rows = {name: array[-self.capacity :] for name, array in fed.items()}
        self.truth = truth[-self.capacity :]


class Edge:
    """The loop around a model."""

    def __init__(self, path: str | Path, settings: Settings | None = None, seed: int = 0) -> None:
        self.settings = settings or Settings()
        self.model = Model(path)
        self.guard = Guard(self.settings)
        self.random = np.random.default_rng(seed)
        held = self.settings.capacity // self.settings.held_out
        self.learnt_from, self.tested_on = Feedback(self.settings.capacity - held), Feedback(held)
        self.rehearsed, self.known = Feedback(10**9), Feedback(10**9)  # training rows: to repeat, and to test on
        self.told = self.since = 0
        rows = Path(path).with_suffix(".rows.npz")
        if rows.exists():
            with np.load(rows) as file:
                stored = {name: file[name] for name in file.files}
            truth = stored.pop(":truth")
            fed = self.model.fed(stored)
            for half, chosen in ((self.rehearsed, range(0, len(truth), 2)), (self.known, range(1, len(truth), 2))):
                half.add(_chosen(fed, chosen), truth[list(chosen)])
            shipped = dict(zip(self.model.outputs, self.model.session.run(self.model.outputs, fed), strict=True))
            self.guard.learn(_signs(fed, shipped))

    def see(self, rows: Any) -> list[Decision]:
        """Answer rows, and decide for each whether to act on the answer."""
        fed = self.model.fed(rows)
        found = self.model.answers(fed)
        self.guard.watch(_signs(fed, found))
        confidence = _confidence(found)
        answers = found[next(name for name in ("label", "values", "output") if name in found)]
        answers = answers[:, 0] if "values" in found and answers.shape[1] == 1 else answers
        cells = found.get("cells")
        decisions = []
        for i, answer in enumerate(answers):
            worst = FINE if cells is None else int(cells[i].max())
            why = ("a cell cannot be read" if worst == UNREADABLE else "a word is unseen" if worst == UNSEEN else
                   "a cell is missing") if worst > self.settings.worst_cell else ""  # fmt: skip
            if not why and confidence[i] < self.settings.confident:
                why = f"the confidence is only {confidence[i]:.2f}"
            if not why and self.guard.drifting:
                why = "the rows have drifted from the training rows"
            decisions.append(Decision(answer, float(confidence[i]), not why, why))
        return decisions

    def tell(self, rows: Any, truth: Any) -> Attempt | None:
        """Take feedback: the targets of rows; once there is enough, try to learn."""
        fed, numbers = self.model.fed(rows), self.model.truth(truth)
        tested = (np.arange(len(numbers)) + self.told) % self.settings.held_out == 0
        for part, chosen in ((self.tested_on, tested), (self.learnt_from, ~tested)):
            if chosen.any():
                part.add(_chosen(fed, chosen), numbers[chosen])
        self.told += len(numbers)
        self.since += len(numbers)
        return self.adapt() if self.since >= self.settings.enough else None

    def adapt(self) -> Attempt:
        """Learn from the feedback; keep the new weights only if no held-out part gets worse, else roll back."""
        self.since = 0
        before = self.model.weights
        after = self._learnt(before)
        if not all(np.isfinite(array).all() for array in after.values()):
            return Attempt(False, "the weights are no longer finite: choose a smaller learning_rate", {})
        losses, why = {}, ""
        as_shipped: Arrays = {}
        compared = (("feedback", self.tested_on, before), ("training rows", self.known, as_shipped))
        for name, part, reference in compared:
            if not len(part):
                continue
            was, now = (self.model.losses(part.rows, part.truth, weights) for weights in (reference, after))
            change, error = (now - was).mean(), (now - was).std() / len(part) ** 0.5
            losses[name] = float(was.mean()), float(now.mean())
            if not change <= self.settings.slack * error or (name == "feedback" and change > 0):
                why = why or f"loss on {name} {was.mean():.3g} -> {now.mean():.3g}"
        if why:
            return Attempt(False, why, losses)
        self.model.weights = after
        self.model.save()
        known = [part for part in (self.rehearsed, self.known, self.learnt_from) if len(part)]
        self.guard.learn(np.concatenate([_signs(part.rows, self.model.answers(part.rows)) for part in known]))
        return Attempt(True, "no held-out part got worse", losses)

    def _learnt(self, weights: Arrays) -> Arrays:
        """Return the weights after some epochs over the feedback, with some training rows in each batch."""
        settings, rows = self.settings, len(self.learnt_from)
        repeated = int(settings.batch * settings.rehearsed) if len(self.rehearsed) else 0
        size = max(1, min(settings.batch - repeated, rows))
        state = dict(weights)
        for _ in range(settings.epochs):
            order = self.random.permutation(rows)
            for start in range(0, rows, size):
                chosen = order[start : start + size]
                fed, truth = _chosen(self.learnt_from.rows, chosen), self.learnt_from.truth[chosen]
                if repeated:
                    again = self.random.integers(0, len(self.rehearsed), repeated)
                    more = _chosen(self.rehearsed.rows, again)
                    fed = {name: np.concatenate([array, more[name]]) for name, array in fed.items()}
                    truth = np.concatenate([truth, self.rehearsed.truth[again]])
                state = self.model.train(fed, truth, state, settings.learning_rate, settings.momentum)
        return {path: state[path] for path in self.model.names["weights"] if path in state}


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _facts(session: Any) -> dict[str, Any]:
    said = session.get_modelmeta().custom_metadata_map
    if "deflated" in said:  # by `retrograd quantize`
        return dict(json.loads(zlib.decompress(base64.b64decode(said["deflated"]))))
    return {name: json.loads(value) for name, value in said.items()}


def _dtype(end: Any) -> Any:
    return {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(uint8)": np.uint8, "tensor(bool)": bool,
            "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(string)": object}[end.type]  # fmt: skip


def _chosen(fed: Arrays, rows: Any) -> Arrays:
    index = rows if isinstance(rows, np.ndarray) else list(rows)
    return {name: array[index] for name, array in fed.items()}


def _confidence(found: Arrays) -> np.ndarray:
    """Return the probability of each answer; with several labels at once, that of the least certain one."""
    shares = found.get("probabilities")
    if shares is None:
        return np.ones(len(next(iter(found.values()))))
    certain: np.ndarray = np.maximum(shares, 1 - shares).min(1) if found["label"].ndim == 2 else shares.max(1)
    return certain


def _signs(fed: Arrays, found: Arrays) -> np.ndarray:
    """Return the signs of drift [rows, signs]: numeric inputs, the share of bad cells, the confidence."""
    rows = len(next(iter(fed.values())))
    numbers = [array.reshape(rows, -1)[:, :256] for array in fed.values() if array.dtype.kind in "fu"]
    cells = [(found["cells"] > FINE).mean(1, keepdims=True)] if "cells" in found else []
    return np.concatenate([*numbers, *cells, _confidence(found)[:, None]], 1).astype(np.float64)
