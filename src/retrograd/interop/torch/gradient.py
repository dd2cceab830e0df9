"""`check`: the gradients of any module or function against central differences, in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retrograd.base.errors import UsageError
from retrograd.checking.gradient_report import GradientReport, TensorError
from retrograd.checking.slopes import STEP, resolution, slope, verdict_of
from retrograd.interop.torch.gradient_hints import diagonal_only, hint
from retrograd.interop.torch.nested import tensors

FEW = 24  # entries checked per tensor


def check(module: Any, *inputs: Any, entries: int = FEW, seed: int = 0) -> GradientReport:
    """Compare the gradients of a module, a `torch.autograd.Function` or a function with central differences.

        error = |gradient - difference| / max(|gradient|, |difference|, round-off), over the entries checked

    The gradients are those of a fixed random combination of the outputs, computed in float64 on a copy. Every
    evaluation starts from the same random numbers and buffers, so that dropout and batch norm are checked as they are;
    the module, its buffers and the random state are unchanged. An entry whose slopes on both sides differ lies on a
    kink and is skipped.
    """
    if not inputs:
        raise UsageError("no inputs", where="check", cure="check(module, x): pass the arguments of the forward pass")
    double = [_double(value) for value in inputs]
    checked = {f"input {i}": x for i, x in enumerate(double) if isinstance(x, Tensor) and x.is_floating_point()}
    run: Any
    if isinstance(module, nn.Module):
        run = copy.deepcopy(module).double()
        for p in run.parameters():  # entries are changed through a flat view, which channels_last does not allow
            p.data = p.data.contiguous()
        checked |= {path: p for path, p in run.named_parameters() if p.requires_grad}
    elif isinstance(module, type) and issubclass(module, torch.autograd.Function):
        run = module.apply  # type: ignore[attr-defined]
    elif callable(module):
        run = module
    else:
        raise UsageError(f"expected a module or a function, found {type(module).__name__}", where="check")
    cuda = sorted({x.device.index or 0 for x in checked.values() if x.device.type == "cuda"})
    with torch.random.fork_rng(devices=cuda), torch.enable_grad():
        return _Trial(run, double, checked, entries, seed).result()


class _Trial:
    """The value and the gradients of a fixed combination of the outputs, at one point."""

    def __init__(self, run: Any, inputs: list[Any], checked: dict[str, Tensor], entries: int, seed: int) -> None:
        self.run, self.inputs, self.checked, self.entries = run, inputs, checked, entries
        self.state = {name: b.clone() for name, b in run.named_buffers()} if isinstance(run, nn.Module) else {}
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self.weights: list[Tensor] = []
        self.doubled: dict[str, Tensor] = {}  # the gradients for a doubled incoming gradient

    def value(self) -> Tensor:
        """Return the value, from the same random numbers and buffers each time."""
        outputs = self.outputs()
        if not self.weights:
            self.weights = [torch.randn(y.shape, generator=self.generator, dtype=torch.float64) for y in outputs]
        parts = [(y.double() * w.to(y.device)).sum() for y, w in zip(outputs, self.weights, strict=True)]
        if not parts:
            raise UsageError("no output is a tensor of real numbers", where="check")
        return torch.stack(parts).sum()

    def outputs(self) -> list[Tensor]:
        """Return the outputs, from the same random numbers and buffers each time."""
        torch.manual_seed(self.seed)
        if self.state:
            with torch.no_grad():
                for name, buffer in self.run.named_buffers():
                    buffer.copy_(self.state[name])
        return [y for y in tensors(self.run(*self.inputs)) if y.is_floating_point()]

    def result(self) -> GradientReport:
        for x in self.checked.values():
            x.requires_grad_(True)
        value = self.value()
        if not value.requires_grad:
            raise UsageError(
                "the outputs do not depend on any input or parameter",
                where="check",
                cure="remove .detach() or no_grad()",
            )
        gradients = torch.autograd.grad(value, list(self.checked.values()), allow_unused=True)
        twice = torch.autograd.grad(2 * self.value(), list(self.checked.values()), allow_unused=True)
        self.doubled = {name: g for name, g in zip(self.checked, twice, strict=True) if g is not None}
        roundoff = resolution(float(value.detach()))
        with torch.no_grad():
            pairs = zip(self.checked.items(), gradients, strict=True)
            return GradientReport(tuple(self._tensor(name, x, gradient, roundoff) for (name, x), gradient in pairs))

    def _tensor(self, name: str, x: Tensor, gradient: Tensor | None, roundoff: float) -> TensorError:
        flat = x.detach().view(-1)
        analytic = torch.zeros_like(flat) if gradient is None else gradient.reshape(-1)
        n = flat.numel()
        chosen = range(n) if n <= self.entries else torch.randperm(n, generator=self.generator)[: self.entries].tolist()
        tried: list[tuple[int, float, float]] = []  # index, gradient, difference
        kinks = 0
        for i in chosen:
            numeric = self._slope(flat, i)
            if numeric is None:
                kinks += 1
            else:
                tried.append((i, float(analytic[i]), numeric))
        if not tried:
            return TensorError(name, tuple(x.shape), 0.0, 0, kinks)
        a, d = (torch.tensor([entry[k] for entry in tried], dtype=torch.float64) for k in (1, 2))
        error = float((a - d).norm()) / max(float(a.norm()), float(d.norm()), roundoff)
        worst, computed, difference = max(tried, key=lambda entry: abs(entry[1] - entry[2]))
        is_step = not bool(d.any()) and bool(a.any())
        error = error if error == error else float("inf")
        words = ""
        if verdict_of(error) in ("suspicious", "wrong"):
            is_complete = len(tried) == n
            values = x.detach().reshape(-1) if is_complete else None
            words = hint(a, d, values, tuple(x.shape), self.doubled.get(name), gradient)
            words = words or (self._diagonal(x, gradient) if is_complete else "")
        at = tuple(int(i) for i in np.unravel_index(worst, tuple(x.shape)))
        return TensorError(name, tuple(x.shape), error, len(tried), kinks, at, computed, difference, words, is_step)

    def _diagonal(self, x: Tensor, gradient: Tensor | None) -> str:
        """Compare with the diagonal of the Jacobian, for a single output in the shape of this tensor."""
        if gradient is None or len(self.weights) != 1 or self.weights[0].shape != x.shape:
            return ""
        flat, diagonal = x.detach().view(-1), torch.empty(x.numel(), dtype=torch.float64)
        for i in range(len(flat)):
            old, ends = float(flat[i]), []
            for sign in (1, -1):
                flat[i] = old + sign * STEP
                ends.append(float(self.outputs()[0].reshape(-1)[i]))
            flat[i] = old
            diagonal[i] = (ends[0] - ends[1]) / (2 * STEP)
        return diagonal_only(gradient.reshape(-1).cpu(), diagonal * self.weights[0].reshape(-1))

    def _slope(self, flat: Tensor, i: int) -> float | None:
        """Return the central difference, or None on a kink."""
        old = float(flat[i])

        def at(x: float) -> float:
            flat[i] = x
            try:
                return float(self.value())
            finally:
                flat[i] = old

        return slope(at, old, float(self.value()))


def _double(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    copied = value.detach().clone(memory_format=torch.contiguous_format)
    return copied.double() if copied.is_floating_point() else copied
