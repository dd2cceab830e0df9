"""The check of a whole network: its backward pass against differences of its loss, tensor by tensor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from retrograd.checking.difference import STEP, Differences
from retrograd.checking.kinks import SMALLER, Corners, Kink
from retrograd.checking.locate import locate
from retrograd.checking.point import INPUT, Cost, Extra, Point, compiled_once
from retrograd.checking.result import Entry, GradientCheck, TensorCheck
from retrograd.checking.slopes import ACCEPTABLE, EXACT, WRONG
from retrograd.network.network import Network, Variables
from retrograd.propagation.objective import Objective

FEW = 32  # all entries of a tensor of at most this size are checked
LEAST = 2  # minimum number of entries checked per tensor
WORK = 5e10  # operations allowed for the differences: a few seconds
DISTURBED = 3 * EXACT  # a larger error may be due to a corner; a smaller one does not matter
ENOUGH = 3  # after this number of wrong entries without a corner, the search for corners ends


def check_network(
    network: Network,
    objectives: Sequence[Objective],
    variables: Variables,
    batch: Mapping[str, Any],
    key: Array,
    *,
    name: str = "network",
    train: bool = True,
    extra: Extra | None = None,
    entries: int | None = None,
    seed: int = 0,
) -> GradientCheck:
    """Compare the backward pass at one point with central differences and with jax.vjp, all in float64.

    The random key and the batch are the same in all evaluations. `entries` is the number of entries to check in each
    larger tensor [default: as many as a few seconds allow]. `extra` returns value and gradient of the penalties.

        error = ‖backward - difference‖ / max(‖backward‖, ‖difference‖, floor),  floor = round-off / 1e-7
    """
    begin = time.perf_counter()
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        point = Point(network, objectives, variables, batch, key, train, extra)
        if point.failure is not None:
            faults = locate(point, rng)
            if not faults:
                raise point.failure
            failure = f"the backward pass does not run: {str(point.failure).partition(chr(10))[0]}"
            return GradientCheck(name, point.rows, _size(point), (), None, faults, 0.0, time.perf_counter() - begin,
                                 (failure,))  # fmt: skip
        both = compiled_once(lambda tensors: (point.backward(tensors), point.by_vjp(tensors)))
        claimed, expected = jax.device_get(both(point.tensors))
        broken = [path for path, grad in claimed.items() if np.shape(grad) != np.shape(point.tensors[path])]
        errors = _vjp_errors(claimed, expected)
        if not broken and max(errors.values(), default=0.0) > EXACT:  # at ties the two may choose different slopes
            errors = _vjp_errors(*jax.device_get(both(_off_corners(point, rng))))
        trial = Comparison(point, claimed, errors, rng, entries)
        tensors = tuple(trial.tensor(path) for path in point.tensors if path not in broken)
        tensors += tuple(_misshapen(point, path, claimed[path]) for path in broken)
        whole = None if broken else trial.whole()
        notes = tuple(f"{column}: backward returns no delta" for column in point.without_delta)
        wrong = bool(broken) or trial.disagrees or any(tensor.largest > ACCEPTABLE for tensor in tensors)
        faults = locate(point, rng) if wrong else ()
    if wrong and not faults and any(t.largest > WRONG for t in tensors):
        notes += ("no single layer is wrong: check shared parameters, and outputs read by several nodes",)
    roundoff = trial.differences.roundoff()
    return GradientCheck(name, point.rows, _size(point), tensors, whole, faults, roundoff,
                         time.perf_counter() - begin, notes)  # fmt: skip


class Comparison:
    """The differences at one point, and the gradients by backward and by jax.vjp."""

    def __init__(
        self,
        point: Point,
        claimed: Mapping[str, Any],
        vjp_errors: Mapping[str, float],
        rng: np.random.Generator,
        entries: int | None,
    ) -> None:
        self.point, self.claimed, self.vjp_errors, self.rng = point, claimed, vjp_errors, rng
        cost = Cost.of(point)
        self.differences = Differences(point, cost, rng)
        self.corners = Corners(self.differences)
        affordable = WORK / cost.operations / (2 * len(point.tensors))
        self.most = entries or int(np.clip(affordable, LEAST, FEW))
        self.floor = self.differences.roundoff() / EXACT
        self.disagrees = max(vjp_errors.values(), default=0.0) > EXACT
        self.surrogates = _through_surrogates(point)

    def tensor(self, path: str) -> TensorCheck:
        """Return the check of one tensor."""
        a = np.asarray(self.claimed[path], np.float64)
        vjp = self.vjp_errors[path]
        surrogate = self._surrogate(path)
        if surrogate or not a.size:
            return TensorCheck(path, a.shape, 0, 0.0, None, 0.0, vjp, surrogate=surrogate)
        entries = self._chosen(a)
        flat, n = a.ravel()[entries], self.differences.central(path, entries)
        floors = np.full(len(entries), self.floor)
        kinks = (
            [] if vjp > EXACT else self._past_corners(path, entries, flat, n, floors)
        )  # a corner does not explain that
        smooth = floors < np.inf
        errors = np.where(smooth, _entry_errors(flat, n, floors), 0.0)
        worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
        entry = Entry(_index(entries[worst], a.shape), float(flat[worst]), float(n[worst]), float(errors[worst]))
        norm = _relative(flat[smooth], n[smooth], float(np.linalg.norm(floors[smooth])))
        along = 0.0 if len(entries) == a.size or kinks else self._along(path, a)
        return TensorCheck(path, a.shape, len(entries), norm, entry, along, vjp, tuple(kinks))

    def whole(self) -> Entry | None:
        """Return the check of all tensors together along one random direction."""
        names = [name for name in self.differences.names if not self._surrogate(name)]
        if not names:
            return None
        weights = np.array([[float(name in names) for name in self.differences.names]])
        return self._directional(weights, {name: np.asarray(self.claimed[name]) for name in names})

    def _surrogate(self, path: str) -> str:
        """Return why differences do not apply to this tensor; empty if they do."""
        return self.surrogates.get(path if path.startswith(INPUT) else path.rpartition("/")[0], "")

    def _along(self, path: str, a: np.ndarray) -> float:
        weights = np.array([[float(name == path) for name in self.differences.names]])
        return self._directional(weights, {path: a}).error

    def _directional(self, weights: np.ndarray, grads: Mapping[str, np.ndarray]) -> Entry:
        """Compare along unit directions; of several steps, the one with the smallest error counts."""
        parts = [(grad, np.asarray(self.differences.directions[name])) for name, grad in grads.items()]
        analytic = float(sum(np.vdot(grad, direction) for grad, direction in parts))
        # the typical product for a gradient of this length: one that is near 0 by chance must not inflate the error
        typical = float(np.sqrt(sum(np.vdot(g, g) / max(g.size, 1) for g, _ in parts)))
        best = Entry((), analytic, np.nan, np.inf)
        for step in (STEP, *SMALLER):
            numeric = float(self.differences.along(weights, step)[0])
            floor = max(self.differences.roundoff(step) / EXACT, typical)
            error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), floor)
            if error < best.error or np.isnan(error):
                best = Entry((), analytic, numeric, error)
            if not best.error > EXACT or self.disagrees:
                break
        return best

    def _chosen(self, a: np.ndarray) -> np.ndarray:
        """Return the entries to check: all if they are few, else half at random and half with large gradients."""
        if a.size <= self.most or a.size <= FEW <= self.most:
            return np.arange(a.size)
        size = np.abs(a.ravel())
        uniform = self.rng.choice(a.size, self.most, replace=False)
        weights = size / size.sum() if np.isfinite(size.sum()) and np.count_nonzero(size) >= self.most else None
        large = self.rng.choice(a.size, self.most // 2, replace=False, p=weights)
        return np.unique(np.concatenate([uniform[::2], large]))

    def _past_corners(
        self, path: str, entries: np.ndarray, flat: np.ndarray, n: np.ndarray, floors: np.ndarray
    ) -> list[Kink]:
        """Replace, in place, differences disturbed by a corner with those of smaller steps, which have higher floors.

        Returns the entries that remain on a corner; their floor is infinite.
        """
        kinks: list[Kink] = []
        smooth = 0
        if _relative(flat, n, float(np.linalg.norm(floors))) <= DISTURBED:
            return kinks
        errors = _entry_errors(flat, n, floors)
        for i in (int(i) for i in np.argsort(-errors) if errors[i] > EXACT):
            for step in (STEP, *SMALLER):
                sides = self.corners.sides(path, int(entries[i]), step)
                n[i], floors[i] = sides.central, self.differences.roundoff(step) / EXACT
                if not sides.nodes:
                    break
            else:
                floors[i] = np.inf
                index = _index(entries[i], np.shape(self.claimed[path]))
                kinks.append(Kink(index, float(flat[i]), sides.left, sides.right, sides.nodes))
            smooth += step == STEP
            if smooth == ENOUGH:
                break
        return kinks


def _entry_errors(a: np.ndarray, n: np.ndarray, floors: np.ndarray) -> np.ndarray:
    """Return the relative error of each entry."""
    errors: np.ndarray = np.abs(a - n) / np.maximum(np.maximum(np.abs(a), np.abs(n)), floors)
    return errors


def _relative(a: np.ndarray, b: np.ndarray, least: float) -> float:
    if not a.size:
        return 0.0
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)), least)
    return float(np.linalg.norm(a - b) / scale) if scale else 0.0


def _vjp_errors(claimed: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, float]:
    """Return the error of each tensor against jax.vjp, relative to at least 1e-6 of the largest gradient.

    This keeps the error small for a gradient that is 0 in exact arithmetic, such as that of a bias before batch norm.
    """
    largest = max((float(np.linalg.norm(np.asarray(grad))) for grad in expected.values()), default=0.0)
    return {
        path: _relative(np.asarray(claimed[path]), np.asarray(grad), 1e-6 * largest)
        for path, grad in expected.items()
        if np.shape(claimed[path]) == np.shape(grad)
    }


def _off_corners(point: Point, rng: np.random.Generator) -> dict[str, Any]:
    """Return the tensors moved by a tiny amount, enough to leave ties and corners."""

    def moved(value: Any) -> Any:
        scale = float(np.sqrt(np.mean(np.square(value)))) if value.size else 0.0
        return value + 1e-6 * (scale or 1.0) * rng.normal(size=value.shape)

    return {name: moved(value) for name, value in point.tensors.items()}


def _index(entry: Any, shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(entry), tuple(shape))) if tuple(shape) else ()


def _size(point: Point) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(point.params))


def _misshapen(point: Point, path: str, claimed: Any) -> TensorCheck:
    return TensorCheck(path, tuple(point.tensors[path].shape), 0, np.inf, None, np.inf, np.inf)


def _through_surrogates(point: Point) -> dict[str, str]:
    """Return the nodes (and columns) whose gradients pass through a surrogate gradient, with the reason for it."""
    reasons: dict[str, str] = {}
    for node in reversed(point.network.nodes):
        reason = (node.layer.surrogate and f"{node.name}: {node.layer.surrogate}") or reasons.get(node.name, "")
        if reason:
            reasons[node.name] = reason
            for reference in node.inputs:
                name = reference.partition(".")[0]
                reasons[name] = reason
                reasons[INPUT + name] = reason
    return reasons
