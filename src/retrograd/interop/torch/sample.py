"""A sample of every parameter: enough to tell whether and where it moves, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from retrograd.interop.torch.journal import Update

MOST = 1024  # entries of a tensor


def sampled(tensor: Tensor) -> Tensor:
    """Return a copy of entries at equal distances, at most 1024."""
    flat = tensor.detach().reshape(-1)
    return flat[:: max(1, -(-flat.numel() // MOST))].clone()


def samples(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the samples of all parameters."""
    return {path: sampled(parameter) for path, parameter in parameters.items()}


def same(a: Tensor, b: Tensor) -> bool:
    """Return whether two samples are equal bit for bit, NaN included."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def update(before: Mapping[str, Tensor], gradients: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> Update:
    """Return what an update did: its cosine with the gradient, and its size beside the parameters'."""
    dot = gradient_square = change_square = 0.0
    ratios = {}
    with torch.no_grad():
        for path, old in before.items():
            new = sampled(now[path]) if path in now else None
            if new is None or new.shape != old.shape:
                continue
            change = (new - old).to(torch.float32)
            size = float(change.norm())
            if old.numel() > 1:
                ratios[path] = size / max(float(old.norm()), 1e-12)
            if path in gradients:
                gradient = gradients[path].to(torch.float32)
                dot += float(torch.dot(gradient, change))
                gradient_square += float(gradient.norm()) ** 2
                change_square += size**2
    scale = math.sqrt(gradient_square * change_square)
    return Update(dot / scale if scale > 0 else 0.0, ratios)
