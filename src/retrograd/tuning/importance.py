"""The importance of each setting: the share of the variance of scores that its values explain."""

from __future__ import annotations

import numpy as np

from retrograd.training.config.search import Range
from retrograd.tuning.study import Study

GROUPS = 4  # groups of neighbouring values of a range, of nearly equal size
FEWEST = 8  # minimum number of trials for a meaningful share


def importance(study: Study) -> list[tuple[str, float]]:
    """Return each setting with its correlation ratio, largest first; empty if there are too few trials.

        share = variance of the mean ranks of groups / variance of all ranks

    Ranks are used because a single terrible score would hide everything else. A setting without effect still gets about
    (groups - 1) / (trials - 1).
    """
    if len(study.tried) < FEWEST:
        return []
    ranks = np.argsort(np.argsort([sum(trial.costs) for trial in study.tried])).astype(float)
    shares = [
        (path, _explained([dict(trial.values)[path] for trial in study.tried], values, ranks))
        for path, values in study.search.ranges
    ]
    return sorted(shares, key=lambda pair: -pair[1])


def _explained(values: list[object], span: Range, ranks: np.ndarray) -> float:
    if span.kind == "choice":
        groups = np.array([span.values.index(value) for value in values])
    else:
        order = np.argsort(np.argsort(np.array(values, float), kind="stable"))
        groups = order * GROUPS // len(order)
    means = {group: ranks[groups == group].mean() for group in set(groups.tolist())}
    return float(np.var([means[group] for group in groups.tolist()]) / np.var(ranks))
