"""Whether a loss can fall below zero, as far as its graph of operations shows."""

from __future__ import annotations

from typing import Any

ABOVE = (
    "Abs", "Square", "Norm", "LinalgVectorNorm", "Relu", "Exp", "Softmax", "Sigmoid", "Softplus", "Sqrt", "Var", "Std",
    "MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BinaryCrossEntropy", "EuclideanDist", "Cdist", "CtcLoss",
)  # fmt: skip
BELOW = ("LogSoftmax", "LogSigmoid")
THROUGH = (
    "Mean", "Sum", "View", "UnsafeView", "Reshape", "Select", "Index", "Gather", "Squeeze", "Unsqueeze", "Slice",
    "Permute",
    "Transpose", "T", "Expand", "Clone", "ToCopy", "Stack", "Cat", "Add", "MaskedSelect", "Alias", "Max", "Min",
    "MaskedFill",
)  # fmt: skip
DEEPEST = 64  # maximum number of nodes followed from a loss: sums are rarely longer


def sign_of(node: Any, depth: int = 0) -> int:
    """Return 1 if the result of a graph node is never negative, -1 if it is never positive, else 0."""
    if node is None or depth > DEEPEST:
        return 0
    name = type(node).__name__.partition("Backward")[0]
    inputs = [following for following, _ in node.next_functions]
    if name == "Pow":
        return int(float(getattr(node, "_saved_exponent", 1)) % 2 == 0)
    if name in ABOVE or name.startswith("BinaryCrossEntropy"):
        return 1
    if name in BELOW:
        return -1
    if name == "Neg":
        return -sign_of(inputs[0], depth + 1)
    if name.startswith("NllLoss"):
        return -sign_of(inputs[0], depth + 1)
    if name in ("Mul", "Div"):
        return _times(node, inputs, depth)
    if name in THROUGH:
        signs = {sign_of(before, depth + 1) for before in inputs if before is not None or name == "Add"}
        return signs.pop() if len(signs) == 1 else 0
    return 0


def _times(node: Any, inputs: list[Any], depth: int) -> int:
    """Return the sign of a product, of two nodes or of a node and a number; 0 if a factor's sign is unknown."""
    factors = [before for before in inputs if before is not None]
    if len(factors) == 2:
        return sign_of(factors[0], depth + 1) * sign_of(factors[1], depth + 1)
    return sign_of(factors[0], depth + 1) * _factor(node) if factors else 0


def _factor(node: Any) -> int:
    """Return the sign of the number in a product; 0 if it is unknown or not a single number."""
    try:
        other = node._saved_other
    except (AttributeError, RuntimeError):
        return 0
    if other is None or getattr(other, "numel", lambda: 1)() != 1:
        return 0
    return 1 if float(other) > 0 else -1


UNBOUNDED = ("MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BinaryCrossEntropy")  # losses without an upper limit


def is_negated(node: Any, depth: int = 0, sign: int = 1) -> bool:
    """Return whether a result is a loss times a negative number: the worse the answers, the lower it is, without limit.

    Known for losses with a minimum and no maximum. A mean of log-probabilities is itself such a negative.
    """
    if node is None or depth > DEEPEST:
        return False
    name = type(node).__name__.partition("Backward")[0]
    inputs = [following for following, _ in node.next_functions if following is not None]
    if name in BELOW:
        return sign > 0
    if name.startswith(UNBOUNDED):
        return sign < 0
    if name == "Neg" or name.startswith("NllLoss"):
        return bool(inputs) and is_negated(inputs[0], depth + 1, -sign)
    if name in ("Mul", "Div"):
        factor = _factor(node) if len(inputs) == 1 else 0
        return factor != 0 and is_negated(inputs[0], depth + 1, sign * factor)
    return name in THROUGH and len(inputs) == 1 and is_negated(inputs[0], depth + 1, sign)


def made_by(node: Any, wanted: tuple[str, ...]) -> bool:
    """Return whether a result comes from one of these operations, with only views in between."""
    for _ in range(DEEPEST):
        if node is None:
            return False
        name = type(node).__name__.partition("Backward")[0]
        if name in wanted:
            return True
        if (
            name not in THROUGH
            or name in ("Mean", "Sum", "Add", "Stack", "Cat", "MaskedFill")
            or not node.next_functions
        ):
            return False
        node = node.next_functions[0][0]
    return False
