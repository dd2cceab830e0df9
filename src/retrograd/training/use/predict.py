"""A trained model: network, weights and preprocessing together, from raw data to predictions in the user's terms."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.document import Document
from retrograd.base.errors import ModelFileError, NonFiniteError, RetrogradError, UsageError
from retrograd.base.sentence import setting
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import joined
from retrograd.data.images.boxes import in_pixels
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.read.delimited import form_of_its_own
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.target import Decoded
from retrograd.data.texts.targets import Answer, MaskedToken, Transcript
from retrograd.data.windows.levels import at_level
from retrograd.network.layer import Spec
from retrograd.network.network import Network, Variables
from retrograd.network.own_layers import check_loaded
from retrograd.network.precision import in_precision
from retrograd.propagation.objective import Objective
from retrograd.record.aside import settle_if_free
from retrograd.record.lock import is_locked
from retrograd.record.model import NO_AVERAGE, check_fits, load_model, save_model
from retrograd.record.run import MODEL
from retrograd.record.runs import find_run
from retrograd.record.tree import nonfinite
from retrograd.training.config.config import RunConfig, config_of, plain_config
from retrograd.training.loop.keeping import SECONDS
from retrograd.training.use.decoding import answers
from retrograd.training.use.evaluate import Evaluator
from retrograd.training.use.filling import completed
from retrograd.training.use.link import link_of
from retrograd.training.use.members import stacked_specs
from retrograd.training.use.ranges import check_identifiers
from retrograd.training.use.tallies import Tally


@dataclass(frozen=True, repr=False)
class Model:
    """A network with its weights, and the preprocessing fitted with it."""

    config: RunConfig
    network: Network
    objectives: tuple[Objective, ...]
    variables: Variables
    preprocessing: Preprocessing
    facts: Mapping[str, Any]  # task, columns, metrics, versions
    average: Variables | None = None  # weights averaged over the training steps, beside `variables`

    @functools.cached_property
    def evaluator(self) -> Evaluator:
        """The compiled forward pass of this model."""
        precision = self.config.training.precision
        return Evaluator(self.network, self.objectives, self.preprocessing, precision, self.members)

    def averaged(self) -> Model:
        """Return the model with the weights averaged over its training steps.

        Raises:  UsageError if it has none
        """
        if self.average is None:
            raise UsageError(
                "the model has no averaged weights", cure="train it with " + setting("training.average", "0.999")
            )
        return dataclasses.replace(self, variables=self.average, average=None)

    @property
    def members(self) -> int:
        """The number of networks that answer together."""
        return int(self.facts.get("members", 1))

    def __repr__(self) -> str:
        return f"<Model {self.config.name}: {self.facts.get('task')}, {len(self.network)} nodes>"

    @property
    def classes(self) -> tuple[bool | int | str, ...] | None:
        """The class labels, in the order of `predict_proba`'s columns; None for other tasks."""
        return self.preprocessing.classes

    def predict(self, data: Any, report: Report | None = None) -> Any:
        """Return class labels, masks, texts (answers, transcripts, completed texts), values in the target's unit, or
        each image's boxes (see `decode`), for the rows of a file, folder, frame or array.

        Shapes:  rows -> [rows]; for several targets [rows, targets]; masks [rows, height, width]
        """
        decoded = self.decode(data, report)
        if decoded.labels is not None or decoded.boxes is not None:
            return decoded.labels if decoded.boxes is None else decoded.boxes
        assert decoded.values is not None
        target = self.preprocessing.target
        return decoded.values[:, 0] if target is not None and target.units == 1 else decoded.values

    def predict_proba(self, data: Any) -> np.ndarray:
        """Return the probability of each class [rows, classes], in the order of `classes`.

        Raises:  ModelFileError for a model of another task.
        """
        probabilities = self.decode(data).probabilities
        if probabilities is None:
            raise ModelFileError("the model predicts values, not classes", cure="use predict")
        return probabilities

    def decode(self, data: Any, report: Report | None = None) -> Decoded:
        """Return the full predictions for rows: labels and probabilities, or values.

        A box is (x_min, y_min, x_max, y_max, score, class number), in pixels of its own image.
        """
        rows = data if isinstance(data, np.ndarray) else self.rows(data)
        return self._decoded(rows, self.columns(rows, report))

    def decode_with_spread(self, data: Any, report: Report | None = None) -> tuple[Decoded, np.ndarray | None]:
        """Return the full predictions for rows, and the spread of the members; None for a single network."""
        rows = data if isinstance(data, np.ndarray) else self.rows(data)
        columns = self.columns(rows, report)
        return self._decoded(rows, columns), self._spread(columns) if self.members > 1 else None

    def _decoded(self, rows: Any, columns: Mapping[str, Any]) -> Decoded:
        target, link = self.preprocessing.target, link_of(self.evaluator.main.loss)
        if isinstance(target, Answer):
            return target.decode(answers(self, columns))
        if isinstance(target, MaskedToken):
            return completed(self, rows, columns)
        if isinstance(target, Transcript):
            return target.decode(self.evaluator.outputs(self.variables, columns), link, columns.get("mask"))
        outputs = self.evaluator.each_output(self.variables, columns)
        with self._reading():
            decoded = Decoded.joined([self.preprocessing.decode(part, link=link) for part in outputs])
        self._check_finite(decoded)
        if decoded.values is not None:
            decoded = decoded._replace(values=at_level(decoded.values, columns))
        if decoded.boxes is None:
            return decoded
        return decoded._replace(boxes=in_pixels(decoded.boxes, self.preprocessing.rows_of(rows).sizes))

    def spread(self, data: Any) -> np.ndarray:
        """Return the spread of an ensemble's members: the standard deviation of their values [rows] or [rows, targets],
        or for classes that of the probability of the predicted class (or of each label).

        Raises:  UsageError for a model of a single network
        """
        if self.members == 1:
            raise UsageError(
                "one network has no spread", where=self.config.name, cure="train with training.ensemble: 5"
            )
        return self._spread(self.columns(self.rows(data)))

    def _spread(self, columns: Mapping[str, Any]) -> np.ndarray:
        apart = self.evaluator.outputs_apart(self.variables, columns)
        with self._reading():
            decoded = [self.preprocessing.decode(y, link=link_of(self.evaluator.main.loss)) for y in apart]
        if decoded[0].probabilities is None:
            values: np.ndarray = np.std([np.asarray(member.values) for member in decoded], 0)
            return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        shares = np.array([member.probabilities for member in decoded])
        spread: np.ndarray = np.std(shares, 0)
        if isinstance(self.preprocessing.target, MultiLabels):
            return spread
        answers = shares.mean(0).argmax(-1)[..., None]
        predicted_spread: np.ndarray = np.take_along_axis(spread, answers, -1)[..., 0]
        return predicted_spread

    def _check_finite(self, decoded: Decoded) -> None:
        """Raise NonFiniteError for non-finite predictions, unless a model with non-finite weights was allowed."""
        for numbers in (decoded.probabilities, decoded.values):
            if numbers is None or (finite := np.isfinite(numbers).reshape(len(numbers), -1).all(1)).all():
                continue
            if nonfinite(self.variables.params):
                return
            bad = np.flatnonzero(~finite)
            message = f"the output is not finite in {len(bad)} of {len(finite)} rows, first in row {bad[0] + 1}"
            cure = "look for extreme values there; if every row is affected, the weights are too large: train again"
            raise NonFiniteError(message, where=self.config.name, cure=cure)

    def columns(self, rows: Any, report: Report | None = None) -> dict[str, Any]:
        """Return the batch columns of rows without their targets."""
        with self._reading():
            columns = self.preprocessing.transform(rows, with_target=False, report=report)
        check_identifiers(self.network, columns)
        return columns

    def outputs(self, data: Any, report: Report | None = None) -> np.ndarray:
        """Return the network's raw outputs (logits, scaled values)."""
        return self.evaluator.outputs(self.variables, self.columns(self.read(data), report))

    def evaluate(self, data: Any, y: Any = None, report: Report | None = None) -> dict[str, float]:
        """Return loss and all metrics on rows that include their targets, or with targets y."""
        return self.measured(data if y is None else self._with_targets(data, y), report)[0]

    def measured(self, data: Any, report: Report | None = None) -> tuple[dict[str, float], Tally | None]:
        """Return the same, and the tally of the rows."""
        with self._reading():
            columns = self.preprocessing.transform(self.read(data), with_target=True, report=report)
        check_identifiers(self.network, columns)
        loss, tally = self.evaluator.tallied(self.variables, columns)
        return {"loss": loss, **(tally.scores(full=True) if tally is not None else {})}, tally

    def _reading(self) -> AbstractContextManager[None]:
        return reading_in(self.config.training.precision)

    def _with_targets(self, data: Any, y: Any) -> Any:
        """Return rows and targets joined in the form that the model was trained on."""
        target = self.preprocessing.target
        if target is None or not hasattr(data, "columns"):
            return {**(data if isinstance(data, Mapping) else {"x": data}), "y": y}
        return joined(data, y, target.names).frame

    def read(self, data: Any) -> Any:
        """Return the content of a path; anything else is returned unchanged."""
        if not isinstance(data, (str, Path)):
            return data
        data_settings = self.config.data or DataSettings()
        settings = dataclasses.replace(data_settings, builtin=None, samples=None, noise=None, path=str(data))
        settings = form_of_its_own(Path(data), self.preprocessing.settings(settings))
        return read_file(Path(data), settings)

    def rows(self, data: Any) -> Any:
        """Return the rows of a path, an array or a frame before they are encoded: Images, or a table in order."""
        return self.preprocessing.rows_of(self.read(data))

    def save(self, path: str | Path) -> Path:
        """Write weights, configuration and preprocessing to one file; return its path."""
        save_model(
            Path(path),
            *jax.tree.map(np.asarray, tuple(self.variables)),
            config=plain_config(self.config),
            preprocessing=self.preprocessing.to_json(),
            facts=dict(self.facts),
            average=NO_AVERAGE if self.average is None else jax.tree.map(np.asarray, tuple(self.average)),
        )
        return Path(path)


