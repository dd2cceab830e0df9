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
DEEPEST = 64


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
    try:
        other = node._saved_other
    except (AttributeError, RuntimeError):
        return 0
    if not known or other is None or getattr(other, "numel", lambda: 1)() != 1:
        return 0
    return sign_of(known[0], depth + 1) * (1 if float(other) > 0 else -1)


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
