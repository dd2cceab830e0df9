"""What a wrong gradient has in common with the right one: the usual slips, tried one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

SAME = 1e-6  # relative; the two come from one formula or they do not


class Evidence(NamedTuple):
    """The trial of a layer (see gradcheck_locate), the tensor, and its gradient as found and as it should be."""

    trial: Any
    name: str
    found: np.ndarray | None
    right: np.ndarray


def hint(evidence: Evidence) -> str:
    """Return what the relation of the wrong gradient to the right one tells, or nothing."""
    found = evidence.found
    if found is None:
        return "backward returns none"
    if found.shape != evidence.right.shape:
        return next(_of_shape(found, evidence.right))
    if not np.isfinite(found).all():
        return "it is not finite"
    if not found.any():
        return "it is 0 everywhere"
    for slip in SLIPS:
        if words := slip(evidence, found, evidence.right):
            return words
    return ""


def _of_shape(found: np.ndarray, right: np.ndarray) -> Iterator[str]:
    """Say which sum is missing where the shapes differ."""
    shapes = f"it has the shape {list(found.shape)}, the tensor {list(right.shape)}"
    extra = found.ndim - right.ndim
    if extra > 0 and _close(found.sum(tuple(range(extra))), right):
        yield f"{shapes}: the sum over the batch is missing"
    if found.ndim == right.ndim:
        axes = tuple(i for i in range(found.ndim) if right.shape[i] == 1 != found.shape[i])
        if axes and _close(found.sum(axes, keepdims=True), right):
            yield f"{shapes}: the sum over the broadcast axis {axes[0]} is missing"
    if found.shape == right.T.shape and _close(found.T, right):
        yield f"{shapes}: it is transposed"
    yield f"{shapes}: a sum or a transposition is missing"


def _factor(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """A number times the right gradient."""
    ratio = float(np.vdot(found, right) / max(float(np.vdot(right, right)), 1e-300))
    if not right.any() or not _close(found, ratio * right):
        return ""
    if abs(ratio + 1) < SAME:
        return "the sign is wrong: it is -1 times what it should be"
    rows = len(evidence.trial.inputs[0]) if evidence.trial.inputs and np.ndim(evidence.trial.inputs[0]) else 0
    for count, words in ((rows, f"the {rows} rows of the batch"), (_places(evidence), "all places of the batch")):
        if count > 1 and abs(ratio * count - 1) < SAME:
            return f"it is 1/{count} of what it should be: a mean over {words} where a sum belongs"
        if count > 1 and abs(ratio / count - 1) < SAME and count > 2:
            return f"it is {count} times what it should be: a sum over {words} where a mean belongs"
    return f"a factor is wrong: it is {ratio:.6g} times what it should be"


def _transposed(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """The transpose of the right gradient, or the right one of a transposed parameter."""
    if right.ndim >= 2 and right.shape[-1] == right.shape[-2] and _close(np.swapaxes(found, -1, -2), right):
        return "it is the transpose of what it should be"
    trial = evidence.trial
    for name, value in trial.params.items():
        for i in range(value.ndim - 1):
            for j in range(i + 1, value.ndim):
                turned = jnp.swapaxes(value, i, j)
                if turned.shape == value.shape and _close(found, _moved(trial, evidence.name, **{name: turned})):
                    return f"it is right for a transposed {name} (axes {i} and {j} exchanged)"
        for axes in ([0], [0, 1]) if value.ndim > 2 else ():
            if _close(found, _moved(trial, evidence.name, **{name: jnp.flip(value, axes)})):
                return f"it is right for a flipped {name} (along {' and '.join(f'axis {a}' for a in axes)})"
    return ""


def _left_out(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """The right gradient if a parameter were 1 or 0 everywhere."""
    trial = evidence.trial
    for name, value in trial.params.items():
        for number in (1, 0):
            if _close(found, _moved(trial, evidence.name, **{name: jnp.full_like(value, number)})):
                return f"the parameter {name} is left out: it is right where that is {number}"
    return ""


def _rows_left_out(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """The right gradient of some rows of the delta only."""
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
            if part.any() and _close(found, part):
                return f"the sum over {over} is missing: only its {'first' if place == 0 else 'last'} row counts"
            if part.any() and _close(found, right - part):
                return f"the {'first' if place == 0 else 'last'} row of {over} is left out"
    return ""


def _masked(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """Equal where neither is 0, and 0 in other places."""
    both = (found != 0) & (right != 0)
    ratio = float(np.vdot(found[both], right[both]) / np.vdot(right[both], right[both])) if both.any() else 1.0
    more, less = int(((found != 0) & (right == 0)).sum()), int(((found == 0) & (right != 0)).sum())
    if not (more or less) or not (right == 0).any():
        return ""
    if both.any() and not _close(found[both], ratio * right[both]):
        return ""
    if more and not less:
        scaled = "" if abs(ratio - 1) < SAME else f", and a factor {1 / ratio:.6g} of the others"
        return f"a mask is missing: {more} entries should be 0 and are not{scaled}"
    if less and not more:
        return f"a mask is too wide: {less} entries are 0 and should not be"
    return f"another mask: {more} entries should be 0 and are not, {less} are 0 and should not be"


def _other_tape(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """Backward is right once an entry of its tape is replaced by an input, the output or another entry."""
    trial = evidence.trial
    if trial.layer.derivation != "written":
        return ""
    leaves, tree = jax.tree.flatten(trial.tape)
    values = {f"input {i}": x for i, x in enumerate(trial.inputs) if not isinstance(x, dict)}
    values |= {} if isinstance(trial.y, dict) else {"the output": trial.y}
    values |= {f"entry {i} of the tape": leaf for i, leaf in enumerate(leaves)} if len(leaves) > 1 else {}
    for i, leaf in enumerate(leaves):
        held = next((f" (it is {name})" for name, value in values.items() if value is leaf or _equal(value, leaf)), "")
        for name, value in values.items():
            if value.shape != leaf.shape or value.dtype != leaf.dtype or _equal(value, leaf):
                continue
            if _close(_returned(trial, evidence.name, tree, [*leaves[:i], value, *leaves[i + 1 :]]), right):
                where = f"entry {i} of the tape" if len(leaves) > 1 else "the tape"
                return f"the wrong tape{held}: it is right once {where} is {name}"
    for i, leaf in enumerate(leaves):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            for words, changed in (("square", leaf**2), ("root", jnp.sqrt(jnp.abs(leaf))), ("inverse", 1 / leaf)):
                if _close(_returned(trial, evidence.name, tree, [*leaves[:i], changed, *leaves[i + 1 :]]), right):
                    return f"the wrong tape: it is right once entry {i} of the tape is replaced by its {words}"
    return ""


def _factor_along(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """A parameter, input or output too much or too little as a factor; or a factor for each place of one axis."""
    trial = evidence.trial
    sources = {**trial.params, **{f"input {i}": x for i, x in enumerate(trial.inputs)}, "the output": trial.y}
    sources = {name: np.asarray(value) for name, value in sources.items() if not isinstance(value, dict)}
    sources |= {f"1 - {name}": 1 - value for name, value in sources.items() if value.dtype.kind == "f"}
    for name, factor in sources.items():
        if not _broadcasts(factor, right):
            continue
        if _close(found * factor, right):
            return f"a factor is missing: {name}"
        if _close(found, right * factor):
            return f"a factor is too many: {name}"
    for axis in range(right.ndim):
        if right.shape[axis] > 1 and right.size > right.shape[axis]:
            others = tuple(i for i in range(right.ndim) if i != axis)
            power = (right * right).sum(others, keepdims=True)
            ratio = (found * right).sum(others, keepdims=True) / np.where(power == 0, 1, power)
            if _close(found, ratio * right):
                return f"a factor is wrong that depends on axis {axis} alone: {_listed(ratio)}"
    return ""


def _dropped(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """What is missing is one number along some axes, alone or times an input, the output, an entry of the tape."""
    trial, missing = evidence.trial, right - found
    sources: dict[str, Any] = {"": np.ones(())}
    sources |= {f"input {i}": x for i, x in enumerate(trial.inputs)} | {"the output": trial.y}
    sources |= {f"entry {i} of the tape": leaf for i, leaf in enumerate(jax.tree.leaves(trial.tape))}
    sources |= {"the arriving delta": trial.dy} | dict(trial.params)
    for name, value in sources.items():
        if isinstance(value, dict) or not _broadcasts(value, right):
            continue
        whole = np.broadcast_to(np.asarray(value, np.float64), right.shape)
        for axes in _axes(right.ndim):
            if np.prod([right.shape[axis] for axis in axes]) < 2:
                continue
            along = ", ".join(str(axis) for axis in axes)
            for factor, words in ((whole, name), (whole - whole.mean(axes, keepdims=True), f"{name} less its mean")):
                power = (factor * factor).sum(axes, keepdims=True)
                share = (missing * factor).sum(axes, keepdims=True) / np.where(power == 0, 1, power)
                if _close(missing, share * factor):
                    times = f" times {words}" if name else ""
                    return f"a term is missing: one number along axis {along}{times}, as a sum or mean over it gives"
    return ""


def _unaligned(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """The right numbers in other places: shifted along an axis, or in reverse."""
    for axis in range(right.ndim):
        if right.shape[axis] > 1:
            if _close(np.flip(found, axis), right):
                return f"it is reversed along axis {axis}"
            for shift in (1, -1):
                if _close(np.roll(found, shift, axis), right):
                    return f"it is shifted by one along axis {axis}"
    return ""


def _others(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """The gradient of another tensor of the layer."""
    for name, value in evidence.trial.expected.items():
        if name != evidence.name and value.shape == found.shape and _close(found, value):
            return f"it is the gradient of {name}"
    return ""


def _ratio(evidence: Evidence, found: np.ndarray, right: np.ndarray) -> str:
    """Nothing is known of it but its size and direction."""
    length = float(np.linalg.norm(found) / max(float(np.linalg.norm(right)), 1e-300))
    cosine = float(np.vdot(found, right)) / max(float(np.linalg.norm(found) * np.linalg.norm(right)), 1e-300)
    return f"{length:.4g} times as long as it should be, cosine {cosine:.4f}"


SLIPS: tuple[Callable[[Evidence, np.ndarray, np.ndarray], str], ...] = (
    _factor, _transposed, _left_out, _others, _unaligned, _masked, _rows_left_out, _other_tape, _factor_along,
    _dropped, _ratio,
)  # fmt: skip


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return a.shape == b.shape and size > 0 and float(np.linalg.norm(a - b)) <= SAME * size


def _equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and bool(jnp.array_equal(a, b))


def _places(evidence: Evidence) -> int:
    dy = evidence.trial.dy
    return 0 if isinstance(dy, dict) or dy.ndim < 3 else dy.size // dy.shape[-1]


def _moved(trial: Any, name: str, **changed: Any) -> np.ndarray:
    return np.asarray(trial.by_vjp(trial.dy, **changed)[name])


def _returned(trial: Any, name: str, tree: Any, leaves: list[Any]) -> np.ndarray:
    """Return what backward makes of another tape; nothing where it cannot use it."""
    try:
        found = trial.back_compiled(trial.params, jax.tree.unflatten(tree, leaves), trial.dy).get(name)
    except (TypeError, ValueError):
        found = None
    return np.zeros(0) if found is None else np.asarray(found)


def _broadcasts(value: Any, right: np.ndarray) -> bool:
    try:
        return np.broadcast_shapes(np.shape(value), right.shape) == right.shape and np.asarray(value).dtype.kind == "f"
    except ValueError:
        return False


def _axes(count: int) -> Iterator[tuple[int, ...]]:
    """Yield sets of axes, the last first, then all but the last, then all."""
    yield from ((axis,) for axis in reversed(range(count)))
    if count > 2:
        yield tuple(range(count - 1))
        yield tuple(range(1, count))
        yield tuple(range(1, count - 1))


def _listed(ratio: np.ndarray) -> str:
    values = ratio.ravel()
    shown = ", ".join(f"{value:.4g}" for value in values[:4])
    return f"{shown}, ..." if len(values) > 4 else shown
