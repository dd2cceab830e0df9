"""`rg.tune`, `rg.tune_rate`, `rg.compare_optimizers`: searches for the best settings on the user's data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrograd.base.errors import UsageError
from retrograd.data.dataset import Dataset
from retrograd.record.files import write_file
from retrograd.record.strict_json import write_json
from retrograd.training.config.config import RunConfig
from retrograd.training.run import as_config
from retrograd.tuning.optimizers import COMPARED, SEEDS, Comparison, compare
from retrograd.tuning.page import comparison_page, rate_page, study_page
from retrograd.tuning.rate import RATES, Sweep, sweep
from retrograd.tuning.study import Study, run_study
from retrograd.tuning.trial import loaded

PAGE, RESULT = "report.html", "result.json"
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def tune(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    dataset: Dataset | None = None,
    budget: str | float | int | None = None,
    jobs: int = 1,
    resume: bool = False,
    root: str | Path = "runs",
    folder: str | Path | None = None,
    layers: Sequence[Path] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Study:
    """Try the settings in the section `search` of a configuration, and return the study.

    `budget` is a number of trials or a time: "90s", "10m", "1h". Each trial runs in one of `jobs` processes; those that
    take longer than two seconds, and the winner, are run folders in `folder` (by default `tune-NAME` in `root`). The
    journal is append-only, so a study that was killed continues with `resume=True` and runs the same trials. The winner
    is compared with the original configuration on fresh seeds. The test part is never used.

        study = rg.tune("house.yaml", budget="10m", jobs=2)
        rg.train(study.config)

    Raises:  UsageError without a section `search`, or for an existing study; KeyboardInterrupt, after which
             the study can be resumed
    """
    config = as_config(config)
    trials, seconds = allowance(budget)
    if trials is not None and config.search is not None:
        options = dataclasses.replace(config.search.options, trials=trials)
        config = dataclasses.replace(config, search=dataclasses.replace(config.search, options=options))
    place = Path(folder) if folder is not None else Path(root) / f"tune-{config.name}"
    study = run_study(
        config, dataset, place, seconds=seconds, jobs=jobs, resumes=resume, layers=layers, progress=progress
    )
    write_file(place / RESULT, write_json(study.plain()).encode())
    write_file(place / PAGE, study_page(study).encode())
    return study


def tune_rate(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    dataset: Dataset | None = None,
    count: int = RATES,
    root: str | Path = "runs",
) -> Sweep:
    """Find the learning rate that trains best on this data, and say why: the best of `count` rates train ever longer.

    The curve is written to `rate-NAME/report.html` in `root`.
    """
    config = as_config(config)
    if count < 2:
        raise UsageError(f"expected at least 2 rates, found {count}", where="count")
    result = sweep(config, loaded(config) if dataset is None else dataset, count)
    _write(Path(root) / f"rate-{config.name}", result.plain(), rate_page(config.name, result))
    return result


def compare_optimizers(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    dataset: Dataset | None = None,
    names: Sequence[str] = tuple(COMPARED),
    seeds: int = SEEDS,
    root: str | Path = "runs",
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Train the same network with SGD, momentum, RMSprop, Adagrad, Adam and AdamW, each at its best rate.

    The table and a plot are written to `optimizers-NAME/report.html` in `root`.
    """
    config = as_config(config)
    unknown = [name for name in names if name not in COMPARED]
    if unknown:
        raise UsageError(f"unknown optimizer '{unknown[0]}'", where="names", cure=f"known: {', '.join(COMPARED)}")
    comparison = compare(config, loaded(config) if dataset is None else dataset, names, seeds, progress)
    _write(Path(root) / f"optimizers-{config.name}", comparison.plain(), comparison_page(config.name, comparison))
    return comparison


def allowance(budget: str | float | int | None) -> tuple[int | None, float | None]:
    """Parse a budget into trials or seconds: 30, "30", "90s", "10m", "1h".

    Raises:  UsageError for anything else
    """
    if budget is None:
        return None, None
    text = str(budget).strip().lower()
    factor = UNITS.get(text[-1:])
    try:
        number = float(text[:-1] if factor else text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0) or (factor is None and number != int(number)):
        raise UsageError(f"expected a number of trials (30) or a time (90s, 10m, 1h), found '{budget}'", where="budget")
    return (int(number), None) if factor is None else (None, factor * number)


def _write(folder: Path, plain: Mapping[str, Any], page: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / RESULT, write_json(plain).encode())
    write_file(folder / PAGE, page.encode())