def load(path: str | Path, *, runs: str | Path = "runs", allow_nonfinite: bool = False) -> Model:
    """Return the model of a file, of a run folder, or of a run in `runs`, by its name, a prefix of it, or `last`.

    Loading never executes code.

    Raises:  UsageError if there is no such run; ModelFileError if the file is damaged, foreign, newer, does not fit its
             own configuration, or holds non-finite weights (unless allowed).
    """
    return load_file(locate(path, runs), allow_nonfinite=allow_nonfinite)


def locate(path: str | Path, runs: str | Path = "runs") -> Path:
    """Return the model file for a path or the name of a run (see `load`).

    Raises:  UsageError if there is none
    """
    inside = Path(path) / MODEL
    for folder in (Path(path), Path(path).parent if Path(path).name == MODEL else None):
        if folder is not None and os.path.isdir(folder):
            settle_if_free(folder)
    files = [Path(candidate) for candidate in (path, inside) if os.path.isfile(candidate)]
    path = files[0] if files else find_run(Path(runs), str(path)).model_path
    if not path.exists():
        if is_locked(path.parent):
            cure = f"wait for its end, or in a long run for the first epoch to end after {SECONDS:g} seconds"
            raise UsageError("the run has written no model yet", where=str(path.parent), cure=cure)
        cure = f"continue it: retrograd train --resume {path.parent}"
        raise UsageError("the run ended before it wrote a model", where=str(path.parent), cure=cure)
    return path


