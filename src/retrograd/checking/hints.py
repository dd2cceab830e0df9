"""How a wrong gradient is related to the right one: the usual mistakes, tried one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.checking.slips import (
    DIAGONAL,
    axes_of,
    close,
    masked,
    nothing,
    of_shape,
    sign_or_factor,
    size_and_direction,
    statistics_as_constants,
    transposed,
    unaligned,
    wrong_axis,
)

MOST_ENTRIES = 256  # largest input for which the diagonal of the Jacobian is computed


class Evidence(NamedTuple):
    """The trial of a layer (see `locate`), a tensor, and its claimed and right gradients."""

    trial: Any
    name: str
    claimed: np.ndarray | None
    right: np.ndarray


def hint(evidence: Evidence) -> str:
    """Describe the likely mistake; empty if none is recognised."""
    claimed = evidence.claimed
    if claimed is None:
        return "backward returns no gradient"
    if claimed.shape != evidence.right.shape:
        return of_shape(claimed, evidence.right)
    if words := nothing(claimed):
        return words
    for slip in SLIPS:
        if words := slip(evidence, claimed, evidence.right):
            return words
    return ""


def _factor(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """A constant times the right gradient."""
    trial = evidence.trial
    rows = len(trial.inputs[0]) if trial.inputs and np.ndim(trial.inputs[0]) else 0
    counts = {_places(evidence): "all positions of the batch", rows: f"the {rows} rows of the batch"}
    return sign_or_factor(claimed, right, counts)


def _transposed(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """The transpose of the right gradient, or the right gradient for a transposed parameter."""
    if words := transposed(claimed, right):
        return words
    trial = evidence.trial
    for name, value in trial.params.items():
        for i in range(value.ndim - 1):
            for j in range(i + 1, value.ndim):
                swapped = jnp.swapaxes(value, i, j)
                if swapped.shape == value.shape and close(claimed, _moved(trial, evidence.name, **{name: swapped})):
                    return f"it is right for a transposed {name} (axes {i} and {j} swapped)"
        for axes in ([0], [0, 1]) if value.ndim > 2 else ():
            if close(claimed, _moved(trial, evidence.name, **{name: jnp.flip(value, axes)})):
                return f"it is right for a flipped {name} (along {' and '.join(f'axis {a}' for a in axes)})"
    return ""


def _ignored(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """The right gradient if a parameter were 1 or 0 everywhere."""
    trial = evidence.trial
    for name, value in trial.params.items():
        for number in (1, 0):
            if close(claimed, _moved(trial, evidence.name, **{name: jnp.full_like(value, number)})):
                return f"the parameter {name} is ignored: this is right only if {name} is {number}"
    return ""


def _rows_ignored(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """The right gradient for only some rows of the delta."""
    trial = evidence.trial
    if isinstance(trial.dy, dict) or trial.dy.ndim < 2:
        return ""
    for axis in range(trial.dy.ndim - 1):
        for place in (0, -1):
            alone = jnp.zeros_like(trial.dy)
            at: tuple[Any, ...] = (slice(None),) * axis + (place,)
            alone = alone.at[at].set(trial.dy[at])
            part = np.asarray(trial.by_vjp(alone)[evidence.name])
            over = "the batch" if axis == 0 else f"axis {axis} of the output"
            if part.any() and close(claimed, part):
                return f"the sum over {over} is missing: only the {'first' if place == 0 else 'last'} row is used"
            if part.any() and close(claimed, right - part):
                return f"the {'first' if place == 0 else 'last'} row of {over} is ignored"
    return ""


def _other_tape(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """The right gradient if an entry of the tape is replaced by an input, the output or another entry."""
    trial = evidence.trial
    if trial.layer.derivation != "written":
        return ""
    leaves, tree = jax.tree.flatten(trial.tape)
    values = {f"input {i}": x for i, x in enumerate(trial.inputs) if not isinstance(x, dict)}
    values |= {} if isinstance(trial.y, dict) else {"the output": trial.y}
    values |= {f"entry {i} of the tape": leaf for i, leaf in enumerate(leaves)} if len(leaves) > 1 else {}
    for i, leaf in enumerate(leaves):
        title = next((f" (it is {name})" for name, x in values.items() if x is leaf or _equal(x, leaf)), "")
        for name, value in values.items():
            if value.shape != leaf.shape or value.dtype != leaf.dtype or _equal(value, leaf):
                continue
            if close(_returned(trial, evidence.name, tree, [*leaves[:i], value, *leaves[i + 1 :]]), right):
                where = f"entry {i} of the tape" if len(leaves) > 1 else "the tape"
                return f"the wrong tape{title}: it would be right if {where} were {name}"
    for i, leaf in enumerate(leaves):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            for words, changed in (("square", leaf**2), ("root", jnp.sqrt(jnp.abs(leaf))), ("inverse", 1 / leaf)):
                if close(_returned(trial, evidence.name, tree, [*leaves[:i], changed, *leaves[i + 1 :]]), right):
                    return f"the wrong tape: it would be right if entry {i} of the tape were replaced by its {words}"
    return ""


def _factor_along(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """A parameter, input or output is an extra or missing factor; or the factor depends on the index along one axis."""
    trial = evidence.trial
    sources = {**trial.params, **{f"input {i}": x for i, x in enumerate(trial.inputs)}, "the output": trial.y}
    sources = {name: np.asarray(value) for name, value in sources.items() if not isinstance(value, dict)}
    sources |= {f"1 - {name}": 1 - value for name, value in sources.items() if value.dtype.kind == "f"}
    for name, factor in sources.items():
        if not _broadcasts(factor, right):
            continue
        if close(claimed * factor, right):
            return f"a factor is missing: {name}"
        if close(claimed, right * factor):
            return f"an extra factor: {name}"
    for axis in range(right.ndim):
        if right.shape[axis] > 1 and right.size > right.shape[axis]:
            others = tuple(i for i in range(right.ndim) if i != axis)
            power = (right * right).sum(others, keepdims=True)
            ratio = (claimed * right).sum(others, keepdims=True) / np.where(power == 0, 1, power)
            if close(claimed, ratio * right):
                return f"a wrong factor that depends only on axis {axis}: {_listed(ratio)}"
    return ""


def _dropped(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """The missing term is constant along some axes, alone or times an input, the output or an entry of the tape."""
    trial, missing = evidence.trial, right - claimed
    sources: dict[str, Any] = {"": np.ones(())}
    sources |= {f"input {i}": x for i, x in enumerate(trial.inputs)} | {"the output": trial.y}
    sources |= {f"entry {i} of the tape": leaf for i, leaf in enumerate(jax.tree.leaves(trial.tape))}
    sources |= {"the incoming delta": trial.dy} | dict(trial.params)
    for name, value in sources.items():
        if isinstance(value, dict) or not _broadcasts(value, right):
            continue
        whole = np.broadcast_to(np.asarray(value, np.float64), right.shape)
        for axes in axes_of(right.ndim):
            if np.prod([right.shape[axis] for axis in axes]) < 2:
                continue
            along = ", ".join(str(axis) for axis in axes)
            for factor, words in ((whole, name), (whole - whole.mean(axes, keepdims=True), f"{name} minus its mean")):
                power = (factor * factor).sum(axes, keepdims=True)
                share = (missing * factor).sum(axes, keepdims=True) / np.where(power == 0, 1, power)
                if close(missing, share * factor):
                    times = f" times {words}" if name else ""
                    return f"a term is missing: a constant along axis {along}{times}, as from a sum or mean over it"
    return ""


def _others(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """The gradient of another tensor of the layer."""
    for name, value in evidence.trial.expected.items():
        if name != evidence.name and value.shape == claimed.shape and close(claimed, value):
            return f"it is the gradient of {name}"
    return ""


def _ignores_delta(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """A gradient that does not depend on the incoming delta, or is not proportional to it."""
    trial = evidence.trial
    twice = jax.tree.map(lambda dy: 2 * dy, trial.dy)
    leaves, tree = jax.tree.flatten(trial.tape)
    again = _returned(trial, evidence.name, tree, leaves, twice)
    if close(again, claimed):
        return "it does not depend on the incoming delta: backward ignores dy"
    if again.shape == claimed.shape and not close(again, 2 * claimed):
        return "it is not proportional to the incoming delta: dy must be a factor of every term"
    return ""


def _diagonal(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """The delta times the diagonal of the Jacobian, although every output depends on several inputs."""
    trial = evidence.trial
    if not evidence.name.startswith("input") or isinstance(trial.dy, dict) or trial.dy.shape != right.shape:
        return ""
    if right.size > MOST_ENTRIES:
        return ""
    flat = np.asarray(trial.dy).ravel()
    unit = np.eye(len(flat)).reshape(len(flat), *right.shape)
    diagonal = [np.asarray(trial.by_vjp(jnp.asarray(dy))[evidence.name]).ravel()[i] for i, dy in enumerate(unit)]
    if close(claimed, (np.asarray(diagonal) * flat).reshape(right.shape)):
        return DIAGONAL
    return ""


def _statistics(evidence: Evidence, claimed: np.ndarray, right: np.ndarray) -> str:
    """A mean and a variance that depend on the input, treated as constants."""
    inputs = evidence.trial.inputs
    return statistics_as_constants(claimed, right, np.asarray(inputs[0])) if inputs else ""


def _by_numbers(slip: Callable[[np.ndarray, np.ndarray], str]) -> Slip:
    """Adapt a mistake that is visible in the two arrays to the signature of those that need the layer."""
    return lambda _, claimed, right: slip(claimed, right)


Slip = Callable[[Evidence, np.ndarray, np.ndarray], str]
SLIPS: tuple[Slip, ...] = (
    _ignores_delta, _factor, _transposed, _ignored, _others, _by_numbers(unaligned), _diagonal, _by_numbers(masked),
    _rows_ignored, _other_tape, _factor_along, _dropped, _statistics, _by_numbers(wrong_axis),
    _by_numbers(size_and_direction),
)  # fmt: skip


def _equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and bool(jnp.array_equal(a, b))


def _places(evidence: Evidence) -> int:
    dy = evidence.trial.dy
    return 0 if isinstance(dy, dict) or dy.ndim < 3 else dy.size // dy.shape[-1]


def _moved(trial: Any, name: str, **changed: Any) -> np.ndarray:
    return np.asarray(trial.by_vjp(trial.dy, **changed)[name])


def _returned(trial: Any, name: str, tree: Any, leaves: list[Any], dy: Any = None) -> np.ndarray:
    """Return backward's gradient for another tape or delta; an empty array if it fails."""
    dy = trial.dy if dy is None else dy
    try:
        claimed = trial.back_compiled(trial.params, jax.tree.unflatten(tree, leaves), dy).get(name)
    except (TypeError, ValueError):
        claimed = None
    return np.zeros(0) if claimed is None else np.asarray(claimed)


def _broadcasts(value: Any, right: np.ndarray) -> bool:
    try:
        return np.broadcast_shapes(np.shape(value), right.shape) == right.shape and np.asarray(value).dtype.kind == "f"
    except ValueError:
        return False


def _listed(ratio: np.ndarray) -> str:
    values = ratio.ravel()
    shown = ", ".join(f"{value:.4g}" for value in values[:4])
    return f"{shown}, ..." if len(values) > 4 else shown
