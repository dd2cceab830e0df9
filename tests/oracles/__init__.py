"""Numbers from another implementation: 252 cases of layers, losses, optimizers and schedules, computed in float64.

Arrays of a case: given `in.*`, `param.*`, `state.*`, `cot.*` (the arriving delta); answers `out.*`, `grad_in.*`,
`grad_param.*`, `state_after.*`. Optimizers: `param0.*`, `grads.*`, `after.*`. Schedules: `lr`.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).parent


class Case(NamedTuple):
    id: str
    kind: str
    config: dict[str, Any]
    arrays: dict[str, np.ndarray]
    tol: dict[str, float]  # rtol and atol in float64


@functools.cache
def all_cases() -> dict[str, Case]:
    arrays: dict[str, dict[str, np.ndarray]] = {}
    with np.load(HERE / "cases.npz", allow_pickle=False) as stored:
        for key in stored.files:
            case, _, name = key.partition("|")
            arrays.setdefault(case, {})[name] = stored[key]
    listed = json.loads((HERE / "manifest.json").read_text())["cases"]
    return {
        c["id"]: Case(c["id"], c["kind"], c["config"], arrays.get(c["id"], {}), c["tol"]["float64"]) for c in listed
    }


def cases(*kinds: str) -> list[Case]:
    """The cases of these kinds that are not left out by name."""
    from tests.oracles.left_out import LEFT_OUT

    return [case for case in all_cases().values() if case.kind in kinds and case.id not in LEFT_OUT]
