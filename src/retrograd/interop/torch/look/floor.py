"""Whether a loss can fall below zero, as far as the operations that made it say."""

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
DEEPEST = 64  # nodes of the graph behind a loss: sums are rarely longer


def sign_of(node: Any, depth: int = 0) -> int:
    """Return 1 for a result of a graph's node that is never negative, -1 for one that is never positive, else 0."""
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
        signs = {sign_of(each, depth + 1) for each in inputs if each is not None or name == "Add"}
        return signs.pop() if len(signs) == 1 else 0
    return 0


def _times(node: Any, inputs: list[Any], depth: int) -> int:
    """Return the sign of a product with a number; with a tensor of numbers, weights perhaps, nothing is known."""
    known = [each for each in inputs if each is not None]
    if len(known) == 2:
        return sign_of(known[0], depth + 1) * sign_of(known[1], depth + 1)
    return sign_of(known[0], depth + 1) * _factor(node) if known else 0


def _factor(node: Any) -> int:
    """Return the sign of the number by which a product multiplies; 0 where it is unknown, or no single number."""
    try:
        other = node._saved_other
    except (AttributeError, RuntimeError):
        return 0
    if other is None or getattr(other, "numel", lambda: 1)() != 1:
        return 0
    return 1 if float(other) > 0 else -1


UNBOUNDED = ("MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BinaryCrossEntropy")  # of these, the negative falls


def is_negated(node: Any, depth: int = 0, sign: int = 1) -> bool:
    """Return whether a result is a loss times a negative number: the worse the answers, the lower it is, without end.

    Known for losses that have a floor and no ceiling. A mean of logarithms of probabilities is such a negative itself.
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
    """Return whether a result comes from one of these operations, with nothing but views in between."""
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