def load_file(path: Path, *, allow_nonfinite: bool = False) -> Model:
    """Return the model in a file (see `load`)."""
    stored = load_model(path)
    check_loaded(stored.facts.get("layers", {}), str(path))
    try:
        config = config_of(Document(stored.config))
        preprocessing = Preprocessing.from_json(stored.preprocessing)
        network, objectives = config.build({}, stored.facts["task"], tuple(stored.facts["columns"]))
        specs = {name: Spec((1, *shape), np.dtype(dtype)) for name, (shape, dtype) in stored.facts["columns"].items()}
        precision = config.training.precision
        expected = in_precision(jax.eval_shape(lambda key: network.init(key, specs), jax.random.key(0)), precision)
        expected = stacked_specs(expected, int(stored.facts.get("members", 1)))
    except (RetrogradError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"its configuration cannot be used: {error}", where=str(path)) from None
    check_fits(stored.params, expected.params, where=str(path))
    check_fits(stored.state, expected.state, where=str(path))
    has_average = bool(stored.average_params)
    if has_average:
        check_fits(stored.average_params, expected.params, where=str(path))
        check_fits(stored.average_state, expected.state, where=str(path))
    bad = nonfinite(stored.params)
    if bad and not allow_nonfinite:
        raise ModelFileError(f"non-finite weights in {', '.join(bad)}", where=str(path),
                             cure="train again, or use --allow-nonfinite")  # fmt: skip
    as_array: Any = np.asarray if precision == "float64" else jnp.asarray  # JAX would round float64 here
    variables = Variables(*jax.tree.map(as_array, (stored.params, stored.state)))
    average = Variables(*jax.tree.map(as_array, (stored.average_params, stored.average_state))) if has_average else None
    return Model(config, network, tuple(objectives), variables, preprocessing, stored.facts, average)
