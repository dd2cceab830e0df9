"""Samples of parameters: enough to see whether and where they move, in bounded memory and with few operations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from retrograd.interop.torch.journal import Update

MOST = 1024  # maximum number of entries per tensor
HALF = (torch.float16, torch.bfloat16)


class Sample(NamedTuple):
    """Entries of several tensors, concatenated."""

    paths: tuple[str, ...]
    sizes: tuple[int, ...]
    values: Tensor

    def parts(self) -> tuple[Tensor, ...]:
        """Return the entries of each tensor."""
        parts: tuple[Tensor, ...] = self.values.split(self.sizes)
        return parts


def parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters by path, without uninitialised ones and those inserted by `functional_call`."""
    return {path: p for path, p in model.named_parameters() if p.is_leaf and not is_lazy(p)}


def sample(tensors: Mapping[str, Tensor]) -> Sample:
    """Return a copy of evenly spaced entries, at most 1,024 per tensor; sparse tensors are omitted."""
    chosen: dict[str, Tensor] = {}
    for path, tensor in tensors.items():
        if tensor.layout == torch.strided:
            flat = tensor.detach().reshape(-1)
            chosen[path] = flat if len(flat) <= MOST else flat[:: -(-len(flat) // MOST)]
    views = list(chosen.values())
    if len({view.device for view in views}) > 1:
        views = [view.cpu() for view in views]
    return Sample(tuple(chosen), tuple(map(len, views)), torch.cat(views) if views else torch.empty(0))


def same(a: Tensor, b: Tensor) -> bool:
    """Return whether two samples are equal bit for bit, NaN included."""
    return a.shape == b.shape and (torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all()))


def norms(tensors: Iterable[Tensor]) -> list[float]:
    """Return the norms of tensors."""
    return numbers(lengths_of(tensors))


def lengths_of(tensors: Iterable[Tensor]) -> Sequence[Tensor]:
    """Return the norms of tensors, without waiting for a device."""
    wide = [tensor.detach().float() if tensor.dtype in HALF else tensor.detach() for tensor in tensors]
    return torch._foreach_norm(wide) if wide else []


def numbers(scalars: Sequence[Tensor]) -> list[float]:
    """Return scalars as numbers, waiting only once if they are all on one device."""
    if len({(scalar.device, scalar.dtype) for scalar in scalars}) != 1:
        return [float(scalar) for scalar in scalars]
    values: list[float] = torch.stack(list(scalars)).tolist()
    return values


def update(before: Sample, gradients: Sample, now: Sample) -> Update | None:
    """Return the effect of an update: its cosine with the gradient, and its size relative to the parameters'.

    None if nothing changed, or if the model has other parameters than before.
    """
    if before[:2] != now[:2] or same(before.values, now.values):
        return None
    change = (now.values - before.values).to(torch.float32)
    parts = dict(zip(before.paths, change.split(before.sizes), strict=True))
    old = norms(before.parts())
    sizes = norms(parts.values())
    ratios = {
        path: size / length
        for path, size, length, n in zip(before.paths, sizes, old, before.sizes, strict=True)
        if n > 1 and length > 0  # zeros give no scale
    }
    shared = [(parts[path], part) for path, part in zip(gradients.paths, gradients.parts(), strict=True)
              if path in parts and len(part) == len(parts[path])]  # fmt: skip
    if not shared:
        return Update(0.0, ratios)
    moved = torch.cat([one for one, _ in shared])
    slope = torch.cat([other for _, other in shared]).to(device=moved.device, dtype=torch.float32)
    dot, *lengths = torch.stack([torch.dot(moved, slope), moved.norm(), slope.norm()]).tolist()
    scale = math.prod(lengths)
    return Update(dot / scale if scale != 0 else 0.0, ratios)
