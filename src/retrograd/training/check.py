"""Check a backward pass: of a configuration, a run, a registered layer, a file of layers, or a layer object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import UsageError
from retrograd.checking.example import check_example, check_registered
from retrograd.checking.report import CheckReport
from retrograd.data.dataset import Dataset
from retrograd.network.layer import Input, Layer, layers
from retrograd.network.losses.loss import losses
from retrograd.network.own_layers import load_layers
from retrograd.record.aside import settle_if_free
from retrograd.record.run import CONFIG, MODEL
from retrograd.training.config.config import RunConfig
from retrograd.training.gradients import check_prepared
from retrograd.training.prepare import Prepared, prepare, prepare_file
from retrograd.training.run import Run, as_config
from retrograd.training.use.predict import load
from retrograd.training.warm_start import with_start
from retrograd.update.optimizer import Optimizer, optimizers


def check(
    what: RunConfig | Run | Prepared | Layer | Mapping[str, Any] | str | Path,
    *inputs: Any,
    dataset: Dataset | None = None,
    entries: int | None = None,
    seed: int = 0,
) -> CheckReport:
    """Compare a backward pass with central differences in float64 and with jax.vjp; `report.verdict` is the result.

    `what` is a configuration (object, mapping, or path), a run (object or folder), the name of a registered layer or
    loss, a Python file that registers layers, or a layer with examples of its inputs (shapes or `Input`s). `entries` is
    the number of entries sampled from a large tensor.

        rg.check("examples/xor.yaml").verdict        # exact, acceptable, suspicious or wrong

    Raises:  UsageError if the name is unknown; ConfigError, DataError as training would.
    """
    refuse_foreign(what, "check")
    if isinstance(what, Layer):
        examples = [example if isinstance(example, Input) else Input(tuple(example)) for example in inputs]
        return CheckReport((check_example(what, examples, name=what.kind),))
    if isinstance(what, str) and (what in layers or what in losses):
        return check_registered(what)
    if isinstance(what, Prepared):
        return check_prepared(what, entries=entries, seed=seed)
    if isinstance(what, Run):
        prepared = prepare(with_start(what.model.config, None), dataset or what.dataset)
        return check_prepared(prepared, what.model.variables, entries=entries, seed=seed)
    if isinstance(what, (str, Path)):
        return _at_path(Path(what), dataset, entries, seed)
    return check_prepared(prepare(as_config(what), dataset), entries=entries, seed=seed)


def check_file(path: str | Path) -> CheckReport:
    """Check every layer and loss that a Python file registers, and that its optimizers compile.

    Raises:  ConfigError naming the place where an optimizer breaks its contract
    """
    user_layers = load_layers(path)
    for cls in user_layers.classes:
        if issubclass(cls, Optimizer):
            cls(**optimizers.entry(optimizers.name_of(cls)).facts.get("example", {})).build(100)
    reports = [check_registered(name) for name in user_layers.names if name in layers or name in losses]
    return CheckReport(
        tuple(check_ for report in reports for check_ in report.checks),
        tuple(clause for report in reports for clause in report.broken),
    )


def _at_path(path: Path, dataset: Dataset | None, entries: int | None, seed: int) -> CheckReport:
    if path.is_dir():
        settle_if_free(path)
        if not (path / CONFIG).is_file() or not (path / MODEL).is_file():
            raise UsageError(f"not a finished run: it has no {CONFIG} or no {MODEL}", where=str(path))
        model = load(path)
        return check_prepared(
            prepare(with_start(model.config, None), dataset), model.variables, entries=entries, seed=seed
        )
    if path.suffix == ".py":
        return check_file(path)
    prepared = prepare_file(path) if dataset is None else prepare(as_config(path), dataset)
    return check_prepared(prepared, entries=entries, seed=seed)
