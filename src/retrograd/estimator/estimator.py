"""The base class of classifier and regressor: settings, training without a run folder, and pickling."""

from __future__ import annotations

import dataclasses
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from retrograd.base.keys import SEED_LIMIT
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.estimator.rows import Rows, continued, dataset_of, encoded, first_of_stream
from retrograd.estimator.stream import Stream
from retrograd.training.config.config import with_rate
from retrograd.training.ensemble import further_members
from retrograd.training.fit import configured
from retrograd.training.in_memory import model_of, trained_in_memory
from retrograd.training.prepare import Prepared, prepare
from retrograd.training.run import Run, train_prepared
from retrograd.training.use.predict import Model, load

AUTO = "auto"


class NetworkEstimator(ABC, BaseEstimator):
    """A network that scikit-learn can fit, clone, search and pickle.

    Parameters
    ----------
    network : "auto", a list of layers (objects or as in YAML) or a Network
        "auto" chooses layers by the number of rows. The last layer may be `rg.Dense("classes")`.
    loss, optimizer : "auto", an object or a name
        "auto" is the usual loss for the task, and Adam.
    learning_rate : float or None
        Overrides that of the optimizer, so that a search can vary it.
    penalties : sequence of penalties
    epochs, batch_size : "auto" or int; batch_size also "all", for all rows
        "auto" aims at 6,000 updates.
    validation_fraction : float
        Share of the rows used to choose the best epoch and to stop early; 0 trains on all rows, as do fewer than 10
        rows.
    scale : "standard", "robust", "log", "minmax" or "none"
        Scaling of the columns of X, fitted on the training rows. Regression targets are standardised.
    precision : "float32", "float64" or "bfloat16"
    random_state : int, RandomState or None
        Seed for the initial weights, the order of the rows and the validation part.
    warm_start : bool
        Whether `fit` continues from the weights, scaling and classes of the previous fit.
    runs : path or None
        Parent of the run folder; None: no run folder.
    training, data : mapping or None
        Other fields of rg.TrainingSettings and rg.DataSettings, such as {"kinds": {"city": "category"}}.

    Attributes
    ----------
    model_ : rg.Model
    n_iter_ : number of epochs trained
    loss_curve_ : the training loss of every epoch
    run_ : rg.Run or None
    """

    _task = AUTO
    model_: Model
    run_: Run | None
    n_iter_: int
    loss_curve_: list[float]
    _predictor: Model
    _dataset: Dataset  # one row, for the encoding of rows
    _stream: Stream | None
    _is_table: bool

    def __init__(
        self,
        network: Any = AUTO,
        *,
        loss: Any = AUTO,
        optimizer: Any = AUTO,
        learning_rate: float | None = None,
        penalties: Any = (),
        epochs: int | str = AUTO,
        batch_size: int | str = AUTO,
        validation_fraction: float = 0.1,
        scale: Any = "standard",
        precision: str = "float32",
        random_state: Any = None,
        warm_start: bool = False,
        runs: str | Path | None = None,
        training: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.penalties = penalties
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.scale = scale
        self.precision = precision
        self.random_state = random_state
        self.warm_start = warm_start
        self.runs = runs
        self.training = training
        self.data = data

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on rows X [rows, features], an array or data frame, and targets y; return self."""
        continues = self.warm_start and hasattr(self, "model_")
        if continues:
            _refuse_ensemble(self.model_.members)
        rows = self._read(X, y, sample_weight, continues, continues)
        self._stream = None
        seed = int(check_random_state(self.random_state).randint(2**31))
        settings = self._settings(seed, self.validation_fraction)
        with self._reading():
            dataset = continued(rows, self._dataset, settings) if continues else dataset_of(rows, settings)
        prepared = self._prepared(dataset, settings, seed, self.model_.config.network if continues else None)
        self.run_ = None
        if self.runs is not None:
            if continues:
                raise ValueError("a run folder contains a complete run: omit `runs` to continue with warm_start=True")
            self.run_ = run = train_prepared(prepared, root=self.runs)
            model, history = run.model, run.history
        else:
            outcome = trained_in_memory(prepared, self.model_.variables if continues else None)
            outcome, members = further_members(prepared, outcome)
            model, history = model_of(prepared, outcome, members), outcome.history
        self._take(model)
        self._dataset = _without_rows(dataset)
        curve = [epoch.loss for epoch in history]
        self.loss_curve_ = [*self.loss_curve_, *curve] if continues else curve
        self.n_iter_ = len(self.loss_curve_)
        return self

    def _fit_portion(self, X: Any, y: Any, sample_weight: Any, classes: int) -> Any:
        """Train one epoch on a portion of the rows; the first portion determines scaling, network and batch size."""
        continues = hasattr(self, "model_")
        if continues:
            _refuse_ensemble(self.model_.members)
        rows = self._read(X, y, sample_weight, continues, continues or classes > 0)
        seed = int(check_random_state(self.random_state).randint(2**31))
        settings = self._settings(seed, 0.0)
        if not continues:
            with self._reading():
                dataset = first_of_stream(rows, settings, classes)
            prepared = self._prepared(dataset, settings, seed)
            _refuse_ensemble(prepared.config.training.ensemble)
            stream, self._dataset = Stream(prepared), _without_rows(dataset)
            batch, self.loss_curve_, self.run_ = dataset.train, [], None
        else:
            with self._reading():
                batch = encoded(rows, self._dataset)
            stream = self._stream or self._stream_of_model()
        loss = stream.epoch(batch, (seed + len(self.loss_curve_)) % SEED_LIMIT)
        self._stream = stream
        self._take(stream.model())
        self.loss_curve_ = [*self.loss_curve_, loss]
        self.n_iter_ = len(self.loss_curve_)
        return self

    def _stream_of_model(self) -> Stream:
        """Return a stream that continues training from a fit or a pickle."""
        model = self.model_
        return Stream(Prepared(model.config, self._dataset, model.network, model.objectives), model.variables)

    # ------------------------------------------------------------------------------------------------ reading the rows

    def _read(self, X: Any, y: Any, sample_weight: Any, continues: bool, is_known: bool) -> Rows:
        """Check the rows; record the names and number of columns and, unless `is_known`, the classes or the number of
        targets.
        """
        if hasattr(X, "columns"):
            validate_data(self, X=X, reset=not continues, skip_check_array=True)
            y = self._targets(y, is_known)
            if len(X) != len(y):
                raise ValueError(f"X has {len(X)} rows, y has {len(y)}")
        else:
            X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], multi_output=True, reset=not continues,
                                 y_numeric=self._task == "regression")  # fmt: skip
            y = self._targets(y, is_known)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
            if not sample_weight.any():
                raise ValueError("sample_weight: all weights are 0, so nothing would be learned")
            sample_weight = sample_weight / sample_weight.mean()  # the loss divides by the number of rows
        self._is_table = hasattr(X, "columns")
        return Rows(X, y, sample_weight)

    @abstractmethod
    def _targets(self, y: Any, is_known: bool) -> np.ndarray:
        """Return targets as numbers; record their classes or number unless `is_known`."""

    def _rows_to_predict(self, X: Any) -> Any:
        check_is_fitted(self)
        if self._is_table:
            validate_data(self, X=X, reset=False, skip_check_array=True)
            return X
        return validate_data(self, X, dtype=[np.float64, np.float32], reset=False)

    def _take(self, model: Model) -> None:
        """Store a trained model. It predicts in float64, so that predictions do not depend on other rows."""
        training = dataclasses.replace(model.config.training, precision="float64")
        config = dataclasses.replace(model.config, training=training)
        self.model_ = model
        self._predictor = dataclasses.replace(model, config=config)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the estimator is fitted."""
        return hasattr(self, "model_")

    # --------------------------------------------------------------------------------------------------- configuration

    def _settings(self, seed: int, held_out: float) -> DataSettings:
        split = SplitSettings(valid=held_out, test=0.0, seed=seed)
        settings = {"task": self._task, "scale": self.scale, "split": split} | dict(self.data or {})
        if self._task == "regression":
            settings.setdefault("scale_target", "standard")
        return DataSettings(**settings)

    def _prepared(self, dataset: Dataset, settings: DataSettings, seed: int, fitted: Any = None) -> Prepared:
        """Prepare training on a data set; `fitted` is the network, if any, that "auto" stands for."""
        training = {"seed": seed, "precision": self.precision} | dict(self.training or {})
        training |= {name: value for name in ("epochs", "batch_size") if (value := getattr(self, name)) != AUTO}
        network, loss, optimizer = (
            None if isinstance(value, str) and value == AUTO else value
            for value in (self.network, self.loss, self.optimizer)
        )
        config = configured(
            dataset,
            settings,
            network=fitted if network is None else network,
            loss=loss,
            optimizer=optimizer,
            penalties=tuple(self.penalties),
            name=type(self).__name__.lower(),
            training=training,
        )
        return prepare(with_rate(config, self.learning_rate), dataset)

    def _reading(self) -> Any:
        return reading_in(self.precision)

    # ---------------------------------------------------------------------------------------------------------- pickle

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings and fitted attributes, with the model as the bytes of its file.

        The moments that the optimizer keeps between calls of `partial_fit` are not included.
        """
        state = dict(super().__getstate__())
        state.pop("_stream", None)
        state.pop("_predictor", None)
        if "model_" in state:
            with tempfile.TemporaryDirectory() as folder:
                state["model_"] = state["model_"].save(Path(folder) / "model").read_bytes()
        if state.get("run_") is not None:
            state["run_"] = None  # saved in its folder
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore settings and model from a pickle."""
        super().__setstate__(state)
        self._stream = None
        if isinstance(stored := state.get("model_"), bytes):
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "model").write_bytes(stored)
                self._take(load(Path(folder) / "model"))


def _refuse_ensemble(members: int) -> None:
    """Raise ValueError for an ensemble, which can be trained neither further nor in portions."""
    if members > 1:
        raise ValueError("an ensemble cannot be continued: omit `ensemble`, or use fit with warm_start=False")


def _without_rows(dataset: Dataset) -> Dataset:
    """Return a data set with its preprocessing but only one row, which gives the shapes and types of the columns."""
    first_row = {name: column[:1] for name, column in dataset.train.items()}
    return Dataset(dataset.name, dataset.task, first_row, None, None, dataset.preprocessing, (), dataset.digest)
