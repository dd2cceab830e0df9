"""An update written out: the optimizer's moments, the direction, the new value, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retrograd.present.exact import Figures
from retrograd.tracing.lines import Line, Lines, entry
from retrograd.tracing.numbers import ParameterNumbers, StepNumbers
from retrograd.update.adam import Adam, AdamW
from retrograd.update.groups import group_of
from retrograd.update.optimizer import Optimizer
from retrograd.update.optimizers import SGD, Adagrad, Lion, RMSprop

ROUNDING = 1e-5  # relative: a hundred times float32's round-off, for sums computed in two ways
Index = tuple[int, ...]
Written = Callable[["Number"], list[tuple[str, str, float]]]  # name, text, value


class Number:
    """One number of one parameter in one step, for the formulas of an optimizer."""

    def __init__(self, step: StepNumbers, parameter: ParameterNumbers, index: Index, f: Figures) -> None:
        self.step, self.parameter, self.index, self.f, self.t = step, parameter, index, f, step.updates_so_far

    def stage(self, name: str) -> float:
        """Return this number after a stage of the optimizer."""
        return float(self.parameter.stages[name][self.index])

    @property
    def g(self) -> float:
        """The gradient that enters the direction: clipped and decayed."""
        return self.stage("decay")

    @property
    def d(self) -> float:
        """The direction, before any decoupled decay."""
        return self.stage("direction")

    def moment(self, symbol: str) -> tuple[float, float]:
        """Return a moment before and after the step."""
        before, after = self.parameter.moments[symbol]
        return float(before[self.index]), float(after[self.index])

    def average(self, symbol: str, beta: float, square: bool = False) -> tuple[str, str, float]:
        """Return a moving average of the gradient (or of its square) written out."""
        before, after = self.moment(symbol)
        f = self.f
        text = f"{f.number(beta)}*{f.factor(before)} + {f.number(1 - beta)}*{f.factor(self.g)}{'²' if square else ''}"
        return symbol, text, after


def update_lines(step: StepNumbers, parameter: ParameterNumbers, index: Index, f: Figures) -> Lines:
    """Return the lines from the gradient of the loss to the new value of one number."""
    if parameter.frozen:
        return []
    number = Number(step, parameter, index, f)
    lines = [*_stages(number)]
    write = DIRECTIONS.get(type(step.optimizer))
    lines += write(number) if write else [("d", f"{f.number(number.d)}", number.d)]
    d, optimizer = number.stage("decoupled_decay"), step.optimizer
    before, after = float(parameter.before[index]), float(parameter.after[index])
    decay = optimizer.decay_of(parameter.path)
    if optimizer.decoupled and decay and d != number.d:
        lines.append(("d", f.sum([(number.d,), (decay, before)]), d))
    group = group_of(parameter.path, optimizer.groups)
    rate = group.rate if group.moves(step.updates_so_far - 1) else 0
    if rate != 1:
        lines.append(("d", f"{f.product([rate, d])}  rate of its group", d := number.stage("groups")))
    lines.append(("new", f"{f.number(before)} - {f.product([step.learning_rate, d])}", after))
    path = entry(parameter.path, index)
    return [Line(f"update:{path}:{i}", name, text, value) for i, (name, text, value) in enumerate(lines)]


def corrected(step: StepNumbers, parameter: ParameterNumbers) -> dict[str, np.ndarray]:
    """Return Adam's moments corrected for their start at 0."""
    optimizer, t = step.optimizer, step.updates_so_far
    if not isinstance(optimizer, Adam) or not optimizer.bias_correction or parameter.frozen:
        return {}
    m, v = (parameter.moments[symbol][1] for symbol in ("m", "w" if optimizer.amsgrad else "v"))
    return {"m^": m / (1 - optimizer.beta1**t), "v^": v / (1 - optimizer.beta2**t)}


def _stages(number: Number) -> list[tuple[str, str, float]]:
    """Return the effects of penalties, clipping and decay on the gradient, if they have any."""
    f, parameter, index, optimizer = number.f, number.parameter, number.index, number.step.optimizer
    lines, g = [], float(parameter.gradient[index])
    if parameter.penalty is not None and parameter.penalty[index] != 0:
        whole = g + float(parameter.penalty[index])
        lines.append(("g", f.sum([(g,), (float(parameter.penalty[index]),)]) + "  penalty added", whole))
        g = whole
    clipped = number.stage("clip")
    if optimizer.clips and not math.isclose(clipped, g, rel_tol=ROUNDING):
        lines.append(("g", f"{f.product([g, clipped / g])}  clipped" if g else "0", clipped))
    decay = optimizer.decay_of(parameter.path)
    if decay and not optimizer.decoupled and number.g != clipped:
        decayed = f.sum([(clipped,), (decay, float(parameter.before[index]))])
        lines.append(("g", f"{decayed}  decay added", number.g))
    return lines


