"""Objects and programs of other frameworks, and the call of this package that accepts them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from retrograd.base.errors import UsageError

PROGRAMS = {".py": "a Python program", ".ipynb": "a notebook"}
WATCH = """put four lines around its training loop:
    from retrograd.torch import watch
    with watch(model, optimizer) as chart:
        ...                  # the unchanged loop
    chart.report()"""
CHECK = "retrograd.torch.check(module, x) compares its gradients with central differences"
ESTIMATOR = "pass the same arrays to rg.fit(X, y), which builds a network; then diagnose its run"
KERAS = "write the same layers and optimizer as YAML and diagnose that: docs/coming-from.md compares the names"
ARRAYS = "rg.check_gradient(loss, grads, params) checks gradients that NumPy code computes"
# (module, name) of a base class -> its framework
BASES = {
    ("torch.nn", "Module"): "torch",
    ("torch.optim", "Optimizer"): "torch",
    ("torch.optim", "LRScheduler"): "torch",
    ("torch.autograd", "Function"): "torch",
    ("torch", "Tensor"): "torch",
    ("keras", "Layer"): "keras",
    ("tensorflow", "Layer"): "keras",
    ("tensorflow", "Module"): "keras",
    ("tf_keras", "Layer"): "keras",
    ("sklearn", "BaseEstimator"): "sklearn",
    ("flax", "Module"): "jax",
    ("equinox", "Module"): "jax",
}
WORDS = {
    "torch": "a PyTorch {kind} ({name})",
    "keras": "a Keras model ({name})",
    "sklearn": "a scikit-learn estimator ({name})",
    "jax": "a JAX module ({name})",
}
IMPORTS = re.compile(
    r"^\s*(?:import|from)\s+(torch|lightning|pytorch_lightning|keras|tensorflow|sklearn|numpy)\b", re.M
)


def refuse_foreign(value: Any, verb: str) -> None:
    """Refuse an object or program of another framework, and name the call that accepts it; ignore anything else.

    `verb` is the attempted call: diagnose, explain, trace, check or repair.

    Raises:  UsageError
    """
    framework, name = framework_of(value)
    if framework:
        kind = "module" if framework != "torch" else _kind(value)
        words = WORDS[framework].format(kind=kind, name=name)
        raise UsageError(f"expected a configuration or a run, found {words}", where=verb, cure=_cure(framework, verb))
    path = Path(value) if isinstance(value, (str, Path)) else None
    if path is None or path.suffix not in PROGRAMS or not path.is_file():
        return
    text = _source(path)
    if verb == "check" and path.suffix == ".py" and ("register(" in text or not IMPORTS.search(text)):
        return  # a file that registers layers, which `check` accepts
    raise UsageError(
        f"expected a configuration, a run or a data file, found {PROGRAMS[path.suffix]}",
        where=str(path),
        cure=_cure(framework_in(text), verb),
    )


def framework_of(value: Any) -> tuple[str, str]:
    """Return the framework and class name of an object or class; empty for retrograd's own and plain classes."""
    kind = value if isinstance(value, type) else type(value)
    for base in kind.__mro__:
        for (module, name), framework in BASES.items():
            if base.__name__ == name and f"{base.__module__}.".startswith(f"{module}."):
                return framework, kind.__name__
    return "", ""


def framework_in(text: str) -> str:
    """Return the framework that a program imports; if there are several, the one that trains."""
    frameworks = {{"lightning": "torch", "pytorch_lightning": "torch", "tensorflow": "keras"}.get(name, name)
             for name in IMPORTS.findall(text)}  # fmt: skip
    return next((name for name in ("torch", "keras", "sklearn", "numpy") if name in frameworks), "")


def _source(path: Path) -> str:
    """Return the text of a program, or of the cells of a notebook."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix != ".ipynb":
        return text
    try:
        return "\n".join("".join(cell.get("source", "")) for cell in json.loads(text)["cells"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return text


def _kind(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    names = {base.__name__ for base in kind.__mro__}
    return next((word.lower() for word in ("Module", "Optimizer", "Function", "Tensor") if word in names), "object")


def _cure(framework: str, verb: str) -> str:
    if framework == "torch":
        return CHECK if verb == "check" else f"{WATCH}\n(the report names the faults and the lines to change)"
    if framework in ("keras", "sklearn"):
        return ESTIMATOR if framework == "sklearn" else KERAS
    if framework in ("numpy", "jax"):
        return ARRAYS
    return (
        "use retrograd.torch.watch for a PyTorch loop, rg.check_gradient for NumPy gradients; "
        "docs/coming-from.md shows both"
    )
