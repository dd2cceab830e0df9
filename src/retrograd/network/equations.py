"""A layer's equations, and how its settings change them: no bias, a sum instead of a mean, and so on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

BIAS = re.compile(r" \+ (bias|b(_\w+)?)\b")
BIAS_LATEX = re.compile(r" \+ (\\beta|b(_(\w|\{\w+\}))?)(?![\w\\])")
BIAS_GRADIENT = re.compile(r"([,;] )(each )?db = .*$")
MEAN = re.compile(r"\b1/n (?=\S)")  # 1/n in front of a sum or a bracket
MEAN_LATEX = re.compile(r"\\frac\{1\}\{n\} ")


class Equations(NamedTuple):
    """A layer's formulas, forward and backward, as plain text and as LaTeX."""

    forward: str
    backward: tuple[str, ...]
    latex_forward: str
    latex_backward: tuple[str, ...]


UNWRITTEN = Equations("", ("",), "", ("",))  # of a user's loss that declares none


def without_bias(equations: Equations) -> Equations:
    """Return the equations of a layer without a bias."""
    remaining = _without_lines(equations, ("db = ", "dbias = "), (r"\nabla_b ", r"\nabla_\beta "))
    return _each(
        remaining, lambda text: BIAS_GRADIENT.sub("", BIAS.sub("", text)), lambda text: BIAS_LATEX.sub("", text)
    )


def without_scale(equations: Equations) -> Equations:
    """Return the equations of a normalisation without a scale."""
    remaining = _without_lines(equations, ("dscale = ",), (r"\nabla_\gamma ",))
    return _each(
        remaining,
        lambda text: text.replace("scale · ", ""),
        lambda text: text.replace(r"\gamma \hat x", r"\hat x").replace(r"\gamma\delta_y", r"\delta_y"),
    )


def summed(equations: Equations) -> Equations:
    """Return the equations of a loss that sums its terms instead of averaging."""
    return _each(equations, _plain_sum, _latex_sum)


def one_by_one(equations: Equations) -> Equations:
    """Return the summed equations of a loss without reduction: the sum in front removed."""
    return equations._replace(
        forward=re.sub(r"Σ(_rows)? ", "", equations.forward, count=1),
        latex_forward=re.sub(r"\\sum(_\{rows\})? ", "", equations.latex_forward, count=1),
    )


def scaled(equations: Equations, scale: float, is_mean: bool) -> Equations:
    """Return the equations of a loss whose value and gradients are multiplied by a scale."""
    words = f", times scale = {scale:g} (the gradient too)" if is_mean else f", all times scale = {scale:g}"
    latex = rf"\quad (\times {scale:g})"
    return equations._replace(forward=equations.forward + words, latex_forward=f"{equations.latex_forward} {latex}")


def _plain_sum(text: str) -> str:
    text = MEAN.sub("", text)
    text = re.sub(r"\b(\d)/n ", r"\1 ", text)
    text = text.replace("1/(n classes)", "1/classes")
    text = re.sub(r", n = Σ_rows w_t", "", text)
    return re.sub(r" ?/ ?n\b", "", text)


def _latex_sum(text: str) -> str:
    text = MEAN_LATEX.sub("", text)
    text = (
        re.sub(r"\\frac\{(\w)\}\{n\}", r"\1", text).replace(r"\frac{1}{2n}", r"\frac{1}{2}").replace("{n B^2}", "{B^2}")
    )
    return re.sub(r", \\quad n = \\sum_\{rows\} w_t", "", text)


def _each(equations: Equations, plain: Callable[[str], str], latex: Callable[[str], str]) -> Equations:
    return Equations(
        plain(equations.forward),
        tuple(map(plain, equations.backward)),
        latex(equations.latex_forward),
        tuple(map(latex, equations.latex_backward)),
    )


def _without_lines(equations: Equations, plain: tuple[str, ...], latex: tuple[str, ...]) -> Equations:
    return equations._replace(
        backward=tuple(line for line in equations.backward if not line.startswith(plain)),
        latex_backward=tuple(line for line in equations.latex_backward if not line.startswith(latex)),
    )