def _sgd(number: Number) -> list[tuple[str, str, float]]:
    f, optimizer = number.f, number.step.optimizer
    assert isinstance(optimizer, SGD)
    if not optimizer.momentum:
        return []
    before, after = number.moment("v")
    lines = [("v", f.sum([(optimizer.momentum, before), (number.g,)]), after)]
    if optimizer.nesterov:
        lines.append(("d", f.sum([(number.g,), (optimizer.momentum, after)]), number.d))
    return lines


def _adam(number: Number) -> list[tuple[str, str, float]]:
    f, optimizer, t = number.f, number.step.optimizer, number.t
    assert isinstance(optimizer, Adam)
    m, v = number.average("m", optimizer.beta1), number.average("v", optimizer.beta2, square=True)
    lines, size = [m, v], v[2]
    if optimizer.amsgrad:
        before, size = number.moment("w")
        lines.append(("w", f"max({f.number(before)}, {f.number(v[2])})", size))
    mean = m[2]
    if optimizer.bias_correction:
        m_hat, v_hat = mean / (1 - optimizer.beta1**t), size / (1 - optimizer.beta2**t)
        lines.append(("m^", f"{f.number(mean)}/(1 - {f.number(optimizer.beta1)}^{t})", m_hat))
        lines.append(("v^", f"{f.number(size)}/(1 - {f.number(optimizer.beta2)}^{t})", v_hat))
        mean, size = m_hat, v_hat
    return [*lines, ("d", f"{f.number(mean)}/(sqrt({f.number(size)}) + {f.number(optimizer.eps)})", number.d)]


def _adagrad(number: Number) -> list[tuple[str, str, float]]:
    f, optimizer = number.f, number.step.optimizer
    assert isinstance(optimizer, Adagrad)
    before, after = number.moment("s")
    text = f"{f.number(number.g)}/sqrt({f.number(after)} + {f.number(optimizer.eps)})"
    return [("s", f"{f.number(before)} + {f.factor(number.g)}²", after), ("d", text, number.d)]


def _rmsprop(number: Number) -> list[tuple[str, str, float]]:
    f, optimizer = number.f, number.step.optimizer
    assert isinstance(optimizer, RMSprop)
    if optimizer.centered:
        return [("d", f.number(number.d), number.d)]
    s = number.average("s", optimizer.decay, square=True)
    scaled = number.g / (s[2] ** 0.5 + optimizer.eps)
    lines = [s, ("d", f"{f.number(number.g)}/(sqrt({f.number(s[2])}) + {f.number(optimizer.eps)})", scaled)]
    if optimizer.momentum:
        before, after = number.moment("velocity")
        lines.append(("d", f.sum([(scaled,), (optimizer.momentum, before)]), after))
    return lines


def _lion(number: Number) -> list[tuple[str, str, float]]:
    f, optimizer = number.f, number.step.optimizer
    assert isinstance(optimizer, Lion)
    before, _ = number.moment("m")
    inside = f"{f.number(optimizer.beta1)}*{f.factor(before)} + {f.number(1 - optimizer.beta1)}*{f.factor(number.g)}"
    return [("d", f"sign({inside})", number.d), number.average("m", optimizer.beta2)]


DIRECTIONS: Mapping[type[Optimizer], Written] = {
    SGD: _sgd,
    Adam: _adam,
    AdamW: _adam,
    Adagrad: _adagrad,
    RMSprop: _rmsprop,
    Lion: _lion,
}


def columns_of(step: StepNumbers, parameter: ParameterNumbers) -> dict[str, np.ndarray]:
    """Return the columns of a parameter's table: before, gradient, the optimizer's stages, new."""
    columns = {"before": parameter.before, "gradient": parameter.gradient}
    if parameter.frozen:
        return columns
    if parameter.penalty is not None:
        columns["penalty"] = parameter.penalty
    decays = step.optimizer.decay_of(parameter.path) and not step.optimizer.decoupled
    if parameter.penalty is not None or step.optimizer.clips or decays:
        columns["g"] = parameter.stages["decay"]
    for symbol, (old, new) in parameter.moments.items():
        if np.any(old != 0):
            columns[f"{symbol} before"] = old
        columns[symbol] = new
    columns |= corrected(step, parameter)
    if not np.array_equal(parameter.stages["groups"], parameter.stages["decay"]):
        columns["d"] = parameter.stages["groups"]
    columns["update"] = parameter.update
    columns["new"] = parameter.after
    return columns


def rows_of(columns: Mapping[str, np.ndarray], places: Sequence[Index], f: Figures) -> list[list[str]]:
    """Return a table's rows, one per number of the parameter."""
    return [[entry("", place), *(f.number(column[place]) for column in columns.values())] for place in places]
